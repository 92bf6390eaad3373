"""Nearest neighbours in log-mel space: variety, copying, duplicates."""

from typing import NamedTuple

import numpy as np

from keras_audiogan.audio.spectra import log_mel_spectrogram, to_mono

NUM_BANDS = 128
_AUDIBLE_DB = -60.0
# Differences of float32 inner products cannot rank closer neighbours than
# this; so many candidates are measured again, exactly.
_NUM_CANDIDATES = 4
# A nearest neighbour nearer than this percentile of real clips' own counts
# as a repetition or a copy.
_NEAR_PERCENTILE = 1


class Neighbours(NamedTuple):
    """The nearest reference of each query.

    Attributes:
        distances: Euclidean distance (n,), float64.
        indices: Row (n,) of the reference.
    """

    distances: np.ndarray
    indices: np.ndarray


def similarity_features(
    audio: np.ndarray, sampling_rate: int, audible: bool = False
) -> np.ndarray:
    """Flattened log-mel spectrograms, the space of |D|self and |D|train.

    As WaveGAN's evaluation (Donahue et al., ICLR 2019): at 16 kHz a
    magnitude STFT of 2048 samples every 128, 128 HTK mel bands from 40 to
    7800 Hz, log(x + 1e-6). At another rate, window, step and upper edge
    keep their seconds and their fraction of the rate (8 kHz: 1024, 64,
    3900 Hz), so that a clip of equal duration has equally many values; the
    distances of different rates or durations are still not comparable.

    A floor of 1e-6 lies more than 140 dB below full scale. Where clips end
    in digital silence, and a generator's end in a hiss that no one hears,
    that hiss makes up most of the distance and the nearest clip is one with
    a noisy end, so that even a copy seems far away. With `audible`, the
    floor stands at -60 dB re a full-scale sine instead.

    Args:
        audio: Array (n, time, channels); channels are averaged.
        sampling_rate: Rate in Hz.
        audible: Whether to raise the floor to what can be heard.

    Returns:
        float32 (n, frames * 128).
    """
    scale = sampling_rate / 16_000
    fft_length = max(2, 2 * round(1024 * scale))
    # A full-scale sine has a peak of half the Hann window's sum.
    audible_floor = 10 ** (_AUDIBLE_DB / 20) * fft_length / 4
    features = log_mel_spectrogram(
        to_mono(audio),
        sampling_rate,
        fft_length=fft_length,
        frame_step=max(1, round(128 * scale)),
        num_mel_bins=NUM_BANDS,
        min_frequency=40.0,
        max_frequency=7800.0 * scale,
        slopes="mel",
        padding="end",
        floor=audible_floor if audible else 1e-6,
    )
    return features.reshape(len(features), -1)


def nearest_neighbours(
    queries: np.ndarray,
    references: np.ndarray | None = None,
    chunk_size: int = 1024,
) -> Neighbours:
    """Finds the Euclidean nearest reference of each query.

    The mean distance of generated clips to one another is |D|self (higher
    is more varied) and to the training set |D|train (far below real held-out
    clips' own distance means copying); Donahue et al., "Adversarial Audio
    Synthesis", ICLR 2019. |D|self falls with the number of clips: compare
    equal counts. WaveGAN's code drops the match at distance zero from a
    clip's own set; here it is the clip itself that is dropped, so that an
    exact duplicate counts with its distance of 0.

    Args:
        queries: Array (n, num_features).
        references: Array (m, num_features); None looks among the queries,
            leaving out each query itself.
        chunk_size: Queries compared at once.

    Returns:
        Distances (exact, in float64) and indices.

    Raises:
        ValueError: Empty or unequal shapes, or fewer than two queries where
            they are their own references.
    """
    queries = np.asarray(queries, "float32")
    among_themselves = references is None
    if references is None:
        references = queries
    references = np.asarray(references, "float32")
    if (
        queries.ndim != 2
        or references.ndim != 2
        or queries.shape[1] != references.shape[1]
        or not len(queries)
        or len(references) < 1 + among_themselves
    ):
        raise ValueError(
            "Nearest neighbours need queries and at least one other clip, "
            "as arrays (clips, num_features) of one width. Received: shapes "
            f"{queries.shape} and {references.shape}"
        )
    # Inner products of centred features lose fewer digits.
    mean = references.mean(axis=0)
    centred = references - mean
    squares = np.einsum("ij,ij->i", centred, centred)
    num_candidates = min(
        _NUM_CANDIDATES, len(references) - int(among_themselves)
    )
    distances = np.empty(len(queries))
    indices = np.empty(len(queries), "int64")
    for start in range(0, len(queries), chunk_size):
        rows = np.arange(start, min(start + chunk_size, len(queries)))
        # |q|^2 is the same for all references and does not change the order.
        scores = squares - 2 * ((queries[rows] - mean) @ centred.T)
        if among_themselves:
            scores[rows - start, rows] = np.inf
        candidates = np.argpartition(scores, num_candidates - 1, axis=1)
        candidates = np.sort(candidates[:, :num_candidates], axis=1)
        for row, near in zip(rows, candidates, strict=True):
            differences = references[near].astype("float64") - queries[row]
            exact = np.sqrt((differences**2).sum(axis=1))
            best = int(exact.argmin())
            distances[row], indices[row] = exact[best], near[best]
    return Neighbours(distances, indices)


def duplicates(distances: np.ndarray, threshold: float) -> float:
    """Fraction of clips whose nearest neighbour is nearer than `threshold`.

    With |D|self distances (n,) these are repetitions, with |D|train distances
    copies. `near_threshold` gives a fair threshold.

    Raises:
        ValueError: No distance.
    """
    distances = np.asarray(distances)
    if not distances.size:
        raise ValueError("Duplicates need at least one clip. Received: none")
    return float((distances < threshold).mean())


def near_threshold(distances: np.ndarray) -> float:
    """The distance within which 1 % of real clips have a neighbour."""
    return float(np.percentile(distances, _NEAR_PERCENTILE))
