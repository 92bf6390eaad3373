"""Near-perfect pseudo-quadrature mirror filters: one signal as many bands."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


def prototype_filter(
    taps: int = 62, cutoff: float = 0.142, beta: float = 9.0
) -> np.ndarray:
    """Returns the low-pass filter that all bands are made of.

    An ideal low-pass under a Kaiser window (Lin and Vaidyanathan, "A Kaiser
    Window Approach for the Design of Prototype Filters of Cosine Modulated
    Filterbanks", IEEE Signal Processing Letters 1998).

    Args:
        taps: Even number; the filter has one coefficient more.
        cutoff: Edge of the pass band as a fraction of half the rate.
        beta: Of the Kaiser window.

    Returns:
        float64 array `(taps + 1,)`.

    Raises:
        ValueError: If `taps` is odd or below 2, or `cutoff` not in (0, 1).
    """
    if taps < 2 or taps % 2 or not 0.0 < cutoff < 1.0:
        raise ValueError(
            "`taps` must be even and at least 2, and `cutoff` lie between 0 "
            f"and 1. Received: taps={taps}, cutoff={cutoff}"
        )
    places = np.arange(taps + 1) - taps / 2
    return cutoff * np.sinc(cutoff * places) * np.kaiser(taps + 1, beta)


def band_filters(
    num_bands: int, taps: int, cutoff: float, beta: float, sign: int
) -> np.ndarray:
    """Returns `prototype_filter` modulated to the middle of each band.

    The `sign` of the phase is 1 for analysis, -1 for synthesis. The result is
    float64 `(taps + 1, num_bands)`.
    """
    band = np.arange(num_bands)
    places = np.arange(taps + 1) - taps / 2
    angle = np.outer(places, (2 * band + 1) * np.pi / (2 * num_bands))
    phase = sign * (-1.0) ** band * np.pi / 4
    prototype = prototype_filter(taps, cutoff, beta)
    return 2.0 * prototype[:, None] * np.cos(angle + phase)


@keras.saving.register_keras_serializable("keras_audiogan")
class PQMF(keras.layers.Layer):
    """Splits sound into bands at a fraction of the rate, and joins them.

    Nguyen, "Near-Perfect-Reconstruction Pseudo-QMF Banks", IEEE Transactions
    on Signal Processing 1994; the defaults are tuned for four bands and those
    of multi-band MelGAN (arXiv:2005.05106). Both directions are one
    convolution at the bands' own rate, in polyphase form, computed in
    float32. Calling the layer is `synthesis`; it has no weights.

    Args:
        num_bands: Number of bands.
        taps: Length of the filters less one, even.
        cutoff: Edge of the prototype's pass band as a fraction of half the
            rate. Eight bands want about half of the default.
        beta: Of the prototype's Kaiser window.

    Raises:
        ValueError: If an argument is out of range.

    Input shape: `(batch, time // num_bands, num_bands)`.
    Output shape: `(batch, time, 1)`.
    """

    def __init__(
        self,
        num_bands: int = 4,
        taps: int = 62,
        cutoff: float = 0.142,
        beta: float = 9.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.built = True
        if num_bands < 1:
            raise ValueError(
                f"`num_bands` must be positive. Received: {num_bands}"
            )
        self.num_bands = num_bands
        self.taps = taps
        self.cutoff = cutoff
        self.beta = beta
        design = (num_bands, taps, cutoff, beta)
        self.analysis_kernel = band_filters(*design, sign=1)[:, None, :].astype(
            "float32"
        )
        self.synthesis_kernel, self._before, self._after = _polyphase(
            num_bands * band_filters(*design, sign=-1), num_bands
        )

    def analysis(self, audio: Any) -> Any:
        """Splits sound `(batch, time, 1)` into bands, lowest first."""
        left = self.taps // 2
        # As many steps as there are whole ones in the sound.
        right = left - (self.num_bands - 1)
        audio = ops.cast(audio, "float32")
        if right < 0:
            audio, right = audio[:, :right], 0
        audio = ops.pad(audio, [[0, 0], [left, right], [0, 0]])
        kernel = ops.convert_to_tensor(self.analysis_kernel)
        return ops.conv(
            audio,
            kernel,
            strides=self.num_bands,
            padding="valid",
            data_format="channels_last",
        )

    def synthesis(self, bands: Any) -> Any:
        """Joins bands; the inverse of `analysis` but for about -60 dB."""
        bands = ops.cast(bands, "float32")
        bands = ops.pad(bands, [[0, 0], [self._before, self._after], [0, 0]])
        kernel = ops.convert_to_tensor(self.synthesis_kernel)
        phases = ops.conv(
            bands, kernel, padding="valid", data_format="channels_last"
        )
        time = ops.shape(phases)[1]
        return ops.reshape(phases, (-1, time * self.num_bands, 1))

    def call(self, bands: Any) -> Any:
        """Returns `synthesis(bands)`."""
        return self.synthesis(bands)

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """Returns `(batch, time, 1)`."""
        time = input_shape[1]
        return (
            input_shape[0],
            None if time is None else time * self.num_bands,
            1,
        )


def _polyphase(
    filters: np.ndarray, num_bands: int
) -> tuple[np.ndarray, int, int]:
    """Turns filters over zero-stuffed bands into filters over the bands.

    Sample `num_bands * m + phase` of the output sees band sample `m + j`
    through coefficient `num_bands * j - phase + taps / 2`.

    Returns:
        Kernel `(j, num_bands, phase)`, and how many `j` are below and above 0.
    """
    taps = len(filters) - 1
    half = taps // 2
    before = half // num_bands
    after = (half + num_bands - 1) // num_bands
    kernel = np.zeros((before + after + 1, num_bands, num_bands))
    for phase in range(num_bands):
        for shift in range(-before, after + 1):
            place = num_bands * shift - phase + half
            if 0 <= place <= taps:
                kernel[shift + before, :, phase] = filters[place]
    return kernel.astype("float32"), before, after
