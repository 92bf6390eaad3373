"""Converts checkpoints of the original MelGAN (PyTorch).

Source: https://github.com/descriptinc/melgan-neurips, whose trainer writes
the state dicts `netG.pt`, `netD.pt`, `best_netG.pt` and `best_netD.pt`. All
sizes come from the tensors; `args.yml` need not be there.
"""

from __future__ import annotations

import itertools
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keras_audiogan.converters import checkpoint_names
from keras_audiogan.converters.errors import (
    ConversionError,
    MissingPackageError,
)
from keras_audiogan.converters.network_weights import NetworkWeights, Source
from keras_audiogan.converters.torch_files import StateDict, read_torch_file
from keras_audiogan.converters.torch_vocoders import (
    Parts,
    build,
    whole_frames,
)
from keras_audiogan.converters.vocoder_discriminators import read_melgan

if TYPE_CHECKING:
    from keras_audiogan.models import Vocoder

# The project's own loader takes the best one.
_GENERATORS = ("best_netG.pt", "netG.pt")
_OTHERS = re.compile(r"(best_)?(netD|optG|optD)\.pt")
_SAMPLING_RATE = 22050
_SLICE_LENGTH = 8192
_SLOPE = 0.2
_FFT_LENGTH = 1024
_LOG_FLOOR = 1e-5


def choose_files(names: Sequence[str]) -> Mapping[str, str] | None:
    """Returns which files of a folder are its checkpoint, by role.

    The authors' released files have names of their own (`multi_speaker.pt`):
    a single `.pt` file is taken, whose tensors tell whether it is one.
    """
    generator = checkpoint_names.first_of(names, *_GENERATORS)
    if generator is None:
        others = [
            name
            for name in names
            if name.endswith(".pt") and not _OTHERS.fullmatch(name)
        ]
        generator = others[0] if len(others) == 1 else None
    return _beside(generator, names) if generator else None


def _beside(name: str, names: Sequence[str]) -> Mapping[str, str]:
    found = {"checkpoint": name}
    judge = name.replace("netG", "netD")
    if judge != name and judge in names:
        found["discriminator"] = judge
    return found


def _find(source: str | pathlib.Path) -> dict[str, pathlib.Path]:
    found = checkpoint_names.locate(source, choose_files, _beside)
    if found is None:
        raise ConversionError(
            "Found no checkpoint of the original MelGAN: expected netG.pt or "
            f"another .pt file. Received: {str(source)!r}"
        )
    return found


def check(source: str | pathlib.Path) -> str | None:
    """Says why `source` is no MelGAN checkpoint; None if it is one."""
    try:
        path = _find(source)["checkpoint"]
        if path.name in _GENERATORS:
            return None
        held = read_torch_file(path)
    except MissingPackageError:
        raise
    except ConversionError as error:
        return str(error)
    names = list(held) if isinstance(held, Mapping) else []
    if not any(
        isinstance(name, str) and _BLOCK.match(name.removeprefix("module."))
        for name in names
    ):
        return (
            f"{path} is no generator of the original MelGAN: none of its "
            f"tensors is 'model.4.block.2...'. Received: {str(names)[:100]}"
        )
    return None


def list_networks(source: str | pathlib.Path) -> list[str]:
    """Returns which networks a checkpoint holds, by their preset's stems."""
    has_judge = "discriminator" in _find(source)
    return ["discriminator", "generator"] if has_judge else ["generator"]


def convert_melgan(
    source: str | pathlib.Path,
    *,
    sampling_rate: int | None = None,
    slice_length: int | None = None,
    weights: Iterable[str] | None = None,
    dtype: Any = None,
) -> Vocoder:
    """Converts a checkpoint of the original MelGAN.

    Args:
        source: the folder, one that holds it, or the generator's file.
            `netD.pt` beside `netG.pt` gives the discriminator.
        sampling_rate: in Hz. None takes 22050, which the original has in its
            code.
        slice_length: samples in a training slice. None takes 8192, the
            original's default.
        weights: networks to load, e.g. `["generator"]`; None for all.
        dtype: dtype policy; Keras's global policy if None.

    Returns:
        A `MelGAN`; weight norm is kept where the file has it.

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

    Arguments and errors are those of `convert_melgan`.
    """
    files = _find(source)
    path = files["checkpoint"]
    config, generator = _generator(StateDict(path, read_torch_file(path)))
    rate = sampling_rate or _SAMPLING_RATE
    config["sampling_rate"] = config["mel"]["sampling_rate"] = rate
    config["slice_length"] = slice_length or whole_frames(
        _SLICE_LENGTH, config["mel"]["frame_step"]
    )
    config["discriminator"] = None
    parts = Parts(path, "melgan", config, generator)
    wanted = weights is None or "discriminator" in set(weights)
    if wanted and "discriminator" in files:
        path = files["discriminator"]
        config["discriminator"], parts.discriminator = read_melgan(
            StateDict(path, read_torch_file(path))
        )
    return parts


_BLOCK = re.compile(r"model\.(\d{1,4})\.block\.")
_PLAIN = re.compile(r"model\.(\d{1,4})\.(?!block\.|shortcut\.)")


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
        shape = _shape(state, name)
        rates.append(max(1, shape[2] // 2))
        sources.append(Source(f"upsample_{i}", name, "conv1d_transpose", True))
        inside = [block for block in blocks if index < block < end]
        depths.add(len(inside))
        for j, block in enumerate(inside):
            ours, theirs = f"stack_{i}_{j}", f"model.{block}"
            sources += [
                Source(f"{ours}_conv", f"{theirs}.block.2", bias=True),
                Source(f"{ours}_out", f"{theirs}.block.4", bias=True),
                Source(f"{ours}_skip", f"{theirs}.shortcut", bias=True),
            ]
    sources.append(Source("conv_out", f"model.{last}", bias=True))
    if len(depths) > 1:
        raise ConversionError(
            f"{state.path}: expected as many residual blocks after each "
            f"upsampling layer. Received: {sorted(depths)}"
        )
    channels, num_bins, kernel_size = _shape(state, f"model.{first}")
    step = 1
    for rate in rates:
        step *= rate
    generator = NetworkWeights(state, sources)
    config = {
        "mel": {
            "num_mel_bins": num_bins,
            "fft_length": _FFT_LENGTH,
            "frame_step": step,
            "window_length": _FFT_LENGTH,
            "min_frequency": 0.0,
            "max_frequency": None,
            "log_base": "10",
            "floor": _LOG_FLOOR,
            "power_floor": 0.0,
            "padding": "same",
        },
        "channels": channels,
        "kernel_size": kernel_size,
        "upsample_rates": rates,
        "stack_kernel_size": _shape(state, f"model.{blocks[0]}.block.2")[2],
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


def _shape(state: StateDict, layer: str) -> tuple[int, ...]:
    shape = state.weight_shape(layer)
    if shape is None or len(shape) != 3:
        raise state.error(
            f"{layer}.weight", f"is missing or no convolution's: {shape}"
        )
    return shape
