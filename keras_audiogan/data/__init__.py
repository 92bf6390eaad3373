"""From a folder of sounds to batches of slices.

`AudioFolder.scan` indexes a folder, `AudioDataset` cuts, levels, shuffles and
batches it. Plain NumPy: nothing here imports Keras.
"""

import importlib
from typing import Any

_EXPORTS = {
    "AudioDataset": "dataset",
    "AudioFile": "folder",
    "AudioFolder": "folder",
    "AudioFolderError": "folder",
    "AudioStore": "store",
    "BatchIterator": "prefetch",
    "SkippedFile": "folder",
    "SlicePlan": "slices",
    "choose_mode": "slices",
    "hold_out": "split",
    "plan_slices": "slices",
    "with_labels": "split",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_EXPORTS[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
