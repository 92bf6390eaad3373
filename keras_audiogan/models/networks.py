"""`BuiltNetwork`, the base of generators and discriminators."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras


class BuiltNetwork(keras.Model):
    """A network whose constructor builds its layers.

    A model knows all sizes when it is made, so its variables exist from then
    on: optimisers and presets need no first call. `dtype` is the policy that
    its layers have by default.

    Attributes:
        strides: by how much each of a generator's stages makes time longer,
            the first stage first; empty where none does.
    """

    strides: Sequence[int] = ()

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        super().__init__(dtype=dtype, name=name)
        self.built = True

    def make_layer(
        self,
        layer_class: Any,
        shape: Iterable[int | None],
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Makes a layer, and builds it under this network's name.

        Args:
            layer_class: its class.
            shape: of its input, without the batch.
            *args: arguments of the class.
            **kwargs: the same by name; `dtype` is the network's by default.
        """
        layer = layer_class(*args, **{"dtype": self.dtype_policy, **kwargs})
        self.build_layers([(layer, (None, *shape))])
        return layer

    def make_dense(
        self, inputs: int, units: int, name: str, **options: Any
    ) -> Any:
        """Makes a `Dense` layer of so many inputs; see `make_layer`."""
        return self.make_layer(
            keras.layers.Dense, (inputs,), units, name=name, **options
        )

    def make_embedding(
        self, num_classes: int, embedding_dim: int, latent_dim: int
    ) -> Any:
        """Makes the vectors of labels, to stand beside latents.

        At first they are as long as a latent of uniform numbers in [-1, 1]:
        each of many labels is seldom seen, and one that is short at first is
        long not heard beside a latent.

        Args:
            num_classes: labels.
            embedding_dim: size of a label's vector.
            latent_dim: size of a latent vector.
        """
        deviation = math.sqrt(latent_dim / 3.0 / embedding_dim)
        return self.make_dense(
            num_classes,
            embedding_dim,
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(
                stddev=deviation
            ),
            name="embedding",
        )

    def build_layers(self, layers: Iterable[tuple[Any, Any]]) -> None:
        """Builds layers under this network's name.

        Args:
            layers: pairs of a layer and its input shape, batch included.
        """
        with keras.name_scope(self.name, caller=self):
            for layer, shape in layers:
                layer.build(shape)
