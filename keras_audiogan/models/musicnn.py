"""Musicnn: tags of music from log-mel spectra, and features to compare by."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_audiogan.layers import MelFeatures
from keras_audiogan.models.audio_classifier import (
    AudioClassifier,
    ClassifierNetwork,
    ForwardPass,
    fit_clips,
)
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.training import distribution

_MID_KERNEL = 7
_NUM_MID_LAYERS = 3
# The original compresses power x to log10(10000 x + 1), which is
# 4 + log10(x + 1e-4).
_FLOOR = 1e-4
_OFFSET = 4.0
# Bounds of what is in memory at once: patches, and samples of sound.
_PATCHES = 16
_SAMPLES = 1 << 20


@register_architecture("musicnn")
class MusiCNN(AudioClassifier):
    """Tags of music, and features by which music is compared.

    The network of Pons and Serra, "musicnn: Pre-trained convolutional neural
    networks for music audio tagging" (ISMIR 2019, late-breaking), whose
    weights `audiogan judge musicnn` brings. Convolutions as tall as parts of
    the spectrum hear timbre, convolutions as long as half a second to two
    seconds hear rhythm, three residual layers combine them, and maximum and
    mean over time go through a dense layer, whose output is the features.

    Sound of any length is heard in patches of three seconds, as the original
    hears it; what is left over at the end counts only where it is all there
    is. Features and logits are means over the patches (the original averages
    the probabilities). The original rounds spectra to half precision, which
    overflows in loud passages; here they are float32.

    Args:
        labels: The tags, in the order of the logits.
        sampling_rate: In Hz.
        num_channels: The channels of the audio; they are averaged to mono.
        slice_length: The samples that training looks at.
        fft_length: Samples per spectrogram frame.
        frame_step: Samples from one frame to the next.
        num_mel_bins: Bands of the mel spectrogram, up to half the rate.
        patch_frames: Frames of a patch.
        timbral_heights: Bands that each timbral convolution spans.
        temporal_lengths: Frames that each temporal convolution spans.
        timbral_filters: Channels of each timbral convolution.
        temporal_filters: Channels of each temporal convolution.
        mid_filters: Channels of each residual layer.
        units: Width of the features.
        multi_label: Whether a clip may have several of the labels:
            probabilities are then those of each tag by itself, and do not
            sum to 1.
        dropout: Fraction of features dropped in training.

    Raises:
        ValueError: As `AudioClassifier`, or for sizes out of range.

    Example:
        >>> judge = MusiCNN(("piano", "drums"), units=8)
        >>> judge.features(np.zeros((2, 16000, 1))).shape
        (2, 8)
    """

    tiny = {
        "labels": ["piano", "drums", "choir"],
        "slice_length": 1024,
        "fft_length": 128,
        "frame_step": 64,
        "num_mel_bins": 12,
        "patch_frames": 9,
        "timbral_heights": [5, 8],
        "temporal_lengths": [6, 3],
        "timbral_filters": 3,
        "temporal_filters": 2,
        "mid_filters": 4,
        "units": 5,
    }
    hears_any_length = True
    config_limits = {
        "num_channels": 64,
        "slice_length": 1 << 22,
        "fft_length": 1 << 14,
        "num_mel_bins": 1024,
        "patch_frames": 1 << 14,
        "timbral_filters": 4096,
        "temporal_filters": 4096,
        "mid_filters": 4096,
        "units": 1 << 14,
    }

    def __init__(
        self,
        labels: Sequence[str],
        sampling_rate: int = 16000,
        num_channels: int = 1,
        slice_length: int = 48000,
        fft_length: int = 512,
        frame_step: int = 256,
        num_mel_bins: int = 96,
        patch_frames: int = 187,
        timbral_heights: Sequence[int] = (38, 67),
        temporal_lengths: Sequence[int] = (128, 64, 32),
        timbral_filters: int = 204,
        temporal_filters: int = 51,
        mid_filters: int = 64,
        units: int = 200,
        multi_label: bool = False,
        dropout: float = 0.5,
        **kwargs: Any,
    ):
        super().__init__(
            labels, sampling_rate, num_channels, slice_length, **kwargs
        )
        self.multi_label = bool(multi_label)
        sizes = (
            patch_frames,
            timbral_filters,
            temporal_filters,
            mid_filters,
            units,
            *timbral_heights,
            *temporal_lengths,
        )
        if min(sizes) < 1 or max(timbral_heights, default=0) > num_mel_bins:
            raise ValueError(
                "Sizes must be 1 or more, and no timbral convolution taller "
                "than the spectrum. Received: "
                f"{num_mel_bins} bands and sizes {sizes}"
            )
        self.build_network(
            MusiCNNNetwork,
            fft_length=int(fft_length),
            frame_step=int(frame_step),
            num_mel_bins=int(num_mel_bins),
            patch_frames=int(patch_frames),
            timbral_heights=[int(height) for height in timbral_heights],
            temporal_lengths=[int(length) for length in temporal_lengths],
            timbral_filters=int(timbral_filters),
            temporal_filters=int(temporal_filters),
            mid_filters=int(mid_filters),
            units=int(units),
            dropout=float(dropout),
        )

    def compile(
        self, optimizer: Any = None, loss: Any = None, **kwargs: Any
    ) -> None:
        """Configures training; tags by themselves if there may be several."""
        if loss is None and self.multi_label:
            loss = keras.losses.BinaryCrossentropy(from_logits=True)
            metric = keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)
            kwargs.setdefault("metrics", [metric])
        super().compile(optimizer, loss, **kwargs)

    def predict_proba(self, audio, batch_size: int = 128) -> np.ndarray:
        """Returns probabilities (n, num_classes); see `multi_label`."""
        return self.predict_with_features(audio, batch_size)[0]

    def predict_with_features(
        self, audio, batch_size: int = 128
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns `predict_proba` and `features` from a single pass."""
        if not self.multi_label:
            return super().predict_with_features(audio, batch_size)
        logits, features = self._by_batches(audio, batch_size)
        # A sigmoid that does not overflow.
        return 0.5 + 0.5 * np.tanh(0.5 * logits.astype("float64")), features

    def _by_batches(self, audio, batch_size: int):
        """Passes clips, whole, through the network, a few patches at once."""
        audio = np.asarray(audio, "float32")
        # Of any length: only what is wrong is refused.
        audio = fit_clips(audio, audio.shape[1] if audio.ndim > 1 else 1)
        if batch_size < 1:
            raise ValueError(
                "`batch_size` must be 1 or more. "
                f"Received: batch_size={batch_size}"
            )
        if not hasattr(self, "_of_patches"):
            self._of_patches = functools.partial(
                distribution.predict, PatchForward(self.network)
            )
        count = max(1, min(batch_size, _SAMPLES // audio.shape[1]))
        logits: list[np.ndarray] = []
        features: list[np.ndarray] = []
        for start in range(0, len(audio), count):
            clips = audio[start : start + count]
            patches = ops.convert_to_numpy(
                self.network.patches(ops.convert_to_tensor(clips))
            )
            outputs: tuple[list[np.ndarray], ...] = ([], [])
            for first in range(0, len(patches), _PATCHES):
                batch = patches[first : first + _PATCHES]
                # One shape for all calls, so that graphs are traced once.
                padded = np.zeros((_PATCHES, *batch.shape[1:]), "float32")
                padded[: len(batch)] = batch
                for found, output in zip(
                    outputs, self._of_patches(padded), strict=True
                ):
                    found.append(np.asarray(output)[: len(batch)])
            for means, found in zip((logits, features), outputs, strict=True):
                values = np.concatenate(found)
                rows = values.reshape(len(clips), -1, values.shape[-1])
                means.append(rows.mean(axis=1))
        return np.concatenate(logits), np.concatenate(features)


@keras.saving.register_keras_serializable("keras_audiogan")
class MusiCNNNetwork(ClassifierNetwork):
    """The network of `MusiCNN`; see there for the arguments."""

    def __init__(
        self,
        num_classes: int,
        sampling_rate: int,
        slice_length: int,
        fft_length: int,
        frame_step: int,
        num_mel_bins: int,
        patch_frames: int,
        timbral_heights: Sequence[int],
        temporal_lengths: Sequence[int],
        timbral_filters: int,
        temporal_filters: int,
        mid_filters: int,
        units: int,
        dropout: float,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        del slice_length
        self.patch_frames = patch_frames
        self.margin = fft_length // 2
        self.mel = MelFeatures(
            sampling_rate,
            num_mel_bins,
            fft_length,
            frame_step,
            power=2.0,
            log_base="10",
            floor=_FLOOR,
            add_floor=True,
            padding="none",
            name="mel",
        )
        image = (None, num_mel_bins, 1)
        self.norm_in = self._norm((None, None, 1), "batch_norm_in")
        self.timbral = [
            self._convolved(
                image, timbral_filters, (_MID_KERNEL, height), f"timbral_{i}"
            )
            for i, height in enumerate(timbral_heights)
        ]
        self.temporal = [
            self._convolved(
                image, temporal_filters, (length, 1), f"temporal_{i}"
            )
            for i, length in enumerate(temporal_lengths)
        ]
        width = timbral_filters * len(timbral_heights)
        width += temporal_filters * len(temporal_lengths)
        self.mid = [
            self._convolved(
                (None, mid_filters if i else width),
                mid_filters,
                _MID_KERNEL,
                f"mid_{i}",
            )
            for i in range(_NUM_MID_LAYERS)
        ]
        width = 2 * (width + _NUM_MID_LAYERS * mid_filters)
        self.norm_pooled = self._norm((width,), "batch_norm_pooled")
        self.pooled_dropout = keras.layers.Dropout(
            dropout, name="pooled_dropout", dtype="float32"
        )
        self.hidden = self.make_dense(
            width, units, "hidden", activation="relu", dtype="float32"
        )
        self.norm_hidden = self._norm((units,), "batch_norm_hidden")
        self.build_head(units, num_classes, dropout)

    def _norm(self, shape: Sequence[int | None], name: str) -> Any:
        return self.make_layer(
            keras.layers.BatchNormalization,
            shape,
            epsilon=1e-3,
            dtype="float32",
            name=name,
        )

    def _convolved(
        self, shape: Sequence[int | None], filters: int, kernel: Any, name: str
    ) -> tuple[Any, Any]:
        """A convolution with its activation, and the norm after it."""
        flat = isinstance(kernel, int)
        kind = keras.layers.Conv1D if flat else keras.layers.Conv2D
        # In time, what is outside is silence; a timbral convolution stays
        # within the spectrum, and `call` adds its silence.
        inside = not flat and kernel[1] > 1
        convolution = self.make_layer(
            kind,
            shape,
            filters,
            kernel,
            padding="valid" if inside else "same",
            activation="relu",
            data_format="channels_last",
            name=name,
        )
        norm_shape = (*[None] * (len(shape) - 1), filters)
        return convolution, self._norm(norm_shape, f"{name}_batch_norm")

    def log_mel_spectrogram(self, audio):
        """Returns float32 (batch, frames, num_mel_bins) of audio.

        Frame i is centred at sample i * frame_step, with zeros beyond the
        ends.

        Args:
            audio: Tensor (batch, time, channels).
        """
        audio = ops.mean(ops.cast(audio, "float32"), axis=2)
        audio = ops.pad(audio, ((0, 0), (self.margin, self.margin)))
        return self.mel(audio) + _OFFSET

    def patches(self, audio):
        """Returns log-mel patches (batch * patches, frames, num_mel_bins)."""
        mel = self.log_mel_spectrogram(audio)
        frames = mel.shape[1]
        if frames <= self.patch_frames:
            return mel
        whole = frames // self.patch_frames * self.patch_frames
        shape = (-1, self.patch_frames, mel.shape[2])
        return ops.reshape(mel[:, :whole], shape)

    def features(self, audio, training: bool | None = None):
        """Returns float32 (batch, num_features), the penultimate output."""
        features = self.patch_features(self.patches(audio), training)
        frames = self.mel.num_frames(audio.shape[1] + 2 * self.margin)
        num_patches = max(1, frames // self.patch_frames)
        if num_patches == 1:
            return features
        rows = (-1, num_patches, self.num_features)
        return ops.mean(ops.reshape(features, rows), axis=1)

    def patch_features(self, patches, training: bool | None = None):
        """Returns float32 (batch, num_features) of log-mel patches."""
        seen = self.norm_in(ops.expand_dims(patches, -1), training=training)
        edge = _MID_KERNEL // 2
        padded = ops.pad(seen, ((0, 0), (edge, edge), (0, 0), (0, 0)))
        parts = []
        for image, layers in ((padded, self.timbral), (seen, self.temporal)):
            for convolution, norm in layers:
                heard = norm(convolution(image), training=training)
                parts.append(ops.max(heard, axis=2))
        parts = [ops.concatenate(parts, axis=2)]
        for index, (convolution, norm) in enumerate(self.mid):
            heard = norm(convolution(parts[-1]), training=training)
            parts.append(heard + parts[-1] if index else heard)
        hidden = ops.concatenate(parts, axis=2)
        # Maximum and mean of each channel lie side by side.
        pooled = ops.stack([ops.max(hidden, 1), ops.mean(hidden, 1)], axis=-1)
        pooled = ops.reshape(pooled, (-1, 2 * hidden.shape[2]))
        pooled = self.norm_pooled(pooled, training=training)
        pooled = self.pooled_dropout(pooled, training=training)
        return self.norm_hidden(self.hidden(pooled), training=training)


class PatchForward(ForwardPass):
    """Logits and features of log-mel patches."""

    def call(self, patches):
        """Returns logits and features of a batch of patches."""
        features = self.network.patch_features(patches, training=False)
        return self.network.classify(features, training=False), features
