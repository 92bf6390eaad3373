"""A whole training: from options and a folder of sounds to a preset.

```
run/
    options.json     resolved options and the model's arguments
    data.json        what was found, skipped and how it is cut
    log.jsonl        means of the losses, alarms, evaluations
    tensorboard/     the same, with the previews
    previews/        sound and picture of the same latents again and again
    checkpoints/     the whole state, to continue from
    samples/         clips of the final model
    preset/          what `from_preset` reads
    best/            the preset of the best evaluation, if there are any
```
"""

from __future__ import annotations

import dataclasses
import inspect
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import keras

from keras_audiogan import saving
from keras_audiogan.audio.files import write_audio
from keras_audiogan.audio.plots import save_sheet
from keras_audiogan.presets.cards import data_sets
from keras_audiogan.data import AudioDataset, AudioFolder, hold_out
from keras_audiogan.data.keras_feed import KerasFeed
from keras_audiogan.models import AudioGAN, Vocoder
from keras_audiogan.models.registry import get_architecture
from keras_audiogan.runs import classifier_run
from keras_audiogan.runs import options as options_module
from keras_audiogan.runs.alarms import Alarms
from keras_audiogan.runs.callbacks import (
    Checkpoints,
    Previews,
    resumed_at,
)
from keras_audiogan.training.distribution import Distribution, get_distribution
from keras_audiogan.runs.evaluation import (
    PREFIX,
    SHOWN,
    Evaluation,
    is_better,
)
from keras_audiogan.runs.interrupts import StopOnSignal
from keras_audiogan.training.losses import LOSSES
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
from keras_audiogan.training.vocoder_objectives import OBJECTIVES


# Options that not every kind of model has.
KIND_OPTIONS = AudioGAN.run_options | Vocoder.run_options
# What they may be told all the same, since it is so.
_HARMLESS = {"critic_steps": 1}


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What a training left.

    Attributes:
        folder: The run's folder.
        preset: The preset in it.
        step: Training steps taken in all.
        steps: Training steps asked for.
        signal: Number of the signal that ended it early, or None.
        alarms: How often each alarm was raised.
        vocoder: Whether the model turns mels into sound.
    """

    folder: Path
    preset: Path
    step: int
    steps: int
    signal: int | None
    alarms: dict[str, int]
    vocoder: bool = False

    @property
    def advice(self) -> str:
        """The command that tries the preset."""
        if self.vocoder:
            return f"audiogan vocode {self.preset} my_sounds/ -o out/"
        return f"audiogan sample {self.preset} -n 8 -o out/"

    def __str__(self) -> str:
        """Says it in lines for people."""
        if self.signal is not None:
            name = signal.Signals(self.signal).name
            return (
                f"Stopped by {name} at step {self.step} of {self.steps}; "
                f"nothing is lost. Continue: the same command with --resume "
                f"(run folder {self.folder})"
            )
        raised = ", ".join(f"{k} {n}" for k, n in self.alarms.items())
        return (
            f"Done: {self.step} steps. Alarms: {raised or 'none'}.\n"
            f"Preset: {self.preset}\n"
            f"Try it: {self.advice}"
        )


@dataclasses.dataclass
class _Plan:
    """All that is decided before the first step."""

    options: TrainingOptions
    model_class: type
    config: dict[str, Any]
    dataset: AudioDataset
    policy: str


def describe_run(options: TrainingOptions) -> str:
    """Scans the data and says what `run_training` would do.

    Args:
        options: See `TrainingOptions`.

    Returns:
        Lines for people: the data, how it is cut, the resolved options.

    Raises:
        ValueError: As `run_training`.
    """
    if _is_classifier(options):
        return classifier_run.plan_classifier(options).report()
    plan = _prepare(options)
    resolved = plan.options.as_json()
    lines = [plan.dataset.report(), "", "Options"]
    lines += [
        f"  {name:20} {value}"
        for name, value in resolved.items()
        if value not in (None, {}, [])
    ]
    lines += ["", f"Model: {plan.model_class.__name__}"]
    lines += [
        f"  {name:20} {value}"
        for name, value in plan.config.items()
        if value is not None
    ]
    return "\n".join(lines)


def run_training(
    options: TrainingOptions, *, quiet: bool = False
) -> RunResult | classifier_run.ClassifierResult:
    """Trains a model on a folder of sounds, or continues to.

    Classifiers are trained by `classifier_run.train_classifier`.

    Ctrl-C and SIGTERM end it after the current step, with a checkpoint and
    the preset; `resume` continues. On one CPU with TensorFlow in float32 the
    resumed run's weights equal those of an uninterrupted one bit for bit.

    Args:
        options: See `TrainingOptions`.
        quiet: Whether to show no progress, alarms only.

    Returns:
        What the run left.

    Raises:
        ValueError: If options contradict each other, the data or the run's.
        AudioFolderError: If the data hold nothing usable.
        PresetError: If the preset to fine-tune is broken.
        CheckpointError: If the checkpoint is of another model.
    """
    if _is_classifier(options):
        return classifier_run.train_classifier(options, quiet=quiet)
    plan = _prepare(options)
    resolved = plan.options
    folder = resolved.folder
    distribution = get_distribution(resolved.distribute)
    distribution.check_batch(_value(resolved.batch_size))
    with distribution.scope():
        model = _make_model(plan)
        if distribution.is_chief and resolved.resume:
            _remove_leftovers(folder)
        elif distribution.is_chief:
            begin_run(resolved, plan.config, plan.dataset)
        return _fit(plan, model, distribution, quiet)


def _is_classifier(options: TrainingOptions) -> bool:
    return options.architecture is not None and classifier_run.is_classifier(
        get_architecture(options.architecture)
    )


def _prepare(options: TrainingOptions) -> _Plan:
    """Resolves options, scans the data and decides on the model."""
    options.check()
    if options.epochs is not None:
        raise ValueError(
            "`epochs` is for classifiers; a generator takes `steps`. "
            f"Received: epochs={options.epochs!r}"
        )
    stored = stored_options(options)
    if stored is None:
        options = _as_the_preset_was_trained(options).with_defaults()
        options.check()
        model_class, config = _model_arguments(options)
    else:
        options = options_module.resumed_options(options, stored["options"])
        options.check()
        config = dict(stored["model_config"])
        name = options.architecture
        if name is None:
            name = saving.read_config(_text(options.preset))["architecture"]
        model_class = get_architecture(name)
    if options.evaluate_every and options.classifier is None:
        raise ValueError(
            "`evaluate_every` needs a `classifier` whose features the sounds "
            "are compared in, e.g. the preset digit_classifier. "
            "Received: classifier=None"
        )
    if options.classifier is not None:
        if not options.evaluate_every:
            raise ValueError(
                "`classifier` measures a training every `evaluate_every` "
                "steps: give both, or neither. "
                f"Received: {_text(options.classifier)}"
            )
        _check_classifier(_text(options.classifier))
    data = AudioFolder.scan(
        options.data_paths,
        sampling_rate=config.get("sampling_rate"),
        num_channels=config.get("num_channels"),
        include=options.include,
        exclude=options.exclude,
        strict=bool(options.strict),
    )
    if options.test is not None:
        data, _ = hold_out(data, options.test)
    if options.label_names:
        data = data.renamed(options.label_names)
    if stored is None and options.preset is None:
        _adapt_to_data(config, model_class, data)
    if options.classifier is not None:
        _check_rate(_text(options.classifier), config["sampling_rate"])
    conditional = bool(getattr(model_class, "conditional", False))
    if conditional:
        data = data.matched(config["labels"] or ())
    if options.keep_best == "label_accuracy":
        _check_labels_are_heard(options, config, conditional)
    _check_kind(options, model_class)
    critic_steps = (
        options.critic_steps
        or model_class.default_discriminator_steps(options.loss)
    )
    dataset = AudioDataset(
        data,
        config["slice_length"],
        sampling_rate=config["sampling_rate"],
        num_channels=config["num_channels"],
        batch_size=_value(options.batch_size),
        discriminator_steps=critic_steps,
        level=config["level"],
        mode=_value(options.mode),
        random_offset=options.random_offset,
        overlap=_value(options.overlap),
        offset_augmentation=_value(options.offset_augmentation),
        random_gain_db=options.random_gain_db,
        seed=_value(options.seed),
        labels=conditional,
        balance=bool(options.balance),
    )
    if stored is None and options.preset is None:
        config = model_class.fit_arguments(config, dataset)
    policy = resolve_precision(_value(options.precision))
    if stored is not None:
        check_data(options.folder, dataset)
    options = dataclasses.replace(options, precision=policy)
    return _Plan(options, model_class, config, dataset, policy)


def _as_the_preset_was_trained(options: TrainingOptions) -> TrainingOptions:
    """Takes loss, rates and weights from the recipe of a preset.

    Its discriminator has learnt by that loss and would have to learn another.
    A loss that is asked for brings its own numbers.
    """
    if options.preset is None or options.loss is not None:
        return options
    recipe = saving.read_training(_text(options.preset)).get("recipe")
    known = {*LOSSES, *OBJECTIVES}
    if not isinstance(recipe, dict) or recipe.get("loss") not in known:
        return options
    kinds = {"learning_rate": float, "critic_steps": int, "penalty": float}
    found = {
        name: kind(recipe[name])
        for name, kind in kinds.items()
        if getattr(options, name) is None
        and isinstance(recipe.get(name), (int, float))
    }
    return dataclasses.replace(options, loss=recipe["loss"], **found)


def _model_arguments(
    options: TrainingOptions,
) -> tuple[type, dict[str, Any]]:
    if options.preset is not None:
        config = saving.read_config(_text(options.preset))
        model_class = get_architecture(config["architecture"])
        if not hasattr(model_class, "adversarial_step"):
            raise ValueError(
                "Only generators can be fine-tuned here. Received: a preset "
                f"of the architecture {config['architecture']!r}"
            )
        return model_class, dict(config["config"])
    model_class = get_architecture(str(options.architecture))
    if not hasattr(model_class, "adversarial_step"):
        raise ValueError(
            "Only generators and classifiers can be trained here. "
            f"Received: architecture={options.architecture!r}"
        )
    arguments = dict(options.model or {})
    options_module.check_model_arguments(model_class, arguments)
    for name in ("slice_length", "sampling_rate", "num_channels", "level"):
        value = getattr(options, name)
        if value is not None:
            arguments[name] = value
    return model_class, arguments


def _adapt_to_data(
    config: dict[str, Any], model_class: type, data: AudioFolder
) -> None:
    """Fills in what follows from the data, where it was not asked for."""
    defaults = inspect.signature(model_class).parameters
    config.setdefault("slice_length", defaults["slice_length"].default)
    config.setdefault("num_channels", 1)
    config.setdefault("level", "peak")
    if "sampling_rate" not in config:
        most = max(data.rates, key=data.rates.__getitem__)
        config["sampling_rate"] = min(most, defaults["sampling_rate"].default)
    if "labels" in defaults:
        config["labels"] = list(data.labels) if data.labels else None


def _check_classifier(path: str) -> None:
    """Checks that a preset classifies, before any time is spent."""
    name = saving.read_config(path)["architecture"]
    if not hasattr(get_architecture(name), "predict_with_features"):
        raise ValueError(
            "`classifier` must be the preset of a classifier. "
            f"Received: {path}, of the architecture {name!r}"
        )


def _check_rate(classifier: str, sampling_rate: int) -> None:
    """Checks that a classifier hears what the model will make."""
    rate = saving.read_config(classifier)["sampling_rate"]
    if rate != sampling_rate:
        raise ValueError(
            f"`classifier` hears sound at {rate} Hz, and this model would "
            f"make it at {sampling_rate} Hz. Train at `sampling_rate` {rate}, "
            "choose another classifier, or train one on these data. "
            f"Received: {classifier}"
        )


def _check_labels_are_heard(
    options: TrainingOptions, config: dict[str, Any], conditional: bool
) -> None:
    """Checks that the share of labels heard as asked for can be measured."""
    if not conditional:
        raise ValueError(
            "Only conditional generators, such as projection_wavegan, are "
            "asked for labels. Received: keep_best='label_accuracy' for "
            "one that is not"
        )
    known = saving.read_config(_text(options.classifier))["labels"] or ()
    unknown = [name for name in config["labels"] if name not in known]
    if unknown:
        raise ValueError(
            "`classifier` must know every label of the data to measure "
            f"label_accuracy. It knows {', '.join(known)}. "
            f"Received: {', '.join(unknown)}"
        )


def _check_kind(options: TrainingOptions, model_class: Any) -> None:
    """Checks that the options are for this kind of model."""
    wrong = [
        name
        for name in KIND_OPTIONS - model_class.run_options
        if getattr(options, name) not in (None, _HARMLESS.get(name))
    ]
    if options.loss not in (None, *model_class.loss_names()):
        wrong.append("loss")
    if wrong:
        raise ValueError(
            "These options are not for a model of the architecture "
            f"{model_class.architecture}: {', '.join(sorted(wrong))}. "
            "Received: "
            + ", ".join(f"{name}={getattr(options, name)!r}" for name in wrong)
        )


def _make_model(plan: _Plan) -> keras.Model:
    options = plan.options
    keras.utils.set_random_seed(_value(options.seed))
    model = plan.model_class(**plan.config, dtype=plan.policy)
    chosen: dict[str, Any] = {}
    if options.preset is not None:
        path = _text(options.preset)
        stems = set(model.preset_weights)
        if options.reset_discriminator:
            stems.discard("discriminator")
        held = set(saving.read_config(path)["weights"])
        saving.load_preset_weights(model, path, weights=stems & held)
        chosen |= model.run_compile_options(stems & held)
    chosen |= {
        name: value
        for name, value in (
            ("loss", options.loss),
            ("discriminator_steps", options.critic_steps),
            ("learning_rate", options.learning_rate),
            ("penalty", options.penalty),
            ("discriminator_start", options.discriminator_start),
        )
        if value is not None
    }
    model.compile(**chosen, seed=_value(options.seed))
    return model


def _fit(
    plan: _Plan, model: keras.Model, distribution: Distribution, quiet: bool
) -> RunResult:
    options, folder = plan.options, plan.options.folder
    steps, chief = _value(options.steps), distribution.is_chief
    began = time.monotonic()
    history: dict[str, Any] = {"seconds": 0.0, "best": None}

    def details() -> dict[str, Any]:
        seconds = history["seconds"] + time.monotonic() - began
        return {"seconds": round(seconds, 1), "best": history["best"]}

    def export(step: int, name: str = "preset", **metrics: Any) -> Path:
        samples = folder / "samples"
        return saving.save_preset(
            model,
            folder / name,
            training=_training_record(plan, model, step, details(), metrics),
            samples_dir=samples if samples.is_dir() else None,
        )

    checkpoints = Checkpoints(
        folder / "checkpoints",
        every=options.checkpoint_every,
        keep=options.keep_checkpoints,
        write=chief,
        details=details,
        on_save=lambda step, path: export(step),
    )
    start = 0
    if options.resume:
        if chief:
            checkpoints.checkpoints.remove_leftovers()
        restored = checkpoints.checkpoints.restore(model)
        if restored is not None:
            start = restored.step
            history.update(restored.details)
    progress = Progress(steps, quiet=quiet or not chief)
    for problem in checkpoints.checkpoints.problems:
        progress.say(problem, "yellow")
    if options.resume:
        progress.say(f"Continuing at step {start} of {steps}.")
    elif chief and not quiet:
        progress.say(plan.dataset.report())
        if (
            options.preset is not None
            and "discriminator"
            not in (saving.read_config(_text(options.preset))["weights"])
        ):
            progress.say(
                "The preset holds no discriminator: a new one begins, and "
                "needs some thousand steps to catch up.",
                "yellow",
            )
    previews = Previews(
        folder / "previews" if chief else None,
        every=options.preview_every,
        num_samples=_value(options.num_previews),
        seed=_value(options.seed),
        source=model.preview_source(
            plan.dataset, _value(options.num_previews)
        ),
    )
    log = RunLog(
        folder, every=_value(options.log_every), previews=previews, write=chief
    )

    def alarm(name: str, advice: str) -> None:
        log.event(name, advice)
        progress.say(f"Alarm at step {progress.step}: {name}: {advice}", "red")

    alarms = Alarms(
        previews, plan.dataset.real_clips(16), report=alarm if chief else None
    )
    callbacks = [previews, alarms, log]
    if options.evaluate_every:
        # Every worker makes it, since they make variables together.
        classifier = saving.load_preset(_text(options.classifier))
        if chief:
            callbacks.append(
                _evaluation(plan, classifier, history, export, log, progress)
            )
    stop = StopOnSignal(lambda text: progress.say(text))
    callbacks += [checkpoints, progress, stop]
    resumed_at(start, callbacks)
    if start < steps:
        feed = distribution.feed(plan.dataset, start)
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
            if isinstance(feed, KerasFeed):
                feed.close()
    step = max(start, checkpoints.step)
    if chief and stop.signal is None:
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        model.write_samples(
            folder / "samples", plan.dataset, _value(options.seed)
        )
        export(step)
    return RunResult(
        folder=folder,
        preset=folder / "preset",
        step=step,
        steps=steps,
        signal=stop.signal,
        alarms=dict(alarms.counts),
        vocoder=model.task == "vocode",
    )


def _remove_leftovers(folder: Path) -> None:
    """Removes presets that a killed process was writing."""
    for name in ("preset", "best"):
        for leftover in folder.glob(f".{name}.*.saving"):
            shutil.rmtree(leftover, ignore_errors=True)


def _evaluation(
    plan: _Plan,
    classifier: Any,
    history: dict[str, Any],
    export: Any,
    log: RunLog,
    progress: Progress,
) -> Evaluation:
    chosen = plan.options.keep_best or "frechet_distance"

    def report(step: int, figures: dict[str, float]) -> None:
        log.numbers({PREFIX + name: x for name, x in figures.items()})
        text = ", ".join(
            f"{name} {figures[name]:.4g}"
            for name in dict.fromkeys((*SHOWN, chosen))
            if name in figures
        )
        progress.say(f"Step {step}: {text}")
        if is_better(chosen, figures[chosen], history["best"]):
            history["best"] = figures[chosen]
            export(
                step,
                "best",
                **{name: {"value": value} for name, value in figures.items()},
            )

    return Evaluation(
        classifier,
        plan.dataset.real_clips(min(1000, plan.dataset.num_slices)),
        every=plan.options.evaluate_every,
        seed=_value(plan.options.seed),
        report=report,
    )


def _training_record(
    plan: _Plan,
    model: keras.Model,
    step: int,
    details: dict[str, Any],
    metrics: dict[str, Any],
) -> dict[str, Any]:
    """The training.json of the preset."""
    options = plan.options
    gan_loss = model.gan_loss
    recipe = {
        name: value
        for name, value in options.as_json().items()
        if name not in ("data", "data_name", "data_license", "data_url")
        and value not in (None, {}, [])
    }
    if options.preset is not None:
        recipe["preset"] = Path(_text(options.preset)).name
    if options.classifier is not None:
        recipe["classifier"] = Path(_text(options.classifier)).name
    recipe |= {
        "precision": plan.policy,
        "loss": gan_loss.name,
        "critic_steps": model.discriminator_steps,
        "generator_optimizer": _optimizer(model.optimizer.generator),
        "discriminator_optimizer": _optimizer(model.optimizer.discriminator),
    }
    data = describe_data(options, plan.dataset)
    del data["report"]
    earlier = _data_of_the_preset(options, data["hash"])
    return {
        "data": [data, *earlier] if earlier else data,
        "recipe": recipe,
        "steps": step,
        "seed": options.seed,
        "hardware": describe_hardware(),
        "wall_time_seconds": details["seconds"],
        "versions": describe_versions(),
        "metrics": metrics,
    }


def _data_of_the_preset(
    options: TrainingOptions, content_hash: str
) -> list[dict[str, Any]]:
    """What a preset was trained on is in what is trained from it."""
    if options.preset is None:
        return []
    path = Path(_text(options.preset))
    return [
        {"heard_by": f"the preset {path.name}, before", **entry}
        for entry in data_sets(saving.read_training(path))
        if entry.get("hash") != content_hash
    ]


def _optimizer(guarded: Any) -> dict[str, Any]:
    config = guarded.inner.get_config()
    kept = ("name", "learning_rate", "beta_1", "beta_2", "rho", "momentum")
    return {
        key: value if key == "name" else float(f"{value:.6g}")
        for key, value in config.items()
        if key in kept and not isinstance(value, dict)
    }


def _text(path: Any) -> str:
    import os

    return os.fspath(path)


def _value(value: Any) -> Any:
    """A resolved option: `with_defaults` has filled it in."""
    if value is None:
        raise ValueError("An option has no value after its defaults.")
    return value
