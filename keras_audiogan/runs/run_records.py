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

from keras_audiogan.data import AudioDataset
from keras_audiogan.runs import options as options_module
from keras_audiogan.runs.options import TrainingOptions
from keras_audiogan.training.precision import has_gpu

DATA_FILE = "data.json"
_PACKAGES = ("keras-audiogan", "keras", "tensorflow", "jax", "torch", "numpy")


def stored_options(options: TrainingOptions) -> dict[str, Any] | None:
    """Returns what the run to resume was started with; None for a new run.

    Raises:
        ValueError: If the folder of a new run holds something, or the run
            to resume is none, or of another backend.
    """
    folder = options.folder
    if not options.resume:
        # A start that was killed leaves no more than these.
        begun = (DATA_FILE, f".{DATA_FILE}.", f".{options_module.OPTIONS_FILE}")
        if folder.exists() and any(
            not entry.name.startswith(begun) for entry in folder.iterdir()
        ):
            raise ValueError(
                f"{folder} is not empty. Continue the run in it with "
                "`resume` (--resume), or choose another folder."
            )
        return None
    stored = options_module.read_options(folder)
    backend = keras.backend.backend()
    if stored["backend"] != backend:
        raise ValueError(
            f"The run in {folder} was started on the {stored['backend']} "
            f"backend; set KERAS_BACKEND={stored['backend']} to continue it. "
            f"Received: {backend}"
        )
    return stored


def begin_run(
    options: TrainingOptions, config: Mapping[str, Any], dataset: AudioDataset
) -> None:
    """Makes the folder of a new run, with its options and its data."""
    options.folder.mkdir(parents=True, exist_ok=True)
    options_module.write_json(
        options.folder / DATA_FILE, describe_data(options, dataset)
    )
    # Last, since it makes the folder a run that can be resumed.
    options_module.write_options(options, config, keras.backend.backend())


def describe_data(
    options: TrainingOptions, dataset: AudioDataset
) -> dict[str, Any]:
    """Returns name, licence, size and hash of the data, and a report."""
    data = dataset.folder
    names = [Path(path).name for path in options.data_paths]
    described = {
        "name": options.data_name or ", ".join(names),
        "license": options.data_license,
        "url": options.data_url,
        "hours": round(data.hours, 4),
        "num_files": data.num_files,
        "hash": data.content_hash,
        "num_slices": dataset.num_slices,
        "report": dataset.report(),
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
