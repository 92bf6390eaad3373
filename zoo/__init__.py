"""The zoo: presets by name, from a folder or from the Hub.

Nothing is imported before it is used: `list_presets`, `find_presets` and
`preset_info` need neither Keras nor NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_audiogan.models.registry import (
        get_architecture,
        list_architectures,
        register_architecture,
    )
    from keras_audiogan.zoo.hub import HubError, parse_uri, pull, upload_preset
    from keras_audiogan.zoo.presets import (
        find_presets,
        from_preset,
        list_presets,
        preset_info,
        resolve,
    )

__all__ = [
    "HubError",
    "find_presets",
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

_HUB = ("HubError", "parse_uri", "pull", "upload_preset")


def __getattr__(name: str) -> Any:
    """Imports the module of a public name when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = f"{__name__}.hub" if name in _HUB else f"{__name__}.presets"
    if name.endswith(("_architecture", "_architectures")):
        home = "keras_audiogan.models.registry"
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Returns the public names, imported or not."""
    return sorted(__all__)
