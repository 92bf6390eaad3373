"""Optimisers that survive half precision, and a pair of them as one object."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import ops

from keras_audiogan.training import distribution, gradients

# Of a thread, as replicas are traced in threads that take turns.
_evaluating: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "evaluating", default=False
)


@contextlib.contextmanager
def evaluating() -> Iterator[None]:
    """Lets `minimize` evaluate its loss and change nothing."""
    token = _evaluating.set(True)
    try:
        yield
    finally:
        _evaluating.reset(token)


def is_evaluating() -> bool:
    """Returns whether the step at hand is one of `evaluate`.

    What a step updates beside its optimisers' variables asks this first.
    """
    return _evaluating.get()


class GuardedOptimizer:
    """An optimiser that scales losses and skips non-finite steps.

    A step whose gradients are not all finite changes neither the weights nor
    the optimiser's state, and is counted. With `dynamic_scale` (float16) the
    loss is multiplied by a scale before it is differentiated, halved at each
    skipped step and doubled after `growth_steps` good ones in a row.

    Args:
        inner: the Keras optimiser.
        variables: what it updates.
        dynamic_scale: whether to scale the loss.
        growth_steps: good steps until the scale is doubled.
        static_scale: a scale that stays, in place of one that is found.
    """

    def __init__(
        self,
        inner: keras.optimizers.Optimizer,
        variables: Sequence[keras.Variable],
        dynamic_scale: bool = False,
        growth_steps: int = 2000,
        static_scale: float | None = None,
    ) -> None:
        self.inner = inner
        self.targets = list(variables)
        self.dynamic_scale = dynamic_scale and static_scale is None
        self.growth_steps = growth_steps
        inner.build(self.targets)

        def counter(name: str, value: float, dtype: str) -> keras.Variable:
            return keras.Variable(
                value,
                dtype=dtype,
                trainable=False,
                aggregation="only_first_replica",
                name=name,
            )

        scale = static_scale or (2.0**15 if dynamic_scale else 1.0)
        self.scale = counter("loss_scale", scale, "float32")
        self.good_steps = counter("good_steps", 0, "int32")
        self.skipped = counter("skipped_steps", 0, "int32")

    @property
    def variables(self) -> list[keras.Variable]:
        """The inner optimiser's variables, the scale and the counters."""
        return [
            *self.inner.variables,
            self.scale,
            self.good_steps,
            self.skipped,
        ]

    def minimize(
        self,
        function: Callable[..., tuple[Any, Any]],
        state: Sequence[keras.Variable] = (),
        rows: Any = None,
    ) -> Any:
        """Takes one step down a loss.

        Args:
            function: takes nothing, or a row of `rows`; returns `(loss,
                aux)`.
            state: what the function itself assigns to (moving statistics);
                set back where the step is skipped.
            rows: what the function is given row by row: the loss is the mean
                over them. See `gradients.mean_over_rows`.

        Returns:
            `(loss, aux)` as the function returned them.
        """
        if is_evaluating():
            return function() if rows is None else function(rows)
        scale = ops.convert_to_tensor(self.scale)
        before = [_copy(variable) for variable in state]

        def scaled(*row: Any) -> tuple[Any, Any]:
            loss, aux = function(*row)
            return ops.cast(loss, "float32") * scale, (loss, aux)

        _, (loss, aux), grads = (
            gradients.value_and_gradients(scaled, self.targets)
            if rows is None
            else gradients.mean_over_rows(scaled, self.targets, rows)
        )
        divisor = scale * distribution.num_replicas()
        grads = [ops.cast(g, "float32") / divisor for g in grads]
        total = distribution.all_reduce_sum(sum(ops.sum(g) for g in grads))
        finite = ops.isfinite(total)
        gradients.update_if(
            finite,
            lambda: self.inner.apply(grads, self.targets),
            [*self.inner.variables, *self.targets],
        )
        for variable, value in zip(state, before, strict=True):
            after = ops.convert_to_tensor(variable)
            variable.assign(ops.where(finite, after, value))
        self._count(finite)
        return loss, aux

    def _count(self, finite: Any) -> None:
        good = ops.cast(finite, "int32")
        good_steps = (self.good_steps + 1) * good
        values = [self.skipped + (1 - good)]
        targets = [self.skipped]
        if self.dynamic_scale:
            grow = ops.cast(good_steps >= self.growth_steps, "float32")
            halved = ops.where(finite, 1.0, 0.5)
            scale = ops.clip(self.scale * halved * (1.0 + grow), 1.0, 2.0**24)
            values += [scale, good_steps * (1 - ops.cast(grow, "int32"))]
            targets += [self.scale, self.good_steps]
        distribution.assign(targets, values)


def _copy(variable: keras.Variable) -> Any:
    # PyTorch assigns in place: its tensor would follow the variable.
    return ops.copy(ops.convert_to_tensor(variable))


class OptimizerPair:
    """The optimisers of a GAN where Keras expects one.

    Keras's trainers carry `model.optimizer.variables` through a JAX step, and
    callbacks read and set `model.optimizer.learning_rate`; that is all.

    Args:
        generator: the generator's optimiser.
        discriminator: the discriminator's.
        **others: those of further networks, which `others` holds by name.
    """

    built = True

    def __init__(
        self,
        generator: GuardedOptimizer,
        discriminator: GuardedOptimizer,
        **others: GuardedOptimizer,
    ) -> None:
        self.generator = generator
        self.discriminator = discriminator
        self.others = others

    @property
    def _all(self) -> list[GuardedOptimizer]:
        return [self.generator, self.discriminator, *self.others.values()]

    @property
    def variables(self) -> list[keras.Variable]:
        """All variables of all optimisers."""
        return [v for each in self._all for v in each.variables]

    @property
    def iterations(self) -> keras.Variable:
        """Number of generator updates."""
        return self.generator.inner.iterations

    @property
    def skipped(self) -> Any:
        """Number of updates that were skipped."""
        return sum(each.skipped for each in self._all)

    @property
    def learning_rate(self) -> Any:
        """The generator's learning rate; setting it scales all alike."""
        return self.generator.inner.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        ratio = float(value) / float(
            ops.convert_to_numpy(self.generator.inner.learning_rate)
        )
        for each in self._all[1:]:
            rate = float(ops.convert_to_numpy(each.inner.learning_rate))
            each.inner.learning_rate = rate * ratio
        self.generator.inner.learning_rate = value
