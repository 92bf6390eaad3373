"""Sound in and out: files, resampling, spectra and pictures.

Nothing here needs Keras, except to compute with tensors. Sound is float32
`(time, channels)` in [-1, 1].
"""

import importlib
from typing import Any

_EXPORTS = {
    "AudioFileError": "files",
    "AudioInfo": "files",
    "AudioWriter": "files",
    "audio_info": "files",
    "convert_channels": "files",
    "get_window": "windows",
    "griffin_lim": "phase_recovery",
    "hertz_to_mel": "spectra",
    "invert_magnitudes": "phase_recovery",
    "linear_magnitudes": "phase_recovery",
    "log_mel_spectrogram": "spectra",
    "mel_filter_bank": "spectra",
    "mel_spectrogram": "spectra",
    "mel_to_hertz": "spectra",
    "num_frames": "spectra",
    "read_audio": "files",
    "resample": "resampling",
    "resample_stream": "resampling",
    "resampled_length": "resampling",
    "save_sheet": "plots",
    "spectrogram": "spectra",
    "to_mono": "spectra",
    "write_audio": "files",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_EXPORTS[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
