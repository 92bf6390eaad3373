"""Sounds without labels are sorted into groups, which a run learns."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from training_support import DIGITS, resume_options, tiny_options

from keras_audiogan import from_preset
from keras_audiogan.data import AudioDataset, AudioFolder, AudioFolderError
from keras_audiogan.models import STFTGAN
from keras_audiogan.runs.groups import grouped
from keras_audiogan.runs.plan import make_plan
from keras_audiogan.runs.run import run_training

RATE = 8000
MODEL = {
    name: value
    for name, value in STFTGAN.tiny.items()
    if name not in ("labels", "slice_length", "sampling_rate")
}
GROUPED = {
    "architecture": "stft_gan",
    "model": {**MODEL, "conditional": False, "num_groups": 3},
    "slice_length": 256,
}


def kinds_of_sound(folder):
    """Twelve low tones, clicks and noises each, in one folder."""
    folder.mkdir()
    time = np.arange(RATE // 4) / RATE
    random = np.random.default_rng(0)
    for i in range(12):
        envelope = np.exp(-time * random.uniform(8, 12))
        tone = np.sin(2 * np.pi * random.uniform(190, 210) * time) * envelope
        noise = random.uniform(-1, 1, len(time)) * envelope
        click = np.where(time < 0.01, random.uniform(-1, 1, len(time)), 0)
        for name, sound in (("tone", tone), ("noise", noise), ("click", click)):
            path = folder / f"{i:02d}_{name}.wav"
            soundfile.write(path, 0.5 * sound, RATE)


def test_sounds_that_are_alike_are_in_one_group(tmp_path):
    kinds_of_sound(tmp_path / "sounds")
    (tmp_path / "sounds" / "bad.wav").write_bytes(b"RIFF")
    dataset = AudioDataset(tmp_path / "sounds", RATE // 4)
    assert dataset.folder.labels is None
    folder = grouped(dataset, 3)
    assert folder.labels == ("group 0", "group 1", "group 2")
    of_kind = {"tone": set(), "noise": set(), "click": set()}
    for file in folder.files:
        of_kind[file.name[3:-4]].add(file.label)
    assert sorted(map(len, of_kind.values())) == [1, 1, 1]
    assert len(set.union(*of_kind.values())) == 3
    # The same whenever it is run.
    assert [f.label for f in grouped(dataset, 3).files] == [
        f.label for f in folder.files
    ]


def test_files_of_several_slices_have_one_group(tmp_path):
    kinds_of_sound(tmp_path / "sounds")
    dataset = AudioDataset(tmp_path / "sounds", 500, mode="slice")
    assert dataset.num_slices > 50
    folder = grouped(dataset, 3)
    assert folder.num_files == 36
    assert sorted(folder.class_counts.values()) == [12, 12, 12]


def test_equal_sounds_have_no_directions(tmp_path):
    for i in range(6):
        sound = np.sin(np.arange(2000))
        soundfile.write(tmp_path / f"{i}.wav", sound, RATE, "FLOAT")
    folder = grouped(AudioDataset(tmp_path, 2000), 2)
    assert folder.num_files == 6


def test_too_few_files(tmp_path):
    kinds_of_sound(tmp_path / "sounds")
    dataset = AudioDataset(tmp_path / "sounds", 500)
    with pytest.raises(AudioFolderError, match="two files each or more.*36"):
        grouped(dataset, 19)


def test_a_run_learns_groups_of_what_it_is_not_to_test_on(tmp_path):
    plan = make_plan(tiny_options(tmp_path / "run", **GROUPED, test="tenth"))
    assert plan.held_out.num_files == 3
    # The labels of the data stay known, for classifiers to measure by.
    assert "zero" in plan.arguments["labels"]
    assert plan.dataset.label_names == ("group 0", "group 1", "group 2")
    assert plan.dataset.folder.num_files + 3 == (
        AudioFolder.scan(DIGITS).num_files
    )
    # Each group is drawn as often as the others.
    labels = np.concatenate([plan.dataset.batch(i)["labels"] for i in range(6)])
    np.testing.assert_array_equal(np.bincount(labels), [8, 8, 8])


def test_a_run_with_groups_is_resumed(tmp_path):
    run = tmp_path / "run"
    shutil.copytree(DIGITS, tmp_path / "digits")
    options = {**GROUPED, "data": tmp_path / "digits"}
    run_training(tiny_options(run, **options, steps=2))
    config = json.loads((run / "preset" / "config.json").read_text())
    assert config["config"]["num_groups"] == 3
    run_training(
        resume_options(
            run, data=tmp_path / "digits", architecture="stft_gan", steps=3
        )
    )
    clips = from_preset(run / "preset").sample(3, seed=1)
    assert clips.shape == (3, 256, 1) and np.isfinite(clips).all()
