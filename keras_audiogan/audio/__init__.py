"""Sound in and out: files, levels, resampling, spectra and pictures.

Nothing here needs Keras, except to compute with tensors. Sound is float32
`(time, channels)` in [-1, 1].
"""

from keras_audiogan._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "AudioFileError": "files",
        "AudioInfo": "files",
        "AudioWriter": "files",
        "MidiFileError": "notes",
        "Note": "notes",
        "audio_info": "files",
        "check_level": "levels",
        "convert_channels": "files",
        "fit_to_mel": "phase_recovery",
        "get_window": "windows",
        "griffin_lim": "phase_recovery",
        "hertz_to_mel": "spectra",
        "invert_magnitudes": "phase_recovery",
        "join_clips": "joining",
        "level_gain": "levels",
        "linear_magnitudes": "phase_recovery",
        "log_mel_spectrogram": "spectra",
        "mel_filter_bank": "spectra",
        "mel_spectrogram": "spectra",
        "mel_to_hertz": "spectra",
        "num_frames": "spectra",
        "pitch_name": "notes",
        "pitch_number": "notes",
        "read_audio": "files",
        "read_midi": "notes",
        "resample": "resampling",
        "resample_stream": "resampling",
        "resampled_length": "resampling",
        "save_sheet": "plots",
        "seams": "joining",
        "spectrogram": "spectra",
        "to_mono": "spectra",
        "write_audio": "files",
    },
)
