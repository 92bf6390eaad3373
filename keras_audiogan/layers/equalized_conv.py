"""Convolutions with an equalised learning rate, and what goes with them.

Karras et al., "Progressive Growing of GANs for Improved Quality, Stability,
and Variation", ICLR 2018 (arXiv:1710.10196).
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

PADDINGS = ("same", "valid", "full")


class EqualizedConv2D(keras.layers.Layer):
    """A convolution whose kernel is scaled when it runs, not when it starts.

    The kernel starts as N(0, 1) and is multiplied by
    `sqrt(gain / fan_in)`, so that an optimiser which normalises its steps
    moves all layers at the same pace.

    Args:
        filters: Channels out.
        kernel_size: Height and width.
        padding: `"same"`, `"valid"`, or `"full"`: zeros all around a picture
            of one pixel, which grows to the size of the kernel.
        gain: 2 before a (leaky) ReLU, else 1.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int],
        padding: str = "same",
        gain: float = 2.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if padding not in PADDINGS:
            raise ValueError(
                f"`padding` must be one of {PADDINGS}. "
                f"Received: padding={padding!r}"
            )
        self.filters = filters
        self.kernel_size = tuple(kernel_size)
        self.padding = padding
        self.gain = gain

    def build(self, input_shape: Any) -> None:
        """Makes the kernel and the bias."""
        shape = (*self.kernel_size, input_shape[-1], self.filters)
        self.kernel = self.add_weight(
            shape=shape,
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.filters,), initializer="zeros", name="bias"
        )
        self.kernel_scale = math.sqrt(self.gain / math.prod(shape[:-1]))

    def call(self, x: Any) -> Any:
        """Returns `(batch, height, width, filters)`."""
        return self.apply_kernel(x, self.effective_kernel())

    def effective_kernel(self, training: bool = False) -> Any:
        """Returns the kernel that inputs are convolved with."""
        del training
        return self.kernel * ops.cast(self.kernel_scale, self.compute_dtype)

    def apply_kernel(self, x: Any, kernel: Any) -> Any:
        """Returns the convolution of `x` with a kernel of this shape."""
        if self.padding == "full":
            # Each tap meets the one pixel once, the last tap first.
            kernel = ops.flip(kernel, axis=(0, 1))
            x = ops.einsum("bz,hwzc->bhwc", x[:, 0, 0], kernel)
        else:
            x = ops.conv(
                x, kernel, padding=self.padding, data_format="channels_last"
            )
        return x + self.bias


def pixel_norm(x: Any, epsilon: float = 1e-8) -> Any:
    """Divides by the root mean square over the channels, in float32."""
    wide = ops.cast(x, "float32")
    power = ops.mean(ops.square(wide), axis=-1, keepdims=True)
    return ops.cast(wide * ops.rsqrt(power + epsilon), x.dtype)


def beside_deviation(x: Any) -> Any:
    """Adds a channel with the mean deviation over the batch.

    A batch whose pictures are all alike shows by it.
    """
    wide = ops.cast(x, "float32")
    variance = ops.var(wide, axis=0)
    deviation = ops.mean(ops.sqrt(variance + 1e-6))
    plane = ops.cast(ops.ones_like(x[..., :1]), "float32") * deviation
    return ops.concatenate([x, ops.cast(plane, x.dtype)], axis=-1)


def doubled(x: Any, times: int = 1) -> Any:
    """Repeats each pixel in both directions, to twice the size `times`."""
    if not times:
        return x
    factor = 2**times
    height, width, channels = x.shape[1:]
    x = ops.broadcast_to(
        x[:, :, None, :, None],
        (ops.shape(x)[0], height, factor, width, factor, channels),
    )
    return ops.reshape(x, (-1, height * factor, width * factor, channels))


def halved(x: Any, times: int = 1) -> Any:
    """Takes the mean of pixels, to half the size in both directions."""
    if not times:
        return x
    factor = 2**times
    height, width, channels = x.shape[1:]
    shape = (-1, height // factor, factor, width // factor, factor, channels)
    return ops.mean(ops.reshape(x, shape), axis=(2, 4))
