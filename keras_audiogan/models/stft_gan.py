"""STFT-GAN: clips from frames of magnitudes and phases.

The generator has no transposed convolutions, whose strides can be heard: it
works at the rate of frames and ends in an inverse Fourier transform, after
Vocos (arXiv:2306.00814). Latents, and the label where there is one, modulate
every block (arXiv:1709.07871). Two discriminators look on, one at a log-mel
spectrogram, which learns fast what is to be heard, one at complex spectra,
which hears phase; both take the label by projection (arXiv:1802.05637) and
see augmented pictures (arXiv:2006.10738). The loss is relativistic with
gradient penalties (arXiv:2501.05441). Without labels both may be told groups
of sounds that are alike (self-conditioned GANs, arXiv:2006.10728).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_audiogan.layers import ConvNeXtBlock, InverseSTFTHead
from keras_audiogan.layers.convnext import EPSILON
from keras_audiogan.layers.normalized_conv import pad_time
from keras_audiogan.models.arguments import check_option
from keras_audiogan.models.audio_gan import AudioGAN
from keras_audiogan.models.conditional_gan import ConditionalGAN, check_labels
from keras_audiogan.models.discriminators import Discriminator
from keras_audiogan.models.networks import BuiltNetwork
from keras_audiogan.models.registry import register_architecture

UPSAMPLING = ("nearest", "linear")
# The form of what begins with nothing; presets of before have the defaults.
_BEST = {
    "head_dc": False,
    "head_phase": "frequency",
    "upsampling": "linear",
    "positions": True,
}
# Clips that the level is measured on.
_MEASURED_CLIPS = 256


class STFTGenerator(BuiltNetwork):
    """Latents, or `[latents, classes]` -> audio `(batch, time, channels)`.

    A few frames are made of latents and label, doubled some times, and then
    go through ConvNeXt blocks at the rate of the head.

    Args:
        slice_length: samples of a clip, whole steps of frames.
        num_classes: labels; 0 for none.
        num_channels: of the audio.
        latent_dim: size of a latent vector.
        dim: channels of the frames.
        intermediate_dim: channels within a block.
        num_upsamplings: how often the number of frames is doubled.
        num_layers: blocks after that.
        kernel_size: taps of the convolutions along frames.
        embedding_dim: size of a label's vector.
        upsampling: how the number of frames is doubled: `"nearest"`, by
            repetition, whose steps can be heard as a buzz, or `"linear"`,
            each frame as two, a quarter of the way to either neighbour; a
            run that begins with nothing trains with that.
        positions: whether each frame has numbers of its own, the same in
            every clip, that are learnt. Without, frames differ by what they
            were doubled from alone, and tend to begin alike, which is heard
            as a buzz at their rate; a run that begins with nothing trains
            with them.
        head_fft_length: samples in a frame; see `InverseSTFTHead`.
        head_frame_step: samples from one frame to the next.
        head_phase: `"angle"`, or `"frequency"`, with which a run that begins
            with nothing trains; see `InverseSTFTHead`.
        head_dc: whether the sound may have an offset from zero; a run that
            begins with nothing trains without.
        start_level: root mean square of the sound before training; a run
            measures it on the data.

    Raises:
        ValueError: if a clip is not whole steps, or there are no blocks.
    """

    def __init__(
        self,
        slice_length: int,
        num_classes: int = 0,
        num_channels: int = 1,
        latent_dim: int = 100,
        dim: int = 192,
        intermediate_dim: int = 576,
        num_upsamplings: int = 3,
        num_layers: int = 4,
        kernel_size: int = 7,
        embedding_dim: int = 64,
        upsampling: str = "nearest",
        positions: bool = False,
        head_fft_length: int = 512,
        head_frame_step: int = 128,
        head_phase: str = "angle",
        head_dc: bool = True,
        start_level: float = 0.1,
        dtype: Any = None,
        name: str = "generator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        if (
            head_frame_step < 1
            or slice_length % head_frame_step
            or min(num_layers, num_upsamplings + 1) < 1
            or not 0.0 < start_level <= 1.0
        ):
            raise ValueError(
                "`slice_length` must be whole steps of `head_frame_step` "
                "samples, `num_layers` 1 or more, `num_upsamplings` 0 or more "
                "and `start_level` above 0, up to 1. Received: "
                f"slice_length={slice_length}, "
                f"head_frame_step={head_frame_step}, num_layers={num_layers}, "
                f"num_upsamplings={num_upsamplings}, start_level={start_level}"
            )
        self.num_frames = slice_length // head_frame_step
        check_option("upsampling", upsampling, UPSAMPLING)
        self.dim = dim
        self.upsampling = upsampling
        self.strides = [2] * num_upsamplings + [head_frame_step]
        factor = 2**num_upsamplings
        self.num_start_frames = -(-self.num_frames // factor)
        condition, self.embedding = latent_dim, None
        if num_classes:
            condition += embedding_dim
            self.embedding = self.make_embedding(
                num_classes, embedding_dim, latent_dim
            )
        self.dense = self.make_dense(
            condition, self.num_start_frames * dim, "dense"
        )
        count = num_upsamplings + num_layers
        self.modulations = [
            self.make_dense(
                condition,
                2 * dim,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
                name=f"modulation_{i}",
            )
            for i in range(count)
        ]
        frames = (None, dim)
        self.convs = [
            self.make_layer(
                keras.layers.Conv1D,
                frames,
                dim,
                kernel_size,
                padding="same",
                data_format="channels_last",
                name=f"conv_{i}",
            )
            for i in range(num_upsamplings)
        ]
        self.positions = None
        if positions:
            self.positions = self.add_weight(
                name="positions",
                shape=(self.num_frames, dim),
                initializer=keras.initializers.RandomNormal(stddev=0.1),
            )
        self.blocks = [
            self.make_layer(
                ConvNeXtBlock,
                frames,
                dim,
                intermediate_dim,
                kernel_size,
                modulated=True,
                name=f"block_{i}",
            )
            for i in range(num_layers)
        ]
        self.norm = self.make_layer(
            keras.layers.LayerNormalization,
            frames,
            epsilon=EPSILON,
            name="norm",
        )
        self.head = self.make_layer(
            InverseSTFTHead,
            frames,
            head_fft_length,
            head_frame_step,
            num_channels=num_channels,
            start_level=start_level,
            phase=head_phase,
            dc=head_dc,
            dtype="float32",
            name="head",
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns float32 audio in [-1, 1]."""
        del training
        condition = inputs
        if self.embedding is not None:
            latents, classes = inputs
            label = self.embedding(classes)
            latents = ops.cast(latents, label.dtype)
            condition = ops.concatenate([latents, label], axis=-1)
        x = self.dense(condition)
        x = ops.reshape(x, (-1, self.num_start_frames, self.dim))
        modulations = [each(condition) for each in self.modulations]
        for conv, modulation in zip(self.convs, modulations, strict=False):
            scale, shift = ops.split(modulation[:, None], 2, axis=-1)
            x = ops.relu(x * (1.0 + scale) + shift)
            x = conv(self.doubled(x))
        x = x[:, : self.num_frames]
        if self.positions is not None:
            x = x + ops.cast(self.positions, x.dtype)
        for block, modulation in zip(
            self.blocks, modulations[len(self.convs) :], strict=True
        ):
            x = block([x, modulation])
        return ops.clip(self.head(self.norm(x)), -1.0, 1.0)

    def doubled(self, x: Any) -> Any:
        """Returns twice as many frames `(batch, frames, dim)`."""
        if self.upsampling == "nearest":
            return ops.repeat(x, 2, axis=1)
        frames = x.shape[1]
        sides = pad_time(x, 1, 1, "replicate")
        x = ops.stack(
            [
                0.75 * x + 0.25 * sides[:, start : start + frames]
                for start in (0, 2)
            ],
            axis=2,
        )
        return ops.reshape(x, (-1, 2 * frames, self.dim))


@register_architecture("stft_gan")
class STFTGAN(ConditionalGAN):
    """Clips at frame rate: any rate, any length that is whole steps.

    With labels it is told what to make; without, or with
    `conditional=False`, it makes whatever it was trained on.

    Example:

    ```python
    gan = keras_audiogan.models.STFTGAN(labels=("kick", "snare"))
    gan.compile()
    gan.fit({"audio": audio, "labels": labels}, batch_size=32, epochs=100)
    clips = gan.sample(labels=["kick", "snare"], seed=0)
    ```

    Args:
        labels: names of the classes; None for none.
        conditional: whether it is told the label; by default where there are
            labels.
        num_groups: groups that sounds without labels are sorted into before
            training, so that no kind of sound is forgotten; 0 for none. The
            networks learn each clip's group as they would a label; in use
            the first latent draws it, each as often. A batch must then hold
            the numbers of the groups as `"labels"`; a training run finds
            them (`keras_audiogan.runs.groups`).
        **kwargs: those of `STFTGenerator` and of `AudioGAN`.
    """

    generator_class = STFTGenerator
    default_arguments = {
        "discriminators": [
            {"kind": "spectral", "augment": 1.0},
            {"kind": "complex_stft", "augment": 1.0},
        ]
    }
    discriminator_defaults = {
        "spectral": {"augment": 1.0},
        "complex_stft": {"augment": 1.0},
        # Those of the WaveGAN family, not of this generator.
        "waveform": {"dim": 32, "kernel_size": 25},
    }
    default_loss = "relativistic"
    positive_arguments = (
        *ConditionalGAN.positive_arguments,
        "intermediate_dim",
        "head_fft_length",
    )
    tiny = {
        "slice_length": 272,
        "sampling_rate": 8000,
        "latent_dim": 6,
        "dim": 8,
        "intermediate_dim": 12,
        "num_upsamplings": 2,
        "num_layers": 1,
        "kernel_size": 3,
        "embedding_dim": 4,
        "upsampling": "linear",
        "positions": True,
        "head_fft_length": 32,
        "head_frame_step": 8,
        "labels": ["yes", "no", "maybe"],
        "discriminators": [
            {
                "kind": "spectral",
                "dim": 2,
                "num_mel_bins": 16,
                "fft_length": 64,
                "frame_step": 16,
            },
            {"kind": "complex_stft", "fft_lengths": [64, 32], "dim": 2},
        ],
    }
    deterministic = {
        "discriminators": [
            {**each, "augment": 0.0} for each in tiny["discriminators"]
        ]
    }

    def __init__(
        self,
        labels: tuple[str, ...] | list[str] | None = None,
        conditional: bool | None = None,
        num_groups: int = 0,
        **kwargs: Any,
    ) -> None:
        del conditional, num_groups
        if self.conditional:
            check_labels(labels)
        AudioGAN.__init__(self, labels=labels, **kwargs)

    @classmethod
    def normalized_arguments(
        cls, arguments: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns arguments in one form: whether it is conditional."""
        new = super().normalized_arguments(arguments)
        if new.get("conditional") is None and "labels" in new:
            new["conditional"] = bool(new["labels"])
        count = new.get("num_groups", 0)
        if type(count) is not int or count < 0 or count == 1:
            raise ValueError(
                "`num_groups` must be 2 or more, or 0 for none. "
                f"Received: num_groups={count!r}"
            )
        if count and new.get("conditional"):
            raise ValueError(
                "A generator that is told labels has no groups: set "
                "`conditional` to false, or `num_groups` to 0. Received: "
                f"num_groups={count}, labels={new.get('labels')}"
            )
        return new

    @property
    def conditional(self) -> bool:  # type: ignore[override]
        """Whether it is told the label."""
        return bool(self.arguments["conditional"])

    @property
    def num_classes(self) -> int:
        """How many labels, or groups, the networks are told apart."""
        if self.conditional:
            return len(self.labels)
        return int(self.arguments["num_groups"])

    def make_discriminator(self) -> Discriminator:
        """Builds discriminators that take a label by projection."""
        return self._side_by_side(
            self.make_discriminators(num_classes=self.num_classes)
        )

    def example_inputs(self) -> list[Any]:
        """Returns a latent of zeros, and any weights of the labels."""
        if self.conditional:
            return super().example_inputs()
        return AudioGAN.example_inputs(self)

    def check_inputs(self, inputs: Any) -> None:
        """Raises a ValueError if `call` can make no sound of the inputs."""
        if self.conditional:
            super().check_inputs(inputs)
        else:
            AudioGAN.check_inputs(self, inputs)

    def as_batch(self, data: Any) -> dict[str, Any]:
        """Returns what `fit` was given as a dict, with any `"classes"`."""
        if self.num_classes:
            return super().as_batch(data)
        return AudioGAN.as_batch(self, data)

    def _generated(self, latents: Any, batch: dict[str, Any]) -> Any:
        if self.num_classes:
            return super()._generated(latents, batch)
        return AudioGAN._generated(self, latents, batch)

    def _features(
        self, views: list[Any], batch: dict[str, Any]
    ) -> list[list[Any]]:
        if self.num_classes:
            return super()._features(views, batch)
        return AudioGAN._features(self, views, batch)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Audio of latents, or of `[latents, classes]`, from the average."""
        if self.num_classes and not self.conditional:
            inputs = [inputs, self.groups_of(inputs)]
        if self.num_classes:
            return super().call(inputs, training)
        return AudioGAN.call(self, inputs, training)

    def groups_of(self, latents: Any) -> Any:
        """Returns the group that the first latent draws, one-hot rows."""
        count = self.num_classes
        place = ops.cast(latents[:, :1], "float32") * 0.5 + 0.5
        place = ops.clip(ops.floor(place * count), 0, count - 1)
        return ops.cast(
            ops.equal(place, ops.arange(count, dtype="float32")), "float32"
        )

    def _learnt_labels(self) -> Sequence[str]:
        if self.conditional:
            return super()._learnt_labels()
        return [str(group) for group in range(self.num_classes)]

    @property
    def pitches(self) -> dict[int, int]:
        """MIDI number -> index of its label; none if it is not told."""
        if self.conditional:
            return super().pitches
        raise ValueError(
            "This generator is not told what to play. Use a conditional one "
            f"whose labels are pitches. Received: labels={self.labels}, "
            "conditional=False"
        )

    # What a training run asks

    @classmethod
    def learns_labels(cls, arguments: Mapping[str, Any] | None = None) -> bool:
        """Returns whether batches of a model of arguments come with labels."""
        known = cls.normalized_arguments({"labels": None, **(arguments or {})})
        return bool(known["conditional"])

    @classmethod
    def fit_to_clips(
        cls, arguments: Mapping[str, Any], dataset: Any
    ) -> dict[str, Any]:
        """Returns arguments in the best form, and with the data's level."""
        arguments = {**_BEST, **arguments}
        if "start_level" in arguments:
            return arguments
        clips = dataset.real_clips(min(_MEASURED_CLIPS, dataset.num_slices))
        level = float(np.sqrt(np.mean(np.square(clips))))
        return {**arguments, "start_level": round(min(max(level, 1e-3), 1), 4)}
