"""WaveGAN: raw audio from a transposed-convolution generator.

Source: Donahue, McAuley and Puckette, "Adversarial Audio Synthesis", ICLR
2019 (arXiv:1802.04208), and the authors' code, whose parameter counts and
outputs these networks reproduce. Different from it: an exponential moving
average of the generator, and slice lengths that the original does not know.
"""

from __future__ import annotations

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
from keras_audiogan.layers.upsampling import upsampled
from keras_audiogan.models.arguments import check_option
from keras_audiogan.models.audio_gan import AudioGAN
from keras_audiogan.models.discriminators import (
    Discriminator,
    register_discriminator,
)
from keras_audiogan.models.networks import BuiltNetwork
from keras_audiogan.models.registry import register_architecture

NUM_START_FRAMES = 16
UPSAMPLING = ("transposed", "nearest", "band_limited")


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


class UpsamplingNetwork(BuiltNetwork):
    """Base of generators that grow 16 frames to a slice, block by block.

    A transposed convolution leaves its stride in the sound: what it makes of
    a constant has as many values as its stride, and buzzes at the rate of its
    input. `"band_limited"` upsampling goes through a low-pass filter that
    leaves nothing of that rate, then through the activation, and through a
    convolution at the higher rate, with as many parameters. Frequencies above
    half the lower rate then come from the activation alone, and are learnt
    slowly: hiss and cymbals stay dull for long.

    Its convolutions have four times the products. Beside transposed ones a
    training step takes 2.2 times as long, and sampling 4.1 times; with
    `kernel_size=7`, 1.05 and 1.8 times (16,384 samples, `dim=16`, 8 clips,
    one core, the same discriminator: `benchmarks/upsampling_cost.py`).

    Attributes:
        strides: see `block_strides`.
        widths: channels that the blocks take, the widest first.
        upsampling: one of `UPSAMPLING`.
    """

    def __init__(
        self,
        slice_length: int,
        dim: int,
        max_channels: int | None,
        dtype: Any,
        name: str,
        upsampling: str = "transposed",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        check_option("upsampling", upsampling, UPSAMPLING)
        self.upsampling = upsampling
        self.strides = block_strides(slice_length)
        self.widths = block_widths(len(self.strides), dim, max_channels)[::-1]

    def make_upconvs(
        self,
        num_channels: int,
        kernel_size: int,
        num_added: int = 0,
    ) -> list[Any]:
        """Makes the convolutions of the blocks.

        Args:
            num_channels: that the last one makes.
            kernel_size: taps.
            num_added: channels that the first one takes beside its width.
        """
        transposed = self.upsampling == "transposed"
        upconvs = []
        for i, stride in enumerate(self.strides):
            filters = [*self.widths[1:], num_channels][i]
            inputs = self.widths[i] + (0 if i else num_added)
            options: dict[str, Any] = (
                {"strides": stride}
                if transposed
                else {"padding": "same", "data_format": "channels_last"}
            )
            upconvs.append(
                self.make_layer(
                    StridedConv1DTranspose
                    if transposed
                    else keras.layers.Conv1D,
                    (None, inputs),
                    filters,
                    kernel_size,
                    name=f"upconv_{i}",
                    **options,
                )
            )
        return upconvs

    def lengthened(self, index: int, x: Any) -> Any:
        """Returns what a block's activation takes: at its higher rate.

        Transposed convolutions come later, and make it longer themselves.
        """
        if self.upsampling == "nearest":
            return ops.repeat(x, self.strides[index], axis=1)
        if self.upsampling == "band_limited":
            return upsampled(x, self.strides[index])
        return x

    def as_frames(self, x: Any) -> Any:
        """Returns numbers as the 16 frames that the first block takes."""
        return ops.reshape(x, (-1, NUM_START_FRAMES, self.widths[0]))


class WaveGANGenerator(UpsamplingNetwork):
    """Latents `(batch, latent_dim)` -> audio `(batch, time, channels)`.

    Args:
        slice_length: `16 * 4**n` or `32 * 4**n` samples.
        num_channels: of the audio.
        latent_dim: size of a latent vector.
        dim: channels of the narrowest block; each further block has twice
            the channels.
        kernel_size: taps of every convolution.
        batch_norm: whether to normalise batches.
        upsampling: `"transposed"` convolutions, `"nearest"` repetition
            followed by a convolution, or `"band_limited"`; see
            `UpsamplingNetwork`.
        post_filter_length: taps of a filter learnt after tanh, 512 in the
            original; None for none.
        max_channels: cap on the channels of any block; None for none.

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
        super().__init__(
            slice_length, dim, max_channels, dtype, name, upsampling
        )
        self.dense = self.make_dense(
            latent_dim, NUM_START_FRAMES * self.widths[0], "dense"
        )
        self.upconvs = self.make_upconvs(num_channels, kernel_size)
        self.batch_norms = [
            self.make_layer(BatchNorm, (None, width), name=f"batch_norm_{i}")
            for i, width in enumerate(self.widths if batch_norm else ())
        ]
        self.post_filter = None
        if post_filter_length:
            self.post_filter = self.make_layer(
                keras.layers.Conv1D,
                (None, num_channels),
                num_channels,
                post_filter_length,
                padding="same",
                data_format="channels_last",
                use_bias=False,
                name="post_filter",
                dtype="float32",
            )

    def call(self, latents: Any, training: bool = False) -> Any:
        """Returns float32 audio in [-1, 1] (before a post filter)."""
        x = self.as_frames(self.dense(latents))
        for i, upconv in enumerate(self.upconvs):
            if self.batch_norms:
                x = self.batch_norms[i](x, training=training)
            x = upconv(ops.relu(self.lengthened(i, x)))
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
        strides = block_strides(slice_length)
        widths = block_widths(len(strides), dim, max_channels)
        inputs = [num_channels, *widths]
        self.downconvs = [
            self.make_layer(
                StridedConv1D,
                (None, inputs[i]),
                widths[i],
                kernel_size,
                stride,
                name=f"downconv_{i}",
            )
            for i, stride in enumerate(strides)
        ]
        self.batch_norms = [
            self.make_layer(
                BatchNorm, (None, widths[i]), name=f"batch_norm_{i}"
            )
            for i in range(1, len(strides) if batch_norm else 1)
        ]
        self.shuffles = [
            self.make_layer(
                PhaseShuffle,
                (None, width),
                phase_shuffle,
                name=f"phase_shuffle_{i}",
            )
            for i, width in enumerate(widths[:-1])
        ]
        self.score = self.make_dense(
            NUM_START_FRAMES * widths[-1],
            num_outputs,
            "output",
            dtype="float32",
        )

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
        features.append(self.score_of(self.score, x))
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
