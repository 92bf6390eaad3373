"""What the conditional WaveGANs of 4,096 samples have in common.

The generator and the waveform discriminator are those of J. Hill's
conditional audio GANs (4,096 samples at 4,096 Hz), for any number of labels
and any length that WaveGAN has.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_audiogan.models.arguments import check_option
from keras_audiogan.models.conditional_gan import ConditionalGAN
from keras_audiogan.models.wavegan import (
    NUM_START_FRAMES,
    UpsamplingNetwork,
    WaveGAN,
)

FIRST_LAYERS = ("report", "planes")


class LabelledGenerator(UpsamplingNetwork):
    """`[latents, classes]` -> audio `(batch, time, channels)`.

    With `first_layer="report"` the latents become one frame of as many
    numbers as the first block has (4,096 of them, the label's included), and
    a dense layer, written there as a transposed convolution of one frame to
    16, follows. It holds 16.8 of the 18.3 million parameters. With
    `first_layer="planes"` the latents become the 16 frames at once, as in
    WaveGAN, and the label is a constant channel for each class beside them.

    Args:
        slice_length: `16 * 4**n` or `32 * 4**n` samples.
        num_classes: labels.
        num_channels: of the audio.
        latent_dim: size of a latent vector.
        dim: channels of the narrowest block; each further block has twice
            the channels.
        kernel_size: taps of the blocks' convolutions.
        first_layer: see above.
        upsampling: `"transposed"` convolutions, `"nearest"` repetition
            followed by a convolution, or `"band_limited"`; see
            `UpsamplingNetwork`.

    Raises:
        ValueError: if `first_layer` is unknown, or there are more labels
            than the first block has numbers.
    """

    def __init__(
        self,
        slice_length: int,
        num_classes: int,
        num_channels: int = 1,
        latent_dim: int = 100,
        dim: int = 32,
        kernel_size: int = 25,
        first_layer: str = "report",
        upsampling: str = "transposed",
        dtype: Any = None,
        name: str = "generator",
    ) -> None:
        super().__init__(slice_length, dim, None, dtype, name, upsampling)
        check_option("first_layer", first_layer, FIRST_LAYERS)
        numbers = NUM_START_FRAMES * self.widths[0]
        in_report = first_layer == "report"
        if in_report and numbers <= num_classes:
            raise ValueError(
                'With first_layer="report" there must be fewer labels than '
                f"the {numbers} numbers of the first block. "
                f"Received: {num_classes} labels"
            )
        self.dense = self.make_dense(
            latent_dim, numbers - num_classes if in_report else numbers, "dense"
        )
        self.start = None
        if in_report:
            # A transposed convolution of one frame is a product.
            self.start = self.make_layer(
                keras.layers.EinsumDense,
                (numbers,),
                "bi,itc->btc",
                (NUM_START_FRAMES, self.widths[0]),
                bias_axes="c",
                name="start",
            )
        self.upconvs = self.make_upconvs(
            num_channels, kernel_size, 0 if in_report else num_classes
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns float32 audio in [-1, 1]."""
        del training
        latents, classes = inputs
        x = self.dense(latents)
        if self.start is not None:
            x = ops.concatenate([x, ops.cast(classes, x.dtype)], axis=-1)
            x = self.start(ops.relu(x))
        else:
            x = ops.relu(beside_planes(self.as_frames(x), classes))
        for i, upconv in enumerate(self.upconvs):
            x = self.lengthened(i, x)
            x = upconv(ops.relu(x) if i else x)
        return ops.tanh(ops.cast(x, "float32"))


class LabelledWaveGAN(ConditionalGAN):
    """A `LabelledGenerator` and discriminators; a subclass says which.

    The spectral discriminator's defaults are those for 4,096 Hz: 32 bands
    through a window of 128 samples and a hop of 64, augmented.

    Example:

    ```python
    gan = keras_audiogan.models.ConcatWaveGAN(labels=("zero", "one"))
    gan.compile()
    gan.fit({"audio": audio, "labels": labels}, batch_size=320, epochs=100)
    clips = gan.sample(labels=["zero", "one", "zero"], seed=0)
    ```

    Args: those of `LabelledGenerator` and of `ConditionalGAN`.
    """

    generator_class = LabelledGenerator
    default_arguments = {"slice_length": 4096, "sampling_rate": 4096}
    discriminator_defaults = {
        "spectral": {
            "num_mel_bins": 32,
            "fft_length": 128,
            "frame_step": 64,
            "augment": 1.0,
        }
    }
    tiny = {**WaveGAN.tiny, "labels": ["yes", "no", "maybe"]}
    deterministic = WaveGAN.deterministic


def planes(view: Any, classes: Any) -> Any:
    """Returns classes as `(batch, 1, ..., num_classes)`, fit for a view."""
    between = [1] * (len(view.shape) - 2)
    classes = ops.cast(classes, view.dtype)
    return ops.reshape(classes, [-1, *between, classes.shape[-1]])


def beside_planes(view: Any, classes: Any) -> Any:
    """Adds a constant channel for each class behind those of a view.

    The classes are weights, `(batch, num_classes)`.
    """
    added = planes(view, classes)
    shape = (*ops.shape(view)[:-1], added.shape[-1])
    return ops.concatenate([view, ops.broadcast_to(added, shape)], axis=-1)
