"""Labelled recordings in memory: reading, splitting, placing in slices."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_audiogan.audio.files import AudioFileError, read_audio
from keras_audiogan.audio.spectra import to_mono

SOUND_SUFFIXES = {".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff"}


class LabelledClips(NamedTuple):
    """Recordings of differing lengths, and the index of each one's label.

    Attributes:
        clips: 1-D float32 arrays of peak 1.
        targets: Index (n,) of each clip's label.
        paths: Each file's path below the data folder.
        sampling_rate: The rate of the clips in Hz.
        skipped: Why a file was left out, by path.
    """

    clips: list[np.ndarray]
    targets: np.ndarray
    paths: list[str]
    sampling_rate: int
    skipped: dict[str, str]


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
    clips: list[np.ndarray] = []
    targets: list[int] = []
    kept: list[str] = []
    skipped: dict[str, str] = {}
    for path in paths:
        relative = path.relative_to(folder)
        try:
            audio, _ = read_audio(path, sampling_rate)
        except AudioFileError as error:
            skipped[relative.as_posix()] = error.reason
            continue
        mono = to_mono(audio)
        if not np.isfinite(mono).all() or not mono.any():
            skipped[relative.as_posix()] = "silent, or not finite numbers"
            continue
        clips.append(mono / np.abs(mono).max())
        targets.append(names.index(relative.parts[0]))
        kept.append(relative.as_posix())
    return (
        LabelledClips(clips, np.array(targets), kept, sampling_rate, skipped),
        names,
    )


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
        data.sampling_rate,
        data.skipped,
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
