"""The plain GAN on sound, with labels and without.

Sources: Goodfellow et al., "Generative Adversarial Nets" (arXiv:1406.2661),
with its non-saturating loss; Mirza and Osindero, "Conditional Generative
Adversarial Nets" (arXiv:1411.1784), which concatenate the label to the
latents in the generator, and to what the first half of the discriminator made
of the signal; and a university coursework that trained the second on GTZAN's
genres, once with dense and once with convolutional networks.

Different from the coursework: its generator ended in no activation at all,
with nothing to keep the sound within full scale; this one ends in tanh (and,
like it, not in a sigmoid). The last layer of the discriminator ends in
logits, as there. The sizes are ours.
"""

from __future__ import annotations

import itertools
from typing import Any

import keras
from keras import ops

from keras_audiogan.models.arguments import check_option
from keras_audiogan.models.audio_gan import AudioGAN
from keras_audiogan.models.conditional_gan import ConditionalGAN
from keras_audiogan.models.discriminators import (
    Discriminator,
    register_discriminator,
)
from keras_audiogan.models.networks import BuiltNetwork
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.models.wavegan import WaveGAN, WaveGANGenerator

NETWORKS = ("dense", "conv")


class DenseGenerator(BuiltNetwork):
    """Latents -> audio `(batch, time, channels)`, of dense layers alone.

    Three layers with leaky ReLU, of `dim`, `2 * dim` and `4 * dim` units, and
    one with a unit for each sample, which ends in tanh.

    Args:
        slice_length: samples of a clip.
        num_channels: of the audio.
        latent_dim: size of the input, a label's part included.
        dim: see above.
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
        self.hidden = _dense_layers(self, [latent_dim, dim, 2 * dim, 4 * dim])
        self.last = self.make_dense(
            4 * dim, slice_length * num_channels, "output"
        )

    def call(self, latents: Any, training: bool = False) -> Any:
        """Returns float32 audio in [-1, 1]."""
        del training
        x = latents
        for layer in self.hidden:
            x = ops.leaky_relu(layer(x), 0.2)
        x = ops.reshape(self.last(x), (-1, *self.shape_of_clip))
        return ops.tanh(ops.cast(x, "float32"))


class ConditionedGenerator(BuiltNetwork):
    """`[latents, classes]` -> audio: a generator of both, concatenated.

    Args:
        network: built generator of `latent_dim + num_classes` numbers.
    """

    def __init__(
        self, network: keras.Model, dtype: Any = None, name: str = "generator"
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        self.network = network
        self.strides = network.strides

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns float32 audio in [-1, 1]."""
        latents, classes = inputs
        classes = ops.cast(classes, latents.dtype)
        both = ops.concatenate([latents, classes], axis=-1)
        return self.network(both, training=training)


@register_discriminator("dense")
class DenseDiscriminator(Discriminator):
    """The waveform made into one vector by two dense layers.

    Args:
        slice_length: samples of a clip.
        num_channels: of the audio.
        dim: the first layer has `4 * dim` units.
        num_outputs: units of the second one.
    """

    view_scales = (0.1,)
    shares = ("dim",)

    def __init__(
        self,
        slice_length: int,
        num_channels: int = 1,
        dim: int = 64,
        num_outputs: int = 1,
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        self.num_samples = slice_length * num_channels
        self.stages = _dense_layers(
            self, [self.num_samples, 4 * dim, num_outputs]
        )

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns `[[features, vector]]`."""
        del training, classes
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
        self.embedding = None
        if num_classes:
            self.embedding = self.make_dense(
                num_classes,
                dim,
                use_bias=False,
                kernel_initializer=keras.initializers.RandomNormal(stddev=1.0),
                name="embedding",
            )
        self.hidden = self.make_dense(
            2 * dim if num_classes else dim, dim, "hidden"
        )
        self.score = self.make_dense(dim, 1, "output", dtype="float32")

    def views(self, audio: Any, training: bool = False) -> list[Any]:
        """Returns the trunk's view."""
        return self.trunk.views(audio, training)

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns `[[features, ..., logits]]`, logits `(batch, 1)`.

        All `classes` count alike if they are not given.
        """
        ((*features, x),) = self.trunk.feature_maps(views, training=training)
        x = ops.leaky_relu(x, 0.2)
        if self.embedding is not None:
            if classes is None:
                shape = (ops.shape(x)[0], self.num_classes)
                classes = ops.full(shape, 1.0 / self.num_classes)
            label = self.embedding(ops.cast(classes, x.dtype))
            x = ops.concatenate([x, label], axis=-1)
        x = ops.leaky_relu(self.hidden(x), 0.2)
        return [[*features, x, self.score_of(self.score, x)]]


def _dense_layers(network: BuiltNetwork, units: list[int]) -> list[Any]:
    return [
        network.make_dense(inputs, number, f"dense_{i}")
        for i, (inputs, number) in enumerate(itertools.pairwise(units))
    ]


class _Plain(AudioGAN):
    """What `GAN` and `CGAN` share: networks that are dense or convolutional."""

    discriminator_defaults = {"spectral": {"augment": 1.0}}
    default_loss = "dcgan"
    num_label_classes = 0

    def __init__(
        self,
        network: str = "dense",
        dim: int = 64,
        kernel_size: int = 25,
        embedding_dim: int = 128,
        **kwargs: Any,
    ) -> None:
        check_option("network", network, NETWORKS)
        specs = self.arguments["discriminators"]
        if len(specs) != 1:
            raise ValueError(
                "A plain GAN has one of `discriminators`. "
                f"Received: discriminators={specs}"
            )
        super().__init__(**kwargs)

    def make_generator(self, name: str) -> keras.Model:
        """Builds the generator, of latents and any label's part."""
        dense = self.arguments["network"] == "dense"
        network = self.make_network(
            DenseGenerator if dense else WaveGANGenerator,
            name,
            latent_dim=self.latent_dim + self.num_label_classes,
        )
        if not self.num_label_classes:
            return network
        return ConditionedGenerator(network, self.dtype_policy, name)

    def make_discriminator(self) -> Discriminator:
        """Builds a discriminator of the vector of another one."""
        (spec,) = self.arguments["discriminators"]
        if spec["kind"] == "waveform" and self.arguments["network"] == "dense":
            spec = {"kind": "dense"}
        size = self.arguments["embedding_dim"]
        trunk = self.make_from_spec(spec, "trunk", num_outputs=size)
        return VectorDiscriminator(
            trunk, size, self.num_label_classes, dtype=self.dtype_policy
        )


@register_architecture("gan")
class GAN(_Plain):
    """A generator and a discriminator, and nothing else.

    Args:
        network: `"dense"`, of four dense layers that end in tanh (then
            `slice_length` may be any number), or `"conv"`, WaveGAN's
            generator. A `"waveform"` discriminator is of the same kind.
        dim: channels of the narrowest convolution, or units of the first
            dense layer; each further one has twice as many.
        kernel_size: taps of the convolutions.
        embedding_dim: size of the vector that the discriminator makes of a
            clip.
        **kwargs: as `AudioGAN`.
    """

    tiny = {**WaveGAN.tiny, "embedding_dim": 16}


@register_architecture("cgan", aliases=["genre_cgan"])
class CGAN(_Plain, ConditionalGAN):
    """A plain GAN with its label concatenated, for genres or anything else.

    The one-hot label stands beside the latents in the generator, and beside
    the vector that the discriminator makes of the signal.

    Example:

    ```python
    gan = keras_audiogan.models.CGAN(labels=("blues", "jazz"))
    gan.compile()
    gan.fit({"audio": audio, "labels": labels}, batch_size=64, epochs=500)
    clips = gan.sample(labels="blues", num_samples=4, seed=0)
    ```

    Args:
        network: see `GAN`, as for `dim`, `kernel_size`, `embedding_dim`.
        **kwargs: as `ConditionalGAN`.
    """

    tiny = {**GAN.tiny, "network": "conv", "labels": ["yes", "no", "maybe"]}
    deterministic = WaveGAN.deterministic

    @property
    def num_label_classes(self) -> int:  # type: ignore[override]
        """The label's part of the generator's input."""
        return self.num_classes
