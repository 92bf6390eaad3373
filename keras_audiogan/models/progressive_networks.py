"""Networks that grow along time, block by block: Körmendi's WaveGAN.

T. Körmendi, "Progressive adversarial music generation", King's College
London, 2019. A network of b blocks knows clips of `16 * 4**b` samples. The
rate stays as it is: a block more makes the clip four times as long. What a
network of b blocks has learnt is carried into one of b + 1, but for the 1 x 1
convolution between it and the sound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_audiogan.layers import (
    PhaseShuffle,
    StridedConv1D,
    StridedConv1DTranspose,
)
from keras_audiogan.layers.activations import leaky_relu
from keras_audiogan.layers.equalized_conv import beside_deviation, pixel_norm
from keras_audiogan.layers.equalized_conv1d import (
    EqualizedConv1D,
    EqualizedDense,
    EqualizedStridedConv1D,
    EqualizedStridedConv1DTranspose,
)
from keras_audiogan.layers.upsampling import upsampled
from keras_audiogan.models.arguments import check_option
from keras_audiogan.models.discriminators import (
    Discriminator,
    register_discriminator,
)
from keras_audiogan.models.networks import BuiltNetwork

NUM_START_FRAMES = 16
STRIDE = 4
MOST_BLOCKS = 8
WIDTHS = ("smoothed", "halved")
EXTENDED = ("none", "discriminator", "both")
UPSAMPLING = ("transposed", "band_limited")
SLOPE = 0.2


def check_num_blocks(num_blocks: Any) -> None:
    """Raises a ValueError if a network cannot have so many blocks."""
    if not isinstance(num_blocks, int) or not 0 < num_blocks <= MOST_BLOCKS:
        raise ValueError(
            f"`num_blocks` must be from 1 to {MOST_BLOCKS}: clips have "
            f"16 * 4**num_blocks samples. Received: num_blocks={num_blocks!r}"
        )


def clip_length(num_blocks: int) -> int:
    """Returns the samples of a clip: 64 for 1 block, 1,048,576 for 8."""
    return NUM_START_FRAMES * STRIDE**num_blocks


def num_blocks_of(slice_length: int) -> int:
    """Returns the blocks of networks for clips of so many samples.

    Raises:
        ValueError: if it is not `16 * 4**n` with n from 1 to 8.
    """
    for num_blocks in range(1, MOST_BLOCKS + 1):
        if clip_length(num_blocks) == slice_length:
            return num_blocks
    raise ValueError(
        "`slice_length` must be 16 * 4**n samples, n from 1 to 8: 64, 256, "
        "1024, 4096, 16384, 65536, 262144 or 1048576. "
        f"Received: slice_length={slice_length}"
    )


def block_channels(num_blocks: int, dim: int, widths: str) -> list[int]:
    """Returns the channels out of each block of a generator.

    Args:
        num_blocks: how many.
        dim: channels of the 16 frames that the first block takes.
        widths: `"halved"` at each block, as in WaveGAN; or `"smoothed"`, the
            thesis's rule: from the fifth block on every other one takes a
            quarter off, and the ones between them a third.

    Raises:
        ValueError: if the rule is none of these.
    """
    check_option("widths", widths, WIDTHS)
    channels = []
    for block in range(1, num_blocks + 1):
        width = dim / 2**block
        if widths == "smoothed" and block > 4:
            width = dim / 2 ** (3 + math.ceil((block - 4) / 2))
            width *= 0.75 if block % 2 else 0.5
        channels.append(max(1, int(width)))
    return channels


class StagedNetwork(BuiltNetwork):
    """Base of networks that grow; a stage is a number of blocks.

    Attributes:
        num_blocks: how many it has.
        channels: of the start frames, and out of each of a generator's
            blocks; a discriminator's blocks go through them backwards.
        stage_layers: names of the layers that belong to one stage.
    """

    stage_layers: tuple[str, ...] = ()

    def __init__(
        self,
        num_blocks: int,
        dim: int,
        widths: str,
        equalized: bool,
        dtype: Any,
        name: str,
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        check_num_blocks(num_blocks)
        self.num_blocks = num_blocks
        self.channels = [dim, *block_channels(num_blocks, dim, widths)]
        self.equalized = equalized

    def make_conv(
        self, inputs: int, filters: int, kernel_size: int, name: str
    ) -> Any:
        """Makes a convolution that keeps the length."""
        return self.make_layer(
            EqualizedConv1D if self.equalized else keras.layers.Conv1D,
            (None, inputs),
            filters,
            kernel_size,
            padding="same",
            data_format="channels_last",
            name=name,
        )

    def make_units(
        self, inputs: int, units: int, name: str, **options: Any
    ) -> Any:
        """Makes a dense layer that no activation follows."""
        if not self.equalized:
            return self.make_dense(inputs, units, name, **options)
        return self.make_layer(
            EqualizedDense, (inputs,), units, gain=1.0, name=name, **options
        )

    def carried(
        self, weights: Mapping[str, Any], num_blocks: int
    ) -> list[tuple[keras.Variable, Any]]:
        """Pairs weights of another stage with those that shall be the same.

        Args:
            weights: those of a network like this one by their paths, without
                its name.
            num_blocks: that it has. `stage_layers` are left out unless there
                are as many here.

        Raises:
            ValueError: if it has more blocks, or other widths.
        """
        own = {weight.path.partition("/")[2]: weight for weight in self.weights}
        pairs = []
        for path, value in weights.items():
            same_stage = num_blocks == self.num_blocks
            if path.partition("/")[0] in self.stage_layers and not same_stage:
                continue
            shape = tuple(own[path].shape) if path in own else None
            if shape != tuple(value.shape):
                raise ValueError(
                    "Weights are carried between networks of the same "
                    "widths, from fewer blocks to more. Expected "
                    f"{self.name}/{path} "
                    + (f"of the shape {shape}" if shape else "not to be there")
                    + f". Received: {tuple(value.shape)}, from {num_blocks} "
                    f"blocks for {self.num_blocks}"
                )
            pairs.append((own[path], value))
        wanted = {
            path
            for path in own
            if not path.partition("/")[0].endswith(self._suffixes(num_blocks))
            and path.partition("/")[0] not in self.stage_layers
        }
        missing = sorted(wanted - set(weights))
        if missing:
            raise ValueError(
                "Weights are carried between networks of the same form. "
                f"Expected {self.name}/{missing[0]} among them. "
                f"Received: {sorted(weights)}"
            )
        return pairs

    def _suffixes(self, num_blocks: int) -> tuple[str, ...]:
        """Returns how layers after so many blocks are named."""
        return tuple(f"_{i}" for i in range(num_blocks, self.num_blocks))

    def freeze(self, num_blocks: int) -> None:
        """Lets only what came after so many blocks train."""
        if not num_blocks:
            return
        new = self._suffixes(num_blocks)
        for layer in self._flatten_layers(include_self=False):
            name = layer.name
            if name not in self.stage_layers and not name.endswith(new):
                layer.trainable = False


class ProgressiveGenerator(StagedNetwork):
    """Latents `(batch, latent_dim)` -> audio `(batch, time, channels)`.

    A dense layer makes 16 frames; each block is a transposed convolution of
    stride 4 with leaky ReLU, and a 1 x 1 convolution with tanh makes sound.

    Args:
        num_blocks: 1 to 8.
        num_channels: of the audio.
        latent_dim: size of a latent vector.
        dim: channels of the first frames, 1,024 in the thesis.
        widths: see `block_channels`.
        kernel_size: taps of the blocks' convolutions.
        extended: where a block has a second convolution, of stride 1: in
            the `"discriminator"`, in `"both"` networks, or in `"none"`.
        sample_norm: whether each block's output is divided, at each time
            step, by its root mean square over the channels.
        equalized: whether kernels are scaled when they run.
        frozen_blocks: how many of the lowest blocks do not train, with the
            dense layer; 0 to train everything.
        upsampling: `"transposed"` convolutions; or `"band_limited"`, through
            a low-pass filter before a convolution at the higher rate, which
            leaves no buzz at the rates of the blocks and has four times the
            products.
    """

    stage_layers = ("to_audio",)

    def __init__(
        self,
        num_blocks: int = 5,
        num_channels: int = 1,
        latent_dim: int = 100,
        dim: int = 1024,
        widths: str = "smoothed",
        kernel_size: int = 25,
        extended: str = "none",
        sample_norm: bool = False,
        equalized: bool = False,
        frozen_blocks: int = 0,
        upsampling: str = "transposed",
        dtype: Any = None,
        name: str = "generator",
    ) -> None:
        super().__init__(num_blocks, dim, widths, equalized, dtype, name)
        check_option("extended", extended, EXTENDED)
        check_option("upsampling", upsampling, UPSAMPLING)
        self.upsampling = upsampling
        self.sample_norm = sample_norm
        self.strides = [STRIDE] * num_blocks
        self.dense = self.make_units(
            latent_dim, NUM_START_FRAMES * dim, "dense"
        )
        self.upconvs, self.convs = [], []
        for i in range(num_blocks):
            inputs, filters = self.channels[i : i + 2]
            self.upconvs.append(
                self.make_conv(inputs, filters, kernel_size, f"upconv_{i}")
                if upsampling == "band_limited"
                else self.make_layer(
                    EqualizedStridedConv1DTranspose
                    if equalized
                    else StridedConv1DTranspose,
                    (None, inputs),
                    filters,
                    kernel_size,
                    STRIDE,
                    name=f"upconv_{i}",
                )
            )
            if extended == "both":
                self.convs.append(
                    self.make_conv(filters, filters, kernel_size, f"conv_{i}")
                )
        self.to_audio = self.make_conv(
            self.channels[-1], num_channels, 1, "to_audio"
        )
        self.freeze(frozen_blocks)

    def call(self, latents: Any, training: bool = False) -> Any:
        """Returns float32 audio in [-1, 1]."""
        del training
        x = self.dense(latents)
        x = ops.reshape(x, (-1, NUM_START_FRAMES, self.channels[0]))
        for i in range(self.num_blocks):
            x = self.block(i, x)
        return ops.tanh(ops.cast(self.to_audio(x), "float32"))

    def block(self, index: int, x: Any) -> Any:
        """Returns what a block makes: four times as many steps."""
        if self.upsampling == "band_limited":
            x = upsampled(x, STRIDE)
        for conv in (self.upconvs, self.convs):
            if conv:
                x = ops.leaky_relu(conv[index](x), SLOPE)
                if self.sample_norm:
                    x = pixel_norm(x)
        return x


@register_discriminator("progressive_waveform")
class ProgressiveWaveGANDiscriminator(StagedNetwork, Discriminator):
    """Audio `(batch, time, channels)` -> one list of maps, logits last.

    The mirror image of `ProgressiveGenerator`. With `num_outputs` it is an
    encoder of the same shape.

    Args:
        num_blocks: 1 to 8.
        num_channels: of the audio.
        dim: see `ProgressiveGenerator`, as for the others.
        widths: see `block_channels`.
        kernel_size: taps of the blocks' convolutions.
        extended: `"discriminator"` or `"both"` for a second convolution.
        minibatch_deviation: whether the last frames get a channel with their
            mean deviation over the batch.
        equalized: whether kernels are scaled when they run.
        phase_shuffle: largest shift between the blocks; 0 for none, as the
            thesis found it unstable.
        frozen_blocks: how many of the lowest blocks do not train, with the
            dense layer.
        num_outputs: numbers that come last, 1 for a score.
    """

    view_scales = (0.1,)
    stage_layers = ("from_audio",)
    shares = (
        "num_blocks",
        "dim",
        "widths",
        "kernel_size",
        "extended",
        "equalized",
        "frozen_blocks",
    )

    def __init__(
        self,
        num_blocks: int = 5,
        num_channels: int = 1,
        dim: int = 1024,
        widths: str = "smoothed",
        kernel_size: int = 25,
        extended: str = "none",
        minibatch_deviation: bool = False,
        equalized: bool = False,
        phase_shuffle: int = 0,
        frozen_blocks: int = 0,
        num_outputs: int = 1,
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(num_blocks, dim, widths, equalized, dtype, name)
        check_option("extended", extended, EXTENDED)
        self.minibatch_deviation = minibatch_deviation
        self.from_audio = self.make_conv(
            num_channels, self.channels[-1], 1, "from_audio"
        )
        self.downconvs, self.convs, self.shuffles = [], [], []
        for i in range(num_blocks):
            filters, inputs = self.channels[i : i + 2]
            self.downconvs.append(
                self.make_layer(
                    EqualizedStridedConv1D if equalized else StridedConv1D,
                    (None, inputs),
                    filters,
                    kernel_size,
                    STRIDE,
                    name=f"downconv_{i}",
                )
            )
            if extended != "none":
                self.convs.append(
                    self.make_conv(filters, filters, kernel_size, f"conv_{i}")
                )
            if phase_shuffle and i:
                self.shuffles.append(
                    self.make_layer(
                        PhaseShuffle,
                        (None, filters),
                        phase_shuffle,
                        name=f"phase_shuffle_{i}",
                    )
                )
        self.score = self.make_units(
            NUM_START_FRAMES * (dim + minibatch_deviation),
            num_outputs,
            "output",
            dtype="float32",
        )
        self.freeze(frozen_blocks)

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns `[[features, ..., logits]]`, logits `(batch, outputs)`.

        The features are those of the blocks, the longest first.
        """
        del classes
        (x,) = views
        x = leaky_relu(self.from_audio(x), SLOPE)
        features = []
        for i in reversed(range(self.num_blocks)):
            x = self.block(i, x)
            features.append(x)
            if self.shuffles and i:
                x = self.shuffles[i - 1](x, training=training)
        if self.minibatch_deviation:
            x = beside_deviation(x)
        x = ops.reshape(x, (-1, x.shape[1] * x.shape[2]))
        return [[*features, self.score(x)]]

    def block(self, index: int, x: Any) -> Any:
        """Returns what a block makes: a quarter of the steps."""
        x = leaky_relu(self.downconvs[index](x), SLOPE)
        if self.convs:
            x = leaky_relu(self.convs[index](x), SLOPE)
        return x
