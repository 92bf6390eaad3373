"""Is it good? Figures for generated sound, with real sound beside them.

The figures are computed with NumPy; only classifiers need Keras, so that
importing this package does not. Every figure has its definition and paper in
its docstring.
"""

import importlib
from typing import Any

_EXPORTS = {
    "DifferentBins": "manifolds",
    "Level": "signals",
    "ManifoldScores": "manifolds",
    "Neighbours": "neighbours",
    "balanced_accuracy": "classifier_scores",
    "bootstrap_interval": "bootstrap",
    "class_accuracy": "class_scores",
    "class_histogram": "class_scores",
    "class_recalls": "classifier_scores",
    "classifier_metrics": "classifier_scores",
    "confusion_matrix": "class_scores",
    "duplicates": "neighbours",
    "evaluate_gan": "evaluation",
    "format_table": "figures",
    "frechet_distance": "distances",
    "frechet_distance_to": "distances",
    "inception_score": "class_scores",
    "k_means": "manifolds",
    "kernel_distance": "distances",
    "level": "signals",
    "nearest_neighbours": "neighbours",
    "num_statistically_different_bins": "manifolds",
    "metrics_for_card": "figures",
    "place_clips": "placing",
    "precision_recall_density_coverage": "manifolds",
    "sample_clips": "evaluation",
    "similarity_features": "neighbours",
    "spectral_tilt": "signals",
    "spectral_tilt_difference": "signals",
    "targets_of": "evaluation",
    "wilson_interval": "classifier_scores",
    "write_report": "report",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_EXPORTS[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
