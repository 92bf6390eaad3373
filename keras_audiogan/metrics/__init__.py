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
    "cepstral_distortion": "vocoder_scores",
    "class_accuracy": "class_scores",
    "class_histogram": "class_scores",
    "class_recalls": "classifier_scores",
    "classifier_metrics": "classifier_scores",
    "confusion_matrix": "class_scores",
    "duplicates": "neighbours",
    "evaluate_gan": "evaluation",
    "evaluate_vocoder": "vocoder_evaluation",
    "f0_and_voicing": "speech_scores",
    "f0_errors": "speech_scores",
    "format_table": "figures",
    "format_vocoder_table": "figures",
    "frechet_distance": "distances",
    "frechet_distance_to": "distances",
    "griffin_lim": "phase_recovery",
    "inception_score": "class_scores",
    "k_means": "manifolds",
    "kernel_distance": "distances",
    "level": "signals",
    "level_gain": "vocoder_evaluation",
    "linear_magnitudes": "phase_recovery",
    "log_mel_distance": "vocoder_scores",
    "mel_cepstra": "vocoder_scores",
    "mel_cepstral_distortion": "vocoder_scores",
    "metrics_for_card": "figures",
    "multi_resolution_stft_distance": "vocoder_scores",
    "nearest_neighbours": "neighbours",
    "num_statistically_different_bins": "manifolds",
    "pesq": "speech_scores",
    "place_clips": "placing",
    "precision_recall_density_coverage": "manifolds",
    "sample_clips": "evaluation",
    "similarity_features": "neighbours",
    "spectral_tilt": "signals",
    "spectral_tilt_difference": "signals",
    "targets_of": "evaluation",
    "vocoder_metrics_for_card": "vocoder_evaluation",
    "vocoder_report": "vocoder_scores",
    "warping_path": "alignment",
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
