"""Trains a word classifier on a folder of labelled sounds.

Run it as

    python -m keras_audiogan.metrics.train_classifier DATA --output DIR
"""

import argparse
import hashlib
import os
import platform
import shlex
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from keras_audiogan.metrics.augmentation import (
    Augmentation,
    augmented_batches,
)
from keras_audiogan.metrics.class_scores import (
    class_accuracy,
    confusion_matrix,
    inception_score,
)
from keras_audiogan.metrics.labelled_clips import (
    LabelledClips,
    place_clips,
    read_labelled_clips,
    split_clips,
)


def train_word_classifier(
    data: str | Path,
    output: str | Path | None = None,
    *,
    label_names: Sequence[str] | None = None,
    test_pattern: str | None = None,
    sampling_rate: int = 8000,
    slice_length: int = 8192,
    epochs: int = 24,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    weight_decay: float = 0.02,
    augmentation: Augmentation | None = None,
    seed: int = 0,
    data_credits: dict[str, str] | None = None,
    notes: Sequence[str] = (),
    report: Callable[[str], None] = print,
):
    """Trains a `DigitClassifier` on a folder of labelled recordings.

    Args:
        data: Folder with one sub-folder of recordings per label.
        output: Preset folder to write; None writes nothing.
        label_names: A name for each sub-folder, in sorted order; by default
            the sub-folders' names, and "zero" to "nine" for 0 to 9.
        test_pattern: See `split_clips`.
        sampling_rate: Rate the model works at, in Hz.
        slice_length: Samples the model looks at.
        epochs: Passes over the training recordings.
        batch_size: Clips per step.
        learning_rate: Highest rate; it warms up and follows a cosine to 0.
        weight_decay: Decoupled weight decay of AdamW.
        augmentation: Strengths of the random changes.
        seed: Seed of weights, order and augmentation.
        data_credits: Name, license and url of the data.
        notes: What was tried, for the card.
        report: Called with each line of progress.

    Returns:
        The trained model and the `training.json` dictionary.
    """
    import keras

    from keras_audiogan.models.digit_classifier import DigitClassifier

    options = augmentation or Augmentation()
    keras.utils.set_random_seed(seed)
    everything, names = read_labelled_clips(data, sampling_rate)
    label_names = label_names_of(names, label_names)
    train, test = split_clips(everything, test_pattern)
    report(
        f"{len(train.clips)} recordings to train on, {len(test.clips)} to "
        f"test on, {len(everything.skipped)} skipped"
    )
    for path, reason in everything.skipped.items():
        report(f"skipped {path}: {reason}")
    model = DigitClassifier(
        label_names, sampling_rate=sampling_rate, slice_length=slice_length
    )
    batches = augmented_batches(
        train, slice_length, sampling_rate, batch_size, options, seed
    )
    steps = epochs * len(batches)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, steps - steps // 10),
        warmup_target=learning_rate,
        warmup_steps=max(1, steps // 10),
    )
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=weight_decay))
    started = time.perf_counter()

    def report_epoch(epoch, logs):
        report(
            f"epoch {epoch + 1}/{epochs}: loss {logs['loss']:.4f}, "
            f"accuracy {logs['accuracy']:.4f}"
        )

    model.fit(
        batches,
        epochs=epochs,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=report_epoch)],
    )
    seconds = time.perf_counter() - started
    metrics = classifier_metrics(model, test)
    metrics["test_accuracy"]["command"] = _command(test_pattern, epochs, seed)
    for name, entry in metrics.items():
        report(f"{name}: {entry['value']}")
    record = {
        "data": {
            **describe_data(train),
            "num_skipped": len(everything.skipped),
            **(data_credits or {}),
        },
        "recipe": {
            "architecture": "digit_classifier",
            "optimizer": "adamw",
            "learning_rate": learning_rate,
            "learning_rate_schedule": "10 % warm-up, then cosine to 0",
            "weight_decay": weight_decay,
            "epochs": epochs,
            "batch_size": batch_size,
            "test_pattern": test_pattern,
            "augmentation": options._asdict(),
        },
        "steps": steps,
        "seed": seed,
        "hardware": describe_hardware(),
        "wall_time_seconds": round(seconds, 1),
        "versions": describe_versions(),
        "metrics": metrics,
        "notes": list(notes),
    }
    if output is not None:
        from keras_audiogan.saving import save_preset

        save_preset(model, output, training=record, storage_dtype="float16")
    return model, record


def _command(test_pattern: str | None, epochs: int, seed: int) -> str:
    words = ["python", "-m", "keras_audiogan.metrics.train_classifier", "DATA"]
    if test_pattern is not None:
        words += ["--test-pattern", test_pattern]
    words += ["--epochs", str(epochs), "--seed", str(seed), "--output", "DIR"]
    return shlex.join(words)


def label_names_of(
    folder_names: Sequence[str], label_names: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Returns the labels for sub-folders: given, in words, or their names.

    Args:
        folder_names: The sub-folders, sorted.
        label_names: A name for each; None takes the folder's own, and
            "zero" to "nine" where they are 0 to 9.

    Raises:
        ValueError: Another number of names than of folders.
    """
    from keras_audiogan.models.digit_classifier import DIGIT_NAMES

    if label_names is None:
        are_digits = list(folder_names) == [str(x) for x in range(10)]
        return DIGIT_NAMES if are_digits else tuple(folder_names)
    if len(label_names) != len(folder_names):
        raise ValueError(
            f"There must be one label name for each of {list(folder_names)}. "
            f"Received: {list(label_names)}"
        )
    return tuple(label_names)


def classifier_metrics(
    model: Any, test: LabelledClips
) -> dict[str, dict[str, Any]]:
    """Accuracy of an `AudioClassifier` on labelled recordings.

    Args:
        model: The classifier.
        test: Recordings at its rate.

    Returns:
        Accuracy with recordings placed at the first sample (as generated
        clips are) and centred, their confusion matrix, and the inception
        score of the recordings: the ceiling of a generator's.
    """
    probabilities = model.predict_proba(
        place_clips(test.clips, model.slice_length)
    )
    heard = probabilities.argmax(axis=1)
    centred = model.predict_logits(
        place_clips(test.clips, model.slice_length, None)
    ).argmax(axis=1)
    matrix = confusion_matrix(test.targets, heard, model.num_classes)
    return {
        "test_accuracy": {
            "value": round(class_accuracy(test.targets, heard), 4),
            "num_recordings": len(test.clips),
            "placement": "from the first sample, zeros after",
        },
        "test_accuracy_centred": {
            "value": round(class_accuracy(test.targets, centred), 4),
            "num_recordings": len(test.clips),
        },
        "test_inception_score": {
            "value": round(inception_score(probabilities, 1)[0], 4),
            "num_splits": 1,
            "num_recordings": len(test.clips),
        },
        "confusion": {
            "value": matrix.tolist(),
            "rows": "spoken",
            "columns": "heard",
        },
    }


def describe_data(data: LabelledClips) -> dict[str, Any]:
    """Returns number, hours and a hash of recordings, for `training.json`."""
    digest = hashlib.sha256()
    seconds = 0.0
    for path, clip in zip(data.paths, data.clips, strict=True):
        digest.update(f"{path}\n{len(clip)}\n".encode())
        digest.update(np.round(clip * 32767).astype("<i2").tobytes())
        seconds += len(clip) / data.sampling_rate
    return {
        "num_files": len(data.clips),
        "hours": round(seconds / 3600, 4),
        "hash": f"sha256:{digest.hexdigest()}",
    }


def describe_hardware() -> str:
    """Returns the machine in words: its processor and how many of them."""
    name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} CPUs"


def describe_versions() -> dict[str, str]:
    """Returns the versions of Python and of the libraries in use."""
    import keras

    names = ["keras-audiogan", "keras", keras.backend.backend(), "numpy"]
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m keras_audiogan.metrics.train_classifier",
        description="Train a word classifier on labelled recordings.",
    )
    parser.add_argument("data", help="folder with one sub-folder per label")
    parser.add_argument("--output", help="preset folder to write")
    parser.add_argument(
        "--test-pattern",
        help="regular expression of the paths to test on (FSDD's official "
        r"split: '_[0-4]\.'; by default every tenth file of a label)",
    )
    parser.add_argument("--label-names", help="names, separated by commas")
    parser.add_argument("--sampling-rate", type=int, default=8000)
    parser.add_argument("--slice-length", type=int, default=8192)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    for name in ("name", "license", "url"):
        parser.add_argument(
            f"--data-{name}", help=f"{name} of the data, for the card"
        )
    parser.add_argument(
        "--note",
        dest="notes",
        action="append",
        default=[],
        help="a line for the card; may be repeated",
    )
    options = vars(parser.parse_args(arguments))
    if options["label_names"] is not None:
        options["label_names"] = options["label_names"].split(",")
    given = {
        name: options.pop(f"data_{name}") for name in ("name", "license", "url")
    }
    options["data_credits"] = {k: v for k, v in given.items() if v}
    train_word_classifier(**options)


if __name__ == "__main__":
    main()
