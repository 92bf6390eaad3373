"""The preset folder: its format, its reader, its writer and its card.

A preset folder is what a Hub repository holds:

```
config.json                class and arguments, sampling rate, channels,
                           labels, and the checksums of the weights
<stem>.safetensors         one per network, e.g. generator.safetensors
<stem>.onnx                in its place, of an engine: see `serving`
training.json              data, recipe, hardware, metrics (optional)
README.md                  the model card, made from the two above
samples/                   a few sound files and pictures (optional)
```

Nothing here knows a model: weights are arrays by name, and a model is whatever
says what arrays it needs.
"""
