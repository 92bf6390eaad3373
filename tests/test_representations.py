"""Representations against NumPy, the originals' numbers and sound itself."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_audiogan.audio.phase_recovery import invert_magnitudes
from keras_audiogan.audio.transforms import (
    frame,
    inverse_stft,
    overlap_add,
    overlap_weight,
    rfft,
)
from keras_audiogan.audio.windows import centered_window
from keras_audiogan.layers.representations import (
    REPRESENTATIONS,
    LogSpectrogram,
    MagnitudeFrequency,
    Moments,
    Representation,
    SubBands,
    Waveform,
    get_representation,
    warping_matrix,
)
from keras_audiogan.training import gradients

pytestmark = pytest.mark.backends

# Small ones of every kind and option, all for slices of 1024 samples.
CASES = {
    "waveform": {"kind": "waveform"},
    "sub_bands": {"kind": "sub_bands"},
    "log_spectrogram": {"kind": "log_spectrogram", "fft_length": 64}
    | {"frame_step": 32, "num_iterations": 2},
    "log_spectrogram_plain": {"kind": "log_spectrogram", "fft_length": 64}
    | {"frame_step": 16, "num_iterations": 3, "momentum": 0.5}
    | {"clip": False, "exact_overlap": False, "slice_length": 1000},
    "linear": {"kind": "magnitude_frequency", "fft_length": 64}
    | {"frame_step": 16, "mel": False},
    "mel": {"kind": "magnitude_frequency", "fft_length": 64}
    | {"frame_step": 16, "num_frames": 72, "slice_length": 1024}
    | {"exact_overlap": False},
}

# Every (size // 9)th number of what the originals' code makes of
# `notes(4000)`: WaveGAN's `train_specgan.py` (its statistics too) and
# GANSynth's `specgrams_helper.py` with 256 samples a frame, 64 a step and
# 72 frames, on the transforms of TensorFlow 2.21.
SPECGAN_MEAN = [-2.927849, 0.169219, -2.647429, -2.582927, -2.828358]
SPECGAN_STD = [1.757837, 1.763384, 0.916048, 0.854623, 0.761308]
SPECGAN = [-0.386723, 0.193917, 0.131222, 0.391602, 0.150569]
SPECGAN += [0.231963, 0.202049, 0.08642, 0.120932]
SPECGAN_SOUND = {
    1: [0, -0.002449, 0.055276, 0.052787, 0.051585, -0.189219, -0.097114],
    16: [0, 0.00432, -0.005088, 0.050622, 0.147124, -0.079508, -0.070549],
}
GANSYNTH_MAGNITUDES = [-0.8, -0.8, -0.288586, -0.076029, 0.020458, 0.050409]
GANSYNTH_MAGNITUDES += [0.039286, -0.018361, -0.156461]
GANSYNTH_FREQUENCIES = [0, 0, -0.002254, -0.007507, -0.008667, -0.009097]
GANSYNTH_FREQUENCIES += [-0.008348, -0.009055, -0.00843]
GANSYNTH_SOUND = [-0.000705, -0.005517, 0.028207, -0.010845, 0.105419]
GANSYNTH_SOUND += [-0.030584, -0.084284, -0.088507, -0.015865]


def notes(time, seed=0):
    """Five harmonics of 220 Hz at 16 kHz, swelling and fading, in noise."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * 220 * np.arange(time) / 16000
    tone = sum(0.3 / k * np.sin(k * phase) for k in range(1, 6))
    noise = 0.01 * rng.standard_normal(time)
    return (tone * np.hanning(time) + noise).astype("float32")[None, :, None]


def noise(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(shape)).astype("float32")


def as_numpy(value):
    return np.asarray(ops.convert_to_numpy(value))


def every_ninth(values):
    values = np.asarray(values).reshape(-1)
    return values[:: values.size // 9][:9]


def decibels(error, sound):
    return 10 * np.log10(np.mean(error**2) / np.mean(sound**2))


@pytest.mark.parametrize("case", CASES)
def test_shapes_channels_and_batches(case):
    representation = get_representation(CASES[case])
    channels = 2
    audio = noise(3, 1024, channels)
    x = as_numpy(representation.analyse(ops.convert_to_tensor(audio)))
    assert x.dtype == "float32"
    assert x.shape == (3, *representation.shape(1024, channels))
    sound = as_numpy(representation.synthesise(ops.convert_to_tensor(x)))
    length = CASES[case].get("slice_length", 1024)
    assert sound.dtype == "float32" and sound.shape == (3, length, channels)
    # The second channel of an example depends on nothing else. One shape
    # for both: JAX compiles anew for every other.
    other = noise(3, 1024, channels, seed=1)
    other[1, :, 1] = audio[1, :, 1]
    y = as_numpy(representation.analyse(ops.convert_to_tensor(other)))
    half = x.shape[-1] // 2
    np.testing.assert_allclose(y[1, ..., half:], x[1, ..., half:], atol=1e-5)
    assert np.abs(y[0] - x[0]).max() > 0.01
    y[1, ..., half:] = x[1, ..., half:]
    again = as_numpy(representation.synthesise(ops.convert_to_tensor(y)))
    np.testing.assert_allclose(again[1, :, 1], sound[1, :, 1], atol=1e-4)
    assert np.abs(again[1, :, 0] - sound[1, :, 0]).max() > 0.01


@pytest.mark.parametrize("case", CASES)
def test_configs_survive_json(case):
    representation = get_representation(CASES[case])
    config = json.loads(json.dumps(representation.get_config()))
    assert config.items() >= CASES[case].items()
    again = Representation.from_config(config)
    assert type(again) is type(representation)
    assert again.get_config() == representation.get_config()
    audio = noise(1, 1024, 1)
    np.testing.assert_array_equal(
        as_numpy(again.analyse(audio)), as_numpy(representation.analyse(audio))
    )


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("silent", [False, True])
def test_gradients_are_finite_and_flow(case, silent):
    representation = get_representation(CASES[case])
    audio = noise(2, 1024, 1)
    audio[1] = 0.0
    variable = keras.Variable(audio * (not silent))
    weights = noise(2, *representation.shape(1024, 1), seed=1)
    weights = ops.convert_to_tensor(weights)

    def loss():
        x = representation.analyse(variable)
        return ops.sum(x * weights) + representation.level(x), {}

    value, _, (gradient,) = gradients.value_and_gradients(loss, [variable])
    gradient = as_numpy(gradient)
    assert np.isfinite(float(as_numpy(value)))
    assert np.isfinite(gradient).all()
    if not silent:
        # But for the seams of the frames, every sample matters.
        assert (gradient[0] != 0.0).mean() > 0.9


@pytest.mark.parametrize("case", ["log_spectrogram_plain", "linear", "mel"])
def test_gradients_are_those_of_finite_differences(case):
    representation = get_representation({**CASES[case], "clip": False})
    weights = noise(1, *representation.shape(512, 1), seed=1)
    tone = np.sin(2 * np.pi * 5.25 / 64 * np.arange(512) + 0.3)
    audio = tone[None, :, None].astype("float32") + noise(1, 512, 1, seed=2)
    variable = keras.Variable(audio)
    if case != "log_spectrogram_plain":
        # Phases jump by whole turns, but those of the tone are far from it.
        tones = weights[:, 8:-8, 4:6, 1].copy()
        weights[..., 1] = 0.0
        if case == "linear":
            weights[:, 8:-8, 4:6, 1] = tones
    weights = ops.convert_to_tensor(weights)

    def loss(audio):
        return ops.sum(representation.analyse(audio) * weights)

    _, _, (gradient,) = gradients.value_and_gradients(
        lambda: (loss(variable), {}), [variable]
    )
    gradient = as_numpy(gradient)
    steepest = float(np.linalg.norm(gradient))
    audio, small = as_numpy(variable), 1e-4
    there, back = (
        float(as_numpy(loss(audio + sign * small * gradient / steepest)))
        for sign in (1, -1)
    )
    np.testing.assert_allclose(
        (there - back) / (2 * small), steepest, rtol=0.02
    )


def test_a_waveform_is_the_sound_itself():
    waveform = Waveform()
    audio = ops.convert_to_tensor(noise(2, 8, 1))
    assert waveform.analyse(audio) is audio
    assert waveform.synthesise(audio) is audio
    assert waveform.fit([noise(8, 1)]) == {}
    # sqrt((9 + 16) / 4)
    four = np.array([[[3.0], [0.0]], [[0.0], [-4.0]]], "float32")
    assert float(as_numpy(waveform.level(four))) == pytest.approx(2.5)


def test_sub_bands_give_the_sound_back():
    bands = SubBands()
    audio = np.concatenate([notes(4096), notes(4096, seed=1)], axis=2)
    x = bands.analyse(audio)
    error = as_numpy(bands.synthesise(x)) - audio
    assert decibels(error[:, 64:-64], audio) < -50.0
    level = float(as_numpy(bands.level(x)))
    assert level == pytest.approx(np.sqrt(np.mean(audio**2)), rel=0.005)
    with pytest.raises(ValueError, match="multiple of `num_bands`"):
        bands.shape(1023, 1)


def test_the_specgan_of_the_original():
    audio = notes(4000)
    fitted = LogSpectrogram().fit(iter(audio))
    np.testing.assert_allclose(
        every_ninth(fitted["mean"])[:5], SPECGAN_MEAN, atol=1e-5
    )
    np.testing.assert_allclose(
        every_ninth(fitted["std"])[:5], SPECGAN_STD, atol=2e-5
    )
    assert len(fitted["mean"]) == 129
    for iterations, want in SPECGAN_SOUND.items():
        representation = LogSpectrogram(
            **fitted,
            num_iterations=iterations,
            slice_length=4000,
            exact_overlap=False,
        )
        x = as_numpy(representation.analyse(audio))
        assert x.shape == (1, 32, 128, 1) and np.abs(x).max() <= 1.0
        np.testing.assert_allclose(every_ninth(x), SPECGAN, atol=2e-5)
        sound = as_numpy(representation.synthesise(x))
        assert sound.shape == (1, 4000, 1)
        np.testing.assert_allclose(every_ninth(sound)[:7], want, atol=1e-3)


def test_the_gansynth_of_the_original():
    audio = notes(4000)
    options = {"num_frames": 72, "slice_length": 4000}
    representation = MagnitudeFrequency(256, 64, **options, exact_overlap=False)
    x = as_numpy(representation.analyse(audio))
    assert x.shape == (1, 72, 128, 2)
    np.testing.assert_allclose(
        every_ninth(x[..., 0]), GANSYNTH_MAGNITUDES, atol=2e-5
    )
    np.testing.assert_allclose(
        every_ninth(x[..., 1]), GANSYNTH_FREQUENCIES, atol=2e-4
    )
    sound = as_numpy(representation.synthesise(x))
    np.testing.assert_allclose(every_ninth(sound), GANSYNTH_SOUND, atol=1e-3)
    exact = as_numpy(MagnitudeFrequency(256, 64, **options).synthesise(x))
    # They differ where only some windows lie over the sound.
    np.testing.assert_allclose(exact[:, :3808], sound[:, :3808], atol=1e-6)
    assert np.abs(exact[:, 3808:]).sum() > 1.1 * np.abs(sound[:, 3808:]).sum()


def test_gansynths_own_size():
    representation = MagnitudeFrequency(num_frames=128, slice_length=64000)
    assert representation.shape(64000, 1) == (128, 1024, 2)
    # 512 * 127 + 2048 - 64000 zeros in front: the first frame of a click at
    # the very start is the one that ends after 3072 samples of them.
    click = np.zeros((1, 64000, 1), "float32")
    click[0, 0] = 1.0
    loud = as_numpy(representation.analyse(click))[0, :, 500, 0] > -0.79
    assert np.flatnonzero(loud).tolist() == [3, 4, 5]
    # Of digital silence: 0.0661 * log(1e-6) + 0.1137 = -0.8.
    np.testing.assert_allclose(
        as_numpy(representation.analyse(0 * click))[..., 0], -0.8, atol=1e-4
    )


def test_the_warping_matrix_of_the_original():
    matrix = warping_matrix(1024, 16000)
    assert matrix.sum() == pytest.approx(1021.0981806434)
    sums = [0.0, 0.813191, 0.939699, 0.66681, 0.666525, 0.718208, 0.914053]
    np.testing.assert_allclose(
        every_ninth(matrix.sum(axis=0))[:7], sums, atol=1e-6
    )
    # Triangles that overlap by half add up to one in between.
    np.testing.assert_allclose(
        every_ninth(matrix.sum(axis=1))[1:], 1.0, atol=1e-6
    )
    assert not matrix[0].any()


def test_magnitude_and_frequency_of_tones_by_hand():
    representation = MagnitudeFrequency(
        64, 16, mel=False, clip=False, num_frames=35, slice_length=512
    )
    # Bin 5 turns by 2 pi 5 16 / 64 in a step, or by pi / 2 after 2 pi; with
    # a quarter of a bin more by another 2 pi / 16, both over pi.
    for cycles, turn in ((5.0, 0.5), (5.25, 0.625)):
        tone = np.cos(2 * np.pi * cycles / 64 * np.arange(512))
        x = as_numpy(
            representation.analyse(tone[None, :, None].astype("float32"))
        )[0, 4:]
        np.testing.assert_allclose(x[4:-4, 4, 1], 0.8 * turn, atol=1e-3)
    tone = np.cos(2 * np.pi * 5 / 64 * np.arange(512)).astype("float32")
    x = as_numpy(representation.analyse(tone[None, :, None]))
    # The Hann window sums to 32, and half of that is in each sideband.
    loud = 2 * 0.0661371661726 * np.log(16.0) + 0.113718730221
    np.testing.assert_allclose(x[0, 8:-4, 4, 0], loud, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2])
def test_linear_magnitude_and_frequency_give_the_sound_back(channels):
    representation = MagnitudeFrequency(
        256, 64, mel=False, slice_length=4096, clip=False
    )
    rng = np.random.default_rng(0)
    time = np.arange(4096)
    audio = np.stack(
        [
            sum(
                0.1 * np.sin(2 * np.pi * rng.uniform(0.05, 0.45) * time + k)
                for k in range(6)
            )
            for _ in range(channels)
        ],
        axis=1,
    ).astype("float32")[None]
    x = representation.analyse(audio)
    sound = as_numpy(representation.synthesise(x))
    np.testing.assert_allclose(
        sound[:, 256:-256], audio[:, 256:-256], atol=1e-3
    )
    level = np.sqrt(np.mean(audio**2))
    assert float(as_numpy(representation.level(x))) == pytest.approx(
        level, rel=0.02
    )


def convergence(sound, audio):
    """Spectral convergence: relative error of magnitudes of 256 samples."""
    window = centered_window("hann", None, 256)
    wanted, got = (
        np.abs(np.fft.rfft(frame(x[:, :, 0], 256, 64) * window))
        for x in (audio, sound)
    )
    return np.linalg.norm(got - wanted) / np.linalg.norm(wanted)


def test_a_log_spectrogram_of_a_tone_gives_its_magnitudes_back():
    # SpecGAN's own settings, and a harder sound with more of everything.
    tone = 0.5 * np.sin(2 * np.pi * np.arange(4096) / 16)
    tone = tone.astype("float32")[None, :, None]
    plain = LogSpectrogram()
    sound = as_numpy(plain.synthesise(plain.analyse(tone)))
    assert convergence(sound, tone) < 0.02
    audio = notes(4096)
    representation = LogSpectrogram(256, 64, num_iterations=64, momentum=0.99)
    x = representation.analyse(audio)
    sound = as_numpy(representation.synthesise(x))
    assert convergence(sound, audio) < 0.1
    first = LogSpectrogram(256, 64, num_iterations=1)
    start = convergence(as_numpy(first.synthesise(x)), audio)
    assert convergence(sound, audio) < 0.5 * start
    level = np.sqrt(np.mean(audio**2))
    assert float(as_numpy(representation.level(x))) == pytest.approx(
        level, rel=0.01
    )
    # Half a second of GANSynth's mels, with the phases they hold.
    mel = MagnitudeFrequency(2048, 512, slice_length=8192)
    audio = notes(8192)
    assert (
        convergence(as_numpy(mel.synthesise(mel.analyse(audio))), audio) < 0.6
    )


def test_statistics_are_numpys():
    rng = np.random.default_rng(0)
    parts = [
        (1e4 + rng.standard_normal((rows, 3)) * [1, 2, 1e-3])
        for rows in (5, 1, 40)
    ]
    moments = Moments()
    for part in parts:
        moments.add(part.astype("float32"))
    every = np.concatenate(parts).astype("float32").astype("float64")
    np.testing.assert_allclose(moments.mean, every.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(moments.std, every.std(axis=0), rtol=1e-9)

    silence = np.zeros((300, 2), "float32")
    clips = [noise(500, 2), silence, noise(500, 2, seed=1)]
    representation = LogSpectrogram(64, 32)
    values = []
    window = np.hanning(65)[:64]
    for clip in clips:
        frames = -(-len(clip) // 32)
        padded = np.pad(clip, [(0, 32 * (frames - 1) + 64 - len(clip)), (0, 0)])
        for i in range(frames):
            part = padded[32 * i : 32 * i + 64] * window[:, None]
            values.append(np.log(np.abs(np.fft.rfft(part, axis=0)) + 1e-6))
    values = np.stack(values)
    fitted = representation.fit(iter(clips))
    np.testing.assert_allclose(
        fitted["mean"], values.mean(axis=(0, 2)), atol=2e-5
    )
    np.testing.assert_allclose(
        fitted["std"], values.std(axis=(0, 2)), atol=2e-5
    )
    x = as_numpy(
        LogSpectrogram(64, 32, **fitted, clip=False).analyse(clips[0][None])
    )
    assert x.shape == (1, 16, 32, 2) and np.abs(x).mean() < 0.5
    # A range of 1.6, from the silence of the padding to the loudest bin.
    scale = MagnitudeFrequency(64, 16, mel=False).fit(iter(clips))
    fitted = MagnitudeFrequency(64, 16, mel=False, clip=False, **scale)
    loudest = [
        as_numpy(fitted.analyse(clip[None]))[..., 0::2] for clip in clips
    ]
    assert max(x.max() for x in loudest) == pytest.approx(0.8, abs=1e-4)
    assert min(x.min() for x in loudest) == pytest.approx(-0.8, abs=1e-4)
    json.dumps(scale)


@pytest.mark.parametrize(
    "clips, told",
    [
        ([], "no clips"),
        ([np.zeros((100, 1))] * 2, "2 silent clip"),
        ([noise(100, 1), np.full((100, 1), np.nan)], "clip 2 .* NaN"),
        ([noise(100)], "clip 1 of shape"),
        ([np.full((100, 1), 1e-20)], None),
    ],
)
def test_corpora_without_statistics_are_refused(clips, told):
    for case in ("log_spectrogram", "linear"):
        representation = get_representation(CASES[case])
        if told or case == "linear":
            with pytest.raises(ValueError, match=told or "below 1e-06"):
                representation.fit(iter(clips))
        else:
            assert set(representation.fit(clips)["std"]) == {0.01}


def test_the_table():
    assert set(REPRESENTATIONS) == {
        "waveform",
        "sub_bands",
        "log_spectrogram",
        "magnitude_frequency",
    }
    assert isinstance(get_representation(None), Waveform)
    assert isinstance(get_representation({}), Waveform)
    bands = get_representation("sub_bands", slice_length=8, num_bands=2)
    assert get_representation(bands) is bands and bands.num_bands == 2
    spectra = get_representation(
        {"kind": "magnitude_frequency", "sampling_rate": 8000, "fft_length": 64}
        | {"frame_step": 16},
        sampling_rate=44100,
        slice_length=100,
    )
    config = spectra.get_config()
    assert config["sampling_rate"] == 8000 and config["slice_length"] == 100


@pytest.mark.parametrize(
    "spec, told",
    [
        ("spectrogram", "must be one of"),
        ({"kind": ["waveform"]}, "must be one of"),
        ({"kind": "waveform", "mean": 1}, "takes no arguments"),
        ({"kind": "sub_bands", "num_bands": 0}, "num_bands"),
        ({"kind": "sub_bands", "num_bands": True}, "num_bands"),
        ({"kind": "sub_bands", "taps": 61}, "taps"),
        ({"kind": "sub_bands", "cutoff": "low"}, "cutoff"),
        ({"kind": "log_spectrogram", "fft_length": 255}, "even"),
        ({"kind": "log_spectrogram", "frame_step": 129}, "frame_step"),
        ({"kind": "log_spectrogram", "fft_length": 1 << 20}, "fft_length"),
        ({"kind": "log_spectrogram", "mean": [0.0] * 129}, "belong together"),
        (
            {"kind": "log_spectrogram", "mean": [0] * 128, "std": [1] * 128},
            "129 bins",
        ),
        (
            {"kind": "log_spectrogram", "mean": [0] * 129, "std": [0] * 129},
            "positive",
        ),
        (
            {"kind": "log_spectrogram", "mean": "x", "std": [0] * 129},
            "`mean` must",
        ),
        ({"kind": "log_spectrogram", "momentum": 1.0}, "momentum"),
        ({"kind": "log_spectrogram", "num_std": -1}, "num_std"),
        ({"kind": "log_spectrogram", "slice_length": 0}, "slice_length"),
        ({"kind": "magnitude_frequency", "sampling_rate": 0.5}, "sampling"),
        ({"kind": "magnitude_frequency", "fft_length": 8192}, "fft_length"),
        ({"kind": "magnitude_frequency", "num_frames": -1}, "num_frames"),
        (
            {"kind": "magnitude_frequency", "magnitude_scale": 0.0},
            "magnitude_scale",
        ),
        (
            {"kind": "magnitude_frequency", "magnitude_offset": None},
            "magnitude_offset",
        ),
    ],
)
def test_wrong_arguments_are_refused(spec, told):
    with pytest.raises(ValueError, match=told) as error:
        get_representation(spec)
    assert "Received" in str(error.value)


def test_what_does_not_fit_into_the_frames_is_refused():
    representation = MagnitudeFrequency(64, 16, num_frames=4)
    # 3 * 16 + 64 samples
    assert representation.shape(112, 1) == (4, 32, 2)
    with pytest.raises(ValueError, match="hold 112 samples"):
        representation.shape(113, 1)
    with pytest.raises(ValueError, match="hold 112 samples"):
        representation.analyse(noise(1, 113, 1))
    longer = LogSpectrogram(64, 16, slice_length=113)
    with pytest.raises(ValueError, match="hold 112 samples"):
        longer.synthesise(noise(1, 4, 32, 1))


def test_frames_and_their_sum_by_hand():
    audio = np.arange(1.0, 8.0, dtype="float32")[None]
    for values in (audio, ops.convert_to_tensor(audio)):
        frames = frame(values, 3, 2)
        np.testing.assert_array_equal(
            as_numpy(frames), [[[1, 2, 3], [3, 4, 5], [5, 6, 7]]]
        )
        np.testing.assert_array_equal(
            as_numpy(overlap_add(frames, 2)), [[1, 2, 6, 4, 10, 6, 7]]
        )
    window = np.array([0.0, 2.0, 1.0, 3.0], "float32")
    np.testing.assert_array_equal(
        overlap_weight(window, 3, 2, floor=0.5), [0.5, 4, 1, 13, 1, 13, 1, 9]
    )


def test_tensors_and_arrays_have_the_same_inverse():
    window = centered_window("hamming", 48, 64)
    audio = noise(3, 400)
    spectra = {}
    for values in (audio, ops.convert_to_tensor(audio)):
        frames = frame(values, 64, 16)
        taper = window if values is audio else ops.convert_to_tensor(window)
        real, imaginary = rfft(frames * taper, 64)
        weight = overlap_weight(window, frames.shape[1], 16, 1e-3)
        sound = as_numpy(inverse_stft(real, imaginary, window, 16, weight))
        np.testing.assert_allclose(
            sound[:, 64:-64], audio[:, 64:-64], atol=1e-5
        )
        assert sound.shape == (3, 400)
        spectra[type(values)] = as_numpy(real), as_numpy(imaginary)
    (first, second) = spectra.values()
    np.testing.assert_allclose(first, second, atol=1e-5)
    magnitudes = np.hypot(*first).reshape(3, 1, *first[0].shape[1:])
    ours = invert_magnitudes(magnitudes, window, 16, 2, 0.9)
    theirs = invert_magnitudes(
        ops.convert_to_tensor(magnitudes), window, 16, 2, 0.9
    )
    assert isinstance(ours, np.ndarray) and ours.shape == (3, 1, 400)
    np.testing.assert_allclose(as_numpy(theirs), ours, atol=1e-4)
    alone = invert_magnitudes(magnitudes[1, 0], window, 16, 2, 0.9)
    np.testing.assert_allclose(alone, ours[1, 0], atol=1e-5)
    with pytest.raises(ValueError, match="33 bins"):
        invert_magnitudes(magnitudes[..., :-1], window, 16)


@pytest.mark.slow
def test_representations_work_inside_a_compiled_graph():
    backend = keras.backend.backend()
    for case, options in CASES.items():
        representation = get_representation(options)

        def both(audio, representation=representation):
            x = representation.analyse(audio)
            return representation.synthesise(x), representation.level(x)

        audio = noise(2, 1024, 1)
        want = both(ops.convert_to_tensor(audio))
        if backend == "tensorflow":
            import tensorflow as tf

            spec = [tf.TensorSpec((None, 1024, 1))]
            got = tf.function(both, input_signature=spec)(audio)
        elif backend == "jax":
            import jax

            got = jax.jit(both)(audio)
        else:
            pytest.skip("PyTorch runs no graph here.")
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(
                as_numpy(a), as_numpy(b), atol=1e-3, err_msg=case
            )
