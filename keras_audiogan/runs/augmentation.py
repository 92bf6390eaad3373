"""Random changes to training clips, for classifiers."""

from typing import NamedTuple

import numpy as np


class Augmentation(NamedTuple):
    """Strengths of the random changes made to training clips.

    Attributes:
        max_speed_change: Speed and pitch change by up to this fraction.
        max_shift: Clips start up to this many seconds late.
        min_gain: Lowest random gain; the highest is 1.
        max_noise: Loudest added white noise, as a fraction of full scale.
        anywhere: Fraction of clips put anywhere in the slice.
    """

    max_speed_change: float = 0.1
    max_shift: float = 0.1
    min_gain: float = 0.1
    max_noise: float = 0.02
    anywhere: float = 0.2


def augment_clip(
    clip: np.ndarray,
    slice_length: int,
    sampling_rate: int,
    options: Augmentation,
    random: np.random.Generator,
) -> np.ndarray:
    """Returns one randomly changed slice (slice_length,) of a clip.

    Args:
        clip: Samples (time,) at a peak of about 1.
        slice_length: Samples of the slice.
        sampling_rate: In Hz.
        options: Strengths of the changes.
        random: Where chance comes from.
    """
    speed = 1 + options.max_speed_change * random.uniform(-1, 1)
    positions = np.arange(0, len(clip) - 1, speed)
    clip = np.interp(positions, np.arange(len(clip)), clip)
    draw = random.uniform()
    if draw < options.anywhere:
        start = int(random.integers(max(1, slice_length - len(clip))))
    elif draw < (1 + options.anywhere) / 2:
        latest = min(int(options.max_shift * sampling_rate), slice_length // 2)
        start = int(random.integers(latest + 1))
    else:
        start = 0
    noise_level = options.max_noise * 10 ** random.uniform(-3, 0)
    noise = noise_level * random.standard_normal(slice_length)
    if random.uniform() < 0.5:
        # Generators are silent after the word: noise in half the clips
        # stops where the word does, so that neither end is a giveaway.
        noise[start + len(clip) :] = 0
    piece = clip[: slice_length - start]
    noise[start : start + len(piece)] += piece
    return (noise * random.uniform(options.min_gain, 1)).astype("float32")


def augment_batch(
    batch: np.ndarray,
    sampling_rate: int,
    options: Augmentation,
    random: np.random.Generator,
) -> np.ndarray:
    """Returns a batch of slices, each randomly changed.

    Args:
        batch: Slices (rows, slice_length, channels); zeros at the end of
            one do not count as part of its clip. Channels are averaged.
        sampling_rate: In Hz.
        options: Strengths of the changes.
        random: Where chance comes from.

    Returns:
        float32 array of the same shape.
    """
    changed = np.empty_like(batch)
    for out, slice_ in zip(changed, batch, strict=True):
        mono = slice_.mean(axis=1)
        sounding = np.flatnonzero(mono)
        end = sounding[-1] + 1 if len(sounding) else len(mono)
        out[:] = augment_clip(
            mono[:end], len(mono), sampling_rate, options, random
        )[:, np.newaxis]
    return changed
