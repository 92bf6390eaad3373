"""A recurrent classifier of sound: two LSTM layers on MFCC."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_audiogan.layers.mfcc import MFCC
from keras_audiogan.models.audio_classifier import (
    AudioClassifier,
    ClassifierNetwork,
    frame_length,
)
from keras_audiogan.models.registry import register_architecture

INPUTS = ("waveform", "mfcc", "sliced_mfcc")


@register_architecture("lstm_classifier")
class LSTMClassifier(AudioClassifier):
    """Two LSTM layers, and the mean of what they say while it sounds.

    Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation
    1997, on the inputs that a university coursework compared for the genres
    of GTZAN (Tzanetakis and Cook, "Musical Genre Classification of Audio
    Signals", IEEE TSAP 2002):

    - `"waveform"`: the samples themselves, those more than `threshold_db`
      below the clip's peak set to 0, in frames of `frame_step`;
    - `"mfcc"`: mel-frequency cepstral coefficients of the whole clip;
    - `"sliced_mfcc"`: the same in slices of `num_slice_frames`; those whose
      peak is above the threshold are heard each on its own, and the mean
      counts. Quiet ones are left out.

    The coursework took the last output of the second layer. Here it is the
    mean of the outputs over the frames above the threshold: short clips end
    in silence, over which the last output forgets. It also fed slices as
    recordings of their own; here the slices of one clip share a verdict.
    Coefficients go through batch norm; the networks stay in float32.

    Args:
        labels: See `AudioClassifier`, as for `sampling_rate`, `num_channels`
            and `slice_length`.
        inputs: One of the three above.
        threshold_db: What counts as silence, in dB below the clip's peak.
        num_coefficients: MFCC that are kept.
        num_mel_bins: Bands that they are made from.
        fft_length: Samples per frame; by default the power of 2 nearest to
            32 ms.
        frame_step: Samples from one frame to the next; by default half of
            `fft_length`.
        num_slice_frames: Frames in a slice.
        units: Width of each of the two layers; the last is `num_features`.
        dropout: Fraction of features dropped in training.

    Raises:
        ValueError: An unknown input, or a number out of range.

    Example:
        >>> classifier = LSTMClassifier(("yes", "no"), sampling_rate=8000)
        >>> classifier.predict_proba(np.zeros((3, 8192, 1))).shape
        (3, 2)
    """

    default_learning_rate = 3e-3
    tiny = {
        "labels": ["yes", "no", "maybe"],
        "slice_length": 1024,
        "num_coefficients": 5,
        "num_mel_bins": 16,
        "units": [4, 4],
    }
    config_limits = {
        "num_channels": 64,
        "slice_length": 1 << 22,
        "fft_length": 1 << 12,
        "num_mel_bins": 1024,
        "units": 4096,
    }

    def __init__(
        self,
        labels: Sequence[str],
        sampling_rate: int = 8000,
        num_channels: int = 1,
        slice_length: int = 8192,
        inputs: str = "mfcc",
        threshold_db: float = -40.0,
        num_coefficients: int = 20,
        num_mel_bins: int = 40,
        fft_length: int | None = None,
        frame_step: int | None = None,
        num_slice_frames: int = 16,
        units: Sequence[int] = (96, 96),
        dropout: float = 0.3,
        **kwargs: Any,
    ):
        super().__init__(
            labels, sampling_rate, num_channels, slice_length, **kwargs
        )
        if inputs not in INPUTS:
            raise ValueError(
                f"`inputs` must be one of {', '.join(INPUTS)}. "
                f"Received: inputs={inputs!r}"
            )
        if not -120.0 <= threshold_db < 0.0:
            raise ValueError(
                "`threshold_db` must be from -120 to below 0. "
                f"Received: threshold_db={threshold_db}"
            )
        if len(units) != 2 or num_slice_frames < 1:
            raise ValueError(
                "`units` must hold two widths, and `num_slice_frames` be 1 "
                f"or more. Received: units={units}, "
                f"num_slice_frames={num_slice_frames}"
            )
        if fft_length is None:
            fft_length = frame_length(sampling_rate)
        if frame_step is None:
            frame_step = max(1, fft_length // 2)
        self.build_network(
            LSTMClassifierNetwork,
            inputs=inputs,
            threshold_db=float(threshold_db),
            num_coefficients=int(num_coefficients),
            num_mel_bins=int(num_mel_bins),
            fft_length=int(fft_length),
            frame_step=int(frame_step),
            num_slice_frames=int(num_slice_frames),
            units=[int(count) for count in units],
            dropout=float(dropout),
            dtype="float32",
        )


@keras.saving.register_keras_serializable("keras_audiogan")
class LSTMClassifierNetwork(ClassifierNetwork):
    """The network of `LSTMClassifier`; see there for the arguments."""

    def __init__(
        self,
        num_classes: int,
        sampling_rate: int,
        slice_length: int,
        inputs: str,
        threshold_db: float,
        num_coefficients: int,
        num_mel_bins: int,
        fft_length: int,
        frame_step: int,
        num_slice_frames: int,
        units: Sequence[int],
        dropout: float,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.inputs_kind = inputs
        self.threshold = 10.0 ** (threshold_db / 20.0)
        self.frame_step = frame_step
        self.num_frames = math.ceil(slice_length / frame_step)
        self.sequence_frames = self.num_frames
        if inputs == "sliced_mfcc":
            self.sequence_frames = min(num_slice_frames, self.num_frames)
            slices = math.ceil(self.num_frames / self.sequence_frames)
            self.num_frames = slices * self.sequence_frames
        self.width = num_coefficients
        self.mfcc = None
        if inputs == "waveform":
            self.width = frame_step
        else:
            self.mfcc = MFCC(
                sampling_rate=sampling_rate,
                num_coefficients=num_coefficients,
                num_mel_bins=num_mel_bins,
                fft_length=fft_length,
                frame_step=frame_step,
                name="mfcc",
            )
        self.norm = self.make_layer(
            keras.layers.BatchNormalization,
            (None, self.width),
            momentum=0.95,
            name="batch_norm",
        )
        widths = [self.width, *units]
        self.lstms = [
            self.make_layer(
                keras.layers.LSTM,
                (self.sequence_frames, widths[index]),
                count,
                return_sequences=True,
                name=f"lstm_{index}",
            )
            for index, count in enumerate(units)
        ]
        self.build_head(units[-1], num_classes, dropout)

    def prepared(self, audio):
        """Returns frames of what the layers hear, and which of them sound.

        Args:
            audio: Tensor (batch, time, channels).

        Returns:
            float32 (batch, frames, width), and (batch, frames): 1 where the
            peak of a frame is above the threshold, else 0.
        """
        audio = self.peak_scaled(audio)
        total = self.num_frames * self.frame_step
        audio = ops.pad(audio[:, :total], ((0, 0), (0, total)))[:, :total]
        shape = (-1, self.num_frames, self.frame_step)
        frames = ops.reshape(audio, shape)
        sounding = ops.cast(
            ops.max(ops.abs(frames), axis=2) >= self.threshold, "float32"
        )
        if self.mfcc is not None:
            return self.mfcc(audio[..., None]), sounding
        loud = ops.cast(ops.abs(frames) >= self.threshold, "float32")
        return frames * loud, sounding

    def features(self, audio, training: bool | None = None):
        """Returns float32 (batch, units), the penultimate output."""
        hidden, sounding = self.prepared(audio)
        hidden = self.norm(hidden, training=training)
        hidden = ops.reshape(hidden, (-1, self.sequence_frames, self.width))
        for layer in self.lstms:
            hidden = layer(hidden, training=training)
        slices = self.num_frames // self.sequence_frames
        hidden = ops.reshape(
            hidden, (-1, slices, self.sequence_frames, self.lstms[-1].units)
        )
        weights = ops.reshape(sounding, (-1, slices, self.sequence_frames, 1))
        counts = ops.sum(weights, axis=2)
        means = ops.sum(hidden * weights, axis=2) / ops.maximum(counts, 1.0)
        heard = ops.cast(counts > 0.0, "float32")
        return ops.sum(means * heard, axis=1) / ops.maximum(
            ops.sum(heard, axis=1), 1.0
        )
