"""Activations that are cheap to differentiate twice."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


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
