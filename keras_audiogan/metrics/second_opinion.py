"""What another classifier hears: instruments, where labels are pitches."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_audiogan.audio.resampling import resample
from keras_audiogan.metrics.class_scores import class_histogram
from keras_audiogan.metrics.figures import COLUMNS, FigureTable


def add_second_classifier(
    report: dict[str, Any],
    generated: np.ndarray,
    real_test: np.ndarray,
    classifier: Any,
    *,
    preset: str = "",
    num_resamples: int = 100,
    seed: int = 0,
) -> None:
    """Adds to a report how sounds spread over a second classifier's labels.

    Args:
        report: What `evaluate_gan` returned; gets the figures
            `second_labels_heard` and `second_label_entropy`, and
            `second_classifier` with the histograms.
        generated: Clips `(n, time, channels)`.
        real_test: The same of real sound. As many of each count, since more
            clips hold more labels.
        classifier: An `AudioClassifier`, whose rate may be lower.
        preset: Its name.
        num_resamples: Resamples for the intervals; 0 leaves them out.
        seed: Chooses clips, and seeds the resampling.
    """
    rate, labels = report["sampling_rate"], list(classifier.labels)
    count = min(len(generated), len(real_test))
    rng = np.random.default_rng(seed)
    heard = []
    for clips in (generated, real_test):
        chosen = rng.permutation(len(clips))[:count]
        heard.append(
            classifier.predict_proba(
                np.stack(
                    [
                        resample(clips[i], rate, classifier.sampling_rate)
                        for i in chosen
                    ]
                )
            ).argmax(axis=1)
        )
    table = FigureTable(report["figures"], num_resamples, seed)
    table.add(
        "second_label_entropy", lambda h: label_entropy(h, len(labels)), heard
    )
    # A resample holds fewer labels than the clips, never more.
    FigureTable(report["figures"], 0, seed).add(
        "second_labels_heard", lambda h: float(len(np.unique(h))), heard
    )
    report["second_classifier"] = {
        "preset": preset,
        "labels": labels,
        "class_histogram": {
            name: dict(
                zip(
                    labels,
                    class_histogram(h, len(labels)).tolist(),
                    strict=True,
                )
            )
            for name, h in zip(COLUMNS, heard, strict=True)
        },
    }


def label_entropy(heard: np.ndarray, num_labels: int) -> float:
    """Returns the entropy in bits of labels, given by their indices."""
    shares = class_histogram(heard, num_labels)
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum() + 0.0)
