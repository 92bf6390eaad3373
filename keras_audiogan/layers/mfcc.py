"""Mel-frequency cepstral coefficients, on every backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_audiogan.layers.mel_features import LogMelSpectrogram


@keras.saving.register_keras_serializable("keras_audiogan")
class MFCC(keras.layers.Layer):
    """The first cosine coefficients of log-mel power spectra, in float32.

    Davis and Mermelstein, "Comparison of Parametric Representations for
    Monosyllabic Word Recognition in Continuously Spoken Sentences", IEEE
    TASSP 1980; the transform is the orthonormal DCT-II that librosa and
    SciPy call `type=2, norm="ortho"`, of natural logarithms of power.

    Args:
        sampling_rate: of the input, in Hz.
        num_coefficients: how many are kept, the zeroth (level) included.
        num_mel_bins: see `LogMelSpectrogram`, as the following.
        fft_length: window length in samples, a multiple of `frame_step`.
        frame_step: hop in samples, a divisor of the input's length.
        min_frequency: lower edge of the lowest band, in Hz.
        floor: added to the power before the logarithm.

    Raises:
        ValueError: if there are more coefficients than bands.

    Input shape: `(batch, time, 1)`.
    Output shape: `(batch, time // frame_step, num_coefficients)`.
    """

    def __init__(
        self,
        sampling_rate: int,
        num_coefficients: int = 20,
        num_mel_bins: int = 40,
        fft_length: int = 256,
        frame_step: int = 128,
        min_frequency: float = 50.0,
        floor: float = 1e-2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.built = True
        if not 1 <= num_coefficients <= num_mel_bins:
            raise ValueError(
                "`num_coefficients` must lie between 1 and `num_mel_bins`. "
                f"Received: num_coefficients={num_coefficients}, "
                f"num_mel_bins={num_mel_bins}"
            )
        self.num_coefficients = num_coefficients
        self.log_mel = LogMelSpectrogram(
            sampling_rate=sampling_rate,
            num_mel_bins=num_mel_bins,
            fft_length=fft_length,
            frame_step=frame_step,
            min_frequency=min_frequency,
            floor=floor,
            name="log_mel",
        )
        self.matrix = cosine_matrix(num_mel_bins, num_coefficients)

    def call(self, audio: Any) -> Any:
        """Returns the coefficients of `audio`."""
        spectra = self.log_mel(audio)[..., 0]
        return ops.matmul(spectra, ops.convert_to_tensor(self.matrix))


def cosine_matrix(num_inputs: int, num_coefficients: int) -> np.ndarray:
    """Returns the orthonormal DCT-II as float32 (inputs, coefficients)."""
    places = np.arange(num_inputs) + 0.5
    matrix = np.cos(
        np.pi * np.outer(places, np.arange(num_coefficients)) / num_inputs
    )
    matrix *= np.sqrt(2.0 / num_inputs)
    matrix[:, 0] /= np.sqrt(2.0)
    return matrix.astype("float32")
