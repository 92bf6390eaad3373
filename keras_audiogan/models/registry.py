"""The registry: architecture name -> class.

A class enters it by decoration, and with that the zoo, the command line and
the tests know it. Nothing else lists architectures by hand. Other packages
add theirs through the entry point `keras_audiogan.architectures`, whose
entries name modules to import.
"""

from __future__ import annotations

import functools
import importlib.metadata
import warnings
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T", bound=type)

_ARCHITECTURES: dict[str, type] = {}
_ALIASES: dict[str, str] = {}
# Of plug-ins that cannot be loaded: others work without them.
_BROKEN: list[str] = []

PACKAGE = "keras_audiogan"
ENTRY_POINT = "keras_audiogan.architectures"


def register_architecture(
    name: str, aliases: Iterable[str] = ()
) -> Callable[[T], T]:
    """Registers a model class under an architecture name.

    The class is registered with Keras serialisation as well, as
    `keras_audiogan>ClassName`. That name stands in saved presets, so
    renaming a class needs an entry in `keras_audiogan.presets.upgrade`. Its
    constructor arguments are recorded from then on; see
    `keras_audiogan.models.arguments`.

    Args:
        name: lower-case architecture name, which `cls.architecture` becomes.
        aliases: further names that it is found by.

    Raises:
        ValueError: if another class holds the name already.
    """

    def decorate(cls: T) -> T:
        import keras

        from keras_audiogan.models.arguments import record_arguments

        held = _ARCHITECTURES.get(name)
        if held is not None and held.__qualname__ != cls.__qualname__:
            raise ValueError(
                f"The architecture name {name!r} is taken by "
                f"{held.__name__}; choose another. Received: {cls.__name__}"
            )
        record_arguments(cls)
        keras.saving.register_keras_serializable(PACKAGE)(cls)
        cls.architecture = name  # type: ignore[attr-defined]
        _ARCHITECTURES[name] = cls
        _ALIASES.update(dict.fromkeys(aliases, name))
        return cls

    return decorate


@functools.cache
def _import_all() -> None:
    """Imports the modules that register architectures, plug-ins included."""
    import keras_audiogan.models  # noqa: F401

    for entry in importlib.metadata.entry_points(group=ENTRY_POINT):
        try:
            entry.load()
        except Exception as error:  # noqa: BLE001  (it is a stranger's)
            source = entry.dist.name if entry.dist else entry.value
            _BROKEN.append(
                f"The plug-in {entry.name!r} of the package {source} cannot "
                "be loaded. Mend, update or uninstall it. Received: "
                f"{type(error).__name__}: {error}"
            )
            warnings.warn(_BROKEN[-1], stacklevel=2)


def list_architectures() -> list[str]:
    """Returns the names of all registered architectures, sorted."""
    _import_all()
    return sorted(_ARCHITECTURES)


def get_architecture(name: str) -> type:
    """Returns the class registered under a name or an alias.

    Raises:
        ValueError: if there is none; the message lists the known ones.
    """
    known = list_architectures()
    found = _ARCHITECTURES.get(_ALIASES.get(name, name))
    if found is None:
        raise ValueError(
            f"Unknown architecture. Expected one of {known}. Received: "
            f"{name!r}{''.join(f'. {text}' for text in _BROKEN)}"
        )
    return found
