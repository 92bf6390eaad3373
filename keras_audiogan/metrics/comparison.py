"""A quick look at a generator while it trains, beside the same real clips."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_audiogan.metrics.artefacts import ArtefactCheck
from keras_audiogan.metrics.class_scores import class_accuracy, inception_score
from keras_audiogan.metrics.distances import (
    frechet_distance_to,
    kernel_distance_to,
)
from keras_audiogan.metrics.evaluation import (
    NUM_NEIGHBOURS,
    sample_clips,
    targets_of,
)
from keras_audiogan.metrics.manifolds import (
    compare_bins,
    fit_bins,
    precision_recall_density_coverage,
)
from keras_audiogan.metrics.neighbours import (
    duplicates,
    near_threshold,
    nearest_neighbours,
    similarity_features,
)
from keras_audiogan.metrics.signals import level, spectral_tilt

_NUM_BINS = 20


class Comparison:
    """Measures generators beside real clips that were measured once.

    All clips of a generator are one group, and there are no intervals: for
    those, and for real clips in the same table, see `evaluate_gan`.

    Args:
        real_clips: Real sound `(clips, time, channels)`.
        classifier: An `AudioClassifier` at its sampling rate.
        seed: Seed of latents and of clustering.
        stage_steps: Samples from one step to the next in each stage of the
            generators; see `AudioGAN.stage_steps`.
    """

    def __init__(
        self,
        real_clips: np.ndarray,
        classifier: Any,
        seed: int = 0,
        stage_steps: Sequence[int] = (),
    ) -> None:
        rate = classifier.sampling_rate
        features = classifier.features(real_clips).astype("float64")
        mels = similarity_features(real_clips, rate, audible=True)
        distances = nearest_neighbours(mels).distances
        self._classifier = classifier
        self._seed = seed
        self._features = features
        self._mels = mels
        self._d_self = distances.mean()
        self._threshold = near_threshold(distances)
        self._level = level(real_clips).rms_db
        self._tilt = spectral_tilt(real_clips, rate)
        self._artefacts = ArtefactCheck(real_clips, rate, stage_steps)
        self._frechet_distance = frechet_distance_to(features)
        self._kernel_distance = kernel_distance_to(features)
        self._num_bins = min(_NUM_BINS, len(features))
        self._bins_of = fit_bins(features, self._num_bins, seed)
        self._real_bins = self._bins_of(features)

    def check(self, gan: Any) -> None:
        """Raises a `ValueError` unless the classifier has the rate of `gan`."""
        if self._classifier.sampling_rate != gan.sampling_rate:
            raise ValueError(
                "The classifier and the model must have one sampling rate. "
                f"Received: {self._classifier.sampling_rate} Hz and "
                f"{gan.sampling_rate} Hz"
            )

    def measure(self, gan: Any, num_samples: int = 500) -> dict[str, float]:
        """Returns the figures of `num_samples` clips of an `AudioGAN` as it is.

        Those whose best value is that of real sound come as differences from
        it: `level_difference` (dB), `spectral_tilt_difference` (dB/octave),
        `d_self_difference` and `d_train_difference` (from the distances of
        real clips to each other), and those of `ArtefactCheck`. A
        conditional generator is asked for its labels in turn, and has a
        `label_accuracy` if the classifier knows them.

        Raises:
            ValueError: As `check`.
        """
        self.check(gan)
        rate = gan.sampling_rate
        audio = np.nan_to_num(sample_clips(gan, num_samples, self._seed))
        probabilities, features = self._classifier.predict_with_features(audio)
        features = features.astype("float64")
        count = min(len(features), len(self._features))
        mels = similarity_features(audio, rate, audible=True)
        to_self = nearest_neighbours(mels).distances
        to_train = nearest_neighbours(mels, self._mels).distances
        figures = {
            "frechet_distance": self._frechet_distance(features),
            "inception_score": inception_score(probabilities, 1)[0],
            "kernel_distance": self._kernel_distance(features)(
                np.arange(len(features))
            ),
            **precision_recall_density_coverage(
                self._features[:count],
                features[:count],
                min(NUM_NEIGHBOURS, count - 1),
            )._asdict(),
            "num_different_bins": compare_bins(
                self._real_bins, self._bins_of(features), self._num_bins
            ).num_different,
            "d_self_difference": to_self.mean() - self._d_self,
            "d_train_difference": to_train.mean() - self._d_self,
            "repeated": duplicates(to_self, self._threshold),
            "copied": duplicates(to_train, self._threshold),
            "level_difference": level(audio).rms_db - self._level,
            "spectral_tilt_difference": spectral_tilt(audio, rate) - self._tilt,
            **self._artefacts.measure(audio),
        }
        targets = targets_of(gan, self._classifier, num_samples)
        if targets is not None:
            figures["label_accuracy"] = class_accuracy(
                targets, probabilities.argmax(axis=1)
            )
        return {name: float(value) for name, value in figures.items()}
