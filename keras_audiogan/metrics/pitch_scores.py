"""Do notes have the pitch that was asked for, by a tracker of pitches?

Unlike a classifier, the tracker has never seen the sounds at hand. It is that
of the package `swift-f0` (`pip install 'keras-audiogan[pitch]'`).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_audiogan.audio.notes import pitch_number
from keras_audiogan.audio.resampling import resample
from keras_audiogan.audio.spectra import to_mono
from keras_audiogan.metrics.classifier_scores import wilson_interval
from keras_audiogan.metrics.figures import FigureTable

#: What is said where the tracker is not installed.
NO_TRACKER = (
    "No pitch by a tracker: the package swift-f0 is not installed "
    "(pip install 'keras-audiogan[pitch]')."
)

_TRACKER_RATE = 16000
# In semitones.
_TOLERANCE = 0.5
#: The tracker's own confidence from which a frame is voiced.
VOICED = 0.5
# Labels of digits are no pitches: below A0, the lowest key of a piano.
_LOWEST = 21
# Real notes of a pitch that say whether it can be heard at all.
_NUM_TRIED = 8


def pitches_of_labels(labels: Sequence[str] | None) -> np.ndarray | None:
    """Returns the MIDI number of each label, None if they are no pitches."""
    try:
        numbers = np.array([pitch_number(label) for label in labels or ()])
    except ValueError:
        return None
    return numbers if len(numbers) and numbers.min() >= _LOWEST else None


def has_tracker() -> bool:
    """Whether the package `swift-f0` is installed."""
    return importlib.util.find_spec("swift_f0") is not None


def heard_pitches(clips: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Returns the pitch that a tracker hears in each clip.

    The median over the voiced frames of SwiftF0 (Nieradzik, "SwiftF0: Fast
    and Accurate Monophonic Pitch Detection", arXiv:2508.18440), which hears
    from 47 to 2,093 Hz.

    Args:
        clips: `(n, time, channels)` in [-1, 1].
        sampling_rate: In Hz.

    Returns:
        float64 `(n,)`: MIDI numbers with fractions, NaN where nothing is
        voiced.

    Raises:
        ImportError: If `swift-f0` is not installed.
    """
    if not has_tracker():
        raise ModuleNotFoundError(NO_TRACKER, name="swift_f0")
    from swift_f0 import SwiftF0

    tracker = SwiftF0()
    pitches = np.full(len(clips), np.nan)
    for index, clip in enumerate(clips):
        sound = to_mono(np.nan_to_num(np.asarray(clip, "float32"))[None])[0]
        hertz, confidence = contour(tracker, sound, sampling_rate)
        voiced = confidence >= VOICED
        if voiced.any():
            octaves = np.log2(np.median(hertz[voiced]) / 440.0)
            pitches[index] = 69.0 + 12.0 * octaves
    return pitches


def contour(
    tracker: Any, sound: np.ndarray, sampling_rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns pitch in Hz and confidence, each `(frames,)`, of one sound.

    Args:
        tracker: A `SwiftF0`.
        sound: `(time,)`.
        sampling_rate: In Hz.
    """
    sound = resample(sound, sampling_rate, _TRACKER_RATE)
    found = tracker.detect(sound, _TRACKER_RATE)
    return (
        np.asarray(found.pitch_hz, "float64"),
        np.asarray(found.confidence, "float64"),
    )


def add_pitch_figures(
    report: dict[str, Any],
    generated: tuple[np.ndarray, np.ndarray],
    real_train: tuple[np.ndarray, np.ndarray],
    real_test: tuple[np.ndarray, np.ndarray],
    *,
    seed: int = 0,
) -> None:
    """Adds to a report how many notes have the pitch that was asked for.

    A pitch is right within 50 cents. Trackers do not hear all pitches of all
    instruments: only pitches that are heard right in more than half of the
    training notes (of up to 8 of each) count, and real test notes of these
    have their score beside.

    Args:
        report: What `evaluate_gan` returned; gets `figures.pitch_accuracy`
            and `pitch`: the tracker, and the pitches that count.
        generated: Clips `(n, time, channels)`, and the MIDI number `(n,)`
            that each was asked for.
        real_train: The same of training notes.
        real_test: The same of test notes.
        seed: Chooses the training notes.

    Raises:
        ImportError: If `swift-f0` is not installed.
    """
    rate = report["sampling_rate"]
    rng = np.random.default_rng(seed)
    heard = []
    clips, pitches = real_train
    for pitch in np.unique(pitches):
        notes = rng.permutation(np.flatnonzero(pitches == pitch))[:_NUM_TRIED]
        right = is_right(heard_pitches(clips[notes], rate), pitches[notes])
        if right.mean() > 0.5:
            heard.append(int(pitch))
    columns: list[Any] = []
    for clips, pitches in (generated, real_test):
        chosen = np.flatnonzero(np.isin(pitches, heard))
        columns.append(None)
        if len(chosen):
            found = heard_pitches(clips[chosen], rate)
            right = is_right(found, pitches[chosen])
            columns[-1] = right.astype("float64")
    FigureTable(report["figures"], 1, seed).add(
        "pitch_accuracy",
        lambda right: float(right.mean()),
        columns,
        interval=lambda right: wilson_interval(int(right.sum()), len(right)),
    )
    version = importlib.metadata.version("swift-f0")
    report["pitch"] = {
        "tracker": f"swift-f0 {version}",
        "heard": heard,
        "num_pitches": len(np.unique(real_train[1])),
    }


def is_right(heard: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Whether pitches lie within 50 cents of those asked for; NaN does not."""
    return np.abs(heard - asked) <= _TOLERANCE
