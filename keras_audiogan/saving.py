"""One preset folder: write it whole, read it with distrust.

A preset folder is what a Hub repository holds:

```
config.json                class and arguments, sampling rate, channels,
                           labels, and the checksums of the weights
<stem>.safetensors         one per network, e.g. generator.safetensors
training.json              data, recipe, hardware, metrics (optional)
README.md                  the model card, made from the two above
samples/                   a few sound files and pictures (optional)
```

Weights come from strangers, so there is no pickle, no code and no class path
in it, and nothing is believed before it was checked: see `load_preset`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from keras_audiogan import _safetensors
from keras_audiogan._atomic_folder import replaced_folder
from keras_audiogan._preset_config import (
    CARD_FILE,
    CONFIG_FILE,
    FORMAT_VERSION,
    SAMPLES_FOLDER,
    TRAINING_FILE,
    WEIGHTS_SUFFIX,
    PresetError,
    check_limits,
    is_preset_folder,
    parse_json,
    read_config,
    read_training,
)

__all__ = [
    "PresetError",
    "is_preset_folder",
    "load_preset",
    "load_preset_weights",
    "read_config",
    "read_training",
    "save_preset",
]

SAMPLE_SUFFIXES = (
    ".wav",
    ".flac",
    ".ogg",
    ".mp3",
    ".png",
    ".jpg",
    ".svg",
    ".json",
)
# What may stand beside a preset's own files and be lost when it is replaced.
_DISPOSABLE = {".DS_Store", "Thumbs.db", ".gitattributes", ".cache"}
# Networks that a preset does not store (a discriminator left to the Hub, the
# trained copy of the generator) may be this many times larger than those that
# it stores. HiFi-GAN's smallest generator has a 50 times larger judge.
_UNSTORED_FACTOR = 64
_UNSTORED_PARAMETERS = 1 << 24


def save_preset(
    model: Any,
    path: str | os.PathLike[str],
    *,
    training: Mapping[str, Any] | None = None,
    storage_dtype: str = "float16",
    weights: Iterable[str] | None = None,
    samples_dir: str | os.PathLike[str] | None = None,
    card: bool = True,
) -> Path:
    """Writes a model to a preset folder, whole or not at all.

    The folder is made beside its place and put there by one rename: until
    then an older preset of that name stays, and after an error or a kill it
    is as it was. A README.md that a person wrote is kept.

    Args:
        model: A registered model with `get_config`, `preset_weights` and
            `required_weights`.
        path: The folder. It may hold an older preset, and nothing else.
        training: What training.json shall say: `data`, `recipe`, `steps`,
            `metrics` and so on, fit for JSON. None writes no such file.
        storage_dtype: `"float16"` or `"float32"`.
        weights: Stems of the networks to store; all of them by default.
        samples_dir: A folder whose sound files and pictures go to samples/.
        card: Whether to write README.md.

    Returns:
        The folder, absolute.

    Raises:
        PresetError: if the model is not fit to be saved (NaN, or a number
            too large for float16), an argument is not, or the folder holds
            something else than a preset.
        OSError: if the disk is full, not writable, or the like.
    """
    target = Path(path).expanduser().absolute()
    if storage_dtype not in _safetensors.STORAGE_DTYPES:
        raise PresetError(
            target,
            "unknown `storage_dtype`",
            expected=_safetensors.STORAGE_DTYPES,
            received=storage_dtype,
        )
    _check_replaceable(target)
    networks = _networks_to_save(target, model, weights)
    samples = _samples_to_copy(samples_dir)
    config = _describe(model)
    with replaced_folder(target) as folder:
        try:
            _fill(folder, networks, storage_dtype, config, training, samples)
        except PresetError as error:
            raise error.relocated(folder, target) from error.__cause__
        _write_card(folder, target, card)
    return target


def _fill(
    folder: Path,
    networks: dict[str, Any],
    storage_dtype: str,
    config: dict[str, Any],
    training: Mapping[str, Any] | None,
    samples: list[Path],
) -> None:
    for stem, network in networks.items():
        config["weights"][stem] = _write_weights(
            folder, stem, network, storage_dtype
        )
    _write_json(folder / CONFIG_FILE, config)
    if training is not None:
        _write_json(folder / TRAINING_FILE, dict(training))
    if samples:
        (folder / SAMPLES_FOLDER).mkdir()
    for sample in samples:
        _write_bytes(folder / SAMPLES_FOLDER / sample.name, sample.read_bytes())
    # The reader has the last word: what it would refuse is not written.
    read_config(folder)


def _check_replaceable(target: Path) -> None:
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise PresetError(
            target,
            "something that is not a folder stands here",
            advice="Choose another path",
        )
    names = set(os.listdir(target))
    if not names:
        return
    advice = "Choose another path, or empty the folder yourself"
    if not is_preset_folder(target):
        raise PresetError(
            target,
            "the folder holds something else than a preset",
            received=sorted(names),
            advice=advice,
        )
    own = {CONFIG_FILE, TRAINING_FILE, CARD_FILE, SAMPLES_FOLDER}
    foreign = {
        name
        for name in names - own - _DISPOSABLE
        if not name.endswith(WEIGHTS_SUFFIX)
    }
    if foreign:
        raise PresetError(
            target,
            "saving here would delete files that are no part of a preset",
            received=sorted(foreign),
            advice=advice,
        )


def _networks_to_save(
    target: Path, model: Any, weights: Iterable[str] | None
) -> dict[str, Any]:
    networks = model.preset_weights
    if weights is None:
        return dict(networks)
    stems = _as_stems(target, weights)
    unknown = stems - networks.keys()
    if unknown:
        raise PresetError(
            target,
            "the model has no such weights",
            expected=sorted(networks),
            received=sorted(unknown),
        )
    missing = set(model.required_weights) - stems
    if missing:
        raise PresetError(
            target,
            "a preset of this model needs more weights",
            expected=sorted(model.required_weights),
            received=sorted(stems),
        )
    return {
        stem: network for stem, network in networks.items() if stem in stems
    }


def _as_stems(path: Path, weights: Iterable[str]) -> set[str]:
    if isinstance(weights, str):
        raise PresetError(
            path,
            "`weights` must be a list of names",
            expected=[weights],
            received=weights,
        )
    return set(weights)


def _samples_to_copy(
    samples_dir: str | os.PathLike[str] | None,
) -> list[Path]:
    if samples_dir is None:
        return []
    folder = Path(samples_dir)
    if not folder.is_dir():
        raise PresetError(folder, "`samples_dir` is not a folder")
    return sorted(
        file
        for file in folder.iterdir()
        if file.is_file() and file.suffix.lower() in SAMPLE_SUFFIXES
    )


def _describe(model: Any) -> dict[str, Any]:
    import keras

    labels = getattr(model, "labels", None)
    return {
        "format_version": FORMAT_VERSION,
        "architecture": type(model).architecture,
        "class_name": keras.saving.get_registered_name(type(model)),
        "config": model.get_config(),
        "sampling_rate": getattr(model, "sampling_rate", None),
        "num_channels": getattr(model, "num_channels", None),
        "labels": list(labels) if labels else None,
        "library_version": metadata.version("keras-audiogan"),
        "weights": {},
    }


def _write_weights(
    folder: Path, stem: str, network: Any, storage_dtype: str
) -> dict[str, Any]:
    from keras_audiogan.models.skeleton import weights_by_name

    file = folder / f"{stem}{WEIGHTS_SUFFIX}"
    tensors = weights_by_name(network)
    num_bytes, sha256 = _safetensors.write(
        file, tensors, storage_dtype, {"format": "keras-audiogan"}
    )
    return {
        "num_parameters": _safetensors.read_header(file).num_parameters,
        "num_bytes": num_bytes,
        "sha256": sha256,
    }


def _write_json(file: Path, value: dict[str, Any]) -> None:
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        data = f"{text}\n".encode()
    except (TypeError, ValueError) as error:
        raise PresetError(
            file, f"what shall be written is not fit for JSON: {error}"
        ) from error
    parse_json(file, data)
    _write_bytes(file, data)


def _write_bytes(file: Path, data: bytes) -> None:
    with open(file, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _write_card(folder: Path, target: Path, card: bool) -> None:
    from keras_audiogan import cards

    old = target / CARD_FILE
    if old.is_file() and not cards.is_generated(old.read_bytes()):
        _write_bytes(folder / CARD_FILE, old.read_bytes())
    elif card:
        text = cards.render_card(folder, name=target.name)
        _write_bytes(folder / CARD_FILE, text.encode("utf-8"))


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
    skeleton = _measure(file, model_class, arguments)
    _check_against_skeleton(file, config, skeleton, headers)
    missing = set(skeleton.required) - stems
    if missing:
        raise PresetError(
            folder,
            "weights are missing that this model cannot do without",
            expected=sorted(skeleton.required),
            received=sorted(stems),
        )
    arrays = _read_weights(folder, config, headers)
    model = model_class(**arguments)
    _assign(model, arrays)
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
    from keras_audiogan.models.skeleton import weights_by_name

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
    stems = held if weights is None else _as_stems(folder, weights)
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
) -> dict[str, _safetensors.Header]:
    headers = {}
    for stem in sorted(stems):
        file = folder / f"{stem}{WEIGHTS_SUFFIX}"
        header = headers[stem] = _safetensors.read_header(file)
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
    from keras_audiogan.models.skeleton import build_skeleton

    try:
        return build_skeleton(model_class, arguments)
    except Exception as error:
        # Whatever a constructor raises, the arguments are a stranger's.
        raise PresetError(
            file,
            f"{model_class.__name__} cannot be built from `config`: "
            f"{type(error).__name__}: {str(error)[:500]}".rstrip("."),
        ) from error


def _check_against_skeleton(
    file: Path,
    config: dict[str, Any],
    skeleton: Any,
    headers: dict[str, _safetensors.Header],
) -> None:
    labels = list(skeleton.labels) if skeleton.labels else None
    for name, value in (
        ("sampling_rate", skeleton.sampling_rate),
        ("num_channels", skeleton.num_channels),
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
        if stem not in skeleton.shapes:
            raise _unknown_stem(file, stem, skeleton.shapes)
        _check_shapes(
            file.with_name(f"{stem}{WEIGHTS_SUFFIX}"),
            skeleton.shapes[stem],
            header,
        )
    stored = sum(header.num_parameters for header in headers.values())
    allowed = stored * _UNSTORED_FACTOR + _UNSTORED_PARAMETERS
    if skeleton.num_parameters > allowed:
        raise PresetError(
            file,
            "`config` asks for networks out of proportion to the weights",
            expected=f"at most {allowed} parameters",
            received=skeleton.num_parameters,
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
    header: _safetensors.Header,
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
    headers: dict[str, _safetensors.Header],
) -> dict[str, dict[str, Any]]:
    return {
        stem: _safetensors.read_tensors(
            folder / f"{stem}{WEIGHTS_SUFFIX}",
            header,
            config["weights"][stem]["sha256"],
        )
        for stem, header in headers.items()
    }


def _assign(model: Any, arrays: dict[str, dict[str, Any]]) -> None:
    from keras_audiogan.models.skeleton import weights_by_name

    for stem, tensors in arrays.items():
        variables = weights_by_name(model.preset_weights[stem])
        for name, variable in variables.items():
            variable.assign(tensors[name].astype("float32"))
    model.on_preset_loaded(set(arrays))
