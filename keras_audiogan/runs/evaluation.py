"""When a model is measured while it trains, and which figures are better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_audiogan.metrics import Comparison
from keras_audiogan.runs.callbacks import StepCallback, synchronise
from keras_audiogan.runs.options import MEASURES
from keras_audiogan.runs.step_log import Numbers

PREFIX = "evaluation/"
# Of the figures, those that are worth a line on the terminal.
SHOWN = ("frechet_distance", "inception_score", "label_accuracy")


def is_better(name: str, value: float, best: float | None) -> bool:
    """Whether a figure is better than the best one so far.

    Args:
        name: One of `MEASURES`.
        value: The figure.
        best: The best so far; None if there is none.
    """
    if not np.isfinite(value):
        return False
    if best is None:
        return True
    if MEASURES[name] == "higher":
        return value > best
    if MEASURES[name] == "zero":
        return abs(value) < abs(best)
    return value < best


class Evaluation(StepCallback):
    """Measures generated sound, beside the sound that is trained on.

    The figures are those of `keras_audiogan.metrics.Comparison`; `MEASURES`
    says which way each is better.

    Args:
        classifier: An `AudioClassifier` at the model's sampling rate.
        real_clips: Real sound `(clips, time, channels)` to compare with.
        every: Steps between evaluations.
        num_samples: Generated clips in each.
        seed: Seed of their latents, and of the figures.
        report: Called with the step and the figures, by name.
        stage_steps: As `Comparison` takes them.

    Raises:
        ValueError: If the classifier is for another rate.
    """

    def __init__(
        self,
        classifier: Any,
        real_clips: np.ndarray,
        every: int | None,
        num_samples: int = 500,
        seed: int = 0,
        report: Callable[[int, dict[str, float]], None] | None = None,
        stage_steps: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.every = every
        self.num_samples = num_samples
        self._comparison = Comparison(
            real_clips, classifier, seed, stage_steps
        )
        self._report = report

    def on_train_begin(self, logs: Any = None) -> None:
        """Checks that the classifier hears what the model makes."""
        self._comparison.check(self.model)

    def on_step(self, numbers: Numbers) -> None:
        """Evaluates when it is due."""
        if self.due(self.every):
            figures = self.measure()
            if self._report is not None:
                self._report(self.step, figures)

    def measure(self) -> dict[str, float]:
        """Returns the figures of the model as it is."""
        synchronise(self.model)
        return self._comparison.measure(self.model, self.num_samples)
