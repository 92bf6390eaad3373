"""How varied the clips of each label are, and of each kind of sound."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from keras_audiogan.metrics.distances import pairwise_distances
from keras_audiogan.metrics.manifolds import fit_bins

# Fewer clips of a label say nothing of its variety; more are not compared
# pair by pair.
_FEWEST_CLIPS = 5
_MOST_CLIPS = 200
_NUM_STRETCHES = 8
_LEAST_SHARE = 0.02
_MOST_KINDS = 20


class Variety(NamedTuple):
    """How varied the clips of a label are.

    Attributes:
        repeated: Whether each clip repeats another one, as 1 or 0.
        nearest: Distance of each clip to the nearest other one of any label.
        distance: Mean distance of each clip to the others of the label, over
            that of real clips of the label to each other.
    """

    repeated: np.ndarray
    nearest: np.ndarray
    distance: np.ndarray

    def as_json(self) -> dict[str, Any]:
        """Returns the number of clips, and the means."""
        means = {key: float(x.mean()) for key, x in self._asdict().items()}
        return {"num_clips": len(self.nearest), **means}


def variety_by_label(
    features: np.ndarray,
    labels: np.ndarray,
    real_features: np.ndarray,
    real_labels: np.ndarray,
    nearest: np.ndarray,
    threshold: float,
) -> dict[int, Variety]:
    """Measures the repeats and distances within each label.

    Args:
        features: Array (n, num_features), see `similarity_features`.
        labels: Label (n,) of each clip.
        real_features: Of real clips, (r, num_features).
        real_labels: Label (r,) of each real clip.
        nearest: Distances (m,) of the first clips to their nearest other one.
        threshold: A clip that is nearer to another one repeats it.

    Returns:
        Label -> `Variety`, of labels with five clips or more, and as many real
        ones.
    """
    found = {}
    for label in np.unique(labels).tolist():
        near = nearest[labels[: len(nearest)] == label]
        distances = _distances_within(features[labels == label])
        real = _distances_within(real_features[real_labels == label])
        if min(map(len, (near, real))) < _FEWEST_CLIPS or not real.any():
            continue
        found[label] = Variety(
            (near < threshold).astype("float64"), near, distances / real.mean()
        )
    return found


def _distances_within(features: np.ndarray) -> np.ndarray:
    """Mean distance of each clip, of 200 at most, to the others."""
    if len(features) < 2:
        return np.zeros(len(features))
    chosen = features[:_MOST_CLIPS].astype("float64")
    # Differences of large inner products lose digits.
    chosen -= chosen.mean(axis=0)
    distances = pairwise_distances(chosen, chosen)
    np.fill_diagonal(distances, 0)
    return distances.sum(axis=1) / (len(chosen) - 1)


def fit_kinds(
    train: np.ndarray, most: int, seed: int = 0
) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
    """Sorts training clips into kinds by their features (n, num_features).

    As `fit_bins`, but clusters of less than 2 % of the clips are dissolved:
    a few odd clips are no kind of sound.

    Returns:
        From features to the kind (m,) of each clip, and how many kinds there
        are, `most`, 20 or fewer.
    """
    bins_of = fit_bins(train, min(most, _MOST_KINDS, len(train)), seed)
    counts = np.bincount(bins_of(train))
    kept = np.flatnonzero(counts >= _LEAST_SHARE * len(train))
    centres = np.stack([train[bins_of(train) == i].mean(axis=0) for i in kept])
    deviation = train.std(axis=0)
    deviation[deviation == 0] = 1

    def kinds_of(features: np.ndarray) -> np.ndarray:
        return pairwise_distances(
            features / deviation, centres / deviation
        ).argmin(axis=1)

    return kinds_of, len(kept)


def pooled(features: np.ndarray, num_bands: int) -> np.ndarray:
    """Means over eight stretches of time, of flattened spectra (n, values)."""
    spectra = features.reshape(len(features), -1, num_bands)
    stretches = min(_NUM_STRETCHES, spectra.shape[1])
    parts = np.array_split(spectra, stretches, axis=1)
    means = [part.mean(axis=1, dtype="float64") for part in parts]
    return np.concatenate(means, axis=1)
