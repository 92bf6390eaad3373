"""Dynamic time warping of two sequences of features."""

from __future__ import annotations

import numpy as np

_DIAGONAL, _DOWN, _RIGHT = 0, 1, 2


def warping_path(costs: np.ndarray) -> np.ndarray:
    """Cheapest path of dynamic time warping.

    Sakoe and Chiba, "Dynamic Programming Algorithm Optimization for Spoken
    Word Recognition", IEEE TASSP 1978, without slope constraint or weights:
    from (0, 0) to (n - 1, m - 1) in steps of (1, 1), (1, 0) and (0, 1), of
    least total cost. Ties take the diagonal. All cells of an anti-diagonal
    are computed at once.

    Args:
        costs: Array `(n, m)`, the cost of pairing i with j.

    Returns:
        int array `(path, 2)` of pairs in order.

    Raises:
        ValueError: If `costs` is not a matrix, empty, or not finite.
    """
    costs = np.asarray(costs, "float64")
    if costs.ndim != 2 or not costs.size or not np.isfinite(costs).all():
        raise ValueError(
            "`costs` must be a matrix of finite numbers with at least one "
            f"row and column. Received: shape {costs.shape}"
        )
    rows, columns = costs.shape
    came_from = np.zeros((rows + columns - 1, rows), "uint8")
    # Totals of the last two anti-diagonals, by row, after one row of padding.
    last = np.full(rows + 1, np.inf)
    before_last = np.full(rows + 1, np.inf)
    before_last[0] = 0.0
    for diagonal in range(rows + columns - 1):
        low = max(0, diagonal - columns + 1)
        high = min(rows, diagonal + 1)
        row = np.arange(low, high)
        arrivals = np.stack(
            [before_last[low:high], last[low:high], last[low + 1 : high + 1]]
        )
        choice = arrivals.argmin(axis=0)
        came_from[diagonal, low:high] = choice
        total = np.full(rows + 1, np.inf)
        total[low + 1 : high + 1] = (
            arrivals[choice, np.arange(high - low)] + costs[row, diagonal - row]
        )
        before_last, last = last, total
    i, j = rows - 1, columns - 1
    path = [(i, j)]
    while i or j:
        choice = came_from[i + j, i]
        i -= choice != _RIGHT
        j -= choice != _DOWN
        path.append((i, j))
    return np.array(path[::-1])
