"""Several devices or machines, and what a train step must know of them.

Under `tf.distribute` a step runs once per replica and variables are mirrored;
elsewhere (one device; JAX, where the compiler splits the batch) there is one
replica, and what a step calls here is the identity.

However many replicas there are, the weights are those of one device on the
same global batch: each replica takes its rows of the batch in order, draws
the random numbers of the whole batch and uses its own rows of them, and
gradients are averaged. What a batch normalisation measures is the exception:
under `tf.distribute` it sees one replica's rows.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

if TYPE_CHECKING:
    from keras_audiogan.data.dataset import AudioDataset

BACKEND = keras.backend.backend()
DISTRIBUTIONS = ("mirrored", "multiworker")

# Model -> what keeps threads from running it at once.
_LOCKS: Any = weakref.WeakKeyDictionary()


def num_replicas() -> int:
    """Returns over how many replicas the current step is spread."""
    if BACKEND != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def has_strategy() -> bool:
    """Returns whether a `tf.distribute` strategy is at work, of any size."""
    if BACKEND != "tensorflow":
        return False
    import tensorflow as tf

    return tf.distribute.has_strategy()


def all_reduce_sum(tensor: Any) -> Any:
    """Returns the sum of a tensor over the replicas."""
    if num_replicas() == 1:
        return tensor
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensor)


def own_rows(draw: Callable[[Any], Any], rows: Any) -> Any:
    """Draws random rows for the global batch, and returns this replica's.

    The replicas' seed generators are in step: without this all of them would
    draw the same rows.

    Args:
        draw: takes a number of rows, returns a tensor with that many.
        rows: how many this replica needs; the same on all replicas.
    """
    count = num_replicas()
    if count == 1:
        return draw(rows)
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    start = context.replica_id_in_sync_group * rows
    return draw(rows * count)[start : start + rows]


def assign(variables: Sequence[keras.Variable], values: Sequence[Any]) -> None:
    """Assigns values, equal on all replicas, to variables."""
    if not has_strategy():
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return
    import tensorflow as tf

    def update(strategy: Any, targets: Any, values: Any) -> None:
        for target, value in zip(targets, values, strict=True):
            strategy.extended.update(
                target,
                lambda mirror, new: mirror.assign(new),
                args=(value,),
                group=False,
            )

    tf.distribute.get_replica_context().merge_call(
        update, args=([v.value for v in variables], list(values))
    )


def predict(model: keras.Model, inputs: Any) -> Any:
    """Runs a model, on one batch, on this process's own device.

    Keras's `predict_on_batch` gathers what all workers made, so a worker that
    calls it alone would wait for the others for ever.
    """
    if _is_on_one_device(model):
        # Keras makes its function, and on JAX its state, in the model.
        with _lock_of(model):
            return model.predict_on_batch(inputs)
    return keras.tree.map_structure(
        keras.ops.convert_to_numpy, model(inputs, training=False)
    )


def has_free_shapes(model: keras.Model) -> bool:
    """Returns whether one graph of a model can serve any length of inputs."""
    return (
        BACKEND == "tensorflow"
        and not model.run_eagerly
        and not model.jit_compile
        and _is_on_one_device(model)
    )


def predict_any_length(model: keras.Model, inputs: list[Any]) -> np.ndarray:
    """Runs a model whose graph is made once, with batch and time left free.

    Keras's own is made anew for the second length that it meets. Threads may
    call this at once.

    Args:
        model: one with `has_free_shapes`.
        inputs: float32 arrays `(batch, time, ...)`; one is given as it is.
    """
    import tensorflow as tf

    graph = model.__dict__.get("_any_length")
    if graph is None:
        with _lock_of(model):
            graph = model.__dict__.get("_any_length")
            if graph is None:

                def run(*tensors: Any) -> Any:
                    given = tensors[0] if len(tensors) == 1 else list(tensors)
                    return model(given, training=False)

                graph = tf.function(
                    run,
                    input_signature=[
                        tf.TensorSpec((None, None, *x.shape[2:]), tf.float32)
                        for x in inputs
                    ],
                    autograph=False,
                ).get_concrete_function()
                # Past Keras, which would track it.
                model.__dict__["_any_length"] = graph
    tensors = [tf.convert_to_tensor(x, tf.float32) for x in inputs]
    return np.asarray(graph(*tensors), "float32")


def forget_predictions(model: keras.Model) -> None:
    """Drops the graphs that `predict` and `predict_any_length` made."""
    with _lock_of(model):
        model.predict_function = None
        model.__dict__.pop("_any_length", None)


def _is_on_one_device(model: keras.Model) -> bool:
    strategy = getattr(model, "distribute_strategy", None)
    return strategy is None or strategy.num_replicas_in_sync == 1


def _lock_of(model: keras.Model) -> Any:
    return _LOCKS.setdefault(model, threading.RLock())


def as_logs(logs: dict[str, Any]) -> dict[str, Any]:
    """Gives a step's scalars the shape in which Keras can average them.

    Across workers Keras averages logs along their first axis, which a scalar
    does not have.
    """
    if BACKEND != "tensorflow":
        return logs
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return logs
    return {key: tf.reshape(value, (1,)) for key, value in logs.items()}


class Distribution:
    """One device, or several that train as one.

    The model lives inside `scope()`, and `fit` is given what `feed`
    returns:

    ```python
    distribution = get_distribution("mirrored")
    with distribution.scope():
        gan = keras_audiogan.models.WaveGAN()
        gan.compile()
        gan.fit(distribution.feed(dataset), steps_per_epoch=1000)
    ```

    Attributes:
        num_replicas: over how many devices a batch is spread.
        is_chief: whether this process writes files; True but for all
            workers save the first.
    """

    num_replicas = 1
    is_chief = True

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """A model is made, compiled, trained and sampled inside it."""
        yield

    def check_batch(self, batch_size: int) -> None:
        """Checks that a batch can be spread evenly.

        Args:
            batch_size: rows of one discriminator update, over all replicas.

        Raises:
            ValueError: if it cannot.
        """
        if batch_size % self.num_replicas:
            raise ValueError(
                "`batch_size` counts the rows on all devices together, and "
                f"must be a multiple of their number, {self.num_replicas}. "
                f"Received: batch_size={batch_size}"
            )

    def feed(self, dataset: AudioDataset, start_step: int = 0) -> Any:
        """Returns what `fit` shall read to train on a data set.

        Each worker decodes its own rows of a batch only.

        Args:
            dataset: the data.
            start_step: the first step; a resumed run passes its own.
        """
        return dataset.to_keras(start_step)


class _TensorFlowDistribution(Distribution):
    def __init__(self, strategy: Any) -> None:
        import tensorflow as tf

        # This pass of TensorFlow's lets a network read its weights before the
        # update that comes first: seen in one step of ten on a busy machine,
        # under a strategy of one replica.
        tf.config.optimizer.set_experimental_options(
            {"dependency_optimization": False}
        )
        self.strategy = strategy
        self.num_replicas = strategy.num_replicas_in_sync
        resolver = strategy.cluster_resolver
        if resolver is not None and resolver.task_type is not None:
            self.is_chief = resolver.task_type == "chief" or (
                resolver.task_type == "worker"
                and resolver.task_id == 0
                and "chief" not in resolver.cluster_spec().jobs
            )

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        with self.strategy.scope():
            yield

    def feed(self, dataset: AudioDataset, start_step: int = 0) -> Any:
        import tensorflow as tf

        rows = dataset.num_rows // self.num_replicas
        example = dataset.batch(start_step, rows=slice(0, rows))
        signature = {
            key: tf.TensorSpec(value.shape, value.dtype)
            for key, value in example.items()
        }

        def read(context: Any) -> Any:
            local = self.num_replicas // context.num_input_pipelines
            first = context.input_pipeline_id * local * rows
            own = slice(first, first + local * rows)

            def generate() -> Iterator[dict[str, Any]]:
                with dataset.batches(start_step, rows=own) as batches:
                    for batch in batches:
                        for i in range(0, local * rows, rows):
                            yield {k: v[i : i + rows] for k, v in batch.items()}

            return tf.data.Dataset.from_generator(
                generate, output_signature=signature
            ).prefetch(local)

        return self.strategy.distribute_datasets_from_function(read)


class _JaxDistribution(Distribution):
    def __init__(self, devices: Sequence[Any] | None) -> None:
        self.parallel = keras.distribution.DataParallel(
            devices=devices, auto_shard_dataset=False
        )
        self.num_replicas = len(
            devices
            if devices is not None
            else keras.distribution.list_devices()
        )

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        with self.parallel.scope():
            yield


def get_distribution(
    name: str | None = None, devices: Sequence[str] | None = None
) -> Distribution:
    """Returns how to spread training over devices.

    Call it before anything else touches TensorFlow or JAX.

    Args:
        name: `"mirrored"` for all devices of this machine
            (`tf.distribute.MirroredStrategy`; `keras.distribution
            .DataParallel` on JAX), `"multiworker"` for a process of its own
            on each machine (`tf.distribute.MultiWorkerMirroredStrategy`,
            which reads TF_CONFIG), None for one device.
        devices: names of the devices for `"mirrored"`; all GPUs by default,
            or all CPU devices where there is no GPU.

    Raises:
        ValueError: if the name is unknown, the backend cannot do it, or
            TF_CONFIG names no workers.
    """
    if name is None:
        return Distribution()
    if name not in DISTRIBUTIONS:
        raise ValueError(
            f"`distribute` must be one of {DISTRIBUTIONS} or None. "
            f"Received: distribute={name!r}"
        )
    if BACKEND == "jax" and name == "mirrored":
        return _JaxDistribution(devices)
    if BACKEND != "tensorflow":
        raise ValueError(
            f"The {BACKEND} backend cannot train with "
            f"`distribute={name!r}`. Use KERAS_BACKEND=tensorflow (or jax for "
            "'mirrored')."
        )
    import tensorflow as tf

    if name == "multiworker":
        if not os.environ.get("TF_CONFIG"):
            raise ValueError(
                "Several workers find each other by the environment variable "
                "TF_CONFIG, which is not set. Set it in every process, e.g. "
                '{"cluster": {"worker": ["host-a:12345", "host-b:12345"]}, '
                '"task": {"type": "worker", "index": 0}}, or use '
                "'mirrored' for the devices of one machine. Received: "
                "distribute='multiworker'"
            )
        return _TensorFlowDistribution(
            tf.distribute.MultiWorkerMirroredStrategy()
        )
    if devices is None and not tf.config.list_physical_devices("GPU"):
        devices = [
            device.name for device in tf.config.list_logical_devices("CPU")
        ]
    return _TensorFlowDistribution(tf.distribute.MirroredStrategy(devices))
