"""Sound from magnitudes without a network: Griffin-Lim, fast and plain.

Everything takes NumPy arrays and gives NumPy arrays, or takes tensors and
gives tensors, in a graph too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from keras_audiogan.audio.margins import margin
from keras_audiogan.audio.mel_front_end import LOG_BASES
from keras_audiogan.audio.transforms import (
    constant,
    frame,
    inverse_stft,
    namespace,
    overlap_weight_of,
    rfft,
)
from keras_audiogan.audio.windows import centered_window

_TINY = 1e-10
# Below this power a bin has no phase.
_SMALLEST_POWER = 1e-32


def invert_magnitudes(
    magnitudes: Any,
    window: np.ndarray,
    frame_step: int,
    num_iterations: int = 32,
    momentum: float = 0.0,
    angles: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> Any:
    """Turns magnitudes into sound: Griffin-Lim, of a whole batch at once.

    Phases are those of the nearest sound in each iteration (Griffin and Lim,
    "Signal Estimation from Modified Short-Time Fourier Transform", IEEE TASSP
    1984), with the momentum of Perraudin, Balazs and Sondergaard, "A Fast
    Griffin-Lim Algorithm", WASPAA 2013.

    Args:
        magnitudes: float32 `(..., frames, fft_length // 2 + 1)`, the number
            of frames known.
        window: Of the frames, float32 `(fft_length,)`; see
            `keras_audiogan.audio.windows.centered_window`.
        frame_step: Samples from one frame to the next.
        num_iterations: How often phases are corrected.
        momentum: From 0 (Griffin-Lim) to below 1; 0.99 is recommended.
        angles: The first phases in radians, of a shape that broadcasts;
            zeros by default.
        weight: Divides the overlapping frames; by default `overlap_weight`
            of at least 1e-3.

    Returns:
        float32 `(..., (frames - 1) * frame_step + fft_length)`: from the
        first sample of the first frame to the last one of the last.

    Raises:
        ValueError: If an argument is out of range.
    """
    _check_iterations(num_iterations, momentum)
    xp = namespace(magnitudes)
    fft_length = len(window)
    leading, (count, bins) = magnitudes.shape[:-2], magnitudes.shape[-2:]
    if bins != fft_length // 2 + 1:
        raise ValueError(
            f"A window of {fft_length} samples has {fft_length // 2 + 1} bins. "
            f"Received: magnitudes of shape {tuple(magnitudes.shape)}"
        )
    magnitudes = xp.reshape(magnitudes, (-1, count, bins))
    if angles is None:
        real, imaginary = magnitudes, xp.zeros_like(magnitudes)
    else:
        cosine, sine = (f(angles).astype("float32") for f in (np.cos, np.sin))
        real = magnitudes * constant(cosine, magnitudes)
        imaginary = magnitudes * constant(sine, magnitudes)
    sound = _iterate(
        magnitudes,
        (real, imaginary),
        window,
        frame_step,
        num_iterations,
        momentum,
        weight,
    )
    unknown = [-1 if size is None else size for size in leading]
    return xp.reshape(sound, (*unknown, sound.shape[-1]))


def _check_iterations(
    num_iterations: int, momentum: float, least: int = 0
) -> None:
    if num_iterations < least or not 0.0 <= momentum < 1.0:
        raise ValueError(
            f"Expected `num_iterations` of {least} or more and 0 <= momentum "
            f"< 1. Received: num_iterations={num_iterations}, "
            f"momentum={momentum}"
        )


def _iterate(
    magnitudes: Any,
    spectra: tuple[Any, Any],
    window: np.ndarray,
    frame_step: int,
    num_iterations: int,
    momentum: float,
    weight: Any = None,
) -> Any:
    """Returns sound `(rows, time)`; see `invert_magnitudes`.

    Args:
        magnitudes: `(rows, frames, bins)`.
        spectra: Real and imaginary parts to begin with, of the same shape.
        window: As `frame_step`, `num_iterations` and `momentum` those of
            `invert_magnitudes`.
        weight: The same.
    """
    xp = namespace(magnitudes)
    fft_length = len(window)
    taper = constant(window, magnitudes)
    shape = (-1, xp.shape(magnitudes)[1], fft_length // 2 + 1)

    if weight is None:
        weight = overlap_weight_of(magnitudes, window, frame_step, floor=1e-3)

    def rebuild(real: Any, imaginary: Any) -> tuple[Any, Any]:
        """Returns the spectra of the nearest sound."""
        sound = inverse_stft(real, imaginary, window, frame_step, weight)
        parts = rfft(frame(sound, fft_length, frame_step) * taper, fft_length)
        return xp.reshape(parts[0], shape), xp.reshape(parts[1], shape)

    def scaled(real: Any, imaginary: Any) -> tuple[Any, Any]:
        """Returns spectra of these phases and the given magnitudes."""
        power = xp.square(real) + xp.square(imaginary)
        gain = magnitudes / xp.sqrt(xp.maximum(power, _SMALLEST_POWER))
        return real * gain, imaginary * gain

    def plain(_: Any, spectra: Any) -> Any:
        return scaled(*rebuild(*spectra))

    def fast(_: Any, state: Any) -> Any:
        rebuilt = rebuild(*state[:2])
        ahead = [
            now + momentum * (now - before)
            for now, before in zip(rebuilt, state[2:], strict=True)
        ]
        return *scaled(*ahead), *rebuilt

    if momentum and num_iterations:
        rebuilt = rebuild(*spectra)
        state = *scaled(*rebuilt), *rebuilt
        spectra = _repeat(xp, num_iterations - 1, fast, state)[:2]
    else:
        spectra = _repeat(xp, num_iterations, plain, spectra)
    return inverse_stft(*spectra, window, frame_step, weight)


def _repeat(xp: Any, count: int, body: Any, state: Any) -> Any:
    """Returns `body(i, state)` again and again: a graph holds it once."""
    if xp is not np:
        return xp.fori_loop(0, count, body, state)
    for index in range(count):
        state = body(index, state)
    return state


def linear_magnitudes(
    mel: Any, mel_features: Any, num_iterations: int = 100
) -> Any:
    """Finds magnitudes that have a given log-mel spectrogram.

    Undoes normalisation and logarithm, and solves for non-negative
    magnitudes in the least-squares sense: the pseudo-inverse of the filters,
    made positive, then multiplicative updates (Lee and Seung, "Algorithms
    for Non-negative Matrix Factorization", NIPS 2000).

    Args:
        mel: `(..., frames, num_mel_bins)` as `mel_features` makes it.
        mel_features: The front end that made it.
        num_iterations: Updates.

    Returns:
        float32 `(..., frames, fft_length // 2 + 1)`.

    Raises:
        ValueError: If `mel` has another shape.
    """
    xp = namespace(mel)
    if len(mel.shape) < 2 or mel.shape[-1] != mel_features.num_mel_bins:
        raise ValueError(
            "`mel` must be (..., frames, num_mel_bins) with the front end's "
            f"{mel_features.num_mel_bins} bins. Received: shape {mel.shape}"
        )
    wanted = _mel_magnitudes(mel, mel_features)
    filters, across, inverse = (
        constant(matrix, mel)
        for matrix in (
            mel_features.filters,
            np.ascontiguousarray(mel_features.filters.T),
            np.linalg.pinv(mel_features.filters),
        )
    )
    linear = xp.maximum(xp.matmul(wanted, inverse), _TINY)
    target = xp.matmul(wanted, across)
    for _ in range(num_iterations):
        reached = xp.matmul(xp.matmul(linear, filters), across)
        linear = linear * (target / xp.maximum(reached, _TINY))
    return xp.power(linear, np.float32(1.0 / mel_features.power))


def _mel_magnitudes(mel: Any, mel_features: Any) -> Any:
    """Undoes normalisation and logarithm."""
    if isinstance(mel, np.ndarray):
        mel = np.asarray(mel, "float32")
    if mel_features.scale is not None:
        mel = mel * constant(np.asarray(mel_features.scale, "float32"), mel)
    if mel_features.mean is not None:
        mel = mel + constant(np.asarray(mel_features.mean, "float32"), mel)
    xp = namespace(mel)
    wanted = xp.exp(LOG_BASES[mel_features.log_base] * mel)
    if mel_features.add_floor:
        wanted = xp.maximum(wanted - mel_features.floor, _TINY)
    return wanted


def fit_to_mel(
    sound: Any,
    mel: Any,
    mel_features: Any,
    num_iterations: int = 16,
    momentum: float = 0.99,
    magnitude_iterations: int = 10,
) -> Any:
    """Changes sound so that its mel spectrogram becomes the given one.

    What a vocoder makes differs from the mels that it was given, in magnitude
    and, where its frames do not agree with each other, in phase. Magnitudes
    of the sound are multiplied, bin by bin, by how much louder the mel bands
    that hold them ought to be (updates of Lee and Seung for the generalised
    Kullback-Leibler divergence, "Algorithms for Non-negative Matrix
    Factorization", NIPS 2000); bins of no band stay as they are. Then phases
    are corrected by the fast Griffin-Lim algorithm, from the sound's own.

    Args:
        sound: float32 `(rows, frames * frame_step)`.
        mel: `(rows, frames, num_mel_bins)`, as `mel_features` makes it.
        mel_features: The front end that made it.
        num_iterations: How often phases are corrected.
        momentum: From 0 to below 1.
        magnitude_iterations: Updates of the magnitudes.

    Returns:
        float32, of the shape of `sound`.

    Raises:
        ValueError: If the sound is not one step for each frame of the mels,
            or an argument is out of range.
    """
    xp = namespace(sound)
    fft_length = mel_features.fft_length
    step = mel_features.frame_step
    _check_iterations(num_iterations, momentum)
    time, count = sound.shape[-1], mel.shape[-2]
    if None not in (time, count) and time != count * step:
        raise ValueError(
            "Sound and its mels must have equal lengths, "
            f"{step} samples a frame. Received: sound of shape "
            f"{tuple(sound.shape)}, mel of shape {tuple(mel.shape)}"
        )
    window = centered_window(
        mel_features.window, mel_features.window_length, fft_length
    )
    edge = margin(fft_length, step, mel_features.padding)
    if isinstance(mel, np.ndarray):
        mel = constant(mel.astype("float32"), sound)
    # As many frames as the mels have, the first and last over zeros.
    padded = xp.pad(sound, [[0, 0], [edge, fft_length - step - edge]])
    frames = frame(padded, fft_length, step) * constant(window, padded)
    shape = (-1, xp.shape(mel)[1], fft_length // 2 + 1)
    real, imaginary = (
        xp.reshape(part, shape) for part in rfft(frames, fft_length)
    )
    power = xp.square(real) + xp.square(imaginary)
    exponent = mel_features.power / 2.0
    linear = xp.power(xp.maximum(power, _TINY), np.float32(exponent))
    covered = mel_features.filters.sum(axis=1) > 0.0
    # Each bin's column adds up to 1: what its bands say, weighted.
    shares = mel_features.filters / np.maximum(
        mel_features.filters.sum(axis=1, keepdims=True), _TINY
    )
    shares[~covered] = 0.0
    filters, across, others = (
        constant(np.ascontiguousarray(each, dtype="float32"), linear)
        for each in (mel_features.filters, shares.T, ~covered)
    )
    wanted = _mel_magnitudes(mel, mel_features)
    for _ in range(magnitude_iterations):
        reached = xp.maximum(xp.matmul(linear, filters), _TINY)
        linear = linear * (xp.matmul(wanted / reached, across) + others)
    magnitudes = xp.power(linear, np.float32(1.0 / mel_features.power))
    gain = magnitudes / xp.sqrt(xp.maximum(power, _SMALLEST_POWER))
    fitted = _iterate(
        magnitudes,
        (real * gain, imaginary * gain),
        window,
        step,
        num_iterations,
        momentum,
    )
    return fitted[:, edge : edge + xp.shape(sound)[1]]


def griffin_lim(
    mel: Any,
    mel_features: Any,
    num_iterations: int = 32,
    momentum: float = 0.99,
    seed: int = 0,
    magnitude_iterations: int = 100,
) -> Any:
    """Turns log-mel spectrograms into sound: the vocoders' floor.

    `invert_magnitudes` of `linear_magnitudes`, from random phases, the same
    ones for every example of a batch.

    Args:
        mel: `(..., frames, num_mel_bins)` as `mel_features` makes it.
        mel_features: The front end that made it.
        num_iterations: How often phases are corrected.
        momentum: From 0 to below 1.
        seed: Of the first phases.
        magnitude_iterations: Updates of `linear_magnitudes`; 0 leaves the
            pseudo-inverse, as many implementations have it.

    Returns:
        float32 `(..., time)` with `frames * frame_step` samples under
        `padding="same"` and one step less under `"center"`, within [-1, 1].

    Raises:
        ValueError: As `linear_magnitudes`, or if there is less than a step
            of sound, or an argument is out of range.
    """
    _check_iterations(num_iterations, momentum, least=1)
    magnitudes = linear_magnitudes(mel, mel_features, magnitude_iterations)
    count, bins = magnitudes.shape[-2:]
    fft_length = mel_features.fft_length
    step = mel_features.frame_step
    edge = margin(fft_length, step, mel_features.padding)
    wanted = (count - 1) * step + fft_length - 2 * edge
    if wanted < 1:
        raise ValueError(
            "The spectrogram must hold at least one step of sound. "
            f"Received: {count} frame(s)"
        )
    random = np.random.default_rng(seed)
    sound = invert_magnitudes(
        magnitudes,
        centered_window(
            mel_features.window, mel_features.window_length, fft_length
        ),
        step,
        num_iterations,
        momentum,
        angles=random.uniform(0.0, 2.0 * math.pi, (count, bins)),
    )
    sound = sound[..., edge : edge + wanted]
    return namespace(sound).clip(sound, -1.0, 1.0)
