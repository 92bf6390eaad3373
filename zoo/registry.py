"""Architecture name -> class: the library's registry, loaded when used."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_audiogan.models.registry import (
        get_architecture,
        list_architectures,
        register_architecture,
    )

__all__ = ["get_architecture", "list_architectures", "register_architecture"]


def __getattr__(name: str) -> Any:
    """Imports the registry, and with it Keras, when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from keras_audiogan.models import registry

    return getattr(registry, name)


def __dir__() -> list[str]:
    """Returns the public names, imported or not."""
    return sorted(__all__)
