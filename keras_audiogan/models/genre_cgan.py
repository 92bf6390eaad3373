"""A conditional GAN for genres, or for any other labelled sound.

Sources: Mirza and Osindero, "Conditional Generative Adversarial Nets"
(arXiv:1411.1784), and a university coursework that trained it on GTZAN's
genres, once with dense and once with convolutional networks.

Different from the coursework: its generator ended in no activation at all,
with nothing to keep the sound within full scale; this one ends in tanh (and,
like it, not in a sigmoid). The last layer of the discriminator ends in
logits, as there. The sizes are ours.
"""

from __future__ import annotations

from typing import Any

from keras_audiogan.models.conditional_gan import ConditionalGAN, check_labels
from keras_audiogan.models.gan import plain_parts
from keras_audiogan.models.registry import register_architecture


@register_architecture("genre_cgan")
class GenreCGAN(ConditionalGAN):
    """A plain GAN with its label concatenated.

    The one-hot label stands beside the latents in the generator, and beside
    the vector that the discriminator makes of the signal.

    Example:

    ```python
    gan = keras_audiogan.models.GenreCGAN(labels=("blues", "jazz"))
    gan.compile()
    gan.fit({"audio": audio, "labels": labels}, batch_size=64, epochs=500)
    clips = gan.sample(labels="blues", num_samples=4, seed=0)
    ```

    Args:
        labels: names of the classes, two or more.
        slice_length: samples in a clip: any number for
            `network="dense"` with a waveform critic, else `16 * 4**n` or
            `32 * 4**n`.
        num_channels: 1 for mono, 2 for stereo, or any other count.
        sampling_rate: in Hz.
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
        labels: tuple[str, ...] | list[str] | None = None,
        slice_length: int = 16384,
        num_channels: int = 1,
        sampling_rate: int = 16000,
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
        check_labels(labels)
        networks, self._options = plain_parts(
            num_classes=len(labels or ()),
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
