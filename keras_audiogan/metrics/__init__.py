"""Is it good? Figures for generated sound, with real sound beside them.

The figures are computed with NumPy; only classifiers need Keras, so that
importing this package does not. Every figure has its definition and paper in
its docstring.
"""

from keras_audiogan._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Comparison": "comparison",
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
        "copy_distances": "vocoder_scores",
        "duplicates": "neighbours",
        "evaluate_gan": "evaluation",
        "evaluate_vocoder": "vocoder_evaluation",
        "f0_and_voicing": "speech_scores",
        "f0_errors": "speech_scores",
        "format_table": "figures",
        "format_vocoder_table": "figures",
        "frechet_distance": "distances",
        "frechet_distance_to": "distances",
        "griffin_lim": ".audio.phase_recovery",
        "inception_score": "class_scores",
        "k_means": "manifolds",
        "kernel_distance": "distances",
        "level": "signals",
        "level_gain": ".audio.levels",
        "linear_magnitudes": ".audio.phase_recovery",
        "log_mel_distance": "vocoder_scores",
        "mel_cepstra": "vocoder_scores",
        "mel_cepstral_distortion": "vocoder_scores",
        "metrics_for_card": "figures",
        "multi_resolution_stft_distance": "vocoder_scores",
        "nearest_neighbours": "neighbours",
        "num_statistically_different_bins": "manifolds",
        "pesq": "speech_scores",
        "place_clips": "evaluation",
        "precision_recall_density_coverage": "manifolds",
        "sample_clips": "evaluation",
        "similarity_features": "neighbours",
        "spectral_tilt": "signals",
        "spectral_tilt_difference": "signals",
        "targets_of": "evaluation",
        "vocoder_metrics_for_card": "figures",
        "vocoder_report": "vocoder_scores",
        "warping_path": "alignment",
        "wilson_interval": "classifier_scores",
        "write_report": "report",
    },
)
