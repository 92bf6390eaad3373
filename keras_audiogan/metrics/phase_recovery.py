"""Sound from a mel spectrogram without a network: the vocoders' floor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from keras_audiogan.layers.mel_features import MelFeatures

_TINY = 1e-10


def linear_magnitudes(
    mel: np.ndarray, mel_features: MelFeatures, num_iterations: int = 100
) -> np.ndarray:
    """Finds magnitudes that have a given log-mel spectrogram.

    Undoes normalisation and logarithm, and solves for non-negative
    magnitudes in the least-squares sense: the pseudo-inverse of the filters,
    made positive, then multiplicative updates (Lee and Seung, "Algorithms
    for Non-negative Matrix Factorization", NIPS 2000).

    Args:
        mel: Array `(frames, num_mel_bins)` as `mel_features` makes it.
        mel_features: The front end that made it.
        num_iterations: Updates.

    Returns:
        float32 array `(frames, fft_length // 2 + 1)`.

    Raises:
        ValueError: If `mel` has another shape.
    """
    mel = np.asarray(mel, "float64")
    if mel.ndim != 2 or mel.shape[1] != mel_features.num_mel_bins:
        raise ValueError(
            "`mel` must be (frames, num_mel_bins) with the front end's "
            f"{mel_features.num_mel_bins} bins. Received: shape {mel.shape}"
        )
    if mel_features.scale is not None:
        mel = mel * np.asarray(mel_features.scale)
    if mel_features.mean is not None:
        mel = mel + np.asarray(mel_features.mean)
    base = {"e": 1.0, "10": math.log(10.0), "2": math.log(2.0)}
    wanted = np.exp(base[mel_features.log_base] * mel).astype("float32")
    filters = mel_features.filters
    linear = np.maximum(wanted @ np.linalg.pinv(filters), _TINY)
    target = wanted @ filters.T
    for _ in range(num_iterations):
        reached = (linear @ filters) @ filters.T
        linear *= target / np.maximum(reached, _TINY)
    return linear ** np.float32(1.0 / mel_features.power)


def griffin_lim(
    mel: np.ndarray,
    mel_features: MelFeatures,
    num_iterations: int = 32,
    momentum: float = 0.99,
    seed: int = 0,
    magnitude_iterations: int = 100,
) -> np.ndarray:
    """Turns a log-mel spectrogram into sound.

    Phases start at random and are those of the nearest sound in each
    iteration, with the momentum of Perraudin, Balazs and Sondergaard, "A Fast
    Griffin-Lim Algorithm", WASPAA 2013 (0 is Griffin and Lim, "Signal
    Estimation from Modified Short-Time Fourier Transform", IEEE TASSP 1984).
    The magnitudes are `linear_magnitudes`.

    Args:
        mel: Array `(frames, num_mel_bins)` as `mel_features` makes it.
        mel_features: The front end that made it.
        num_iterations: How often phases are corrected.
        momentum: From 0 to below 1.
        seed: Of the first phases.
        magnitude_iterations: Updates of `linear_magnitudes`; 0 leaves the
            pseudo-inverse, as many implementations have it.

    Returns:
        float32 array `(time,)` with `frames * frame_step` samples under
        `padding="same"` and one step less under `"center"`, within [-1, 1].

    Raises:
        ValueError: As `linear_magnitudes`, or if there is less than a step
            of sound, or an argument is out of range.
    """
    from keras_audiogan.layers.stft import get_window, margin

    if num_iterations < 1 or not 0.0 <= momentum < 1.0:
        raise ValueError(
            "Expected `num_iterations` of at least 1 and 0 <= momentum < 1. "
            f"Received: num_iterations={num_iterations}, momentum={momentum}"
        )
    magnitudes = linear_magnitudes(mel, mel_features, magnitude_iterations)
    fft_length = mel_features.fft_length
    step = mel_features.frame_step
    length = mel_features.window_length or fft_length
    left = (fft_length - length) // 2
    window = np.zeros(fft_length, "float32")
    window[left : left + length] = get_window(mel_features.window, length)
    edge = margin(fft_length, step, mel_features.padding)
    wanted = (len(magnitudes) - 1) * step + fft_length - 2 * edge
    if wanted < 1:
        raise ValueError(
            "The spectrogram must hold at least one step of sound. "
            f"Received: {len(magnitudes)} frame(s)"
        )
    frames = np.broadcast_to(window**2, (len(magnitudes), fft_length))
    weight = np.maximum(_overlap_add(frames, step), 1e-3)

    def synthesis(spectrum: np.ndarray) -> np.ndarray:
        frames = np.fft.irfft(spectrum, fft_length, axis=-1).astype("float32")
        return _overlap_add(frames * window, step) / weight

    random = np.random.default_rng(seed)
    angles = random.uniform(0.0, 2.0 * math.pi, magnitudes.shape)
    phases = np.exp(1j * angles).astype("complex64")
    previous = np.zeros_like(phases)
    for _ in range(num_iterations):
        sound = synthesis(magnitudes * phases)
        windows = np.lib.stride_tricks.sliding_window_view(sound, fft_length)
        rebuilt = np.fft.rfft(windows[::step] * window).astype("complex64")
        phases = rebuilt + np.float32(momentum) * (rebuilt - previous)
        phases /= np.maximum(np.abs(phases), np.float32(1e-16))
        previous = rebuilt
    sound = synthesis(magnitudes * phases)
    return np.clip(sound[edge : edge + wanted], -1.0, 1.0)


def _overlap_add(frames: np.ndarray, step: int) -> np.ndarray:
    count, length = frames.shape
    parts = -(-length // step)
    total = np.zeros((count + parts - 1, step), "float32")
    for part in range(parts):
        piece = frames[:, part * step : (part + 1) * step]
        total[part : part + count, : piece.shape[1]] += piece
    return total.reshape(-1)[: (count - 1) * step + length]
