"""Which files of a folder or of a repository make up a checkpoint.

Decided by names alone, so that of a repository on the Hub no more is fetched
than is needed.
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from keras_audiogan.converters.errors import ConversionError

_MAX_DEPTH = 4
_MAX_NAMES = 20_000

# A folder's file names, and one of them or None for the newest checkpoint ->
# role -> file name; None if they are no checkpoint.
Chooser = Callable[[Sequence[str], str | None], Mapping[str, str] | None]


def list_names(folder: pathlib.Path) -> list[str]:
    """Returns the files below a folder as relative names with slashes."""
    names: list[str] = []
    for root, folders, files in os.walk(folder):
        relative = pathlib.Path(root).relative_to(folder)
        if len(relative.parts) >= _MAX_DEPTH:
            folders.clear()
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        names += [(relative / file).as_posix() for file in sorted(files)]
        if len(names) > _MAX_NAMES:
            break
    return names


def choose(names: Iterable[str], chooser: Chooser) -> dict[str, str] | None:
    """Returns the files of the one checkpoint among `names`, by role.

    The folder at the top is taken if it holds one, else the one folder below
    that does; several below are an error.
    """
    folders: dict[str, list[str]] = {}
    for name in names:
        folder, _, base = name.rpartition("/")
        folders.setdefault(folder, []).append(base)
    found = {}
    for folder, bases in folders.items():
        roles = chooser(bases, None)
        if roles:
            found[folder] = roles
    if "" in found:
        return dict(found[""])
    if len(found) > 1:
        raise ConversionError(
            "Several folders hold a checkpoint; name one of them. "
            f"Received: {', '.join(sorted(found)[:8])}"
        )
    for folder, roles in found.items():
        return {role: f"{folder}/{base}" for role, base in roles.items()}
    return None


def locate(
    source: str | pathlib.Path, chooser: Chooser
) -> dict[str, pathlib.Path] | None:
    """Returns the files of the checkpoint that `source` means, by role.

    `source` is a folder, as for `choose`, or a checkpoint's file.
    """
    folder = path = pathlib.Path(source)
    roles: Mapping[str, str] | None = None
    if path.is_dir():
        try:
            roles = choose(list_names(path), chooser)
        except ConversionError as error:
            raise ConversionError(f"{path}: {error}") from error
    elif path.is_file():
        folder = path.parent
        beside = sorted(file.name for file in folder.iterdir())
        roles = chooser(beside, path.name)
    if roles is None:
        return None
    return {role: folder / name for role, name in roles.items()}


def newest(names: Iterable[str], pattern: str) -> str | None:
    """Returns the name with the highest number, the group of `pattern`."""
    steps = {
        name: int(match.group(1))
        for name in names
        if (match := re.fullmatch(pattern, name))
    }
    return max(steps, key=lambda name: (steps[name], name), default=None)


def first_of(names: Iterable[str], *wanted: str) -> str | None:
    """Returns the first of `wanted` that is among `names`."""
    held = set(names)
    return next((name for name in wanted if name in held), None)
