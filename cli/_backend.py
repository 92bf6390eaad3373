"""What must be settled before Keras is imported: its backend, and quiet."""

import contextlib
import importlib
import importlib.util
import json
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator

import click

from keras_audiogan.cli._errors import BACKENDS, debugging

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "ERROR"}
# What Keras's settings file may say; for other numbers there is --precision.
_SETTINGS = {
    "floatx": ("float32", "float16", "float64"),
    "image_data_format": ("channels_last", "channels_first"),
}


def prepare() -> str:
    """Choose the backend, silence its start-up messages, and return its name.

    A backend that the user chose (KERAS_BACKEND, or Keras's own settings
    file) stands if it is installed. Otherwise the first installed one of
    tensorflow, jax and torch is taken, with a note on stderr.

    Raises:
        click.ClickException: if KERAS_BACKEND names a backend that is not
            installed, or none is installed.
    """
    backend = os.environ["KERAS_BACKEND"] = _choose()
    if not debugging():
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        if backend == "tensorflow" and backend not in sys.modules:
            with _hushed():
                importlib.import_module(backend)
    return backend


def _choose() -> str:
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    wanted = _configured_backend()
    asked = os.environ.get("KERAS_BACKEND")
    if asked:
        if asked not in installed:
            raise click.ClickException(
                f"KERAS_BACKEND is {asked!r}, which is not installed. Expected "
                f"one of: {', '.join(installed) or 'none is installed'}. "
                f"Install it with: pip install {asked}"
            )
        return asked
    if not installed:
        raise click.ClickException(
            "Keras needs a backend and none is installed. Install one with: "
            "pip install tensorflow"
        )
    chosen = wanted if wanted in installed else installed[0]
    if chosen != wanted:
        click.echo(
            f"{wanted} is not installed: using the {chosen} backend "
            f"(KERAS_BACKEND={chosen} hides this note).",
            err=True,
        )
    return chosen


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Keep what native code writes to stderr, unless it ends in an error.

    TensorFlow's first lines come before it reads TF_CPP_MIN_LOG_LEVEL.
    """
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except ImportError:
            kept.seek(0)
            os.write(stderr, kept.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _configured_backend() -> str:
    """Return the backend of Keras's settings file, or its default."""
    home = os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras"
    file = pathlib.Path(home) / "keras.json"
    try:
        settings = json.loads(file.read_text())
    except (OSError, ValueError):
        return "tensorflow"
    if not isinstance(settings, dict):
        return "tensorflow"
    for name, allowed in _SETTINGS.items():
        if settings.get(name, allowed[0]) not in allowed:
            # The frameworks only say that an assertion failed.
            raise click.ClickException(
                f"Keras cannot be imported: in {str(file)!r} {name!r} must be "
                f"one of {', '.join(allowed)}. Received: {settings[name]!r}"
            )
    backend = settings.get("backend")
    return backend if backend in BACKENDS else "tensorflow"
