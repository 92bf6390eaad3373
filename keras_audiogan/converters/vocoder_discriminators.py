"""The discriminators of the vocoders' checkpoints, and their options."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

from keras_audiogan.converters.config_files import Options, leaky_slope
from keras_audiogan.converters.errors import ConversionError
from keras_audiogan.converters.network_weights import (
    NetworkWeights,
    Source,
    residual_blocks,
)
from keras_audiogan.converters.torch_files import StateDict

Read = tuple[dict[str, Any], NetworkWeights]

PADDINGS = {
    "ReflectionPad1d": "reflect",
    "ReplicationPad1d": "replicate",
    "ConstantPad1d": "zeros",
}
_LEAKY = {"negative_slope": 0.2}
_HIFIGAN_LEAKY = {"negative_slope": 0.1}
# What jik876's code has in place of options.
_PERIODS = (2, 3, 5, 7, 11)
_PERIOD_RATES = (3, 3, 3, 3, 1)
_SCALE_RATES = (2, 2, 4, 4, 1)
_NUM_SCALES = 3


def padding_mode(settings: Options) -> str:
    """Returns how convolutions are padded, by PyTorch's name of it."""
    kind = settings.choice("pad", list(PADDINGS), "ReflectionPad1d")
    values = settings.options("pad_params", {})
    if kind == "ConstantPad1d" and values.number("value") != 0.0:
        raise values.error("value", "0")
    values.check_all_read()
    return PADDINGS[kind]


def read_parallel_wavegan(options: Options, state: StateDict) -> Read:
    """Reads a discriminator of kan-bayashi's ParallelWaveGAN project.

    Args:
        options: of config.yml.
        state: the discriminator's tensors.

    Returns:
        Our `discriminator` option and the weights.

    Raises:
        ConversionError: if the type is unknown, or its options and tensors
            do not fit each other.
    """
    kind = options.choice(
        "discriminator_type", list(_TYPES), "ParallelWaveGANDiscriminator"
    )
    settings = options.options("discriminator_params", {})
    result = _TYPES[kind](settings, state)
    settings.check_all_read()
    return result


def _mono(settings: Options) -> None:
    for name in ("in_channels", "out_channels"):
        settings.choice(name, [1], 1)


def _has_weight_norm(weights: NetworkWeights) -> bool:
    return weights.norm(allowed=("weight",)) == "weight"


def _dilated(settings: Options, state: StateDict) -> Read:
    _mono(settings)
    settings.skip("use_weight_norm")
    bias = settings.flag("bias", True)
    num_layers = settings.integer("layers", 10)
    sources = [
        Source(f"conv_{i}", f"conv_layers.{2 * i}", bias=bias)
        for i in range(num_layers)
    ]
    weights = NetworkWeights(state, sources)
    return {
        "kind": "dilated",
        "num_layers": num_layers,
        "channels": settings.integer("conv_channels", 64),
        "kernel_size": settings.integer("kernel_size", 3),
        "dilation_factor": settings.integer("dilation_factor", 1),
        "use_bias": bias,
        "negative_slope": leaky_slope(settings, _LEAKY),
        "weight_norm": _has_weight_norm(weights),
    }, weights


def _residual(settings: Options, state: StateDict) -> Read:
    _mono(settings)
    settings.skip("use_weight_norm", "dropout")
    bias = settings.flag("bias", True)
    num_layers = settings.integer("layers", 30)
    sources = [
        Source("conv_in", "first_conv.0", bias=True),
        *residual_blocks(num_layers, False, bias),
        Source("conv_out_0", "last_conv_layers.1", bias=True),
        Source("conv_out_1", "last_conv_layers.3", bias=True),
    ]
    weights = NetworkWeights(state, sources)
    return {
        "kind": "residual",
        "num_layers": num_layers,
        "num_stacks": settings.integer("stacks", 3),
        "kernel_size": settings.integer("kernel_size", 3),
        "residual_channels": settings.integer("residual_channels", 64),
        "gate_channels": settings.integer("gate_channels", 128),
        "skip_channels": settings.integer("skip_channels", 64),
        "use_bias": bias,
        "causal": settings.flag("use_causal_conv", False),
        "negative_slope": leaky_slope(settings, _LEAKY),
        "weight_norm": _has_weight_norm(weights),
    }, weights


def _pooling(
    settings: Options, prefix: str, padding: int, counts: bool
) -> dict[str, Any]:
    """Returns our options of the average pooling between scales."""
    name = f"{prefix}_params"
    settings.choice(prefix, ["AvgPool1d"], "AvgPool1d")
    is_given = name in settings
    values = settings.options(
        name, {"kernel_size": 4, "stride": 2, "padding": padding}
    )
    size = values.integer("kernel_size")
    pooling = {
        "pool_size": size,
        "pool_strides": values.integer("stride", size),
        "pool_padding": values.integer("padding", 0, 0),
        # PyTorch's own default, where the parameters are given.
        "pool_count_padding": values.flag(
            "count_include_pad", True if is_given else counts
        ),
    }
    values.check_all_read()
    return pooling


def _melgan(settings: Options, state: StateDict) -> Read:
    num_scales = settings.integer("scales", 3)
    pooling = _pooling(settings, "downsample_pooling", 1, False)
    return _melgan_scales(
        settings,
        state,
        num_scales,
        lambda s: f"discriminators.{s}.layers",
        pooling,
    )


def _melgan_single(settings: Options, state: StateDict) -> Read:
    return _melgan_scales(settings, state, 1, lambda s: "layers", {})


def _melgan_scales(
    settings: Options,
    state: StateDict,
    num_scales: int,
    layers: Callable[[int], str],
    pooling: dict[str, Any],
) -> Read:
    _mono(settings)
    settings.skip("use_weight_norm")
    bias = settings.flag("bias", True)
    rates = settings.integers("downsample_scales", [4, 4, 4, 4])
    sources = []
    for s in range(num_scales):
        names = [
            "0.1",
            *(f"{i + 1}.0" for i in range(len(rates) + 1)),
            str(len(rates) + 2),
        ]
        sources += [
            Source(f"scale_{s}_conv_{i}", f"{layers(s)}.{name}", bias=bias)
            for i, name in enumerate(names)
        ]
    weights = NetworkWeights(state, sources)
    return {
        "kind": "multi_scale",
        "num_scales": num_scales,
        "kernel_sizes": settings.integers("kernel_sizes", [5, 3]),
        "channels": settings.integer("channels", 16),
        "max_channels": settings.integer("max_downsample_channels", 1024),
        "downsample_rates": rates,
        "use_bias": bias,
        "negative_slope": leaky_slope(settings, _LEAKY),
        "padding": padding_mode(settings),
        "weight_norm": _has_weight_norm(weights),
        **pooling,
    }, weights


def _periods(
    settings: Options, periods: Sequence[int], prefix: str
) -> tuple[dict[str, Any], list[Source]]:
    _mono(settings)
    # Its convolutions have a bias whatever this says.
    settings.skip("use_weight_norm", "use_spectral_norm", "period", "bias")
    first, last = settings.pair("kernel_sizes", [5, 3])
    rates = settings.integers("downsample_scales", [3, 3, 3, 3, 1])
    config = {
        "periods": list(periods),
        "period_kernel_size": first,
        "period_last_kernel_size": last - 1,
        "period_channels": settings.integer("channels", 32),
        "period_max_channels": settings.integer(
            "max_downsample_channels", 1024
        ),
        "period_rates": rates,
        "negative_slope": leaky_slope(settings, _HIFIGAN_LEAKY),
    }
    sources = []
    for p in range(len(periods)):
        theirs = f"{prefix}discriminators.{p}"
        sources += _period_sources(p, theirs, len(rates), ".0", "output_conv")
    settings.check_all_read()
    return config, sources


def _period_sources(
    p: int, theirs: str, num_layers: int, suffix: str, last: str
) -> list[Source]:
    ours = f"period_{p}_conv"
    return [
        *(
            Source(f"{ours}_{i}", f"{theirs}.convs.{i}{suffix}", "conv2d", True)
            for i in range(num_layers)
        ),
        Source(f"{ours}_out", f"{theirs}.{last}", "conv2d", True),
    ]


def _scales(
    settings: Options, num_scales: int, prefix: str
) -> tuple[dict[str, Any], list[Source]]:
    _mono(settings)
    settings.skip("use_weight_norm", "use_spectral_norm")
    bias = settings.flag("bias", True)
    rates = settings.integers("downsample_scales", [2, 2, 4, 4, 1])
    config = {
        "num_scales": num_scales,
        "scale_kernel_sizes": settings.integers("kernel_sizes", [15, 41, 5, 3]),
        "scale_channels": settings.integer("channels", 128),
        "scale_max_channels": settings.integer("max_downsample_channels", 1024),
        "scale_max_groups": settings.integer("max_groups", 16),
        "scale_rates": rates,
        "use_bias": bias,
        "negative_slope": leaky_slope(settings, _HIFIGAN_LEAKY),
    }
    sources = []
    for s in range(num_scales):
        ours, theirs = f"scale_{s}_conv", f"{prefix}discriminators.{s}.layers"
        count = len(rates) + 2
        sources += [
            Source(f"{ours}_{i}", f"{theirs}.{i}.0", bias=bias)
            for i in range(count)
        ]
        sources.append(Source(f"{ours}_out", f"{theirs}.{count}", bias=bias))
    settings.check_all_read()
    return config, sources


def _scale_pooling(settings: Options, prefix: str) -> dict[str, Any]:
    pooling = _pooling(settings, prefix, 2, True)
    if not pooling.pop("pool_count_padding"):
        raise settings.error(
            f"{prefix}_params", "such that padding counts as samples"
        )
    return pooling


def _hifigan(
    state: StateDict,
    periods: tuple[dict[str, Any], list[Source]] | None,
    scales: tuple[dict[str, Any], list[Source]] | None,
    pooling: dict[str, Any],
) -> Read:
    config: dict[str, Any] = {"kind": "multi_period_multi_scale", **pooling}
    sources = []
    if periods and scales:
        slopes = {part[0]["negative_slope"] for part in (periods, scales)}
        if len(slopes) > 1:
            raise ConversionError(
                f"{state.path}: the discriminators' leaky ReLUs have "
                "different slopes, which has no counterpart here. "
                f"Received: {sorted(slopes)}"
            )
    for part, absent in (
        (periods, {"periods": []}),
        (scales, {"num_scales": 0}),
    ):
        config |= part[0] if part else absent
        sources += part[1] if part else []
    weights = NetworkWeights(state, sources)
    return config | _hifigan_norms(weights, config["num_scales"]), weights


def _hifigan_norms(weights: NetworkWeights, num_scales: int) -> dict[str, Any]:
    return {
        "period_norm": weights.norm("period_"),
        "scale_norms": [weights.norm(f"scale_{s}_") for s in range(num_scales)],
    }


def _both(settings: Options, state: StateDict) -> Read:
    settings.skip("follow_official_norm")
    periods = settings.integers("periods", list(_PERIODS))
    num_scales = settings.integer("scales", 3)
    return _hifigan(
        state,
        _periods(
            settings.options("period_discriminator_params", {}),
            periods,
            "mpd.",
        ),
        _scales(
            settings.options("scale_discriminator_params", {}),
            num_scales,
            "msd.",
        ),
        _scale_pooling(settings, "scale_downsample_pooling"),
    )


def _periods_alone(settings: Options, state: StateDict) -> Read:
    periods = settings.integers("periods", list(_PERIODS))
    nested = settings.options("discriminator_params", {})
    return _hifigan(state, _periods(nested, periods, ""), None, {})


def _scales_alone(settings: Options, state: StateDict) -> Read:
    settings.skip("follow_official_norm")
    num_scales = settings.integer("scales", 3)
    nested = settings.options("discriminator_params", {})
    return _hifigan(
        state,
        None,
        _scales(nested, num_scales, ""),
        _scale_pooling(settings, "downsample_pooling"),
    )


_TYPES = {
    "ParallelWaveGANDiscriminator": _dilated,
    "ResidualParallelWaveGANDiscriminator": _residual,
    "MelGANDiscriminator": _melgan_single,
    "MelGANMultiScaleDiscriminator": _melgan,
    "HiFiGANMultiPeriodDiscriminator": _periods_alone,
    "HiFiGANMultiScaleDiscriminator": _scales_alone,
    "HiFiGANMultiScaleMultiPeriodDiscriminator": _both,
}


def read_hifigan(periods: StateDict, scales: StateDict) -> Read:
    """Reads the discriminators of jik876's HiFi-GAN.

    Their widths come from the tensors, all else from the original's code.

    Args:
        periods: tensors of `"mpd"`.
        scales: tensors of `"msd"`.

    Returns:
        Our `discriminator` option and the weights.

    Raises:
        ConversionError: if tensors are missing, broken or strange.
    """
    period_widths = _widths(periods, len(_PERIOD_RATES))
    scale_widths = _widths(scales, len(_SCALE_RATES) + 2)
    config: dict[str, Any] = {
        "kind": "multi_period_multi_scale",
        "periods": list(_PERIODS),
        "period_channels": period_widths[0],
        "period_max_channels": max(period_widths),
        "period_rates": list(_PERIOD_RATES),
        "num_scales": _NUM_SCALES,
        "scale_channels": scale_widths[0],
        "scale_max_channels": max(scale_widths),
        "scale_rates": list(_SCALE_RATES),
    }
    weights = NetworkWeights(
        periods,
        [
            source
            for p in range(len(_PERIODS))
            for source in _period_sources(
                p,
                f"discriminators.{p}",
                len(_PERIOD_RATES),
                "",
                "conv_post",
            )
        ],
    )
    weights.add(
        scales,
        [
            Source(f"scale_{s}_conv_{i}", f"discriminators.{s}.{name}")
            for s in range(_NUM_SCALES)
            for i, name in [
                *((i, f"convs.{i}") for i in range(len(scale_widths))),
                ("out", "conv_post"),
            ]
        ],
    )
    return config | _hifigan_norms(weights, _NUM_SCALES), weights


def _widths(state: StateDict, count: int) -> list[int]:
    names = [f"discriminators.0.convs.{i}" for i in range(count)]
    return [_weight_shape(state, name)[0] for name in names]


def _weight_shape(state: StateDict, layer: str) -> tuple[int, ...]:
    shape = state.weight_shape(layer)
    if shape is None or len(shape) < 3:
        raise state.error(
            f"{layer}.weight", "is missing, or is no convolution's."
        )
    return shape


_LAYER = re.compile(r"model\.disc_(\d{1,3})\.model\.layer_(\d{1,3})\.")


def read_melgan(state: StateDict) -> Read:
    """Reads the discriminator of descriptinc's MelGAN, sizes from tensors.

    Args:
        state: tensors of `netD.pt`.

    Returns:
        Our `discriminator` option and the weights.

    Raises:
        ConversionError: if tensors are missing, broken or strange.
    """
    found = [match for name in state if (match := _LAYER.match(name))]
    num_scales = 1 + max((int(m.group(1)) for m in found), default=-1)
    last = max((int(m.group(2)) for m in found), default=-1)
    if num_scales < 1 or last < 2:
        raise ConversionError(
            f"{state.path}: expected layers 'model.disc_0.model.layer_0', "
            f"... Received: {sorted(state)[:4]}"
        )
    names = [
        "0.1",
        *(f"{i}.0" for i in range(1, last)),
        str(last),
    ]
    shapes = [
        _weight_shape(state, f"model.disc_0.model.layer_{name}")
        for name in names
    ]
    sources = [
        Source(
            f"scale_{s}_conv_{i}",
            f"model.disc_{s}.model.layer_{name}",
            bias=True,
        )
        for s, (i, name) in itertools.product(
            range(num_scales), enumerate(names)
        )
    ]
    weights = NetworkWeights(state, sources)
    return {
        "kind": "multi_scale",
        "num_scales": num_scales,
        "kernel_sizes": [shapes[-2][2], shapes[-1][2]],
        "channels": shapes[0][0],
        "max_channels": max(shape[0] for shape in shapes),
        "downsample_rates": [
            max(1, (shape[2] - 1) // 10) for shape in shapes[1:-2]
        ],
        "weight_norm": _has_weight_norm(weights),
    }, weights
