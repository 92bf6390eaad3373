"""How close an autoencoder's copies come to their recordings."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_audiogan.audio.spectra import log_mel_spectrogram, to_mono
from keras_audiogan.metrics.bootstrap import bootstrap_interval
from keras_audiogan.metrics.figures import described
from keras_audiogan.metrics.vocoder_scores import (
    multi_resolution_stft_distance,
    rms_decibels,
)

#: Names of the figures of `reconstruction_distances`.
RECONSTRUCTION_FIGURES = (
    "log_mel_distance",
    "log_stft_distance",
    "spectral_convergence",
    "level_difference",
)


_ENDS = ("value", "low", "high")


def reconstruction_distances(
    real: np.ndarray, copy: np.ndarray, sampling_rate: float
) -> dict[str, float]:
    """Returns the distances of a copy from its recording.

    None of them hears phases. Channels are compared one by one, and their
    mean counts.

    Args:
        real: `(time, channels)` in [-1, 1].
        copy: The same; the longer one is cut.
        sampling_rate: In Hz.

    Returns:
        `log_mel_distance` (nepers): mean absolute difference of the natural
        logarithms of 80 Slaney bands up to half the rate, magnitudes of at
        least 1e-3, of frames of about 46 ms a quarter apart;
        `log_stft_distance` (nepers) and `spectral_convergence` (a ratio), see
        `multi_resolution_stft_distance`; `level_difference` (dB), the copy's
        RMS over the recording's.

    Raises:
        ValueError: If the channels differ in number, or there is no sound.
    """
    length = min(len(real), len(copy))
    if not length or real.shape[1:] != copy.shape[1:]:
        raise ValueError(
            "A recording and its copy must be sound (time, channels) of as "
            f"many channels. Received: shapes {real.shape} and {copy.shape}"
        )
    rows = []
    for channel in range(real.shape[1]):
        pair = real[:length, channel], copy[:length, channel]
        convergence, distance = multi_resolution_stft_distance(*pair)
        first, second = (_log_mel(each, sampling_rate) for each in pair)
        rows.append(
            (
                float(np.abs(first - second).mean(dtype="float64")),
                distance,
                convergence,
            )
        )
    level = rms_decibels(to_mono(copy)) - rms_decibels(to_mono(real))
    values = (*np.mean(rows, axis=0).tolist(), level)
    return dict(zip(RECONSTRUCTION_FIGURES, values, strict=True))


def _log_mel(clip: np.ndarray, sampling_rate: float) -> np.ndarray:
    fft_length = 2 ** round(math.log2(0.0464 * sampling_rate))
    return log_mel_spectrogram(
        clip,
        sampling_rate,
        floor=1e-3,
        add_floor=False,
        fft_length=fft_length,
        frame_step=fft_length // 4,
        num_mel_bins=80,
        scale="slaney",
        norm="slaney",
    )


def evaluate_reconstruction(
    model: Any,
    clips: np.ndarray,
    *,
    seed: int = 0,
    batch_size: int = 64,
    on_clip: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Measures copies of held-out clips, and clips of drawn latents beside.

    A model that copies well comes nearer to a recording than a clip of it
    that has nothing to do with that recording: the other column tells how
    near two sounds of the kind are by chance.

    Args:
        model: The autoencoder.
        clips: Float32 `(n, slice_length, channels)`, two or more.
        seed: Of the latents and the intervals.
        batch_size: Clips at a time.
        on_clip: Called after each clip.

    Returns:
        `num_clips` and `figures`: `reconstruction_log_mel_distance` and so
        on, see `reconstruction_distances`, each with `better`, `unit`, and
        `copies` and `random` (as many clips of drawn latents), which have
        `value`, `low` and `high` (95 % interval).

    Raises:
        ValueError: If there are fewer than two clips.
    """
    copies = model.reconstruct(clips, batch_size=batch_size)
    drawn = model.sample(len(clips), seed=seed, batch_size=batch_size)
    measured = functools.partial(
        reconstruction_distances, sampling_rate=model.sampling_rate
    )
    rows: dict[str, list[list[float]]] = {"copies": [], "random": []}
    for clip, copy, other in zip(clips, copies, drawn, strict=True):
        rows["copies"].append(list(measured(clip, copy).values()))
        rows["random"].append(list(measured(clip, other).values()))
        on_clip()
    columns = {}
    for column, found in rows.items():
        values = np.array(found)
        low, high = bootstrap_interval(
            functools.partial(np.mean, axis=0), values, seed=seed
        )
        columns[column] = zip(values.mean(axis=0), low, high, strict=True)
    figures: dict[str, Any] = {}
    for name, copied, other in zip(
        RECONSTRUCTION_FIGURES, *columns.values(), strict=True
    ):
        key = f"reconstruction_{name}"
        figures[key] = {
            **described(key),
            "copies": dict(zip(_ENDS, map(float, copied), strict=True)),
            "random": dict(zip(_ENDS, map(float, other), strict=True)),
        }
    return {"num_clips": len(clips), "figures": figures}
