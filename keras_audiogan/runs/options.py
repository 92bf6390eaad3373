"""What a user asks of a training run, checked before it costs time.

Keras is not imported here.
"""

from __future__ import annotations

import dataclasses
import os
import types
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_audiogan.data.trim_option import DEFAULT_TRIM, as_trim
from keras_audiogan.presets.atomic_folder import write_json as write_json

PathLike = str | os.PathLike[str]

# What may be another number when a run is resumed: nothing that the weights
# depend on.
CHANGEABLE = (
    "steps",
    "preview_every",
    "checkpoint_every",
    "evaluate_every",
    "log_every",
    "keep_checkpoints",
)
# Options that only some models have: those that name them in `run_options`.
# With each the value that it has for the others, who may be told so.
NOT_OF_ALL: Mapping[str, Any] = types.MappingProxyType(
    {
        "preset": None,
        "grown_from": None,
        "recompute": False,
        "loss_scale": None,
        "epochs": None,
        "loss": None,
        "discriminator_steps": 1,
        "penalty": None,
        "balance_gradients": False,
        "discriminator_start": 0,
        "reset_discriminator": False,
        "level": None,
        "offset_augmentation": 0,
        "random_gain_db": None,
        "distribute": None,
        "preview_every": None,
        "num_previews": None,
        "evaluate_every": None,
        "keep_best": None,
        "classifier": None,
    }
)
# What does not describe a run, but one start of it.
_NOT_KEPT = ("output", "resume")

# Options that are paths, kept absolute.
_PATHS = ("preset", "classifier", "grown_from")
_POSITIVE = (
    "steps",
    "epochs",
    "batch_size",
    "discriminator_steps",
    "preview_every",
    "checkpoint_every",
    "evaluate_every",
    "log_every",
    "keep_checkpoints",
    "num_previews",
    "slice_length",
    "sampling_rate",
    "num_channels",
)
# The figures of an evaluation, and which way each is better: "zero" is best
# where generated sound is as real sound.
MEASURES: Mapping[str, str] = types.MappingProxyType(
    {
        "frechet_distance": "lower",
        "inception_score": "higher",
        "label_accuracy": "higher",
        "kernel_distance": "lower",
        "precision": "higher",
        "recall": "higher",
        "density": "higher",
        "coverage": "higher",
        "num_different_bins": "lower",
        "d_self_difference": "zero",
        "d_train_difference": "zero",
        "repeated": "lower",
        "copied": "lower",
        "level_difference": "zero",
        "spectral_tilt_difference": "zero",
        "comb_difference": "lower",
        "dc_offset_difference": "lower",
        "one_sidedness_difference": "zero",
    }
)

_FROM_PRESET = ("slice_length", "sampling_rate", "num_channels", "level")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What `run_training` shall do. None stands for a default.

    Attributes:
        data: Folder of sounds, or several folders or files.
        output: The run's folder, made by the run.
        architecture: Name of the architecture to train from nothing.
        preset: Preset folder to fine-tune, instead of `architecture`.
        model: Further arguments of the architecture, e.g. `{"dim": 16}`.
        grown_from: Folder of the run of an earlier stage, whose weights a
            model that grows begins with; none.
        steps: Training steps (generator updates) in all; 20,000.
        epochs: Passes over the data in place of `steps`, for classifiers.
        batch_size: Rows of one discriminator update, over all devices; 32.
        precision: See `resolve_precision`; `"auto"`.
        loss_scale: What losses are multiplied by before they are
            differentiated, for half precision; none in bfloat16, found by
            trying in float16.
        recompute: Whether a progressive model keeps fewer activations and
            computes them again: less memory, more time; no.
        loss: Name of the adversarial loss; the one that the preset was
            trained with (then also with its learning rate, discriminator
            steps and penalty), else the architecture's own.
        learning_rate: Of both optimisers; the loss's own.
        discriminator_steps: Discriminator updates a step; the loss's own.
        penalty: Weight of the loss's gradient penalties; the loss's own.
        balance_gradients: Whether each of several discriminators moves the
            generator by its weight alone; no.
        discriminator_start: Steps of a vocoder before its discriminator
            enters; the loss's own, 0 where a preset brings one.
        seed: Of weights, latents, data order and previews; 0.
        slice_length: Samples in a clip; the architecture's own.
        sampling_rate: In Hz; the architecture's own, or that of most of the
            data if it is lower.
        num_channels: 1.
        level: `"peak"`, `"keep"` or a gain; see `AudioDataset`; `"peak"`.
        mode: `"pad"`, `"slice"`, `"join"` or `"auto"`; see `plan_slices`;
            `"auto"`.
        random_offset: See `AudioDataset`; its choice.
        overlap: See `AudioDataset`; 0.
        offset_augmentation: See `AudioDataset`; 0.
        random_gain_db: See `AudioDataset`; none.
        label_names: Names for the labels of the data, in the order of their
            folders' names, or `"OLD=NEW"` for those that change; the
            folders' names.
        balance: Whether every label is drawn equally often; no.
        include: Pattern that names of files must match; none.
        exclude: Pattern of names that are left out; none.
        test: Pattern of names that are held out of training, or `"tenth"`
            for every tenth file of each label, or `"last-tenth"` for the
            last tenth; in place of `hold_out`. Classifiers are tested on
            them, and have `"tenth"` as the default.
        hold_out: Part of the files of each label that is held out of
            training, for `audiogan evaluate`; see `keras_audiogan.data.
            hold_out`. 0 trains on all. 0.1.
        trim: What counts as silence in dB below a file's peak, or `"off"`;
            see `AudioFolder.scan`; -60.
        strict: Whether a bad file is an error; no.
        distribute: `"mirrored"`, `"multiworker"` or None for one device.
        reset_discriminator: Whether fine-tuning begins with a new
            discriminator; no.
        preview_every: Steps between previews; 500.
        num_previews: Clips in a preview; 8.
        checkpoint_every: Steps between checkpoints; 500.
        keep_checkpoints: How many of the newest stay; 3.
        evaluate_every: Steps between evaluations; none without it.
        keep_best: The figure, one of `MEASURES`, by which the best model is
            kept in `best/`; `"frechet_distance"`.
        classifier: Preset folder of a classifier of the data's labels, for
            evaluations.
        log_every: Steps between lines of the log; 10.
        data_name: Name of the data for the model card; the folder's.
        data_license: Its licence, for the model card.
        data_url: Its address, for the model card.
        resume: Whether to continue the run in `output`. Options that are
            None are then taken from there.
        critic_steps: Older name of `discriminator_steps`.
    """

    data: PathLike | Sequence[PathLike]
    output: PathLike
    architecture: str | None = None
    preset: PathLike | None = None
    model: Mapping[str, Any] | None = None
    grown_from: PathLike | None = None
    steps: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    precision: str | None = None
    loss_scale: float | None = None
    recompute: bool | None = None
    loss: str | None = None
    learning_rate: float | None = None
    discriminator_steps: int | None = None
    penalty: float | None = None
    balance_gradients: bool | None = None
    discriminator_start: int | None = None
    seed: int | None = None
    slice_length: int | None = None
    sampling_rate: int | None = None
    num_channels: int | None = None
    level: str | float | None = None
    mode: str | None = None
    random_offset: bool | None = None
    overlap: float | None = None
    offset_augmentation: int | None = None
    random_gain_db: float | tuple[float, float] | None = None
    label_names: Sequence[str] | None = None
    balance: bool | None = None
    include: str | None = None
    exclude: str | None = None
    test: str | None = None
    hold_out: float | None = None
    trim: str | float | None = None
    strict: bool | None = None
    distribute: str | None = None
    reset_discriminator: bool | None = None
    preview_every: int | None = None
    num_previews: int | None = None
    checkpoint_every: int | None = None
    keep_checkpoints: int | None = None
    evaluate_every: int | None = None
    keep_best: str | None = None
    classifier: PathLike | None = None
    log_every: int | None = None
    data_name: str | None = None
    data_license: str | None = None
    data_url: str | None = None
    resume: bool = False
    critic_steps: dataclasses.InitVar[int | None] = None

    def __post_init__(self, critic_steps: int | None) -> None:
        """Takes the older name of `discriminator_steps`."""
        if critic_steps is None:
            return
        if self.discriminator_steps not in (None, critic_steps):
            raise ValueError(
                "`critic_steps` is the older name of `discriminator_steps`: "
                "give one of them. Received: "
                f"critic_steps={critic_steps}, "
                f"discriminator_steps={self.discriminator_steps}"
            )
        object.__setattr__(self, "discriminator_steps", critic_steps)

    @property
    def data_paths(self) -> tuple[str, ...]:
        """The data as a tuple of absolute paths."""
        data = self.data
        if isinstance(data, (str, os.PathLike)):
            data = [data]
        return tuple(os.path.abspath(os.path.expanduser(p)) for p in data)

    @property
    def folder(self) -> Path:
        """The run's folder, absolute."""
        return Path(self.output).expanduser().absolute()

    def check(self) -> None:
        """Checks what can be checked without Keras and without the data.

        Raises:
            ValueError: If an option is out of range, or two contradict each
                other.
        """
        preset = self.preset
        if (self.architecture is None) == (preset is None):
            raise ValueError(
                "Give either an `architecture` to train from nothing or a "
                "`preset` to fine-tune. "
                f"Received: architecture={self.architecture!r}, "
                f"preset={None if preset is None else os.fspath(preset)!r}"
            )
        if not self.data_paths:
            raise ValueError("`data` names no folder. Received: data=()")
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(
                    f"`{name}` must be 1 or more. Received: {name}={value}"
                )
        if not self.resume and None not in (self.steps, self.epochs):
            raise ValueError(
                "Give `steps` or `epochs`, not both. Received: "
                f"steps={self.steps}, epochs={self.epochs}"
            )
        if self.seed is not None and not 0 <= self.seed < 2**32:
            raise ValueError(
                "`seed` must be from 0 to 2**32 - 1. "
                f"Received: seed={self.seed}"
            )
        if self.trim is not None:
            as_trim(self.trim)
        if self.hold_out is not None and not 0.0 <= self.hold_out < 1.0:
            raise ValueError(
                "`hold_out` is the part of the files to hold out, from 0 to "
                f"below 1. Received: hold_out={self.hold_out}"
            )
        if self.test is not None and self.hold_out:
            raise ValueError(
                "`test` names the files that are held out; leave `hold_out` "
                f"out. Received: test={self.test!r}, hold_out={self.hold_out}"
            )
        rate = self.learning_rate
        if rate is not None and not 0.0 < rate < 1.0:
            raise ValueError(
                "`learning_rate` must be above 0 and below 1. "
                f"Received: learning_rate={rate}"
            )
        scale = self.loss_scale
        if scale is not None and not 0.0 < scale < float("inf"):
            raise ValueError(
                "`loss_scale` must be a number above 0. "
                f"Received: loss_scale={scale}"
            )
        if self.keep_best is not None:
            if self.keep_best not in MEASURES:
                raise ValueError(
                    f"`keep_best` must be one of {', '.join(MEASURES)}. "
                    f"Received: keep_best={self.keep_best!r}"
                )
            if self.evaluate_every is None and not self.resume:
                raise ValueError(
                    "`keep_best` needs `evaluate_every`, the steps between "
                    f"measurements. Received: keep_best={self.keep_best!r}"
                )
        if preset is None:
            if self.reset_discriminator:
                raise ValueError(
                    "`reset_discriminator` is for fine-tuning a preset. "
                    "Received: reset_discriminator=True without a preset"
                )
            return
        for name in (*_FROM_PRESET, "model"):
            if getattr(self, name) not in (None, {}):
                raise ValueError(
                    f"`{name}` is the preset's when one is fine-tuned; leave "
                    f"it out. Received: {name}={getattr(self, name)!r}"
                )

    def with_defaults(self, defaults: Mapping[str, Any]) -> TrainingOptions:
        """Fills in what was not asked for."""
        missing = [name for name in defaults if getattr(self, name) is None]
        # Of the two ways to hold files out, one is in use.
        if self.hold_out is not None:
            missing = [name for name in missing if name != "test"]
        elif self.test is not None or "test" in defaults:
            missing = [name for name in missing if name != "hold_out"]
        return dataclasses.replace(
            self, **{name: defaults[name] for name in missing}
        )

    def as_json(self) -> dict[str, Any]:
        """Returns the options fit for JSON, paths absolute."""
        result: dict[str, Any] = {"data": list(self.data_paths)}
        for field in dataclasses.fields(self):
            if field.name in ("data", *_NOT_KEPT):
                continue
            value = getattr(self, field.name)
            if field.name in _PATHS and value is not None:
                value = os.path.abspath(os.path.expanduser(value))
            elif isinstance(value, Mapping):
                value = dict(value)
            elif isinstance(value, tuple):
                value = list(value)
            elif field.name == "trim" and value is not None:
                value = as_trim(value)
            result[field.name] = value
        return result


DEFAULTS: Mapping[str, Any] = types.MappingProxyType(
    {
        "model": {},
        "steps": 20_000,
        "batch_size": 32,
        "precision": "auto",
        "seed": 0,
        "mode": "auto",
        "overlap": 0.0,
        "offset_augmentation": 0,
        "balance": False,
        "hold_out": 0.1,
        "trim": DEFAULT_TRIM,
        "strict": False,
        "reset_discriminator": False,
        "preview_every": 500,
        "num_previews": 8,
        "checkpoint_every": 500,
        "keep_checkpoints": 3,
        "log_every": 10,
    }
)


def check_allowed(options: TrainingOptions, model_class: Any) -> None:
    """Checks that an architecture has the options that it is given.

    Args:
        options: What was asked for.
        model_class: The architecture's class.

    Raises:
        ValueError: If not; the message names all that it lacks.
    """
    foreign = {
        name: value
        for name, harmless in NOT_OF_ALL.items()
        if name not in model_class.run_options
        and (value := getattr(options, name)) not in (None, harmless)
    }
    if foreign:
        raise ValueError(
            "These options are not for a model of the architecture "
            f"{model_class.architecture}: "
            f"{', '.join(f'`{name}`' for name in foreign)}. Leave them out. "
            "Received: "
            + ", ".join(f"{name}={value!r}" for name, value in foreign.items())
        )
    if "loss" not in model_class.run_options:
        return
    losses = model_class.loss_names()
    if options.loss not in (None, *losses):
        raise ValueError(
            f"`loss` must be one of {', '.join(losses)} for the architecture "
            f"{model_class.architecture}. Received: loss={options.loss!r}"
        )


def defaults_of(model_class: Any) -> dict[str, Any]:
    """Returns the defaults of the options that an architecture has."""
    shared = {
        name: value
        for name, value in DEFAULTS.items()
        if name not in NOT_OF_ALL or name in model_class.run_options
    }
    return {**shared, **model_class.run_defaults}


def resumed_options(
    options: TrainingOptions,
    stored: Mapping[str, Any],
    fixed: Collection[str] = (),
) -> TrainingOptions:
    """Merges the options of a resumption with those of the run.

    Args:
        options: Those given now; None takes the run's.
        stored: Those of the run, from its options.json.
        fixed: Options that this model cannot change, though others can.

    Raises:
        ValueError: If an option differs that the weights depend on; the
            message names all of them.
    """
    given = options.as_json()
    changeable = [name for name in CHANGEABLE if name not in fixed]
    values: dict[str, Any] = {}
    changed = []
    for name, old in stored.items():
        new = given.get(name)
        values[name] = old
        if new is None or new == old or name == "data":
            continue
        if name in changeable:
            values[name] = new
        elif (name, new) not in (("precision", "auto"), ("mode", "auto")):
            changed.append(f"{name}={new!r} (the run has {old!r})")
    if changed:
        raise ValueError(
            "A run is resumed with the options it was started with; only "
            f"{', '.join(changeable)} may change. Leave these out, or start "
            f"another run in a new folder. Received: {'; '.join(changed)}"
        )
    values["data"] = given["data"]
    return TrainingOptions(
        **values, output=options.output, resume=options.resume
    )
