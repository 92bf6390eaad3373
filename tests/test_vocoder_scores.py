"""The vocoders' figures by hand and against reference values."""

import importlib.util
import math
import pathlib
import sys

import numpy as np
import pytest

from keras_audiogan import metrics
from keras_audiogan.audio import (
    log_mel_spectrogram,
    read_audio,
)
from keras_audiogan.layers import MEL_SETTINGS, MelFeatures
from keras_audiogan.metrics.distances import pairwise_distances
from keras_audiogan.training import MultiResolutionSTFTLoss

DIGITS = sorted(
    (pathlib.Path(__file__).parent / "data" / "digits").rglob("*.flac")
)
DECIBELS = 10 * math.sqrt(2) / math.log(10)


def noise(time, seed=0):
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(time)).astype("float32")


def tone(frequency, time=22050, rate=22050):
    phase = 2 * np.pi * frequency * np.arange(time) / rate
    return sum(np.sin(k * phase) * 0.2 / k for k in range(1, 8)).astype(
        "float32"
    )


def digit(index=0):
    audio, rate = read_audio(DIGITS[index])
    return audio[:, 0], rate


def front_end(**options):
    return MelFeatures(8000, 40, 256, 64, **options)


def total_by_recursion(costs):
    totals = np.full(np.add(costs.shape, 1), np.inf)
    totals[0, 0] = 0.0
    for i, j in np.ndindex(costs.shape):
        arrivals = (totals[i, j], totals[i, j + 1], totals[i + 1, j])
        totals[i + 1, j + 1] = costs[i, j] + min(arrivals)
    return totals[-1, -1]


def test_path_by_hand():
    # The second row waits for two columns, the last column for two rows.
    costs = np.array([[0, 9, 9, 9], [9, 1, 0, 9], [9, 9, 9, 1], [9, 9, 9, 0]])
    path = metrics.warping_path(costs)
    assert path.tolist() == [[0, 0], [1, 1], [1, 2], [2, 3], [3, 3]]


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 6), (6, 1), (7, 4), (4, 9), (15, 15)]
)
def test_path_is_the_cheapest(shape):
    costs = np.random.default_rng(1).random(shape)
    path = metrics.warping_path(costs)
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [shape[0] - 1, shape[1] - 1]
    steps = {tuple(step) for step in np.diff(path, axis=0).tolist()}
    assert steps <= {(1, 1), (1, 0), (0, 1)}
    total = costs[path[:, 0], path[:, 1]].sum()
    assert total == pytest.approx(total_by_recursion(costs))


def test_pairwise_distances_are_scipys():
    from scipy.spatial import distance

    rng = np.random.default_rng(2)
    first, second = rng.random((5, 3)), rng.random((7, 3))
    np.testing.assert_allclose(
        pairwise_distances(first, second), distance.cdist(first, second)
    )


def test_paths_of_nothing_are_refused():
    for costs in (np.zeros((0, 3)), np.zeros(3), [[np.nan]]):
        with pytest.raises(ValueError, match="matrix of finite"):
            metrics.warping_path(costs)


def test_cepstral_distortion_by_hand():
    real = np.array([[0.0, 0.0], [3.0, 0.0]])
    fake = np.array([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0]])
    # Pairs (0, 0), (0, 1), (1, 2) at distances 0, 0 and 4.
    assert metrics.cepstral_distortion(real, fake) == pytest.approx(
        DECIBELS * 4 / 3
    )


def test_distortion_is_the_rms_decibels_of_the_bands():
    # With every coefficient: the difference of one frame's bands in dB,
    # their mean taken out.
    real, fake = noise(4000), np.diff(noise(4001, seed=1))
    options = {
        "fft_length": 1024,
        "frame_step": 256,
        "num_mel_bins": 80,
        "scale": "slaney",
        "norm": "slaney",
        "floor": 1e-3,
        "add_floor": False,
    }
    bands = [log_mel_spectrogram(x, 22050, **options)[5] for x in (real, fake)]
    decibels = 20 / np.log(10) * (bands[0] - bands[1]).astype("float64")
    cepstra = [metrics.mel_cepstra(x, 22050, 79)[5:6] for x in (real, fake)]
    assert metrics.cepstral_distortion(*cepstra) == pytest.approx(
        decibels.std(), rel=1e-5
    )


def test_mel_cepstral_distortion_of_known_pairs():
    real, rate = digit()
    assert metrics.mel_cepstral_distortion(real, real, rate) == 0.0
    # Louder is no other timbre; the floor is far below this noise.
    loud = noise(8000)
    assert metrics.mel_cepstral_distortion(
        loud, 2 * loud, 22050
    ) == pytest.approx(0.0, abs=1e-4)
    # A pause is warped away but for its frames' own distance.
    late = np.concatenate([np.zeros(400, "float32"), real])
    shifted = metrics.mel_cepstral_distortion(real, late, rate)
    other = metrics.mel_cepstral_distortion(real, digit(-1)[0], rate)
    assert 0 < shifted < other
    with pytest.raises(ValueError, match="num_coefficients"):
        metrics.mel_cepstra(real, rate, 80)
    with pytest.raises(ValueError, match="hold a sample"):
        metrics.mel_cepstra(np.zeros((0, 1)), rate)


@pytest.mark.parametrize("base", ["e", "10"])
def test_log_mel_distance_of_twice_the_sound(base):
    features = front_end(
        log_base=base,
        min_frequency=100,
        max_frequency=3000,
        mean=[1.0] * 40,
        scale=[2.0] * 40,
    )
    real = noise(2000)
    for full_band in (True, False):
        assert metrics.log_mel_distance(
            real, 2 * real[:1900], features, full_band
        ) == pytest.approx(np.log(2), rel=0.02)
        assert metrics.log_mel_distance(
            real, 2 * real, features, full_band
        ) == pytest.approx(np.log(2), rel=1e-4)


def test_log_mel_distance_hears_the_whole_band_or_the_front_ends():
    features = front_end(max_frequency=2000)
    quiet = noise(4000)
    high = quiet + 0.5 * tone(3000, 4000, 8000)
    inside = metrics.log_mel_distance(quiet, high, features, False)
    assert metrics.log_mel_distance(quiet, high, features) > 1.5 * inside


def test_stft_distance_is_the_training_loss():
    real, fake = noise(4000), noise(3900, seed=1)
    got = metrics.multi_resolution_stft_distance(real[:, None], fake)
    want = MultiResolutionSTFTLoss()(fake[None], real[None, :3900])
    np.testing.assert_allclose(got, [float(w) for w in want], rtol=1e-4)
    np.testing.assert_allclose(
        metrics.multi_resolution_stft_distance(real, 2 * real),
        [1.0, np.log(2)],
        rtol=1e-4,
    )


def test_pitch_errors_by_hand():
    semitone = 2 ** (1 / 12)
    real = [0.0, 100.0, 200.0, 0.0, 200.0]
    fake = [0.0, 100.0 * semitone, 200.0, 100.0, 0.0]
    errors = metrics.f0_errors(real, fake)
    hertz = 100 * (semitone - 1) / math.sqrt(2)
    assert errors["f0_rmse_hertz"] == pytest.approx(hertz)
    assert errors["f0_rmse_cents"] == pytest.approx(100 / math.sqrt(2))
    assert errors["voicing_error"] == pytest.approx(2 / 5)
    unvoiced = metrics.f0_errors([0.0, 0.0], [0.0, 90.0])
    assert math.isnan(unvoiced["f0_rmse_cents"])
    assert unvoiced["voicing_error"] == 0.5
    with pytest.raises(ValueError, match="one length"):
        metrics.f0_errors([1.0], [1.0, 2.0])


def test_pitch_of_two_tones():
    if importlib.util.find_spec("pyworld") is None:
        pytest.skip("pitch needs pyworld, which compiles C++ to install")
    errors = metrics.f0_and_voicing(tone(200), tone(210), 22050)
    assert errors["f0_rmse_hertz"] == pytest.approx(10.0, abs=1.0)
    cents = 1200 * np.log2(210 / 200)
    assert errors["f0_rmse_cents"] == pytest.approx(cents, rel=0.1)
    assert errors["voicing_error"] < 0.05


def test_pesq_of_speech():
    pytest.importorskip(
        "pesq", reason="PESQ needs pesq, which compiles C to install"
    )
    speech = np.concatenate([digit(index)[0] for index in range(4)])
    rate = digit()[1]
    same = metrics.pesq(speech, speech, rate)
    noisy = metrics.pesq(speech, speech + 0.2 * noise(len(speech)), rate)
    # The mapping of P.862.2 ends at 4.644.
    assert same == pytest.approx(4.644, abs=0.001) and noisy < same - 0.3
    with pytest.raises(ValueError, match="cannot score"):
        metrics.pesq(speech[:400], speech[:400], rate)


@pytest.mark.parametrize("name", MEL_SETTINGS)
def test_griffin_lim_keeps_the_mels(name):
    features = MelFeatures(**MEL_SETTINGS[name])
    audio = tone(150, 8192) + 0.1 * noise(8192)
    mel = np.asarray(features(audio[None, :, None]))[0]
    early, late = (
        metrics.griffin_lim(mel, features, num_iterations=count)
        for count in (1, 32)
    )
    assert late.dtype == np.float32 and late.shape == (8192,)
    assert np.abs(late).max() <= 1.0
    distance = [
        metrics.log_mel_distance(audio, one, features, full_band=False)
        for one in (early, late)
    ]
    assert distance[1] < 0.8 * distance[0] and distance[1] < 0.2
    again = metrics.griffin_lim(mel, features, num_iterations=32)
    np.testing.assert_array_equal(again, late)
    other = metrics.griffin_lim(mel, features, num_iterations=32, seed=1)
    assert np.abs(other - late).max() > 0.01


def test_griffin_lim_undoes_every_option():
    audio = tone(150, 4000, 8000)
    options = {
        "mean": np.linspace(-1, 1, 40),
        "scale": np.linspace(0.5, 2, 40),
        "log_base": "10",
        "power": 2.0,
        "window": "hamming",
        "window_length": 200,
    }
    features = front_end(**options)
    mel = np.asarray(features(audio[None, :, None]))[0]
    linear = metrics.linear_magnitudes(mel, features)
    wanted = 10 ** (mel * options["scale"] + options["mean"])
    relative = np.abs(linear**2 @ features.filters - wanted) / wanted.mean()
    assert relative.mean() < 0.02
    sound = metrics.griffin_lim(mel, features, num_iterations=16)
    assert sound.shape == (62 * 64,)
    near = metrics.log_mel_distance(audio, sound, features)
    assert near < 0.5 * metrics.log_mel_distance(audio, noise(4000), features)


def test_griffin_lim_refuses_what_it_cannot_do():
    features = front_end()
    with pytest.raises(ValueError, match="40 bins"):
        metrics.griffin_lim(np.zeros((5, 80)), features)
    with pytest.raises(ValueError, match="one step of sound"):
        metrics.griffin_lim(np.zeros((1, 40)), features)
    for options in ({"num_iterations": 0}, {"momentum": 1.0}):
        with pytest.raises(ValueError, match="momentum"):
            metrics.griffin_lim(np.zeros((5, 40)), features, **options)


@pytest.fixture
def without_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyworld", None)
    monkeypatch.setitem(sys.modules, "pesq", None)


def test_report_without_optional_packages(without_packages):
    real = [digit(0)[0], digit(-1)[0][:, None]]
    fake = [real[0] + 0.1 * noise(len(real[0])), real[1]]
    report = metrics.vocoder_report(real, fake, 8000, front_end())
    assert report["notes"] == {
        "no pitch: the package pyworld is not installed": 2,
        "no PESQ: the package pesq is not installed": 2,
    }
    names = {
        "mel_cepstral_distortion",
        "log_mel_distance",
        "log_mel_distance_in_band",
        "spectral_convergence",
        "log_stft_distance",
    }
    assert set(report["figures"]) == names
    noisy, same = report["clips"]
    for name in names:
        figure = report["figures"][name]
        assert same[name] == 0.0 < noisy[name]
        assert figure["value"] == pytest.approx(noisy[name] / 2)
        assert 0.0 <= figure["low"] <= figure["value"] <= figure["high"]
        assert figure["num_clips"] == 2
        assert figure["better"] == "lower"
    assert noisy["log_mel_distance"] == pytest.approx(
        metrics.log_mel_distance(real[0], fake[0], front_end())
    )
    with pytest.raises(ImportError):
        metrics.f0_and_voicing(real[0], fake[0], 8000)
    with pytest.raises(ImportError):
        metrics.pesq(real[0], fake[0], 8000)


def test_report_of_one_clip_and_of_wrong_lists(without_packages):
    clip = noise(4000)
    report = metrics.vocoder_report([clip], [clip], 8000, front_end())
    assert report["figures"]["log_mel_distance"]["value"] == 0.0
    assert "low" not in report["figures"]["log_mel_distance"]
    for real, fake in ([], []), ([clip], []):
        with pytest.raises(ValueError, match="as many fakes"):
            metrics.vocoder_report(real, fake, 8000, front_end())


def test_report_with_every_package():
    if importlib.util.find_spec("pyworld") is None:
        pytest.skip("pitch needs pyworld, which compiles C++ to install")
    pytest.importorskip(
        "pesq", reason="PESQ needs pesq, which compiles C to install"
    )
    speech = np.concatenate([digit(index)[0] for index in range(4)])
    clips = [speech, np.zeros(4000, "float32")]
    report = metrics.vocoder_report(clips, clips, 8000, front_end())
    assert report["clips"][0]["f0_rmse_cents"] == 0.0
    assert report["figures"]["pesq"]["value"] == pytest.approx(4.644, abs=0.01)
    assert report["figures"]["pesq"]["num_clips"] == 1
    assert report["notes"] == {
        "no pitch error: no frame is voiced in both clips": 1,
        "no PESQ: no utterance found in the clip": 1,
    }
