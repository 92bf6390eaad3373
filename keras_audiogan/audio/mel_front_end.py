"""Log-mel spectrograms as a network was trained on, in NumPy or in tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from keras_audiogan.audio.spectra import (
    log_mel_spectrogram,
    mel_filter_bank,
    num_frames,
)
from keras_audiogan.audio.transforms import constant

#: Base of logarithms, as settings name it -> its natural logarithm.
LOG_BASES = {"e": 1.0, "10": math.log(10.0), "2": math.log(2.0)}


class MelSettings(Protocol):
    """What a front end says of itself; see `layers.MelFeatures`."""

    sampling_rate: int
    num_mel_bins: int
    fft_length: int
    frame_step: int
    window_length: int | None
    min_frequency: float
    max_frequency: float | None
    window: str | None
    power: float
    mel_scale: str
    mel_norm: str | None
    log_base: str
    floor: float
    power_floor: float
    power_clip: float
    padding: str
    mean: Sequence[float] | None
    scale: Sequence[float] | None
    slopes: str
    add_floor: bool
    filters: np.ndarray


def log_mels(audio: Any, settings: MelSettings) -> Any:
    """Returns the log-mel spectrogram `(rows, frames, bins)` of a front end.

    Args:
        audio: Float32 `(rows, time)`, an array or a tensor.
        settings: The front end.
    """
    mel = log_mel_spectrogram(
        audio,
        settings.sampling_rate,
        num_mel_bins=settings.num_mel_bins,
        min_frequency=settings.min_frequency,
        max_frequency=settings.max_frequency,
        scale=settings.mel_scale,
        norm=settings.mel_norm,
        slopes=settings.slopes,
        fft_length=settings.fft_length,
        frame_step=settings.frame_step,
        window_length=settings.window_length,
        window=settings.window,
        padding=settings.padding,
        power=settings.power,
        power_floor=settings.power_floor,
        power_clip=settings.power_clip,
        floor=settings.floor,
        add_floor=settings.add_floor,
    )
    if settings.log_base != "e":
        mel = mel * (1.0 / LOG_BASES[settings.log_base])
    if settings.mean is not None:
        mel = mel - constant(np.asarray(settings.mean, "float32"), mel)
    if settings.scale is not None:
        mel = mel / constant(np.asarray(settings.scale, "float32"), mel)
    return mel


class MelFrontEnd:
    """A front end without Keras, of the settings of `layers.MelFeatures`.

    Args:
        **settings: All of them, as `MelFeatures.settings` returns them.

    Raises:
        TypeError: If one has the wrong type.
        ValueError: If one is missing or out of range.
    """

    sampling_rate: int
    num_mel_bins: int
    fft_length: int
    frame_step: int
    window_length: int | None
    min_frequency: float
    max_frequency: float | None
    window: str | None
    power: float
    mel_scale: str
    mel_norm: str | None
    log_base: str
    floor: float
    power_floor: float
    power_clip: float
    padding: str
    mean: Sequence[float] | None
    scale: Sequence[float] | None
    slopes: str
    add_floor: bool

    def __init__(self, **settings: Any) -> None:
        names = set(MelSettings.__annotations__) - {"filters"}
        if set(settings) != names or settings["log_base"] not in LOG_BASES:
            raise ValueError(
                "The settings of a mel front end are "
                f"{', '.join(sorted(names))}; `log_base` is one of "
                f"{', '.join(LOG_BASES)}. Received: {settings}"
            )
        self.settings = settings
        for name in names:
            setattr(self, name, settings[name])
        for name in ("mean", "scale"):
            values = settings[name]
            if values is not None and np.shape(values) != (self.num_mel_bins,):
                raise ValueError(
                    f"`{name}` must be one number for each of the "
                    f"{self.num_mel_bins} bins. Received: {values!r}"
                )
        self.filters = mel_filter_bank(
            self.num_mel_bins,
            self.fft_length,
            self.sampling_rate,
            self.min_frequency,
            self.max_frequency,
            self.mel_scale,
            self.mel_norm,
            self.slopes,
        )
        # Whatever else is wrong shows here, and not in use.
        self(np.zeros((1, self.fft_length), "float32"))

    def __call__(self, audio: np.ndarray) -> np.ndarray:
        """Returns float32 `(batch, frames, bins)` of `(batch, time[, 1])`."""
        audio = np.asarray(audio, "float32")
        rows = audio[:, :, 0] if audio.ndim == 3 else audio
        return log_mels(rows, self).astype("float32")

    def num_frames(self, num_samples: int) -> int:
        """Returns how many frames a sound of `num_samples` samples has."""
        return num_frames(
            num_samples, self.fft_length, self.frame_step, self.padding
        )
