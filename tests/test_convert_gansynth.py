"""Folders of GANSynth, made and read by its own code for comparison.

`linear` stands in the middle of the transition to its third block of four;
`fitted_mel` has a fitted normaliser, five pitches and all of its blocks. The
numbers in `expected.npz` are what magenta's functions made of `z`, `c` and
`x` under TensorFlow 2.21's v1 compatibility: pictures (`fake`), their sound
(`waves`), pictures of sound (`spec`), their sound (`back`), scores and
classes.
"""

import json
import pathlib
import shutil

import keras
import numpy as np
import pytest

from keras_audiogan import converters
from keras_audiogan.converters import ConversionError

FOLDERS = pathlib.Path(__file__).parent / "fixtures" / "gansynth"
NAMES = ("linear", "fitted_mel")


def as_numpy(value):
    return np.array(keras.ops.convert_to_numpy(value))


@pytest.fixture(scope="module", params=NAMES)
def converted(request):
    folder = FOLDERS / request.param
    expected = dict(np.load(folder / "expected.npz"))
    return converters.convert(folder, dtype="float32"), expected


@pytest.mark.slow
def test_networks_make_what_the_original_makes(converted):
    gan, expected = converted
    progress = float(expected["progress"])
    assert float(gan.ema_generator.progress) == progress
    assert float(gan.discriminator.progress) == progress
    made = gan.ema_generator([expected["z"], expected["c"]])
    np.testing.assert_allclose(as_numpy(made), expected["fake"], atol=1e-4)
    views = gan.discriminator.views(keras.ops.array(expected["spec"]))
    ((*_, classes, scores),) = gan.discriminator.feature_maps(views)
    np.testing.assert_allclose(as_numpy(scores), expected["logits"], atol=1e-4)
    np.testing.assert_allclose(
        as_numpy(classes), expected["classes"], atol=1e-4
    )


@pytest.mark.slow
def test_spectra_and_their_inverses_are_the_originals(converted):
    gan, expected = converted
    spec = as_numpy(gan.representation.analyse(expected["x"]))
    np.testing.assert_allclose(spec, expected["spec"], atol=1e-4)
    back = as_numpy(gan.representation.synthesise(expected["spec"]))
    np.testing.assert_allclose(back, expected["back"], atol=1e-4)
    waves = as_numpy(gan.representation.synthesise(expected["fake"]))
    scale = np.abs(expected["waves"]).max()
    np.testing.assert_allclose(
        waves, expected["waves"], atol=1e-4 * max(1.0, scale)
    )


@pytest.mark.slow
def test_a_converted_model_grows_on_and_is_saved(converted, tmp_path):
    gan, expected = converted
    assert gan.labels[0] == "024"
    progress = float(expected["progress"])
    images = {1.5: 350, 3.0: 600}[progress]
    assert int(gan.growth.count) == images
    gan.save_to_preset(tmp_path / "preset")
    config = json.loads((tmp_path / "preset" / "config.json").read_text())
    assert config["config"]["exact_overlap"] is False
    assert config["config"]["class_scale"] == 1.0


def test_a_folder_is_told_from_others_and_a_stage_may_be_named(tmp_path):
    folder = FOLDERS / "linear"
    assert converters.identify(folder) == "gansynth"
    assert converters.identify(folder / "stage_00003") == "gansynth"
    prefix = folder / "stage_00003" / "model.ckpt-350"
    assert converters.identify(prefix) == "gansynth"
    (tmp_path / "experiment.json").write_text("{}")
    with pytest.raises(ConversionError, match="stage_00000"):
        converters.identify(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_resolutions": 99}, "num_resolutions"),
        ({"num_resolutions": 2}, "stages 0 to 2. Received: stage 3"),
        ({"scale_mode": "H"}, "scale_mode"),
        ({"simple_arch": True}, "simple_arch"),
        ({"to_rgb_activation": "linear"}, "to_rgb_activation"),
        ({"fmap_decay": 2.0}, "fmap_decay"),
        ({"data_type": "phase"}, "data_type"),
        ({"data_normalizer": "none"}, "data_normalizer"),
        ({"mag_normalizer_a": 0.0}, "positive scale"),
        ({"mag_normalizer_a": "1"}, "mag_normalizer_a"),
        ({"start_width": 10**9}, "start_width"),
        ({"latent_vector_size": -1}, "latent_vector_size"),
        (
            {"data_normalizer": "specgrams_simple_normalizer"},
            "does not hold the four numbers",
        ),
    ],
)
def test_hostile_options_are_one_clear_error(changes, message, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(FOLDERS / "linear", folder)
    options = json.loads((folder / "experiment.json").read_text())
    (folder / "experiment.json").write_text(json.dumps({**options, **changes}))
    with pytest.raises(ConversionError, match=message):
        converters.convert(folder)


def test_a_pickled_normaliser_is_not_run(tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(FOLDERS / "fitted_mel", folder)
    file = folder / "assets" / "specgrams_simple_normalizer.npz"
    np.savez(file, normalizer=np.array([print] * 4, dtype=object))
    with pytest.raises(ConversionError, match="four numbers"):
        converters.convert(folder)
    np.savez(file, normalizer=np.array([1.0, np.nan, 1.0, 0.0]))
    with pytest.raises(ConversionError, match="positive scale"):
        converters.convert(folder)


@pytest.mark.slow
def test_a_stage_that_lacks_its_blocks_is_refused(tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(FOLDERS / "linear", folder)
    (folder / "stage_00003").rename(folder / "stage_00005")
    with pytest.raises(ConversionError, match="progressive_gan_block_4"):
        converters.convert(folder)
