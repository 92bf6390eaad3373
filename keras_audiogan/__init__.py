"""Audio GANs for Keras 3, with pretrained checkpoints.

Importing this package imports neither Keras nor NumPy: every public name is
looked up when it is first used.

Example:

```python
import keras_audiogan

gan = keras_audiogan.from_preset("wavegan_digits")
audio = gan.sample(8, seed=0)  # float32 (8, time, channels) in [-1, 1]
```
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_audiogan.models import (
        AudioClassifier,
        AudioGAN,
        Vocoder,
        WaveGAN,
    )
    from keras_audiogan.zoo import (
        from_preset,
        list_presets,
        pull,
        upload_preset,
    )

__version__ = "0.1.0"

_HOMES = {
    "AudioClassifier": "keras_audiogan.models",
    "AudioGAN": "keras_audiogan.models",
    "Vocoder": "keras_audiogan.models",
    "WaveGAN": "keras_audiogan.models",
    "from_preset": "keras_audiogan.zoo",
    "list_presets": "keras_audiogan.zoo",
    "pull": "keras_audiogan.zoo",
    "upload_preset": "keras_audiogan.zoo",
}

__all__ = [
    "AudioClassifier",
    "AudioGAN",
    "Vocoder",
    "WaveGAN",
    "__version__",
    "from_preset",
    "list_presets",
    "pull",
    "upload_preset",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(
            f"module 'keras_audiogan' has no attribute {name!r}"
        )
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
