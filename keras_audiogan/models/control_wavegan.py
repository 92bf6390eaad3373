"""WaveGAN steered by a classifier of its own (ControlGAN).

Source: Lee and Seok, "Controllable Generative Adversarial Network"
(arXiv:1708.00598), with the networks of `concat_wavegan` for 4,096 samples.
The critic sees no label. A classifier that is neither the critic's nor fed
by the generator learns from real sound alone, and its loss on generated
sound is added to the generator's, with a weight that adapts.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_audiogan.models.audio_gan import Batch
from keras_audiogan.models.discriminators import (
    Discriminator,
    MultiDiscriminator,
)
from keras_audiogan.models.labelled_gan import LabelledGAN
from keras_audiogan.models.labelled_networks import (
    build_critics,
    check_option,
    class_accuracy,
    class_loss,
)
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.models.wavegan import CRITICS
from keras_audiogan.training import distribution, optimizers

_CLASSIFIER_OPTIMIZER = {
    "class_name": "Adam",
    "config": {"learning_rate": 5e-4, "epsilon": 1e-8},
}


@register_architecture("control_wavegan")
class ControlWaveGAN(LabelledGAN):
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

    Example:

    ```python
    gan = keras_audiogan.models.ControlWaveGAN(labels=("zero", "one"))
    gan.compile()
    gan.fit({"audio": audio, "labels": labels}, batch_size=320, epochs=100)
    clips = gan.sample(labels=["zero", "one", "zero"], seed=0)
    ```

    Args:
        labels: names of the classes, two or more.
        classifier_view: what the classifier looks at: `"spectral"` or
            `"waveform"`; its sizes are those of the critic of that name.
        control_weight: what the weight starts from.
        control_rate: how fast it adapts; 0 keeps it as it is.
        control_target: how many times the loss on real sound the loss on
            generated sound shall be.
        max_control_weight: bound of the weight.
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
        critics: what tells real from generated: `"waveform"`, `"spectral"`
            (see `SpectralDiscriminator`), or both.
        spectral_dim: channels of the first convolution of spectral networks.
        num_mel_bins: bands that they see.
        fft_length: window that they see through, in samples.
        frame_step: hop of that window, in samples.
        augment: strength of the augmentation of what they see, 0 for none.
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
        classifier_view: str = "spectral",
        control_weight: float = 1.0,
        control_rate: float = 0.01,
        control_target: float = 1.0,
        max_control_weight: float = 10.0,
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
        check_option("classifier_view", classifier_view, CRITICS)
        self._control: dict[str, Any] = {
            "control_weight": control_weight,
            "control_rate": control_rate,
            "control_target": control_target,
            "max_control_weight": max_control_weight,
        }
        for key, value in self._control.items():
            if value < 0:
                raise ValueError(
                    f"`{key}` must be 0 or more. Received: {key}={value}"
                )
        if control_weight > max_control_weight:
            raise ValueError(
                "`control_weight` must not exceed `max_control_weight`. "
                f"Received: control_weight={control_weight}, "
                f"max_control_weight={max_control_weight}"
            )
        self.classifier_view = classifier_view
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
        (self.classifier,) = build_critics(
            [classifier_view],
            num_channels=num_channels,
            num_outputs=self.num_classes,
            name="classifier",
            **self._critic,
        )
        self.control_weight = keras.Variable(
            keras.initializers.Constant(control_weight),
            shape=(),
            dtype="float32",
            trainable=False,
            aggregation="only_first_replica",
            name="control_weight",
        )

    def _make_discriminator(
        self, num_classes: int, num_channels: int
    ) -> Discriminator:
        del num_classes
        critics = self._critics(num_channels)
        if len(critics) == 1:
            return critics[0]
        return MultiDiscriminator(critics, dtype=self._critic["dtype"])

    def compile(
        self,
        loss: Any = "wgan-gp",
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
            classifier=self._guard(
                classifier_optimizer or _CLASSIFIER_OPTIMIZER,
                self.classifier,
                None,
            ),
        )

    def classify(self, audio: Any, training: bool = False) -> Any:
        """Returns the classifier's logits of audio, `(batch, num_classes)`."""
        ((*_, logits),) = self.classifier(audio, training=training)
        return ops.cast(logits, "float32")

    def adversarial_step(self, batch: Batch) -> dict[str, Any]:
        """Updates the classifier, then as `AudioGAN`, then the weight."""
        part = self._part(batch, self.critic_steps - 1)
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
        control = self._control
        excess = on_fake - control["control_target"] * on_real
        excess = distribution.all_reduce_sum(excess)
        excess = excess / distribution.num_replicas()
        weight = ops.convert_to_tensor(self.control_weight)
        weight = ops.clip(
            weight + control["control_rate"] * excess,
            0.0,
            control["max_control_weight"],
        )
        # A loss that is not finite must not end up in the weight.
        old = ops.convert_to_tensor(self.control_weight)
        weight = ops.where(ops.isfinite(excess), weight, old)
        distribution.assign([self.control_weight], [weight])

    def _features(self, views: list[Any], batch: Batch) -> list[list[Any]]:
        del batch
        return self.discriminator.judge(views, training=True)

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

    @property
    def preset_weights(self) -> dict[str, keras.Model]:
        """File stem -> network, as a preset folder holds them."""
        return {**super().preset_weights, "classifier": self.classifier}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        return {
            **super().get_config(),
            **self._control,
            "classifier_view": self.classifier_view,
        }
