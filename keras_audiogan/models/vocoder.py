"""`Vocoder`, the class of models that turn mel spectrograms into sound."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_audiogan.audio.files import read_audio, write_audio
from keras_audiogan.audio.mel_scale import check_mel_scale
from keras_audiogan.audio.phase_recovery import fit_to_mel
from keras_audiogan.audio.plots import save_sheet
from keras_audiogan.layers import MelFeatures
from keras_audiogan.layers.normalized_conv import (
    NormalizedConv,
    NormalizedConv1DTranspose,
    TimeState,
)
from keras_audiogan.models.adversarial import (
    AdversarialModel,
    Batch,
    root_mean_square,
    statistics,
)
from keras_audiogan.models.batches import (
    check_clip_and_mel,
    check_loss,
    check_mels,
)
from keras_audiogan.models.diagram import zeros
from keras_audiogan.models.networks import BuiltNetwork
from keras_audiogan.models.sliced_scores import collecting_directions
from keras_audiogan.presets.upgrade import upgrade_vocoder
from keras_audiogan.serving.reach import Reach, reach_of
from keras_audiogan.serving.vocoding import Vocoding, check_phase_iterations
from keras_audiogan.training import distribution
from keras_audiogan.training.vocoder_losses import (
    SUB_BAND,
    MultiResolutionSTFTLoss,
    MultiScaleMelLoss,
    direction_loss,
    discriminator_adversarial_loss,
    feature_matching_loss,
    generator_adversarial_loss,
    mel_loss,
    san_kinds,
)
from keras_audiogan.training.vocoder_objectives import (
    OBJECTIVES,
    VocoderObjective,
    get_objective,
)

# Clips that the statistics of mels are taken from.
_FITTED_CLIPS = 256
# What `write_samples` shows: this many files, up to this many seconds.
_SAMPLES, _SAMPLE_SECONDS = 4, 5


# What makes any vocoder tiny; clips must be longer than half the longest
# window of the STFT loss.
TINY: dict[str, Any] = {
    "sampling_rate": 8000,
    "slice_length": 2048,
    "mel": {
        "num_mel_bins": 8,
        "fft_length": 64,
        "frame_step": 16,
        "window_length": 64,
        "min_frequency": 0.0,
        "max_frequency": None,
    },
    "discriminators": [
        {
            "kind": "multi_scale",
            "num_scales": 2,
            "channels": 4,
            "max_channels": 8,
            "downsample_rates": [2],
        }
    ],
}


class VocoderGenerator(BuiltNetwork):
    """Base class of generators.

    Attributes:
        context_frames: frames to either side that a sample depends on.
    """

    context_frames: int


class Vocoder(Vocoding, AdversarialModel):
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
        sampling_rate: in Hz.
        slice_length: samples in a training clip, a multiple of the hop.
        mel: arguments of `MelFeatures` that differ from the architecture's.
        discriminators: what tells real from generated sound: kinds, or dicts
            of a `kind` and the arguments of its class, e.g. `[{"kind":
            "multi_scale", "channels": 8}]`; the architecture's by default.
        level: how training files are levelled: `"peak"`, `"keep"` or a gain.
        ema_momentum: see `AudioGAN`.
        phase_iterations: how often, in use, phases of what the generator made
            are corrected, after its magnitudes, so that the sound has the
            mels that it was made of: see
            `keras_audiogan.audio.fit_to_mel`; 0 leaves the sound as it is.
            Training is without. A sample then depends on that many times
            more frames, by which streams stay behind.
        **network: arguments of the generator.

    Raises:
        ValueError: if sizes do not fit together.
    """

    task = "vocode"
    derived_arguments: tuple[str, ...] = ("num_mel_bins", "out_channels")
    mel_defaults: ClassVar[Mapping[str, Any]] = {}
    run_options = AdversarialModel.run_options | {"discriminator_start"}
    # Whether a training run takes mean and scale of the mels from its data.
    normalizes_mels = False
    # The same of engines, so that a process stays below 300 MB.
    engine_chunk_frames = 256
    labels = None
    num_channels = 1

    def __init__(
        self,
        sampling_rate: int = 22050,
        slice_length: int = 8192,
        mel: dict[str, Any] | None = None,
        discriminators: Any = None,
        ema_momentum: float = 0.999,
        level: str | float = "peak",
        phase_iterations: int = 0,
        dtype: Any = None,
        name: str | None = None,
        **network: Any,
    ) -> None:
        del discriminators
        super().__init__(
            level=level, ema_momentum=ema_momentum, dtype=dtype, name=name
        )
        mel = {**(mel or {}), "sampling_rate": sampling_rate}
        features = MelFeatures(**mel, name="features")
        self._check_hop(network, features.frame_step, slice_length)
        check_phase_iterations(phase_iterations, features)
        for options in (network, *self.arguments["discriminators"]):
            _check_slope(options.get("negative_slope", 0.0))
        self.features = features
        # What the mel loss compares: as in HiFi-GAN these mels reach to half
        # the rate, whatever the input's do, and are not normalised.
        self._loss_features = MelFeatures(
            **{**mel, "max_frequency": None, "mean": None, "scale": None},
            name="loss_features",
        )
        self.sampling_rate = sampling_rate
        self.slice_length = slice_length
        self.weight_norm = network.get("weight_norm", False)
        self.causal = network.get("causal", False)
        self._adversarial = True
        self.build_networks()

    def _check_hop(
        self, network: Mapping[str, Any], frame_step: int, slice_length: int
    ) -> None:
        """Checks that a frame of the mels becomes a hop of sound.

        Raises:
            ValueError: if not, or if a clip is not whole hops.
        """
        rates = network["upsample_rates"]
        num_bands = network.get("num_bands", 1)
        hop = math.prod(rates) * num_bands
        if hop != frame_step or slice_length % hop:
            raise ValueError(
                "The product of `upsample_rates` (and of the bands) must be "
                "the hop of the mels, `frame_step`, and divide `slice_length`. "
                f"Received: upsample_rates={list(rates)}, "
                f"num_bands={num_bands}, frame_step={frame_step}, "
                f"slice_length={slice_length}"
            )

    @classmethod
    def upgraded_arguments(cls, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns arguments under today's names: a list of discriminators."""
        return upgrade_vocoder(arguments, cls.default_discriminators())

    @classmethod
    def normalized_arguments(
        cls, arguments: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns arguments under today's names, in one form."""
        new = super().normalized_arguments(arguments)
        channels, labels = new.pop("num_channels", 1), new.pop("labels", None)
        if channels != 1 or labels:
            raise ValueError(
                "A vocoder makes one channel, and knows no labels. Received: "
                f"num_channels={channels}, labels={labels!r}"
            )
        mel = {**cls.mel_defaults, **(new.get("mel") or {})}
        mel.pop("sampling_rate", None)
        return {**new, "mel": mel}

    def network_context(self) -> dict[str, Any]:
        """Returns the `derived_arguments` of networks."""
        return {"num_mel_bins": self.features.num_mel_bins}

    @property
    def phase_iterations(self) -> int:
        """How often phases of what the network made are corrected."""
        return int(self.arguments["phase_iterations"])

    @property
    def network_frames(self) -> int:
        """Frames to either side that a sample of the network depends on."""
        return self.ema_generator.context_frames

    @property
    def network_reach(self) -> Reach:
        """What of the mels a sample of the network depends on."""
        return reach_of(self.architecture, self.arguments, self.network_frames)

    def _set_phase_iterations(self, number: int) -> None:
        # A preset that is saved keeps it.
        self.change_arguments(phase_iterations=number)

    # Training

    def compile(  # noqa: D417
        self,
        loss: str | VocoderObjective | None = None,
        generator_optimizer: Any = None,
        discriminator_optimizer: Any = None,
        learning_rate: float | None = None,
        seed: int | None = None,
        discriminator_start: int | None = None,
        decay_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Chooses the loss and the optimisers.

        Args:
            loss: `"melgan"`, `"multi_resolution_stft"`, `"multiband_melgan"`,
                `"parallel_wavegan"`, `"hifigan"`, `"bigvgan"`,
                `"bigvgan_v2"`, `"vocos"`, `"multi_scale_mel"` or a
                `VocoderObjective`; the architecture's own by default. It
                brings defaults for everything below.
            generator_optimizer: see `AudioGAN.compile`, as the next three.
            discriminator_optimizer: the discriminator's.
            learning_rate: of both.
            seed: seed of noise in training.
            discriminator_start: steps before the discriminator enters; 0 if
                it comes with a preset.
            decay_steps: steps in which the learning rates fall to zero along
                a cosine, where they are numbers; a run gives its own, if the
                loss is trained so.
            **kwargs: see `AudioGAN.compile`.
        """
        for key in ("discriminator_steps", "critic_steps"):
            if kwargs.pop(key, None) not in (None, 1):
                raise ValueError(
                    "A vocoder's discriminator is updated once a step. "
                    f"Received: {key} other than 1"
                )
        check_loss(loss)
        objective = get_objective(loss or self.default_loss)
        if discriminator_start is not None:
            objective = objective.changed(
                discriminator_start=discriminator_start
            )
        if objective.discriminator_start and not objective.reconstructs:
            raise ValueError(
                f"The loss {objective.name!r} is all adversarial: nothing is "
                "learnt before the discriminator enters. Use another loss, or "
                "0. Received: discriminator_start="
                f"{objective.discriminator_start}"
            )
        self.compile_loss(
            objective,
            generator_optimizer=_decaying(
                generator_optimizer or objective.generator_optimizer,
                learning_rate,
                decay_steps,
            ),
            discriminator_optimizer=_decaying(
                discriminator_optimizer or objective.discriminator_optimizer,
                learning_rate,
                decay_steps,
            ),
            learning_rate=None if decay_steps else learning_rate,
            seed=seed,
            **kwargs,
        )
        self._mels = (
            MultiScaleMelLoss(self.sampling_rate, **objective.multi_scale_mel)
            if objective.multi_scale_mel_weight
            else None
        )
        self._stft = (
            MultiResolutionSTFTLoss() if objective.stft_weight else None
        )
        self._subband_stft = (
            MultiResolutionSTFTLoss(**SUB_BAND)
            if objective.subband_stft_weight
            else None
        )
        self._adversarial = objective.discriminator_start == 0

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        *args: Any,
        callbacks: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Trains; see `keras.Model.fit`, and the class for what it is given.

        The discriminator enters at its step: the graph of the step is then
        made anew, so that it costs nothing before.
        """
        start = self.compiled_loss().discriminator_start
        callbacks = [_DiscriminatorStart(start), *(callbacks or [])]
        return super().fit(x, y, *args, callbacks=callbacks, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the step's losses on other data; see `AudioGAN.evaluate`.

        The discriminator's are among them once it has entered.
        """
        self.compiled_loss()
        self.adversarial_from(int(np.asarray(self.optimizer.iterations)))
        return super().evaluate(*args, **kwargs)

    def adversarial_from(self, step: int) -> None:
        """Decides by the number of steps taken whether it is adversarial."""
        adversarial = step >= self.compiled_loss().discriminator_start
        if adversarial != self._adversarial:
            self._adversarial = adversarial
            self.make_train_function(force=True)
            # Made when it is needed.
            self.test_function = None

    def adversarial_step(self, batch: Batch) -> dict[str, Any]:
        """Updates the generator, then the discriminator if it has entered."""
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
            statistics([self.generator, self.discriminator]),
        )
        fake = ops.stop_gradient(fake)
        if self._adversarial:
            _, more = self.optimizer.discriminator.minimize(
                lambda: self._discriminator_loss(audio, fake),
                statistics([self.discriminator]),
            )
            logs = {**logs, **more}
        self._update_average()
        return {**logs, **self.step_logs(audio)}

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
        objective = self.compiled_loss()
        bands = self.generator(inputs, training=True)
        fake = self.representation.synthesise(bands)
        fake = ops.reshape(fake, (-1, audio.shape[1], 1))
        total: Any = 0.0
        logs = {}
        if self._stft is not None:
            loss = sum(self._stft(fake, audio))
            logs["rec/stft"] = loss
            total = total + objective.stft_weight * loss
        if self._subband_stft is not None:
            loss = sum(
                self._subband_stft(bands, self.representation.analyse(audio))
            )
            logs["rec/subband_stft"] = loss
            total = total + objective.subband_stft_weight * loss
        if self._mels is not None:
            loss = self._mels(fake, audio)
            logs["rec/multi_scale_mel"] = loss
            total = total + objective.multi_scale_mel_weight * loss
        if objective.mel_weight or not logs:
            loss = mel_loss(
                self._loss_features(fake), self._loss_features(audio)
            )
            logs["rec/mel"] = loss
            if objective.mel_weight:
                total = total + objective.mel_weight * loss
        if real_outputs is not None:
            outputs = self.discriminator(fake, training=True)
            loss = generator_adversarial_loss(
                outputs,
                self._adversarial_kinds(),
                objective.average_by_discriminators,
                self._score_weights(),
            )
            logs["adv/generator"] = loss
            total = total + objective.adversarial_weight * loss
            if objective.feature_matching_weight:
                loss = feature_matching_loss(
                    outputs,
                    real_outputs,
                    **objective.feature_matching,
                    weights=self._score_weights(),
                )
                logs["rec/feature_matching"] = loss
                total = total + objective.feature_matching_weight * loss
        logs["level/fake"] = root_mean_square(fake)
        return total, (fake, logs)

    def _discriminator_loss(self, audio: Any, fake: Any) -> tuple[Any, Any]:
        """Loss of a discriminator update: `(loss, logs)`."""
        objective = self.compiled_loss()
        with collecting_directions() as of_fake:
            fake_outputs = self.discriminator(fake, training=True)
        with collecting_directions() as of_real:
            real_outputs = self.discriminator(audio, training=True)
        weights = self._score_weights()
        real, generated = discriminator_adversarial_loss(
            fake_outputs,
            real_outputs,
            self._adversarial_kinds(),
            objective.average_by_discriminators,
            weights,
        )
        total = real + generated
        logs = {"adv/discriminator": total}
        apart = self.discriminator.of_san(weights, of_real)
        if apart:
            share = len(weights) if objective.average_by_discriminators else 1
            turned = direction_loss(
                of_fake, of_real, objective.adversarial, apart
            )
            logs["adv/direction"] = turned = turned / share
            total = total + turned
        return total, logs

    def _adversarial_kinds(self) -> list[str]:
        return san_kinds(
            self.compiled_loss().adversarial, self.discriminator.san_scores()
        )

    def _check_given(self, x: Any, y: Any) -> None:
        super()._check_given(x, y)
        mel = x.get("mel") if isinstance(x, Mapping) else None
        if isinstance(mel, np.ndarray):
            bins = self.features.num_mel_bins
            if mel.ndim == 3 and mel.shape[2] == bins and mel.size:
                check_mel_scale(mel, self.features)

    @property
    def clip_length(self) -> None:
        """None: the networks take clips of any number of whole hops."""
        return None

    def as_batch(self, data: Any) -> Batch:
        """Returns what `fit` was given as a dict, checked against the hop."""
        batch = super().as_batch(data)
        mel = batch.get("mel")
        check_clip_and_mel(
            tuple(batch["audio"].shape),
            None if mel is None else tuple(mel.shape),
            self.features,
        )
        return batch

    def example_inputs(self) -> list[Any]:
        """Returns mels of zeros, as many as a training clip has."""
        features = self.features
        frames = self.slice_length // features.frame_step
        inputs = self._generator_inputs(
            zeros(frames, features.num_mel_bins), {}
        )
        return list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]

    def example_sound(self, made: Any) -> Any:
        """Returns the sound of what the generator made."""
        sound = self.representation.synthesise(made)
        return ops.reshape(sound, (-1, self.slice_length, 1))

    def _score_weights(self) -> list[float]:
        mean = self.compiled_loss().average_by_kind
        return self.discriminator.score_weights(mean)

    # What an architecture may override

    def _generator_inputs(self, mel: Any, batch: Batch) -> Any:
        """What the generator is called with in training."""
        del batch
        return mel

    # Use

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Checks what `call` is given, and calls it."""
        check_mels(_mel_of(inputs), self.features.num_mel_bins)
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Sound `(batch, frames * hop, 1)` of mels, from the average."""
        del training
        sound = self.network_sound(inputs)
        if not self.phase_iterations:
            return sound
        fitted = fit_to_mel(
            ops.cast(sound[:, :, 0], "float32"),
            ops.cast(_mel_of(inputs), "float32"),
            self.features,
            self.phase_iterations,
        )
        return ops.expand_dims(fitted, -1)

    def network_sound(self, inputs: Any) -> Any:
        """The same, before phases are corrected."""
        made = self.ema_generator(inputs, training=False)
        return self.representation.synthesise(made)

    def _mels_of(self, audio: np.ndarray) -> np.ndarray:
        return ops.convert_to_numpy(self.features(audio))

    def _run(self, inputs: Any) -> np.ndarray:
        """Returns the sound of mels, or of mels and noise, as an array."""
        if distribution.has_free_shapes(self):
            inputs = inputs if isinstance(inputs, list) else [inputs]
            return distribution.predict_any_length(self, inputs)
        return np.asarray(distribution.predict(self, inputs), "float32")

    def _step(self) -> Callable[[np.ndarray, int, int], np.ndarray] | None:
        """Returns what runs parts of a sound one after the other, with state.

        None where a sample depends on later frames, or a layer on more than
        it keeps.
        """
        if self.reach.look_ahead or any(
            layer.kernel_size > 2 * layer.strides
            for layer in self.ema_generator._flatten_layers()
            if isinstance(layer, NormalizedConv1DTranspose)
        ):
            return None
        state = TimeState()

        def step(mel: np.ndarray, first: int, seed: int) -> np.ndarray:
            inputs: Any = mel
            if self.takes_noise:
                last = first + mel.shape[1]
                inputs = [mel, self._noise_of(0, first, last, seed)[np.newaxis]]
            with state.used():
                made = ops.convert_to_numpy(self(inputs, training=False))
            return np.clip(made.astype("float32"), -1.0, 1.0)

        return step

    @property
    def compiles_lengths(self) -> bool:
        """Whether every length of mels is compiled for itself."""
        return self.jit_compile and not self.run_eagerly

    def fuse_weight_norm(self) -> Vocoder:
        """Returns this vocoder for use: the norm is part of the kernels.

        It makes the same sound, at most a tenth faster, and has no
        discriminator.
        `save_to_preset` writes it as any other. For training keep the one
        with weight norm.
        """
        config = {
            **self.get_config(),
            "discriminators": ["none"],
            "dtype": self.dtype_policy,
        }
        if "weight_norm" in config:
            config["weight_norm"] = False
        fused = type(self)(**config)
        if "weight_norm" not in config:
            # There is none to fuse.
            fused.generator.set_weights(self.generator.get_weights())
            fused.ema_generator.set_weights(self.ema_generator.get_weights())
        for networks in (
            (self.generator, fused.generator),
            (self.ema_generator, fused.ema_generator),
        ):
            for source, target in zip(*map(_layers, networks), strict=True):
                if isinstance(source, NormalizedConv):
                    # Copies: JAX gives away the memory of what a model holds.
                    kernel = ops.convert_to_numpy(source.effective_kernel())
                    target.kernel.assign(kernel)
                    pairs = []
                    if source.use_bias:
                        pairs = [(source.bias, target.bias)]
                else:
                    pairs = list(zip(_own(source), _own(target), strict=True))
                for old, new in pairs:
                    new.assign(ops.convert_to_numpy(old))
        fused._average_is_new = self._average_is_new
        return fused

    # What a training run asks

    @classmethod
    def loss_names(cls) -> tuple[str, ...]:
        """Returns the names of the losses that `compile` knows."""
        return tuple(OBJECTIVES)

    @classmethod
    def fit_to_clips(
        cls, arguments: Mapping[str, Any], dataset: Any
    ) -> dict[str, Any]:
        """Returns arguments with mels normalised by the data.

        Mean and standard deviation of each band go into `mel`, where the
        architecture normalises mels and they are not given: those whose
        originals take raw mels say `normalizes_mels = False`.
        """
        mel = dict(arguments.get("mel") or {})
        if not cls.normalizes_mels or "mean" in mel:
            return dict(arguments)
        rate = arguments["sampling_rate"]
        features = MelFeatures(
            **{**cls.mel_defaults, **mel, "sampling_rate": rate}
        )
        clips = dataset.real_clips(min(_FITTED_CLIPS, 4 * dataset.num_slices))
        return {**arguments, "mel": {**mel, **features.fit(clips)}}

    def compile_for_run(
        self, steps: int, seed: int, loaded: Iterable[str] = (), **options: Any
    ) -> None:
        """Lets a discriminator that a preset brought begin at once."""
        if "discriminator" in loaded:
            options.setdefault("discriminator_start", 0)
        if get_objective(options.get("loss") or self.default_loss).cosine:
            options["decay_steps"] = steps
        super().compile_for_run(steps, seed, loaded, **options)

    def preview_source(self, dataset: Any, num_clips: int) -> Any:
        """Returns real clips, which previews make again."""
        return dataset.real_clips(num_clips)

    def preview(self, num_clips: int, seed: int, source: Any) -> np.ndarray:
        """Returns what is made of the mels of the source's clips."""
        return self.vocode(
            source[:num_clips], seed=seed, sampling_rate=self.sampling_rate
        )

    def write_samples(self, folder: Path, dataset: Any, seed: int) -> None:
        """Writes the longest recordings made again, and both as pictures."""
        rate = self.sampling_rate
        length = _SAMPLE_SECONDS * rate
        shown = []
        files = sorted(dataset.folder.files, key=lambda file: -file.num_samples)
        for index, entry in enumerate(files[:_SAMPLES]):
            real, _ = read_audio(entry.path, sampling_rate=rate, num_channels=1)
            real = real[:length]
            again = self.vocode(real, seed=seed, sampling_rate=rate)[0]
            write_audio(folder / f"{index}.flac", again, rate)
            shown += [
                np.pad(clip, [(0, length - len(clip)), (0, 0)])
                for clip in (real, again)
            ]
        titles = [
            f"{i // 2} {('real', 'made')[i % 2]}" for i in range(len(shown))
        ]
        save_sheet(folder / "sheet.png", np.stack(shown), rate, titles=titles)


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


def _mel_of(inputs: Any) -> Any:
    """Returns the mels of what a vocoder is called with: they, or a pair."""
    return inputs[0] if isinstance(inputs, (list, tuple)) else inputs


def _decaying(optimizer: Any, rate: float | None, steps: int | None) -> Any:
    """Returns an optimiser's config with a rate that falls along a cosine."""
    if steps is None or not isinstance(optimizer, dict):
        return optimizer
    config = dict(optimizer["config"])
    schedule = keras.optimizers.schedules.CosineDecay(
        rate or config["learning_rate"], steps
    )
    config["learning_rate"] = keras.saving.serialize_keras_object(schedule)
    return {**optimizer, "config": config}


def _check_slope(slope: Any) -> None:
    if not isinstance(slope, int | float) or not 0.0 <= slope <= 1.0:
        raise ValueError(
            f"`negative_slope` must be in [0, 1]. Received: {slope!r}"
        )


def _layers(network: keras.Model) -> list[Any]:
    return list(network._flatten_layers(include_self=False))


def _own(layer: keras.layers.Layer) -> list[Any]:
    """Returns the weights of a layer without those of layers in it."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]
