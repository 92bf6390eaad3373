"""One run folder, one process: a lock that ends with its owner.

The system holds it for the process, not the file: after a crash or a
`kill -9` it is free, whatever the file still says.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

LOCK_FILE = "run.lock"
# What a file system that has no locks answers.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class RunInUseError(ValueError):
    """Another process works in the folder of a run."""


@contextlib.contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Keeps other processes out of a run's folder.

    Args:
        folder: The run's folder; made if it is missing, and removed again if
            nothing was put into it.

    Raises:
        RunInUseError: If another process has it; the message names the
            process.
        OSError: If the folder cannot be made or written to.
    """
    file = folder / LOCK_FILE
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _take(file)
        try:
            yield
        finally:
            # While it is ours: later a file of that name may be another's.
            file.unlink(missing_ok=True)
            os.close(descriptor)
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()


def check_not_in_use(folder: Path) -> None:
    """Raises a `RunInUseError` if a process works in a run's folder."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR)
    except OSError:
        return
    try:
        _lock(folder, descriptor)
    finally:
        os.close(descriptor)


def _take(file: Path) -> int:
    """Opens and locks the file, and writes down who has it."""
    while True:
        with contextlib.ExitStack() as stack:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
            stack.callback(os.close, descriptor)
            _lock(file.parent, descriptor)
            if _is_still(file, descriptor):
                stack.pop_all()
                break
    begin = datetime.datetime.now().astimezone()
    owner = f"process {os.getpid()} on {socket.gethostname()}, since "
    # The lock holds without a name where the disk has no room for one.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{owner}{begin:%Y-%m-%d %H:%M:%S %z}\n".encode())
    return descriptor


def _is_still(file: Path, descriptor: int) -> bool:
    """Whether the file's last owner did not remove it in between."""
    try:
        return os.path.samestat(os.stat(file), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _lock(folder: Path, descriptor: int) -> None:
    """Locks an open file, or says who has it."""
    problem = "This system"
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            owner = os.pread(descriptor, 200, 0).decode(errors="replace")
            raise RunInUseError(
                f"The run in {folder} is in use. Wait until the process ends, "
                "or end it, or choose another folder. Received: "
                f"{owner.strip() or 'a process that does not say its name'}"
            ) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        problem = f"The file system of {folder}"
    warnings.warn(
        f"{problem} has no locks: see to it that no other process uses the "
        "run's folder.",
        stacklevel=2,
    )
