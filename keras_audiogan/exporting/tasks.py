"""What of a model is exported: one pure function for each task.

- generate: latents (and labels) -> audio
- autoencode: the same, which is its decoder
- vocode: mel (and noise) -> audio; or, with the front end, audio -> sound
- classify: audio -> logits

They do what `sample`, `vocode` and `predict_logits` do, in `keras.ops`, at any
batch size and length. All that is drawn at random there is an input here.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from keras import ops

from keras_audiogan.exporting.targets import ExportError


@dataclasses.dataclass(frozen=True)
class Port:
    """An input or an output.

    Attributes:
        shape: sizes, and names of those that are free.
        dtype: `"float32"` or `"int32"`.
    """

    shape: tuple[int | str, ...]
    dtype: str = "float32"

    def __str__(self) -> str:
        return f"{self.dtype} ({', '.join(map(str, self.shape))})"


@dataclasses.dataclass(frozen=True)
class PureFunction:
    """A model's use as a function of tensors alone.

    Attributes:
        function: takes the inputs by name, returns the outputs by name.
        inputs: in their order.
        outputs: the same.
        examples: inputs to compare by, of several batch sizes and lengths.
        facts: what whoever runs it must know, as text by name.
        iterates: whether it looks for phases, which amplifies rounding.
    """

    function: Callable[..., dict[str, Any]]
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]
    examples: list[dict[str, np.ndarray]]
    facts: Mapping[str, str]
    iterates: bool = False


def _facts(model: Any) -> dict[str, str]:
    facts = {
        "architecture": model.architecture,
        "task": model.task,
        "sampling_rate": str(model.sampling_rate),
    }
    names = indexed_labels(model)
    if names:
        facts["labels"] = json.dumps(names, ensure_ascii=False)
    return facts


def indexed_labels(model: Any) -> list[str]:
    """Returns the labels that an export takes or gives by index.

    A generator that is not conditional has those of its data, and makes
    sound of none of them.
    """
    if not getattr(model, "conditional", True):
        return []
    return list(model.labels or ())


def generate(model: Any) -> PureFunction:
    """Returns latents (and labels, by index) -> audio, as `sample` does."""
    inputs = {"latents": Port(("batch", model.latent_dim))}
    if model.conditional:
        inputs["labels"] = Port(("batch",), "int32")

    def function(latents: Any, labels: Any = None) -> dict[str, Any]:
        given = latents
        if labels is not None:
            classes = ops.one_hot(labels, len(model.labels), dtype="float32")
            given = [latents, classes]
        return {"audio": ops.clip(model(given, training=False), -1.0, 1.0)}

    examples = []
    for rows in (1, 3):
        example = {"latents": model.sample_latents(rows, seed=rows)}
        if model.conditional:
            # The first label, and the last ones.
            indices = -np.arange(rows) % len(model.labels)
            example["labels"] = indices.astype("int32")
        examples.append(example)
    shape = ("batch", model.slice_length, model.num_channels)
    return PureFunction(
        function,
        inputs,
        {"audio": Port(shape)},
        examples,
        _facts(model),
        hasattr(model, "set_phase_recovery"),
    )


def vocode(
    model: Any, with_mel: bool = False, fitted: bool = True
) -> PureFunction:
    """Returns mel (and noise) -> audio, as `vocode` does.

    With the front end it takes sound in place of mels, of any length. Not
    `fitted`, it is the network's sound as it is, from which phases are still
    to be corrected.
    """
    features = model.features
    hop, fft_length = features.frame_step, features.fft_length

    def of_mel(mel: Any, noise: Any = None) -> dict[str, Any]:
        given = mel if noise is None else [mel, noise]
        if not fitted:
            return {"audio": model.network_sound(given)}
        return {"audio": ops.clip(model(given, training=False), -1.0, 1.0)}

    def of_audio(audio: Any, noise: Any = None) -> dict[str, Any]:
        time = ops.shape(audio)[1]
        # Of positive numbers: ONNX rounds quotients towards zero.
        whole = ops.maximum(fft_length, (time + hop - 1) // hop * hop)
        padded = ops.pad(audio, [[0, 0], [0, fft_length + hop], [0, 0]])
        mel = features(padded[:, :whole])
        if noise is not None:
            noise = noise[:, : ops.shape(mel)[1] * hop]
        return {"sound": of_mel(mel, noise)["audio"][:, :time]}

    sound = Port(("batch", "time", 1))
    if with_mel:
        inputs = {"audio": sound}
    else:
        inputs = {"mel": Port(("batch", "frames", features.num_mel_bins))}
    if model.takes_noise:
        inputs["noise"] = Port(("batch", "noise_time", 1))
    facts = {
        **_facts(model),
        "frame_step": str(hop),
        "fft_length": str(fft_length),
    }
    return PureFunction(
        of_audio if with_mel else of_mel,
        inputs,
        {"sound" if with_mel else "audio": sound},
        _vocoder_examples(model, with_mel),
        facts,
        fitted and model.phase_iterations > 0,
    )


def _vocoder_examples(model: Any, with_mel: bool) -> list[dict[str, Any]]:
    hop, fft_length = model.features.frame_step, model.features.fft_length
    # Shorter than a transform and longer, none of whole steps.
    lengths = (fft_length - hop // 2 - 1, fft_length + 9 * hop + hop // 3)
    examples = []
    for rows, length in enumerate(lengths, 1):
        rng = np.random.default_rng(rows)
        time = np.arange(length)[:, None] / model.sampling_rate
        tone = 0.3 * np.sin(2.0 * np.pi * 220.0 * rows * time)
        audio = tone + 0.05 * rng.standard_normal((rows, length, 1))
        audio = audio.astype("float32")
        frames = max(fft_length, length + -length % hop) // hop + 1
        if with_mel:
            example = {"audio": audio}
        else:
            rest = ((0, 0), (0, max(0, fft_length - length)), (0, 0))
            example = {
                "mel": model.mel(np.pad(audio, rest), model.sampling_rate)
            }
            frames = example["mel"].shape[1]
        if model.takes_noise:
            shape = (rows, frames * hop, 1)
            example["noise"] = rng.standard_normal(shape, dtype="float32")
        examples.append(example)
    return examples


def classify(model: Any) -> PureFunction:
    """Returns audio -> logits, as `predict_logits` does."""
    length, channels = model.slice_length, model.num_channels

    def function(audio: Any) -> dict[str, Any]:
        fitted = ops.pad(audio, [[0, 0], [0, length], [0, 0]])[:, :length]
        fitted = ops.reshape(fitted, (-1, length, channels))
        return {"logits": model(fitted, training=False)}

    examples = []
    for rows, samples in ((1, length - length // 3), (2, length + 50)):
        rng = np.random.default_rng(rows)
        audio = 0.1 * rng.standard_normal((rows, samples, channels))
        examples.append({"audio": audio.astype("float32")})
    return PureFunction(
        function,
        {"audio": Port(("batch", "time", channels))},
        {"logits": Port(("batch", model.num_classes))},
        examples,
        _facts(model),
    )


#: Task -> what makes its function of a model.
TASKS: dict[str, Callable[..., PureFunction]] = {
    "generate": generate,
    "autoencode": generate,
    "vocode": vocode,
    "classify": classify,
}


def pure_function(model: Any, with_mel: bool = False) -> PureFunction:
    """Returns the function of a model's task.

    Args:
        model: a model of the zoo.
        with_mel: whether a vocoder takes sound, and makes its mels itself.

    Raises:
        ExportError: if the task is not exported, or has no front end.
    """
    if model.task not in TASKS:
        raise ExportError(
            f"Models of the tasks {', '.join(TASKS)} can be exported. "
            f"Received: task={model.task!r}"
        )
    if model.task == "vocode":
        return vocode(model, with_mel)
    if with_mel:
        raise ExportError(
            "A vocoder has a mel front end, and no other model: leave out "
            f"`with_mel`. Received: {model.architecture}"
        )
    return TASKS[model.task](model)
