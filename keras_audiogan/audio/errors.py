"""What is wrong with a sound file."""

import os

from keras_audiogan._names import shown

PathLike = str | os.PathLike[str]


class AudioFileError(ValueError):
    """A sound file cannot be read or written.

    Attributes:
        path: The file.
        reason: What is wrong with it, in a few words.
    """

    def __init__(self, path: PathLike, reason: str) -> None:
        """Args: `path` of the file and the `reason`."""
        super().__init__(path, reason)
        self.path = os.fspath(path)
        self.reason = reason

    def __str__(self) -> str:
        """The file and the reason in one line."""
        return f"{shown(self.path)}: {self.reason}"
