"""SpecGAN: pictures of sound from two-dimensional transposed convolutions.

Source: Donahue, McAuley and Puckette, "Adversarial Audio Synthesis", ICLR
2019 (arXiv:1802.04208), and the authors' code, whose parameter counts and
outputs these networks reproduce. Different from it: an exponential moving
average of the generator, other lengths and transforms, and frames that are
added up by the sum of their windows unless `exact_overlap=False`.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_audiogan.layers import BatchNorm
from keras_audiogan.layers.activations import leaky_relu
from keras_audiogan.models.arguments import check_option
from keras_audiogan.models.discriminators import (
    Discriminator,
    register_discriminator,
)
from keras_audiogan.models.networks import BuiltNetwork
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.models.spectral_gan import SpectralGAN, picture_blocks
from keras_audiogan.models.wavegan import block_widths

UPSAMPLING = ("transposed", "nearest")


class PictureNetwork(BuiltNetwork):
    """Base of generators that double a small picture, block by block.

    Attributes:
        start: frames, bins and channels of the small picture.
        widths: channels that the blocks take, the widest first.
    """

    def __init__(
        self,
        slice_length: int,
        fft_length: int,
        frame_step: int,
        dim: int,
        max_channels: int | None,
        initial_std: float | None,
        dtype: Any,
        name: str,
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        num_blocks, sides = picture_blocks(slice_length, fft_length, frame_step)
        self.widths = block_widths(num_blocks, dim, max_channels)[::-1]
        self.start = (*sides, self.widths[0])
        self.strides = [2] * num_blocks
        self.initial = kernel_options(initial_std)

    def make_start(self, inputs: int) -> Any:
        """Makes the layer from `inputs` numbers to the small picture."""
        frames, bins, channels = self.start
        return self.make_dense(
            inputs, frames * bins * channels, "dense", **self.initial
        )

    def make_blocks(
        self,
        num_channels: int,
        kernel_size: int,
        batch_norm: bool,
        upsampling: str,
    ) -> None:
        """Makes the convolutions of the blocks, and what normalises them."""
        check_option("upsampling", upsampling, UPSAMPLING)
        self.upsampling = upsampling
        transposed = upsampling == "transposed"
        outputs = [*self.widths[1:], num_channels]
        self.upconvs = [
            self.make_layer(
                keras.layers.Conv2DTranspose
                if transposed
                else keras.layers.Conv2D,
                (None, None, self.widths[i]),
                filters,
                kernel_size,
                strides=2 if transposed else 1,
                padding="same",
                data_format="channels_last",
                name=f"upconv_{i}",
                **self.initial,
            )
            for i, filters in enumerate(outputs)
        ]
        self.batch_norms = [
            self.make_layer(
                BatchNorm, (None, None, width), name=f"batch_norm_{i}"
            )
            for i, width in enumerate(self.widths if batch_norm else ())
        ]

    def as_picture(self, x: Any) -> Any:
        """Returns numbers as the small picture."""
        return ops.reshape(x, (-1, *self.start))

    def normalized(self, x: Any, index: int, training: bool) -> Any:
        """Returns what block `index` takes, normalised if it shall be."""
        if not self.batch_norms:
            return x
        return self.batch_norms[index](x, training=training)

    def doubled(self, x: Any, index: int) -> Any:
        """Returns what block `index` makes of its rectified input."""
        x = ops.relu(x)
        if self.upsampling == "nearest":
            x = ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2)
        return self.upconvs[index](x)


class SpecGANGenerator(PictureNetwork):
    """Latents `(batch, latent_dim)` -> `(batch, frames, bins, channels)`.

    Args:
        slice_length: samples of a clip; see `picture_blocks` for which fit.
        num_channels: of the audio.
        latent_dim: size of a latent vector.
        dim: channels of the narrowest block; each block before it has twice
            the channels.
        kernel_size: rows and columns of every kernel.
        batch_norm: whether to normalise batches.
        upsampling: `"transposed"` convolutions, or `"nearest"` repetition
            followed by a convolution.
        max_channels: cap on the channels of any block; None for none.
        fft_length: samples in a frame; half as many bins are made.
        frame_step: samples from one frame to the next.
        initial_std: deviation of the kernels' first values, normal ones;
            None for Keras's own.

    Raises:
        ValueError: if sizes do not fit together or an option is unknown.
    """

    def __init__(
        self,
        slice_length: int = 16384,
        num_channels: int = 1,
        latent_dim: int = 100,
        dim: int = 64,
        kernel_size: int = 5,
        batch_norm: bool = False,
        upsampling: str = "transposed",
        max_channels: int | None = None,
        fft_length: int = 256,
        frame_step: int = 128,
        initial_std: float | None = None,
        dtype: Any = None,
        name: str = "generator",
    ) -> None:
        super().__init__(
            *(slice_length, fft_length, frame_step),
            *(dim, max_channels, initial_std),
            *(dtype, name),
        )
        self.dense = self.make_start(latent_dim)
        self.make_blocks(num_channels, kernel_size, batch_norm, upsampling)

    def call(self, latents: Any, training: bool = False) -> Any:
        """Returns float32 pictures in [-1, 1]."""
        x = self.as_picture(self.dense(latents))
        for i in range(len(self.upconvs)):
            x = self.doubled(self.normalized(x, i, training), i)
        return ops.tanh(ops.cast(x, "float32"))


@register_discriminator("spectrogram")
class SpecGANDiscriminator(Discriminator):
    """`(batch, frames, bins, channels)` -> one list of maps, logits last.

    Args:
        slice_length: samples of a clip; see `picture_blocks` for which fit.
        num_channels: of the audio.
        dim: channels of the narrowest block; each further one has twice as
            many.
        kernel_size: rows and columns of every kernel.
        batch_norm: whether to normalise batches.
        max_channels: cap on the channels of any block; None for none.
        fft_length: samples in a frame.
        frame_step: samples from one frame to the next.
        initial_std: deviation of the kernels' first values, normal ones;
            None for Keras's own.
        num_classes: labels that it knows; 0 for none. With labels it is a
            projection discriminator (arXiv:1802.05637): the label chooses
            weights that are added to those of the last layer.
        num_outputs: numbers that come last, 1 for a score.
    """

    # Three deviations are 1.
    view_scales = (1.0 / 3.0,)
    shares = (
        *("dim", "kernel_size", "batch_norm", "max_channels"),
        *("fft_length", "frame_step", "initial_std"),
    )

    def __init__(
        self,
        slice_length: int = 16384,
        num_channels: int = 1,
        dim: int = 64,
        kernel_size: int = 5,
        batch_norm: bool = False,
        max_channels: int | None = None,
        fft_length: int = 256,
        frame_step: int = 128,
        initial_std: float | None = None,
        num_classes: int = 0,
        num_outputs: int = 1,
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        num_blocks, sides = picture_blocks(slice_length, fft_length, frame_step)
        widths = block_widths(num_blocks, dim, max_channels)
        inputs = [num_channels, *widths]
        initial = kernel_options(initial_std)
        self.downconvs = [
            self.make_layer(
                keras.layers.Conv2D,
                (None, None, inputs[i]),
                width,
                kernel_size,
                strides=2,
                padding="same",
                data_format="channels_last",
                name=f"downconv_{i}",
                **initial,
            )
            for i, width in enumerate(widths)
        ]
        self.batch_norms = [
            self.make_layer(
                BatchNorm, (None, None, widths[i]), name=f"batch_norm_{i}"
            )
            for i in range(1, num_blocks if batch_norm else 1)
        ]
        self.num_features = sides[0] * sides[1] * widths[-1]
        self.score = self.make_dense(
            self.num_features, num_outputs, "output", dtype="float32", **initial
        )
        self.projection = None
        if num_classes:
            self.projection = self.make_dense(
                num_classes,
                self.num_features,
                use_bias=False,
                name="projection",
                dtype="float32",
                **kernel_options(0.02),
            )

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns `[[features, ..., logits]]`, logits `(batch, outputs)`."""
        del training
        (x,) = views
        features = []
        for i, downconv in enumerate(self.downconvs):
            x = downconv(x)
            if self.batch_norms and i:
                # The original's discriminator knows the batch's statistics
                # only, at every time.
                x = self.batch_norms[i - 1](x, training=True)
            x = leaky_relu(x, 0.2)
            features.append(x)
        x = ops.reshape(x, (-1, self.num_features))
        logits = self.score_of(self.score, x)
        if classes is not None and self.projection is not None:
            weights = self.projection(classes)
            x = ops.cast(x, "float32") * weights
            logits = logits + ops.sum(x, axis=-1, keepdims=True)
        features.append(logits)
        return [features]


def kernel_options(initial_std: float | None) -> dict[str, Any]:
    """Returns the options of layers whose kernels begin as asked for."""
    if initial_std is None:
        return {}
    initializer = keras.initializers.RandomNormal(stddev=initial_std)
    return {"kernel_initializer": initializer}


@register_architecture("specgan")
class SpecGAN(SpectralGAN):
    """SpecGAN, with the adversarial step of `AudioGAN`.

    At `slice_length=16384, dim=64` the networks have 19,065,345 and
    17,427,969 parameters, as the original's. Its `"spectrogram"`
    discriminator has the generator's sizes.

    Example:

    ```python
    gan = keras_audiogan.models.SpecGAN(**LogSpectrogram().fit(audio))
    gan.compile(loss="wgan-gp")
    gan.fit(audio, batch_size=64 * gan.discriminator_steps, epochs=10)
    clips = gan.sample(8, seed=0)  # (8, 16384, 1)
    ```

    Args: those of `SpecGANGenerator` and of `SpectralGAN`.
    """

    generator_class = SpecGANGenerator
    tiny = {
        "slice_length": 256,
        "sampling_rate": 8000,
        "latent_dim": 6,
        "dim": 2,
        "fft_length": 32,
        "frame_step": 16,
        "mean": [-1.5] * 17,
        "std": [0.5] * 17,
        "phase_iterations": 1,
    }
