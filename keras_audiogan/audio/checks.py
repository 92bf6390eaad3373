"""Is it sound? What arrays that are said to be sound are checked for."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from keras_audiogan.audio.levels import IMPOSSIBLE_PEAK, scale_remark

_INTEGERS = {"int8": 7, "uint8": 7, "int16": 15, "int32": 31}


def check_floats(audio: Any) -> None:
    """Refuses sound in integers.

    Raises:
        ValueError: If it is; the message says by what to divide it.
    """
    dtype = str(getattr(audio, "dtype", "float32")).rpartition(".")[2]
    name = dtype.strip("'<>: ")
    if "int" in name:
        bits = _INTEGERS.get(name)
        scale = f" / {2**bits}" if bits else ""
        offset = " - 1" if name == "uint8" else ""
        raise ValueError(
            "Sound must be float32 in [-1, 1], not integers: "
            f'audio.astype("float32"){scale}{offset}. Received: {name}'
        )


def check_sound(audio: np.ndarray) -> None:
    """Refuses numbers that are not finite, or far from the scale of sound.

    What only a step meets, in a `tf.data.Dataset` or a generator, is left to
    the optimisers, which skip what is not finite.

    Raises:
        ValueError: If it is certain that they are no sound in [-1, 1]; where
            it is only likely there is a warning.
    """
    if not audio.size:
        raise ValueError(
            f"Sound must have samples. Received: shape {audio.shape}"
        )
    # Neither makes a copy.
    peak = max(float(audio.max()), -float(audio.min()))
    if not np.isfinite(peak):
        rows = np.flatnonzero([not np.isfinite(clip).all() for clip in audio])
        raise ValueError(
            "Sound must be finite numbers. Leave these clips out, or mend "
            "them with np.nan_to_num. Received: NaN or infinite samples in "
            f"{len(rows)} of {len(audio)} clips, the first of them number "
            f"{rows[0]}"
        )
    remark = scale_remark(peak)
    if remark is not None and peak > IMPOSSIBLE_PEAK:
        raise ValueError(f"This is no sound in [-1, 1]. Received: {remark}")
    if remark is not None:
        warnings.warn(f"Sound was given with {remark}", stacklevel=4)
