"""Band-limited upsampling: more samples, and no images of the lower rate."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_audiogan.audio.low_pass import REACH, phases
from keras_audiogan.layers.normalized_conv import pad_time
from keras_audiogan.layers.snake import filtered


def upsampled(inputs: Any, ratio: int) -> Any:
    """Multiplies the rate of every channel, through a low-pass filter.

    As zeros between the samples and a filter after them, without the zeros;
    ends are continued by their last sample. See `audio.low_pass.phases`.

    Args:
        inputs: `(batch, time, channels)`.
        ratio: 1 or more.

    Returns:
        `(batch, ratio * time, channels)`.
    """
    if ratio == 1:
        return inputs
    x = pad_time(inputs, REACH, REACH, "replicate")
    parts = [filtered(x, taps) for taps in phases(ratio).T]
    _, time, channels = inputs.shape
    return ops.reshape(ops.stack(parts, axis=2), (-1, ratio * time, channels))
