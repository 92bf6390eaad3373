"""Where an export goes, and in which format. Nothing here imports Keras."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from keras_audiogan.presets.atomic_folder import replaced_folder

#: Format, by Keras's names -> the ending of its files, "" for a folder.
FORMATS = {"onnx": ".onnx", "litert": ".tflite", "tf_saved_model": ""}

# What a format needs beside TensorFlow.
_NEEDS = {"onnx": ("onnx", "onnxruntime", "tf2onnx")}


class ExportError(ValueError):
    """A model cannot be exported so, or what came out is not the same."""


class MissingExtraError(ImportError):
    """Packages that a format needs are not installed."""


def check_target(
    path: str | os.PathLike[str], format: str | None = None
) -> tuple[Path, str]:
    """Checks where an export is to go, before any work is done.

    Args:
        path: a file, or a folder for a SavedModel.
        format: one of `FORMATS`; by default what the path's ending says, and
            a SavedModel where it has none.

    Returns:
        The path and the format.

    Raises:
        ExportError: if the format is unknown, or the path is taken by
            something that is not to be replaced.
        MissingExtraError: if packages are missing.
        OSError: if the place cannot be written to.
    """
    target = Path(path).expanduser()
    wanted = format
    if format is None:
        endings = {ending: name for name, ending in FORMATS.items()}
        format = endings.get(target.suffix.lower())
    if format not in FORMATS:
        received = repr(str(target)) if wanted is None else f"format={wanted!r}"
        raise ExportError(
            "The format is that of the file's ending: .onnx (ONNX), .tflite "
            "(LiteRT), or none (a folder, TensorFlow's SavedModel); another "
            f"name needs `format`, one of {', '.join(FORMATS)}. Received: "
            f"{received}"
        )
    if FORMATS[format]:
        if target.is_dir():
            raise ExportError(
                f"{format} is a file, and a folder has this name. Choose "
                f"another. Received: {str(target)!r}"
            )
    elif target.exists() and not (
        target.is_dir() and not any(target.iterdir())
    ):
        raise ExportError(
            "A SavedModel goes into a new or empty folder. Choose another, or "
            f"delete what is there. Received: {str(target)!r}"
        )
    _check_writable(target)
    _check_packages(format)
    return target, format


def check_engine_target(path: str | os.PathLike[str]) -> Path:
    """Checks where an engine's folder is to go, before any work is done.

    Raises:
        ExportError: if something stands there.
        MissingExtraError: if packages are missing.
        OSError: if the place cannot be written to.
    """
    target = Path(path).expanduser()
    if target.is_dir() and not any(target.iterdir()):
        pass
    elif os.path.lexists(target):
        raise ExportError(
            "An engine goes into a new or empty folder. Choose another, or "
            f"delete what is there. Received: {str(target)!r}"
        )
    _check_writable(target)
    _check_packages("onnx")
    return target


def _check_packages(format: str) -> None:
    missing = [
        name
        for name in _NEEDS.get(format, ())
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise MissingExtraError(
            f"Exporting to {format} needs packages that are not installed. "
            "Install them with: pip install 'keras-audiogan[export]'. "
            f"Received: no {', no '.join(missing)}"
        )


def _check_writable(target: Path) -> None:
    """Raises what making a file in the target's folder would raise."""
    folder = Path(os.path.abspath(target)).parent
    while not folder.exists():
        folder = folder.parent
    code = None
    if not folder.is_dir():
        code = errno.ENOTDIR
    elif not os.access(folder, os.W_OK | os.X_OK):
        code = errno.EACCES
    if code is not None:
        raise OSError(code, os.strerror(code), str(folder))


@contextlib.contextmanager
def new_target(target: Path, format: str) -> Iterator[Path]:
    """Yields a place beside the target that becomes the target at last.

    If the block raises, nothing is left, and a file that had the target's
    name is as it was.
    """
    if not FORMATS[format]:
        with replaced_folder(target) as folder:
            yield folder
        return
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(
        prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent
    )
    temporary = Path(name)
    try:
        yield temporary
        os.fsync(descriptor)
        mask = os.umask(0o022)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        os.replace(temporary, target)
    finally:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)
