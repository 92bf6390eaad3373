"""Preset folders: written whole, read back as they were."""

import importlib.metadata
import json
import os
import pathlib
import resource
import subprocess
import sys

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
from safetensors import numpy as official

import keras_audiogan
from keras_audiogan.saving import (
    PresetError,
    load_preset,
    load_preset_weights,
    read_config,
    read_training,
    save_preset,
)

HERE = pathlib.Path(__file__).parent


def as_float16(weights):
    return {
        stem: [array.astype("float16").astype("float32") for array in arrays]
        for stem, arrays in weights.items()
    }


@pytest.mark.backends
@pytest.mark.parametrize("storage_dtype", ["float16", "float32"])
def test_a_loaded_model_is_the_saved_one(tmp_path, storage_dtype):
    gan = tiny_gan()
    gan.save_to_preset(tmp_path / "p", storage_dtype=storage_dtype)
    loaded = load_preset(tmp_path / "p")
    wanted = all_weights(gan)
    if storage_dtype == "float16":
        wanted = as_float16(wanted)
    assert same_weights(all_weights(loaded), wanted)
    assert loaded.get_config() == gan.get_config()
    assert type(loaded) is type(gan)
    # Training goes on from the average that was stored.
    assert all(
        map(
            np.array_equal,
            loaded.generator.get_weights(),
            loaded.ema_generator.get_weights(),
        )
    )
    if storage_dtype == "float32":
        np.testing.assert_array_equal(
            loaded.sample(3, seed=1), gan.sample(3, seed=1)
        )


def test_the_folder_says_what_it_holds(tmp_path):
    gan = tiny_gan()
    path = save_preset(gan, tmp_path / "p", training=TRAINING)
    assert path == tmp_path / "p"
    assert sorted(os.listdir(path)) == [
        "README.md",
        "config.json",
        "discriminator.safetensors",
        "generator.safetensors",
        "training.json",
    ]
    config = read_config(path)
    assert config["format_version"] == 2
    assert config["task"] == "generate"
    assert config["architecture"] == "wavegan"
    assert config["class_name"] == "keras_audiogan>WaveGAN"
    assert config["config"] == gan.get_config()
    assert config["sampling_rate"] == 8000
    assert config["num_channels"] == 1
    assert config["labels"] == ["one", "two"]
    assert config["weights"]["generator"]["num_parameters"] == (
        gan.ema_generator.count_params()
    )
    assert read_training(path) == TRAINING
    header, _ = read_raw(path / "generator.safetensors")
    assert header["__metadata__"]["storage_dtype"] == "float16"
    assert (path.stat().st_mode & 0o777) == 0o777 & ~_umask()


def test_a_package_that_is_not_installed_saves(tmp_path, monkeypatch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    path = save_preset(tiny_gan(), tmp_path / "p")
    assert read_config(path)["library_version"] == keras_audiogan.__version__


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_official_library_reads_what_is_written(tmp_path):
    gan = tiny_gan()
    save_preset(gan, tmp_path / "p", storage_dtype="float32")
    tensors = official.load_file(tmp_path / "p/generator.safetensors")
    network = gan.ema_generator
    assert len(tensors) == len(network.weights)
    np.testing.assert_array_equal(
        tensors["upconv_0/kernel"], np.asarray(network.upconvs[0].kernel)
    )
    np.testing.assert_array_equal(
        tensors["batch_norm_0/moving_variance"],
        np.asarray(network.batch_norms[0].moving_variance),
    )


def test_what_the_official_library_writes_is_read(tmp_path):
    gan = tiny_gan()
    path = save_preset(gan, tmp_path / "p", storage_dtype="float32")
    file = path / "generator.safetensors"
    official.save_file(official.load_file(file), file)
    vouch_for(path, "generator")
    assert same_weights(all_weights(load_preset(path)), all_weights(gan))


def test_bfloat16_weights_are_read(tmp_path):
    gan = tiny_gan()
    path = save_preset(gan, tmp_path / "p", storage_dtype="float32")
    file = path / "generator.safetensors"
    header, body = read_raw(file)
    del header["__metadata__"]
    for entry in header.values():
        entry["dtype"] = "BF16"
        entry["data_offsets"] = [x // 2 for x in entry["data_offsets"]]
    upper = np.frombuffer(body, "<u2")[1::2]
    write_raw(file, header, upper.tobytes())
    vouch_for(path, "generator")
    wanted = [
        (array.view("uint32") & 0xFFFF0000).view("float32")
        for array in gan.ema_generator.get_weights()
    ]
    received = load_preset(path).ema_generator.get_weights()
    assert all(map(np.array_equal, received, wanted))


def test_the_same_model_gives_the_same_bytes(tmp_path):
    gan = tiny_gan()
    first = save_preset(gan, tmp_path / "a", training=TRAINING)
    second = save_preset(gan, tmp_path / "b", training=TRAINING)
    for name in os.listdir(first):
        if name != "README.md":  # It names its folder.
            assert (first / name).read_bytes() == (second / name).read_bytes()


def test_float16_refuses_what_it_cannot_hold(tmp_path):
    gan = tiny_gan()
    bias = gan.ema_generator.dense.bias
    bias.assign(np.full(bias.shape, 7e4, "float32"))
    with pytest.raises(PresetError, match="too large for float16") as caught:
        save_preset(gan, tmp_path / "p")
    assert "'dense/bias'" in str(caught.value)
    assert 'storage_dtype="float32"' in str(caught.value)
    assert str(tmp_path / "p/generator.safetensors") in str(caught.value)
    assert caught.value.path == tmp_path / "p/generator.safetensors"
    assert os.listdir(tmp_path) == []
    save_preset(gan, tmp_path / "p", storage_dtype="float32")
    loaded = load_preset(tmp_path / "p")
    assert np.asarray(loaded.ema_generator.dense.bias)[0] == 7e4


def test_a_model_from_a_preset_keeps_its_data_and_licence(tmp_path):
    training = {**TRAINING, "license": "cc-by-4.0"}
    first = save_preset(tiny_gan(), tmp_path / "a", training=training)
    second = save_preset(load_preset(first), tmp_path / "b")
    assert read_training(second) == {
        "data": training["data"],
        "license": "cc-by-4.0",
    }
    assert "license: cc-by-4.0" in (second / "README.md").read_text()
    bare = save_preset(tiny_gan(), tmp_path / "c")
    again = save_preset(load_preset(bare), tmp_path / "d")
    assert not (again / "training.json").exists()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_diverged_model_is_not_saved_and_the_old_preset_stays(tmp_path, bad):
    gan = tiny_gan()
    path = save_preset(gan, tmp_path / "p")
    before = {name: (path / name).read_bytes() for name in os.listdir(path)}
    kernel = np.array(gan.discriminator.score.kernel)
    kernel[3] = bad
    gan.discriminator.score.kernel.assign(kernel)
    with pytest.raises(PresetError, match="NaN or infinity"):
        save_preset(gan, path)
    assert os.listdir(tmp_path) == ["p"]
    after = {name: (path / name).read_bytes() for name in os.listdir(path)}
    assert before == after


@pytest.mark.parametrize(
    "options, message",
    [
        ({"storage_dtype": "int8"}, "unknown `storage_dtype`"),
        ({"weights": ["critic"]}, "no such weights"),
        ({"weights": ["discriminator"]}, "needs more weights"),
        ({"weights": "generator"}, "list of names"),
        ({"training": {"x": float("nan")}}, "not fit for JSON"),
        ({"training": {"x": object()}}, "not fit for JSON"),
        ({"samples_dir": "nowhere"}, "not a folder"),
    ],
)
def test_wrong_arguments_leave_nothing_behind(tmp_path, options, message):
    with pytest.raises(PresetError, match=message):
        save_preset(tiny_gan(), tmp_path / "p", **options)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_no_preset_is_not_replaced(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p/thesis.txt").write_text("years of work")
    with pytest.raises(PresetError, match="something else than a preset"):
        save_preset(tiny_gan(), tmp_path / "p")
    (tmp_path / "p/config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(PresetError, match="something else than a preset"):
        save_preset(tiny_gan(), tmp_path / "p")
    assert (tmp_path / "p/thesis.txt").read_text() == "years of work"
    (tmp_path / "file").write_text("x")
    with pytest.raises(PresetError, match="not a folder"):
        save_preset(tiny_gan(), tmp_path / "file")


def test_a_preset_with_other_files_is_not_replaced(tmp_path):
    path = save_preset(tiny_gan(), tmp_path / "p")
    (path / ".git").mkdir()
    with pytest.raises(PresetError, match=r"\.git"):
        save_preset(tiny_gan(1), path)
    assert (path / ".git").is_dir()


def test_a_preset_an_empty_folder_and_a_link_are_replaced(tmp_path):
    (tmp_path / "p").mkdir()
    path = save_preset(tiny_gan(), tmp_path / "p", weights=["generator"])
    (path / ".gitattributes").write_text("")
    (tmp_path / "link").symlink_to("p")
    new = tiny_gan(1)
    save_preset(new, tmp_path / "link", storage_dtype="float32")
    assert (tmp_path / "link").is_symlink()
    assert same_weights(all_weights(load_preset(path)), all_weights(new))
    assert sorted(os.listdir(tmp_path)) == ["link", "p"]


def test_a_readme_that_a_person_wrote_stays(tmp_path):
    path = save_preset(tiny_gan(), tmp_path / "p")
    assert "from_preset" in (path / "README.md").read_text()
    (path / "README.md").write_text("Mine.")
    save_preset(tiny_gan(), path)
    assert (path / "README.md").read_text() == "Mine."
    (path / "README.md").unlink()
    save_preset(tiny_gan(), path, card=False)
    assert not (path / "README.md").exists()


def test_samples_are_copied(tmp_path):
    samples = tmp_path / "sounds"
    (samples / "more").mkdir(parents=True)
    (samples / "000.wav").write_bytes(b"RIFF")
    (samples / "sheet.png").write_bytes(b"PNG")
    (samples / "core.dump").write_bytes(b"x")
    path = save_preset(tiny_gan(), tmp_path / "p", samples_dir=samples)
    assert sorted(os.listdir(path / "samples")) == ["000.wav", "sheet.png"]
    assert "(samples/000.wav)" in (path / "README.md").read_text()


def test_part_of_the_weights(tmp_path):
    gan = tiny_gan()
    full = save_preset(gan, tmp_path / "full", storage_dtype="float32")
    part = save_preset(gan, tmp_path / "part", weights=["generator"])
    assert not (part / "discriminator.safetensors").exists()
    assert load_preset(part).sample(1, seed=0).shape == (1, 64, 1)
    (full / "discriminator.safetensors").unlink()
    loaded = load_preset(full, weights=["generator"])
    np.testing.assert_array_equal(
        loaded.sample(2, seed=0), gan.sample(2, seed=0)
    )
    with pytest.raises(PresetError, match="discriminator.*is missing"):
        load_preset(full)
    with pytest.raises(PresetError, match="cannot do without"):
        load_preset(full, weights=[])
    with pytest.raises(PresetError, match="does not hold these"):
        load_preset(part, weights=["generator", "discriminator"])


def test_a_model_without_labels(tmp_path):
    path = save_preset(tiny_gan(labels=None), tmp_path / "p")
    assert read_config(path)["labels"] is None
    assert load_preset(path).labels is None


def test_the_dtype_policy_is_the_users(tmp_path):
    path = save_preset(tiny_gan(), tmp_path / "p")
    loaded = load_preset(path, dtype="mixed_bfloat16")
    assert loaded.ema_generator.compute_dtype == "bfloat16"
    assert loaded.ema_generator.weights[0].dtype == "float32"
    assert "dtype" not in read_config(path)["config"]


def test_weights_go_into_a_model_that_exists_all_or_none(tmp_path):
    gan = tiny_gan()
    path = save_preset(gan, tmp_path / "p", storage_dtype="float32")
    other = tiny_gan(1, labels=["up", "down"])
    assert load_preset_weights(other, path) == {"generator", "discriminator"}
    assert same_weights(all_weights(other), all_weights(gan))
    assert other.labels == ("up", "down")

    other = tiny_gan(2)
    before = all_weights(other)
    file = path / "generator.safetensors"
    header, body = read_raw(file)
    write_raw(file, header, body[:-4] + np.float32(np.nan).tobytes())
    vouch_for(path, "generator")
    with pytest.raises(PresetError, match="NaN"):
        load_preset_weights(other, path)
    assert same_weights(all_weights(other), before)

    wide = tiny_gan(3, dim=3)
    before = all_weights(wide)
    with pytest.raises(PresetError, match="the shape is not that"):
        load_preset_weights(wide, path)
    assert same_weights(all_weights(wide), before)


def test_the_links_of_the_hub_clients_cache_are_followed(tmp_path):
    gan = tiny_gan()
    path = save_preset(gan, tmp_path / "p", storage_dtype="float32")
    snapshot = tmp_path / "cache/snapshots/abc"
    blobs = tmp_path / "cache/blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, file in enumerate(path.iterdir()):
        file.rename(blobs / str(number))
        (snapshot / file.name).symlink_to(f"../../blobs/{number}")
    assert same_weights(all_weights(load_preset(snapshot)), all_weights(gan))


def test_a_full_disk_leaves_the_old_preset_and_no_litter(tmp_path):
    path = save_preset(tiny_gan(), tmp_path / "p")
    before = {name: (path / name).read_bytes() for name in os.listdir(path)}
    large = tiny_gan(latent_dim=512)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python ignores SIGXFSZ, so that a write beyond the limit fails as one
    # to a full disk does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            save_preset(large, path)
        with pytest.raises(OSError, match="too large"):
            save_preset(large, tmp_path / "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == ["p"]
    after = {name: (path / name).read_bytes() for name in os.listdir(path)}
    assert before == after


def test_old_litter_of_a_killed_save_is_removed(tmp_path):
    path = save_preset(tiny_gan(), tmp_path / "p")
    for name, age in ((".p.old.saving", 7200), (".p.new.saving", 10)):
        (tmp_path / name).mkdir()
        then = (tmp_path / name).stat().st_mtime - age
        os.utime(tmp_path / name, (then, then))
    save_preset(tiny_gan(), path)
    assert sorted(os.listdir(tmp_path)) == [".p.new.saving", "p"]


def test_replacing_where_two_names_cannot_be_exchanged(tmp_path, monkeypatch):
    path = save_preset(tiny_gan(), tmp_path / "p")
    monkeypatch.setattr(sys, "platform", "darwin")
    new = tiny_gan(1)
    save_preset(new, path, storage_dtype="float32")
    assert same_weights(all_weights(load_preset(path)), all_weights(new))
    assert os.listdir(tmp_path) == ["p"]


# The child saves version 1, then forks for every point of saving version 2
# and kills itself there. PyTorch's backend survives a fork.
KILLED = """
import os, pathlib, shutil, signal, sys
sys.path.insert(0, sys.argv[2])
from preset_support import all_weights, same_weights, tiny_gan
from keras_audiogan.saving import load_preset_weights, save_preset

root = pathlib.Path(sys.argv[1])
old, new, probe = tiny_gan(1), tiny_gan(2), tiny_gan(3)
left = -1

def count(event, arguments):
    global left
    if left > 0 and event.partition(".")[0] in (
        "open", "os", "shutil", "tempfile", "ctypes"
    ):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
for replace in (True, False):
    seen, killed, point = set(), 0, 0
    while True:
        path = root / f"{replace}" / "p"
        if replace and "old" not in seen:
            save_preset(old, path, storage_dtype="float32")
        pid = os.fork()
        if pid == 0:
            left = point + 1
            save_preset(new, path, storage_dtype="float32")
            os._exit(0)
        status = os.waitpid(pid, 0)[1]
        point += 1
        if path.exists():
            load_preset_weights(probe, path)
            found = all_weights(probe)
            if same_weights(found, all_weights(old)):
                seen.add("old")
            elif same_weights(found, all_weights(new)):
                seen.add("new")
                if replace:
                    save_preset(old, path, storage_dtype="float32")
                else:
                    shutil.rmtree(path)
            else:
                sys.exit(f"a mixture after a kill at point {point}")
        else:
            if replace:
                sys.exit(f"nothing left after a kill at point {point}")
            seen.add("nothing")
        if status == 0:
            break
        if os.WTERMSIG(status) != signal.SIGKILL:
            sys.exit(f"status {status} at point {point}")
        killed += 1
    print(replace, killed, sorted(seen))
"""


@pytest.mark.slow
def test_a_kill_at_any_point_leaves_the_old_preset_or_the_new(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(HERE)],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    replacing, making = result.stdout.splitlines()
    assert replacing.startswith("True") and "['new', 'old']" in replacing
    assert making.startswith("False") and "['new', 'nothing']" in making
    assert int(replacing.split()[1]) > 20
    assert int(making.split()[1]) > 15


LIGHT = """
import sys, time
start = time.process_time()
from keras_audiogan import zoo
zoo.list_presets("*")
info = zoo.preset_info(sys.argv[1])
seconds = time.process_time() - start
from keras_audiogan import saving
saving.read_config(sys.argv[1])
saving.read_training(sys.argv[1])
assert info["num_parameters"]["generator"] > 0
heavy = {"keras", "numpy", "tensorflow", "jax", "torch", "huggingface_hub"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
print(seconds)
"""


def test_what_a_preset_is_can_be_told_without_keras_or_numpy(tmp_path):
    path = save_preset(tiny_gan(), tmp_path / "p", training=TRAINING)
    seconds = [
        float(
            subprocess.run(
                [sys.executable, "-c", LIGHT, str(path)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for _ in range(3)
    ]
    # A third of it looks for presets that other packages bring.
    assert min(seconds) < 0.09, seconds


def test_json_that_a_person_reads(tmp_path):
    path = save_preset(
        tiny_gan(labels=["zéro", "un"]), tmp_path / "p", training=TRAINING
    )
    text = (path / "config.json").read_text("utf-8")
    assert "zéro" in text
    assert text.count("\n") > 10
    assert json.loads(text)["labels"] == ["zéro", "un"]
