"""WaveGAN with an auxiliary classifier (ACGAN).

Sources: Odena, Olah and Shlens, "Conditional Image Synthesis with Auxiliary
Classifier GANs" (arXiv:1610.09585), and J. Hill's conditional audio GANs,
whose layers the networks have: those of `concat_wavegan`, with a
discriminator that sees no label and ends in one more output for each class
(18,267,191 and 1,088,771 parameters for two labels and 4,096 samples).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from keras_audiogan.models.adversarial import Batch
from keras_audiogan.models.arguments import check_option
from keras_audiogan.models.discriminators import MultiDiscriminator
from keras_audiogan.models.labelled_wavegan import LabelledWaveGAN
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.training import distribution, losses
from keras_audiogan.training.losses import class_accuracy, class_loss

OBJECTIVES = ("acgan", "report")


class ClassifyingDiscriminator(MultiDiscriminator):
    """Discriminators with a second output, for the class.

    The feature maps end with the class logits `(batch, num_classes)` and the
    logits `(batch, 1)`.

    Args:
        discriminators: built with `1 + num_classes` outputs.
    """

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns one list of feature maps per sub-discriminator."""
        return [
            [*features, numbers[:, 1:], numbers[:, :1]]
            for *features, numbers in super().feature_maps(views, training)
        ]

    def class_logits(self, outputs: list[list[Any]]) -> Any:
        """Returns the class logits among what `feature_maps` returned.

        Returns:
            Float32 `(batch, num_classes)`, the mean of the discriminators'.
        """
        logits = [ops.cast(maps[-2], "float32") for maps in outputs]
        return sum(logits) / len(logits)

    def classify(self, audio: Any) -> Any:
        """Returns the class logits of audio, `(batch, num_classes)`."""
        return self.class_logits(self(audio, training=False))


@register_architecture("acgan_wavegan")
class ACGANWaveGAN(LabelledWaveGAN):
    """A WaveGAN whose discriminator also tells the class.

    With `objective="acgan"`, the discriminator learns to classify real sound
    alone, and the generator is measured on its own sound: the
    discriminator's idea of a class is never that of a generator which has
    yet to learn it. (Odena et al. let it classify both.)

    With `objective="report"`, the losses are the report's: half the sum of
    the class losses on real and on generated sound is added to both halves.
    (In the generator's half that on real sound has no slope, so it is left
    out.) With the loss `"dcgan"`, which the report had, the target of real
    sound is drawn from `label_noise` for each clip, instead of 1.

    Args:
        objective: `"acgan"` or `"report"`.
        class_weight: weight of the class losses.
        label_noise: lowest and highest target of real sound, with
            `objective="report"` and the loss `"dcgan"`.
        **kwargs: those of `LabelledGenerator` and of `ConditionalGAN`.
    """

    discriminator: ClassifyingDiscriminator

    def __init__(
        self,
        objective: str = "acgan",
        class_weight: float = 1.0,
        label_noise: tuple[float, float] | list[float] = (0.7, 1.2),
        **kwargs: Any,
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
        super().__init__(**kwargs)
        self.in_report = objective == "report"
        self.class_weight = class_weight
        self.label_noise = tuple(label_noise)

    def make_discriminator(self) -> ClassifyingDiscriminator:
        """Builds discriminators that end in a score and the classes."""
        return ClassifyingDiscriminator(
            self.make_discriminators(num_outputs=1 + self.num_classes),
            dtype=self.dtype_policy,
        )

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Chooses the loss and the optimisers; see `AudioGAN.compile`."""
        super().compile(*args, **kwargs)
        if self.in_report and self.gan_loss.name == "dcgan":
            self.gan_loss = dataclasses.replace(
                self.gan_loss, discriminator=self._noisy_cross_entropy
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

    def _discriminator_extra(
        self,
        real_outputs: list[list[Any]],
        fake_outputs: list[list[Any]],
        batch: Batch,
    ) -> tuple[Any, dict[str, Any]]:
        logits = self.discriminator.class_logits(real_outputs)
        loss = on_real = class_loss(logits, batch["labels"])
        if self.in_report:
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
        share = 0.5 if self.in_report else 1.0
        return share * self.class_weight * loss, {
            "class/fake": loss,
            "accuracy/fake": class_accuracy(logits, batch["labels"]),
        }
