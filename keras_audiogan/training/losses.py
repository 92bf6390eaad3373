"""Adversarial losses, and the training defaults that belong to each.

A loss is a pair of functions on logits, of the discriminator and of the
generator, with the penalties, the optimisers and the number of discriminator
steps that go with it. All arithmetic is float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from keras import ops

Logits = Any
# Farther than any two spectra.
_FAR = 1e3
LossFunction = Callable[[Logits, Logits], Any]


def binary_cross_entropy(logits: Logits, target: float) -> Any:
    """Mean sigmoid cross-entropy of logits against one target in [0, 1]."""
    return ops.mean(ops.softplus(logits) - target * logits)


def minimax_discriminator(real: Logits, fake: Logits) -> Any:
    """Half the cross-entropies: real is 1, fake is 0 (arXiv:1406.2661)."""
    return 0.5 * (
        binary_cross_entropy(real, 1.0) + binary_cross_entropy(fake, 0.0)
    )


def nonsaturating_generator(real: Logits, fake: Logits) -> Any:
    """Cross-entropy of fakes against 1 (arXiv:1406.2661)."""
    del real
    return binary_cross_entropy(fake, 1.0)


def least_squares_discriminator(real: Logits, fake: Logits) -> Any:
    """Half the squared distances to 1 and to 0 (arXiv:1611.04076)."""
    return 0.5 * (ops.mean(ops.square(real - 1.0)) + ops.mean(ops.square(fake)))


def least_squares_generator(real: Logits, fake: Logits) -> Any:
    """Squared distance of fakes to 1 (arXiv:1611.04076)."""
    del real
    return ops.mean(ops.square(fake - 1.0))


def soft_least_squares_discriminator(real: Logits, fake: Logits) -> Any:
    """Least squares that never turn, by softplus (arXiv:2309.02836)."""
    return 0.5 * (
        ops.mean(ops.square(ops.softplus(1.0 - real)))
        + ops.mean(ops.square(ops.softplus(fake)))
    )


def soft_least_squares_generator(real: Logits, fake: Logits) -> Any:
    """The same for the generator (arXiv:2309.02836)."""
    del real
    return ops.mean(ops.square(ops.softplus(1.0 - fake)))


def wasserstein_discriminator(real: Logits, fake: Logits) -> Any:
    """Mean score of fakes less that of reals (arXiv:1701.07875)."""
    return ops.mean(fake) - ops.mean(real)


def wasserstein_generator(real: Logits, fake: Logits) -> Any:
    """Minus the mean score of fakes (arXiv:1701.07875)."""
    del real
    return -ops.mean(fake)


def hinge_discriminator(real: Logits, fake: Logits) -> Any:
    """Margins of 1 on both sides (arXiv:1705.02894)."""
    return ops.mean(ops.relu(1.0 - real)) + ops.mean(ops.relu(1.0 + fake))


def relativistic_discriminator(real: Logits, fake: Logits) -> Any:
    """Softplus of fake less real, pair by pair (arXiv:1807.00734)."""
    return ops.mean(ops.softplus(fake - real))


def relativistic_generator(real: Logits, fake: Logits) -> Any:
    """Softplus of real less fake, pair by pair (arXiv:1807.00734)."""
    return ops.mean(ops.softplus(real - fake))


def gradient_penalty(gradients: Any) -> Any:
    """Mean squared distance of gradient norms to 1 (arXiv:1704.00028).

    Args:
        gradients: of the scores in the inputs, `(batch, ...)`.
    """
    # The constant keeps the root's own gradient finite at zero.
    norms = ops.sqrt(squared_norms(gradients) + 1e-12)
    return ops.mean(ops.square(norms - 1.0))


def squared_norms(gradients: Any) -> Any:
    """Squared Euclidean norm of each example, `(batch, ...)` -> `(batch,)`."""
    gradients = ops.cast(gradients, "float32")
    axes = tuple(range(1, len(gradients.shape)))
    return ops.sum(ops.square(gradients), axis=axes)


def class_loss(logits: Any, labels: Any) -> Any:
    """Mean cross-entropy of class logits, float32.

    Args:
        logits: `(batch, num_classes)`.
        labels: integers `(batch,)`.
    """
    logits = ops.cast(logits, "float32")
    entropy = ops.sparse_categorical_crossentropy(
        labels, logits, from_logits=True
    )
    return ops.mean(entropy)


def class_accuracy(logits: Any, labels: Any) -> Any:
    """Share of rows whose largest logit is the label's, float32."""
    best = ops.cast(ops.argmax(logits, axis=-1), "int32")
    return ops.mean(ops.cast(best == ops.cast(labels, "int32"), "float32"))


def likeness(real: Any, fake: Any, classes: Any) -> Any:
    """How much more alike generated sounds are than real ones, 0 to 1.

    Every sound has a distance to the nearest other one of its label. In
    order of size, those of generated sounds should be no smaller than those
    of real ones; what they lack is averaged, over the mean of real ones. All
    pairs are compared at once: memory grows with the square of the batch.

    Args:
        real: features `(batch, ...)` of real sounds.
        fake: features of generated ones, of the same shape and labels.
        classes: weights of labels `(batch, num_classes)`.
    """
    goal = ops.stop_gradient(_nearest(real, classes))
    lack = ops.mean(ops.relu(goal - _nearest(fake, classes)))
    return lack / ops.maximum(ops.mean(goal), 1e-6)


def _nearest(values: Any, classes: Any) -> Any:
    """Mean absolute difference to the nearest of the label, sorted."""
    values = ops.cast(values, "float32")
    values = ops.reshape(values, (-1, math.prod(values.shape[1:])))
    distances = ops.mean(ops.abs(values[:, None] - values[None]), axis=-1)
    labels = ops.cast(classes, "float32")
    same = ops.matmul(labels, ops.transpose(labels))
    rows = ops.arange(ops.shape(values)[0])
    others = ops.cast(rows[:, None] != rows[None], "float32")
    nearest = ops.min(ops.where(same * others > 0.5, distances, _FAR), axis=1)
    # A sound that is alone in its label, real and generated, tells nothing.
    return ops.sort(ops.where(nearest < _FAR, nearest, 0.0))


@dataclass(frozen=True)
class GANLoss:
    """An adversarial loss with the defaults it is trained with.

    Attributes:
        name: how it is asked for.
        discriminator: `(real_logits, fake_logits) -> loss`.
        generator: `(real_logits, fake_logits) -> loss`.
        needs_real_logits: whether the generator's loss reads `real_logits`.
        discriminator_steps: discriminator updates per generator update.
        gradient_penalty: weight of the penalty on interpolates; 0 for none.
        r1: weight gamma of `gamma / 2 * |grad D(real)|^2` (arXiv:1801.04406),
            slopes in units of each view's standard deviation; 0 for none.
        r2: the same on generated examples.
        penalty_stride: R1 and R2 are taken on every n-th row of a batch.
        clip: largest absolute discriminator weight, or None.
        generator_optimizer: Keras optimiser name and its arguments.
        discriminator_optimizer: the same for the discriminator.
    """

    name: str
    discriminator: LossFunction
    generator: LossFunction
    needs_real_logits: bool = False
    discriminator_steps: int = 1
    gradient_penalty: float = 0.0
    r1: float = 0.0
    r2: float = 0.0
    penalty_stride: int = 1
    clip: float | None = None
    generator_optimizer: dict[str, Any] = field(default_factory=dict)
    discriminator_optimizer: dict[str, Any] = field(default_factory=dict)

    def for_san(self) -> GANLoss:
        """Returns this loss for scores whose direction is learnt apart.

        These must fall as scores rise, which least squares do not.
        """
        if self.generator is not least_squares_generator:
            return self
        return replace(
            self,
            discriminator=soft_least_squares_discriminator,
            generator=soft_least_squares_generator,
        )

    def direction(self, real: Logits, fake: Logits) -> Any:
        """Loss that turns the direction of a last layer (arXiv:2301.12811).

        What the generator would lose by real scores less what it loses by
        fake ones; a loss on pairs is one already.
        """
        if self.needs_real_logits:
            return self.discriminator(real, fake)
        return self.generator(real, real) - self.generator(real, fake)

    def with_penalty(self, weight: float) -> GANLoss:
        """Returns this loss with another weight of its gradient penalties.

        Args:
            weight: replaces each of `gradient_penalty`, `r1` and `r2` that
                is in use.

        Raises:
            ValueError: if the weight is negative or the loss has none.
        """
        used = [
            name
            for name in ("gradient_penalty", "r1", "r2")
            if getattr(self, name)
        ]
        if weight < 0 or not used:
            raise ValueError(
                "`penalty` must be 0 or more, and the loss must have a "
                f"gradient penalty. Received: penalty={weight} for the loss "
                f"{self.name!r}"
            )
        weights: dict[str, Any] = dict.fromkeys(used, weight)
        return replace(self, **weights)

    def get_config(self) -> dict[str, Any] | None:
        """Returns what `get_loss` makes this loss of, fit for JSON.

        None for a loss with functions of its own. The optimisers are left
        out.
        """
        known = LOSSES.get(self.name)
        if known is None or (
            (known.discriminator, known.generator)
            != (self.discriminator, self.generator)
        ):
            return None
        numbers = {each.name for each in fields(self)} - {
            "discriminator",
            "generator",
            "generator_optimizer",
            "discriminator_optimizer",
        }
        return {name: getattr(self, name) for name in sorted(numbers)}


def _both(name: str, **config: float) -> dict[str, Any]:
    """Both optimisers of a loss."""
    optimizer = {"class_name": name, "config": config}
    return {
        "generator_optimizer": optimizer,
        "discriminator_optimizer": optimizer,
    }


def _adam(learning_rate: float, beta_1: float, beta_2: float) -> dict[str, Any]:
    betas = {"beta_1": beta_1, "beta_2": beta_2}
    return _both("Adam", learning_rate=learning_rate, **betas, epsilon=1e-8)


def _rmsprop(learning_rate: float) -> dict[str, Any]:
    return _both("RMSprop", learning_rate=learning_rate, rho=0.9, epsilon=1e-10)


LOSSES = {
    loss.name: loss
    for loss in (
        GANLoss(
            "dcgan",
            minimax_discriminator,
            nonsaturating_generator,
            **_adam(2e-4, 0.5, 0.999),
        ),
        GANLoss(
            "lsgan",
            least_squares_discriminator,
            least_squares_generator,
            **_rmsprop(1e-4),
        ),
        GANLoss(
            "wgan",
            wasserstein_discriminator,
            wasserstein_generator,
            discriminator_steps=5,
            clip=0.01,
            **_rmsprop(5e-5),
        ),
        GANLoss(
            "wgan-gp",
            wasserstein_discriminator,
            wasserstein_generator,
            discriminator_steps=5,
            gradient_penalty=10.0,
            **_adam(1e-4, 0.5, 0.9),
        ),
        GANLoss(
            "hinge",
            hinge_discriminator,
            wasserstein_generator,
            r1=3.0,
            penalty_stride=4,
            **_adam(2e-4, 0.0, 0.9),
        ),
        GANLoss(
            "relativistic",
            relativistic_discriminator,
            relativistic_generator,
            needs_real_logits=True,
            r1=1.0,
            r2=1.0,
            penalty_stride=4,
            **_adam(4e-4, 0.0, 0.9),
        ),
    )
}


def get_loss(loss: str | GANLoss | Mapping[str, Any]) -> GANLoss:
    """Returns a loss by name, of its `get_config`, or the loss given.

    Raises:
        ValueError: if the name is unknown; the message lists the known ones.
    """
    if isinstance(loss, GANLoss):
        return loss
    if isinstance(loss, Mapping):
        return replace(get_loss(loss["name"]), **loss)
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ValueError(
            f"Unknown adversarial loss. Expected one of {sorted(LOSSES)} or a "
            f"GANLoss. Received: loss={loss!r}"
        )
    return LOSSES[loss]
