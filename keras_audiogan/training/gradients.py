"""Gradients on TensorFlow, JAX and PyTorch behind two primitives.

`value_and_gradients` differentiates a loss with respect to some variables;
`input_gradients` differentiates a network's output with respect to its input,
in a way that can be differentiated again. This is the only file that imports
a backend at its top.

On JAX, a train step runs inside a `keras.StatelessScope` which maps every
variable to its traced value (see `AudioGAN.train_step`). A function to be
differentiated runs in a scope of its own, and what it updated (seeds, moving
statistics) is handed back as auxiliary output: a value traced inside the
derivative must not leak out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_audiogan.training import distribution

BACKEND = keras.backend.backend()
_LEAST_NORM = 1e-30


def _update_and_restore(condition, update, variables):
    # Copies: what TensorFlow's variables convert to is read when it is used.
    before = [ops.copy(variable) for variable in variables]
    update()
    after = [
        ops.where(condition, ops.copy(variable), value)
        for variable, value in zip(variables, before, strict=True)
    ]
    distribution.assign(variables, after)


if BACKEND == "tensorflow":
    import tensorflow as tf

    def value_and_gradients(function, variables):  # noqa: D103
        values = [variable.value for variable in variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            loss, aux = function()
        gradients = tape.gradient(
            loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return loss, aux, gradients

    def _behind(values, before):
        # Iterations of a loop overlap otherwise, and memory with them.
        with tf.control_dependencies(keras.tree.flatten(before)):
            return keras.tree.map_structure(tf.identity, values)

    def update_if(condition, update, variables):  # noqa: D103
        # A strategy, even of one replica, allows no update in a branch.
        if distribution.has_strategy():
            _update_and_restore(condition, update, variables)
        else:
            tf.cond(condition, lambda: (update(), 0)[1], lambda: 0)

    def input_gradients(function, inputs):  # noqa: D103
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            total = ops.sum(ops.cast(function(inputs), "float32"))
        return tape.gradient(total, inputs)

elif BACKEND == "torch":
    import torch

    def value_and_gradients(function, variables):  # noqa: D103
        values = [variable.value for variable in variables]
        with torch.enable_grad():
            loss, aux = function()
            gradients = torch.autograd.grad(loss, values, allow_unused=True)
        gradients = [
            torch.zeros_like(value) if gradient is None else gradient
            for value, gradient in zip(values, gradients, strict=True)
        ]
        detach = torch.Tensor.detach
        return detach(loss), keras.tree.map_structure(detach, aux), gradients

    def _behind(values, before):
        del before
        return values

    def update_if(condition, update, variables):  # noqa: D103
        del variables
        if condition:
            with torch.no_grad():
                update()

    def input_gradients(function, inputs):  # noqa: D103
        with torch.enable_grad():
            inputs = [x.detach().requires_grad_(True) for x in inputs]
            total = ops.sum(ops.cast(function(inputs), "float32"))
            return list(torch.autograd.grad(total, inputs, create_graph=True))

elif BACKEND == "jax":
    import jax
    from keras.src.backend.common.stateless_scope import get_stateless_scope

    class _InnerScope(keras.StatelessScope):
        """A scope that starts from the enclosing one and notes updates."""

        def __init__(self, outer):
            super().__init__()
            if outer is not None:
                self.state_mapping.update(outer.state_mapping)
            self.updated = {}

        def add_update(self, update):
            super().add_update(update)
            variable, _ = update
            self.updated[id(variable)] = variable

        def updates(self):
            return [self.state_mapping[key] for key in self.updated]

    def _hand_back(variables, values):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def value_and_gradients(function, variables):  # noqa: D103
        outer = get_stateless_scope()
        updated: list[Any] = []

        def traced(values):
            with _InnerScope(outer) as scope:
                for variable, value in zip(variables, values, strict=True):
                    scope.state_mapping[id(variable)] = value
                loss, aux = function()
            updated[:] = scope.updated.values()
            return loss, (aux, scope.updates())

        (loss, (aux, values)), gradients = jax.value_and_grad(
            traced, has_aux=True
        )([variable.value for variable in variables])
        _hand_back(updated, values)
        return loss, aux, gradients

    def _behind(values, before):
        del before  # A loop of XLA runs one iteration after the other.
        return values

    def update_if(condition, update, variables):  # noqa: D103
        _update_and_restore(condition, update, variables)

    def input_gradients(function, inputs):  # noqa: D103
        outer = get_stateless_scope()
        updated: list[Any] = []

        def traced(inputs):
            with _InnerScope(outer) as scope:
                total = ops.sum(ops.cast(function(inputs), "float32"))
            updated[:] = scope.updated.values()
            return total, scope.updates()

        gradient, values = jax.grad(traced, has_aux=True)(inputs)
        _hand_back(updated, values)
        return gradient

else:
    raise ImportError(
        "keras_audiogan trains on the tensorflow, jax and torch backends of "
        f"Keras. Set KERAS_BACKEND to one of them. Received: {BACKEND!r}"
    )

value_and_gradients: Callable[
    [Callable[[], tuple[Any, Any]], Sequence[keras.Variable]],
    tuple[Any, Any, list[Any]],
]
value_and_gradients.__doc__ = """Evaluates a loss and differentiates it.

    Args:
        function: takes nothing, returns `(loss, aux)`: a scalar tensor and
            any nested structure of tensors.
        variables: the variables to differentiate with respect to.

    Returns:
        `(loss, aux, gradients)`, the gradients in the order of `variables`;
        zeros where the loss does not depend on a variable.
    """

input_gradients: Callable[[Callable[[list], Any], list], list]
input_gradients.__doc__ = """Gradients of `sum(function(inputs))` in the inputs.

    Inside `value_and_gradients` the result can be differentiated again, as
    gradient penalties need it.

    Args:
        function: maps a list of tensors to a tensor.
        inputs: list of tensors, where to take the gradients; treated as
            constants.

    Returns:
        A list of tensors of the shapes of `inputs`.
    """

update_if: Callable[[Any, Callable[[], Any], Sequence[keras.Variable]], None]
update_if.__doc__ = """Runs an update, or leaves no trace of it.

    Args:
        condition: a boolean scalar tensor, equal on all replicas.
        update: takes nothing, assigns to variables.
        variables: everything that `update` assigns to.
    """


def mean_over_rows(
    function: Callable[[Any], tuple[Any, Any]],
    variables: Sequence[keras.Variable],
    rows: Any,
) -> tuple[Any, Any, list[Any]]:
    """Evaluates and differentiates a loss row by row, in the memory of one.

    Args:
        function: takes one row, returns `(loss, aux)` as for
            `value_and_gradients`; aux of floats. It assigns to no variable.
        variables: the variables to differentiate with respect to.
        rows: nested structure of tensors that have as many rows.

    Returns:
        `(loss, aux, gradients)`, each the mean over the rows.
    """
    count = ops.shape(keras.tree.flatten(rows)[0])[0]

    def of_row(index: Any) -> Any:
        return keras.tree.map_structure(
            lambda x: ops.take(x, ops.reshape(index, (1,)), axis=0), rows
        )

    def add(index: Any, total: Any) -> Any:
        row = _behind(of_row(index), total)
        more = value_and_gradients(lambda: function(row), variables)
        return keras.tree.map_structure(ops.add, total, more)

    first = of_row(ops.convert_to_tensor(0, "int32"))
    total = value_and_gradients(lambda: function(first), variables)
    total = ops.fori_loop(1, count, add, total)
    return keras.tree.map_structure(
        lambda x: x / ops.cast(count, x.dtype), total
    )


def balanced_copies(x: Any, weights: Sequence[float]) -> list[Any]:
    """Copies of a tensor whose gradients are brought to one size.

    Each gradient is divided by its norm over the whole batch and multiplied
    by its share of the weights; the sum of all norms, and with it any scale
    of the loss, stays. After the loss balancer of EnCodec (arXiv:2210.13438),
    without its moving average.

    Args:
        x: a tensor.
        weights: one for each copy; 0 or more, not all 0.

    Returns:
        As many tensors equal to `x` as there are weights.
    """
    count, total = len(weights), float(sum(weights))

    def backward(*args: Any, upstream: Any = None) -> Any:
        (given,) = args if upstream is None else (upstream,)
        each = ops.cast(given, "float32")
        squares = ops.sum(
            ops.square(each), axis=tuple(range(1, len(x.shape) + 1))
        )
        norms = ops.sqrt(squares)
        shares = ops.convert_to_tensor(weights, "float32") / total
        # A gradient of nothing stays so.
        factors = shares * ops.sum(norms) / ops.maximum(norms, _LEAST_NORM)
        factors = ops.reshape(factors, [count] + [1] * len(x.shape))
        return ops.cast(ops.sum(each * factors, axis=0), given.dtype)

    @ops.custom_gradient
    def copied(x: Any) -> Any:
        return ops.stack([x] * count), backward

    copies = copied(x)
    return [copies[i] for i in range(count)]
