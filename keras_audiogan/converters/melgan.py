"""Converts checkpoints of the original MelGAN (PyTorch).

Source: https://github.com/descriptinc/melgan-neurips, whose trainer writes
the state dicts `netG.pt`, `netD.pt`, `best_netG.pt` and `best_netD.pt`. All
sizes come from the tensors; `args.yml` need not be there.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from keras_audiogan.converters import checkpoint_names
from keras_audiogan.converters.errors import ConversionError
from keras_audiogan.converters.network_weights import (
    NetworkWeights,
    Source,
    residual_stack,
)
from keras_audiogan.converters.parts import Parts
from keras_audiogan.converters.torch_files import StateDict, read_torch_file
from keras_audiogan.converters.torch_vocoders import Files, VocoderConverter
from keras_audiogan.converters.vocoder_discriminators import read_melgan

# The project's own loader takes the best one.
_GENERATORS = ("best_netG.pt", "netG.pt")
_OTHERS = re.compile(r"(best_)?(netD|optG|optD)\.pt")
_BLOCK = re.compile(r"model\.(\d{1,4})\.block\.")
_PLAIN = re.compile(r"model\.(\d{1,4})\.(?!block\.|shortcut\.)")
# What the original has in its code.
_SAMPLING_RATE = 22050
_SLICE_LENGTH = 8192
_SLOPE = 0.2
_FFT_LENGTH = 1024
_LOG_FLOOR = 1e-5


def _choose_files(
    names: Sequence[str], name: str | None
) -> Mapping[str, str] | None:
    name = name or checkpoint_names.first_of(names, *_GENERATORS)
    # The authors' released files have names of their own: one alone is taken,
    # and its tensors tell whether it is one.
    others = [
        n for n in names if n.endswith(".pt") and not _OTHERS.fullmatch(n)
    ]
    if name is None and len(others) == 1:
        name = others[0]
    if name is None:
        return None
    found = {"checkpoint": name}
    discriminator = name.replace("netG", "netD")
    if discriminator != name and discriminator in names:
        found["discriminator"] = discriminator
    return found


def _objection(files: Files) -> str | None:
    path = files["checkpoint"]
    if path.name in _GENERATORS:
        return None
    held = read_torch_file(path)
    names = list(held) if isinstance(held, Mapping) else []
    if any(_BLOCK.match(str(name).removeprefix("module.")) for name in names):
        return None
    return (
        f"{path} is no generator of the original MelGAN: none of its "
        f"tensors is 'model.4.block.2...'. Received: {str(names)[:100]}"
    )


def _read(files: Files, has_discriminator: bool) -> Parts:
    path = files["checkpoint"]
    config, generator = _generator(StateDict(path, read_torch_file(path)))
    parts = Parts(path, "melgan", config, generator)
    if has_discriminator and "discriminator" in files:
        path = files["discriminator"]
        config["discriminator"], parts.discriminator = read_melgan(
            StateDict(path, read_torch_file(path))
        )
    return parts


def _generator(state: StateDict) -> tuple[dict[str, Any], NetworkWeights]:
    blocks = _indices(state, _BLOCK)
    plain = _indices(state, _PLAIN)
    if len(plain) < 3 or not blocks:
        raise ConversionError(
            f"{state.path}: expected layers 'model.1', 'model.3', ... and "
            "residual blocks between them. Received: "
            f"{str(sorted(state)[:4])}"
        )
    first, *upsamples, last = plain
    sources = [Source("conv_in", f"model.{first}", bias=True)]
    rates, depths = [], set()
    edges = [*upsamples, last]
    for i, (index, end) in enumerate(itertools.pairwise(edges)):
        name = f"model.{index}"
        rates.append(max(1, state.kernel_shape(name)[2] // 2))
        sources.append(Source(f"upsample_{i}", name, "conv1d_transpose", True))
        inside = [block for block in blocks if index < block < end]
        depths.add(len(inside))
        for j, block in enumerate(inside):
            ours, theirs = f"stack_{i}_{j}", f"model.{block}"
            sources += residual_stack(
                ours, theirs, ("block.2", "block.4", "shortcut"), True
            )
    sources.append(Source("conv_out", f"model.{last}", bias=True))
    if len(depths) > 1:
        raise ConversionError(
            f"{state.path}: expected as many residual blocks after each "
            f"upsampling layer. Received: {sorted(depths)}"
        )
    channels, num_bins, kernel_size = state.kernel_shape(f"model.{first}")
    generator = NetworkWeights.read(state, sources)
    config = {
        "mel": {
            "sampling_rate": _SAMPLING_RATE,
            "num_mel_bins": num_bins,
            "fft_length": _FFT_LENGTH,
            "frame_step": math.prod(rates),
            "window_length": _FFT_LENGTH,
            "min_frequency": 0.0,
            "max_frequency": None,
            "log_base": "10",
            "floor": _LOG_FLOOR,
            "power_floor": 0.0,
            "padding": "same",
        },
        "slice_length": _SLICE_LENGTH,
        "channels": channels,
        "kernel_size": kernel_size,
        "upsample_rates": rates,
        "stack_kernel_size": state.kernel_shape(f"model.{blocks[0]}.block.2")[
            2
        ],
        "num_stacks": depths.pop(),
        "negative_slope": _SLOPE,
        "padding": "reflect",
        "causal": False,
        "weight_norm": generator.norm() == "weight",
    }
    return config, generator


def _indices(state: StateDict, pattern: re.Pattern[str]) -> list[int]:
    found = (pattern.match(name) for name in state)
    return sorted({int(match.group(1)) for match in found if match})


converter = VocoderConverter(
    project="the original MelGAN",
    expected="netG.pt or another .pt file",
    choose_files=_choose_files,
    objection=_objection,
    read=_read,
    states_rate=False,
)
convert_melgan = converter.convert
