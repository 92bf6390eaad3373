"""The vocoders' PyTorch checkpoints: what they become, and what is refused.

The checkpoints in data/vocoders were written by the originals' own code with
random weights, and `outputs.npz` beside each is what it computed: mels ->
sound, sound -> some values of every feature map, sound -> log-mels.
"""

import collections
import json
import os
import pathlib
import pickle
import shutil
import sys
import zipfile

import keras
import numpy as np
import pytest
import torch
import yaml
from cli_support import audiogan
from hub_client import fresh_client
from hub_server import HubServer, User

from keras_audiogan import zoo
from keras_audiogan.converters import (
    ConversionError,
    MissingPackageError,
    choose_files,
    convert,
    hifigan,
    identify,
    list_networks,
    melgan,
    parallel_wavegan,
    torch_files,
)
from keras_audiogan.saving import PresetError, load_preset

DATA = pathlib.Path(__file__).parent / "data" / "vocoders"
STEPS = "checkpoint-10steps.pkl"
KAN_BAYASHI = {
    "parallel_wavegan": "ParallelWaveGAN",
    "parallel_wavegan_causal": "ParallelWaveGAN",
    "melgan": "MelGAN",
    "multiband_melgan": "MultiBandMelGAN",
    "hifigan_kan_bayashi": "HiFiGAN",
}
JIK876 = {"hifigan_resblock1": "HiFiGAN", "hifigan_resblock2": "HiFiGAN"}
GEMELO_AI = {"vocos_center": "Vocos", "vocos_same": "Vocos"}
NVIDIA = {"bigvgan": "BigVGAN", "bigvgan_v2": "BigVGAN"}
ALL = {
    **KAN_BAYASHI,
    **JIK876,
    **NVIDIA,
    **GEMELO_AI,
    "melgan_descriptinc": "MelGAN",
}
# Building a network takes JAX seconds.
SOME = ("parallel_wavegan", "multiband_melgan")


def to_numpy(x):
    return np.asarray(keras.ops.convert_to_numpy(x))


def sound_of(vocoder, outputs):
    inputs = outputs["mel"][None]
    if "noise" in outputs:
        inputs = [inputs, outputs["noise"][None]]
    return to_numpy(vocoder(inputs))[0]


@pytest.mark.slow
@pytest.mark.backends
@pytest.mark.parametrize("name", ALL)
def test_outputs_equal_the_originals(name):
    if keras.backend.backend() == "jax" and name not in SOME:
        pytest.skip("JAX compiles every initialiser: two cases stand for all")
    vocoder = convert(DATA / name)
    outputs = np.load(DATA / name / "outputs.npz")
    assert type(vocoder).__name__ == ALL[name]

    assert outputs["wave"].std() > 0.05
    sound = sound_of(vocoder, outputs)
    hop = vocoder.features.frame_step
    assert len(sound) == len(outputs["mel"]) * hop
    # Of a centred spectrum the original leaves out the last hop.
    if name == "vocos_center":
        sound = sound[:-hop]
    np.testing.assert_allclose(sound, outputs["wave"], rtol=0, atol=2e-5)
    features = to_numpy(vocoder.mel(outputs["sound"]))[0]
    scale = np.abs(outputs["features"]).max()
    np.testing.assert_allclose(
        features, outputs["features"], rtol=0, atol=1e-4 * scale
    )
    for weight, average in zip(
        vocoder.generator.get_weights(),
        vocoder.ema_generator.get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(weight, average)

    wanted = collections.defaultdict(list)
    for key in sorted(k for k in outputs if k.startswith("fmap_")):
        wanted[int(key.split("_")[1])].append(key)
    assert bool(wanted) == ("discriminator" in list_networks(DATA / name))
    if not wanted:
        return
    maps = vocoder.discriminator(outputs["audio"][None], training=False)
    if name == "hifigan_kan_bayashi":
        # There scales come before periods.
        maps = [*maps[2:], *maps[:2]]
    assert len(maps) == len(wanted)
    for found, keys in zip(maps, wanted.values(), strict=True):
        # Of some discriminators the original returns the last map alone.
        found = found[-len(keys) :]
        keys = sorted(keys, key=lambda key: int(key.split("_")[2]))
        for tensor, key in zip(found, keys, strict=True):
            values = np.moveaxis(to_numpy(tensor), -1, 1)
            shape = outputs[key.replace("fmap", "shape")]
            assert values.size == np.prod(shape)
            values = values.reshape(-1)
            values = values[:: max(1, values.size // 96)]
            scale = np.abs(outputs[key]).max()
            np.testing.assert_allclose(
                values, outputs[key], rtol=0, atol=1e-4 * scale
            )


def test_kinds_and_networks():
    kinds = {name: identify(DATA / name) for name in ALL}
    assert kinds == {
        **dict.fromkeys(KAN_BAYASHI, "parallel_wavegan"),
        **dict.fromkeys(JIK876, "hifigan"),
        **dict.fromkeys(NVIDIA, "bigvgan"),
        **dict.fromkeys(GEMELO_AI, "vocos"),
        "melgan_descriptinc": "melgan",
    }
    assert list_networks(DATA / "hifigan_resblock2") == ["generator"]


def test_options_become_arguments():
    config = parallel_wavegan.converter.read_parts(
        DATA / "parallel_wavegan"
    ).config
    mel = config.pop("mel")
    (discriminator,) = config.pop("discriminators")
    assert config == {
        "num_layers": 6,
        "num_stacks": 2,
        "kernel_size": 3,
        "residual_channels": 6,
        "gate_channels": 8,
        "skip_channels": 5,
        "context_window": 2,
        "upsample_rates": [3, 5],
        "frequency_kernel_size": 1,
        "upsample_slope": None,
        "use_bias": True,
        "weight_norm": True,
        "causal": False,
        "sampling_rate": 8000,
        "slice_length": 120,
    }
    assert mel["frame_step"] == 15
    assert (mel["min_frequency"], mel["max_frequency"]) == (60.0, 3800.0)
    assert len(mel["mean"]) == len(mel["scale"]) == 7
    assert discriminator["kind"] == "dilated"

    parts = melgan.converter.read_parts(DATA / "melgan_descriptinc")
    assert parts.config["mel"]["sampling_rate"] == 22050
    assert parts.config["upsample_rates"] == [8, 8, 2, 2]
    parts = hifigan.converter.read_parts(
        DATA / "hifigan_resblock1", weights=["generator"]
    )
    assert parts.discriminator is None
    assert parts.config["mel"]["power_floor"] == 1e-9


# Which file it is


def copy(name, tmp_path):
    return pathlib.Path(shutil.copytree(DATA / name, tmp_path / "run"))


def test_newest_unless_one_is_named(tmp_path):
    run = copy("parallel_wavegan", tmp_path)
    (run / "checkpoint-9steps.pkl").write_bytes(b"older")
    read = parallel_wavegan.converter.read_parts
    assert read(run).path.name == STEPS
    assert identify(run / "checkpoint-9steps.pkl") == "parallel_wavegan"
    with pytest.raises(ConversionError, match="checkpoint-9steps.pkl"):
        read(run / "checkpoint-9steps.pkl")
    run = copy("hifigan_resblock1", tmp_path / "hifigan")
    shutil.copy(run / "g_00000010", run / "g_00000009")
    assert hifigan.converter.read_parts(run).path.name == "g_00000010"
    assert hifigan.converter.read_parts(run).discriminator is not None
    # The discriminators are those of the same step.
    older = hifigan.converter.read_parts(run / "g_00000009")
    assert older.path.name == "g_00000009"
    assert older.discriminator is None
    assert (
        hifigan.converter.read_parts(run / "do_00000010").path.name
        == "g_00000010"
    )


def test_folders_below(tmp_path):
    outer = tmp_path / "outer"
    shutil.copytree(DATA / "melgan", outer / "exp" / "train_melgan.v1")
    parts = parallel_wavegan.converter.read_parts(outer)
    assert parts.path.parent.name == "train_melgan.v1"
    assert "mean" in parts.config["mel"]
    shutil.copytree(DATA / "melgan", outer / "exp" / "other")
    with pytest.raises(ConversionError, match="exp/other, exp/train_melgan"):
        convert(outer)


def test_melgan_files(tmp_path):
    run = copy("melgan_descriptinc", tmp_path)
    (run / "args.yml").unlink()
    (run / "netG.pt").write_bytes(b"later and worse")
    assert melgan.converter.read_parts(run).path.name == "best_netG.pt"
    for name in ("netG.pt", "best_netD.pt"):
        (run / name).unlink()
    (run / "best_netG.pt").rename(run / "multi_speaker.pt")
    assert identify(run) == identify(run / "multi_speaker.pt") == "melgan"
    assert list_networks(run) == ["generator"]


def test_what_is_fetched_of_a_repository():
    names = [
        ".gitattributes",
        "README.md",
        "exp/config.yml",
        "exp/stats.h5",
        "exp/checkpoint-900steps.pkl",
        "exp/checkpoint-1000steps.pkl",
        "exp/images/sample.png",
        "../checkpoint-5000steps.pkl",
        "../config.yml",
    ]
    assert choose_files(names) == [
        "exp/checkpoint-1000steps.pkl",
        "exp/config.yml",
        "exp/stats.h5",
    ]
    assert choose_files(["config.json", "g_00000001", "do_00000001"]) == [
        "config.json",
        "do_00000001",
        "g_00000001",
    ]
    with pytest.raises(ConversionError, match="model.safetensors"):
        choose_files(["config.json", "model.safetensors"])


# Forms of weights


def load(path):
    return torch.load(path, weights_only=True)


def changed(run, change, name=STEPS):
    """Rewrites the tensors of a checkpoint's generator."""
    held = load(run / name)
    tensors = held
    for key in ("model", "generator"):
        tensors = tensors.get(key, tensors)
    replaced = change(dict(tensors))
    tensors.clear()
    tensors.update(replaced)
    torch.save(held, run / name)


def layers_of(source):
    return parallel_wavegan.converter.read_parts(source).generator.layers


NEW = {"weight_g": "original0", "weight_v": "original1"}


def with_new_names(tensors):
    return {
        ".".join(
            [*name.split(".")[:-1], "parametrizations.weight", NEW[last]]
            if (last := name.split(".")[-1]) in NEW
            else name.split(".")
        ): value
        for name, value in tensors.items()
    }


def without_weight_norm(tensors):
    plain = {n: v for n, v in tensors.items() if "weight_" not in n}
    for name, v in tensors.items():
        if name.endswith("weight_v"):
            g = tensors[name.replace("weight_v", "weight_g")]
            norm = v.flatten(1).norm(dim=1).reshape(g.shape)
            plain[name.removesuffix("_v")] = v * g / norm
    return plain


@pytest.mark.parametrize("name", ["melgan", "parallel_wavegan"])
def test_new_names_of_weight_norm_and_none(tmp_path, name):
    run = copy(name, tmp_path)
    before = layers_of(run)
    changed(run, with_new_names)
    renamed = layers_of(run)
    for target, layer in before.items():
        assert layer.norm == renamed[target].norm == "weight"
        for part, values in layer.arrays.items():
            np.testing.assert_array_equal(values, renamed[target].arrays[part])
    shutil.copy(DATA / name / STEPS, run / STEPS)
    changed(run, without_weight_norm)
    parts = parallel_wavegan.converter.read_parts(run)
    assert parts.config["weight_norm"] is False
    for target, layer in before.items():
        plain = parts.generator.layers[target]
        assert set(plain.arrays) - {"bias"} == {"kernel"}
        np.testing.assert_allclose(
            plain.arrays["kernel"], layer.fused().arrays["kernel"], atol=1e-6
        )


def test_weight_norm_of_some_layers_is_fused(tmp_path):
    run = copy("melgan", tmp_path)
    before = layers_of(run)

    def half(tensors):
        plain = without_weight_norm(tensors)
        first = {n: v for n, v in plain.items() if n.startswith("melgan.1.")}
        return first | {
            n: v for n, v in tensors.items() if not n.startswith("melgan.1.")
        }

    changed(run, half)
    parts = parallel_wavegan.converter.read_parts(run)
    assert parts.config["weight_norm"] is False
    for target, layer in parts.generator.layers.items():
        np.testing.assert_allclose(
            layer.arrays["kernel"],
            before[target].fused().arrays["kernel"],
            atol=1e-6,
        )


def test_spectral_norm_is_told_from_weight_norm_and_fuses():
    conv = torch.nn.utils.spectral_norm(torch.nn.Conv1d(3, 4, 5))
    conv(torch.ones(1, 3, 9))
    conv.eval()
    conv(torch.ones(1, 3, 9))
    new = torch.nn.utils.parametrizations.spectral_norm(
        torch.nn.Conv1d(3, 4, 5)
    ).eval()
    for layer in (conv, new):
        tensors = {f"a.{n}": v for n, v in layer.state_dict().items()}
        state = torch_files.StateDict("file", tensors)
        read = state.layer("a", "conv1d")
        state.check_all_read()
        assert read.norm == "spectral"
        assert {n: a.shape for n, a in read.arrays.items()} == {
            "kernel": (5, 3, 4),
            "left": (4,),
            "right": (15,),
            "bias": (4,),
        }
        np.testing.assert_allclose(
            read.fused().arrays["kernel"],
            layer.weight.detach().numpy().transpose(2, 1, 0),
            atol=1e-6,
        )


def test_numbers_of_numpy_and_old_files_are_read(tmp_path):
    held = {
        "steps": np.int64(3),
        "lr": np.float64(0.5),
        "milestones": collections.Counter([1, 2]),
        "module": {"module.a": torch.ones(2, 3, dtype=torch.float16)},
    }
    for is_new in (True, False):
        path = tmp_path / f"{is_new}.pkl"
        torch.save(held, path, _use_new_zipfile_serialization=is_new)
        read = torch_files.read_torch_file(path)
        assert (read["steps"], read["lr"]) == (3, 0.5)
        state = torch_files.StateDict(path, read["module"])
        np.testing.assert_array_equal(state.read("a"), np.ones((2, 3)))
        assert state.read("a").dtype == np.float32


# What is refused


class RunsCode:
    """Unpickled, it would run a command of the shell."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_hostile_pickles_are_refused(tmp_path, form):
    run = copy("parallel_wavegan", tmp_path)
    marker = tmp_path / "was_here"
    held = {"model": {"generator": RunsCode(marker)}}
    if form == "pickle":
        (run / STEPS).write_bytes(pickle.dumps(held))
    else:
        torch.save(
            held, run / STEPS, _use_new_zipfile_serialization=form == "zip"
        )
    with pytest.raises(ConversionError, match="wants posix.system") as caught:
        convert(run)
    assert STEPS in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize(
    "value,name",
    [
        (np.ones(3), "multiarray._reconstruct"),
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
    ],
)
def test_what_needs_more_is_refused_with_the_reason(tmp_path, value, name):
    torch.save({"generator": value}, tmp_path / "file.pt")
    with pytest.raises(ConversionError, match=name):
        torch_files.read_torch_file(tmp_path / "file.pt")


def test_damaged_and_swollen_files(tmp_path):
    data = (DATA / "melgan" / STEPS).read_bytes()
    path = tmp_path / "file.pkl"
    for part in (data[: len(data) // 2], data[:-30], b"", b"no pickle"):
        path.write_bytes(part)
        with pytest.raises(ConversionError, match="damaged or cut short"):
            torch_files.read_torch_file(path)
    with (
        zipfile.ZipFile(DATA / "melgan" / STEPS) as whole,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for member in whole.infolist():
            packed.writestr(member.filename, whole.read(member))
    with pytest.raises(ConversionError, match="compressed"):
        torch_files.read_torch_file(path)
    with pytest.raises(ConversionError, match="no such file"):
        torch_files.read_torch_file(tmp_path / "absent")


def test_absent_and_old_pytorch(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)
        with pytest.raises(MissingPackageError, match=r"audiogan\[convert\]"):
            convert(DATA / "melgan")
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    with pytest.raises(MissingPackageError, match="2.5.1"):
        convert(DATA / "melgan")


FIRST = "melgan.1.weight_v"


def swap(name, value):
    return lambda tensors: tensors | {name: value}


def drop(name):
    return lambda tensors: {n: v for n, v in tensors.items() if n != name}


@pytest.mark.parametrize(
    "change,message",
    [
        (drop("melgan.1.bias"), "'melgan.1.bias' is missing"),
        (drop(FIRST), f"'{FIRST}' is missing"),
        (drop("melgan.3.weight_g"), "'melgan.3.weight' is missing"),
        (swap("melgan.0.bias", torch.ones(2)), "none of this network's"),
        (swap("melgan.1.weight", torch.ones(2)), "another form"),
        (swap(FIRST, torch.ones(16, 9, 5)), r"Expected: \(7, 9, 16\)"),
        (swap(FIRST, torch.ones(16, 9)), "should have 3 dimensions"),
        (swap(FIRST, torch.zeros(16, 9, 7)), "has no direction"),
        (swap(FIRST, torch.full((16, 9, 7), torch.nan)), "holds NaN"),
        (swap(FIRST, torch.ones(16, 9, 7) * 1j), "real numbers"),
        (
            swap(FIRST, torch.ones(1).expand(1 << 20, 1 << 20, 7)),
            "the file holds only 4 bytes",
        ),
        (swap("melgan.1.weight_g", torch.ones(9, 1, 1)), "Received: "),
        (swap("melgan.1.bias", 3), "expected a dict of tensors"),
    ],
)
def test_strange_tensors_are_named(tmp_path, change, message):
    run = copy("melgan", tmp_path)
    changed(run, change)
    with pytest.raises(ConversionError, match=message) as caught:
        convert(run)
    assert STEPS in str(caught.value)
    assert "melgan." in str(caught.value)


def with_options(run, change, name="config.yml"):
    options = yaml.safe_load((run / name).read_text())
    change(options)
    (run / name).write_text(yaml.safe_dump(options))


def params(**values):
    return lambda options: options["generator_params"].update(values)


def top(**values):
    return lambda options: options.update(values)


@pytest.mark.parametrize(
    "change,message",
    [
        (top(generator_type="VQVAE"), "generator_type.*VQVAE"),
        (top(generator_type="StyleMelGANGenerator"), "StyleMelGAN"),
        (top(discriminator_type="StyleMelGANDiscriminator"), "StyleMelGAND"),
        (params(channels=32), "options call for"),
        (params(stacks=1 << 24), "generator_params.stacks.*from 1 to 4096"),
        (params(channels=1 << 40), "generator_params.channels"),
        (params(channels=1 << 22), "options call for"),
        (params(stacks=3), "is missing"),
        (params(upsample_scales="8"), "list of whole numbers"),
        (params(upsample_scales=[3, 4]), "hop_size.*should be 12"),
        (params(use_gru=True), "generator_params.use_gru"),
        (params(nonlinear_activation="GELU"), "GELU"),
        (params(pad="CircularPad1d"), "CircularPad1d"),
        (params(in_channels=8), "num_mels.*should be 8"),
        (top(sampling_rate="fast"), "sampling_rate.*'fast'"),
        (top(sampling_rate_for_feats=4000), "sampling_rate_for_feats"),
        (top(window="none of these"), "has no counterpart here"),
        (
            lambda o: o["discriminator_params"].update(downsample_pooling="X"),
            "AvgPool1d",
        ),
        (
            lambda o: o["discriminator_params"].update(channels=8),
            "options call for",
        ),
    ],
)
def test_strange_options_are_named(tmp_path, change, message):
    run = copy("melgan", tmp_path)
    with_options(run, change)
    with pytest.raises(ConversionError, match=message):
        convert(run)


@pytest.mark.slow
def test_tags_of_yaml_build_nothing(tmp_path):
    run = copy("melgan", tmp_path)
    marker = tmp_path / "was_here"
    text = (run / "config.yml").read_text()
    for tag in ("object/apply:os.system", "object/new:os.system"):
        (run / "config.yml").write_text(
            f"{text}\nextra: !!python/{tag} ['touch {marker}']\n"
        )
        assert (
            parallel_wavegan.converter.read_parts(run).config["sampling_rate"]
            == 8000
        )
    assert not marker.exists()
    (run / "config.yml").write_text("a: [")
    with pytest.raises(ConversionError, match="not readable YAML"):
        parallel_wavegan.converter.read_parts(run)
    (run / "config.yml").write_text("a: " + "[" * 100_000)
    with pytest.raises(ConversionError, match="not readable YAML"):
        parallel_wavegan.converter.read_parts(run)


def test_yaml_that_unfolds_is_refused(tmp_path):
    run = copy("melgan", tmp_path)
    text = (run / "config.yml").read_text()

    def read(more):
        (run / "config.yml").write_text(f"{text}\n{more}\n")
        return parallel_wavegan.converter.read_parts(run)

    # A few aliases, as PyYAML writes for a list that stands in two places.
    assert read("extra: [&a [1, 2], *a, {b: *a}]").architecture == "melgan"
    laughs = ["l0: &l0 [lol, lol]"] + [
        f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 40)
    ]
    # Merged keys are unfolded by the loader itself.
    merges = ["m0: &m0 {a: 1}"] + [
        f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}]}}"
        for i in range(1, 40)
    ]
    for hostile in (
        "\n".join(laughs),
        "\n".join(merges),
        "extra: &a [*a]",
        f"extra: [{'1, ' * 20_000}]",
        "sampling_rate: &a [*a, *a]",
    ):
        with pytest.raises(ConversionError, match="unfolds to over") as caught:
            read(hostile)
        assert len(str(caught.value)) < 1000
    with pytest.raises(ConversionError, match="too large"):
        read(f"extra: {'a' * (1 << 20)}")


def test_statistics_are_checked(tmp_path):
    run = copy("melgan", tmp_path)
    for content in (b"", b"no HDF5"):
        (run / "stats.h5").write_bytes(content)
        with pytest.raises(ConversionError, match="stats.h5 is not a"):
            convert(run)
    (run / "stats.h5").unlink()
    assert (
        "mean" not in parallel_wavegan.converter.read_parts(run).config["mel"]
    )
    for array in (
        np.ones((2, 4)),
        np.stack([np.ones(9), np.zeros(9)]),
        np.full((2, 9), np.nan),
        np.array([{}, {}], object),
    ):
        np.save(run / "stats.npy", array, allow_pickle=True)
        with pytest.raises(ConversionError, match="stats.npy"):
            convert(run)
    np.save(run / "stats.npy", np.full((2, 9), 2.0))
    assert (
        parallel_wavegan.converter.read_parts(run).config["mel"]["mean"]
        == [2.0] * 9
    )


def test_statistics_that_a_loaded_generator_was_saved_with(tmp_path):
    run = copy("melgan", tmp_path)
    (run / "stats.h5").unlink()
    changed(
        run,
        lambda t: (
            t
            | {"mean": torch.ones(9), "scale": torch.full((9,), 2.0)}
            | {"pqmf.analysis_filter": torch.ones(3)}
        ),
    )
    mel = parallel_wavegan.converter.read_parts(run).config["mel"]
    assert (mel["mean"], mel["scale"]) == ([1.0] * 9, [2.0] * 9)


@pytest.mark.parametrize(
    "version,params,cutoff",
    [
        ("0.4.2", None, 0.15),
        ("0.4.9", None, 0.142),
        ("0.6.2a", None, 0.142),
        (None, None, 0.15),
        (None, {"taps": 40, "cutoff_ratio": 0.2}, 0.2),
    ],
)
def test_filter_bank_of_versions(tmp_path, version, params, cutoff):
    run = copy("multiband_melgan", tmp_path)

    def change(options):
        for name, value in (("version", version), ("pqmf_params", params)):
            options.pop(name, None)
            if value is not None:
                options[name] = value

    with_options(run, change)
    config = parallel_wavegan.converter.read_parts(run).config
    assert config["pqmf_cutoff"] == cutoff
    assert config["num_bands"] == 4


def test_options_of_the_original_hifigan_are_checked(tmp_path):
    run = copy("hifigan_resblock2", tmp_path)
    options = json.loads((run / "config.json").read_text())
    for values, message in (
        ({"upsample_kernel_sizes": [7, 4]}, "even and odd"),
        ({"num_mels": 80}, "num_mels.*should be 10"),
        ({"resblock": 3}, "resblock"),
        ({"hop_size": 16}, "frame_step"),
    ):
        (run / "config.json").write_text(json.dumps(options | values))
        with pytest.raises(ConversionError, match=message):
            convert(run)
    (run / "config.json").write_text("{")
    with pytest.raises(ConversionError, match="not readable JSON"):
        convert(run)
    (run / "config.json").write_text(json.dumps(options))
    with pytest.raises(ConversionError, match="sampling_rate=16000"):
        convert(run, sampling_rate=16000)
    torch.save({"discriminator": {}}, run / "g_00000010")
    with pytest.raises(ConversionError, match="expected 'generator'"):
        convert(run)


def test_nothing_known(tmp_path):
    with pytest.raises(ConversionError, match=r"checkpoint-\*steps.pkl"):
        convert(tmp_path)
    with pytest.raises(PresetError, match="audiogan convert"):
        zoo.resolve(tmp_path)
    with pytest.raises(PresetError, match="no config.json"):
        zoo.from_preset(tmp_path)
    torch.save({"a": torch.ones(2)}, tmp_path / "other.pt")
    with pytest.raises(ConversionError, match="no generator of the original"):
        convert(tmp_path)


# In use


def test_command_makes_a_preset(tmp_path):
    done = audiogan("convert", DATA / "multiband_melgan", tmp_path / "out")
    assert done.exit_code == 0, done.output
    vocoder = load_preset(tmp_path / "out")
    outputs = np.load(DATA / "multiband_melgan" / "outputs.npz")
    np.testing.assert_allclose(
        sound_of(vocoder, outputs), outputs["wave"], rtol=0, atol=2e-5
    )
    assert (tmp_path / "out" / "discriminator.safetensors").is_file()
    assert vocoder.get_config()["mel"]["mean"] is not None


@pytest.mark.slow
def test_folder_and_file_by_from_preset():
    for source in ("melgan_descriptinc", "melgan_descriptinc/best_netG.pt"):
        vocoder = zoo.from_preset(str(DATA / source), weights=["generator"])
        outputs = np.load(DATA / "melgan_descriptinc" / "outputs.npz")
        np.testing.assert_allclose(
            sound_of(vocoder, outputs), outputs["wave"], rtol=0, atol=2e-5
        )


def files_of(folder, prefix=""):
    return {
        prefix + path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.name != "outputs.npz"
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")
def test_repositories_of_others_on_the_hub(tmp_path):
    espnet, jik876 = "espnet/kan-bayashi_melgan", "someone/hifigan"
    run = "exp/train_nodev_ljspeech_melgan.v3.long/"
    with HubServer({"hf_secret": User("me")}) as server:
        server.add_repo(
            espnet,
            {
                "README.md": b"---\nlicense: cc-by-4.0\n---\n",
                f"{run}checkpoint-9steps.pkl": b"older",
                f"{run}images/1.png": b"picture",
                **files_of(DATA / "melgan", run),
            },
        )
        server.add_repo(jik876, files_of(DATA / "hifigan_resblock2"))
        server.add_repo("someone/else", {"README.md": b"nothing"})
        settings = {
            "HF_HOME": str(tmp_path / "hf"),
            "HF_TOKEN": "hf_secret",
            "HF_ENDPOINT": server.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        with fresh_client(**settings):
            vocoder = zoo.from_preset(f"hf://{espnet}")
            outputs = np.load(DATA / "melgan" / "outputs.npz")
            np.testing.assert_allclose(
                sound_of(vocoder, outputs), outputs["wave"], rtol=0, atol=2e-5
            )
            assert server.count("GET", "1.png|checkpoint-9steps") == 0
            other = zoo.from_preset(f"hf://{jik876}", weights=["generator"])
            assert type(other).__name__ == "HiFiGAN"

            with pytest.raises(zoo.HubError, match="audiogan convert hf://"):
                zoo.resolve(f"hf://{espnet}")
            with pytest.raises(zoo.HubError, match="holds no original"):
                zoo.from_preset("hf://someone/else")

            vocoder.save_to_preset(tmp_path / "preset", storage_dtype="float32")
            zoo.upload_preset("hf://me/melgan", tmp_path / "preset")
            again = zoo.from_preset("hf://me/melgan")
            np.testing.assert_allclose(
                sound_of(again, outputs), outputs["wave"], rtol=0, atol=2e-5
            )
        with fresh_client(**settings, HF_HUB_OFFLINE="1"):
            cached = zoo.from_preset(f"hf://{espnet}", weights=["generator"])
            np.testing.assert_allclose(
                sound_of(cached, outputs), outputs["wave"], rtol=0, atol=2e-5
            )
