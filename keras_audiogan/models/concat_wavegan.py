"""WaveGAN with its label concatenated, in the generator and in the critic.

Source: J. Hill's conditional audio GANs and their report, which trained this
network to say "zero" or "one" and could not keep it from diverging. The
generator, and the critic of `critics=("waveform",)`, have the report's layers
and parameters (18,267,191 and 1,082,177 for two labels and 4,096 samples).

Different from it: the Wasserstein losses have their signs right and the
gradient penalty knows the label; phase shuffle draws a shift at every step,
where the report's drew one when it built the graph, and another one for real
than for generated sound; `sample` reads a moving average of the generator.
"""

from __future__ import annotations

from typing import Any

from keras_audiogan.models.discriminators import Discriminator
from keras_audiogan.models.labelled_gan import LabelledGAN
from keras_audiogan.models.labelled_networks import (
    LabelledDiscriminator,
    num_label_channels,
)
from keras_audiogan.models.registry import register_architecture


@register_architecture("concat_wavegan")
class ConcatWaveGAN(LabelledGAN):
    """A WaveGAN whose label is concatenated to what its networks see.

    In the critic the label stands beside the signal, as one constant channel
    per class (`condition_on="label"`, the report's table 4); or the signal
    stands in the channel of its label, with zeros in the others
    (`condition_on="sample"`, the report's own idea), so that a critic cannot
    overlook the label.

    Example:

    ```python
    gan = keras_audiogan.models.ConcatWaveGAN(labels=("zero", "one"))
    gan.compile()
    gan.fit({"audio": audio, "labels": labels}, batch_size=320, epochs=100)
    clips = gan.sample(labels=["zero", "one", "zero"], seed=0)
    ```

    Args:
        labels: names of the classes, two or more.
        condition_on: `"label"` or `"sample"`.
        slice_length: samples in a clip: `16 * 4**n` or `32 * 4**n`.
        num_channels: 1 for mono, 2 for stereo, or any other count.
        sampling_rate: in Hz.
        latent_dim: size of a latent vector.
        dim: channels of the narrowest block of the generator and of the
            waveform critic; each further block has twice the channels.
        kernel_size: taps of their convolutions.
        first_layer: `"report"`: the label beside 4,094 numbers made of the
            latents, and a dense layer of 16.8 million parameters from these;
            `"planes"`: the label as constant channels beside the first 16
            frames, which takes a twelfth of the parameters.
        phase_shuffle: largest shift in the waveform critic; 0 for none.
        critics: what judges: `"waveform"` (the report's), `"spectral"` (see
            `SpectralDiscriminator`), or both.
        spectral_dim: channels of the spectral critic's first convolution.
        num_mel_bins: bands that it sees.
        fft_length: window that it sees through, in samples.
        frame_step: hop of that window, in samples.
        augment: strength of the augmentation of what it sees, 0 for none.
        ema_momentum: see `AudioGAN`.
        level: how training files are levelled: `"peak"`, `"keep"` or a gain.
        dtype: dtype policy of the networks.
        name: name of the model.

    Raises:
        ValueError: if the labels, the length or an option is out of range.
    """

    def __init__(
        self,
        labels: tuple[str, ...] | list[str] | None = None,
        condition_on: str = "label",
        slice_length: int = 4096,
        num_channels: int = 1,
        sampling_rate: int = 4096,
        latent_dim: int = 100,
        dim: int = 32,
        kernel_size: int = 25,
        first_layer: str = "report",
        phase_shuffle: int = 2,
        critics: tuple[str, ...] | list[str] = ("waveform",),
        spectral_dim: int = 32,
        num_mel_bins: int = 32,
        fft_length: int = 128,
        frame_step: int = 64,
        augment: float = 1.0,
        ema_momentum: float = 0.999,
        level: str | float = "peak",
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        self.condition_on = condition_on
        super().__init__(
            labels=labels,
            slice_length=slice_length,
            num_channels=num_channels,
            sampling_rate=sampling_rate,
            latent_dim=latent_dim,
            dim=dim,
            kernel_size=kernel_size,
            first_layer=first_layer,
            phase_shuffle=phase_shuffle,
            critics=critics,
            spectral_dim=spectral_dim,
            num_mel_bins=num_mel_bins,
            fft_length=fft_length,
            frame_step=frame_step,
            augment=augment,
            ema_momentum=ema_momentum,
            level=level,
            dtype=dtype,
            name=name,
        )

    def _make_discriminator(
        self, num_classes: int, num_channels: int
    ) -> Discriminator:
        channels = num_label_channels(
            self.condition_on, num_channels, num_classes
        )
        return LabelledDiscriminator(
            self._critics(channels),
            num_classes,
            self.condition_on,
            dtype=self._critic["dtype"],
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        return {**super().get_config(), "condition_on": self.condition_on}
