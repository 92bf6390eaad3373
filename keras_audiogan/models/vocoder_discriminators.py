"""The discriminators of vocoders, by the kinds that a config names."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_audiogan.layers.activations import leaky_relu
from keras_audiogan.layers.normalized_conv import (
    NormalizedConv1D,
    NormalizedConv2D,
)
from keras_audiogan.models.discriminators import (
    Discriminator,
    register_discriminator,
)

# More periods or scales than anybody has tried.
_MOST = 16


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
        **shared: Any,
    ) -> list[Any]:
        """Makes convolutions, each on top of the one before."""
        layers: list[Any] = []
        inputs = 1
        rank = 2 if conv_class is NormalizedConv2D else 1
        for spec, name in zip(specs, names, strict=True):
            last = len(layers) == len(specs) - 1
            options = {"dtype": "float32"} if last else {}
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
        return [*features, layers[-1](x, training=training)]

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
        return [[*features, self.conv_out_1(leaky_relu(x, slope))]]


@register_discriminator("multi_period_multi_scale")
class MultiPeriodMultiScaleDiscriminator(_StackDiscriminator):
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
        specs: list[dict[str, Any]] = []
        width, side = period_channels, (period_kernel_size - 1) // 2
        for rate in period_rates:
            specs.append(
                {
                    "filters": width,
                    "kernel_size": (period_kernel_size, 1),
                    "strides": rate,
                    "padding": (side, side, 0),
                }
            )
            width = min(4 * width, period_max_channels)
        side = period_last_kernel_size // 2
        specs.append(
            {
                "filters": 1,
                "kernel_size": (period_last_kernel_size, 1),
                "padding": (side, side, 0),
            }
        )
        parts = [f"conv_{i}" for i in range(len(specs) - 1)] + ["conv_out"]
        self.period_layers = [
            self.make_stack(
                specs,
                [f"period_{p}_{part}" for part in parts],
                NormalizedConv2D,
                norm=period_norm,
            )
            for p in range(len(self.periods))
        ]
        if scale_norms is None:
            scale_norms = ["spectral"] + ["weight"] * (num_scales - 1)
        first, middle, late, last = scale_kernel_sizes
        width, groups = scale_channels, 4
        specs = [{"filters": width, "kernel_size": first}]
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
        of_periods = [
            self.maps_of_stack(layers, fold(audio, period), training)
            for period, layers in zip(
                self.periods, self.period_layers, strict=True
            )
        ]
        return of_periods + self.maps_of_scales(
            self.scale_layers, audio, training
        )


def fold(audio: Any, period: int) -> Any:
    """Returns sound, reflected at its end, as `(batch, rows, period, 1)`."""
    length = audio.shape[1]
    missing = -length % period
    if missing:
        audio = ops.pad(audio, [[0, 0], [0, missing], [0, 0]], "reflect")
    return ops.reshape(audio, (-1, (length + missing) // period, period, 1))


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
