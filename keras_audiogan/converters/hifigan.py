"""Converts checkpoints of the original HiFi-GAN (PyTorch).

Source: https://github.com/jik876/hifi-gan, whose trainer writes `g_00000000`
and `do_00000000` beside `config.json`.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keras_audiogan.converters import checkpoint_names
from keras_audiogan.converters.config_files import Options, read_json
from keras_audiogan.converters.errors import (
    ConversionError,
    MissingPackageError,
)
from keras_audiogan.converters.network_weights import (
    NetworkWeights,
    hifigan_generator,
)
from keras_audiogan.converters.torch_files import StateDict, read_torch_file
from keras_audiogan.converters.torch_vocoders import (
    Parts,
    build,
    check_sampling_rate,
    whole_frames,
)
from keras_audiogan.converters.vocoder_discriminators import read_hifigan

if TYPE_CHECKING:
    from keras_audiogan.models import Vocoder

_GENERATOR = r"g_(\d{1,12})"
# What the authors' released generators, which have no step, are called.
_RELEASED = r"generator[\w.-]*"
_CONFIG = "config.json"
_SLICE_LENGTH = 8192
_SLOPE = 0.1
_KERNEL_SIZE = 7
_LOG_FLOOR = 1e-5
_POWER_FLOOR = 1e-9


def choose_files(names: Sequence[str]) -> Mapping[str, str] | None:
    """Returns which files of a folder are its newest checkpoint, by role."""
    generator = checkpoint_names.newest(names, _GENERATOR) or max(
        (
            name
            for name in names
            if re.fullmatch(_RELEASED, name)
            and not name.endswith((".safetensors", ".json", ".txt", ".md"))
        ),
        default=None,
    )
    return _beside(generator, names) if generator else None


def _beside(name: str, names: Sequence[str]) -> Mapping[str, str] | None:
    if _CONFIG not in names or name == _CONFIG:
        return None
    match = re.fullmatch(r"do_(\d{1,12})", name)
    if match:
        name = f"g_{match.group(1)}"
        if name not in names:
            return None
    found = {"checkpoint": name, "config": _CONFIG}
    discriminators = f"do_{name.removeprefix('g_')}"
    if discriminators in names:
        found["discriminators"] = discriminators
    return found


def _find(source: str | pathlib.Path) -> dict[str, pathlib.Path]:
    found = checkpoint_names.locate(source, choose_files, _beside)
    if found is None:
        raise ConversionError(
            "Found no checkpoint of the original HiFi-GAN: expected g_* with "
            f"config.json beside it. Received: {str(source)!r}"
        )
    return found


def check(source: str | pathlib.Path) -> str | None:
    """Says why `source` is no HiFi-GAN checkpoint; None if it is one."""
    try:
        options = read_json(_find(source)["config"])
    except MissingPackageError:
        raise
    except ConversionError as error:
        return str(error)
    for name in ("resblock", "upsample_rates"):
        if name not in options:
            return f"{options.path} has no `{name}`."
    return None


def list_networks(source: str | pathlib.Path) -> list[str]:
    """Returns which networks a checkpoint holds, by their preset's stems."""
    has_judges = "discriminators" in _find(source)
    return ["discriminator", "generator"] if has_judges else ["generator"]


def convert_hifigan(
    source: str | pathlib.Path,
    *,
    sampling_rate: int | None = None,
    slice_length: int | None = None,
    weights: Iterable[str] | None = None,
    dtype: Any = None,
) -> Vocoder:
    """Converts a checkpoint of the original HiFi-GAN.

    Args:
        source: the folder, one that holds it, or the file `g_*`; of several
            the newest. `do_*` of the same step gives the discriminators.
        sampling_rate: None, or the checkpoint's own rate in Hz.
        slice_length: samples in a training slice. None takes `segment_size`
            of config.json.
        weights: networks to load, e.g. `["generator"]`; None for all.
        dtype: dtype policy; Keras's global policy if None.

    Returns:
        A `HiFiGAN`; weight norm is kept where the file has it.

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

    Arguments and errors are those of `convert_hifigan`.
    """
    files = _find(source)
    options = read_json(files["config"])
    config, generator = _generator(options, files["checkpoint"])
    rate = config["sampling_rate"]
    check_sampling_rate(options.path, rate, sampling_rate)
    config["slice_length"] = slice_length or whole_frames(
        options.integer("segment_size", _SLICE_LENGTH),
        config["mel"]["frame_step"],
    )
    config["discriminator"] = None
    parts = Parts(files["checkpoint"], "hifigan", config, generator)
    wanted = weights is None or "discriminator" in set(weights)
    if wanted and "discriminators" in files:
        config["discriminator"], parts.discriminator = _discriminator(
            files["discriminators"]
        )
    return parts


def _entry(path: pathlib.Path, *names: str) -> list[StateDict]:
    held = read_torch_file(path)
    missing = [
        name
        for name in names
        if not isinstance(held, Mapping) or name not in held
    ]
    if missing:
        raise ConversionError(
            f"{path}: expected {', '.join(map(repr, names))} in it. Received: "
            + (
                str(list(held))[:200]
                if isinstance(held, Mapping)
                else type(held).__name__
            )
        )
    return [StateDict(path, held[name], name) for name in names]


def _generator(
    options: Options, path: pathlib.Path
) -> tuple[dict[str, Any], NetworkWeights]:
    (state,) = _entry(path, "generator")
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
    shape = state.weight_shape("conv_pre")
    if shape is None or len(shape) != 3:
        raise state.error("conv_pre.weight", "is missing or no convolution's.")
    # The number of bins is written into the code, and forks changed it there.
    num_bins = shape[1]
    if options.integer("num_mels", num_bins) != num_bins:
        raise options.error("num_mels", f"{num_bins}, as the generator has it")
    rate = options.integer("sampling_rate")
    config = {
        "sampling_rate": rate,
        "mel": {
            "sampling_rate": rate,
            "num_mel_bins": num_bins,
            "fft_length": options.integer("n_fft"),
            "frame_step": options.integer("hop_size"),
            "window_length": options.integer("win_size"),
            "min_frequency": options.number_or_none("fmin") or 0.0,
            "max_frequency": options.number_or_none("fmax"),
            "log_base": "e",
            "floor": _LOG_FLOOR,
            "power_floor": _POWER_FLOOR,
            "padding": "same",
        },
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
    generator = NetworkWeights(
        state,
        hifigan_generator(len(rates), dilations, has_second, names, True),
    )
    config["weight_norm"] = generator.norm() == "weight"
    return config, generator


def _discriminator(
    path: pathlib.Path,
) -> tuple[dict[str, Any], NetworkWeights]:
    periods, scales = _entry(path, "mpd", "msd")
    return read_hifigan(periods, scales)
