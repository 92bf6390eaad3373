"""musicnn: its network, its checkpoints, and how it is fetched.

The formulas are those of its paper and of its graph, in NumPy, on a tiny
checkpoint of random weights. Numbers of the published weights were computed by
the original graph (musicnn 0.1.0) from librosa 0.11's spectra.
"""

import dataclasses
import hashlib
import zipfile

import keras
import numpy as np
import pytest
from cli_support import audiogan
from tensorflow_checkpoint_support import write_checkpoint

from keras_audiogan.converters import (
    ConversionError,
    convert,
    convert_musicnn,
    identify,
    judges,
)
from keras_audiogan.models import MusiCNN, get_architecture
from keras_audiogan.saving import load_preset

# Heights, lengths and widths of the tiny checkpoint.
HEIGHTS, LENGTHS = (38, 67), (8, 4, 2)
TIMBRAL, TEMPORAL, MID, UNITS, TAGS = 3, 2, 4, 5, 3
FRONT = 2 * TIMBRAL + 3 * TEMPORAL
POOLED = 2 * (FRONT + 3 * MID)
# Of `tones`: librosa's spectra of two frames, in bands 0, 5, 10 and 40, and
# what the original makes of the first three seconds.
LIBROSA = {
    100: (0.00262074, 0.16369039, 5.64503479, 0.00000067),
    0: (3.71078849, 4.92174482, 3.16547227, 1.22123361),
}
LOGITS = (-3.9123945, -9.5370626, -7.3638725, -6.2341819)
FEATURES = (-0.0799516, 0.5526088, 1.0293684, -0.1860576, -0.0787033)
FROM_FETCHED = judges.find_judge("musicnn")


def variables():
    """Weights of a tiny musicnn, by the original's names."""
    rng = np.random.default_rng(0)
    held = {}

    def layer(kind, index, shape):
        scope = f"{kind}_{index}" if index else kind
        scale = 1.4 / np.sqrt(np.prod(shape[:-1]))
        held[f"{scope}/kernel"] = rng.normal(0, scale, shape)
        held[f"{scope}/bias"] = rng.normal(0, 0.2, shape[-1])

    kernels = [(7, height, 1, TIMBRAL) for height in HEIGHTS]
    kernels += [(length, 1, 1, TEMPORAL) for length in LENGTHS]
    kernels += [(7, width, 1, MID) for width in (FRONT, MID, MID)]
    for index, shape in enumerate(kernels):
        layer("conv2d", index, shape)
    layer("dense", 0, (POOLED, UNITS))
    layer("dense", 1, (UNITS, TAGS))
    widths = [1, *(shape[-1] for shape in kernels), POOLED, UNITS]
    for index, width in enumerate(widths):
        scope = (
            f"batch_normalization_{index}" if index else ("batch_normalization")
        )
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            low, high = (-0.2, 0.2) if name == "moving_mean" else (0.5, 1.5)
            held[f"{scope}/{name}"] = rng.uniform(low, high, width)
    held["dense/kernel/Adam"] = np.zeros((POOLED, UNITS))
    held["beta1_power"] = np.array(0.9)
    return {name: np.float32(value) for name, value in held.items()}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("musicnn") / "model"
    write_checkpoint(prefix, variables())
    return prefix


def assigned():
    """Our network with the tiny checkpoint's weights, without TensorFlow."""
    from keras_audiogan.converters.musicnn import make_parts
    from keras_audiogan.converters.parts import build
    from keras_audiogan.converters.wavegan import Contents

    config = {
        "timbral_heights": HEIGHTS,
        "temporal_lengths": LENGTHS,
        "timbral_filters": TIMBRAL,
        "temporal_filters": TEMPORAL,
        "mid_filters": MID,
        "units": UNITS,
        "num_labels": TAGS,
    }
    contents = Contents("musicnn", config, ["classifier"], variables())
    return build(make_parts(contents, "tiny"), "float32")


def convolved(image, kernel, bias, before, after):
    """Convolution along time and frequency of (time, bands, channels)."""
    image = np.pad(image, ((before, after), (0, 0), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(
        image, kernel.shape[:2], axis=(0, 1)
    )
    return np.maximum(np.einsum("tbcij,ijco->tbo", windows, kernel) + bias, 0)


def original(patch):
    """Logits and features of a log-mel patch (frames, 96)."""
    held = {
        name: value.astype("float64") for name, value in variables().items()
    }

    def norm(x, index):
        scope = (
            f"batch_normalization_{index}" if index else ("batch_normalization")
        )
        gamma, beta, mean, variance = (
            held[f"{scope}/{name}"]
            for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    def conv(x, index, before, after):
        scope = f"conv2d_{index}" if index else "conv2d"
        kernel, bias = held[f"{scope}/kernel"], held[f"{scope}/bias"]
        return norm(convolved(x, kernel, bias, before, after), index + 1)

    image = norm(patch[..., None], 0)
    front = [conv(image, i, 3, 3).max(axis=1) for i in range(2)]
    for i, length in enumerate(LENGTHS):
        before = (length - 1) // 2
        heard = conv(image, 2 + i, before, length - 1 - before)
        front.append(heard.max(axis=1))
    parts = [np.concatenate(front, axis=1)]
    for i in range(3):
        heard = conv(parts[-1][..., None], 5 + i, 3, 3)[:, 0]
        parts.append(heard + parts[-1] if i else heard)
    hidden = np.concatenate(parts, axis=1)
    pooled = np.stack([hidden.max(axis=0), hidden.mean(axis=0)], -1).ravel()
    dense = norm(pooled, 9) @ held["dense/kernel"] + held["dense/bias"]
    features = norm(np.maximum(dense, 0), 10)
    return features @ held["dense_1/kernel"] + held["dense_1/bias"], features


@pytest.mark.backends
@pytest.mark.parametrize("frames", [187, 20])
def test_the_network_is_the_originals(frames):
    network = assigned().network
    patch = np.random.default_rng(1).uniform(0, 3, (frames, 96))
    logits, features = original(patch)
    tensor = keras.ops.convert_to_tensor(patch[None], "float32")
    found = network.patch_features(tensor)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(found)[0], features, atol=1e-4
    )
    found = keras.ops.convert_to_numpy(network.classify(found))
    np.testing.assert_allclose(found[0], logits, atol=1e-4)


def tones():
    """Four seconds of a gliding tone and a beating one, `(1, time, 1)`."""
    time = np.arange(64000) / 16000
    audio = 0.3 * np.sin(2 * np.pi * (220 + 40 * time) * time)
    audio += 0.1 * np.sin(2 * np.pi * 660 * time) * (time % 0.5 < 0.25)
    return audio.astype("float32")[None, :, None]


@pytest.mark.backends
def test_the_front_end_is_librosas():
    mel = keras.ops.convert_to_numpy(
        assigned().network.log_mel_spectrogram(tones())
    )
    assert mel.shape == (1, 251, 96)
    for frame, expected in LIBROSA.items():
        np.testing.assert_allclose(
            mel[0, frame, [0, 5, 10, 40]], expected, atol=1e-4
        )


@pytest.mark.backends
def test_long_clips_are_heard_in_patches_and_short_ones_whole():
    model = assigned()
    clips = np.random.default_rng(2).normal(0, 0.1, (3, 2 * 187 * 256 + 900, 2))
    clips = clips.astype("float32")
    features = model.features(clips, batch_size=2)
    probabilities, again = model.predict_with_features(clips)
    np.testing.assert_allclose(features, again, atol=1e-5)
    mel = keras.ops.convert_to_numpy(model.network.log_mel_spectrogram(clips))
    assert mel.shape[1] == 378
    both = [original(mel[0, i * 187 : (i + 1) * 187]) for i in range(2)]
    logits, expected = (np.mean(x, axis=0) for x in zip(*both, strict=True))
    np.testing.assert_allclose(features[0], expected, atol=1e-4)
    # Tags by themselves: what a sigmoid makes of each.
    expected = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(probabilities[0], expected, atol=1e-4)
    called = keras.ops.convert_to_numpy(model(clips))
    np.testing.assert_allclose(called[0], logits, atol=1e-4)
    short = model.features(clips[:, :3000])
    mel = keras.ops.convert_to_numpy(
        model.network.log_mel_spectrogram(clips[:, :3000])
    )
    np.testing.assert_allclose(short[0], original(mel[0])[1], atol=1e-4)
    with pytest.raises(ValueError, match="finite"):
        model.features(np.full((1, 4000, 1), np.nan))


def test_a_checkpoint_is_known_and_converted(checkpoint):
    assert identify(checkpoint) == "musicnn"
    model = convert(checkpoint, labels=["a", "b", "c"])
    assert isinstance(model, get_architecture("musicnn"))
    assert model.labels == ("a", "b", "c") and model.multi_label
    expected = assigned().features(tones())
    np.testing.assert_allclose(model.features(tones()), expected, atol=1e-6)
    assert convert(checkpoint).labels == ("tag_0", "tag_1", "tag_2")
    with pytest.raises(ConversionError, match="has 3 tags.*Received: 2 labels"):
        convert(checkpoint, labels=["a", "b"])


def test_a_checkpoint_that_lacks_a_layer_is_none(tmp_path):
    held = variables()
    del held["conv2d_7/kernel"]
    write_checkpoint(tmp_path / "model", held)
    with pytest.raises(ConversionError, match="no variable 'conv2d_7/kernel'"):
        convert_musicnn(tmp_path / "model")


def test_tags_by_themselves_are_trained_by_themselves():
    model = MusiCNN(**{**MusiCNN.tiny, "multi_label": True})
    model.compile()
    clips = np.random.default_rng(0).normal(0, 0.1, (4, 1024, 1))
    tags = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 1], [1, 1, 1]], "float32")
    history = model.fit(clips.astype("float32"), tags, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert 0 <= history["accuracy"][0] <= 1


@pytest.fixture
def wheel(checkpoint, tmp_path, monkeypatch):
    """A wheel of the published one's layout, which is what is expected."""
    path = tmp_path / "musicnn-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for suffix in (".index", ".data-00000-of-00001"):
            data = checkpoint.with_name(checkpoint.name + suffix).read_bytes()
            archive.writestr(f"musicnn/MTT_musicnn/{suffix}", data)
        info = "musicnn-0.1.0.dist-info"
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: musicnn\nVersion: 0.1.0\n",
        )
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(
            "musicnn/configuration.py",
            "SR = 16000\nraise SystemExit('this is never run')\n"
            "MTT_LABELS = ['guitar', 'no vocals', 'harp']\n",
        )
    judge = dataclasses.replace(
        judges.JUDGES["musicnn"],
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    monkeypatch.setitem(judges.JUDGES, "musicnn", judge)
    monkeypatch.setenv("AUDIOGAN_CACHE", str(tmp_path / "cache"))
    return path


def test_judge_converts_a_wheel_once(wheel, tmp_path):
    result = audiogan("judge")
    assert "not here" in result.output and "ISC" in result.output
    result = audiogan("judge", "musicnn", "--wheel", wheel)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "cache" / "judges" / "musicnn"
    assert judges.find_judge("musicnn") == folder
    model = load_preset(folder)
    assert model.labels == ("guitar", "no vocals", "harp")
    expected = assigned().features(tones())
    np.testing.assert_array_equal(model.features(tones()), expected)
    wheel.unlink()
    result = audiogan("judge", "musicnn")
    assert f"is there already: {folder}" in result.output.replace("\n", "")
    assert str(folder) in audiogan("judge").output


def test_judge_refuses_another_wheel(wheel, tmp_path):
    wheel.write_bytes(wheel.read_bytes() + b"more")
    result = audiogan("judge", "musicnn", "--wheel", wheel)
    assert result.exit_code == 1
    assert "is not musicnn-0.1.0-py3-none-any.whl as it was" in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "cache").exists()


def test_judge_without_network_says_what_to_do(wheel, monkeypatch, tmp_path):
    empty = tmp_path / "index"
    empty.mkdir()
    for name in ("PIP_CONFIG_FILE", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.setenv(
            name, "" if name != "PIP_CONFIG_FILE" else "/dev/null"
        )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(empty))
    result = audiogan("judge", "musicnn")
    assert result.exit_code == 1
    assert "could not download musicnn-0.1.0" in result.stderr
    assert "--no-deps --only-binary=:all: musicnn==0.1.0" in result.stderr
    assert "--wheel" in result.stderr
    # Where pip finds it, that is all it takes.
    (empty / wheel.name).write_bytes(wheel.read_bytes())
    result = audiogan("judge", "musicnn")
    assert result.exit_code == 0, result.output
    assert judges.find_judge("musicnn") is not None


@pytest.mark.slow
@pytest.mark.backends
@pytest.mark.skipif(
    FROM_FETCHED is None, reason="musicnn was not fetched: audiogan judge"
)
def test_the_published_weights_give_the_originals_numbers():
    model = load_preset(FROM_FETCHED)
    logits = model.predict_logits(tones())
    features = model.features(tones())
    assert model.labels[:2] == ("guitar", "classical")
    np.testing.assert_allclose(logits[0, [0, 1, 9, 40]], LOGITS, atol=1e-4)
    np.testing.assert_allclose(features[0, :5], FEATURES, atol=1e-4)
