"""Measurements while a model trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_audiogan.metrics import (
    class_accuracy,
    frechet_distance,
    inception_score,
)
from keras_audiogan.training.callbacks import StepCallback, synchronise
from keras_audiogan.training.readings import Numbers


class Evaluation(StepCallback):
    """Compares generated with real sound in a classifier's features.

    Args:
        classifier: An `AudioClassifier` at the model's sampling rate.
        real_clips: Real sound `(clips, time, channels)` to compare with.
        every: Steps between evaluations.
        num_samples: Generated clips in each.
        seed: Seed of their latents.
        report: Called with the step and the figures,
            `evaluation/frechet_distance` and `evaluation/inception_score`
            (one group of `num_samples`).

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
    ) -> None:
        super().__init__()
        self.every = every
        self.num_samples = num_samples
        self.seed = seed
        self._classifier = classifier
        self._real_features = classifier.features(real_clips)
        self._report = report

    def on_train_begin(self, logs: Any = None) -> None:
        """Checks that the classifier hears what the model makes."""
        if self._classifier.sampling_rate != self.model.sampling_rate:
            raise ValueError(
                "The classifier and the model must have one sampling rate. "
                f"Received: {self._classifier.sampling_rate} Hz and "
                f"{self.model.sampling_rate} Hz"
            )

        names = self.model.labels or ()
        known = self._classifier.labels
        self._targets = None
        if self.model.conditional and set(names) <= set(known):
            places = np.array([known.index(name) for name in names])
            self._targets = places[np.arange(self.num_samples) % len(names)]

    def on_step(self, numbers: Numbers) -> None:
        """Evaluates when it is due."""
        if not self.due(self.every):
            return
        synchronise(self.model)
        audio = self.model.sample(self.num_samples, seed=self.seed)
        probabilities, features = self._classifier.predict_with_features(audio)
        figures = {
            "evaluation/frechet_distance": float(
                frechet_distance(features, self._real_features)
            ),
            "evaluation/inception_score": float(
                inception_score(probabilities, 1)[0]
            ),
        }
        if self._targets is not None:
            figures["evaluation/label_accuracy"] = class_accuracy(
                self._targets, probabilities.argmax(axis=1)
            )
        if self._report is not None:
            self._report(self.step, figures)
