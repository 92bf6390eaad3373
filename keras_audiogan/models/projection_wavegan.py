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

from keras_audiogan.layers import StridedConv1DTranspose
from keras_audiogan.models.conditional_gan import ConditionalGAN, check_labels
from keras_audiogan.models.discriminators import SpectralDiscriminator
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.models.wavegan import (
    NUM_START_FRAMES,
    block_strides,
    block_widths,
)


class ProjectionWaveGANGenerator(keras.Model):
    """`[latents, classes]` -> audio `(batch, time, channels)`.

    Args: see `ProjectionWaveGAN`.
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
        dtype: Any = None,
        name: str = "generator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        policy = self.dtype_policy
        self.strides = block_strides(slice_length)
        widths = block_widths(len(self.strides), dim, None)[::-1]
        outputs = [*widths[1:], num_channels]
        self.num_start_channels = widths[0]
        self.embedding = keras.layers.Dense(
            embedding_dim, use_bias=False, name="embedding", dtype=policy
        )
        self.dense = keras.layers.Dense(
            NUM_START_FRAMES * widths[0], name="dense", dtype=policy
        )
        self.modulations = [
            keras.layers.Dense(
                2 * width,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
                name=f"modulation_{i}",
                dtype=policy,
            )
            for i, width in enumerate(widths)
        ]
        self.upconvs = [
            StridedConv1DTranspose(
                filters, kernel_size, stride, name=f"upconv_{i}", dtype=policy
            )
            for i, (filters, stride) in enumerate(
                zip(outputs, self.strides, strict=True)
            )
        ]
        self.build(None)
        with keras.name_scope(self.name, caller=self):
            self.embedding.build((None, num_classes))
            condition = (None, latent_dim + embedding_dim)
            self.dense.build(condition)
            length = NUM_START_FRAMES
            for modulation, upconv, width, stride in zip(
                self.modulations,
                self.upconvs,
                widths,
                self.strides,
                strict=True,
            ):
                modulation.build(condition)
                upconv.build((None, length, width))
                length *= stride

    def build(self, input_shape: Any) -> None:
        """Marks the model as built; the constructor builds the layers."""
        del input_shape
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns float32 audio in [-1, 1]."""
        del training
        latents, classes = inputs
        embedding = self.embedding(classes)
        condition = ops.concatenate(
            [ops.cast(latents, embedding.dtype), embedding], axis=-1
        )
        x = self.dense(condition)
        x = ops.reshape(x, (-1, NUM_START_FRAMES, self.num_start_channels))
        for modulation, upconv in zip(
            self.modulations, self.upconvs, strict=True
        ):
            scale, shift = ops.split(modulation(condition)[:, None], 2, axis=-1)
            x = upconv(ops.relu(x * (1.0 + scale) + shift))
        return ops.tanh(ops.cast(x, "float32"))


@register_architecture("projection_wavegan")
class ProjectionWaveGAN(ConditionalGAN):
    """A conditional WaveGAN for words, drums and other labelled sounds.

    It is the conditional architecture to begin with: see `MODEL_CARDS.md`
    for what it reaches beside the others.

    Example:

    ```python
    gan = keras_audiogan.models.ProjectionWaveGAN(labels=("yes", "no"))
    gan.compile()
    gan.fit({"audio": audio, "labels": labels}, batch_size=32, epochs=100)
    clips = gan.sample(labels=["yes", "no", "yes"], seed=0)
    ```

    Args:
        labels: names of the classes, two or more.
        slice_length: samples in a clip: `16 * 4**n` or `32 * 4**n`.
        num_channels: 1 for mono, 2 for stereo, or any other count.
        sampling_rate: in Hz.
        latent_dim: size of a latent vector.
        dim: channels of the generator's narrowest block; each block before
            it has twice the channels.
        kernel_size: taps of the generator's convolutions.
        embedding_dim: size of a label's vector in the generator.
        spectral_dim: channels of the discriminator's first convolution.
        num_mel_bins: bands that the discriminator sees.
        fft_length: window that it sees through, in samples.
        frame_step: hop of that window, in samples.
        min_frequency: lower edge of its lowest band, in Hz.
        augment: strength of the augmentation of what the discriminator
            sees: 1 for shifts of an eighth of the clip and cut-outs of a
            fifth, 0 for none.
        ema_momentum: see `AudioGAN`.
        level: how training files are levelled: `"peak"`, `"keep"` or a gain.
        dtype: dtype policy of the networks.
        name: name of the model.

    Raises:
        ValueError: if the length or an option is out of its range.
    """

    def __init__(
        self,
        labels: tuple[str, ...] | list[str] | None = None,
        slice_length: int = 16384,
        num_channels: int = 1,
        sampling_rate: int = 16000,
        latent_dim: int = 100,
        dim: int = 24,
        kernel_size: int = 25,
        embedding_dim: int = 64,
        spectral_dim: int = 32,
        num_mel_bins: int = 64,
        fft_length: int = 256,
        frame_step: int = 128,
        min_frequency: float = 40.0,
        augment: float = 1.0,
        ema_momentum: float = 0.999,
        level: str | float = "peak",
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        check_labels(labels)
        if not 0.0 <= augment <= 4.0:
            raise ValueError(
                f"`augment` must be in [0, 4]. Received: augment={augment}"
            )
        num_classes = len(labels or ())
        self._options: dict[str, Any] = {
            "dim": dim,
            "kernel_size": kernel_size,
            "embedding_dim": embedding_dim,
        }
        self._critic_options: dict[str, Any] = {
            "num_mel_bins": num_mel_bins,
            "fft_length": fft_length,
            "frame_step": frame_step,
            "min_frequency": min_frequency,
        }
        self.spectral_dim = spectral_dim
        self.augment = augment

        def generator(network_name: str) -> ProjectionWaveGANGenerator:
            return ProjectionWaveGANGenerator(
                slice_length,
                num_classes,
                num_channels,
                latent_dim,
                **self._options,
                dtype=dtype,
                name=network_name,
            )

        discriminator = SpectralDiscriminator(
            slice_length,
            num_channels,
            sampling_rate,
            spectral_dim,
            **self._critic_options,
            num_classes=num_classes,
            augment=augment,
            dtype=dtype,
            name="discriminator",
        )
        super().__init__(
            generator=generator("generator"),
            discriminator=discriminator,
            ema_generator=generator("ema_generator"),
            slice_length=slice_length,
            sampling_rate=sampling_rate,
            num_channels=num_channels,
            latent_dim=latent_dim,
            labels=labels,
            level=level,
            ema_momentum=ema_momentum,
            dtype=dtype,
            name=name,
        )

    def compile(
        self, loss: Any = "relativistic", *args: Any, **kwargs: Any
    ) -> None:
        """Chooses the loss and the optimisers; see `AudioGAN.compile`."""
        super().compile(loss, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        return {
            **super().get_config(),
            **self._options,
            **self._critic_options,
            "spectral_dim": self.spectral_dim,
            "augment": self.augment,
        }
