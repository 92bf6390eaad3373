"""`AdversarialModel`: what is trained against a discriminator."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_audiogan.audio.levels import check_level
from keras_audiogan.layers.representations import Representation, Waveform
from keras_audiogan.models.arguments import (
    RecordedArguments,
    network_arguments,
)
from keras_audiogan.models.discriminators import (
    Discriminator,
    MultiDiscriminator,
    discriminator_specs,
    make_discriminator,
)
from keras_audiogan.presets.model_sizes import is_measuring
from keras_audiogan.training import distribution, optimizers, precision

Batch = dict[str, Any]


class AdversarialModel(RecordedArguments, keras.Model):
    """A generator, its discriminator, and the skeleton of their step.

    It holds the networks, the moving average of the generator's weights
    (which is what is used and saved), the optimisers, and what a preset and
    a training run ask of a model. What the generator makes its sound of is
    the business of the classes that stand on it: `AudioGAN` and `Vocoder`.

    A subclass says what its networks are (`generator_class`, or
    `make_generator`; `make_discriminator`) and what a step does
    (`adversarial_step`).

    Attributes:
        architecture: name in the registry.
        task: what the model is for; see `keras_audiogan.presets.tasks`.
        tiny: arguments that make it as small as can be, for tests.
        deterministic: arguments that take all chance out of a training step
            whose latents or noise are given, for tests.
        representation: what the generator makes, and sound of it.
        generator: built network that is trained.
        discriminator: built `Discriminator`.
        ema_generator: moving average of `generator`.
        gan_loss: the loss and its defaults, once compiled.
        discriminator_steps: discriminator updates a step.
    """

    architecture: ClassVar[str]
    task: ClassVar[str]
    tiny: ClassVar[Mapping[str, Any]] = {}
    deterministic: ClassVar[Mapping[str, Any]] = {}
    required_weights: tuple[str, ...] = ("generator",)
    default_loss: ClassVar[str]
    # Bounds of what a preset may ask for, at any depth of its config.
    config_limits: ClassVar[Mapping[str, int]] = {
        "slice_length": 1 << 24,
        "num_channels": 1024,
        "num_bands": 64,
        "num_scales": 16,
        "num_layers": 256,
        "num_mel_bins": 1024,
        "fft_length": 1 << 14,
    }
    # Kind of discriminator -> defaults of this architecture.
    discriminator_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    # Arguments that must be 1 or more, where an architecture has them.
    positive_arguments: ClassVar[tuple[str, ...]] = (
        "slice_length",
        "num_channels",
        "sampling_rate",
        "latent_dim",
        "dim",
        "kernel_size",
        "embedding_dim",
    )
    # Options of a training run that not every model has, and this one has.
    run_options: ClassVar[frozenset[str]] = frozenset(
        {
            "preset",
            "loss",
            "reset_discriminator",
            "level",
            "offset_augmentation",
            "random_gain_db",
            "distribute",
            "preview_every",
            "num_previews",
        }
    )
    # Their defaults, where they differ from those of `TrainingOptions`.
    run_defaults: ClassVar[Mapping[str, Any]] = {}
    # Options that must stay when a run is resumed, though others may change.
    fixed_options: ClassVar[frozenset[str]] = frozenset()
    # Whether labels that are all digits are put in words.
    digits_in_words: ClassVar[bool] = False

    sampling_rate: int
    slice_length: int
    num_channels: int

    def __init__(
        self,
        *,
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
        check_level(level)
        for key in self.positive_arguments:
            if self.arguments.get(key, 1) < 1:
                raise ValueError(
                    f"`{key}` must be 1 or more. "
                    f"Received: {key}={self.arguments[key]}"
                )
        self.level = level
        self.ema_momentum = ema_momentum
        self.seed_generator = keras.random.SeedGenerator()
        # XLA runs these networks several times slower than plain graphs on a
        # CPU; JAX has no other way.
        self.jit_compile = keras.backend.backend() == "jax" or (
            keras.backend.backend() == "tensorflow" and precision.has_gpu()
        )
        self.gan_loss: Any = None
        self.discriminator_steps = 1
        self._average_is_new = True

    # Networks

    @classmethod
    def normalized_arguments(
        cls, arguments: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns arguments under today's names, in one form."""
        new = cls.upgraded_arguments(arguments)
        if new.get("discriminators", new) is None:
            del new["discriminators"]
        if "discriminators" in new:
            new["discriminators"] = discriminator_specs(
                new["discriminators"], cls.discriminator_defaults
            )
        return new

    @classmethod
    def upgraded_arguments(cls, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns arguments under today's names."""
        return dict(arguments)

    @classmethod
    def default_discriminators(cls) -> list[dict[str, Any]]:
        """Returns the specs of the architecture's own discriminators."""
        signature: Any = cls.__signature__  # type: ignore[attr-defined]
        return signature.parameters["discriminators"].default

    def build_networks(self) -> None:
        """Builds the networks; a base class calls it when its sizes stand."""
        self.representation = self.make_representation()
        self.generator = self.make_generator("generator")
        self.discriminator = self.make_discriminator()
        self.ema_generator = self.make_generator("ema_generator")
        self.ema_generator.trainable = False
        self.built = True
        if not is_measuring():
            self._copy_to_average()

    def make_representation(self) -> Representation:
        """Returns what stands between sound and networks."""
        return Waveform()

    def make_generator(self, name: str) -> keras.Model:
        """Builds the generator; called for its moving average as well."""
        return self.make_network(self.generator_class, name)

    def make_network(
        self, network_class: Any, name: str, **given: Any
    ) -> keras.Model:
        """Builds a network with whatever of its arguments the model has.

        What is `given` goes before what the model has.
        """
        known = {**self.arguments, **self.network_context(), **given}
        taken = network_arguments(network_class)
        chosen = {key: known[key] for key in taken if key in known}
        return network_class(**chosen, dtype=self.dtype_policy, name=name)

    def network_context(self) -> dict[str, Any]:
        """Returns the `derived_arguments` of networks."""
        return {}

    def make_discriminator(self) -> Discriminator:
        """Builds what `discriminators` asks for."""
        return self._side_by_side(self.make_discriminators())

    def make_discriminators(self, **context: Any) -> list[Discriminator]:
        """Builds the entries of `discriminators` one by one.

        They are told the `context` beside, or in place of, the sizes of the
        sound.
        """
        specs: Sequence[Mapping[str, Any]] = self.arguments["discriminators"]
        built: list[Discriminator] = []
        for spec in specs:
            name = "discriminator" if len(specs) == 1 else spec["kind"]
            twin = sum(each.name.startswith(name) for each in built)
            name = f"{name}_{twin}" if twin else name
            built.append(self.make_from_spec(spec, name, **context))
        return built

    def make_from_spec(
        self, spec: Mapping[str, Any], name: str, **context: Any
    ) -> Discriminator:
        """Builds a network of the discriminators' table."""
        known = {
            **self.arguments,
            "num_channels": self.num_channels,
            "dtype": self.dtype_policy,
            **context,
        }
        return make_discriminator(spec, name, known)

    def _side_by_side(self, built: list[Discriminator]) -> Discriminator:
        if len(built) == 1:
            return built[0]
        return MultiDiscriminator(built, dtype=self.dtype_policy)

    # Training

    def compile_loss(
        self,
        objective: Any,
        *,
        generator_optimizer: Any = None,
        discriminator_optimizer: Any = None,
        learning_rate: float | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Takes a loss and makes the optimisers; `compile` calls it.

        `objective` has a `name`, and the `generator_optimizer` and
        `discriminator_optimizer` that hold unless others are given; the rest
        is as `compile` takes it.
        """
        kwargs.setdefault("jit_compile", self.jit_compile)
        keras.Model.compile(self, optimizer=None, loss=None, **kwargs)
        self.gan_loss = objective
        self.optimizer = optimizers.OptimizerPair(
            self.guarded_optimizer(
                generator_optimizer or objective.generator_optimizer,
                self.generator,
                learning_rate,
            ),
            self.guarded_optimizer(
                discriminator_optimizer or objective.discriminator_optimizer,
                self.discriminator,
                learning_rate,
            ),
        )
        if seed is not None:
            self._seed(seed)

    def guarded_optimizer(
        self,
        optimizer: Any,
        network: keras.Model,
        learning_rate: float | None = None,
    ) -> optimizers.GuardedOptimizer:
        """Returns the optimiser of a network, guarded against overflow."""
        if isinstance(optimizer, dict) and learning_rate is not None:
            config = {**optimizer["config"], "learning_rate": learning_rate}
            optimizer = {**optimizer, "config": config}
        return optimizers.GuardedOptimizer(
            keras.optimizers.get(optimizer),
            network.trainable_variables,
            dynamic_scale=network.dtype_policy.name == "mixed_float16",
        )

    @property
    def critic_steps(self) -> int:
        """Older name of `discriminator_steps`."""
        return self.discriminator_steps

    def compiled_loss(self) -> Any:
        """Returns the loss.

        Raises:
            ValueError: if the model is not compiled.
        """
        if self.gan_loss is None:
            raise ValueError("Call `compile()` before training.")
        return self.gan_loss

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
            logs = self.adversarial_step(self.as_batch(data))
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
            logs = self.adversarial_step(self.as_batch(data))
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

    def as_batch(self, data: Any) -> Batch:
        """Returns what `fit` was given as a dict of tensors."""
        inputs, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        batch = dict(inputs) if isinstance(inputs, dict) else {"audio": inputs}
        if labels is not None:
            batch["labels"] = labels
        rows, steps = batch["audio"].shape[0], self.discriminator_steps
        if rows is not None and rows % steps:
            raise ValueError(
                f"A batch feeds {steps} discriminator updates, so its rows "
                "must be a multiple of that: set the batch size to "
                "`gan.discriminator_steps` times the rows of one update. "
                f"Received: {rows} rows"
            )
        batch["audio"] = ops.cast(batch["audio"], "float32")
        return batch

    def adversarial_step(self, batch: Batch) -> dict[str, Any]:
        """Updates the networks once.

        Args:
            batch: as `as_batch` returns it.

        Returns:
            Float32 scalars by name.
        """
        raise TypeError(
            f"{type(self).__name__} must define `adversarial_step(batch)`."
        )

    def step_logs(self, audio: Any) -> dict[str, Any]:
        """Returns the numbers that every step ends with."""
        return {
            "level/real": root_mean_square(audio),
            "skipped": ops.cast(self.optimizer.skipped, "float32"),
        }

    def _update_average(self) -> None:
        momentum = self.ema_momentum
        if self._average_is_new:
            step = ops.cast(self.optimizer.iterations, "float32")
            momentum = ops.minimum(momentum, (1.0 + step) / (5.0 + step))
        copied = {id(each) for each in statistics([self.generator])}
        targets, values = [], []
        for average, variable in zip(
            self.ema_generator.weights, self.generator.weights, strict=True
        ):
            if variable.trainable:
                value = ops.convert_to_tensor(average)
                value = value + (1.0 - momentum) * (variable - value)
            elif id(variable) in copied:
                value = ops.convert_to_tensor(variable)
            else:
                continue
            targets.append(average)
            values.append(value)
        distribution.assign(targets, values)

    def _copy_to_average(self) -> None:
        self.ema_generator.set_weights(self.generator.get_weights())

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

    # What a training run asks

    @classmethod
    def learns_labels(cls, arguments: Mapping[str, Any] | None = None) -> bool:
        """Returns whether batches of a model of arguments come with labels."""
        del arguments
        return False

    @classmethod
    def loss_names(cls) -> tuple[str, ...]:
        """Returns the names of the losses that `compile` knows."""
        raise TypeError(f"{cls.__name__} must define `loss_names()`.")

    @classmethod
    def fit_to_folder(
        cls, arguments: Mapping[str, Any], folder: Any
    ) -> dict[str, Any]:
        """Returns arguments with what follows from the files filled in.

        Args:
            arguments: those of the constructor that were asked for.
            folder: the `AudioFolder` to train on.
        """
        parameters = inspect.signature(cls).parameters
        fitted = dict(arguments)
        for name in ("slice_length", "num_channels", "level"):
            if name in parameters:
                fitted.setdefault(name, parameters[name].default)
        most = next(iter(folder.rates))
        own = parameters["sampling_rate"].default
        fitted.setdefault("sampling_rate", min(most, own))
        if "labels" in parameters:
            fitted["labels"] = list(folder.labels) if folder.labels else None
        return fitted

    @classmethod
    def fit_to_clips(
        cls, arguments: Mapping[str, Any], dataset: Any
    ) -> dict[str, Any]:
        """Returns arguments with what is measured on the sound filled in.

        Args:
            arguments: the constructor's.
            dataset: an `AudioDataset` at the rate and level of training.
        """
        del dataset
        return dict(arguments)

    def compile_for_run(
        self, steps: int, seed: int, loaded: Iterable[str] = (), **options: Any
    ) -> None:
        """Compiles the model for a run.

        Args:
            steps: training steps in all.
            seed: of everything random in training.
            loaded: file stems of the weights that came from a preset.
            **options: those of `compile` that were asked for.
        """
        del steps, loaded
        self.compile(seed=seed, **options)

    def run_recipe(self) -> dict[str, Any]:
        """Returns how the compiled model trains, for training.json."""
        return {
            "loss": self.gan_loss.name,
            "discriminator_steps": self.discriminator_steps,
            "generator_optimizer": _in_brief(self.optimizer.generator),
            "discriminator_optimizer": _in_brief(self.optimizer.discriminator),
        }

    def preview_source(self, dataset: Any, num_clips: int) -> Any:
        """Returns what previews are made of, the same all through a run."""
        del dataset, num_clips
        return None

    def preview(self, num_clips: int, seed: int, source: Any) -> np.ndarray:
        """Returns clips that show how a run is doing.

        Args:
            num_clips: how many.
            seed: of the latents or the noise.
            source: what `preview_source` returned.

        Returns:
            Float32 `(num_clips, time, channels)` in [-1, 1].
        """
        raise TypeError(f"{type(self).__name__} must define `preview`.")

    def write_samples(self, folder: Path, dataset: Any, seed: int) -> None:
        """Writes the sounds and the picture that a preset shows.

        Args:
            folder: an existing folder: `0.flac` ... and `sheet.png`.
            dataset: what the model was trained on.
            seed: of the latents or the noise.
        """
        raise TypeError(f"{type(self).__name__} must define `write_samples`.")


def _in_brief(guarded: optimizers.GuardedOptimizer) -> dict[str, Any]:
    config = guarded.inner.get_config()
    kept = ("name", "learning_rate", "beta_1", "beta_2", "rho", "momentum")
    return {
        key: value if key == "name" else float(f"{value:.6g}")
        for key, value in config.items()
        if key in kept and not isinstance(value, dict)
    }


def statistics(networks: Iterable[keras.Model]) -> list[keras.Variable]:
    """Returns what built networks themselves assign to when they train.

    Those are the weights that were made not to be trained, moving averages of
    a batch norm for instance; weights that are frozen are none of them.
    """
    return [
        variable
        for network in networks
        for layer in network._flatten_layers()
        if layer.trainable
        for variable in layer._non_trainable_variables
    ]


def last_maps(outputs: list[list[Any]]) -> list[Any]:
    """Returns the logits of every sub-discriminator, float32."""
    return [ops.cast(features[-1], "float32") for features in outputs]


def root_mean_square(audio: Any) -> Any:
    """Returns the level of audio, full scale is 1."""
    return ops.sqrt(ops.mean(ops.square(ops.cast(audio, "float32"))))
