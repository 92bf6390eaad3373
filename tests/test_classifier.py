import pathlib

import keras
import numpy as np
import pytest

from keras_audiogan import metrics, saving
from keras_audiogan.data import AudioDataset, AudioFolder
from keras_audiogan.models import DigitClassifier
from keras_audiogan.models.audio_classifier import fit_clips, softmax

DIGITS = pathlib.Path(__file__).parent / "data" / "digits"
BUNDLED = (
    pathlib.Path(__file__).parent.parent
    / "zoo"
    / "presets"
    / "digit_classifier"
)
WORDS = BUNDLED.with_name("word_classifier")


def small_classifier(**options):
    keras.utils.set_random_seed(1)
    return DigitClassifier(
        **{
            "labels": ("left", "right", "up"),
            "slice_length": 2048,
            "num_mel_bins": 16,
            "filters": (4, 8, 8),
            **options,
        }
    )


@pytest.fixture(scope="module")
def noise():
    random = np.random.default_rng(0)
    return random.normal(0, 0.1, size=(5, 2048, 1)).astype("float32")


@pytest.mark.backends
def test_probabilities_features_and_labels_of_a_batch(noise):
    model = small_classifier()
    probabilities = model.predict_proba(noise, batch_size=2)
    assert probabilities.shape == (5, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    features = model.features(noise)
    assert features.shape == (5, model.num_features) == (5, 8)
    both = model.predict_with_features(noise)
    np.testing.assert_allclose(both[0], probabilities, atol=1e-5)
    np.testing.assert_allclose(both[1], features, atol=1e-5)
    logits = keras.ops.convert_to_numpy(model(noise))
    np.testing.assert_allclose(softmax(logits), probabilities, atol=1e-5)
    named = [model.labels[index] for index in probabilities.argmax(axis=1)]
    assert model.predict_labels(noise) == named


def test_kept_frequencies_tell_pitches_apart():
    time = np.arange(2048) / 8000
    pitches = 440 * 2 ** (np.arange(6) / 12)
    tones = np.sin(2 * np.pi * pitches[:, None] * time)[..., None]
    audio = np.tile(tones, (8, 1, 1)).astype("float32")
    model = small_classifier(
        labels=list("ABCDEF"),
        num_mel_bins=64,
        fft_length=1024,
        keep_frequencies=True,
        dropout=0.0,
    )
    model.compile()
    labels = np.tile(np.arange(6), 8)
    model.fit(audio, labels, epochs=25, batch_size=12, verbose=0)
    assert model.features(tones).shape == (6, 8)
    assert model.predict_labels(tones) == list("ABCDEF")


@pytest.mark.backends
def test_log_mel_spectrogram_is_that_of_numpy(noise):
    model = small_classifier(num_channels=2)
    stereo = np.concatenate([noise, 0.5 * noise], axis=2)
    found = keras.ops.convert_to_numpy(
        model.network.log_mel_spectrogram(keras.ops.convert_to_tensor(stereo))
    )
    mono = stereo.mean(axis=2)
    mono /= np.abs(mono).max(axis=1, keepdims=True)
    padded = np.pad(mono, ((0, 0), (96, 96)))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    frames = np.stack(
        [padded[:, 64 * i : 64 * i + 256] * window for i in range(32)], axis=1
    )
    power = np.abs(np.fft.rfft(frames)) ** 2
    expected = np.log(power @ model.network.mel.filters + 1e-2) / 4
    assert found.shape == (5, 32, 16)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def convolve(images, kernel, stride):
    """Convolution with zero padding as TensorFlow's "same" has it."""
    pads = [(0, 0)]
    for size in images.shape[1:3]:
        total = (-(-size // stride) - 1) * stride + len(kernel) - size
        pads.append((total // 2, total - total // 2))
    images = np.pad(images, [*pads, (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(
        images, kernel.shape[:2], axis=(1, 2)
    )[:, ::stride, ::stride]
    return np.einsum("nhwcij,ijco->nhwo", windows, kernel)


@pytest.mark.backends
def test_the_network_is_that_of_numpy(noise):
    model = small_classifier()
    network = model.network
    random = np.random.default_rng(3)
    for norm in network.norms:
        norm.set_weights(
            [random.uniform(0.5, 2, w.shape) for w in norm.get_weights()]
        )
    hidden = keras.ops.convert_to_numpy(
        network.log_mel_spectrogram(keras.ops.convert_to_tensor(noise))
    )[..., np.newaxis]
    for index, (layer, norm) in enumerate(
        zip(network.convolutions, network.norms, strict=True)
    ):
        (kernel,) = layer.get_weights()
        gamma, beta, mean, variance = norm.get_weights()
        hidden = convolve(hidden, kernel, 2 if index == 0 else 1)
        hidden = (hidden - mean) / np.sqrt(variance + 1e-3) * gamma + beta
        hidden = np.maximum(hidden, 0)
        if index == 1:
            count, height, width, channels = hidden.shape
            hidden = hidden.reshape(
                count, height // 2, 2, width // 2, 2, channels
            ).max(axis=(2, 4))
    features = hidden.mean(axis=(1, 2))
    kernel, bias = network.dense.get_weights()
    np.testing.assert_allclose(model.features(noise), features, atol=1e-4)
    np.testing.assert_allclose(
        model.predict_logits(noise), features @ kernel + bias, atol=1e-4
    )


@pytest.mark.backends
def test_gradients_of_silence_are_finite():
    model = small_classifier()
    silence = np.zeros((2, 2048, 1), "float32")
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(silence, np.array([0, 1]), batch_size=2, verbose=0)
    assert np.isfinite(model.predict_proba(silence)).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@pytest.mark.slow
@pytest.mark.backends
def test_a_classifier_learns_to_tell_tones_apart(noise):
    time = np.arange(2048) / 8000
    targets = np.arange(48) % 3
    frequencies = np.array([300, 900, 2500])[targets]
    audio = np.sin(2 * np.pi * frequencies[:, np.newaxis] * time)[..., None]
    model = small_classifier(dropout=0.0)
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(audio, targets, epochs=8, batch_size=16, verbose=0)
    assert metrics.class_accuracy(
        targets, model.predict_proba(audio).argmax(axis=1)
    ) == pytest.approx(1)


def test_level_does_not_matter_and_silence_is_not_amplified(noise):
    model = small_classifier()
    np.testing.assert_allclose(
        model.predict_logits(noise), model.predict_logits(noise / 8), atol=1e-4
    )
    faint = model.network.log_mel_spectrogram(1e-6 * noise)
    assert float(keras.ops.max(faint)) < np.log(1e-2) / 4 + 0.05


@pytest.mark.backends
def test_clips_of_other_lengths_are_cut_and_padded(noise):
    model = small_classifier()
    short, long = noise[:, :1000], np.concatenate([noise, noise], axis=1)
    padded = np.pad(short, ((0, 0), (0, 1048), (0, 0)))
    for given, meant in ((short, padded), (long, noise)):
        np.testing.assert_allclose(
            model.predict_logits(given), model.predict_logits(meant)
        )
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(model(given)),
            keras.ops.convert_to_numpy(model(meant)),
            atol=1e-5,
        )
    assert model.predict_logits(noise[:, :, 0]).shape == (5, 3)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros((0, 9, 1)), r"Received: shape \(0, 9, 1\)"),
        (np.zeros(9), r"Received: shape \(9,\)"),
        (np.full((2, 9, 1), np.nan), r"clips \[0 1\]"),
    ],
)
def test_what_is_not_clips_is_refused(audio, message):
    with pytest.raises(ValueError, match=message):
        fit_clips(audio, 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ("one",)}, "two or more labels"),
        ({"labels": ("one", "one")}, "each given once"),
        ({"sampling_rate": 0}, "Received: sampling_rate=0"),
        ({"frame_step": 512}, "Received: frame_step=512, fft_length=256"),
        ({"max_frequency": 9000.0}, "half the sampling rate"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small_classifier(**options)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_spectra_and_logits_in_float32(noise, policy):
    exact = small_classifier()
    mixed = small_classifier(dtype=policy)
    mixed.set_weights(exact.get_weights())
    assert keras.backend.standardize_dtype(mixed(noise).dtype) == "float32"
    assert mixed.network.convolutions[1].compute_dtype == policy[6:]
    np.testing.assert_allclose(
        mixed.predict_logits(noise), exact.predict_logits(noise), atol=0.05
    )


def test_a_preset_gives_the_same_probabilities(noise, tmp_path):
    model = small_classifier()
    model.save_to_preset(tmp_path / "preset", storage_dtype="float32")
    loaded = saving.load_preset(tmp_path / "preset")
    assert loaded.labels == ("left", "right", "up")
    assert loaded.get_config() == model.get_config()
    np.testing.assert_allclose(
        loaded.predict_proba(noise), model.predict_proba(noise), atol=1e-6
    )


def test_weights_have_stable_names():
    model = small_classifier()
    names = {weight.path for weight in model.network.weights}
    assert "classifier/conv_0/kernel" in names
    assert "classifier/batch_norm_2/moving_variance" in names
    assert "classifier/dense/bias" in names


# The bundled preset


def recordings(rate, slice_length):
    data = AudioDataset(
        AudioFolder.scan(DIGITS), slice_length, rate, mode="pad", labels=True
    )
    batch = next(data.clips(64))
    names = data.folder.labels
    return batch["audio"], [names[label] for label in batch["labels"]]


@pytest.fixture(scope="module")
def bundled():
    return saving.load_preset(BUNDLED)


@pytest.mark.backends
def test_the_bundled_classifier_knows_the_digits(bundled):
    slices, spoken = recordings(8000, 8192)
    assert bundled.predict_labels(slices) == spoken
    # What its card says of all 300 held-out recordings.
    record = saving.read_training(BUNDLED)
    assert record["metrics"]["test_accuracy"]["value"] >= 0.97
    assert record["metrics"]["test_accuracy"]["num_recordings"] == 300


@pytest.mark.parametrize("change", ["quiet", "late", "noisy", "cut"])
def test_the_bundled_classifier_bears_what_generators_do(bundled, change):
    slices, spoken = recordings(8000, 8192)
    random = np.random.default_rng(0)
    if change == "quiet":
        slices *= 0.05
    elif change == "late":
        slices = np.pad(slices, ((0, 0), (600, 0), (0, 0)))
    elif change == "noisy":
        slices += random.normal(0, 0.01, slices.shape).astype("float32")
    else:
        slices = slices[:, :6500]
    heard = bundled.predict_labels(slices)
    assert np.mean([a == b for a, b in zip(heard, spoken, strict=True)]) > 0.9


def test_the_bundled_word_classifier_knows_zero_and_one():
    judge = saving.load_preset(WORDS)
    slices, spoken = recordings(4096, 4096)
    known = [index for index, word in enumerate(spoken) if word != "two"]
    assert judge.labels == ("zero", "one")
    assert judge.predict_labels(slices[known]) == [spoken[i] for i in known]
    record = saving.read_training(WORDS)
    assert record["metrics"]["test_accuracy"]["value"] >= 0.97
    assert record["metrics"]["test_accuracy"]["num_recordings"] == 60
