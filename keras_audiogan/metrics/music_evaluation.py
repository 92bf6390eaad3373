"""Is it music? Figures for clips without labels, with controls beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from keras_audiogan.audio.resampling import resample
from keras_audiogan.metrics.distances import (
    frechet_distance_to,
    kernel_distance_to,
)
from keras_audiogan.metrics.evaluation import fit_clips
from keras_audiogan.metrics.figures import MUSIC_COLUMNS, FigureTable
from keras_audiogan.metrics.music_statistics import (
    STATISTICS,
    distribution_distance_to,
    similarity_lags,
)

FEWEST_CLIPS = 10
_MOST_CLIPS = 500
_PIECE_SECONDS = 0.25
_FEWEST_PIECES = 8
_FADE_SECONDS = 0.005
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def shuffled_pieces(
    audio: np.ndarray, sampling_rate: int, seed: int = 0
) -> np.ndarray:
    """Returns clips (n, time, channels) whose pieces stand in another order.

    Pieces of a quarter of a second, or of an eighth of the clip if that is
    shorter, each faded over 5 ms: what sounds at a moment stays, what leads
    from one moment to the next is lost. What is left over stays at the end.
    """
    random = np.random.default_rng(seed)
    time = audio.shape[1]
    size = min(round(_PIECE_SECONDS * sampling_rate), time // _FEWEST_PIECES)
    if size < 2:
        raise ValueError(
            "Clips of 16 samples or more can be shuffled. "
            f"Received: {time} samples"
        )
    count = time // size
    fade = min(round(_FADE_SECONDS * sampling_rate), size // 2)
    window = np.ones(size, "float32")
    window[:fade] = np.linspace(0, 1, fade, endpoint=False)
    window[size - fade :] = window[:fade][::-1]
    result = np.array(audio, "float32")
    for clip in result:
        pieces = clip[: count * size].reshape(count, size, -1)
        pieces = pieces[random.permutation(count)] * window[:, None]
        clip[: count * size] = pieces.reshape(count * size, -1)
    return result


def white_noise(audio: np.ndarray, seed: int = 0) -> np.ndarray:
    """Returns white noise as loud (RMS) as each of clips (n, time, ...)."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal(audio.shape, dtype="float32")
    power = np.mean(np.square(audio, dtype="float64"), axis=(1, 2))
    return noise * np.sqrt(power).astype("float32")[:, None, None]


def music_features(
    embedding: Any, audio: np.ndarray, sampling_rate: int
) -> np.ndarray:
    """Returns what a classifier hears of clips of any length, (n, width).

    One that hears a fixed length is given long clips in pieces of that
    length, and the mean counts; what is left over at the end does not.

    Args:
        embedding: An `AudioClassifier`.
        audio: Clips (n, time, channels).
        sampling_rate: Theirs, in Hz.
    """
    rate = embedding.sampling_rate
    clips = np.stack([resample(clip, sampling_rate, rate) for clip in audio])
    length = embedding.slice_length
    count = clips.shape[1] // length
    if embedding.hears_any_length or count < 2:
        return embedding.features(clips).astype("float64")
    pieces = clips[:, : count * length]
    pieces = pieces.reshape(-1, length, clips.shape[2])
    heard = embedding.features(pieces).astype("float64")
    return heard.reshape(len(clips), count, -1).mean(axis=1)


def evaluate_music(
    generated: np.ndarray,
    real_train: np.ndarray | Sequence[np.ndarray],
    real_test: np.ndarray | Sequence[np.ndarray],
    sampling_rate: int,
    embedding: Any = None,
    *,
    embedding_name: str | None = None,
    seed: int = 0,
    num_resamples: int = 100,
) -> dict[str, Any]:
    """Compares clips with real training clips, as music.

    Of generated clips, of real held-out ones, and of two controls, made of
    the held-out ones: `shuffled_pieces` and `white_noise`. A good generator
    lies near the held-out clips and far below the controls.

    The statistics are those of `music_statistics`, compared as distributions
    by `distribution_distance`, which is unbiased for any number of clips. The
    Frechet distance, which falls with their number, is measured on equally
    many of each kind; the kernel distance is unbiased.

    Args:
        generated: Clips (n, time, channels), of any length.
        real_train: Training clips (n, time, channels), or 1-D arrays.
        real_test: Held-out clips, likewise.
        sampling_rate: In Hz.
        embedding: An `AudioClassifier` whose features the distances are of,
            at any rate; None leaves the distances out.
        embedding_name: What to call it.
        seed: Seed of controls, subsets and resampling.
        num_resamples: Resamples for the confidence intervals; 0 leaves the
            intervals out.

    Returns:
        A dictionary fit for JSON: `figures`, by name, each with `better`,
        `unit`, and `generated`, `real_test`, `shuffled` and `white_noise`,
        each with `value`, `low` and `high` (95 % interval); `statistics`,
        the quantiles of each in the same four and in `real_train`, or the
        means of those of several numbers; `lags` of the self-similarity in
        seconds; and what was measured.

    Raises:
        ValueError: Fewer than 10 clips of a kind, or shapes that do not go
            together.
    """
    generated = np.asarray(generated, "float32")
    if generated.ndim != 3:
        raise ValueError(
            "Generated audio must be an array (clips, time, channels). "
            f"Received: shape {generated.shape}"
        )
    time = generated.shape[1]
    random = np.random.default_rng(seed)
    generated, train, test = (
        _some(fit_clips(clips, time), random)
        for clips in (generated, real_train, real_test)
    )
    if min(map(len, (generated, train, test))) < FEWEST_CLIPS:
        raise ValueError(
            f"At least {FEWEST_CLIPS} clips of each kind are needed. "
            f"Received: {len(generated)} generated, {len(train)} training and "
            f"{len(test)} test clips"
        )
    # What is not finite is no sound.
    generated = np.nan_to_num(generated, nan=0.0, posinf=0.0, neginf=0.0)
    columns = dict(
        zip(
            MUSIC_COLUMNS,
            (
                generated,
                test,
                shuffled_pieces(test, sampling_rate, seed),
                white_noise(test, seed),
            ),
            strict=True,
        )
    )
    report: dict[str, Any] = {
        "num_samples": len(generated),
        "num_real_train": len(train),
        "num_real_test": len(test),
        "group_size": min(len(generated), len(test), len(train)),
        "seed": seed,
        "sampling_rate": sampling_rate,
        "slice_length": time,
        "embedding": None,
        "figures": {},
        "statistics": {},
        "lags": similarity_lags(time, sampling_rate).tolist(),
    }
    table = FigureTable(
        report["figures"], num_resamples, seed, tuple(MUSIC_COLUMNS)
    )
    if embedding is not None:
        report["embedding"] = {
            "name": embedding_name,
            "architecture": getattr(type(embedding), "architecture", None),
            "num_features": embedding.num_features,
        }
        heard = partial(music_features, embedding, sampling_rate=sampling_rate)
        _add_distances(
            table,
            [heard(audio=clips) for clips in columns.values()],
            heard(audio=train),
            report["group_size"],
        )
    for name, statistic in STATISTICS.items():
        try:
            reference = statistic(train, sampling_rate)
        except ValueError as error:
            # Clips too short for it.
            report.setdefault("left_out", {})[name] = str(error)
            continue
        values = [statistic(clips, sampling_rate) for clips in columns.values()]
        report["statistics"][name] = {
            column: _described(found)
            for column, found in zip(
                (*columns, "real_train"), (*values, reference), strict=True
            )
        }
        _add_pairwise(
            table,
            f"{name}_distance",
            distribution_distance_to(reference),
            values,
        )
    return report


def _add_distances(
    table: FigureTable,
    columns: Sequence[np.ndarray],
    train: np.ndarray,
    group_size: int,
) -> None:
    # Both sets of one size, in all columns.
    frechet = frechet_distance_to(train[:group_size])

    def over_groups(features: np.ndarray) -> float:
        starts = range(0, len(features) - group_size + 1, group_size)
        groups = [features[start : start + group_size] for start in starts]
        return float(np.mean([frechet(group) for group in groups]))

    table.add("music_frechet_distance", over_groups, columns)
    _add_pairwise(
        table, "music_kernel_distance", kernel_distance_to(train), columns
    )


def _add_pairwise(
    table: FigureTable,
    name: str,
    distance_to: Callable[[np.ndarray], Callable[[np.ndarray], float]],
    columns: Sequence[np.ndarray],
) -> None:
    table.add(
        name,
        [distance_to(values) for values in columns],
        [np.arange(len(values)) for values in columns],
        replace=False,
        signed=True,
    )


def _some(clips: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Clips in another order, since files come sorted; not too many."""
    return clips[random.permutation(len(clips))[:_MOST_CLIPS]]


def _described(values: np.ndarray) -> list[float]:
    """Quantiles of numbers (n,), means of vectors (n, numbers)."""
    if values.ndim == 1:
        return np.quantile(values, _QUANTILES).tolist()
    return values.mean(axis=0).tolist()
