"""Checkpoints: the whole state of a training run, written so as never to be torn.

```
checkpoints/step_00001000/
    state.safetensors    every variable of the model and of its optimisers
    checkpoint.json      step, size and checksum of the file above, and what
                         the run wants to remember
```

A folder is made under another name, brought to the disk and put in place by
one rename. What a kill leaves behind is not taken for a checkpoint, and what
a disk has damaged since is found by its checksum: it is reported and passed
over.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import safetensors
import safetensors.numpy

from keras_audiogan.presets.atomic_folder import replaced_folder, write_json

STATE_FILE = "state.safetensors"
DETAILS_FILE = "checkpoint.json"
FORMAT_VERSION = 1

_NAME = re.compile(r"step_(\d{8,})")


class CheckpointError(ValueError):
    """A checkpoint is torn, or belongs to another model.

    Attributes:
        path: The checkpoint's folder.
        reason: What is wrong with it.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        """Args: `path` of the folder and the `reason`."""
        super().__init__(f"{os.fspath(path)}: {reason}")
        self.path = Path(path)
        self.reason = reason


class TornCheckpointError(CheckpointError):
    """A checkpoint is not whole."""


class NonFiniteWeightsError(ValueError):
    """A run has spoilt its weights and cannot go on."""


class Restored(NamedTuple):
    """What a checkpoint gave back.

    Attributes:
        step: Training steps taken before it was written.
        details: What was given to `save`.
        path: Its folder.
    """

    step: int
    details: dict[str, Any]
    path: Path


def state_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns all that training changes, by names that outlive a process.

    Args:
        model: A compiled model. Its optimiser needs `variables` alone.

    Returns:
        `model/<path>` for weights and moving averages, `seed/<number>` for
        the states of random generators (whose paths hold names that Keras
        counts), `optimizer/<number>/<name>` for the optimiser's variables.
    """
    named: dict[str, keras.Variable] = {}
    num_seeds = 0
    for variable in model.variables:
        if variable.path.endswith("seed_generator_state"):
            name = f"seed/{num_seeds:03d}"
            num_seeds += 1
        else:
            name = f"model/{variable.path}"
        if name in named:
            raise ValueError(
                "A checkpoint needs variables with names of their own: name "
                f"the layers of the model apart. Received: {name!r} twice"
            )
        named[name] = variable
    for index, variable in enumerate(model.optimizer.variables):
        name = variable.path.rsplit("/", 1)[-1]
        named[f"optimizer/{index:04d}/{name}"] = variable
    return named


class CheckpointFolder:
    """The checkpoints of one run.

    Args:
        path: Their folder; made when the first one is written.
        keep: How many of the newest stay; None for all.

    Attributes:
        problems: What was found wrong with checkpoints that were passed
            over, one line each.
    """

    def __init__(
        self, path: str | os.PathLike[str], keep: int | None = 3
    ) -> None:
        if keep is not None and keep < 1:
            raise ValueError(
                "At least one checkpoint must be kept. "
                f"Received: keep_checkpoints={keep}"
            )
        self.path = Path(path)
        self.keep = keep
        self.problems: list[str] = []

    def steps(self) -> list[int]:
        """Steps of the checkpoints that stand there, the oldest first."""
        matches = (_NAME.fullmatch(p.name) for p in self.path.glob("step_*"))
        return sorted(int(match[1]) for match in matches if match)

    def path_of(self, step: int) -> Path:
        """Folder of the checkpoint of a step."""
        return self.path / f"step_{step:08d}"

    def save(
        self,
        model: keras.Model,
        step: int,
        details: Mapping[str, Any] | None = None,
    ) -> Path:
        """Writes a checkpoint, then removes those that are too old.

        Args:
            model: The compiled model.
            step: Training steps taken.
            details: What to remember beside, fit for JSON.

        Returns:
            The checkpoint's folder.

        Raises:
            OSError: If the disk is full, not writable, or the like; older
                checkpoints are then as they were.
            NonFiniteWeightsError: If a weight is NaN or infinite; nothing is
                written then.
        """
        synchronise(model)
        # Not ascontiguousarray, which gives scalars a dimension.
        state = {
            name: np.array(keras.ops.convert_to_numpy(variable), order="C")
            for name, variable in state_variables(model).items()
        }
        self._check_finite(state, step)
        target = self.path_of(step)
        with replaced_folder(target) as folder:
            _write_state(folder, state, step, details or {})
        if self.keep is not None:
            older = [old for old in self.steps() if old < step]
            for old in older[: -self.keep + 1 or None]:
                shutil.rmtree(self.path_of(old), ignore_errors=True)
        return target

    def _check_finite(self, state: Mapping[str, np.ndarray], step: int) -> None:
        spoilt = [
            name.removeprefix("model/")
            for name, array in state.items()
            if name.startswith("model/")
            and not np.isfinite(array.astype("float32")).all()
        ]
        if not spoilt:
            return
        more = f" and {len(spoilt) - 1} more" if spoilt[1:] else ""
        sound = [old for old in self.steps() if old < step]
        left = (
            f"The checkpoint of step {sound[-1]} and the preset of that time "
            "stand as they were, but from there it would happen again. Train "
            "on from that preset"
            if sound
            else "There is no earlier checkpoint. Begin again"
        )
        raise NonFiniteWeightsError(
            f"At step {step} the weights are no longer finite numbers, and "
            f"the run ends. {left} in a new folder with a lower learning "
            "rate, in float32, or with a stronger penalty. "
            f"Received: NaN or infinity in {spoilt[0]}{more}"
        )

    def remove_leftovers(self) -> None:
        """Removes what a killed process was writing, and notes it.

        Only the process that owns the run may call it.
        """
        for path in sorted(self.path.glob(".step_*.saving")):
            shutil.rmtree(path, ignore_errors=True)
            self.problems.append(
                f"{path}: a checkpoint whose writing was interrupted; removed"
            )

    def restore(self, model: keras.Model) -> Restored | None:
        """Brings a model to the state of the newest sound checkpoint.

        Torn ones are noted in `problems` and passed over.

        Args:
            model: The model, compiled as the one that was saved.

        Returns:
            What was restored, or None if there is no sound checkpoint.

        Raises:
            CheckpointError: If the newest sound one is of another model; no
                variable has changed then.
        """
        newest = self.newest()
        if newest is None:
            return None
        restored, arrays = newest
        _assign(restored.path, state_variables(model), arrays)
        return restored

    def newest(self) -> tuple[Restored, dict[str, np.ndarray]] | None:
        """Reads the newest sound checkpoint.

        Torn ones are noted in `problems` and passed over.

        Returns:
            What it says of itself, and its arrays by their names; None if
            there is no sound checkpoint.
        """
        for step in reversed(self.steps()):
            path = self.path_of(step)
            try:
                entry = read_checkpoint(path)
                arrays = safetensors.numpy.load_file(path / STATE_FILE)
            except TornCheckpointError as error:
                self.problems.append(f"{error}; passed over")
                continue
            return Restored(entry["step"], entry["details"], path), arrays
        return None


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads and checks a checkpoint, without loading it.

    Args:
        path: Its folder.

    Returns:
        What checkpoint.json says: `step`, `details`, `num_bytes`, `sha256`.

    Raises:
        TornCheckpointError: If it is not whole.
        CheckpointError: If a newer version of this library wrote it.
    """
    path = Path(path)
    try:
        text = (path / DETAILS_FILE).read_bytes()
        size = (path / STATE_FILE).stat().st_size
    except OSError as error:
        raise TornCheckpointError(
            path, f"torn: {error.filename} cannot be read ({error.strerror})"
        ) from error
    try:
        entry = json.loads(text)
        version = entry["format_version"]
        expected = (entry["num_bytes"], entry["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise TornCheckpointError(
            path, f"torn: {DETAILS_FILE} is not whole"
        ) from error
    if version != FORMAT_VERSION:
        raise CheckpointError(
            path,
            f"format version {version} is unknown; expected "
            f"{FORMAT_VERSION}. Continue with the keras-audiogan that wrote "
            "it, or update: pip install -U keras-audiogan",
        )
    if size != expected[0]:
        raise TornCheckpointError(
            path,
            f"torn: {STATE_FILE} has {size} bytes instead of {expected[0]}",
        )
    if _sha256(path / STATE_FILE) != expected[1]:
        raise TornCheckpointError(
            path, f"damaged: the checksum of {STATE_FILE} is another"
        )
    return entry


def _write_state(
    folder: Path,
    state: Mapping[str, np.ndarray],
    step: int,
    details: Mapping[str, Any],
) -> None:
    file = folder / STATE_FILE
    try:
        safetensors.numpy.save_file(dict(state), file)
    except safetensors.SafetensorError as error:
        # It is written by a library that has no OSError.
        code = re.search(r"\(os error (\d+)\)", str(error))
        if code is None:
            raise
        number = int(code[1])
        raise OSError(number, os.strerror(number), str(file)) from error
    with open(file, "rb") as stream:
        os.fsync(stream.fileno())
    entry = {
        "format_version": FORMAT_VERSION,
        "step": step,
        "num_bytes": file.stat().st_size,
        "sha256": _sha256(file),
        "backend": keras.backend.backend(),
        "details": dict(details),
    }
    write_json(folder / DETAILS_FILE, entry)


def _assign(
    path: Path,
    variables: Mapping[str, keras.Variable],
    arrays: Mapping[str, np.ndarray],
) -> None:
    missing = sorted(variables.keys() - arrays.keys())
    foreign = sorted(arrays.keys() - variables.keys())
    if missing or foreign:
        raise CheckpointError(
            path,
            "it is the state of another model. "
            f"Missing in it: {missing[:3]}; unknown to the model: "
            f"{foreign[:3]}",
        )
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise CheckpointError(
                path,
                f"it is the state of another model: {name} has the shape "
                f"{arrays[name].shape}; expected {tuple(variable.shape)}",
            )
    for name, variable in variables.items():
        variable.assign(arrays[name].astype(variable.dtype))


def synchronise(model: keras.Model) -> None:
    """Brings the model's variables up to date within `fit`.

    On JAX, Keras carries the state beside them during an epoch.
    """
    if keras.backend.backend() == "jax":
        model.jax_state_sync()


def _sha256(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
