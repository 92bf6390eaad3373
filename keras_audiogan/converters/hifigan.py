"""Converts checkpoints of the original HiFi-GAN (PyTorch).

Source: https://github.com/jik876/hifi-gan, whose trainer writes `g_00000000`
and `do_00000000` beside `config.json`.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from keras_audiogan.converters import checkpoint_names
from keras_audiogan.converters.config_files import (
    Options,
    mel_options,
    read_json,
)
from keras_audiogan.converters.network_weights import (
    NetworkWeights,
    hifigan_generator,
)
from keras_audiogan.converters.parts import Parts
from keras_audiogan.converters.torch_files import read_networks
from keras_audiogan.converters.torch_vocoders import Files, VocoderConverter
from keras_audiogan.converters.vocoder_discriminators import read_hifigan

_GENERATOR = r"g_(\d{1,12})"
# What the authors' released generators, which have no step, are called.
_RELEASED = re.compile(
    r"generator[\w.-]*(?<!\.safetensors)(?<!\.json)(?<!\.txt)(?<!\.md)"
)
_CONFIG = "config.json"
_SLICE_LENGTH = 8192
_SLOPE = 0.1
_KERNEL_SIZE = 7
_LOG_FLOOR = 1e-5
_POWER_FLOOR = 1e-9


def _choose_files(
    names: Sequence[str], name: str | None
) -> Mapping[str, str] | None:
    name = (
        name
        or checkpoint_names.newest(names, _GENERATOR)
        or max(filter(_RELEASED.fullmatch, names), default="")
    )
    # A discriminator's file stands for the generator of the same step.
    name = re.sub(r"^do_(?=\d{1,12}$)", "g_", name)
    if name == _CONFIG or not {name, _CONFIG} <= set(names):
        return None
    found = {"checkpoint": name, "config": _CONFIG}
    discriminators = f"do_{name.removeprefix('g_')}"
    if discriminators in names:
        found["discriminator"] = discriminators
    return found


def _objection(files: Files) -> str | None:
    options = read_json(files["config"])
    for name in ("resblock", "upsample_rates"):
        if name not in options:
            return f"{options.path} has no `{name}`."
    if "snake_logscale" in options:
        return f"{options.path} has `snake_logscale`: it is BigVGAN's."
    return None


def _read(files: Files, has_discriminator: bool) -> Parts:
    options = read_json(files["config"])
    config, generator = _generator(options, files["checkpoint"])
    config["slice_length"] = options.integer("segment_size", _SLICE_LENGTH)
    parts = Parts(files["checkpoint"], "hifigan", config, generator)
    if has_discriminator and "discriminator" in files:
        config["discriminator"], parts.discriminator = read_hifigan(
            *read_networks(files["discriminator"], "mpd", "msd")
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
        if (size - rate) % 2:
            raise options.error(
                "upsample_kernel_sizes",
                "even and odd as the upsampling rates are: otherwise the "
                "original makes a sample too many at each layer, and its "
                "sound is no whole number of frames",
            )
    # The number of bins is written into the code, and forks changed it there.
    num_bins = state.kernel_shape("conv_pre")[1]
    mel = mel_options(
        options,
        num_bins,
        "n_fft",
        window_length=options.integer("win_size"),
        log_base="e",
        floor=_LOG_FLOOR,
        power_floor=_POWER_FLOOR,
        padding="same",
    )
    config = {
        "mel": mel,
        "channels": options.integer("upsample_initial_channel"),
        "kernel_size": _KERNEL_SIZE,
        "upsample_rates": rates,
        "upsample_kernel_sizes": sizes,
        "block_type": 1 if has_second else 2,
        "block_kernel_sizes": options.integers("resblock_kernel_sizes"),
        "block_dilations": dilations,
        "negative_slope": _SLOPE,
        "causal": False,
    }
    names = {
        "conv_in": "conv_pre",
        "upsample": "ups.{i}",
        "conv1": "resblocks.{k}.convs" + ("1" if has_second else "") + ".{j}",
        "conv2": "resblocks.{k}.convs2.{j}",
        "conv_out": "conv_post",
    }
    generator = NetworkWeights.read(
        state,
        hifigan_generator(len(rates), dilations, has_second, names, True),
    )
    config["weight_norm"] = generator.norm() == "weight"
    return config, generator


converter = VocoderConverter(
    project="the original HiFi-GAN",
    expected="g_* with config.json beside it",
    choose_files=_choose_files,
    objection=_objection,
    read=_read,
)
convert_hifigan = converter.convert
