"""Measurements while a model trains."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_audiogan.metrics import (
    class_accuracy,
    duplicates,
    frechet_distance,
    inception_score,
    kernel_distance,
    level,
    nearest_neighbours,
    num_statistically_different_bins,
    precision_recall_density_coverage,
    similarity_features,
    spectral_tilt,
    targets_of,
)
from keras_audiogan.runs.callbacks import StepCallback, synchronise
from keras_audiogan.runs.options import MEASURES
from keras_audiogan.runs.step_log import Numbers

PREFIX = "evaluation/"
# Of the figures, those that are worth a line on the terminal.
SHOWN = ("frechet_distance", "inception_score", "label_accuracy")
_NUM_BINS = 20
_NEAR_PERCENTILE = 1


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

    The figures are those of `keras_audiogan.metrics`, of `num_samples` clips
    in one group; `MEASURES` says which way each is better. Those whose best
    value is that of real sound come as differences from it: `level_difference`
    (dB), `spectral_tilt_difference` (dB/octave), `d_self_difference` and
    `d_train_difference` (from the distances of real clips to each other).
    A conditional model is asked for its labels in turn.

    Args:
        classifier: An `AudioClassifier` at the model's sampling rate.
        real_clips: Real sound `(clips, time, channels)` to compare with.
        every: Steps between evaluations.
        num_samples: Generated clips in each.
        seed: Seed of their latents, and of the figures.
        report: Called with the step and the figures, by name.

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
        self._report = report
        rate = classifier.sampling_rate
        self._real_features = classifier.features(real_clips)
        self._real_mels = similarity_features(real_clips, rate, audible=True)
        nearest = nearest_neighbours(self._real_mels).distances
        self._real: Mapping[str, float] = types.MappingProxyType(
            {
                "rms_db": level(real_clips).rms_db,
                "spectral_tilt": spectral_tilt(real_clips, rate),
                "d_self": float(nearest.mean()),
                "near": float(np.percentile(nearest, _NEAR_PERCENTILE)),
            }
        )

    def on_train_begin(self, logs: Any = None) -> None:
        """Checks that the classifier hears what the model makes."""
        if self._classifier.sampling_rate != self.model.sampling_rate:
            raise ValueError(
                "The classifier and the model must have one sampling rate. "
                f"Received: {self._classifier.sampling_rate} Hz and "
                f"{self.model.sampling_rate} Hz"
            )

    def on_step(self, numbers: Numbers) -> None:
        """Evaluates when it is due."""
        if self.due(self.every):
            figures = self.measure()
            if self._report is not None:
                self._report(self.step, figures)

    def measure(self) -> dict[str, float]:
        """Returns the figures of the model as it is."""
        synchronise(self.model)
        audio = np.nan_to_num(self.model.sample(self.num_samples, self.seed))
        probabilities, features = self._classifier.predict_with_features(audio)
        real, rate = self._real_features, self.model.sampling_rate
        figures = {
            "frechet_distance": frechet_distance(features, real),
            "inception_score": inception_score(probabilities, 1)[0],
        }
        targets = targets_of(self.model, self._classifier, self.num_samples)
        if targets is not None:
            figures["label_accuracy"] = class_accuracy(
                targets, probabilities.argmax(axis=1)
            )
        figures["kernel_distance"] = kernel_distance(features, real)
        count = min(len(features), len(real))
        scores = precision_recall_density_coverage(
            real[:count], features[:count], min(5, count - 1)
        )
        figures.update(scores._asdict())
        figures["num_different_bins"] = num_statistically_different_bins(
            real, features, min(_NUM_BINS, len(real)), seed=self.seed
        ).num_different
        mels = similarity_features(audio, rate, audible=True)
        to_self = nearest_neighbours(mels).distances
        to_train = nearest_neighbours(mels, self._real_mels).distances
        known = self._real
        figures |= {
            "d_self_difference": to_self.mean() - known["d_self"],
            "d_train_difference": to_train.mean() - known["d_self"],
            "repeated": duplicates(to_self, known["near"]),
            "copied": duplicates(to_train, known["near"]),
            "level_difference": level(audio).rms_db - known["rms_db"],
            "spectral_tilt_difference": (
                spectral_tilt(audio, rate) - known["spectral_tilt"]
            ),
        }
        return {name: float(value) for name, value in figures.items()}
