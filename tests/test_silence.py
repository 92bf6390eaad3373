"""Silence at the ends of files is trimmed, and silent slices are not drawn."""

import json

import numpy as np
import pytest
import soundfile
from training_support import resume_options, tiny_options

from keras_audiogan.audio import read_audio, resample
from keras_audiogan.data import AudioDataset, AudioFolder, AudioStore
from keras_audiogan.metrics import evaluate_gan
from keras_audiogan.runs.plan import make_plan
from keras_audiogan.runs.run_records import begin_run, check_data

RATE = 8000
# 5 ms.
KEPT = 40


def square(seconds, peak=0.5):
    wave = np.full(round(seconds * RATE), peak)
    wave[1::2] *= -1.0
    return wave


def silence(seconds, value=0.0):
    return np.full(round(seconds * RATE), value)


def write(path, *parts, subtype="PCM_16"):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.concatenate(parts), RATE, subtype=subtype)
    return path


def used(path, **options):
    (entry,) = AudioFolder.scan(path, **options).files
    return entry.start, entry.start + entry.num_used


# 0.3 s of sound between 2.0013 and 5 s of silence.
FIRST = 16010
CUT = (FIRST - KEPT, FIRST + 2400 + KEPT)


@pytest.mark.parametrize("check", ["full", "fast"])
@pytest.mark.parametrize(
    ("subtype", "rest"),
    [
        ("PCM_16", 0.0),
        ("PCM_16", 0.01),  # an offset of the recorder's, at -34 dB
        ("PCM_U8", -1 / 128),
        ("PCM_24", 1e-4),
        ("FLOAT", 0.0),
    ],
)
def test_ends_are_trimmed_to_the_sample(tmp_path, check, subtype, rest):
    lead = silence(2.00125, rest)
    path = write(
        tmp_path / "x.wav",
        *(lead, square(0.3) + rest, silence(5, rest), silence(6, rest)),
        subtype=subtype,
    )
    assert used(path, check=check) == CUT
    assert used(path, trim="off", check=check) == (0, FIRST + 2400 + 11 * RATE)


def test_how_quiet_silence_is(tmp_path):
    # -62 dB of the loudest for half a second behind it.
    tail = square(0.5, 0.5 * 10 ** (-62 / 20))
    path = write(tmp_path / "x.wav", square(0.3), tail, subtype="FLOAT")
    assert used(path) == (0, 2400 + KEPT)
    assert used(path, trim=60) == used(path, trim=-60.0) == used(path)
    assert used(path, trim=-64) == (0, 6400)
    for wrong in (0, -200, "on", True):
        with pytest.raises(ValueError, match="`trim` must be .off. or"):
            AudioFolder.scan(path, trim=wrong)


def test_a_channel_that_sounds_alone(tmp_path):
    wave = np.concatenate([silence(1), square(0.3), silence(1)])
    stereo = np.stack([silence(2.3), wave], axis=1)
    soundfile.write(tmp_path / "x.wav", stereo, RATE)
    expected = (RATE - KEPT, RATE + 2400 + KEPT)
    assert used(tmp_path / "x.wav") == expected
    assert used(tmp_path / "x.wav", num_channels=1) == expected


def hits(folder):
    for index in range(6):
        hit = square(0.3, 0.1 * (index + 1))
        parts = [[hit], [silence(1 + index), hit], [hit, silence(5)]]
        write(folder / f"{index}.wav", *parts[index % 3])


def test_hits_behind_silence_begin_at_once(tmp_path):
    hits(tmp_path)
    folder = AudioFolder.scan(tmp_path)
    # Before the second and the fifth 2 and 5 s, behind two others 5 s each.
    row = "silence   17.0 s trimmed off the ends of 4 files (more than 60 dB"
    assert row in folder.report().replace("16.9", "17.0")
    assert folder.hours * 3600 == pytest.approx(6 * 0.3 + 4 * 0.005)
    dataset = AudioDataset(folder, 4000, batch_size=6, level="keep")
    assert dataset.plan.mode == "pad"
    audio = dataset.batch(0)["audio"]
    assert (np.abs(audio[:, : KEPT + 1]).max(axis=(1, 2)) > 0.09).all()
    off = AudioDataset(tmp_path, 4000, trim="off")
    assert "silence   none trimmed (off)" in off.report()
    silent = np.abs(np.concatenate([b["audio"] for b in off.clips()]))
    assert (silent.max(axis=(1, 2)) == 0).mean() > 0.6
    with pytest.raises(ValueError, match="`trim` is for a path"):
        AudioDataset(folder, 4000, trim=-60)


def test_a_trimmed_file_at_another_rate(tmp_path):
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal(4000)
    path = write(tmp_path / "x.wav", silence(1.01), noise, silence(2))
    folder = AudioFolder.scan(path, sampling_rate=11025)
    whole = resample(read_audio(path)[0], RATE, 11025)
    first = folder.files[0].start * 11025 // RATE
    out = np.zeros((int(folder.lengths(11025)[0]), 1), np.float32)
    for cache_bytes in (0, 1 << 20):
        store = AudioStore(folder, 11025, 1, "keep", cache_bytes)
        assert store.read(0, 0, out)
        assert np.abs(out - whole[first : first + len(out)]).max() < 1e-6


@pytest.fixture(scope="module")
def pauses(tmp_path_factory):
    """2 s of sound, 3 of silence, 2 of sound, and a shorter file."""
    folder = tmp_path_factory.mktemp("pauses")
    write(folder / "long.wav", square(2), silence(3), square(2))
    write(folder / "short.wav", square(1))
    return folder


@pytest.mark.parametrize("check", ["full", "fast"])
def test_silent_slices_are_not_drawn(pauses, check):
    folder = AudioFolder.scan(pauses, check=check)
    dataset = AudioDataset(folder, 4000, batch_size=8, seed=1)
    assert dataset.plan.mode == "slice" and dataset.random_offset
    if check == "full":
        # Of 14 slices of half a second those from 2 s to 5 s.
        assert dataset.plan.num_silent == 6
        assert dataset.num_slices == 14 - 6 + 2
        assert "6 slices of nothing but silence left out" in dataset.report()
    batches = [dataset.batch(step)["audio"] for step in range(20)]
    clips = [np.concatenate([b["audio"] for b in dataset.clips()])]
    assert len(clips[0]) == 10
    clips.append(dataset.real_clips(30))
    for audio in (*batches, *clips):
        assert (np.abs(audio).max(axis=(1, 2)) == 1.0).all()
    again = AudioDataset(folder, 4000, batch_size=8, seed=1)
    assert np.array_equal(again.batch(7)["audio"], batches[7])
    off = AudioDataset(pauses, 4000, batch_size=8, seed=1, trim="off")
    assert off.num_slices == 16
    peaks = [np.abs(off.batch(s)["audio"]).max((1, 2)) for s in range(20)]
    assert (np.concatenate(peaks) == 0).any()


def test_a_run_from_before_there_was_trimming_keeps_its_slices(
    tmp_path, monkeypatch
):
    hits(tmp_path / "data")
    asked = {"data": tmp_path / "data"}
    run = tmp_path / "run"
    new = make_plan(tiny_options(run, **asked))
    assert new.dataset.folder.trim == new.options["trim"] == -60.0
    plan = make_plan(tiny_options(run, trim="off", hold_out=0, **asked))
    config = dict(plan.arguments)
    begin_run(run, plan.options, config, plan.dataset, plan.held_out)
    stored = json.loads((run / "options.json").read_text())
    stored["format_version"] = 2
    del stored["options"]["trim"], stored["options"]["hold_out"]
    (run / "options.json").write_text(json.dumps(stored))
    resumed = make_plan(resume_options(run, **asked))
    assert resumed.dataset.folder.trim == "off"
    assert not resumed.held_out.num_files
    check_data(run, resumed.dataset)
    assert np.array_equal(
        resumed.dataset.batch(3)["audio"], plan.dataset.batch(3)["audio"]
    )
    with pytest.raises(ValueError, match="trim=-60.0 .the run has 'off'"):
        make_plan(resume_options(run, trim=60, **asked))


def test_evaluation_says_that_real_clips_are_silent():
    rng = np.random.default_rng(0)
    train, test, made = (0.1 * rng.standard_normal((3, 20, 2000, 1))).astype(
        "float32"
    )
    options = {"sampling_rate": RATE, "num_resamples": 0}
    assert evaluate_gan(made, train, test, **options)["warnings"] == []
    train[:7] = test[3] = 0.0
    (warning,) = evaluate_gan(made, train, test, **options)["warnings"]
    assert "7 of 20 training clips and 1 of 20 test clips" in warning
