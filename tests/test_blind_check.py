"""The blind check: what is the same passes, what differs is named."""

import json

import numpy as np
import pytest
from cli_support import audiogan

from keras_audiogan import metrics
from keras_audiogan.metrics.blind_check import fit_logistic, in_words
from keras_audiogan.presets.figures import FIGURES

RATE, TIME = 8000, 4000


def sounds(count, seed):
    """Decaying pink noises of various lengths and levels."""
    random = np.random.default_rng(seed)
    spectrum = np.fft.rfft(random.standard_normal((count, TIME)))
    spectrum /= np.sqrt(1 + (np.arange(TIME // 2 + 1) / 250) ** 2)
    audio = np.fft.irfft(spectrum, TIME)
    decay = random.uniform(800, 2500, (count, 1))
    audio *= np.exp(-np.arange(TIME) / decay)
    audio *= random.uniform(0.3, 1, (count, 1)) / np.abs(audio).max(1)[:, None]
    return audio[..., None]


REAL, SAME = sounds(160, 0), sounds(80, 1)


def check(generated, **options):
    return metrics.tell_apart(generated, REAL, RATE, **options)


def test_two_halves_of_one_distribution_are_not_told_apart():
    report = check(SAME)
    assert report["num_clips"] == report["num_control_clips"] == 80
    for name in ("spectra", "envelopes"):
        for entry in (report[name]["accuracy"], report[name]["control"]):
            # 160 guesses: a standard deviation is 0.04.
            assert 0.38 < entry["value"] < 0.62
            assert entry["low"] < entry["value"] < entry["high"]
    assert in_words(report) == [
        "By spectra: nothing for certain.",
        "By envelopes: nothing for certain.",
    ]


def test_a_comb_is_heard_and_its_frequency_named():
    times = np.arange(TIME)[None, :, None] / RATE
    buzz = SAME * (1 + 0.4 * np.cos(2 * np.pi * 62.5 * times))
    report = check(buzz)
    assert report["envelopes"]["accuracy"]["value"] > 0.9
    first = report["envelopes"]["hears"][0]
    assert first["feature"] == "62 Hz of the envelope"
    assert first["difference"] > 5
    heard = in_words(report)[1]
    assert heard.startswith("By envelopes: 62 Hz of the envelope, ")
    assert "dB above real" in heard


def test_a_missing_band_is_heard_and_named():
    spectrum = np.fft.rfft(SAME, axis=1)
    hertz = np.arange(TIME // 2 + 1) * RATE / TIME
    spectrum[:, (hertz > 900) & (hertz < 1100)] = 0
    found = check(np.fft.irfft(spectrum, TIME, axis=1))["spectra"]
    assert found["accuracy"]["value"] == 1
    # Resampling alone would say that this is certain.
    assert 0.9 < found["accuracy"]["low"] < 1
    # The 19th of 40 bands has its middle at 992 Hz.
    assert found["hears"][0]["feature"] == "level at 992 Hz"
    assert found["hears"][0]["difference"] < -10


def test_a_constant_part_and_a_lean_are_heard():
    told = check(SAME + 0.05)["envelopes"]
    assert told["accuracy"]["value"] > 0.9
    assert told["hears"][0]["feature"] == "constant part (DC)"
    leaning = np.where(SAME > 0, SAME, 0.5 * SAME)
    told = check(leaning - leaning.mean(axis=1, keepdims=True))["envelopes"]
    names = [entry["feature"] for entry in told["hears"]]
    assert any("waveform" in name for name in names[:2])


def test_clips_of_one_file_never_stand_on_both_sides():
    # Each file is a sound of its own, eight times over: whoever has heard
    # one clip of it knows the others.
    real = np.repeat(sounds(16, 2), 8, axis=0)
    generated = sounds(64, 3)
    files = np.repeat(np.arange(16), 8)
    kept = metrics.tell_apart(generated, real, RATE, files=files)
    assert kept["spectra"]["control"]["value"] < 0.75
    leaked = metrics.tell_apart(generated, real, RATE)
    control = leaked["spectra"]["control"]
    assert leaked["spectra"]["accuracy"]["value"] > 0.75
    # Chance by files is wider than chance by clips.
    wide, narrow = (
        x["high"] - x["low"] for x in (kept["spectra"]["control"], control)
    )
    assert wide > narrow


def test_newton_reaches_the_least_loss():
    # One feature of -1 and 1, three of four rows each on their side, no
    # ridge to speak of: the odds are 3, so the coefficient is log 3.
    features = np.array([-1, -1, -1, -1, 1, 1, 1, 1.0])[:, None]
    kinds = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    weights, bias = fit_logistic(features, kinds, 1e-9)
    np.testing.assert_allclose(weights, [np.log(3)], rtol=1e-6)
    assert abs(bias) < 1e-9
    # Separable: only the ridge holds it, whose slope meets the losses'.
    (weight,), bias = fit_logistic(10 * features, features[:, 0] > 0, 0.5)
    assert weight == pytest.approx(8 * 10 / (1 + np.exp(10 * weight)), 1e-4)


def test_a_report_says_it_in_every_form():
    report = metrics.evaluate_gan(
        SAME[:50] + 0.1,
        REAL,
        sounds(40, 4),
        sampling_rate=RATE,
        num_resamples=0,
    )
    metrics.add_blind_check(report, SAME[:50] + 0.1, REAL)
    row = report["figures"]["told_by_envelopes"]
    assert row["generated"]["value"] > 0.8 > row["real_test"]["value"]
    table = metrics.format_table(report)
    assert "Told from real by envelopes (%)" in table
    assert "By envelopes: constant part (DC)" in table
    card = metrics.metrics_for_card(report)
    assert card["told_by_spectra"]["better"] == "lower"
    assert {"told_by_spectra", "told_by_envelopes"} <= {*card} <= {*FIGURES}


@pytest.mark.parametrize(
    "generated, options, message",
    [
        (SAME[:39], {}, "needs 40 clips of each kind.*39 generated and 160"),
        (SAME[:, :-1], {}, r"shapes \(80, 3999, 1\) and \(160, 4000, 1\)"),
        (SAME, {"files": [0] * 7}, "Received: 7 for 160 clips"),
        (SAME, {"files": [1, 2] * 80}, "10 files of real.*Received: 2 files"),
    ],
)
def test_what_cannot_be_compared_is_refused(generated, options, message):
    with pytest.raises(ValueError, match=message):
        check(generated, **options)


def test_the_command_reports_and_saves_it(tmp_path, monkeypatch):
    from keras_audiogan.audio import write_audio
    from keras_audiogan.models import WaveGAN

    WaveGAN(slice_length=1024, dim=1, sampling_rate=RATE).save_to_preset(
        tmp_path / "mine"
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for i, sound in enumerate(REAL[:50, :1024]):
        write_audio(tmp_path / f"data/{i:02d}.wav", sound, RATE)
    command = ("evaluate", "mine", "--data", "data", "--no-music")
    command += ("--test", "?[05].wav")
    result = audiogan(*command, "-n", 39, "--blind-check")
    assert result.exit_code == 2
    assert "Received: 39 generated and 50 real clips" in result.stderr
    report = ("--report", "report.html", "--save")
    result = audiogan(*command, "-n", 45, "--blind-check", *report)
    assert result.exit_code == 0, result.output
    # Untrained networks are told by anything.
    assert "Told from real by spectra (%)" in result.stdout
    assert "By spectra: level at" in result.stdout
    assert "Told from real by envelopes" in (
        tmp_path / "report.html"
    ).read_text("utf-8")
    training = json.loads((tmp_path / "mine/training.json").read_text())
    figure = training["metrics"]["told_by_spectra"]
    assert figure["value"] > 0.9 > figure["real_test"]
    card = (tmp_path / "mine/README.md").read_text("utf-8")
    assert "| Told from real by spectra (%) | " in card
    result = audiogan(*command, "--blind-check", "--augmentation-study")
    assert result.exit_code == 2 and "give one of the two" in result.stderr
