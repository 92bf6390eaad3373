"""How loud recordings are made for training, and which count as silent."""

import math

import numpy as np

#: `"peak"`, `"keep"` or a gain; see `level_gain`.
Levelling = str | float

#: Peak below which a recording counts as silent: -80 dB re full scale, below
#: the dither of a 16-bit recording of nothing.
SILENCE_PEAK = 1e-4


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
