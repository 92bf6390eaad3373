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

from keras_audiogan.audio.transforms import are_products


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
    if (
        are_products()
        and len(kernel.shape) == 3
        and strides == 1
        and isinstance(dilation_rate, int)
        and dilation_rate > 1
        and inputs.shape[-1] == kernel.shape[-2]
    ):
        return _dilated(inputs, kernel, dilation_rate, padding)
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


def _dilated(inputs: Any, kernel: Any, dilation: int, padding: str) -> Any:
    """A dilated convolution as one operator of a graph for others.

    Of one axis TensorFlow would fold the time, convolve, and unfold it: a
    dozen operators, which no other program puts together again.
    """
    import tensorflow as tf

    # ONNX knows "same" for convolutions without dilation alone.
    reach = (kernel.shape[0] - 1) * dilation if padding == "same" else 0
    sides = [reach // 2, reach - reach // 2]
    made = tf.nn.conv2d(
        tf.expand_dims(inputs, 1),
        tf.expand_dims(kernel, 0),
        strides=1,
        padding=[[0, 0], [0, 0], sides, [0, 0]],
        dilations=[1, 1, dilation, 1],
    )
    # A slice would keep the layouts on either side from being made one.
    return tf.squeeze(made, 1)
