"""The discriminators of vocoders, by the kinds that a config names."""

from __future__ import annotations

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


def average_pool(
    x: Any, size: int, strides: int, padding: int, count_padding: bool
) -> Any:
    """Average pooling along time as PyTorch's `AvgPool1d`.

    Args:
        x: `(batch, time, channels)`.
        size: steps under a mean.
        strides: from one mean to the next.
        padding: zeros at either end.
        count_padding: whether they count as steps.
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


@register_discriminator("multi_scale")
class MultiScaleDiscriminator(Discriminator):
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
        dtype: dtype policy.
        name: name of the model.
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
        self.scales = []
        sizes = []
        for s in range(num_scales):
            specs: list[dict[str, Any]] = [
                {
                    "filters": channels,
                    "kernel_size": math.prod(kernel_sizes),
                    "padding_mode": padding,
                }
            ]
            width = channels
            for rate in downsample_rates:
                wider = min(width * rate, max_channels)
                specs.append(
                    {
                        "filters": wider,
                        "kernel_size": 10 * rate + 1,
                        "strides": rate,
                        "padding": (5 * rate, 5 * rate),
                        "groups": width // 4,
                    }
                )
                width = wider
            width = min(width * 2, max_channels)
            specs.append({"filters": width, "kernel_size": kernel_sizes[0]})
            specs.append({"filters": 1, "kernel_size": kernel_sizes[1]})
            layers = []
            inputs = 1
            for i, spec in enumerate(specs):
                last = i == len(specs) - 1
                layer = NormalizedConv1D(
                    **spec,
                    norm="weight" if weight_norm else None,
                    use_bias=use_bias,
                    kernel_stddev=0.02,
                    name=f"scale_{s}_conv_{i}",
                    dtype="float32" if last else self.dtype_policy,
                )
                sizes.append((layer, (None, None, inputs)))
                inputs = spec["filters"]
                layers.append(layer)
            self.scales.append(layers)
        self.build_layers(sizes)

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns the feature maps of every scale, logits last."""
        (audio,) = views
        outputs = []
        for i, layers in enumerate(self.scales):
            if i:
                audio = average_pool(audio, *self.pool)
            x, features = audio, []
            for layer in layers[:-1]:
                x = layer(x, training=training)
                x = leaky_relu(x, self.negative_slope)
                features.append(x)
            features.append(layers[-1](x, training=training))
            outputs.append(features)
        return outputs


@register_discriminator("dilated")
class DilatedDiscriminator(Discriminator):
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
        dtype: dtype policy.
        name: name of the model.
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
        self.convs = []
        for i in range(num_layers):
            last = i == num_layers - 1
            dilation = 1
            if i and not last:
                dilation = i if dilation_factor == 1 else dilation_factor**i
            self.convs.append(
                NormalizedConv1D(
                    1 if last else channels,
                    kernel_size,
                    dilation_rate=dilation,
                    norm="weight" if weight_norm else None,
                    use_bias=use_bias,
                    name=f"conv_{i}",
                    dtype="float32" if last else self.dtype_policy,
                )
            )
        self.build_layers(
            [
                (conv, (None, None, channels if i else 1))
                for i, conv in enumerate(self.convs)
            ]
        )

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns one list of feature maps, a logit a sample last."""
        (x,) = views
        features = []
        for conv in self.convs[:-1]:
            x = conv(x, training=training)
            x = leaky_relu(x, self.negative_slope)
            features.append(x)
        return [[*features, self.convs[-1](x, training=training)]]


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
        dtype: dtype policy.
        name: name of the model.
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
        policy = self.dtype_policy

        def conv(filters: int, size: int, name: str, **kwargs: Any) -> Any:
            options = {
                "padding": "causal" if causal else "same",
                "norm": "weight" if weight_norm else None,
                "use_bias": use_bias,
                "dtype": policy,
                **kwargs,
            }
            return NormalizedConv1D(filters, size, name=name, **options)

        self.negative_slope = negative_slope
        self.conv_in = conv(residual_channels, 1, "conv_in", use_bias=True)
        cycle = num_layers // num_stacks
        self.blocks = [
            (
                conv(
                    gate_channels,
                    kernel_size,
                    f"block_{i}_conv",
                    dilation_rate=2 ** (i % cycle),
                ),
                conv(residual_channels, 1, f"block_{i}_out"),
                conv(skip_channels, 1, f"block_{i}_skip"),
            )
            for i in range(num_layers)
        ]
        self.conv_out_0 = conv(skip_channels, 1, "conv_out_0", use_bias=True)
        self.conv_out_1 = conv(
            1, 1, "conv_out_1", use_bias=True, dtype="float32"
        )
        half = gate_channels // 2
        sizes = [(self.conv_in, 1)]
        for dilated, out, skip in self.blocks:
            sizes += [(dilated, residual_channels), (out, half), (skip, half)]
        sizes += [
            (self.conv_out_0, skip_channels),
            (self.conv_out_1, skip_channels),
        ]
        self.build_layers(
            [(layer, (None, None, channels)) for layer, channels in sizes]
        )

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
class MultiPeriodMultiScaleDiscriminator(Discriminator):
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
        dtype: dtype policy.
        name: name of the model.
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
        self.periods = list(periods)
        self.negative_slope = negative_slope
        self.pool = (pool_size, pool_strides, pool_padding, True)
        sizes: list[tuple[Any, tuple]] = []
        policy = self.dtype_policy
        self.period_layers = []
        for p in range(len(self.periods)):
            layers: list[Any] = []
            inputs, width = 1, period_channels
            side = (period_kernel_size - 1) // 2
            for i, rate in enumerate(period_rates):
                layers.append(
                    NormalizedConv2D(
                        width,
                        (period_kernel_size, 1),
                        rate,
                        padding=(side, side, 0),
                        norm=period_norm,
                        name=f"period_{p}_conv_{i}",
                        dtype=policy,
                    )
                )
                sizes.append((layers[-1], (None, None, None, inputs)))
                inputs, width = width, min(4 * width, period_max_channels)
            side = period_last_kernel_size // 2
            layers.append(
                NormalizedConv2D(
                    1,
                    (period_last_kernel_size, 1),
                    padding=(side, side, 0),
                    norm=period_norm,
                    name=f"period_{p}_conv_out",
                    dtype="float32",
                )
            )
            sizes.append((layers[-1], (None, None, None, inputs)))
            self.period_layers.append(layers)
        if scale_norms is None:
            scale_norms = ["spectral"] + ["weight"] * (num_scales - 1)
        self.scale_layers = []
        for s, norm in zip(range(num_scales), scale_norms, strict=False):
            first, middle, late, last = scale_kernel_sizes
            specs: list[dict[str, Any]] = [
                {"filters": scale_channels, "kernel_size": first}
            ]
            width, groups = scale_channels, 4
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
                inputs, width = width, min(2 * width, scale_max_channels)
                groups = min(4 * groups, scale_max_groups)
            specs.append({"filters": width, "kernel_size": late})
            layers = []
            inputs = 1
            for i, spec in enumerate(specs):
                layers.append(
                    NormalizedConv1D(
                        **spec,
                        norm=norm,
                        use_bias=use_bias,
                        name=f"scale_{s}_conv_{i}",
                        dtype=policy,
                    )
                )
                sizes.append((layers[-1], (None, None, inputs)))
                inputs = spec["filters"]
            layers.append(
                NormalizedConv1D(
                    1,
                    last,
                    norm=norm,
                    use_bias=use_bias,
                    name=f"scale_{s}_conv_out",
                    dtype="float32",
                )
            )
            sizes.append((layers[-1], (None, None, inputs)))
            self.scale_layers.append(layers)
        self.build_layers(sizes)

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns the feature maps of periods, then of scales."""
        (audio,) = views
        outputs = [
            self._through(layers, fold(audio, period), training)
            for period, layers in zip(
                self.periods, self.period_layers, strict=True
            )
        ]
        for i, layers in enumerate(self.scale_layers):
            if i:
                audio = average_pool(audio, *self.pool)
            outputs.append(self._through(layers, audio, training))
        return outputs

    def _through(self, layers: list[Any], x: Any, training: bool) -> list[Any]:
        features = []
        for layer in layers[:-1]:
            x = layer(x, training=training)
            x = leaky_relu(x, self.negative_slope)
            features.append(x)
        return [*features, layers[-1](x, training=training)]


def fold(audio: Any, period: int) -> Any:
    """Returns sound as rows of a period, reflected at its end to whole rows.

    Args:
        audio: `(batch, time, 1)`; the time must be known.
        period: samples in a row.

    Returns:
        `(batch, rows, period, 1)`.
    """
    length = audio.shape[1]
    missing = -length % period
    if missing:
        audio = ops.pad(audio, [[0, 0], [0, missing], [0, 0]], "reflect")
    return ops.reshape(audio, (-1, (length + missing) // period, period, 1))


@register_discriminator("none")
class NoDiscriminator(Discriminator):
    """Stands for none, in vocoders that are only used.

    Args:
        dtype: dtype policy.
        name: name of the model.
    """

    def __init__(self, dtype: Any = None, name: str = "discriminator") -> None:
        super().__init__(dtype=dtype, name=name)
        self.build(None)

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Says that there is none.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "This vocoder has no discriminator to train with: it was made for "
            "use. Load it with its weight norm, or name its `discriminators`."
        )
