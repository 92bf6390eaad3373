"""Scores from what a classifier hears in generated clips."""

import numpy as np


def inception_score(
    probabilities: np.ndarray, num_splits: int = 10, seed: int | None = None
) -> tuple[float, float]:
    """Inception score: are the clips clear, and are they varied?

    exp(mean over clips of KL(p(y|x) || p(y))), where p(y) is the mean of
    p(y|x) over the clips of a split: 1 at worst, the number of classes at
    best. Salimans et al., "Improved Techniques for Training GANs", NeurIPS
    2016; splits as in WaveGAN (Donahue et al., ICLR 2019), which takes 10
    of 50,000 clips. The score falls with the size of a split, so compare
    scores of equal split sizes only, and under one classifier only.

    Args:
        probabilities: p(y|x), shape (n, num_classes), rows summing to 1.
        num_splits: The number of groups; the first ones hold one more clip
            where they cannot be equal.
        seed: Shuffles the clips before they are split. None keeps their
            order, which is wrong for clips sorted by class.

    Returns:
        Mean and standard deviation of the splits' scores.

    Raises:
        ValueError: `probabilities` are not probabilities, or there are
            fewer clips than splits.
    """
    probabilities = check_probabilities(probabilities)
    if not 1 <= num_splits <= len(probabilities):
        raise ValueError(
            "`num_splits` must lie between 1 and the number of clips, "
            f"{len(probabilities)}. Received: num_splits={num_splits}"
        )
    if seed is not None:
        order = np.random.default_rng(seed).permutation(len(probabilities))
        probabilities = probabilities[order]
    scores = [
        _inception_score_of_split(split)
        for split in np.array_split(probabilities, num_splits)
    ]
    return float(np.mean(scores)), float(np.std(scores))


def _inception_score_of_split(probabilities: np.ndarray) -> float:
    mean = probabilities.mean(axis=0)
    # 0 log 0 is 0: a class that no clip may be contributes nothing.
    ratios = np.divide(
        probabilities,
        mean,
        out=np.ones_like(probabilities),
        where=probabilities > 0,
    )
    divergences = (probabilities * np.log(ratios)).sum(axis=1)
    return float(np.exp(divergences.mean()))


def confusion_matrix(
    targets: np.ndarray, predictions: np.ndarray, num_classes: int
) -> np.ndarray:
    """Counts of each true class (row) and the class heard for it (column).

    Args:
        targets: Class indices (n,) asked for or spoken.
        predictions: Class indices (n,) that the classifier gave.
        num_classes: The number of classes.

    Raises:
        ValueError: The two differ in length, or an index is out of range.
    """
    targets = _check_classes(targets, num_classes, "targets")
    predictions = _check_classes(predictions, num_classes, "predictions")
    if len(targets) != len(predictions):
        raise ValueError(
            "There must be one prediction for each target. Received: "
            f"{len(targets)} targets and {len(predictions)} predictions"
        )
    matrix = np.zeros((num_classes, num_classes), "int64")
    np.add.at(matrix, (targets, predictions), 1)
    return matrix


def class_accuracy(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Fraction of clips that the classifier hears as what was asked for.

    The measure of class-conditional generators in Odena et al.,
    "Conditional Image Synthesis with Auxiliary Classifier GANs", ICML 2017.
    Both arguments are class indices (n,).

    Raises:
        ValueError: The two differ in length, or are empty.
    """
    targets, predictions = np.asarray(targets), np.asarray(predictions)
    if targets.shape != predictions.shape or targets.ndim != 1:
        raise ValueError(
            "Targets and predictions must be two lists of class indices of "
            f"one length. Received: shapes {targets.shape} and "
            f"{predictions.shape}"
        )
    if not len(targets):
        raise ValueError("Accuracy needs at least one clip. Received: none")
    return float((targets == predictions).mean())


def class_histogram(predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Fraction (num_classes,) of clips heard as each class, from indices (n,).

    Raises:
        ValueError: No clip, or an index out of range.
    """
    predictions = _check_classes(predictions, num_classes, "predictions")
    if not len(predictions):
        raise ValueError("A histogram needs at least one clip. Received: none")
    counts = np.bincount(predictions, minlength=num_classes)
    return counts / len(predictions)


def check_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Returns probabilities as float64 (n, num_classes), once checked."""
    probabilities = np.asarray(probabilities, "float64")
    if probabilities.ndim != 2 or 0 in probabilities.shape:
        raise ValueError(
            "Probabilities must be an array (clips, classes) with at least "
            f"one of each. Received: shape {probabilities.shape}"
        )
    sums = probabilities.sum(axis=1)
    if not (probabilities >= 0).all() or not np.allclose(sums, 1, atol=1e-3):
        raise ValueError(
            "Probabilities must be 0 or more and sum to 1 for each clip; "
            "pass logits through a softmax first. Received: values from "
            f"{probabilities.min():.4g} to {probabilities.max():.4g}, rows "
            f"summing to {sums.min():.4g} to {sums.max():.4g}"
        )
    return probabilities


def _check_classes(indices, num_classes: int, name: str) -> np.ndarray:
    indices = np.asarray(indices)
    if indices.ndim != 1 or (
        len(indices) and not np.issubdtype(indices.dtype, np.integer)
    ):
        raise ValueError(
            f"`{name}` must be a list of class indices. Received: shape "
            f"{indices.shape}, dtype {indices.dtype}"
        )
    if len(indices) and not (
        0 <= indices.min() and indices.max() < num_classes
    ):
        raise ValueError(
            f"`{name}` must lie in 0 to {num_classes - 1}. Received: "
            f"{indices.min()} to {indices.max()}"
        )
    return indices.astype("int64")
