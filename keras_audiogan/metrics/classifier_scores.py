"""How well a classifier hears recordings it was not trained on."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_audiogan.metrics.bootstrap import bootstrap_interval
from keras_audiogan.metrics.class_scores import (
    class_accuracy,
    confusion_matrix,
    inception_score,
)


def balanced_accuracy(
    targets: np.ndarray, predictions: np.ndarray, num_classes: int
) -> float:
    """Mean of the share of each class's clips that are heard as it.

    Unlike `class_accuracy`, a class counts the same however many clips of
    it there are (Brodersen et al., "The Balanced Accuracy and Its Posterior
    Distribution", ICPR 2010). Classes without clips are left out. The
    arguments are those of `confusion_matrix`.

    Raises:
        ValueError: No clip, or indices that `confusion_matrix` refuses.
    """
    shares = class_recalls(targets, predictions, num_classes)
    if not np.isfinite(shares).any():
        raise ValueError("Accuracy needs at least one clip. Received: none")
    return float(np.nanmean(shares))


def class_recalls(
    targets: np.ndarray, predictions: np.ndarray, num_classes: int
) -> np.ndarray:
    """Share of each class's clips heard as it, NaN for one without clips.

    The arguments are those of `confusion_matrix`.
    """
    matrix = confusion_matrix(targets, predictions, num_classes)
    totals = matrix.sum(axis=1)
    return np.divide(
        np.diag(matrix),
        totals,
        out=np.full(num_classes, np.nan),
        where=totals > 0,
    )


def recall_by_label(
    targets: np.ndarray, predictions: np.ndarray, labels: Sequence[str]
) -> dict[str, float]:
    """Returns `class_recalls` by name, without classes that have no clips."""
    shares = class_recalls(targets, predictions, len(labels))
    return {
        label: float(share)
        for label, share in zip(labels, shares, strict=True)
        if np.isfinite(share)
    }


def wilson_interval(
    num_right: int, num_clips: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Confidence interval of a share, `num_right` of `num_clips`, by Wilson.

    Resampling gives no width to 60 right of 60; this says 94 % to 100 %
    (Wilson, "Probable Inference, the Law of Succession, and Statistical
    Inference", Journal of the American Statistical Association 1927).

    Raises:
        ValueError: No clip, more right than there are, or a `confidence` not
            between 0 and 1.
    """
    if not 0 <= num_right <= num_clips or not num_clips:
        raise ValueError(
            "A share is of 1 clip or more. Received: "
            f"num_right={num_right}, num_clips={num_clips}"
        )
    if not 0 < confidence < 1:
        raise ValueError(
            "`confidence` must lie between 0 and 1. "
            f"Received: confidence={confidence}"
        )
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    share = num_right / num_clips
    centre = share + z**2 / (2 * num_clips)
    spread = z * math.sqrt(
        share * (1 - share) / num_clips + z**2 / (4 * num_clips**2)
    )
    scale = 1 + z**2 / num_clips
    low, high = (centre - spread) / scale, (centre + spread) / scale
    # Rounding must not put the share itself outside.
    return max(min(low, share), 0.0), min(max(high, share), 1.0)


def by_recording(
    probabilities: np.ndarray, files: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means of the probabilities of the slices of each recording.

    Args:
        probabilities: Of each slice, (n, num_classes).
        files: Number (n,) of each slice's recording.

    Returns:
        Means (m, num_classes), and the recordings' numbers (m,), sorted.
    """
    numbers, places = np.unique(files, return_inverse=True)
    sums = np.zeros((len(numbers), probabilities.shape[1]))
    np.add.at(sums, places, probabilities)
    return sums / np.bincount(places)[:, np.newaxis], numbers


def classifier_metrics(
    probabilities: np.ndarray,
    targets: np.ndarray,
    labels: tuple[str, ...],
    *,
    seed: int = 0,
    num_resamples: int = 1000,
) -> dict[str, dict[str, Any]]:
    """Figures of a classifier on recordings, for `training.json`.

    Args:
        probabilities: What it gave each recording, (n, num_classes).
        targets: Index (n,) of each recording's label.
        labels: Names of the classes.
        seed: Seed of the resampling.
        num_resamples: Resamples for the interval of the balanced accuracy.

    Returns:
        `test_accuracy`; `test_balanced_accuracy`; `test_inception_score` of
        the recordings, the ceiling of a generator's; `class_recall`; and
        `confusion`.
    """
    heard = probabilities.argmax(axis=1)
    num_classes, num_recordings = len(labels), len(targets)
    matrix = confusion_matrix(targets, heard, num_classes)
    low, high = wilson_interval(int(np.trace(matrix)), num_recordings)
    accuracy = class_accuracy(targets, heard)
    balanced = {"value": balanced_accuracy(targets, heard, num_classes)}
    score, _ = inception_score(probabilities, 1)
    figures: dict[str, dict[str, Any]] = {
        "test_accuracy": {"value": accuracy, "low": low, "high": high},
        "test_balanced_accuracy": balanced,
        "test_inception_score": {"value": score, "num_splits": 1},
    }
    if num_recordings > 1:
        low, high = bootstrap_interval(
            lambda a, b: balanced_accuracy(a, b, num_classes),
            (targets, heard),
            num_resamples=num_resamples,
            seed=seed,
        )
        balanced.update(low=max(low, 0.0), high=min(high, 1.0))
    recalls = recall_by_label(targets, heard, labels)
    return {
        **{
            name: {
                **{key: round(number, 4) for key, number in figure.items()},
                "num_recordings": num_recordings,
            }
            for name, figure in figures.items()
        },
        "class_recall": {
            "value": {name: round(x, 4) for name, x in recalls.items()}
        },
        "confusion": {
            "value": matrix.tolist(),
            "rows": "true label",
            "columns": "heard",
        },
    }
