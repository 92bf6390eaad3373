"""How far a copy is from its recording, in figures that cost little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_audiogan.metrics.vocoder_scores import (
    log_mel_distance,
    multi_resolution_stft_distance,
)

if TYPE_CHECKING:
    import numpy as np

    from keras_audiogan.layers import MelFeatures


def copy_distances(
    real: np.ndarray, fake: np.ndarray, mel_features: MelFeatures
) -> dict[str, float]:
    """Compares a recording with what a vocoder made again of its mels.

    Args:
        real: Recording, `(time,)` or `(time, 1)`.
        fake: The copy; the longer clip is cut.
        mel_features: The vocoder's front end.

    Returns:
        `spectral_convergence` (a ratio) and `log_stft_distance` (nepers), see
        `multi_resolution_stft_distance`; `log_mel_distance` and
        `log_mel_distance_in_band` (nepers), see `log_mel_distance`.

    Raises:
        ValueError: If a clip is empty or shorter than the front end needs.
    """
    convergence, distance = multi_resolution_stft_distance(real, fake)
    return {
        "spectral_convergence": convergence,
        "log_stft_distance": distance,
        "log_mel_distance": log_mel_distance(real, fake, mel_features),
        "log_mel_distance_in_band": log_mel_distance(
            real, fake, mel_features, full_band=False
        ),
    }
