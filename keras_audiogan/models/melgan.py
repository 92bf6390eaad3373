"""MelGAN and multi-band MelGAN: sound by transposed convolutions."""

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
from keras_audiogan.layers.representations import SubBands
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.models.vocoder import TINY, Vocoder, VocoderGenerator


class MelGANGenerator(VocoderGenerator):
    """Up-sampling by transposed convolutions and residual stacks.

    Args:
        num_mel_bins: bands of the input.
        out_channels: channels of the output.
        channels: after the first convolution; each up-sampling halves them.
        kernel_size: taps of the first and the last convolution.
        upsample_rates: factors of the up-samplings; their product is the hop.
        num_stacks: residual stacks after each, of dilations
            `stack_kernel_size ** i`.
        stack_kernel_size: taps in a stack.
        use_bias: whether convolutions have one.
        padding: `"reflect"`, `"zeros"` or `"replicate"`.
        negative_slope: of the leaky ReLUs.
        final_activation: whether the output goes through tanh.
        weight_norm: whether kernels have weight norm.
        causal: whether an output sees no later frame.

    Input shape: `(batch, frames, num_mel_bins)`.
    Output shape: `(batch, frames * prod(upsample_rates), out_channels)`.
    """

    def __init__(
        self,
        num_mel_bins: int = 80,
        out_channels: int = 1,
        channels: int = 512,
        kernel_size: int = 7,
        upsample_rates: Sequence[int] = (8, 8, 2, 2),
        num_stacks: int = 3,
        stack_kernel_size: int = 3,
        use_bias: bool = True,
        padding: str = "reflect",
        negative_slope: float = 0.2,
        final_activation: bool = True,
        weight_norm: bool = True,
        causal: bool = False,
        dtype: Any = None,
        name: str = "generator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        if channels % 2 ** len(upsample_rates):
            raise ValueError(
                "`channels` is halved at every up-sampling. Received: "
                f"channels={channels} for {len(upsample_rates)} of them"
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
        padded: Any = functools.partial(conv, padding_mode=padding)
        self.negative_slope = negative_slope
        self.final_activation = final_activation
        self.conv_in = padded(
            (None, num_mel_bins), channels, kernel_size, name="conv_in"
        )
        upsamples = [
            self.make_layer(
                NormalizedConv1DTranspose,
                (None, channels // 2**i),
                channels // 2 ** (i + 1),
                2 * factor,
                factor,
                crop=(factor + 1) // 2,
                causal=causal,
                name=f"upsample_{i}",
                **shared,
            )
            for i, factor in enumerate(upsample_rates)
        ]
        # Filled in turn: optimisers' states are in the order of the weights.
        self.upsamples, self.stacks = [], []
        width, rate = channels, 1
        reach = float(kernel_size // 2)
        for i, factor in enumerate(upsample_rates):
            self.upsamples.append(upsamples[i])
            width //= 2
            rate *= factor
            reach += 2.0 * factor / rate
            stacks = []
            for j in range(num_stacks):
                dilation = stack_kernel_size**j
                reach += (stack_kernel_size - 1) * dilation / rate
                dilated = padded(
                    (None, width),
                    width,
                    stack_kernel_size,
                    dilation_rate=dilation,
                    name=f"stack_{i}_{j}_conv",
                )
                out, skip = (
                    conv((None, width), width, 1, name=f"stack_{i}_{j}_{end}")
                    for end in ("out", "skip")
                )
                stacks.append((dilated, out, skip))
            self.stacks.append(stacks)
        reach += kernel_size / rate
        self.conv_out = padded(
            (None, width),
            out_channels,
            kernel_size,
            name="conv_out",
            dtype="float32",
        )
        self.context_frames = math.ceil(reach) + 1

    def call(self, mel: Any, training: bool = False) -> Any:
        """Returns sound, or its bands, float32."""
        del training
        slope = self.negative_slope
        x = self.conv_in(mel)
        for upsample, stacks in zip(self.upsamples, self.stacks, strict=True):
            x = upsample(ops.leaky_relu(x, slope))
            for conv, out, skip in stacks:
                y = conv(ops.leaky_relu(x, slope))
                x = out(ops.leaky_relu(y, slope)) + skip(x)
        x = self.conv_out(ops.leaky_relu(x, slope))
        return ops.tanh(x) if self.final_activation else x


@register_architecture("melgan")
class MelGAN(Vocoder):
    """MelGAN, a vocoder without recurrence or noise.

    Source: Kumar et al., "MelGAN" (arXiv:1910.06711); numbers from
    descriptinc/melgan-neurips, and from kan-bayashi/ParallelWaveGAN for the
    full-band variants that `upsample_rates`, `num_stacks` and the loss
    `"multi_resolution_stft"` make. The default loss is the paper's: hinge on
    three scales, and feature matching.

    Example:

    ```python
    vocoder = keras_audiogan.from_preset("melgan_speech")
    mel = vocoder.mel(audio)          # (1, frames, 80)
    again = vocoder.vocode(mel)       # (1, frames * 256, 1)
    ```

    Args: those of `MelGANGenerator` and of `Vocoder`.
    """

    generator_class = MelGANGenerator
    mel_defaults = MEL_SETTINGS["melgan"]
    default_arguments = {"discriminators": [{"kind": "multi_scale"}]}
    default_loss = "melgan"
    tiny = {
        **TINY,
        "channels": 8,
        "upsample_rates": [4, 4],
        "num_stacks": 2,
    }


@register_architecture("multiband_melgan")
class MultiBandMelGAN(Vocoder):
    """Multi-band MelGAN, the fastest of the family on a CPU.

    The generator makes the bands of a pseudo quadrature mirror filter bank,
    each at a fraction of the rate, and the bank puts them together.

    Source: Yang et al., "Multi-band MelGAN" (arXiv:2005.05106); numbers from
    kan-bayashi/ParallelWaveGAN, `multi_band_melgan.v2`. The default loss is
    its: half full-band and half sub-band multi-resolution STFT loss, and
    least squares against three scales.

    Args:
        num_bands: bands; `num_bands * prod(upsample_rates)` is the hop.
        pqmf_taps: order of the filters, even.
        pqmf_cutoff: their cutoff, as a part of half the rate.
        pqmf_beta: of their Kaiser window.
        **kwargs: those of `MelGANGenerator` and of `Vocoder`.
    """

    generator_class = MelGANGenerator
    mel_defaults = MEL_SETTINGS["parallel_wavegan"]
    default_arguments = {
        "slice_length": 16384,
        "channels": 384,
        "upsample_rates": (8, 4, 2),
        "num_stacks": 4,
        "discriminators": [
            {
                "kind": "multi_scale",
                "downsample_rates": [4, 4, 4],
                "max_channels": 512,
            }
        ],
    }
    default_loss = "multiband_melgan"
    normalizes_mels = True
    tiny = {
        **TINY,
        "channels": 8,
        "upsample_rates": [2, 2],
        "num_stacks": 2,
    }

    def __init__(
        self,
        num_bands: int = 4,
        pqmf_taps: int = 62,
        pqmf_cutoff: float = 0.142,
        pqmf_beta: float = 9.0,
        **kwargs: Any,
    ) -> None:
        self.num_bands = num_bands
        super().__init__(num_bands=num_bands, **kwargs)

    def make_representation(self) -> SubBands:
        """Returns the bands of a filter bank, which the generator makes."""
        return SubBands(
            self.num_bands,
            self.arguments["pqmf_taps"],
            self.arguments["pqmf_cutoff"],
            self.arguments["pqmf_beta"],
        )

    def network_context(self) -> dict[str, Any]:
        """Returns the `derived_arguments` of networks."""
        return {**super().network_context(), "out_channels": self.num_bands}

    @property
    def network_frames(self) -> int:
        """Frames to either side that a sample of the network depends on."""
        # A filter reaches half its taps to either side.
        bank = -(-self.arguments["pqmf_taps"] // self.features.frame_step)
        return super().network_frames + bank
