"""Names of files and labels, as they are shown and compared."""

import codecs
import os
import unicodedata
from collections.abc import Iterable

# How a text file begins that Git leaves where a large file belongs.
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
LFS_REASON = "a Git LFS pointer, not the file itself"
LFS_ADVICE = "Fetch it with `git lfs pull` in the repository it comes from"


def shown(path: str | os.PathLike[str]) -> str:
    r"""Returns a name as it can be printed and stored everywhere.

    Bytes of a file name that are no UTF-8, such as Latin-1 from an old
    archive, are written `\xe9`.
    """
    data = os.fspath(path).encode("utf-8", "surrogateescape")
    return data.decode("utf-8", "backslashreplace")


def composed(name: str) -> str:
    """Returns a name in the form in which names are compared.

    An accent can be written as a letter or behind one (macOS); both look the
    same, and both become the letter (Unicode's NFC). What is no UTF-8 is
    escaped as by `shown`.
    """
    return unicodedata.normalize("NFC", shown(name))


def same_name(name: str, known: Iterable[str]) -> str | None:
    """Returns the one of the `known` names that looks like `name`, if any."""
    wanted = composed(name)
    return next((each for each in known if composed(each) == wanted), None)


def native(path: str | os.PathLike[str]) -> str | bytes:
    """Returns a path as a library in C takes it: on POSIX, its bytes."""
    return os.fspath(path) if os.name == "nt" else os.fsencode(path)


# The way to encode text that may hold such names: no character fails.
SHOWN = "keras_audiogan.shown"


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    escaped = "".join(
        f"\\x{ord(character) - 0xDC00:02x}"
        if 0xDC80 <= ord(character) <= 0xDCFF
        else character.encode("ascii", "backslashreplace").decode()
        for character in text
    )
    return escaped, error.end


codecs.register_error(SHOWN, _escape)
