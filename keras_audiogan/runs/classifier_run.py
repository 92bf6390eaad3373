"""A whole training of a classifier: from labelled sounds to a preset.

The run's folder is that of `runs.run`, without previews and samples. It
is stopped and resumed alike.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import shlex
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_audiogan import saving
from keras_audiogan.data import AudioDataset, AudioFolder, hold_out
from keras_audiogan.data.keras_feed import KerasFeed
from keras_audiogan.data.prefetch import BatchIterator
from keras_audiogan.data.split import in_words
from keras_audiogan.metrics.class_scores import class_accuracy
from keras_audiogan.metrics.classifier_scores import (
    by_recording,
    classifier_metrics,
)
from keras_audiogan.models.audio_classifier import AudioClassifier
from keras_audiogan.models.registry import get_architecture
from keras_audiogan.runs import options as options_module
from keras_audiogan.runs.augmentation import Augmentation, augment_batch
from keras_audiogan.runs.callbacks import (
    Checkpoints,
    resumed_at,
)
from keras_audiogan.runs.interrupts import StopOnSignal
from keras_audiogan.runs.options import TrainingOptions
from keras_audiogan.training.precision import resolve_precision
from keras_audiogan.runs.progress import Progress
from keras_audiogan.runs.run_log import RunLog
from keras_audiogan.runs.run_records import (
    begin_run,
    check_data,
    describe_data,
    describe_hardware,
    describe_versions,
    stored_options,
)

DEFAULTS: dict[str, Any] = {
    "model": {},
    "batch_size": 64,
    "precision": "auto",
    "seed": 0,
    "mode": "auto",
    "overlap": 0.0,
    "balance": True,
    "strict": False,
    "checkpoint_every": 500,
    "keep_checkpoints": 3,
    "log_every": 10,
}
DEFAULT_STEPS = 1000
WEIGHT_DECAY = 0.02
WARM_UP = 0.1
AUGMENTATION = Augmentation()

# Options of generators, which a classifier has no use for.
_NOT_OURS = (
    "loss",
    "critic_steps",
    "penalty",
    "level",
    "offset_augmentation",
    "random_gain_db",
    "distribute",
    "preview_every",
    "num_previews",
    "evaluate_every",
    "keep_best",
    "classifier",
)
# Keys of the random stream of augmentation.
_AUGMENT = 4


@dataclasses.dataclass
class ClassifierPlan:
    """All that is decided before the first step.

    Attributes:
        options: With defaults filled in.
        model_class: The architecture.
        config: Arguments of its constructor.
        train: Slices to train on.
        test: Slices to test on.
        policy: Keras dtype policy.
    """

    options: TrainingOptions
    model_class: type[AudioClassifier]
    config: dict[str, Any]
    train: AudioDataset
    test: AudioDataset
    policy: str

    @property
    def steps(self) -> int:
        """Training steps in all."""
        return int(self.options.steps or DEFAULT_STEPS)

    def report(self) -> str:
        """Says what was found and what would be done, in lines."""
        resolved = self.options.as_json()
        lines = [self.train.report(), ""]
        lines += [f"Held out: {self.test.folder.num_files} files to test on"]
        lines += ["", "Options"]
        lines += [
            f"  {name:20} {value}"
            for name, value in resolved.items()
            if value not in (None, {}, [])
        ]
        lines += ["", f"Model: {self.model_class.__name__}"]
        lines += [
            f"  {name:20} {value}"
            for name, value in self.config.items()
            if value is not None
        ]
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class ClassifierResult:
    """What the training of a classifier left.

    Attributes:
        folder: The run's folder.
        preset: The preset in it.
        step: Training steps taken in all.
        steps: Training steps asked for.
        signal: Number of the signal that ended it early, or None.
        metrics: Figures on the recordings held out, by name.
    """

    folder: Path
    preset: Path
    step: int
    steps: int
    signal: int | None
    metrics: dict[str, dict[str, Any]]

    def __str__(self) -> str:
        """Says it in lines for people."""
        if self.signal is not None:
            name = signal.Signals(self.signal).name
            return (
                f"Stopped by {name} at step {self.step} of {self.steps}; "
                f"nothing is lost. Continue: the same command with --resume "
                f"(run folder {self.folder})"
            )
        accuracy = self.metrics["test_accuracy"]
        balanced = self.metrics["test_balanced_accuracy"]
        return (
            f"Done: {self.step} steps. Hears {accuracy['value']:.1%} of "
            f"{accuracy['num_recordings']} recordings held out "
            f"({balanced['value']:.1%} when every label counts the same).\n"
            f"Preset: {self.preset}"
        )


def is_classifier(model_class: type) -> bool:
    """Whether an architecture is trained here."""
    return issubclass(model_class, AudioClassifier)


def plan_classifier(options: TrainingOptions) -> ClassifierPlan:
    """Resolves options, scans the data, and decides on the model.

    Args:
        options: See `TrainingOptions`; `architecture` is a classifier's.

    Raises:
        ValueError: If options contradict each other, the data or the run's.
        AudioFolderError: If the data hold nothing usable.
    """
    options.check()
    stored = stored_options(options)
    if stored is not None:
        asked = options.steps
        options = options_module.resumed_options(options, stored["options"])
        if asked is not None and asked != stored["options"]["steps"]:
            raise ValueError(
                "The learning rate of a classifier follows a curve over all "
                "of its steps, so their number stays when it is resumed. "
                f"Received: steps={asked} (the run has "
                f"{stored['options']['steps']})"
            )
        config = dict(stored["model_config"])
    else:
        _refuse_options_of_generators(options)
        options = options.with_defaults(DEFAULTS)
        config = dict(options.model or {})
    model_class = get_architecture(str(options.architecture))
    if stored is None:
        options_module.check_model_arguments(model_class, config)
        for name in ("slice_length", "sampling_rate", "num_channels"):
            value = getattr(options, name)
            if value is not None:
                config[name] = value
    data = AudioFolder.scan(
        options.data_paths,
        sampling_rate=config.get("sampling_rate"),
        num_channels=config.get("num_channels", 1),
        include=options.include,
        exclude=options.exclude,
        strict=bool(options.strict),
    )
    data = named(data, options.label_names)
    if stored is None:
        _adapt_to_data(config, model_class, data)
    if data.labels is None:
        raise ValueError(
            "Training a classifier needs a folder with one sub-folder of "
            "sound files per label, and no sound beside them. Received: "
            f"{', '.join(data.roots)}"
        )
    train, test = hold_out(data, options.test)
    empty = [name for name, n in train.class_counts.items() if not n]
    if empty:
        raise ValueError(
            "Every label needs files to train on. Received: none of "
            f"{', '.join(empty)} once those to test on are held out"
        )

    def dataset(part: AudioFolder, mode: str) -> AudioDataset:
        return AudioDataset(
            part,
            config["slice_length"],
            sampling_rate=config["sampling_rate"],
            num_channels=config["num_channels"],
            batch_size=int(options.batch_size or 1),
            mode=mode,
            overlap=options.overlap or 0.0,
            random_offset=options.random_offset,
            seed=int(options.seed or 0),
            labels=True,
            balance=bool(options.balance),
        )

    training = dataset(train, options.mode or "auto")
    held_out = dataset(test, training.plan.mode)
    if options.epochs is not None:
        options = dataclasses.replace(
            options, steps=options.epochs * training.steps_per_epoch
        )
    policy = resolve_precision(options.precision or "auto")
    options = dataclasses.replace(
        options, precision=policy, steps=options.steps or DEFAULT_STEPS
    )
    if stored is not None:
        check_data(options.folder, training)
    return ClassifierPlan(
        options, model_class, config, training, held_out, policy
    )


def train_classifier(
    options: TrainingOptions, *, quiet: bool = False
) -> ClassifierResult:
    """Trains a classifier on a folder of labelled sounds, or continues to.

    Ctrl-C and SIGTERM end it after the current step, with a checkpoint;
    `resume` continues. Every batch is a function of the seed and the step.
    The learning rate warms up over a tenth of the steps and follows a
    cosine to 0; labels are drawn equally often unless `balance` is off; and
    clips are changed at random in speed, place, level and noise.

    Args:
        options: See `TrainingOptions`; those of generators are refused.
        quiet: Whether to show no progress.

    Returns:
        What the run left, with figures on the recordings held out.

    Raises:
        ValueError: If options contradict each other, the data or the run's.
        AudioFolderError: If the data hold nothing usable.
        CheckpointError: If the checkpoint is of another model.
    """
    plan = plan_classifier(options)
    options = plan.options
    keras.utils.set_random_seed(int(options.seed or 0))
    model = plan.model_class(**plan.config, dtype=plan.policy)
    compile_classifier(model, plan.steps, options.learning_rate)
    if not options.resume:
        begin_run(options, plan.config, plan.train)
    return _fit(plan, model, quiet)


def compile_classifier(
    model: AudioClassifier, steps: int, learning_rate: float | None = None
) -> None:
    """Compiles a classifier for a number of steps: AdamW, a cosine to 0.

    Args:
        model: The classifier.
        steps: Training steps in all.
        learning_rate: The highest; the architecture's own by default.
    """
    warm_up = max(1, int(steps * WARM_UP))
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, steps - warm_up),
        warmup_target=learning_rate or model.default_learning_rate,
        warmup_steps=warm_up,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY)
    model.compile(optimizer)
    # A checkpoint is restored before the first step, which else builds it.
    optimizer.build(model.trainable_variables)


def classifier_feed(
    dataset: AudioDataset,
    start: int = 0,
    augmentation: Augmentation | None = AUGMENTATION,
) -> KerasFeed:
    """Endless `(audio, labels)` for `model.fit`, from a step on.

    Args:
        dataset: Slices with labels.
        start: The first step.
        augmentation: Strengths of the random changes; None for none.
    """

    def make(step: int) -> Any:
        batch = dataset.batch(step)
        audio = batch["audio"]
        if augmentation is not None:
            random = np.random.default_rng((_AUGMENT, dataset.seed, step))
            audio = augment_batch(
                audio, dataset.sampling_rate, augmentation, random
            )
        return audio, batch["labels"]

    return KerasFeed(
        lambda index: BatchIterator(make, start + index, workers=1, prefetch=4)
    )


def recordings_heard(
    model: AudioClassifier, dataset: AudioDataset, shift: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """What a classifier hears in each recording of a data set.

    Of a recording cut into slices, the mean of their probabilities counts.

    Args:
        model: The classifier.
        dataset: Slices with labels.
        shift: Samples of silence put before each slice.

    Returns:
        Probabilities (recordings, num_classes), and their labels' indices.
    """
    probabilities, files = [], []
    for batch in dataset.clips(128):
        audio = np.pad(batch["audio"], ((0, 0), (shift, 0), (0, 0)))
        probabilities.append(model.predict_proba(audio))
        files.append(batch["files"])
    means, numbers = by_recording(
        np.concatenate(probabilities), np.concatenate(files)
    )
    entries = dataset.folder.files
    targets = np.array([entries[number].label for number in numbers])
    return means, targets


class StepNumbers(keras.callbacks.Callback):
    """Turns Keras's running means of a step's logs into its own numbers.

    It stands before the callbacks that shall see them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sums: dict[str, float] = {}
        self._count = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Keras begins its means again."""
        self._sums, self._count = {}, 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Replaces each mean in `logs`."""
        self._count += 1
        for name, mean in list((logs or {}).items()):
            total = float(mean) * self._count
            logs[name] = max(0.0, total - self._sums.get(name, 0.0))
            self._sums[name] = total


def _fit(
    plan: ClassifierPlan, model: AudioClassifier, quiet: bool
) -> ClassifierResult:
    options, folder, steps = plan.options, plan.options.folder, plan.steps
    began = time.monotonic()
    seconds = 0.0

    def details() -> dict[str, Any]:
        return {"seconds": round(seconds + time.monotonic() - began, 1)}

    checkpoints = Checkpoints(
        folder / "checkpoints",
        every=options.checkpoint_every,
        keep=options.keep_checkpoints,
        details=details,
    )
    start = 0
    if options.resume:
        checkpoints.checkpoints.remove_leftovers()
        restored = checkpoints.checkpoints.restore(model)
        if restored is not None:
            start = restored.step
            seconds = restored.details["seconds"]
    progress = Progress(steps, quiet=quiet)
    for problem in checkpoints.checkpoints.problems:
        progress.say(problem, "yellow")
    if options.resume and not quiet:
        progress.say(f"Continuing at step {start} of {steps}.")
    elif not quiet:
        progress.say(plan.train.report())
        progress.say(f"Held out: {plan.test.folder.num_files} files")
    log = RunLog(folder, every=int(options.log_every or 10))
    stop = StopOnSignal(progress.say)
    callbacks = [StepNumbers(), log, checkpoints, progress, stop]
    resumed_at(start, callbacks)
    if start < steps:
        feed = classifier_feed(plan.train, start)
        try:
            model.fit(
                feed,
                steps_per_epoch=steps - start,
                shuffle=False,
                verbose=0,
                callbacks=callbacks,
            )
        finally:
            stop.restore()
            progress.close()
            log.close()
            feed.close()
    step = max(start, checkpoints.step)
    metrics: dict[str, Any] = {}
    if stop.signal is None:
        metrics = _measured(plan, model)
        saving.save_preset(
            model,
            folder / "preset",
            training=_training_record(plan, step, details(), metrics),
            storage_dtype="float16",
        )
    return ClassifierResult(
        folder=folder,
        preset=folder / "preset",
        step=step,
        steps=steps,
        signal=stop.signal,
        metrics=metrics,
    )


def _measured(plan: ClassifierPlan, model: AudioClassifier) -> dict[str, Any]:
    # What is stored in float16 is what shall be measured, in float32.
    judge = plan.model_class(**plan.config)
    judge.set_weights(
        [
            np.asarray(weight, "float16").astype("float32")
            for weight in model.get_weights()
        ]
    )
    seed = int(plan.options.seed or 0)
    probabilities, targets = recordings_heard(judge, plan.test)
    metrics = classifier_metrics(
        probabilities, targets, model.labels, seed=seed
    )
    for name in ("test_accuracy", "test_balanced_accuracy"):
        metrics[name]["command"] = command_of(plan.options)
    if plan.test.plan.mode == "pad":
        late = judge.slice_length // 16
        shifted, _ = recordings_heard(judge, plan.test, late)
        accuracy = class_accuracy(targets, shifted.argmax(axis=1))
        metrics["test_accuracy_late"] = {
            "value": round(accuracy, 4),
            "num_recordings": len(targets),
            "late_by": f"{late} samples",
        }
    return metrics


def command_of(options: TrainingOptions) -> str:
    """Returns the command line that trains a classifier like this.

    Args:
        options: The run's options, resolved.
    """
    words = ["audiogan", "train", str(options.architecture), "DATA"]
    words += ["-o", "RUN"]
    for name, value in (options.model or {}).items():
        shown = value if isinstance(value, str) else json.dumps(value)
        words += ["--set", f"{name}={shown}"]
    skipped = ("architecture", "model", "data", "precision", "preset")
    for name, value in options.as_json().items():
        if name in skipped or name.startswith(("data_", "checkpoint", "keep")):
            continue
        if name == "steps" and options.epochs is not None:
            continue
        if value is None or value == DEFAULTS.get(name):
            continue
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, list):
            words += [flag, ",".join(map(str, value))]
        else:
            words += [flag, str(value)]
    return shlex.join(words)


def _training_record(
    plan: ClassifierPlan,
    step: int,
    details: dict[str, Any],
    metrics: dict[str, Any],
) -> dict[str, Any]:
    options = plan.options
    recipe = {
        name: value
        for name, value in options.as_json().items()
        if name not in ("data", "data_name", "data_license", "data_url")
        and value not in (None, {}, [])
    }
    recipe |= {
        "optimizer": "adamw",
        "learning_rate": (
            options.learning_rate or plan.model_class.default_learning_rate
        ),
        "learning_rate_schedule": "10 % warm-up, then cosine to 0",
        "weight_decay": WEIGHT_DECAY,
        "augmentation": AUGMENTATION._asdict(),
    }
    data = describe_data(options, plan.train)
    del data["report"]
    data["files_per_label"] = plan.train.folder.class_counts
    data["num_skipped"] = len(plan.train.folder.skipped)
    return {
        "data": data,
        "recipe": recipe,
        "steps": step,
        "seed": options.seed,
        "hardware": describe_hardware(),
        "wall_time_seconds": details["seconds"],
        "versions": describe_versions(),
        "metrics": metrics,
    }


def _refuse_options_of_generators(options: TrainingOptions) -> None:
    for name in _NOT_OURS:
        value = getattr(options, name)
        if value is not None:
            raise ValueError(
                f"`{name}` is for generators; {options.architecture} is a "
                f"classifier. Leave it out. Received: {name}={value!r}"
            )
    if options.steps is not None and options.epochs is not None:
        raise ValueError(
            "Give `steps` or `epochs`, not both. Received: "
            f"steps={options.steps}, epochs={options.epochs}"
        )


def named(
    data: AudioFolder, label_names: Sequence[str] | None = None
) -> AudioFolder:
    """Returns a data set with the names its labels shall have.

    Args:
        data: The data set.
        label_names: A name for each label; None keeps the folders' names,
            or puts them in words where all of them are digits.
    """
    if label_names:
        return data.renamed(tuple(label_names))
    present = data.labels or ()
    if present and all(len(x) == 1 and x.isdecimal() for x in present):
        return data.renamed([in_words(name) for name in present])
    return data


def _adapt_to_data(
    config: dict[str, Any], model_class: type, data: AudioFolder
) -> None:
    """Fills in what follows from the data, where it was not asked for."""
    defaults = inspect.signature(model_class).parameters
    most = max(data.rates, key=data.rates.__getitem__)
    config.setdefault("sampling_rate", most)
    config.setdefault("num_channels", 1)
    if "slice_length" not in config:
        # As many seconds as the architecture's own, as a power of two.
        seconds = (
            defaults["slice_length"].default / defaults["sampling_rate"].default
        )
        config["slice_length"] = 1 << round(
            math.log2(seconds * config["sampling_rate"])
        )
    config["labels"] = list(data.labels or ())
