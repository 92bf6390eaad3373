"""Confidence intervals of any figure, by resampling the clips."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def bootstrap_interval(
    statistic: Callable[..., Any],
    samples: np.ndarray | Sequence[np.ndarray],
    *fixed: np.ndarray,
    num_resamples: int = 200,
    confidence: float = 0.95,
    replace: bool = True,
    seed: int = 0,
) -> tuple[Any, Any]:
    """Confidence interval of a statistic under resampling of the clips.

    Percentiles of `statistic` over resamples (Efron, "Bootstrap Methods:
    Another Look at the Jackknife", Annals of Statistics 1979), moved so
    that their mean falls on the value of the samples as they are: figures
    such as the Frechet distance are biased upwards by the repetitions in a
    resample, and unmoved percentiles may leave out the figure itself.

    With `replace=False` each resample is a random half of the clips, whose
    spread about the whole is that of the whole about the truth. That suits
    statistics of pairs of clips (kernel distance, nearest neighbours,
    duplicates), where a repeated clip would be its own neighbour.

    Args:
        statistic: Called with the resampled arrays, then with `fixed`;
            returns a number, or an array of numbers.
        samples: One array, or several whose rows go together (n, ...).
        *fixed: Arguments that are not resampled, such as a reference set.
        num_resamples: How many resamples.
        confidence: Coverage wanted, between 0 and 1.
        replace: Draw n of n clips with replacement, or a half without.
        seed: Seed of the draws; equal seeds give equal intervals.

    Returns:
        Lower and upper end, as floats or arrays like the statistic's.

    Raises:
        ValueError: No clips, arrays of unequal length, or a number out of
            range.

    Example:
        >>> low, high = bootstrap_interval(np.mean, np.arange(100.0))
        >>> bool(low < 49.5 < high)
        True
    """
    if isinstance(samples, np.ndarray):
        samples = [samples]
    arrays = [np.asarray(array) for array in samples]
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1 or min(lengths) < 2:
        raise ValueError(
            "Resampling needs arrays of one length of at least 2 clips. "
            f"Received: lengths {sorted(lengths)}"
        )
    if num_resamples < 2 or not 0 < confidence < 1:
        raise ValueError(
            "`num_resamples` must be 2 or more and `confidence` lie between "
            f"0 and 1. Received: num_resamples={num_resamples}, "
            f"confidence={confidence}"
        )
    count = lengths.pop()
    size = count if replace else count // 2
    random = np.random.default_rng(seed)
    values = []
    for _ in range(num_resamples):
        chosen = random.choice(count, size, replace=replace)
        values.append(statistic(*(array[chosen] for array in arrays), *fixed))
    spread = np.array(values, "float64")
    spread -= spread.mean(axis=0)
    value = np.asarray(statistic(*arrays, *fixed), "float64")
    tail = (1 - confidence) / 2
    low, high = value + np.quantile(spread, [tail, 1 - tail], axis=0)
    if value.ndim == 0:
        return float(low), float(high)
    return low, high
