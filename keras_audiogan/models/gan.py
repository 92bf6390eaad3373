"""The plain GAN, on sound.

Source: Goodfellow et al., "Generative Adversarial Nets" (arXiv:1406.2661),
with its non-saturating loss. The networks are dense, as theirs, or those of
WaveGAN; `genre_cgan` is the same with labels.
"""

from __future__ import annotations

from typing import Any

import keras

from keras_audiogan.models.audio_gan import AudioGAN
from keras_audiogan.models.plain_networks import (
    plain_discriminator,
    plain_generator,
)
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.models.wavegan import CRITICS


def plain_parts(
    *,
    num_classes: int,
    network: str,
    critics: tuple[str, ...] | list[str],
    slice_length: int,
    num_channels: int,
    sampling_rate: int,
    latent_dim: int,
    dim: int,
    kernel_size: int,
    embedding_dim: int,
    phase_shuffle: int,
    spectral_dim: int,
    num_mel_bins: int,
    fft_length: int,
    frame_step: int,
    augment: float,
    dtype: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Builds what `GAN` and `GenreCGAN` consist of.

    Args: see these, and `num_classes`, 0 for no labels.

    Returns:
        The networks as arguments of `AudioGAN`, and the options as
        `get_config` tells them.

    Raises:
        ValueError: if an option is out of its range.
    """
    options: dict[str, Any] = {
        "network": network,
        "critics": list(critics),
        "dim": dim,
        "kernel_size": kernel_size,
        "embedding_dim": embedding_dim,
        "phase_shuffle": phase_shuffle,
        "spectral_dim": spectral_dim,
        "num_mel_bins": num_mel_bins,
        "fft_length": fft_length,
        "frame_step": frame_step,
        "augment": augment,
    }
    sizes = {
        "slice_length": slice_length,
        "num_channels": num_channels,
        "sampling_rate": sampling_rate,
        "latent_dim": latent_dim,
        "dim": dim,
        "kernel_size": kernel_size,
        "embedding_dim": embedding_dim,
        "spectral_dim": spectral_dim,
    }
    for key, value in sizes.items():
        if value < 1:
            raise ValueError(
                f"`{key}` must be 1 or more. Received: {key}={value}"
            )
    if len(critics) != 1 or critics[0] not in CRITICS:
        raise ValueError(
            f"`critics` must name one of {CRITICS}. "
            f"Received: critics={critics!r}"
        )

    def generator(name: str) -> keras.Model:
        return plain_generator(
            network,
            slice_length=slice_length,
            num_channels=num_channels,
            latent_dim=latent_dim,
            num_classes=num_classes,
            dim=dim,
            kernel_size=kernel_size,
            dtype=dtype,
            name=name,
        )

    networks = {
        "generator": generator("generator"),
        "ema_generator": generator("ema_generator"),
        "discriminator": plain_discriminator(
            network,
            critics[0],
            slice_length=slice_length,
            num_channels=num_channels,
            sampling_rate=sampling_rate,
            num_classes=num_classes,
            embedding_dim=embedding_dim,
            waveform={
                "dim": dim,
                "kernel_size": kernel_size,
                "phase_shuffle": phase_shuffle,
            },
            spectral={
                "dim": spectral_dim,
                "num_mel_bins": num_mel_bins,
                "fft_length": fft_length,
                "frame_step": frame_step,
                "augment": augment,
            },
            dtype=dtype,
        ),
    }
    return networks, options


@register_architecture("gan")
class GAN(AudioGAN):
    """A generator and a discriminator, and nothing else.

    Args:
        slice_length: samples in a clip: any number for
            `network="dense"` with a waveform critic, else `16 * 4**n` or
            `32 * 4**n`.
        num_channels: 1 for mono, 2 for stereo, or any other count.
        sampling_rate: in Hz.
        labels: names of the classes of the data, kept for metrics; this
            architecture does not condition on them.
        network: `"dense"`, of four dense layers that end in tanh, or
            `"conv"`, WaveGAN's generator.
        critics: one of `"waveform"`, of the kind that `network` names, and
            `"spectral"` (see `SpectralDiscriminator`).
        latent_dim: size of a latent vector.
        dim: channels of the narrowest convolution, or units of the first
            dense layer; each further one has twice as many.
        kernel_size: taps of the convolutions.
        embedding_dim: size of the vector that the discriminator makes of a
            clip.
        phase_shuffle: largest shift in a convolutional waveform critic.
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
        ValueError: if the length or an option is out of its range.
    """

    config_limits = {
        "slice_length": 1 << 24,
        "num_channels": 1024,
        "num_mel_bins": 1024,
        "fft_length": 1 << 14,
    }

    def __init__(
        self,
        slice_length: int = 16384,
        num_channels: int = 1,
        sampling_rate: int = 16000,
        labels: tuple[str, ...] | list[str] | None = None,
        network: str = "dense",
        critics: tuple[str, ...] | list[str] = ("waveform",),
        latent_dim: int = 100,
        dim: int = 64,
        kernel_size: int = 25,
        embedding_dim: int = 128,
        phase_shuffle: int = 2,
        spectral_dim: int = 32,
        num_mel_bins: int = 64,
        fft_length: int = 256,
        frame_step: int = 128,
        augment: float = 1.0,
        ema_momentum: float = 0.999,
        level: str | float = "peak",
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        networks, self._options = plain_parts(
            num_classes=0,
            network=network,
            critics=critics,
            slice_length=slice_length,
            num_channels=num_channels,
            sampling_rate=sampling_rate,
            latent_dim=latent_dim,
            dim=dim,
            kernel_size=kernel_size,
            embedding_dim=embedding_dim,
            phase_shuffle=phase_shuffle,
            spectral_dim=spectral_dim,
            num_mel_bins=num_mel_bins,
            fft_length=fft_length,
            frame_step=frame_step,
            augment=augment,
            dtype=dtype,
        )
        super().__init__(
            **networks,
            slice_length=slice_length,
            sampling_rate=sampling_rate,
            num_channels=num_channels,
            latent_dim=latent_dim,
            labels=labels,
            level=level,
            ema_momentum=ema_momentum,
            dtype=dtype,
            name=name,
        )

    def compile(self, loss: Any = "dcgan", *args: Any, **kwargs: Any) -> None:
        """Chooses the loss and the optimisers; see `AudioGAN.compile`."""
        super().compile(loss, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        return {**super().get_config(), **self._options}
