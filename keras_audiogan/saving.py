"""Models from preset folders, and preset folders of models.

A preset folder is what a Hub repository holds; `keras_audiogan.presets` knows
its format. Weights come from strangers, so there is no pickle, no code and no
class path in it, and nothing is believed before it was checked: see
`load_preset`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_audiogan.presets.config import (
    CONFIG_FILE,
    check_limits,
    is_preset_folder,
    read_config,
    read_training,
)
from keras_audiogan.presets.reader import (
    check_against_sizes,
    check_shapes,
    read_headers,
    read_weights,
    stems_to_load,
)
from keras_audiogan.presets.strict_json import PresetError
from keras_audiogan.presets.writer import SAMPLE_SUFFIXES, save_preset

__all__ = [
    "SAMPLE_SUFFIXES",
    "PresetError",
    "is_preset_folder",
    "load_preset",
    "load_preset_weights",
    "preset_class",
    "read_config",
    "read_training",
    "save_preset",
]

# What of training.json holds for whatever is made of the weights. Figures
# and recipe do not: the model may be trained further.
ORIGIN_FIELDS = ("data", "license")


def load_preset(
    path: str | os.PathLike[str],
    *,
    weights: Iterable[str] | None = None,
    dtype: Any = None,
    runtime: str | None = None,
) -> Any:
    """Builds a model from a preset folder, or opens an engine.

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
        runtime: What runs an engine, see `keras_audiogan.serving`.

    Returns:
        A model of the preset's class, not compiled; of an engine's folder
        what `keras_audiogan.serving.load_engine` returns, without Keras.

    Raises:
        ValueError: if the policy is one of quantised networks.
        PresetError: if anything in the folder is not as it must be; it names
            the file, and the tensor if there is one.
    """
    folder = Path(path).expanduser()
    config = read_config(folder)
    file = folder / CONFIG_FILE
    if "engine" in config:
        from keras_audiogan.serving import load_engine

        return load_engine(
            folder, weights=weights, dtype=dtype, runtime=runtime
        )
    if runtime is not None:
        raise PresetError(
            file,
            "Keras runs this preset: leave out `runtime`, or write an engine "
            "of it with `audiogan export PRESET DIR --engine onnx`",
            received=runtime,
        )
    _check_policy(dtype)
    model_class = preset_class(file, config)
    arguments = dict(config["config"])
    if dtype is not None:
        arguments["dtype"] = dtype
    stems = stems_to_load(folder, config, weights)
    headers = read_headers(folder, config, stems)
    sizes = _measure(file, model_class, arguments)
    check_against_sizes(file, config, sizes, headers)
    missing = set(sizes.required) - stems
    if missing:
        raise PresetError(
            folder,
            "weights are missing that this model cannot do without",
            expected=sorted(sizes.required),
            received=sorted(stems),
        )
    origin = read_training(folder)
    arrays = read_weights(folder, config, headers)
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
    from keras_audiogan.presets.model_sizes import weight_shapes

    folder = Path(path).expanduser()
    config = read_config(folder)
    if "engine" in config:
        raise PresetError(
            folder,
            "an engine has no weights that Keras could load, and cannot be "
            "trained: take the preset that it was exported from",
        )
    stems = stems_to_load(folder, config, weights)
    headers = read_headers(folder, config, stems)
    check_shapes(folder, weight_shapes(model), headers)
    _assign(model, read_weights(folder, config, headers))
    return stems


def preset_class(file: Path, config: dict[str, Any]) -> Any:
    """Returns the class of a preset's model, checked against its config.

    Args:
        file: Its config.json, for the error.
        config: As `read_config` returned it.

    Raises:
        PresetError: if the architecture is unknown, or class, task or sizes
            are not the architecture's.
    """
    import keras

    from keras_audiogan.models.registry import get_architecture

    try:
        model_class = get_architecture(config["architecture"])
    except ValueError as error:
        raise PresetError(
            file,
            f"{str(error).rstrip('.')}; a newer keras-audiogan may know it",
        ) from error
    for field, own in (
        ("class_name", keras.saving.get_registered_name(model_class)),
        ("task", getattr(model_class, "task", None)),
    ):
        if config[field] != own:
            raise PresetError(
                file,
                f"`{field}` is not that of `architecture`",
                expected=own,
                received=config[field],
            )
    limits = getattr(model_class, "config_limits", {})
    check_limits(file, config["config"], limits)
    return model_class


def _check_policy(dtype: Any) -> None:
    """Refuses policies whose layers have weights that no preset holds."""
    import keras

    policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
    if isinstance(policy, keras.dtype_policies.QuantizedDTypePolicy):
        raise ValueError(
            "The weights of presets are of floating point. Load with a "
            '`dtype` such as "float32" or "mixed_bfloat16", or choose such a '
            "global one by keras.config.set_dtype_policy. "
            f"Received: {policy.name}"
        )


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


def _assign(model: Any, arrays: dict[str, dict[str, Any]]) -> None:
    from keras_audiogan.presets.model_sizes import weights_by_name

    for stem, tensors in arrays.items():
        variables = weights_by_name(model.preset_weights[stem])
        for name, variable in variables.items():
            variable.assign(tensors[name].astype("float32"))
    model.on_preset_loaded(set(arrays))
