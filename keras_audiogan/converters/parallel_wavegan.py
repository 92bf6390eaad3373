"""Converts checkpoints of kan-bayashi's ParallelWaveGAN project (PyTorch).

Source: https://github.com/kan-bayashi/ParallelWaveGAN, whose trainer writes
`checkpoint-*steps.pkl` beside `config.yml`; `stats.h5` or `stats.npy` hold
the mean and scale of its features. ESPnet's repositories on the Hub are laid
out alike.
"""

from __future__ import annotations

import math
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keras_audiogan.converters import checkpoint_names
from keras_audiogan.converters.config_files import (
    Options,
    leaky_slope,
    read_statistics,
    read_yaml,
)
from keras_audiogan.converters.errors import (
    ConversionError,
    MissingPackageError,
)
from keras_audiogan.converters.network_weights import (
    NetworkWeights,
    Source,
    hifigan_generator,
    melgan_generator,
    residual_blocks,
)
from keras_audiogan.converters.torch_files import StateDict, read_torch_file
from keras_audiogan.converters.torch_vocoders import (
    Parts,
    build,
    check_sampling_rate,
    whole_frames,
)
from keras_audiogan.converters.vocoder_discriminators import (
    padding_mode,
    read_parallel_wavegan,
)

if TYPE_CHECKING:
    from keras_audiogan.models import Vocoder

_STEPS = r"checkpoint-(\d{1,12})steps\.pkl"
# Its filter bank's default until this version was another one.
_LAST_OLD_FILTER_BANK = (0, 4, 2)
_FILTER_BANK = {"taps": 62, "cutoff_ratio": 0.142, "beta": 9.0}
_OLD_CUTOFF = 0.15
_LOG_FLOOR = 1e-10
_SLICE_LENGTH = 25600
_HIFIGAN_NAMES = {
    "conv_in": "input_conv",
    "upsample": "upsamples.{i}.1",
    "conv1": "blocks.{k}.convs1.{j}.1",
    "conv2": "blocks.{k}.convs2.{j}.1",
    "conv_out": "output_conv.1",
}


def choose_files(names: Sequence[str]) -> Mapping[str, str] | None:
    """Returns which files of a folder are its newest checkpoint, by role."""
    checkpoint = checkpoint_names.newest(names, _STEPS) or max(
        (n for n in names if re.fullmatch(r"checkpoint.*\.(pkl|pth|pt)", n)),
        default=None,
    )
    return _beside(checkpoint, names) if checkpoint else None


def _beside(name: str, names: Sequence[str]) -> Mapping[str, str] | None:
    config = checkpoint_names.first_of(names, "config.yml", "config.yaml")
    if config is None or name == config:
        return None
    found = {"checkpoint": name, "config": config}
    return found | {n: n for n in ("stats.h5", "stats.npy") if n in names}


def _find(source: str | pathlib.Path) -> dict[str, pathlib.Path]:
    found = checkpoint_names.locate(source, choose_files, _beside)
    if found is None:
        raise ConversionError(
            "Found no checkpoint of kan-bayashi's ParallelWaveGAN: expected "
            "checkpoint-*steps.pkl with config.yml beside it. "
            f"Received: {str(source)!r}"
        )
    return found


def check(source: str | pathlib.Path) -> str | None:
    """Says why `source` is no checkpoint of this project; None if it is one."""
    try:
        options = read_yaml(_find(source)["config"])
    except MissingPackageError:
        raise
    except ConversionError as error:
        return str(error)
    if "generator_params" not in options:
        return f"{options.path} has no `generator_params`."
    return None


def list_networks(source: str | pathlib.Path) -> list[str]:
    """Returns which networks a checkpoint holds, by their preset's stems."""
    networks = _networks(_find(source)["checkpoint"])
    return sorted({"generator", "discriminator"} & set(networks))


def _networks(path: pathlib.Path) -> Mapping[str, Any]:
    held = read_torch_file(path)
    networks = held.get("model") if isinstance(held, Mapping) else None
    if not isinstance(networks, Mapping) or "generator" not in networks:
        raise ConversionError(
            f"{path}: expected 'model' with a 'generator' in it. Received: "
            + (str(list(held))[:200] if isinstance(held, Mapping) else "")
        )
    return networks


def convert_parallel_wavegan(
    source: str | pathlib.Path,
    *,
    sampling_rate: int | None = None,
    slice_length: int | None = None,
    weights: Iterable[str] | None = None,
    dtype: Any = None,
) -> Vocoder:
    """Converts a checkpoint of kan-bayashi's ParallelWaveGAN project.

    Parallel WaveGAN, MelGAN, multi-band MelGAN and HiFi-GAN, with their
    discriminators; weight norm is kept where the file has it.

    Args:
        source: the folder, one that holds it, or a checkpoint's file; of
            several checkpoints the newest.
        sampling_rate: None, or the checkpoint's own rate in Hz.
        slice_length: samples in a training slice. None takes
            `batch_max_steps` of config.yml.
        weights: networks to load, e.g. `["generator"]`; None for all.
        dtype: dtype policy; Keras's global policy if None.

    Returns:
        A `ParallelWaveGAN`, `MelGAN`, `MultiBandMelGAN` or `HiFiGAN`.

    Raises:
        ConversionError: if files are missing or damaged, ask for code to be
            run, or hold something else.
    """
    return build(
        read_parts(source, sampling_rate, slice_length, weights), dtype
    )


def read_parts(
    source: str | pathlib.Path,
    sampling_rate: int | None = None,
    slice_length: int | None = None,
    weights: Iterable[str] | None = None,
) -> Parts:
    """Reads and checks a checkpoint; no Keras is imported.

    Arguments and errors are those of `convert_parallel_wavegan`.
    """
    files = _find(source)
    options = read_yaml(files["config"])
    held = _networks(files["checkpoint"])
    state = StateDict(files["checkpoint"], held["generator"], "model/generator")
    kind = options.choice(
        "generator_type", list(_GENERATORS), "ParallelWaveGANGenerator"
    )
    settings = options.options("generator_params")
    architecture, config, generator = _GENERATORS[kind](
        settings, state, options
    )
    settings.check_all_read()
    config["mel"] = mel = _mel(options, files, state, config)
    config["sampling_rate"] = mel["sampling_rate"]
    check_sampling_rate(files["config"], mel["sampling_rate"], sampling_rate)
    config["slice_length"] = slice_length or whole_frames(
        options.integer("batch_max_steps", _SLICE_LENGTH), mel["frame_step"]
    )
    parts = Parts(files["checkpoint"], architecture, config, generator)
    wanted = weights is None or "discriminator" in set(weights)
    if wanted and "discriminator" in held:
        config["discriminator"], parts.discriminator = read_parallel_wavegan(
            options,
            StateDict(
                files["checkpoint"],
                held["discriminator"],
                "model/discriminator",
            ),
        )
    else:
        config["discriminator"] = None
    return parts


def _mel(
    options: Options,
    files: Mapping[str, pathlib.Path],
    state: StateDict,
    config: dict[str, Any],
) -> dict[str, Any]:
    """Returns the arguments of the mel front end."""
    if options.number_or_none("sampling_rate_for_feats") is not None:
        raise options.error(
            "sampling_rate_for_feats",
            "absent: features of another sampling rate than the sound's "
            "have no counterpart here",
        )
    rate = options.integer("sampling_rate")
    bins = config.pop("num_mel_bins")
    if options.integer("num_mels", bins) != bins:
        raise options.error("num_mels", f"{bins}, which its generator takes")
    mel = {
        "sampling_rate": rate,
        "num_mel_bins": bins,
        "fft_length": options.integer("fft_size"),
        "frame_step": options.integer("hop_size"),
        "window_length": options.integer_or_none("win_length"),
        "min_frequency": options.number_or_none("fmin") or 0.0,
        "max_frequency": options.number_or_none("fmax"),
        "window": options.text("window", "hann"),
        "log_base": "10",
        "floor": _LOG_FLOOR,
        "power_floor": 0.0,
        "padding": "center",
    }
    hop = math.prod(config["upsample_rates"]) * config.get("num_bands", 1)
    if mel["frame_step"] != hop:
        raise options.error(
            "hop_size", f"{hop}, the product of its upsampling rates"
        )
    is_hdf5 = options.choice("format", ["hdf5", "npy"], "hdf5") == "hdf5"
    name = checkpoint_names.first_of(
        files, *sorted(("stats.h5", "stats.npy"), reverse=not is_hdf5)
    )
    if name is not None:
        mel["mean"], mel["scale"] = read_statistics(files[name], bins)
    elif "mean" in state and "scale" in state:
        # A generator that was saved after it had been loaded for inference.
        mel["mean"] = state.read("mean", 1).tolist()
        mel["scale"] = state.read("scale", 1).tolist()
    return mel


def _parallel_wavegan(
    settings: Options, state: StateDict, options: Options
) -> tuple[str, dict[str, Any], NetworkWeights]:
    del options
    for name in ("in_channels", "out_channels"):
        settings.choice(name, [1], 1)
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
    if upsampling.text_or_none("nonlinear_activation") is not None:
        slope = leaky_slope(upsampling, {})
    else:
        upsampling.skip("nonlinear_activation_params")
    bias = settings.flag("bias", True)
    num_layers = settings.integer("layers", 30)
    config: dict[str, Any] = {
        "num_mel_bins": settings.integer("aux_channels", 80),
        "kernel_size": settings.integer("kernel_size", 3),
        "num_layers": num_layers,
        "num_stacks": settings.integer("stacks", 3),
        "residual_channels": settings.integer("residual_channels", 64),
        "gate_channels": settings.integer("gate_channels", 128),
        "skip_channels": settings.integer("skip_channels", 64),
        "context_window": settings.integer("aux_context_window", 2, 0),
        "use_bias": bias,
        "causal": settings.flag("use_causal_conv", False),
        "upsample_rates": rates,
        "frequency_kernel_size": upsampling.integer("freq_axis_kernel_size", 1),
        "upsample_slope": slope,
    }
    upsampling.check_all_read()
    net = "upsample_net.upsample" if has_conv_in else "upsample_net"
    sources = [Source("conv_in", "first_conv", bias=True)]
    if has_conv_in:
        sources.append(
            Source("upsample_conv_in", "upsample_net.conv_in", bias=False)
        )
    stride = 2 if slope is None else 3
    sources += [
        Source(
            f"upsample_{i}",
            f"{net}.up_layers.{1 + i * stride}",
            "conv2d_swapped",
            False,
        )
        for i in range(len(rates))
    ]
    sources += residual_blocks(num_layers, True, bias)
    sources += [
        Source("conv_out_0", "last_conv_layers.1", bias=True),
        Source("conv_out_1", "last_conv_layers.3", bias=True),
    ]
    generator = NetworkWeights(state, sources, _REGISTERED)
    if not has_conv_in:
        if config["context_window"]:
            raise settings.error(
                "aux_context_window", "0 with an UpsampleNetwork"
            )
        generator.add_identity("upsample_conv_in", config["num_mel_bins"])
    config["weight_norm"] = generator.norm() == "weight"
    return "parallel_wavegan", config, generator


# Buffers of a generator that was loaded for inference and saved again.
_REGISTERED = ("mean", "scale", "pqmf.")


def _melgan(
    settings: Options, state: StateDict, options: Options
) -> tuple[str, dict[str, Any], NetworkWeights]:
    rates = settings.integers("upsample_scales", [8, 8, 2, 2])
    num_stacks = settings.integer("stacks", 3)
    is_causal = settings.flag("use_causal_conv", False)
    bias = settings.flag("bias", True)
    num_bands = settings.integer("out_channels", 1)
    settings.skip("use_weight_norm")
    config: dict[str, Any] = {
        "num_mel_bins": settings.integer("in_channels", 80),
        "channels": settings.integer("channels", 512),
        "kernel_size": settings.integer("kernel_size", 7),
        "upsample_rates": rates,
        "stack_kernel_size": settings.integer("stack_kernel_size", 3),
        "num_stacks": num_stacks,
        "negative_slope": leaky_slope(settings, {"negative_slope": 0.2}),
        "padding": padding_mode(settings),
        "use_bias": bias,
        "causal": is_causal,
        "final_activation": settings.flag(
            "use_final_nonlinear_activation", True
        ),
    }
    architecture = "melgan"
    if num_bands > 1:
        architecture = "multiband_melgan"
        config["num_bands"] = num_bands
        config |= _filter_bank(options)
    sources = melgan_generator(len(rates), num_stacks, is_causal, bias)
    generator = NetworkWeights(state, sources, _REGISTERED)
    config["weight_norm"] = generator.norm() == "weight"
    return architecture, config, generator


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


def _hifigan(
    settings: Options, state: StateDict, options: Options
) -> tuple[str, dict[str, Any], NetworkWeights]:
    del options
    # A misspelling in the project's older recipes.
    key = "upsample_kernel_sizes"
    if "upsample_kernal_sizes" in settings:
        key = "upsample_kernal_sizes"
    rates = settings.integers("upsample_scales", [8, 8, 2, 2])
    dilations = settings.integer_lists("resblock_dilations", [[1, 3, 5]] * 3)
    has_second = settings.flag("use_additional_convs", True)
    is_causal = settings.flag("use_causal_conv", False)
    bias = settings.flag("bias", True)
    settings.choice("out_channels", [1], 1)
    settings.skip("use_weight_norm")
    config = {
        "num_mel_bins": settings.integer("in_channels", 80),
        "channels": settings.integer("channels", 512),
        "kernel_size": settings.integer("kernel_size", 7),
        "upsample_rates": rates,
        "upsample_kernel_sizes": settings.integers(key, [16, 16, 4, 4]),
        "block_type": 1 if has_second else 2,
        "block_kernel_sizes": settings.integers(
            "resblock_kernel_sizes", [3, 7, 11]
        ),
        "block_dilations": dilations,
        "negative_slope": leaky_slope(settings, {"negative_slope": 0.1}),
        "use_bias": bias,
        "causal": is_causal,
    }
    names = dict(_HIFIGAN_NAMES)
    if is_causal:
        names |= {"conv_in": "input_conv.conv"}
        names |= {
            name: f"{names[name]}.{'de' if name == 'upsample' else ''}conv"
            for name in ("upsample", "conv1", "conv2", "conv_out")
        }
    sources = hifigan_generator(len(rates), dilations, has_second, names, bias)
    generator = NetworkWeights(state, sources, _REGISTERED)
    config["weight_norm"] = generator.norm() == "weight"
    return "hifigan", config, generator


_GENERATORS = {
    "ParallelWaveGANGenerator": _parallel_wavegan,
    "MelGANGenerator": _melgan,
    "HiFiGANGenerator": _hifigan,
}
