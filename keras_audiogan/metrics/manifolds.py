"""Do generated clips cover the real ones? Balls and bins in feature space."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keras_audiogan.metrics.distances import check_features, pairwise_distances


class ManifoldScores(NamedTuple):
    """Precision, recall, density and coverage, each 0 at worst."""

    precision: float
    recall: float
    density: float
    coverage: float


class DifferentBins(NamedTuple):
    """The outcome of `num_statistically_different_bins`.

    Attributes:
        num_different: Bins whose share differs significantly.
        num_bins: All bins.
        jensen_shannon: Jensen-Shannon divergence of the shares, in bits.
    """

    num_different: int
    num_bins: int
    jensen_shannon: float


def precision_recall_density_coverage(
    real: np.ndarray, generated: np.ndarray, num_neighbours: int = 5
) -> ManifoldScores:
    """Quality and variety by balls round each clip to its k-th neighbour.

    Precision: generated clips inside any real clip's ball; recall: real
    clips inside any generated clip's ball (Kynkaanniemi et al., "Improved
    Precision and Recall Metric", NeurIPS 2019). Density: mean number of
    real balls that hold a generated clip, over k; coverage: real balls that
    hold a generated clip (Naeem et al., "Reliable Fidelity and Diversity
    Metrics", ICML 2020). Use equal counts of both.

    Args:
        real: Features (n, num_features).
        generated: Features (m, num_features).
        num_neighbours: k, not counting the clip itself.

    Raises:
        ValueError: Not more than `num_neighbours` clips in a set, unequal
            widths, or values that are not finite.
    """
    if num_neighbours < 1:
        raise ValueError(
            "`num_neighbours` must be 1 or more. "
            f"Received: num_neighbours={num_neighbours}"
        )
    real, generated = check_features(
        real, generated, minimum=num_neighbours + 1
    )
    real_radii = _neighbour_distances(real, num_neighbours)
    generated_radii = _neighbour_distances(generated, num_neighbours)
    distances = pairwise_distances(real, generated)
    in_real_ball = distances < real_radii[:, np.newaxis]
    in_generated_ball = distances < generated_radii
    return ManifoldScores(
        precision=float(in_real_ball.any(axis=0).mean()),
        recall=float(in_generated_ball.any(axis=1).mean()),
        density=float(in_real_ball.sum(axis=0).mean() / num_neighbours),
        coverage=float((distances.min(axis=1) < real_radii).mean()),
    )


def _neighbour_distances(features: np.ndarray, rank: int) -> np.ndarray:
    distances = pairwise_distances(features, features)
    np.fill_diagonal(distances, 0)
    return np.partition(distances, rank, axis=1)[:, rank]


def num_statistically_different_bins(
    train: np.ndarray,
    generated: np.ndarray,
    num_bins: int = 50,
    significance: float = 0.05,
    seed: int = 0,
) -> DifferentBins:
    """Counts the modes that get too many or too few generated clips (NDB).

    The training features are clustered into bins by k-means; every clip
    falls to its nearest centre; a two-sample z-test of each bin's shares
    says whether they differ. Richardson and Weiss, "On GANs and GMMs",
    NeurIPS 2018. Real held-out clips differ in about `significance` of the
    bins. Features are scaled to unit variance first, as they are there.

    Args:
        train: Features (n, num_features) of real training clips.
        generated: Features (m, num_features).
        num_bins: The number of clusters.
        significance: Level of the two-sided test.
        seed: Seed of the clustering.

    Raises:
        ValueError: More bins than training clips, unequal widths, or values
            that are not finite.
    """
    train, generated = check_features(train, generated)
    if not 1 <= num_bins <= len(train):
        raise ValueError(
            "`num_bins` must lie between 1 and the number of training "
            f"clips, {len(train)}. Received: num_bins={num_bins}"
        )
    if not 0 < significance < 1:
        raise ValueError(
            "`significance` must lie between 0 and 1. "
            f"Received: significance={significance}"
        )
    bins_of = fit_bins(train, num_bins, seed)
    return compare_bins(
        bins_of(train), bins_of(generated), num_bins, significance
    )


def fit_bins(
    train: np.ndarray, num_bins: int, seed: int = 0
) -> Callable[[np.ndarray], np.ndarray]:
    """Clusters training features; see `num_statistically_different_bins`.

    Returns:
        From features (m, num_features) to the bin (m,) of each clip.
    """
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0] = 1
    centres = k_means((train - mean) / deviation, num_bins, seed=seed)

    def bins_of(features: np.ndarray) -> np.ndarray:
        scaled = (features - mean) / deviation
        return pairwise_distances(scaled, centres).argmin(axis=1)

    return bins_of


def compare_bins(
    train: np.ndarray,
    generated: np.ndarray,
    num_bins: int,
    significance: float = 0.05,
) -> DifferentBins:
    """Compares the bins (n,) of training clips and (m,) of generated ones.

    The test of each bin is a two-sided z-test of this level of significance.
    """
    counts = [
        np.bincount(bins, minlength=num_bins) for bins in (train, generated)
    ]
    shares = [count / count.sum() for count in counts]
    pooled = (counts[0] + counts[1]) / (len(train) + len(generated))
    error = np.sqrt(
        pooled * (1 - pooled) * (1 / len(train) + 1 / len(generated))
    )
    z_scores = np.divide(
        np.abs(shares[0] - shares[1]),
        error,
        out=np.zeros(num_bins),
        where=error > 0,
    )
    # The two-sided tail of the normal distribution, P(|Z| > z).
    p_values = np.array([math.erfc(z / math.sqrt(2)) for z in z_scores])
    return DifferentBins(
        int((p_values < significance).sum()), num_bins, _jensen_shannon(*shares)
    )


def _jensen_shannon(left: np.ndarray, right: np.ndarray) -> float:
    middle = (left + right) / 2
    total = 0.0
    for shares in (left, right):
        present = shares > 0
        ratios = shares[present] / middle[present]
        total += (shares[present] * np.log2(ratios)).sum() / 2
    return float(total)


def k_means(
    features: np.ndarray, num_clusters: int, num_steps: int = 50, seed: int = 0
) -> np.ndarray:
    """Cluster centres (num_clusters, num_features) by Lloyd's algorithm.

    Starts from k-means++ (Arthur and Vassilvitskii, SODA 2007); a cluster
    that loses all its clips restarts at the clip farthest from its centre.
    It stops after `num_steps`, or when nothing moves.
    """
    random = np.random.default_rng(seed)
    chosen = [int(random.integers(len(features)))]
    nearest = ((features - features[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < num_clusters:
        total = nearest.sum()
        weights = nearest / total if total > 0 else None
        chosen.append(int(random.choice(len(features), p=weights)))
        squares = ((features - features[chosen[-1]]) ** 2).sum(axis=1)
        nearest = np.minimum(nearest, squares)
    centres = features[chosen].copy()
    for _ in range(num_steps):
        distances = pairwise_distances(features, centres)
        assigned = distances.argmin(axis=1)
        moved = centres.copy()
        for cluster in range(num_clusters):
            members = features[assigned == cluster]
            if len(members):
                moved[cluster] = members.mean(axis=0)
            else:
                moved[cluster] = features[distances.min(axis=1).argmax()]
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres
