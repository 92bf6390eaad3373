"""Log-mel spectrograms, with every published setting."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_audiogan.audio.mel_front_end import LOG_BASES, log_mels
from keras_audiogan.audio.phase_recovery import griffin_lim
from keras_audiogan.audio.spectra import mel_filter_bank, num_frames
from keras_audiogan.audio.windows import get_window
from keras_audiogan.layers.representations import (
    Moments,
    checked_clips,
    per_bin,
)

_SIZES = {
    "sampling_rate": 22050,
    "num_mel_bins": 80,
    "fft_length": 1024,
    "frame_step": 256,
}

#: Arguments of `MelFeatures` as the originals have them: jik876's HiFi-GAN
#: (`config_v1.json`), descriptinc's MelGAN, kan-bayashi's recipes for
#: 22,050 Hz (`parallel_wavegan.v1.yaml`), whose normalisation `mean` and
#: `scale` come with each checkpoint, gemelo-ai's Vocos for 24,000 Hz
#: (`vocos-mel-24khz`), and NVIDIA's BigVGAN (`bigvgan_base_24khz_100band`).
MEL_SETTINGS: dict[str, dict[str, Any]] = {
    "hifigan": {
        **_SIZES,
        "window_length": 1024,
        "min_frequency": 0.0,
        "max_frequency": 8000.0,
        "log_base": "e",
        "floor": 1e-5,
        "power_floor": 1e-9,
        "padding": "same",
    },
    "melgan": {
        **_SIZES,
        "window_length": 1024,
        "min_frequency": 0.0,
        "max_frequency": None,
        "log_base": "10",
        "floor": 1e-5,
        "padding": "same",
    },
    "parallel_wavegan": {
        **_SIZES,
        "window_length": None,
        "min_frequency": 80.0,
        "max_frequency": 7600.0,
        "log_base": "10",
        "floor": 1e-10,
        "padding": "center",
    },
    "vocos": {
        "sampling_rate": 24000,
        "num_mel_bins": 100,
        "fft_length": 1024,
        "frame_step": 256,
        "window_length": 1024,
        "min_frequency": 0.0,
        "max_frequency": None,
        "mel_scale": "htk",
        "mel_norm": None,
        "log_base": "e",
        "floor": 1e-7,
        "padding": "center",
    },
}

MEL_SETTINGS["bigvgan"] = {
    **MEL_SETTINGS["hifigan"],
    "sampling_rate": 24000,
    "num_mel_bins": 100,
    # 12,000 Hz there; half of whatever rate a run has.
    "max_frequency": None,
}


@keras.saving.register_keras_serializable("keras_audiogan")
class MelFeatures(keras.layers.Layer):
    """Log-mel spectrogram as a network was trained on, in float32.

    Magnitude spectra, weighted by triangular mel filters, raised to a floor,
    in logarithms, and normalised by bin where `mean` and `scale` are given.
    It has no weights, and gradients pass through it, to any order. It is a
    representation as well: `analyse`, `synthesise`, `fit` and `shape` are
    those of `keras_audiogan.layers.Representation`.

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
            for `time // frame_step`, `"middle"` for as many, rounded up, and
            zeros at the ends; see `keras_audiogan.audio.spectra.spectrogram`.
        mean: Subtracted from the logarithms, one number a bin.
        scale: Divides what is left, one number a bin.
        slopes: `"hertz"` or `"mel"`; see
            `keras_audiogan.audio.spectra.mel_filter_bank`.
        add_floor: Whether `floor` is added, not only a lower bound.

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
        slopes: str = "hertz",
        add_floor: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.built = True
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
        self.slopes = slopes
        self.add_floor = add_floor
        self.mean, self.scale = (
            values
            if values is None
            else tuple(per_bin(name, values, num_mel_bins, positive).tolist())
            for name, values, positive in (
                ("mean", mean, False),
                ("scale", scale, True),
            )
        )
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
        num_frames(1, fft_length, frame_step, padding)
        self.filters = mel_filter_bank(
            num_mel_bins,
            fft_length,
            sampling_rate,
            self.min_frequency,
            max_frequency,
            mel_scale,
            mel_norm,
            slopes,
        )

    def features(self, audio: Any) -> Any:
        """Returns the features `(rows, frames, bins)` of `(rows, time)`."""
        return log_mels(ops.cast(audio, "float32"), self)

    def call(self, audio: Any) -> Any:
        """Returns the log-mel spectrogram of `audio`."""
        if len(audio.shape) == 3:
            if audio.shape[2] not in (1, None):
                raise ValueError(
                    "Mel features are made of one channel. Received: audio "
                    f"of shape {tuple(audio.shape)}"
                )
            audio = audio[:, :, 0]
        return self.features(audio)

    def analyse(self, audio: Any) -> Any:
        """Returns the log-mel spectrogram of `audio`."""
        return self(audio)

    def synthesise(self, mel: Any) -> Any:
        """Returns sound `(batch, time, 1)` by the fast Griffin-Lim.

        Args:
            mel: `(batch, frames, num_mel_bins)`, the number of frames known.
        """
        return griffin_lim(mel, self)[..., None]

    def shape(self, slice_length: int, num_channels: int) -> tuple[int, ...]:
        """Returns `(frames, num_mel_bins)`."""
        del num_channels
        return self.num_frames(slice_length), self.num_mel_bins

    def fit(self, clips: Iterable[np.ndarray]) -> dict[str, list[float]]:
        """Returns `mean` and `scale` of a corpus, rounded to six digits.

        Args:
            clips: Arrays `(time, 1)`, read once and not kept. Silent ones
                are left out.

        Raises:
            ValueError: If there is no clip with sound or one is not finite.
        """
        plain = MelFeatures(**{**self.settings, "mean": None, "scale": None})
        moments = Moments()
        for clip in checked_clips(clips):
            if np.any(clip):
                moments.add(ops.convert_to_numpy(plain(clip[None])))
        mean, scale = moments.fitted()
        return {"mean": mean, "scale": scale}

    def num_frames(self, num_samples: int) -> int:
        """Returns how many frames a sound of `num_samples` samples has."""
        return num_frames(
            num_samples, self.fft_length, self.frame_step, self.padding
        )

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
        names = list(inspect.signature(MelFeatures.__init__).parameters)[1:-1]
        values = {name: getattr(self, name) for name in names}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }


@keras.saving.register_keras_serializable("keras_audiogan")
class LogMelSpectrogram(MelFeatures):
    """Log-mel power spectra of every channel, as discriminators see them.

    Frame `i` of a Hann window is centred at `(i + 0.5) * frame_step`.

    Args:
        sampling_rate: of the input, in Hz.
        num_mel_bins: HTK-scale bands up to half the rate.
        fft_length: window length in samples, a multiple of `frame_step`.
        frame_step: hop in samples, a divisor of the input's length.
        min_frequency: lower edge of the lowest band, in Hz.
        floor: added to the power before the logarithm. A full-scale sine
            has a power of `(fft_length / 4)**2`.

    Input shape: `(batch, time, channels)`.
    Output shape: `(batch, time // frame_step, num_mel_bins, channels)`.
    """

    def __init__(
        self,
        sampling_rate: int,
        num_mel_bins: int = 64,
        fft_length: int = 256,
        frame_step: int = 128,
        min_frequency: float = 40.0,
        floor: float = 1e-2,
        **kwargs: Any,
    ) -> None:
        if fft_length % frame_step:
            raise ValueError(
                "`fft_length` must be a multiple of `frame_step`. Received: "
                f"fft_length={fft_length}, frame_step={frame_step}"
            )
        super().__init__(
            sampling_rate,
            num_mel_bins,
            fft_length,
            frame_step,
            min_frequency=min_frequency,
            floor=floor,
            **{**_LOG_MEL, **kwargs},
        )

    def call(self, audio: Any) -> Any:
        """Returns the log-mel spectrogram of `audio`."""
        length, channels = audio.shape[1], audio.shape[2]
        rows = ops.reshape(ops.transpose(audio, (0, 2, 1)), (-1, length))
        mel = self.features(rows)
        frames, bins = mel.shape[1], mel.shape[2]
        mel = ops.reshape(mel, (-1, channels, frames, bins))
        return ops.transpose(mel, (0, 2, 3, 1))

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """Returns `(batch, frames, num_mel_bins, channels)`."""
        return (*super().compute_output_shape(input_shape), input_shape[2])


_LOG_MEL = {
    "power": 2.0,
    "mel_scale": "htk",
    "mel_norm": None,
    "padding": "middle",
    "add_floor": True,
}


def _log_base(value: str | float | None) -> str:
    if value is None:
        return "e"
    if not isinstance(value, str):
        value = f"{value:g}"
    if value not in LOG_BASES:
        raise ValueError(
            f'`log_base` must be "e", "10" or "2". Received: log_base={value!r}'
        )
    return value
