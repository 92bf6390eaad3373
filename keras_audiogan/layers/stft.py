"""Short-time spectra that gradients pass through, on every backend.

Frames are cut out under the window only and transformed by the backend's own
real FFT of any length. On a CPU under TensorFlow that is two to four times
faster, forward and backward, than a product with windowed sines and cosines,
and as fast for lengths that are no powers of two.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_audiogan.audio.transforms import frame, rfft
from keras_audiogan.audio.windows import get_window, margin

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
    real, imaginary = rfft(frames, fft_length)
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
