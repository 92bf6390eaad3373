"""Groups of sounds that are alike, for folders that have no labels."""

from __future__ import annotations

import numpy as np

from keras_audiogan.data import AudioDataset, AudioFolder, AudioFolderError
from keras_audiogan.metrics.manifolds import k_means, pairwise_distances
from keras_audiogan.metrics.neighbours import NUM_BANDS, similarity_features
from keras_audiogan.metrics.variety import pooled

_ROWS = 256
_MOST_DIRECTIONS = 32
# k-means ends where it happens to begin: the tightest of so many is taken.
_NUM_STARTS = 8


def grouped(dataset: AudioDataset, num_groups: int) -> AudioFolder:
    """Sorts the files of a data set into groups of sounds that are alike.

    Sounds are compared by their log-mel spectra, averaged over eight
    stretches of time, and of a file of several slices by the mean of those.
    k-means finds the groups, in the directions in which sounds differ most;
    the spread of each is its square root, so that the strongest, loudness
    in most data, does not decide alone. The groups are the same whenever it
    is run.

    Args:
        dataset: the sounds, without labels.
        num_groups: 2 or more.

    Returns:
        The folder with its group, "group 0" and so on, as the label of each
        file; files that cannot be read are left out.

    Raises:
        AudioFolderError: if there are fewer than twice as many files.
    """
    folder = dataset.folder
    sums: dict[int, np.ndarray] = {}
    counts: dict[int, int] = {}
    for batch in dataset.clips(_ROWS):
        spectra = similarity_features(
            batch["audio"], dataset.sampling_rate, audible=True
        )
        rows = pooled(spectra, NUM_BANDS)
        for file, row in zip(batch["files"].tolist(), rows, strict=True):
            sums[file] = sums.get(file, 0.0) + row
            counts[file] = counts.get(file, 0) + 1
    if len(sums) < 2 * num_groups:
        raise AudioFolderError(
            "Groups of sounds need two files each or more. Received: "
            f"num_groups={num_groups}, {len(sums)} files that can be read in "
            f"{', '.join(folder.roots)}"
        )
    means = np.stack([sums[file] / counts[file] for file in sums])
    places = _directions(means)
    distances = min(
        (
            pairwise_distances(places, k_means(places, num_groups, seed=seed))
            for seed in range(_NUM_STARTS)
        ),
        key=lambda found: float((found.min(axis=1) ** 2).sum()),
    )
    of_file = dict(zip(sums, distances.argmin(axis=1).tolist(), strict=True))
    names = [f"group {group}" for group in range(num_groups)]
    return folder.subset(sorted(sums)).with_files_labelled(
        [names[of_file[file]] for file in sorted(sums)], names
    )


def _directions(features: np.ndarray) -> np.ndarray:
    """Places (n, directions) on the principal axes, of half their spread."""
    centred = features - features.mean(axis=0)
    places, scales, _ = np.linalg.svd(centred, full_matrices=False)
    return (places * np.sqrt(scales))[:, :_MOST_DIRECTIONS]
