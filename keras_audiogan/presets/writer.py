"""The writer of preset folders; see `keras_audiogan.presets`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras_audiogan
from keras_audiogan._names import SHOWN
from keras_audiogan.presets import cards, weight_files
from keras_audiogan.presets.atomic_folder import replaced_folder, write_json
from keras_audiogan.presets.config import (
    CARD_FILE,
    CONFIG_FILE,
    FORMAT_VERSION,
    SAMPLES_FOLDER,
    TRAINING_FILE,
    WEIGHTS_SUFFIX,
    as_stems,
    is_preset_folder,
    read_config,
)
from keras_audiogan.presets.strict_json import PresetError, read_json

SAMPLE_SUFFIXES = (*cards.SOUNDS, *cards.PICTURES, ".json")
# What may stand beside a preset's own files and be lost when it is replaced.
_DISPOSABLE = {".DS_Store", "Thumbs.db", ".gitattributes", ".cache"}


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
            `metrics` and so on, fit for JSON. With None it is what data and
            licence a model comes from that was loaded from a preset, and for
            other models there is no such file.
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
    if storage_dtype not in weight_files.STORAGE_DTYPES:
        raise PresetError(
            target,
            "unknown `storage_dtype`",
            expected=weight_files.STORAGE_DTYPES,
            received=storage_dtype,
        )
    _check_replaceable(target)
    networks = _networks_to_save(target, model, weights)
    if samples_dir is not None and not Path(samples_dir).is_dir():
        raise PresetError(samples_dir, "`samples_dir` is not a folder")
    samples = [] if samples_dir is None else sample_files(Path(samples_dir))
    config = _describe(model)
    if training is None and hasattr(model, "_preset_origin"):
        training = json.loads(model._preset_origin) or None
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
    from keras_audiogan.presets.model_sizes import weights_by_name

    for stem, network in networks.items():
        config["weights"][stem] = weight_files.write(
            folder / f"{stem}{WEIGHTS_SUFFIX}",
            weights_by_name(network),
            storage_dtype,
        )
    _write_json(folder / CONFIG_FILE, config)
    if training is not None:
        _write_json(folder / TRAINING_FILE, dict(training))
    if samples:
        (folder / SAMPLES_FOLDER).mkdir()
    for sample in samples:
        _write_bytes(folder / SAMPLES_FOLDER / sample.name, sample.read_bytes())
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
    foreign = names = set(os.listdir(target))
    problem = "the folder holds something else than a preset"
    if is_preset_folder(target):
        own = {CONFIG_FILE, TRAINING_FILE, CARD_FILE, SAMPLES_FOLDER}
        foreign = {
            name
            for name in names - own - _DISPOSABLE
            if not name.endswith(WEIGHTS_SUFFIX)
        }
        problem = "saving here would delete files that are no part of a preset"
    if foreign:
        raise PresetError(
            target,
            problem,
            received=sorted(foreign),
            advice="Choose another path, or empty the folder yourself",
        )


def _networks_to_save(
    target: Path, model: Any, weights: Iterable[str] | None
) -> dict[str, Any]:
    networks = model.preset_weights
    if weights is None:
        return dict(networks)
    stems = as_stems(target, weights)
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
    return {stem: networks[stem] for stem in networks if stem in stems}


def sample_files(folder: Path) -> list[Path]:
    """Returns the sound files, pictures and JSON files in a folder, sorted."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in SAMPLE_SUFFIXES
        and not file.name.startswith(".")
        and file.is_file()
    )


def _describe(model: Any) -> dict[str, Any]:
    import keras

    labels = getattr(model, "labels", None)
    config = model.get_config()
    # Whoever loads a preset chooses the precision.
    config.pop("dtype", None)
    return {
        "format_version": FORMAT_VERSION,
        "task": type(model).task,
        "architecture": type(model).architecture,
        "class_name": keras.saving.get_registered_name(type(model)),
        "config": config,
        "sampling_rate": getattr(model, "sampling_rate", None),
        "num_channels": getattr(model, "num_channels", None),
        "labels": list(labels) if labels else None,
        "library_version": keras_audiogan.__version__,
        "weights": {},
    }


def _write_json(file: Path, value: dict[str, Any]) -> None:
    try:
        write_json(file, value)
    except (TypeError, ValueError) as error:
        raise PresetError(
            file, f"what shall be written is not fit for JSON: {error}"
        ) from error
    # The reader has the last word: what it would refuse is not written.
    read_json(file)


def _write_bytes(file: Path, data: bytes) -> None:
    with open(file, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _write_card(folder: Path, target: Path, card: bool) -> None:
    old = target / CARD_FILE
    if old.is_file() and not cards.is_generated(old.read_bytes()):
        _write_bytes(folder / CARD_FILE, old.read_bytes())
    elif card:
        text = cards.render_card(folder, name=target.name)
        _write_bytes(folder / CARD_FILE, text.encode("utf-8", SHOWN))
