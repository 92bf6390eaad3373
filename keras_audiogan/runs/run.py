"""A training run: from options and a folder of sounds to a preset.

```
run/
    run.lock         the process that works here, while it does
    options.json     resolved options and the model's arguments
    data.json        what was found, skipped, held out, and how it is cut
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

import contextlib

import keras

from keras_audiogan.runs.classifier_run import ClassifierTrainer
from keras_audiogan.runs.memory import check_memory
from keras_audiogan.runs.options import TrainingOptions
from keras_audiogan.runs.plan import make_plan
from keras_audiogan.runs.run_lock import check_not_in_use, run_lock
from keras_audiogan.runs.run_records import stored_run
from keras_audiogan.runs.trainer import RunResult, Trainer
from keras_audiogan.training.distribution import get_distribution

# Tasks that need more than the hooks of a model's class.
TRAINERS: dict[str, type[Trainer]] = {"classify": ClassifierTrainer}


def describe_run(options: TrainingOptions) -> str:
    """Scans the data and says what `run_training` would do.

    Args:
        options: See `TrainingOptions`.

    Returns:
        Lines for people: the data, how it is cut, the resolved options.

    Raises:
        ValueError: As `run_training`.
    """
    return make_plan(options).describe()


def run_training(options: TrainingOptions, *, quiet: bool = False) -> RunResult:
    """Trains a model on a folder of sounds, or continues to.

    Ctrl-C, SIGTERM and SIGHUP (unless it is ignored) end it after the current
    step, with a checkpoint (and the preset, of a generator); `resume`
    continues. While it lasts, no other process may use its folder. On one CPU with
    TensorFlow in float32 the resumed run's weights equal those of an
    uninterrupted one bit for bit.

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
        RunInUseError: If another process works in the folder.
        OSError: If the disk is full or the like; what was saved before stays.
    """
    _check_floatx()
    check_not_in_use(options.folder)
    plan = make_plan(options)
    check_memory(plan)
    distribution = get_distribution(plan.distribute or None)
    distribution.check_batch(plan.dataset.batch_size)
    with contextlib.ExitStack() as stack:
        if distribution.is_chief:
            stack.enter_context(run_lock(plan.folder))
            # Another process may have begun one meanwhile.
            stored_run(options)
        stack.enter_context(distribution.scope())
        trainer = TRAINERS.get(plan.model_class.task, Trainer)
        return trainer(plan, distribution, quiet).train()


def _check_floatx() -> None:
    """Refuses what would end in an error of types in the first step."""
    if keras.config.floatx() != "float32":
        raise ValueError(
            "Training needs Keras's `floatx` to be float32, by "
            "keras.config.set_floatx or in its settings file keras.json; what "
            "the networks compute in is the `precision`. "
            f"Received: floatx={keras.config.floatx()!r}"
        )
