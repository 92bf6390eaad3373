"""The log-mel front end of the vocoders, with every published setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_audiogan.audio.spectra import mel_filter_bank
from keras_audiogan.audio.windows import get_window, margin
from keras_audiogan.layers.stft import root, stft_power

#: Arguments of `MelFeatures` as the originals have them: jik876's HiFi-GAN
#: (`config_v1.json`), descriptinc's MelGAN, and kan-bayashi's recipes for
#: 22,050 Hz (`parallel_wavegan.v1.yaml`), whose normalisation `mean` and
#: `scale` come with each checkpoint.
MEL_SETTINGS: dict[str, dict[str, Any]] = {
    "hifigan": {
        "sampling_rate": 22050,
        "num_mel_bins": 80,
        "fft_length": 1024,
        "frame_step": 256,
        "window_length": 1024,
        "min_frequency": 0.0,
        "max_frequency": 8000.0,
        "log_base": "e",
        "floor": 1e-5,
        "power_floor": 1e-9,
        "padding": "same",
    },
    "melgan": {
        "sampling_rate": 22050,
        "num_mel_bins": 80,
        "fft_length": 1024,
        "frame_step": 256,
        "window_length": 1024,
        "min_frequency": 0.0,
        "max_frequency": None,
        "log_base": "10",
        "floor": 1e-5,
        "padding": "same",
    },
    "parallel_wavegan": {
        "sampling_rate": 22050,
        "num_mel_bins": 80,
        "fft_length": 1024,
        "frame_step": 256,
        "window_length": None,
        "min_frequency": 80.0,
        "max_frequency": 7600.0,
        "log_base": "10",
        "floor": 1e-10,
        "padding": "center",
    },
}

_LOG_BASES = {"e": 1.0, "10": math.log(10.0), "2": math.log(2.0)}


@keras.saving.register_keras_serializable("keras_audiogan")
class MelFeatures(keras.layers.Layer):
    """Log-mel spectrogram as a vocoder was trained on, in float32.

    Magnitude spectra, weighted by triangular mel filters, raised to a floor,
    in logarithms, and normalised by bin where `mean` and `scale` are given.
    It has no weights, and gradients pass through it.

    Args:
        sampling_rate: Of the sound, in Hz.
        num_mel_bins: Number of filters.
        fft_length: Samples in a transform.
        frame_step: Samples from one frame to the next, the vocoder's hop.
        window_length: Samples under the window. Defaults to `fft_length`.
        min_frequency: Lower foot of the first filter, in Hz. `None` is 0.
        max_frequency: Upper foot of the last filter, in Hz. `None` is half
            the sampling rate.
        window: See `keras_audiogan.audio.windows.get_window`.
        power: Exponent of the magnitude before the filters.
        mel_scale: `"slaney"` or `"htk"`.
        mel_norm: `"slaney"` for filters of unit area, `None` for peak 1.
        log_base: `"e"`, `"10"` or `"2"`. The numbers 10 and 2, and `None`
            for `"e"`, are taken as the originals' files write them.
        floor: Smallest mel magnitude.
        power_floor: Added to the power under the root (HiFi-GAN 1e-9).
        power_clip: Smallest power under the root (the mel loss of
            kan-bayashi's HiFi-GAN, 1e-10).
        padding: `"center"` for `1 + time // frame_step` frames, `"same"`
            for `time // frame_step`; see `stft_power`.
        mean: Subtracted from the logarithms, one number a bin.
        scale: Divides what is left, one number a bin.

    Raises:
        ValueError: If an option is unknown or a size out of range.

    Input shape: `(batch, time, 1)`, or `(batch, time)`.
    Output shape: `(batch, frames, num_mel_bins)`.
    """

    def __init__(
        self,
        sampling_rate: int,
        num_mel_bins: int = 80,
        fft_length: int = 1024,
        frame_step: int = 256,
        window_length: int | None = None,
        min_frequency: float | None = 0.0,
        max_frequency: float | None = None,
        window: str | None = "hann",
        power: float = 1.0,
        mel_scale: str = "slaney",
        mel_norm: str | None = "slaney",
        log_base: str | float | None = "e",
        floor: float = 1e-5,
        power_floor: float = 0.0,
        power_clip: float = 0.0,
        padding: str = "center",
        mean: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.sampling_rate = sampling_rate
        self.num_mel_bins = num_mel_bins
        self.fft_length = fft_length
        self.frame_step = frame_step
        self.window_length = window_length
        self.min_frequency = 0.0 if min_frequency is None else min_frequency
        self.max_frequency = max_frequency
        self.window = window
        self.power = power
        self.mel_scale = mel_scale
        self.mel_norm = mel_norm
        self.log_base = _log_base(log_base)
        self.floor = floor
        self.power_floor = power_floor
        self.power_clip = power_clip
        self.padding = padding
        self.mean = self._statistics("mean", mean)
        self.scale = self._statistics("scale", scale)
        if floor <= 0 or power <= 0 or min(power_floor, power_clip) < 0:
            raise ValueError(
                "`floor` and `power` must be positive, `power_floor` and "
                f"`power_clip` not negative. Received: floor={floor}, "
                f"power={power}, power_floor={power_floor}, "
                f"power_clip={power_clip}"
            )
        if frame_step < 1 or frame_step > fft_length:
            raise ValueError(
                "`frame_step` must lie between 1 and `fft_length`. Received: "
                f"frame_step={frame_step}, fft_length={fft_length}"
            )
        length = fft_length if window_length is None else window_length
        if length > fft_length:
            raise ValueError(
                "`window_length` must be at most `fft_length`. Received: "
                f"window_length={length}, fft_length={fft_length}"
            )
        get_window(window, length)
        margin(fft_length, frame_step, padding)
        self.filters = mel_filter_bank(
            num_mel_bins,
            fft_length,
            sampling_rate,
            self.min_frequency,
            max_frequency,
            mel_scale,
            mel_norm,
        )

    def _statistics(
        self, name: str, values: Sequence[float] | None
    ) -> tuple[float, ...] | None:
        if values is None:
            return None
        array = np.asarray(values, "float64")
        with np.errstate(over="ignore"):
            single = array.astype("float32")
        if (
            array.shape != (self.num_mel_bins,)
            or not np.isfinite(single).all()
            or (name == "scale" and not (single > 0).all())
        ):
            raise ValueError(
                f"`{name}` must hold one finite number for each of the "
                f"{self.num_mel_bins} bins, and scales must be positive. "
                f"Received: shape {array.shape}, least "
                f"{array.min(initial=np.inf):g}, largest "
                f"{array.max(initial=-np.inf):g}"
            )
        return tuple(array.tolist())

    def build(self, input_shape: Any) -> None:
        """Marks the layer as built: it has no weights."""
        del input_shape
        self.built = True

    def call(self, audio: Any) -> Any:
        """Returns the log-mel spectrogram of `audio`."""
        if len(audio.shape) == 3:
            if audio.shape[2] not in (1, None):
                raise ValueError(
                    "Mel features are made of one channel. Received: audio "
                    f"of shape {tuple(audio.shape)}"
                )
            audio = audio[:, :, 0]
        power = stft_power(
            audio,
            self.fft_length,
            self.frame_step,
            self.window_length,
            self.window,
            self.padding,
        )
        power = root(power + self.power_floor, self.power_clip)
        if self.power != 1.0:
            power = ops.power(power, self.power)
        mel = ops.matmul(power, ops.convert_to_tensor(self.filters))
        mel = ops.log(ops.maximum(mel, self.floor))
        if self.log_base != "e":
            mel = mel * (1.0 / _LOG_BASES[self.log_base])
        if self.mean is not None:
            mel = mel - ops.convert_to_tensor(self.mean, "float32")
        if self.scale is not None:
            mel = mel / ops.convert_to_tensor(self.scale, "float32")
        return mel

    def num_frames(self, num_samples: int) -> int:
        """Returns how many frames a sound of `num_samples` samples has."""
        edge = margin(self.fft_length, self.frame_step, self.padding)
        return 1 + (num_samples + 2 * edge - self.fft_length) // self.frame_step

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """Returns `(batch, frames, num_mel_bins)`."""
        time = input_shape[1]
        frames = None if time is None else self.num_frames(time)
        return (input_shape[0], frames, self.num_mel_bins)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), **self.settings}

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments that say what the features are, JSON-able."""
        return {
            "sampling_rate": self.sampling_rate,
            "num_mel_bins": self.num_mel_bins,
            "fft_length": self.fft_length,
            "frame_step": self.frame_step,
            "window_length": self.window_length,
            "min_frequency": self.min_frequency,
            "max_frequency": self.max_frequency,
            "window": self.window,
            "power": self.power,
            "mel_scale": self.mel_scale,
            "mel_norm": self.mel_norm,
            "log_base": self.log_base,
            "floor": self.floor,
            "power_floor": self.power_floor,
            "power_clip": self.power_clip,
            "padding": self.padding,
            "mean": None if self.mean is None else list(self.mean),
            "scale": None if self.scale is None else list(self.scale),
        }


def _log_base(value: str | float | None) -> str:
    if value is None:
        return "e"
    if not isinstance(value, str):
        value = f"{value:g}"
    if value not in _LOG_BASES:
        raise ValueError(
            f'`log_base` must be "e", "10" or "2". Received: log_base={value!r}'
        )
    return value
