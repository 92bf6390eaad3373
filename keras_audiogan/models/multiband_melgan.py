"""Multi-band MelGAN: a MelGAN that makes several bands at a lower rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_audiogan.layers import MEL_SETTINGS, PQMF
from keras_audiogan.models.melgan import MelGANGenerator
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.models.vocoder import Vocoder


@register_architecture("multiband_melgan")
class MultiBandMelGAN(Vocoder):
    """Multi-band MelGAN, the fastest of the family on a CPU.

    The generator makes the bands of a pseudo quadrature mirror filter bank,
    each at a fraction of the rate, and the bank puts them together.

    Source: Yang et al., "Multi-band MelGAN" (arXiv:2005.05106); numbers from
    kan-bayashi/ParallelWaveGAN, `multi_band_melgan.v2`. The default loss is
    its: half full-band and half sub-band multi-resolution STFT loss, and
    least squares against three scales.

    Args:
        sampling_rate: in Hz.
        mel: arguments of `MelFeatures`; kan-bayashi's by default.
        num_bands: bands; `num_bands * prod(upsample_rates)` is the hop.
        pqmf_taps: order of the filters, even.
        pqmf_cutoff: their cutoff, as a part of half the rate.
        pqmf_beta: of their Kaiser window.
        channels: see `MelGANGenerator`.
        kernel_size: see `MelGANGenerator`.
        upsample_rates: see `MelGANGenerator`.
        num_stacks: see `MelGANGenerator`.
        stack_kernel_size: see `MelGANGenerator`.
        use_bias: see `MelGANGenerator`.
        padding: see `MelGANGenerator`.
        negative_slope: see `MelGANGenerator`.
        final_activation: see `MelGANGenerator`.
        **kwargs: see `Vocoder`.
    """

    mel_defaults = MEL_SETTINGS["parallel_wavegan"]
    discriminator_defaults = {
        "kind": "multi_scale",
        "downsample_rates": [4, 4, 4],
        "max_channels": 512,
    }
    default_loss = "multiband_melgan"
    normalizes_mels = True

    def __init__(
        self,
        sampling_rate: int = 22050,
        slice_length: int = 16384,
        mel: dict[str, Any] | None = None,
        discriminator: dict[str, Any] | None = None,
        num_bands: int = 4,
        pqmf_taps: int = 62,
        pqmf_cutoff: float = 0.142,
        pqmf_beta: float = 9.0,
        channels: int = 384,
        kernel_size: int = 7,
        upsample_rates: Sequence[int] = (8, 4, 2),
        num_stacks: int = 4,
        stack_kernel_size: int = 3,
        use_bias: bool = True,
        padding: str = "reflect",
        negative_slope: float = 0.2,
        final_activation: bool = True,
        weight_norm: bool = True,
        causal: bool = False,
        **kwargs: Any,
    ) -> None:
        self._bank_options = {
            "num_bands": num_bands,
            "pqmf_taps": pqmf_taps,
            "pqmf_cutoff": pqmf_cutoff,
            "pqmf_beta": pqmf_beta,
        }

        def build(**options: Any) -> keras.Model:
            return MelGANGenerator(**options, out_channels=num_bands)

        super().__init__(
            build,
            {
                "channels": channels,
                "kernel_size": kernel_size,
                "upsample_rates": list(upsample_rates),
                "num_stacks": num_stacks,
                "stack_kernel_size": stack_kernel_size,
                "use_bias": use_bias,
                "padding": padding,
                "negative_slope": negative_slope,
                "final_activation": final_activation,
            },
            sampling_rate=sampling_rate,
            slice_length=slice_length,
            mel=mel,
            discriminator=discriminator,
            weight_norm=weight_norm,
            causal=causal,
            num_bands=num_bands,
            **kwargs,
        )
        self.pqmf = PQMF(
            num_bands, pqmf_taps, pqmf_cutoff, pqmf_beta, name="pqmf"
        )
        self.pqmf.build((None, None, num_bands))
        # A filter reaches half its taps to either side.
        self.bank_frames = -(-pqmf_taps // self.features.frame_step)

    def _from_bands(self, bands: Any) -> Any:
        return self.pqmf.synthesis(bands)

    def _to_bands(self, audio: Any) -> Any:
        return self.pqmf.analysis(audio)

    @property
    def context_frames(self) -> int:
        """Frames to either side that a sample depends on."""
        return self.generator.context_frames + self.bank_frames

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        return {**super().get_config(), **self._bank_options}
