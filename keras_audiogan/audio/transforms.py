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


def fourier_matrices(fft_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns what the halves of frames are multiplied by for `rfft`.

    Cosines are the same at `n` and `fft_length - n`, and sines differ in
    sign alone: sums of such pairs of samples give the real parts, and their
    differences the imaginary ones, by half as many products.

    Returns:
        float32 `(fft_length // 2 + 1, bins)`, of the first sample, the sums
        of pairs and, where the length is even, the middle one; and
        `((fft_length - 1) // 2, bins)`, of differences.
    """
    half = np.arange(fft_length // 2 + 1)
    # Whole turns left out while the numbers are whole.
    turns = np.outer(half, half) % fft_length
    angles = 2.0 * np.pi * turns / fft_length
    pairs = slice(1, (fft_length - 1) // 2 + 1)
    real, imaginary = np.cos(angles), -np.sin(angles)[pairs]
    return real.astype("float32"), imaginary.astype("float32")


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
        missing = fft_length - frames.shape[-1]
        if missing:
            around = [[0, 0]] * (len(frames.shape) - 1)
            frames = ops.pad(frames, [*around, [0, missing]])
        pairs, half = (fft_length - 1) // 2, fft_length // 2
        front = frames[..., 1 : pairs + 1]
        back = frames[..., :half:-1]
        sums = [frames[..., :1], front + back]
        if fft_length % 2 == 0:
            sums.append(frames[..., half : half + 1])
        cosines, sines = map(
            ops.convert_to_tensor, fourier_matrices(fft_length)
        )
        return (
            ops.matmul(ops.concatenate(sums, axis=-1), cosines),
            ops.matmul(front - back, sines),
        )
    return ops.rfft(frames, fft_length)


def irfft(real: Any, imaginary: Any, fft_length: int) -> Any:
    """Returns the frames `(..., fft_length)` of the inverse of `rfft`."""
    if isinstance(real, np.ndarray):
        spectrum = real + np.complex64(1j) * imaginary
        return np.fft.irfft(spectrum, fft_length).astype(real.dtype)
    from keras import ops

    if _AS_PRODUCTS.get():
        pairs, half = (fft_length - 1) // 2, fft_length // 2
        weights = np.full((half + 1, 1), 2.0 / fft_length, "float32")
        weights[0] /= 2.0
        if fft_length % 2 == 0:
            weights[-1] /= 2.0
        cosines, sines = (
            ops.convert_to_tensor(weights * matrix.T)
            for matrix in fourier_matrices(fft_length)
        )
        sums = ops.matmul(real, cosines)
        differences = ops.matmul(imaginary, sines)
        middle = sums[..., 1 : pairs + 1]
        return ops.concatenate(
            [
                sums[..., :1],
                middle + differences,
                sums[..., pairs + 1 :],
                (middle - differences)[..., ::-1],
            ],
            axis=-1,
        )
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


def overlap_weight_of(
    frames: Any, window: np.ndarray, frame_step: int, floor: float = 0.0
) -> Any:
    """Returns the `overlap_weight` of some frames, beside them.

    Args:
        frames: `(rows, frames, ...)`, samples or spectra; also as many as a
            TensorFlow graph does not know yet.
        window: `(fft_length,)`.
        frame_step: Samples from one frame to the next.
        floor: Least weight.

    Returns:
        float32 `((frames - 1) * frame_step + fft_length,)`.
    """
    if frames.shape[1] is not None:
        # Constant in every graph: TensorFlow rounds quotients of constants
        # otherwise, and of a free batch saw none.
        return constant(
            overlap_weight(window, frames.shape[1], frame_step, floor), frames
        )
    from keras import ops

    squares = constant(np.asarray(window**2, "float32"), frames)
    weight = overlap_add(ops.ones_like(frames[:1, :, :1]) * squares, frame_step)
    return ops.maximum(weight[0], floor)


def inverse_stft(
    real: Any,
    imaginary: Any,
    window: np.ndarray,
    frame_step: int,
    weight: Any,
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
