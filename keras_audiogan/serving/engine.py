"""Engines: presets whose networks are ONNX files, used without Keras.

The folder is a preset's: config.json, the card, training.json and samples/ are
as ever. In config.json `engine` says what whoever runs the file must know, and
`weights` lists `<stem>.onnx` with its size and checksum.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_audiogan.audio.levels import check_level
from keras_audiogan.audio.mel_front_end import MelFrontEnd
from keras_audiogan.audio.phase_recovery import fit_to_mel
from keras_audiogan.presets.config import (
    CONFIG_FILE,
    as_stems,
    read_config,
    weights_file,
)
from keras_audiogan.presets.strict_json import PresetError
from keras_audiogan.serving.onnx_files import read_onnx
from keras_audiogan.serving.reach import Reach
from keras_audiogan.serving.runtimes import (
    PRECISIONS,
    Ports,
    Runtime,
    choose_runtime,
    has_bfloat16,
    make_runtime,
)
from keras_audiogan.serving.sampling import Sampling
from keras_audiogan.serving.vocoding import Vocoding, check_phase_iterations

STEM = "generator"
"""The network that an engine has."""
_LAWS = ("uniform", "normal")
_MOST_LATENTS = 1 << 16
_MOST_FRAMES = 1 << 20

# Name -> its type, and the range of numbers.
_FIELDS: dict[str, dict[str, tuple[type, range | tuple[str, ...] | None]]] = {
    "generate": {
        "slice_length": (int, range(1, 1 << 24)),
        "latent_dim": (int, range(1, _MOST_LATENTS)),
        "latent_law": (str, _LAWS),
        "conditional": (bool, None),
    },
    "vocode": {
        "mel": (dict, None),
        "causal": (bool, None),
        "takes_noise": (bool, None),
        "context_frames": (int, range(0, _MOST_FRAMES)),
        "chunk_frames": (int, range(1, _MOST_FRAMES)),
        "look_ahead": (int, range(0, 1 << 24)),
        "look_back": (int, range(0, _MOST_FRAMES)),
        "first_frames": (int, range(1, _MOST_FRAMES)),
    },
}


class Engine:
    """A preset's network, run by another runtime than Keras.

    Attributes:
        architecture: as in config.json, like the next four.
        task: what it is for.
        sampling_rate: in Hz.
        num_channels: of the sound.
        labels: names, or None.
        config: all of config.json.
        runtime: what runs it, `"onnxruntime"` or `"openvino"`.
        precision: `"float32"` or `"mixed_bfloat16"`.
    """

    _network: Runtime

    def __init__(
        self, folder: Path, config: Mapping[str, Any], settings: dict[str, Any]
    ) -> None:
        self.config = dict(config)
        self.architecture: str = config["architecture"]
        self.task: str = config["task"]
        self.sampling_rate: int = config["sampling_rate"]
        self.num_channels: int = config["num_channels"]
        labels = config["labels"]
        self.labels: tuple[str, ...] | None = tuple(labels) if labels else None
        self.weight_norm = False
        self._folder = folder

    def ports(self) -> tuple[Ports, Ports]:
        """Returns what the network takes and gives."""
        raise NotImplementedError

    @property
    def runtime(self) -> str:
        """What runs it."""
        return self._network.name

    @property
    def precision(self) -> str:
        """What it computes in."""
        return self._network.precision

    def open(self, runtime: str, data: bytes, precision: str) -> None:
        """Makes the network ready to run."""
        path = self._folder / weights_file(self.config, STEM)
        self._network = make_runtime(
            runtime, path, data, *self.ports(), precision
        )

    def _sound_of(
        self, inputs: dict[str, np.ndarray], shape: tuple[int, ...]
    ) -> np.ndarray:
        made = self._network.run(inputs)
        if made.shape != shape or not np.isfinite(made).all():
            raise PresetError(
                self._network.path,
                "the network made something else than sound",
                expected=f"finite numbers {shape}",
                received=f"{made.shape}"
                + ("" if np.isfinite(made).all() else ", some not finite"),
            )
        return made


class EngineGenerator(Sampling, Engine):
    """A generator of clips: `sample`, `interpolate` as `AudioGAN` has them."""

    def __init__(
        self, folder: Path, config: Mapping[str, Any], settings: dict[str, Any]
    ) -> None:
        super().__init__(folder, config, settings)
        self.slice_length: int = settings["slice_length"]
        self.latent_dim = settings["latent_dim"]
        self.latent_law = settings["latent_law"]
        self.conditional = settings["conditional"]
        if self.conditional and not self.labels:
            raise PresetError(
                folder / CONFIG_FILE,
                "`engine` takes labels, and `labels` names none",
            )

    def ports(self) -> tuple[Ports, Ports]:
        """Returns latents (and classes), and the sound of a clip."""
        takes: dict[str, Any] = {"latents": (None, self.latent_dim)}
        if self.conditional:
            takes["classes"] = (None, len(self.labels or ()))
        sound = (None, self.slice_length, self.num_channels)
        return takes, {"audio": sound}

    def _run(self, inputs: Any) -> np.ndarray:
        names = list(self.ports()[0])
        arrays = inputs if isinstance(inputs, list) else [inputs]
        given = {
            name: np.ascontiguousarray(each, "float32")
            for name, each in zip(names, arrays, strict=True)
        }
        rows = len(given["latents"])
        shape = (rows, self.slice_length, self.num_channels)
        return self._sound_of(given, shape)


class EngineVocoder(Vocoding, Engine):
    """A vocoder: `mel`, `vocode`, `stream` as `Vocoder` has them.

    Attributes:
        features: its front end.
        level: how training files were levelled.
        causal: whether it looks nothing ahead.
    """

    def __init__(
        self, folder: Path, config: Mapping[str, Any], settings: dict[str, Any]
    ) -> None:
        super().__init__(folder, config, settings)
        file = folder / CONFIG_FILE
        try:
            self.features = MelFrontEnd(**settings["mel"])
            self.level = settings["level"]
            check_level(self.level)
        except (TypeError, ValueError, ArithmeticError, IndexError) as error:
            raise PresetError(
                file, f"`engine` is wrong: {str(error)[:500]}".rstrip(".")
            ) from error
        if self.features.sampling_rate != self.sampling_rate:
            raise PresetError(
                file,
                "`engine.mel.sampling_rate` is not `sampling_rate`",
                expected=self.sampling_rate,
                received=self.features.sampling_rate,
            )
        self.causal: bool = settings["causal"]
        self.takes_noise = settings["takes_noise"]
        self.default_chunk_frames = settings["chunk_frames"]
        self._network_frames: int = settings["context_frames"]
        self._network_reach = Reach(
            settings["look_ahead"],
            settings["look_back"],
            settings["first_frames"],
        )
        # Engines of earlier versions do not say it.
        self._phase_iterations: int = settings.get("phase_iterations", 0)
        try:
            check_phase_iterations(self._phase_iterations, self.features)
        except ValueError as error:
            raise PresetError(file, f"`engine` is wrong: {error}") from error

    @property
    def phase_iterations(self) -> int:
        """How often phases of what the network made are corrected."""
        return self._phase_iterations

    @property
    def network_frames(self) -> int:
        """Frames to either side that a sample of the network depends on."""
        return self._network_frames

    @property
    def network_reach(self) -> Reach:
        """What of the mels a sample of the network depends on."""
        return self._network_reach

    def _set_phase_iterations(self, number: int) -> None:
        self._phase_iterations = number

    def ports(self) -> tuple[Ports, Ports]:
        """Returns mels (and noise), and sound."""
        takes: dict[str, Any] = {
            "mel": (None, None, self.features.num_mel_bins)
        }
        if self.takes_noise:
            takes["noise"] = (None, None, 1)
        return takes, {"audio": (None, None, 1)}

    def _run(self, inputs: Any) -> np.ndarray:
        mel, *noise = inputs if isinstance(inputs, list) else [inputs]
        if not self.phase_iterations:
            return self._network_sound(mel, *noise)
        # The network has windows of its own: it needs most of the memory.
        hop, frames = self.features.frame_step, mel.shape[1]
        width = self.default_chunk_frames + 2 * self.network_frames
        width = min(width, frames)
        parts = []
        for each in self._windows(frames, width, self.network_frames):
            right = each.left + width
            sound = self._network_sound(
                mel[:, each.left : right],
                *(x[:, each.left * hop : right * hop] for x in noise),
            )
            start, stop = ((x - each.left) * hop for x in each[1:])
            parts.append(sound[:, start:stop, 0])
        whole = np.concatenate(parts, axis=1)
        fitted: np.ndarray = fit_to_mel(
            whole, mel, self.features, self.phase_iterations
        )
        return fitted[:, :, np.newaxis]

    def _network_sound(self, *inputs: np.ndarray) -> np.ndarray:
        given = {
            name: np.ascontiguousarray(each, "float32")
            for name, each in zip(self.ports()[0], inputs, strict=True)
        }
        rows, frames, _ = given["mel"].shape
        shape = (rows, frames * self.features.frame_step, 1)
        return self._sound_of(given, shape)


_CLASSES: dict[str, Callable[..., Any]] = {
    "generate": EngineGenerator,
    "vocode": EngineVocoder,
}


def load_engine(
    path: str | os.PathLike[str],
    *,
    weights: Iterable[str] | None = None,
    dtype: Any = None,
    runtime: str | None = None,
) -> Any:
    """Opens a preset folder that `audiogan export --engine` wrote.

    The folder is taken for the work of a stranger, as by
    `keras_audiogan.saving.load_preset`.

    Args:
        path: the folder.
        weights: stems of the networks to load; an engine has a generator.
        dtype: `"float32"`, or `"mixed_bfloat16"`, which OpenVINO alone has;
            `"auto"` for the fastest of the runtime here.
        runtime: `"onnxruntime"` or `"openvino"`; by default what is
            installed, onnxruntime first.

    Returns:
        An `EngineGenerator` or an `EngineVocoder`.

    Raises:
        PresetError: if anything in the folder is not as it must be.
        EngineError: if the runtime lacks the precision.
        MissingEngineError: if the runtime is not installed.
        ValueError: if there is no such runtime or precision.
    """
    folder = Path(path).expanduser()
    config = read_config(folder)
    file = folder / CONFIG_FILE
    engine = _checked_settings(file, config)
    stems = {STEM} if weights is None else as_stems(folder, weights)
    if stems != {STEM} or set(config["weights"]) != {STEM}:
        raise PresetError(
            folder,
            "an engine has one network",
            expected=[STEM],
            received=sorted(stems | set(config["weights"])),
        )
    precision, runtime = _chosen(dtype, runtime)
    model = _CLASSES[config["task"]](folder, config, engine)
    entry = config["weights"][STEM]
    data = read_onnx(folder / weights_file(config, STEM), entry)
    model.open(runtime, data, precision)
    return model


def _chosen(dtype: Any, runtime: str | None) -> tuple[str, str]:
    """Returns a precision and a runtime."""
    name = getattr(dtype, "name", dtype) or "float32"
    if name == "bfloat16":
        name = "mixed_bfloat16"
    if name == "auto":
        runtime = choose_runtime(runtime, "float32")
        fast = has_bfloat16(runtime)
        return ("mixed_bfloat16" if fast else "float32"), runtime
    if name not in PRECISIONS:
        raise ValueError(
            f"`dtype` of an engine must be one of {', '.join(PRECISIONS)}. "
            f"Received: dtype={name!r}"
        )
    return name, choose_runtime(runtime, name)


def _checked_settings(file: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `engine` of config.json, checked by field."""
    settings = config.get("engine")
    if settings is None:
        raise PresetError(
            file,
            "this preset is no engine: it has no `engine`",
            advice="Write one with `audiogan export PRESET DIR --engine onnx`",
        )
    if config["task"] not in _FIELDS:
        raise PresetError(
            file,
            "no engine is of this task",
            expected=" or ".join(_FIELDS),
            received=config["task"],
        )
    for name in ("sampling_rate", "num_channels"):
        if config[name] is None:
            raise PresetError(file, f"`{name}` is missing")
    for name, (kind, allowed) in _FIELDS[config["task"]].items():
        value = settings.get(name)
        good = type(value) is kind and (allowed is None or value in allowed)
        if not good:
            expected = kind.__name__
            if isinstance(allowed, range):
                expected += f" from {allowed[0]} to {allowed[-1]}"
            elif allowed:
                expected = " or ".join(allowed)
            raise PresetError(
                file,
                f"`engine.{name}` is missing or wrong",
                expected=expected,
                received=value,
            )
    if config["task"] == "vocode" and "level" not in settings:
        raise PresetError(file, "`engine.level` is missing")
    return dict(settings)
