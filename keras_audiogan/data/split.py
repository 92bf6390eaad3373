"""Parts of a data set: files held out of training, files of some labels."""

from collections.abc import Sequence

import numpy as np

from keras_audiogan.data.folder import AudioFolder
from keras_audiogan.data.heard import lots
from keras_audiogan.data.walk import AudioFolderError, matches

EVERY = 10


def hold_out(
    folder: AudioFolder, pattern: str | float | None = None
) -> tuple[AudioFolder, AudioFolder]:
    """Splits a data set into files to train on and files to test on.

    Both parts keep the labels of the whole; what was skipped is listed by
    the first.

    Args:
        folder: The whole data set.
        pattern: Pattern (`*`, `?`, `[...]`) of the names of the files to
            test on, relative to the folder, e.g. `"*_[0-4].wav"`. None and
            `"tenth"` take every tenth file of each label, the first one
            included; `"last-tenth"` takes the last tenth of the files of
            each, in the order of their names. A number is a part, such as
            0.1, that what is in the files decides: whichever others are
            there and whatever they are called, the same ones are held out.
            A label with two files or more has at least one on either side;
            of a single file nothing is held out.

    Returns:
        The files to train on, and those to test on.

    Raises:
        AudioFolderError: If one of the two parts would be empty, and
            `pattern` is no number.
        ValueError: If it is a number that is not from 0 to below 1.
    """
    if isinstance(pattern, int | float):
        return _parts(folder, _drawn(folder, pattern))
    is_test = np.zeros(folder.num_files, bool)
    of_label: dict[int | None, list[int]] = {}
    for index, entry in enumerate(folder.files):
        of_label.setdefault(entry.label, []).append(index)
        is_test[index] = matches(entry.name, pattern, False)
    for indices in of_label.values():
        if pattern == "last-tenth":
            is_test[indices[len(indices) - len(indices) // EVERY :]] = True
        elif pattern in (None, "tenth") and (
            # A label's only file is worth more in training.
            len(indices) > 1 or len(of_label) == 1
        ):
            is_test[indices[::EVERY]] = True
    if is_test.all() or not is_test.any():
        raise AudioFolderError(
            "A data set is split in files to train on and files to test on, "
            f"and one part would be empty: {is_test.sum()} of the "
            f"{len(is_test)} files in {', '.join(folder.roots)} would be for "
            f"the test. Received: test={pattern!r}."
        )
    return _parts(folder, is_test)


def _parts(
    folder: AudioFolder, is_test: np.ndarray
) -> tuple[AudioFolder, AudioFolder]:
    train, test = (
        folder.subset(np.flatnonzero(chosen)) for chosen in (~is_test, is_test)
    )
    test.skipped = []
    return train, test


def _drawn(folder: AudioFolder, part: float) -> np.ndarray:
    """Whether each file is among the part of its label that is held out."""
    if not 0.0 <= part < 1.0:
        raise ValueError(
            "The part of the files to hold out is from 0 to below 1. "
            f"Received: {part}"
        )
    if part == 0.0:
        return np.zeros(folder.num_files, bool)
    numbers = lots(folder)
    is_test = numbers < part
    labels = np.array(
        [-1 if entry.label is None else entry.label for entry in folder.files]
    )
    for label in np.unique(labels):
        own = labels == label
        # A file that is there twice has one number.
        least, most = numbers[own].min(), numbers[own].max()
        if least == most:
            is_test[own] = False
        elif not is_test[own].any():
            is_test |= own & (numbers == least)
        elif is_test[own].all():
            is_test &= ~(own & (numbers == most))
    return is_test


def with_labels(folder: AudioFolder, labels: Sequence[str]) -> AudioFolder:
    """Returns the files of a data set that have one of some labels.

    A folder belongs to the label of the same name, and a folder called 0 to
    9 also to that number in words.

    Returns:
        The data set with those files, its labels named as in `labels` and
        in that order; without files if no folder has such a label.
    """
    names = folder.names_like(labels)
    return folder.relabelled(names, [name for name in labels if name in names])
