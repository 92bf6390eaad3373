"""How close a vocoder's sound comes to the recording behind its mels.

Every figure compares a pair of clips, real first. Pitch needs the package
`pyworld`, PESQ the package `pesq`; without them `vocoder_report` leaves the
figures out and says so.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_audiogan.audio.mel_front_end import MelFrontEnd
from keras_audiogan.audio.spectra import log_mel_spectrogram, spectrogram
from keras_audiogan.metrics.alignment import warping_path
from keras_audiogan.metrics.bootstrap import bootstrap_interval
from keras_audiogan.metrics.distances import pairwise_distances
from keras_audiogan.metrics.figures import described
from keras_audiogan.metrics.speech_scores import (
    as_clip,
    as_pair,
    f0_and_voicing,
    pesq,
)

if TYPE_CHECKING:
    from keras_audiogan.layers.mel_features import MelFeatures

#: FFT length, frame step and window length of Parallel WaveGAN's spectra.
RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))

#: Names of the figures of `vocoder_report`.
FIGURES = (
    "mel_cepstral_distortion",
    "log_mel_distance",
    "log_mel_distance_in_band",
    "spectral_convergence",
    "log_stft_distance",
    "f0_rmse_hertz",
    "f0_rmse_cents",
    "voicing_error",
    "pesq",
)
_QUIETEST = 1e-8


def mel_cepstra(
    audio: np.ndarray, sampling_rate: float, num_coefficients: int = 24
) -> np.ndarray:
    """Mel-cepstral coefficients 1 to `num_coefficients`, frame by frame.

    Of 80 Slaney bands up to half the rate (frames of about 46 ms a quarter
    apart; magnitudes of at least 1e-3, some 80 dB below a full-scale sine, so
    that inaudible differences do not count), such that the natural logarithm
    of a smoothed band is `c_0 + sum_k c_k cos(pi k (band + 1/2) / 80)`, as
    the real cepstrum of a causal filter has it. The level c_0 is left out.

    Args:
        audio: Array `(time,)` or `(time, 1)`.
        sampling_rate: In Hz.
        num_coefficients: How many, at most 79.

    Returns:
        float64 array `(frames, num_coefficients)`.

    Raises:
        ValueError: If there are more coefficients than bands, or no sound.
    """
    num_bands = 80
    if not 1 <= num_coefficients < num_bands:
        raise ValueError(
            f"`num_coefficients` must lie between 1 and {num_bands - 1}. "
            f"Received: {num_coefficients}"
        )
    fft_length = 2 ** round(math.log2(0.0464 * sampling_rate))
    mel = log_mel_spectrogram(
        as_clip(audio),
        sampling_rate,
        floor=1e-3,
        add_floor=False,
        fft_length=fft_length,
        frame_step=fft_length // 4,
        num_mel_bins=num_bands,
        scale="slaney",
        norm="slaney",
    )
    places = np.outer(np.arange(num_bands) + 0.5, np.arange(num_bands))
    cosines = np.cos(np.pi * places / num_bands)[:, 1 : num_coefficients + 1]
    return mel.astype("float64") @ cosines * (2.0 / num_bands)


def mel_cepstral_distortion(
    real: np.ndarray,
    fake: np.ndarray,
    sampling_rate: float,
    num_coefficients: int = 24,
) -> float:
    """Mel-cepstral distortion in dB, after dynamic time warping.

    Kubichek, "Mel-cepstral distance measure for objective speech quality
    assessment", IEEE PacRim 1993: `10 sqrt(2) / ln 10` times the Euclidean
    distance of coefficients 1 to `num_coefficients` (`mel_cepstra`), the mean
    over the path of `warping_path`. It is the RMS difference in dB of the
    smoothed mel spectra, their level apart. Zero for equal clips. Figures of
    cepstra of another kind are not to be compared with these.

    Args:
        real: Recording, `(time,)` or `(time, 1)`.
        fake: What the vocoder made; its length may differ.
        sampling_rate: Of both, in Hz.
        num_coefficients: How many coefficients are compared.

    Raises:
        ValueError: As `mel_cepstra`.
    """
    return cepstral_distortion(
        mel_cepstra(real, sampling_rate, num_coefficients),
        mel_cepstra(fake, sampling_rate, num_coefficients),
    )


def cepstral_distortion(real: np.ndarray, fake: np.ndarray) -> float:
    """Mel-cepstral distortion in dB of cepstra, see `mel_cepstral_distortion`.

    Both are arrays `(frames, coefficients)` without the level; their frames
    may differ in number.
    """
    costs = pairwise_distances(real, fake)
    path = warping_path(costs)
    # Of the paired frames directly: a distance from squares and products
    # loses its digits where it is small.
    difference = np.asarray(real)[path[:, 0]] - np.asarray(fake)[path[:, 1]]
    distances = np.linalg.norm(difference, axis=1)
    return float(10.0 * math.sqrt(2.0) / math.log(10.0) * distances.mean())


def log_mel_distance(
    real: np.ndarray,
    fake: np.ndarray,
    mel_features: MelFeatures,
    full_band: bool = True,
) -> float:
    """Mean absolute difference of natural log-mel magnitudes, in nepers.

    The mel loss of HiFi-GAN (arXiv:2010.05646, eq. 4) without its weight: by
    the frames, number of bands and floor of `mel_features`, but in natural
    logarithms and without normalisation, so that vocoders of different front
    ends compare. One neper is 8.686 dB. Frames are paired by place.

    As in HiFi-GAN's own loss and validation the bands reach from 0 Hz to
    half the rate: what lies outside the vocoder's mels must be made up. With
    `full_band=False` they are the vocoder's, which a method that only fits
    the mels, such as Griffin-Lim, meets best.

    Args:
        real: Recording, `(time,)` or `(time, 1)`.
        fake: What the vocoder made; the longer clip is cut.
        mel_features: The vocoder's front end.
        full_band: See above.

    Raises:
        ValueError: If a clip is empty or shorter than the front end needs.
    """
    options: dict[str, Any] = {"log_base": "e", "mean": None, "scale": None}
    if full_band:
        options.update(min_frequency=0.0, max_frequency=None)
    natural = MelFrontEnd(**{**mel_features.settings, **options})
    first, second = natural(np.stack(as_pair(real, fake)))
    return float(np.mean(np.abs(first - second), dtype="float64"))


def multi_resolution_stft_distance(
    real: np.ndarray,
    fake: np.ndarray,
    resolutions: Sequence[tuple[int, int, int]] = RESOLUTIONS,
) -> tuple[float, float]:
    """Spectral convergence and log magnitude distance over resolutions.

    The training loss of Parallel WaveGAN (arXiv:1910.11480, eq. 6-7) on one
    pair of clips: the Frobenius norm of the difference of magnitudes over
    that of the real ones, and the mean absolute difference of their natural
    logarithms, magnitudes raised to at least `sqrt(1e-7)`; the means over
    the resolutions.

    Args:
        real: Recording, `(time,)` or `(time, 1)`.
        fake: What the vocoder made; the longer clip is cut.
        resolutions: FFT length, frame step and window length of each.

    Returns:
        Spectral convergence (a ratio) and log magnitude distance (nepers).

    Raises:
        ValueError: If a clip is empty or a size out of range.
    """
    real, fake = as_pair(real, fake)
    convergence, distance = [], []
    for fft_length, step, length in resolutions:
        first, second = (
            np.maximum(
                spectrogram(clip, fft_length, step, window_length=length),
                np.float32(math.sqrt(1e-7)),
            ).astype("float64")
            for clip in (real, fake)
        )
        convergence.append(
            np.linalg.norm(first - second) / np.linalg.norm(first)
        )
        distance.append(np.mean(np.abs(np.log(first) - np.log(second))))
    return float(np.mean(convergence)), float(np.mean(distance))


def copy_distances(
    real: np.ndarray, fake: np.ndarray, mel_features: MelFeatures
) -> dict[str, float]:
    """The figures of a recording and its copy that cost little.

    The arguments are those of `log_mel_distance`.

    Returns:
        `spectral_convergence` (a ratio) and `log_stft_distance` (nepers), see
        `multi_resolution_stft_distance`; `log_mel_distance` and
        `log_mel_distance_in_band` (nepers), see `log_mel_distance`;
        `level_difference` (dB), the copy's RMS over the recording's.
    """
    convergence, distance = multi_resolution_stft_distance(real, fake)
    return {
        "spectral_convergence": convergence,
        "log_stft_distance": distance,
        "log_mel_distance": log_mel_distance(real, fake, mel_features),
        "log_mel_distance_in_band": log_mel_distance(
            real, fake, mel_features, full_band=False
        ),
        "level_difference": rms_decibels(fake) - rms_decibels(real),
    }


def rms_decibels(clip: np.ndarray) -> float:
    """Returns the level of a clip, in dB of full scale."""
    power = np.mean(np.square(clip, dtype="float64"))
    return 10.0 * math.log10(max(float(power), _QUIETEST**2))


def vocoder_report(
    real: Sequence[np.ndarray],
    fake: Sequence[np.ndarray],
    sampling_rate: float,
    mel_features: MelFeatures,
    num_resamples: int = 200,
    seed: int = 0,
) -> dict[str, Any]:
    """All figures of pairs of clips, each by itself and on average.

    Args:
        real: Recordings, each `(time,)` or `(time, 1)`.
        fake: What the vocoder made of each.
        sampling_rate: Of all, in Hz.
        mel_features: Front end for `log_mel_distance`.
        num_resamples: Resamples of the clips for the 95 % intervals; 0
            leaves them out, as do fewer than two clips.
        seed: Of the resampling.

    Returns:
        `clips`, a list with a dictionary of figures for each pair;
        `figures`, for each name of `FIGURES` that at least one clip has: its
        mean `value`, `low` and `high` end of the interval, `num_clips`,
        `unit` and `better`; `notes`, why figures are missing and for how
        many clips.

    Raises:
        ValueError: If the lists are empty or differ in length, or a clip is
            shorter than the front end needs.
    """
    if len(real) != len(fake) or not len(real):
        raise ValueError(
            "Expected as many fakes as recordings, at least one. Received: "
            f"{len(real)} and {len(fake)}"
        )
    notes: Counter[str] = Counter()
    clips = [
        _clip_figures(one, other, sampling_rate, mel_features, notes)
        for one, other in zip(real, fake, strict=True)
    ]
    figures = {}
    for name in FIGURES:
        mean = mean_of_clips(clips, name, num_resamples, seed)
        if mean is not None:
            figures[name] = {**mean, **described(name)}
    return {"clips": clips, "figures": figures, "notes": dict(notes)}


def mean_of_clips(
    clips: Sequence[dict[str, float]],
    name: str,
    num_resamples: int,
    seed: int,
    signed: bool = False,
) -> dict[str, float] | None:
    """Returns the mean of a figure over those clips that have it.

    Unless it is `signed`, its interval ends at 0; see `vocoder_report` for
    the other arguments.

    Returns:
        `value`, `low` and `high` (unless every clip has 0), `num_clips`; or
        None if no clip has the figure.
    """
    values = np.array([clip[name] for clip in clips if name in clip])
    if not values.size:
        return None
    mean: dict[str, float] = {"value": float(values.mean())}
    if len(values) > 1 and num_resamples and values.any():
        low, mean["high"] = bootstrap_interval(
            np.mean, values, num_resamples=num_resamples, seed=seed
        )
        mean["low"] = low if signed else max(0.0, low)
    return {**mean, "num_clips": len(values)}


def _clip_figures(
    real: np.ndarray,
    fake: np.ndarray,
    sampling_rate: float,
    mel_features: MelFeatures,
    notes: Counter[str],
) -> dict[str, float]:
    distortion = mel_cepstral_distortion(real, fake, sampling_rate)
    figures = {
        "mel_cepstral_distortion": distortion,
        **copy_distances(real, fake, mel_features),
    }
    try:
        errors = f0_and_voicing(real, fake, sampling_rate)
    except ImportError:
        notes["no pitch: the package pyworld is not installed"] += 1
    else:
        if math.isnan(errors["f0_rmse_hertz"]):
            notes["no pitch error: no frame is voiced in both clips"] += 1
        figures.update({k: v for k, v in errors.items() if not math.isnan(v)})
    try:
        figures["pesq"] = pesq(real, fake, sampling_rate)
    except ImportError:
        notes["no PESQ: the package pesq is not installed"] += 1
    except ValueError:
        notes["no PESQ: no utterance found in the clip"] += 1
    return figures
