"""How loud recordings are made for training, and which count as silent."""

import math

import numpy as np

#: `"peak"`, `"keep"` or a gain; see `level_gain`.
Levelling = str | float

#: Peak below which a recording counts as silent: -80 dB re full scale, below
#: the dither of a 16-bit recording of nothing.
SILENCE_PEAK = 1e-4

#: Peaks that no sound in [-1, 1] reaches, however hot its mix: above the first
#: it is doubtful (12 dB over full scale), above the second (36 dB) it is sure
#: that samples are on the scale of integers.
DOUBTFUL_PEAK, IMPOSSIBLE_PEAK = 4.0, 64.0


def check_level(level: Levelling) -> None:
    """Checks a way of levelling, as `level_gain` takes it.

    Raises:
        ValueError: If it is neither `"peak"`, `"keep"` nor a positive gain.
    """
    if level in ("peak", "keep"):
        return
    if not isinstance(level, int | float) or not 0.0 < level < math.inf:
        raise ValueError(
            '`level` must be "peak", "keep" or a positive gain. '
            f"Received: level={level!r}"
        )


def level_gain(audio: np.ndarray | float, level: Levelling) -> float:
    """Returns the factor that levels a recording.

    Args:
        audio: Its samples, or its peak.
        level: `"peak"` brings the peak to 1 (silence stays), `"keep"` leaves
            the level, a number is the factor.

    Raises:
        ValueError: As `check_level`.
    """
    check_level(level)
    if level == "peak":
        peak = float(np.max(np.abs(audio), initial=0.0))
        return 1.0 / peak if peak > 0 and math.isfinite(1.0 / peak) else 1.0
    return 1.0 if level == "keep" else float(level)


def full_scale(peak: float) -> int:
    """Returns the full scale of the integers that hold a peak: 2**15, say."""
    return next((2**n for n in (7, 15, 23) if peak <= 2**n), 2**31)


def scale_remark(peak: float) -> str | None:
    """Says what is wrong with the scale of sound, and how to mend it.

    Args:
        peak: the largest magnitude of its samples, where 1 is full scale.

    Returns:
        None for a peak of up to `DOUBTFUL_PEAK`. Above `IMPOSSIBLE_PEAK` the
        remark is a certainty.
    """
    if not peak > DOUBTFUL_PEAK:
        return None
    return (
        f"samples as large as {peak:.6g}, where sound lies within [-1, 1]: "
        f"on the scale of integers? Divide them by {full_scale(peak)}"
    )
