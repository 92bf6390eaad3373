"""Converts checkpoints of kan-bayashi's ParallelWaveGAN project (PyTorch).

Source: https://github.com/kan-bayashi/ParallelWaveGAN, whose trainer writes
`checkpoint-*steps.pkl` beside `config.yml`; `stats.h5` or `stats.npy` hold
the mean and scale of its features. ESPnet's repositories on the Hub are laid
out alike.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from keras_audiogan.converters import checkpoint_names
from keras_audiogan.converters.config_files import (
    Options,
    leaky_slope,
    mel_options,
    read_statistics,
    read_yaml,
)
from keras_audiogan.converters.network_weights import (
    WAVENET_ENDS,
    WAVENET_OPTIONS,
    NetworkWeights,
    Source,
    convolutions,
    hifigan_generator,
    melgan_generator,
    residual_blocks,
)
from keras_audiogan.converters.parts import Parts
from keras_audiogan.converters.torch_files import (
    StateDict,
    read_torch_file,
    require,
)
from keras_audiogan.converters.torch_vocoders import Files, VocoderConverter
from keras_audiogan.converters.vocoder_discriminators import (
    check_mono,
    padding_mode,
    read_parallel_wavegan,
)

_STEPS = r"checkpoint-(\d{1,12})steps\.pkl"
_STATISTICS = ("stats.h5", "stats.npy")
# Buffers of a generator that was loaded for inference and saved again.
_REGISTERED = ("mean", "scale", "pqmf.")
# Its filter bank's default until this version was another one.
_LAST_OLD_FILTER_BANK = (0, 4, 2)
_FILTER_BANK = {"taps": 62, "cutoff_ratio": 0.142, "beta": 9.0}
_OLD_CUTOFF = 0.15
_LOG_FLOOR = 1e-10
_SLICE_LENGTH = 25600
# Options of both MelGAN's and HiFi-GAN's generators: ours, theirs, default.
_COMMON_OPTIONS: dict[str, tuple[str, Any]] = {
    "num_mel_bins": ("in_channels", 80),
    "channels": ("channels", 512),
    "kernel_size": ("kernel_size", 7),
    "upsample_rates": ("upsample_scales", [8, 8, 2, 2]),
    "use_bias": ("bias", True),
    "causal": ("use_causal_conv", False),
}
_HIFIGAN_NAMES = {
    "conv_in": "input_conv",
    "upsample": "upsamples.{i}.1",
    "conv1": "blocks.{k}.convs1.{j}.1",
    "conv2": "blocks.{k}.convs2.{j}.1",
    "conv_out": "output_conv.1",
}

# Of a generator: our architecture, its arguments and its layers.
Generator = tuple[str, dict[str, Any], list[Source]]


def _choose_files(
    names: Sequence[str], name: str | None
) -> Mapping[str, str] | None:
    others = re.compile(r"checkpoint.*\.(pkl|pth|pt)")
    name = (
        name
        or checkpoint_names.newest(names, _STEPS)
        or max(filter(others.fullmatch, names), default=None)
    )
    config = checkpoint_names.first_of(names, "config.yml", "config.yaml")
    if name is None or config is None or name == config:
        return None
    found = {"checkpoint": name, "config": config}
    return found | {n: n for n in _STATISTICS if n in names}


def _objection(files: Files) -> str | None:
    options = read_yaml(files["config"])
    if "generator_params" not in options:
        return f"{options.path} has no `generator_params`."
    return None


def _networks(files: Files) -> Mapping[str, Any]:
    path = files["checkpoint"]
    model = require(path, read_torch_file(path), "model")["model"]
    return require(path, model, "generator")


def _read(files: Files, has_discriminator: bool) -> Parts:
    options = read_yaml(files["config"])
    path = files["checkpoint"]
    held = _networks(files)
    state = StateDict(path, held["generator"], "model/generator")
    kind = options.choice(
        "generator_type", list(_GENERATORS), "ParallelWaveGANGenerator"
    )
    settings = options.options("generator_params")
    architecture, config, sources = _GENERATORS[kind](settings, options)
    settings.check_all_read()
    generator = NetworkWeights.read(state, sources, _REGISTERED)
    if architecture == "parallel_wavegan" and not any(
        source.target == "upsample_conv_in" for source in sources
    ):
        generator.add_identity("upsample_conv_in", config["num_mel_bins"])
    config["weight_norm"] = generator.norm() == "weight"
    parts = Parts(path, architecture, config, generator)
    config["mel"] = _mel(options, files, state, config)
    config["slice_length"] = options.integer("batch_max_steps", _SLICE_LENGTH)
    if has_discriminator and "discriminator" in held:
        name = "discriminator"
        config[name], parts.discriminator = read_parallel_wavegan(
            options, StateDict(path, held[name], f"model/{name}")
        )
    return parts


def _mel(
    options: Options,
    files: Files,
    state: StateDict,
    config: dict[str, Any],
) -> dict[str, Any]:
    """Returns the arguments of the mel front end."""
    if options.optional("sampling_rate_for_feats", options.number) is not None:
        raise options.error(
            "sampling_rate_for_feats",
            "absent: features of another sampling rate than the sound's "
            "have no counterpart here",
        )
    bins = config.pop("num_mel_bins")
    mel = mel_options(
        options,
        bins,
        "fft_size",
        window_length=options.optional("win_length", options.integer),
        window=options.text("window", "hann"),
        log_base="10",
        floor=_LOG_FLOOR,
        power_floor=0.0,
        padding="center",
    )
    hop = math.prod(config["upsample_rates"]) * config.get("num_bands", 1)
    if mel["frame_step"] != hop:
        raise options.error(
            "hop_size", f"{hop}, the product of its upsampling rates"
        )
    is_hdf5 = options.choice("format", ["hdf5", "npy"], "hdf5") == "hdf5"
    name = checkpoint_names.first_of(
        files, *sorted(_STATISTICS, reverse=not is_hdf5)
    )
    if name is not None:
        mel["mean"], mel["scale"] = read_statistics(files[name], bins)
    elif "mean" in state and "scale" in state:
        # A generator that was saved after it had been loaded for inference.
        mel["mean"] = state.read("mean", 1).tolist()
        mel["scale"] = state.read("scale", 1).tolist()
    return mel


def _parallel_wavegan(settings: Options, options: Options) -> Generator:
    del options
    check_mono(settings)
    settings.choice("upsample_conditional_features", [True], True)
    settings.skip("dropout", "use_weight_norm")
    kind = settings.choice(
        "upsample_net",
        ["ConvInUpsampleNetwork", "UpsampleNetwork"],
        "ConvInUpsampleNetwork",
    )
    has_conv_in = kind == "ConvInUpsampleNetwork"
    upsampling = settings.options(
        "upsample_params", {"upsample_scales": [4, 4, 4, 4]}
    )
    upsampling.skip("use_causal_conv", "aux_channels", "aux_context_window")
    upsampling.choice("interpolate_mode", ["nearest"], "nearest")
    rates = upsampling.integers("upsample_scales")
    slope = None
    name = "nonlinear_activation"
    if upsampling.optional(name, upsampling.text) is not None:
        slope = leaky_slope(upsampling, {})
    else:
        upsampling.skip("nonlinear_activation_params")
    config = {
        "num_mel_bins": settings.integer("aux_channels", 80),
        **settings.take(WAVENET_OPTIONS),
        "context_window": settings.integer("aux_context_window", 2, 0),
        "upsample_rates": rates,
        "frequency_kernel_size": upsampling.integer("freq_axis_kernel_size", 1),
        "upsample_slope": slope,
    }
    upsampling.check_all_read()
    net = "upsample_net.upsample" if has_conv_in else "upsample_net"
    stride = 2 if slope is None else 3
    sources = [Source("conv_in", "first_conv", bias=True)]
    if has_conv_in:
        sources.append(
            Source("upsample_conv_in", "upsample_net.conv_in", bias=False)
        )
    elif config["context_window"]:
        raise settings.error("aux_context_window", "0 with an UpsampleNetwork")
    names = [
        (f"upsample_{i}", f"{net}.up_layers.{1 + i * stride}")
        for i in range(len(rates))
    ]
    sources += convolutions(names, False, "conv2d_swapped")
    sources += residual_blocks(config["num_layers"], True, config["use_bias"])
    sources += convolutions(WAVENET_ENDS, True)
    return "parallel_wavegan", config, sources


def _melgan(settings: Options, options: Options) -> Generator:
    settings.skip("use_weight_norm")
    config = settings.take(
        {
            **_COMMON_OPTIONS,
            "stack_kernel_size": ("stack_kernel_size", 3),
            "num_stacks": ("stacks", 3),
            "final_activation": ("use_final_nonlinear_activation", True),
        }
    )
    config["negative_slope"] = leaky_slope(settings, {"negative_slope": 0.2})
    config["padding"] = padding_mode(settings)
    num_bands = settings.integer("out_channels", 1)
    architecture = "melgan"
    if num_bands > 1:
        architecture = "multiband_melgan"
        config |= {"num_bands": num_bands, **_filter_bank(options)}
    sources = melgan_generator(
        len(config["upsample_rates"]),
        config["num_stacks"],
        config["causal"],
        config["use_bias"],
    )
    return architecture, config, sources


def _filter_bank(options: Options) -> dict[str, Any]:
    version = tuple(
        int(number)
        for number in re.findall(r"\d+", options.text("version", "0.1.0"))[:3]
    )
    default = dict(_FILTER_BANK)
    if "pqmf_params" not in options and version <= _LAST_OLD_FILTER_BANK:
        default["cutoff_ratio"] = _OLD_CUTOFF
    settings = options.options("pqmf_params", {})
    settings.skip("subbands")
    config = {
        "pqmf_taps": settings.integer("taps", default["taps"]),
        "pqmf_cutoff": settings.number("cutoff_ratio", default["cutoff_ratio"]),
        "pqmf_beta": settings.number("beta", default["beta"]),
    }
    settings.check_all_read()
    return config


def _hifigan(settings: Options, options: Options) -> Generator:
    del options
    # A misspelling in the project's older recipes.
    misspelt = "upsample_kernal_sizes"
    sizes = misspelt if misspelt in settings else "upsample_kernel_sizes"
    settings.choice("out_channels", [1], 1)
    settings.skip("use_weight_norm")
    config = settings.take(
        {
            **_COMMON_OPTIONS,
            "upsample_kernel_sizes": (sizes, [16, 16, 4, 4]),
            "block_kernel_sizes": ("resblock_kernel_sizes", [3, 7, 11]),
        }
    )
    has_second = settings.flag("use_additional_convs", True)
    dilations = settings.integer_lists("resblock_dilations", [[1, 3, 5]] * 3)
    config |= {
        "block_type": 1 if has_second else 2,
        "block_dilations": dilations,
        "negative_slope": leaky_slope(settings, {"negative_slope": 0.1}),
    }
    names = dict(_HIFIGAN_NAMES)
    if config["causal"]:
        for name in names:
            names[name] += ".deconv" if name == "upsample" else ".conv"
    sources = hifigan_generator(
        len(config["upsample_rates"]),
        dilations,
        has_second,
        names,
        config["use_bias"],
    )
    return "hifigan", config, sources


_GENERATORS = {
    "ParallelWaveGANGenerator": _parallel_wavegan,
    "MelGANGenerator": _melgan,
    "HiFiGANGenerator": _hifigan,
}


converter = VocoderConverter(
    project="kan-bayashi's ParallelWaveGAN",
    expected="checkpoint-*steps.pkl with config.yml beside it",
    choose_files=_choose_files,
    objection=_objection,
    read=_read,
    networks=_networks,
)
convert_parallel_wavegan = converter.convert
