"""Means of what training steps say, kept where the steps run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

# Names that steps may use in all; a step says a dozen.
_SLOTS = 128


class StepMeans(keras.metrics.Metric):
    """Means over rows of the numbers that steps return, by name.

    What a step is called by is known once it was traced, but JAX asks for
    all variables before: so there is one row of slots, and names take them
    as they come. A name counts where it was given: the discriminator of a
    vocoder may enter late.

    Args:
        counts: names whose last value holds, such as the number of updates
            skipped so far.
        name: of the metric.
    """

    def __init__(
        self, counts: tuple[str, ...] = ("skipped",), name: str = "step_means"
    ) -> None:
        super().__init__(name=name, dtype="float32")
        self.counts = counts
        self._slots: dict[str, int] = {}
        self.totals = self.add_variable((_SLOTS,), "zeros", name="totals")
        self.rows = self.add_variable((_SLOTS,), "zeros", name="rows")
        self.steps = self.add_variable((), "zeros", name="steps")

    def update_state(self, logs: Mapping[str, Any], rows: Any) -> None:
        """Adds a step.

        Args:
            logs: scalars by name.
            rows: how many rows of the batch they are a mean of.
        """
        places = []
        for name in logs:
            # Not setdefault: Keras's dicts of a metric note what is set.
            if name not in self._slots:
                self._slots[name] = len(self._slots)
            places.append(self._slots[name])
        if len(self._slots) > _SLOTS:
            raise ValueError(
                f"Steps may log {_SLOTS} names. Received: {len(self._slots)}"
            )
        rows = ops.cast(rows, "float32")
        values = ops.stack(
            [ops.cast(ops.reshape(x, ()), "float32") for x in logs.values()]
        )
        indices = ops.convert_to_tensor([[place] for place in places])
        added = ops.scatter(indices, values * rows, (_SLOTS,))
        weights = ops.scatter(indices, ops.ones_like(values) * rows, (_SLOTS,))
        kept = [
            float(place not in self._last_only(logs)) for place in range(_SLOTS)
        ]
        self.totals.assign(ops.stop_gradient(self.totals * kept + added))
        self.rows.assign(ops.stop_gradient(self.rows * kept + weights))
        self.steps.assign(self.steps + 1.0)

    def _last_only(self, logs: Mapping[str, Any]) -> set[int]:
        return {self._slots[name] for name in self.counts if name in logs}

    def result(self) -> dict[str, float]:
        """Returns the mean of each name that was given since the reset."""
        totals, rows = (
            ops.convert_to_numpy(ops.convert_to_tensor(each))
            for each in (self.totals, self.rows)
        )
        return {
            name: float(totals[slot] / rows[slot])
            for name, slot in self._slots.items()
            if rows[slot]
        }

    def save_own_variables(self, store: Any) -> None:
        """Saves nothing: means belong to an epoch, not to a model."""

    def load_own_variables(self, store: Any) -> None:
        """Loads nothing; files written before there were means have none."""
