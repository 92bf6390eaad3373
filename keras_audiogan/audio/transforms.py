"""Frames, their Fourier transforms, and sound from frames again.

Each function works on NumPy arrays in NumPy and on tensors in `keras.ops`,
where gradients pass through it, so that metrics need no Keras and models no
second implementation. Rows are sounds: `(rows, time)`.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import numpy as np

_AS_PRODUCTS = contextvars.ContextVar("_AS_PRODUCTS", default=False)


@contextlib.contextmanager
def as_products() -> Iterator[None]:
    """Makes Fourier transforms of tensors matrix products inside.

    They are the same but for rounding, and slower. Graphs that are made for
    other programs hold them, since these have matrix products, and of
    transforms few, none, or such as take powers of two alone.
    """
    token = _AS_PRODUCTS.set(True)
    try:
        yield
    finally:
        _AS_PRODUCTS.reset(token)


def are_products() -> bool:
    """Returns whether it is within `as_products`, in graphs for others."""
    return _AS_PRODUCTS.get()


def fourier_matrix(fft_length: int) -> np.ndarray:
    """Returns what frames are multiplied by in place of `rfft`.

    float32 `(fft_length, 2 * bins)`: cosines, which give the real parts of
    the `fft_length // 2 + 1` bins, beside negative sines, which give the
    imaginary ones.
    """
    turns = np.outer(np.arange(fft_length), np.arange(fft_length // 2 + 1))
    # Whole turns left out while the numbers are whole.
    angles = 2.0 * np.pi * (turns % fft_length) / fft_length
    matrix = np.concatenate([np.cos(angles), -np.sin(angles)], axis=1)
    return matrix.astype("float32")


def inverse_fourier_matrix(fft_length: int) -> np.ndarray:
    """Returns what parts side by side are multiplied by, as for `irfft`.

    float32 `(2 * bins, fft_length)`.
    """
    bins = fft_length // 2 + 1
    weights = np.full(bins, 2.0 / fft_length)
    weights[0] /= 2.0
    if fft_length % 2 == 0:
        weights[-1] /= 2.0
    matrix = fourier_matrix(fft_length).T * np.tile(weights, 2)[:, None]
    return matrix.astype("float32")


def namespace(array: Any) -> Any:
    """Returns `numpy` for NumPy's arrays and `keras.ops` for all others."""
    if isinstance(array, np.ndarray):
        return np
    from keras import ops

    return ops


def constant(values: np.ndarray, beside: Any) -> Any:
    """Returns `values` as what `beside` is: NumPy's array or a tensor."""
    if isinstance(beside, np.ndarray):
        return values
    from keras import ops

    return ops.convert_to_tensor(values)


def frame(audio: Any, frame_length: int, frame_step: int) -> Any:
    """Cuts `(rows, time)` into overlapping frames, full ones only.

    The time may be unknown in a TensorFlow graph.

    Returns:
        `(rows, 1 + (time - frame_length) // frame_step, frame_length)`.
    """
    if isinstance(audio, np.ndarray):
        windows = np.lib.stride_tricks.sliding_window_view(
            audio, frame_length, axis=-1
        )
        return windows[:, ::frame_step]
    import keras
    from keras import ops

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


def overlap_add(frames: Any, frame_step: int) -> Any:
    """Adds frames up where they lie over each other.

    `(rows, frames, frame_length)` become
    `(rows, (frames - 1) * frame_step + frame_length)`; the number of frames
    may be unknown in a TensorFlow graph.
    """
    xp = namespace(frames)
    count, length = xp.shape(frames)[-2:]
    parts = -(-length // frame_step)
    rest = parts * frame_step - length
    frames = xp.pad(frames, [[0, 0], [0, 0], [0, rest]])
    total = sum(
        xp.pad(
            frames[:, :, part * frame_step : (part + 1) * frame_step],
            [[0, 0], [part, parts - 1 - part], [0, 0]],
        )
        for part in range(parts)
    )
    total = xp.reshape(total, (-1, (count + parts - 1) * frame_step))
    return total[:, : (count - 1) * frame_step + length]


def rfft(frames: Any, fft_length: int) -> tuple[Any, Any]:
    """Returns real and imaginary part of the transforms of the last axis.

    Both are `(..., fft_length // 2 + 1)`; zeros fill up shorter frames.
    """
    if isinstance(frames, np.ndarray):
        spectrum = np.fft.rfft(frames, fft_length)
        return spectrum.real, spectrum.imag
    from keras import ops

    if _AS_PRODUCTS.get():
        frames = frames[..., :fft_length]
        matrix = fourier_matrix(fft_length)[: frames.shape[-1]]
        both = ops.matmul(frames, ops.convert_to_tensor(matrix))
        bins = fft_length // 2 + 1
        return both[..., :bins], both[..., bins:]
    return ops.rfft(frames, fft_length)


def irfft(real: Any, imaginary: Any, fft_length: int) -> Any:
    """Returns the frames `(..., fft_length)` of the inverse of `rfft`."""
    if isinstance(real, np.ndarray):
        spectrum = real + np.complex64(1j) * imaginary
        return np.fft.irfft(spectrum, fft_length).astype(real.dtype)
    from keras import ops

    if _AS_PRODUCTS.get():
        both = ops.concatenate([real, imaginary], axis=-1)
        matrix = inverse_fourier_matrix(fft_length)
        return ops.matmul(both, ops.convert_to_tensor(matrix))
    return ops.irfft((real, imaginary), fft_length)


def overlap_weight(
    window: np.ndarray, num_frames: int, frame_step: int, floor: float = 0.0
) -> np.ndarray:
    """Returns what squared windows add up to, sample by sample.

    Frames that are windowed twice, before and after the transform, add up to
    the sound times this (Griffin and Lim, "Signal Estimation from Modified
    Short-Time Fourier Transform", IEEE TASSP 1984).

    Args:
        window: `(fft_length,)`.
        num_frames: Number of frames.
        frame_step: Samples from one frame to the next.
        floor: Least weight. Where the first or the last window is near zero,
            dividing by less would blow up what is not exact.

    Returns:
        float32 array `((num_frames - 1) * frame_step + fft_length,)`.
    """
    squares = np.broadcast_to(window**2, (1, num_frames, len(window)))
    weight = overlap_add(np.asarray(squares, np.float32), frame_step)[0]
    return np.maximum(weight, np.float32(floor))


def inverse_stft(
    real: Any,
    imaginary: Any,
    window: np.ndarray,
    frame_step: int,
    weight: np.ndarray,
) -> Any:
    """Turns spectra into sound: the nearest one in the least-squares sense.

    The parts are `(rows, frames, fft_length // 2 + 1)`, the window that of the
    analysis. The weight divides the sum of the frames; see `overlap_weight`.

    Returns:
        `(rows, (frames - 1) * frame_step + fft_length)`.
    """
    frames = irfft(real, imaginary, len(window))
    sound = overlap_add(frames * constant(window, frames), frame_step)
    return sound / constant(weight, sound)
