"""A log-mel spectrogram that gradients pass through, to any order."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_audiogan.audio.spectra import mel_filter_bank


@keras.saving.register_keras_serializable("keras_audiogan")
class LogMelSpectrogram(keras.layers.Layer):
    """Log-mel power spectra of overlapping Hann windows, in float32.

    The transform is a product with windowed sines and cosines: for windows
    as short as discriminators use, that is as fast as an FFT and differentiates
    twice on every backend. Frame `i` is centred at `(i + 0.5) * frame_step`.

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
        super().__init__(**{**kwargs, "dtype": "float32"})
        if fft_length % frame_step:
            raise ValueError(
                "`fft_length` must be a multiple of `frame_step`. Received: "
                f"fft_length={fft_length}, frame_step={frame_step}"
            )
        self._config = {
            "sampling_rate": sampling_rate,
            "num_mel_bins": num_mel_bins,
            "fft_length": fft_length,
            "frame_step": frame_step,
            "min_frequency": min_frequency,
            "floor": floor,
        }
        self.num_mel_bins = num_mel_bins
        self.fft_length = fft_length
        self.frame_step = frame_step
        self.floor = floor
        self.num_bins = fft_length // 2 + 1
        time = np.arange(fft_length)
        angles = 2 * np.pi * np.outer(time, np.arange(self.num_bins))
        angles /= fft_length
        window = 0.5 - 0.5 * np.cos(2 * np.pi * time / fft_length)
        basis = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
        self.basis = (basis * window[:, None]).astype("float32")
        bank = mel_filter_bank(
            num_mel_bins=num_mel_bins,
            fft_length=fft_length,
            sampling_rate=sampling_rate,
            min_frequency=min_frequency,
            max_frequency=sampling_rate / 2,
        )
        self.bank = np.asarray(bank, "float32")

    def build(self, input_shape: Any) -> None:
        """Marks the layer as built: it has no weights."""
        del input_shape
        self.built = True

    def call(self, audio: Any) -> Any:
        """Returns the log-mel spectrogram of `audio`."""
        length, channels = audio.shape[1], audio.shape[2]
        step, parts = self.frame_step, self.fft_length // self.frame_step
        frames = length // step
        margin = self.fft_length - step
        left = margin // 2
        x = ops.transpose(ops.cast(audio, "float32"), (0, 2, 1))
        x = ops.pad(x, [[0, 0], [0, 0], [left, margin - left]])
        x = ops.reshape(x, (-1, channels, frames + parts - 1, step))
        x = ops.concatenate(
            [x[:, :, i : i + frames] for i in range(parts)], axis=-1
        )
        x = ops.matmul(x, ops.convert_to_tensor(self.basis))
        power = ops.square(x[..., : self.num_bins]) + ops.square(
            x[..., self.num_bins :]
        )
        mel = ops.matmul(power, ops.convert_to_tensor(self.bank))
        return ops.transpose(ops.log(mel + self.floor), (0, 2, 3, 1))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), **self._config}
