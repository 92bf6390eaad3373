"""Convolutions in groups, at the speed of the backend's own kernels.

Keras sends grouped convolutions on TensorFlow through XLA, since they once
failed on a CPU. They no longer do, in either direction, and are 20 to 100
times faster without: `benchmarks/README.md` has the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


def convolve(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
) -> Any:
    """Returns a convolution, channels last, in as many groups as fit.

    It is called as `keras.ops.conv`; the kernel is `(..., channels // groups,
    filters)`.
    """
    in_groups = inputs.shape[-1] != kernel.shape[-2]
    if in_groups and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.nn.convolution(
            inputs, kernel, strides, padding.upper(), dilations=dilation_rate
        )
    return ops.conv(
        inputs,
        kernel,
        strides,
        padding,
        data_format="channels_last",
        dilation_rate=dilation_rate,
    )
