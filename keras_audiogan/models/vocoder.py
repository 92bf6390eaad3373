"""`Vocoder`, the class of models that turn mel spectrograms into sound."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_audiogan.layers import MelFeatures
from keras_audiogan.layers.normalized_conv import NormalizedConv
from keras_audiogan.models.audio_gan import AudioGAN, Batch
from keras_audiogan.models.vocoder_discriminators import make_discriminator
from keras_audiogan.training import distribution, optimizers
from keras_audiogan.training.vocoder_losses import (
    SUB_BAND,
    MultiResolutionSTFTLoss,
    discriminator_adversarial_loss,
    feature_matching_loss,
    generator_adversarial_loss,
    mel_loss,
)
from keras_audiogan.training.vocoder_objectives import (
    VocoderObjective,
    get_objective,
)


class VocoderGenerator(keras.Model):
    """Base class of generators: layers that the constructor builds.

    Attributes:
        context_frames: frames to either side that a sample depends on.
    """

    context_frames: int

    def build(self, input_shape: Any) -> None:
        """Marks the model as built; constructors build the layers."""
        del input_shape
        self.built = True

    def _build_layers(self, sizes: Sequence[tuple[Any, int]]) -> None:
        self.build(None)
        with keras.name_scope(self.name, caller=self):
            for layer, channels in sizes:
                layer.build((None, None, channels))


class Vocoder(AudioGAN):
    """A generator of sound from mel spectrograms, and its discriminator.

    A vocoder owns its front end, `features`: rate, transform, filters, log,
    padding and normalisation are part of its config and of every preset, so
    that what it is given in use is what it was trained on.

    A batch for `fit` is float32 sound `(batch, slice_length, 1)`, or a dict
    with `"audio"` and optionally `"mel"` (`(batch, frames, num_mel_bins)`,
    in place of what the front end makes of the sound).

    A step updates the generator first, then the discriminator on the sound
    that this update had generated, so that the generator runs once.

    Args:
        make_generator: builds the generator: called twice with
            `generator_options`, `num_mel_bins`, `weight_norm`, `causal`,
            `dtype` and `name`.
        generator_options: what the architecture's own arguments are.
        sampling_rate: in Hz.
        slice_length: samples in a training clip, a multiple of the hop.
        mel: arguments of `MelFeatures` that differ from the architecture's.
        discriminator: `kind` and arguments of the discriminator (see
            `make_discriminator`) that differ from the architecture's.
        weight_norm: whether the generator has weight norm;
            `fuse_weight_norm` takes it away.
        causal: whether a sample depends on no later frame.
        num_bands: bands that the generator makes of one channel.
        level: how training files are levelled: `"peak"`, `"keep"` or a gain.
        ema_momentum: see `AudioGAN`.
        labels: None; there for what all generators have.
        num_channels: 1.
        dtype: dtype policy of the networks.
        name: name of the model.

    Raises:
        ValueError: if sizes do not fit together.
    """

    is_vocoder = True
    config_limits = {"slice_length": 1 << 24, "num_bands": 64}
    mel_defaults: dict[str, Any] = {}
    discriminator_defaults: dict[str, Any] = {}
    default_loss = "hifigan"
    # Frames that `vocode` takes at a time, by what memory they need.
    default_chunk_frames = 512
    # Whether a training sets mean and scale of the mels from its data.
    normalizes_mels = False

    def __init__(
        self,
        make_generator: Callable[..., keras.Model],
        generator_options: dict[str, Any],
        *,
        sampling_rate: int,
        slice_length: int,
        mel: dict[str, Any] | None,
        discriminator: dict[str, Any] | None,
        weight_norm: bool,
        causal: bool,
        num_bands: int = 1,
        level: str | float = "peak",
        ema_momentum: float = 0.999,
        labels: Any = None,
        num_channels: int = 1,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        if num_channels != 1 or labels:
            raise ValueError(
                "A vocoder makes one channel, and knows no labels. Received: "
                f"num_channels={num_channels}, labels={labels!r}"
            )
        mel = {**self.mel_defaults, **(mel or {})}
        mel["sampling_rate"] = sampling_rate
        features = MelFeatures(**mel, name="features")
        rates = generator_options["upsample_rates"]
        hop = math.prod(rates) * num_bands
        if hop != features.frame_step or slice_length % hop:
            raise ValueError(
                "The product of `upsample_rates` (and of the bands) must be "
                "the hop of the mels, `frame_step`, and divide `slice_length`. "
                f"Received: upsample_rates={list(rates)}, "
                f"num_bands={num_bands}, frame_step={features.frame_step}, "
                f"slice_length={slice_length}"
            )
        judge = {**self.discriminator_defaults, **(discriminator or {})}
        if discriminator and "kind" in discriminator:
            judge = dict(discriminator)
        for options in (generator_options, judge):
            _check_slope(options.get("negative_slope", 0.0))

        def generator(name: str) -> keras.Model:
            return make_generator(
                **generator_options,
                num_mel_bins=features.num_mel_bins,
                weight_norm=weight_norm,
                causal=causal,
                dtype=dtype,
                name=name,
            )

        super().__init__(
            generator=generator("generator"),
            ema_generator=generator("ema_generator"),
            discriminator=make_discriminator(**judge, dtype=dtype),
            slice_length=slice_length,
            sampling_rate=sampling_rate,
            num_channels=1,
            latent_dim=0,
            labels=None,
            level=level,
            ema_momentum=ema_momentum,
            dtype=dtype,
            name=name,
        )
        features.build((None, None, 1))
        self.features = features
        self._loss_features = MelFeatures(
            **{**mel, "max_frequency": None, "mean": None, "scale": None},
            name="loss_features",
        )
        self._loss_features.build((None, None, 1))
        self.weight_norm = weight_norm
        self.causal = causal
        self._generator_options = generator_options
        self._mel = mel
        self._judge_options = judge
        self._adversarial = True
        self.objective: VocoderObjective | None = None

    @property
    def context_frames(self) -> int:
        """Frames to either side that a sample depends on."""
        return self.ema_generator.context_frames

    # Training

    def compile(  # type: ignore[override]  # noqa: D417
        self,
        loss: str | VocoderObjective | None = None,
        generator_optimizer: Any = None,
        discriminator_optimizer: Any = None,
        critic_steps: int | None = None,
        learning_rate: float | None = None,
        seed: int | None = None,
        discriminator_start: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Chooses the loss and the optimisers.

        Args:
            loss: `"melgan"`, `"multi_resolution_stft"`, `"multiband_melgan"`,
                `"parallel_wavegan"`, `"hifigan"` or a `VocoderObjective`; the
                architecture's own by default. It brings defaults for
                everything below.
            generator_optimizer: a Keras optimiser or what
                `keras.optimizers.get` takes.
            discriminator_optimizer: the same for the discriminator.
            critic_steps: 1, or None.
            learning_rate: replaces that of both default optimisers.
            seed: seed of noise in training.
            discriminator_start: steps before the discriminator enters; 0 if
                it comes with a preset.
            **kwargs: `jit_compile`, `run_eagerly` and `steps_per_execution`,
                as in Keras.
        """
        if critic_steps not in (None, 1):
            raise ValueError(
                "A vocoder's discriminator is updated once a step. "
                f"Received: critic_steps={critic_steps}"
            )
        objective = get_objective(loss or self.default_loss)
        if discriminator_start is not None:
            objective = objective.changed(
                discriminator_start=discriminator_start
            )
        reconstructs = (
            objective.mel_weight
            or objective.stft_weight
            or objective.subband_stft_weight
        )
        if objective.discriminator_start and not reconstructs:
            raise ValueError(
                f"The loss {objective.name!r} is all adversarial: nothing is "
                "learnt before the discriminator enters. Use another loss, or "
                "0. Received: discriminator_start="
                f"{objective.discriminator_start}"
            )
        kwargs.setdefault("jit_compile", self.jit_compile)
        keras.Model.compile(self, optimizer=None, loss=None, **kwargs)
        self.objective = objective
        self.gan_loss = objective  # type: ignore[assignment]
        self.critic_steps = 1
        self.optimizer = optimizers.OptimizerPair(
            self._guard(
                generator_optimizer or objective.generator_optimizer,
                self.generator,
                learning_rate,
            ),
            self._guard(
                discriminator_optimizer or objective.discriminator_optimizer,
                self.discriminator,
                learning_rate,
            ),
        )
        full = MultiResolutionSTFTLoss()
        self._stft = full if objective.stft_weight else None
        self._subband_stft = (
            MultiResolutionSTFTLoss(**SUB_BAND)
            if objective.subband_stft_weight
            else None
        )
        self._adversarial = objective.discriminator_start == 0
        if seed is not None:
            self._seed(seed)

    def fit(self, *args: Any, callbacks: Any = None, **kwargs: Any) -> Any:
        """Trains; see `keras.Model.fit`.

        The discriminator enters at its step: the graph of the step is then
        made anew, so that it costs nothing before.
        """
        objective = self._objective()
        callbacks = [
            _DiscriminatorStart(objective.discriminator_start),
            *(callbacks or []),
        ]
        return super().fit(*args, callbacks=callbacks, **kwargs)

    def adversarial_from(self, step: int) -> None:
        """Decides by the number of steps taken whether it is adversarial."""
        adversarial = step >= self._objective().discriminator_start
        if adversarial != self._adversarial:
            self._adversarial = adversarial
            self.make_train_function(force=True)

    def adversarial_step(self, batch: Batch) -> dict[str, Any]:
        """Updates the generator, then the discriminator if it has entered.

        Args:
            batch: see the class.

        Returns:
            Float32 scalars by name.
        """
        # TensorFlow's data come without lengths, which foldings need.
        length = batch["audio"].shape[1] or self.slice_length
        audio = ops.reshape(batch["audio"], (-1, length, 1))
        mel = batch.get("mel")
        if mel is None:
            mel = self.features_of_clip(audio)
        inputs = self._generator_inputs(mel, batch)
        if self._adversarial:
            real_outputs = [
                [ops.stop_gradient(x) for x in features]
                for features in self.discriminator(audio, training=True)
            ]
        else:
            real_outputs = None
        _, (fake, logs) = self.optimizer.generator.minimize(
            lambda: self._reconstruction(inputs, audio, real_outputs),
            _statistics(self.generator, self.discriminator),
        )
        fake = ops.stop_gradient(fake)
        if self._adversarial:
            _, more = self.optimizer.discriminator.minimize(
                lambda: self._judgement(audio, fake),
                _statistics(self.discriminator),
            )
            logs = {**logs, **more}
        self._update_average()
        return {
            **logs,
            "level/real": _level(audio),
            "skipped": ops.cast(self.optimizer.skipped, "float32"),
        }

    def features_of_clip(self, audio: Any) -> Any:
        """Mels of training clips: as many frames as a clip has hops."""
        length, hop = audio.shape[1], self.features.frame_step
        frames = length // hop
        if self.features.num_frames(length) < frames:
            # An odd difference of transform and hop leaves a frame short.
            audio = ops.pad(audio, [[0, 0], [0, hop], [0, 0]], "reflect")
        return self.features(audio)[:, :frames]

    def _reconstruction(
        self, inputs: Any, audio: Any, real_outputs: Any
    ) -> tuple[Any, Any]:
        """Loss of a generator update: `(loss, (fake, logs))`."""
        objective = self._objective()
        bands = self.generator(inputs, training=True)
        fake = ops.reshape(self._from_bands(bands), (-1, audio.shape[1], 1))
        total: Any = 0.0
        logs = {}
        if self._stft is not None:
            loss = sum(self._stft(fake, audio))
            logs["rec/stft"] = loss
            total = total + objective.stft_weight * loss
        if self._subband_stft is not None:
            loss = sum(self._subband_stft(bands, self._to_bands(audio)))
            logs["rec/subband_stft"] = loss
            total = total + objective.subband_stft_weight * loss
        if objective.mel_weight or not logs:
            loss = mel_loss(self._loss_mel(fake), self._loss_mel(audio))
            logs["rec/mel"] = loss
            if objective.mel_weight:
                total = total + objective.mel_weight * loss
        if real_outputs is not None:
            outputs = self.discriminator(fake, training=True)
            loss = generator_adversarial_loss(
                outputs,
                objective.adversarial,
                objective.average_by_discriminators,
            )
            logs["adv/generator"] = loss
            total = total + objective.adversarial_weight * loss
            if objective.feature_matching_weight:
                loss = feature_matching_loss(
                    outputs, real_outputs, **objective.feature_matching
                )
                logs["rec/feature_matching"] = loss
                total = total + objective.feature_matching_weight * loss
        logs["level/fake"] = _level(fake)
        return total, (fake, logs)

    def _judgement(self, audio: Any, fake: Any) -> tuple[Any, Any]:
        """Loss of a discriminator update: `(loss, logs)`."""
        objective = self._objective()
        real, generated = discriminator_adversarial_loss(
            self.discriminator(fake, training=True),
            self.discriminator(audio, training=True),
            objective.adversarial,
            objective.average_by_discriminators,
        )
        total = real + generated
        return total, {"adv/discriminator": total}

    def _loss_mel(self, audio: Any) -> Any:
        """The mels that the mel loss compares.

        As in HiFi-GAN they reach to half the rate, whatever the input's do,
        and are not normalised.
        """
        return self._loss_features(audio)

    def _objective(self) -> VocoderObjective:
        if self.objective is None:
            raise ValueError("Call `compile()` before training.")
        return self.objective

    # What an architecture may override

    def _generator_inputs(self, mel: Any, batch: Batch) -> Any:
        """What the generator is called with in training."""
        del batch
        return mel

    def _inputs_of_part(
        self,
        mel: np.ndarray,
        start: int,
        stop: int,
        seed: int,
        noise: np.ndarray | None,
    ) -> Any:
        """What the generator is called with for some frames of a clip."""
        del seed
        if noise is not None:
            raise ValueError(
                f"{type(self).__name__} starts from no noise. Received: `noise`"
            )
        return mel[:, start:stop]

    def _from_bands(self, bands: Any) -> Any:
        """Sound of what the generator makes."""
        return bands

    def _to_bands(self, audio: Any) -> Any:
        return audio

    # Use

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Sound `(batch, frames * hop, 1)` of mels, from the average."""
        del training
        return self._from_bands(self.ema_generator(inputs, training=False))

    def mel(self, audio: Any) -> np.ndarray:
        """The mel spectrogram that this vocoder understands.

        Args:
            audio: float `(time,)`, `(time, 1)` or `(batch, time, 1)` at
                `sampling_rate`.

        Returns:
            Float32 `(batch, frames, num_mel_bins)`.

        Raises:
            ValueError: if the shape is another, the sound is shorter than a
                transform's padding, or holds numbers that are not finite.
        """
        audio = _as_batch_of_sound(audio)
        shortest = self.features.fft_length
        if audio.shape[1] < shortest:
            raise ValueError(
                f"A mel spectrogram needs {shortest} samples or more. "
                f"Received: {audio.shape[1]} samples"
            )
        return ops.convert_to_numpy(self.features(audio))

    def vocode(
        self,
        audio_or_mel: Any,
        seed: int = 0,
        chunk_frames: int | None = None,
        noise: np.ndarray | None = None,
    ) -> np.ndarray:
        """Turns mels, or sound through its mels, into sound.

        Long inputs go through in chunks that overlap by what a sample
        depends on: the result is that of the whole, and memory is bounded.

        Args:
            audio_or_mel: mels `(frames, num_mel_bins)` or `(batch, frames,
                num_mel_bins)`; or sound, see `mel`.
            seed: of the noise, for vocoders that start from it.
            chunk_frames: frames at a time, without the overlap; the
                architecture's `default_chunk_frames` unless given.
            noise: what such vocoders start from, `(batch, frames * hop, 1)`,
                in place of what the seed draws.

        Returns:
            Float32 `(batch, time, 1)` in [-1, 1]: `frames * hop` samples of
            mels, as many samples as it had of sound.

        Raises:
            ValueError: if the shape is another or numbers are not finite.
        """
        given = np.asarray(audio_or_mel, "float32")
        length = None
        if given.ndim < 2 or given.shape[-1] != self.features.num_mel_bins:
            length = _as_batch_of_sound(given).shape[1]
            hop, fft = self.features.frame_step, self.features.fft_length
            missing = max(fft - length, -length % hop)
            given = _as_batch_of_sound(given)
            given = self.mel(np.pad(given, [(0, 0), (0, missing), (0, 0)]))
        parts = list(self.vocode_parts(given, seed, chunk_frames, noise))
        return np.concatenate(parts, axis=1)[:, :length]

    def vocode_parts(
        self,
        mel: Any,
        seed: int = 0,
        chunk_frames: int | None = None,
        noise: np.ndarray | None = None,
    ) -> Iterator[np.ndarray]:
        """Turns mels into sound, a chunk at a time; see `vocode`.

        Yields:
            Float32 `(batch, frames * hop, 1)`, one after the other in time.
        """
        mel = np.asarray(mel, "float32")
        if mel.ndim == 2:
            mel = mel[np.newaxis]
        if mel.ndim != 3 or mel.shape[2] != self.features.num_mel_bins:
            raise ValueError(
                "Mels must have the shape (batch, frames, "
                f"{self.features.num_mel_bins}). Received: shape {mel.shape}"
            )
        if not mel.size or not np.isfinite(mel).all():
            raise ValueError(
                "Mels must be finite numbers, of one frame or more. "
                f"Received: shape {mel.shape}"
            )
        if chunk_frames is None:
            chunk_frames = self.default_chunk_frames
        if chunk_frames < 1:
            raise ValueError(
                "`chunk_frames` must be 1 or more. "
                f"Received: chunk_frames={chunk_frames}"
            )
        frames, context = mel.shape[1], self.context_frames
        hop = self.features.frame_step
        # The same length for all chunks, so that no shape is new.
        window = min(frames, chunk_frames + 2 * context)
        start = 0
        while start < frames:
            stop = min(start + chunk_frames, frames)
            if frames <= window:
                stop = frames
            left = min(max(start - context, 0), frames - window)
            inputs = self._inputs_of_part(mel, left, left + window, seed, noise)
            audio = np.asarray(distribution.predict(self, inputs), "float32")
            part = audio[:, (start - left) * hop : (stop - left) * hop]
            yield np.clip(part, -1.0, 1.0)
            start = stop

    def fuse_weight_norm(self) -> Vocoder:
        """Returns this vocoder for use: the norm is part of the kernels.

        It makes the same sound, faster, and has no discriminator.
        `save_to_preset` writes it as any other. For training keep the one
        with weight norm.
        """
        config = {
            **self.get_config(),
            "weight_norm": False,
            "discriminator": {"kind": "none"},
        }
        fused = type(self)(**config, dtype=self.dtype_policy)
        for networks in (
            (self.generator, fused.generator),
            (self.ema_generator, fused.ema_generator),
        ):
            for source, target in zip(
                *map(_normalized_layers, networks), strict=True
            ):
                # Copies: JAX gives away the memory of what a model holds.
                kernel = ops.convert_to_numpy(source.effective_kernel())
                target.kernel.assign(kernel)
                if source.use_bias:
                    target.bias.assign(ops.convert_to_numpy(source.bias))
        fused._average_is_new = self._average_is_new
        return fused

    def sample(self, *args: Any, **kwargs: Any) -> np.ndarray:
        """Not for vocoders: see `vocode`.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "A vocoder makes sound of mel spectrograms, not of nothing: use "
            "`vocode(audio_or_mel)`, or the command audiogan vocode."
        )

    sample_batches = sample  # type: ignore[assignment]
    interpolate = sample  # type: ignore[assignment]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        return {
            "sampling_rate": self.sampling_rate,
            "slice_length": self.slice_length,
            "num_channels": 1,
            "mel": {
                key: value
                for key, value in self._mel.items()
                if key != "sampling_rate"
            },
            "discriminator": self._judge_options,
            "weight_norm": self.weight_norm,
            "causal": self.causal,
            "level": self.level,
            "ema_momentum": self.ema_momentum,
            **self._generator_options,
        }


class _DiscriminatorStart(keras.callbacks.Callback):
    """Lets the discriminator enter at its step."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start
        self.step = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins to count at the steps taken."""
        self.step = int(np.asarray(self.model.optimizer.iterations))
        self.model.adversarial_from(self.step)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Changes the step where it is time."""
        self.model.adversarial_from(self.step)
        self.step += 1


def _check_slope(slope: Any) -> None:
    if not isinstance(slope, int | float) or not 0.0 <= slope <= 1.0:
        raise ValueError(
            f"`negative_slope` must be in [0, 1]. Received: {slope!r}"
        )


def _normalized_layers(network: keras.Model) -> list[NormalizedConv]:
    return [
        layer
        for layer in network._flatten_layers(include_self=False)
        if isinstance(layer, NormalizedConv)
    ]


def _statistics(*networks: keras.Model) -> list[keras.Variable]:
    return [
        variable
        for network in networks
        for variable in network.weights
        if not variable.trainable
    ]


def _as_batch_of_sound(audio: Any) -> np.ndarray:
    audio = np.asarray(audio, "float32")
    if audio.ndim == 1:
        audio = audio[np.newaxis, :, np.newaxis]
    elif audio.ndim == 2:
        audio = audio[np.newaxis]
    if audio.ndim != 3 or audio.shape[2] != 1 or not audio.size:
        raise ValueError(
            "Sound must have the shape (time,), (time, 1) or "
            f"(batch, time, 1). Received: shape {audio.shape}"
        )
    if not np.isfinite(audio).all():
        raise ValueError(
            "Sound must be finite numbers. Received: some that are not"
        )
    return audio


def _level(audio: Any) -> Any:
    """Root mean square of audio, full scale is 1."""
    return ops.sqrt(ops.mean(ops.square(ops.cast(audio, "float32"))))
