"""What runs ONNX files: onnxruntime or OpenVINO, on the CPU."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_audiogan.presets.strict_json import PresetError
from keras_audiogan.serving.errors import EngineError, MissingEngineError

#: Runtime -> the extra of this package that brings it.
RUNTIMES = {"onnxruntime": "onnx", "openvino": "openvino"}
PRECISIONS = ("float32", "mixed_bfloat16")

Ports = Mapping[str, tuple[int | None, ...]]
"""Names of inputs or outputs, and their sizes; those that are free are None."""


class Runtime:
    """An ONNX file that is ready to run, from any number of threads.

    Args:
        path: where it is from, for errors.
        data: the file.
        inputs: what it must take, float32.
        outputs: what it must give.
        precision: one of `PRECISIONS`.

    Raises:
        PresetError: if the file is none that the runtime can run, or takes
            or gives something else.
        EngineError: if the runtime has no such precision here.
    """

    name: str

    def __init__(
        self,
        path: Path,
        data: bytes,
        inputs: Ports,
        outputs: Ports,
        precision: str,
    ) -> None:
        self.path = path
        self.precision = precision
        with self._reported("cannot be run"):
            self._load(data)
            found = self._ports()
        for side, wanted, given in (
            ("takes", inputs, found[0]),
            ("gives", outputs, found[1]),
        ):
            if given != {
                name: ("float32", shape) for name, shape in wanted.items()
            }:
                raise PresetError(
                    path,
                    f"the ONNX file {side} something else than config.json "
                    "says: it is of another preset",
                    expected=f"float32 {_shown(wanted)}",
                    received=_shown(given),
                )

    def run(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns the one output, float32."""
        with self._reported("failed on inputs of these sizes"):
            return np.asarray(self._call(inputs), "float32")

    def _load(self, data: bytes) -> None:
        raise NotImplementedError

    def _ports(self) -> tuple[dict[str, Any], dict[str, Any]]:
        raise NotImplementedError

    def _call(self, inputs: Mapping[str, np.ndarray]) -> Any:
        raise NotImplementedError

    def _errors(self) -> tuple[type[Exception], ...]:
        raise NotImplementedError

    @contextlib.contextmanager
    def _reported(self, problem: str) -> Iterator[None]:
        errors: tuple[type[Exception], ...] = (MemoryError, *self._errors())
        try:
            yield
        except (PresetError, EngineError):
            raise
        except errors as error:
            lines = str(error).split("\n")
            raise PresetError(
                self.path,
                f"the network {problem} by {self.name}",
                received=f"{type(error).__name__}: {' '.join(lines)[:300]}",
            ) from error


class OnnxRuntime(Runtime):
    """A file that onnxruntime runs."""

    name = "onnxruntime"

    def _errors(self) -> tuple[type[Exception], ...]:
        state = importlib.import_module(
            "onnxruntime.capi.onnxruntime_pybind11_state"
        )
        own = [
            each
            for each in vars(state).values()
            if isinstance(each, type) and issubclass(each, Exception)
        ]
        return (RuntimeError, ValueError, *own)

    def _load(self, data: bytes) -> None:
        if self.precision != "float32":
            raise _no_bfloat16(
                "onnxruntime computes in float32 on a CPU: take OpenVINO "
                "(runtime='openvino'), or float32"
            )
        runtime = importlib.import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        # Plans are kept for each size, and sizes are many.
        options.enable_mem_pattern = False
        # It would count the machine's cores, and bind a thread to each, also
        # where this process may use fewer.
        if hasattr(os, "sched_getaffinity"):
            options.intra_op_num_threads = len(os.sched_getaffinity(0))
        # Threads that wait in a loop would take others' time.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = runtime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"]
        )
        self._output = self._session.get_outputs()[0].name

    def _ports(self) -> tuple[dict[str, Any], dict[str, Any]]:
        def described(ports: Any) -> dict[str, Any]:
            return {
                port.name: (
                    "float32" if port.type == "tensor(float)" else port.type,
                    tuple(
                        size if isinstance(size, int) else None
                        for size in port.shape or ()
                    ),
                )
                for port in ports
            }

        session = self._session
        return described(session.get_inputs()), described(session.get_outputs())

    def _call(self, inputs: Mapping[str, np.ndarray]) -> Any:
        return self._session.run([self._output], dict(inputs))[0]


class OpenVino(Runtime):
    """A file that OpenVINO runs."""

    name = "openvino"

    def _errors(self) -> tuple[type[Exception], ...]:
        return (RuntimeError, ValueError, TypeError)

    def _load(self, data: bytes) -> None:
        openvino = importlib.import_module("openvino")
        core = openvino.Core()
        hint = "f32"
        if self.precision == "mixed_bfloat16":
            able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            if "BF16" not in able:
                raise _no_bfloat16(
                    "This CPU has no instructions for it: take float32"
                )
            hint = "bf16"
        # Where a CPU has bfloat16, it would be the default.
        self._model = core.compile_model(
            core.read_model(data),
            "CPU",
            {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"},
        )
        self._local = threading.local()

    def _ports(self) -> tuple[dict[str, Any], dict[str, Any]]:
        def described(ports: Any) -> dict[str, Any]:
            return {
                port.get_any_name(): (
                    "float32"
                    if port.get_element_type().get_type_name() == "f32"
                    else port.get_element_type().get_type_name(),
                    tuple(
                        size.get_length() if size.is_static else None
                        for size in port.get_partial_shape()
                    ),
                )
                for port in ports
            }

        return described(self._model.inputs), described(self._model.outputs)

    def _call(self, inputs: Mapping[str, np.ndarray]) -> Any:
        # One request serves one caller at a time.
        request = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._model.create_infer_request()
        made = request.infer(dict(inputs), share_outputs=False)
        return made[self._model.outputs[0]]


_CLASSES: dict[str, type[Runtime]] = {
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
}


def choose_runtime(runtime: str | None, precision: str) -> str:
    """Returns the name of a runtime that is installed.

    Args:
        runtime: the one that is asked for; None for onnxruntime, which
            starts faster, or for OpenVINO where that is all there is or
            bfloat16 is asked for.
        precision: one of `PRECISIONS`.

    Raises:
        MissingEngineError: if it, or both, are missing.
        ValueError: if there is none of that name.
    """
    if runtime is not None and runtime not in RUNTIMES:
        raise ValueError(
            f"`runtime` must be one of {', '.join(RUNTIMES)}. "
            f"Received: runtime={runtime!r}"
        )
    order = list(RUNTIMES)
    if precision != "float32":
        order.reverse()
    wanted = order if runtime is None else [runtime]
    for name in wanted:
        if importlib.util.find_spec(name) is not None:
            return name
    extras = " or ".join(
        f"pip install 'keras-audiogan[{RUNTIMES[name]}]'" for name in wanted
    )
    raise MissingEngineError(
        f"This preset is run by {' or '.join(wanted)}, which is not "
        f"installed. Install it with: {extras}. Received: no "
        f"{', no '.join(wanted)}"
    )


def make_runtime(name: str, *args: Any) -> Runtime:
    """Returns a file made ready by a runtime; arguments as `Runtime` has."""
    return _CLASSES[name](*args)


def has_bfloat16(name: str) -> bool:
    """Returns whether a runtime computes in bfloat16 on this CPU."""
    if name != "openvino":
        return False
    core = importlib.import_module("openvino").Core()
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _no_bfloat16(advice: str) -> EngineError:
    return EngineError(
        f"The engine lacks bfloat16. {advice}. Received: mixed_bfloat16"
    )


def _shown(ports: Mapping[str, Any]) -> str:
    return (
        ", ".join(f"{name} {ports[name]}" for name in sorted(ports)) or "none"
    )
