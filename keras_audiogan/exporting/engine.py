"""`export_engine`: a preset folder that needs no Keras to be used."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from keras_audiogan._names import SHOWN
from keras_audiogan.exporting.export import Export, export_model
from keras_audiogan.exporting.targets import ExportError, check_engine_target
from keras_audiogan.exporting.tasks import Port, PureFunction, generate, vocode
from keras_audiogan.presets import cards
from keras_audiogan.presets.atomic_folder import replaced_folder, write_json
from keras_audiogan.presets.config import (
    CARD_FILE,
    CONFIG_FILE,
    SAMPLES_FOLDER,
    TRAINING_FILE,
    read_config,
    weights_file,
)
from keras_audiogan.presets.writer import sample_files
from keras_audiogan.serving.engine import STEM, load_engine
from keras_audiogan.serving.sampling import Sampling

ENGINES = ("onnx",)
"""Formats of engines."""


def export_engine(
    model: Any,
    preset: str | os.PathLike[str],
    path: str | os.PathLike[str],
    progress: Callable[[str], None] | None = None,
) -> Export:
    """Writes a preset folder whose network is an ONNX file.

    `from_preset`, `audiogan sample` and `audiogan vocode` run it with
    onnxruntime or OpenVINO, and it goes to the Hub and back as any other.

    Args:
        model: a generator or a vocoder of the zoo, on the TensorFlow backend
            and in float32.
        preset: the folder that it was loaded from.
        path: the new folder.
        progress: is told what is being done.

    Returns:
        What was written.

    Raises:
        ExportError: as `export_model`, or if the model draws its latents in
            a way that an engine does not know.
        MissingExtraError: if packages are missing.
        OSError: if the place cannot be written to or the disk is full.
    """
    target = check_engine_target(path)
    source, config = Path(preset), read_config(preset)
    make, settings = _described(model)
    config = {**config, "engine": {"format": "onnx", **settings}}
    parameters = config["weights"][STEM]["num_parameters"]
    with replaced_folder(target) as folder:
        file = folder / weights_file(config, STEM)
        made = export_model(model, file, "onnx", progress=progress, make=make)
        data = file.read_bytes()
        config["weights"] = {
            STEM: {
                "num_parameters": parameters,
                "num_bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        }
        write_json(folder / CONFIG_FILE, config)
        _copy_rest(source, folder, target.name)
        # As whoever is given the folder would.
        load_engine(folder, runtime="onnxruntime")
    return dataclasses.replace(made, path=target, format="engine")


def _copy_rest(source: Path, folder: Path, name: str) -> None:
    if (source / TRAINING_FILE).is_file():
        shutil.copyfile(source / TRAINING_FILE, folder / TRAINING_FILE)
    if (source / SAMPLES_FOLDER).is_dir():
        (folder / SAMPLES_FOLDER).mkdir()
        for sample in sample_files(source / SAMPLES_FOLDER):
            shutil.copyfile(sample, folder / SAMPLES_FOLDER / sample.name)
    card = cards.render_card(folder, name=name)
    (folder / CARD_FILE).write_bytes(card.encode("utf-8", SHOWN))


def _described(
    model: Any,
) -> tuple[Callable[[Any], PureFunction], Mapping[str, Any]]:
    """Returns what is exported, and what an engine must know of a model."""
    if model.task == "vocode":
        reach = model.network_reach
        return vocode_by_network, {
            "mel": model.features.settings,
            "level": model.level,
            "causal": bool(model.causal),
            "takes_noise": model.takes_noise,
            "phase_iterations": model.phase_iterations,
            "context_frames": model.network_frames,
            "chunk_frames": model.engine_chunk_frames,
            "look_ahead": reach.look_ahead,
            "look_back": reach.look_back,
            "first_frames": reach.first_frames,
        }
    if model.task != "generate":
        raise ExportError(
            "An engine is made of a generator or a vocoder; of other models "
            "an ONNX file can be exported. Received: "
            f"{model.architecture}, task={model.task!r}"
        )
    own = [
        name
        for name in ("draw_latent", "path_between", "check_latents")
        if getattr(type(model), name) is not getattr(Sampling, name)
    ]
    if own:
        raise ExportError(
            "An engine draws latents by `latent_law`, uniform or normal, and "
            f"this architecture in its own way. Received: {model.architecture} "
            f"with its own {', '.join(own)}"
        )
    return generate_by_classes, {
        "slice_length": model.slice_length,
        "latent_dim": model.latent_dim,
        "latent_law": model.latent_law,
        "conditional": bool(model.conditional),
    }


def vocode_by_network(model: Any) -> PureFunction:
    """Returns mel (and noise) -> audio, without corrections of phases.

    Engines make those of arrays, which takes half the time of products.
    """
    return vocode(model, fitted=False)


def generate_by_classes(model: Any) -> PureFunction:
    """Returns latents (and weights of the labels) -> audio.

    As `tasks.generate`, but what lies between two labels can be said.
    """
    pure = generate(model)
    if not model.conditional:
        return pure

    def function(latents: Any, classes: Any) -> dict[str, Any]:
        from keras import ops

        made = model([latents, classes], training=False)
        return {"audio": ops.clip(made, -1.0, 1.0)}

    count = len(model.labels)
    return dataclasses.replace(
        pure,
        function=function,
        inputs={
            "latents": pure.inputs["latents"],
            "classes": Port(("batch", count)),
        },
        examples=[
            {
                "latents": example["latents"],
                "classes": model._one_hot(example["labels"]),
            }
            for example in pure.examples
        ],
    )
