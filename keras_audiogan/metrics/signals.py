"""Figures of the signal itself: level, silence, clipping, spectral tilt."""

from typing import NamedTuple

import numpy as np

from keras_audiogan.audio.spectra import spectrogram, to_mono

_SILENCE_DB = -60.0
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

    Args:
        audio: Array (n, time, channels) in [-1, 1].

    Raises:
        ValueError: Not an array of clips, or an empty one.
    """
    audio = _check_audio(audio)
    power = np.mean(audio.astype("float64") ** 2, axis=(1, 2))
    return 10 * np.log10(np.maximum(power, 10 ** (_FLOOR_DB / 10)))


def level(audio: np.ndarray) -> Level:
    """Measures how loud clips are; see `Level`.

    A generator that falls silent or clips shows here first; the average
    loudness against that of real audio is what Kormendi ("Progressive
    adversarial music generation", 2019) logs while training. Clips are
    taken whole, so compare clips placed and padded alike.

    Args:
        audio: Array (n, time, channels) in [-1, 1].

    Raises:
        ValueError: Not an array of clips, or an empty one.
    """
    audio = _check_audio(audio)
    levels = rms_db(audio)
    magnitudes = np.abs(audio)
    return Level(
        rms_db=float(levels.mean()),
        rms_db_deviation=float(levels.std()),
        peak=float(magnitudes.max(axis=(1, 2)).mean()),
        silent=float((levels < _SILENCE_DB).mean()),
        clipped=float((magnitudes >= 0.999).mean()),
    )


def spectral_tilt(audio: np.ndarray, sampling_rate: int) -> float:
    """Slope of the mean power spectrum of a set of clips, in dB per octave.

    Least squares of the level of third-octave bands against log2 of their
    centre frequencies, from 100 Hz to 0.4 of the sampling rate. The power
    is averaged over all clips and frames, so that silence does not count.

    Args:
        audio: Array (n, time, channels) in [-1, 1].
        sampling_rate: Rate in Hz.

    Raises:
        ValueError: Not an array of clips, an empty one, or a rate too low
            to hold three bands.
    """
    audio = _check_audio(audio)
    lowest, highest = _TILT_RANGE[0], _TILT_RANGE[1] * sampling_rate
    num_bands = int(3 * np.log2(highest / lowest))
    if num_bands < 3:
        raise ValueError(
            "A spectral tilt needs a sampling rate of at least 500 Hz. "
            f"Received: sampling_rate={sampling_rate}"
        )
    frame = 1 << round(np.log2(_TILT_FRAME_SECONDS * sampling_rate))
    power = np.zeros(frame // 2 + 1)
    for clips in np.array_split(to_mono(audio), -(-len(audio) // 256)):
        magnitudes = spectrogram(clips, frame, frame // 2, padding="none")
        power += (magnitudes.astype("float64") ** 2).sum(axis=(0, 1))
    edges = lowest * 2.0 ** (np.arange(num_bands + 1) / 3)
    frequencies = np.linspace(0, sampling_rate / 2, len(power))
    # Bands narrower than the bins are read off the line between bins.
    centres = np.sqrt(edges[:-1] * edges[1:])
    levels = np.interp(centres, frequencies, power)
    for band, (low, high) in enumerate(zip(edges, edges[1:], strict=False)):
        inside = (frequencies >= low) & (frequencies < high)
        if inside.sum() > 1:
            levels[band] = power[inside].mean()
    decibels = 10 * np.log10(levels + 1e-12 * power.max() + 1e-30)
    return float(np.polyfit(np.log2(centres), decibels, 1)[0])


def spectral_tilt_difference(
    audio: np.ndarray, reference: np.ndarray, sampling_rate: int
) -> float:
    """Tilt of `audio` less that of `reference`, in dB per octave.

    Above 0 the clips are brighter than the reference (hiss, the ringing of
    up-sampling), below 0 duller; see `spectral_tilt`.

    Args:
        audio: Array (n, time, channels) in [-1, 1].
        reference: Array (m, time, channels) in [-1, 1].
        sampling_rate: Rate of both in Hz.
    """
    return spectral_tilt(audio, sampling_rate) - spectral_tilt(
        reference, sampling_rate
    )


def _check_audio(audio: np.ndarray) -> np.ndarray:
    audio = np.asarray(audio, "float32")
    if audio.ndim != 3 or 0 in audio.shape:
        raise ValueError(
            "Audio must be an array (clips, time, channels) with at least "
            f"one clip and one sample. Received: shape {audio.shape}"
        )
    return audio
