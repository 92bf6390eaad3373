"""What the conditional models of 4,096 samples have in common."""

from __future__ import annotations

from typing import Any

from keras_audiogan.models.conditional_gan import ConditionalGAN, check_labels
from keras_audiogan.models.discriminators import Discriminator
from keras_audiogan.models.labelled_networks import (
    LabelledGenerator,
    build_critics,
)


class LabelledGAN(ConditionalGAN):
    """A `LabelledGenerator` and critics; a subclass says what these do.

    A subclass defines `_make_discriminator`, and sets what that needs before
    it calls this constructor.

    Args:
        labels: names of the classes, two or more.
        slice_length: samples in a clip: `16 * 4**n` or `32 * 4**n`.
        num_channels: 1 for mono, 2 for stereo, or any other count.
        sampling_rate: in Hz.
        latent_dim: size of a latent vector.
        dim: channels of the narrowest block of the generator and of the
            waveform critic; each further block has twice the channels.
        kernel_size: taps of their convolutions.
        first_layer: `"report"` or `"planes"`; see `LabelledGenerator`.
        phase_shuffle: largest shift in the waveform critic; 0 for none.
        critics: `"waveform"`, `"spectral"` or both.
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

    config_limits = {
        "slice_length": 1 << 24,
        "num_channels": 1024,
        "num_mel_bins": 1024,
        "fft_length": 1 << 14,
    }

    def __init__(
        self,
        *,
        labels: Any,
        slice_length: int,
        num_channels: int,
        sampling_rate: int,
        latent_dim: int,
        dim: int,
        kernel_size: int,
        first_layer: str,
        phase_shuffle: int,
        critics: tuple[str, ...] | list[str],
        spectral_dim: int,
        num_mel_bins: int,
        fft_length: int,
        frame_step: int,
        augment: float,
        ema_momentum: float,
        level: str | float,
        dtype: Any,
        name: str | None,
    ) -> None:
        check_labels(labels)
        num_classes = len(labels)
        positive = {
            "num_channels": num_channels,
            "sampling_rate": sampling_rate,
            "latent_dim": latent_dim,
            "dim": dim,
            "kernel_size": kernel_size,
            "spectral_dim": spectral_dim,
        }
        for key, value in positive.items():
            if value < 1:
                raise ValueError(
                    f"`{key}` must be 1 or more. Received: {key}={value}"
                )
        if not 0.0 <= augment <= 4.0:
            raise ValueError(
                f"`augment` must be in [0, 4]. Received: augment={augment}"
            )
        self._options: dict[str, Any] = {
            "dim": dim,
            "kernel_size": kernel_size,
            "first_layer": first_layer,
            "phase_shuffle": phase_shuffle,
            "critics": list(critics),
            "spectral_dim": spectral_dim,
            "num_mel_bins": num_mel_bins,
            "fft_length": fft_length,
            "frame_step": frame_step,
            "augment": augment,
        }
        # Of every critic, and of what else is built like one.
        self._critic: dict[str, Any] = {
            "slice_length": slice_length,
            "sampling_rate": sampling_rate,
            "waveform": {
                "dim": dim,
                "kernel_size": kernel_size,
                "phase_shuffle": phase_shuffle,
            },
            "spectral": {
                "dim": spectral_dim,
                "num_mel_bins": num_mel_bins,
                "fft_length": fft_length,
                "frame_step": frame_step,
                "augment": augment,
            },
            "dtype": dtype,
        }

        def generator(network_name: str) -> LabelledGenerator:
            return LabelledGenerator(
                slice_length,
                num_classes,
                num_channels,
                latent_dim,
                dim,
                kernel_size,
                first_layer,
                dtype=dtype,
                name=network_name,
            )

        super().__init__(
            generator=generator("generator"),
            discriminator=self._make_discriminator(num_classes, num_channels),
            ema_generator=generator("ema_generator"),
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

    def _make_discriminator(
        self, num_classes: int, num_channels: int
    ) -> Discriminator:
        raise TypeError(
            f"{type(self).__name__} must define "
            "`_make_discriminator(num_classes, num_channels)`."
        )

    def _critics(
        self, num_channels: int, num_outputs: int = 1
    ) -> list[Discriminator]:
        return build_critics(
            self._options["critics"],
            num_channels=num_channels,
            num_outputs=num_outputs,
            **self._critic,
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        return {**super().get_config(), **self._options}
