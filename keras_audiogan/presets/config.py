"""The JSON files of a preset folder, read as the work of a stranger.

Nothing here imports Keras or NumPy: what a preset is can be told in
milliseconds.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keras_audiogan.presets.strict_json import PresetError, read_json, short
from keras_audiogan.presets.upgrade import upgrade_config

# 2 names the task, and discriminators by one list; 1 is read as well.
FORMAT_VERSION = 2

CONFIG_FILE = "config.json"
TRAINING_FILE = "training.json"
CARD_FILE = "README.md"
SAMPLES_FOLDER = "samples"
WEIGHTS_SUFFIX = ".safetensors"
ENGINE_SUFFIX = ".onnx"
"""Of the networks of an engine, a preset with `engine` in config.json."""

MAX_INTEGER = 1 << 24
MAX_ITEMS = 1024
MAX_STRING_LENGTH = 1024

# What Keras writes where a JSON value stands for a Python object. A class
# rebuilds its own parts from plain values, so no preset needs them, and a
# stranger's could name any importable object.
_OBJECT_KEYS = frozenset({"class_name", "module", "registered_name"})
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Name -> its type, and which numbers or names of it are allowed.
_FIELDS: dict[str, tuple[Any, range | re.Pattern[str] | None]] = {
    "architecture": (str, _NAME),
    "class_name": (str, None),
    "library_version": (str, None),
    "sampling_rate": (int | None, range(1, MAX_INTEGER + 1)),
    "num_channels": (int | None, range(1, MAX_ITEMS + 1)),
    "labels": (list | None, None),
    "config": (dict, None),
    "weights": (dict, None),
}


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads and checks the config.json of a preset folder.

    One of an older format version comes back as today's would say it.

    Returns:
        A dict with `format_version`, `task`, `architecture`, `class_name`,
        `config` (the constructor's arguments), `sampling_rate` (Hz, or None),
        `num_channels` (or None), `labels` (a list, or None),
        `library_version` and `weights` (file stem -> `num_parameters`,
        `num_bytes`, `sha256`); of an engine also `engine`, what whoever runs
        it must know.

    Raises:
        PresetError: if the folder or the file is not a preset's, or asks for
            what no network of this library needs.
    """
    folder = Path(path)
    file = folder / CONFIG_FILE
    if not os.path.isdir(folder):
        raise PresetError(
            folder,
            "there is no such folder",
            advice="Give the path of a folder that holds a config.json",
        )
    if not file.exists():
        raise PresetError(
            folder, f"this is not a preset folder: it has no {CONFIG_FILE}"
        )
    config = read_json(file)
    _check_field(file, config, "format_version", int)
    version = config["format_version"]
    if version > FORMAT_VERSION:
        raise PresetError(
            file,
            f"the preset has format version {short(version)}, made by a "
            "newer keras-audiogan",
            advice="Update with: pip install -U keras-audiogan",
            expected=FORMAT_VERSION,
        )
    if version < 1:
        raise PresetError(
            file,
            "unknown format_version",
            expected=FORMAT_VERSION,
            received=version,
        )
    for name, (kind, allowed) in _FIELDS.items():
        _check_field(file, config, name, kind, allowed)
    labels, weights = config["labels"] or (), config["weights"]
    if not all(isinstance(label, str) for label in labels):
        raise PresetError(
            file, "`labels` must be a list of strings", received=labels
        )
    for name in ("labels", "config"):
        _check_argument(file, name, config[name])
    if "engine" in config:
        _check_field(file, config, "engine", dict)
        _check_argument(file, "engine", config["engine"])
        if config["engine"].get("format") != "onnx":
            raise PresetError(
                file,
                "`engine.format` is unknown; a newer keras-audiogan may know "
                "it",
                expected="onnx",
                received=config["engine"].get("format"),
            )
    if not 0 < len(weights) <= 64:
        raise PresetError(
            file, "`weights` must list the weights files", received=weights
        )
    for stem, entry in weights.items():
        _check_weights_entry(file, stem, entry)
    if version < FORMAT_VERSION:
        try:
            config = upgrade_config(config)
        except (TypeError, ValueError) as error:
            raise PresetError(
                file, f"`config` of format version {version} is wrong: {error}"
            ) from error
    _check_field(file, config, "task", str, _NAME)
    return {**config, "format_version": FORMAT_VERSION}


def read_training(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the training.json of a preset folder, empty if it has none.

    Raises:
        PresetError: if the file is not a JSON object of bounded size.
    """
    file = Path(path) / TRAINING_FILE
    return read_json(file) if os.path.lexists(file) else {}


def weights_file(config: Mapping[str, Any], stem: str) -> str:
    """Returns the name of the file that holds a network of a preset."""
    return f"{stem}{ENGINE_SUFFIX if 'engine' in config else WEIGHTS_SUFFIX}"


def is_preset_folder(path: str | os.PathLike[str]) -> bool:
    """Returns whether a folder holds a config.json written by this library.

    The preset may be broken or of another version; what matters is that
    replacing it destroys nothing else.
    """
    try:
        config = read_json(Path(path) / CONFIG_FILE)
    except PresetError:
        return False
    return "format_version" in config and "architecture" in config


def as_stems(path: Path, weights: Iterable[str]) -> set[str]:
    """Returns a caller's list of file stems as a set; refuses a string."""
    if isinstance(weights, str):
        raise PresetError(
            path,
            "`weights` must be a list of names",
            expected=[weights],
            received=weights,
        )
    return set(weights)


def check_limits(
    path: Path, config: Mapping[str, Any], limits: Mapping[str, int]
) -> None:
    """Checks integers, at any depth, against an architecture's limits.

    Args:
        path: The config.json, for the error.
        config: The constructor's arguments.
        limits: Argument name -> its largest allowed value, or that of each
            of its items.

    Raises:
        PresetError: if an argument exceeds its limit.
    """
    for name, value in config.items():
        limit = limits.get(name, math.inf)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, (int, float)) and item > limit:
                raise PresetError(
                    path,
                    f"`config.{name}` is larger than this architecture allows",
                    expected=f"at most {limit}",
                    received=item,
                )
            if isinstance(item, dict):
                check_limits(path, item, limits)


def _check_field(
    file: Path,
    config: dict[str, Any],
    name: str,
    kind: Any,
    allowed: range | re.Pattern[str] | None = None,
) -> None:
    if name not in config:
        raise PresetError(file, f"`{name}` is missing")
    value = config[name]
    problem = expected = None
    if not isinstance(value, kind) or isinstance(value, bool):
        problem = "has the wrong type"
        expected = getattr(kind, "__name__", str(kind)).replace("None", "null")
    elif value is None:
        return
    elif isinstance(allowed, range) and value not in allowed:
        problem = "is out of range"
        expected = f"{allowed[0]} to {allowed[-1]}"
    elif isinstance(allowed, re.Pattern) and not allowed.fullmatch(value):
        problem = "must be a lower-case name"
    if problem is not None:
        raise PresetError(
            file, f"`{name}` {problem}", expected=expected, received=value
        )


def _check_argument(file: Path, name: str, value: Any) -> None:
    """Bounds what a constructor is given before any of it is trusted."""
    problem = None
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        problem = f"is beyond {MAX_INTEGER}"
    elif isinstance(value, str) and len(value) > MAX_STRING_LENGTH:
        problem = f"is longer than {MAX_STRING_LENGTH} characters"
    elif isinstance(value, (list, dict)) and len(value) > MAX_ITEMS:
        problem = f"has more than {MAX_ITEMS} items"
    elif isinstance(value, dict) and _OBJECT_KEYS & value.keys():
        problem = "describes a Python object; only plain values are allowed"
    if problem is not None:
        raise PresetError(
            file, f"{short(name)[1:-1]} {problem}", received=value
        )
    if isinstance(value, dict):
        for key, item in value.items():
            _check_argument(file, f"{name}.{key}", item)
    elif isinstance(value, list):
        for item in value:
            _check_argument(file, name, item)


def _check_weights_entry(file: Path, stem: str, entry: Any) -> None:
    if not _NAME.fullmatch(stem):
        raise PresetError(
            file,
            "`weights` names a file that is not one of this folder's",
            expected="lower-case letters, digits and underscores",
            received=stem,
        )
    given = entry if isinstance(entry, dict) else {}
    counts = [given.get("num_parameters"), given.get("num_bytes")]
    if not all(type(count) is int and count >= 0 for count in counts) or not (
        isinstance(given.get("sha256"), str)
        and _SHA256.fullmatch(given["sha256"])
    ):
        raise PresetError(
            file,
            f"`weights.{stem}` must hold num_parameters, num_bytes and sha256",
            received=entry,
        )
