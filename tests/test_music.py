"""Is it music? Statistics by hand, distances, controls, and their ranking."""

import json
import pathlib

import keras
import numpy as np
import pytest
import soundfile

from keras_audiogan import metrics
from keras_audiogan.audio import resample
from keras_audiogan.models import DigitClassifier
from keras_audiogan.presets.figures import FIGURES

RATE = 16000
DRUMS = pathlib.Path(__file__).parent / "data" / "drums"


def tones(frequencies, seconds=1.0, amplitude=0.2):
    """Sines that sound together, `(1, time, 1)`."""
    time = np.arange(round(seconds * RATE)) / RATE
    waves = [np.sin(2 * np.pi * f * time) for f in frequencies]
    return (amplitude * np.sum(waves, axis=0)).astype("float32")[None, :, None]


def clicks(times, seconds):
    """Short bursts of a tone, `(1, time, 1)`."""
    audio = np.zeros(round(seconds * RATE), "float32")
    burst = np.exp(-np.arange(1600) / 200) * np.sin(np.arange(1600) * 0.5)
    for start in times:
        audio[round(start * RATE) :][: len(burst)] += burst.astype("float32")
    return 0.5 * audio[None, :, None]


def noise(count=4, seconds=1.0, seed=0):
    shape = (count, round(seconds * RATE), 1)
    random = np.random.default_rng(seed)
    return 0.1 * random.standard_normal(shape, dtype="float32")


# Statistics


def test_pitch_classes_of_a_fifth_in_any_key():
    # A and E, as strong as each other but for the second one's half.
    for key in (220.0, 220 * 2 ** (5 / 12)):
        audio = tones([key]) + 0.5 * tones([key * 2 ** (7 / 12)])
        shares = metrics.pitch_classes(audio, RATE)
        expected = np.eye(12)[0] * 2 / 3 + np.eye(12)[7] / 3
        np.testing.assert_allclose(shares[0], expected, atol=0.02)


def test_silence_has_even_pitch_classes_and_nothing_else():
    silence = np.zeros((1, RATE, 1), "float32")
    np.testing.assert_allclose(metrics.pitch_classes(silence, RATE), 1 / 12)
    for name in set(metrics.STATISTICS) - {"pitch_classes"}:
        values = metrics.STATISTICS[name](silence, RATE)
        np.testing.assert_allclose(values, 0, atol=1e-9, err_msg=name)


def test_a_scale_has_a_key_and_noise_has_not():
    major = [261.63 * 2 ** (i / 12) for i in (0, 2, 4, 5, 7, 9, 11)]
    cluster = [261.63 * 2 ** (i / 12) for i in range(12)]
    clear, unclear = (
        metrics.key_clarity(tones(pitches), RATE)[0]
        for pitches in (major, cluster)
    )
    assert clear > 0.7 > 0.6 > unclear
    assert metrics.key_clarity(noise(), RATE).max() < 0.6


def test_overtones_are_no_tones_of_their_own():
    note = tones([200, 400, 600, 800])
    assert metrics.polyphony(note, RATE) == pytest.approx([1])
    chord = tones([200, 251.98, 299.66])
    assert metrics.polyphony(chord, RATE) == pytest.approx([3], abs=0.1)


def test_onsets_are_counted_per_second():
    audio = clicks([0.3, 0.8, 1.3, 1.8], 2.0)
    assert metrics.onset_density(audio, RATE) == pytest.approx([2])
    assert metrics.onset_density(tones([300], 2.0), RATE) == pytest.approx([0])


def test_a_beat_is_stronger_than_the_same_strokes_at_random():
    beat = clicks(np.arange(0.2, 8, 0.5), 8.0)
    random = np.random.default_rng(0)
    loose = clicks(np.sort(random.uniform(0.2, 7.8, 16)), 8.0)
    strong, weak = (
        metrics.tempo_strength(audio, RATE)[0] for audio in (beat, loose)
    )
    # A lag of half a second leaves 15 of 16 strokes.
    assert strong == pytest.approx(15 / 16, abs=0.05)
    assert weak < 0.6
    with pytest.raises(ValueError, match="0.4 s or more. Received: 0.256 s"):
        metrics.tempo_strength(noise(1, 0.256), RATE)


def test_dynamics_of_two_levels_are_half_their_difference():
    audio = tones([1000], 1.0)
    audio[:, RATE // 2 :] *= 0.1
    assert metrics.dynamics(audio, RATE) == pytest.approx([10], abs=0.1)


def test_self_similarity_comes_back_with_the_period():
    # Two chords in turn, a second each.
    parts = [tones([262, 330, 392]), tones([110, 147, 175])] * 4
    audio = np.concatenate(parts, axis=1)
    lags = metrics.similarity_lags(audio.shape[1], RATE)
    curve = metrics.self_similarity(audio, RATE)[0]
    assert lags[0] == pytest.approx(0.064) and lags[-1] == pytest.approx(6)
    # A change is met in a lag's share of seconds, and then it is another one.
    near = 1 - 2 * lags[0]
    assert curve[0] == pytest.approx(near, abs=0.1)
    assert curve[-1] > 0.8  # Six seconds: the same chord again.
    flat = metrics.self_similarity(noise(2, 4.0), RATE)
    assert np.abs(flat).max() < 0.15


@pytest.mark.parametrize("seconds", [0.064, 0.26, 3.0, 65.0])
def test_every_statistic_takes_any_length(seconds):
    audio = noise(1, seconds)
    for name, statistic in metrics.STATISTICS.items():
        if name == "tempo_strength" and seconds < 0.4:
            continue
        values = statistic(audio, RATE)
        assert len(values) == 1 and np.isfinite(values).all(), name


# Distances


def test_distribution_distance_by_hand():
    # E|X-Y| = 2, E|X-X'| = 1, E|Y-Y'| = 2.
    found = metrics.distribution_distance([0.0, 1.0], np.array([1.5, 3.5]))
    assert found == pytest.approx((2 * 2 - 1 - 2) / 2)


def test_distribution_distance_is_unbiased_and_sees_shape():
    random = np.random.default_rng(0)
    same = [
        metrics.distribution_distance(*random.normal(size=(2, 20)))
        for _ in range(300)
    ]
    assert np.mean(same) == pytest.approx(0, abs=3 * np.std(same) / 300**0.5)
    wider = metrics.distribution_distance(
        random.normal(0, 4, 200), random.normal(size=200)
    )
    assert wider > 0.3
    vectors = random.normal(size=(2, 50, 3))
    moved = metrics.distribution_distance(vectors[0] + 2, vectors[1])
    assert moved > metrics.distribution_distance(*vectors) + 0.5


def test_controls_keep_what_they_should():
    audio = np.concatenate([tones([440], 2.0), 0.1 * tones([300], 2.0)])
    shuffled = metrics.shuffled_pieces(audio, RATE)
    assert shuffled.shape == audio.shape
    power = np.mean(audio**2, axis=(1, 2))
    loud = metrics.white_noise(audio)
    np.testing.assert_allclose(np.mean(loud**2, axis=(1, 2)), power, rtol=0.05)
    # Eight pieces of a quarter of a second, in another order.
    steps = np.repeat(np.arange(8.0), RATE // 4)[None, :, None]
    pieces = metrics.shuffled_pieces(steps, RATE)[0, RATE // 8 :: RATE // 4, 0]
    assert sorted(pieces) == list(range(8)) and list(pieces) != sorted(pieces)


# Reports


def kinds(speeds):
    """The drums of the tests, each played at some speeds, one second."""
    clips = []
    for path in sorted(DRUMS.glob("*/*.flac")):
        sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
        for speed in speeds:
            clip = resample(sound, round(rate * speed), RATE)[:16384]
            clips.append(np.pad(clip, ((0, 16384 - len(clip)), (0, 0))))
    return np.stack(clips)


@pytest.fixture(scope="module")
def real():
    return kinds([0.8, 0.9, 1.0, 1.1, 1.2]), kinds([0.85, 0.95, 1.05, 1.15])


@pytest.fixture(scope="module")
def report(real):
    random = np.random.default_rng(0)
    generated = real[1][random.permutation(36)[:20]]
    return metrics.evaluate_music(generated, *real, RATE, num_resamples=20)


def test_a_report_has_controls_intervals_and_distributions(report):
    assert report["embedding"] is None
    assert set(report["figures"]) == {
        f"{name}_distance" for name in metrics.STATISTICS
    }
    for row in report["figures"].values():
        for column in ("generated", "real_test", "shuffled", "white_noise"):
            assert row[column]["low"] <= row[column]["value"] + 1e-9
            assert row[column]["value"] <= row[column]["high"] + 1e-9
        noisy = row["white_noise"]["value"]
        assert row["real_test"]["value"] <= noisy
    assert len(report["lags"]) == 8
    found = report["statistics"]["dynamics"]
    assert set(found) == {
        "generated",
        "real_test",
        "shuffled",
        "white_noise",
        "real_train",
    }
    assert found["real_train"] == sorted(found["real_train"])
    assert len(report["statistics"]["pitch_classes"]["generated"]) == 12
    json.dumps(report, allow_nan=False)


def test_shuffling_is_seen_where_it_matters(report):
    for name in ("self_similarity", "tempo_strength"):
        row = report["figures"][f"{name}_distance"]
        assert row["shuffled"]["low"] > row["real_test"]["high"], name


def test_short_clips_leave_out_what_they_cannot_have(real):
    short = [clips[:12, :4096] for clips in (*real, real[1])]
    report = metrics.evaluate_music(
        short[2], short[0], short[1], RATE, num_resamples=0
    )
    assert "tempo_strength_distance" not in report["figures"]
    assert "Received: 0.256 s" in report["left_out"]["tempo_strength"]
    assert "0.256 s" in metrics.format_music_table(report)
    with pytest.raises(ValueError, match="Received: 9 generated, 12"):
        metrics.evaluate_music(short[2][:9], short[0], short[1], RATE)


def test_the_table_and_the_card_show_the_controls(report):
    shown = metrics.format_music_table(report)
    assert "Shuffled pieces" in shown and "White noise" in shown
    assert "Difference of pitch classes" in shown
    card = metrics.music_metrics_for_card(report)
    entry = card["dynamics_distance"]
    row = report["figures"]["dynamics_distance"]
    assert entry["value"] == row["generated"]["value"]
    assert entry["white_noise"] == row["white_noise"]["value"]
    assert set(card) <= set(FIGURES)


def test_long_clips_are_heard_in_pieces():
    judge = DigitClassifier(**DigitClassifier.tiny)
    clips = noise(3, 0.3)
    heard = metrics.music_features(judge, clips, RATE)
    low = np.stack([resample(clip, RATE, 8000) for clip in clips])
    assert low.shape[1] == 2400 and judge.slice_length == 1024
    pieces = [judge.features(low[:, i : i + 1024]) for i in (0, 1024)]
    np.testing.assert_allclose(heard, np.mean(pieces, axis=0), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="one backend is enough"
)
def test_every_figure_ranks_real_trained_early_and_noise(real):
    """Of the bundled generator of drums, and of one that has begun to learn."""
    from keras_audiogan import from_preset
    from keras_audiogan.models import STFTGAN

    trained = from_preset("stft_gan_drums", weights=["generator"])
    labels = ["hat", "kick", "snare"]
    judge = from_preset("drum_classifier")
    early = STFTGAN(
        labels=labels,
        sampling_rate=RATE,
        slice_length=16384,
        dim=16,
        intermediate_dim=32,
        num_layers=1,
    )
    early.compile(seed=0)
    batch = {"audio": real[0], "labels": np.repeat(np.arange(3), 15)}
    early.fit(batch, batch_size=45, verbose=0)
    columns = {}
    for name, gan in (("trained", trained), ("early", early)):
        clips = np.asarray(gan.sample(36, seed=0, labels=labels))
        columns[name] = metrics.evaluate_music(
            clips, *real, RATE, judge, num_resamples=0
        )["figures"]
    ranks = {
        key: [
            row["real_test"]["value"],
            row["generated"]["value"],
            columns["early"][key]["generated"]["value"],
            row["white_noise"]["value"],
        ]
        for key, row in columns["trained"].items()
    }
    # One-shot hits have no tempo, and no onset but their first.
    del ranks["tempo_strength_distance"], ranks["onset_density_distance"]
    assert len(ranks) == 7
    for key, values in ranks.items():
        assert values == sorted(values), (key, ranks)
