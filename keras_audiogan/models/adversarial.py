"""`AdversarialModel`: what is trained against a discriminator."""

from __future__ import annotations

import inspect
import warnings
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
from keras_audiogan.models.batches import (
    as_clips,
    check_given,
    check_rows,
    compile_advice,
    with_channel_axis,
)
from keras_audiogan.models.diagram import diagram
from keras_audiogan.models.discriminators import (
    Discriminator,
    MultiDiscriminator,
    discriminator_specs,
    make_discriminator,
)
from keras_audiogan.presets.model_sizes import is_measuring
from keras_audiogan.training import distribution, optimizers, precision
from keras_audiogan.training.step_means import StepMeans

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

    In Keras's terms: callbacks get the numbers of each step after it, and
    their means over an epoch after that, as does `history`; `evaluate`, and
    `fit` with `validation_data`, return the means of the step's losses
    without updates, with the same draws of chance at every call. A `.keras`
    file holds optimisers and seeds, and a model made of it trains on as if
    nothing had been.

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
        discriminator_steps: discriminator updates a step; 1 in `evaluate`.
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
    labels: tuple[str, ...] | None

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
        self.jit_compile = precision.default_jit_compile()
        self.gan_loss: Any = None
        self._loss_scale: float | None = None
        self.discriminator_steps = 1
        self.step_means = StepMeans()
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
        loss_scale: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Takes a loss and makes the optimisers; `compile` calls it.

        `objective` has a `name`, and the `generator_optimizer` and
        `discriminator_optimizer` that hold unless others are given; the rest
        is as `compile` takes it.
        """
        compile_advice(self, kwargs)
        compiles = precision.default_jit_compile(kwargs.get("run_eagerly"))
        options = {"jit_compile": compiles, **kwargs}
        keras.Model.compile(self, optimizer=None, loss=None, **options)
        self._compile_options = kwargs
        self._loss_scale = loss_scale
        if loss_scale is not None:
            self._compile_options = {**kwargs, "loss_scale": loss_scale}
        self._objective = self.gan_loss = objective
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
            static_scale=self._loss_scale,
        )

    @property
    def discriminator_steps(self) -> int:
        """Discriminator updates a step; 1 while it is evaluated."""
        return 1 if optimizers.is_evaluating() else self._discriminator_steps

    @discriminator_steps.setter
    def discriminator_steps(self, steps: int) -> None:
        self._discriminator_steps = steps

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

    def get_compile_config(self) -> dict[str, Any] | None:
        """Returns the arguments of a `compile` like the last one.

        None, with a warning, for a loss that is not the library's: its
        functions are in no file.
        """
        if self.gan_loss is None:
            return None
        loss = self._objective.get_config()
        if loss is None:
            warnings.warn(
                f"The loss {self._objective.name!r} is one of your own and "
                "cannot be saved: call `compile` after loading the model, "
                "whose optimisers then begin anew.",
                stacklevel=2,
            )
            return None
        pair = self.optimizer
        guarded = {
            "generator": pair.generator,
            "discriminator": pair.discriminator,
            **pair.others,
        }
        return {
            "loss": loss,
            **{
                f"{name}_optimizer": keras.optimizers.serialize(each.inner)
                for name, each in guarded.items()
            },
            **self._compile_options,
        }

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compiles as `get_compile_config` says."""
        self.compile(**config)

    def _seed_states(self) -> list[keras.Variable]:
        return [
            variable
            for variable in self.non_trainable_variables
            if variable.path.endswith("seed_generator_state")
        ]

    def _seed(self, seed: int) -> None:
        """Sets the state of every seed generator from one number."""
        rng = np.random.default_rng(seed)
        for state in self._seed_states():
            state.assign(rng.integers(0, 2**31, 2).astype("int64"))

    # Files of Keras

    def _training_state(self) -> dict[str, keras.Variable]:
        """What training changes beside the weights, by names in a file."""
        groups = {"seed": self._seed_states(), "optimizer": []}
        if self.gan_loss is not None:
            groups["optimizer"] = self.optimizer.variables
        return {
            f"{group}_{index:04d}": variable
            for group, variables in groups.items()
            for index, variable in enumerate(variables)
        }

    def save_own_variables(self, store: Any) -> None:
        """Saves the state of training as well; Keras calls it."""
        super().save_own_variables(store)
        for name, variable in self._training_state().items():
            store[name] = ops.convert_to_numpy(variable)
        store["average_is_new"] = np.array(self._average_is_new)

    def load_own_variables(self, store: Any) -> None:
        """Loads what `save_own_variables` saved; Keras calls it."""
        held = {name: np.asarray(store[name]) for name in store.keys()}
        super().load_own_variables(
            {name: held[name] for name in held if name.isdigit()}
        )
        self._average_is_new = bool(
            held.get("average_is_new", self._average_is_new)
        )
        state = self._training_state()
        for group in ("seed", "optimizer"):
            own = {k: v for k, v in state.items() if k.startswith(group)}
            shapes = {name: tuple(v.shape) for name, v in own.items()}
            found = {
                name: value.shape
                for name, value in held.items()
                if name.startswith(group)
            }
            if shapes == found:
                for name, variable in own.items():
                    variable.assign(held[name])
            elif own and found:
                warnings.warn(
                    f"The state of the {group}s in the file is that of "
                    "another `compile`, and is left out: they begin anew. "
                    f"Received: {len(found)} arrays for {len(own)}",
                    stacklevel=2,
                )

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means of what steps log, which Keras resets and reads."""
        return [self.step_means]

    def train_step(self, *args: Any) -> Any:
        """Runs `adversarial_step` as the backend's Keras trainer asks for it.

        TensorFlow and PyTorch pass the data; JAX passes the state of all
        variables and the data, and gets the new state back.
        """
        if keras.backend.backend() != "jax":
            (data,) = args
            return distribution.as_logs(self._noted_step(data))
        state, data = args
        groups = [
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        ]
        with keras.StatelessScope(state_mapping=_pairs(groups, state)) as scope:
            logs = self._noted_step(data)
        new_state = tuple(
            [scope.get_current_value(variable) for variable in variables]
            for variables in groups
        )
        return logs, new_state

    def test_step(self, *args: Any) -> Any:
        """Evaluates `adversarial_step` without updates, as `train_step`.

        All chance is drawn from the number of the batch, and what the
        networks themselves note as they run is put back.
        """
        if keras.backend.backend() == "jax":
            state, data = args
            groups = [
                self.trainable_variables,
                self.non_trainable_variables,
                self.metrics_variables,
            ]
            pairs = _pairs(groups, state)
            with keras.StatelessScope(state_mapping=pairs) as scope:
                logs = self._evaluated_step(data)
            noted = [scope.get_current_value(v) for v in groups[2]]
            return logs, (*state[:2], noted)
        (data,) = args
        averages = {id(weight) for weight in self.ema_generator.weights}
        kept = [
            variable
            for variable in self.non_trainable_variables
            if id(variable) not in averages
        ]
        # Copies: PyTorch assigns in place.
        before = [ops.copy(ops.convert_to_tensor(v)) for v in kept]
        logs = self._evaluated_step(data)
        for variable, value in zip(kept, before, strict=True):
            variable.assign(value)
        return distribution.as_logs(logs)

    def _noted_step(self, data: Any) -> dict[str, Any]:
        batch = self.as_batch(data)
        logs = self.adversarial_step(batch)
        self.step_means.update_state(logs, ops.shape(batch["audio"])[0])
        return logs

    def _evaluated_step(self, data: Any) -> dict[str, Any]:
        with optimizers.evaluating():
            step = self.step_means.steps + 0.0
            for index, state in enumerate(self._seed_states()):
                seed = ops.stack([0.0 * step + index, step])
                state.assign(ops.cast(seed, state.dtype))
            return self._noted_step(data)

    def _maybe_symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: the networks are built in the constructor.

        Under a strategy Keras's own method takes the mean of a batch over
        the replicas, which fails for a dict on several workers.
        """

    def fit(
        self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Trains; see `keras.Model.fit`, and the class for what it is given.

        Raises:
            ValueError: if what is given cannot be what the model learns
                from: another shape, labels out of range, sound that is not
                within [-1, 1] by far.
        """
        self.compiled_loss()
        self._check_given(x, y)
        if kwargs.get("validation_data") is not None:
            held = keras.utils.unpack_x_y_sample_weight(
                kwargs["validation_data"]
            )
            self._check_given(*held[:2])
            kwargs["validation_data"] = keras.utils.pack_x_y_sample_weight(
                with_channel_axis(held[0]), *held[1:]
            )
        check_rows(
            x,
            self.discriminator_steps,
            args[0] if args else kwargs.get("batch_size"),
            kwargs.get("validation_split") or 0.0,
        )
        return super().fit(with_channel_axis(x), y, *args, **kwargs)

    def evaluate(
        self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Returns the step's losses on data that is not trained on.

        They are those of `fit`'s logs, without the updates: with one
        discriminator update's rows for each batch, and with the same draws
        of latents and noise at every call. See `keras.Model.evaluate`; give
        `return_dict=True` for their names.

        Raises:
            ValueError: as for `fit`.
        """
        self.compiled_loss()
        if not kwargs.get("_use_cached_eval_dataset"):  # `fit` has looked.
            self._check_given(x, y)
        return super().evaluate(with_channel_axis(x), y, *args, **kwargs)

    def _check_given(self, x: Any, y: Any) -> None:
        labels = self._learnt_labels()
        check_given(x, y, self.clip_length, self.num_channels, labels)

    def _learnt_labels(self) -> Sequence[str]:
        """Names of what labels in a batch stand for; none without them."""
        learns = self.learns_labels(self.get_config())
        return (self.labels or ()) if learns else ()

    def as_batch(self, data: Any) -> Batch:
        """Returns what `fit` was given as a dict of tensors."""
        inputs, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        batch = dict(inputs) if isinstance(inputs, dict) else {"audio": inputs}
        if labels is not None:
            batch["labels"] = labels
        batch["audio"] = as_clips(
            batch.get("audio"), self.clip_length, self.num_channels
        )
        rows, steps = batch["audio"].shape[0], self.discriminator_steps
        if rows is not None and rows % steps:
            raise ValueError(
                f"A batch feeds {steps} discriminator updates, so its rows "
                "must be a multiple of that: set the batch size to "
                "`gan.discriminator_steps` times the rows of one update. "
                f"Received: {rows} rows"
            )
        return batch

    @property
    def clip_length(self) -> int | None:
        """Samples that clips to train on must have; None for any number."""
        return self.slice_length

    def adversarial_step(self, batch: Batch) -> dict[str, Any]:
        """Updates the networks once.

        `evaluate` runs it as well: the optimisers' `minimize` then changes
        nothing, and what is updated otherwise asks
        `training.optimizers.is_evaluating` before.

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
        logs = {"level/real": root_mean_square(audio)}
        if not optimizers.is_evaluating():
            logs["skipped"] = ops.cast(self.optimizer.skipped, "float32")
        return logs

    def _update_average(self) -> None:
        if optimizers.is_evaluating():
            return
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

    # Pictures of the networks

    def example_inputs(self) -> list[Any]:
        """Returns one row of what the generator is called with: zeros."""
        raise TypeError(f"{type(self).__name__} must define `example_inputs`.")

    def example_sound(self, made: Any) -> Any:
        """Returns what the discriminator sees of what the generator made."""
        return made

    def diagram(self) -> keras.Model:
        """Returns a functional model that shows the networks with shapes.

        It stands for this one in `keras.utils.plot_model(gan.diagram(),
        show_shapes=True, expand_nested=True)`, and is not to be called.
        """
        return diagram(
            self.name,
            self.generator,
            self.example_inputs(),
            self.example_sound,
            # A fused vocoder has no discriminator.
            [each for each in self.networks_beside() if each.weights],
            [self.ema_generator],
        )

    def networks_beside(self) -> list[keras.Model]:
        """Returns the networks that see what the generator makes."""
        return [self.discriminator]

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """Prints the networks with shapes; see `keras.Model.summary`.

        `expand_nested=True` prints their layers as well.
        """
        self.diagram().summary(*args, **kwargs)

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


def _pairs(
    groups: Iterable[Sequence[keras.Variable]], state: Iterable[Sequence[Any]]
) -> list[tuple[keras.Variable, Any]]:
    """Pairs variables with the values that JAX carries beside them."""
    return [
        pair
        for variables, values in zip(groups, state, strict=True)
        for pair in zip(variables, values, strict=True)
    ]


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
    return [as_float32(features[-1]) for features in outputs]


def as_float32(x: Any) -> Any:
    """Returns a tensor in the precision that losses are taken in."""
    return ops.cast(x, "float32")


def root_mean_square(audio: Any) -> Any:
    """Returns the level of audio, full scale is 1."""
    return ops.sqrt(ops.mean(ops.square(ops.cast(audio, "float32"))))
