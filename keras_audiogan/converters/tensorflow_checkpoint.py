"""Reads TensorFlow 1 checkpoints (`.index` and `.data-*`) with TensorFlow."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterable

import numpy as np

from keras_audiogan.converters.errors import (
    ConversionError,
    MissingPackageError,
)

_MAX_INDEX_SIZE = 64 << 20
# Other types (strings, quantised numbers) are not weights.
_TYPES = ("float16", "float32", "float64", "int32", "int64")


class TensorFlowCheckpoint:
    """The variables of one TensorFlow checkpoint.

    TensorFlow ends the process over an index that was crafted to mislead it:
    read a stranger's checkpoint in a process that may end.

    Args:
        prefix: path of the checkpoint without `.index`, for example
            `"train/model.ckpt-1000"`.

    Attributes:
        shapes: name -> shape of every variable.

    Raises:
        MissingPackageError: if TensorFlow is not installed.
        ConversionError: if the index is missing, damaged or not an index.
    """

    def __init__(self, prefix: str | pathlib.Path) -> None:
        try:
            import tensorflow as tf
        except ImportError as error:
            raise MissingPackageError(
                "Converting a TensorFlow 1 checkpoint needs TensorFlow, "
                "whatever backend Keras has. Install it with pip install "
                f"tensorflow. Received: {error}"
            ) from error
        self.prefix = pathlib.Path(prefix)
        self.index_path = self.prefix.with_name(self.prefix.name + ".index")
        # TensorFlow turns what it finds wrong into any of these.
        self._errors = (
            tf.errors.OpError,
            IndexError,
            OSError,
            RuntimeError,
            ValueError,
        )
        try:
            size = self.index_path.stat().st_size
            if size > _MAX_INDEX_SIZE:
                raise ValueError(f"{size} bytes are too many")
            self._reader = tf.train.load_checkpoint(str(self.prefix))
            shapes = self._reader.get_variable_to_shape_map()
            self._types = self._reader.get_variable_to_dtype_map()
        except self._errors as error:
            raise ConversionError(
                f"{self.index_path} is not a readable TensorFlow checkpoint "
                "index, or it is damaged; fetch it again. "
                f"Received: {_text(error)}"
            ) from error
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Returns variables by name, as new float32 arrays."""
        names = list(names)
        self._check_sizes(names)
        found = {}
        for name in names:
            try:
                values = self._reader.get_tensor(name)
            except self._errors as error:
                raise ConversionError(
                    f"Cannot read variable {name!r} of {self.prefix}: its "
                    "data file is missing, cut short or damaged; fetch it "
                    f"again. Received: {_text(error)}"
                ) from error
            found[name] = np.asarray(values, "float32")
            if not np.isfinite(found[name]).all():
                raise ConversionError(
                    f"{self.index_path}: variable {name!r} holds NaN or "
                    "infinity. Training had diverged; convert an earlier "
                    "checkpoint."
                )
        return found

    def _check_sizes(self, names: list[str]) -> None:
        """Refuses shapes that the data cannot fill: memory is taken first."""
        needed = 0
        for name in names:
            kind = self._types[name].name
            if kind not in _TYPES:
                raise ConversionError(
                    f"{self.index_path}: variable {name!r} is of a type that "
                    f"weights do not have. Received: {kind}"
                )
            needed += math.prod(self.shapes[name]) * self._types[name].size
        start = f"{self.prefix.name}.data-"
        held = sum(
            path.stat().st_size
            for path in self.prefix.parent.iterdir()
            if path.name.startswith(start)
        )
        if held < needed:
            raise ConversionError(
                f"{self.prefix.with_name(start)}*: missing or cut short. "
                f"Expected: at least {needed} bytes. Received: {held}"
            )


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
