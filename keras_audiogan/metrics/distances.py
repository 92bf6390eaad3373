"""Distances between two sets of feature vectors."""

from collections.abc import Callable

import numpy as np


def frechet_distance(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Frechet distance between Gaussians fitted to two sets of features.

    |m_a - m_b|^2 + trace(S_a + S_b - 2 (S_a S_b)^(1/2)), with unbiased
    covariances S. On features of a classifier of sound this is the Frechet
    audio distance (Kilgour et al., "Frechet Audio Distance", Interspeech
    2019; Heusel et al., "GANs Trained by a Two Time-Scale Update Rule",
    NeurIPS 2017, for pictures). 0 is best. It depends on the classifier,
    and falls with the number of clips: compare equal counts only.

    Args:
        features_a: Array (n, num_features).
        features_b: Array (m, num_features).

    Raises:
        ValueError: Fewer than two clips in a set, unequal widths, or values
            that are not finite.
    """
    return frechet_distance_to(features_b)(features_a)


def frechet_distance_to(reference: np.ndarray) -> Callable[[np.ndarray], float]:
    """Returns a function that measures many sets against one reference.

    The Gaussian of the reference (m, num_features) is fitted once; see
    `frechet_distance`.
    """
    reference, _ = check_features(reference, reference, minimum=2)
    mean = reference.mean(axis=0)
    covariance = np.atleast_2d(np.cov(reference, rowvar=False))
    root = _square_root(covariance)
    trace = np.trace(covariance)

    def distance(features: np.ndarray) -> float:
        features, _ = check_features(features, reference, minimum=2)
        own = np.atleast_2d(np.cov(features, rowvar=False))
        difference = features.mean(axis=0) - mean
        # The eigenvalues of the product of the covariances are those of
        # this symmetric one, for which eigvalsh is stable even where the
        # covariances are singular.
        product = np.linalg.eigvalsh(root @ own @ root)
        trace_of_root = np.sqrt(np.maximum(product, 0)).sum()
        value = (
            difference @ difference + np.trace(own) + trace - 2 * trace_of_root
        )
        return float(max(value, 0.0))

    return distance


def _square_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def kernel_distance(
    features_a: np.ndarray,
    features_b: np.ndarray,
    degree: int = 3,
    scale: float | None = None,
    offset: float = 1.0,
) -> float:
    """Squared maximum mean discrepancy under a polynomial kernel, unbiased.

    The U-statistic mean k(a, a') + mean k(b, b') - 2 mean k(a, b) over
    pairs of different clips, with k(x, y) = (scale x.y + offset)^degree.
    Binkowski et al., "Demystifying MMD GANs", ICLR 2018 (the kernel
    inception distance). Its expectation does not depend on the number of
    clips; it is 0 for equal distributions, and may come out a little below.

    Args:
        features_a: Array (n, num_features).
        features_b: Array (m, num_features).
        degree: Degree of the polynomial.
        scale: Factor of the inner product; 1 / num_features by default.
        offset: Constant of the polynomial.

    Raises:
        ValueError: Fewer than two clips in a set, unequal widths, values
            that are not finite, or a degree below 1.
    """
    features_a, features_b = check_features(features_a, features_b, minimum=2)
    if degree < 1:
        raise ValueError(
            f"`degree` must be 1 or more. Received: degree={degree}"
        )
    distance_of = kernel_distance_to(features_b, degree, scale, offset)
    return distance_of(features_a)(np.arange(len(features_a)))


def kernel_distance_to(
    reference: np.ndarray,
    degree: int = 3,
    scale: float | None = None,
    offset: float = 1.0,
) -> Callable[[np.ndarray], Callable[[np.ndarray], float]]:
    """Returns a function that measures many sets against one reference.

    The kernel matrices of a set are computed once, so that its subsets cost
    next to nothing; see `kernel_distance` for the arguments.

    Returns:
        From a set of features (n, num_features) to a function from chosen
        rows (k,) of it to their distance.
    """

    def kernel(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        factor = 1.0 / left.shape[1] if scale is None else scale
        base = factor * (left @ right.T) + offset
        result = base.copy()
        # Repeated products are many times faster than a power.
        for _ in range(degree - 1):
            result *= base
        return result

    within_reference = _mean_off_diagonal(kernel(reference, reference))

    def distance_of(features: np.ndarray) -> Callable[[np.ndarray], float]:
        own = kernel(features, features)
        across = kernel(features, reference).mean(axis=1)

        def distance(rows: np.ndarray) -> float:
            within = _mean_off_diagonal(own[np.ix_(rows, rows)])
            return float(within + within_reference - 2 * across[rows].mean())

        return distance

    return distance_of


def _mean_off_diagonal(matrix: np.ndarray) -> float:
    """Mean of a square matrix without its diagonal."""
    count = len(matrix)
    return (matrix.sum() - np.trace(matrix)) / (count * (count - 1))


def pairwise_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Euclidean distances (n, m) in float64 of all pairs of rows."""
    first = np.asarray(first, "float64")
    second = np.asarray(second, "float64")
    squares = (
        np.sum(first**2, axis=1)[:, None]
        + np.sum(second**2, axis=1)
        - 2.0 * first @ second.T
    )
    return np.sqrt(np.maximum(squares, 0.0))


def check_features(
    features_a: np.ndarray, features_b: np.ndarray, minimum: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Returns both sets as float64 arrays, once checked.

    Raises:
        ValueError: Not 2-D, fewer rows than `minimum`, unequal widths, or
            values that are not finite.
    """
    checked = []
    for features in (features_a, features_b):
        features = np.asarray(features, "float64")
        if features.ndim != 2 or len(features) < minimum:
            raise ValueError(
                "Features must be an array (clips, num_features) of at "
                f"least {minimum} clips. Received: shape {features.shape}"
            )
        if not np.isfinite(features).all():
            raise ValueError(
                "Features must be finite numbers. Received: "
                f"{np.count_nonzero(~np.isfinite(features))} that are not"
            )
        checked.append(features)
    if checked[0].shape[1] != checked[1].shape[1]:
        raise ValueError(
            "Both sets must have features of one width. Received: "
            f"{checked[0].shape[1]} and {checked[1].shape[1]}"
        )
    return checked[0], checked[1]
