import json
import pathlib
import re
import shutil

import keras
import numpy as np
import pytest
import soundfile

from keras_audiogan import metrics, saving
from keras_audiogan.metrics import train_classifier
from keras_audiogan.metrics.augmentation import (
    Augmentation,
    augment_clip,
    augmented_batches,
)
from keras_audiogan.models import DigitClassifier
from keras_audiogan.models.audio_classifier import fit_clips, softmax

DIGITS = pathlib.Path(__file__).parent / "data" / "digits"
BUNDLED = (
    pathlib.Path(__file__).parent.parent
    / "zoo"
    / "presets"
    / "digit_classifier"
)


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
    expected = np.log(power @ model.network.mel_matrix + 1e-2) / 4
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


# Recordings


def test_recordings_are_read_with_labels_and_peaks():
    data, names = metrics.read_labelled_clips(DIGITS, 8000)
    assert names == ["one", "two", "zero"]
    assert len(data.clips) == len(data.paths) == len(list(DIGITS.glob("*/*")))
    for clip, target, path in zip(
        data.clips, data.targets, data.paths, strict=True
    ):
        assert np.abs(clip).max() == pytest.approx(1)
        assert path.startswith(names[target] + "/")


def test_recordings_are_resampled_and_bad_ones_are_told(tmp_path):
    shutil.copytree(DIGITS, tmp_path / "digits")
    (tmp_path / "digits" / "one" / "broken.wav").write_bytes(b"RIFFxxxx")
    soundfile.write(tmp_path / "digits/two/silent.wav", np.zeros(99), 8000)
    (tmp_path / "digits" / "one" / "notes.txt").write_text("not sound")
    half, _ = metrics.read_labelled_clips(tmp_path / "digits", 4000)
    full, _ = metrics.read_labelled_clips(DIGITS, 8000)
    assert half.paths == full.paths
    assert len(half.clips[0]) == pytest.approx(len(full.clips[0]) / 2, abs=1)
    assert set(half.skipped) == {"one/broken.wav", "two/silent.wav"}
    assert "silent" in half.skipped["two/silent.wav"]


def test_a_folder_without_labels_says_what_it_holds(tmp_path):
    shutil.copytree(DIGITS / "one", tmp_path / "one")
    with pytest.raises(ValueError, match=r"where \['one'\] holds sound"):
        metrics.read_labelled_clips(tmp_path, 8000)


def test_the_test_pattern_splits_by_path():
    data, _ = metrics.read_labelled_clips(DIGITS, 8000)
    pattern = "/" + pathlib.Path(data.paths[0]).name.split("_")[0]
    train, test = metrics.split_clips(data, pattern)
    assert sorted(train.paths + test.paths) == sorted(data.paths)
    assert all(re.search(pattern, path) for path in test.paths)
    assert not any(re.search(pattern, path) for path in train.paths)
    train, test = metrics.split_clips(data, None)
    assert set(test.targets) == {0, 1, 2}
    assert len(test.clips) == 3
    with pytest.raises(ValueError, match="which matches 0 of"):
        metrics.split_clips(data, "nobody")


def test_clips_are_placed_at_the_start_or_the_middle():
    clips = [np.ones(3), np.ones(9)]
    slices = metrics.place_clips(clips, 6)
    assert slices[..., 0].tolist() == [[1, 1, 1, 0, 0, 0], [1] * 6]
    centred = metrics.place_clips(clips, 7, None)
    assert centred[..., 0].tolist() == [[0, 0, 1, 1, 1, 0, 0], [1] * 7]


def test_augmentation_without_strength_only_places():
    clip = np.sin(np.arange(300.0))
    nothing = Augmentation(0.0, 0.0, 1.0, 0.0, 0.0)
    slice_ = augment_clip(clip, 512, 8000, nothing, np.random.default_rng(0))
    np.testing.assert_allclose(slice_[:299], clip[:299], atol=1e-6)
    assert not slice_[300:].any()


@pytest.mark.parametrize("length", [1, 300, 512, 900])
def test_augmented_clips_have_the_slice_length_and_stay_in_range(length):
    random = np.random.default_rng(0)
    clip = random.uniform(-1, 1, length)
    for _ in range(20):
        slice_ = augment_clip(clip, 512, 8000, Augmentation(), random)
        assert slice_.shape == (512,)
        assert slice_.dtype == np.float32
        assert np.abs(slice_).max() < 1.2


def test_augmented_batches_depend_on_seed_epoch_and_index_alone():
    data, _ = metrics.read_labelled_clips(DIGITS, 8000)
    options = (data, 4096, 8000, 4, Augmentation())
    first, second = (augmented_batches(*options, seed=s) for s in (0, 0))
    np.testing.assert_array_equal(first[1][0], second[1][0])
    np.testing.assert_array_equal(first[1][1], second[1][1])
    assert (augmented_batches(*options, seed=1)[1][0] != first[1][0]).any()
    before = first[0][0]
    first.on_epoch_end()
    assert (first[0][0] != before).any()


def test_the_command_trains_and_writes_a_preset(tmp_path, capsys):
    data, _ = metrics.read_labelled_clips(DIGITS, 8000)
    speaker = pathlib.Path(data.paths[0]).name.split("_")[0]
    train_classifier.main(
        [
            str(DIGITS),
            *("--output", str(tmp_path / "preset")),
            *("--test-pattern", f"/{speaker}_"),
            *("--epochs", "2", "--batch-size", "4"),
            *("--slice-length", "2048"),
            *("--data-name", "digits", "--data-license", "cc-by-sa-4.0"),
            *("--note", "a trial"),
        ]
    )
    assert "epoch 2/2: loss" in capsys.readouterr().out
    model = saving.load_preset(tmp_path / "preset")
    assert model.labels == ("one", "two", "zero")
    record = json.loads((tmp_path / "preset" / "training.json").read_text())
    test = [path for path in data.paths if f"/{speaker}_" in path]
    assert record["data"]["num_files"] == len(data.paths) - len(test)
    assert record["data"]["name"] == "digits"
    assert record["data"]["hash"].startswith("sha256:")
    assert record["notes"] == ["a trial"]
    assert record["recipe"]["epochs"] == 2
    confusion = np.array(record["metrics"]["confusion"]["value"])
    assert confusion.sum() == len(test)
    accuracy = record["metrics"]["test_accuracy"]["value"]
    assert accuracy == pytest.approx(np.trace(confusion) / len(test))


def test_folders_named_by_digit_are_named_in_words():
    names = [str(digit) for digit in range(10)]
    assert train_classifier.label_names_of(names)[7] == "seven"
    assert train_classifier.label_names_of(["1", "2"]) == ("1", "2")
    with pytest.raises(ValueError, match="one label name for each"):
        train_classifier.label_names_of(["1", "2"], ["one"])


# The bundled preset


@pytest.fixture(scope="module")
def bundled():
    return saving.load_preset(BUNDLED)


@pytest.mark.backends
def test_the_bundled_classifier_knows_the_digits(bundled):
    data, names = metrics.read_labelled_clips(DIGITS, 8000)
    slices = metrics.place_clips(data.clips, 8192)
    spoken = [names[target] for target in data.targets]
    assert bundled.predict_labels(slices) == spoken
    # What its card says of all 300 held-out recordings.
    record = saving.read_training(BUNDLED)
    assert record["metrics"]["test_accuracy"]["value"] >= 0.97
    assert record["metrics"]["test_accuracy"]["num_recordings"] == 300


@pytest.mark.parametrize("change", ["quiet", "late", "noisy", "cut"])
def test_the_bundled_classifier_bears_what_generators_do(bundled, change):
    data, names = metrics.read_labelled_clips(DIGITS, 8000)
    slices = metrics.place_clips(data.clips, 8192)
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
    spoken = [names[target] for target in data.targets]
    assert np.mean([a == b for a, b in zip(heard, spoken, strict=True)]) > 0.9
