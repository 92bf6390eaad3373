"""Clips of differing lengths, placed in slices of one length."""

from collections.abc import Sequence

import numpy as np


def place_clips(
    clips: Sequence[np.ndarray], slice_length: int, starts: int | None = 0
) -> np.ndarray:
    """Returns clips (n, slice_length, 1): each from sample `starts`, cut.

    Args:
        clips: 1-D arrays.
        slice_length: Samples of every slice.
        starts: Where every clip begins, in samples; None centres it.
    """
    slices = np.zeros((len(clips), slice_length, 1), "float32")
    for row, clip in zip(slices, clips, strict=True):
        start = starts
        if start is None:
            start = max(0, (slice_length - len(clip)) // 2)
        clip = clip[: slice_length - start]
        row[start : start + len(clip), 0] = clip
    return slices
