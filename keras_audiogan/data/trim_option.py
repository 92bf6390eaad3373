"""How silence is trimmed, as it is asked for; the standard library alone."""

#: `"off"`, or what counts as silence in dB re the peak of its file.
Trimming = str | float

DEFAULT_TRIM = -60.0

_QUIETEST, _LOUDEST = -150.0, -1.0


def as_trim(value: Trimming) -> Trimming:
    """Returns a way of trimming in one form: `"off"`, or dB below 0.

    60 and -60 are the same: 60 dB below the peak.

    Raises:
        ValueError: If it is neither `"off"` nor from 1 to 150 dB.
    """
    if value == "off":
        return "off"
    if isinstance(value, int | float) and not isinstance(value, bool):
        decibels = -abs(float(value))
        if _QUIETEST <= decibels <= _LOUDEST:
            return decibels
    raise ValueError(
        '`trim` must be "off" or what counts as silence in dB below the '
        f"file's peak, from 1 to 150. Received: trim={value!r}"
    )
