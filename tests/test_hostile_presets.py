"""Presets from strangers: refused by one error, before memory is taken."""

import json
import os
import pathlib
import random
import re
import shutil

import keras
import numpy as np
import pytest
from preset_support import (
    TRAINING,
    all_weights,
    read_raw,
    same_weights,
    tiny_gan,
    vouch_for,
    write_raw,
)

from keras_audiogan.models import registry
from keras_audiogan.models.arguments import RecordedArguments
from keras_audiogan.saving import (
    PresetError,
    load_preset,
    read_training,
    save_preset,
)

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "p"
    return save_preset(
        tiny_gan(), path, training=TRAINING, storage_dtype="float32"
    )


@pytest.fixture
def folder(original, tmp_path):
    return pathlib.Path(shutil.copytree(original, tmp_path / "p"))


@pytest.fixture
def memory():
    """Returns a function that tells the growth of the peak, in bytes."""

    def peak():
        status = pathlib.Path("/proc/self/status").read_text()
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])

    pathlib.Path("/proc/self/clear_refs").write_text("5")
    start = peak()
    return lambda: peak() - start


def edit_config(folder, **changes):
    file = folder / "config.json"
    config = json.loads(file.read_text())
    for name, value in changes.items():
        place = config
        *parents, last = name.split("__")
        for parent in parents:
            place = place[parent]
        if value is KeyError:
            del place[last]
        else:
            place[last] = value
    file.write_text(json.dumps(config))


def edit_header(folder, change, stem="generator", body=None):
    file = folder / f"{stem}.safetensors"
    header, old_body = read_raw(file)
    write_raw(
        file, change(header) or header, old_body if body is None else body
    )
    vouch_for(folder, stem)


def refused(folder, file, *words, **options):
    with pytest.raises(PresetError) as caught:
        load_preset(folder, **options)
    message = str(caught.value)
    assert file in message
    for word in words:
        assert word in message, message
    assert len(message) < 3000
    assert message.isprintable()
    return caught.value


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"format_version": 3}, ["format version 3", "newer", "pip install"]),
        ({"format_version": 0}, ["unknown format_version"]),
        ({"task": "vocode"}, ["`task` is not that of", "generate", "vocode"]),
        ({"task": "Sing!"}, ["`task`"]),
        ({"task": KeyError}, ["`task` is missing"]),
        ({"format_version": "1"}, ["format_version", "wrong type"]),
        ({"format_version": True}, ["format_version", "wrong type"]),
        ({"format_version": KeyError}, ["`format_version` is missing"]),
        ({"architecture": "vaegan"}, ["vaegan", "wavegan"]),
        ({"architecture": "../evil"}, ["`architecture`", "lower-case"]),
        ({"architecture": ["wavegan"]}, ["`architecture`", "wrong type"]),
        ({"class_name": "os>system"}, ["`class_name`", "WaveGAN"]),
        ({"config": []}, ["`config`", "wrong type"]),
        ({"config": KeyError}, ["`config` is missing"]),
        ({"config__dim": 10**9}, ["config.dim", "beyond"]),
        ({"config__dim": 10**4000}, ["config.dim", "beyond"]),
        ({"config__dim": -3}, ["WaveGAN cannot be built", "dim"]),
        ({"config__dim": "two"}, ["WaveGAN cannot be built"]),
        ({"config__dim": 2.5}, ["WaveGAN cannot be built"]),
        ({"config__dim": [2]}, ["WaveGAN cannot be built"]),
        ({"config__dim": None}, ["WaveGAN cannot be built"]),
        ({"config__kernel_size": 0}, ["WaveGAN cannot be built"]),
        ({"config__slice_length": 100}, ["slice_length"]),
        ({"config__gift": 1}, ["WaveGAN cannot be built", "gift"]),
        ({"config__level": "x" * 2000}, ["config.level", "longer"]),
        ({"config__labels": ["x"] * 2000}, ["config.labels", "items"]),
        (
            {"config__dtype": {"module": "os", "class_name": "x"}},
            ["config.dtype", "Python object"],
        ),
        (
            {"config__level": [{"registered_name": "x"}]},
            ["config.level", "Python object"],
        ),
        ({"sampling_rate": 44100}, ["`sampling_rate` disagrees"]),
        ({"sampling_rate": 0}, ["`sampling_rate` is out of range"]),
        ({"sampling_rate": None}, ["`sampling_rate` disagrees"]),
        ({"num_channels": 2}, ["`num_channels` disagrees"]),
        ({"labels": ["one"]}, ["`labels` disagrees"]),
        ({"labels": [1, 2]}, ["`labels` must be a list of strings"]),
        ({"weights": {}}, ["`weights`"]),
        ({"weights": KeyError}, ["`weights` is missing"]),
        ({"weights__generator": {}}, ["weights.generator"]),
        ({"weights__generator__sha256": "0" * 63}, ["weights.generator"]),
        ({"weights__generator__num_bytes": -1}, ["weights.generator"]),
    ],
)
def test_a_wrong_config_is_refused(folder, changes, words):
    edit_config(folder, **changes)
    refused(folder, "config.json", *words)


@pytest.mark.parametrize(
    "name",
    [
        "../../secret",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "..",
        "",
        "gen\0erator",
        "generator\n",
        "x" * 5000,
        "\u202egenerator",
        "\ud800",
    ],
)
def test_names_that_lead_elsewhere_are_refused(folder, name):
    config = json.loads((folder / "config.json").read_text())
    config["weights"][name] = config["weights"].pop("generator")
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, "config.json", "names a file")


@pytest.mark.parametrize("stem", ["critic", "generator_2"])
def test_networks_that_the_model_has_not_are_refused(folder, stem):
    config = json.loads((folder / "config.json").read_text())
    config["weights"][stem] = config["weights"]["generator"]
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copy(
        folder / "generator.safetensors", folder / f"{stem}.safetensors"
    )
    refused(folder, "config.json", stem, "has not")


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", ["not valid JSON"]),
        (b"null", ["must be an object"]),
        (b"[1]", ["must be an object"]),
        (b"{", ["not valid JSON"]),
        (b'\xff\xfe{"a": 1}', ["not valid JSON"]),
        (b'{"a": ' + b"[" * 400_000, ["nested deeper"]),
        (b'{"a": ' * 30 + b"1" + b"}" * 30, ["nested deeper"]),
        (b'{"a": "' + b"x" * (2 * MEGABYTE) + b'"}', ["larger than"]),
        (b'{"a": 1, "a": 2}', ["'a'", "twice"]),
        (b'{"a": NaN}', ["NaN"]),
        (b'{"a": -Infinity}', ["Infinity"]),
        (b'{"a": 1e999}', ["not finite"]),
        (b'{"a": ' + b"9" * 100_000 + b"}", ["not valid JSON"]),
    ],
)
def test_json_bombs_are_refused(folder, memory, data, words):
    for name in ("config.json", "training.json"):
        (folder / name).write_bytes(data)
    refused(folder, "config.json", *words)
    with pytest.raises(PresetError, match=r"training\.json"):
        read_training(folder)
    assert memory() < 64 * MEGABYTE


def test_a_bomb_of_many_small_values_takes_little_memory(folder, memory):
    data = b'{"a": [' + b"[]," * 340_000 + b"[]]}"
    (folder / "config.json").write_bytes(data)
    refused(folder, "config.json", "`format_version` is missing")
    assert memory() < 128 * MEGABYTE


@pytest.mark.backends
def test_a_config_larger_than_its_weights_takes_no_memory(folder, memory):
    # Each upconvolution would have 5 * 2**30 weights or more.
    edit_config(folder, config__dim=1 << 15)
    error = refused(folder, "safetensors", "the shape is not that of the model")
    assert error.tensor is not None
    # Keras fills what was left without a value when a scope is left.
    with keras.StatelessScope():
        pass
    assert memory() < 64 * MEGABYTE


def test_a_network_that_no_file_holds_cannot_be_huge(
    tmp_path, memory, monkeypatch
):
    monkeypatch.setattr(
        registry, "_ARCHITECTURES", dict(registry._ARCHITECTURES)
    )

    class Lopsided(RecordedArguments, keras.Model):
        task = "generate"
        required_weights = ("generator",)
        config_limits = {"judge_size": 1 << 20, "depths": 10}

        def __init__(self, judge_size=2, depths=(1,)):
            super().__init__()
            self.generator = keras.Sequential(
                [keras.layers.Dense(3 // depth, name="a") for depth in depths],
                name="generator",
            )
            self.judge = keras.Sequential(
                [keras.layers.Dense(judge_size, name="b")], name="judge"
            )
            self.generator.build((None, 4))
            self.judge.build((None, judge_size))
            self.built = True

        @property
        def preset_weights(self):
            return {"generator": self.generator, "judge": self.judge}

        def on_preset_loaded(self, stems):
            self.stems = stems

    cls = registry.register_architecture("lopsided")(Lopsided)
    path = save_preset(cls(), tmp_path / "p", weights=["generator"])
    loaded = load_preset(path)
    assert loaded.stems == {"generator"}
    edit_config(path, config__judge_size=1 << 18)
    refused(path, "config.json", "out of proportion")
    edit_config(path, config__judge_size=(1 << 20) + 1)
    refused(path, "config.json", "`config.judge_size`", "larger than this")
    edit_config(path, config__judge_size=2, config__depths=[1, 11])
    refused(path, "config.json", "`config.depths`", "larger than this")
    edit_config(path, config__depths=[0])
    refused(path, "config.json", "cannot be built", "ZeroDivisionError")
    assert memory() < 64 * MEGABYTE


def claim(**changes):
    def change(header):
        header["dense/kernel"].update(changes)

    return change


@pytest.mark.parametrize(
    "change, words",
    [
        (claim(dtype="F64"), ["'dense/kernel'", "unexpected dtype", "F64"]),
        (claim(dtype="I8"), ["'dense/kernel'", "unexpected dtype"]),
        (claim(dtype=["F32"]), ["'dense/kernel'", "unexpected dtype"]),
        (claim(dtype="F16"), ["'dense/kernel'", "offsets disagree"]),
        (claim(shape=[1 << 40]), ["'dense/kernel'", "offsets disagree"]),
        (claim(shape=[-4, -128]), ["'dense/kernel'", "whole numbers"]),
        (claim(shape=[True] * 2), ["'dense/kernel'", "whole numbers"]),
        (claim(shape=[1.0]), ["'dense/kernel'", "whole numbers"]),
        (claim(shape=[1] * 9), ["'dense/kernel'", "whole numbers"]),
        (claim(shape=[10**4000] * 8), ["'dense/kernel'", "whole numbers"]),
        (claim(shape={"0": 4}), ["'dense/kernel'", "whole numbers"]),
        (claim(data_offsets=[0]), ["'dense/kernel'", "`data_offsets`"]),
        (claim(data_offsets=[0, 10**4000]), ["`data_offsets`"]),
        (claim(data_offsets="0,1"), ["`data_offsets`"]),
        (claim(note="hello"), ["'dense/kernel'", "dtype, shape and"]),
        (
            lambda h: {**h, "dense/kernel": h["dense/bias"]},
            ["overlap or leave a gap"],
        ),
        (lambda h: {**h, "__metadata__": {"a": 1}}, ["`__metadata__`"]),
        (lambda h: {**h, "__metadata__": []}, ["`__metadata__`"]),
        (
            lambda h: {**h, "__metadata__": {"storage_dtype": "float8"}},
            ["unknown storage_dtype"],
        ),
        (
            lambda h: {**h, "__metadata__": {"storage_dtype": "float16"}},
            ["not the one that the header states"],
        ),
        (lambda h: {**h, "extra": 3}, ["'extra'", "dtype, shape and"]),
        (lambda h: {"__metadata__": {}}, ["more bytes than its tensors"]),
        (
            lambda h: {
                {"dense/bias": "dense/bais"}.get(k, k): v for k, v in h.items()
            },
            ["'dense/bias'", "the tensor is missing", "(32,)"],
        ),
        (
            lambda h: {
                **h,
                "\x1b[31m../x": {
                    "dtype": "F32",
                    "shape": [0],
                    "data_offsets": [0, 0],
                },
            },
            [r"'\x1b[31m../x'", "the model has no such tensor"],
        ),
        (
            lambda h: h.update(
                {
                    "dense/bias": {
                        **h["dense/bias"],
                        "shape": [*h["dense/bias"]["shape"], 1],
                    }
                }
            ),
            ["'dense/bias'", "shape is not that", "(32,)", "(32, 1)"],
        ),
    ],
)
def test_a_wrong_header_is_refused(folder, memory, change, words):
    edit_header(folder, change)
    refused(folder, "generator.safetensors", *words)
    assert memory() < 64 * MEGABYTE


def test_a_weights_file_that_the_config_does_not_list_is_refused(folder):
    edit_config(folder, weights__discriminator=KeyError)
    refused(folder, str(folder), "does not list", "discriminator.safetensors")


def test_tensors_swapped_between_files_are_refused(folder):
    shutil.copy(
        folder / "discriminator.safetensors", folder / "generator.safetensors"
    )
    refused(folder, "generator.safetensors", "num_bytes")
    vouch_for(folder, "generator")
    refused(folder, "generator.safetensors", "num_parameters")


@pytest.mark.parametrize(
    "prefix, words",
    [
        (b"", ["too short"]),
        (b"\0" * 7, ["too short"]),
        ((1 << 63).to_bytes(8, "little"), ["claims to be too large"]),
        ((1 << 19).to_bytes(8, "little"), ["within its header", "truncated"]),
        ((0).to_bytes(8, "little"), ["not valid JSON"]),
        (b"\x02" + b"\0" * 7 + b"[]", ["must be an object"]),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, ["claims to be too large"]),
        (b"\x80\x04\x95" + b"\0" * 100, ["too large"]),
    ],
)
def test_what_is_no_safetensors_file_is_refused(folder, prefix, words):
    (folder / "generator.safetensors").write_bytes(prefix)
    vouch_for(folder, "generator")
    refused(folder, "generator.safetensors", *words)


def test_a_header_that_claims_terabytes_takes_no_memory(folder, memory):
    file = folder / "generator.safetensors"
    count = 1 << 34
    entry = {
        "dtype": "F32",
        "shape": [count],
        "data_offsets": [0, 4 * count],
    }
    write_raw(file, {"dense/kernel": entry}, b"\0" * 64)
    vouch_for(folder, "generator")
    refused(folder, "generator.safetensors", "truncated")
    # A file with a hole is as long as it claims, and takes no disk.
    os.truncate(file, 4 * count + file.stat().st_size - 64)
    config = json.loads((folder / "config.json").read_text())
    config["weights"]["generator"].update(
        num_bytes=file.stat().st_size, num_parameters=count
    )
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, "generator.safetensors", "more parameters than any model")
    assert memory() < 64 * MEGABYTE


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(folder, value):
    file = folder / "discriminator.safetensors"
    header, body = read_raw(file)
    start, _ = header["output/kernel"]["data_offsets"]
    spoilt = bytearray(body)
    spoilt[start + 4 : start + 8] = np.float32(value).tobytes()
    edit_header(folder, lambda h: h, "discriminator", bytes(spoilt))
    error = refused(
        folder, "discriminator.safetensors", "NaN or infinity", "output/kernel"
    )
    assert error.tensor == "output/kernel"
    assert error.path == file


def test_one_flipped_bit_is_noticed(folder):
    file = folder / "generator.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    refused(folder, "generator.safetensors", "checksum", "damaged")


@pytest.mark.parametrize("name", ["config.json", "generator.safetensors"])
def test_pipes_devices_and_folders_are_not_opened(folder, name):
    file = folder / name
    file.unlink()
    os.mkfifo(file)
    refused(folder, name, "not a regular file")
    file.unlink()
    file.symlink_to("/dev/zero")
    refused(folder, name, "not a regular file")
    file.unlink()
    file.mkdir()
    refused(folder, name, "not a regular file")
    file.rmdir()
    file.symlink_to(name)
    refused(folder, name)


def test_what_is_no_preset_folder_is_refused(tmp_path):
    refused(tmp_path, str(tmp_path), "no config.json")
    refused(tmp_path / "none", "none", "no such folder")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "file", "no such folder")
    refused("nul\0", "nul", "no such folder")


# The fuzz test: mutations of bytes, of JSON values and of headers. As an
# accident they must be noticed or harmless; vouched for by a forged
# checksum, what loads must still be finite numbers of the right shapes.

NUM_MUTATIONS = 400
JUNK = [
    None,
    True,
    -1,
    0,
    1,
    3,
    4096,
    1 << 24,
    1 << 63,
    10**300,
    0.5,
    "",
    "x",
    "../x",
    "\0",
    "\ud800",
    "F16",
    [],
    [1],
    [[]],
    {},
    {"class_name": "x"},
]


def mutate_bytes(rng, data):
    data = bytearray(data)
    kind = rng.randrange(5)
    at = rng.randrange(len(data))
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[at:]
    elif kind == 2:
        del data[at : at + rng.randrange(1, 20)]
    elif kind == 3:
        data[at:at] = rng.randbytes(rng.randrange(1, 20))
    else:
        data[:8] = rng.randrange(1 << 64).to_bytes(8, "little")
    return bytes(data)


def mutate_json(rng, value):
    """Changes, removes, adds or renames one thing somewhere in `value`."""
    while isinstance(value, (dict, list)) and value:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = rng.choice(list(keys))
        if isinstance(value[key], (dict, list)) and rng.random() < 0.8:
            value = value[key]
            continue
        kind = rng.randrange(4)
        if kind == 0:
            del value[key]
        elif kind == 1 and isinstance(value, dict):
            value[rng.choice(["x", "../x", "", "__metadata__"])] = value.pop(
                key
            )
        elif kind == 2 and isinstance(value[key], (int, float)):
            value[key] += rng.choice([-1, 1, 7, 1 << 20, 1 << 40])
        else:
            value[key] = rng.choice(JUNK)
        return


def mutate(rng, folder):
    """Damages one file; returns its name and whether it was vouched for."""
    name = rng.choice(
        ["config.json", "generator.safetensors", "discriminator.safetensors"]
    )
    file = folder / name
    kind = rng.randrange(8)
    if kind == 0:
        other = rng.choice(["x.bin", "training.json", "README.md"])
        file.rename(folder / other)
        return name, False
    if name == "config.json":
        if kind < 3:
            file.write_bytes(mutate_bytes(rng, file.read_bytes()))
        else:
            config = json.loads(file.read_text())
            mutate_json(rng, config)
            file.write_text(json.dumps(config))
        return name, False
    if kind < 4:
        file.write_bytes(mutate_bytes(rng, file.read_bytes()))
    else:
        header, body = read_raw(file)
        mutate_json(rng, header)
        write_raw(file, header, body)
    vouched = rng.random() < 0.6
    if vouched:
        vouch_for(folder, file.stem)
    return name, vouched


@pytest.mark.slow
def test_hundreds_of_mutations_load_right_or_are_refused(
    original, tmp_path, memory
):
    rng = random.Random(0)
    wanted = all_weights(tiny_gan())
    outcomes = {"loaded": 0, "refused": 0}
    for number in range(NUM_MUTATIONS):
        folder = pathlib.Path(shutil.copytree(original, tmp_path / "p"))
        name, vouched = mutate(rng, folder)
        try:
            loaded = load_preset(folder)
        except PresetError as error:
            outcomes["refused"] += 1
            assert str(folder) in str(error), (number, error)
        else:
            outcomes["loaded"] += 1
            received = all_weights(loaded)
            if vouched:
                for stem, arrays in received.items():
                    assert [a.shape for a in arrays] == [
                        a.shape for a in wanted[stem]
                    ]
                    assert all(np.isfinite(a).all() for a in arrays), number
            else:
                assert same_weights(received, wanted), (number, name)
                said = json.loads((folder / "config.json").read_text())
                config = loaded.get_config()
                for key, value in said["config"].items():
                    assert config.get(key, value) == (
                        value if key != "labels" else value or None
                    ), (number, key)
        shutil.rmtree(folder)
    # Both must happen, or the mutations are too mild or too wild.
    assert outcomes["refused"] > 200, outcomes
    assert outcomes["loaded"] > 10, outcomes
    assert memory() < 128 * MEGABYTE
