"""A WaveGAN that says what it is told, with what has been learnt since.

The generator is WaveGAN's (arXiv:1802.04208) with the label and the latent
modulating every block (feature-wise scale and shift, arXiv:1709.07871, after
the conditional normalisation of arXiv:1802.05637 and the latent's shortcuts
of arXiv:1809.11096). The discriminator looks at a log-mel spectrogram
and takes the label by projection (arXiv:1802.05637); the loss is relativistic
with gradient penalties on real and generated examples (arXiv:2501.05441);
what the discriminator sees is augmented (arXiv:2006.10738), since sets of
recorded words are small.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_audiogan.models.conditional_gan import ConditionalGAN
from keras_audiogan.models.discriminators import Discriminator
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.models.wavegan import (
    NUM_START_FRAMES,
    UpsamplingNetwork,
    WaveGAN,
)


class ProjectionWaveGANGenerator(UpsamplingNetwork):
    """`[latents, classes]` -> audio `(batch, time, channels)`.

    Args:
        slice_length: `16 * 4**n` or `32 * 4**n` samples.
        num_classes: labels.
        num_channels: of the audio.
        latent_dim: size of a latent vector.
        dim: channels of the narrowest block; each block before it has twice
            the channels.
        kernel_size: taps of the blocks' convolutions.
        embedding_dim: size of a label's vector.
        upsampling: `"transposed"` convolutions, `"nearest"` repetition
            followed by a convolution, or `"band_limited"`; see
            `UpsamplingNetwork`.
    """

    def __init__(
        self,
        slice_length: int,
        num_classes: int,
        num_channels: int = 1,
        latent_dim: int = 100,
        dim: int = 24,
        kernel_size: int = 25,
        embedding_dim: int = 64,
        upsampling: str = "transposed",
        dtype: Any = None,
        name: str = "generator",
    ) -> None:
        super().__init__(slice_length, dim, None, dtype, name, upsampling)
        self.embedding = self.make_embedding(
            num_classes, embedding_dim, latent_dim
        )
        condition = latent_dim + embedding_dim
        self.dense = self.make_dense(
            condition, NUM_START_FRAMES * self.widths[0], "dense"
        )
        self.modulations = [
            self.make_dense(
                condition,
                2 * width,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
                name=f"modulation_{i}",
            )
            for i, width in enumerate(self.widths)
        ]
        self.upconvs = self.make_upconvs(num_channels, kernel_size)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns float32 audio in [-1, 1]."""
        del training
        latents, classes = inputs
        embedding = self.embedding(classes)
        condition = ops.concatenate(
            [ops.cast(latents, embedding.dtype), embedding], axis=-1
        )
        x = self.as_frames(self.dense(condition))
        for i, (modulation, upconv) in enumerate(
            zip(self.modulations, self.upconvs, strict=True)
        ):
            scale, shift = ops.split(modulation(condition)[:, None], 2, axis=-1)
            x = self.lengthened(i, x * (1.0 + scale) + shift)
            x = upconv(ops.relu(x))
        return ops.tanh(ops.cast(x, "float32"))


@register_architecture("projection_wavegan")
class ProjectionWaveGAN(ConditionalGAN):
    """A conditional WaveGAN for words, drums and other labelled sounds.

    `STFTGAN` is the conditional architecture to begin with: see
    `MODEL_CARDS.md` for what both reach.

    Example:

    ```python
    gan = keras_audiogan.models.ProjectionWaveGAN(labels=("yes", "no"))
    gan.compile()
    gan.fit({"audio": audio, "labels": labels}, batch_size=32, epochs=100)
    clips = gan.sample(labels=["yes", "no", "yes"], seed=0)
    ```

    Args: those of `ProjectionWaveGANGenerator` and of `ConditionalGAN`.
    """

    generator_class = ProjectionWaveGANGenerator
    default_arguments = {
        "discriminators": [{"kind": "spectral", "augment": 1.0}]
    }
    discriminator_defaults = {"spectral": {"augment": 1.0}}
    default_loss = "relativistic"
    tiny = {
        **WaveGAN.tiny,
        "labels": ["yes", "no", "maybe"],
        "embedding_dim": 4,
        "discriminators": [
            {
                "kind": "spectral",
                "dim": 2,
                "num_mel_bins": 16,
                "fft_length": 64,
                "frame_step": 16,
            }
        ],
    }
    deterministic = {
        "discriminators": [{**tiny["discriminators"][0], "augment": 0.0}]
    }

    def make_discriminator(self) -> Discriminator:
        """Builds discriminators that take the label by projection."""
        return self._side_by_side(
            self.make_discriminators(num_classes=self.num_classes)
        )
