"""Clips after one another, and round and round, with cross-fades."""

from collections.abc import Iterable, Iterator

import numpy as np

from keras_audiogan.audio.files import with_channels


def join_clips(
    clips: Iterable[np.ndarray], crossfade: int, loop: bool = False
) -> Iterator[np.ndarray]:
    """Joins clips into one sound, in the memory of two of them.

    Neighbours overlap with equal power: the one fades out as a cosine, the
    other in as a sine.

    Args:
        clips: arrays `(time, channels)` or `(time,)` in [-1, 1], of equal
            numbers of channels.
        crossfade: samples of the overlap; at most half of the shortest clip
            is used at a join.
        loop: whether the last clip also fades into the first, so that the
            whole can be repeated without a seam. The sound then begins where
            the first clip has faded in. One clip alone becomes a loop.

    Yields:
        Float32 blocks `(time, channels)`.

    Raises:
        ValueError: if `crossfade` is negative, or there are no clips.
    """
    if crossfade < 0:
        raise ValueError(
            f"`crossfade` must be 0 or more samples. Received: {crossfade}"
        )
    head = tail = None
    for clip in clips:
        sound = with_channels(clip)
        fade = min(crossfade, len(sound) // 2)
        if tail is None:
            if loop:
                head, sound = sound[:fade], sound[fade:]
        else:
            fade = min(fade, len(tail))
            yield tail[: len(tail) - fade]
            yield _mix(tail[len(tail) - fade :], sound[:fade])
            sound = sound[fade:]
        # What the next clip may overlap with; its own start is spent.
        keep = min(crossfade, len(sound))
        yield sound[: len(sound) - keep]
        tail = sound[len(sound) - keep :]
    if tail is None:
        raise ValueError("There must be one clip or more to join.")
    if head is None:
        yield tail
        return
    fade = min(len(head), len(tail))
    yield tail[: len(tail) - fade]
    # Where the tail is shorter, the start of the head is heard from there on.
    yield _mix(tail[len(tail) - fade :], head[len(head) - fade :])


def seams(num_samples: int, clip_length: int, crossfade: int) -> np.ndarray:
    """Returns where the overlaps begin in what `join_clips` made.

    Args:
        num_samples: of the whole; overlaps that it ends in are left out.
        clip_length: samples of every clip.
        crossfade: samples of the overlap, at most half a clip.
    """
    step = clip_length - crossfade
    return np.arange(step, num_samples - crossfade, step)


def faded_out(
    blocks: Iterable[np.ndarray], num_samples: int, fade: int
) -> Iterator[np.ndarray]:
    """Cuts a sound off after so many samples, and fades its end out.

    Args:
        blocks: `(time, channels)`, one after another.
        num_samples: that are kept.
        fade: the last of them, which fade as a cosine.

    Yields:
        Float32 blocks `(time, channels)`.
    """
    left = num_samples
    for block in blocks:
        kept = block[:left]
        # Samples to the end, at each sample.
        places = left - 0.5 - np.arange(len(kept))
        if left - len(kept) < fade:
            gain = np.sin(np.minimum(places / fade, 1.0) * (np.pi / 2))
            kept = np.asarray(kept * gain[:, None], "float32")
        if len(kept):
            yield kept
        left -= len(kept)
        if not left:
            return


def _mix(end: np.ndarray, start: np.ndarray) -> np.ndarray:
    angle = (np.arange(len(end)) + 0.5) / max(1, len(end)) * (np.pi / 2)
    fading = end * np.cos(angle)[:, None] + start * np.sin(angle)[:, None]
    return np.asarray(np.clip(fading, -1.0, 1.0), "float32")
