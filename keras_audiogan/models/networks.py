"""`BuiltNetwork`, the base of generators and discriminators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras


class BuiltNetwork(keras.Model):
    """A network whose constructor builds its layers.

    A model knows all sizes when it is made, so its variables exist from then
    on: optimisers and presets need no first call.
    """

    def build(self, input_shape: Any) -> None:
        """Marks the model as built; the constructor builds the layers."""
        del input_shape
        self.built = True

    def build_layers(self, layers: Iterable[tuple[Any, Any]]) -> None:
        """Builds layers under this network's name.

        Args:
            layers: pairs of a layer and its input shape, batch included.
        """
        self.build(None)
        with keras.name_scope(self.name, caller=self):
            for layer, shape in layers:
                layer.build(shape)
