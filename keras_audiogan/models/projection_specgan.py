"""A SpecGAN, and a DCGAN, that say what they are told.

The networks are SpecGAN's (arXiv:1802.04208) with the label as in
`projection_wavegan.py`: with the latent it modulates every block of the
generator (arXiv:1709.07871, arXiv:1802.05637), and the discriminator takes it
by projection (arXiv:1802.05637).
"""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_audiogan.models.conditional_gan import ConditionalGAN
from keras_audiogan.models.dcgan import DCGAN
from keras_audiogan.models.discriminators import Discriminator
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.models.specgan import (
    PictureNetwork,
    SpecGAN,
    kernel_options,
)
from keras_audiogan.models.spectral_gan import SpectralGAN


class ProjectionSpecGANGenerator(PictureNetwork):
    """`[latents, classes]` -> `(batch, frames, bins, channels)`.

    Args:
        slice_length: samples of a clip; see `picture_blocks` for which fit.
        num_classes: labels.
        num_channels: of the audio.
        latent_dim: size of a latent vector.
        dim: channels of the narrowest block; each block before it has twice
            the channels.
        kernel_size: rows and columns of every kernel.
        embedding_dim: size of a label's vector.
        batch_norm: whether to normalise batches.
        upsampling: `"transposed"` convolutions, or `"nearest"` repetition
            followed by a convolution.
        max_channels: cap on the channels of any block; None for none.
        fft_length: samples in a frame; half as many bins are made.
        frame_step: samples from one frame to the next.
        initial_std: deviation of the kernels' first values, normal ones;
            None for Keras's own.
    """

    def __init__(
        self,
        slice_length: int,
        num_classes: int,
        num_channels: int = 1,
        latent_dim: int = 100,
        dim: int = 64,
        kernel_size: int = 5,
        embedding_dim: int = 64,
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
        self.embedding = self.make_embedding(
            num_classes, embedding_dim, latent_dim
        )
        condition = latent_dim + embedding_dim
        self.dense = self.make_start(condition)
        self.modulations = [
            self.make_dense(
                condition,
                2 * width,
                name=f"modulation_{i}",
                **kernel_options(0.02),
            )
            for i, width in enumerate(self.widths)
        ]
        self.make_blocks(num_channels, kernel_size, batch_norm, upsampling)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns float32 pictures in [-1, 1]."""
        latents, classes = inputs
        embedding = self.embedding(classes)
        condition = ops.concatenate(
            [ops.cast(latents, embedding.dtype), embedding], axis=-1
        )
        x = self.as_picture(self.dense(condition))
        for i, modulation in enumerate(self.modulations):
            scale, shift = ops.split(
                modulation(condition)[:, None, None], 2, axis=-1
            )
            x = self.normalized(x, i, training) * (1.0 + scale) + shift
            x = self.doubled(x, i)
        return ops.tanh(ops.cast(x, "float32"))


class _Projection(SpectralGAN, ConditionalGAN):
    """What both have in common."""

    generator_class = ProjectionSpecGANGenerator

    def make_discriminator(self) -> Discriminator:
        """Builds discriminators that take the label by projection."""
        return self._side_by_side(
            self.make_discriminators(num_classes=self.num_classes)
        )


@register_architecture("projection_specgan")
class ProjectionSpecGAN(_Projection):
    """A conditional SpecGAN for words, drums and other labelled sounds.

    Example:

    ```python
    gan = keras_audiogan.models.ProjectionSpecGAN(
        labels=("yes", "no"), **LogSpectrogram().fit(audio)
    )
    gan.compile()
    gan.fit({"audio": audio, "labels": labels}, batch_size=32, epochs=100)
    clips = gan.sample(labels=["yes", "no", "yes"], seed=0)
    ```

    Args: those of `ProjectionSpecGANGenerator`, of `SpectralGAN` and of
        `ConditionalGAN`.
    """

    default_loss = "relativistic"
    tiny = {
        **SpecGAN.tiny,
        "labels": ["yes", "no", "maybe"],
        "embedding_dim": 4,
    }


@register_architecture("projection_dcgan")
class ProjectionDCGAN(_Projection):
    """A conditional DCGAN; used as `ProjectionSpecGAN` is.

    Args: those of `ProjectionSpecGANGenerator`, of `SpectralGAN` and of
        `ConditionalGAN`.
    """

    default_arguments = DCGAN.default_arguments
    default_loss = DCGAN.default_loss
    tiny = ProjectionSpecGAN.tiny
