"""Pitch errors and perceived quality, measured by optional packages.

Pitch needs the package `pyworld`, PESQ the package `pesq`.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import math
import sys
from typing import Any

import numpy as np

from keras_audiogan.audio.resampling import resample

_PESQ_RATE = 16000


def f0_and_voicing(
    real: np.ndarray,
    fake: np.ndarray,
    sampling_rate: float,
    min_frequency: float = 71.0,
    max_frequency: float = 800.0,
) -> dict[str, float]:
    """Errors of pitch and of voicing; see `f0_errors`.

    Pitch every 5 ms by Harvest (Morise, "Harvest: A High-Performance
    Fundamental Frequency Estimator from Speech Signals", Interspeech 2017)
    of the package `pyworld`.

    Args:
        real: Recording, `(time,)` or `(time, 1)`.
        fake: What the vocoder made; the longer clip is cut.
        sampling_rate: Of both, in Hz.
        min_frequency: Lowest pitch looked for, in Hz.
        max_frequency: Highest pitch looked for, in Hz.

    Raises:
        ImportError: If `pyworld` is not installed.
        ValueError: If a clip is empty.
    """
    pyworld = _pyworld()
    pitches = []
    for clip in as_pair(real, fake):
        pitch, _ = pyworld.harvest(
            np.ascontiguousarray(clip, "float64"),
            int(sampling_rate),
            f0_floor=min_frequency,
            f0_ceil=max_frequency,
        )
        pitches.append(pitch)
    return f0_errors(*pitches)


def _pyworld() -> Any:
    """Imports the compiled part of `pyworld`.

    Up to 0.3.5 the package itself asks setuptools for its version, by a
    module that setuptools has dropped.
    """
    package = importlib.util.find_spec("pyworld")
    if package is None:
        raise ModuleNotFoundError("No module named 'pyworld'", name="pyworld")
    name = "pyworld.pyworld"
    if name not in sys.modules:
        found = importlib.machinery.PathFinder.find_spec(
            name, package.submodule_search_locations
        )
        if found is None or found.loader is None:
            raise ImportError("The package pyworld has no compiled part.")
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


def as_contours(real: Any, fake: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns two contours `(frames,)` as float64.

    Raises:
        ValueError: If the two are empty or differ in length.
    """
    real, fake = np.asarray(real, "float64"), np.asarray(fake, "float64")
    if real.shape != fake.shape or real.ndim != 1 or not real.size:
        raise ValueError(
            "Expected two contours of one length of at least 1. Received: "
            f"shapes {real.shape} and {fake.shape}"
        )
    return real, fake


def f0_errors(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """Errors of two pitch contours.

    Args:
        real: Pitch in Hz of each frame of the recording, 0 where unvoiced.
        fake: The same of what the vocoder made.

    Returns:
        `f0_rmse_hertz` and `f0_rmse_cents` (hundredths of a semitone), the
        root mean square errors over the frames voiced in both, NaN if there
        is none; `voicing_error`, the share of frames voiced in one alone.

    Raises:
        ValueError: If the two are empty or differ in length.
    """
    real, fake = as_contours(real, fake)
    voiced = (real > 0) & (fake > 0)
    hertz, cents = math.nan, math.nan
    if voiced.any():
        first, second = real[voiced], fake[voiced]
        hertz = math.sqrt(np.mean((first - second) ** 2))
        cents = math.sqrt(np.mean((1200.0 * np.log2(second / first)) ** 2))
    return {
        "f0_rmse_hertz": hertz,
        "f0_rmse_cents": cents,
        "voicing_error": float(np.mean((real > 0) != (fake > 0))),
    }


def pesq(real: np.ndarray, fake: np.ndarray, sampling_rate: float) -> float:
    """Wide-band PESQ (MOS-LQO), a predicted opinion score from 1.04 to 4.64.

    ITU-T Recommendation P.862.2 by the package `pesq`, at 16 kHz after
    resampling.

    Args:
        real: Recording, `(time,)` or `(time, 1)`.
        fake: What the vocoder made; the longer clip is cut.
        sampling_rate: Of both, in Hz.

    Raises:
        ImportError: If `pesq` is not installed.
        ValueError: If a clip is empty, or the package finds no utterance.
    """
    package = importlib.import_module("pesq")
    first, second = (
        resample(clip, sampling_rate, _PESQ_RATE)
        for clip in as_pair(real, fake)
    )
    reason = "silence"
    if first.any() or second.any():
        try:
            return float(package.pesq(_PESQ_RATE, first, second, "wb"))
        except package.PesqError as error:
            reason = str(error)
    raise ValueError(
        "PESQ cannot score this pair: it wants speech of a quarter of a "
        f"second or more. Received: {len(first)} samples at {_PESQ_RATE} Hz "
        f"({reason})"
    )


def as_clip(audio: np.ndarray) -> np.ndarray:
    """Returns a clip `(time,)` or `(time, 1)` as float32 `(time,)`."""
    audio = np.asarray(audio, "float32")
    if audio.ndim == 2 and audio.shape[1] == 1:
        audio = audio[:, 0]
    if audio.ndim != 1 or not audio.size:
        raise ValueError(
            "A clip must be (time,) or (time, 1) and hold a sample. "
            f"Received: shape {audio.shape}"
        )
    return audio


def as_pair(
    real: np.ndarray, fake: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns two clips as `as_clip` does, cut to the shorter one's length."""
    real, fake = as_clip(real), as_clip(fake)
    length = min(len(real), len(fake))
    return real[:length], fake[:length]
