"""The discriminators of vocoders, by the kinds that a config names."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from keras import ops

from keras_audiogan.layers.activations import leaky_relu
from keras_audiogan.layers.normalized_conv import (
    NormalizedConv1D,
    NormalizedConv2D,
)
from keras_audiogan.layers.stft import stft, stft_magnitude
from keras_audiogan.models.discriminators import (
    Discriminator,
    register_discriminator,
)

# More periods or scales than anybody has tried.
_MOST = 16


def _check_count(name: str, values: Sequence[Any]) -> None:
    if not 0 < len(values) <= _MOST:
        raise ValueError(
            f"There must be 1 to {_MOST} `{name}`. "
            f"Received: {name}={list(values)}"
        )


def average_pool(
    x: Any, size: int, strides: int, padding: int, count_padding: bool
) -> Any:
    """Average pooling along time as PyTorch's `AvgPool1d`.

    With `count_padding`, the zeros at either end count as steps.
    """
    widths = [[0, 0], [padding, padding], [0, 0]]

    def pool(x: Any) -> Any:
        return ops.average_pool(
            ops.pad(x, widths),
            size,
            strides,
            "valid",
            data_format="channels_last",
        )

    if count_padding or not padding:
        return pool(x)
    return pool(x) / pool(ops.ones_like(x[:1, :, :1]))


class _StackDiscriminator(Discriminator):
    """Discriminators of stacks of convolutions with leaky ReLUs between.

    Attributes:
        negative_slope: of the leaky ReLUs.
        pool: size, strides and padding of the average pooling before each
            scale but the first, and whether the padding counts.
    """

    negative_slope: float
    pool: tuple[int, int, int, bool]

    def make_stack(
        self,
        specs: list[dict[str, Any]],
        names: list[str],
        conv_class: Any = NormalizedConv1D,
        inputs: int = 1,
        last_dtype: str | None = "float32",
        **shared: Any,
    ) -> list[Any]:
        """Makes convolutions, each on top of the one before."""
        layers: list[Any] = []
        rank = 2 if conv_class is NormalizedConv2D else 1
        for spec, name in zip(specs, names, strict=True):
            last = len(layers) == len(specs) - 1
            options = {"dtype": last_dtype} if last and last_dtype else {}
            layers.append(
                self.make_layer(
                    conv_class,
                    (*[None] * rank, inputs),
                    name=name,
                    **shared,
                    **spec,
                    **options,
                )
            )
            inputs = spec["filters"]
        return layers

    def maps_of_stack(self, layers: list[Any], x: Any, training: bool) -> list:
        """Returns what each convolution makes of `x`, the logits last."""
        features = []
        for layer in layers[:-1]:
            x = leaky_relu(layer(x, training=training), self.negative_slope)
            features.append(x)
        return [*features, self.score_of(layers[-1], x, training)]

    def maps_of_scales(
        self, scales: list[list[Any]], audio: Any, training: bool
    ) -> list[list[Any]]:
        """Returns the maps of stacks that see the sound and its averages."""
        outputs = []
        for i, layers in enumerate(scales):
            if i:
                audio = average_pool(audio, *self.pool)
            outputs.append(self.maps_of_stack(layers, audio, training))
        return outputs


@register_discriminator("multi_scale")
class MultiScaleDiscriminator(_StackDiscriminator):
    """MelGAN's discriminators of the sound and of its averages.

    Source: arXiv:1910.06711; descriptinc/melgan-neurips and
    kan-bayashi/ParallelWaveGAN.

    Args:
        num_scales: how many, each of half the rate of the one before.
        kernel_sizes: of the last two convolutions; the first one's is their
            product.
        channels: after the first convolution.
        max_channels: at most so many after any.
        downsample_rates: strides of the grouped convolutions, of
            `10 * rate + 1` taps and 4 channels a group.
        use_bias: whether convolutions have one.
        negative_slope: of the leaky ReLUs.
        padding: of the first convolution, see `NormalizedConv1D`.
        weight_norm: whether kernels have weight norm.
        pool_size: steps under a mean of the average pooling.
        pool_strides: its strides.
        pool_padding: its zeros at either end.
        pool_count_padding: whether they count.
    """

    def __init__(
        self,
        num_scales: int = 3,
        kernel_sizes: Sequence[int] = (5, 3),
        channels: int = 16,
        max_channels: int = 1024,
        downsample_rates: Sequence[int] = (4, 4, 4, 4),
        use_bias: bool = True,
        negative_slope: float = 0.2,
        padding: str = "reflect",
        weight_norm: bool = True,
        pool_size: int = 4,
        pool_strides: int = 2,
        pool_padding: int = 1,
        pool_count_padding: bool = False,
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        self.negative_slope = negative_slope
        self.pool = (pool_size, pool_strides, pool_padding, pool_count_padding)
        first = {
            "kernel_size": math.prod(kernel_sizes),
            "padding_mode": padding,
        }
        specs: list[dict[str, Any]] = [{"filters": channels, **first}]
        width = channels
        for rate in downsample_rates:
            groups, width = width // 4, min(width * rate, max_channels)
            specs.append(
                {
                    "filters": width,
                    "kernel_size": 10 * rate + 1,
                    "strides": rate,
                    "padding": (5 * rate, 5 * rate),
                    "groups": groups,
                }
            )
        width = min(width * 2, max_channels)
        specs.append({"filters": width, "kernel_size": kernel_sizes[0]})
        specs.append({"filters": 1, "kernel_size": kernel_sizes[1]})
        self.num_scores = num_scales
        self.scales = [
            self.make_stack(
                specs,
                [f"scale_{s}_conv_{i}" for i in range(len(specs))],
                norm="weight" if weight_norm else None,
                use_bias=use_bias,
                kernel_stddev=0.02,
            )
            for s in range(num_scales)
        ]

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns the feature maps of every scale, logits last."""
        (audio,) = views
        return self.maps_of_scales(self.scales, audio, training)


@register_discriminator("dilated")
class DilatedDiscriminator(_StackDiscriminator):
    """Parallel WaveGAN's discriminator: convolutions without strides.

    Source: arXiv:1910.11480; kan-bayashi/ParallelWaveGAN.

    Args:
        num_layers: convolutions.
        channels: of all but the last.
        kernel_size: taps.
        dilation_factor: 1 for dilations 1, 1, 2, 3 ..., else its powers.
        use_bias: whether convolutions have one.
        negative_slope: of the leaky ReLUs.
        weight_norm: whether kernels have weight norm.
    """

    def __init__(
        self,
        num_layers: int = 10,
        channels: int = 64,
        kernel_size: int = 3,
        dilation_factor: int = 1,
        use_bias: bool = True,
        negative_slope: float = 0.2,
        weight_norm: bool = True,
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        self.negative_slope = negative_slope
        specs = []
        for i in range(num_layers):
            last = i == num_layers - 1
            dilation = 1
            if i and not last:
                dilation = i if dilation_factor == 1 else dilation_factor**i
            filters = 1 if last else channels
            specs.append({"filters": filters, "dilation_rate": dilation})
        self.convs = self.make_stack(
            specs,
            [f"conv_{i}" for i in range(num_layers)],
            kernel_size=kernel_size,
            norm="weight" if weight_norm else None,
            use_bias=use_bias,
        )

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns one list of feature maps, a logit a sample last."""
        (audio,) = views
        return [self.maps_of_stack(self.convs, audio, training)]


@register_discriminator("residual")
class ResidualDiscriminator(Discriminator):
    """Parallel WaveGAN's other discriminator: gated residual blocks.

    Source: kan-bayashi/ParallelWaveGAN,
    `ResidualParallelWaveGANDiscriminator`.

    Args:
        num_layers: residual blocks.
        num_stacks: cycles of dilations, 1, 2, 4 ... in each.
        kernel_size: taps of the dilated convolutions.
        residual_channels: between the blocks.
        gate_channels: inside them.
        skip_channels: out of them.
        use_bias: whether the convolutions of the blocks have one.
        negative_slope: of the leaky ReLUs.
        weight_norm: whether kernels have weight norm.
        causal: whether an output sees no later sample.
    """

    def __init__(
        self,
        num_layers: int = 30,
        num_stacks: int = 3,
        kernel_size: int = 3,
        residual_channels: int = 64,
        gate_channels: int = 128,
        skip_channels: int = 64,
        use_bias: bool = True,
        negative_slope: float = 0.2,
        weight_norm: bool = True,
        causal: bool = False,
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        self.negative_slope = negative_slope
        shared: dict[str, Any] = {
            "padding": "causal" if causal else "same",
            "norm": "weight" if weight_norm else None,
        }
        conv: Any = functools.partial(
            self.make_layer, NormalizedConv1D, use_bias=use_bias, **shared
        )
        end: Any = functools.partial(conv, kernel_size=1, use_bias=True)
        half = (None, gate_channels // 2)
        self.conv_in = end((None, 1), residual_channels, name="conv_in")
        self.blocks = [
            (
                conv(
                    (None, residual_channels),
                    gate_channels,
                    kernel_size,
                    dilation_rate=2 ** (i % (num_layers // num_stacks)),
                    name=f"block_{i}_conv",
                ),
                conv(half, residual_channels, 1, name=f"block_{i}_out"),
                conv(half, skip_channels, 1, name=f"block_{i}_skip"),
            )
            for i in range(num_layers)
        ]
        skipped = (None, skip_channels)
        self.conv_out_0 = end(skipped, skip_channels, name="conv_out_0")
        self.conv_out_1 = end(skipped, 1, name="conv_out_1", dtype="float32")

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns one list of feature maps, a logit a sample last."""
        del training
        (x,) = views
        slope = self.negative_slope
        x = leaky_relu(self.conv_in(x), slope)
        features: list[Any] = [x]
        total: Any = None
        for i, (dilated, out, skip) in enumerate(self.blocks):
            signal, gate = ops.split(dilated(x), 2, axis=-1)
            y = ops.tanh(signal) * ops.sigmoid(gate)
            total = total + skip(y) if i else skip(y)
            x = (out(y) + x) * math.sqrt(0.5)
            features.append(x)
        x = total * math.sqrt(1.0 / len(self.blocks))
        x = self.conv_out_0(leaky_relu(x, slope))
        features.append(x)
        x = leaky_relu(x, slope)
        return [[*features, self.score_of(self.conv_out_1, x)]]


class _PeriodDiscriminator(_StackDiscriminator):
    """Discriminators of pictures whose rows are a period of the sound.

    Attributes:
        periods: samples in a row.
        period_layers: the convolutions of each.
    """

    periods: list[int]
    period_layers: list[list[Any]]

    def make_periods(
        self,
        kernel_size: int,
        last_kernel_size: int,
        channels: int,
        max_channels: int,
        rates: Sequence[int],
        norm: str | None,
        inputs: int = 1,
    ) -> list[list[Any]]:
        """Makes the convolutions of every period."""
        specs: list[dict[str, Any]] = []
        width, side = channels, (kernel_size - 1) // 2
        for rate in rates:
            specs.append(
                {
                    "filters": width,
                    "kernel_size": (kernel_size, 1),
                    "strides": rate,
                    "padding": (side, side, 0),
                }
            )
            width = min(4 * width, max_channels)
        side = last_kernel_size // 2
        specs.append(
            {
                "filters": 1,
                "kernel_size": (last_kernel_size, 1),
                "padding": (side, side, 0),
            }
        )
        parts = [f"conv_{i}" for i in range(len(specs) - 1)] + ["conv_out"]
        return [
            self.make_stack(
                specs,
                [f"period_{p}_{part}" for part in parts],
                NormalizedConv2D,
                inputs,
                norm=norm,
            )
            for p in range(len(self.periods))
        ]

    def maps_of_periods(self, audio: Any, training: bool) -> list[list[Any]]:
        """Returns the maps of every period."""
        return [
            self.maps_of_stack(layers, fold(audio, period), training)
            for period, layers in zip(
                self.periods, self.period_layers, strict=True
            )
        ]


@register_discriminator("multi_period")
class MultiPeriodDiscriminator(_PeriodDiscriminator):
    """HiFi-GAN's discriminators of periods, without those of scales.

    Source: arXiv:2010.05646; gemelo-ai/vocos, whose feature matching leaves
    out the first maps.

    Args:
        num_channels: of the sound.
        periods: samples in a row of the pictures, which are reflected at the
            end to whole rows.
        kernel_size: taps.
        last_kernel_size: taps of the last convolutions.
        channels: after the first convolution; each further one has four
            times as many.
        max_channels: at most so many.
        rates: strides of the convolutions.
        norm: of the kernels.
        negative_slope: of the leaky ReLUs.
        first_maps: whether what the first convolutions make is among the
            maps.
    """

    view_scales = (0.1,)

    def __init__(
        self,
        num_channels: int = 1,
        periods: Sequence[int] = (2, 3, 5, 7, 11),
        kernel_size: int = 5,
        last_kernel_size: int = 3,
        channels: int = 32,
        max_channels: int = 1024,
        rates: Sequence[int] = (3, 3, 3, 3, 1),
        norm: str | None = "weight",
        negative_slope: float = 0.1,
        first_maps: bool = True,
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        _check_count("periods", periods)
        self.periods = list(periods)
        self.num_scores = len(self.periods)
        self.negative_slope = negative_slope
        self.first_maps = first_maps
        self.period_layers = self.make_periods(
            kernel_size,
            last_kernel_size,
            channels,
            max_channels,
            rates,
            norm,
            num_channels,
        )

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns one list of feature maps per period."""
        (audio,) = views
        maps = self.maps_of_periods(audio, training)
        return maps if self.first_maps else [each[1:] for each in maps]


@register_discriminator("multi_band")
class MultiBandDiscriminator(_StackDiscriminator):
    """Vocos's discriminators of complex spectra, at several resolutions.

    The spectrum of a sound without DC, levelled to a peak of 0.8, is cut
    into bands, each with convolutions of its own; one more convolution looks
    at all of them. Source: arXiv:2306.00814 and gemelo-ai/vocos, after DAC
    (arXiv:2306.06546).

    The maps of a band have the shape `(batch, bins, frames, channels)`.

    With `padding="same"` and `first_maps=True` it is DAC's own.

    Args:
        num_channels: of the sound.
        fft_lengths: samples in the transform of each resolution; hops are a
            quarter of it.
        bands: edges of the bands, as parts of half the rate.
        channels: of every convolution.
        negative_slope: of the leaky ReLUs.
        norm: of the kernels.
        first_maps: whether what the first convolutions make is among the
            maps.
        padding: where frames lie, `"center"` or `"same"`; see
            `keras_audiogan.layers.stft`.
    """

    def __init__(
        self,
        num_channels: int = 1,
        fft_lengths: Sequence[int] = (2048, 1024, 512),
        bands: Sequence[float] = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0),
        channels: int = 32,
        negative_slope: float = 0.1,
        norm: str | None = "weight",
        first_maps: bool = False,
        padding: str = "center",
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        _check_count("fft_lengths", fft_lengths)
        self.fft_lengths = list(fft_lengths)
        self.num_scores = len(self.fft_lengths)
        self.edges = [
            [int(edge * (length // 2 + 1)) for edge in bands]
            for length in fft_lengths
        ]
        if any(a >= b for each in self.edges for a, b in pairwise(each)):
            raise ValueError(
                "`bands` must be rising edges, 0 to 1, with a bin or more "
                f"between two. Received: bands={list(bands)}, "
                f"fft_lengths={self.fft_lengths}"
            )
        if padding not in ("center", "same"):
            raise ValueError(
                '`padding` must be "center" or "same". '
                f"Received: padding={padding!r}"
            )
        self.padding = padding
        self.negative_slope = negative_slope
        self.first_maps = first_maps
        # Frequency comes first: it is the axis that is strided.
        wide = {"filters": channels, "kernel_size": (9, 3)}
        specs: list[dict[str, Any]] = [
            {**wide, "padding": (4, 4, 1), "strides": 1},
            *[{**wide, "padding": (4, 4, 1), "strides": 2}] * 3,
            {"filters": channels, "kernel_size": (3, 3), "padding": (1, 1, 1)},
        ]
        last = {"filters": 1, "kernel_size": (3, 3), "padding": (1, 1, 1)}
        self.stacks: list[list[list[Any]]] = []
        self.lasts: list[Any] = []
        for r in range(self.num_scores):
            stacks = [
                self.make_stack(
                    specs,
                    [f"resolution_{r}_band_{b}_conv_{i}" for i in range(5)],
                    NormalizedConv2D,
                    2 * num_channels,
                    norm=norm,
                    last_dtype=None,
                )
                for b in range(len(bands) - 1)
            ]
            self.stacks.append(stacks)
            (layer,) = self.make_stack(
                [last],
                [f"resolution_{r}_conv_out"],
                NormalizedConv2D,
                channels,
                norm=norm,
            )
            self.lasts.append(layer)

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns one list of feature maps per resolution, by bands."""
        (audio,) = views
        length, channels = audio.shape[1], audio.shape[2]
        audio = ops.cast(audio, "float32")
        audio = audio - ops.mean(audio, axis=1, keepdims=True)
        peak = ops.max(ops.abs(audio), axis=(1, 2), keepdims=True)
        audio = 0.8 * audio / (peak + 1e-9)
        audio = ops.reshape(ops.transpose(audio, (0, 2, 1)), (-1, length))
        outputs = []
        for length, edges, stacks, last in zip(
            self.fft_lengths, self.edges, self.stacks, self.lasts, strict=True
        ):
            parts = stft(audio, length, length // 4, self.padding)
            spectrum = ops.stack(parts, axis=-1)
            shape = (-1, channels, *spectrum.shape[1:])
            spectrum = ops.transpose(
                ops.reshape(spectrum, shape), (0, 3, 2, 1, 4)
            )
            shape = (-1, *spectrum.shape[1:3], 2 * channels)
            spectrum = ops.reshape(spectrum, shape)
            features, tops = [], []
            for (low, high), layers in zip(
                pairwise(edges), stacks, strict=True
            ):
                x = spectrum[:, low:high]
                for i, layer in enumerate(layers):
                    x = layer(x, training=training)
                    x = leaky_relu(x, self.negative_slope)
                    if i or self.first_maps:
                        features.append(x)
                tops.append(x)
            x = self.score_of(last, ops.concatenate(tops, axis=1), training)
            outputs.append([*features, x])
        return outputs


@register_discriminator("multi_resolution")
class MultiResolutionDiscriminator(_StackDiscriminator):
    """UnivNet's and BigVGAN's discriminators of magnitudes.

    The magnitudes of a spectrum, at several resolutions, as pictures that are
    strided along time. Source: Jang et al., "UnivNet" (arXiv:2106.07889);
    NVIDIA/BigVGAN.

    The maps of a resolution have the shape `(batch, frames, bins, channels)`.

    Args:
        num_channels: of the sound; each has a picture.
        fft_lengths: samples in the transform of each resolution.
        frame_steps: samples from one frame to the next.
        window_lengths: samples under the window. It has no slopes, as the
            originals have it: see `window`.
        channels: of every convolution.
        negative_slope: of the leaky ReLUs.
        norm: of the kernels.
        window: a name of `keras_audiogan.audio.windows.get_window`, or None
            for the originals' square one.
    """

    def __init__(
        self,
        num_channels: int = 1,
        fft_lengths: Sequence[int] = (1024, 2048, 512),
        frame_steps: Sequence[int] = (120, 240, 50),
        window_lengths: Sequence[int] = (600, 1200, 240),
        channels: int = 32,
        negative_slope: float = 0.1,
        norm: str | None = "weight",
        window: str | None = None,
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        _check_count("fft_lengths", fft_lengths)
        sizes = (fft_lengths, frame_steps, window_lengths)
        if len({len(each) for each in sizes}) > 1 or any(
            not 0 < step <= length or not 0 < taper <= length
            for length, step, taper in zip(*sizes, strict=False)
        ):
            raise ValueError(
                "Each of the `fft_lengths` has one of `frame_steps` and "
                "`window_lengths`, neither larger. Received: "
                f"fft_lengths={list(fft_lengths)}, "
                f"frame_steps={list(frame_steps)}, "
                f"window_lengths={list(window_lengths)}"
            )
        self.resolutions = list(zip(*sizes, strict=True))
        self.num_scores = len(self.resolutions)
        self.window = window
        self.negative_slope = negative_slope
        # Time comes first: it is the axis that is strided.
        wide = {
            "filters": channels,
            "kernel_size": (9, 3),
            "padding": (4, 4, 1),
        }
        small = {"kernel_size": (3, 3), "padding": (1, 1, 1)}
        specs: list[dict[str, Any]] = [
            wide,
            *[{**wide, "strides": 2}] * 3,
            {"filters": channels, **small},
            {"filters": 1, **small},
        ]
        parts = [f"conv_{i}" for i in range(len(specs) - 1)] + ["conv_out"]
        self.stacks = [
            self.make_stack(
                specs,
                [f"resolution_{r}_{part}" for part in parts],
                NormalizedConv2D,
                num_channels,
                norm=norm,
            )
            for r in range(self.num_scores)
        ]

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns one list of feature maps per resolution."""
        (audio,) = views
        length, channels = audio.shape[1], audio.shape[2]
        rows = ops.reshape(ops.transpose(audio, (0, 2, 1)), (-1, length))
        outputs = []
        for layers, (fft_length, step, taper) in zip(
            self.stacks, self.resolutions, strict=True
        ):
            x = stft_magnitude(
                rows, fft_length, step, taper, self.window, "same", 0.0
            )
            x = ops.reshape(x, (-1, channels, *x.shape[1:]))
            x = ops.transpose(x, (0, 2, 3, 1))
            outputs.append(self.maps_of_stack(layers, x, training))
        return outputs


@register_discriminator("multi_period_multi_scale")
class MultiPeriodMultiScaleDiscriminator(_PeriodDiscriminator):
    """HiFi-GAN's discriminators: of periods, then of scales.

    Source: arXiv:2010.05646; jik876/hifi-gan, and with
    `period_last_kernel_size=2` kan-bayashi/ParallelWaveGAN, whose order is
    scales, then periods.

    The maps of a period have the shape `(batch, time, period, channels)`.

    Args:
        periods: samples in a row of the pictures, which are reflected at the
            end to whole rows.
        period_kernel_size: taps of the period discriminators.
        period_last_kernel_size: taps of their last convolution.
        period_channels: after their first convolution; each further one has
            four times as many.
        period_max_channels: at most so many.
        period_rates: strides of their convolutions.
        num_scales: discriminators of the sound and of its averages.
        scale_kernel_sizes: of the first convolution, the grouped ones, and
            the last two.
        scale_channels: after the first convolution of a scale.
        scale_max_channels: at most so many.
        scale_max_groups: most groups of a convolution.
        scale_rates: strides of the grouped convolutions.
        scale_norms: norm of every scale.
        period_norm: norm of the periods.
        use_bias: whether the scales' convolutions have one.
        negative_slope: of the leaky ReLUs.
        pool_size: steps under a mean of the average pooling.
        pool_strides: its strides.
        pool_padding: its zeros at either end, which count.
    """

    def __init__(
        self,
        periods: Sequence[int] = (2, 3, 5, 7, 11),
        period_kernel_size: int = 5,
        period_last_kernel_size: int = 3,
        period_channels: int = 32,
        period_max_channels: int = 1024,
        period_rates: Sequence[int] = (3, 3, 3, 3, 1),
        period_norm: str | None = "weight",
        num_scales: int = 3,
        scale_kernel_sizes: Sequence[int] = (15, 41, 5, 3),
        scale_channels: int = 128,
        scale_max_channels: int = 1024,
        scale_max_groups: int = 16,
        scale_rates: Sequence[int] = (2, 2, 4, 4, 1),
        scale_norms: Sequence[str | None] | None = None,
        use_bias: bool = True,
        negative_slope: float = 0.1,
        pool_size: int = 4,
        pool_strides: int = 2,
        pool_padding: int = 2,
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        if max(len(periods), num_scales) > _MOST:
            raise ValueError(
                f"There may be {_MOST} `periods` and {_MOST} scales at most. "
                f"Received: {len(periods)} periods, num_scales={num_scales}"
            )
        self.periods = list(periods)
        self.negative_slope = negative_slope
        self.pool = (pool_size, pool_strides, pool_padding, True)
        self.num_scores = len(self.periods) + num_scales
        self.period_layers = self.make_periods(
            period_kernel_size,
            period_last_kernel_size,
            period_channels,
            period_max_channels,
            period_rates,
            period_norm,
        )
        if scale_norms is None:
            scale_norms = ["spectral"] + ["weight"] * (num_scales - 1)
        first, middle, late, last = scale_kernel_sizes
        width, groups = scale_channels, 4
        specs: list[dict[str, Any]] = [{"filters": width, "kernel_size": first}]
        for rate in scale_rates:
            specs.append(
                {
                    "filters": width,
                    "kernel_size": middle,
                    "strides": rate,
                    "padding": (middle // 2, middle // 2),
                    "groups": groups,
                }
            )
            width = min(2 * width, scale_max_channels)
            groups = min(4 * groups, scale_max_groups)
        specs.append({"filters": width, "kernel_size": late})
        specs.append({"filters": 1, "kernel_size": last})
        parts = [f"conv_{i}" for i in range(len(specs) - 1)] + ["conv_out"]
        self.scale_layers = [
            self.make_stack(
                specs,
                [f"scale_{s}_{part}" for part in parts],
                norm=norm,
                use_bias=use_bias,
            )
            for s, norm in zip(range(num_scales), scale_norms, strict=False)
        ]

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns the feature maps of periods, then of scales."""
        (audio,) = views
        return self.maps_of_periods(audio, training) + self.maps_of_scales(
            self.scale_layers, audio, training
        )


def fold(audio: Any, period: int) -> Any:
    """Returns sound, reflected at its end, as `(batch, rows, period, C)`."""
    length, channels = audio.shape[1:]
    missing = -length % period
    if missing:
        audio = ops.pad(audio, [[0, 0], [0, missing], [0, 0]], "reflect")
    rows = (length + missing) // period
    return ops.reshape(audio, (-1, rows, period, channels))


@register_discriminator("none")
class NoDiscriminator(Discriminator):
    """Stands for none, in vocoders that are only used."""

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Says that there is none.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "This model has no discriminator to train with: it was made for "
            "use. Load it with its weight norm, or name its `discriminators`."
        )
