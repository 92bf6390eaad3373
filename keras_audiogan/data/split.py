"""Part of a data set held out, to be measured on what was not trained on."""

import numpy as np

from keras_audiogan.data.folder import AudioFolder
from keras_audiogan.data.walk import AudioFolderError, matches

EVERY = 10


def hold_out(
    folder: AudioFolder, pattern: str | None = None
) -> tuple[AudioFolder, AudioFolder]:
    """Splits a data set into files to train on and files to test on.

    Both parts keep the labels of the whole; what was skipped is listed by
    the first.

    Args:
        folder: The whole data set.
        pattern: Pattern (`*`, `?`, `[...]`) of the names of the files to
            test on, relative to the folder, e.g. `"*_[0-4].wav"`. None takes
            every tenth file of each label, the first one included.

    Returns:
        The files to train on, and those to test on.

    Raises:
        AudioFolderError: If one of the two parts would be empty.
    """
    is_test = np.zeros(folder.num_files, bool)
    if pattern is None:
        seen: dict[int | None, int] = {}
        for index, entry in enumerate(folder.files):
            count = seen.get(entry.label, 0)
            seen[entry.label] = count + 1
            # A label's only file is worth more in training.
            is_test[index] = count % EVERY == 0
        for label, count in seen.items():
            if count == 1 and len(seen) > 1:
                is_test[[entry.label == label for entry in folder.files]] = 0
    else:
        is_test[:] = [
            matches(entry.name, pattern, False) for entry in folder.files
        ]
    if is_test.all() or not is_test.any():
        raise AudioFolderError(
            "A data set is split in files to train on and files to test on, "
            f"and one part would be empty: {is_test.sum()} of the "
            f"{len(is_test)} files in {', '.join(folder.roots)} would be for "
            f"the test. Received: test={pattern!r}."
        )
    train, test = (
        folder.subset(np.flatnonzero(chosen)) for chosen in (~is_test, is_test)
    )
    test.skipped = []
    return train, test
