"""The two-layer LSTM on MFCC, and the coefficients themselves."""

import keras
import numpy as np
import pytest
import scipy.fft

from keras_audiogan import saving
from keras_audiogan.audio.spectra import mel_filter_bank
from keras_audiogan.layers import MFCC, cosine_matrix
from keras_audiogan.models import LSTMClassifier
from keras_audiogan.models.lstm_classifier import INPUTS


def small(**options):
    keras.utils.set_random_seed(3)
    return LSTMClassifier(
        **{
            "labels": ("left", "right", "up"),
            "slice_length": 2048,
            "fft_length": 256,
            "frame_step": 128,
            "num_mel_bins": 16,
            "num_coefficients": 8,
            "num_slice_frames": 4,
            "units": (6, 5),
            **options,
        }
    )


def prepared(model, audio):
    values = model.network.prepared(keras.ops.convert_to_tensor(audio))
    return [keras.ops.convert_to_numpy(value) for value in values]


@pytest.fixture(scope="module")
def noise():
    random = np.random.default_rng(0)
    return random.normal(0, 0.1, size=(4, 2048, 1)).astype("float32")


@pytest.mark.backends
def test_mfcc_are_those_of_numpy_and_scipy(noise):
    layer = MFCC(8000, 8, num_mel_bins=16, min_frequency=60.0, floor=1e-3)
    found = keras.ops.convert_to_numpy(layer(noise))
    padded = np.pad(noise[:, :, 0], ((0, 0), (64, 64)))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    frames = np.stack(
        [padded[:, 128 * i : 128 * i + 256] * window for i in range(16)], axis=1
    )
    power = np.abs(np.fft.rfft(frames)) ** 2
    bank = mel_filter_bank(16, 256, 8000, 60.0, 4000.0)
    log_mel = np.log(power @ bank + 1e-3)
    expected = scipy.fft.dct(log_mel, type=2, norm="ortho")[..., :8]
    assert found.shape == (4, 16, 8)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_the_cosine_matrix_is_orthonormal():
    matrix = cosine_matrix(12, 12).astype("float64")
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(12), atol=1e-6)
    np.testing.assert_allclose(
        np.eye(12) @ cosine_matrix(12, 5),
        scipy.fft.dct(np.eye(12), type=2, norm="ortho")[:, :5],
        atol=1e-6,
    )


def test_mfcc_layers_are_rebuilt_from_their_config():
    layer = MFCC(8000, 8, num_mel_bins=16, floor=0.1)
    again = MFCC.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="num_coefficients=17"):
        MFCC(8000, 17, num_mel_bins=16)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(sequence, kernel, recurrent, bias):
    """Hochreiter's cell with gates i, f, c, o, over (rows, time, width)."""
    state = carry = np.zeros((len(sequence), recurrent.shape[0]))
    outputs = []
    for step in np.moveaxis(sequence, 1, 0):
        gates = np.split(step @ kernel + state @ recurrent + bias, 4, axis=1)
        carry = sigmoid(gates[1]) * carry + sigmoid(gates[0]) * np.tanh(
            gates[2]
        )
        state = sigmoid(gates[3]) * np.tanh(carry)
        outputs.append(state)
    return np.stack(outputs, axis=1)


@pytest.mark.backends
@pytest.mark.parametrize("inputs", INPUTS)
def test_the_network_is_that_of_numpy(noise, inputs):
    model = small(inputs=inputs, threshold_db=-20.0)
    network = model.network
    random = np.random.default_rng(1)
    network.norm.set_weights(
        [random.uniform(0.5, 2, w.shape) for w in network.norm.get_weights()]
    )
    audio = noise.copy()
    audio[0, 700:] *= 0.01  # Silence, by the threshold.
    hidden, sounding = prepared(model, audio)
    assert sounding[0].tolist() == [1.0] * 6 + [0.0] * 10
    gamma, beta, mean, variance = network.norm.get_weights()
    hidden = (hidden - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    slices = 4 if inputs == "sliced_mfcc" else 1
    hidden = hidden.reshape(4 * slices, 16 // slices, -1)
    for layer in network.lstms:
        hidden = lstm(hidden, *layer.get_weights())
    hidden = hidden.reshape(4, slices, 16 // slices, 5)
    weights = sounding.reshape(4, slices, 16 // slices, 1)
    features = []
    for clip, loud in zip(hidden, weights, strict=True):
        means = [
            part[where[:, 0] > 0].mean(axis=0)
            for part, where in zip(clip, loud, strict=True)
            if where.any()
        ]
        features.append(np.mean(means, axis=0))
    np.testing.assert_allclose(model.features(audio), features, atol=1e-4)
    kernel, bias = network.dense.get_weights()
    np.testing.assert_allclose(
        model.predict_logits(audio), features @ kernel + bias, atol=1e-4
    )


def test_the_waveform_below_the_threshold_is_silence(noise):
    model = small(inputs="waveform", threshold_db=-6.0)
    heard, _ = prepared(model, noise)
    scaled = noise[:, :, 0] / np.abs(noise).max(axis=(1, 2))[:, np.newaxis]
    expected = np.where(np.abs(scaled) >= 10 ** (-6 / 20), scaled, 0)
    np.testing.assert_allclose(heard.reshape(4, -1), expected, atol=1e-6)
    assert 0 < (heard != 0).mean() < 0.5


@pytest.mark.parametrize("inputs", INPUTS)
def test_silence_and_level_are_borne(noise, inputs):
    model = small(inputs=inputs)
    np.testing.assert_allclose(
        model.predict_logits(noise), model.predict_logits(noise / 8), atol=1e-4
    )
    assert np.isfinite(model.predict_logits(np.zeros((2, 2048, 1)))).all()


@pytest.mark.parametrize("inputs", INPUTS)
def test_clips_of_other_lengths_are_cut_and_padded(noise, inputs):
    model = small(inputs=inputs, slice_length=2000)
    assert model.predict_logits(noise[:, :900]).shape == (4, 3)
    np.testing.assert_allclose(
        model.predict_logits(noise),
        model.predict_logits(noise[:, :2000]),
        atol=1e-5,
    )


@pytest.mark.slow
@pytest.mark.backends
def test_it_learns_to_tell_tones_apart():
    time = np.arange(1024) / 8000
    targets = np.arange(48) % 3
    frequencies = np.array([300, 900, 2500])[targets]
    audio = np.sin(2 * np.pi * frequencies[:, np.newaxis] * time)[..., None]
    model = small(
        inputs="sliced_mfcc", slice_length=1024, dropout=0.0, units=(8, 8)
    )
    model.compile(keras.optimizers.Adam(0.03))
    model.fit(audio, targets, epochs=8, batch_size=16, verbose=0)
    heard = model.predict_logits(audio).argmax(axis=1)
    assert (heard == targets).mean() == 1.0


def test_a_preset_gives_the_same_probabilities(noise, tmp_path):
    model = small(inputs="sliced_mfcc", threshold_db=-30.0)
    model.save_to_preset(tmp_path / "preset", storage_dtype="float32")
    loaded = saving.load_preset(tmp_path / "preset")
    assert loaded.get_config() == model.get_config()
    np.testing.assert_allclose(
        loaded.predict_proba(noise), model.predict_proba(noise), atol=1e-6
    )


def test_weights_have_stable_names():
    names = {weight.path for weight in small().network.weights}
    assert "classifier/lstm_0/lstm_cell/recurrent_kernel" in names
    assert "classifier/lstm_1/lstm_cell/bias" in names
    assert "classifier/batch_norm/moving_mean" in names
    assert "classifier/dense/kernel" in names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": "mel"}, "waveform, mfcc, sliced_mfcc. Received: inputs"),
        ({"threshold_db": 3.0}, "Received: threshold_db=3.0"),
        ({"units": (3,)}, r"two widths.*units=\(3,\)"),
        ({"num_coefficients": 17}, "num_coefficients=17"),
        ({"frame_step": 100}, "multiple of `frame_step`"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)
