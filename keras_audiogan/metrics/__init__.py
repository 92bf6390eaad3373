"""Is it good? Figures for generated sound, with real sound beside them.

The figures are computed with NumPy; only classifiers need Keras, so that
importing this package does not. Every figure has its definition and paper in
its docstring.
"""

from keras_audiogan._lazy import lazy_names

_NAMES = {
    "alignment": "warping_path",
    "blind_check": "add_blind_check tell_apart",
    "bootstrap": "bootstrap_interval",
    "class_scores": """
        class_accuracy class_histogram confusion_matrix inception_score
    """,
    "classifier_scores": """
        balanced_accuracy class_recalls classifier_metrics wilson_interval
    """,
    "comparison": "Comparison",
    "distances": "frechet_distance frechet_distance_to kernel_distance",
    "evaluation": "evaluate_gan place_clips sample_clips targets_of",
    "second_opinion": "add_second_classifier",
    "figures": """
        format_music_table format_reconstruction_table format_table
        format_vocoder_table metrics_for_card music_metrics_for_card
        reconstruction_metrics_for_card vocoder_metrics_for_card
    """,
    "judges": "add_judges installed_judges voicing_scores word_error_rate",
    "manifolds": """
        DifferentBins ManifoldScores k_means
        num_statistically_different_bins precision_recall_density_coverage
    """,
    "music_evaluation": """
        evaluate_music music_features shuffled_pieces white_noise
    """,
    "music_statistics": """
        STATISTICS distribution_distance dynamics key_clarity onset_density
        pitch_classes polyphony self_similarity similarity_lags tempo_strength
    """,
    "neighbours": """
        Neighbours duplicates nearest_neighbours similarity_features
    """,
    "pitch_scores": "add_pitch_figures heard_pitches pitches_of_labels",
    "reconstruction": "evaluate_reconstruction reconstruction_distances",
    "report": "write_report",
    "seams": "SeamFlux seam_flux spectral_flux",
    "signals": "Level level spectral_tilt spectral_tilt_difference",
    "speech_scores": "f0_and_voicing f0_errors pesq",
    "vocoder_evaluation": "evaluate_vocoder",
    "vocoder_scores": """
        cepstral_distortion copy_distances log_mel_distance mel_cepstra
        mel_cepstral_distortion multi_resolution_stft_distance
        vocoder_report
    """,
    ".audio.levels": "level_gain",
    ".audio.phase_recovery": "griffin_lim linear_magnitudes",
}

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        name: module
        for module, names in _NAMES.items()
        for name in names.split()
    },
)
