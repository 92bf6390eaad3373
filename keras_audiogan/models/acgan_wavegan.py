"""WaveGAN with an auxiliary classifier (ACGAN).

Sources: Odena, Olah and Shlens, "Conditional Image Synthesis with Auxiliary
Classifier GANs" (arXiv:1610.09585), and J. Hill's conditional audio GANs,
whose layers the networks have: those of `concat_wavegan`, with a critic that
sees no label and ends in one more output for each class (18,267,191 and
1,088,771 parameters for two labels and 4,096 samples).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from keras_audiogan.models.audio_gan import Batch
from keras_audiogan.models.discriminators import Discriminator
from keras_audiogan.models.labelled_gan import LabelledGAN
from keras_audiogan.models.labelled_networks import (
    ClassifyingDiscriminator,
    check_option,
    class_accuracy,
    class_loss,
)
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.training import distribution, losses

OBJECTIVES = ("acgan", "report")


@register_architecture("acgan_wavegan")
class ACGANWaveGAN(LabelledGAN):
    """A WaveGAN whose critic also tells the class.

    With `objective="acgan"`, the critic learns to classify real sound alone,
    and the generator is judged on its own sound: the critic's idea of a
    class is never that of a generator which has yet to learn it. (Odena et
    al. let the critic classify both.)

    With `objective="report"`, the losses are the report's: half the sum of
    the class losses on real and on generated sound is added to both halves.
    (In the generator's half that on real sound has no slope, so it is left
    out.) With the loss `"dcgan"`, which the report had, the target of real
    sound is drawn from `label_noise` for each clip, instead of 1.

    Example:

    ```python
    gan = keras_audiogan.models.ACGANWaveGAN(labels=("zero", "one"))
    gan.compile()
    gan.fit({"audio": audio, "labels": labels}, batch_size=320, epochs=100)
    clips = gan.sample(labels=["zero", "one", "zero"], seed=0)
    ```

    Args:
        labels: names of the classes, two or more.
        objective: `"acgan"` or `"report"`.
        class_weight: weight of the class losses.
        label_noise: lowest and highest target of real sound, with
            `objective="report"` and the loss `"dcgan"`.
        slice_length: samples in a clip: `16 * 4**n` or `32 * 4**n`.
        num_channels: 1 for mono, 2 for stereo, or any other count.
        sampling_rate: in Hz.
        latent_dim: size of a latent vector.
        dim: channels of the narrowest block of the generator and of the
            waveform critic; each further block has twice the channels.
        kernel_size: taps of their convolutions.
        first_layer: `"report"` or the slimmer `"planes"`; see
            `ConcatWaveGAN`.
        phase_shuffle: largest shift in the waveform critic; 0 for none.
        critics: what judges and classifies: `"waveform"` (the report's),
            `"spectral"` (see `SpectralDiscriminator`), or both.
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

    discriminator: ClassifyingDiscriminator

    def __init__(
        self,
        labels: tuple[str, ...] | list[str] | None = None,
        objective: str = "acgan",
        class_weight: float = 1.0,
        label_noise: tuple[float, float] | list[float] = (0.7, 1.2),
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
        check_option("objective", objective, OBJECTIVES)
        if class_weight < 0:
            raise ValueError(
                "`class_weight` must be 0 or more. "
                f"Received: class_weight={class_weight}"
            )
        if len(label_noise) != 2 or label_noise[0] > label_noise[1]:
            raise ValueError(
                "`label_noise` must be the lowest and the highest target. "
                f"Received: label_noise={label_noise!r}"
            )
        self.objective = objective
        self.class_weight = class_weight
        self.label_noise = tuple(label_noise)
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
        return ClassifyingDiscriminator(
            self._critics(num_channels, 1 + num_classes),
            dtype=self._critic["dtype"],
        )

    def compile(self, loss: Any = "wgan-gp", *args: Any, **kwargs: Any) -> None:
        """Chooses the loss and the optimisers; see `AudioGAN.compile`."""
        super().compile(loss, *args, **kwargs)
        chosen = self._loss()
        if self.objective == "report" and chosen.name == "dcgan":
            self.gan_loss = dataclasses.replace(
                chosen, discriminator=self._noisy_cross_entropy
            )

    def _noisy_cross_entropy(self, real: Any, fake: Any) -> Any:
        """The minimax loss with a target of its own for each real clip."""
        low, high = self.label_noise
        rest = [1] * (len(real.shape) - 1)
        target = distribution.own_rows(
            lambda rows: keras.random.uniform(
                (rows, *rest), low, high, seed=self.seed_generator
            ),
            ops.shape(real)[0],
        )
        on_real = ops.mean(ops.softplus(real) - target * real)
        return 0.5 * (on_real + losses.binary_cross_entropy(fake, 0.0))

    def _features(self, views: list[Any], batch: Batch) -> list[list[Any]]:
        del batch
        return self.discriminator.judge(views, training=True)

    def _discriminator_extra(
        self,
        real_outputs: list[list[Any]],
        fake_outputs: list[list[Any]],
        batch: Batch,
    ) -> tuple[Any, dict[str, Any]]:
        logits = self.discriminator.class_logits(real_outputs)
        loss = on_real = class_loss(logits, batch["labels"])
        if self.objective == "report":
            on_fake = class_loss(
                self.discriminator.class_logits(fake_outputs), batch["labels"]
            )
            loss = 0.5 * (on_real + on_fake)
        return self.class_weight * loss, {
            "class/real": on_real,
            "accuracy/real": class_accuracy(logits, batch["labels"]),
        }

    def _generator_extra(
        self, fake: Any, fake_outputs: list[list[Any]], batch: Batch
    ) -> tuple[Any, dict[str, Any]]:
        del fake
        logits = self.discriminator.class_logits(fake_outputs)
        loss = class_loss(logits, batch["labels"])
        share = 0.5 if self.objective == "report" else 1.0
        return share * self.class_weight * loss, {
            "class/fake": loss,
            "accuracy/fake": class_accuracy(logits, batch["labels"]),
        }

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        return {
            **super().get_config(),
            "objective": self.objective,
            "class_weight": self.class_weight,
            "label_noise": list(self.label_noise),
        }
