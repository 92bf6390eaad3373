"""GANSynth: notes from spectra, of a timbre and a pitch.

Engel et al., "GANSynth: Adversarial Neural Audio Synthesis", ICLR 2019
(arXiv:1902.08710), with the numbers of its code; the networks are those of
progressive GANs (arXiv:1710.10196). They see log-magnitudes and instantaneous
frequencies (`MagnitudeFrequency`), and grow: at first only the blocks of the
lowest resolution are trained, and each further one is faded in.

With the defaults and 61 labels the generator has 7.3 million parameters.

Different from the original:

- All stages are one run, and the optimisers' state goes through it; there it
  starts anew with each stage.
- A stage works at its own resolution. There all pictures have the last one's
  size, repeated pixels in both networks, which gives the same numbers at a
  greater cost. Sampling does as there.
- Real pictures are clipped to [-1, 1] before they are made smaller, not
  after.
- Labels of generated sound are those of the batch; there they are drawn by
  how often they occur.
- What says the class is as long as the latent. There it is a single 1 beside
  256 normal numbers, which a generator takes long to hear at all.
- Gradient penalties are taken in the pictures of a stage. There they are
  taken in full-size pictures of logarithms and half turns, where slopes
  begin some fiftyfold below 1: until they reach it, hundreds of steps later,
  nothing holds the discriminator back, and class logits grow with the scores.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_audiogan.layers.activations import leaky_relu
from keras_audiogan.layers.equalized_conv import (
    EqualizedConv2D,
    beside_deviation,
    doubled,
    halved,
    pixel_norm,
)
from keras_audiogan.layers.representations import MagnitudeFrequency
from keras_audiogan.models.adversarial import Batch
from keras_audiogan.models.arguments import check_option
from keras_audiogan.models.conditional_gan import ConditionalGAN
from keras_audiogan.models.discriminators import (
    Discriminator,
    register_discriminator,
)
from keras_audiogan.models.networks import BuiltNetwork
from keras_audiogan.models.registry import register_architecture
from keras_audiogan.training import distribution, losses
from keras_audiogan.training.losses import class_accuracy, class_loss

SCHEDULES = ("images", "steps")
NORMALIZATIONS = ("prespecified", "fitted")

_MAX_BLOCKS = 12
_MAX_LENGTH = 40_000_000
# Clips that a fitted scale is found in, as many as the original takes.
_NUM_FITTED = 1000
# Of a run without a schedule of its own: the part in which the networks grow.
_GROWTH_SHARE = 0.4


def num_filters(block: int, channel_base: int, max_channels: int) -> int:
    """Returns the channels of a block; blocks count from 1."""
    return max(1, min(channel_base // 2**block, max_channels))


class GrowingNetwork(BuiltNetwork):
    """Blocks of doubling resolution, and how far they are faded in.

    Attributes:
        num_blocks: Of all of them.
        progress: Variable; `p` stands for block `floor(p) + 1` alone, with
            the fraction of `p` the next one's share. It is saved among the
            weights, so that networks can be used from any stage.
    """

    def __init__(
        self,
        picture_shape: tuple[int, int, int],
        start_shape: tuple[int, int],
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        height, width = start_shape
        self.start_shape = (height, width)
        self.num_blocks = (picture_shape[0] // start_shape[0]).bit_length()
        self.progress = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self.num_blocks - 1.0),
            dtype="float32",
            # In half precision a blend would go in jerks.
            autocast=False,
            trainable=False,
            aggregation="only_first_replica",
            name="progress",
        )

    def make_conv(
        self,
        name: str,
        inputs: int,
        filters: int,
        kernel_size: tuple[int, int],
        **options: Any,
    ) -> EqualizedConv2D:
        """Makes a convolution of so many channels."""
        return self.make_layer(
            EqualizedConv2D,
            (None, None, inputs),
            filters,
            kernel_size,
            name=name,
            **options,
        )

    def share(self, block: int) -> Any:
        """Returns how far a block, from 2 on, is faded in, from 0 to 1."""
        progress = ops.convert_to_tensor(self.progress)
        return ops.clip(progress - (block - 2.0), 0.0, 1.0)


class GANSynthGenerator(GrowingNetwork):
    """`[latents, classes]` -> `(batch, frames, bins, 2 * channels)`.

    Latents and classes are concatenated and brought onto a sphere. Each block
    but the first repeats the pixels, and has two convolutions with leaky ReLU
    and pixel norm; 1 x 1 convolutions with tanh make a picture of it.

    Args:
        picture_shape: Frames, bins and channels.
        start_shape: Height and width of the first block, which it is a
            multiple of, by one power of two.
        num_classes: Labels.
        latent_dim: Size of a latent vector.
        max_channels: Most channels of a block.
        channel_base: Block `b` has `channel_base / 2**b` channels, if that
            is less.
        kernel_size: Height and width of the convolutions.
        class_scale: Multiplies the classes, which have one 1 among zeros. By
            default the root of `latent_dim`, which gives them the latent's
            length.

    Raises:
        ValueError: If `class_scale` is not a positive number.
    """

    def __init__(
        self,
        picture_shape: tuple[int, int, int],
        start_shape: tuple[int, int],
        num_classes: int,
        latent_dim: int = 256,
        max_channels: int = 256,
        channel_base: int = 4096,
        kernel_size: int = 3,
        class_scale: float | None = None,
        dtype: Any = None,
        name: str = "generator",
    ) -> None:
        super().__init__(picture_shape, start_shape, dtype, name)
        if class_scale is None:
            class_scale = math.sqrt(latent_dim)
        if not 0.0 < class_scale < math.inf:
            raise ValueError(
                "`class_scale` must be a positive number. "
                f"Received: class_scale={class_scale}"
            )
        self.class_scale = class_scale
        inputs = latent_dim + num_classes
        square = (kernel_size, kernel_size)
        self.strides = [2] * (self.num_blocks - 1)
        self.convs, self.to_pictures = [], []
        for block in range(1, self.num_blocks + 1):
            filters = num_filters(block, channel_base, max_channels)
            for i in range(2):
                first = block == 1 and i == 0
                self.convs.append(
                    self.make_conv(
                        f"block_{block}_conv_{i}",
                        inputs,
                        filters,
                        self.start_shape if first else square,
                        padding="full" if first else "same",
                    )
                )
                inputs = filters
            self.to_pictures.append(
                self.make_conv(
                    f"block_{block}_picture",
                    filters,
                    picture_shape[2],
                    (1, 1),
                    gain=1.0,
                    dtype="float32",
                )
            )

    def call(
        self,
        inputs: Any,
        training: bool = False,
        num_blocks: int | None = None,
    ) -> Any:
        """Returns float32 pictures in [-1, 1].

        Without `num_blocks` they have their full size, and whatever is not
        faded in yet repeats pixels. With it, as in training, only so many
        blocks run, the last two make the picture, and it has the last one's
        size.
        """
        del training
        latents, classes = inputs
        classes = self.class_scale * ops.cast(classes, latents.dtype)
        x = ops.concatenate([latents, classes], axis=-1)
        x = pixel_norm(ops.cast(x, "float32"))[:, None, None]
        last = self.num_blocks if num_blocks is None else num_blocks
        seen = 1 if num_blocks is None else max(1, last - 1)
        picture = None
        for block in range(1, last + 1):
            if block > 1:
                x = doubled(x)
            for conv in self.convs[2 * block - 2 : 2 * block]:
                x = pixel_norm(ops.leaky_relu(conv(x), 0.2))
            if block < seen:
                continue
            own = self.to_pictures[block - 1](x)
            own = ops.tanh(ops.cast(own, "float32"))
            if picture is not None:
                share = self.share(block)
                own = (1.0 - share) * doubled(picture) + share * own
            picture = own
        return picture


@register_discriminator("progressive")
class ProgressiveDiscriminator(GrowingNetwork, Discriminator):
    """The mirror image of `GANSynthGenerator`, which also tells the class.

    It takes pictures of the size of any block. The feature maps end with the
    class logits `(batch, num_classes)` and the logits `(batch, 1)`.

    Its view is the picture itself, of the size at hand: there gradient
    penalties are taken.

    Args:
        picture_shape: Frames, bins and channels.
        start_shape: Height and width of the first block.
        num_classes: Labels.
        max_channels: See `GANSynthGenerator`.
        channel_base: See `GANSynthGenerator`.
        kernel_size: Height and width of the convolutions.
        projection: Whether it is a projection discriminator too
            (arXiv:1802.05637): the label chooses weights that are added to
            those of the score. The score then hears a wrong class in what is
            generated, which the class logits, learnt from real sound alone,
            let pass. The original has none.
    """

    shares = (
        "picture_shape",
        "start_shape",
        "max_channels",
        "channel_base",
        "kernel_size",
    )

    def __init__(
        self,
        picture_shape: tuple[int, int, int],
        start_shape: tuple[int, int],
        num_classes: int,
        max_channels: int = 256,
        channel_base: int = 4096,
        kernel_size: int = 3,
        projection: bool = False,
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(picture_shape, start_shape, dtype, name)
        square = (kernel_size, kernel_size)
        widths = [
            num_filters(block, channel_base, max_channels)
            for block in range(self.num_blocks + 1)
        ]
        self.convs, self.from_pictures = [], []
        for block in range(1, self.num_blocks + 1):
            first = block == 1
            self.from_pictures.append(
                self.make_conv(
                    f"block_{block}_picture",
                    picture_shape[2],
                    widths[block],
                    (1, 1),
                )
            )
            self.convs += [
                self.make_conv(
                    f"block_{block}_conv_0",
                    widths[block] + first,
                    widths[block],
                    square,
                ),
                self.make_conv(
                    f"block_{block}_conv_1",
                    widths[block],
                    widths[block - 1],
                    self.start_shape if first else square,
                    padding="valid" if first else "same",
                ),
            ]
        head = functools.partial(
            self.make_conv, kernel_size=(1, 1), gain=1.0, dtype="float32"
        )
        self.score = head("score", widths[0], 1)
        self.classes = head("classes", widths[0], num_classes)
        self.projection = None
        if projection:
            self.projection = head("projection", num_classes, widths[0])

    def _block_of(self, picture: Any) -> int:
        """Returns the block whose pictures have this size."""
        block = (picture.shape[1] // self.start_shape[0]).bit_length()
        size = tuple(side * 2 ** (block - 1) for side in self.start_shape)
        if not 0 < block <= self.num_blocks or size != picture.shape[1:3]:
            raise ValueError(
                "A progressive discriminator takes pictures of the size of "
                f"{self.start_shape}, doubled up to {self.num_blocks - 1} "
                f"times. Received: {tuple(picture.shape)}"
            )
        return block

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns `[[features, ..., class logits, logits]]`."""
        (picture,) = views
        last = self._block_of(picture)
        features = []
        x = self._from_picture(picture, last)
        for block in range(last, 1, -1):
            for conv in self.convs[2 * block - 2 : 2 * block]:
                x = leaky_relu(conv(x), 0.2)
            features.append(x)
            x = halved(x)
            # In training what is below the last but one is all faded in.
            if block == last or not training:
                picture = halved(picture)
                share = self.share(block)
                before = self._from_picture(picture, block - 1)
                share = ops.cast(share, x.dtype)
                x = (1.0 - share) * before + share * x
        x = beside_deviation(x)
        for conv in self.convs[:2]:
            x = leaky_relu(conv(x), 0.2)
        features.append(x)
        class_logits, logits = self.classes(x), self.score_of(self.score, x)
        if classes is not None and self.projection is not None:
            weights = self.projection(classes[:, None, None])
            x = ops.cast(x, "float32")
            logits = logits + ops.sum(x * weights, axis=-1, keepdims=True)
        return [[*features, class_logits[:, 0, 0], logits[:, 0, 0]]]

    def _from_picture(self, picture: Any, block: int) -> Any:
        return leaky_relu(self.from_pictures[block - 1](picture), 0.2)


class Growth(keras.layers.Layer):
    """Where growing networks stand; saved with a run's state.

    Args:
        num_blocks: Of the networks.
        first_block: The block that training begins with.
    """

    def __init__(self, num_blocks: int, first_block: int) -> None:
        super().__init__(name="growth", dtype="float32")
        self.num_blocks = num_blocks
        self.first_block = first_block

        def counter(name: str, shape: tuple[int, ...]) -> Any:
            return self.add_weight(
                shape=shape,
                initializer="zeros",
                dtype="int32",
                trainable=False,
                aggregation="only_first_replica",
                name=name,
            )

        # Images or steps until now, and those of a stable stage and of a
        # transition; both 0 for networks that do not grow.
        self.count = counter("count", ())
        self.lengths = counter("lengths", (2,))
        self.built = True

    @property
    def _first(self) -> int:
        return self.first_block - 1

    @property
    def _num_stages(self) -> int:
        return self.num_blocks - self.first_block

    def progress(self) -> Any:
        """Returns the progress at `count`, a tensor; see `GrowingNetwork`."""
        stable, transition = self.lengths[0], self.lengths[1]
        period = ops.maximum(stable + transition, 1)
        count = ops.minimum(self.count, self._num_stages * period)
        within = ops.maximum(count % period - stable, 0)
        fraction = ops.cast(within, "float32") / ops.cast(
            ops.maximum(transition, 1), "float32"
        )
        progress = ops.cast(count // period, "float32") + fraction + self._first
        grows = stable + transition > 0
        return ops.where(grows, progress, self.num_blocks - 1.0)

    def blocks_at(self, count: int, lengths: tuple[int, int]) -> int:
        """Returns how many blocks a step at `count` trains."""
        stable, period = lengths[0], sum(lengths)
        if not period:
            return self.num_blocks
        count = min(count, self._num_stages * period)
        fading = count % period > stable
        return self.first_block + count // period + fading

    def count_at(self, progress: float, lengths: tuple[int, int]) -> int:
        """Returns the first count that has a progress."""
        stable, transition = lengths
        whole, fraction = divmod(
            min(max(progress - self._first, 0.0), float(self._num_stages)), 1
        )
        faded = stable + math.ceil(fraction * transition) if fraction else 0
        return int(whole) * (stable + transition) + faded


@register_architecture("gansynth")
class GANSynth(ConditionalGAN):
    """Notes from latents and a pitch, through spectra.

    The labels of notes are their pitches: MIDI numbers, such as `"060"`, or
    names, such as `"C4"`. What they say is the discriminator's second task,
    and the generator's.

    Batches have one size all through a run. `batch_sizes` lets later blocks,
    which take more memory, train on a part of each.

    Weights begin with a deviation of 1 and are made smaller where they are
    used, so that a step of Adam moves one by the learning rate: the original's
    8e-4 is for a million steps. A run of some thousands wants 4e-3, and then
    the relativistic loss and a discriminator with a projection,
    `discriminators=[{"kind": "progressive", "projection": True}]`; see
    `benchmarks/README.md`.

    Example:

    ```python
    gan = keras_audiogan.models.GANSynth(
        labels=[f"{pitch:03}" for pitch in range(24, 85)],
        slice_length=16384,
        start_width=32,
        num_stable=20_000,
        num_transition=20_000,
    )
    gan.compile()
    gan.fit({"audio": audio, "labels": labels}, batch_size=16, epochs=200)
    clips = gan.sample(labels=["060", "064", "067"], seed=0)
    ```

    Args:
        fft_length: Samples in a frame; pictures have half as many bins.
        frame_step: Samples from one frame to the next.
        mel: Whether frequencies are warped to the mel scale.
        start_width: Bins of the first block; those of a picture are a
            multiple of it by a power of two, and the power is the number of
            further blocks.
        start_height: Frames of the first block. By default as few as make
            pictures that hold a clip.
        normalization: `"prespecified"`: the four numbers that follow, or
            `"fitted"`: magnitudes are scaled as the data of a run have them.
        magnitude_scale: See `MagnitudeFrequency`, as the next three.
        magnitude_offset: Of the representation.
        frequency_scale: Of the representation.
        frequency_offset: Of the representation.
        exact_overlap: See `MagnitudeFrequency`; the original's is `False`.
        first_block: The block that training begins with. Each block is
            compiled apart, so fewer of them start faster.
        schedule: What `num_stable` and `num_transition` count: `"images"`
            that the networks were trained on, or `"steps"`.
        num_stable: How long each resolution is trained alone. The original
            has 800,000 images, as for `num_transition`. By default a run
            grows in the first 40 % of its steps, and without a run the
            networks do not grow at all.
        num_transition: How long the next block is faded in.
        batch_sizes: Rows of a batch that blocks train on, the last block's
            last, as a part of the largest of them; blocks that are missing
            have the first one's. By default all.
        class_weight: Weight of the class losses.
        drift_weight: Weight of the squared scores of real sound.
        **kwargs: Those of `GANSynthGenerator` and of `ConditionalGAN`.

    Raises:
        ValueError: If sizes do not fit each other, or one is out of range.
    """

    train_function: Any
    generator_class = GANSynthGenerator
    derived_arguments = ("num_classes", "picture_shape", "start_shape")
    latent_law = "normal"
    default_arguments = {
        "slice_length": 64000,
        "latent_dim": 256,
        "discriminators": [{"kind": "progressive"}],
    }
    default_loss = "wgan-gp"
    positive_arguments = (
        *ConditionalGAN.positive_arguments,
        "start_width",
        "max_channels",
        "channel_base",
        "first_block",
    )
    config_limits = {
        **ConditionalGAN.config_limits,
        "latent_dim": 1 << 14,
        "max_channels": 1 << 12,
        "kernel_size": 64,
        "start_width": 1 << 12,
        "start_height": 1 << 12,
    }
    tiny = {
        "slice_length": 256,
        "sampling_rate": 8000,
        "labels": ["060", "062", "064"],
        "latent_dim": 6,
        "fft_length": 32,
        "frame_step": 16,
        "start_width": 4,
        "max_channels": 4,
        # Weights that were never trained are loud otherwise.
        "magnitude_offset": 1.0,
    }

    def __init__(
        self,
        fft_length: int = 2048,
        frame_step: int = 512,
        mel: bool = True,
        start_width: int = 16,
        start_height: int | None = None,
        normalization: str = "prespecified",
        magnitude_scale: float | None = None,
        magnitude_offset: float = 0.113718730221,
        frequency_scale: float = 0.8,
        frequency_offset: float = 0.0,
        exact_overlap: bool = True,
        first_block: int = 1,
        schedule: str = "images",
        num_stable: int | None = None,
        num_transition: int | None = None,
        batch_sizes: list[int] | None = None,
        class_weight: float = 10.0,
        drift_weight: float = 0.001,
        **kwargs: Any,
    ) -> None:
        del fft_length, frame_step, mel, start_width, start_height
        del magnitude_scale, magnitude_offset, exact_overlap
        del frequency_scale, frequency_offset
        check_option("schedule", schedule, SCHEDULES)
        check_option("normalization", normalization, NORMALIZATIONS)
        for name, weight in (
            ("class_weight", class_weight),
            ("drift_weight", drift_weight),
        ):
            if not 0.0 <= weight < math.inf:
                raise ValueError(
                    f"`{name}` must be 0 or more. Received: {name}={weight}"
                )
        super().__init__(**kwargs)
        self.class_weight = class_weight
        self.drift_weight = drift_weight
        num_blocks = self.generator.num_blocks
        if first_block > num_blocks:
            raise ValueError(
                f"`first_block` must be one of the {num_blocks} blocks. "
                f"Received: first_block={first_block}"
            )
        self.growth = Growth(num_blocks, first_block)
        self.counts_images = schedule == "images"
        self.growth.lengths.assign(_lengths(num_stable, num_transition))
        self.batch_shares = _batch_shares(batch_sizes, num_blocks)
        self.num_blocks = num_blocks

    # Networks

    def make_representation(self) -> MagnitudeFrequency:
        """Returns spectra of a size that the blocks can have."""
        given = self.arguments
        start, num_blocks = _start_shape(given)
        return MagnitudeFrequency(
            sampling_rate=self.sampling_rate,
            num_frames=start[0] * 2 ** (num_blocks - 1),
            slice_length=self.slice_length,
            **{
                name: given[name]
                for name in (
                    *("fft_length", "frame_step", "mel", "exact_overlap"),
                    *("magnitude_scale", "magnitude_offset"),
                    *("frequency_scale", "frequency_offset"),
                )
            },
        )

    def network_context(self) -> dict[str, Any]:
        """Returns the sizes that the networks are told."""
        start, _ = _start_shape(self.arguments)
        return {
            **super().network_context(),
            "start_shape": start,
            "picture_shape": self.representation.shape(
                self.slice_length, self.num_channels
            ),
        }

    def make_discriminator(self) -> Discriminator:
        """Builds the discriminator, which grows with the generator."""
        specs = self.arguments["discriminators"]
        if [spec["kind"] for spec in specs] != ["progressive"]:
            raise ValueError(
                "A GANSynth has one discriminator, of the kind "
                f"'progressive'. Received: discriminators={specs}"
            )
        (built,) = self.make_discriminators(**self.network_context())
        return built

    # Training

    def compile(self, loss: Any = None, *args: Any, **kwargs: Any) -> None:  # noqa: D417
        """Chooses the loss and the optimisers; see `AudioGAN.compile`.

        With `"wgan-gp"`, one discriminator update a step and Adam with a
        learning rate of 8e-4 and betas of 0 and 0.99.
        """
        if loss in (None, "wgan-gp"):
            loss = _LOSS
        super().compile(loss, *args, **kwargs)

    @classmethod
    def default_discriminator_steps(cls, loss: str | None) -> int:
        """Returns the discriminator updates a step that a loss comes with."""
        if loss in (None, "wgan-gp"):
            return _LOSS.discriminator_steps
        return super().default_discriminator_steps(loss)

    def compile_for_run(
        self, steps: int, seed: int, loaded: Iterable[str] = (), **options: Any
    ) -> None:
        """Compiles the model for a run, and says how it grows in it."""
        super().compile_for_run(steps, seed, loaded, **options)
        if self.arguments["num_stable"] is None:
            self.counts_images = False
            stages = 2 * (self.num_blocks - self.arguments["first_block"])
            length = int(_GROWTH_SHARE * steps / stages) if stages else 0
            self.growth.lengths.assign([length, length])
        self._begin_at_progress()

    def on_preset_loaded(self, stems: set[str]) -> None:
        """Starts the generator from its average, and grows on from there."""
        super().on_preset_loaded(stems)
        if "generator" in stems:
            self._begin_at_progress()

    def _begin_at_progress(self) -> None:
        if self._average_is_new:
            return
        progress = float(ops.convert_to_numpy(self.generator.progress))
        self.discriminator.progress.assign(progress)
        self.growth.count.assign(
            self.growth.count_at(progress, self._growth_lengths())
        )

    def _growth_lengths(self) -> tuple[int, int]:
        stable, transition = ops.convert_to_numpy(self.growth.lengths)
        return int(stable), int(transition)

    def make_train_function(self, force: bool = False) -> Any:
        """Makes a function that runs the one of the blocks of each step.

        They are made when they are first needed.
        """
        if self.train_function is not None and not force:
            return self.train_function
        functions: dict[int, Any] = {}
        lengths = self._growth_lengths()
        place = [id(v) for v in self.non_trainable_variables].index(
            id(self.growth.count)
        )

        def step(*args: Any) -> Any:
            count = self.growth.count
            if keras.backend.backend() == "jax":
                # The variable itself is behind while `fit` runs.
                count = args[0][1][place]
            # What is traced asks `num_blocks`.
            self.num_blocks = blocks = self.growth.blocks_at(
                int(ops.convert_to_numpy(count)), lengths
            )
            if blocks not in functions:
                functions[blocks] = self._new_train_function()
            return functions[blocks](*args)

        self.train_function = step
        return step

    def _new_train_function(self) -> Any:
        # Keras compiles what `train_step` is, and JAX would take functions
        # that are equal, as bound methods are, for one.
        own_step, outer = self.train_step, self.train_function
        self.__dict__["train_step"] = lambda *args: own_step(*args)
        try:
            super().make_train_function(force=True)
            return self.train_function
        finally:
            del self.__dict__["train_step"]
            self.train_function = outer

    def adversarial_step(self, batch: Batch) -> dict[str, Any]:
        """Grows, and updates the discriminator and the generator."""
        part, of = self.batch_shares[self.num_blocks - 1]
        rows = ops.shape(batch["audio"])[0]
        if part < of:
            steps = self.discriminator_steps
            rows = rows // steps * part // of * steps
            batch = {key: value[:rows] for key, value in batch.items()}
        growth = self.growth
        progress = growth.progress()
        more = rows * distribution.num_replicas() if self.counts_images else 1
        most = np.iinfo("int32").max // 2
        distribution.assign(
            [self.generator.progress, self.discriminator.progress],
            [progress, progress],
        )
        logs = super().adversarial_step(batch)
        distribution.assign(
            [growth.count], [ops.minimum(growth.count + more, most)]
        )
        return {**logs, "growth/progress": progress}

    def _generated(self, latents: Any, batch: Batch) -> Any:
        return self.generator(
            [latents, batch["classes"]],
            training=True,
            num_blocks=self.num_blocks,
        )

    def _real(self, batch: Batch) -> Any:
        """Real pictures as far as the networks have grown."""
        real = halved(super()._real(batch), self._missing_blocks)
        if self.num_blocks == 1:
            return real
        share = self.generator.share(self.num_blocks)
        return share * real + (1.0 - share) * doubled(halved(real))

    @property
    def _missing_blocks(self) -> int:
        return self.generator.num_blocks - self.num_blocks

    def _level(self, fake: Any) -> Any:
        return self.representation.level(doubled(fake, self._missing_blocks))

    def _discriminator_extra(
        self,
        real_outputs: list[list[Any]],
        fake_outputs: list[list[Any]],
        batch: Batch,
    ) -> tuple[Any, dict[str, Any]]:
        del fake_outputs
        ((*_, logits, scores),) = real_outputs
        loss = class_loss(logits, batch["labels"])
        drift = ops.mean(ops.square(ops.cast(scores, "float32")))
        return self.class_weight * loss + self.drift_weight * drift, {
            "class/real": loss,
            "accuracy/real": class_accuracy(logits, batch["labels"]),
        }

    def _generator_extra(
        self, fake: Any, fake_outputs: list[list[Any]], batch: Batch
    ) -> tuple[Any, dict[str, Any]]:
        del fake
        ((*_, logits, _),) = fake_outputs
        loss = class_loss(logits, batch["labels"])
        return self.class_weight * loss, {
            "class/fake": loss,
            "accuracy/fake": class_accuracy(logits, batch["labels"]),
        }

    # What a training run asks

    @classmethod
    def fit_to_clips(
        cls, arguments: Mapping[str, Any], dataset: Any
    ) -> dict[str, Any]:
        """Returns arguments with the scale of magnitudes, if it is fitted."""
        given = dict(arguments)
        if given.get("normalization") != "fitted":
            return given
        options = {
            name: given[name]
            for name in ("fft_length", "frame_step", "mel", "sampling_rate")
            if name in given
        }
        clips = dataset.real_clips(_NUM_FITTED)
        return {**given, **MagnitudeFrequency(**options).fit(clips)}

    def run_recipe(self) -> dict[str, Any]:
        """Returns how the compiled model trains, for training.json."""
        stable, transition = self._growth_lengths()
        return {
            **super().run_recipe(),
            "growth": {
                "counts": "images" if self.counts_images else "steps",
                "num_stable": stable,
                "num_transition": transition,
            },
        }


_ADAM: dict[str, Any] = {
    "class_name": "Adam",
    "config": {
        "learning_rate": 8e-4,
        "beta_1": 0.0,
        "beta_2": 0.99,
        "epsilon": 1e-8,
    },
}
_LOSS = dataclasses.replace(
    losses.LOSSES["wgan-gp"],
    discriminator_steps=1,
    generator_optimizer=_ADAM,
    discriminator_optimizer=_ADAM,
)


def _start_shape(given: Mapping[str, Any]) -> tuple[tuple[int, int], int]:
    """Returns height and width of the first block, and how many there are."""
    bins, width = given["fft_length"] // 2, given["start_width"]
    factor, rest = divmod(bins, width)
    num_blocks = factor.bit_length()
    if rest or factor != 2 ** (num_blocks - 1) or num_blocks > _MAX_BLOCKS:
        raise ValueError(
            "Half of `fft_length` must be `start_width` times a power of two "
            f"up to {2 ** (_MAX_BLOCKS - 1)}. Received: "
            f"fft_length={given['fft_length']}, start_width={width}"
        )
    frames = -(-given["slice_length"] // given["frame_step"])
    height = given["start_height"]
    if height is None:
        height = -(-frames // factor)
    if height < 1:
        raise ValueError(
            f"`start_height` must be 1 or more. Received: start_height={height}"
        )
    return (height, width), num_blocks


def _lengths(stable: int | None, transition: int | None) -> list[int]:
    """Returns the lengths of stages, 0 for none."""
    if (stable is None) != (transition is None):
        raise ValueError(
            "Give both `num_stable` and `num_transition`, or none of them. "
            f"Received: num_stable={stable}, num_transition={transition}"
        )
    lengths = [stable or 0, transition or 0]
    for length in lengths:
        if not 0 <= length <= _MAX_LENGTH:
            raise ValueError(
                "`num_stable` and `num_transition` must be from 0 to "
                f"{_MAX_LENGTH}. Received: num_stable={stable}, "
                f"num_transition={transition}"
            )
    return lengths


def _batch_shares(
    sizes: list[int] | None, num_blocks: int
) -> list[tuple[int, int]]:
    """Returns the part of a batch that each block trains on."""
    sizes = [1] if sizes is None else list(sizes)
    if not 0 < len(sizes) <= num_blocks or min(sizes) < 1:
        raise ValueError(
            f"`batch_sizes` must hold up to {num_blocks} sizes, one for each "
            f"block, from 1 on. Received: batch_sizes={sizes}"
        )
    sizes = sizes[:1] * (num_blocks - len(sizes)) + sizes
    return [(size, max(sizes)) for size in sizes]
