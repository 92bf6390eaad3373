"""Discriminators whose last layer learns its direction apart (SAN)."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_audiogan.layers.normalized_conv import NormalizedConv2D
from keras_audiogan.models import Vocos, WaveGAN, register_discriminator
from keras_audiogan.models.discriminators import (
    Discriminator,
    make_discriminator,
)
from keras_audiogan.models.sliced_scores import (
    collecting_directions,
    sliced_score,
)
from keras_audiogan.training import gradients, losses
from keras_audiogan.training.vocoder_losses import (
    direction_loss,
    discriminator_adversarial_loss,
    generator_adversarial_loss,
    san_kinds,
)

SMALL = {
    "multi_period": {"periods": [2, 3], "channels": 2, "rates": [2, 1]},
    "multi_band": {"fft_lengths": [64], "channels": 2},
    "multi_resolution": {
        "fft_lengths": [64],
        "frame_steps": [16],
        "window_lengths": [64],
        "channels": 2,
    },
}


def numbers(x):
    return np.asarray(ops.convert_to_numpy(x))


def softplus(x):
    return np.log1p(np.exp(x))


def make_layer(kind):
    if kind == "dense":
        layer, shape = keras.layers.Dense(1, name="score"), (4, 3)
    else:
        layer, shape = NormalizedConv2D(1, (3, 1), name=kind), (2, 5, 2, 3)
    layer.build(shape)
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape).astype("float32"))
    return layer, rng.normal(size=shape).astype("float32")


@pytest.mark.backends
@pytest.mark.parametrize("kind", ["dense", "weight_norm"])
def test_gradients_are_those_of_one_part_each(kind):
    layer, x = make_layer(kind)
    (kernel, *others) = layer.trainable_weights
    features = keras.Variable(x, name="features")
    targets = [features, kernel, *others]

    def grads(choose):
        def loss():
            with collecting_directions() as found:
                score = sliced_score(layer, ops.convert_to_tensor(features))
            return choose(score, found[0]), score

        _, score, found = gradients.value_and_gradients(loss, targets)
        return numbers(score), [numbers(g) for g in found]

    score, of_function = grads(lambda score, _: ops.sum(score))
    directed, of_direction = grads(lambda _, turned: ops.sum(turned))
    np.testing.assert_allclose(score, numbers(layer(x)), atol=1e-5)
    np.testing.assert_allclose(score, directed, atol=1e-5)
    # Features learn from the loss alone, the direction from its own alone.
    assert np.abs(of_function[0]).max() > 0.1
    np.testing.assert_array_equal(of_direction[0], 0.0)
    w = numbers(kernel).reshape(-1)
    for found, is_radial in ((of_function[1], True), (of_direction[1], False)):
        slope = found.reshape(-1)
        along = slope @ w / (w @ w) * w
        if kind == "weight_norm":
            # Its length is a weight of its own.
            assert is_radial == (np.abs(slope).max() < 1e-6)
        elif is_radial:
            np.testing.assert_allclose(slope, along, atol=1e-5)
        else:
            np.testing.assert_allclose(along, 0.0, atol=1e-5)
            assert np.abs(slope).max() > 0.1
    if kind == "weight_norm":
        assert np.abs(of_function[2]).max() > 0.1
        np.testing.assert_allclose(of_direction[2], 0.0, atol=1e-6)


def test_more_than_one_number_has_no_direction():
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    with (
        collecting_directions(),
        pytest.raises(ValueError, match="makes 2"),
    ):
        sliced_score(layer, np.zeros((1, 3), "float32"))


def test_losses_are_bigvsans():
    real, fake = ([np.array([[a, 0.5]], "float32")] for a in (2.0, -1.0))
    assert san_kinds("mse", [True, False]) == ["soft_mse", "mse"]
    found = discriminator_adversarial_loss(fake, real, ["soft_mse"])
    wanted = [
        np.mean(softplus(1 - real[0]) ** 2),
        np.mean(softplus(fake[0]) ** 2),
    ]
    np.testing.assert_allclose([float(numbers(x)) for x in found], wanted, 1e-5)
    generator = np.mean(softplus(1 - fake[0]) ** 2)
    np.testing.assert_allclose(
        numbers(generator_adversarial_loss(fake, "soft_mse")), generator, 1e-5
    )
    turned = 0.5 * (wanted[0] - generator)
    np.testing.assert_allclose(
        numbers(direction_loss(fake, real, "mse", [0.5])), turned, 1e-5
    )
    # Of margins: that of Wasserstein's distance.
    np.testing.assert_allclose(
        numbers(direction_loss(fake, real, "double_hinge", [1.0])), -1.5, 1e-6
    )
    same = losses.get_loss("lsgan").for_san().direction(real[0], fake[0])
    np.testing.assert_allclose(numbers(same), wanted[0] - generator, 1e-5)
    for name in ("wgan-gp", "hinge"):
        turned = losses.get_loss(name).direction(real[0], fake[0])
        np.testing.assert_allclose(numbers(turned), -1.5, 1e-6)
    pairs = losses.get_loss("relativistic")
    np.testing.assert_allclose(
        numbers(pairs.direction(real[0], fake[0])),
        np.mean(softplus(fake[0] - real[0])),
        1e-5,
    )


@pytest.mark.slow
@pytest.mark.backends
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_any_discriminator_of_a_vocoder_takes_a_step(dtype):
    # Two periods, two resolutions that learn as ever, one of either kind.
    periods, bands = Vocos.tiny["discriminators"]
    kinds = ["dilated", "residual"]
    specs = [{**periods, "san": True}, bands] + [
        {"kind": kind, "num_layers": 2, "san": True} for kind in kinds
    ]
    specs[-1]["num_stacks"] = 1
    model = Vocos(**{**Vocos.tiny, "discriminators": specs}, dtype=dtype)
    assert model.discriminator.san_scores() == [True] * 2 + [False] * 2 + [
        True,
        True,
    ]
    assert model.get_config()["discriminators"][0]["san"] is True
    model.compile()
    before = model.discriminator.get_weights()
    rng = np.random.default_rng(0)
    audio = 0.1 * rng.normal(size=(2, 2048, 1)).astype("float32")
    logs = model.train_on_batch(audio, return_dict=True)
    assert np.isfinite(logs["adv/direction"])
    after = model.discriminator.get_weights()
    assert all((a != b).any() for a, b in zip(before, after, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_any_discriminator_of_a_gan_takes_a_step(dtype):
    kinds = ["waveform", "spectral", "complex_stft", *SMALL]
    specs = [
        {"kind": kind, **SMALL.get(kind, {}), "san": True} for kind in kinds
    ]
    sizes = {**WaveGAN.tiny, "slice_length": 1024, "num_channels": 2}
    model = WaveGAN(**{**sizes, "discriminators": specs}, dtype=dtype)
    rng = np.random.default_rng(0)
    audio = 0.1 * rng.normal(size=(2, 1024, 2)).astype("float32")
    model.compile("lsgan")
    logs = model.train_on_batch(audio, return_dict=True)
    assert np.isfinite(logs["adv/direction"])
    assert float(logs["adv/discriminator"]) > 0.0


def test_what_cannot_is_refused():
    with pytest.raises(ValueError, match="`san` of a discriminator"):
        WaveGAN(**WaveGAN.tiny, discriminators=[{"kind": "waveform", "san": 1}])

    @register_discriminator("plain of a test")
    class Plain(Discriminator):
        def feature_maps(self, views, training=False, classes=None):
            return [[views[0]]]

    plain = make_discriminator(
        {"kind": "plain of a test", "san": True}, "a", {}
    )
    with pytest.raises(ValueError, match="must make each of its scores by"):
        plain.of_san([1.0], [])
