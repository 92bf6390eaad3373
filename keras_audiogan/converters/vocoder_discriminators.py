"""The discriminators of the vocoders' checkpoints, and their options."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
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

# Our `discriminator` option and the weights.
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
_NUM_BANDS = _NUM_BAND_LAYERS = 5
# Ours and theirs, of BigVGAN's discriminators of magnitudes.
_PICTURE_LAYERS = (
    *((str(i), f"convs.{i}") for i in range(5)),
    ("out", "conv_post"),
)


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

    Returns:
        Our `discriminator` option and the weights.
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
    indices = range(config["num_layers"])
    names = [(f"conv_{i}", f"conv_layers.{2 * i}") for i in indices]
    sources = convolutions(names, config["use_bias"])
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
    check_mono(settings)
    settings.skip("use_weight_norm")
    weights = NetworkWeights.read(state, sources)
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


def _melgan(
    settings: Options, state: StateDict, has_scales: bool = True
) -> Read:
    num_scales, pooling, theirs = 1, {}, "layers.{name}"
    if has_scales:
        num_scales = settings.count("scales", 3)
        pooling = _pooling(settings, "downsample_pooling", 1, False)
        theirs = "discriminators.{s}.layers.{name}"
    config = settings.take(
        {
            "kernel_sizes": ("kernel_sizes", [5, 3]),
            "channels": ("channels", 16),
            "max_channels": ("max_downsample_channels", 1024),
            "downsample_rates": ("downsample_scales", [4, 4, 4, 4]),
            "use_bias": ("bias", True),
        }
    )
    sources = _melgan_sources(
        num_scales,
        len(config["downsample_rates"]) + 2,
        theirs,
        config["use_bias"],
    )
    padding = padding_mode(settings)
    config |= {"num_scales": num_scales, "padding": padding, **pooling}
    return _plain("multi_scale", settings, state, config, sources)


def _melgan_sources(
    num_scales: int, last: int, theirs: str, bias: bool
) -> list[Source]:
    """Layers of MelGAN's discriminators, alike in both projects.

    `last` is the index of the last layer in each; `theirs` has `{s}` and
    `{name}` in it.
    """
    names = ["0.1", *(f"{i}.0" for i in range(1, last)), str(last)]
    pairs = [
        (f"scale_{s}_conv_{i}", theirs.format(s=s, name=name))
        for s in range(num_scales)
        for i, name in enumerate(names)
    ]
    return convolutions(pairs, bias)


_PERIOD_OPTIONS = {
    "period_channels": ("channels", 32),
    "period_max_channels": ("max_downsample_channels", 1024),
    "period_rates": ("downsample_scales", [3, 3, 3, 3, 1]),
}
_SCALE_OPTIONS = {
    "scale_kernel_sizes": ("kernel_sizes", [15, 41, 5, 3]),
    "scale_channels": ("channels", 128),
    "scale_max_channels": ("max_downsample_channels", 1024),
    "scale_max_groups": ("max_groups", 16),
    "scale_rates": ("downsample_scales", [2, 2, 4, 4, 1]),
    "use_bias": ("bias", True),
}


def _hifigan(
    settings: Options,
    state: StateDict,
    periods: tuple[str, str] | None = None,
    scales: tuple[str, str] | None = None,
    pooling: str = "downsample_pooling",
) -> Read:
    """Reads discriminators of periods, of scales or of both.

    `periods` is where the options of those of periods stand, and how the
    names of their tensors start; None if there are none. `scales` is alike.
    """
    config: dict[str, Any] = {"periods": [], "num_scales": 0}
    sources: list[Source] = []
    slopes = set()
    if periods:
        nested = settings.options(periods[0], {})
        # Its convolutions have a bias whatever this says.
        nested.skip("period", "bias")
        sizes = nested.integers("kernel_sizes", [5, 3])
        if len(sizes) != 2:
            raise nested.error("kernel_sizes", "a list of two whole numbers")
        config |= {
            "periods": settings.integers("periods", list(_PERIODS)),
            "period_kernel_size": sizes[0],
            "period_last_kernel_size": sizes[1] - 1,
            **nested.take(_PERIOD_OPTIONS),
        }
        theirs = periods[1] + "discriminators.{k}."
        sources += _chains(
            "period",
            len(config["periods"]),
            len(config["period_rates"]),
            theirs + "convs.{i}.0",
            theirs + "output_conv",
            True,
        )
        slopes.add(_finish(nested))
    if scales:
        nested = settings.options(scales[0], {})
        settings.skip("follow_official_norm")
        config |= nested.take(_SCALE_OPTIONS)
        config["num_scales"] = settings.count("scales", 3)
        count = len(config["scale_rates"]) + 2
        theirs = scales[1] + "discriminators.{k}.layers."
        sources += _chains(
            "scale",
            config["num_scales"],
            count,
            theirs + "{i}.0",
            theirs + str(count),
            config["use_bias"],
        )
        slopes.add(_finish(nested))
        config |= _pooling(settings, pooling, 2, True)
        if not config.pop("pool_count_padding"):
            raise settings.error(
                f"{pooling}_params", "such that padding counts as samples"
            )
    if len(slopes) > 1:
        raise ConversionError(
            f"{state.path}: the discriminators' leaky ReLUs have different "
            "slopes, which has no counterpart here. "
            f"Received: {sorted(slopes)}"
        )
    config["negative_slope"] = slopes.pop()
    return _with_norms(config, NetworkWeights.read(state, sources))


def _finish(nested: Options) -> float:
    """Reads what options of periods and of scales share; returns the slope."""
    check_mono(nested)
    nested.skip("use_weight_norm", "use_spectral_norm")
    slope = leaky_slope(nested, _HIFIGAN_LEAKY)
    nested.check_all_read()
    return slope


def _chains(
    ours: str,
    count: int,
    num_layers: int,
    theirs: str,
    last: str,
    bias: bool | None,
) -> list[Source]:
    """Layers of HiFi-GAN's discriminators, alike in both projects.

    `num_layers` counts those before the last; `theirs` has `{k}` and `{i}`
    in it, `last` has `{k}`.
    """
    names = [*((i, theirs) for i in range(num_layers)), ("out", last)]
    pairs = [
        (f"{ours}_{k}_conv_{i}", name.format(k=k, i=i))
        for k in range(count)
        for i, name in names
    ]
    return convolutions(pairs, bias, "conv2d" if ours == "period" else "conv1d")


def _with_norms(config: dict[str, Any], weights: NetworkWeights) -> Read:
    return {
        "kind": "multi_period_multi_scale",
        **config,
        "period_norm": weights.norm("period_", "spectral"),
        "scale_norms": [
            weights.norm(f"scale_{s}_", "spectral")
            for s in range(config["num_scales"])
        ],
    }, weights


_TYPES: dict[str, Callable[[Options, StateDict], Read]] = {
    "ParallelWaveGANDiscriminator": _dilated,
    "ResidualParallelWaveGANDiscriminator": _residual,
    "MelGANDiscriminator": functools.partial(_melgan, has_scales=False),
    "MelGANMultiScaleDiscriminator": _melgan,
    "HiFiGANMultiPeriodDiscriminator": functools.partial(
        _hifigan, periods=("discriminator_params", "")
    ),
    "HiFiGANMultiScaleDiscriminator": functools.partial(
        _hifigan, scales=("discriminator_params", "")
    ),
    "HiFiGANMultiScaleMultiPeriodDiscriminator": functools.partial(
        _hifigan,
        periods=("period_discriminator_params", "mpd."),
        scales=("scale_discriminator_params", "msd."),
        pooling="scale_downsample_pooling",
    ),
}


def read_hifigan(periods: StateDict, scales: StateDict) -> Read:
    """Reads the discriminators of jik876's HiFi-GAN, its `mpd` and `msd`.

    Their widths come from the tensors, all else from the original's code.
    """
    period_widths = _widths(periods, len(_PERIOD_RATES))
    scale_widths = _widths(scales, len(_SCALE_RATES) + 2)
    config = {
        "periods": list(_PERIODS),
        "period_channels": period_widths[0],
        "period_max_channels": max(period_widths),
        "period_rates": list(_PERIOD_RATES),
        "num_scales": _NUM_SCALES,
        "scale_channels": scale_widths[0],
        "scale_max_channels": max(scale_widths),
        "scale_rates": list(_SCALE_RATES),
    }
    theirs = "discriminators.{k}."
    parts = (theirs + "convs.{i}", theirs + "conv_post")
    weights = NetworkWeights.read(
        periods,
        _chains("period", len(_PERIODS), len(_PERIOD_RATES), *parts, True),
    )
    weights.add(
        scales, _chains("scale", _NUM_SCALES, len(scale_widths), *parts, None)
    )
    return _with_norms(config, weights)


def read_periods(periods: list[int], state: StateDict) -> Read:
    """Reads BigVGAN's discriminators of periods, widths from the tensors."""
    widths = _widths(state, len(_PERIOD_RATES))
    theirs = "discriminators.{k}."
    weights = NetworkWeights.read(
        state,
        _chains(
            "period",
            len(periods),
            len(_PERIOD_RATES),
            theirs + "convs.{i}",
            theirs + "conv_post",
            True,
        ),
    )
    return {
        "kind": "multi_period",
        "periods": periods,
        "channels": widths[0],
        "max_channels": max(widths),
        "rates": list(_PERIOD_RATES),
        "norm": weights.norm("", "spectral"),
    }, weights


def read_magnitudes(sizes: Sequence[Sequence[int]], state: StateDict) -> Read:
    """Reads BigVGAN's discriminators of magnitudes.

    `sizes` are of each resolution the transform, the hop and the window.
    """
    theirs = "discriminators.{k}."
    pairs = [
        (f"resolution_{k}_conv_{ours}", theirs.format(k=k) + name)
        for k in range(len(sizes))
        for ours, name in _PICTURE_LAYERS
    ]
    weights = NetworkWeights.read(
        state, convolutions(pairs, True, "conv2d_swapped")
    )
    names = ("fft_lengths", "frame_steps", "window_lengths")
    return {
        "kind": "multi_resolution",
        **{name: [each[i] for each in sizes] for i, name in enumerate(names)},
        "channels": _widths(state, 1)[0],
        "norm": weights.norm("", "spectral"),
    }, weights


def read_bands(fft_lengths: list[int], state: StateDict) -> Read:
    """Reads Vocos's discriminators of bands, as BigVGAN may have them."""
    pairs = [
        (
            f"resolution_{k}_band_{b}_conv_{i}",
            f"discriminators.{k}.band_convs.{b}.{i}",
        )
        for k in range(len(fft_lengths))
        for b in range(_NUM_BANDS)
        for i in range(_NUM_BAND_LAYERS)
    ] + [
        (f"resolution_{k}_conv_out", f"discriminators.{k}.conv_post")
        for k in range(len(fft_lengths))
    ]
    first = state.kernel_shape("discriminators.0.band_convs.0.0", 4)
    weights = NetworkWeights.read(
        state, convolutions(pairs, True, "conv2d_swapped")
    )
    return {
        "kind": "multi_band",
        "fft_lengths": fft_lengths,
        "channels": first[0],
        "norm": weights.norm("", "spectral"),
    }, weights


def _widths(state: StateDict, count: int) -> list[int]:
    names = [f"discriminators.0.convs.{i}" for i in range(count)]
    return [state.kernel_shape(name, None)[0] for name in names]


_LAYER = re.compile(r"model\.disc_(\d{1,3})\.model\.layer_(\d{1,3})\.")


def read_melgan(state: StateDict) -> Read:
    """Reads the discriminator of descriptinc's MelGAN, sizes from tensors."""
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
    weights = NetworkWeights.read(state, sources)
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
