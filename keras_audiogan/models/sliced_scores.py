"""Scores whose last layer learns its direction apart (SAN).

The last layer of a discriminator is a product with a direction of length 1,
times a scale. In the form of Takida et al. (arXiv:2301.12811) the loss of the
discriminator moves the features before it and the scale, and a loss of its
own turns the direction to where real and generated features lie farthest
apart; in vocoders, Shibuya et al., "BigVSAN" (arXiv:2309.02836).

Weights are those of the ordinary layer, and so are the scores: only the
gradients of a discriminator's update differ.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from keras_audiogan.layers.normalized_conv import NormalizedConv

_collected: contextvars.ContextVar[list[Any] | None] = contextvars.ContextVar(
    "directions", default=None
)
_SHORTEST = 1e-12


@contextlib.contextmanager
def collecting_directions() -> Iterator[list[Any]]:
    """Lets `sliced_score` tell the two parts of its gradient apart.

    Yields:
        A list to which each call adds scores that only the direction of the
        last layer learns from; what it returns then leaves that direction.
    """
    found: list[Any] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


def sliced_score(layer: Any, x: Any, training: bool = False) -> Any:
    """Returns the scores of a layer with one output, float32 or as it has it.

    Args:
        layer: a `Dense` layer, or one with `effective_kernel` and
            `apply_kernel`, as `NormalizedConv1D`.
        x: its input.
        training: whether it is in training.

    Raises:
        ValueError: if it makes more than one number.
    """
    found = _collected.get()
    if found is None:
        return call_last(layer, x, training)
    is_dense = isinstance(layer, keras.layers.Dense)
    kernel = layer.kernel if is_dense else layer.effective_kernel(training)
    kernel = ops.convert_to_tensor(kernel)
    if kernel.shape[-1] != 1:
        raise ValueError(
            "The form `san` is of discriminators whose last layer makes one "
            f"number. Received: {layer.name!r}, which makes {kernel.shape[-1]}"
        )

    def score(inputs: Any, weights: Any) -> Any:
        # As Keras casts what a layer is called with.
        inputs = ops.cast(inputs, layer.compute_dtype)
        if not is_dense:
            return layer.apply_kernel(inputs, weights)
        y = ops.matmul(inputs, ops.cast(weights, layer.compute_dtype))
        return y + layer.bias if layer.use_bias else y

    still = ops.stop_gradient
    length = ops.sqrt(ops.sum(ops.square(kernel)))
    length = ops.maximum(length, _SHORTEST)
    direction = kernel / length
    found.append(score(still(x), direction * still(length)))
    return score(x, still(direction) * length)


def call_last(layer: Any, x: Any, training: bool) -> Any:
    """Calls a layer as its class takes it."""
    if isinstance(layer, NormalizedConv):
        return layer(x, training=training)
    return layer(x)
