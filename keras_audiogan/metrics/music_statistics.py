"""What can be counted in music without labels: tones, beats, dynamics, form.

Each statistic is one number, or a few, of a clip. Whether generated music has
them as real music does is a question of distributions: see
`distribution_distance`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from keras_audiogan.audio.spectra import (
    log_mel_spectrogram,
    spectrogram,
    to_mono,
)
from keras_audiogan.metrics.distances import (
    check_features,
    pairwise_distances,
)

# Krumhansl and Kessler, "Tracing the dynamic changes in perceived tonal
# organization in a spatial representation of musical keys", Psychological
# Review 1982: how well each pitch class fits a major and a minor key.
_MAJOR = (
    6.35,
    2.23,
    3.48,
    2.33,
    4.38,
    4.09,
    2.52,
    5.19,
    2.39,
    3.66,
    2.29,
    2.88,
)
_MINOR = (
    6.33,
    2.68,
    3.52,
    5.38,
    2.60,
    3.53,
    2.54,
    4.75,
    3.98,
    2.69,
    3.34,
    3.17,
)
_TONAL_SECONDS = 0.128
_LOWEST_HERTZ, _HIGHEST_HERTZ = 60.0, 4000.0
# Spectral peaks further below the strongest of a clip are not heard as tones.
_PEAK_DB = 30.0
_NUM_OVERTONES = 10
_OVERTONE_CENTS = 40.0
_ONSET_SECONDS, _ONSET_STEP = 0.032, 0.010
_NUM_BANDS = 40
# The largest rise around it, and so much above the mean rise, in nepers.
_ONSET_REACH, _ONSET_MEAN_REACH, _ONSET_MARGIN = 3, 10, 0.25
_TEMPO_SECONDS = (0.2, 2.0)
_DYNAMIC_SECONDS = 0.05
_DYNAMIC_RANGE_DB = 60.0
_STRUCTURE_STEP = 0.032
_NUM_LAGS = 8
_MOST_STRUCTURE_FRAMES = 1500
_SILENCE = 1e-3
# Amplitude, re full scale, below which nothing is heard: -60 dB.
_FLOOR = 1e-3


def pitch_classes(audio: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Shares (n, 12) of the pitch classes, each clip's strongest one first.

    Of the amplitudes of spectral peaks between 60 Hz and 4 kHz, by the pitch
    class of equal temperament (A = 440 Hz) that each is nearest to. Keys are
    turned away: the second share is that of a semitone above the strongest.
    Silence has even shares.
    """
    chroma = _chroma(audio, sampling_rate)
    first = chroma.argmax(axis=1)[:, None]
    return np.take_along_axis(chroma, (first + np.arange(12)) % 12, axis=1)


def key_clarity(audio: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Correlation (n,) of pitch classes with the key that fits best.

    Of the 24 keys of Krumhansl and Kessler (1982); music in one key has
    about 0.8, noise about 0.4. Silence has 0.
    """
    chroma = _chroma(audio, sampling_rate)
    keys = np.array(
        [np.roll(key, i) for key in (_MAJOR, _MINOR) for i in range(12)]
    )
    return (_standardised(chroma) @ _standardised(keys).T).max(axis=1) / 12


def polyphony(audio: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Tones (n,) at a time: the mean count in frames that sound.

    Spectral peaks within 30 dB of the clip's strongest count, but for
    overtones of lower ones.
    """
    counts = []
    for spectra, hertz in _tonal_spectra(audio, sampling_rate):
        frames, peaks, _ = _peaks(spectra, hertz)
        heard = [
            _num_fundamentals(peaks[frames == frame])
            for frame in np.unique(frames)
        ]
        counts.append(np.mean(heard) if heard else 0.0)
    return np.array(counts)


def onset_density(audio: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Onsets (n,) per second: clear peaks of the rise of log-mel spectra."""
    rises = _rises(audio, sampling_rate)
    seconds = audio.shape[1] / sampling_rate
    return np.array([_num_onsets(rise) / seconds for rise in rises])


def tempo_strength(audio: np.ndarray, sampling_rate: int) -> np.ndarray:
    """How regular the beat is (n,): the highest autocorrelation of rises.

    Of the rise of log-mel spectra, less its mean, at lags of 0.2 to 2 s, up
    to half of the clip; about 0 without a beat, 1 for a perfect one.

    Raises:
        ValueError: If the clips are too short for the shortest lag.
    """
    rises = _rises(audio, sampling_rate)
    first = round(_TEMPO_SECONDS[0] / _ONSET_STEP)
    last = min(round(_TEMPO_SECONDS[1] / _ONSET_STEP), rises.shape[1] // 2)
    if last <= first:
        raise ValueError(
            "The strength of a tempo needs clips of "
            f"{2 * _TEMPO_SECONDS[0]:g} s or more. Received: "
            f"{audio.shape[1] / sampling_rate:.3g} s"
        )
    rises = rises - rises.mean(axis=1, keepdims=True)
    size = 2 * rises.shape[1]
    power = np.abs(np.fft.rfft(rises, size, axis=1)) ** 2
    product = np.fft.irfft(power, size, axis=1)[:, : last + 1]
    whole = np.maximum(product[:, :1], 1e-12)
    return np.maximum((product[:, first:] / whole).max(axis=1), 0.0)


def dynamics(audio: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Standard deviation (n,) of the level within each clip, in dB.

    Of frames of 50 ms, each at least 60 dB below the clip's loudest.
    """
    frame = max(1, round(_DYNAMIC_SECONDS * sampling_rate))
    mono = to_mono(audio)
    count = max(1, mono.shape[1] // frame)
    frames = mono[:, : count * frame].reshape(len(mono), count, -1)
    power = np.mean(frames.astype("float64") ** 2, axis=2)
    loudest = power.max(axis=1, keepdims=True)
    floor = np.maximum(loudest * 10 ** (-_DYNAMIC_RANGE_DB / 10), 1e-12)
    return (10 * np.log10(np.maximum(power, floor))).std(axis=1)


def self_similarity(audio: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Similarity (n, 8) of a clip to itself, by distance in time.

    The mean cosine between log-mel spectra, less the clip's mean spectrum,
    that lie so far apart: 8 lags (see `similarity_lags`), evenly spaced in
    their logarithm from 64 ms to three quarters of the clip. Music comes back
    to what was; noise has forgotten it in the next frame (Foote, "Visualizing
    music and audio using self-similarity", ACM Multimedia 1999).
    """
    lags = similarity_lags(audio.shape[1], sampling_rate)
    curves = []
    for clip in to_mono(audio):
        mel = _log_mel(clip, sampling_rate, _step(len(clip), sampling_rate))
        mel -= mel.mean(axis=0)
        norms = np.linalg.norm(mel, axis=1, keepdims=True)
        mel /= np.maximum(norms, _SILENCE)
        step = _step(len(clip), sampling_rate) / sampling_rate
        places = np.clip(np.rint(lags / step).astype(int), 1, len(mel) - 1)
        curves.append(
            [np.sum(mel[:-lag] * mel[lag:], axis=1).mean() for lag in places]
        )
    return np.array(curves, "float64")


def similarity_lags(num_samples: int, sampling_rate: int) -> np.ndarray:
    """Returns the lags (8,) of `self_similarity`, in seconds."""
    step = _step(num_samples, sampling_rate) / sampling_rate
    longest = 0.75 * num_samples / sampling_rate
    shortest = min(max(2 * _STRUCTURE_STEP, step), longest)
    return np.geomspace(shortest, longest, _NUM_LAGS)


STATISTICS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "pitch_classes": pitch_classes,
    "key_clarity": key_clarity,
    "polyphony": polyphony,
    "onset_density": onset_density,
    "tempo_strength": tempo_strength,
    "dynamics": dynamics,
    "self_similarity": self_similarity,
}
"""Every statistic by its name: from clips and rate to (n,) or (n, numbers)."""


def distribution_distance(values: np.ndarray, reference: np.ndarray) -> float:
    """Energy distance of two sets of numbers or vectors, by the reference's.

    2 E|X - Y| / E|Y - Y'| - E|X - X'| / E|Y - Y'| - 1 for values X and a
    reference Y (Szekely and Rizzo, "Energy statistics", Journal of
    Statistical Planning and Inference 2013), over pairs of different clips:
    unbiased, so that it does not depend on how many there are, and a little
    below 0 at times. 0 is the same distribution; a single value that lies one
    mean difference of the reference beyond all of it has about 1.

    Args:
        values: Array (n,) or (n, numbers).
        reference: Array (m,) or (m, numbers).

    Raises:
        ValueError: Fewer than two clips in a set, or unequal widths.
    """
    return distribution_distance_to(reference)(values)(np.arange(len(values)))


def distribution_distance_to(
    reference: np.ndarray,
) -> Callable[[np.ndarray], Callable[[np.ndarray], float]]:
    """Returns a function that measures many sets against one reference.

    Returns:
        From values (n, ...) to a function from chosen rows (k,) of them to
        their `distribution_distance`.
    """
    reference = _as_rows(reference)
    check_features(reference, reference, minimum=2)
    spread = _mean_of_pairs(pairwise_distances(reference, reference))
    # Of a reference without spread, differences count as they are.
    scale = spread if spread > 1e-12 else 1.0

    def distance_of(values: np.ndarray) -> Callable[[np.ndarray], float]:
        rows, _ = check_features(_as_rows(values), reference, minimum=2)
        within = pairwise_distances(rows, rows)
        across = pairwise_distances(rows, reference).mean(axis=1)

        def distance(chosen: np.ndarray) -> float:
            inside = _mean_of_pairs(within[np.ix_(chosen, chosen)])
            total = 2 * across[chosen].mean() - inside - spread
            return float(total / scale)

        return distance

    return distance_of


def _mean_of_pairs(distances: np.ndarray) -> float:
    """Mean distance (n, n) of different clips."""
    count = len(distances)
    # A clip lies at 0 from itself, but for rounding.
    total = distances.sum() - np.trace(distances)
    return float(total / (count * (count - 1)))


def _as_rows(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, "float64")
    return values[:, None] if values.ndim == 1 else values


def _standardised(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(rows.std(axis=1, keepdims=True), 1e-9)


def _tonal_spectra(
    audio: np.ndarray, sampling_rate: int
) -> Iterable[tuple[np.ndarray, float]]:
    """Magnitudes (frames, bins) of each clip, and the width of a bin in Hz."""
    length = 1 << round(math.log2(_TONAL_SECONDS * sampling_rate))
    length = min(length, 1 << max(4, int(math.log2(audio.shape[1]))))
    for clip in to_mono(audio):
        magnitudes = spectrogram(clip, length, length // 4, padding="none")
        yield magnitudes, sampling_rate / length


def _peaks(
    spectra: np.ndarray, hertz: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame, frequency in Hz and magnitude of each spectral peak."""
    loudest = spectra.max()
    if loudest < _SILENCE:
        return np.zeros(0, int), np.zeros(0), np.zeros(0)
    low = max(1, math.ceil(_LOWEST_HERTZ / hertz))
    high = min(spectra.shape[1] - 1, int(_HIGHEST_HERTZ / hertz))
    floor = loudest * 10 ** (-_PEAK_DB / 20)
    middle = spectra[:, low:high]
    before = spectra[:, low - 1 : high - 1]
    after = spectra[:, low + 1 : high + 1]
    is_peak = (middle > before) & (middle >= after) & (middle > floor)
    frames, places = np.nonzero(is_peak)
    left, top, right = (
        np.log(np.maximum(x[frames, places], 1e-9))
        for x in (before, middle, after)
    )
    # The top of a parabola through three logarithms.
    shift = 0.5 * (left - right) / np.minimum(left - 2 * top + right, -1e-9)
    return frames, (places + low + shift) * hertz, middle[frames, places]


def _chroma(audio: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Shares (n, 12) of the pitch classes from A on; even ones of silence."""
    rows = []
    for spectra, hertz in _tonal_spectra(audio, sampling_rate):
        _, peaks, magnitudes = _peaks(spectra, hertz)
        classes = np.rint(12 * np.log2(np.maximum(peaks, 1) / 440)).astype(int)
        chroma = np.bincount(classes % 12, magnitudes, minlength=12)
        total = chroma.sum()
        rows.append(chroma / total if total else np.full(12, 1 / 12))
    return np.array(rows)


def _num_fundamentals(peaks: np.ndarray) -> int:
    """How many of frequencies are no overtones of lower ones."""
    found: list[float] = []
    for frequency in np.sort(peaks):
        ratios = frequency / np.array(found) if found else np.zeros(0)
        nearest = np.clip(np.rint(ratios), 1, _NUM_OVERTONES)
        cents = 1200 * np.abs(np.log2(np.maximum(ratios, 1e-9) / nearest))
        if not (cents < _OVERTONE_CENTS).any():
            found.append(float(frequency))
    return len(found)


def _step(num_samples: int, sampling_rate: int) -> int:
    """Samples between frames of `self_similarity`: fewer in long clips."""
    step = max(1, round(_STRUCTURE_STEP * sampling_rate))
    return max(step, -(-num_samples // _MOST_STRUCTURE_FRAMES))


def _frame(sampling_rate: int) -> int:
    """Samples under the window of log-mel spectra."""
    return max(32, 1 << round(math.log2(_ONSET_SECONDS * sampling_rate)))


def _log_mel(clip: np.ndarray, sampling_rate: int, step: int) -> np.ndarray:
    length = _frame(sampling_rate)
    return log_mel_spectrogram(
        clip,
        sampling_rate,
        num_mel_bins=_NUM_BANDS,
        min_frequency=min(50.0, sampling_rate / 100),
        fft_length=length,
        frame_step=step,
        padding="middle",
        floor=_FLOOR * length / 4,
    )


def _rises(audio: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Mean rise (n, frames) of log-mel spectra from frame to frame."""
    step = max(1, round(_ONSET_STEP * sampling_rate))
    # What lies beyond the ends of a clip is not known: frames that reach
    # there do not count.
    edge = max(0, _frame(sampling_rate) - step) // 2
    first = -(-edge // step) + 1
    rows = []
    for clip in to_mono(audio):
        mel = _log_mel(clip, sampling_rate, step)
        rise = np.maximum(np.diff(mel, axis=0, prepend=mel[:1]), 0.0)
        rise[:first] = rise[-first:] = 0.0
        rows.append(rise.mean(axis=1))
    return np.array(rows, "float64")


def _num_onsets(rise: np.ndarray) -> int:
    padded = np.pad(rise, _ONSET_MEAN_REACH, mode="edge")
    view = np.lib.stride_tricks.sliding_window_view
    means = view(padded, 2 * _ONSET_MEAN_REACH + 1).mean(axis=1)
    edge = _ONSET_MEAN_REACH - _ONSET_REACH
    around = view(padded[edge : len(padded) - edge], 2 * _ONSET_REACH + 1)
    is_top = rise >= around.max(axis=1)
    return int((is_top & (rise > means + _ONSET_MARGIN)).sum())
