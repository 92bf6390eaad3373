"""Discriminators that move the generator by their weights alone."""

import functools

import architecture_cases as cases
import keras
import numpy as np
import pytest
from keras import ops

from keras_audiogan.models.discriminators import make_discriminator
from keras_audiogan.training import gradients

numbers = ops.convert_to_numpy


@pytest.mark.backends
def test_gradients_are_brought_to_one_size():
    x = keras.Variable(np.array([[1.0, 2.0]], "float32"))

    def loss():
        first, second, third = gradients.balanced_copies(x.value, [1, 3, 0])
        total = ops.sum(first[:, 0]) * 3 + ops.sum(second[:, 1]) * 400
        return total + ops.sum(third) * 0, ()

    # Norms of 3, 400 and 0: 403 in all, shared as 1 to 3.
    _, _, (found,) = gradients.value_and_gradients(loss, [x])
    np.testing.assert_allclose(numbers(found), [[403 / 4, 3 * 403 / 4]])
    copies = gradients.balanced_copies(x.value, [1, 1])
    for copy in copies:
        np.testing.assert_array_equal(numbers(copy), numbers(x.value))


@pytest.mark.backends
@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, 50.0)])
def test_a_generator_is_moved_by_weights(weights):
    """The same step, whatever the sizes of scores: in one ratio of weights."""
    moved = []
    for factor in (1.0, 100.0):
        keras.utils.set_random_seed(0)
        gan = cases.build(
            "stft_gan",
            discriminators=[
                {"kind": "spectral", "weight": weights[0]},
                {
                    "kind": "complex_stft",
                    "fft_lengths": [32],
                    "dim": 2,
                    "weight": weights[1],
                },
            ],
        )
        gan.compile(
            loss="wgan", balance_gradients=True, discriminator_steps=1, seed=0
        )
        second = gan.discriminator.discriminators[1]
        for layer in (*second.scores, *second.projections):
            layer.kernel.assign(factor * layer.kernel)
        assert gan.get_compile_config()["balance_gradients"]
        batch = gan.as_batch(cases.make_batch(gan, 2))
        latents = np.ones((2, gan.latent_dim), "float32")
        loss = functools.partial(gan.generator_loss, batch, latents)
        _, _, found = gradients.value_and_gradients(
            loss, gan.generator.trainable_variables
        )
        flat = np.concatenate([numbers(g).ravel() for g in found])
        moved.append(flat / np.linalg.norm(flat))
    np.testing.assert_allclose(moved[0], moved[1], atol=1e-3)


@pytest.mark.backends
@pytest.mark.parametrize("kind", ["spectral", "complex_stft"])
def test_minibatch_deviation_tells_repeats(kind):
    spec = {"kind": kind, "minibatch_deviation": True}
    sizes = {"slice_length": 1024, "num_channels": 1, "sampling_rate": 8000}
    keras.utils.set_random_seed(0)
    judge = make_discriminator(spec, "judge", sizes)
    rng = np.random.default_rng(0)
    clips = rng.normal(0, 0.1, (2, 1024, 1)).astype("float32")
    apart = numbers(judge(clips)[0][-1])
    alike = numbers(judge(clips[[0, 0]])[0][-1])
    np.testing.assert_allclose(alike[0], alike[1], rtol=1e-5)
    assert abs(apart[0] - alike[0]) > 1e-3 * abs(apart[0])
