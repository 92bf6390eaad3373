"""A small convolutional classifier of spoken words, on log-mel spectra."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_audiogan.layers import MelFeatures
from keras_audiogan.models.audio_classifier import (
    AudioClassifier,
    ClassifierNetwork,
    frame_length,
)
from keras_audiogan.models.registry import register_architecture

DIGIT_NAMES = tuple("zero one two three four five six seven eight nine".split())
_LOG_FLOOR = 1e-2


@register_architecture("digit_classifier")
class DigitClassifier(AudioClassifier):
    """Tells short spoken words apart; it scores the digit generators.

    The network scales a clip to a peak of 1, computes a log-mel spectrogram
    (always in float32) and runs five convolutions with batch norm over it;
    the mean over time and frequency of the last one are the features. It
    takes the place of the classifier of WaveGAN's evaluation
    (Donahue et al., "Adversarial Audio Synthesis", ICLR 2019, appendix D),
    from which it differs in size, rate and training, so that inception
    scores under the two are not comparable.

    Args:
        labels: See `AudioClassifier`, as for `sampling_rate`, `num_channels`
            and `slice_length`.
        fft_length: Samples per spectrogram frame; by default the power of
            2 nearest to 32 ms.
        frame_step: Samples from one frame to the next; by default a
            quarter of `fft_length`.
        num_mel_bins: Bands of the mel spectrogram.
        min_frequency: Lower edge of the lowest band, in Hz.
        max_frequency: Upper edge of the highest band, in Hz; by default
            0.475 of the sampling rate.
        filters: Channels of the convolutions; the last is `num_features`.
        dropout: Fraction of features dropped in training.
        keep_frequencies: Whether the features are a dense layer's, of the
            means over time alone, so that they tell where in frequency a
            sound lies. For pitches: in training no clip's speed changes.

    Example:
        >>> classifier = DigitClassifier(("yes", "no"), sampling_rate=8000)
        >>> classifier.predict_proba(np.zeros((3, 8192, 1))).shape
        (3, 2)
    """

    tiny = {
        "labels": ["yes", "no", "maybe"],
        "slice_length": 1024,
        "fft_length": 128,
        "num_mel_bins": 16,
        "filters": [4, 4, 8],
    }
    config_limits = {
        "num_channels": 64,
        "slice_length": 1 << 22,
        "fft_length": 1 << 14,
        "num_mel_bins": 1024,
        "filters": 4096,
    }

    def __init__(
        self,
        labels: Sequence[str] = DIGIT_NAMES,
        sampling_rate: int = 8000,
        num_channels: int = 1,
        slice_length: int = 8192,
        fft_length: int | None = None,
        frame_step: int | None = None,
        num_mel_bins: int = 64,
        min_frequency: float = 50.0,
        max_frequency: float | None = None,
        filters: Sequence[int] = (24, 48, 96, 128, 128),
        dropout: float = 0.3,
        keep_frequencies: bool = False,
        **kwargs: Any,
    ):
        super().__init__(
            labels, sampling_rate, num_channels, slice_length, **kwargs
        )
        if fft_length is None:
            fft_length = frame_length(sampling_rate)
        if frame_step is None:
            frame_step = max(1, fft_length // 4)
        if not 1 <= frame_step <= fft_length or not filters:
            raise ValueError(
                "`frame_step` must lie between 1 and `fft_length`, and "
                "`filters` hold one number or more. Received: "
                f"frame_step={frame_step}, fft_length={fft_length}, "
                f"filters={filters}"
            )
        if max_frequency is None:
            max_frequency = 0.475 * sampling_rate
        self.build_network(
            DigitClassifierNetwork,
            fft_length=int(fft_length),
            frame_step=int(frame_step),
            num_mel_bins=int(num_mel_bins),
            min_frequency=float(min_frequency),
            max_frequency=float(max_frequency),
            filters=[int(count) for count in filters],
            dropout=float(dropout),
            keep_frequencies=bool(keep_frequencies),
        )


@keras.saving.register_keras_serializable("keras_audiogan")
class DigitClassifierNetwork(ClassifierNetwork):
    """The network of `DigitClassifier`; see there for the arguments."""

    def __init__(
        self,
        num_classes: int,
        sampling_rate: int,
        slice_length: int,
        fft_length: int,
        frame_step: int,
        num_mel_bins: int,
        min_frequency: float,
        max_frequency: float,
        filters: Sequence[int],
        dropout: float,
        keep_frequencies: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.slice_length = slice_length
        self.mel = MelFeatures(
            sampling_rate,
            num_mel_bins,
            fft_length,
            frame_step,
            min_frequency=min_frequency,
            max_frequency=max_frequency,
            power=2.0,
            mel_scale="htk",
            mel_norm=None,
            slopes="mel",
            floor=_LOG_FLOOR,
            add_floor=True,
            padding="middle",
            name="mel",
        )
        counts = [1, *filters]
        self.convolutions = [
            self.make_layer(
                keras.layers.Conv2D,
                (None, None, counts[index]),
                count,
                3 if index else 5,
                strides=1 if index else 2,
                padding="same",
                use_bias=False,
                data_format="channels_last",
                name=f"conv_{index}",
            )
            for index, count in enumerate(filters)
        ]
        self.norms = [
            self.make_layer(
                keras.layers.BatchNormalization,
                (None, None, count),
                momentum=0.95,
                name=f"batch_norm_{index}",
            )
            for index, count in enumerate(filters)
        ]
        self.pool = keras.layers.MaxPooling2D(
            2,
            padding="same",
            data_format="channels_last",
            name="pool",
            dtype=self.dtype_policy,
        )
        self.places = None
        if keep_frequencies:
            heights = -(-num_mel_bins // 2)
            for _ in filters[1:-1]:
                heights = -(-heights // 2)
            self.places = self.make_dense(
                heights * filters[-1], filters[-1], "places", dtype="float32"
            )
        self.build_head(filters[-1], num_classes, dropout)

    def log_mel_spectrogram(self, audio):
        """Returns float32 (batch, frames, num_mel_bins) of peak-scaled audio.

        Args:
            audio: Tensor (batch, time, channels).
        """
        audio = self.peak_scaled(audio)
        if audio.shape[1] != self.slice_length:
            audio = ops.pad(audio, ((0, 0), (0, self.slice_length)))
            audio = audio[:, : self.slice_length]
        # Speech at a peak of 1 gives powers from the floor to about 4000:
        # this brings their logarithm to about [-1, 2].
        return self.mel(audio) / 4.0

    def features(self, audio, training: bool | None = None):
        """Returns float32 (batch, num_features), the penultimate output."""
        hidden = ops.expand_dims(self.log_mel_spectrogram(audio), axis=-1)
        hidden = ops.cast(hidden, self.compute_dtype)
        last = len(self.convolutions) - 1
        for index, (convolution, norm) in enumerate(
            zip(self.convolutions, self.norms, strict=True)
        ):
            hidden = norm(convolution(hidden), training=training)
            hidden = ops.relu(hidden)
            if 0 < index < last:
                hidden = self.pool(hidden)
        hidden = ops.cast(hidden, "float32")
        if self.places is None:
            return ops.mean(hidden, axis=(1, 2))
        hidden = ops.mean(hidden, axis=1)
        size = hidden.shape[1] * hidden.shape[2]
        return ops.relu(self.places(ops.reshape(hidden, (-1, size))))
