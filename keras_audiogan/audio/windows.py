"""Windows of short-time spectra, and how frames lie over the sound."""

import numpy as np

# Cosine series of the symmetric windows, sign alternating: SciPy's and
# PyTorch's coefficients.
_COSINE_SERIES = {
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "boxcar": (1.0,),
}
WINDOWS = (*_COSINE_SERIES, "bartlett")


def get_window(window: str | None, length: int) -> np.ndarray:
    """Returns a periodic window, as SciPy's `get_window` and PyTorch have it.

    Args:
        window: One of `WINDOWS`, also in PyTorch's spelling
            (`"hann_window"`); `None` is `"boxcar"`, no window.
        length: In samples.

    Returns:
        float64 array `(length,)`.

    Raises:
        ValueError: If the window is unknown or `length` below 1.
    """
    name = "boxcar" if window is None else window.removesuffix("_window")
    if name not in WINDOWS or length < 1:
        raise ValueError(
            f"`window` must be one of {', '.join(WINDOWS)} and have at least "
            f"one sample. Received: window={window!r}, length={length}"
        )
    phase = np.arange(length) / length
    if name == "bartlett":
        return 1.0 - np.abs(2.0 * phase - 1.0) if length > 1 else np.ones(1)
    terms = [
        (-1.0) ** k * weight * np.cos(2.0 * np.pi * k * phase)
        for k, weight in enumerate(_COSINE_SERIES[name])
    ]
    return np.sum(terms, axis=0) if length > 1 else np.ones(1)


def centered_window(
    window: str | None, window_length: int | None, fft_length: int
) -> np.ndarray:
    """Returns `get_window`, of `fft_length` by default, within zeros.

    It lies in the middle of float32 `(fft_length,)`.

    Raises:
        ValueError: As `get_window`, or if the window is longer than the frame.
    """
    length = fft_length if window_length is None else window_length
    if not 0 < length <= fft_length:
        raise ValueError(
            "`window_length` must lie between 1 and `fft_length`. "
            f"Received: window_length={length}, fft_length={fft_length}"
        )
    left = (fft_length - length) // 2
    taper = np.zeros(fft_length, np.float32)
    taper[left : left + length] = get_window(window, length)
    return taper
