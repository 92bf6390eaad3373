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
from keras_audiogan.runs.groups import find_groups
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
    dataset = AudioDataset(tmp_path / "sounds", RATE // 4)
    assert dataset.folder.labels is None
    groups = find_groups(dataset, 3)
    of_kind = {"tone": set(), "noise": set(), "click": set()}
    for file, group in zip(dataset.folder.files, groups, strict=True):
        of_kind[file.name[3:-4]].add(int(group))
    assert sorted(map(len, of_kind.values())) == [1, 1, 1]
    assert set.union(*of_kind.values()) == {0, 1, 2}
    # The same whenever it is run.
    np.testing.assert_array_equal(find_groups(dataset, 3), groups)


def test_slices_of_one_file_are_in_groups_of_their_own(tmp_path):
    time = np.arange(8 * 1000) / RATE
    tones = [np.sin(2 * np.pi * f * time) for f in (300, 1500)]
    soundfile.write(tmp_path / "a.wav", 0.5 * np.concatenate(tones), RATE)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 4000)
    parts = np.concatenate([tones[0][:2000], noise])
    soundfile.write(tmp_path / "b.wav", parts, RATE)
    options = {"mode": "slice", "random_offset": False, "trim": "off"}
    groups = find_groups(AudioDataset(tmp_path, 1000, **options), 3)
    low, high, end = groups[0], groups[8], groups[-1]
    assert sorted([low, high, end]) == [0, 1, 2]
    expected = [low] * 8 + [high] * 8 + [low] * 2 + [end] * 4
    np.testing.assert_array_equal(groups, expected)
    # Each is drawn as often, and comes with its sound.
    grouped = AudioDataset(
        tmp_path, 1000, batch_size=6, groups=groups, **options
    )
    for step in range(4):
        batch = grouped.batch(step)
        np.testing.assert_array_equal(np.bincount(batch["labels"]), [2, 2, 2])
        for clip, label in zip(batch["audio"], batch["labels"], strict=True):
            spectrum = np.abs(np.fft.rfft(clip[:, 0]))
            peak = spectrum.argmax() * RATE / 1000
            is_tone = spectrum.max() > 100
            expected = end if not is_tone else low if peak < 900 else high
            assert label == expected
    (clips,) = grouped.clips(100)
    np.testing.assert_array_equal(clips["slices"], np.arange(22))
    np.testing.assert_array_equal(clips["labels"], groups)
    assert "groups    3, of 4 to 10 slices" in grouped.report()


def test_files_that_cannot_be_read_are_in_no_group(tmp_path):
    kinds_of_sound(tmp_path / "sounds")
    folder = AudioFolder.scan(tmp_path / "sounds")
    bad = tmp_path / "sounds" / "00_click.wav"
    bad.write_bytes(bad.read_bytes()[:200])
    groups = find_groups(AudioDataset(folder, 500), 3)
    assert groups[0] == -1 and (groups[1:] >= 0).all()
    dataset = AudioDataset(folder, 500, groups=groups, batch_size=36)
    assert folder.skipped[-1].path == str(bad)
    for step in range(3):
        assert (dataset.batch(step)["labels"] >= 0).all()


def test_equal_sounds_have_no_directions(tmp_path):
    for i in range(6):
        sound = np.sin(np.arange(2000))
        soundfile.write(tmp_path / f"{i}.wav", sound, RATE, "FLOAT")
    groups = find_groups(AudioDataset(tmp_path, 2000), 2)
    assert groups.shape == (6,) and (groups >= 0).all()


def test_balanced_labels_weigh_as_much_in_groups_as_well(tmp_path):
    kinds_of_sound(tmp_path / "all")
    for kind, count in (("tone", 12), ("noise", 12), ("click", 3)):
        (tmp_path / "sounds" / kind).mkdir(parents=True)
        for i in range(count):
            name = f"{i:02d}_{kind}.wav"
            (tmp_path / "all" / name).rename(tmp_path / "sounds" / kind / name)
    data = AudioFolder.scan(tmp_path / "sounds")
    assert data.labels == ("click", "noise", "tone")
    options = {"batch_size": 8, "random_offset": False}
    even = AudioDataset(data, 2000, balance=True, **options)
    np.testing.assert_array_equal(even.copies(), [4] * 3 + [1] * 24)
    # Of two groups, clicks share one with another kind, and are as many.
    groups = find_groups(even, 2)
    noise, tone = groups[3], groups[-1]
    np.testing.assert_array_equal(
        groups, [groups[0]] * 3 + [noise] * 12 + [tone] * 12
    )
    assert noise != tone
    drawn = AudioDataset(data, 2000, balance=True, groups=groups, **options)
    clicks = others = 0
    for step in range(12):
        batch = drawn.batch(step)
        np.testing.assert_array_equal(np.bincount(batch["labels"]), [4, 4])
        for clip in batch["audio"][batch["labels"] == groups[0], :, 0]:
            is_click = np.abs(clip[200:]).max() == 0
            clicks, others = clicks + is_click, others + (not is_click)
    assert clicks == others == 24
    assert "groups drawn equally often, as are labels in them" in drawn.report()
    plain = AudioDataset(data, 2000, groups=groups, **options)
    np.testing.assert_array_equal(plain.copies(), np.ones(27))


def test_what_cannot_be_grouped_is_refused(tmp_path):
    kinds_of_sound(tmp_path / "sounds")
    dataset = AudioDataset(tmp_path / "sounds", 2000)
    with pytest.raises(AudioFolderError, match="two slices each or more.*36"):
        find_groups(dataset, 19)
    for groups in (np.zeros(35), np.full(36, -1)):
        with pytest.raises(ValueError, match="each of the 36 slices"):
            AudioDataset(tmp_path / "sounds", 2000, groups=groups)
    with pytest.raises(ValueError, match="`offset_augmentation` be 0"):
        AudioDataset(
            *(tmp_path / "sounds", 2000),
            groups=np.zeros(36),
            offset_augmentation=2,
        )


def test_a_run_learns_groups_of_what_it_is_not_to_test_on(tmp_path):
    plan = make_plan(tiny_options(tmp_path / "run", **GROUPED, test="tenth"))
    assert plan.held_out.num_files == 3
    # The labels of the data stay known, for classifiers to measure by.
    assert "zero" in plan.arguments["labels"]
    assert plan.dataset.folder.num_files + 3 == (
        AudioFolder.scan(DIGITS).num_files
    )
    assert len(plan.dataset.groups) == plan.dataset.num_slices
    # Each group is drawn as often as the others.
    labels = np.concatenate([plan.dataset.batch(i)["labels"] for i in range(6)])
    np.testing.assert_array_equal(np.bincount(labels), [8, 8, 8])


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"num_groups": 1}, "must be 2 or more"),
        ({"num_groups": 3, "conditional": None}, "`conditional` to false"),
    ],
)
def test_a_dry_run_refuses_what_cannot_be(model, said, tmp_path):
    model = {**GROUPED["model"], **model}
    with pytest.raises(ValueError, match=said):
        make_plan(tiny_options(tmp_path / "run", **{**GROUPED, "model": model}))


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
