"""MelGAN: waveforms from mel spectrograms by transposed convolutions."""

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
                padding_mode=padding if size > 1 else "zeros",
                name=name,
                **{"dtype": policy, **shared, **kwargs},
            )

        self.negative_slope = negative_slope
        self.final_activation = final_activation
        self.conv_in = conv(channels, kernel_size, "conv_in")
        self.upsamples, self.stacks = [], []
        width, rate = channels, 1
        reach = float(kernel_size // 2)
        for i, factor in enumerate(upsample_rates):
            width //= 2
            rate *= factor
            reach += 2.0 * factor / rate
            self.upsamples.append(
                NormalizedConv1DTranspose(
                    width,
                    2 * factor,
                    factor,
                    crop=(factor + 1) // 2,
                    causal=causal,
                    name=f"upsample_{i}",
                    dtype=policy,
                    **shared,
                )
            )
            stacks = []
            for j in range(num_stacks):
                dilation = stack_kernel_size**j
                reach += (stack_kernel_size - 1) * dilation / rate
                stacks.append(
                    (
                        conv(
                            width,
                            stack_kernel_size,
                            f"stack_{i}_{j}_conv",
                            dilation_rate=dilation,
                        ),
                        conv(width, 1, f"stack_{i}_{j}_out"),
                        conv(width, 1, f"stack_{i}_{j}_skip"),
                    )
                )
            self.stacks.append(stacks)
        reach += kernel_size / rate
        self.conv_out = conv(
            out_channels, kernel_size, "conv_out", dtype="float32"
        )
        self.context_frames = math.ceil(reach) + 1
        self._build_layers(
            (
                (self.conv_in, num_mel_bins),
                *(
                    (layer, channels // 2**i)
                    for i, layer in enumerate(self.upsamples)
                ),
                *(
                    (layer, channels // 2 ** (i + 1))
                    for i, stacks in enumerate(self.stacks)
                    for stack in stacks
                    for layer in stack
                ),
                (self.conv_out, width),
            )
        )

    def call(self, mel: Any, training: bool = False) -> Any:
        """Returns sound, or its bands, float32."""
        del training
        slope = self.negative_slope
        x = self.conv_in(mel)
        for upsample, stacks in zip(self.upsamples, self.stacks, strict=True):
            x = upsample(leaky_relu(x, slope))
            for conv, out, skip in stacks:
                y = conv(leaky_relu(x, slope))
                x = out(leaky_relu(y, slope)) + skip(x)
        x = self.conv_out(leaky_relu(x, slope))
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

    Args:
        sampling_rate: in Hz.
        mel: arguments of `MelFeatures`; the original's by default.
        channels: see `MelGANGenerator`.
        kernel_size: see `MelGANGenerator`.
        upsample_rates: see `MelGANGenerator`.
        num_stacks: see `MelGANGenerator`.
        stack_kernel_size: see `MelGANGenerator`.
        use_bias: see `MelGANGenerator`.
        padding: see `MelGANGenerator`.
        negative_slope: see `MelGANGenerator`.
        final_activation: see `MelGANGenerator`.
        **kwargs: see `Vocoder`.
    """

    mel_defaults = MEL_SETTINGS["melgan"]
    discriminator_defaults = {"kind": "multi_scale"}
    default_loss = "melgan"

    def __init__(
        self,
        sampling_rate: int = 22050,
        slice_length: int = 8192,
        mel: dict[str, Any] | None = None,
        discriminator: dict[str, Any] | None = None,
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
        **kwargs: Any,
    ) -> None:
        super().__init__(
            MelGANGenerator,
            {
                "channels": channels,
                "kernel_size": kernel_size,
                "upsample_rates": list(upsample_rates),
                "num_stacks": num_stacks,
                "stack_kernel_size": stack_kernel_size,
                "use_bias": use_bias,
                "padding": padding,
                "negative_slope": negative_slope,
                "final_activation": final_activation,
            },
            sampling_rate=sampling_rate,
            slice_length=slice_length,
            mel=mel,
            discriminator=discriminator,
            weight_norm=weight_norm,
            causal=causal,
            **kwargs,
        )
