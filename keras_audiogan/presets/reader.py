"""The reader of preset folders; see `keras_audiogan.saving`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keras_audiogan.presets import weight_files
from keras_audiogan.presets.config import (
    CONFIG_FILE,
    WEIGHTS_SUFFIX,
    as_stems,
    check_limits,
    read_config,
    read_training,
)
from keras_audiogan.presets.strict_json import PresetError

# What of training.json holds for whatever is made of the weights. Figures
# and recipe do not: the model may be trained further.
ORIGIN_FIELDS = ("data", "license")

# Networks that a preset does not store (a discriminator left to the Hub, the
# trained copy of the generator) may be this many times larger than those that
# it stores. HiFi-GAN's smallest generator has a 50 times larger judge.
_UNSTORED_FACTOR = 64
_UNSTORED_PARAMETERS = 1 << 24


def load_preset(
    path: str | os.PathLike[str],
    *,
    weights: Iterable[str] | None = None,
    dtype: Any = None,
) -> Any:
    """Builds a model from a preset folder.

    The folder is taken for the work of a stranger. config.json is checked
    first, then the headers of the weights against their files, then both
    against the sizes of the model, which is asked for them without memory
    being taken; then checksums and numbers. Only then is the model built and
    are its weights assigned.

    Args:
        path: A preset folder.
        weights: Stems of the networks to load, e.g. `["generator"]`; by
            default all that the preset lists.
        dtype: Dtype policy of the networks, e.g. `"mixed_bfloat16"`; Keras's
            global policy by default.

    Returns:
        A model of the preset's class, not compiled.

    Raises:
        PresetError: if anything in the folder is not as it must be; it names
            the file, and the tensor if there is one.
    """
    folder = Path(path).expanduser()
    config = read_config(folder)
    file = folder / CONFIG_FILE
    model_class = _model_class(file, config)
    arguments = dict(config["config"])
    if dtype is not None:
        arguments["dtype"] = dtype
    stems = _stems_to_load(folder, config, weights)
    headers = _read_headers(folder, config, stems)
    sizes = _measure(file, model_class, arguments)
    _check_against_sizes(file, config, sizes, headers)
    missing = set(sizes.required) - stems
    if missing:
        raise PresetError(
            folder,
            "weights are missing that this model cannot do without",
            expected=sorted(sizes.required),
            received=sorted(stems),
        )
    origin = read_training(folder)
    arrays = _read_weights(folder, config, headers)
    model = model_class(**arguments)
    _assign(model, arrays)
    model._preset_origin = json.dumps(
        {key: origin[key] for key in ORIGIN_FIELDS if key in origin}
    )
    return model


def load_preset_weights(
    model: Any,
    path: str | os.PathLike[str],
    *,
    weights: Iterable[str] | None = None,
) -> set[str]:
    """Assigns the weights of a preset to a model that exists: all or none.

    For a model built otherwise than the preset says, e.g. with other labels
    or under a distribution strategy.

    Args:
        model: A model with `preset_weights`, of the preset's sizes.
        path: A preset folder.
        weights: Stems of the networks to load; by default all that the
            preset lists.

    Returns:
        The stems that were loaded.

    Raises:
        PresetError: as `load_preset`; the model is then as it was.
    """
    from keras_audiogan.presets.model_sizes import weights_by_name

    folder = Path(path).expanduser()
    config = read_config(folder)
    stems = _stems_to_load(folder, config, weights)
    headers = _read_headers(folder, config, stems)
    networks = model.preset_weights
    for stem, header in headers.items():
        if stem not in networks:
            raise _unknown_stem(folder / CONFIG_FILE, stem, networks)
        shapes = {
            name: tuple(int(size) for size in variable.shape)
            for name, variable in weights_by_name(networks[stem]).items()
        }
        _check_shapes(folder / f"{stem}{WEIGHTS_SUFFIX}", shapes, header)
    arrays = _read_weights(folder, config, headers)
    _assign(model, arrays)
    return stems


def _model_class(file: Path, config: dict[str, Any]) -> type:
    import keras

    from keras_audiogan.models.registry import get_architecture

    try:
        model_class = get_architecture(config["architecture"])
    except ValueError as error:
        raise PresetError(
            file,
            f"{str(error).rstrip('.')}; a newer keras-audiogan may know it",
        ) from error
    name = keras.saving.get_registered_name(model_class)
    if config["class_name"] != name:
        raise PresetError(
            file,
            "`class_name` is not the class of `architecture`",
            expected=name,
            received=config["class_name"],
        )
    limits = getattr(model_class, "config_limits", {})
    check_limits(file, config["config"], limits)
    return model_class


def _stems_to_load(
    folder: Path, config: dict[str, Any], weights: Iterable[str] | None
) -> set[str]:
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


def _read_headers(
    folder: Path, config: dict[str, Any], stems: set[str]
) -> dict[str, weight_files.Header]:
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


def _measure(file: Path, model_class: type, arguments: dict[str, Any]) -> Any:
    from keras_audiogan.presets.model_sizes import measure_model

    try:
        return measure_model(model_class, arguments)
    except Exception as error:
        # Whatever a constructor raises, the arguments are a stranger's.
        raise PresetError(
            file,
            f"{model_class.__name__} cannot be built from `config`: "
            f"{type(error).__name__}: {str(error)[:500]}".rstrip("."),
        ) from error


def _check_against_sizes(
    file: Path,
    config: dict[str, Any],
    sizes: Any,
    headers: dict[str, weight_files.Header],
) -> None:
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
    for stem, header in headers.items():
        if stem not in sizes.shapes:
            raise _unknown_stem(file, stem, sizes.shapes)
        _check_shapes(
            file.with_name(f"{stem}{WEIGHTS_SUFFIX}"),
            sizes.shapes[stem],
            header,
        )
    stored = sum(header.num_parameters for header in headers.values())
    allowed = stored * _UNSTORED_FACTOR + _UNSTORED_PARAMETERS
    if sizes.num_parameters > allowed:
        raise PresetError(
            file,
            "`config` asks for networks out of proportion to the weights",
            expected=f"at most {allowed} parameters",
            received=sizes.num_parameters,
        )


def _unknown_stem(
    file: Path, stem: str, known: Mapping[str, Any]
) -> PresetError:
    return PresetError(
        file,
        "`weights` lists a network that the model has not",
        expected=sorted(known),
        received=stem,
    )


def _check_shapes(
    file: Path,
    shapes: dict[str, tuple[int, ...]],
    header: weight_files.Header,
) -> None:
    for name, shape in shapes.items():
        if name not in header.tensors:
            raise PresetError(
                file,
                "the tensor is missing",
                tensor=name,
                expected=shape,
            )
        received = header.tensors[name].shape
        if received != shape:
            raise PresetError(
                file,
                "the shape is not that of the model",
                tensor=name,
                expected=shape,
                received=received,
            )
    for name in header.tensors:
        if name not in shapes:
            raise PresetError(file, "the model has no such tensor", tensor=name)


def _read_weights(
    folder: Path,
    config: dict[str, Any],
    headers: dict[str, weight_files.Header],
) -> dict[str, dict[str, Any]]:
    return {
        stem: weight_files.read_tensors(
            folder / f"{stem}{WEIGHTS_SUFFIX}",
            header,
            config["weights"][stem]["sha256"],
        )
        for stem, header in headers.items()
    }


def _assign(model: Any, arrays: dict[str, dict[str, Any]]) -> None:
    from keras_audiogan.presets.model_sizes import weights_by_name

    for stem, tensors in arrays.items():
        variables = weights_by_name(model.preset_weights[stem])
        for name, variable in variables.items():
            variable.assign(tensors[name].astype("float32"))
    model.on_preset_loaded(set(arrays))
