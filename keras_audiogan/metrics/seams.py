"""Do the joins of a long sound stand out?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_audiogan.audio.spectra import spectrogram, to_mono
from keras_audiogan.metrics.bootstrap import bootstrap_interval

_FRAME_SECONDS = 0.032
# Some 80 dB below a full-scale sine: what is inaudible does not count.
_LEAST_MAGNITUDE = 1e-3
_BLOCK_FRAMES = 4096


class SeamFlux(NamedTuple):
    """How much a sound changes at its seams, and elsewhere.

    Attributes:
        at_seams: Mean over seams of the largest spectral flux there, in dB.
        elsewhere: The same of stretches as long that hold no seam.
        rank: Share of pairs of a seam and another stretch in which the seam
            changes more: 0.5 where seams do not stand out, 1 where every
            seam is plainer than all that the sound does by itself.
        rank_interval: Its 95 % interval, over seams.
        num_seams: How many seams there are.
    """

    at_seams: float
    elsewhere: float
    rank: float
    rank_interval: tuple[float, float]
    num_seams: int


def spectral_flux(
    audio: np.ndarray, sampling_rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Measures how much the spectrum changes from frame to frame.

    The mean over frequencies of the magnitude of the change in dB, of frames
    of about 32 ms a quarter apart, mixed to mono. Both what begins and what
    breaks off counts; a click changes every frequency at once.

    Args:
        audio: Array `(time, channels)` or `(time,)`.
        sampling_rate: In Hz.

    Returns:
        The sample in the middle of each pair of frames, and the flux there.

    Raises:
        ValueError: If the sound is shorter than two frames.
    """
    audio = np.asarray(audio, "float32")
    mono = to_mono(audio if audio.ndim > 1 else audio[:, None])
    frame = max(16, 1 << round(math.log2(_FRAME_SECONDS * sampling_rate)))
    step = frame // 4
    num_frames = 1 + (len(mono) - frame) // step
    if num_frames < 2:
        raise ValueError(
            f"A spectral flux needs {frame + step} samples or more. "
            f"Received: {len(mono)}"
        )
    flux = []
    for first in range(0, num_frames - 1, _BLOCK_FRAMES):
        last = min(first + _BLOCK_FRAMES, num_frames - 1)
        part = mono[first * step : last * step + frame]
        magnitudes = spectrogram(part, frame, step, padding="none")
        levels = 20.0 * np.log10(np.maximum(magnitudes, _LEAST_MAGNITUDE))
        flux.append(np.abs(np.diff(levels, axis=0)).mean(axis=1))
    places = np.arange(num_frames - 1) * step + (frame + step) // 2
    return places, np.concatenate(flux)


def seam_flux(
    audio: np.ndarray,
    seams: Sequence[int] | np.ndarray,
    length: int,
    sampling_rate: float,
) -> SeamFlux:
    """Compares the spectral flux at seams with that elsewhere.

    Each seam is a stretch of sound from half a frame before its overlap to
    half a frame after it, and counts by its largest flux. The rest of the
    sound is cut into stretches as long, which count alike. Sound of clips
    has habits at the clips' ends, so that the figure of a real recording cut
    and joined in the same way belongs beside it, and that of the recording
    itself at the same places.

    Args:
        audio: Array `(time, channels)` or `(time,)`.
        seams: First sample of each overlap; see `audio.seams`.
        length: Samples of an overlap; 0 for hard cuts.
        sampling_rate: In Hz.

    Raises:
        ValueError: If there are fewer than two seams, or no stretch between
            them is as long as they are.
    """
    seams = np.asarray(seams)
    places, flux = spectral_flux(audio, sampling_rate)
    reach = int(places[0])
    width = length + 2 * reach
    starts = seams - reach
    ends = np.r_[0, starts + width]
    between = [
        start
        for low, high in zip(ends, np.r_[starts, places[-1]], strict=True)
        for start in np.arange(low, high - width + 1, width)
    ]
    if len(seams) < 2 or not between:
        raise ValueError(
            "There must be two seams or more, and stretches as long as a "
            f"seam ({width} samples) between them. Received: {len(seams)} "
            f"seams in {len(audio)} samples"
        )
    own, other = (
        np.array([_largest(places, flux, start, width) for start in all_])
        for all_ in (starts, between)
    )
    ordered = np.sort(other)
    # Of equals one half counts.
    ranks = 0.5 * (
        np.searchsorted(ordered, own, "left")
        + np.searchsorted(ordered, own, "right")
    )
    shares = ranks / len(other)
    return SeamFlux(
        at_seams=float(own.mean()),
        elsewhere=float(other.mean()),
        rank=float(shares.mean()),
        rank_interval=bootstrap_interval(np.mean, shares),
        num_seams=len(seams),
    )


def _largest(
    places: np.ndarray, flux: np.ndarray, start: int, width: int
) -> float:
    first, last = np.searchsorted(places, [start, start + width])
    return float(flux[first : max(last, first + 1)].max(initial=0.0))
