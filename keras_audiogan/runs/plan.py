"""What a training run will do, decided before its first step.

`make_plan` puts together what was asked for, what the preset says that is
fine-tuned, what the run says that is resumed, and what the data are. After it
nothing is open: no part of a run asks the options again.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_audiogan.data import AudioDataset, AudioFolder, hold_out
from keras_audiogan.data.reports import duration_in_words
from keras_audiogan.models.registry import get_architecture
from keras_audiogan.presets.cards import data_sets
from keras_audiogan.presets.config import read_config, read_training
from keras_audiogan.presets.tasks import task_of
from keras_audiogan.runs.groups import find_groups
from keras_audiogan.runs.memory import in_words, run_memory
from keras_audiogan.runs.options import (
    TrainingOptions,
    check_allowed,
    defaults_of,
    resumed_options,
)
from keras_audiogan.runs.run_records import check_data, stored_run
from keras_audiogan.training.precision import resolve_precision

# Arguments of every model that are options of their own.
_OF_THE_SOUND = ("slice_length", "sampling_rate", "num_channels", "level")


@dataclasses.dataclass(frozen=True)
class Origin:
    """The preset that a run fine-tunes; empty where it trains from nothing.

    Attributes:
        path: The preset's folder.
        architecture: Its architecture.
        arguments: What its model is built with.
        stems: File stems of the weights that it holds.
        recipe: How it was trained, if that is known.
        data: What it was trained on: data sets as training.json has them.
    """

    path: str = ""
    architecture: str = ""
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    stems: frozenset[str] = frozenset()
    recipe: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    data: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def read(cls, path: str) -> Origin:
        """Reads config.json and training.json of a preset."""
        config, training = read_config(path), read_training(path)
        recipe = training.get("recipe")
        return cls(
            path=path,
            architecture=config["architecture"],
            arguments=config["config"],
            stems=frozenset(config["weights"]),
            recipe=recipe if isinstance(recipe, dict) else {},
            data=data_sets(training),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunPlan:
    """All that is decided before the first step.

    Attributes:
        folder: The run's folder.
        resume: Whether the run in it goes on.
        model_class: The architecture's class.
        arguments: What the model is built with.
        policy: Keras dtype policy of its networks.
        seed: Of weights, latents, data order and previews.
        origin: The preset that the weights come from.
        stems: File stems of the weights that are taken from it.
        grown_from: Folder of the run of an earlier stage, or `""`.
        compile_options: What `compile_for_run` is given beside.
        dataset: Slices to train on.
        held_out: Files that are not trained on; there may be none.
        steps: Training steps in all.
        distribute: See `get_distribution`; `""` for one device.
        preview_every: Steps between previews; 0 for one at the end.
        num_previews: Clips in a preview.
        checkpoint_every: Steps between checkpoints.
        keep_checkpoints: How many of the newest stay.
        log_every: Steps between lines of the log.
        evaluate_every: Steps between evaluations; 0 for none.
        classifier: Preset folder of the classifier for them, or `""`.
        keep_best: The figure by which the best model is kept.
        options: The resolved options, fit for JSON.
    """

    folder: Path
    resume: bool
    model_class: Any
    arguments: Mapping[str, Any]
    policy: str
    seed: int
    origin: Origin
    stems: frozenset[str]
    grown_from: str
    compile_options: Mapping[str, Any]
    dataset: AudioDataset
    held_out: AudioFolder
    steps: int
    distribute: str
    preview_every: int
    num_previews: int
    checkpoint_every: int
    keep_checkpoints: int
    log_every: int
    evaluate_every: int
    classifier: str
    keep_best: str
    options: Mapping[str, Any]

    def describe(self) -> str:
        """Says what was found and what will be done, in lines for people."""
        lines = [self.dataset.report(), self.describe_held_out(), ""]
        lines += ["Options", *_rows(self.options)]
        lines += ["", f"Model: {self.model_class.__name__}"]
        memory = run_memory(self)
        if memory is not None:
            lines.append(f"  {'memory':20} about {in_words(memory)} for a step")
        return "\n".join([*lines, *_rows(self.arguments)])

    def describe_held_out(self) -> str:
        """Says in a line what is held out of training, and how to refuse."""
        held_out, train = self.held_out, self.dataset.folder
        part, count = self.options["hold_out"], held_out.num_files
        if not count and part:
            return "  held out  nothing: there is no second file"
        if not count:
            return "  held out  nothing: every file is trained on"
        seconds = sum(entry.duration for entry in held_out.files)
        text = (
            f"  held out  {count:,} of {count + train.num_files:,} files, "
            f"{duration_in_words(seconds)}, to test on"
        )
        return text + (" (--hold-out 0 trains on all)" if part else "")


def make_plan(options: TrainingOptions) -> RunPlan:
    """Resolves options, scans the data and decides on the model.

    Args:
        options: What was asked for.

    Raises:
        ValueError: If options contradict each other, the data or the run's.
        AudioFolderError: If the data hold nothing usable.
        PresetError: If a preset is broken.
    """
    options.check()
    stored = stored_run(options)
    known = stored["options"] if stored else options.as_json()
    origin = Origin.read(known["preset"]) if known["preset"] else Origin()
    model_class: Any = get_architecture(
        origin.architecture or known["architecture"]
    )
    if stored:
        options = resumed_options(options, known, model_class.fixed_options)
    check_allowed(options, model_class)
    if not stored:
        options = _as_the_preset_was_trained(options, origin, model_class)
    defaults = defaults_of(model_class)
    if options.epochs is not None:
        del defaults["steps"]
    options = options.with_defaults(defaults)
    options.check()
    classifier = _classifier_of(options)
    asked = options.as_json()
    arguments = dict(
        stored["model_config"] if stored else origin.arguments
    ) or _arguments_asked_for(asked, model_class)

    data = AudioFolder.scan(
        asked["data"],
        sampling_rate=arguments.get("sampling_rate"),
        num_channels=arguments.get("num_channels"),
        include=asked["include"],
        exclude=asked["exclude"],
        strict=asked["strict"],
        trim=asked["trim"],
    )
    data = named(data, asked["label_names"], model_class.digits_in_words)
    is_new = not stored and not origin.path
    if is_new:
        arguments = model_class.fit_to_folder(arguments, data)
    held_out = data.subset([])
    if asked["test"] is not None:
        data, held_out = hold_out(data, asked["test"])
    elif asked["hold_out"]:
        data, held_out = hold_out(data, asked["hold_out"])
    if not held_out.num_files and "test" in defaults:
        raise ValueError(
            f"A model of the architecture {model_class.architecture} is "
            "tested on what is held out of training, and nothing is. "
            f"Received: hold_out={asked['hold_out']}, {data.num_files} files"
        )
    labelled = model_class.learns_labels(arguments)
    if labelled:
        data = data.matched(arguments["labels"] or ())
    if classifier:
        _check_classifier(classifier, asked, arguments, labelled)
    compile_options = {
        name: asked[name]
        for name in (
            "loss",
            "learning_rate",
            "discriminator_steps",
            "penalty",
            "balance_gradients",
            "discriminator_start",
            "loss_scale",
            "recompute",
        )
        if asked[name] is not None
    }
    discriminator_steps = 1
    if "discriminator_steps" in model_class.run_options:
        discriminator_steps = asked["discriminator_steps"] or (
            model_class.default_discriminator_steps(asked["loss"])
        )
    else:
        compile_options.pop("discriminator_steps", None)
    cut = functools.partial(
        AudioDataset,
        slice_length=arguments["slice_length"],
        sampling_rate=arguments["sampling_rate"],
        num_channels=arguments.get("num_channels", 1),
        batch_size=asked["batch_size"],
        discriminator_steps=discriminator_steps,
        level=arguments.get("level", "peak"),
        mode=asked["mode"],
        random_offset=asked["random_offset"],
        overlap=asked["overlap"],
        offset_augmentation=asked["offset_augmentation"] or 0,
        random_gain_db=asked["random_gain_db"],
        seed=asked["seed"],
    )
    balance = asked["balance"]
    groups, num_groups = None, arguments.get("num_groups")
    if num_groups:
        groups = find_groups(cut(data, balance=balance), num_groups)
    dataset = cut(data, labels=labelled, balance=balance, groups=groups)
    if is_new:
        arguments = model_class.fit_to_clips(arguments, dataset)
    if stored:
        check_data(options.folder, dataset)
    if asked["epochs"] is not None:
        asked["steps"] = asked["epochs"] * dataset.steps_per_epoch
    asked["precision"] = resolve_precision(asked["precision"])
    reset = {"discriminator"} if asked["reset_discriminator"] else set()
    return RunPlan(
        folder=options.folder,
        resume=options.resume,
        model_class=model_class,
        arguments=arguments,
        policy=asked["precision"],
        seed=asked["seed"],
        origin=origin,
        stems=origin.stems - reset,
        grown_from=asked["grown_from"] or "",
        compile_options=compile_options,
        dataset=dataset,
        held_out=held_out,
        steps=asked["steps"],
        distribute=asked["distribute"] or "",
        preview_every=asked["preview_every"] or 0,
        num_previews=asked["num_previews"] or 0,
        checkpoint_every=asked["checkpoint_every"],
        keep_checkpoints=asked["keep_checkpoints"],
        log_every=asked["log_every"],
        evaluate_every=asked["evaluate_every"] or 0,
        classifier=asked["classifier"] or "",
        keep_best=asked["keep_best"] or "frechet_distance",
        options=asked,
    )


def _as_the_preset_was_trained(
    options: TrainingOptions, origin: Origin, model_class: Any
) -> TrainingOptions:
    """Takes loss, rates and weights from the recipe of a preset.

    Its discriminator has learnt by that loss and would have to learn another.
    A loss that is asked for brings its own numbers.
    """
    recipe = dict(origin.recipe)
    if not recipe or options.loss is not None:
        return options
    if recipe.get("loss") not in model_class.loss_names():
        return options
    if "critic_steps" in recipe:  # Of older versions.
        recipe.setdefault("discriminator_steps", recipe["critic_steps"])
    kinds = {"learning_rate": float, "discriminator_steps": int}
    found = {
        name: kind(recipe[name])
        for name, kind in {**kinds, "penalty": float}.items()
        if getattr(options, name) is None
        and isinstance(recipe.get(name), (int, float))
    }
    return dataclasses.replace(options, loss=recipe["loss"], **found)


def _arguments_asked_for(
    asked: Mapping[str, Any], model_class: Any
) -> dict[str, Any]:
    """Returns the arguments that options name, checked by name."""
    arguments = dict(asked["model"])
    known = set(inspect.signature(model_class).parameters)
    known -= {"dtype", "name", "labels"}
    for name in model_class.normalized_arguments(arguments):
        if name in _OF_THE_SOUND and name in arguments:
            raise ValueError(
                f"`{name}` is an option of its own, not one of `model`. "
                f"Received: model={arguments}"
            )
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"{model_class.__name__} has no argument {name!r}.{hint} "
                f"Expected some of {sorted(known.difference(_OF_THE_SOUND))}. "
                f"Received: model={arguments}"
            )
    given = {name: asked[name] for name in _OF_THE_SOUND}
    return arguments | {k: v for k, v in given.items() if v is not None}


def named(
    data: AudioFolder,
    label_names: Sequence[str] | None = None,
    digits_in_words: bool = True,
) -> AudioFolder:
    """Returns a data set with the names its labels shall have.

    Args:
        data: The data set.
        label_names: A name for each label; None keeps the folders' names.
        digits_in_words: Whether those that are digits are put in words.
    """
    if label_names:
        return data.renamed(tuple(label_names))
    return data.digits_in_words() if digits_in_words else data


def _classifier_of(options: TrainingOptions) -> dict[str, Any]:
    """Reads what a run is evaluated with, before any time is spent.

    Returns:
        The config.json of the classifier; nothing if there is none.
    """
    if options.evaluate_every and options.classifier is None:
        raise ValueError(
            "`evaluate_every` needs a `classifier` whose features the sounds "
            "are compared in, e.g. the preset digit_classifier. "
            "Received: classifier=None"
        )
    path = options.as_json()["classifier"]
    if path is None:
        return {}
    if not options.evaluate_every:
        raise ValueError(
            "`classifier` measures a training run every `evaluate_every` "
            f"steps: give both, or neither. Received: {path}"
        )
    config = read_config(path)
    if not task_of(config).can("predict"):
        raise ValueError(
            "`classifier` must be the preset of a classifier. Received: "
            f"{path}, of the architecture {config['architecture']!r}"
        )
    return config


def _check_classifier(
    classifier: Mapping[str, Any],
    asked: Mapping[str, Any],
    arguments: Mapping[str, Any],
    labelled: bool,
) -> None:
    """Checks that a classifier hears what the model will make."""
    rate, own = classifier["sampling_rate"], arguments["sampling_rate"]
    if rate != own:
        raise ValueError(
            f"`classifier` hears sound at {rate} Hz, and this model would "
            f"make it at {own} Hz. Train at `sampling_rate` {rate}, choose "
            "another classifier, or train one on these data. "
            f"Received: {asked['classifier']}"
        )
    if asked["keep_best"] != "label_accuracy":
        return
    if not labelled:
        raise ValueError(
            "Only conditional generators, such as projection_wavegan, are "
            "asked for labels. Received: keep_best='label_accuracy' for "
            "one that is not"
        )
    known = classifier["labels"] or ()
    unknown = [name for name in arguments["labels"] if name not in known]
    if unknown:
        raise ValueError(
            "`classifier` must know every label of the data to measure "
            f"label_accuracy. It knows {', '.join(known)}. "
            f"Received: {', '.join(unknown)}"
        )


def _rows(entries: Mapping[str, Any]) -> list[str]:
    return [
        f"  {name:20} {value}"
        for name, value in entries.items()
        if value not in (None, {}, [])
    ]
