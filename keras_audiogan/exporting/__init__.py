"""Models for other programs: ONNX, LiteRT and TensorFlow's SavedModel.

What is exported is one pure function for each task (see `tasks`): no noise is
drawn in it, weight norm is part of the kernels, batch and length stay free.
Each export is run again, by the program that its format is for, and compared
with Keras before it takes its place.
"""

from keras_audiogan._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "FORMATS": "targets",
        "TASKS": "tasks",
        "Export": "export",
        "ENGINES": "engine",
        "ExportError": "targets",
        "MissingExtraError": "targets",
        "PureFunction": "tasks",
        "Port": "tasks",
        "check_target": "targets",
        "export_engine": "engine",
        "export_model": "export",
    },
)
