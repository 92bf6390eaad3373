"""Slices and batches: right to the sample, and the same after a resume."""

import pathlib
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from keras_audiogan.audio import read_audio, resample, write_audio
from keras_audiogan.data import (
    AudioDataset,
    AudioFolder,
    AudioFolderError,
    AudioStore,
    BatchIterator,
)

DATA = pathlib.Path(__file__).parent / "data"
DIGITS = DATA / "digits"
DRUMS = DATA / "drums"
PIANO = DATA / "piano" / "chopin_op28_4.flac"


def same(one, other):
    assert one.keys() == other.keys()
    return all(np.array_equal(one[key], other[key]) for key in one)


# What is in a slice


def test_one_shots_are_padded_and_levelled():
    dataset = AudioDataset(DRUMS, 8192, shuffle=False, batch_size=9)
    assert dataset.plan.mode == "pad" and not dataset.random_offset
    batch = dataset.batch(0)
    assert batch.keys() == {"audio"}
    assert batch["audio"].shape == (9, 8192, 1)
    assert batch["audio"].dtype == np.float32
    for row, entry in zip(batch["audio"], dataset.folder.files, strict=True):
        audio = read_audio(entry.path)[0][entry.start : entry.stop][:8192]
        expected = audio / np.float32(entry.peak)
        assert np.array_equal(row[: len(audio)], expected)
        assert not row[len(audio) :].any()
        assert np.abs(row).max() == 1.0


@pytest.mark.parametrize("level", ["keep", 2.5, 40.0])
def test_levels(level):
    audio, _ = read_audio(PIANO)
    dataset = AudioDataset(
        PIANO, 48000, level=level, batch_size=1, random_offset=False
    )
    factor = 1.0 if level == "keep" else level
    expected = np.clip(audio * np.float32(factor), -1, 1)
    assert np.array_equal(dataset.batch(0)["audio"][0], expected)


def test_long_files_are_sliced_at_random_starts():
    dataset = AudioDataset(PIANO, 8000, num_channels=1, batch_size=6)
    assert dataset.plan.mode == "slice" and dataset.random_offset
    audio, _ = read_audio(PIANO, num_channels=1)
    audio /= np.abs(audio).max()
    starts = set()
    for step in range(3):
        for row in dataset.batch(step)["audio"]:
            windows = np.lib.stride_tricks.sliding_window_view(audio[:, 0], 50)
            match = np.abs(windows - row[:50, 0]).max(1).argmin()
            assert np.abs(row - audio[match : match + 8000]).max() < 1e-6
            starts.add(int(match))
    assert len(starts) == 18
    assert max(starts) > 38000 and min(starts) < 4000


def test_short_files_move_in_their_slice_when_asked():
    dataset = AudioDataset(
        DRUMS, 16384, random_offset=True, batch_size=9, level="keep"
    )
    fronts = []
    for row in dataset.batch(0)["audio"]:
        loud = np.flatnonzero(np.abs(row[:, 0]) > 0)
        fronts.append(int(loud[0]))
    assert len(set(fronts)) > 6 and max(fronts) > 2000
    totals = sorted(np.abs(dataset.batch(0)["audio"]).sum((1, 2)))
    plain = AudioDataset(DRUMS, 16384, batch_size=9, level="keep")
    others = sorted(np.abs(plain.batch(0)["audio"]).sum((1, 2)))
    assert totals == pytest.approx(others, rel=1e-5)


def test_random_gain():
    plain = AudioDataset(DRUMS, 4096, batch_size=9, shuffle=False)
    varied = AudioDataset(
        DRUMS, 4096, batch_size=9, shuffle=False, random_gain_db=(-12, -6)
    )
    ratios = [
        np.abs(varied.batch(step)["audio"]).max((1, 2))
        / np.abs(plain.batch(step)["audio"]).max((1, 2))
        for step in range(20)
    ]
    decibels = 20 * np.log10(np.concatenate(ratios))
    assert -12 <= decibels.min() < -11.5 and -6.5 < decibels.max() <= -6
    louder = AudioDataset(DRUMS, 4096, batch_size=9, random_gain_db=(20, 20))
    assert np.abs(louder.batch(0)["audio"]).max() == 1.0


@pytest.mark.parametrize("cache_bytes", [0, 1 << 28])
@pytest.mark.parametrize("rate", [8000, 22050])
def test_slices_of_another_rate_are_those_of_the_whole_file(rate, cache_bytes):
    audio, source_rate = read_audio(PIANO, num_channels=1)
    whole = resample(audio, source_rate, rate)
    dataset = AudioDataset(
        PIANO,
        1000,
        rate,
        1,
        level="keep",
        cache_bytes=cache_bytes,
    )
    clips = np.concatenate([b["audio"] for b in dataset.clips(10)])
    assert len(clips) == dataset.num_slices
    for clip, start in zip(clips, dataset.plan.starts, strict=True):
        assert np.abs(clip - whole[start : start + 1000]).max() < 1e-6


def test_only_what_fits_is_kept_and_the_bits_do_not_depend_on_the_past():
    folder = AudioFolder.scan(DATA / "drums", sampling_rate=11025)
    limit = 4 * int(np.sort(folder.lengths(11025))[:4].sum()) + 100
    one = AudioStore(folder, 11025, 1, cache_bytes=limit)
    outs = np.zeros((9, 3000, 1), np.float32)
    for index in range(9):
        one.read(index, 0, outs[index])
    assert 0 < one.cached_bytes <= limit
    other = AudioStore(folder, 11025, 1, cache_bytes=limit)
    again = np.zeros((3000, 1), np.float32)
    for index in (8, 3, 3, 0, 8, 1):
        other.read(index, 0, again)
        assert np.array_equal(again, outs[index])


@pytest.mark.parametrize("repeats", [1, 20])
def test_mp3_gives_the_same_bits_whatever_was_read_before(tmp_path, repeats):
    audio, rate = read_audio(PIANO, 8000, 1)
    for number in range(2):
        wave = np.tile(np.roll(audio, 5000 * number), (repeats, 1))
        write_audio(tmp_path / f"{number}.mp3", wave, rate)
    folder = AudioFolder.scan(tmp_path)
    options = {"batch_size": 20, "cache_bytes": 0}
    used = AudioDataset(folder, 4000, **options)
    expected = [used.batch(step) for step in range(6)]
    fresh = AudioDataset(folder, 4000, workers=3, **options)
    with fresh.batches(3, 3) as batches:
        assert all(map(same, batches, expected[3:]))
    whole, _ = read_audio(folder.files[1].path)
    out = np.zeros((4000, 1), np.float32)
    store = AudioStore(folder, rate, 1, level="keep", cache_bytes=0)
    for start in (len(whole) - 5000, 2000, 6000):
        store.read(1, start, out)
        assert np.abs(out - whole[start : start + 4000]).max() < 1e-6


def test_a_loud_spot_of_a_long_file_is_turned_down(tmp_path):
    rate = 500
    wave = 0.2 * np.sin(np.arange(100 * rate))
    wave[5 * rate] = 0.8
    write_audio(tmp_path / "x.wav", wave, rate, subtype="FLOAT")
    dataset = AudioDataset(
        tmp_path, rate, random_offset=False, shuffle=False, batch_size=100
    )
    audio = dataset.batch(0)["audio"][..., 0]
    assert np.abs(audio[[0, 1, 50]]).max(1) == pytest.approx(1.0, abs=0.01)
    assert np.abs(audio[5]).max() == 1.0
    quiet = np.sort(np.abs(audio[5]))[:-1].max()
    assert quiet == pytest.approx(0.25, abs=0.01)


# Order, seeds and resuming


def test_an_epoch_draws_every_slice_once():
    dataset = AudioDataset(DIGITS, 4096, batch_size=4, seed=3)
    assert dataset.steps_per_epoch == 3
    plain = AudioDataset(DIGITS, 4096, batch_size=12, shuffle=False)
    expected = {row.tobytes() for row in plain.batch(0)["audio"]}
    orders = []
    for epoch in range(2):
        rows = [
            row.tobytes()
            for step in range(3 * epoch, 3 * epoch + 3)
            for row in dataset.batch(step)["audio"]
        ]
        assert set(rows) == expected
        orders.append(rows)
    assert orders[0] != orders[1]


def test_the_last_batch_wraps_into_the_next_epoch():
    dataset = AudioDataset(DIGITS, 4096, batch_size=5, discriminator_steps=2)
    assert dataset.num_rows == 10 and dataset.steps_per_epoch == 2
    small = AudioDataset(DIGITS, 4096, batch_size=2)
    rows = np.concatenate([small.batch(step)["audio"] for step in range(15)])
    large = np.concatenate([dataset.batch(step)["audio"] for step in range(3)])
    assert np.array_equal(rows, large)


OPTIONS = {
    "labels": True,
    "balance": True,
    "random_offset": True,
    "random_gain_db": 6,
    "offset_augmentation": 2,
}


def test_a_batch_depends_on_seed_and_step_alone():
    first = AudioDataset(DIGITS, 4096, batch_size=7, seed=5, **OPTIONS)
    batches = [first.batch(step) for step in range(6)]
    second = AudioDataset(DIGITS, 4096, batch_size=7, seed=5, **OPTIONS)
    for step in (4, 1, 4):
        assert same(second.batch(step), batches[step])
    assert not same(batches[0], batches[1])
    other = AudioDataset(DIGITS, 4096, batch_size=7, seed=6, **OPTIONS)
    assert not same(other.batch(4), batches[4])


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("prefetch", [0, 4])
def test_a_resumed_run_sees_what_the_whole_run_sees(workers, prefetch):
    whole = AudioDataset(DIGITS, 2048, batch_size=5, **OPTIONS)
    expected = [whole.batch(step) for step in range(12)]
    resumed = AudioDataset(
        DIGITS,
        2048,
        batch_size=5,
        workers=workers,
        prefetch=prefetch,
        **OPTIONS,
    )
    with resumed.batches(start_step=5, num_steps=7) as batches:
        got = list(batches)
    assert len(got) == 7
    assert all(map(same, got, expected[5:]))


def test_a_worker_makes_its_rows():
    dataset = AudioDataset(
        DIGITS, 2048, batch_size=4, discriminator_steps=3, **OPTIONS
    )
    whole = dataset.batch(2)
    for rows in (slice(0, 6), slice(6, 12)):
        part = dataset.batch(2, rows)
        assert same(part, {key: value[rows] for key, value in whole.items()})


def test_labels_go_with_their_sounds():
    folder = AudioFolder.scan(DIGITS, labels=["zero", "one", "two"])
    dataset = AudioDataset(folder, 8192, batch_size=12, labels=True)
    assert dataset.label_names == ("zero", "one", "two")
    truth = {}
    for entry in folder.files:
        clip = np.zeros((8192, 1), np.float32)
        audio, _ = read_audio(entry.path)
        clip[: len(audio)] = audio / np.float32(entry.peak)
        truth[clip.tobytes()] = entry.label
    batch = dataset.batch(0)
    assert batch["labels"].dtype == np.int32
    for row, label in zip(batch["audio"], batch["labels"], strict=True):
        assert truth[row.tobytes()] == label


def test_balance_draws_every_label_equally_often(tmp_path):
    shutil.copytree(DIGITS / "one", tmp_path / "one")
    (tmp_path / "two").mkdir()
    shutil.copy(DIGITS / "two" / "theo_7.flac", tmp_path / "two")
    dataset = AudioDataset(
        tmp_path, 8192, batch_size=10, labels=True, balance=True
    )
    labels = [dataset.batch(step)["labels"] for step in range(5)]
    assert all(np.bincount(row).tolist() == [5, 5] for row in labels)
    plain = AudioDataset(tmp_path, 8192, batch_size=10, labels=True)
    assert np.bincount(plain.batch(0)["labels"]).tolist() == [8, 2]


def test_real_clips_and_all_clips():
    dataset = AudioDataset(DIGITS, 4096, labels=True, **{"random_gain_db": 9})
    clips = dataset.real_clips(5, seed=1)
    assert clips.shape == (5, 4096, 1)
    assert np.array_equal(clips, dataset.real_clips(5, seed=1))
    assert not np.array_equal(clips, dataset.real_clips(5, seed=2))
    assert np.abs(dataset.real_clips(30)).max((1, 2)).min() > 0.3
    batches = list(dataset.clips(5))
    assert [len(batch["labels"]) for batch in batches] == [5, 5, 2]
    every = np.concatenate([batch["audio"] for batch in batches])
    assert {row.tobytes() for row in clips} <= {r.tobytes() for r in every}
    labels = np.concatenate([batch["labels"] for batch in batches])
    assert labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4


# Bad files met while reading


def with_hidden_damage(folder):
    """Two classes; one file holds NaN where a fast scan does not look."""
    shutil.copytree(DIGITS / "one", folder / "one")
    shutil.copytree(DIGITS / "two", folder / "two")
    wave = np.sin(np.arange(4000.0)) / 2
    wave[100] = np.nan
    soundfile.write(folder / "one" / "bad.wav", wave, 8000, subtype="FLOAT")
    return AudioFolder.scan(folder, check="fast")


def test_a_file_that_turns_out_bad_is_replaced_and_listed(tmp_path):
    folder = with_hidden_damage(tmp_path / "sounds")
    assert folder.num_files == 9 and not folder.skipped
    dataset = AudioDataset(folder, 4096, batch_size=9, labels=True)
    batch = dataset.batch(0)
    assert np.isfinite(batch["audio"]).all()
    assert np.bincount(batch["labels"]).tolist() == [5, 4]
    assert [(e.path, e.reason) for e in folder.skipped] == [
        (
            str(tmp_path / "sounds" / "one" / "bad.wav"),
            "holds NaN or infinite values",
        )
    ]
    assert "1 holds NaN" in dataset.report()
    # Known or not yet known to be bad: the data are the same.
    fresh = AudioDataset(
        AudioFolder.scan(folder.roots[0], check="fast"),
        4096,
        batch_size=9,
        labels=True,
    )
    assert same(fresh.batch(5), dataset.batch(5))
    assert sum(len(b["audio"]) for b in dataset.clips()) == 8


def test_strict_raises_while_reading(tmp_path):
    folder = with_hidden_damage(tmp_path / "sounds")
    folder.strict = True
    dataset = AudioDataset(folder, 4096, batch_size=9)
    with pytest.raises(AudioFolderError, match="bad.wav: holds NaN"):
        dataset.batch(0)


def test_files_that_vanish_end_in_an_error(tmp_path):
    shutil.copytree(DIGITS / "one", tmp_path / "one")
    dataset = AudioDataset(tmp_path, 4096, batch_size=2, cache_bytes=0)
    dataset.batch(0)
    shutil.rmtree(tmp_path / "one")
    with (
        dataset.batches() as batches,
        pytest.raises(AudioFolderError, match="None of the 4 files") as caught,
    ):
        next(batches)
    assert "no such file" in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"level": "loud"},
        {"level": -1.0},
        {"batch_size": 0},
        {"seed": -1},
        {"random_gain_db": (3, -3)},
        {"discriminator_steps": 0},
    ],
)
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match="Received"):
        AudioDataset(DIGITS, 4096, **options)


def test_labels_need_folders():
    with pytest.raises(ValueError, match="one folder per label"):
        AudioDataset(PIANO, 4096, labels=True)


def test_the_report_says_how_files_are_cut():
    report = AudioDataset(
        DRUMS, 6000, mode="pad", discriminator_steps=5
    ).report()
    assert "one slice of 0.38 s (6000 samples) per file" in report
    assert "chosen" not in report
    assert "7 files filled up with zeros; of 2 longer files" in report
    assert "9 slices in 1 step of 64 x 5 discriminator steps" in report
    dataset = AudioDataset(
        PIANO, 8000, level=2.0, overlap=0.5, random_gain_db=6
    )
    report = dataset.report()
    assert "files are cut into slices of 0.50 s (8000 samples)" in report
    assert "chosen from the lengths, overlapping by 50%" in report
    assert "11 slices in 1 step of 64" in report
    assert "multiplied by 2.0" in report
    assert "random offsets, random gain -6 to 0 dB" in report


# Threads


def batch_threads():
    return [
        thread
        for thread in threading.enumerate()
        if thread.name.startswith("audio-batches") and thread.is_alive()
    ]


def test_threads_end_with_the_block():
    before = set(batch_threads())
    dataset = AudioDataset(DIGITS, 2048, batch_size=4, workers=2)
    with dataset.batches() as batches:
        next(batches)
        assert set(batch_threads()) > before
    assert set(batch_threads()) <= before
    with pytest.raises(StopIteration):
        next(batches)


def test_an_error_reaches_the_consumer_at_its_step():
    before = set(batch_threads())

    def make(step):
        if step == 2:
            raise AudioFolderError("the third batch")
        return {"audio": np.full(1, step)}

    with BatchIterator(make, workers=2, prefetch=5) as batches:
        assert [int(next(batches)["audio"][0]) for _ in range(2)] == [0, 1]
        with pytest.raises(AudioFolderError, match="the third batch"):
            next(batches)
    assert set(batch_threads()) <= before


def test_an_interrupt_ends_the_process_at_once():
    code = (
        "import os, signal, sys\n"
        "from keras_audiogan.data import AudioDataset\n"
        f"dataset = AudioDataset({str(DIGITS)!r}, 2048, workers=2)\n"
        "for step, batch in enumerate(dataset.batches()):\n"
        "    if step == 3:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60
    )
    assert done.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in done.stderr


# Keras


@pytest.mark.backends
def test_fit_draws_the_batches_in_order_over_epochs():
    import keras

    before = set(batch_threads())

    class Meter(keras.Model):
        """Its weight adds up what it is shown: wrong data, wrong weight."""

        def __init__(self):
            super().__init__()
            self.total = self.add_weight(shape=(), initializer="zeros")

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            energy = keras.ops.mean(keras.ops.square(x["audio"]))
            label = keras.ops.cast(keras.ops.mean(x["labels"]), "float32")
            return y_pred * (energy + label)

        def call(self, x):
            return self.total + 0.0

    dataset = AudioDataset(
        DIGITS, 1024, batch_size=4, discriminator_steps=2, labels=True
    )
    model = Meter()
    model.compile(optimizer=keras.optimizers.SGD(1.0))
    seen = []
    feed = dataset.to_keras(start_step=3)
    original = feed._make_iterator
    feed._make_iterator = lambda index: (seen.append(index), original(index))[1]
    model.fit(feed, epochs=3, steps_per_epoch=4, shuffle=False, verbose=0)
    expected = 0.0
    for step in range(3, 15):
        batch = dataset.batch(step)
        expected += np.square(batch["audio"]).mean() + batch["labels"].mean()
    got = float(keras.ops.convert_to_numpy(model.total))
    assert got == pytest.approx(-expected, rel=1e-5)
    assert set(seen) == {0}
    feed.close()
    assert set(batch_threads()) <= before
