"""The errors of the converters."""

import pathlib

from keras_audiogan._names import LFS_ADVICE, LFS_POINTER, LFS_REASON


class ConversionError(ValueError):
    """A checkpoint cannot be read, or is not one that converts.

    The message names the file, and the tensor where there is one.
    """


class MissingPackageError(ConversionError):
    """Reading such files needs a package that is not installed."""


def refuse_pointer(path: pathlib.Path) -> None:
    """Raises a `ConversionError` if Git has left a pointer for a file."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise ConversionError(f"{path} is {LFS_REASON}. {LFS_ADVICE}.")
