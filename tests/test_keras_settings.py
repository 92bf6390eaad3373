"""Keras's own settings: presets load, and sound as they did."""

import json
import os
import subprocess
import sys

import architecture_cases
import click
import keras
import numpy as np
import pytest
from keras import config
from training_support import tiny_options

from keras_audiogan.audio import read_audio
from keras_audiogan.cli import _backend
from keras_audiogan.models import list_architectures
from keras_audiogan.runs import run_training
from keras_audiogan.saving import load_preset, save_preset

# A setting and how far the sound may be from float32's, of its peak.
SETTINGS = {
    "channels_first": (
        lambda: config.set_image_data_format("channels_first"),
        0.0,
    ),
    "epsilon": (lambda: config.set_epsilon(1e-2), 0.0),
    "float64": (lambda: config.set_dtype_policy("float64"), 1e-5),
    "bfloat16": (lambda: config.set_dtype_policy("bfloat16"), 0.05),
}
# Phases that are sums of frequencies add up what 8 bits miss, from frame to
# frame; another sound would differ by more than its peak.
TOLERANCES = {("gansynth", "bfloat16"): 0.3}


@pytest.fixture
def settings():
    """Keras as it is, again at the end."""
    before = config.dtype_policy()
    yield
    config.set_image_data_format("channels_last")
    config.set_epsilon(1e-7)
    config.set_floatx("float32")
    config.set_dtype_policy(before)


def sound(folder):
    """What a preset makes, or says, of always the same."""
    model = load_preset(folder)
    if hasattr(model, "sample"):
        return model.sample(2, seed=0)
    length = getattr(model, "slice_length", 2000)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, length, 1))
    if model.task == "vocode":
        return model.vocode(noise.astype("float32"))
    return model.predict(noise.astype("float32"), verbose=0)


def saved(name, folder):
    model = architecture_cases.build(name)
    architecture_cases.set_weights_from_paths(model)
    return save_preset(model, folder)


@pytest.mark.parametrize("name", list_architectures())
def test_a_preset_sounds_the_same_under_keras_settings(
    name, settings, tmp_path
):
    folder = saved(name, tmp_path / name)
    expected = np.asarray(sound(folder), "float64")
    for setting, (change, tolerance) in SETTINGS.items():
        change()
        made = np.asarray(sound(folder), "float64")
        config.set_image_data_format("channels_last")
        config.set_epsilon(1e-7)
        config.set_dtype_policy("float32")
        difference = np.abs(made - expected).max()
        tolerance = TOLERANCES.get((name, setting), tolerance)
        assert difference <= tolerance * np.abs(expected).max(), setting


def test_a_policy_of_quantised_networks_is_refused(settings, tmp_path):
    folder = saved("wavegan", tmp_path / "wavegan")
    with pytest.raises(ValueError, match="of floating point.*int8_from"):
        load_preset(folder, dtype="int8_from_float32")
    config.set_dtype_policy("int8_from_float32")
    with pytest.raises(ValueError, match="set_dtype_policy.*int8_from"):
        load_preset(folder)


@pytest.mark.slow
def test_a_settings_file_of_keras_changes_no_sound(tmp_path):
    """Settings that only a new process reads, on the command line."""
    folder = saved("wavegan", tmp_path / "wavegan")
    (tmp_path / "keras.json").write_text(
        json.dumps(
            {
                "backend": keras.backend.backend(),
                "floatx": "float64",
                "epsilon": 1e-3,
                "image_data_format": "channels_first",
            }
        )
    )
    out = tmp_path / "out"
    arguments = ("sample", str(folder), "-n", "2", "--seed", "0", "--no-plot")
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "keras_audiogan.cli"),
            *(*arguments, "-o", str(out)),
        ],
        env={**os.environ, "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for file, clip in zip(
        (out / "wavegan_0_00.wav", out / "wavegan_0_01.wav"),
        sound(folder),
        strict=True,
    ):
        read, _ = read_audio(file)
        # Files hold 16 bits.
        np.testing.assert_allclose(read, clip, atol=2.0**-15)


@pytest.mark.parametrize(
    ("name", "value"), [("floatx", "bfloat16"), ("image_data_format", "NCHW")]
)
def test_a_settings_file_that_keras_cannot_take(
    name, value, monkeypatch, tmp_path
):
    (tmp_path / "keras.json").write_text(json.dumps({name: value}))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(click.ClickException, match=f"{name}.*'{value}'"):
        _backend.prepare()


def test_training_needs_numbers_of_float32(settings, tmp_path):
    config.set_floatx("float64")
    with pytest.raises(ValueError, match="floatx.*precision.*'float64'"):
        run_training(tiny_options(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
