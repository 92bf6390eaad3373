"""Presets and runs of the first release: they load, and sound as they did.

`fixtures/make_presets_v1.py` says what the files are. They are never made
anew: a change that fails here breaks what people have on their disks.
"""

import json
import pathlib
import shutil

import keras
import numpy as np
import pytest

import keras_audiogan
from keras_audiogan.runs.options import TrainingOptions
from keras_audiogan.runs.run import run_training
from keras_audiogan.saving import load_preset, read_config

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
DIGITS = pathlib.Path(__file__).parent / "data" / "digits"
OLD_PRESETS = sorted(path.name for path in FIXTURES.glob("presets_v1/*"))
OLD_RUNS = sorted(path.stem for path in FIXTURES.glob("runs_v1/*.npz"))

# Labels go into the discriminators of these.
CONDITIONAL = ("cgan", "concat_wavegan", "cgan", "projection_wavegan")

# The numbers were made by TensorFlow; other backends add in another order.
TOLERANCE = 1e-5 if keras.backend.backend() == "tensorflow" else 1e-4


def logits_of(model, folder, audio):
    """Returns all that the discriminator says, as one vector."""
    told = {}
    if read_config(folder)["architecture"] in CONDITIONAL:
        told["classes"] = np.eye(len(model.labels), dtype="float32")[:2]
    discriminator = model.discriminator
    outputs = discriminator.feature_maps(discriminator.views(audio), **told)
    return np.concatenate(
        [
            np.ravel(keras.ops.convert_to_numpy(features[-1]))
            for features in outputs
        ]
    )


def numbers_of(model, folder, expected):
    """Returns what a model makes of the inputs of an `expected.npz`."""
    if not hasattr(model, "discriminator"):
        audio = expected["audio"].astype("float32")
        return {"logits": model.predict_logits(audio)}
    if "mel" in expected:
        # Noise, which `vocode` refuses as no mels of sound.
        parts = model.vocode_parts(expected["mel"], seed=0)
        audio = np.concatenate(list(parts), axis=1)
    else:
        labels = {"labels": [0, 1]} if model.conditional else {}
        audio = model.sample(2, seed=0, **labels)
    numbers = {
        "audio": audio[:, :2048],
        "logits": logits_of(model, folder, audio),
    }
    if "classifier" in expected:
        logits = model.classify(audio)
        numbers["classifier"] = keras.ops.convert_to_numpy(logits)
    return numbers


def check(model, folder, file, tolerance):
    """Compares a model with an `expected.npz`, number by number."""
    expected = dict(np.load(file))
    numbers = numbers_of(model, folder, expected)
    assert set(expected) - set(numbers) <= {"mel", "audio"}
    for name, value in numbers.items():
        np.testing.assert_allclose(
            value, expected[name], rtol=tolerance, atol=tolerance, err_msg=name
        )


@pytest.mark.slow
@pytest.mark.backends
@pytest.mark.parametrize("name", OLD_PRESETS)
def test_an_old_preset_sounds_as_it_did_and_so_does_its_copy(name, tmp_path):
    folder = FIXTURES / "presets_v1" / name
    config = json.loads((folder / "config.json").read_text())
    assert config["format_version"] == 1
    model = keras_audiogan.from_preset(str(folder))
    assert set(model.preset_weights) == set(config["weights"])
    check(model, folder, folder / "expected.npz", TOLERANCE)
    copy = tmp_path / name
    # Float16 would do: these weights came of it. Float32 shows that too.
    model.save_to_preset(copy, storage_dtype="float32")
    again = load_preset(copy)
    check(again, copy, folder / "expected.npz", TOLERANCE)
    assert again.get_config() == model.get_config()
    if (folder / "training.json").exists():
        old, new = (
            json.loads((path / "training.json").read_text())
            for path in (folder, copy)
        )
        assert new["data"] == old["data"]


@pytest.mark.slow
@pytest.mark.parametrize("name", OLD_RUNS)
def test_an_old_run_resumes_as_it_would_have_then(name, tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("A run is resumed on the backend that began it.")
    run = tmp_path / "run"
    shutil.copytree(FIXTURES / "runs_v1" / name, run)
    result = run_training(
        TrainingOptions(
            data=DIGITS,
            architecture=name,
            output=run,
            resume=True,
            steps=4,
        ),
        quiet=True,
    )
    assert result.step == 4
    preset = run / "preset"
    model = keras_audiogan.from_preset(str(preset))
    # The preset is stored in float16: a bit may fall the other way.
    check(model, preset, FIXTURES / "runs_v1" / f"{name}.npz", 2e-3)
