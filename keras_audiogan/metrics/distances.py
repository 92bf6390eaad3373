"""Distances between two sets of feature vectors."""

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
    features_a, features_b = check_features(features_a, features_b, minimum=2)
    return frechet_distance_of_gaussians(
        features_a.mean(axis=0),
        np.cov(features_a, rowvar=False),
        features_b.mean(axis=0),
        np.cov(features_b, rowvar=False),
    )


def frechet_distance_of_gaussians(
    mean_a: np.ndarray,
    covariance_a: np.ndarray,
    mean_b: np.ndarray,
    covariance_b: np.ndarray,
) -> float:
    """Frechet distance between two Gaussians; see `frechet_distance`.

    Args:
        mean_a: Mean (num_features,) of the first.
        covariance_a: Covariance (num_features, num_features) of the first.
        mean_b: Mean of the second.
        covariance_b: Covariance of the second.
    """
    covariance_a = np.atleast_2d(covariance_a)
    covariance_b = np.atleast_2d(covariance_b)
    difference = np.atleast_1d(mean_a) - np.atleast_1d(mean_b)
    # The eigenvalues of S_a S_b are those of the symmetric product
    # S_a^(1/2) S_b S_a^(1/2), for which eigvalsh is stable also when the
    # covariances are singular.
    values, vectors = np.linalg.eigh(covariance_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ covariance_b @ root)
    trace_of_root = np.sqrt(np.maximum(product, 0)).sum()
    distance = (
        difference @ difference
        + np.trace(covariance_a)
        + np.trace(covariance_b)
        - 2 * trace_of_root
    )
    return float(max(distance, 0.0))


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
        ValueError: Fewer than two clips in a set, unequal widths, or values
            that are not finite.
    """
    features_a, features_b = check_features(features_a, features_b, minimum=2)
    if scale is None:
        scale = 1.0 / features_a.shape[1]

    def kernel(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return (scale * (left @ right.T) + offset) ** degree

    return float(
        _mean_off_diagonal(kernel(features_a, features_a))
        + _mean_off_diagonal(kernel(features_b, features_b))
        - 2 * kernel(features_a, features_b).mean()
    )


def _mean_off_diagonal(matrix: np.ndarray) -> float:
    count = len(matrix)
    return (matrix.sum() - np.trace(matrix)) / (count * (count - 1))


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
