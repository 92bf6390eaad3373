"""What the numbers of a training step say, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

Numbers = dict[str, float]


class Scale(NamedTuple):
    """Marks on the scale of a discriminator's loss, for one output.

    Attributes:
        undecided: The loss of one that cannot tell real from generated.
        won: Below it there is nothing left that the generator could learn.
    """

    undecided: float
    won: float


# Losses that have such marks; a Wasserstein loss has not.
SCALES = {
    "dcgan": Scale(math.log(2.0), 0.02),
    "lsgan": Scale(0.25, 0.01),
    "hinge": Scale(2.0, 0.05),
    "relativistic": Scale(math.log(2.0), 0.02),
}
WASSERSTEIN = ("wgan", "wgan-gp")


def loss_name(model: Any) -> str:
    """Returns the name of the loss that a compiled model trains with."""
    return str(getattr(getattr(model, "gan_loss", None), "name", ""))


def num_outputs(model: Any) -> int:
    """Returns over how many sub-discriminators a model's losses are summed."""
    return len(getattr(model.discriminator, "view_scales", (1.0,)))


def decibels(ratio: float) -> float:
    """Returns an amplitude ratio in dB, at least -120."""
    return 20.0 * math.log10(max(ratio, 1e-6))


def describe(model: Any, numbers: Mapping[str, float]) -> str:
    """Puts the numbers of a step in one line.

    A Wasserstein loss is the negative distance that the discriminator sees
    between real and generated sound: it should rise at first, then sink slowly.
    The other losses stand beside the value of a discriminator that cannot
    tell one from the other.

    Args:
        model: The model, compiled.
        numbers: Its logs.

    Returns:
        Text such as `distance 3.21, generator 0.40, level -20 dB (real -14
        dB)`.
    """
    parts = []
    if "accuracy" in numbers:  # A classifier's.
        parts.append(f"loss {numbers['loss']:.3g}")
        parts.append(f"hears {numbers['accuracy']:.1%}")
    loss = numbers.get("adv/discriminator")
    name = loss_name(model)
    if loss is not None:
        if name in WASSERSTEIN:
            parts.append(f"distance {-loss:.3g}")
        elif name in SCALES:
            undecided = SCALES[name].undecided * num_outputs(model)
            parts.append(f"discriminator {loss:.3g} ({undecided:.2g} is lost)")
        else:
            parts.append(f"discriminator {loss:.3g}")
    if "adv/generator" in numbers:
        parts.append(f"generator {numbers['adv/generator']:.3g}")
    if "level/fake" in numbers and "level/real" in numbers:
        parts.append(
            f"level {decibels(numbers['level/fake']):.0f} dB "
            f"(real {decibels(numbers['level/real']):.0f} dB)"
        )
    if numbers.get("skipped"):
        parts.append(f"{numbers['skipped']:.0f} updates skipped")
    return ", ".join(parts)


def spoken_time(seconds: float) -> str:
    """Writes a length of time with its two largest units."""
    seconds = max(0.0, seconds)
    minutes = round(seconds / 60)
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


class Means:
    """Means of logs over some steps; counts keep their last value."""

    counts = ("skipped",)

    def __init__(self) -> None:
        self._sums: Numbers = {}
        self._last: Numbers = {}
        self._steps = 0

    def add(self, numbers: Mapping[str, float]) -> None:
        """Adds the logs of a step."""
        for key, value in numbers.items():
            self._sums[key] = self._sums.get(key, 0.0) + value
            self._last[key] = value
        self._steps += 1

    def take(self) -> Numbers:
        """Returns the means, and begins again."""
        means = {
            key: self._last[key] if key in self.counts else total / self._steps
            for key, total in self._sums.items()
        }
        self._sums, self._last, self._steps = {}, {}, 0
        return means
