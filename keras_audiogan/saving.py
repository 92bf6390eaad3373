"""One preset folder: write it whole, read it with distrust.

A preset folder is what a Hub repository holds:

```
config.json                class and arguments, sampling rate, channels,
                           labels, and the checksums of the weights
<stem>.safetensors         one per network, e.g. generator.safetensors
training.json              data, recipe, hardware, metrics (optional)
README.md                  the model card, made from the two above
samples/                   a few sound files and pictures (optional)
```

Weights come from strangers, so there is no pickle, no code and no class path
in it, and nothing is believed before it was checked: see `load_preset`.
"""

from keras_audiogan.presets.config import (
    is_preset_folder,
    read_config,
    read_training,
)
from keras_audiogan.presets.reader import load_preset, load_preset_weights
from keras_audiogan.presets.strict_json import PresetError
from keras_audiogan.presets.writer import SAMPLE_SUFFIXES, save_preset

__all__ = [
    "SAMPLE_SUFFIXES",
    "PresetError",
    "is_preset_folder",
    "load_preset",
    "load_preset_weights",
    "read_config",
    "read_training",
    "save_preset",
]
