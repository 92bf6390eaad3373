"""Stand-ins of networks that Keras's `summary` and `plot_model` understand.

Networks are subclassed models: of those Keras knows no shapes and no order of
layers. One pass over silence tells both, and a functional model of boxes with
the same names, shapes and weights shows them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import ops

Shape = tuple[int | None, ...]


class Box(keras.layers.Layer):
    """Stands for a layer: its name, its weights, its output's shape.

    Args:
        shown: The layer, or a list of weights that belong to none.
        shape: Of its output, batch included.
        name: What it is called in the diagram.
    """

    def __init__(self, shown: Any, shape: Shape, name: str) -> None:
        super().__init__(name=name)
        self.shown = shown
        self.shown_shape = (None, *shape[1:])
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Makes nothing: a diagram is looked at."""
        raise TypeError("A diagram is to be looked at; call the model itself.")

    def compute_output_spec(self, inputs: Any) -> Any:
        """Returns the shape that it shows."""
        del inputs
        return keras.KerasTensor(self.shown_shape, "float32")


def _box(shown: Any, shape: Shape, name: str, inputs: Any) -> Any:
    # Diagrams and tables write the name of the class.
    kind = type(
        type(shown).__name__ if shown is not None else "Output", (Box,), {}
    )
    return kind(shown, shape, name)(inputs)


@contextlib.contextmanager
def recorded(network: keras.Model) -> Iterator[dict[Any, Any]]:
    """Notes what shapes come out of a network's layers, in order of calls.

    Yields:
        Layer -> its output's shape, or a nest of shapes.
    """
    shapes: dict[Any, Any] = {}
    layers = list(network._flatten_layers())

    def noted(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            made = call(*args, **kwargs)
            shapes.setdefault(
                layer,
                keras.tree.map_structure(lambda x: tuple(x.shape), made),
            )
            return made

        return run

    for layer in layers:
        # Not through Keras, which would track it.
        object.__setattr__(layer, "call", noted(layer, layer.call))
    try:
        yield shapes
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def boxes(
    network: keras.Model, shapes: dict[Any, Any], input_shapes: Sequence[Shape]
) -> keras.Model:
    """Returns a functional model of boxes, one for each layer that ran.

    Args:
        network: The network.
        shapes: What `recorded` noted of it.
        input_shapes: Of its inputs, batch included.
    """
    inputs = _inputs(input_shapes)
    x: Any = inputs if len(inputs) > 1 else inputs[0]
    used: dict[str, int] = {}
    last: Any = None
    covered: set[int] = set()
    for layer, shape in shapes.items():
        below = any(True for _ in layer._flatten_layers(include_self=False))
        if layer is network or below or not _is_shape(shape):
            continue
        name = layer.name
        used[name] = used.get(name, 0) + 1
        if used[name] > 1:
            name = f"{name}_{used[name]}"
        x, last = _box(layer, shape, name, x), shape
        covered |= {id(weight) for weight in layer.weights}
    own: Any = shapes.get(network)
    own = own if _is_shape(own) else last
    rest = [w for w in network.weights if id(w) not in covered]
    if own != last or rest:
        # A reshape; and weights that silence has no use for, of labels say.
        x = _box(rest, own, "as_output", x)
    return keras.Model(inputs, x, name=network.name)


def _inputs(shapes: Sequence[Shape]) -> list[Any]:
    return [
        keras.Input(shape[1:], name=f"input_{index}")
        for index, shape in enumerate(shapes)
    ]


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(
        size is None or isinstance(size, int) for size in value
    )


def diagram(
    name: str,
    network: keras.Model,
    inputs: Sequence[Any],
    finish: Callable[[Any], Any] | None = None,
    heads: Sequence[keras.Model] = (),
    twins: Sequence[keras.Model] = (),
) -> keras.Model:
    """Returns a functional model that shows networks with shapes.

    Args:
        name: The diagram's.
        network: The first network.
        inputs: What it is called with: tensors of one row.
        finish: Makes of its output what goes into `heads`.
        heads: Networks that see what it makes.
        twins: Networks of its form, which stand beside it.
    """
    sizes = [tuple(array.shape) for array in inputs]
    symbols = _inputs(sizes)
    feed = symbols if len(symbols) > 1 else symbols[0]
    # What a pass draws and notes is forgotten.
    with keras.StatelessScope():
        with recorded(network) as shapes:
            made = network(list(inputs) if len(inputs) > 1 else inputs[0])
        shown = boxes(network, shapes, sizes)(feed)
        ends = []
        if heads:
            made = made if finish is None else finish(made)
            size = tuple(made.shape)
            if tuple(shown.shape)[1:] != size[1:]:
                shown = _box([], size, "sound", shown)
        for head in heads:
            with recorded(head) as seen:
                head(made)
            ends.append(boxes(head, seen, [size])(shown))
    own = list(network._flatten_layers())
    for twin in twins:
        other = dict(zip(own, twin._flatten_layers(), strict=True))
        same = {other[layer]: shape for layer, shape in shapes.items()}
        ends.append(boxes(twin, same, sizes)(feed))
    return keras.Model(symbols, ends or shown, name=name)


def zeros(*shape: int) -> Any:
    """Returns a tensor of zeros, one row of `shape`."""
    return ops.zeros((1, *shape), "float32")
