"""ConvNeXt blocks along time, which work at one rate throughout."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_audiogan.layers.activations import gelu

# That of the originals, in PyTorch.
EPSILON = 1e-6


def depthwise_convolution(inputs: Any, kernel: Any) -> Any:
    """Convolves each channel with taps of its own; the length stays.

    Args:
        inputs: `(batch, time, channels)`.
        kernel: `(taps, channels)`, an odd number of taps.
    """
    taps = kernel.shape[0]
    if keras.backend.backend() != "jax":
        return ops.depthwise_conv(
            inputs, kernel[..., None], 1, "same", data_format="channels_last"
        )
    # XLA fuses shifts and products; its convolutions in so many groups are
    # slow, their gradients above all.
    time = inputs.shape[1]
    padded = ops.pad(inputs, [[0, 0], [taps // 2, taps // 2], [0, 0]])
    parts = [padded[:, i : i + time] * kernel[i] for i in range(taps)]
    return sum(parts[1:], parts[0])


def truncated_normal() -> keras.initializers.Initializer:
    """Returns the start of kernels in ConvNeXt: deviation 0.02."""
    return keras.initializers.TruncatedNormal(stddev=0.02)


@keras.saving.register_keras_serializable("keras_audiogan")
class ConvNeXtBlock(keras.layers.Layer):
    """A residual block: taps in time, then two dense layers over channels.

    A depthwise convolution, layer norm, a dense layer to more channels, GELU,
    a dense layer back, and a scale for each channel. Source: Liu et al., "A
    ConvNet for the 2020s" (arXiv:2201.03545); along time, Siuzdak, "Vocos"
    (arXiv:2306.00814).

    With `modulated` it is called with `[frames, modulation]`, and what the
    norm gives is scaled and shifted by the two halves of the modulation,
    `(batch, 2 * dim)`.

    Args:
        dim: channels.
        intermediate_dim: channels between the dense layers.
        kernel_size: taps, an odd number.
        layer_scale: where the scales of the channels start.
        modulated: see above.

    Raises:
        ValueError: if the number of taps is even.

    Input and output shape: `(batch, time, dim)`.
    """

    def __init__(
        self,
        dim: int,
        intermediate_dim: int,
        kernel_size: int = 7,
        layer_scale: float = 1.0,
        modulated: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if kernel_size % 2 == 0:
            raise ValueError(
                "`kernel_size` of a ConvNeXt block must be odd. "
                f"Received: kernel_size={kernel_size}"
            )
        self.dim = dim
        self.intermediate_dim = intermediate_dim
        self.kernel_size = kernel_size
        self.layer_scale = layer_scale
        self.modulated = modulated

        def dense(units: int, name: str) -> keras.layers.Dense:
            return keras.layers.Dense(
                units,
                kernel_initializer=truncated_normal(),
                dtype=self.dtype_policy,
                name=name,
            )

        self.norm = keras.layers.LayerNormalization(
            epsilon=EPSILON, dtype=self.dtype_policy, name="norm"
        )
        self.expand = dense(intermediate_dim, "expand")
        self.contract = dense(dim, "contract")

    def build(self, input_shape: Any) -> None:
        """Creates the variables."""
        del input_shape
        self.kernel = self.add_weight(
            (self.kernel_size, self.dim), truncated_normal(), name="kernel"
        )
        self.bias = self.add_weight((self.dim,), "zeros", name="bias")
        self.gamma = self.add_weight(
            (self.dim,),
            keras.initializers.Constant(self.layer_scale),
            name="gamma",
        )
        self.norm.build((None, None, self.dim))
        self.expand.build((None, None, self.dim))
        self.contract.build((None, None, self.intermediate_dim))

    def call(self, inputs: Any) -> Any:
        """Returns the frames with what the block adds to them."""
        frames, modulation = inputs if self.modulated else (inputs, None)
        kernel = ops.cast(self.kernel, frames.dtype)
        x = ops.add(depthwise_convolution(frames, kernel), self.bias)
        x = self.norm(x)
        if modulation is not None:
            scale, shift = ops.split(modulation[:, None], 2, axis=-1)
            x = x * (1.0 + scale) + shift
        x = gelu(self.expand(x))
        return frames + ops.multiply(self.contract(x), self.gamma)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        names = (
            "dim intermediate_dim kernel_size layer_scale modulated"
        ).split()
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **own}
