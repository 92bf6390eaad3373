"""Strided 1-D convolutions written as dense ones, which CPUs run faster.

A convolution with stride s is a convolution with stride 1 over s times fewer
steps of s times more channels, and a transposed one the same the other way
round. Where a map has few steps, the kernel outweighs it by far, and one
matrix product over gathered columns is several times faster than either:
there no kernel is rearranged. The kernels keep Keras's layouts, so weights
are those of `keras.layers.Conv1D` and `Conv1DTranspose`, and so are the
results.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_audiogan.audio.transforms import are_products

# What "same" padding at a stride leaves no choice about.
_FIXED = ("padding", "output_padding", "data_format", "dilation_rate", "groups")
# Maps of at most so many steps (at the lower rate) and kernels of at least so
# many values go through a matrix product.
FEW_STEPS, LARGE_KERNEL = 16, 1_000_000


def multiplies(steps: int, kernel: Any) -> bool:
    """Whether a map of so many steps takes a product, not a convolution."""
    return steps <= FEW_STEPS and math.prod(kernel.shape) >= LARGE_KERNEL


def _free_config(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in _FIXED}


@keras.saving.register_keras_serializable("keras_audiogan")
class StridedConv1D(keras.layers.Conv1D):
    """A `Conv1D` with "same" padding whose length its stride divides.

    Equal to `keras.layers.Conv1D(..., padding="same")`.

    Args:
        filters: number of output channels.
        kernel_size: number of taps.
        strides: down-sampling factor.

    Input shape: `(batch, time, channels)`, time a multiple of `strides`.
    Output shape: `(batch, time // strides, filters)`.
    """

    def __init__(
        self, filters: int, kernel_size: int, strides: int, **kwargs: Any
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides=strides,
            padding="same",
            data_format="channels_last",
            **kwargs,
        )

    def call(self, inputs: Any) -> Any:
        """Returns the convolution of `inputs`."""
        (size,), (stride,) = self.kernel_size, self.strides
        length, channels = inputs.shape[1], inputs.shape[2]
        taps = -(-size // stride)
        left = max(size - stride, 0) // 2
        outputs = length // stride
        steps = outputs + taps - 1
        right = steps * stride - length - left
        x = ops.pad(inputs, [[0, 0], [left, right], [0, 0]])
        x = ops.reshape(x, (-1, steps, stride * channels))
        if multiplies(outputs, self.kernel):
            columns = [x[:, i : i + outputs] for i in range(taps)]
            last = (size - (taps - 1) * stride) * channels
            columns[-1] = columns[-1][..., :last]
            x = ops.concatenate(columns, axis=-1)
            x = ops.reshape(x, (-1, size * channels))
            x = ops.matmul(x, ops.reshape(self.kernel, (-1, self.filters)))
            x = ops.reshape(x, (-1, outputs, self.filters))
        else:
            kernel = ops.pad(
                self.kernel, [[0, taps * stride - size], [0, 0], [0, 0]]
            )
            kernel = ops.reshape(
                kernel, (taps, stride * channels, self.filters)
            )
            x = ops.conv(
                x, kernel, padding="valid", data_format="channels_last"
            )
        if self.use_bias:
            x = ops.add(x, self.bias)
        return self.activation(x) if self.activation else x

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return _free_config(super().get_config())


def transposed_convolution(
    inputs: Any, kernel: Any, stride: int, crop: int
) -> Any:
    """Returns a transposed convolution, computed as a dense one.

    Args:
        inputs: `(batch, time, channels)`.
        kernel: `(taps, filters, channels)`.
        stride: up-sampling factor.
        crop: samples cut off in front of the full result.

    Returns:
        `(batch, time * stride, filters)`: what is left over is cut off at
        the end, and zeros stand where the full result is too short.
    """
    size, filters, channels = kernel.shape
    # Output s*q + r reads input q - i through tap s*i + r + crop. The taps
    # are laid out from the first i that any r needs to the last.
    first = -((stride - 1 + crop) // stride)
    last = (size - 1 - crop) // stride
    taps = last - first + 1
    before = -(stride * first + crop)
    kernel = ops.pad(
        kernel,
        [[before, taps * stride - size - before], [0, 0], [0, 0]],
    )
    kernel = ops.reshape(kernel, (taps, stride, filters, channels))
    # `ops.flip` is many times slower.
    kernel = ops.concatenate(ops.split(kernel, taps)[::-1])
    kernel = ops.transpose(kernel, (0, 3, 1, 2))
    kernel = ops.reshape(kernel, (taps, channels, stride * filters))
    x = ops.pad(inputs, [[0, 0], [last, -first], [0, 0]])
    x = ops.conv(x, kernel, padding="valid", data_format="channels_last")
    if not are_products():
        return ops.reshape(x, (ops.shape(x)[0], -1, filters))
    # Other programs have channels first. Where time and channels change
    # places at the end alone, a converter takes the whole network there.
    x = ops.transpose(x, (0, 2, 1))
    rows = ops.shape(x)[0]
    x = ops.reshape(x, (rows, stride, filters, -1))
    x = ops.reshape(ops.transpose(x, (0, 2, 3, 1)), (rows, filters, 1, -1))
    return ops.transpose(ops.squeeze(x, 2), (0, 2, 1))


@keras.saving.register_keras_serializable("keras_audiogan")
class StridedConv1DTranspose(keras.layers.Conv1DTranspose):
    """A `Conv1DTranspose` with "same" padding.

    Equal to `keras.layers.Conv1DTranspose(..., padding="same")`: with kernel
    25 and stride 4 it crops 10 samples at the left and 11 at the right.

    Args:
        filters: number of output channels.
        kernel_size: number of taps.
        strides: up-sampling factor.

    Input shape: `(batch, time, channels)`.
    Output shape: `(batch, time * strides, filters)`.
    """

    def __init__(
        self, filters: int, kernel_size: int, strides: int, **kwargs: Any
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides=strides,
            padding="same",
            data_format="channels_last",
            **kwargs,
        )

    def call(self, inputs: Any) -> Any:
        """Returns the transposed convolution of `inputs`."""
        (size,), (stride,) = self.kernel_size, self.strides
        length = inputs.shape[1]
        crop = max(size - stride, 0) // 2
        if multiplies(length, self.kernel):
            x = self._overlap_products(inputs, crop)
        else:
            x = transposed_convolution(inputs, self.kernel, stride, crop)
        x = ops.reshape(x, (-1, length * stride, self.filters))
        if self.use_bias:
            x = ops.add(x, self.bias)
        return self.activation(x) if self.activation else x

    def _overlap_products(self, inputs: Any, crop: int) -> Any:
        """Adds what each input step gives to the outputs that it reaches."""
        (size,), (stride,) = self.kernel_size, self.strides
        length, channels = inputs.shape[1], inputs.shape[2]
        taps = -(-size // stride)
        width = stride * self.filters
        kernel = ops.reshape(self.kernel, (size * self.filters, channels))
        x = ops.matmul(
            ops.reshape(inputs, (-1, channels)), ops.transpose(kernel)
        )
        x = ops.reshape(x, (-1, length, size * self.filters))
        rest = taps * width - size * self.filters
        x = ops.pad(x, [[0, 0], [0, 0], [0, rest]])
        x = sum(
            ops.pad(part, [[0, 0], [i, taps - 1 - i], [0, 0]])
            for i, part in enumerate(ops.split(x, taps, axis=-1))
        )
        x = ops.reshape(x, (-1, (length + taps - 1) * stride, self.filters))
        return x[:, crop : crop + length * stride]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return _free_config(super().get_config())
