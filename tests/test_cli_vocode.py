"""`audiogan vocode`, and `audiogan evaluate` of vocoders."""

import importlib.util
import json
import pathlib
import shutil
import sys
import tracemalloc

import keras
import numpy as np
import pytest
import soundfile
from cli_support import audiogan
from preset_support import tiny_gan

from keras_audiogan import audio, metrics, saving, vocoding
from keras_audiogan.metrics import judges
from keras_audiogan.models import HiFiGAN, MultiBandMelGAN, ParallelWaveGAN
from keras_audiogan.presets import cards

pytestmark = pytest.mark.usefixtures("in_a_new_folder")

DIGITS = pathlib.Path(__file__).parent / "data" / "digits"
RATE = 8000
SHARED = {
    "sampling_rate": RATE,
    "slice_length": 2048,
    "level": "keep",
    "mel": {
        "num_mel_bins": 20,
        "fft_length": 256,
        "frame_step": 64,
        "window_length": 256,
        "min_frequency": 0.0,
        "max_frequency": 3000.0,
    },
    "discriminator": {
        "kind": "multi_scale",
        "num_scales": 1,
        "channels": 4,
        "max_channels": 8,
        "downsample_rates": [2],
    },
}
TINY = {
    "hifigan": (
        HiFiGAN,
        {
            "channels": 8,
            "upsample_rates": [8, 8],
            "upsample_kernel_sizes": [16, 16],
            "block_kernel_sizes": [3],
            "block_dilations": [[1, 2]],
            "block_type": 2,
        },
    ),
    "multiband_melgan": (
        MultiBandMelGAN,
        {"channels": 8, "upsample_rates": [4, 4], "num_stacks": 2},
    ),
    "parallel_wavegan": (
        ParallelWaveGAN,
        {
            "num_layers": 4,
            "num_stacks": 2,
            "residual_channels": 16,
            "gate_channels": 32,
            "skip_channels": 16,
            "upsample_rates": [8, 8],
        },
    ),
}


def build(name):
    architecture, options = TINY[name]
    keras.utils.set_random_seed(1)
    vocoder = architecture(**SHARED, **options)
    rng = np.random.default_rng(1)
    for network in vocoder.preset_weights.values():
        network.set_weights(
            [
                weight + rng.normal(0, 0.2, weight.shape).astype("float32")
                for weight in network.get_weights()
            ]
        )
    vocoder.on_preset_loaded(set(vocoder.preset_weights))
    return vocoder


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets")
    for name in TINY:
        build(name).save_to_preset(
            folder / name,
            storage_dtype="float32",
            training={"data": {"name": "digits"}},
        )
    return folder


@pytest.fixture(scope="module")
def hifigan(presets):
    return saving.load_preset(presets / "hifigan")


def vocode(*arguments):
    result = audiogan("vocode", *arguments)
    assert result.exit_code == 0, result.output
    return result


def sound(path):
    return audio.read_audio(path)[0][:, 0]


def recordings(folder, count=2):
    folder = pathlib.Path(folder)
    for word in ("one", "two"):
        (folder / word).mkdir(parents=True)
        for file in sorted((DIGITS / word).iterdir())[:count]:
            shutil.copy(file, folder / word)
    return sorted(folder.rglob("*.flac"))


@pytest.mark.slow
def test_copies_and_their_figures(presets, hifigan):
    files = recordings("in")
    real, _ = audio.read_audio(files[0])
    stereo = audio.resample(np.repeat(real, 2, axis=1), RATE, 22050)
    audio.write_audio("in/deep/er/stereo.wav", stereo, 22050)
    result = vocode(
        *(presets / "hifigan", "in", "-o", "out", "--plot"),
        *("--report", "out/report.json"),
    )
    made = sorted(path.name for path in pathlib.Path("out").rglob("*.wav"))
    assert made == sorted([f"{file.stem}.wav" for file in files] + made[-1:])
    assert made[-1] == "stereo.wav"
    assert pathlib.Path("out/hifigan.png").stat().st_size > 10_000
    report = json.loads(pathlib.Path("out/report.json").read_text())
    assert report["skipped"] == [] and report["level"] == "keep"
    rows = {row["file"]: row for row in report["files"]}
    assert len(rows) == 5
    for file in files:
        real = sound(file)
        copy = hifigan.vocode(real)[0, :, 0]
        name = f"{file.parent.name}/{file.stem}.wav"
        written, rate = audio.read_audio(f"out/{name}")
        assert rate == RATE and written.shape == (len(real), 1)
        np.testing.assert_allclose(written[:, 0], copy, atol=1e-4)
        assert np.abs(copy).max() > 0.01
        convergence, distance = metrics.multi_resolution_stft_distance(
            real, copy
        )
        row = rows[name]
        assert row["spectral_convergence"] == pytest.approx(convergence, 1e-3)
        assert row["log_stft_distance"] == pytest.approx(distance, 1e-3)
        for key, full in (
            ("log_mel_distance", True),
            ("log_mel_distance_in_band", False),
        ):
            wanted = metrics.log_mel_distance(
                real, copy, hifigan.features, full
            )
            assert row[key] == pytest.approx(wanted, 1e-3)
        assert row["seconds"] == len(real) / RATE
        assert row["real_time_factor"] * row["times_real_time"] == (
            pytest.approx(1.0)
        )
    assert len(sound("out/deep/er/stereo.wav")) == pytest.approx(
        len(sound(files[0])), abs=1
    )
    mean = np.mean([row["log_mel_distance"] for row in rows.values()])
    assert report["mean"]["log_mel_distance"] == pytest.approx(mean)
    assert f"{mean:.3g}" in result.stdout.splitlines()[-2]
    assert "Wrote 5 sounds to out with a picture" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_long_files_in_pieces_are_the_same(presets, monkeypatch, name):
    speech = [sound(file) for file in recordings("in", 3)]
    audio.write_audio("speech.flac", np.concatenate(speech), RATE)
    shown = []
    for folder in ("whole", "parts"):
        options = ("--report", f"{folder}.json", "--seed", 3)
        vocode(presets / name, "speech.flac", "-o", folder, *options)
        shown.append(json.loads(pathlib.Path(f"{folder}.json").read_text()))
        monkeypatch.setattr(vocoding, "PIECE_SECONDS", 1.0)
        monkeypatch.setattr(vocoding, "_MOST_MEL_BYTES", 0)
    vocoder = saving.load_preset(presets / name).fuse_weight_norm()
    recording = vocoding.Recording("speech.flac", vocoder)
    assert len(recording.pieces()) > 2
    padding = -recording.num_samples % 64
    whole = vocoder.mel(np.pad(sound("speech.flac"), (0, padding)))[0]
    sections = list(recording.mels(section_frames=7))
    assert len(sections) > 10
    np.testing.assert_allclose(np.concatenate(sections), whole, atol=1e-4)
    vocode(
        *(presets / name, "speech.flac", "-o", "chunks"),
        *("--chunk-frames", 40, "--seed", 3, "--format", "flac"),
    )
    wanted = sound("whole/speech.wav")
    assert np.abs(wanted).max() > 0.01
    for file in ("parts/speech.wav", "chunks/speech.flac"):
        np.testing.assert_allclose(sound(file), wanted, atol=1e-4)
    # Pieces are compared one by one, and count by their length.
    real = sound("speech.flac")
    copy = vocoder.vocode(real, seed=3)[0, :, 0]
    (shown,) = (report["files"][0] for report in shown[1:])
    distances = [
        metrics.multi_resolution_stft_distance(
            real[start : start + length], copy[start : start + length]
        )
        for start, length in recording.pieces()
    ]
    wanted = np.average(
        distances, axis=0, weights=[part[1] for part in recording.pieces()]
    )
    assert shown["spectral_convergence"] == pytest.approx(wanted[0], 1e-3)
    assert shown["log_stft_distance"] == pytest.approx(wanted[1], 1e-3)


@pytest.mark.slow
def test_the_seed_counts_where_there_is_noise(presets):
    recordings("in", 1)
    for name, same in (("parallel_wavegan", False), ("hifigan", True)):
        for seed in (1, 2):
            vocode(
                *(presets / name, "in/one", "-o", f"{name}{seed}"),
                *("--seed", seed, "--no-compare"),
            )
        first, second = (
            sound(next(pathlib.Path(f"{name}{seed}").glob("*.wav")))
            for seed in (1, 2)
        )
        assert np.allclose(first, second, atol=1e-4) == same


@pytest.mark.slow
def test_mels_of_either_layout(presets, hifigan):
    clip = sound(sorted((DIGITS / "one").iterdir())[0])
    mel = hifigan.mel(clip)[0]
    pathlib.Path("mels").mkdir()
    np.save("mels/a.npy", mel)
    np.save("mels/b.npy", mel.T.astype("float64"))
    np.save("mels/c.npy", mel[np.newaxis])
    np.save("mels/square.npy", mel[:20])
    result = vocode(presets / "hifigan", "mels", "-o", "out")
    wanted = hifigan.vocode(mel)[0, :, 0]
    for name in "abc":
        np.testing.assert_allclose(sound(f"out/{name}.wav"), wanted, atol=1e-4)
    assert "square.npy" in result.stderr
    assert "(20, 20); say it with --mel-layout" in result.stderr
    square = hifigan.vocode(mel[:20])[0, :, 0]
    other = hifigan.vocode(mel[:20].T)[0, :, 0]
    for layout, sounds in (("frames-first", square), ("bins-first", other)):
        vocode(
            *(presets / "hifigan", "mels/square.npy", "-o", layout, "--plot"),
            *("--mel-layout", layout),
        )
        np.testing.assert_allclose(
            sound(f"{layout}/square.wav"), sounds, atol=1e-4
        )


def test_peak_level_is_undone(presets):
    loud = sound(sorted((DIGITS / "two").iterdir())[0])
    loud = (0.9 / np.abs(loud).max() * loud).astype("float32")
    soundfile.write("loud.wav", loud, RATE, "FLOAT")
    soundfile.write("quiet.wav", loud / 16, RATE, "FLOAT")
    both = ("loud.wav", "quiet.wav")
    for level in ("peak", "keep"):
        vocode(presets / "hifigan", *both, "-o", level, "--level", level)
    first, second = (sound(f"peak/{name}") for name in both)
    np.testing.assert_allclose(second, first / 16, atol=1e-4)
    first, second = (sound(f"keep/{name}") for name in both)
    assert not np.allclose(second, first / 16, atol=1e-3)


def make_bad_inputs(folder):
    folder = pathlib.Path(folder)
    folder.mkdir()
    (folder / "junk.wav").write_text("no sound")
    (folder / "empty.flac").touch()
    (folder / "notes.txt").write_text("not an input")
    soundfile.write(folder / "short.wav", np.zeros(255), RATE)
    nans = np.zeros(4000)
    nans[3000] = np.nan
    soundfile.write(folder / "nan.wav", nans, RATE, "FLOAT")
    cut = folder / "cut.wav"
    soundfile.write(cut, np.zeros(4000), RATE)
    cut.write_bytes(cut.read_bytes()[:2000])
    np.save(folder / "shape.npy", np.zeros((30, 21)))
    np.save(folder / "nan.npy", np.full((30, 20), np.nan))
    np.save(folder / "words.npy", np.array(["a", "b"]))
    np.save(folder / "object.npy", np.array([{}]), allow_pickle=True)
    (folder / "junk.npy").write_text("no numbers")
    return {
        "junk.wav": "not sound that can be read",
        "empty.flac": "empty file",
        "short.wav": "too short: 0.032 s",
        "nan.wav": "NaN or infinite",
        "cut.wav": "truncated",
        "shape.npy": "expected (frames, 20) or (20, frames). Received: "
        "(30, 21)",
        "nan.npy": "NaN or infinite",
        "words.npy": "real numbers",
        "object.npy": "not a NumPy file of numbers",
        "junk.npy": "not a NumPy file of numbers",
    }


def test_bad_inputs_are_skipped_and_listed(presets):
    reasons = make_bad_inputs("bad")
    soundfile.write("bad/silent.wav", np.zeros(3000), RATE)
    result = vocode(
        *(presets / "hifigan", "bad", "-o", "out", "--report", "report.json")
    )
    lines = result.stderr.splitlines()
    assert lines[0] == f"Skipped {len(reasons)}:"
    for name, reason in reasons.items():
        assert any(f"bad/{name}: " in line and reason in line for line in lines)
    assert [path.name for path in pathlib.Path("out").iterdir()] == [
        "silent.wav"
    ]
    report = json.loads(pathlib.Path("report.json").read_text())
    assert len(report["skipped"]) == len(reasons)
    (row,) = report["files"]
    assert row["seconds"] == 0.375 and "log_mel_distance" not in row

    result = audiogan(
        "vocode", presets / "hifigan", "bad", "-o", "strict", "--strict"
    )
    assert result.exit_code == 1
    assert "Without --strict it would be skipped" in result.stderr
    assert not list(pathlib.Path("strict").iterdir())

    pathlib.Path("bad/silent.wav").unlink()
    result = audiogan("vocode", presets / "hifigan", "bad", "-o", "none")
    assert result.exit_code == 1
    assert "None of the 10 inputs can be used" in result.stderr
    assert not list(pathlib.Path("none").iterdir())


@pytest.mark.slow
def test_names_that_collide(presets):
    files = recordings("in", 1)
    shutil.copy(files[0], "in/a.flac")
    audio.write_audio("in/a.wav", sound(files[0]), RATE)
    (preset, out) = (presets / "hifigan", ("-o", "out"))
    vocode(preset, "in", *out, "--no-compare")
    made = {
        str(path.relative_to("out"))
        for path in pathlib.Path("out").rglob("*.wav")
    }
    one, two = (f"{f.parent.name}/{f.stem}.wav" for f in files)
    assert made == {"a_flac.wav", "a_wav.wav", one, two}
    # A file that is given twice is one input.
    vocode(preset, "in/one", "in/a.wav", files[0], "-o", "few", "--no-compare")
    assert len(list(pathlib.Path("few").rglob("*.wav"))) == 2

    again = audiogan("vocode", preset, "in", *out)
    assert again.exit_code == 1 and "exists already" in again.stderr
    vocode(preset, "in", *out, "--overwrite", "--no-compare")

    pathlib.Path("other").mkdir()
    shutil.copy("in/a.wav", "other/a.wav")
    result = audiogan("vocode", preset, "in/a.wav", "other/a.wav", "-o", "x")
    assert result.exit_code == 2
    assert "in/a.wav and other/a.wav would both be written" in result.stderr
    result = audiogan("vocode", preset, "other", "-o", "other", "--overwrite")
    assert result.exit_code == 2 and "would be written over" in result.stderr
    # What lies in a folder of copies inside the inputs is not vocoded.
    for _ in range(2):
        vocode(preset, "other", "-o", "other/made", "--overwrite")
    assert len(list(pathlib.Path("other").rglob("*.wav"))) == 2


def test_phases_are_corrected_as_often_as_asked(presets, hifigan):
    file = recordings("in", 1)[0]
    mels = {}
    for number in ("0", "8"):
        vocode(
            *(presets / "hifigan", "in", "-o", f"out{number}"),
            *("--phase-iterations", number),
        )
        made = sound(f"out{number}/{file.parent.name}/{file.stem}.wav")
        mels[number] = hifigan.mel(made, RATE)
    wanted = hifigan.mel(sound(file), RATE)
    misses = {k: np.abs(mel - wanted).mean() for k, mel in mels.items()}
    assert misses["8"] < 0.5 * misses["0"]
    result = audiogan(
        *("vocode", presets / "hifigan", "in", "-o", "out"),
        *("--phase-iterations", "1001"),
    )
    assert result.exit_code == 2 and "1000" in result.stderr


def test_wrong_kinds_of_preset_and_input(presets):
    tiny_gan().save_to_preset("gan")
    recordings("in", 1)
    pathlib.Path("nothing").mkdir()
    hifigan = presets / "hifigan"
    for arguments, wanted in (
        (("vocode", "gan", "in", "-o", "out"), "audiogan sample gan -n 8"),
        (("sample", hifigan, "-o", "out"), f"audiogan vocode {hifigan}"),
        (("vocode", hifigan, "nothing", "-o", "out"), "No sound file"),
        (("vocode", hifigan, "missing", "-o", "out"), "does not exist"),
        (("vocode", hifigan, "in"), "--output"),
        (("vocode", hifigan, "in", "-o", "x", "--report", "a.txt"), ".json"),
    ):
        result = audiogan(*arguments)
        assert result.exit_code == 2, result.output
        assert wanted in result.stderr
        assert not list(pathlib.Path().rglob("*.wav"))


def test_an_interrupted_file_does_not_appear(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        with audio.AudioWriter("a.wav", RATE) as writer:
            writer.write(np.zeros((20_000, 1)))
            assert not pathlib.Path("a.wav").exists()
            raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
    with audio.AudioWriter("b.wav", RATE) as writer:
        for part in np.split(np.linspace(-2, 2, 30_000), 3):
            writer.write(part[:, np.newaxis])
    whole = np.clip(np.linspace(-2, 2, 30_000), -1, 1)
    np.testing.assert_allclose(sound("b.wav"), whole, atol=1e-4)
    with pytest.raises(ValueError, match="with"):
        writer.write(np.zeros((4, 1)))


@pytest.fixture
def without_packages(monkeypatch):
    for name in ("pyworld", "pesq", *(x.module for x in judges.JUDGES)):
        monkeypatch.setitem(sys.modules, name, None)


def test_evaluation_beside_griffin_lim(presets, hifigan, without_packages):
    recordings("in", 4)
    shutil.copytree(presets / "hifigan", "mine")
    command = ("evaluate", "mine", "--data", "in", "--test", "*/[t-y]*")
    result = audiogan(*command, "-n", 3, "--json", "--save")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["num_clips"] == len(report["clips"]) == 3
    names = [clip["name"] for clip in report["clips"]]
    real = [sound(f"in/{name}") for name in names]
    copies = [hifigan.vocode(clip)[0, :, 0] for clip in real]
    wanted = metrics.vocoder_report(real, copies, RATE, hifigan.features)
    columns = ("vocoder", "griffin_lim", "fast_griffin_lim", "real")
    for name, figure in wanted["figures"].items():
        row = report["figures"][name]
        for key in ("value", "low", "high"):
            assert row["vocoder"][key] == pytest.approx(figure[key], 1e-2)
        assert row["real"]["value"] == 0.0
    # The classic column: pseudo-inverse, no momentum; the fast one: both.
    options = (
        {"momentum": 0.0, "magnitude_iterations": 0},
        {"momentum": 0.99, "magnitude_iterations": 100},
    )
    for column, option in zip(columns[1:3], options, strict=True):
        for clip, row in zip(real, report["clips"], strict=True):
            mel = hifigan.mel(np.pad(clip, (0, -len(clip) % 64)))[0]
            again = metrics.griffin_lim(mel, hifigan.features, 32, **option)
            again = again[: len(clip)]
            assert row[column]["mel_cepstral_distortion"] == pytest.approx(
                metrics.mel_cepstral_distortion(clip, again, RATE), rel=1e-3
            )
            power = np.mean(again**2) / np.mean(clip**2)
            assert row[column]["level_difference"] == pytest.approx(
                10 * np.log10(power), abs=0.01
            )
    in_band = report["figures"]["log_mel_distance_in_band"]
    assert in_band["fast_griffin_lim"]["value"] < in_band["vocoder"]["value"]
    factors = report["figures"]["real_time_factor"]
    assert factors["real"] is None and factors["vocoder"]["value"] > 0

    saved = saving.read_training("mine")["metrics"]["log_mel_distance"]
    row = report["figures"]["log_mel_distance"]
    assert saved["value"] == row["vocoder"]["value"]
    assert saved["fast_griffin_lim"] == row["fast_griffin_lim"]["value"]
    assert saved["command"].startswith("audiogan evaluate mine")
    card = pathlib.Path("mine/README.md").read_text()
    assert "audiogan vocode ./mine recordings/ -o out/" in card
    assert "20 bands, 0 to 3,000 Hz, FFT 256, hop 64" in card
    assert "Fast Griffin-Lim" in card and "vocoder.vocode(mel)" in card


@pytest.mark.slow
def test_evaluation_as_table_and_reports(presets, without_packages):
    recordings("in", 2)
    command = ("evaluate", presets / "multiband_melgan", "--data", "in")
    result = audiogan(*command, "-n", 1, "--report", "a.json")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    (header,) = [line for line in lines if line.startswith("Figure")]
    assert header.split()[:3] == ["Figure", "Vocoder", "Griffin-Lim"]
    assert any(
        line.startswith("Mel-cepstral distortion (dB)") for line in lines
    )
    assert (
        lines[-1] == "no PESQ: the package pesq is not installed (1 of 1 "
        "recordings)"
    )
    text = " ".join(result.stdout.split())
    assert "not installed (pip install 'keras-audiogan[judges]')" in text
    assert json.loads(pathlib.Path("a.json").read_text())["num_clips"] == 1
    result = audiogan(*command, "-n", 1, "--no-judges")
    assert "judges" not in result.stdout
    assert audiogan(*command, "-n", 1, "--report", "a.png").exit_code == 0
    assert pathlib.Path("a.png").stat().st_size > 10_000
    for arguments, wanted in (
        (("--report", "a.html"), ".json or .png"),
        (("--truncation", 0.5), "--truncation is not for vocoders"),
        (("--augmentation-study",), "is not for vocoders"),
    ):
        result = audiogan(*command, *arguments)
        assert result.exit_code == 2 and wanted in result.stderr


def test_one_file_from_python(hifigan):
    """A recording and mels, without the command line; and means of rows."""
    rng = np.random.default_rng(0)
    clip = rng.uniform(-0.5, 0.5, 4000).astype("float32")
    soundfile.write("a.wav", clip, RATE, "FLOAT")
    lengths = []

    def compare(real, fake):
        assert real.shape == fake.shape
        lengths.append(len(real))
        return {"first": real[0], "length": len(fake)}

    row = vocoding.vocode_file(
        hifigan, "a.wav", "out/a.flac", chunk_frames=10, compare=compare
    )
    assert lengths == [4000] and row["kind"] == "sound"
    assert row["first"] == clip[0] and row["seconds"] == 0.5
    assert row["compute_seconds"] == pytest.approx(
        0.5 * row["real_time_factor"]
    )
    np.testing.assert_allclose(
        sound("out/a.flac"), hifigan.vocode(clip)[0, :, 0], atol=1e-4
    )

    mel = hifigan.mel(clip)[0]
    np.save("m.npy", mel)
    row = vocoding.vocode_file(hifigan, "m.npy", "m.wav", compare=compare)
    assert row["kind"] == "mel" and "first" not in row
    assert row["seconds"] == len(mel) * 64 / RATE and len(lengths) == 1

    means = vocoding.means(
        [
            {"seconds": 1.0, "compute_seconds": 2.0, "figure": 1.0},
            {"seconds": 3.0, "compute_seconds": 2.0, "figure": 2.0},
            {"seconds": 4.0, "compute_seconds": 0.0, "kind": "mel"},
        ]
    )
    assert means["figure"] == 1.5 and means["seconds"] == 8.0
    assert means["real_time_factor"] == 0.5 and means["times_real_time"] == 2.0


def test_figures_of_pieces_count_by_their_length(hifigan, monkeypatch):
    """Pieces of 0.5 s at most: 4,001 samples are 2,001 and 2,000."""
    monkeypatch.setattr(vocoding, "PIECE_SECONDS", 0.5)
    soundfile.write("a.wav", np.full(4001, 0.1), RATE, "FLOAT")
    places = iter([1.0, 5.0])
    row = vocoding.vocode_file(
        hifigan,
        "a.wav",
        "b.wav",
        compare=lambda real, fake: {"place": next(places)},
    )
    assert row["place"] == pytest.approx((2001 * 1 + 2000 * 5) / 4001)


def test_a_long_recording_needs_the_memory_of_a_piece(hifigan, monkeypatch):
    """300 s are 9.6 MB of samples, and so is the copy; 5 s are 0.16 MB."""
    monkeypatch.setattr(vocoding, "PIECE_SECONDS", 5.0)
    monkeypatch.setattr(vocoding, "_MOST_MEL_BYTES", 0)
    rng = np.random.default_rng(0)
    with audio.AudioWriter("long.wav", RATE) as writer:
        for _ in range(60):
            writer.write(rng.uniform(-0.5, 0.5, (5 * RATE, 1)))
    tracemalloc.start()
    try:
        row = vocoding.vocode_file(
            hifigan,
            "long.wav",
            "copy.wav",
            compare=lambda real, fake: {"same": len(real) == len(fake)},
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert row["seconds"] == 300.0 and row["same"] == 1.0
    assert soundfile.info("copy.wav").frames == 300 * RATE
    assert peak < 4e6


def test_one_file_that_cannot_be_used_says_which_and_why(hifigan, tmp_path):
    soundfile.write("short.wav", np.zeros(100), RATE)
    np.save("m.npy", np.full((20, 20), -5.0, "float32"))
    for source, reason in (
        ("short.wav", "too short: 0.013 s"),
        ("m.npy", "say it with `mel_layout`"),
    ):
        with pytest.raises(audio.AudioFileError) as caught:
            vocoding.vocode_file(hifigan, source, "out.wav")
        assert caught.value.path == source
        assert reason in caught.value.reason
    with pytest.raises(ValueError, match="Received: layout='sideways'"):
        vocoding.vocode_file(hifigan, "m.npy", "o.wav", mel_layout="sideways")
    with pytest.raises(ValueError, match="Received: chunk_frames=0"):
        vocoding.vocode_file(
            hifigan, "m.npy", "o.wav", chunk_frames=0, mel_layout="bins-first"
        )
    soundfile.write("a.wav", np.full(4000, 0.5), RATE)

    def stop(real, fake):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vocoding.vocode_file(hifigan, "a.wav", "o.wav", compare=stop)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("short.wav", "m.npy", "a.wav")
    }


def test_levels():
    clip = np.array([0.0, -0.25, 0.1], "float32")
    assert metrics.level_gain(clip, "peak") == 4.0
    assert metrics.level_gain(np.zeros(3), "peak") == 1.0
    assert metrics.level_gain(clip, "keep") == 1.0
    assert metrics.level_gain(clip, 0.5) == 0.5
    for level in ("loud", 0.0, -1.0):
        with pytest.raises(ValueError, match="level="):
            metrics.level_gain(clip, level)


@pytest.mark.skipif(
    importlib.util.find_spec("pyworld") is None,
    reason="pitch needs pyworld, which compiles C++ to install",
)
def test_pitch_of_the_compiled_part():
    times = np.arange(8000) / RATE
    tones = [
        sum(np.sin(2 * np.pi * f * k * times) / k for k in range(1, 6)) / 4
        for f in (150.0, 160.0)
    ]
    errors = metrics.f0_and_voicing(*tones, RATE)
    assert errors["f0_rmse_hertz"] == pytest.approx(10.0, abs=0.5)


def test_cards_survive_what_strangers_write():
    config = {"config": {"mel": {"num_mel_bins": "<b>", "fft_length": [1]}}}
    assert cards.mels({**config, "sampling_rate": None}) == "not stated"
    config = {"config": {"mel": 80}, "sampling_rate": None}
    assert cards.mels(config) == "not stated"
