"""What a train step must know of being one of several replicas.

Under `tf.distribute` a step runs once per replica and variables are mirrored;
elsewhere (one device; JAX, where the compiler splits the batch) there is one
replica and everything here is the identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

BACKEND = keras.backend.backend()


def num_replicas() -> int:
    """Returns over how many replicas the current step is spread."""
    if BACKEND != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def all_reduce_sum(tensor: Any) -> Any:
    """Returns the sum of a tensor over the replicas."""
    if num_replicas() == 1:
        return tensor
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensor)


def assign(variables: Sequence[keras.Variable], values: Sequence[Any]) -> None:
    """Assigns values, equal on all replicas, to variables."""
    if num_replicas() == 1:
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
