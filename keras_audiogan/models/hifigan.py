"""HiFi-GAN: waveforms from mel spectrograms, judged by period and scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_audiogan.layers import MEL_SETTINGS
from keras_audiogan.layers.activations import leaky_relu
from keras_audiogan.layers.normalized_conv import (
    NormalizedConv1D,
    NormalizedConv1DTranspose,
)
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.models.vocoder import Vocoder, VocoderGenerator


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
        shared = {
            "norm": "weight" if weight_norm else None,
            "use_bias": use_bias,
        }
        side = "causal" if causal else "same"
        policy = self.dtype_policy

        def conv(filters: int, size: int, name: str, **kwargs: Any) -> Any:
            return NormalizedConv1D(
                filters,
                size,
                padding=side,
                name=name,
                **{"dtype": policy, **shared, **kwargs},
            )

        self.negative_slope = negative_slope
        self.conv_in = conv(channels, kernel_size, "conv_in")
        self.upsamples: list[Any] = []
        self.blocks: list[list[list[tuple[Any, Any]]]] = []
        sizes: list[tuple[Any, int]] = [(self.conv_in, num_mel_bins)]
        width, rate, k = channels, 1, 0
        reach = float(kernel_size)
        for i, (factor, taps) in enumerate(
            zip(upsample_rates, upsample_kernel_sizes, strict=True)
        ):
            rate *= factor
            reach += taps / rate
            upsample = NormalizedConv1DTranspose(
                width // 2,
                taps,
                factor,
                crop=(taps - factor + 1) // 2,
                causal=causal,
                name=f"upsample_{i}",
                dtype=policy,
                **shared,
            )
            self.upsamples.append(upsample)
            sizes.append((upsample, width))
            width //= 2
            blocks, longest = [], 0
            for size, dilations in zip(
                block_kernel_sizes, block_dilations, strict=True
            ):
                block, length = [], 0
                for j, dilation in enumerate(dilations):
                    name = f"block_{k}_conv"
                    first = conv(
                        width, size, f"{name}1_{j}", dilation_rate=dilation
                    )
                    second = (
                        conv(width, size, f"{name}2_{j}")
                        if block_type == 1
                        else None
                    )
                    block.append((first, second))
                    length += (size - 1) * (dilation + (block_type == 1))
                    sizes += [
                        (layer, width) for layer in (first, second) if layer
                    ]
                longest = max(longest, length)
                blocks.append(block)
                k += 1
            reach += longest / rate
            self.blocks.append(blocks)
        reach += kernel_size / rate
        self.conv_out = conv(1, kernel_size, "conv_out", dtype="float32")
        sizes.append((self.conv_out, width))
        # What is summed is the whole reach of causal convolutions, twice the
        # half of centred ones.
        self.context_frames = math.ceil(reach if causal else reach / 2) + 1
        self._build_layers(sizes)

    def call(self, mel: Any, training: bool = False) -> Any:
        """Returns sound, float32."""
        del training
        slope = self.negative_slope
        x = self.conv_in(mel)
        for upsample, blocks in zip(self.upsamples, self.blocks, strict=True):
            x = upsample(leaky_relu(x, slope))
            total: Any = None
            for index, block in enumerate(blocks):
                y = x
                for first, second in block:
                    z = first(leaky_relu(y, slope))
                    if second is not None:
                        z = second(leaky_relu(z, slope))
                    y = y + z
                total = total + y if index else y
            x = total / len(blocks)
        return ops.tanh(self.conv_out(leaky_relu(x, 0.01)))


@register_architecture("hifigan")
class HiFiGAN(Vocoder):
    """HiFi-GAN, the vocoder most in use.

    Source: Kong et al., "HiFi-GAN" (arXiv:2010.05646); numbers from
    jik876/hifi-gan. The defaults are its V1; V2 has `channels=128`; V3 has
    `channels=256, upsample_rates=(8, 8, 4), upsample_kernel_sizes=(16, 16,
    8), block_kernel_sizes=(3, 5, 7), block_dilations=((1, 2), (2, 6), (3,
    12)), block_type=2`.

    Args:
        sampling_rate: in Hz.
        mel: arguments of `MelFeatures`; the original's by default.
        channels: see `HiFiGANGenerator`.
        kernel_size: see `HiFiGANGenerator`.
        upsample_rates: see `HiFiGANGenerator`.
        upsample_kernel_sizes: see `HiFiGANGenerator`.
        block_kernel_sizes: see `HiFiGANGenerator`.
        block_dilations: see `HiFiGANGenerator`.
        block_type: see `HiFiGANGenerator`.
        use_bias: see `HiFiGANGenerator`.
        negative_slope: see `HiFiGANGenerator`.
        **kwargs: see `Vocoder`.
    """

    mel_defaults = MEL_SETTINGS["hifigan"]
    discriminator_defaults = {"kind": "multi_period_multi_scale"}
    default_loss = "hifigan"

    def __init__(
        self,
        sampling_rate: int = 22050,
        slice_length: int = 8192,
        mel: dict[str, Any] | None = None,
        discriminator: dict[str, Any] | None = None,
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
        **kwargs: Any,
    ) -> None:
        super().__init__(
            HiFiGANGenerator,
            {
                "channels": channels,
                "kernel_size": kernel_size,
                "upsample_rates": list(upsample_rates),
                "upsample_kernel_sizes": list(upsample_kernel_sizes),
                "block_kernel_sizes": list(block_kernel_sizes),
                "block_dilations": [list(each) for each in block_dilations],
                "block_type": block_type,
                "use_bias": use_bias,
                "negative_slope": negative_slope,
            },
            sampling_rate=sampling_rate,
            slice_length=slice_length,
            mel=mel,
            discriminator=discriminator,
            weight_norm=weight_norm,
            causal=causal,
            **kwargs,
        )
