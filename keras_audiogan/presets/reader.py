"""The weights of a preset folder, read with distrust.

Headers are checked against their files, against config.json and against the
sizes of the model before a number is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keras_audiogan.presets import weight_files
from keras_audiogan.presets.config import (
    CONFIG_FILE,
    WEIGHTS_SUFFIX,
    as_stems,
)
from keras_audiogan.presets.strict_json import PresetError

# Networks that a preset does not store (a discriminator left to the Hub, the
# trained copy of the generator) may be this many times larger than those that
# it stores. HiFi-GAN's smallest generator has a 50 times larger discriminator.
_UNSTORED_FACTOR = 64
_UNSTORED_PARAMETERS = 1 << 24


def stems_to_load(
    folder: Path, config: dict[str, Any], weights: Iterable[str] | None
) -> set[str]:
    """Returns the file stems to load: those asked for, or all."""
    held = set(config["weights"])
    stray = {
        file.name
        for file in folder.glob(f"*{WEIGHTS_SUFFIX}")
        if file.stem not in held
    }
    if stray:
        raise PresetError(
            folder,
            f"there are weights that {CONFIG_FILE} does not list",
            expected=sorted(held),
            received=sorted(stray),
        )
    stems = held if weights is None else as_stems(folder, weights)
    if not stems <= held:
        raise PresetError(
            folder,
            "the preset does not hold these weights",
            expected=sorted(held),
            received=sorted(stems - held),
        )
    return stems


def read_headers(
    folder: Path, config: dict[str, Any], stems: set[str]
) -> dict[str, weight_files.Header]:
    """Returns the headers of weight files, by stem, as config.json states."""
    headers = {}
    for stem in sorted(stems):
        file = folder / f"{stem}{WEIGHTS_SUFFIX}"
        header = headers[stem] = weight_files.read_header(file)
        entry = config["weights"][stem]
        for name in ("num_bytes", "num_parameters"):
            if entry[name] != getattr(header, name):
                raise PresetError(
                    file,
                    f"{name} is not what {CONFIG_FILE} states: the file is "
                    "another one, or damaged",
                    expected=entry[name],
                    received=getattr(header, name),
                )
    return headers


def check_against_sizes(
    file: Path,
    config: dict[str, Any],
    sizes: Any,
    headers: dict[str, weight_files.Header],
) -> None:
    """Checks a config and headers against the sizes of the model."""
    labels = list(sizes.labels) if sizes.labels else None
    for name, value in (
        ("sampling_rate", sizes.sampling_rate),
        ("num_channels", sizes.num_channels),
        ("labels", labels),
    ):
        if config[name] != value:
            raise PresetError(
                file,
                f"`{name}` disagrees with `config`",
                expected="null" if value is None else value,
                received="null" if config[name] is None else config[name],
            )
    check_shapes(file.parent, sizes.shapes, headers)
    stored = sum(header.num_parameters for header in headers.values())
    allowed = stored * _UNSTORED_FACTOR + _UNSTORED_PARAMETERS
    if sizes.num_parameters > allowed:
        raise PresetError(
            file,
            "`config` asks for networks out of proportion to the weights",
            expected=f"at most {allowed} parameters",
            received=sizes.num_parameters,
        )


def check_shapes(
    folder: Path,
    shapes: Mapping[str, Mapping[str, tuple[int, ...]]],
    headers: Mapping[str, weight_files.Header],
) -> None:
    """Checks the tensors of headers against those of a model.

    `shapes` maps file stem -> weight name -> shape, `headers` file stems.
    """
    for stem, header in headers.items():
        if stem not in shapes:
            raise PresetError(
                folder / CONFIG_FILE,
                "`weights` lists a network that the model has not",
                expected=sorted(shapes),
                received=stem,
            )
        wanted, tensors = shapes[stem], header.tensors
        file = folder / f"{stem}{WEIGHTS_SUFFIX}"
        for name, shape in wanted.items():
            if name not in tensors:
                raise PresetError(
                    file, "the tensor is missing", tensor=name, expected=shape
                )
            if tensors[name].shape != shape:
                raise PresetError(
                    file,
                    "the shape is not that of the model",
                    tensor=name,
                    expected=shape,
                    received=tensors[name].shape,
                )
        for name in sorted(tensors.keys() - wanted.keys()):
            raise PresetError(file, "the model has no such tensor", tensor=name)


def read_weights(
    folder: Path,
    config: dict[str, Any],
    headers: dict[str, weight_files.Header],
) -> dict[str, dict[str, Any]]:
    """Returns the weights: file stem -> weight name -> array."""
    return {
        stem: weight_files.read_tensors(
            folder / f"{stem}{WEIGHTS_SUFFIX}",
            header,
            config["weights"][stem]["sha256"],
        )
        for stem, header in headers.items()
    }
