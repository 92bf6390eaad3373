"""Finds files that are named like sound in nested folders."""

import collections
import fnmatch
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from keras_audiogan._names import composed, shown

# What archives and desktops leave behind.
_IGNORED_FOLDERS = {"__MACOSX", "__pycache__", "$RECYCLE.BIN"}


class AudioFolderError(ValueError):
    """A data set cannot be used: nothing usable, or strict and not clean."""


class SkippedFile(NamedTuple):
    """A file that is left out, and why."""

    path: str
    reason: str


class FoundFile(NamedTuple):
    """A file named like sound: its path, and its name in the data set."""

    path: str
    name: str


def find_files(
    roots: Sequence[str], extensions: Sequence[str]
) -> tuple[list[FoundFile], list[SkippedFile], dict[str, int]]:
    """Walks folders, links included, and sorts what it finds by name.

    Args:
        roots: Folders and files. With several of them a name begins with the
            folder it comes from.
        extensions: Extensions that count as sound, with their dots.

    Returns:
        The files named like sound, the folders that cannot be entered, and
        the number of other files per extension. Hidden files are in none.

    Raises:
        AudioFolderError: If a root does not exist.
    """
    wanted = {extension.lower() for extension in extensions}
    found: list[FoundFile] = []
    skipped: list[SkippedFile] = []
    others: collections.Counter[str] = collections.Counter()
    visited: set[str] = set()
    for root in roots:
        if os.path.isfile(root):
            found.append(FoundFile(root, os.path.basename(root)))
            continue
        if not os.path.isdir(root):
            raise AudioFolderError(
                "No such file or folder. Expected a folder of sounds or a "
                f"sound file. Received: {shown(root)}"
            )
        prefix = pathlib.Path(os.path.abspath(root)).name + "/"
        prefix = prefix if len(roots) > 1 else ""

        def unreadable(error: OSError) -> None:
            reason = f"unreadable ({error.strerror})"
            skipped.append(SkippedFile(str(error.filename), reason))

        for folder, subfolders, names in os.walk(
            root, onerror=unreadable, followlinks=True
        ):
            real = os.path.realpath(folder)
            if real in visited:
                subfolders.clear()
                continue
            visited.add(real)
            subfolders[:] = sorted(
                name
                for name in subfolders
                if not name.startswith(".") and name not in _IGNORED_FOLDERS
            )
            if not names and not subfolders and _suffix(folder) in wanted:
                skipped.append(
                    SkippedFile(folder, "a folder, not a sound file")
                )
            for name in names:
                path = os.path.join(folder, name)
                if name.startswith("."):
                    continue
                if _suffix(name) in wanted:
                    relative = os.path.relpath(path, root).replace(os.sep, "/")
                    found.append(FoundFile(path, prefix + relative))
                else:
                    others[_suffix(name)] += 1
    found.sort(key=lambda entry: (entry.name, entry.path))
    return found, skipped, dict(others.most_common())


def matches(name: str, pattern: str | None, without: bool) -> bool:
    """Whether a name matches a pattern; `without` is the answer to None.

    A pattern that begins with `*/` also matches where there is nothing above:
    `*/kick*` finds `kick/1.wav` and `old/kick/1.wav`. An accent matches in
    whichever of Unicode's forms the two are written.
    """
    if pattern is None:
        return without
    name, pattern = composed(name), composed(pattern)
    if pattern.startswith("*/"):
        name = f"/{name}"
    return fnmatch.fnmatch(name, pattern)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()
