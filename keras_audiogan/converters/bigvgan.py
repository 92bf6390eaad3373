"""Converts checkpoints of the original BigVGAN (PyTorch).

Source: https://github.com/NVIDIA/BigVGAN, whose trainer writes `g_00000000`
and `do_00000000` beside `config.json`, and whose models on the Hub are
`bigvgan_generator.pt` and `bigvgan_discriminator_optimizer.pt` beside it.
"""

from __future__ import annotations

import pathlib
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_audiogan.audio.low_pass import NUM_TAPS, half_band
from keras_audiogan.converters import checkpoint_names
from keras_audiogan.converters.config_files import (
    Options,
    mel_options,
    read_json,
)
from keras_audiogan.converters.network_weights import (
    NetworkWeights,
    Source,
    hifigan_generator,
)
from keras_audiogan.converters.parts import Parts
from keras_audiogan.converters.torch_files import (
    Layer,
    StateDict,
    read_networks,
    read_torch_file,
    require,
)
from keras_audiogan.converters.torch_vocoders import Files, VocoderConverter
from keras_audiogan.converters.vocoder_discriminators import (
    read_bands,
    read_magnitudes,
    read_periods,
)

_CONFIG = "config.json"
_STEPS = r"g_(\d{1,12})"
_RELEASED = re.compile(r"bigvgan_(?:generator|discriminator_optimizer)(.*)\.pt")
_SLICE_LENGTH = 8192
_PERIODS = (2, 3, 5, 7, 11)
_BAND_LENGTHS = (2048, 1024, 512)
_LOG_FLOOR = 1e-5
_POWER_FLOOR = 1e-9
# PyTorch computes filters in float32.
_TOLERANCE = 1e-4


def _choose_files(
    names: Sequence[str], name: str | None
) -> Mapping[str, str] | None:
    name = (
        name
        or checkpoint_names.first_of(names, "bigvgan_generator.pt")
        or checkpoint_names.newest(names, _STEPS)
        or max(filter(_RELEASED.fullmatch, names), default="")
    )
    # A discriminator's file stands for the generator of the same step.
    if match := re.fullmatch(r"(?:g|do)_(\d{1,12})", name):
        name, discriminators = f"g_{match[1]}", f"do_{match[1]}"
    elif match := _RELEASED.fullmatch(name):
        name = f"bigvgan_generator{match[1]}.pt"
        discriminators = f"bigvgan_discriminator_optimizer{match[1]}.pt"
    else:
        return None
    if not {name, _CONFIG} <= set(names):
        return None
    found = {"checkpoint": name, "config": _CONFIG}
    if discriminators in names:
        found["discriminator"] = discriminators
    return found


def _objection(files: Files) -> str | None:
    options = read_json(files["config"])
    for name in ("resblock", "upsample_rates", "activation", "snake_logscale"):
        if name not in options:
            return f"{options.path} has no `{name}`."
    return None


def _read(files: Files, has_discriminator: bool) -> Parts:
    options = read_json(files["config"])
    config, generator = _generator(options, files["checkpoint"])
    config["slice_length"] = options.integer("segment_size", _SLICE_LENGTH)
    parts = Parts(files["checkpoint"], "bigvgan", config, generator)
    if has_discriminator and "discriminator" in files:
        config["discriminators"], parts.discriminator = _discriminators(
            options, files["discriminator"]
        )
    return parts


def _generator(
    options: Options, path: pathlib.Path
) -> tuple[dict[str, Any], NetworkWeights]:
    (state,) = read_networks(path, "generator")
    has_second = options.choice("resblock", ["1", "2"]) == "1"
    rates = options.integers("upsample_rates")
    sizes = options.integers("upsample_kernel_sizes")
    dilations = options.integer_lists("resblock_dilation_sizes")
    for rate, size in zip(rates, sizes, strict=False):
        if size < rate or (size - rate) % 2:
            raise options.error(
                "upsample_kernel_sizes",
                "no smaller than the upsampling rates, and even and odd as "
                "they are: otherwise the original's sound is no whole number "
                "of frames",
            )
    config = {
        "mel": mel_options(
            options,
            state.kernel_shape("conv_pre")[1],
            "n_fft",
            window_length=options.integer("win_size"),
            log_base="e",
            floor=_LOG_FLOOR,
            power_floor=_POWER_FLOOR,
            padding="same",
        ),
        "channels": options.integer("upsample_initial_channel"),
        "upsample_rates": rates,
        "upsample_kernel_sizes": sizes,
        "block_type": 1 if has_second else 2,
        "block_kernel_sizes": options.integers("resblock_kernel_sizes"),
        "block_dilations": dilations,
        "activation": options.choice("activation", ["snakebeta", "snake"]),
        "log_scale": options.flag("snake_logscale"),
        "use_tanh_at_final": options.flag("use_tanh_at_final", True),
        "use_bias_at_final": options.flag("use_bias_at_final", True),
    }
    snakes = _snakes(state, config)
    names = {
        "conv_in": "conv_pre",
        "upsample": "ups.{i}.0",
        "conv1": "resblocks.{k}.convs" + ("1" if has_second else "") + ".{j}",
        "conv2": "resblocks.{k}.convs2.{j}",
        "conv_out": "conv_post",
    }
    sources = hifigan_generator(len(rates), dilations, has_second, names, True)
    if not config["use_bias_at_final"]:
        sources[-1] = Source("conv_out", "conv_post", bias=False)
    generator = NetworkWeights.read(state, sources)
    config["weight_norm"] = generator.norm() == "weight"
    generator.add_layers(snakes)
    return config, generator


def _snakes(state: StateDict, config: Mapping[str, Any]) -> dict[str, Layer]:
    """Returns the activations by our names, their filters compared."""
    pairs = [("snake_out", "activation_post")]
    parts = (1, 2)[: 3 - config["block_type"]]
    dilations = config["block_dilations"]
    for k in range(len(config["upsample_rates"]) * len(dilations)):
        places = [
            f"{part}_{j}"
            for j in range(len(dilations[k % len(dilations)]))
            for part in parts
        ]
        pairs += [
            (f"block_{k}_snake{place}", f"resblocks.{k}.activations.{m}")
            for m, place in enumerate(places)
        ]
    weights = ("alpha", "beta")[: 1 + (config["activation"] == "snakebeta")]
    layers = {}
    for ours, theirs in pairs:
        sources = {name: f"{theirs}.act.{name}" for name in weights}
        arrays = {name: state.read(sources[name], 1) for name in weights}
        layers[ours] = Layer(None, arrays, sources)
        for buffer in ("upsample.filter", "downsample.lowpass.filter"):
            _check_filter(state, f"{theirs}.{buffer}")
    return layers


def _check_filter(state: StateDict, name: str) -> None:
    if name not in state:
        return
    held = state.read(name).reshape(-1)
    if (
        held.shape != (NUM_TAPS,)
        or np.abs(held - half_band()).max() > _TOLERANCE
    ):
        raise state.error(
            name,
            "is another low-pass filter than BigVGAN's of 12 taps. "
            f"Received: {held.size} taps",
        )


def _discriminators(
    options: Options, path: pathlib.Path
) -> tuple[list[dict[str, Any]], NetworkWeights]:
    """Returns our `discriminators` and their weights.

    The second may be of magnitudes, or of the bands of complex spectra. That
    of constant-Q transforms has no counterpart: a warning says so, and the
    first stands alone.
    """
    held = require(path, read_torch_file(path), "mpd")
    periods = options.integers("mpd_reshapes", list(_PERIODS))
    read = {
        "multi_period": read_periods(
            periods, StateDict(path, held["mpd"], "mpd")
        )
    }
    if options.flag("use_mbd_instead_of_mrd", False):
        lengths = options.integers("mbd_fft_sizes", list(_BAND_LENGTHS))
        read["multi_band"] = read_bands(lengths, _second(path, held))
    elif options.flag("use_cqtd_instead_of_mrd", False):
        warnings.warn(
            f"{path}: its discriminator of constant-Q transforms has no "
            "counterpart here and was left unread; that of periods was read.",
            stacklevel=2,
        )
    else:
        sizes = options.integer_lists("resolutions")
        if any(len(each) != 3 for each in sizes):
            raise options.error("resolutions", "lists of three whole numbers")
        read["multi_resolution"] = read_magnitudes(sizes, _second(path, held))
    weights = {kind: weights for kind, (_, weights) in read.items()}
    return [spec for spec, _ in read.values()], (
        NetworkWeights.side_by_side(weights)
        if len(weights) > 1
        else weights["multi_period"]
    )


def _second(path: pathlib.Path, held: Mapping[str, Any]) -> StateDict:
    return StateDict(path, require(path, held, "mrd")["mrd"], "mrd")


converter = VocoderConverter(
    project="the original BigVGAN",
    expected="bigvgan_generator.pt or g_* with config.json beside it",
    choose_files=_choose_files,
    objection=_objection,
    read=_read,
)
convert_bigvgan = converter.convert
