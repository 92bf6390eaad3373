"""Figures of the signal itself: level, silence, clipping, spectral tilt."""

import math
from typing import NamedTuple

import numpy as np

from keras_audiogan.audio.spectra import spectrogram, to_mono

SILENCE_DB = -60.0
_FLOOR_DB = -120.0
_TILT_FRAME_SECONDS = 0.032
_TILT_RANGE = (100.0, 0.4)


class Level(NamedTuple):
    """Level of a set of clips.

    Attributes:
        rms_db: Mean over clips of the RMS level in dB re full scale (a
            full-scale square wave is 0 dB), each at least -120 dB.
        rms_db_deviation: Standard deviation over clips, in dB.
        peak: Mean over clips of the largest absolute sample.
        silent: Fraction of clips below -60 dB RMS.
        clipped: Fraction of samples at or above 0.999 of full scale.
    """

    rms_db: float
    rms_db_deviation: float
    peak: float
    silent: float
    clipped: float


def rms_db(audio: np.ndarray) -> np.ndarray:
    """RMS level (n,) of each clip in dB re full scale, at least -120 dB.

    Of audio (n, time, channels) in [-1, 1]; no sample is a `ValueError`.
    """
    audio = _check_audio(audio)
    power = np.mean(audio.astype("float64") ** 2, axis=(1, 2))
    return 10 * np.log10(np.maximum(power, 10 ** (_FLOOR_DB / 10)))


def level(audio: np.ndarray) -> Level:
    """Measures how loud clips (n, time, channels) in [-1, 1] are; see `Level`.

    A generator that falls silent or clips shows here first; the average
    loudness against that of real audio is what Kormendi ("Progressive
    adversarial music generation", 2019) logs while training. Clips are
    taken whole, so compare clips placed and padded alike.

    Raises:
        ValueError: Not an array of clips, or an empty one.
    """
    levels = rms_db(audio)
    magnitudes = np.abs(audio, dtype="float32")
    return Level(
        rms_db=float(levels.mean()),
        rms_db_deviation=float(levels.std()),
        peak=float(magnitudes.max(axis=(1, 2)).mean()),
        silent=float((levels < SILENCE_DB).mean()),
        clipped=float((magnitudes >= 0.999).mean()),
    )


def power_spectra(audio: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Power spectrum (n, bins) of each clip, summed over frames of about 32 ms.

    Of audio (n, time, channels) in [-1, 1]; no sample is a `ValueError`.
    """
    audio = _check_audio(audio)
    frame = max(2, 1 << round(math.log2(_TILT_FRAME_SECONDS * sampling_rate)))
    power = np.empty((len(audio), frame // 2 + 1))
    for start in range(0, len(audio), 256):
        block = to_mono(audio[start : start + 256])
        magnitudes = spectrogram(block, frame, frame // 2, padding="none")
        power[start : start + 256] = (magnitudes.astype("float64") ** 2).sum(
            axis=1
        )
    return power


def tilt_of_spectra(power: np.ndarray, sampling_rate: int) -> float:
    """Slope in dB per octave of `power_spectra`; see `spectral_tilt`."""
    lowest, highest = _TILT_RANGE[0], _TILT_RANGE[1] * sampling_rate
    num_bands = int(3 * np.log2(highest / lowest))
    if num_bands < 3:
        raise ValueError(
            "A spectral tilt needs a sampling rate of at least 500 Hz. "
            f"Received: sampling_rate={sampling_rate}"
        )
    mean = power.mean(axis=0)
    edges = lowest * 2.0 ** (np.arange(num_bands + 1) / 3)
    frequencies = np.linspace(0, sampling_rate / 2, len(mean))
    # Bands that hold no two bins are read off the line between bins.
    centres = np.sqrt(edges[:-1] * edges[1:])
    levels = np.interp(centres, frequencies, mean)
    for band, (low, high) in enumerate(zip(edges, edges[1:], strict=False)):
        inside = (frequencies >= low) & (frequencies < high)
        if inside.sum() > 1:
            levels[band] = mean[inside].mean()
    # Silence has no spectrum; equal levels give it a tilt of 0.
    floor = max(1e-12 * mean.max(), 1e-30)
    decibels = 10 * np.log10(np.maximum(levels, floor))
    return float(np.polyfit(np.log2(centres), decibels, 1)[0])


def spectral_tilt(audio: np.ndarray, sampling_rate: int) -> float:
    """Slope of the mean power spectrum of a set of clips, in dB per octave.

    Least squares of the power density in third-octave bands, in dB, against
    log2 of their centre frequencies, from 100 Hz to 0.4 of the sampling
    rate: white noise has 0, pink noise -3. The power is averaged over all
    clips and frames, so that silence does not count.

    Args:
        audio: Array (n, time, channels) in [-1, 1].
        sampling_rate: Rate in Hz.

    Raises:
        ValueError: Not an array of clips, an empty one, or a rate too low
            to hold three bands.
    """
    return tilt_of_spectra(power_spectra(audio, sampling_rate), sampling_rate)


def spectral_tilt_difference(
    audio: np.ndarray, reference: np.ndarray, sampling_rate: int
) -> float:
    """Tilt of `audio` less that of `reference`, in dB per octave.

    Above 0 the clips are brighter than the reference (hiss, the ringing of
    up-sampling), below 0 duller; see `spectral_tilt` for the arguments.
    """
    own = spectral_tilt(audio, sampling_rate)
    return own - spectral_tilt(reference, sampling_rate)


def _check_audio(audio: np.ndarray) -> np.ndarray:
    audio = np.asarray(audio, "float32")
    if audio.ndim != 3 or 0 in audio.shape:
        raise ValueError(
            "Audio must be an array (clips, time, channels) with at least "
            f"one clip and one sample. Received: shape {audio.shape}"
        )
    return audio
