"""Short low-pass filters: of alias-free activations, and of upsampling."""

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


#: Samples at the lower rate before and after one that `phases` reads.
REACH = 6
# Asked of Kaiser's rules, in dB, for 40 dB at the stop-band's very edge.
_ATTENUATION = 43.0


@functools.cache
def phases(ratio: int) -> np.ndarray:
    """Returns the phases of a low-pass filter that multiplies the rate.

    A sinc under Kaiser's window whose stop-band begins at half the lower
    rate: content up to 0.3 of the lower rate passes, and its images, from
    half of it on, are 40 dB lower or more. Every phase has the sum 1, so a
    constant stays one, without a trace of the lower rate.

    Args:
        ratio: Samples at the higher rate for each at the lower, 2 or more.

    Returns:
        float64 array `(13, ratio)`: sample `ratio * i + r` is the sum of the
        13 samples around sample i, weighted by column r.
    """
    # Kaiser's rules, with times in samples of the lower rate.
    transition = (_ATTENUATION - 7.95) / (2.285 * 4 * math.pi * REACH)
    above = _ATTENUATION - 21
    shape = 0.5842 * above**0.4 + 0.07886 * above
    cutoff = 0.5 - transition / 2
    places = np.arange(-REACH, REACH + 1)[:, None]
    times = (np.arange(ratio) + 0.5) / ratio - 0.5 - places
    inside = np.sqrt(np.maximum(0.0, 1 - (times / REACH) ** 2))
    taps = np.sinc(2 * cutoff * times) * np.i0(shape * inside)
    taps[np.abs(times) >= REACH] = 0.0
    return taps / taps.sum(axis=0)
