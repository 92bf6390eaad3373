"""The registry: architecture name -> class.

A class enters it by decoration, and with that the zoo, the command line and
the tests know it. Nothing else lists architectures by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T", bound=type)

_ARCHITECTURES: dict[str, type] = {}

PACKAGE = "keras_audiogan"


def register_architecture(name: str) -> Callable[[T], T]:
    """Registers a model class under an architecture name.

    The class is registered with Keras serialisation as well, as
    `keras_audiogan>ClassName`. That name stands in saved presets, so
    renaming a class needs an alias.

    Args:
        name: lower-case architecture name, e.g. `"wavegan"`.

    Returns:
        A class decorator, which sets `cls.architecture` to `name`.

    Raises:
        ValueError: if another class holds the name already.
    """

    def decorate(cls: T) -> T:
        import keras

        held = _ARCHITECTURES.get(name)
        if held is not None and held.__qualname__ != cls.__qualname__:
            raise ValueError(
                f"The architecture name {name!r} is taken by "
                f"{held.__name__}; choose another. Received: {cls.__name__}"
            )
        keras.saving.register_keras_serializable(PACKAGE)(cls)
        cls.architecture = name  # type: ignore[attr-defined]
        _ARCHITECTURES[name] = cls
        return cls

    return decorate


def list_architectures() -> list[str]:
    """Returns the names of all registered architectures, sorted."""
    import keras_audiogan.models  # noqa: F401  (registers on import)

    return sorted(_ARCHITECTURES)


def get_architecture(name: str) -> type:
    """Returns the class registered under `name`.

    Raises:
        ValueError: if there is none; the message lists the known ones.
    """
    known = list_architectures()
    if name not in _ARCHITECTURES:
        raise ValueError(
            f"Unknown architecture. Expected one of {known}. Received: {name!r}"
        )
    return _ARCHITECTURES[name]
