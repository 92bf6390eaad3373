"""BigVGAN: HiFi-GAN with periodic activations that make no aliases."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_audiogan.layers import MEL_SETTINGS, AntiAliasedSnake
from keras_audiogan.layers.normalized_conv import (
    NormalizedConv1D,
    NormalizedConv1DTranspose,
)
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.models.vocoder import TINY, Vocoder, VocoderGenerator

ACTIVATIONS = ("snakebeta", "snake")
_KERNEL_SIZE = 7
# Samples to either side that an activation reaches, at its own rate.
_ACTIVATION_REACH = 6


class BigVGANGenerator(VocoderGenerator):
    """Up-sampling with blocks of convolutions and snake activations.

    Args:
        num_mel_bins: bands of the input.
        channels: after the first convolution; each up-sampling halves them.
        upsample_rates: factors of the up-samplings; their product is the hop.
        upsample_kernel_sizes: taps of the transposed convolutions.
        block_kernel_sizes: taps of the residual blocks whose mean is taken.
        block_dilations: dilations in each of them.
        block_type: 1 for a second, undilated convolution after each dilated
            one, 2 for none.
        activation: `"snakebeta"` or `"snake"`, see `AntiAliasedSnake`.
        log_scale: whether activations hold logarithms of their numbers.
        use_tanh_at_final: whether tanh, and no clipping, brings the output
            into [-1, 1].
        use_bias_at_final: whether the last convolution has a bias.
        weight_norm: whether kernels have weight norm.

    Input shape: `(batch, frames, num_mel_bins)`.
    Output shape: `(batch, frames * prod(upsample_rates), 1)`.
    """

    def __init__(
        self,
        num_mel_bins: int = 100,
        channels: int = 512,
        upsample_rates: Sequence[int] = (8, 8, 2, 2),
        upsample_kernel_sizes: Sequence[int] = (16, 16, 4, 4),
        block_kernel_sizes: Sequence[int] = (3, 7, 11),
        block_dilations: Sequence[Sequence[int]] = ((1, 3, 5),) * 3,
        block_type: int = 1,
        activation: str = "snakebeta",
        log_scale: bool = True,
        use_tanh_at_final: bool = True,
        use_bias_at_final: bool = True,
        weight_norm: bool = True,
        dtype: Any = None,
        name: str = "generator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        if (
            channels % 2 ** len(upsample_rates)
            or len(upsample_rates) != len(upsample_kernel_sizes)
            or any(
                taps < rate
                for rate, taps in zip(
                    upsample_rates, upsample_kernel_sizes, strict=False
                )
            )
            or not block_kernel_sizes
            or len(block_kernel_sizes) != len(block_dilations)
            or block_type not in (1, 2)
            or activation not in ACTIVATIONS
        ):
            raise ValueError(
                "`channels` is halved at every up-sampling, each of which has "
                "a rate and a kernel size no smaller; each block has a kernel "
                "size and dilations, and is of type 1 or 2; `activation` is "
                f"one of {ACTIVATIONS}. Received: channels={channels}, "
                f"upsample_rates={upsample_rates}, "
                f"upsample_kernel_sizes={upsample_kernel_sizes}, "
                f"block_kernel_sizes={block_kernel_sizes}, "
                f"block_dilations={block_dilations}, "
                f"block_type={block_type}, activation={activation!r}"
            )
        norm = "weight" if weight_norm else None
        conv: Any = functools.partial(
            self.make_layer, NormalizedConv1D, norm=norm
        )
        snake: Any = functools.partial(
            self.make_layer,
            AntiAliasedSnake,
            separate=activation == "snakebeta",
            log_scale=log_scale,
        )
        self.use_tanh_at_final = use_tanh_at_final
        self.conv_in = conv(
            (None, num_mel_bins), channels, _KERNEL_SIZE, name="conv_in"
        )
        self.upsamples: list[Any] = []
        # Of every up-sampling its blocks, each of pairs of an activation and
        # a convolution, one or two of which a residual spans.
        self.blocks: list[list[list[list[tuple[Any, Any]]]]] = []
        width, rate, k = channels, 1, 0
        reach = float(_KERNEL_SIZE // 2)
        for i, (factor, taps) in enumerate(
            zip(upsample_rates, upsample_kernel_sizes, strict=True)
        ):
            rate *= factor
            self.upsamples.append(
                self.make_layer(
                    NormalizedConv1DTranspose,
                    (None, width),
                    width // 2,
                    taps,
                    factor,
                    norm=norm,
                    name=f"upsample_{i}",
                )
            )
            width //= 2
            blocks, longest = [], 0
            for size, dilations in zip(
                block_kernel_sizes, block_dilations, strict=True
            ):
                block, length = [], 0
                for j, dilation in enumerate(dilations):
                    pairs = []
                    for part, step in ((1, dilation), (2, 1))[: 3 - block_type]:
                        place = f"{part}_{j}"
                        pairs.append(
                            (
                                snake(
                                    (None, width),
                                    name=f"block_{k}_snake{place}",
                                ),
                                conv(
                                    (None, width),
                                    width,
                                    size,
                                    dilation_rate=step,
                                    name=f"block_{k}_conv{place}",
                                ),
                            )
                        )
                        length += _ACTIVATION_REACH + (size - 1) * step // 2
                    block.append(pairs)
                longest = max(longest, length)
                blocks.append(block)
                k += 1
            reach += (taps / 2 + longest) / rate
            self.blocks.append(blocks)
        reach += (_ACTIVATION_REACH + _KERNEL_SIZE // 2) / rate
        self.snake_out = snake((None, width), name="snake_out", dtype="float32")
        self.conv_out = conv(
            (None, width),
            1,
            _KERNEL_SIZE,
            use_bias=use_bias_at_final,
            name="conv_out",
            dtype="float32",
        )
        self.context_frames = math.ceil(reach) + 1

    def call(self, mel: Any, training: bool = False) -> Any:
        """Returns sound, float32."""
        del training
        x = self.conv_in(mel)
        for upsample, blocks in zip(self.upsamples, self.blocks, strict=True):
            x = upsample(x)
            total: Any = None
            for index, block in enumerate(blocks):
                y = x
                for pairs in block:
                    z = y
                    for snake, conv in pairs:
                        z = conv(snake(z))
                    y = y + z
                total = total + y if index else y
            x = total / len(blocks)
        x = self.conv_out(self.snake_out(x))
        return ops.tanh(x) if self.use_tanh_at_final else ops.clip(x, -1.0, 1.0)


@register_architecture("bigvgan")
class BigVGAN(Vocoder):
    """BigVGAN, the vocoder for voices and sounds of every kind.

    Source: Lee et al., "BigVGAN" (arXiv:2206.04658); numbers from
    NVIDIA/BigVGAN. The defaults are its `bigvgan_base_24khz_100band`, whose
    14 million weights are the fewest. `bigvgan_24khz_100band` has
    `channels=1536, upsample_rates=(4, 4, 2, 2, 2, 2),
    upsample_kernel_sizes=(8, 8, 4, 4, 4, 4)`; the second version beside it
    `use_tanh_at_final=False, use_bias_at_final=False` and the loss
    `"bigvgan_v2"`.

    The second version's discriminator of constant-Q transforms is not among
    ours: `multi_resolution` stands for it, or `multi_band`, which its authors
    tried as well.

    Args: those of `BigVGANGenerator` and of `Vocoder`.
    """

    generator_class = BigVGANGenerator
    mel_defaults = MEL_SETTINGS["bigvgan"]
    default_arguments = {
        "sampling_rate": 24000,
        "discriminators": [
            {"kind": "multi_period"},
            {"kind": "multi_resolution"},
        ],
    }
    default_loss = "bigvgan"
    tiny = {
        **TINY,
        "channels": 8,
        "upsample_rates": [4, 4],
        "upsample_kernel_sizes": [8, 8],
        "block_kernel_sizes": [3, 5],
        "block_dilations": [[1], [3]],
        "discriminators": [
            {
                "kind": "multi_period",
                "periods": [2, 3],
                "channels": 2,
                "max_channels": 4,
                "rates": [2, 1],
            },
            {
                "kind": "multi_resolution",
                "fft_lengths": [128, 64],
                "frame_steps": [32, 16],
                "window_lengths": [64, 64],
                "channels": 2,
            },
        ],
    }
