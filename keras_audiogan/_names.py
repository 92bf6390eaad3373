"""Names of files and labels, as they are shown and compared."""

import os
import unicodedata

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
    same, and both become the letter (Unicode's NFC).
    """
    return unicodedata.normalize("NFC", name)
