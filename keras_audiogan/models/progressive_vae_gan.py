"""Progressive VAE-GAN: an encoder in front of progressive WaveGAN.

T. Körmendi, "Progressive adversarial music generation", King's College
London, 2019, puts a variational encoder in front of the generator. An
iteration updates the encoder once, then the discriminator five times, then
the generator once. Its code was never published, and beside that order and
the encoder's shape nothing of its losses is known to us. They are therefore
two forms, each stated below:

- `reconstruction="features"`: Larsen et al., "Autoencoding beyond pixels
  using a learned similarity metric", ICML 2016 (arXiv:1512.09300). A copy is
  as far from its recording as the discriminator's deepest features of the two
  are from each other; what makes no difference to the discriminator, such as
  a shift of phase, makes none.
- `reconstruction="samples"`: the plain variational autoencoder's error of
  samples, Kingma and Welling, ICLR 2014 (arXiv:1312.6114), in the order of the
  thesis. It is what we take for the thesis's form.

Different from Larsen et al.: the discriminator is a critic, whose features
have no scale of their own, so that each clip's error is divided by the power
of its features; and of the clips that the discriminator and the generator are
judged by every other one is a copy, the rest made of drawn latents, in place
of both kinds for every clip.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_audiogan.models.adversarial import Batch
from keras_audiogan.models.arguments import check_option
from keras_audiogan.models.autoencoding import Autoencoding
from keras_audiogan.models.progressive_networks import (
    NUM_START_FRAMES,
    StagedNetwork,
    block_channels,
)
from keras_audiogan.models.progressive_wavegan import ProgressiveWaveGAN
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.training import optimizers

RECONSTRUCTIONS = ("features", "samples")
# Added to the power that errors are divided by: silence has none.
_LEAST_POWER = 1e-4
_MOST_LOG_VARIANCE = 10.0
# Of the encoder in training: they, their gradients and two moments.
_COPIES_OF_WEIGHTS = 4


@register_architecture("progressive_vae_gan")
class ProgressiveVAEGAN(Autoencoding, ProgressiveWaveGAN):
    """A progressive WaveGAN that also takes recordings apart.

    The encoder has the discriminator's shape and gives the mean and the log
    variance of a normal latent; latents are drawn from N(0, 1). With `E` the
    error of copies, 0 for equal ones and about 1 for silence, and `KL` the
    divergence of the encoder's latents from N(0, 1), in nats per number of a
    latent, an iteration takes three kinds of steps:

    - encoder: `E + w KL`, where `w` rises from 0 to `kl_weight` in the first
      `kl_warmup` iterations (of each stage: an encoder that has just grown
      learns again what its latents can carry);
    - discriminator, `discriminator_steps` times: the loss of `AudioGAN`, on
      copies and on clips of drawn latents;
    - generator: the loss of `AudioGAN` on both, and `reconstruction_weight`
      times `E` of the copies.

    It grows as progressive WaveGAN does, the encoder too.

    Example:

    ```python
    gan = keras_audiogan.models.ProgressiveVAEGAN(num_blocks=5, dim=128)
    gan.compile()
    gan.fit(seconds, batch_size=32 * gan.discriminator_steps, epochs=10)
    latents = gan.encode(seconds[:2])  # (2, 100)
    copies = gan.decode(latents)  # (2, 16384, 1), as gan.reconstruct
    ```

    Args:
        reconstruction: what copies are compared by; see the module.
        feature_layers: how many of the discriminator's last hidden layers
            count as its features; Larsen et al. have 1.
        reconstruction_weight: of the error in the generator's loss; 0
            leaves copying to the encoder alone.
        kl_weight: weight of the divergence.
        kl_warmup: iterations until it is reached; 0 for at once.
        **kwargs: those of `ProgressiveWaveGAN`.

    Raises:
        ValueError: if a number is out of its range.
    """

    task = "autoencode"
    latent_law = "normal"
    tiny = {**ProgressiveWaveGAN.tiny, "kl_warmup": 2}
    config_limits = {**ProgressiveWaveGAN.config_limits, "feature_layers": 64}

    def __init__(
        self,
        reconstruction: str = "features",
        feature_layers: int = 1,
        reconstruction_weight: float = 10.0,
        kl_weight: float = 0.01,
        kl_warmup: int = 1000,
        **kwargs: Any,
    ) -> None:
        check_option("reconstruction", reconstruction, RECONSTRUCTIONS)
        for name in ("reconstruction_weight", "kl_weight", "kl_warmup"):
            if not 0.0 <= self.arguments[name] < math.inf:
                raise ValueError(
                    f"`{name}` must be 0 or more, and finite. "
                    f"Received: {name}={self.arguments[name]}"
                )
        if feature_layers < 1:
            raise ValueError(
                "`feature_layers` must be 1 or more. "
                f"Received: feature_layers={feature_layers}"
            )
        self.reconstruction = reconstruction
        self.feature_layers = feature_layers
        self.reconstruction_weight = reconstruction_weight
        self.kl_weight = kl_weight
        self.kl_warmup = kl_warmup
        super().__init__(**kwargs)

    def build_networks(self) -> None:
        """Builds the encoder beside the others."""
        super().build_networks()
        self.encoder = self.make_encoder()

    def make_encoder(self) -> StagedNetwork:
        """Builds a discriminator with two outputs for each latent number."""
        spec = {
            **self.arguments["discriminators"][0],
            # Latents of a clip must not depend on those beside it, nor on
            # chance.
            "minibatch_deviation": False,
            "phase_shuffle": 0,
        }
        built: Any = self.make_from_spec(
            spec, "encoder", num_outputs=2 * self.latent_dim
        )
        return built

    # Training

    def compile(  # noqa: D417
        self,
        loss: Any = None,
        *args: Any,
        encoder_optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        """Chooses the loss and the optimisers.

        Args:
            loss: see `ProgressiveWaveGAN.compile`, as for the rest.
            encoder_optimizer: the encoder's; by default one like the
                generator's.
        """
        super().compile(loss, *args, **kwargs)
        self._lacks_encoder = False  # Whatever it starts from.
        self.optimizer = optimizers.OptimizerPair(
            self.optimizer.generator,
            self.optimizer.discriminator,
            encoder=self.guarded_optimizer(
                encoder_optimizer
                or keras.optimizers.serialize(self.optimizer.generator.inner),
                self.encoder,
            ),
        )

    def as_batch(self, data: Any) -> Batch:
        """Returns what `fit` was given as a dict, with `"copied"`.

        That is the weight of a clip among those that are copied: every other
        one has a weight, of mean 1 over the batch.
        """
        batch = super().as_batch(data)
        steps = self.discriminator_steps
        rows = ops.shape(batch["audio"])[0] // steps
        index = ops.repeat(ops.arange(rows, dtype="int32"), steps)
        share = ops.cast((rows + 1) // 2, "float32") / ops.cast(rows, "float32")
        batch["copied"] = ops.cast(index % 2 == 0, "float32") / share
        return batch

    def adversarial_step(self, batch: Batch) -> dict[str, Any]:
        """Updates the encoder, then as `AudioGAN`."""
        part = self._part(batch, self.discriminator_steps - 1)
        part["real"] = self.representation.analyse(part["audio"])
        noise = super()._latents(part, 0)
        _, logs = self._minimize(
            self.optimizer.others["encoder"],
            self.encoder_loss,
            part,
            noise,
            [],
        )
        return {**logs, **super().adversarial_step(batch)}

    def encoder_loss(
        self, batch: Batch, noise: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Returns the loss of an encoder update, and logs.

        Args:
            batch: one update's share of the batch.
            noise: N(0, 1), `(batch, latent_dim)`.
        """
        mean, log_variance = self._encoded(self._real(batch), training=True)
        latents = mean + ops.exp(0.5 * log_variance) * noise
        copies = self._generated(latents, batch)
        copied = (
            []
            if self.reconstruction == "samples"
            else self._features(
                self.discriminator.views(copies, training=True), batch
            )
        )
        error = ops.mean(self._errors(copies, copied, batch))
        divergence = ops.mean(_divergence(mean, log_variance))
        weight = self._kl_weight_now()
        return error + weight * divergence, {
            "vae/error": error,
            "vae/kl": divergence,
            "vae/kl_weight": weight,
        }

    def _kl_weight_now(self) -> Any:
        """The weight of the divergence in this iteration."""
        if not self.kl_warmup:
            return ops.convert_to_tensor(self.kl_weight, "float32")
        done = self.optimizer.others["encoder"].inner.iterations
        share = ops.cast(done, "float32") / self.kl_warmup
        return self.kl_weight * ops.minimum(share, 1.0)

    def _encoded(self, real: Any, training: bool = False) -> tuple[Any, Any]:
        """Mean and log variance of latents, float32."""
        ((*_, both),) = self.encoder.feature_maps([real], training=training)
        mean, log_variance = ops.split(ops.cast(both, "float32"), 2, axis=-1)
        return mean, ops.clip(
            log_variance, -_MOST_LOG_VARIANCE, _MOST_LOG_VARIANCE
        )

    def _latents(self, batch: Batch, index: int) -> Any:
        """Draws latents: of the copied clips around what the encoder says."""
        drawn = super()._latents(batch, index)
        mean, log_variance = self._encoded(self._real(batch), training=True)
        around = mean + ops.exp(0.5 * log_variance) * drawn
        copied = ops.expand_dims(batch["copied"] > 0.0, -1)
        return ops.stop_gradient(ops.where(copied, around, drawn))

    def _generator_extra(
        self, fake: Any, fake_outputs: list[list[Any]], batch: Batch
    ) -> tuple[Any, dict[str, Any]]:
        if not self.reconstruction_weight:
            return 0.0, {}
        errors = self._errors(fake, fake_outputs, batch)
        error = ops.mean(batch["copied"] * errors)
        return self.reconstruction_weight * error, {"vae/copy_error": error}

    def _errors(
        self, copies: Any, copied: list[list[Any]], batch: Batch
    ) -> Any:
        """How far copies are from real sound, one number for each.

        Args:
            copies: what the generator made of the latents of real clips.
            copied: the discriminator's maps of them, for `"features"`.
            batch: holds the real clips.
        """
        real = self._real(batch)
        if self.reconstruction == "samples":
            return _relative_error(copies, real)
        maps = self._features(
            self.discriminator.views(real, training=True), batch
        )
        errors = [
            _relative_error(copy, ops.stop_gradient(original))
            for own, other in zip(copied, maps, strict=True)
            for copy, original in zip(
                *(each[:-1][-self.feature_layers :] for each in (own, other)),
                strict=True,
            )
        ]
        return sum(errors) / len(errors)

    # Encoding

    def encode_clips(self, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and log variance of the latents of a batch."""
        real = self.representation.analyse(ops.convert_to_tensor(clips))
        mean, log_variance = self._encoded(real)
        return (
            ops.convert_to_numpy(mean),
            ops.convert_to_numpy(log_variance),
        )

    # Networks in files and runs

    def carried_networks(self) -> list[StagedNetwork]:
        """Returns the networks that grow."""
        return [*super().carried_networks(), self.encoder]

    def networks_beside(self) -> list[keras.Model]:
        """Returns the networks that see what the generator makes."""
        return [*super().networks_beside(), self.encoder]

    @property
    def preset_weights(self) -> Mapping[str, keras.Model]:  # type: ignore[override]
        """File stem -> network, as a preset folder holds them."""
        return {**super().preset_weights, "encoder": self.encoder}

    # What a training run asks

    @classmethod
    def memory_of_step(
        cls,
        arguments: Mapping[str, Any],
        batch_size: int,
        recompute: bool = False,
    ) -> int:
        """Estimates the bytes that a process takes to train on a CPU.

        That is a progressive WaveGAN's, whose discriminator's update takes
        the most, and the encoder's weights with their gradients and moments.
        """
        known = inspect.signature(cls).parameters
        given = {**{n: p.default for n, p in known.items()}, **arguments}
        dim, kernel_size = given["dim"], given["kernel_size"]
        channels = [
            dim,
            *block_channels(given["num_blocks"], dim, given["widths"]),
        ]
        weights = NUM_START_FRAMES * dim * 2 * given["latent_dim"]
        for wide, narrow in itertools.pairwise(channels):
            weights += kernel_size * wide * narrow
            if given["extended"] != "none":
                weights += kernel_size * wide * wide
        least = super().memory_of_step(arguments, batch_size, recompute)
        return least + _COPIES_OF_WEIGHTS * 4 * weights


def _relative_error(copy: Any, original: Any) -> Any:
    """Mean squared difference over mean square, for each row, float32."""
    copy, original = (ops.cast(x, "float32") for x in (copy, original))
    axes = list(range(1, len(original.shape)))
    error = ops.mean(ops.square(copy - original), axis=axes)
    power = ops.mean(ops.square(original), axis=axes)
    return error / (power + _LEAST_POWER)


def _divergence(mean: Any, log_variance: Any) -> Any:
    """Divergence from N(0, 1) in nats, the mean over a latent's numbers."""
    each = ops.square(mean) + ops.exp(log_variance) - 1.0 - log_variance
    return 0.5 * ops.mean(each, axis=-1)
