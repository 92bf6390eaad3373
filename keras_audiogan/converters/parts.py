"""A model of ours out of the parts of a checkpoint."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

from keras_audiogan.converters.errors import ConversionError
from keras_audiogan.converters.network_weights import NetworkWeights


@dataclasses.dataclass
class Parts:
    """What a checkpoint holds, read and checked, before Keras is imported.

    Attributes:
        path: the file of the generator, for messages.
        architecture: a name of the registry.
        config: arguments of its class.
        generator: the generator's weights.
        discriminator: the discriminator's, if the checkpoint has one.
    """

    path: pathlib.Path
    architecture: str
    config: dict[str, Any]
    generator: NetworkWeights
    discriminator: NetworkWeights | None = None

    @property
    def networks(self) -> dict[str, NetworkWeights]:
        """File stem of a preset -> weights."""
        networks = {"generator": self.generator}
        if self.discriminator is not None:
            networks["discriminator"] = self.discriminator
        return networks


def build(parts: Parts, dtype: Any = None) -> Any:
    """Builds the model and assigns its weights.

    Shapes are compared before any memory is taken for a model. `dtype` is the
    policy of the networks; Keras's global policy if None.
    """
    from keras_audiogan.models.registry import get_architecture
    from keras_audiogan.presets.model_sizes import (
        measure_model,
        weights_by_name,
    )

    model_class: Any = get_architecture(parts.architecture)
    config = dict(parts.config)
    if dtype is not None:
        config["dtype"] = dtype
    try:
        sizes = measure_model(model_class, config)
    except Exception as error:
        # Whatever a constructor raises, the arguments are a stranger's.
        raise ConversionError(
            f"{parts.path}: its options describe a {model_class.__name__} "
            "that has no counterpart here: "
            f"{type(error).__name__}: {str(error)[:500]}"
        ) from error
    for stem, weights in parts.networks.items():
        weights.check(sizes.shapes[stem])
    model = model_class(**config)
    for stem, weights in parts.networks.items():
        weights.assign(weights_by_name(model.preset_weights[stem]))
    model.on_preset_loaded(set(parts.networks))
    return model
