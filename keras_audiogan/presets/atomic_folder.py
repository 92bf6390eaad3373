"""Write folders and files whose place holds the old or the new, whole."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_audiogan._names import SHOWN

_SUFFIX = ".saving"
# A process that was killed leaves its temporary folder behind. Nothing that
# is written here takes this long, so an older one belongs to nobody.
_STALE_SECONDS = 3600.0

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NO_EXCHANGE = (
    errno.ENOSYS,
    errno.EINVAL,
    errno.ENOTSUP,
    errno.EPERM,
)


@contextlib.contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """Yields a temporary folder beside `target` that takes its place at last.

    On Linux the two are exchanged in one step; where the system has no such
    call, the old folder is moved aside for the moment between two renames.
    If the block raises, `target` is as it was and the temporary folder is
    gone.

    Args:
        target: Where the folder is to stand. What stands there already is
            deleted after the exchange; whether it may be is for the caller to
            check.

    Raises:
        OSError: if the disk is full, the parent not writable, or the like.
    """
    target = Path(os.path.abspath(target))
    # The place that a link names is filled, not the link replaced.
    target = Path(os.path.realpath(target)) if target.is_symlink() else target
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(target)
    folder = Path(
        tempfile.mkdtemp(
            prefix=f".{target.name}.", suffix=_SUFFIX, dir=target.parent
        )
    )
    try:
        yield folder
        folder.chmod(0o777 & ~_umask())
        sync_folder(folder)
        _exchange(folder, target)
        sync_folder(target.parent)
    except OSError as error:
        # A write that fails names no file, and nobody knows the temporary one.
        place = os.fspath(error.filename2 or error.filename or folder)
        if error.errno is None or not place.startswith(os.fspath(folder)):
            raise
        raise _named(error, target) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file that is never seen half written.

    Args:
        path: The file; missing folders are made.
        value: Anything fit for strict JSON.

    Raises:
        TypeError: if the value holds what JSON has no form for.
        ValueError: if a number in it is not finite.
        OSError: if the disk is full, the folder not writable, or the like.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    if not text.isascii() and text != text.encode("utf-8", "replace").decode():
        # A name that is no UTF-8 comes back only from its JSON escapes.
        text = json.dumps(value, indent=2, allow_nan=False)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file that is never seen half written.

    Args:
        path: The file; missing folders are made.
        text: What it shall hold, written as UTF-8; see `SHOWN` for names
            that are none.

    Raises:
        OSError: if the disk is full, the folder not writable, or the like.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with open(temporary, "w", encoding="utf-8", errors=SHOWN) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise _named(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


class AppendedFile:
    """A file that grows by whole lines or records, whatever the disk does.

    What finds no room is taken back: the file then ends as it did before.

    Args:
        path: The file; made if there is none.

    Raises:
        OSError: if it cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        # Without a buffer, which would be tried again when it is closed.
        self._file = open(path, "ab", buffering=0)

    def write(self, data: str | bytes) -> int:
        """Appends text, as UTF-8, or bytes: all of it or nothing.

        Returns:
            The length of `data`.

        Raises:
            OSError: if the disk is full or the like.
        """
        left = memoryview(
            data.encode("utf-8", SHOWN) if isinstance(data, str) else data
        )
        size = os.fstat(self._file.fileno()).st_size
        try:
            while left:
                left = left[self._file.write(left) or 0 :]
        except OSError as error:
            self._file.truncate(size)
            raise _named(error, self.path) from error
        return len(data)

    def flush(self) -> None:
        """Does nothing: what is written is with the system already."""

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> AppendedFile:
        """Returns itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the file."""
        self.close()


def _named(error: OSError, path: Path) -> OSError:
    """The same error with the file that was to be written, for people."""
    return OSError(error.errno, error.strerror, os.fspath(path))


def sync_folder(folder: Path) -> None:
    """Brings the names in a folder to the disk, where the system can."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(folder: Path, target: Path) -> None:
    """Puts `folder` at `target`; what stood there is at `folder` then."""
    if not target.exists():
        os.rename(folder, target)
        return
    if _rename_exchange(folder, target):
        return
    aside = folder.with_name(folder.name.replace(_SUFFIX, f".old{_SUFFIX}"))
    os.rename(target, aside)
    try:
        os.rename(folder, target)
    except OSError:
        os.rename(aside, target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _rename_exchange(first: Path, second: Path) -> bool:
    """Exchanges two names in one step; False where that cannot be done."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    result = renameat2(
        _AT_FDCWD,
        os.fsencode(first),
        _AT_FDCWD,
        os.fsencode(second),
        ctypes.c_uint(_RENAME_EXCHANGE),
    )
    if result == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), os.fspath(second))


def _remove_stale(target: Path) -> None:
    if not target.exists():
        # What was moved aside may be all there is.
        return
    prefix = f".{target.name}."
    now = time.time()
    with os.scandir(target.parent) as entries:
        for entry in entries:
            if not entry.name.startswith(prefix) or not entry.name.endswith(
                _SUFFIX
            ):
                continue
            with contextlib.suppress(OSError):
                age = now - entry.stat(follow_symlinks=False).st_mtime
                if age > _STALE_SECONDS:
                    shutil.rmtree(entry.path)


def _umask() -> int:
    # The mask can only be read by setting it.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
