"""The short low-pass filter of alias-free activations."""

import functools
import math

import numpy as np

#: Taps of `half_band`.
NUM_TAPS = 12
_RATIO = 2
# Width of the transition, in parts of the rate.
_TRANSITION = 4 * 0.6 / _RATIO


@functools.cache
def half_band() -> np.ndarray:
    """Returns a filter that passes the lower half of the spectrum.

    A sinc under Kaiser's window, for changes of the rate by 2, as Karras et
    al. (arXiv:2106.12423) and BigVGAN (arXiv:2206.04658) have it.

    Returns:
        float64 array `(12,)`, symmetric, of sum 1.
    """
    half = NUM_TAPS // 2
    # Kaiser's rules: what so many taps keep out, in dB, and the window's
    # shape for that.
    attenuation = 2.285 * (half - 1) * math.pi * _TRANSITION + 7.95
    shape = 0.1102 * (attenuation - 8.7)
    places = np.arange(NUM_TAPS) - half + 0.5
    taps = np.kaiser(NUM_TAPS, shape) * np.sinc(places / _RATIO)
    return taps / taps.sum()
