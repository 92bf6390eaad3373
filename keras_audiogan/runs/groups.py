"""Groups of sounds that are alike, for data without labels."""

from __future__ import annotations

import numpy as np

from keras_audiogan.data import AudioDataset, AudioFolderError
from keras_audiogan.metrics.manifolds import k_means, pairwise_distances
from keras_audiogan.metrics.neighbours import NUM_BANDS, similarity_features
from keras_audiogan.metrics.variety import pooled

_ROWS = 256
_MOST_DIRECTIONS = 32
# k-means ends where it happens to begin: the tightest of so many is taken.
_NUM_STARTS = 8
# Of the mean size of a group: what is smaller is odd, and would be learnt by
# heart, since each group is drawn as often.
_LEAST_SIZE = 0.25


def find_groups(dataset: AudioDataset, num_groups: int) -> np.ndarray:
    """Sorts the slices of a data set into groups of such as are alike.

    They are compared by their log-mel spectra, averaged over eight stretches
    of time. k-means finds the groups, in the directions in which slices
    differ most; the spread of each is its square root, so that the strongest,
    loudness in most data, does not decide alone. The groups are the same
    whenever it is run. Those of less than a quarter of the mean size are
    dissolved, and the largest halved in their place. In a data set with
    `balance`, every label weighs as much as the others.

    Args:
        dataset: without `offset_augmentation`.
        num_groups: 2 or more.

    Returns:
        int32 `(num_slices,)`, from 0; -1 for slices that are silent, cannot
        be read or, with `balance`, have no label.

    Raises:
        AudioFolderError: if there are fewer than twice as many slices.
    """
    parts, slices = [], []
    for batch in dataset.clips(_ROWS):
        spectra = similarity_features(
            batch["audio"], dataset.sampling_rate, audible=True
        )
        parts.append(pooled(spectra, NUM_BANDS))
        slices.append(batch["slices"])
    numbers = np.concatenate(slices)
    if len(numbers) < 2 * num_groups:
        raise AudioFolderError(
            "Groups of sounds need two slices each or more. Received: "
            f"num_groups={num_groups}, {len(numbers)} slices that sound in "
            f"{', '.join(dataset.folder.roots)}"
        )
    rows = np.repeat(np.arange(len(numbers)), dataset.copies()[numbers])
    places = _directions(np.concatenate(parts)[rows])
    found = min(
        (k_means(places, num_groups, seed=seed) for seed in range(_NUM_STARTS)),
        key=lambda centres: float(
            (pairwise_distances(places, centres).min(axis=1) ** 2).sum()
        ),
    )
    groups = np.full(dataset.num_slices, -1, np.int32)
    groups[numbers[rows]] = _without_odd_ones(places, found)
    return groups


def _without_odd_ones(places: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Groups (n,) by the nearest centres, none of them far too small."""
    for _ in range(4 * len(centres)):
        nearest = pairwise_distances(places, centres).argmin(axis=1)
        sizes = np.bincount(nearest, minlength=len(centres))
        if sizes.min() >= _LEAST_SIZE * sizes.mean():
            break
        small, large = sizes.argmin(), sizes.argmax()
        halves = k_means(places[nearest == large], 2)
        centres = np.concatenate(
            [np.delete(centres, [small, large], axis=0), halves]
        )
    return pairwise_distances(places, centres).argmin(axis=1)


def _directions(features: np.ndarray) -> np.ndarray:
    """Places (n, directions) on the principal axes, of half their spread."""
    centred = features - features.mean(axis=0)
    places, scales, _ = np.linalg.svd(centred, full_matrices=False)
    return (places * np.sqrt(scales))[:, :_MOST_DIRECTIONS]
