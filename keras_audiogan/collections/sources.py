"""Archives and folders that hold a data set's files.

Nothing is unpacked: members are read one by one, under the names that a
recipe asks for, so no name in an archive can lead outside of the target.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from keras_audiogan.collections.catalogue import Archive, CollectionError

LARGEST_FILE = 1 << 26
"""No single file of a data set has more bytes than this."""
_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60


class Source(Protocol):
    """Files by their names below the top of a repository."""

    def names(self) -> Iterable[str]:
        """Every file, with slashes between folders."""

    def read(self, name: str) -> bytes:
        """The bytes of a file."""

    def close(self) -> None:
        """Lets go of what is open."""


class ZipSource:
    """A zip archive, with or without one folder around all of it."""

    def __init__(self, path: Path) -> None:
        """Opens the archive at `path`."""
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise _damaged(path, error) from error
        infos = {
            info.filename: info
            for info in self._zip.infolist()
            if not info.is_dir()
        }
        self._infos = infos
        tops = {name.partition("/")[0] for name in infos}
        if len(tops) == 1:
            start = len(tops.pop()) + 1
            self._infos = {name[start:]: i for name, i in infos.items()} | infos

    def names(self) -> Iterable[str]:
        """Every file, with slashes between folders."""
        return self._infos

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        info = self._infos.get(name)
        if info is None:
            raise _missing(self.path, name)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise CollectionError(
                f"{name} in {self.path} is a link, where a file is expected."
            )
        _check_size(self.path, name, info.file_size)
        try:
            return self._zip.read(info)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            # RuntimeError: it is encrypted.
            raise _damaged(self.path, error) from error

    def close(self) -> None:
        """Closes the archive."""
        self._zip.close()


class FolderSource:
    """An archive that was unpacked, or a checkout."""

    def __init__(self, path: Path) -> None:
        """Takes the folder `path`."""
        self.path = path

    def names(self) -> Iterator[str]:
        """Every file, with slashes between folders."""
        for folder, _, files in os.walk(self.path):
            below = Path(folder).relative_to(self.path)
            yield from ((below / file).as_posix() for file in files)

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        path = self.path / name
        if not path.is_file():
            raise _missing(self.path, name)
        _check_size(self.path, name, path.stat().st_size)
        return path.read_bytes()

    def close(self) -> None:
        """Nothing is open."""


def find_sources(
    given: Sequence[Path], archives: Sequence[Archive]
) -> dict[Archive, Source]:
    """Returns those `archives` that are among what a user has.

    Args:
        given: Zip archives, folders that were unpacked from one, and folders
            that hold several of these. They are known by what is in them.
        archives: What is looked for.

    Raises:
        CollectionError: if a path is neither an archive nor a folder, or an
            archive is damaged.
    """
    found: dict[Archive, Source] = {}
    for path in given:
        inside = sorted(path.iterdir()) if path.is_dir() else []
        for place in (path, *inside):
            source: Source
            if place.is_dir():
                source = FolderSource(place)
                held = [a for a in archives if (place / a.wanted).is_file()]
            elif place.suffix == ".deb":
                kept = [a for a in archives if a.file_name == place.name]
                found.update({a: a.open(place) for a in kept})
                continue
            elif place == path or place.suffix == ".zip":
                source = ZipSource(place)
                held = [a for a in archives if a.wanted in source.names()]
            else:
                continue
            for archive in held:
                found.setdefault(archive, source)
    return found


def is_whole(path: Path) -> bool:
    """Returns whether an archive is all there.

    A zip archive has its table of contents at the end, a Debian package the
    sizes of its parts before them.
    """
    if not path.is_file():
        return False
    if ".deb" in path.suffixes:  # What is being fetched has .part behind.
        try:
            with path.open("rb") as file:
                return bool(debian_members(file))
        except ValueError:
            return False
    return zipfile.is_zipfile(path)


def debian_members(file: BinaryIO) -> dict[str, tuple[int, int]]:
    """Returns start and size in bytes of each part of a Debian package.

    Raises:
        ValueError: if it is none, or cut.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise ValueError("it is no ar archive")
    members: dict[str, tuple[int, int]] = {}
    while (start := file.tell()) < end:
        header = file.read(_AR_HEADER)
        if len(header) < _AR_HEADER or not header.endswith(b"`\n"):
            raise ValueError(f"it is damaged or cut at byte {start}")
        size = int(header[48:58])
        name = header[:16].decode("ascii", "replace").strip().rstrip("/")
        members[name] = (start + _AR_HEADER, size)
        if size < 0 or start + _AR_HEADER + size > end:
            raise ValueError(f"it is cut in {name}")
        file.seek(size + size % 2, os.SEEK_CUR)
    return members


def _check_size(path: Path, name: str, num_bytes: int) -> None:
    if num_bytes > LARGEST_FILE:
        raise CollectionError(
            f"{name} in {path} has {num_bytes:,} bytes; expected at most "
            f"{LARGEST_FILE:,}. This is not the archive that was asked for."
        )


def _missing(path: Path, name: str) -> CollectionError:
    return CollectionError(
        f"{path} has no file {name}. It must be the repository at the commit "
        "that `audiogan data NAME` names."
    )


def _damaged(path: Path, error: Exception) -> CollectionError:
    return CollectionError(
        f"{path} is damaged, or no zip archive ({error}). Delete it and fetch "
        "it again; an archive of another kind can be unpacked by hand, and "
        "its folder named."
    )
