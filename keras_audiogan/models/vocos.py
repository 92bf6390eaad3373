"""Vocos: waveforms from mel spectrograms at the rate of the frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras

from keras_audiogan.layers import MEL_SETTINGS, ConvNeXtBlock, InverseSTFTHead
from keras_audiogan.layers.convnext import EPSILON, truncated_normal
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.models.vocoder import TINY, Vocoder, VocoderGenerator

_KERNEL_SIZE = 7


class VocosGenerator(VocoderGenerator):
    """ConvNeXt blocks along the frames, and an inverse Fourier transform.

    Args:
        frame_step: samples of sound for each frame.
        num_mel_bins: bands of the input.
        dim: channels of the blocks.
        intermediate_dim: channels within a block.
        num_layers: blocks.
        layer_scale: where the scales of the blocks start; None for one over
            their number.
        head_fft_length: samples in a frame of the head.
        head_padding: `"center"` or `"same"`, as the mels; see
            `InverseSTFTHead`.

    Input shape: `(batch, frames, num_mel_bins)`.
    Output shape: `(batch, frames * frame_step, 1)`.
    """

    def __init__(
        self,
        frame_step: int,
        num_mel_bins: int = 100,
        dim: int = 512,
        intermediate_dim: int = 1536,
        num_layers: int = 8,
        layer_scale: float | None = None,
        head_fft_length: int = 1024,
        head_padding: str = "center",
        dtype: Any = None,
        name: str = "generator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        width = (None, dim)
        self.embed = self.make_layer(
            keras.layers.Conv1D,
            (None, num_mel_bins),
            dim,
            _KERNEL_SIZE,
            padding="same",
            data_format="channels_last",
            kernel_initializer=truncated_normal(),
            name="embed",
        )
        self.norm, self.final_norm = (
            self.make_layer(
                keras.layers.LayerNormalization,
                width,
                epsilon=EPSILON,
                name=each,
            )
            for each in ("norm", "final_norm")
        )
        self.blocks = [
            self.make_layer(
                ConvNeXtBlock,
                width,
                dim,
                intermediate_dim,
                _KERNEL_SIZE,
                layer_scale or 1.0 / num_layers,
                name=f"block_{i}",
            )
            for i in range(num_layers)
        ]
        self.head = self.make_layer(
            InverseSTFTHead,
            width,
            head_fft_length,
            frame_step,
            head_padding,
            dtype="float32",
            name="head",
        )
        reach = (_KERNEL_SIZE // 2) * (num_layers + 1)
        self.context_frames = reach + math.ceil(head_fft_length / frame_step)

    def call(self, mel: Any, training: bool = False) -> Any:
        """Returns sound, float32."""
        del training
        x = self.norm(self.embed(mel))
        for block in self.blocks:
            x = block(x)
        return self.head(self.final_norm(x))


@register_architecture("vocos")
class Vocos(Vocoder):
    """Vocos, the vocoder that is cheapest to run and to train.

    Source: Siuzdak, "Vocos" (arXiv:2306.00814); numbers from gemelo-ai/vocos,
    whose 24,000 Hz model the defaults are. The default loss is its; the loss
    `"multi_scale_mel"` begins with spectra alone.

    With mels whose `padding` is `"center"` the clip that is made is as long
    as the one that the mels are of, and what follows; a frame stands for
    `frame_step` samples, as in every vocoder.

    Args: those of `VocosGenerator` and of `Vocoder`. `head_fft_length` and
        `head_padding` are the mels' own unless given.
    """

    generator_class = VocosGenerator
    mel_defaults = MEL_SETTINGS["vocos"]
    derived_arguments = (*Vocoder.derived_arguments, "frame_step")
    default_arguments = {
        "sampling_rate": 24000,
        "slice_length": 16384,
        "discriminators": [
            {"kind": "multi_period", "first_maps": False},
            {"kind": "multi_band", "weight": 0.1},
        ],
    }
    discriminator_defaults = {"multi_period": {"first_maps": False}}
    default_loss = "vocos"
    # Cheap enough for whole sentences at once.
    default_chunk_frames = 1024
    engine_chunk_frames = 1024
    # The original's files are brought to a level between these.
    run_defaults = {"random_gain_db": (-6.0, -1.0)}
    tiny = {
        **TINY,
        "dim": 8,
        "intermediate_dim": 16,
        "num_layers": 2,
        "head_fft_length": 64,
        "discriminators": [
            {
                "kind": "multi_period",
                "periods": [2, 3],
                "channels": 2,
                "max_channels": 4,
                "rates": [2, 1],
            },
            {
                "kind": "multi_band",
                "fft_lengths": [128, 64],
                "channels": 2,
                "weight": 0.1,
            },
        ],
    }

    @classmethod
    def normalized_arguments(
        cls, arguments: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns arguments in one form, the head's sizes as the mels'."""
        new = super().normalized_arguments(arguments)
        mel = new["mel"]
        if new.get("head_padding") is None:
            centered = mel.get("padding", "center") == "center"
            new["head_padding"] = "center" if centered else "same"
        if new.get("head_fft_length") is None:
            new["head_fft_length"] = mel.get("fft_length", 1024)
        return new

    def _check_hop(
        self, network: Mapping[str, Any], frame_step: int, slice_length: int
    ) -> None:
        if slice_length % frame_step:
            raise ValueError(
                "`slice_length` must be whole frames of the mels. Received: "
                f"slice_length={slice_length}, frame_step={frame_step}"
            )

    def network_context(self) -> dict[str, Any]:
        """Returns the `derived_arguments` of networks."""
        step = self.features.frame_step
        return {**super().network_context(), "frame_step": step}
