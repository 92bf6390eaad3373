"""The discriminators of the vocoders' checkpoints, and their options."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from keras_audiogan.converters.config_files import Options, leaky_slope
from keras_audiogan.converters.errors import ConversionError
from keras_audiogan.converters.network_weights import (
    WAVENET_ENDS,
    WAVENET_OPTIONS,
    NetworkWeights,
    Source,
    convolutions,
    residual_blocks,
)
from keras_audiogan.converters.torch_files import StateDict

Read = tuple[dict[str, Any], NetworkWeights]
Part = tuple[dict[str, Any], list[Source]]

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


def check_mono(settings: Options) -> None:
    """Refuses networks for sound of several channels."""
    for name in ("in_channels", "out_channels"):
        settings.choice(name, [1], 1)


def _dilated(settings: Options, state: StateDict) -> Read:
    config = settings.take(
        {
            "num_layers": ("layers", 10),
            "channels": ("conv_channels", 64),
            "kernel_size": ("kernel_size", 3),
            "dilation_factor": ("dilation_factor", 1),
            "use_bias": ("bias", True),
        }
    )
    sources = convolutions(
        [
            (f"conv_{i}", f"conv_layers.{2 * i}")
            for i in range(config["num_layers"])
        ],
        config["use_bias"],
    )
    return _plain("dilated", settings, state, config, sources)


def _residual(settings: Options, state: StateDict) -> Read:
    settings.skip("dropout")
    config = settings.take(WAVENET_OPTIONS)
    sources = [
        Source("conv_in", "first_conv.0", bias=True),
        *residual_blocks(config["num_layers"], False, config["use_bias"]),
        *convolutions(WAVENET_ENDS, True),
    ]
    return _plain("residual", settings, state, config, sources)


def _plain(
    kind: str,
    settings: Options,
    state: StateDict,
    config: dict[str, Any],
    sources: Sequence[Source],
) -> Read:
    """Adds what most of the project's discriminators have in common."""
    check_mono(settings)
    settings.skip("use_weight_norm")
    weights = NetworkWeights(state, sources)
    return {
        "kind": kind,
        **config,
        "negative_slope": leaky_slope(settings, _LEAKY),
        "weight_norm": weights.norm() == "weight",
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
        settings, state, num_scales, "discriminators.{s}.layers", pooling
    )


def _melgan_single(settings: Options, state: StateDict) -> Read:
    return _melgan_scales(settings, state, 1, "layers", {})


def _melgan_scales(
    settings: Options,
    state: StateDict,
    num_scales: int,
    layers: str,
    pooling: dict[str, Any],
) -> Read:
    config = settings.take(
        {
            "kernel_sizes": ("kernel_sizes", [5, 3]),
            "channels": ("channels", 16),
            "max_channels": ("max_downsample_channels", 1024),
            "downsample_rates": ("downsample_scales", [4, 4, 4, 4]),
            "use_bias": ("bias", True),
        }
    )
    config |= {
        "num_scales": num_scales,
        "padding": padding_mode(settings),
        **pooling,
    }
    sources = _melgan_sources(
        num_scales,
        len(config["downsample_rates"]) + 2,
        layers + ".{name}",
        config["use_bias"],
    )
    return _plain("multi_scale", settings, state, config, sources)


def _melgan_sources(
    num_scales: int, last: int, theirs: str, bias: bool
) -> list[Source]:
    """Layers of MelGAN's discriminators, alike in both projects.

    Args:
        num_scales: number of discriminators.
        last: index of the last layer in each.
        theirs: their name of a layer, with `{s}` and `{name}` in it.
        bias: whether layers have one.
    """
    names = ["0.1", *(f"{i}.0" for i in range(1, last)), str(last)]
    return convolutions(
        [
            (f"scale_{s}_conv_{i}", theirs.format(s=s, name=name))
            for s in range(num_scales)
            for i, name in enumerate(names)
        ],
        bias,
    )


def _periods(settings: Options, periods: Sequence[int], prefix: str) -> Part:
    check_mono(settings)
    # Its convolutions have a bias whatever this says.
    settings.skip("use_weight_norm", "use_spectral_norm", "period", "bias")
    first, last = settings.pair("kernel_sizes", [5, 3])
    config = {
        "periods": list(periods),
        "period_kernel_size": first,
        "period_last_kernel_size": last - 1,
        **settings.take(
            {
                "period_channels": ("channels", 32),
                "period_max_channels": ("max_downsample_channels", 1024),
                "period_rates": ("downsample_scales", [3, 3, 3, 3, 1]),
            }
        ),
        "negative_slope": leaky_slope(settings, _HIFIGAN_LEAKY),
    }
    settings.check_all_read()
    return config, _period_sources(
        len(periods),
        len(config["period_rates"]),
        prefix + "discriminators.{p}.convs.{i}.0",
        prefix + "discriminators.{p}.output_conv",
    )


def _period_sources(
    num_periods: int, num_layers: int, theirs: str, last: str
) -> list[Source]:
    """Layers of HiFi-GAN's period discriminators, alike in both projects."""
    return convolutions(
        [
            (f"period_{p}_conv_{i}", name.format(p=p, i=i))
            for p in range(num_periods)
            for i, name in [
                *((i, theirs) for i in range(num_layers)),
                ("out", last),
            ]
        ],
        True,
        "conv2d",
    )


def _scales(settings: Options, num_scales: int, prefix: str) -> Part:
    check_mono(settings)
    settings.skip("use_weight_norm", "use_spectral_norm")
    config = {
        "num_scales": num_scales,
        **settings.take(
            {
                "scale_kernel_sizes": ("kernel_sizes", [15, 41, 5, 3]),
                "scale_channels": ("channels", 128),
                "scale_max_channels": ("max_downsample_channels", 1024),
                "scale_max_groups": ("max_groups", 16),
                "scale_rates": ("downsample_scales", [2, 2, 4, 4, 1]),
                "use_bias": ("bias", True),
            }
        ),
        "negative_slope": leaky_slope(settings, _HIFIGAN_LEAKY),
    }
    settings.check_all_read()
    count = len(config["scale_rates"]) + 2
    return config, _scale_sources(
        num_scales,
        count,
        prefix + "discriminators.{s}.layers.{i}.0",
        prefix + f"discriminators.{{s}}.layers.{count}",
        config["use_bias"],
    )


def _scale_sources(
    num_scales: int, num_layers: int, theirs: str, last: str, bias: bool | None
) -> list[Source]:
    """Layers of HiFi-GAN's scale discriminators, alike in both projects."""
    return convolutions(
        [
            (f"scale_{s}_conv_{i}", name.format(s=s, i=i))
            for s in range(num_scales)
            for i, name in [
                *((i, theirs) for i in range(num_layers)),
                ("out", last),
            ]
        ],
        bias,
    )


def _scale_pooling(settings: Options, prefix: str) -> dict[str, Any]:
    pooling = _pooling(settings, prefix, 2, True)
    if not pooling.pop("pool_count_padding"):
        raise settings.error(
            f"{prefix}_params", "such that padding counts as samples"
        )
    return pooling


def _hifigan(
    state: StateDict,
    periods: Part | None,
    scales: Part | None,
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
        "period_norm": weights.norm("period_", "spectral"),
        "scale_norms": [
            weights.norm(f"scale_{s}_", "spectral") for s in range(num_scales)
        ],
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
        _period_sources(
            len(_PERIODS),
            len(_PERIOD_RATES),
            "discriminators.{p}.convs.{i}",
            "discriminators.{p}.conv_post",
        ),
    )
    weights.add(
        scales,
        _scale_sources(
            _NUM_SCALES,
            len(scale_widths),
            "discriminators.{s}.convs.{i}",
            "discriminators.{s}.conv_post",
            None,
        ),
    )
    return config | _hifigan_norms(weights, _NUM_SCALES), weights


def _widths(state: StateDict, count: int) -> list[int]:
    names = [f"discriminators.0.convs.{i}" for i in range(count)]
    return [state.kernel_shape(name, None)[0] for name in names]


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
    sources = _melgan_sources(
        num_scales, last, "model.disc_{s}.model.layer_{name}", True
    )
    shapes = [state.kernel_shape(source.name) for source in sources[: last + 1]]
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
        "weight_norm": weights.norm() == "weight",
    }, weights
