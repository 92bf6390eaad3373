"""Short-time spectra that gradients pass through, on every backend.

Frames are cut out under the window only and transformed by the backend's own
real FFT of any length. On a CPU under TensorFlow that is two to four times
faster, forward and backward, than a product with windowed sines and cosines,
and as fast for lengths that are no powers of two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_audiogan.audio.margins import margin
from keras_audiogan.audio.spectra import spectrogram
from keras_audiogan.audio.transforms import constant, frame, rfft
from keras_audiogan.audio.windows import get_window

# Silence has no phase: below this power the gradient of the root is zero
# instead of infinite.
_SMALLEST_POWER = 1e-30


def stft_power(
    audio: Any,
    fft_length: int = 1024,
    frame_step: int = 256,
    window_length: int | None = None,
    window: str | None = "hann",
    padding: str = "center",
) -> Any:
    """Squared magnitudes of the short-time Fourier transform, in float32.

    Args:
        audio: Tensor `(batch, time)`, longer than the mirrored margin.
        fft_length: Samples in a transform; see
            `keras_audiogan.audio.spectrogram`, as the following.
        frame_step: Samples from one frame to the next.
        window_length: Samples under the window. Defaults to `fft_length`.
        window: Its name.
        padding: How the sound is continued at its ends.

    Returns:
        Tensor `(batch, frames, fft_length // 2 + 1)`.

    Raises:
        ValueError: As `spectrogram`.
    """
    return spectrogram(
        ops.cast(audio, "float32"),
        fft_length,
        frame_step,
        window_length=window_length,
        window=window,
        padding=padding,
        power=2.0,
    )


def stft_magnitude(
    audio: Any,
    fft_length: int = 1024,
    frame_step: int = 256,
    window_length: int | None = None,
    window: str | None = "hann",
    padding: str = "center",
    epsilon: float = 1e-7,
) -> Any:
    """Roots of `stft_power`, which is raised to at least `epsilon` before.

    1e-7 is Parallel WaveGAN's. All else is as for `stft_power`.
    """
    power = stft_power(
        audio, fft_length, frame_step, window_length, window, padding
    )
    return root(power, epsilon)


def stft(
    audio: Any, fft_length: int, frame_step: int, padding: str = "center"
) -> tuple[Any, Any]:
    """Short-time Fourier transform under a Hann window, in float32.

    Args:
        audio: Tensor `(batch, time)`, longer than the mirrored margin.
        fft_length: Samples in a transform, and under the window.
        frame_step: Samples from one frame to the next.
        padding: `"center"`, `"same"` (both mirrored) or `"middle"` (zeros),
            see `keras_audiogan.audio.spectrogram`.

    Returns:
        Real and imaginary parts, `(batch, frames, fft_length // 2 + 1)`.

    Raises:
        ValueError: If the sound is too short to be mirrored.
    """
    edge, time = margin(fft_length, frame_step, padding), audio.shape[1]
    if padding != "middle" and time is not None and time <= edge:
        raise ValueError(
            f"The sound must be longer than {edge} samples to be mirrored. "
            f"Received: {time} samples; use a shorter transform"
        )
    mode = "constant" if padding == "middle" else "reflect"
    audio = ops.pad(ops.cast(audio, "float32"), [[0, 0], [edge, edge]], mode)
    taper = get_window("hann", fft_length).astype(np.float32)
    frames = frame(audio, fft_length, frame_step) * constant(taper, audio)
    return rfft(frames, fft_length)


def root(power: Any, epsilon: float = 0.0) -> Any:
    """Square root of `power` raised to at least `epsilon`.

    Where the power is smaller its gradient is zero, at silence too: an
    `epsilon` of zero stands for 1e-30.
    """
    return ops.sqrt(ops.maximum(power, max(epsilon, _SMALLEST_POWER)))
