"""Adversarial losses on numbers that can be checked by hand."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_audiogan.training import losses

pytestmark = pytest.mark.backends

REAL = np.array([[2.0], [-1.0]], "float32")
FAKE = np.array([[0.5], [-3.0]], "float32")


def softplus(x):
    return math.log1p(math.exp(x))


def value(tensor):
    return float(ops.convert_to_numpy(tensor))


HAND = {
    # Mean over the two examples; the discriminator's halved where the
    # original code halves it.
    "dcgan": (
        0.5
        * (
            (softplus(-2.0) + softplus(1.0)) / 2
            + (softplus(0.5) + softplus(-3.0)) / 2
        ),
        (softplus(-0.5) + softplus(3.0)) / 2,
    ),
    "lsgan": (
        0.5 * ((1.0 + 4.0) / 2 + (0.25 + 9.0) / 2),
        (0.25 + 16.0) / 2,
    ),
    "wgan": (-1.25 - 0.5, 1.25),
    "wgan-gp": (-1.25 - 0.5, 1.25),
    "hinge": ((0.0 + 2.0) / 2 + (1.5 + 0.0) / 2, 1.25),
    "relativistic": (
        (softplus(0.5 - 2.0) + softplus(-3.0 + 1.0)) / 2,
        (softplus(2.0 - 0.5) + softplus(-1.0 + 3.0)) / 2,
    ),
}


def test_every_loss_is_checked_here():
    assert sorted(HAND) == sorted(losses.LOSSES)


@pytest.mark.parametrize("name", sorted(HAND))
def test_loss_by_hand(name):
    loss = losses.get_loss(name)
    real, fake = ops.convert_to_tensor(REAL), ops.convert_to_tensor(FAKE)
    discriminator, generator = HAND[name]
    assert value(loss.discriminator(real, fake)) == pytest.approx(
        discriminator, abs=1e-6
    )
    assert value(loss.generator(real, fake)) == pytest.approx(
        generator, abs=1e-6
    )


def test_cross_entropy_stays_finite_at_large_logits():
    logits = ops.convert_to_tensor(np.array([1e4, -1e4], "float32"))
    assert value(losses.binary_cross_entropy(logits, 1.0)) == 5e3


def test_gradient_penalty_by_hand():
    # Norms 5 and 0: ((5 - 1)^2 + (0 - 1)^2) / 2.
    slopes = np.zeros((2, 4, 1), "float32")
    slopes[0, 1], slopes[0, 3] = 3.0, 4.0
    penalty = losses.gradient_penalty(ops.convert_to_tensor(slopes))
    assert value(penalty) == pytest.approx(8.5, rel=1e-5)
    norms = losses.squared_norms(ops.convert_to_tensor(slopes))
    np.testing.assert_allclose(ops.convert_to_numpy(norms), [25.0, 0.0])


def test_squared_norms_of_half_precision_do_not_overflow():
    slopes = ops.cast(ops.full((1, 10), 300.0), "float16")
    assert value(losses.squared_norms(slopes)[0]) == pytest.approx(9e5)


@pytest.mark.parametrize(
    "name,steps,penalty,r1,r2,clip,optimizer,rate",
    [
        ("dcgan", 1, 0.0, 0.0, 0.0, None, "Adam", 2e-4),
        ("lsgan", 1, 0.0, 0.0, 0.0, None, "RMSprop", 1e-4),
        ("wgan", 5, 0.0, 0.0, 0.0, 0.01, "RMSprop", 5e-5),
        ("wgan-gp", 5, 10.0, 0.0, 0.0, None, "Adam", 1e-4),
    ],
)
def test_defaults_of_the_original(
    name, steps, penalty, r1, r2, clip, optimizer, rate
):
    loss = losses.get_loss(name)
    assert loss.discriminator_steps == steps
    assert loss.gradient_penalty == penalty
    assert (loss.r1, loss.r2, loss.clip) == (r1, r2, clip)
    for config in (loss.generator_optimizer, loss.discriminator_optimizer):
        built = keras.optimizers.get(config)
        assert type(built).__name__ == optimizer
        assert value(built.learning_rate) == pytest.approx(rate)
    if name == "wgan-gp":
        assert (built.beta_1, built.beta_2) == (0.5, 0.9)


def test_losses_of_today_are_regularised():
    assert losses.get_loss("hinge").r1 > 0
    relativistic = losses.get_loss("relativistic")
    assert relativistic.r1 > 0 and relativistic.r2 > 0
    assert relativistic.needs_real_logits


def test_a_loss_of_the_users_own_passes_through():
    own = losses.GANLoss(
        "own",
        losses.wasserstein_discriminator,
        losses.wasserstein_generator,
    )
    assert losses.get_loss(own) is own


def test_unknown_loss_lists_the_known():
    with pytest.raises(ValueError, match="wgan-gp.*Received: loss='wgangp'"):
        losses.get_loss("wgangp")
