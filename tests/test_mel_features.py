"""The vocoders' spectra against NumPy and against the originals' numbers."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_audiogan.audio import fit_to_mel
from keras_audiogan.audio.spectra import log_mel_spectrogram, mel_filter_bank
from keras_audiogan.audio.windows import WINDOWS, get_window
from keras_audiogan.layers import (
    MEL_SETTINGS,
    LogMelSpectrogram,
    MelFeatures,
    stft_magnitude,
    stft_power,
)
from keras_audiogan.training import gradients

pytestmark = pytest.mark.backends

# What the originals' functions gave for `sound(2, 3000)`: jik876's
# `mel_spectrogram`, descriptinc's `Audio2Mel`, kan-bayashi's
# `logmelfilterbank` (three settings) and `MelSpectrogram`. Options, gain of
# the sound, shape, mean, and every (size // 9)th value.
GOLDEN = {
    "jik876": (
        MEL_SETTINGS["hifigan"],
        1.0,
        (2, 11, 80),
        -4.403496,
        [
            -4.56956,
            -4.46225,
            -4.83385,
            -5.53575,
            -5.05294,
            -4.97799,
            -4.90569,
            -1.02847,
            -4.65593,
        ],
    ),
    "descriptinc": (
        MEL_SETTINGS["melgan"],
        1.0,
        (2, 11, 80),
        -1.927374,
        [
            -1.98301,
            -2.08507,
            -2.01446,
            -1.88115,
            -2.34251,
            -1.96983,
            -2.16198,
            -0.58823,
            -2.12347,
        ],
    ),
    "kan-bayashi": (
        MEL_SETTINGS["parallel_wavegan"],
        1.0,
        (2, 12, 80),
        -1.934660,
        [
            -1.36851,
            -2.04098,
            -1.94402,
            -2.13044,
            -1.83782,
            -2.27669,
            -2.05647,
            -2.16536,
            -2.21053,
        ],
    ),
    "kan-bayashi 24 kHz": (
        {
            "sampling_rate": 24000,
            "fft_length": 2048,
            "frame_step": 300,
            "window_length": 1200,
            "window": "hamming",
            "num_mel_bins": 60,
            "min_frequency": 70,
            "log_base": 2.0,
            "floor": 1e-10,
        },
        1.0,
        (2, 11, 60),
        -5.366915,
        [
            -2.91721,
            -6.0159,
            -5.9887,
            -5.27882,
            -5.84968,
            -5.87244,
            -5.85765,
            -0.71523,
            -5.86778,
        ],
    ),
    "kan-bayashi odd": (
        {
            "sampling_rate": 11127,
            "fft_length": 513,
            "frame_step": 77,
            "window_length": 301,
            "window": "blackman",
            "num_mel_bins": 20,
            "min_frequency": None,
            "log_base": None,
            "floor": 1e-10,
        },
        1.0,
        (2, 39, 20),
        -5.276698,
        [
            -5.12815,
            -5.78944,
            -5.25965,
            -5.44826,
            -5.7543,
            -5.20736,
            -5.5831,
            -5.75191,
            -5.95428,
        ],
    ),
    "kan-bayashi loss": (
        {**MEL_SETTINGS["parallel_wavegan"], "power_clip": 1e-10},
        3e-5,
        (2, 12, 80),
        -6.192531,
        [
            -5.8773,
            -6.32857,
            -6.33983,
            -6.3334,
            -6.31333,
            -6.33618,
            -6.33023,
            -6.33564,
            -6.31262,
        ],
    ),
}


def sound(batch, time, seed=0, rate=22050):
    """A rising tone of five harmonics in noise, from silence to loud."""
    rng = np.random.default_rng(seed)
    t = np.arange(time) / rate
    sweep = 2 * np.pi * (110 * (1 + 0.2 * t)) * t
    tone = sum(0.3 / k * np.sin(sweep * k) for k in range(1, 6))
    noise = 0.02 * rng.standard_normal((batch, time))
    return (0.5 * (tone * np.linspace(0, 1, time) + noise)).astype("float32")


def as_numpy(value):
    return np.asarray(ops.convert_to_numpy(value))


def spectrum(audio, fft_length, step, length, window, margin):
    """The transform by its definition, in float64."""
    audio = np.pad(
        audio.astype("float64"), [(0, 0), (margin, margin)], "reflect"
    )
    taper = np.zeros(fft_length)
    left = (fft_length - length) // 2
    taper[left : left + length] = get_window(window, length)
    count = 1 + (audio.shape[1] - fft_length) // step
    frames = [audio[:, i * step : i * step + fft_length] for i in range(count)]
    return np.abs(np.fft.rfft(np.stack(frames, 1) * taper))


@pytest.mark.parametrize("name", GOLDEN)
def test_features_are_the_originals(name):
    options, gain, shape, mean, values = GOLDEN[name]
    features = MelFeatures(**options)
    audio = gain * sound(2, 3000)[..., None]
    mel = as_numpy(features(audio))
    assert mel.shape == shape == features.compute_output_shape(audio.shape)
    np.testing.assert_allclose(mel.mean(dtype="float64"), mean, rtol=1e-5)
    sampled = mel.reshape(-1)[:: mel.size // 9][:9]
    np.testing.assert_allclose(sampled, values, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    "fft_length, step, length, window, padding",
    [
        (64, 16, 64, "hann", "center"),
        (64, 16, 40, "hamming", "center"),
        (171, 10, 60, "hann", "center"),
        (63, 20, 63, "blackman", "center"),
        (64, 16, 64, "hann", "same"),
        (64, 48, 20, "bartlett", "same"),
        (60, 7, 33, "nuttall", "same"),
        (33, 33, 32, "boxcar", "same"),
    ],
)
def test_magnitudes_are_those_of_the_definition(
    fft_length, step, length, window, padding
):
    audio = sound(2, 400)
    margin = (
        fft_length // 2 if padding == "center" else (fft_length - step) // 2
    )
    want = spectrum(audio, fft_length, step, length, window, margin)
    got = stft_magnitude(
        audio, fft_length, step, length, window, padding, epsilon=0.0
    )
    np.testing.assert_allclose(as_numpy(got), want, atol=2e-5, rtol=2e-5)


def test_windows_are_scipys():
    from scipy import signal

    for name in WINDOWS:
        for length in (1, 2, 9, 300):
            want = signal.get_window(name, length)
            np.testing.assert_allclose(
                get_window(name, length), want, atol=1e-7, err_msg=name
            )
    np.testing.assert_array_equal(
        get_window("hann_window", 8), get_window("hann", 8)
    )
    np.testing.assert_array_equal(get_window(None, 3), [1, 1, 1])


def test_gradients_are_those_of_finite_differences():
    features = MelFeatures(8000, 8, 64, 16, window_length=40, floor=1e-3)
    weights = np.random.default_rng(1).standard_normal((1, 19, 8))
    weights = ops.convert_to_tensor(weights.astype("float32"))
    variable = keras.Variable(sound(1, 300)[..., None])

    def loss(audio):
        return ops.sum(features(audio) * weights)

    def value():
        return loss(variable), {}

    _, _, (gradient,) = gradients.value_and_gradients(value, [variable])
    gradient = as_numpy(gradient)
    steepest = float(np.linalg.norm(gradient))
    direction = gradient / steepest
    audio, small = as_numpy(variable), 2e-3
    there, back = (
        float(loss(audio + sign * small * direction)) for sign in (1, -1)
    )
    np.testing.assert_allclose(
        (there - back) / (2 * small), steepest, rtol=5e-3
    )


@pytest.mark.parametrize("name", MEL_SETTINGS)
def test_silence_has_finite_features_and_gradients(name):
    options = MEL_SETTINGS[name]
    features = MelFeatures(**options)
    variable = keras.Variable(np.zeros((1, 2048, 1), "float32"))

    def value():
        return ops.sum(features(variable)), {}

    loss, _, (gradient,) = gradients.value_and_gradients(value, [variable])
    assert np.isfinite(float(loss))
    assert np.isfinite(as_numpy(gradient)).all()
    # HiFi-GAN adds 1e-9 to every power, which lifts the widest filters'
    # sums no further than the floor.
    lowest = np.log(options["floor"])
    if options["log_base"] == "10":
        lowest /= np.log(10.0)
    np.testing.assert_allclose(as_numpy(features(variable)), lowest, rtol=0.01)


def test_normalisation_bases_and_powers():
    audio = sound(1, 500)[..., None]
    plain = as_numpy(MelFeatures(8000, 4, 64, 32)(audio))
    mean, scale = [0.5, -1.0, 2.0, 0.0], [1.0, 2.0, 0.5, 4.0]
    normal = MelFeatures(8000, 4, 64, 32, mean=mean, scale=scale)
    np.testing.assert_allclose(
        as_numpy(normal(audio)), (plain - mean) / scale, rtol=1e-5, atol=1e-6
    )
    for base, divisor in [(10.0, np.log(10)), ("2", np.log(2)), (None, 1.0)]:
        other = MelFeatures(8000, 4, 64, 32, log_base=base)
        np.testing.assert_allclose(
            as_numpy(other(audio)), plain / divisor, rtol=1e-5
        )
    power = MelFeatures(8000, 4, 64, 32, power=2.0, floor=1e-20)
    squares = as_numpy(stft_power(audio[..., 0], 64, 32)) @ power.filters
    np.testing.assert_allclose(
        as_numpy(power(audio)), np.log(squares), rtol=1e-4, atol=1e-5
    )


def test_configuration_round_trips_through_json():
    features = MelFeatures(
        **{**MEL_SETTINGS["parallel_wavegan"], "log_base": 10},
        mean=np.arange(80),
        scale=np.full(80, 0.5, "float32"),
    )
    config = json.loads(json.dumps(features.get_config()))
    again = MelFeatures.from_config(config)
    assert again.get_config() == features.get_config()
    assert again.log_base == "10" and again.mean[3] == 3.0
    audio = sound(1, 1500)[..., None]
    np.testing.assert_array_equal(
        as_numpy(again(audio)), as_numpy(features(audio))
    )
    assert not features.weights


def test_the_length_may_be_unknown_and_the_policy_half():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        features = MelFeatures(**MEL_SETTINGS["hifigan"])
        inputs = keras.Input((None, 1), dtype="float32")
        outputs = features(inputs)
        assert outputs.shape == (None, None, 80)
        model = keras.Model(inputs, outputs)
    finally:
        keras.config.set_dtype_policy("float32")
    audio = sound(3, 2816)[..., None]
    got = model.predict(audio, batch_size=2, verbose=0)
    assert got.shape == (3, 11, 80) and got.dtype == "float32"
    np.testing.assert_allclose(
        got, as_numpy(features(audio)), rtol=1e-5, atol=1e-5
    )


def test_a_graph_of_unknown_length_has_gradients():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("Only TensorFlow's graphs have unknown lengths.")
    import tensorflow as tf

    features = MelFeatures(**MEL_SETTINGS["melgan"])

    @tf.function(input_signature=[tf.TensorSpec((None, None, 1))])
    def slope(audio):
        with tf.GradientTape() as tape:
            tape.watch(audio)
            loss = tf.reduce_sum(features(audio))
        return tape.gradient(loss, audio)

    for length in (1024, 1500):
        audio = tf.constant(sound(1, length)[..., None])
        with tf.GradientTape() as tape:
            tape.watch(audio)
            loss = tf.reduce_sum(features(audio))
        want = tape.gradient(loss, audio).numpy()
        np.testing.assert_allclose(
            slope(audio).numpy(), want, rtol=1e-4, atol=1e-3
        )


@pytest.mark.parametrize(
    "options, told",
    [
        ({"log_base": "3"}, "log_base"),
        ({"padding": "valid"}, "padding"),
        ({"window": "round"}, "window"),
        ({"window_length": 2048}, "window_length"),
        ({"frame_step": 0}, "frame_step"),
        ({"floor": 0.0}, "floor"),
        ({"mean": [1.0, 2.0]}, "mean"),
        ({"mean": [None] + [0.0] * 79}, "mean"),
        ({"mean": [1e300] * 80}, "finite"),
        ({"scale": [0.0] * 80}, "scale"),
        ({"scale": [1e-300] * 80}, "scale"),
        ({"max_frequency": 20000}, "max_frequency"),
        ({"mel_scale": "bark"}, "scale"),
    ],
)
def test_wrong_options_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        MelFeatures(22050, **options)


def test_sound_too_short_or_of_two_channels_is_refused():
    features = MelFeatures(22050)
    with pytest.raises(ValueError, match="longer than 512 samples"):
        features(np.zeros((1, 512, 1), "float32"))
    with pytest.raises(ValueError, match="one channel"):
        features(np.zeros((1, 2048, 2), "float32"))


def by_hand(audio, left, frames, bank, exponent, floor):
    """Frames of 64 samples, 32 a step, `left` zeros before: float64."""
    padded = np.pad(audio.astype("float64"), (left, 64))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 64)
    parts = [padded[32 * i : 32 * i + 64] * window for i in range(frames)]
    return np.log(np.abs(np.fft.rfft(parts)) ** exponent @ bank + floor)


def test_discriminators_spectra_by_hand():
    layer = LogMelSpectrogram(8000, 10, 64, 32, 50.0, 1e-3)
    audio = np.stack([sound(2, 320), sound(2, 320, seed=1)], axis=2)
    got = as_numpy(layer(audio))
    assert got.shape == (2, 10, 10, 2)
    assert got.shape == layer.compute_output_shape(audio.shape)
    bank = mel_filter_bank(10, 64, 8000, 50.0, 4000.0)
    for row in range(2):
        for channel in range(2):
            want = by_hand(audio[row, :, channel], 16, 10, bank, 2, 1e-3)
            np.testing.assert_allclose(got[row, :, :, channel], want, atol=1e-5)
    again = LogMelSpectrogram.from_config(layer.get_config())
    np.testing.assert_array_equal(as_numpy(again(audio)), got)
    with pytest.raises(ValueError, match="multiple of `frame_step`"):
        LogMelSpectrogram(8000, fft_length=64, frame_step=24)


@pytest.mark.parametrize("padding", ["middle", "end"])
def test_zeros_at_the_ends_by_hand(padding):
    frames = 10  # 300 samples in steps of 32, the last one begun
    audio = sound(1, 300)
    options = {"padding": padding, "slopes": "mel", "floor": 1e-4}
    features = MelFeatures(
        8000, 12, 64, 32, mel_scale="htk", mel_norm=None, add_floor=True,
        min_frequency=40.0, max_frequency=3800.0, **options,
    )  # fmt: skip
    got = as_numpy(features(audio[..., None]))
    bank = mel_filter_bank(12, 64, 8000, 40, 3800, slopes="mel")
    left = 16 if padding == "middle" else 0
    want = by_hand(audio[0], left, frames, bank, 1, 1e-4)
    assert got.shape[1:] == features.shape(300, 1) == (frames, 12)
    np.testing.assert_allclose(got[0], want, atol=1e-5)
    # The same function, of an array.
    array = log_mel_spectrogram(
        audio[0], 8000, num_mel_bins=12, fft_length=64, frame_step=32,
        min_frequency=40.0, max_frequency=3800.0, **options,
    )  # fmt: skip
    assert isinstance(array, np.ndarray)
    np.testing.assert_allclose(array, want, atol=1e-5)


def test_arrays_and_tensors_have_the_same_spectra():
    audio = sound(2, 700)
    for options in (
        {"window_length": 40, "window": "hamming"},
        {"padding": "same", "power": 1.5, "power_clip": 1e-4},
        {"padding": "none", "power": 2.0, "power_floor": 1e-3},
    ):
        options = {"fft_length": 64, "frame_step": 16, **options}
        options = {**options, "num_mel_bins": 12, "floor": 1e-5}
        array = log_mel_spectrogram(audio, 8000, **options)
        tensor = log_mel_spectrogram(
            ops.convert_to_tensor(audio), 8000, **options
        )
        assert isinstance(array, np.ndarray)
        assert not isinstance(tensor, np.ndarray)
        np.testing.assert_allclose(as_numpy(tensor), array, atol=1e-5)


def test_statistics_of_a_corpus():
    clips = [sound(1, 512, seed=seed)[0, :, None] for seed in range(3)]
    silence = np.zeros((512, 1), "float32")
    options = {"fft_length": 64, "frame_step": 32, "num_mel_bins": 6}
    features = MelFeatures(8000, **options, mean=[5.0] * 6, scale=[7.0] * 6)
    fitted = features.fit(iter([*clips, silence]))
    plain = MelFeatures(8000, **options)
    values = np.concatenate(
        [as_numpy(plain(clip[None]))[0] for clip in clips]
    ).astype("float64")
    np.testing.assert_allclose(fitted["mean"], values.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(fitted["scale"], values.std(axis=0), atol=1e-6)
    assert fitted["mean"] == [round(value, 6) for value in fitted["mean"]]
    normal = MelFeatures(8000, **options, **fitted)
    every = np.concatenate([as_numpy(normal(clip[None]))[0] for clip in clips])
    np.testing.assert_allclose(every.mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(every.std(axis=0), 1.0, atol=1e-4)
    # Bands that never change are not blown up.
    clicks = np.zeros((512, 1), "float32")
    clicks[::32] = 1.0
    assert min(plain.fit([clicks])["scale"]) >= 0.01
    for corpus, told in (([], "no clips"), ([silence], "silent")):
        with pytest.raises(ValueError, match=told):
            features.fit(corpus)


@pytest.mark.parametrize("padding", ["same", "middle"])
def test_mels_are_sound_again(padding):
    time = np.arange(4096) / 8000
    audio = 0.4 * np.sin(2 * np.pi * np.array([[300.0], [700.0]]) * time)
    features = MelFeatures(
        8000, 40, 256, 64, padding=padding, mean=[-2.0] * 40, scale=[2.0] * 40,
        add_floor=padding == "middle",
    )  # fmt: skip
    mel = features.analyse(audio.astype("float32")[..., None])
    made = as_numpy(features.synthesise(mel))
    assert made.shape == (2, 4096, 1)
    error = as_numpy(features(made)) - as_numpy(mel)
    assert np.abs(error[:, 8:-8]).mean() < 0.3
    loudest = np.abs(np.fft.rfft(made[:, :, 0])).argmax(axis=1) * 8000 / 4096
    np.testing.assert_allclose(loudest, [300.0, 700.0], atol=15.0)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("hifigan", {"max_frequency": None}),
        ("vocos", {"power": 2.0, "mean": [-2.0] * 100, "scale": [3.0] * 100}),
        ("melgan", {"add_floor": True}),
    ],
)
def test_what_fits_stays_and_what_does_not_is_fitted(name, options):
    features = MelFeatures(**{**MEL_SETTINGS[name], **options})
    step = features.frame_step
    audio = 0.3 * sound(2, 40 * step)
    mel = as_numpy(features(audio))[:, :40]
    inner = slice(2 * features.fft_length, -2 * features.fft_length)

    # Of its own mels, and of those of the same sound at a third of the level,
    # a sound is the answer: magnitudes are scaled, and phases agree already.
    for given in (audio, audio / 3.0):
        again = fit_to_mel(given, mel, features, 4)
        np.testing.assert_allclose(
            again[:, inner], audio[:, inner], atol=0.02 * audio.std()
        )

    def miss(made):
        return np.abs(as_numpy(features(made))[:, :40] - mel)[:, 4:-4].mean()

    other = np.random.default_rng(1).normal(0.0, 0.05, audio.shape)
    other = other.astype("float32")
    few, many = (fit_to_mel(other, mel, features, n) for n in (1, 16))
    assert miss(many) < 0.7 * miss(few) < 0.7 * 0.7 * miss(other)
    # Arrays and tensors.
    tensors = as_numpy(fit_to_mel(ops.convert_to_tensor(other), mel, features))
    np.testing.assert_allclose(tensors, many, atol=5e-3 * many.std())
    with pytest.raises(ValueError, match="equal lengths"):
        fit_to_mel(other[:, :-1], mel, features)
    with pytest.raises(ValueError, match="momentum"):
        fit_to_mel(other, mel, features, momentum=1.0)


def test_bins_of_no_band_stay():
    features = MelFeatures(
        8000, 10, 256, 64, min_frequency=500.0, max_frequency=2000.0,
        padding="same",
    )  # fmt: skip
    time = np.arange(64 * 64) / 8000
    heard, not_heard = (
        np.sin(2 * np.pi * x * time)[None].astype("float32")
        for x in (1000.0, 3000.0)
    )
    mel = as_numpy(features(0.4 * heard))
    made = fit_to_mel(0.1 * heard + 0.1 * not_heard, mel, features, 0)
    inner = np.s_[0, 512:-512]
    wanted = (0.4 * heard + 0.1 * not_heard)[inner]
    np.testing.assert_allclose(made[inner], wanted, atol=2e-2)
