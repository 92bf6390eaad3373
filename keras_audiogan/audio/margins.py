"""What frames add to a sound on either side. Nothing here needs NumPy."""

from __future__ import annotations


def margin(fft_length: int, frame_step: int, padding: str) -> int:
    """Returns how many samples are added on either side of the sound.

    Half a transform with `"center"`; `(fft_length - frame_step) / 2` with
    `"same"` and `"middle"`.

    Raises:
        ValueError: If `padding` is unknown.
    """
    if padding == "center":
        return fft_length // 2
    if padding in ("same", "middle"):
        # Rounded towards zero, as the vocoders' `int((n_fft - hop) / 2)`.
        return int((fft_length - frame_step) / 2)
    raise ValueError(
        '`padding` must be "center", "same", "middle", "end" or "none". '
        f"Received: padding={padding!r}"
    )
