"""HiFi-GAN: waveforms from mel spectrograms, judged by period and scale."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_audiogan.layers import MEL_SETTINGS
from keras_audiogan.layers.normalized_conv import (
    NormalizedConv1D,
    NormalizedConv1DTranspose,
)
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.models.vocoder import TINY, Vocoder, VocoderGenerator


class HiFiGANGenerator(VocoderGenerator):
    """Up-sampling with residual blocks of several kernels side by side.

    Args:
        num_mel_bins: bands of the input.
        channels: after the first convolution; each up-sampling halves them.
        kernel_size: taps of the first and the last convolution.
        upsample_rates: factors of the up-samplings; their product is the hop.
        upsample_kernel_sizes: taps of the transposed convolutions.
        block_kernel_sizes: taps of the residual blocks whose mean is taken.
        block_dilations: dilations in each of them.
        block_type: 1 for a second, undilated convolution after each dilated
            one, 2 for none.
        use_bias: whether convolutions have one.
        negative_slope: of the leaky ReLUs but the last, whose is 0.01.
        weight_norm: whether kernels have weight norm.
        causal: whether an output sees no later frame.

    Input shape: `(batch, frames, num_mel_bins)`.
    Output shape: `(batch, frames * prod(upsample_rates), 1)`.
    """

    def __init__(
        self,
        num_mel_bins: int = 80,
        channels: int = 512,
        kernel_size: int = 7,
        upsample_rates: Sequence[int] = (8, 8, 2, 2),
        upsample_kernel_sizes: Sequence[int] = (16, 16, 4, 4),
        block_kernel_sizes: Sequence[int] = (3, 7, 11),
        block_dilations: Sequence[Sequence[int]] = ((1, 3, 5),) * 3,
        block_type: int = 1,
        use_bias: bool = True,
        negative_slope: float = 0.1,
        weight_norm: bool = True,
        causal: bool = False,
        dtype: Any = None,
        name: str = "generator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        if (
            channels % 2 ** len(upsample_rates)
            or len(upsample_rates) != len(upsample_kernel_sizes)
            or len(block_kernel_sizes) != len(block_dilations)
            or block_type not in (1, 2)
        ):
            raise ValueError(
                "`channels` is halved at every up-sampling, each of which has "
                "a rate and a kernel size; each block has a kernel size and "
                "dilations, and is of type 1 or 2. Received: "
                f"channels={channels}, upsample_rates={upsample_rates}, "
                f"upsample_kernel_sizes={upsample_kernel_sizes}, "
                f"block_kernel_sizes={block_kernel_sizes}, "
                f"block_dilations={block_dilations}, block_type={block_type}"
            )
        shared: dict[str, Any] = {
            "norm": "weight" if weight_norm else None,
            "use_bias": use_bias,
        }
        conv: Any = functools.partial(
            self.make_layer,
            NormalizedConv1D,
            padding="causal" if causal else "same",
            **shared,
        )
        self.negative_slope = negative_slope
        self.conv_in = conv(
            (None, num_mel_bins), channels, kernel_size, name="conv_in"
        )
        self.upsamples: list[Any] = []
        self.blocks: list[list[list[tuple[Any, Any]]]] = []
        width, rate, k = channels, 1, 0
        reach = float(kernel_size)
        for i, (factor, taps) in enumerate(
            zip(upsample_rates, upsample_kernel_sizes, strict=True)
        ):
            rate *= factor
            reach += taps / rate
            self.upsamples.append(
                self.make_layer(
                    NormalizedConv1DTranspose,
                    (None, width),
                    width // 2,
                    taps,
                    factor,
                    crop=(taps - factor + 1) // 2,
                    causal=causal,
                    name=f"upsample_{i}",
                    **shared,
                )
            )
            width //= 2
            block_conv = functools.partial(conv, (None, width), width)
            blocks, longest = [], 0
            for size, dilations in zip(
                block_kernel_sizes, block_dilations, strict=True
            ):
                block, length = [], 0
                for j, dilation in enumerate(dilations):
                    first = block_conv(
                        size,
                        dilation_rate=dilation,
                        name=f"block_{k}_conv1_{j}",
                    )
                    second = None
                    if block_type == 1:
                        second = block_conv(size, name=f"block_{k}_conv2_{j}")
                    block.append((first, second))
                    length += (size - 1) * (dilation + (block_type == 1))
                longest = max(longest, length)
                blocks.append(block)
                k += 1
            reach += longest / rate
            self.blocks.append(blocks)
        reach += kernel_size / rate
        self.conv_out = conv(
            (None, width), 1, kernel_size, name="conv_out", dtype="float32"
        )
        # What is summed is the whole reach of causal convolutions, twice the
        # half of centred ones.
        self.context_frames = math.ceil(reach if causal else reach / 2) + 1

    def call(self, mel: Any, training: bool = False) -> Any:
        """Returns sound, float32."""
        del training
        slope = self.negative_slope
        x = self.conv_in(mel)
        for upsample, blocks in zip(self.upsamples, self.blocks, strict=True):
            x = upsample(ops.leaky_relu(x, slope))
            total: Any = None
            for index, block in enumerate(blocks):
                y = x
                for first, second in block:
                    z = first(ops.leaky_relu(y, slope))
                    if second is not None:
                        z = second(ops.leaky_relu(z, slope))
                    y = y + z
                total = total + y if index else y
            x = total / len(blocks)
        return ops.tanh(self.conv_out(ops.leaky_relu(x, 0.01)))


@register_architecture("hifigan")
class HiFiGAN(Vocoder):
    """HiFi-GAN, the vocoder most in use.

    Source: Kong et al., "HiFi-GAN" (arXiv:2010.05646); numbers from
    jik876/hifi-gan. The defaults are its V1; V2 has `channels=128`; V3 has
    `channels=256, upsample_rates=(8, 8, 4), upsample_kernel_sizes=(16, 16,
    8), block_kernel_sizes=(3, 5, 7), block_dilations=((1, 2), (2, 6), (3,
    12)), block_type=2`.

    Args: those of `HiFiGANGenerator` and of `Vocoder`.
    """

    generator_class = HiFiGANGenerator
    mel_defaults = MEL_SETTINGS["hifigan"]
    default_arguments = {
        "discriminators": [{"kind": "multi_period_multi_scale"}]
    }
    default_loss = "hifigan"
    # The bundled preset stays below 300 MB with it.
    engine_chunk_frames = 512
    tiny = {
        **TINY,
        "channels": 8,
        "upsample_rates": [4, 4],
        "upsample_kernel_sizes": [8, 8],
        "block_kernel_sizes": [3, 5],
        "block_dilations": [[1, 2], [1, 3]],
        "discriminators": [
            {
                "kind": "multi_period_multi_scale",
                "periods": [2, 3],
                "period_channels": 2,
                "period_max_channels": 4,
                "period_rates": [2, 1],
                "num_scales": 2,
                "scale_channels": 16,
                "scale_max_channels": 16,
                "scale_rates": [2],
            }
        ],
    }
