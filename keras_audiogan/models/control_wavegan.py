"""WaveGAN steered by a classifier of its own (ControlGAN).

Source: Lee and Seok, "Controllable Generative Adversarial Network"
(arXiv:1708.00598), with the networks of `concat_wavegan` for 4,096 samples.
The discriminator sees no label. A classifier of its own, not fed by the
generator, learns from real sound alone, and its loss on generated
sound is added to the generator's, with a weight that adapts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_audiogan.models.adversarial import Batch
from keras_audiogan.models.discriminators import discriminator_specs
from keras_audiogan.models.labelled_wavegan import LabelledWaveGAN
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.training import distribution, optimizers
from keras_audiogan.training.losses import class_accuracy, class_loss

_CLASSIFIER_OPTIMIZER = {
    "class_name": "Adam",
    "config": {"learning_rate": 5e-4, "epsilon": 1e-8},
}


@register_architecture("control_wavegan")
class ControlWaveGAN(LabelledWaveGAN):
    """A WaveGAN whose label is enforced by a separate classifier.

    The generator's loss is the adversarial one plus the control weight times
    the classifier's loss on what it made. After each step the weight grows by
    `control_rate * (loss on generated - control_target * loss on real)`,
    within 0 and `max_control_weight`: it settles where generated sound is
    classified as well as real sound is, or by `control_target` worse.

    The classifier is stored in a preset beside the discriminator; only
    fine-tuning reads it.

    Different from the paper: the bound of the weight, since the loss on real
    sound goes to nothing where the classes are easy; and by default the
    classifier, of four convolutions and a dense layer as there, looks at a
    log-mel spectrogram, which is harder to fool than one of waveforms.

    Args:
        classifier: what the classifier is, in the form of `discriminators`:
            the network of a kind, e.g. `{"kind": "spectral"}`, with one
            output for each class.
        control_weight: what the weight starts from.
        control_rate: how fast it adapts; 0 keeps it as it is.
        control_target: how many times the loss on real sound the loss on
            generated sound shall be.
        max_control_weight: bound of the weight.
        **kwargs: those of `LabelledGenerator` and of `ConditionalGAN`.
    """

    tiny = {
        **LabelledWaveGAN.tiny,
        "classifier": {
            "kind": "spectral",
            "dim": 2,
            "num_mel_bins": 16,
            "fft_length": 64,
            "frame_step": 16,
        },
    }
    deterministic = {
        **LabelledWaveGAN.deterministic,
        "classifier": {**tiny["classifier"], "augment": 0.0},
    }

    def __init__(
        self,
        classifier: Any = "spectral",
        control_weight: float = 1.0,
        control_rate: float = 0.01,
        control_target: float = 1.0,
        max_control_weight: float = 10.0,
        **kwargs: Any,
    ) -> None:
        for key in (
            "control_weight",
            "control_rate",
            "control_target",
            "max_control_weight",
        ):
            if self.arguments[key] < 0:
                raise ValueError(
                    f"`{key}` must be 0 or more. "
                    f"Received: {key}={self.arguments[key]}"
                )
        if control_weight > max_control_weight:
            raise ValueError(
                "`control_weight` must not exceed `max_control_weight`. "
                f"Received: control_weight={control_weight}, "
                f"max_control_weight={max_control_weight}"
            )
        self.control_rate = control_rate
        self.control_target = control_target
        self.max_control_weight = max_control_weight
        super().__init__(**kwargs)
        self.classifier = self.make_from_spec(
            self.arguments["classifier"],
            "classifier",
            num_outputs=self.num_classes,
        )
        self.control_weight = keras.Variable(
            keras.initializers.Constant(control_weight),
            shape=(),
            dtype="float32",
            trainable=False,
            aggregation="only_first_replica",
            name="control_weight",
        )

    @classmethod
    def normalized_arguments(
        cls, arguments: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns arguments under today's names, in one form."""
        new = super().normalized_arguments(arguments)
        if "classifier" in new:
            (new["classifier"],) = discriminator_specs(
                [new["classifier"]], cls.discriminator_defaults, "classifier"
            )
        return new

    def compile(
        self,
        loss: Any = None,
        *args: Any,
        classifier_optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        """Chooses the loss and the optimisers.

        Args:
            loss: see `AudioGAN.compile`.
            *args: see `AudioGAN.compile`.
            classifier_optimizer: the classifier's; Adam at 5e-4 by default,
                whatever `learning_rate` is.
            **kwargs: see `AudioGAN.compile`.
        """
        super().compile(loss, *args, **kwargs)
        self.optimizer = optimizers.OptimizerPair(
            self.optimizer.generator,
            self.optimizer.discriminator,
            classifier=self.guarded_optimizer(
                classifier_optimizer or _CLASSIFIER_OPTIMIZER, self.classifier
            ),
        )

    def classify(self, audio: Any, training: bool = False) -> Any:
        """Returns the classifier's logits of audio, `(batch, num_classes)`."""
        ((*_, logits),) = self.classifier(audio, training=training)
        return ops.cast(logits, "float32")

    def adversarial_step(self, batch: Batch) -> dict[str, Any]:
        """Updates the classifier, then as `AudioGAN`, then the weight."""
        part = self._part(batch, self.discriminator_steps - 1)
        _, logs = self.optimizer.others["classifier"].minimize(
            lambda: self._classifier_loss(part)
        )
        logs |= super().adversarial_step(batch)
        self._adapt(logs["class/real"], logs["class/fake"])
        logs["control_weight"] = ops.convert_to_tensor(self.control_weight)
        return logs

    def _classifier_loss(self, batch: Batch) -> tuple[Any, dict[str, Any]]:
        logits = self.classify(batch["audio"], training=True)
        loss = class_loss(logits, batch["labels"])
        return loss, {
            "class/real": loss,
            "accuracy/real": class_accuracy(logits, batch["labels"]),
        }

    def _adapt(self, on_real: Any, on_fake: Any) -> None:
        if optimizers.is_evaluating():
            return
        excess = on_fake - self.control_target * on_real
        excess = distribution.all_reduce_sum(excess)
        excess = excess / distribution.num_replicas()
        weight = ops.convert_to_tensor(self.control_weight)
        weight = ops.clip(
            weight + self.control_rate * excess,
            0.0,
            self.max_control_weight,
        )
        # A loss that is not finite must not end up in the weight.
        old = ops.convert_to_tensor(self.control_weight)
        weight = ops.where(ops.isfinite(excess), weight, old)
        distribution.assign([self.control_weight], [weight])

    def _generator_extra(
        self, fake: Any, fake_outputs: list[list[Any]], batch: Batch
    ) -> tuple[Any, dict[str, Any]]:
        del fake_outputs
        logits = self.classify(fake, training=True)
        loss = class_loss(logits, batch["labels"])
        weight = ops.convert_to_tensor(self.control_weight)
        return weight * loss, {
            "class/fake": loss,
            "accuracy/fake": class_accuracy(logits, batch["labels"]),
        }

    def networks_beside(self) -> list[keras.Model]:
        """Returns the networks that see what the generator makes."""
        return [*super().networks_beside(), self.classifier]

    @property
    def preset_weights(self) -> dict[str, keras.Model]:
        """File stem -> network, as a preset folder holds them."""
        return {**super().preset_weights, "classifier": self.classifier}
