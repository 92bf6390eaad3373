"""Snake activations between an up- and a down-sampling, against aliases."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_audiogan.audio.low_pass import NUM_TAPS, half_band
from keras_audiogan.layers.normalized_conv import pad_time

# Taps of either phase lie half of these before and after a sample.
_HALF = NUM_TAPS // 4
_RATIO = 2
_SMALLEST = 1e-9


def filtered(x: Any, taps: np.ndarray) -> Any:
    """Correlates every channel with the same few taps, along time.

    JAX fuses a sum of shifted copies; it and Keras have no quick depthwise
    convolution on a CPU. TensorFlow's is quick where time comes first of the
    two axes, and one filter is taken at a time.

    Args:
        x: `(batch, time, channels)`.
        taps: `(taps,)`.

    Returns:
        `(batch, time - taps + 1, channels)`.
    """
    if keras.backend.backend() == "jax":
        length = x.shape[1] - len(taps) + 1
        parts = [
            x[:, i : i + length] * float(tap) for i, tap in enumerate(taps)
        ]
        return sum(parts[1:], parts[0])
    channels = x.shape[-1]
    kernel = np.repeat(taps.astype("float32"), channels)
    y = ops.depthwise_conv(
        ops.expand_dims(x, 2),
        ops.cast(kernel.reshape(len(taps), 1, channels, 1), x.dtype),
        data_format="channels_last",
    )
    return ops.squeeze(y, 2)


@keras.saving.register_keras_serializable("keras_audiogan")
class AntiAliasedSnake(keras.layers.Layer):
    """`x + sin(a x)^2 / b` at twice the rate, so that it makes no aliases.

    The input is brought to twice its rate by a low-pass filter of 12 taps,
    and what comes out brought back by the same; ends are continued by their
    last sample. The samples of the double rate that stand at even and at odd
    places are kept apart, which saves the zeros between and the ordering.

    Source: Lee et al., "BigVGAN" (arXiv:2206.04658), after Ziyin et al.,
    arXiv:2006.08195, and Karras et al., arXiv:2106.12423.

    Args:
        separate: whether `b` is a weight of its own (SnakeBeta) or `a`
            (Snake).
        log_scale: whether the weights are logarithms of `a` and `b`.
        **kwargs: of `keras.layers.Layer`.

    Input shape: `(batch, time, channels)`.
    Output shape: the same.
    """

    def __init__(
        self, separate: bool = True, log_scale: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.separate = separate
        self.log_scale = log_scale

    def build(self, input_shape: Any) -> None:
        """Creates a weight, or two, for each channel."""
        start = "zeros" if self.log_scale else "ones"
        names = ("alpha", "beta") if self.separate else ("alpha",)
        weights = [
            self.add_weight((int(input_shape[-1]),), start, name=name)
            for name in names
        ]
        self.alpha, self.beta = weights[0], weights[-1]

    def _snake(self, x: Any) -> Any:
        alpha, beta = (
            ops.cast(weight, self.compute_dtype)
            for weight in (self.alpha, self.beta)
        )
        if self.log_scale:
            alpha, beta = ops.exp(alpha), ops.exp(beta)
        return x + ops.square(ops.sin(x * alpha)) * (1.0 / (beta + _SMALLEST))

    def call(self, inputs: Any) -> Any:
        """Returns the activations of `inputs`."""
        taps = half_band()
        odd, even = taps[1::2], taps[::2]

        def doubled(before: int, phase: np.ndarray) -> Any:
            after = NUM_TAPS // 2 - 1 - before
            x = pad_time(inputs, before, after, "replicate")
            # Taps run backwards: this is a transposed convolution.
            return self._snake(filtered(x, _RATIO * phase[::-1]))

        first, second = doubled(_HALF, odd), doubled(_HALF - 1, even)
        left, right = first[:, :1], second[:, -1:]

        def continued(phase: Any, before: int) -> Any:
            after = NUM_TAPS // 2 - 1 - before
            return ops.concatenate(
                [left] * before + [phase] + [right] * after, axis=1
            )

        return filtered(continued(first, _HALF - 1), odd) + filtered(
            continued(second, _HALF), even
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "separate": self.separate,
            "log_scale": self.log_scale,
        }
