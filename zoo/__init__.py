"""The zoo: presets by name, from a folder or from the Hub.

Nothing is imported before it is used: `list_presets` and `preset_info` need
neither Keras nor NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_audiogan.zoo.hub import HubError, parse_uri, pull, upload_preset
    from keras_audiogan.zoo.presets import (
        from_preset,
        list_presets,
        preset_info,
        resolve,
    )
    from keras_audiogan.zoo.registry import (
        get_architecture,
        list_architectures,
        register_architecture,
    )

__all__ = [
    "HubError",
    "from_preset",
    "get_architecture",
    "list_architectures",
    "list_presets",
    "parse_uri",
    "preset_info",
    "pull",
    "register_architecture",
    "resolve",
    "upload_preset",
]

_MODULES = {
    "hub": ("HubError", "parse_uri", "pull", "upload_preset"),
    "presets": ("from_preset", "list_presets", "preset_info", "resolve"),
    "registry": (
        "get_architecture",
        "list_architectures",
        "register_architecture",
    ),
}
_HOMES = {name: home for home, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Imports the module of a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Returns the public names, imported or not."""
    return sorted(__all__)
