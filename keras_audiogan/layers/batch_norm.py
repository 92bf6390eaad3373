"""Batch normalisation that can be differentiated twice."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_audiogan")
class BatchNorm(keras.layers.BatchNormalization):
    """A `BatchNormalization` over the last axis whose slopes have slopes.

    Same weights and results as Keras's. On TensorFlow, Keras takes the
    variance around a mean that is cut off from the gradient: right for the
    first derivative, wrong for the second, which gradient penalties need.

    Input and output shape: `(..., channels)`.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns `inputs` normalised by the batch's or moving statistics."""
        x = ops.cast(inputs, "float32")
        if training and self.trainable:
            axes = tuple(range(len(x.shape) - 1))
            mean = ops.mean(x, axis=axes)
            variance = ops.mean(ops.square(x - mean), axis=axes)
            for moving, value in (
                (self.moving_mean, mean),
                (self.moving_variance, variance),
            ):
                old = ops.convert_to_tensor(moving)
                moving.assign(
                    old * self.momentum + value * (1.0 - self.momentum)
                )
        else:
            mean = ops.cast(self.moving_mean, "float32")
            variance = ops.cast(self.moving_variance, "float32")
        x = ops.batch_normalization(
            x,
            mean,
            variance,
            axis=-1,
            offset=ops.cast(self.beta, "float32"),
            scale=ops.cast(self.gamma, "float32"),
            epsilon=self.epsilon,
        )
        return ops.cast(x, self.compute_dtype)
