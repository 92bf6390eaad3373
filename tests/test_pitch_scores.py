"""Notes whose labels are pitches: a tracker, a second classifier, colours."""

import importlib.util
import json
import pathlib
import shutil

import architecture_cases as cases
import numpy as np
import pytest
from cli_support import audiogan

from keras_audiogan import metrics
from keras_audiogan.audio import write_audio
from keras_audiogan.audio.rainbowgrams import rainbowgram, save_rainbowgrams
from keras_audiogan.metrics import pitch_scores
from keras_audiogan.metrics.second_opinion import label_entropy

DIGITS = pathlib.Path(__file__).parent / "data" / "digits"
RATE = 16000
needs_tracker = pytest.mark.skipif(
    importlib.util.find_spec("swift_f0") is None,
    reason="pitches are heard by swift-f0, of the extra pitch",
)


def tone(pitch, seconds=0.5, rate=RATE):
    """A note of four harmonics, `(time, 1)`."""
    hertz = 440.0 * 2.0 ** ((pitch - 69) / 12)
    phase = 2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate
    wave = sum(np.sin(k * phase) / k for k in (1, 2, 3, 4))
    return (0.3 * wave).astype("float32")[:, None]


def test_which_labels_are_pitches():
    assert metrics.pitches_of_labels(["060", "C#4"]).tolist() == [60, 61]
    # Digits, words, nothing.
    for labels in (["0", "1", "2"], ["zero", "one"], ["060", "kick"], None, []):
        assert metrics.pitches_of_labels(labels) is None


def test_fifty_cents_are_right():
    heard = np.array([60.49, 59.51, 60.51, 48.0, np.nan])
    right = pitch_scores.is_right(heard, np.full(5, 60))
    assert right.tolist() == [True, True, False, False, False]


@needs_tracker
def test_a_tracker_hears_notes():
    clips = np.stack([tone(48), tone(60.3), tone(72), np.zeros((8000, 1))])
    heard = metrics.heard_pitches(clips, RATE)
    assert heard[:3] == pytest.approx([48, 60.3, 72], abs=0.2)
    assert np.isnan(heard[3])


@needs_tracker
def test_pitches_that_are_not_heard_in_real_notes_do_not_count():
    # The second pitch has real notes of another one.
    real = np.stack([tone(60)] * 3 + [tone(50)] * 3)
    labels = np.array([60, 60, 60, 72, 72, 72])
    made = np.stack([tone(60), tone(67), tone(60), tone(72)])
    asked = np.array([60, 60, 60, 72])
    report = {"sampling_rate": RATE, "figures": {}}
    metrics.add_pitch_figures(
        report, (made, asked), (real, labels), (real[2:4], labels[2:4])
    )
    assert report["pitch"]["heard"] == [60]
    assert report["pitch"]["num_pitches"] == 2
    accuracy = report["figures"]["pitch_accuracy"]
    assert accuracy["generated"]["value"] == pytest.approx(2 / 3)
    assert accuracy["real_test"]["value"] == 1.0
    assert 0.2 < accuracy["generated"]["low"] < 2 / 3


def test_entropy_in_bits():
    assert label_entropy(np.array([0, 1, 2, 3]), 18) == 2.0
    assert label_entropy(np.array([5, 5, 5]), 18) == 0.0
    # 1/2, 1/4, 1/4.
    assert label_entropy(np.array([0, 0, 1, 2]), 3) == pytest.approx(1.5)


def test_a_second_classifier_is_heard():
    classifier = cases.build("digit_classifier", labels=["a", "b", "c"])
    rate = classifier.sampling_rate
    clips = np.random.default_rng(0).uniform(-1, 1, (6, 2 * rate // 10, 1))
    clips = clips.astype("float32")
    report = {"sampling_rate": rate, "figures": {}}
    metrics.add_second_classifier(
        report, clips, clips[:4], classifier, preset="mine", num_resamples=5
    )
    figures = report["figures"]
    for column in ("generated", "real_test"):
        shares = report["second_classifier"]["class_histogram"][column]
        shares = np.array(list(shares.values()))
        # Of as many clips of each.
        assert np.allclose(4 * shares, np.round(4 * shares))
        heard = shares[shares > 0]
        entropy = figures["second_label_entropy"][column]["value"]
        assert entropy == pytest.approx(-(heard * np.log2(heard)).sum())
        assert figures["second_labels_heard"][column]["value"] == len(heard)


def test_a_held_tone_is_a_line_of_one_colour(tmp_path):
    picture = rainbowgram(tone(69, 1.0), RATE)
    # 36 bins an octave from 27.5 Hz: 440 Hz is four octaves up.
    assert picture.shape[0] == int(np.log2(8000 / 27.5) * 36)
    middle = picture[:, 20:-20]
    brightness = middle.max(axis=-1).mean(axis=1)
    assert abs(int(np.argmax(brightness)) - 144) <= 1
    assert middle[144].std(axis=0).max() < 0.02
    # With broken phases it is speckled.
    noise = np.random.default_rng(0).standard_normal((RATE, 1))
    speckled = rainbowgram(noise, RATE)[144, 20:-20]
    assert speckled.std(axis=0).max() > 0.1
    save_rainbowgrams(tmp_path / "x.png", [("A4", tone(69), tone(69))], RATE)
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match="a row or more"):
        save_rainbowgrams(tmp_path / "y.png", [], RATE)


@pytest.mark.slow
def test_evaluate_of_notes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for pitch in (60, 64):
        for number in range(10):
            path = tmp_path / "notes" / f"{pitch:03}" / f"{number}.wav"
            write_audio(path, tone(pitch, 0.1 + number / 100), RATE)
    cases.build(
        "projection_wavegan",
        labels=["060", "064"],
        slice_length=1024,
        sampling_rate=RATE,
    ).save_to_preset("mine")
    cases.build("digit_classifier", labels=["violin", "horn"]).save_to_preset(
        "ears"
    )
    command = ("evaluate", "mine", "--data", "notes", "--test", "*/[5-9].wav")
    command += ("-n", 20, "--classifier", "none")
    result = audiogan(
        *command, "--second-classifier", "ears", "--report", "page.html"
    )
    assert result.exit_code == 0, result.output
    assert "Second classifier: ears, of 2 labels." in result.stdout
    assert "Spread over a second classifier's labels (bits)" in result.stdout
    if importlib.util.find_spec("swift_f0") is None:
        assert pitch_scores.NO_TRACKER in " ".join(result.stdout.split())
    else:
        assert "Pitch by swift-f0" in result.stdout
        assert "Pitch accuracy (%)" in result.stdout
    assert 'class="rainbowgrams"' in (tmp_path / "page.html").read_text()
    result = audiogan(*command, "--json", "--report", "sheet.png")
    assert result.exit_code == 0, result.output
    assert "figures" in json.loads(result.stdout)
    assert (tmp_path / "sheet_rainbowgrams.png").is_file()
    shutil.rmtree(tmp_path / "ears")
    result = audiogan(*command, "--second-classifier", "ears")
    assert result.exit_code == 1 and "ears" in result.stderr
