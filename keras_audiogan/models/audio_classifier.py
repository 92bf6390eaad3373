"""The base class of the zoo's classifiers of labelled sound."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_audiogan.models.arguments import RecordedArguments
from keras_audiogan.models.batches import check_clip_shape, check_given
from keras_audiogan.models.diagram import diagram, zeros
from keras_audiogan.models.networks import BuiltNetwork
from keras_audiogan.training import distribution
from keras_audiogan.training.precision import default_jit_compile

# A clip whose peak is below this counts as silence and is not amplified
# up to full scale (-60 dB re full scale).
LEAST_PEAK = 1e-3
# Of a training run: the share of its steps that the learning rate rises in.
_WARM_UP = 0.1
_WEIGHT_DECAY = 0.02


class AudioClassifier(RecordedArguments, keras.Model):
    """A classifier from clips of audio to labels, with the preset protocol.

    A subclass calls `build_network` with its `ClassifierNetwork`. Input is
    fitted to `slice_length` samples: longer clips are cut, shorter ones are
    padded with zeros.

    Args:
        labels: The class names, in the order of the logits.
        sampling_rate: The rate of the audio, in Hz.
        num_channels: The channels of the audio; they are averaged to mono.
        slice_length: The samples the network looks at.

    Raises:
        ValueError: Fewer than two labels, a label given twice, or a number
            that is not positive.
    """

    task = "classify"
    tiny: ClassVar[Mapping[str, Any]] = {}
    network: ClassifierNetwork
    default_learning_rate = 2e-3
    # Whether clips are heard whole, whatever their length.
    hears_any_length = False
    run_options = frozenset({"epochs"})
    run_defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 1000,
        "batch_size": 64,
        "balance": True,
        "test": "tenth",
    }
    # The learning rate follows a curve over all of the steps.
    fixed_options = frozenset({"steps"})
    digits_in_words = True

    def __init__(
        self,
        labels: Sequence[str],
        sampling_rate: int,
        num_channels: int = 1,
        slice_length: int = 8192,
        dtype: Any = None,
        name: str | None = None,
    ):
        super().__init__(dtype=dtype, name=name)
        labels = tuple(str(label) for label in labels)
        if len(labels) < 2 or len(set(labels)) != len(labels):
            raise ValueError(
                "A classifier needs two or more labels, each given once. "
                f"Received: labels={labels}"
            )
        for name, value in (
            ("sampling_rate", sampling_rate),
            ("num_channels", num_channels),
            ("slice_length", slice_length),
        ):
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"`{name}` must be a positive whole number. "
                    f"Received: {name}={value!r}"
                )
        self.labels = labels
        self.sampling_rate = sampling_rate
        self.num_channels = num_channels
        self.slice_length = slice_length

    def build_network(self, network_class: Any, **options: Any) -> None:
        """Builds the network; a subclass calls it when its sizes stand.

        Args:
            network_class: a `ClassifierNetwork`.
            **options: its arguments, beside the sizes of the sound.
        """
        self.network = network_class(
            num_classes=self.num_classes,
            sampling_rate=self.sampling_rate,
            slice_length=self.slice_length,
            name="classifier",
            **{"dtype": self.dtype_policy, **options},
        )
        self.built = True

    @property
    def num_classes(self) -> int:
        """How many labels the model tells apart."""
        return len(self.labels)

    @property
    def num_features(self) -> int:
        """The width of `features`."""
        return self.network.num_features

    def compile(
        self, optimizer: Any = None, loss: Any = None, **kwargs: Any
    ) -> None:
        """Configures training; AdamW and cross-entropy unless given."""
        if optimizer is None:
            optimizer = keras.optimizers.AdamW(
                self.default_learning_rate, weight_decay=0.01
            )
        if loss is None:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        eager = kwargs.get("run_eagerly")
        kwargs.setdefault("jit_compile", default_jit_compile(eager, gpu=False))
        kwargs.setdefault("metrics", ["accuracy"])
        super().compile(optimizer=optimizer, loss=loss, **kwargs)

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compiles as `get_compile_config` says; Keras calls it."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(
        self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Trains; see `keras.Model.fit`.

        Args:
            x: Clips, float32 (n, time, channels) or mono (n, time).
            y: Their labels, integers (n,).
            *args: See `keras.Model.fit`.
            **kwargs: See `keras.Model.fit`.

        Raises:
            ValueError: If they cannot be that: another shape, labels out of
                range, sound that is not within [-1, 1] by far.
        """
        self._check_given(x, y)
        if kwargs.get("validation_data") is not None:
            held = keras.utils.unpack_x_y_sample_weight(
                kwargs["validation_data"]
            )
            self._check_given(*held[:2])
        return super().fit(x, y, *args, **kwargs)

    def evaluate(
        self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Returns loss and metrics; see `keras.Model.evaluate` and `fit`."""
        if not kwargs.get("_use_cached_eval_dataset"):  # `fit` has looked.
            self._check_given(x, y)
        return super().evaluate(x, y, *args, **kwargs)

    def _check_given(self, x: Any, y: Any) -> None:
        sparse = keras.losses.SparseCategoricalCrossentropy
        by_index = isinstance(self.loss, sparse) or str(self.loss).startswith(
            "sparse"
        )
        labels = self.labels if by_index else ()
        check_given(x, y, None, None, labels)

    def diagram(self) -> keras.Model:
        """Returns a functional model that shows the network with shapes.

        For `keras.utils.plot_model(classifier.diagram(), show_shapes=True,
        expand_nested=True)`; it is not to be called.
        """
        clip = zeros(self.slice_length, self.num_channels)
        return diagram(self.name, self.network, [clip])

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """Prints the network with shapes; see `keras.Model.summary`."""
        self.diagram().summary(*args, **kwargs)

    # What a training run asks

    @classmethod
    def learns_labels(cls, arguments: Mapping[str, Any] | None = None) -> bool:
        """Returns whether batches of a model of arguments come with labels."""
        del arguments
        return True

    @classmethod
    def fit_to_folder(
        cls, arguments: Mapping[str, Any], folder: Any
    ) -> dict[str, Any]:
        """Returns arguments with rate and labels of the files filled in.

        A clip lasts about as long as the architecture's own; its samples are
        a power of two.
        """
        if folder.labels is None:
            raise ValueError(
                "Training a classifier needs a folder with one sub-folder of "
                "sound files per label, and no sound beside them. Received: "
                f"{', '.join(folder.roots)}"
            )
        rate = arguments.get("sampling_rate") or next(iter(folder.rates))
        parameters = inspect.signature(cls).parameters
        seconds = (
            parameters["slice_length"].default
            / parameters["sampling_rate"].default
        )
        found = {
            "sampling_rate": rate,
            "num_channels": 1,
            "slice_length": 1 << round(math.log2(seconds * rate)),
        }
        missing = {k: v for k, v in found.items() if k not in arguments}
        return {**arguments, **missing, "labels": list(folder.labels)}

    @classmethod
    def fit_to_clips(
        cls, arguments: Mapping[str, Any], dataset: Any
    ) -> dict[str, Any]:
        """Checks that there is sound of every label to train on."""
        counts = dataset.folder.class_counts
        empty = [name for name, count in counts.items() if not count]
        if empty:
            raise ValueError(
                "Every label needs files to train on. Received: none of "
                f"{', '.join(empty)} once those to test on are held out"
            )
        return dict(arguments)

    def compile_for_run(
        self,
        steps: int,
        seed: int,
        loaded: Iterable[str] = (),
        learning_rate: float | None = None,
    ) -> None:
        """Compiles for a number of steps: AdamW, a warm-up, a cosine to 0.

        Args:
            steps: training steps in all.
            seed: not used; nothing draws at random, nor is `loaded`.
            loaded: see `seed`.
            learning_rate: the highest; the architecture's own by default.
        """
        del seed, loaded
        warm_up = max(1, int(steps * _WARM_UP))
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0,
            max(1, steps - warm_up),
            warmup_target=learning_rate or self.default_learning_rate,
            warmup_steps=warm_up,
        )
        optimizer = keras.optimizers.AdamW(schedule, weight_decay=_WEIGHT_DECAY)
        self.compile(optimizer)
        # A checkpoint is restored before the first step, which else builds it.
        optimizer.build(self.trainable_variables)

    def run_recipe(self) -> dict[str, Any]:
        """Returns how the compiled model trains, for training.json."""
        schedule = self.optimizer.get_config()["learning_rate"]["config"]
        return {
            "optimizer": "adamw",
            "learning_rate": schedule["warmup_target"],
            "learning_rate_schedule": "10 % warm-up, then cosine to 0",
            "weight_decay": _WEIGHT_DECAY,
        }

    # Presets

    @property
    def preset_weights(self) -> dict[str, keras.Model]:
        """The networks that a preset folder holds, by file stem."""
        return {"classifier": self.network}

    @property
    def required_weights(self) -> tuple[str, ...]:
        """The file stems without which a preset cannot be loaded."""
        return ("classifier",)

    def on_preset_loaded(self, stems: set[str]) -> None:
        """Does nothing: the one network is what the preset holds."""

    def __call__(self, audio, *args: Any, **kwargs: Any) -> Any:
        """Checks the shape of what `call` is given, and calls it."""
        check_clip_shape(audio, None, None)
        return super().__call__(audio, *args, **kwargs)

    def call(self, audio, training: bool | None = None):
        """Returns float32 logits (batch, num_classes) of clips.

        Those are float (batch, time, channels) at `sampling_rate`, or mono
        (batch, time).
        """
        if len(audio.shape) == 2:
            audio = ops.expand_dims(audio, -1)
        return self.network(audio, training=training)

    def predict_logits(self, audio, batch_size: int = 128) -> np.ndarray:
        """Returns logits (n, num_classes) of clips, batch by batch.

        Args:
            audio: Array (n, time, channels) or (n, time).
            batch_size: Clips in memory at once, as for the other methods.
        """
        return self._by_batches(audio, batch_size)[0]

    def predict_proba(self, audio, batch_size: int = 128) -> np.ndarray:
        """Returns class probabilities (n, num_classes), rows summing to 1."""
        return softmax(self.predict_logits(audio, batch_size))

    def features(self, audio, batch_size: int = 128) -> np.ndarray:
        """Returns the penultimate layer's output, float32 (n, num_features).

        These are the features for the Frechet and kernel distances.
        """
        return self._by_batches(audio, batch_size)[1]

    def predict_with_features(
        self, audio, batch_size: int = 128
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns `predict_proba` and `features` from a single pass."""
        logits, features = self._by_batches(audio, batch_size)
        return softmax(logits), features

    def predict_labels(self, audio, batch_size: int = 128) -> list[str]:
        """Returns the name of the likeliest class of each clip."""
        indices = self.predict_logits(audio, batch_size).argmax(axis=1)
        return [self.labels[index] for index in indices]

    def _by_batches(self, audio, batch_size: int):
        audio = fit_clips(audio, self.slice_length)
        if batch_size < 1:
            raise ValueError(
                "`batch_size` must be 1 or more. "
                f"Received: batch_size={batch_size}"
            )
        if not hasattr(self, "_forward"):
            self._forward = functools.partial(
                distribution.predict, ForwardPass(self.network)
            )
        logits, features = [], []
        for start in range(0, len(audio), batch_size):
            batch = audio[start : start + batch_size]
            # One shape for all calls, so that graphs are traced once.
            padded = np.zeros((batch_size, *audio.shape[1:]), "float32")
            padded[: len(batch)] = batch
            outputs = self._forward(padded)
            logits.append(np.asarray(outputs[0])[: len(batch)])
            features.append(np.asarray(outputs[1])[: len(batch)])
        return np.concatenate(logits), np.concatenate(features)


class ClassifierNetwork(BuiltNetwork):
    """Base of classifiers' networks: features, dropout and a dense layer.

    A subclass defines `features`, and ends its constructor in `build_head`.
    """

    def build_head(
        self, num_features: int, num_classes: int, dropout: float
    ) -> None:
        """Makes the layers between features and logits."""
        self.num_features = num_features
        self.dropout = keras.layers.Dropout(
            dropout, name="dropout", dtype="float32"
        )
        self.dense = self.make_dense(
            num_features, num_classes, "dense", dtype="float32"
        )

    def peak_scaled(self, audio):
        """Returns audio as float32 mono (batch, time) with a peak of 1."""
        audio = ops.mean(ops.cast(audio, "float32"), axis=2)
        peak = ops.max(ops.abs(audio), axis=1, keepdims=True)
        return audio / ops.maximum(peak, LEAST_PEAK)

    def features(self, audio, training: bool | None = None):
        """Returns float32 (batch, num_features), the penultimate output."""
        raise TypeError(
            f"{type(self).__name__} must define `features(audio, training)`."
        )

    def classify(self, features, training: bool | None = None):
        """Returns float32 logits (batch, num_classes) of `features`."""
        return self.dense(self.dropout(features, training=training))

    def call(self, audio, training: bool | None = None):
        """Returns float32 logits (batch, num_classes)."""
        features = self.features(audio, training=training)
        return self.classify(features, training=training)


@keras.saving.register_keras_serializable("keras_audiogan")
class ForwardPass(keras.Model):
    """Both outputs of a network, so that Keras compiles one graph."""

    def __init__(self, network: keras.Model):
        super().__init__()
        self.network = network
        self.jit_compile = default_jit_compile(gpu=False)

    def call(self, audio):
        """Returns logits and features of a batch of clips."""
        features = self.network.features(audio, training=False)
        return self.network.classify(features, training=False), features


def frame_length(sampling_rate: int, seconds: float = 0.032) -> int:
    """Returns the power of 2 nearest to some seconds, at least 16 samples."""
    return max(16, 1 << round(np.log2(seconds * sampling_rate)))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns softmax over the last axis in float64, rows summing to 1."""
    logits = np.asarray(logits, "float64")
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def fit_clips(audio, slice_length: int) -> np.ndarray:
    """Returns clips as float32 (n, slice_length, channels), cut or padded.

    Raises:
        ValueError: Not (n, time, channels) or (n, time), no clip, or a value
            that is not finite.
    """
    audio = np.asarray(audio, "float32")
    if audio.ndim == 2:
        audio = audio[:, :, np.newaxis]
    if audio.ndim != 3 or 0 in audio.shape:
        raise ValueError(
            "Audio must be an array (clips, time, channels) with at least "
            f"one clip and one sample. Received: shape {audio.shape}"
        )
    if not np.isfinite(audio).all():
        raise ValueError(
            "Audio must be finite numbers; mend or drop the clips with NaN "
            "or infinity. Received: clips "
            f"{np.flatnonzero(~np.isfinite(audio).all(axis=(1, 2)))[:8]}"
        )
    audio = audio[:, :slice_length]
    missing = slice_length - audio.shape[1]
    return np.pad(audio, ((0, 0), (0, missing), (0, 0)))
