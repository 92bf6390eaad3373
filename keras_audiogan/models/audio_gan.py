"""`AudioGAN`, the class that every architecture extends."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_audiogan.models.discriminators import Discriminator
from keras_audiogan.models.sampling import Sampling
from keras_audiogan.presets.model_sizes import is_measuring
from keras_audiogan.training import (
    distribution,
    gradients,
    losses,
    optimizers,
    precision,
)

Batch = dict[str, Any]


class AudioGAN(Sampling, keras.Model):
    """A generator of sound, its discriminator and their adversarial step.

    A subclass builds its networks and hands them to this constructor. It may
    override `discriminator_loss`, `generator_loss` or the whole of
    `adversarial_step`.

    `fit` takes whatever Keras takes. A batch is float32 audio of shape
    `(batch * critic_steps, time, channels)` in [-1, 1]; row
    `i * critic_steps + j` goes to discriminator update `j`. It may also be a
    dict with the keys `"audio"`, `"labels"` (integers), `"latents"`
    (`(rows, 2, latent_dim)`: one latent for the row's discriminator update
    and one for the generator's) and `"interpolation"` (`(rows,)`, the places
    in [0, 1] where a gradient penalty is taken; without it, but with latents
    given, the first latent coordinate stands in, so that a step with given
    latents holds no randomness beside phase shuffle).

    Args:
        generator: built model, latents `(batch, latent_dim)` -> audio
            `(batch, time, channels)`, float32 in [-1, 1].
        discriminator: built `Discriminator`, audio -> a list with one entry
            per sub-discriminator, each a list of feature maps, logits last.
        ema_generator: built copy of the generator for the moving average of
            its weights, which is what `sample` and presets use.
        slice_length: samples in a training slice.
        sampling_rate: in Hz.
        num_channels: 1 for mono, 2 for stereo.
        latent_dim: size of a latent vector.
        labels: names of the classes, or None.
        level: how training files are levelled: `"peak"`, `"keep"` or a gain.
        ema_momentum: share of the old average kept at a step. Early on it
            is less, `(1 + step) / (5 + step)`, unless the model comes from a
            preset.
        dtype: dtype policy of the networks; Keras's global policy if None.
    """

    architecture: str
    required_weights: tuple[str, ...] = ("generator",)

    def __init__(
        self,
        *,
        generator: keras.Model,
        discriminator: Discriminator,
        ema_generator: keras.Model,
        slice_length: int,
        sampling_rate: int,
        num_channels: int,
        latent_dim: int,
        labels: tuple[str, ...] | list[str] | None = None,
        level: str | float = "peak",
        ema_momentum: float = 0.999,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        if not 0.0 <= ema_momentum < 1.0:
            raise ValueError(
                "`ema_momentum` must be in [0, 1). "
                f"Received: ema_momentum={ema_momentum}"
            )
        known = (
            level in ("peak", "keep")
            if isinstance(level, str)
            else (isinstance(level, int | float) and 0.0 < level < math.inf)
        )
        if not known:
            raise ValueError(
                "`level` must be 'peak', 'keep' or a positive gain. "
                f"Received: level={level!r}"
            )
        self.slice_length = slice_length
        self.sampling_rate = sampling_rate
        self.num_channels = num_channels
        self.latent_dim = latent_dim
        self.labels = tuple(labels) if labels is not None else None
        self.level = level
        self.ema_momentum = ema_momentum
        self.generator = generator
        self.discriminator = discriminator
        self.ema_generator = ema_generator
        self.ema_generator.trainable = False
        self.seed_generator = keras.random.SeedGenerator()
        # XLA runs these networks several times slower than plain graphs on a
        # CPU; JAX has no other way.
        self.jit_compile = keras.backend.backend() == "jax" or (
            keras.backend.backend() == "tensorflow" and precision.has_gpu()
        )
        self.gan_loss: losses.GANLoss | None = None
        self.critic_steps = 1
        self._average_is_new = True
        self.built = True
        if not is_measuring():
            self._copy_to_average()

    # Training

    def compile(  # noqa: D417
        self,
        loss: str | losses.GANLoss = "wgan-gp",
        generator_optimizer: Any = None,
        discriminator_optimizer: Any = None,
        critic_steps: int | None = None,
        learning_rate: float | None = None,
        penalty: float | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Chooses the loss and the optimisers.

        Args:
            loss: `"dcgan"`, `"lsgan"`, `"wgan"`, `"wgan-gp"`, `"hinge"`,
                `"relativistic"` or a `GANLoss`. It brings defaults for
                everything below.
            generator_optimizer: a Keras optimiser or what
                `keras.optimizers.get` takes.
            discriminator_optimizer: the same for the discriminator.
            critic_steps: discriminator updates per generator update.
            learning_rate: replaces that of both default optimisers.
            penalty: replaces the weight of the loss's gradient penalties:
                of the one on interpolates, or of R1 and R2. Less lets the
                discriminator grow sharper, at some risk.
            seed: seed of latents, interpolates and shuffles in training.
            **kwargs: `jit_compile`, `run_eagerly` and `steps_per_execution`,
                as in Keras.
        """
        kwargs.setdefault("jit_compile", self.jit_compile)
        super().compile(optimizer=None, loss=None, **kwargs)
        self.gan_loss = losses.get_loss(loss)
        if penalty is not None:
            self.gan_loss = self.gan_loss.with_penalty(penalty)
        if critic_steps is None:
            critic_steps = self.gan_loss.critic_steps
        if critic_steps < 1:
            raise ValueError(
                "`critic_steps` must be 1 or more. "
                f"Received: critic_steps={critic_steps}"
            )
        self.critic_steps = critic_steps
        self.optimizer = optimizers.OptimizerPair(
            self._guard(
                generator_optimizer or self.gan_loss.generator_optimizer,
                self.generator,
                learning_rate,
            ),
            self._guard(
                discriminator_optimizer
                or self.gan_loss.discriminator_optimizer,
                self.discriminator,
                learning_rate,
            ),
        )
        if seed is not None:
            self._seed(seed)

    def _guard(
        self, optimizer: Any, network: keras.Model, learning_rate: float | None
    ) -> optimizers.GuardedOptimizer:
        if isinstance(optimizer, dict) and learning_rate is not None:
            config = {**optimizer["config"], "learning_rate": learning_rate}
            optimizer = {**optimizer, "config": config}
        return optimizers.GuardedOptimizer(
            keras.optimizers.get(optimizer),
            network.trainable_variables,
            dynamic_scale=network.dtype_policy.name == "mixed_float16",
        )

    def _seed(self, seed: int) -> None:
        """Sets the state of every seed generator from one number."""
        states = [
            variable
            for variable in self.non_trainable_variables
            if variable.path.endswith("seed_generator_state")
        ]
        rng = np.random.default_rng(seed)
        for state in states:
            state.assign(rng.integers(0, 2**31, 2).astype("int64"))

    def train_step(self, *args: Any) -> Any:
        """Runs `adversarial_step` as the backend's Keras trainer asks for it.

        TensorFlow and PyTorch pass the data; JAX passes the state of all
        variables and the data, and gets the new state back.
        """
        if keras.backend.backend() != "jax":
            (data,) = args
            logs = self.adversarial_step(self._as_batch(data))
            return distribution.as_logs(logs)
        state, data = args
        groups = [
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        ]
        mapping = [
            pair
            for variables, values in zip(groups, state, strict=True)
            for pair in zip(variables, values, strict=True)
        ]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            logs = self.adversarial_step(self._as_batch(data))
        new_state = tuple(
            [scope.get_current_value(variable) for variable in variables]
            for variables in groups
        )
        return logs, new_state

    def _maybe_symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: the networks are built in the constructor.

        Under a strategy Keras's own method takes the mean of a batch over
        the replicas, which fails for a dict on several workers.
        """

    def _as_batch(self, data: Any) -> Batch:
        inputs, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        batch = dict(inputs) if isinstance(inputs, dict) else {"audio": inputs}
        if labels is not None:
            batch["labels"] = labels
        rows = batch["audio"].shape[0]
        if rows is not None and rows % self.critic_steps:
            raise ValueError(
                f"A batch feeds {self.critic_steps} discriminator updates, so "
                "its rows must be a multiple of that: set the batch size to "
                "`gan.critic_steps` times the rows of one update. "
                f"Received: {rows} rows"
            )
        batch["audio"] = ops.cast(batch["audio"], "float32")
        return batch

    def adversarial_step(self, batch: Batch) -> dict[str, Any]:
        """Updates the discriminator `critic_steps` times, then the generator.

        Args:
            batch: see the class.

        Returns:
            Float32 scalars by name.
        """
        parts = [self._part(batch, j) for j in range(self.critic_steps)]
        statistics = [
            variable
            for network in (self.generator, self.discriminator)
            for variable in network.weights
            if not variable.trainable
        ]
        for part in parts:
            latents = self._latents(part, 0)
            _, logs = self.optimizer.discriminator.minimize(
                functools.partial(self._judge, part, latents),
                statistics,
            )
            self._clip_discriminator()
        latents = self._latents(parts[-1], 1)
        _, generator_logs = self.optimizer.generator.minimize(
            lambda: self.generator_loss(parts[-1], latents), statistics
        )
        self._update_average()
        return {
            **logs,
            **generator_logs,
            "level/real": _level(parts[-1]["audio"]),
            "skipped": ops.cast(self.optimizer.skipped, "float32"),
        }

    def _judge(self, batch: Batch, latents: Any) -> tuple[Any, dict[str, Any]]:
        return self.discriminator_loss(batch, self._fake(latents, batch))

    def discriminator_loss(
        self, batch: Batch, fake: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Loss of one discriminator update.

        Args:
            batch: one update's share of the batch.
            fake: generated audio of the same shape as `batch["audio"]`.

        Returns:
            `(loss, logs)`.
        """
        gan_loss = self._loss()
        real_views = self.discriminator.views(batch["audio"], training=True)
        fake_views = self.discriminator.views(fake, training=True)
        real_outputs = self._features(real_views, batch)
        fake_outputs = self._features(fake_views, batch)
        real_logits, fake_logits = _last(real_outputs), _last(fake_outputs)
        total = sum(
            gan_loss.discriminator(r, f)
            for r, f in zip(real_logits, fake_logits, strict=True)
        )
        logs = {
            "adv/discriminator": total,
            "score/real": _mean_score(real_logits),
            "score/fake": _mean_score(fake_logits),
        }
        if gan_loss.gradient_penalty:
            position = self._interpolation(batch)
            between = [
                r
                + ops.reshape(position, [-1] + [1] * (len(r.shape) - 1))
                * (f - r)
                for r, f in zip(real_views, fake_views, strict=True)
            ]
            slopes = gradients.input_gradients(
                functools.partial(self._score, batch), between
            )
            penalty = sum(losses.gradient_penalty(slope) for slope in slopes)
            total = total + gan_loss.gradient_penalty * penalty
            logs["reg/gradient_penalty"] = penalty
        for name, weight, views in (
            ("r1", gan_loss.r1, real_views),
            ("r2", gan_loss.r2, fake_views),
        ):
            if weight:
                penalty = self._slope_penalty(
                    views, batch, gan_loss.penalty_stride
                )
                total = total + 0.5 * weight * penalty
                logs[f"reg/{name}"] = penalty
        more, more_logs = self._discriminator_extra(
            real_outputs, fake_outputs, batch
        )
        return total + more, {**logs, **more_logs}

    def _discriminator_extra(
        self,
        real_outputs: list[list[Any]],
        fake_outputs: list[list[Any]],
        batch: Batch,
    ) -> tuple[Any, dict[str, Any]]:
        """What an architecture adds to the discriminator's loss, and logs."""
        del real_outputs, fake_outputs, batch
        return 0.0, {}

    def _generator_extra(
        self, fake: Any, fake_outputs: list[list[Any]], batch: Batch
    ) -> tuple[Any, dict[str, Any]]:
        """What an architecture adds to the generator's loss, and logs."""
        del fake, fake_outputs, batch
        return 0.0, {}

    def _slope_penalty(
        self, views: list[Any], batch: Batch, stride: int
    ) -> Any:
        """Mean squared slope of the scores, in units of each view's scale."""
        rows = {key: value[::stride] for key, value in batch.items()}
        slopes = gradients.input_gradients(
            functools.partial(self._score, rows),
            [view[::stride] for view in views],
        )
        return sum(
            scale**2 * ops.mean(losses.squared_norms(slope))
            for slope, scale in zip(
                slopes, self.discriminator.view_scales, strict=True
            )
        )

    def generator_loss(
        self, batch: Batch, latents: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Loss of one generator update.

        Args:
            batch: the last discriminator update's share of the batch.
            latents: `(batch, latent_dim)`.

        Returns:
            `(loss, logs)`.
        """
        gan_loss = self._loss()
        fake = self._generated(latents, batch)
        fake_outputs = self._features(
            self.discriminator.views(fake, training=True), batch
        )
        fake_logits = _last(fake_outputs)
        real_logits = (
            self._logits(
                self.discriminator.views(batch["audio"], training=True), batch
            )
            if gan_loss.needs_real_logits
            else fake_logits
        )
        total = sum(
            gan_loss.generator(r, f)
            for r, f in zip(real_logits, fake_logits, strict=True)
        )
        logs = {"adv/generator": total, "level/fake": _level(fake)}
        more, more_logs = self._generator_extra(fake, fake_outputs, batch)
        return total + more, {**logs, **more_logs}

    def _loss(self) -> losses.GANLoss:
        if self.gan_loss is None:
            raise ValueError("Call `compile()` before training.")
        return self.gan_loss

    def _generated(self, latents: Any, batch: Batch) -> Any:
        """Audio of latents, as `batch` asks for it."""
        del batch
        return self.generator(latents, training=True)

    def _features(self, views: list[Any], batch: Batch) -> list[list[Any]]:
        """What the discriminator makes of views, given the batch."""
        del batch
        return self.discriminator.judge(views, training=True)

    def _logits(self, views: list[Any], batch: Batch) -> list[Any]:
        """Logits of every sub-discriminator, float32."""
        return _last(self._features(views, batch))

    def _score(self, batch: Batch, views: list[Any]) -> Any:
        """Sum over sub-discriminators of the mean logit of each example."""
        return sum(
            ops.mean(ops.reshape(logits, (ops.shape(logits)[0], -1)), axis=-1)
            for logits in self._logits(views, batch)
        )

    def _fake(self, latents: Any, batch: Batch) -> Any:
        """Generated audio as the discriminator's update sees it."""
        return ops.stop_gradient(self._generated(latents, batch))

    def _part(self, batch: Batch, index: int) -> Batch:
        steps = self.critic_steps
        if steps == 1:
            return batch
        return {
            key: ops.reshape(value, (-1, steps, *value.shape[1:]))[:, index]
            for key, value in batch.items()
        }

    def _latents(self, batch: Batch, index: int) -> Any:
        if "latents" in batch:
            return batch["latents"][:, index]
        return distribution.own_rows(
            lambda rows: keras.random.uniform(
                (rows, self.latent_dim), -1.0, 1.0, seed=self.seed_generator
            ),
            ops.shape(batch["audio"])[0],
        )

    def _interpolation(self, batch: Batch) -> Any:
        if "interpolation" in batch:
            position = batch["interpolation"]
        elif "latents" in batch:
            position = 0.5 + 0.5 * batch["latents"][:, 0, 0]
        else:
            position = distribution.own_rows(
                lambda rows: keras.random.uniform(
                    (rows,), seed=self.seed_generator
                ),
                ops.shape(batch["audio"])[0],
            )
        return position

    def _clip_discriminator(self) -> None:
        limit = self._loss().clip
        if limit is not None:
            variables = self.discriminator.trainable_variables
            distribution.assign(
                variables, [ops.clip(v, -limit, limit) for v in variables]
            )

    def _update_average(self) -> None:
        momentum = self.ema_momentum
        if self._average_is_new:
            step = ops.cast(self.optimizer.iterations, "float32")
            momentum = ops.minimum(momentum, (1.0 + step) / (5.0 + step))
        targets, values = [], []
        for average, variable in zip(
            self.ema_generator.weights, self.generator.weights, strict=True
        ):
            if variable.trainable:
                value = ops.convert_to_tensor(average)
                value = value + (1.0 - momentum) * (variable - value)
            else:
                value = ops.convert_to_tensor(variable)
            targets.append(average)
            values.append(value)
        distribution.assign(targets, values)

    def _copy_to_average(self) -> None:
        self.ema_generator.set_weights(self.generator.get_weights())

    # Sampling

    def call(self, latents: Any, training: bool = False) -> Any:
        """Audio of latents, from the moving average of the generator."""
        del training
        return self.ema_generator(latents, training=False)

    # Presets

    @property
    def preset_weights(self) -> dict[str, keras.Model]:
        """File stem -> network, as a preset folder holds them."""
        return {
            "generator": self.ema_generator,
            "discriminator": self.discriminator,
        }

    def on_preset_loaded(self, stems: set[str]) -> None:
        """Called when weights were loaded: starts G from its average."""
        if "generator" in stems:
            self._average_is_new = False
            self.generator.set_weights(self.ema_generator.get_weights())

    def save_to_preset(self, path: str | Path, **kwargs: Any) -> None:
        """Writes a preset folder; see `keras_audiogan.saving.save_preset`."""
        from keras_audiogan import saving

        saving.save_preset(self, path, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        return {
            "slice_length": self.slice_length,
            "sampling_rate": self.sampling_rate,
            "num_channels": self.num_channels,
            "latent_dim": self.latent_dim,
            "labels": list(self.labels) if self.labels else None,
            "level": self.level,
            "ema_momentum": self.ema_momentum,
        }


def _last(outputs: list[list[Any]]) -> list[Any]:
    return [ops.cast(features[-1], "float32") for features in outputs]


def _mean_score(logits: list[Any]) -> Any:
    return sum(ops.mean(entry) for entry in logits)


def _level(audio: Any) -> Any:
    """Root mean square of audio, full scale is 1."""
    return ops.sqrt(ops.mean(ops.square(ops.cast(audio, "float32"))))
