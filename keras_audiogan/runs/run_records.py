"""What a run writes down about itself, and reads when it is resumed."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_audiogan.data import AudioDataset, AudioFolder
from keras_audiogan.data.heard import heard_record
from keras_audiogan.presets.atomic_folder import write_json
from keras_audiogan.runs.options import TrainingOptions
from keras_audiogan.runs.run_lock import LOCK_FILE
from keras_audiogan.training.precision import has_gpu

OPTIONS_FILE = "options.json"
DATA_FILE = "data.json"
# 2 says `discriminator_steps`, and all that the model's config says; 3 says
# `trim` and `hold_out`. 1 and 2 are read as well.
FORMAT_VERSION = 3
_PACKAGES = ("keras-audiogan", "keras", "tensorflow", "jax", "torch", "numpy")


def stored_run(options: TrainingOptions) -> dict[str, Any]:
    """Returns what the run to resume was started with; nothing for a new run.

    Returns:
        The `backend`, `options` and `model_config` of its options.json.

    Raises:
        ValueError: If the folder of a new run holds something, or the run
            to resume is none, or of another backend or a newer version.
    """
    folder = options.folder
    path = folder / OPTIONS_FILE
    if not options.resume:
        # A start that was killed leaves no more than these.
        begun = (DATA_FILE, f".{DATA_FILE}.", f".{OPTIONS_FILE}", LOCK_FILE)
        if folder.exists() and any(
            not entry.name.startswith(begun) for entry in folder.iterdir()
        ):
            raise ValueError(
                f"{folder} is not empty. Continue the run in it with "
                "`resume` (--resume), or choose another folder."
            )
        return {}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        version, backend = stored["format_version"], stored["backend"]
        known = stored["options"]
    except FileNotFoundError:
        raise ValueError(
            f"There is no run to resume in {folder}: it has no "
            f"{OPTIONS_FILE}. Start it without `resume`."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}.") from error
    if version not in range(1, FORMAT_VERSION + 1):
        raise ValueError(
            f"{path} has format version {version}; expected "
            f"{FORMAT_VERSION}. Update with: pip install -U keras-audiogan"
        )
    if backend != keras.backend.backend():
        raise ValueError(
            f"The run in {folder} was started on the {backend} backend; set "
            f"KERAS_BACKEND={backend} to continue it. "
            f"Received: {keras.backend.backend()}"
        )
    if "critic_steps" in known:
        known["discriminator_steps"] = known.pop("critic_steps")
    # What a run was before there was more: its slices must stay.
    known.setdefault("trim", "off")
    known.setdefault("hold_out", 0.0)
    return stored


def begin_run(
    folder: Path,
    options: Mapping[str, Any],
    model_config: Mapping[str, Any],
    dataset: AudioDataset,
    held_out: AudioFolder,
) -> None:
    """Makes the folder of a new run, with its options and its data."""
    data = describe_data(options, dataset, held_out)
    names = [entry.name for entry in held_out.files]
    report = {"held_out": names, "report": dataset.report()}
    write_json(folder / DATA_FILE, {**data, **report})
    # Last, since it makes the folder a run that can be resumed.
    write_json(
        folder / OPTIONS_FILE,
        {
            "format_version": FORMAT_VERSION,
            "backend": keras.backend.backend(),
            "options": dict(options),
            "model_config": dict(model_config),
        },
    )


def describe_data(
    options: Mapping[str, Any], dataset: AudioDataset, held_out: AudioFolder
) -> dict[str, Any]:
    """Returns name, licence, size, hash and files of the data."""
    data = dataset.folder
    names = [Path(path).name for path in options["data"]]
    described = {
        "name": options["data_name"] or ", ".join(names),
        "license": options["data_license"],
        "url": options["data_url"],
        "hours": round(data.hours, 4),
        "num_files": data.num_files,
        "hash": data.content_hash,
        "num_slices": dataset.num_slices,
        **heard_record(data, held_out),
    }
    return {k: v for k, v in described.items() if v is not None}


def check_data(folder: Path, dataset: AudioDataset) -> None:
    """Checks that a resumed run sees the data it was started on.

    Raises:
        ValueError: If it does not.
    """
    path = folder / DATA_FILE
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored["hash"] != dataset.folder.content_hash:
        raise ValueError(
            "A run is resumed with the data it was started on, or its order "
            f"would be another. Expected the {stored['num_files']} files of "
            f"{stored['name']!r}. Received: {dataset.folder.num_files} files "
            "of other content"
        )


def describe_hardware() -> str:
    """Returns the machine in words: processor, cores, devices."""
    backend = keras.backend.backend()
    devices = ["gpu:0" if has_gpu() else "cpu:0"]
    if backend != "torch":  # Keras cannot list the devices of PyTorch.
        devices = [str(device) for device in keras.distribution.list_devices()]
    cores = (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count()
    )
    return (
        f"{platform.machine()}, {cores} CPU cores; {backend} on "
        f"{', '.join(devices)}"
    )


def describe_versions() -> dict[str, str]:
    """Returns the versions of Python and of the libraries in use."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
