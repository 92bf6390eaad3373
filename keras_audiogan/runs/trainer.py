"""How a planned run is carried out: model, callbacks, `fit`, preset."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_audiogan import saving
from keras_audiogan.data.heard import within_bounds
from keras_audiogan.data.keras_feed import KerasFeed
from keras_audiogan.presets.figures import in_words
from keras_audiogan.presets.tasks import TASKS
from keras_audiogan.runs.alarms import Alarms
from keras_audiogan.runs.callbacks import Checkpoints, Previews, resumed_at
from keras_audiogan.runs.evaluation import PREFIX, SHOWN, Evaluation, is_better
from keras_audiogan.runs.interrupts import StopOnSignal
from keras_audiogan.runs.plan import RunPlan
from keras_audiogan.runs.progress import Progress
from keras_audiogan.runs.run_log import RunLog
from keras_audiogan.runs.run_records import (
    begin_run,
    describe_data,
    describe_hardware,
    describe_versions,
)
from keras_audiogan.runs.stages import carry_stage
from keras_audiogan.training.distribution import Distribution


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What a run left.

    Attributes:
        folder: The run's folder.
        preset: The preset in it.
        step: Training steps taken in all.
        steps: Training steps asked for.
        task: What the model is for; see `keras_audiogan.presets.tasks`.
        signal: Number of the signal that ended it early, or None.
        alarms: How often each alarm was raised.
        metrics: Figures on what was held out, by name.
    """

    folder: Path
    preset: Path
    step: int
    steps: int
    task: str
    signal: int | None = None
    alarms: Mapping[str, int] = dataclasses.field(default_factory=dict)
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def advice(self) -> str:
        """The command that tries the preset."""
        if self.task not in TASKS:
            return f"audiogan info {self.preset}"
        return TASKS[self.task].tries(str(self.preset))[0]

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
        summary = f"Alarms: {raised or 'none'}."
        if "test_accuracy" in self.metrics:
            accuracy = self.metrics["test_accuracy"]
            balanced = self.metrics["test_balanced_accuracy"]
            summary = (
                f"Hears {accuracy['value']:.1%} of "
                f"{accuracy['num_recordings']} recordings held out "
                f"({balanced['value']:.1%} when every label counts the same)."
            )
        return (
            f"Done: {self.step} steps. {summary}\n"
            f"Preset: {self.preset}\n"
            f"Try it: {self.advice}"
        )


class Trainer:
    """Carries out a plan, from where the run stands.

    What the model's class does its own way it says by hooks; see "What a
    training run asks" in `AdversarialModel`. A task that needs more of the
    library than a model may know has a trainer of its own.

    Make it within the distribution's scope.

    Args:
        plan: What was decided.
        distribution: How training is spread over devices.
        quiet: Whether to show no progress, alarms only.

    Attributes:
        model: The model, compiled, with the weights of the preset or of the
            newest checkpoint.
        start: The step at which it begins.
    """

    log: RunLog
    alarms: Mapping[str, int] = {}

    def __init__(
        self, plan: RunPlan, distribution: Distribution, quiet: bool = False
    ) -> None:
        self.plan = plan
        self.distribution = distribution
        self.chief = distribution.is_chief
        self.quiet = quiet or not self.chief
        self.model = self._make_model()
        self.progress = Progress(plan.steps, quiet=self.quiet)
        self.checkpoints = Checkpoints(
            plan.folder / "checkpoints",
            every=plan.checkpoint_every,
            keep=plan.keep_checkpoints,
            write=self.chief,
            details=self._details,
            on_save=self.on_checkpoint,
        )
        self.start = 0
        self.best: float | None = None
        self._seconds, self._began = 0.0, time.monotonic()

    def train(self) -> RunResult:
        """Trains to the last step, or until a signal ends it."""
        self._open()
        model, plan = self.model, self.plan
        stop = StopOnSignal(self.progress.say)
        callbacks = [*self.watchers(), self.checkpoints, self.progress, stop]
        resumed_at(self.start, callbacks)
        if self.start < plan.steps:
            feed = self.feed()
            try:
                model.fit(
                    feed,
                    steps_per_epoch=plan.steps - self.start,
                    shuffle=False,
                    verbose=0,
                    callbacks=callbacks,
                )
            finally:
                stop.restore()
                self.progress.close()
                self.log.close()
                if isinstance(feed, KerasFeed):
                    feed.close()
        step = max(self.start, self.checkpoints.step)
        metrics: dict[str, Any] = {}
        if self.chief and stop.signal is None:
            metrics = self.finish(step)
        return RunResult(
            folder=plan.folder,
            preset=plan.folder / "preset",
            step=step,
            steps=plan.steps,
            task=model.task,
            signal=stop.signal,
            alarms=dict(self.alarms),
            metrics=metrics,
        )

    # What a task may do its own way

    def feed(self) -> Any:
        """Returns what `fit` is given, from the first step on."""
        return self.distribution.feed(self.plan.dataset, self.start)

    def watchers(self) -> list[keras.callbacks.Callback]:
        """Returns the callbacks that look at the model, and sets `log`."""
        plan = self.plan
        previews = Previews(
            plan.folder / "previews" if self.chief else None,
            every=plan.preview_every,
            num_samples=plan.num_previews,
            seed=plan.seed,
            source=self.model.preview_source(plan.dataset, plan.num_previews),
        )
        self.log = RunLog(
            plan.folder,
            every=plan.log_every,
            previews=previews,
            write=self.chief,
        )
        alarms = Alarms(
            previews,
            plan.dataset.real_clips(16),
            report=self._alarm if self.chief else None,
        )
        self.alarms = alarms.counts
        self.look_at_figures = alarms.look_at_figures
        callbacks = [previews, alarms, self.log]
        if plan.evaluate_every:
            # Every worker makes it, since they make variables together.
            classifier = saving.load_preset(plan.classifier)
            if self.chief:
                evaluation = Evaluation(
                    classifier,
                    plan.dataset.real_clips(min(1000, plan.dataset.num_slices)),
                    every=plan.evaluate_every,
                    seed=plan.seed,
                    report=self._evaluated,
                    stage_steps=getattr(self.model, "stage_steps", ()),
                )
                callbacks.append(evaluation)
        return callbacks

    def on_checkpoint(self, step: int, path: Path) -> None:
        """Exports the preset beside each checkpoint."""
        self.export(step)

    def finish(self, step: int) -> dict[str, Any]:
        """Writes what a finished run leaves.

        Returns:
            Figures on what was held out.
        """
        samples = self.plan.folder / "samples"
        samples.mkdir(parents=True, exist_ok=True)
        self.model.write_samples(samples, self.plan.dataset, self.plan.seed)
        self.export(step)
        return {}

    def recipe(self) -> dict[str, Any]:
        """Returns how the model was trained, for training.json."""
        plan = self.plan
        skipped = ("data", "data_name", "data_license", "data_url")
        asked = {
            name: value
            for name, value in plan.options.items()
            if name not in skipped and value not in (None, {}, [])
        }
        for name in ("preset", "classifier", "grown_from"):
            if name in asked:  # Nobody else has it in the same folder.
                asked[name] = Path(asked[name]).name
        return {**asked, **self.model.run_recipe()}

    def data_record(self) -> dict[str, Any]:
        """Returns what the model was trained on, for training.json."""
        plan = self.plan
        return describe_data(plan.options, plan.dataset, plan.held_out)

    # What is the same for all

    def export(
        self,
        step: int,
        name: str = "preset",
        metrics: Mapping[str, Any] | None = None,
    ) -> Path:
        """Writes a preset of the model as it is.

        Args:
            step: Training steps taken.
            name: Its folder within the run's.
            metrics: Figures for its training.json.
        """
        plan, samples = self.plan, self.plan.folder / "samples"
        data = self.data_record()
        # What a preset was trained on is in what is trained from it.
        before = f"the preset {Path(plan.origin.path).name}, before"
        earlier = [
            {"heard_by": before, **entry}
            for entry in plan.origin.data
            if entry.get("hash") != data["hash"]
        ]
        record = {
            "data": within_bounds([data, *earlier]) if earlier else data,
            "recipe": self.recipe(),
            "steps": step,
            "seed": plan.seed,
            "hardware": describe_hardware(),
            "wall_time_seconds": self._details()["seconds"],
            "versions": describe_versions(),
            "metrics": dict(metrics or {}),
        }
        return saving.save_preset(
            self.model,
            plan.folder / name,
            training=record,
            samples_dir=samples if samples.is_dir() else None,
        )

    def _make_model(self) -> Any:
        plan = self.plan
        keras.utils.set_random_seed(plan.seed)
        # The arguments of a resumed run name its policy as well.
        arguments = {**plan.arguments, "dtype": plan.policy}
        model = plan.model_class(**arguments)
        loaded = plan.stems & set(model.preset_weights)
        if loaded:
            saving.load_preset_weights(model, plan.origin.path, weights=loaded)
        model.compile_for_run(
            plan.steps, plan.seed, loaded, **plan.compile_options
        )
        return model

    def _open(self) -> None:
        """Begins the folder, or goes back to the newest checkpoint."""
        plan, say = self.plan, self.progress.say
        if not plan.resume:
            if plan.grown_from:
                carry_stage(self.model, plan.grown_from)
            if self.chief:
                begin_run(
                    plan.folder,
                    plan.options,
                    self.model.get_config(),
                    plan.dataset,
                    plan.held_out,
                )
            if not self.quiet:
                self._introduce()
            return
        folder = self.checkpoints.checkpoints
        if self.chief:
            folder.remove_leftovers()
            # Presets that a killed process was writing.
            for leftover in plan.folder.glob(".*.saving"):
                shutil.rmtree(leftover, ignore_errors=True)
        restored = folder.restore(self.model)
        if restored is not None:
            self.start = restored.step
            self._seconds = restored.details["seconds"]
            self.best = restored.details.get("best")
        elif plan.grown_from:
            carry_stage(self.model, plan.grown_from)
        for problem in folder.problems:
            say(problem, "yellow")
        say(f"Continuing at step {self.start} of {plan.steps}.")

    def _introduce(self) -> None:
        plan, say = self.plan, self.progress.say
        if plan.grown_from:
            before = Path(plan.grown_from).name
            say(f"{plan.folder.name} begins with what {before} has learnt.")
        say(plan.dataset.report())
        say(plan.describe_held_out())
        new = sorted(set(self.model.preset_weights) - plan.origin.stems)
        if plan.origin.path and new:
            say(
                f"The preset holds no {', no '.join(new)}: a new one begins, "
                "and needs some thousand steps to catch up.",
                "yellow",
            )

    def _details(self) -> dict[str, Any]:
        seconds = self._seconds + time.monotonic() - self._began
        return {"seconds": round(seconds, 1), "best": self.best}

    def _alarm(self, name: str, advice: str) -> None:
        self.log.event(name, advice)
        step = self.progress.step
        self.progress.say(f"Alarm at step {step}: {name}: {advice}", "red")

    def _evaluated(self, step: int, figures: dict[str, float]) -> None:
        chosen = self.plan.keep_best
        self.log.numbers({PREFIX + name: x for name, x in figures.items()})
        text = ", ".join(
            in_words(name, figures[name])
            for name in dict.fromkeys((*SHOWN, chosen))
            if name in figures
        )
        self.progress.say(f"Step {step}: {text}")
        self.look_at_figures(figures)
        if is_better(chosen, figures[chosen], self.best):
            self.best = figures[chosen]
            beside = {"beside": "sound heard in training"}
            metrics = {
                name: {"value": x, **beside} for name, x in figures.items()
            }
            self.export(step, "best", metrics)
