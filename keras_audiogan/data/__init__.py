"""From a folder of sounds to batches of slices.

`AudioFolder.scan` indexes a folder, `AudioDataset` cuts, levels, shuffles and
batches it. Plain NumPy: nothing here imports Keras.
"""

from keras_audiogan._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "AudioDataset": "dataset",
        "AudioFile": "folder",
        "AudioFolder": "folder",
        "AudioFolderError": "folder",
        "AudioStore": "store",
        "BatchIterator": "prefetch",
        "SkippedFile": "folder",
        "SlicePlan": "slices",
        "TestFiles": "heard",
        "choose_mode": "slices",
        "hold_out": "split",
        "plan_slices": "slices",
        "with_labels": "split",
    },
)
