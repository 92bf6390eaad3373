"""Parallel WaveGAN: noise to waveform by a non-causal WaveNet."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_audiogan.layers import MEL_SETTINGS
from keras_audiogan.layers.normalized_conv import (
    NormalizedConv1D,
    NormalizedConv2D,
    pad_time,
)
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.models.vocoder import TINY, Vocoder, VocoderGenerator
from keras_audiogan.training import distribution


class ParallelWaveGANGenerator(VocoderGenerator):
    """A WaveNet of gated residual blocks over noise, conditioned on mels.

    Args:
        num_mel_bins: bands of the input.
        num_layers: residual blocks.
        num_stacks: cycles of dilations, 1, 2, 4 ... in each.
        kernel_size: taps of the dilated convolutions.
        residual_channels: between the blocks.
        gate_channels: inside them, half of which gate the other half.
        skip_channels: out of them.
        context_window: frames to either side that the first convolution of
            the mels sees; the mels are repeated beyond their ends.
        upsample_rates: factors of the up-samplings; their product is the hop.
        frequency_kernel_size: bands that their smoothing sees.
        upsample_slope: negative slope of a leaky ReLU after each, or None.
        use_bias: whether the convolutions of the blocks have one.
        weight_norm: whether kernels have weight norm.
        causal: whether an output sees no later sample or frame.

    Input shape: mels `(batch, frames, num_mel_bins)` and noise
        `(batch, frames * prod(upsample_rates), 1)`.
    Output shape: that of the noise.
    """

    def __init__(
        self,
        num_mel_bins: int = 80,
        num_layers: int = 30,
        num_stacks: int = 3,
        kernel_size: int = 3,
        residual_channels: int = 64,
        gate_channels: int = 128,
        skip_channels: int = 64,
        context_window: int = 2,
        upsample_rates: Sequence[int] = (4, 4, 4, 4),
        frequency_kernel_size: int = 1,
        upsample_slope: float | None = None,
        use_bias: bool = True,
        weight_norm: bool = True,
        causal: bool = False,
        dtype: Any = None,
        name: str = "generator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        if num_layers % num_stacks or gate_channels % 2:
            raise ValueError(
                "`num_layers` must be a multiple of `num_stacks`, and "
                "`gate_channels` even. Received: "
                f"num_layers={num_layers}, num_stacks={num_stacks}, "
                f"gate_channels={gate_channels}"
            )
        norm = "weight" if weight_norm else None
        conv: Any = functools.partial(
            self.make_layer,
            NormalizedConv1D,
            padding="causal" if causal else "same",
            norm=norm,
            use_bias=use_bias,
        )
        end: Any = functools.partial(conv, kernel_size=1, use_bias=True)
        self.causal = causal
        self.context_window = context_window
        self.upsample_rates = list(upsample_rates)
        self.upsample_slope = upsample_slope
        self.upsample_conv_in = conv(
            (None, num_mel_bins),
            num_mel_bins,
            (context_window if causal else 2 * context_window) + 1,
            padding=(0, 0),
            use_bias=False,
            name="upsample_conv_in",
        )
        side = frequency_kernel_size // 2
        self.upsamples = [
            NormalizedConv2D(
                1,
                (2 * rate + 1, frequency_kernel_size),
                padding=(2 * rate, 0, side) if causal else (rate, rate, side),
                norm=norm,
                use_bias=False,
                name=f"upsample_{i}",
                dtype=self.dtype_policy,
            )
            for i, rate in enumerate(upsample_rates)
        ]
        self.conv_in = end((None, 1), residual_channels, name="conv_in")
        cycle = num_layers // num_stacks
        half, skipped = (None, gate_channels // 2), (None, skip_channels)
        self.blocks = [
            (
                conv(
                    (None, residual_channels),
                    gate_channels,
                    kernel_size,
                    dilation_rate=2 ** (i % cycle),
                    name=f"block_{i}_conv",
                ),
                conv(
                    (None, num_mel_bins),
                    gate_channels,
                    1,
                    use_bias=False,
                    name=f"block_{i}_aux",
                ),
                conv(half, residual_channels, 1, name=f"block_{i}_out"),
                conv(half, skip_channels, 1, name=f"block_{i}_skip"),
            )
            for i in range(num_layers)
        ]
        self.conv_out_0 = end(skipped, skip_channels, name="conv_out_0")
        self.conv_out_1 = end(skipped, 1, name="conv_out_1", dtype="float32")
        self.build_layers(
            (layer, (None, None, num_mel_bins, 1)) for layer in self.upsamples
        )
        reach = (kernel_size - 1) * num_stacks * (2**cycle - 1)
        hop = math.prod(upsample_rates)
        frames = reach / hop if causal else reach / 2 / hop
        rate, smoothing = 1, 0.0
        for factor in upsample_rates:
            rate *= factor
            smoothing += 2.0 * factor / rate
        self.context_frames = math.ceil(frames + smoothing) + context_window + 1

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns sound of `[mel, noise]`, float32."""
        del training
        mel, noise = inputs
        conditions = self._upsampled(mel)
        x = self.conv_in(noise)
        total: Any = None
        for i, (dilated, aux, out, skip) in enumerate(self.blocks):
            gates = dilated(x) + aux(conditions)
            signal, gate = ops.split(gates, 2, axis=-1)
            y = ops.tanh(signal) * ops.sigmoid(gate)
            total = total + skip(y) if i else skip(y)
            x = (out(y) + x) * math.sqrt(0.5)
        x = ops.relu(total * math.sqrt(1.0 / len(self.blocks)))
        return self.conv_out_1(ops.relu(self.conv_out_0(x)))

    def _upsampled(self, mel: Any) -> Any:
        window = self.context_window
        x = pad_time(mel, window, 0 if self.causal else window, "replicate")
        x = ops.expand_dims(self.upsample_conv_in(x), -1)
        for rate, smooth in zip(
            self.upsample_rates, self.upsamples, strict=True
        ):
            # As `ops.repeat(x, rate, axis=1)`; LiteRT loses its shape.
            shape = (ops.shape(x)[0], -1, x.shape[2], 1)
            x = ops.reshape(ops.concatenate([x] * rate, axis=2), shape)
            x = smooth(x)
            if self.upsample_slope is not None:
                x = ops.leaky_relu(x, self.upsample_slope)
        return x[..., 0]


@register_architecture("parallel_wavegan")
class ParallelWaveGAN(Vocoder):
    """Parallel WaveGAN, a WaveNet that runs over all samples at once.

    Source: Yamamoto et al., "Parallel WaveGAN" (arXiv:1910.11480); numbers
    from kan-bayashi/ParallelWaveGAN, `parallel_wavegan.v1`. The default loss
    is its: multi-resolution STFT loss, and least squares from a given step
    on. The optimisers are Adam where it has RAdam.

    It is called with `[mel, noise]`, noise from a standard normal; with mels
    alone it draws the noise. `vocode` draws it from a seed.

    Args: those of `ParallelWaveGANGenerator` and of `Vocoder`.
    """

    generator_class = ParallelWaveGANGenerator
    mel_defaults = MEL_SETTINGS["parallel_wavegan"]
    default_arguments = {
        "slice_length": 25600,
        "discriminators": [{"kind": "dilated"}],
    }
    default_loss = "parallel_wavegan"
    normalizes_mels = True
    takes_noise = True
    # Its 30 layers each hold all samples of a chunk; as fast as 512.
    default_chunk_frames = 128
    engine_chunk_frames = 64
    tiny = {
        **TINY,
        "num_layers": 4,
        "num_stacks": 2,
        "residual_channels": 4,
        "gate_channels": 8,
        "skip_channels": 4,
        "upsample_rates": [4, 4],
        "discriminators": [{"kind": "dilated", "num_layers": 3, "channels": 4}],
    }

    def _draw(self, mel: Any) -> Any:
        shape = ops.shape(mel)
        length = shape[1] * self.features.frame_step
        return distribution.own_rows(
            lambda rows: keras.random.normal(
                (rows, length, 1), seed=self.seed_generator
            ),
            shape[0],
        )

    def _generator_inputs(self, mel: Any, batch: dict[str, Any]) -> Any:
        noise = batch.get("noise")
        return [mel, self._draw(mel) if noise is None else noise]

    def network_sound(self, inputs: Any) -> Any:
        """Sound of `[mel, noise]` or of mels, from the moving average."""
        if not isinstance(inputs, (list, tuple)):
            inputs = [inputs, self._draw(inputs)]
        return super().network_sound(list(inputs))
