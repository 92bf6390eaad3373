"""`AudioGAN`, the class of models that make clips of latents."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_audiogan.audio.files import write_audio
from keras_audiogan.audio.plots import save_sheet
from keras_audiogan.layers import LogMelSpectrogram
from keras_audiogan.models.adversarial import (
    AdversarialModel,
    Batch,
    as_float32,
    last_maps,
    statistics,
)
from keras_audiogan.models.batches import check_latents, check_loss
from keras_audiogan.models.diagram import zeros
from keras_audiogan.models.sampling import Sampling
from keras_audiogan.models.sliced_scores import collecting_directions
from keras_audiogan.presets.upgrade import upgrade_gan
from keras_audiogan.training import (
    distribution,
    gradients,
    losses,
    optimizers,
)


def _compared(sampling_rate: int) -> LogMelSpectrogram:
    """Spectra by which clips are alike: windows of 31 ms, 32 bands.

    The floor lies 50 dB below full scale: what nobody hears is no variety.
    """
    step = 2 ** max(3, round(math.log2(sampling_rate / 64)))
    floor = 1e-5 * (step / 2) ** 2
    return LogMelSpectrogram(
        sampling_rate, 32, 2 * step, step, floor=floor, name="compared"
    )


class AudioGAN(Sampling, AdversarialModel):
    """A generator of clips, its discriminator and their adversarial step.

    A subclass names its networks (see `AdversarialModel`). It may override
    `discriminator_loss`, `generator_loss` or the whole of
    `adversarial_step`.

    `fit` takes whatever Keras takes. A batch is float32 audio of shape
    `(batch * discriminator_steps, time, channels)` in [-1, 1]; row
    `i * discriminator_steps + j` goes to discriminator update `j`. It may
    also be a dict with the keys `"audio"`, `"labels"` (integers),
    `"latents"` (`(rows, 2, latent_dim)`: one latent for the row's
    discriminator update and one for the generator's) and `"interpolation"`
    (`(rows,)`, the places in [0, 1] where a gradient penalty is taken;
    without it, but with latents given, the first latent coordinate stands
    in, so that a step with given latents holds no randomness beside phase
    shuffle).

    The generator maps latents `(batch, latent_dim)` to the representation
    that the discriminator sees, float32; `call` and `sample` give sound.

    Args:
        slice_length: samples in a clip.
        num_channels: 1 for mono, 2 for stereo, or any other count.
        sampling_rate: in Hz.
        labels: names of the classes of the data, or None. Only conditional
            architectures make sound by them.
        latent_dim: size of a latent vector.
        discriminators: what tells real from generated sound: kinds, or dicts
            of a `kind` and the arguments of its class, e.g. `[{"kind":
            "spectral", "dim": 16}]`. `"waveform"` is WaveGAN's own;
            `"spectral"` looks at a log-mel spectrogram (see
            `SpectralDiscriminator`), and on small data learns in a tenth of
            the time.
        ema_momentum: share of the old average kept at a step. Early on it
            is less, `(1 + step) / (5 + step)`, unless the model comes from a
            preset.
        level: how training files are levelled: `"peak"`, `"keep"` or a gain.
        variety_weight: weight of a loss of the generator that grows where its
            clips are more alike, in their log-mel spectra, than real clips
            of the same label are (see `training.losses.likeness`): against
            few ways of saying the same; 0 for none, 5 to 20 to try, with
            batches of 32 clips or more.

    Raises:
        ValueError: if a number is out of its range.
    """

    task = "generate"
    default_arguments: Mapping[str, Any] = {
        "discriminators": [{"kind": "waveform"}]
    }
    default_loss = "wgan-gp"
    run_options = AdversarialModel.run_options | {
        "discriminator_steps",
        "penalty",
        "balance_gradients",
        "loss_scale",
        "evaluate_every",
        "classifier",
        "keep_best",
    }

    def __init__(
        self,
        slice_length: int = 16384,
        num_channels: int = 1,
        sampling_rate: int = 16000,
        labels: tuple[str, ...] | list[str] | None = None,
        latent_dim: int = 100,
        discriminators: Any = None,
        ema_momentum: float = 0.999,
        level: str | float = "peak",
        variety_weight: float = 0.0,
        dtype: Any = None,
        name: str | None = None,
        **network: Any,
    ) -> None:
        if not 0.0 <= variety_weight < math.inf:
            raise ValueError(
                "`variety_weight` must be 0 or more. "
                f"Received: variety_weight={variety_weight}"
            )
        # These are in `arguments`, where the networks find them.
        del discriminators, network
        super().__init__(
            level=level, ema_momentum=ema_momentum, dtype=dtype, name=name
        )
        self.slice_length = slice_length
        self.sampling_rate = sampling_rate
        self.num_channels = num_channels
        self.latent_dim = latent_dim
        self.labels = tuple(labels) if labels is not None else None
        self.balance_gradients = False
        self.variety_weight = variety_weight
        self.compared = _compared(sampling_rate) if variety_weight else None
        self.build_networks()

    @classmethod
    def upgraded_arguments(cls, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns arguments under today's names: no more critics."""
        own = cls.__signature__.parameters  # type: ignore[attr-defined]
        return upgrade_gan(arguments, cls.default_discriminators(), own)

    # Training

    def compile(  # noqa: D417
        self,
        loss: str | losses.GANLoss | None = None,
        generator_optimizer: Any = None,
        discriminator_optimizer: Any = None,
        discriminator_steps: int | None = None,
        learning_rate: float | None = None,
        penalty: float | None = None,
        balance_gradients: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Chooses the loss and the optimisers.

        Args:
            loss: `"dcgan"`, `"lsgan"`, `"wgan"`, `"wgan-gp"`, `"hinge"`,
                `"relativistic"` or a `GANLoss`; the architecture's own by
                default. It brings defaults for everything below.
            generator_optimizer: a Keras optimiser or what
                `keras.optimizers.get` takes.
            discriminator_optimizer: the same for the discriminator.
            discriminator_steps: discriminator updates per generator update;
                `critic_steps` is its older name.
            learning_rate: replaces that of both default optimisers.
            penalty: replaces the weight of the loss's gradient penalties:
                of the one on interpolates, or of R1 and R2. Less lets the
                discriminator grow sharper, at some risk.
            balance_gradients: whether each of several discriminators moves
                what is generated by its `weight` alone, and not by the size
                of its gradients too.
            seed: seed of latents, interpolates and shuffles in training.
            loss_scale: what losses are multiplied by before they are
                differentiated, e.g. 32 in mixed precision; by default none,
                and in float16 one that is found by trying.
            **kwargs: `jit_compile`, `run_eagerly` and `steps_per_execution`,
                as in Keras.
        """
        steps = kwargs.pop("critic_steps", None)
        if steps is None:
            steps = discriminator_steps
        elif discriminator_steps is not None:
            raise ValueError(
                "`critic_steps` is the older name of `discriminator_steps`: "
                f"give one of them. Received: critic_steps={steps}, "
                f"discriminator_steps={discriminator_steps}"
            )
        check_loss(loss)
        gan_loss = losses.get_loss(loss or self.default_loss)
        if penalty is not None:
            gan_loss = gan_loss.with_penalty(penalty)
        if steps is None:
            steps = gan_loss.discriminator_steps
        if steps < 1:
            raise ValueError(
                "`discriminator_steps` must be 1 or more. "
                f"Received: discriminator_steps={steps}"
            )
        self.compile_loss(
            gan_loss,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            learning_rate=learning_rate,
            seed=seed,
            **kwargs,
        )
        self.discriminator_steps = steps
        self.balance_gradients = balance_gradients

    def get_compile_config(self) -> dict[str, Any] | None:
        """Returns the arguments of a `compile` like the last one."""
        config = super().get_compile_config()
        if config is not None:
            config["discriminator_steps"] = self.discriminator_steps
            config["balance_gradients"] = self.balance_gradients
        return config

    def adversarial_step(self, batch: Batch) -> dict[str, Any]:
        """Updates the discriminator, `discriminator_steps` times, then G."""
        parts = [self._part(batch, j) for j in range(self.discriminator_steps)]
        assigned = statistics([self.generator, self.discriminator])
        for part in parts:
            part["real"] = self.representation.analyse(part["audio"])
            latents = self._latents(part, 0)
            _, logs = self._minimize(
                self.optimizer.discriminator,
                self._one_discriminator_loss,
                part,
                latents,
                assigned,
            )
            self._clip_discriminator()
        latents = self._latents(parts[-1], 1)
        _, generator_logs = self._minimize(
            self.optimizer.generator,
            self.generator_loss,
            parts[-1],
            latents,
            assigned,
        )
        self._update_average()
        return {
            **logs,
            **generator_logs,
            **self.step_logs(parts[-1]["audio"]),
        }

    def _minimize(
        self,
        optimizer: optimizers.GuardedOptimizer,
        loss: Callable[[Batch, Any], tuple[Any, dict[str, Any]]],
        batch: Batch,
        latents: Any,
        state: list[keras.Variable],
    ) -> Any:
        """Takes one optimiser's step down a loss of batch and latents."""
        return optimizer.minimize(lambda: loss(batch, latents), state)

    def _one_discriminator_loss(
        self, batch: Batch, latents: Any
    ) -> tuple[Any, dict[str, Any]]:
        return self.discriminator_loss(batch, self._fake(latents, batch))

    def discriminator_loss(
        self, batch: Batch, fake: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Loss of one discriminator update.

        Args:
            batch: one update's share of the batch.
            fake: what the generator made, of the shape of the representation
                of `batch["audio"]`.

        Returns:
            `(loss, logs)`.
        """
        gan_loss = self.compiled_loss()
        real_views = self.discriminator.views(self._real(batch), training=True)
        fake_views = self.discriminator.views(fake, training=True)
        with collecting_directions() as real_directions:
            real_outputs = self._features(real_views, batch)
        with collecting_directions() as fake_directions:
            fake_outputs = self._features(fake_views, batch)
        real_logits = last_maps(real_outputs)
        fake_logits = last_maps(fake_outputs)
        weights = self.discriminator.score_weights()
        each_loss = self._each_loss()
        total = sum(
            weight * loss.discriminator(r, f)
            for weight, loss, r, f in zip(
                weights, each_loss, real_logits, fake_logits, strict=True
            )
        )
        logs = {"adv/discriminator": total}
        apart = self.discriminator.of_san(weights, real_directions)
        if apart:
            logs["adv/direction"] = turned = sum(
                weight * gan_loss.for_san().direction(r, f)
                for weight, r, f in zip(
                    apart,
                    map(as_float32, real_directions),
                    map(as_float32, fake_directions),
                    strict=True,
                )
            )
            total = total + turned
        logs |= {
            "score/real": _mean_score(real_logits),
            "score/fake": _mean_score(fake_logits),
        }
        if gan_loss.gradient_penalty:
            position = self._interpolation(batch)
            between = []
            for r, f in zip(real_views, fake_views, strict=True):
                place = ops.reshape(position, [-1] + [1] * (len(r.shape) - 1))
                between.append(r + place * (f - r))
            slopes = gradients.input_gradients(
                functools.partial(self._score, batch), between
            )
            penalty = sum(
                weight * losses.gradient_penalty(slope)
                for weight, slope in zip(
                    self.discriminator.view_weights(), slopes, strict=True
                )
            )
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

    def _each_loss(self) -> list[Any]:
        """Returns the loss that each list of maps is told by."""
        gan_loss = self.compiled_loss()
        return [
            gan_loss.for_san() if san else gan_loss
            for san in self.discriminator.san_scores()
        ]

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

    def _likeness(self, fake: Any, batch: Batch) -> tuple[Any, dict[str, Any]]:
        """What the generator's loss has where clips are too alike, and logs."""
        compared = self.compared
        if compared is None:
            return 0.0, {}
        classes = batch.get("classes")
        if classes is None:
            classes = ops.ones((ops.shape(fake)[0], 1))
        real, made = self._real(batch), fake
        if len(fake.shape) == 3:  # Waves; spectra are compared as they are.
            rest = -fake.shape[1] % compared.frame_step
            real, made = (
                compared(ops.pad(x, [[0, 0], [0, rest], [0, 0]]))
                for x in (real, made)
            )
        loss = losses.likeness(real, made, classes)
        return self.variety_weight * loss, {"reg/likeness": loss}

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
            weight * scale**2 * ops.mean(losses.squared_norms(slope))
            for weight, slope, scale in zip(
                self.discriminator.view_weights(),
                slopes,
                self.discriminator.view_scales,
                strict=True,
            )
        )

    def generator_loss(
        self, batch: Batch, latents: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Returns the loss of one generator update, and logs.

        The batch is the last discriminator update's share.
        """
        gan_loss = self.compiled_loss()
        fake = self._generated(latents, batch)
        seen = self.discriminator.views
        if self.balance_gradients:
            seen = self.discriminator.balanced_views
        fake_outputs = self._features(seen(fake, training=True), batch)
        fake_logits = last_maps(fake_outputs)
        real_logits = (
            self._logits(
                self.discriminator.views(self._real(batch), training=True),
                batch,
            )
            if gan_loss.needs_real_logits
            else fake_logits
        )
        total = sum(
            weight * loss.generator(r, f)
            for weight, loss, r, f in zip(
                self.discriminator.score_weights(),
                self._each_loss(),
                real_logits,
                fake_logits,
                strict=True,
            )
        )
        logs = {
            "adv/generator": total,
            "level/fake": self._level(fake),
        }
        more, more_logs = self._generator_extra(fake, fake_outputs, batch)
        alike, alike_logs = self._likeness(fake, batch)
        return total + more + alike, {**logs, **more_logs, **alike_logs}

    def _level(self, fake: Any) -> Any:
        """RMS of the sound of what was generated."""
        return self.representation.level(fake)

    def _real(self, batch: Batch) -> Any:
        """Real sound as the networks see it."""
        real = batch.get("real")
        if real is None:
            real = self.representation.analyse(batch["audio"])
        return real

    def _generated(self, latents: Any, batch: Batch) -> Any:
        """What the generator makes of latents, as `batch` asks for it."""
        del batch
        return self.generator(latents, training=True)

    def _features(self, views: list[Any], batch: Batch) -> list[list[Any]]:
        """What the discriminator makes of views, given the batch."""
        del batch
        return self.discriminator.feature_maps(views, training=True)

    def _logits(self, views: list[Any], batch: Batch) -> list[Any]:
        """Logits of every sub-discriminator, float32."""
        return last_maps(self._features(views, batch))

    def _score(self, batch: Batch, views: list[Any]) -> Any:
        """Sum over sub-discriminators of the mean logit of each example."""
        return sum(
            ops.mean(ops.reshape(logits, (ops.shape(logits)[0], -1)), axis=-1)
            for logits in self._logits(views, batch)
        )

    def _fake(self, latents: Any, batch: Batch) -> Any:
        """What was generated, as the discriminator's update sees it."""
        return ops.stop_gradient(self._generated(latents, batch))

    def _part(self, batch: Batch, index: int) -> Batch:
        steps = self.discriminator_steps
        if steps == 1:
            return dict(batch)
        return {
            key: ops.reshape(value, (-1, steps, *value.shape[1:]))[:, index]
            for key, value in batch.items()
        }

    def _latents(self, batch: Batch, index: int) -> Any:
        if "latents" in batch:
            return batch["latents"][:, index]

        def draw(rows: Any) -> Any:
            shape = (rows, self.latent_dim)
            if self.latent_law == "normal":
                return keras.random.normal(shape, seed=self.seed_generator)
            return keras.random.uniform(
                shape, -1.0, 1.0, seed=self.seed_generator
            )

        return distribution.own_rows(draw, ops.shape(batch["audio"])[0])

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
        limit = self.compiled_loss().clip
        if limit is not None and not optimizers.is_evaluating():
            variables = self.discriminator.trainable_variables
            distribution.assign(
                variables, [ops.clip(v, -limit, limit) for v in variables]
            )

    def example_inputs(self) -> list[Any]:
        """Returns a latent of zeros."""
        return [zeros(self.latent_dim)]

    # Sampling

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Checks what `call` is given, and calls it."""
        self.check_inputs(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def check_inputs(self, inputs: Any) -> None:
        """Raises a ValueError if `call` can make no sound of the inputs."""
        check_latents(inputs, self.latent_dim)

    def call(self, latents: Any, training: bool = False) -> Any:
        """Audio of latents, from the moving average of the generator."""
        del training
        made = self.ema_generator(latents, training=False)
        return self.representation.synthesise(made)

    @property
    def stage_steps(self) -> list[int]:
        """Samples from one step to the next of each stage, the finest first.

        Of the generator's stages that make time longer, and of the frames of
        the representation: 4, 16 and 64 for three strides of 4. What a stage
        adds of its own comes back at these steps.
        """
        steps = [getattr(self.representation, "frame_step", 1)]
        for stride in reversed(getattr(self.generator, "strides", ())):
            steps.append(steps[-1] * stride)
        return [step for step in steps if step > 1]

    # What a training run asks

    @classmethod
    def learns_labels(cls, arguments: Mapping[str, Any] | None = None) -> bool:
        """Returns whether batches of a model of arguments come with labels."""
        del arguments
        return cls.conditional

    @classmethod
    def loss_names(cls) -> tuple[str, ...]:
        """Returns the names of the losses that `compile` knows."""
        return tuple(losses.LOSSES)

    @classmethod
    def default_discriminator_steps(cls, loss: str | None) -> int:
        """Returns the discriminator updates a step that a loss comes with."""
        return losses.get_loss(loss or cls.default_loss).discriminator_steps

    def preview(self, num_clips: int, seed: int, source: Any) -> np.ndarray:
        """Returns clips of the same latents at every time."""
        del source
        labels = self._shown_labels(num_clips)
        return self.sample(num_clips, seed=seed, labels=labels)

    def write_samples(self, folder: Path, dataset: Any, seed: int) -> None:
        """Writes four clips, and a picture of eight."""
        del dataset
        labels = self._shown_labels(8)
        clips = self.sample(8, seed=seed, labels=labels)
        for index, clip in enumerate(clips[:4]):
            write_audio(folder / f"{index}.flac", clip, self.sampling_rate)
        titles = None
        if labels is not None:
            titles = [f"{i} {labels[i % len(labels)]}" for i in range(8)]
        save_sheet(folder / "sheet.png", clips, self.sampling_rate, titles)

    def _shown_labels(self, num_clips: int) -> list[str] | None:
        """Returns labels to show in turn, from all parts of their list.

        Of more labels than clips, the first half of the clips has every
        second one of those that are shown.
        """
        if not self.conditional or self.labels is None:
            return None
        if len(self.labels) <= num_clips:
            return list(self.labels)
        places = np.linspace(0, len(self.labels) - 1, num_clips).round()
        shown = [self.labels[int(place)] for place in places]
        return shown[::2] + shown[1::2]


def _mean_score(logits: list[Any]) -> Any:
    return sum(ops.mean(entry) for entry in logits)
