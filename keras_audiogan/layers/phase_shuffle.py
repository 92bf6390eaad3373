"""Phase shuffle: a random shift in time, which hides absolute phase."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_audiogan")
class PhaseShuffle(keras.layers.Layer):
    """Shifts its input in time by a random whole number of steps.

    One shift in `[-radius, radius]` is drawn for the whole batch at every
    call with `training=True`; the ends are filled by reflection. Without
    training, or with radius 0, the input passes unchanged.

    Source: WaveGAN (Donahue et al. 2019, arXiv:1802.04208), section 3.3. As
    in its code, and unlike the paper's text, the shift is common to a batch.

    Args:
        radius: the largest shift, in time steps of the input.
        seed: seed of the shifts.

    Input and output shape: `(batch, time, channels)`.
    """

    def __init__(
        self, radius: int = 2, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.built = True
        if radius < 0:
            raise ValueError(
                f"`radius` must be 0 or more. Received: radius={radius}"
            )
        self.radius = radius
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns `inputs`, shifted when `training`."""
        if not training or self.radius == 0:
            return inputs
        shift = keras.random.randint(
            (), 0, 2 * self.radius + 1, seed=self.seed_generator
        )
        padded = ops.pad(
            inputs,
            [[0, 0], [self.radius, self.radius], [0, 0]],
            mode="reflect",
        )
        return ops.slice(padded, ops.stack([0, shift, 0]), ops.shape(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns `input_shape`."""
        return input_shape
