"""Activations that are cheap to differentiate twice, or can be exported."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


def gelu(x: Any) -> Any:
    """The exact `keras.ops.gelu`, of an operator that ONNX has.

    TensorFlow's is made of the complementary error function.
    """
    return 0.5 * x * (1.0 + ops.erf(x * math.sqrt(0.5)))


def leaky_relu(x: Any, negative_slope: float) -> Any:
    """`keras.ops.leaky_relu`, cheap to differentiate twice.

    Under a gradient penalty TensorFlow sends zeros back through the whole
    network from every leaky ReLU; this one ends there. It is for
    discriminators: a custom gradient rides into every export.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.leaky_relu(x, negative_slope)
    import tensorflow as tf

    @tf.custom_gradient
    def scaled(upstream: Any, features: Any) -> Any:
        gradient = tf.raw_ops.LeakyReluGrad(
            gradients=upstream, features=features, alpha=negative_slope
        )
        # The slopes are constant: `features` get no gradient, where
        # TensorFlow's own would be a tensor of zeros.
        return gradient, lambda above: (scaled(above, features), None)

    @tf.custom_gradient
    def rectified(features: Any) -> Any:
        return (
            tf.nn.leaky_relu(features, negative_slope),
            lambda upstream: scaled(upstream, features),
        )

    return rectified(x)
