"""Original authors' checkpoints, turned into our models.

`convert` recognises what a checkpoint is and picks the converter. Nothing
here unpickles, and nothing imports Keras before a model is built.
"""

from __future__ import annotations

import importlib
import pathlib
from typing import TYPE_CHECKING, Any

from keras_audiogan.converters.errors import ConversionError

if TYPE_CHECKING:
    from keras_audiogan.converters.wavegan import convert_wavegan
    from keras_audiogan.models.audio_gan import AudioGAN

__all__ = [
    "ConversionError",
    "convert",
    "convert_wavegan",
    "identify",
    "list_networks",
]

# Kind -> (module, its function that converts). The module's `check(source)`
# returns None for what it converts, else the reason why it does not; its
# `list_networks(source)` names the networks that are there.
_CONVERTERS = {
    "wavegan": ("keras_audiogan.converters.wavegan", "convert_wavegan"),
}


def identify(source: str | pathlib.Path) -> str:
    """Says what kind of checkpoint `source` is.

    Args:
        source: a checkpoint's folder, prefix or file.

    Returns:
        A kind, `"wavegan"` for example.

    Raises:
        ConversionError: if no converter knows it; each one's reason is given.
    """
    reasons = []
    for kind, (module, _) in _CONVERTERS.items():
        reason = importlib.import_module(module).check(source)
        if reason is None:
            return kind
        reasons.append(reason)
    raise ConversionError(
        " ".join(dict.fromkeys(reasons))
        + f" What converts: {', '.join(_CONVERTERS)}."
    )


def list_networks(source: str | pathlib.Path) -> list[str]:
    """Says which networks an original author's checkpoint holds.

    What it lacks, a converted model has as initialised, so a preset should
    be saved with these as its `weights`.

    Args:
        source: a checkpoint's folder, prefix or file.

    Returns:
        Stems of a preset's files, e.g. `["discriminator", "generator"]`.

    Raises:
        ConversionError: if the checkpoint is damaged or of no known kind.
    """
    module, _ = _CONVERTERS[identify(source)]
    return importlib.import_module(module).list_networks(source)


def convert(source: str | pathlib.Path, **options: Any) -> AudioGAN:
    """Converts an original author's checkpoint.

    Args:
        source: a checkpoint's folder, prefix or file.
        **options: passed to the converter, e.g. `sampling_rate`; see
            `convert_wavegan`.

    Returns:
        The model with the checkpoint's weights.

    Raises:
        ConversionError: if the checkpoint is damaged or of no known kind.
    """
    module, function = _CONVERTERS[identify(source)]
    return getattr(importlib.import_module(module), function)(source, **options)


def __getattr__(name: str) -> Any:
    for module, function in _CONVERTERS.values():
        if name == function:
            return getattr(importlib.import_module(module), function)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
