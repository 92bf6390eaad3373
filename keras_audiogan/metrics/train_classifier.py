"""Trains a word classifier on a folder of labelled sounds.

Run it as

    python -m keras_audiogan.metrics.train_classifier DATA --output DIR
"""

import argparse
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SOUND_SUFFIXES = {".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff"}


class LabelledClips(NamedTuple):
    """Recordings of differing lengths, and the index of each one's label."""

    clips: list[np.ndarray]
    targets: np.ndarray
    paths: list[str]


class Augmentation(NamedTuple):
    """Strengths of the random changes made to training clips.

    Attributes:
        max_speed_change: Speed and pitch change by up to this fraction.
        max_shift: Clips start up to this many seconds late.
        min_gain: Lowest random gain; the highest is 1.
        max_noise: Loudest added white noise, as a fraction of full scale.
        anywhere: Fraction of clips put anywhere in the slice.
        mixup: Fraction of clips mixed with a quiet other clip.
    """

    max_speed_change: float = 0.1
    max_shift: float = 0.1
    min_gain: float = 0.1
    max_noise: float = 0.02
    anywhere: float = 0.2
    mixup: float = 0.0


def read_labelled_clips(
    folder: str | Path, sampling_rate: int
) -> tuple[LabelledClips, list[str]]:
    """Reads every recording of a folder with one sub-folder per label.

    Recordings are averaged to mono, resampled and scaled to a peak of 1.

    Args:
        folder: The folder; its sub-folders' names are the labels.
        sampling_rate: The wanted rate in Hz.

    Returns:
        The clips, sorted by path, and the sub-folders' names, sorted.

    Raises:
        ValueError: Fewer than two sub-folders hold sound.
    """
    import soundfile
    import soxr

    folder = Path(folder)
    paths = sorted(
        path
        for path in folder.glob("*/**/*")
        if path.suffix.lower() in SOUND_SUFFIXES and path.is_file()
    )
    names = sorted({path.relative_to(folder).parts[0] for path in paths})
    if len(names) < 2:
        raise ValueError(
            "Training a classifier needs a folder with one sub-folder of "
            f"sound files per label. Received: {folder}, where "
            f"{names or 'no sub-folder'} holds sound."
        )
    clips, targets, kept = [], [], []
    for path in paths:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        audio = audio.mean(axis=1)
        if rate != sampling_rate:
            audio = soxr.resample(audio, rate, sampling_rate)
        peak = np.abs(audio).max(initial=0.0)
        if not peak > 0:
            continue
        clips.append(audio / peak)
        relative = path.relative_to(folder)
        targets.append(names.index(relative.parts[0]))
        kept.append(str(relative))
    return LabelledClips(clips, np.array(targets), kept), names


def split_clips(
    data: LabelledClips, test_pattern: str | None
) -> tuple[LabelledClips, LabelledClips]:
    """Splits recordings into training and test ones.

    Args:
        data: All recordings.
        test_pattern: Regular expression searched in each path, relative to
            the data folder; what matches is for testing. None takes every
            tenth recording of each label.

    Raises:
        ValueError: One of the two parts is empty.
    """
    if test_pattern is None:
        is_test = np.zeros(len(data.paths), bool)
        for target in np.unique(data.targets):
            is_test[np.flatnonzero(data.targets == target)[::10]] = True
    else:
        expression = re.compile(test_pattern)
        is_test = np.array([bool(expression.search(p)) for p in data.paths])
    if is_test.all() or not is_test.any():
        raise ValueError(
            "The test pattern must leave recordings to train on and to test "
            f"on. Received: {test_pattern!r}, which matches "
            f"{is_test.sum()} of {len(is_test)} files."
        )
    return _subset(data, ~is_test), _subset(data, is_test)


def _subset(data: LabelledClips, chosen: np.ndarray) -> LabelledClips:
    indices = np.flatnonzero(chosen)
    return LabelledClips(
        [data.clips[i] for i in indices],
        data.targets[indices],
        [data.paths[i] for i in indices],
    )


def place_clips(
    clips: Sequence[np.ndarray], slice_length: int, starts: int | None = 0
) -> np.ndarray:
    """Returns clips (n, slice_length, 1): each from sample `starts`, cut.

    Args:
        clips: 1-D arrays.
        slice_length: Samples of every slice.
        starts: Where every clip begins, in samples; None centres it.
    """
    slices = np.zeros((len(clips), slice_length, 1), "float32")
    for row, clip in zip(slices, clips, strict=True):
        start = starts
        if start is None:
            start = max(0, (slice_length - len(clip)) // 2)
        clip = clip[: slice_length - start]
        row[start : start + len(clip), 0] = clip
    return slices


def augment_clip(
    clip: np.ndarray,
    slice_length: int,
    sampling_rate: int,
    options: Augmentation,
    random: np.random.Generator,
) -> np.ndarray:
    """Returns one randomly changed slice (slice_length,) of a clip."""
    speed = 1 + options.max_speed_change * random.uniform(-1, 1)
    positions = np.arange(0, len(clip) - 1, speed)
    clip = np.interp(positions, np.arange(len(clip)), clip)
    draw = random.uniform()
    if draw < options.anywhere:
        start = random.integers(0, max(1, slice_length - len(clip)))
    elif draw < (1 + options.anywhere) / 2:
        start = random.integers(0, int(options.max_shift * sampling_rate) + 1)
    else:
        start = 0
    noise_level = options.max_noise * 10 ** random.uniform(-3, 0)
    noise = noise_level * random.standard_normal(slice_length)
    if random.uniform() < 0.5:
        # Generators are silent after the word: noise in half the clips
        # stops where the word does, so that neither end is a giveaway.
        noise[start + len(clip) :] = 0
    piece = clip[: slice_length - start]
    noise[start : start + len(piece)] += piece
    return (noise * random.uniform(options.min_gain, 1)).astype("float32")


def augmented_batches(
    data: LabelledClips,
    slice_length: int,
    sampling_rate: int,
    batch_size: int,
    options: Augmentation,
    seed: int,
):
    """Returns a `keras.utils.PyDataset` of augmented batches.

    Batch i of epoch e depends on (seed, e, i) alone.
    """
    import keras

    class AugmentedBatches(keras.utils.PyDataset):
        def __init__(self):
            super().__init__()
            self.epoch = 0
            self.order = self.shuffled()

        def shuffled(self):
            random = np.random.default_rng((seed, self.epoch))
            return random.permutation(len(data.clips))

        def __len__(self):
            return max(1, len(data.clips) // batch_size)

        def __getitem__(self, index):
            chosen = self.order[index * batch_size : (index + 1) * batch_size]
            random = np.random.default_rng((seed, self.epoch, index))
            audio = [
                augment_clip(
                    data.clips[i], slice_length, sampling_rate, options, random
                )
                for i in chosen
            ]
            return np.stack(audio)[..., np.newaxis], data.targets[chosen]

        def on_epoch_end(self):
            self.epoch += 1
            self.order = self.shuffled()

    return AugmentedBatches()


def train_classifier(
    data: str | Path,
    output: str | Path | None = None,
    *,
    label_names: Sequence[str] | None = None,
    test_pattern: str | None = None,
    sampling_rate: int = 8000,
    slice_length: int = 8192,
    epochs: int = 40,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    weight_decay: float = 0.02,
    augmentation: Augmentation | None = None,
    seed: int = 0,
    training: dict[str, Any] | None = None,
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
        training: More entries for `training.json` (data, notes ...).
        report: Called with each line of progress.

    Returns:
        The trained model and the `training.json` dictionary.
    """
    import keras

    from keras_audiogan.metrics.class_scores import confusion_matrix
    from keras_audiogan.models.digit_classifier import (
        DIGIT_NAMES,
        DigitClassifier,
    )

    options = augmentation or Augmentation()
    keras.utils.set_random_seed(seed)
    everything, names = read_labelled_clips(data, sampling_rate)
    if label_names is None:
        are_digits = names == [str(digit) for digit in range(10)]
        label_names = DIGIT_NAMES if are_digits else names
    if len(label_names) != len(names):
        raise ValueError(
            f"There must be one label name for each of {names}. "
            f"Received: {list(label_names)}"
        )
    train, test = split_clips(everything, test_pattern)
    report(f"{len(train.clips)} recordings to train on, {len(test.clips)} to")
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
    test_slices = place_clips(test.clips, slice_length)
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
    predicted = model.predict_logits(test_slices).argmax(axis=1)
    centred = place_clips(test.clips, slice_length, None)
    metrics = {
        "test_accuracy": {
            "value": float((predicted == test.targets).mean()),
            "num_recordings": len(test.clips),
            "placement": "from the first sample, zeros after",
        },
        "test_accuracy_centred": {
            "value": float(
                (
                    model.predict_logits(centred).argmax(axis=1) == test.targets
                ).mean()
            ),
        },
        "confusion": {
            "value": confusion_matrix(
                test.targets, predicted, len(names)
            ).tolist(),
            "rows": "spoken",
            "columns": "heard",
        },
    }
    for name, entry in metrics.items():
        report(f"{name}: {entry['value']}")
    record = {
        "data": {
            "num_files": len(train.clips),
            "hours": round(
                sum(map(len, train.clips)) / sampling_rate / 3600, 4
            ),
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
        "wall_time_seconds": round(seconds, 1),
        "metrics": metrics,
        **(training or {}),
    }
    if output is not None:
        from keras_audiogan.saving import save_preset

        save_preset(model, output, training=record, storage_dtype="float16")
    return model, record


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
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = vars(parser.parse_args(arguments))
    if options["label_names"] is not None:
        options["label_names"] = options["label_names"].split(",")
    _, record = train_classifier(**options)
    print(json.dumps(record["metrics"]))


if __name__ == "__main__":
    main()
