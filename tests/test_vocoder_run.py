"""A vocoder's training run, from a folder of sounds to a preset, and on."""

import json
import pathlib

import architecture_cases as cases
import numpy as np
import pytest

import keras_audiogan
from keras_audiogan.audio.files import read_audio
from keras_audiogan.data import AudioFolder, hold_out
from keras_audiogan.runs.options import TrainingOptions
from keras_audiogan.runs.run import describe_run, run_training

DIGITS = pathlib.Path(__file__).parent / "data" / "digits"


def model_options(name):
    options = cases.tiny(name)
    del options["sampling_rate"], options["slice_length"]
    return options


def options(output, **changes):
    chosen = {
        "architecture": "multiband_melgan",
        "model": model_options("multiband_melgan"),
        "sampling_rate": 8000,
        "slice_length": 2048,
        "steps": 3,
        "batch_size": 2,
        "precision": "float32",
        "discriminator_start": 2,
        "num_previews": 2,
        "log_every": 1,
        "level": "keep",
        "test": None,
        "seed": 0,
        **changes,
    }
    if chosen["architecture"] is None:
        for key in ("model", "sampling_rate", "slice_length", "level"):
            chosen[key] = None
    return TrainingOptions(data=DIGITS, output=output, **chosen)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocoder") / "run"
    return run_training(options(folder), quiet=True)


@pytest.mark.slow
def test_a_training_makes_a_preset_that_vocodes(trained):
    assert trained.step == 3
    assert f"audiogan vocode {trained.preset}" in str(trained)
    vocoder = keras_audiogan.from_preset(str(trained.preset))
    audio, _ = read_audio(DIGITS / "one" / "george_5.flac", 8000, 1)
    again = vocoder.vocode(audio)
    assert again.shape == (1, len(audio), 1) and np.isfinite(again).all()
    files = {path.name for path in (trained.preset / "samples").iterdir()}
    assert {"0.flac", "sheet.png"} <= files
    assert list((trained.folder / "previews").glob("*.png"))
    record = json.loads((trained.preset / "training.json").read_text())
    assert record["recipe"]["loss"] == "multiband_melgan"
    assert record["recipe"]["discriminator_start"] == 2


@pytest.mark.slow
def test_mels_are_normalised_by_the_data(trained):
    vocoder = keras_audiogan.from_preset(str(trained.preset))
    mels = []
    for path in sorted(DIGITS.rglob("*.flac")):
        audio, _ = read_audio(path, 8000, 1)
        mels.append(vocoder.mel(audio)[0])
    frames = np.concatenate(mels)
    # Of random clips of these files: about, not exactly.
    assert np.abs(frames.mean(axis=0)).max() < 0.6
    assert 0.5 < frames.std(axis=0).mean() < 1.5
    assert len(vocoder.features.mean) == vocoder.features.num_mel_bins


@pytest.mark.slow
def test_fine_tuning_begins_with_the_discriminator_of_the_preset(
    trained, tmp_path
):
    result = run_training(
        options(
            tmp_path / "run",
            architecture=None,
            preset=trained.preset,
            discriminator_start=None,
            steps=1,
        ),
        quiet=True,
    )
    lines = (result.folder / "log.jsonl").read_text().splitlines()
    assert any("adv/discriminator" in line for line in lines)
    before = keras_audiogan.from_preset(str(trained.preset))
    after = keras_audiogan.from_preset(str(result.preset))
    assert after.get_config() == before.get_config()
    moved = [
        not np.array_equal(np.array(a), np.array(b))
        for a, b in zip(
            before.discriminator.weights,
            after.discriminator.weights,
            strict=True,
        )
    ]
    assert any(moved)


def test_options_of_other_generators_are_refused(tmp_path):
    for wrong in (
        {"penalty": 1.0},
        {"discriminator_steps": 5},
        {"loss": "wgan-gp"},
    ):
        (name,) = wrong
        with pytest.raises(ValueError, match=name):
            describe_run(options(tmp_path / "run", **wrong))
    with pytest.raises(ValueError, match="discriminator_steps"):
        describe_run(options(tmp_path / "run", critic_steps=5))
    # That is what it does anyway.
    describe_run(options(tmp_path / "run", critic_steps=1))
    with pytest.raises(ValueError, match="discriminator_start"):
        describe_run(
            options(
                tmp_path / "run",
                architecture="wavegan",
                model={"dim": 2},
                slice_length=4096,
            )
        )


def test_the_last_tenth_of_each_folder_is_held_out(tmp_path):
    import shutil

    source = next(DIGITS.rglob("*.flac"))
    for label, count in (("a", 20), ("b", 9)):
        (tmp_path / label).mkdir()
        for index in range(count):
            shutil.copy(source, tmp_path / label / f"{index:02}.flac")
    train, test = hold_out(AudioFolder.scan(tmp_path), "last-tenth")
    assert [entry.name for entry in test.files] == ["a/18.flac", "a/19.flac"]
    assert train.num_files == 27
