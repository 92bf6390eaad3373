"""Networks of the plain GAN and of the plain conditional GAN.

They take a label, where there is one, as the conditional GAN of Mirza and
Osindero (arXiv:1411.1784) does: concatenated to the latents in the generator,
and to what the first half of the discriminator made of the signal.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_audiogan.models.discriminators import Discriminator
from keras_audiogan.models.labelled_networks import (
    build_critics,
    check_option,
)
from keras_audiogan.models.wavegan import WaveGANGenerator

NETWORKS = ("dense", "conv")


class DenseGenerator(keras.Model):
    """Latents -> audio `(batch, time, channels)`, of dense layers alone.

    Three layers with leaky ReLU, of `dim`, `2 * dim` and `4 * dim` units, and
    one with a unit for each sample, which ends in tanh.

    Args:
        slice_length: samples of a clip.
        num_channels: of the audio.
        latent_dim: size of the input, a label's part included.
        dim: see above.
        dtype: dtype policy.
        name: name of the model.
    """

    def __init__(
        self,
        slice_length: int,
        num_channels: int = 1,
        latent_dim: int = 100,
        dim: int = 64,
        dtype: Any = None,
        name: str = "generator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        self.shape_of_clip = (slice_length, num_channels)
        self.hidden = _dense_layers([dim, 2 * dim, 4 * dim], self.dtype_policy)
        self.last = keras.layers.Dense(
            slice_length * num_channels, name="output", dtype=self.dtype_policy
        )
        self.build(None)
        with keras.name_scope(self.name, caller=self):
            width = latent_dim
            for layer in [*self.hidden, self.last]:
                layer.build((None, width))
                width = layer.units

    def build(self, input_shape: Any) -> None:
        """Marks the model as built; the constructor builds the layers."""
        del input_shape
        self.built = True

    def call(self, latents: Any, training: bool = False) -> Any:
        """Returns float32 audio in [-1, 1]."""
        del training
        x = latents
        for layer in self.hidden:
            x = ops.leaky_relu(layer(x), 0.2)
        x = ops.reshape(self.last(x), (-1, *self.shape_of_clip))
        return ops.tanh(ops.cast(x, "float32"))


class ConditionedGenerator(keras.Model):
    """`[latents, classes]` -> audio: a generator of both, concatenated.

    Args:
        network: built generator of `latent_dim + num_classes` numbers.
        dtype: dtype policy.
        name: name of the model.
    """

    def __init__(
        self, network: keras.Model, dtype: Any = None, name: str = "generator"
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        self.network = network
        self.built = True

    def build(self, input_shape: Any) -> None:
        """Marks the model as built; the constructor builds the layers."""
        del input_shape
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns float32 audio in [-1, 1]."""
        latents, classes = inputs
        classes = ops.cast(classes, latents.dtype)
        both = ops.concatenate([latents, classes], axis=-1)
        return self.network(both, training=training)


class DenseTrunk(Discriminator):
    """The waveform made into one vector by two dense layers.

    Args:
        slice_length: samples of a clip.
        num_channels: of the audio.
        dim: the first layer has `4 * dim` units.
        num_outputs: units of the second one.
        dtype: dtype policy.
        name: name of the model.
    """

    view_scales = (0.1,)

    def __init__(
        self,
        slice_length: int,
        num_channels: int = 1,
        dim: int = 64,
        num_outputs: int = 128,
        dtype: Any = None,
        name: str = "trunk",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        self.num_samples = slice_length * num_channels
        self.stages = _dense_layers([4 * dim, num_outputs], self.dtype_policy)
        self.build(None)
        with keras.name_scope(self.name, caller=self):
            self.stages[0].build((None, self.num_samples))
            self.stages[1].build((None, 4 * dim))

    def judge(
        self, views: list[Any], training: bool = False
    ) -> list[list[Any]]:
        """Returns `[[features, vector]]`."""
        del training
        (x,) = views
        first, second = self.stages
        x = ops.leaky_relu(first(ops.reshape(x, (-1, self.num_samples))), 0.2)
        return [[x, second(x)]]


class VectorDiscriminator(Discriminator):
    """A score from a trunk's vector of the signal and, if any, the label.

    The vector and an embedding of the label pass one dense layer with leaky
    ReLU, without which the label could only shift the score, and then the last
    one. The embedding begins as large as the vector: a bare one-hot label went
    unheard for thousands of steps.

    Args:
        trunk: built discriminator of one view that ends in `dim` numbers.
        dim: how many.
        num_classes: labels; 0 for none.
        dtype: dtype policy.
        name: name of the model.
    """

    def __init__(
        self,
        trunk: Discriminator,
        dim: int,
        num_classes: int = 0,
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        self.trunk = trunk
        self.num_classes = num_classes
        self.view_scales = trunk.view_scales
        self.embedding = (
            keras.layers.Dense(
                dim,
                use_bias=False,
                kernel_initializer=keras.initializers.RandomNormal(stddev=1.0),
                name="embedding",
                dtype=self.dtype_policy,
            )
            if num_classes
            else None
        )
        self.hidden = keras.layers.Dense(
            dim, name="hidden", dtype=self.dtype_policy
        )
        self.score = keras.layers.Dense(1, name="output", dtype="float32")
        self.build(None)
        with keras.name_scope(self.name, caller=self):
            if self.embedding is not None:
                self.embedding.build((None, num_classes))
            self.hidden.build((None, 2 * dim if num_classes else dim))
            self.score.build((None, dim))

    def views(self, audio: Any, training: bool = False) -> list[Any]:
        """Returns the trunk's view."""
        return self.trunk.views(audio, training)

    def judge(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns `[[features, ..., logits]]`, logits `(batch, 1)`.

        Args:
            views: as `views` returns them.
            training: whether the networks train.
            classes: weights of the classes, `(batch, num_classes)`; all
                classes alike if not given.
        """
        ((*features, x),) = self.trunk.judge(views, training=training)
        x = ops.leaky_relu(x, 0.2)
        if self.embedding is not None:
            if classes is None:
                shape = (ops.shape(x)[0], self.num_classes)
                classes = ops.full(shape, 1.0 / self.num_classes)
            label = self.embedding(ops.cast(classes, x.dtype))
            x = ops.concatenate([x, label], axis=-1)
        x = ops.leaky_relu(self.hidden(x), 0.2)
        return [[*features, x, self.score(x)]]


def _dense_layers(units: list[int], policy: Any) -> list[keras.layers.Dense]:
    return [
        keras.layers.Dense(number, name=f"dense_{i}", dtype=policy)
        for i, number in enumerate(units)
    ]


def plain_generator(
    network: str,
    *,
    slice_length: int,
    num_channels: int,
    latent_dim: int,
    num_classes: int,
    dim: int,
    kernel_size: int,
    dtype: Any,
    name: str,
) -> keras.Model:
    """Builds a generator, `"dense"` or `"conv"`.

    Args:
        network: which.
        slice_length: samples of a clip.
        num_channels: of the audio.
        latent_dim: size of a latent vector.
        num_classes: labels; 0 for a generator that takes none.
        dim: channels of the narrowest convolution, or units of the first
            dense layer.
        kernel_size: taps of the convolutions.
        dtype: dtype policy.
        name: name of the model.

    Raises:
        ValueError: if the network is unknown or the length none that a
            convolutional one has.
    """
    check_option("network", network, NETWORKS)
    own: dict[str, Any] = {
        "slice_length": slice_length,
        "num_channels": num_channels,
        "latent_dim": latent_dim + num_classes,
        "dim": dim,
        "dtype": dtype,
        "name": name,
    }
    built = (
        DenseGenerator(**own)
        if network == "dense"
        else WaveGANGenerator(kernel_size=kernel_size, **own)
    )
    if not num_classes:
        return built
    return ConditionedGenerator(built, dtype=dtype, name=name)


def plain_discriminator(
    network: str,
    critic: str,
    *,
    slice_length: int,
    num_channels: int,
    sampling_rate: int,
    num_classes: int,
    embedding_dim: int,
    waveform: dict[str, Any],
    spectral: dict[str, Any],
    dtype: Any,
) -> VectorDiscriminator:
    """Builds a discriminator with a dense or convolutional trunk.

    Args:
        network: `"dense"` or `"conv"`.
        critic: `"waveform"`, or `"spectral"`, whose trunk is convolutional
            either way.
        slice_length: samples of a clip.
        num_channels: of the audio.
        sampling_rate: in Hz.
        num_classes: labels; 0 for none.
        embedding_dim: size of the vector that the trunk ends in.
        waveform: further arguments of `WaveGANDiscriminator`.
        spectral: further arguments of `SpectralDiscriminator`.
        dtype: dtype policy.
    """
    if network == "dense" and critic == "waveform":
        trunk: Discriminator = DenseTrunk(
            slice_length,
            num_channels,
            waveform["dim"],
            embedding_dim,
            dtype=dtype,
        )
    else:
        (trunk,) = build_critics(
            [critic],
            slice_length=slice_length,
            num_channels=num_channels,
            sampling_rate=sampling_rate,
            waveform=waveform,
            spectral=spectral,
            num_outputs=embedding_dim,
            dtype=dtype,
            name="trunk",
        )
    return VectorDiscriminator(trunk, embedding_dim, num_classes, dtype=dtype)
