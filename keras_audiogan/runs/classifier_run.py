"""Training classifiers: random changes to the clips, a test at the end."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_audiogan.data import AudioDataset
from keras_audiogan.data.keras_feed import KerasFeed
from keras_audiogan.data.prefetch import BatchIterator
from keras_audiogan.metrics.class_scores import class_accuracy
from keras_audiogan.metrics.classifier_scores import (
    by_recording,
    classifier_metrics,
)
from keras_audiogan.models.audio_classifier import AudioClassifier
from keras_audiogan.runs.augmentation import Augmentation, augment_batch
from keras_audiogan.runs.options import defaults_of
from keras_audiogan.runs.run_log import RunLog
from keras_audiogan.runs.trainer import Trainer

AUGMENTATION = Augmentation()
# Keys of the random stream of augmentation.
_AUGMENT = 4


class ClassifierTrainer(Trainer):
    """Trains a classifier and tests it on the recordings held out.

    Every batch is a function of the seed and the step: clips are changed at
    random in speed, place, level and noise; not in speed where the classifier
    hears pitches. There are no previews, and the preset is written when it
    was tested.
    """

    def feed(self) -> KerasFeed:
        """Returns batches of changed clips."""
        return classifier_feed(
            self.plan.dataset, self.start, self._augmentation()
        )

    def watchers(self) -> list[keras.callbacks.Callback]:
        """Returns the log alone."""
        self.log = RunLog(self.plan.folder, every=self.plan.log_every)
        return [StepNumbers(), self.log]

    def on_checkpoint(self, step: int, path: Path) -> None:
        """Exports nothing that was not tested."""

    def finish(self, step: int) -> dict[str, Any]:
        """Tests the classifier, and writes the preset."""
        metrics = self._measured()
        self.export(step, metrics=metrics)
        return metrics

    def recipe(self) -> dict[str, Any]:
        """Returns how it was trained, with the random changes."""
        augmentation = self._augmentation()._asdict()
        return {**super().recipe(), "augmentation": augmentation}

    def data_record(self) -> dict[str, Any]:
        """Returns what it was trained on, with the files of each label."""
        folder = self.plan.dataset.folder
        return {
            **super().data_record(),
            "files_per_label": folder.class_counts,
            "num_skipped": len(folder.skipped),
        }

    def _augmentation(self) -> Augmentation:
        if self.plan.arguments.get("keep_frequencies"):
            return AUGMENTATION._replace(max_speed_change=0.0)
        return AUGMENTATION

    def _measured(self) -> dict[str, Any]:
        plan, train = self.plan, self.plan.dataset
        test = AudioDataset(
            plan.held_out,
            train.slice_length,
            train.sampling_rate,
            train.num_channels,
            mode=train.plan.mode,
            overlap=train.overlap,
            labels=True,
        )
        # What is stored in float16 is what shall be measured, in float32.
        stored = plan.model_class(**plan.arguments)
        stored.set_weights(
            [
                np.asarray(weight, "float16").astype("float32")
                for weight in self.model.get_weights()
            ]
        )
        probabilities, targets = recordings_heard(stored, test)
        metrics = classifier_metrics(
            probabilities, targets, stored.labels, seed=plan.seed
        )
        for name in ("test_accuracy", "test_balanced_accuracy"):
            metrics[name]["command"] = command_of(
                plan.options, plan.model_class
            )
        if test.plan.mode == "pad":
            late = stored.slice_length // 16
            shifted, _ = recordings_heard(stored, test, late)
            accuracy = class_accuracy(targets, shifted.argmax(axis=1))
            metrics["test_accuracy_late"] = {
                "value": round(accuracy, 4),
                "num_recordings": len(targets),
                "late_by": f"{late} samples",
            }
        return metrics


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


def command_of(options: Mapping[str, Any], model_class: Any) -> str:
    """Returns the command line that trains a classifier like this.

    Args:
        options: The run's options, as `TrainingOptions.as_json` gives them.
        model_class: The classifier's class.
    """
    words = ["audiogan", "train", str(options["architecture"]), "DATA"]
    words += ["-o", "RUN"]
    for name, value in (options["model"] or {}).items():
        shown = value if isinstance(value, str) else json.dumps(value)
        words += ["--set", f"{name}={shown}"]
    defaults = defaults_of(model_class)
    skipped = ("architecture", "model", "data", "precision")
    for name, value in options.items():
        if name in skipped or name.startswith(("data_", "checkpoint", "keep")):
            continue
        if name == "steps" and options["epochs"] is not None:
            continue
        if value is None or value == defaults.get(name):
            continue
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, list):
            words += [flag, ",".join(map(str, value))]
        else:
            words += [flag, str(value)]
    return shlex.join(words)


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
