"""What a model would need, told without giving it memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import keras

_LOCAL = threading.local()


class ModelSizes(NamedTuple):
    """The sizes of a model.

    Attributes:
        shapes: As `weight_shapes` returns them.
        required: The file stems without which a preset is none.
        num_parameters: Numbers in all variables of the model, those of the
            networks that no file holds included.
        sampling_rate: In Hz, or None.
        num_channels: Channels of its audio, or None.
        labels: Names of its classes, or None.
    """

    shapes: dict[str, dict[str, tuple[int, ...]]]
    required: tuple[str, ...]
    num_parameters: int
    sampling_rate: int | None
    num_channels: int | None
    labels: tuple[str, ...] | None


def weights_by_name(network: keras.Model) -> dict[str, Any]:
    """Returns the weights of a network by their stable names.

    The name is the variable's path below the network, e.g. `dense/kernel`,
    which is the same in every process as long as sub-layers are named.
    State of random generators and of metrics is not among the weights.

    Raises:
        ValueError: if two weights have the same name.
    """
    named: dict[str, Any] = {}
    for variable in network.weights:
        parts = variable.path.split("/")
        if network.name in parts[:-1]:
            parts = parts[parts.index(network.name) + 1 :]
        name = "/".join(parts)
        if name in named:
            raise ValueError(
                "Weights of a preset need names of their own: name the "
                f"sub-layers of `{network.name}` apart. "
                f"Received: {name!r} twice"
            )
        named[name] = variable
    return named


def weight_shapes(model: Any) -> dict[str, dict[str, tuple[int, ...]]]:
    """Returns file stem -> weight name -> shape, of `preset_weights`."""
    return {
        stem: {
            name: tuple(int(size) for size in variable.shape)
            for name, variable in weights_by_name(network).items()
        }
        for stem, network in model.preset_weights.items()
    }


def is_measuring() -> bool:
    """Returns whether this model is built for its sizes alone.

    Its variables have no values then: a constructor must not read them.
    """
    return getattr(_LOCAL, "building", False)


def measure_model(
    model_class: type[keras.Model], config: Mapping[str, Any]
) -> ModelSizes:
    """Runs a model's constructor without allocating its variables.

    In a `keras.StatelessScope` a new variable has a shape and no value. Keras
    remembers such variables, to fill them later, per thread: a thread of its
    own lets them be forgotten, and leaves the names, scopes and policies of
    the caller alone. Whatever the constructor raises comes through.
    """
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(_measure, model_class, config).result()


def _measure(
    model_class: type[keras.Model], config: Mapping[str, Any]
) -> ModelSizes:
    _LOCAL.building = True
    with keras.StatelessScope(initialize_variables=False):
        model: Any = model_class(**config)
        labels = getattr(model, "labels", None)
        return ModelSizes(
            shapes=weight_shapes(model),
            required=tuple(model.required_weights),
            num_parameters=model.count_params(),
            sampling_rate=getattr(model, "sampling_rate", None),
            num_channels=getattr(model, "num_channels", None),
            labels=tuple(labels) if labels else None,
        )
