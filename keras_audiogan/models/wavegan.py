"""WaveGAN: raw audio from a transposed-convolution generator.

Source: Donahue, McAuley and Puckette, "Adversarial Audio Synthesis", ICLR
2019 (arXiv:1802.04208), and the authors' code, whose parameter counts and
outputs these networks reproduce. Different from it: an exponential moving
average of the generator, and slice lengths that the original does not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from keras_audiogan.layers import (
    BatchNorm,
    PhaseShuffle,
    StridedConv1D,
    StridedConv1DTranspose,
)
from keras_audiogan.layers.activations import leaky_relu
from keras_audiogan.models.audio_gan import AudioGAN
from keras_audiogan.models.discriminators import (
    Discriminator,
    register_discriminator,
)
from keras_audiogan.models.networks import BuiltNetwork
from keras_audiogan.models.registry import register_architecture

NUM_START_FRAMES = 16
UPSAMPLING = ("transposed", "nearest")


def block_strides(slice_length: int) -> list[int]:
    """Strides of the blocks between 16 frames and a slice.

    Args:
        slice_length: `16 * 4**n` or `2 * 16 * 4**n` samples, n at least 1.

    Returns:
        n fours, and a final two if the length asks for it.

    Raises:
        ValueError: for any other length.
    """
    factor, rest = divmod(slice_length, NUM_START_FRAMES)
    strides = []
    while factor > 1 and factor % 4 == 0 and not rest:
        strides.append(4)
        factor //= 4
    if factor == 2 and strides:
        strides.append(2)
        factor = 1
    if rest or factor != 1 or not strides:
        raise ValueError(
            "`slice_length` must be 16 * 4**n or 32 * 4**n samples, e.g. "
            "4096, 8192, 16384, 32768 or 65536. "
            f"Received: slice_length={slice_length}"
        )
    return strides


def block_widths(num_blocks: int, dim: int, max_channels: int | None) -> list:
    """Channels from the narrowest block's to the widest's."""
    widths = [dim * 2**i for i in range(num_blocks)]
    if max_channels is not None:
        widths = [min(width, max_channels) for width in widths]
    return widths


class WaveGANGenerator(BuiltNetwork):
    """Latents `(batch, latent_dim)` -> audio `(batch, time, channels)`.

    Args:
        slice_length: `16 * 4**n` or `32 * 4**n` samples.
        num_channels: of the audio.
        latent_dim: size of a latent vector.
        dim: channels of the narrowest block; each further block has twice
            the channels.
        kernel_size: taps of every convolution.
        batch_norm: whether to normalise batches.
        upsampling: `"transposed"` convolutions, or `"nearest"` repetition
            followed by a convolution.
        post_filter_length: taps of a filter learnt after tanh, 512 in the
            original; None for none.
        max_channels: cap on the channels of any block; None for none.
        dtype: dtype policy.
        name: name of the model.

    Raises:
        ValueError: if the length or an option is out of its range.
    """

    def __init__(
        self,
        slice_length: int = 16384,
        num_channels: int = 1,
        latent_dim: int = 100,
        dim: int = 64,
        kernel_size: int = 25,
        batch_norm: bool = False,
        upsampling: str = "transposed",
        post_filter_length: int | None = None,
        max_channels: int | None = None,
        dtype: Any = None,
        name: str = "generator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        if upsampling not in UPSAMPLING:
            raise ValueError(
                f"`upsampling` must be one of {UPSAMPLING}. "
                f"Received: upsampling={upsampling!r}"
            )
        policy = self.dtype_policy
        strides = block_strides(slice_length)
        widths = block_widths(len(strides), dim, max_channels)[::-1]
        self.upsampling = upsampling
        self.strides = strides
        self.num_start_channels = widths[0]
        self.dense = keras.layers.Dense(
            NUM_START_FRAMES * widths[0], name="dense", dtype=policy
        )
        outputs = [*widths[1:], num_channels]
        self.upconvs = [
            self._upconv(filters, kernel_size, stride, i)
            for i, (filters, stride) in enumerate(
                zip(outputs, strides, strict=True)
            )
        ]
        self.batch_norms = [
            BatchNorm(name=f"batch_norm_{i}", dtype=policy)
            for i in range(len(strides) if batch_norm else 0)
        ]
        self.post_filter = (
            keras.layers.Conv1D(
                num_channels,
                post_filter_length,
                padding="same",
                use_bias=False,
                name="post_filter",
                dtype="float32",
            )
            if post_filter_length
            else None
        )
        self.build_layers(self._sized_layers(latent_dim, [widths[0], *outputs]))

    def _upconv(
        self, filters: int, kernel_size: int, stride: int, index: int
    ) -> keras.layers.Layer:
        name = f"upconv_{index}"
        if self.upsampling == "nearest":
            return keras.layers.Conv1D(
                filters,
                kernel_size,
                padding="same",
                name=name,
                dtype=self.dtype_policy,
            )
        return StridedConv1DTranspose(
            filters, kernel_size, stride, name=name, dtype=self.dtype_policy
        )

    def _sized_layers(
        self, latent_dim: int, channels: list[int]
    ) -> Iterator[tuple[Any, Any]]:
        yield self.dense, (None, latent_dim)
        length = NUM_START_FRAMES
        for i, upconv in enumerate(self.upconvs):
            if self.batch_norms:
                yield self.batch_norms[i], (None, length, channels[i])
            if self.upsampling == "nearest":
                length *= self.strides[i]
            yield upconv, (None, length, channels[i])
            if self.upsampling == "transposed":
                length *= self.strides[i]
        if self.post_filter is not None:
            yield self.post_filter, (None, length, channels[-1])

    def call(self, latents: Any, training: bool = False) -> Any:
        """Returns float32 audio in [-1, 1] (before a post filter)."""
        x = self.dense(latents)
        x = ops.reshape(x, (-1, NUM_START_FRAMES, self.num_start_channels))
        for i, upconv in enumerate(self.upconvs):
            if self.batch_norms:
                x = self.batch_norms[i](x, training=training)
            x = ops.relu(x)
            if self.upsampling == "nearest":
                x = ops.repeat(x, self.strides[i], axis=1)
            x = upconv(x)
        x = ops.tanh(ops.cast(x, "float32"))
        return x if self.post_filter is None else self.post_filter(x)


@register_discriminator("waveform")
class WaveGANDiscriminator(Discriminator):
    """Audio `(batch, time, channels)` -> one list of maps, logits last.

    Args:
        slice_length: `16 * 4**n` or `32 * 4**n` samples.
        num_channels: of what it sees.
        dim: channels of the narrowest block; each further one has twice as
            many.
        kernel_size: taps of the convolutions.
        batch_norm: whether to normalise batches.
        phase_shuffle: largest shift between the blocks; 0 for none.
        max_channels: cap on the channels of any block; None for none.
        num_outputs: numbers that come last, 1 for a score.
        dtype: dtype policy.
        name: name of the model.
    """

    view_scales = (0.1,)
    shares = ("dim", "kernel_size", "batch_norm", "max_channels")

    def __init__(
        self,
        slice_length: int = 16384,
        num_channels: int = 1,
        dim: int = 64,
        kernel_size: int = 25,
        batch_norm: bool = False,
        phase_shuffle: int = 2,
        max_channels: int | None = None,
        num_outputs: int = 1,
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        policy = self.dtype_policy
        strides = block_strides(slice_length)
        widths = block_widths(len(strides), dim, max_channels)
        self.downconvs = [
            StridedConv1D(
                filters, kernel_size, stride, name=f"downconv_{i}", dtype=policy
            )
            for i, (filters, stride) in enumerate(
                zip(widths, strides, strict=True)
            )
        ]
        self.batch_norms = [
            BatchNorm(name=f"batch_norm_{i}", dtype=policy)
            for i in range(1, len(strides) if batch_norm else 1)
        ]
        self.shuffles = [
            PhaseShuffle(phase_shuffle, name=f"phase_shuffle_{i}", dtype=policy)
            for i in range(len(strides) - 1)
        ]
        self.score = keras.layers.Dense(
            num_outputs, name="output", dtype="float32"
        )
        self.build_layers(
            self._sized_layers(slice_length, [num_channels, *widths], strides)
        )

    def _sized_layers(
        self, length: int, channels: list[int], strides: list[int]
    ) -> Iterator[tuple[Any, Any]]:
        for i, downconv in enumerate(self.downconvs):
            yield downconv, (None, length, channels[i])
            length //= strides[i]
            shape = (None, length, channels[i + 1])
            if self.batch_norms and i:
                yield self.batch_norms[i - 1], shape
            if i < len(self.shuffles):
                yield self.shuffles[i], shape
        yield self.score, (None, length * channels[-1])

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns `[[features, ..., logits]]`, logits `(batch, outputs)`."""
        del classes
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
            if i < len(self.shuffles):
                x = self.shuffles[i](x, training=training)
        x = ops.reshape(x, (-1, x.shape[1] * x.shape[2]))
        features.append(self.score(x))
        return [features]


@register_architecture("wavegan")
class WaveGAN(AudioGAN):
    """WaveGAN, with the adversarial step of `AudioGAN`.

    At `slice_length=16384, dim=64` the networks have 19,065,345 and
    17,427,969 parameters, as the original's. The form of 4,096 samples (four
    blocks) is the downsized one of J. Hill's conditional networks. Its
    `"waveform"` discriminator has the generator's `dim`, `kernel_size`,
    `batch_norm` and `max_channels`, and phase shuffle by up to 2 samples.

    Example:

    ```python
    gan = keras_audiogan.models.WaveGAN(slice_length=16384, dim=16)
    gan.compile(loss="wgan-gp")
    gan.fit(audio, batch_size=64 * gan.discriminator_steps, epochs=10)
    clips = gan.sample(8, seed=0)  # (8, 16384, 1)
    ```

    Args: those of `WaveGANGenerator` and of `AudioGAN`.
    """

    generator_class = WaveGANGenerator
    tiny = {
        "slice_length": 256,
        "sampling_rate": 8000,
        "latent_dim": 6,
        "dim": 2,
    }
    deterministic = {
        "discriminators": [{"kind": "waveform", "phase_shuffle": 0}]
    }
