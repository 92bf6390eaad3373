"""Short-time spectra that gradients pass through, on every backend.

Frames are cut out under the window only and transformed by the backend's own
real FFT of any length. On a CPU under TensorFlow that is two to four times
faster, forward and backward, than a product with windowed sines and cosines,
and as fast for lengths that are no powers of two.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

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

PADDINGS = ("center", "same")

# Silence has no phase: below this power the gradient of the root is zero
# instead of infinite.
_SMALLEST_POWER = 1e-30


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


def frame(audio: Any, frame_length: int, frame_step: int) -> Any:
    """Cuts overlapping frames, full ones only.

    Args:
        audio: Tensor `(batch, time)`; `time` may be unknown in a
            TensorFlow graph.
        frame_length: Samples in a frame.
        frame_step: Samples from one frame's start to the next.

    Returns:
        Tensor `(batch, 1 + (time - frame_length) // frame_step,
        frame_length)`.
    """
    if keras.backend.backend() != "jax":
        return ops.extract_sequences(audio, frame_length, frame_step)
    # There the operation is a convolution with an identity, whose cost grows
    # with the square of the frame; rows of one step each are only copied.
    time = audio.shape[1]
    frames = 1 + (time - frame_length) // frame_step
    parts = -(-frame_length // frame_step)
    needed = (frames + parts - 1) * frame_step
    audio = ops.pad(audio, [[0, 0], [0, max(0, needed - time)]])[:, :needed]
    rows = ops.reshape(audio, (-1, frames + parts - 1, frame_step))
    shifted = [rows[:, part : part + frames] for part in range(parts)]
    return ops.concatenate(shifted, axis=-1)[:, :, :frame_length]


def margin(fft_length: int, frame_step: int, padding: str) -> int:
    """Returns how many samples are mirrored on either side of the sound.

    Args:
        fft_length: Samples in a transform.
        frame_step: Samples from one frame to the next.
        padding: See `stft_power`.

    Raises:
        ValueError: If `padding` is unknown.
    """
    if padding == "center":
        return fft_length // 2
    if padding == "same":
        # Rounded towards zero, as the vocoders' `int((n_fft - hop) / 2)`.
        return int((fft_length - frame_step) / 2)
    raise ValueError(
        f"`padding` must be one of {PADDINGS}. Received: padding={padding!r}"
    )


def stft_power(
    audio: Any,
    fft_length: int = 1024,
    frame_step: int = 256,
    window_length: int | None = None,
    window: str | None = "hann",
    padding: str = "center",
) -> Any:
    """Squared magnitudes of the short-time Fourier transform, in float32.

    Equal to `torch.stft` and `librosa.stft` squared: the sound is mirrored
    at its ends, and a window shorter than the transform lies in its middle.

    Args:
        audio: Tensor `(batch, time)`, longer than the mirrored margin.
        fft_length: Samples in a transform, even or odd.
        frame_step: Samples from one frame to the next.
        window_length: Samples under the window. Defaults to `fft_length`.
        window: See `get_window`.
        padding: `"center"` mirrors half a transform on either side
            (`1 + time // frame_step` frames for an even length), `"same"`
            `(fft_length - frame_step) / 2` samples (`time // frame_step`
            frames), as HiFi-GAN and MelGAN do.

    Returns:
        Tensor `(batch, frames, fft_length // 2 + 1)`.

    Raises:
        ValueError: If a size is out of range, an option unknown or the
            sound, where its length is known, too short.
    """
    length = fft_length if window_length is None else window_length
    if not 1 <= length <= fft_length or frame_step < 1:
        raise ValueError(
            "Expected 1 <= window_length <= fft_length and a frame_step of "
            f"at least 1. Received: window_length={length}, "
            f"fft_length={fft_length}, frame_step={frame_step}"
        )
    edge = margin(fft_length, frame_step, padding)
    # What lies outside the window is multiplied by zero: leaving it out
    # turns phases only.
    left = edge - (fft_length - length) // 2
    right = 2 * edge - fft_length + length - left
    time = audio.shape[1]
    if time is not None and (
        time <= max(left, right) or time + left + right < length
    ):
        raise ValueError(
            f"The sound must be longer than {max(left, right, 1)} samples to "
            f"be mirrored and fill a window of {length}. Received: {time} "
            "samples; pad the sound or use a shorter window"
        )
    audio = ops.cast(audio, "float32")
    audio = audio[:, max(0, -left) : time if right >= 0 else right]
    if left > 0 or right > 0:
        sides = [[0, 0], [max(0, left), max(0, right)]]
        audio = ops.pad(audio, sides, mode="reflect")
    taper = ops.convert_to_tensor(get_window(window, length).astype("float32"))
    frames = frame(audio, length, frame_step) * taper
    real, imaginary = ops.rfft(frames, fft_length)
    return ops.square(real) + ops.square(imaginary)


def stft_magnitude(
    audio: Any,
    fft_length: int = 1024,
    frame_step: int = 256,
    window_length: int | None = None,
    window: str | None = "hann",
    padding: str = "center",
    epsilon: float = 1e-7,
) -> Any:
    """Magnitudes of the short-time Fourier transform, in float32.

    Args:
        audio: Tensor `(batch, time)`.
        fft_length: See `stft_power`, as the following.
        frame_step: Samples from one frame to the next.
        window_length: Samples under the window.
        window: Name of the window.
        padding: `"center"` or `"same"`.
        epsilon: Power below which no magnitude falls: 1e-7 is Parallel
            WaveGAN's.

    Returns:
        Tensor `(batch, frames, fft_length // 2 + 1)`.

    Raises:
        ValueError: As `stft_power`.
    """
    power = stft_power(
        audio, fft_length, frame_step, window_length, window, padding
    )
    return root(power, epsilon)


def root(power: Any, epsilon: float = 0.0) -> Any:
    """Square root of `power` raised to at least `epsilon`.

    Where the power is smaller its gradient is zero, at silence too.

    Args:
        power: Tensor of squared magnitudes.
        epsilon: Smallest power; zero stands for 1e-30.
    """
    return ops.sqrt(ops.maximum(power, max(epsilon, _SMALLEST_POWER)))
