"""Random changes of spectrograms that a discriminator must not rely on."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_audiogan")
class SpectrogramAugment(keras.layers.Layer):
    """Shifts, level changes and cut-outs, other ones for each example.

    After "Differentiable Augmentation for Data-Efficient GAN Training"
    (arXiv:2006.10738): applied to real and to generated examples alike, with
    gradients passing through, it keeps a discriminator from learning a small
    data set by heart, and does not show in what is generated.

    Args:
        max_shift: largest shift in time, in frames, either way; what comes
            in is `fill`.
        max_gain: largest level change, in the units of the spectrogram.
        cutout: largest part of the frames and, apart from that, of the bands
            that is replaced by `fill`, 0 to below 1.
        fill: what silence looks like.
        logarithmic: whether the spectrogram is one of logarithms, to which a
            level change is added; else its exponential multiplies.

    Input and output shape: `(batch, frames, bands, channels)`.
    """

    def __init__(
        self,
        max_shift: int = 4,
        max_gain: float = 0.3,
        cutout: float = 0.2,
        fill: float = 0.0,
        logarithmic: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        if max_shift < 0 or max_gain < 0 or not 0 <= cutout < 1:
            raise ValueError(
                "`max_shift` and `max_gain` must be 0 or more, and `cutout` "
                f"in [0, 1). Received: max_shift={max_shift}, "
                f"max_gain={max_gain}, cutout={cutout}"
            )
        self.max_shift = max_shift
        self.max_gain = max_gain
        self.cutout = cutout
        self.fill = fill
        self.logarithmic = logarithmic
        self.seed_generator = keras.random.SeedGenerator()
        self.built = True

    def _uniform(self, rows: Any) -> Any:
        """A number in [-1, 1) for each example, to multiply it by."""
        return keras.random.uniform(
            (rows, 1, 1, 1), -1.0, 1.0, seed=self.seed_generator
        )

    def call(self, spectrogram: Any) -> Any:
        """Returns the changed spectrogram."""
        x = spectrogram - self.fill
        rows, frames = ops.shape(x)[0], x.shape[1]
        shift = ops.floor(self._uniform(rows) * (self.max_shift + 0.5) + 0.5)
        places = ops.reshape(ops.arange(frames, dtype="float32"), (1, -1, 1, 1))
        x = self._shifted(x, places, shift)
        gain = self._uniform(rows) * self.max_gain
        if self.logarithmic:
            # Silence stays silence: the gain fades out towards `fill`.
            x = x + gain * (1.0 - ops.exp(-ops.maximum(x, 0.0)))
        else:
            x = x * ops.exp(gain)
        for axis in (1, 2):
            x = x * self._window(rows, x.shape[axis], axis)
        return x + self.fill

    def _shifted(self, x: Any, places: Any, shift: Any) -> Any:
        source = places - shift
        last = float(x.shape[1] - 1)
        inside = ops.cast((source >= 0.0) & (source <= last), "float32")
        index = ops.cast(ops.clip(source, 0.0, last), "int32")
        index = ops.broadcast_to(index, ops.shape(x))
        return ops.take_along_axis(x, index, axis=1) * inside

    def _window(self, rows: Any, size: int, axis: int) -> Any:
        """Zero within a random part of an axis, one outside."""
        half = 0.5 * self.cutout * size * ops.abs(self._uniform(rows))
        centre = (self._uniform(rows) * 0.5 + 0.5) * size
        shape = [1, 1, 1, 1]
        shape[axis] = size
        places = ops.reshape(ops.arange(size, dtype="float32") + 0.5, shape)
        return ops.cast(ops.abs(places - centre) > half, "float32")
