"""Sound from models in use, with Keras or without.

What generators and vocoders offer their users stands here once: Keras models
and engines have the same methods. An engine is a network that another runtime
runs, from a preset folder of ONNX files. Nothing here imports Keras.
"""

from keras_audiogan._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Engine": "engine",
        "EngineError": "errors",
        "EngineGenerator": "engine",
        "EngineVocoder": "engine",
        "MissingEngineError": "errors",
        "Reach": "reach",
        "VocoderStream": "streaming",
        "load_engine": "engine",
    },
)
