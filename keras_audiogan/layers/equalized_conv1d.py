"""Layers along time with an equalised learning rate; see `EqualizedConv2D`.

Karras et al., "Progressive Growing of GANs for Improved Quality, Stability,
and Variation", ICLR 2018 (arXiv:1710.10196).
"""

from __future__ import annotations

import math
from typing import Any

import keras

from keras_audiogan.layers.strided_conv import (
    StridedConv1D,
    StridedConv1DTranspose,
)


class _Equalized:
    """Mixin: a kernel that is scaled when it runs, not when it starts.

    It starts as N(0, 1) and is multiplied by `sqrt(gain / fan_in)`: an
    optimiser which normalises its steps moves all layers at the same pace.

    Args:
        gain: 2 before a (leaky) ReLU, else 1.
    """

    def __init__(self, *args: Any, gain: float = 2.0, **kwargs: Any) -> None:
        start = keras.initializers.RandomNormal(stddev=1.0)
        super().__init__(*args, kernel_initializer=start, **kwargs)
        self.gain = gain

    def build(self, input_shape: Any) -> None:
        """Makes the weights."""
        super().build(input_shape)  # type: ignore[misc]
        self.kernel_scale = math.sqrt(self.gain / self.fan_in(input_shape[-1]))

    def fan_in(self, inputs: int) -> float:
        """Returns how many numbers make one, of so many channels in."""
        return inputs * math.prod(getattr(self, "kernel_size", ()))

    @property
    def kernel(self) -> Any:
        """The kernel as it is used."""
        return self._kernel * self.kernel_scale

    @kernel.setter
    def kernel(self, variable: Any) -> None:
        # A transposed convolution of Keras has no `_kernel` of its own.
        self._kernel = variable


class EqualizedDense(_Equalized, keras.layers.Dense):
    """A `Dense` layer with an equalised learning rate."""


class EqualizedConv1D(_Equalized, keras.layers.Conv1D):
    """A `Conv1D` with an equalised learning rate."""


class EqualizedStridedConv1D(_Equalized, StridedConv1D):
    """A `StridedConv1D` with an equalised learning rate."""


class EqualizedStridedConv1DTranspose(_Equalized, StridedConv1DTranspose):
    """A `StridedConv1DTranspose` with an equalised learning rate."""

    def fan_in(self, inputs: int) -> float:
        """Returns how many numbers make one: a stride's share of the taps."""
        return super().fan_in(inputs) / self.strides[0]
