"""`export_model`: trace, convert, run again, compare, and only then keep."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_audiogan.audio import transforms
from keras_audiogan.exporting.formats import HANDLERS
from keras_audiogan.exporting.targets import (
    ExportError,
    check_target,
    new_target,
)
from keras_audiogan.exporting.tasks import Port, PureFunction, pure_function

#: Largest difference from Keras, relative to the largest value, that passes.
TOLERANCE = 1e-4
ITERATIVE_TOLERANCE = 1e-2
"""Of models that look for phases by iteration, which amplifies rounding."""


@dataclasses.dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        path: the file or the folder.
        format: one of `FORMATS`.
        runtime: what ran it for the comparison.
        difference: the largest from Keras, relative to the largest value.
        tolerance: what it had to stay below.
        inputs: name -> shape and type.
        outputs: the same.
    """

    path: Path
    format: str
    runtime: str
    difference: float
    tolerance: float
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]


class Traced(NamedTuple):
    """A `tf.function`, and the specs of its arguments in their order."""

    function: Any
    specs: list[Any]


def export_model(
    model: Any,
    path: str | os.PathLike[str],
    format: str | None = None,
    with_mel: bool = False,
    progress: Callable[[str], None] | None = None,
    make: Callable[[Any], PureFunction] | None = None,
) -> Export:
    """Exports a model, and compares the export with the model.

    Args:
        model: a generator, vocoder or classifier of the zoo, on the
            TensorFlow backend and in float32.
        path: `.onnx`, `.tflite`, or a new folder for a SavedModel. A file
            that exists is replaced once the new one has passed.
        format: one of `FORMATS`, where the path's ending does not say it.
        with_mel: whether a vocoder takes sound in place of mels.
        progress: is told what is being done.
        make: returns the function to export; by default that of the model's
            task.

    Returns:
        What was written.

    Raises:
        ExportError: if the model cannot be exported so, or the export
            differs from it by more than `TOLERANCE` (of a model that looks
            for phases `ITERATIVE_TOLERANCE`); nothing is left then.
        MissingExtraError: if packages are missing.
        OSError: if the place cannot be written to or the disk is full.
    """
    target, format = check_target(path, format)
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            "Exports go through TensorFlow, whatever a model was trained "
            "with: set KERAS_BACKEND=tensorflow, and load the preset there. "
            f"Received: the backend {keras.backend.backend()}"
        )
    if model.dtype_policy.compute_dtype != "float32":
        raise ExportError(
            "Exports are float32: load the preset with dtype='float32'. "
            f"Received: {model.dtype_policy.name}"
        )
    tell = progress or (lambda text: None)
    make = make or functools.partial(pure_function, with_mel=with_mel)
    reference = make(model)
    fused = model
    if getattr(model, "weight_norm", False):
        tell("Fusing weight norm into the kernels")
        fused = model.fuse_weight_norm()
    pure = make(fused)
    write, load, runtime = HANDLERS[format]
    with _disk_errors(target), new_target(target, format) as place:
        # What TensorFlow runs again may hold all that TensorFlow has.
        own = format == "tf_saved_model"
        with contextlib.nullcontext() if own else _portable(fused):
            tell("Tracing")
            traced = _trace(pure)
            tell(f"Converting to {format}")
            write(traced, pure, place)
        tell(f"Comparing {runtime} with Keras")
        tolerance = ITERATIVE_TOLERANCE if pure.iterates else TOLERANCE
        difference = _difference(load(place), reference, tolerance)
    return Export(
        target,
        format,
        runtime,
        difference,
        tolerance,
        pure.inputs,
        pure.outputs,
    )


def _trace(pure: PureFunction) -> Traced:
    import tensorflow as tf

    specs = [
        tf.TensorSpec(
            [size if isinstance(size, int) else None for size in port.shape],
            port.dtype,
            name=name,
        )
        for name, port in pure.inputs.items()
    ]
    function = tf.function(pure.function, autograph=False)
    function.get_concrete_function(*specs)
    return Traced(function, specs)


@contextlib.contextmanager
def _portable(model: Any) -> Iterator[None]:
    """Lets a model be traced into operators that every format has.

    Fourier transforms are matrix products, and recurrent layers, whose
    sequences have a fixed length here, are unrolled.
    """
    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.RNN) and not layer.unroll
    ]
    try:
        for layer in layers:
            layer.unroll = True
        with transforms.as_products():
            yield
    finally:
        for layer in layers:
            layer.unroll = False


def _difference(run: Any, reference: PureFunction, tolerance: float) -> float:
    """Returns the largest difference, relative to the largest value."""
    largest = 0.0
    for example in reference.examples:
        made = run(example)
        for name, wanted in reference.function(**example).items():
            expected = keras.ops.convert_to_numpy(wanted)
            if made[name].shape != expected.shape:
                raise ExportError(
                    f"The export gives {name!r} another shape than Keras, "
                    f"{expected.shape}. Received: {made[name].shape}"
                )
            scale = max(float(np.max(np.abs(expected))), 1e-12)
            found = float(np.max(np.abs(made[name] - expected))) / scale
            # Not "greater than": what is no number is a difference as well.
            if not found <= tolerance:
                raise ExportError(
                    "The export differs from Keras, and was not kept: in "
                    f"{name!r} by at most {tolerance:g} of the largest value "
                    f"was expected. Received: {found:.3g}"
                )
            largest = max(largest, found)
    return largest


@contextlib.contextmanager
def _disk_errors(target: Path) -> Iterator[None]:
    """Lets the error about a full disk be the system's own, with the place.

    TensorFlow has one of its own, whose class is that of a want of memory.
    """
    import tensorflow as tf

    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        if isinstance(error, OSError):
            full = error.errno == errno.ENOSPC and error.filename is None
        else:
            full = os.strerror(errno.ENOSPC) in str(error)
        if not full:
            raise
        raise OSError(
            errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)
        ) from error
