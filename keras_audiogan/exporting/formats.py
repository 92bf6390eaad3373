"""A traced function becomes a file, and the file is run again."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_audiogan.exporting.onnx_layout import keep_row_axis
from keras_audiogan.exporting.targets import ExportError
from keras_audiogan.exporting.tasks import PureFunction

Run = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]

# Read by onnxruntime 1.14 and later, onnxruntime-web included.
_OPSET = 18
_SIGNATURE = "serving_default"


def write_saved_model(traced: Any, pure: PureFunction, folder: Path) -> None:
    """Writes a SavedModel whose one signature is `serving_default`."""
    del pure
    import tensorflow as tf

    concrete = _concrete(traced)
    module = tf.Module()
    module.variables_of_function = list(concrete.variables)
    with quiet():
        tf.saved_model.save(module, folder, signatures=concrete)


def run_saved_model(folder: Path) -> Run:
    """Returns a SavedModel's signature, as a function of arrays."""
    import tensorflow as tf

    loaded = tf.saved_model.load(folder)
    signature = loaded.signatures[_SIGNATURE]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        return {
            key: value.numpy() for key, value in signature(**tensors).items()
        }

    # The loaded object owns the variables.
    run.owner = loaded  # type: ignore[attr-defined]
    return run


def write_litert(traced: Any, pure: PureFunction, path: Path) -> None:
    """Writes a .tflite file of LiteRT's own operators, with a signature."""
    import tensorflow as tf

    # On the disk that the file must fit on as well.
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        write_saved_model(traced, pure, Path(folder))
        try:
            with quiet():
                converter = tf.lite.TFLiteConverter.from_saved_model(folder)
                content = converter.convert()
        except Exception as error:
            # A class of a module without a public name.
            if type(error).__name__ != "ConverterError":
                raise
            found = re.search(r"TF Select ops: (.*)", str(error))
            raise ExportError(
                "LiteRT has no operators of its own for all of this model. "
                "Export it to ONNX or a SavedModel. Received: "
                f"{found[1] if found else str(error).strip()[:300]}"
            ) from error
    path.write_bytes(content)


def run_litert(path: Path) -> Run:
    """Returns a .tflite file's signature, as a function of arrays."""
    with quiet():
        try:
            runtime = importlib.import_module("ai_edge_litert.interpreter")
        except ImportError:
            runtime = importlib.import_module("tensorflow").lite
        interpreter = runtime.Interpreter(model_path=str(path))
        runner = interpreter.get_signature_runner(_SIGNATURE)

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        # It says what it makes of the graph, at every new size.
        with quiet():
            return dict(runner(**inputs))

    run.owner = interpreter  # type: ignore[attr-defined]
    return run


def write_onnx(traced: Any, pure: PureFunction, path: Path) -> None:
    """Writes an ONNX file with names for what is free in its shapes."""
    import onnx
    import tf2onnx

    with quiet():
        proto, _ = tf2onnx.convert.from_function(
            traced.function, traced.specs, opset=_OPSET
        )
    unknown = {
        node.op_type
        for node in proto.graph.node
        if not onnx.defs.has(node.op_type, node.domain)
    }
    if unknown:
        raise ExportError(
            "ONNX has no operators for all of this model. Export it to LiteRT "
            f"or a SavedModel. Received: {', '.join(sorted(unknown))}"
        )
    ports = {**pure.inputs, **pure.outputs}
    for value in (*proto.graph.input, *proto.graph.output):
        shape = value.type.tensor_type.shape
        for dim, size in zip(shape.dim, ports[value.name].shape, strict=True):
            if isinstance(size, str):
                dim.dim_param = size
            else:
                dim.dim_value = size
    # They name the free sizes otherwise.
    del proto.graph.value_info[:]
    keep_row_axis(proto)
    onnx.helper.set_model_props(proto, dict(pure.facts))
    path.write_bytes(proto.SerializeToString())


def run_onnx(path: Path) -> Run:
    """Returns an ONNX file's graph as a function of arrays."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run


#: Format -> what writes it, what runs it, and what people call that.
HANDLERS: dict[str, tuple[Callable[..., None], Callable[[Path], Run], str]] = {
    "onnx": (write_onnx, run_onnx, "onnxruntime"),
    "litert": (write_litert, run_litert, "LiteRT"),
    "tf_saved_model": (write_saved_model, run_saved_model, "TensorFlow"),
}


def _concrete(traced: Any) -> Any:
    return traced.function.get_concrete_function(*traced.specs)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps what converters say to themselves off the terminal.

    Their native parts write to stderr past Python. What went wrong is in the
    exceptions, or is checked here.
    """
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    stderr = os.dup(2)
    try:
        with (
            tempfile.TemporaryFile() as sink,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            os.dup2(sink.fileno(), 2)
            yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        logging.disable(level)
