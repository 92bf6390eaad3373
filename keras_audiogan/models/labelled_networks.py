"""Networks that take a label by concatenation, or tell it apart.

The generator and the waveform critic are those of J. Hill's conditional audio
GANs (4,096 samples at 4,096 Hz), for any number of labels and any length that
WaveGAN has. A spectral critic can take the place of the waveform one.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_audiogan.layers import StridedConv1DTranspose
from keras_audiogan.models.discriminators import (
    Discriminator,
    MultiDiscriminator,
    SpectralDiscriminator,
)
from keras_audiogan.models.wavegan import (
    CRITICS,
    NUM_START_FRAMES,
    WaveGANDiscriminator,
    block_strides,
    block_widths,
)

FIRST_LAYERS = ("report", "planes")
CONDITIONS = ("label", "sample")


class LabelledGenerator(keras.Model):
    """`[latents, classes]` -> audio `(batch, time, channels)`.

    With `first_layer="report"` the latents become one frame of as many
    numbers as the first block has (4,096 of them, the label's included), and
    a dense layer, written there as a transposed convolution of one frame to
    16, follows. It holds 16.8 of the 18.3 million parameters. With
    `first_layer="planes"` the latents become the 16 frames at once, as in
    WaveGAN, and the label is a constant channel for each class beside them.

    Args:
        slice_length: `16 * 4**n` or `32 * 4**n` samples.
        num_classes: labels.
        num_channels: of the audio.
        latent_dim: size of a latent vector.
        dim: channels of the narrowest block.
        kernel_size: taps of the transposed convolutions.
        first_layer: see above.
        dtype: dtype policy.
        name: name of the model.

    Raises:
        ValueError: if `first_layer` is unknown, or there are more labels
            than the first block has numbers.
    """

    def __init__(
        self,
        slice_length: int,
        num_classes: int,
        num_channels: int = 1,
        latent_dim: int = 100,
        dim: int = 32,
        kernel_size: int = 25,
        first_layer: str = "report",
        dtype: Any = None,
        name: str = "generator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        policy = self.dtype_policy
        check_option("first_layer", first_layer, FIRST_LAYERS)
        strides = block_strides(slice_length)
        widths = block_widths(len(strides), dim, None)[::-1]
        self.first_layer = first_layer
        self.num_start_channels = widths[0]
        numbers = NUM_START_FRAMES * widths[0]
        in_report = first_layer == "report"
        if in_report and numbers <= num_classes:
            raise ValueError(
                'With first_layer="report" there must be fewer labels than '
                f"the {numbers} numbers of the first block. "
                f"Received: {num_classes} labels"
            )
        self.dense = keras.layers.Dense(
            numbers - num_classes if in_report else numbers,
            name="dense",
            dtype=policy,
        )
        # A transposed convolution of one frame is a product with a kernel.
        self.start = (
            keras.layers.EinsumDense(
                "bi,itc->btc",
                (NUM_START_FRAMES, widths[0]),
                bias_axes="c",
                name="start",
                dtype=policy,
            )
            if in_report
            else None
        )
        self.upconvs = [
            StridedConv1DTranspose(
                filters, kernel_size, stride, name=f"upconv_{i}", dtype=policy
            )
            for i, (filters, stride) in enumerate(
                zip([*widths[1:], num_channels], strides, strict=True)
            )
        ]
        self.build(None)
        with keras.name_scope(self.name, caller=self):
            self.dense.build((None, latent_dim))
            if self.start is not None:
                self.start.build((None, numbers))
            length = NUM_START_FRAMES
            inputs = [widths[0] + (0 if in_report else num_classes)]
            inputs += widths[1:]
            for upconv, width, stride in zip(
                self.upconvs, inputs, strides, strict=True
            ):
                upconv.build((None, length, width))
                length *= stride

    def build(self, input_shape: Any) -> None:
        """Marks the model as built; the constructor builds the layers."""
        del input_shape
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns float32 audio in [-1, 1]."""
        del training
        latents, classes = inputs
        x = self.dense(latents)
        if self.start is not None:
            x = ops.concatenate([x, ops.cast(classes, x.dtype)], axis=-1)
            x = self.start(ops.relu(x))
        else:
            x = ops.reshape(x, (-1, NUM_START_FRAMES, self.num_start_channels))
            x = ops.relu(beside_planes(x, classes))
        for i, upconv in enumerate(self.upconvs):
            x = upconv(ops.relu(x) if i else x)
        return ops.tanh(ops.cast(x, "float32"))


def beside_planes(view: Any, classes: Any) -> Any:
    """Adds a constant channel for each class to a view.

    Args:
        view: `(batch, ..., channels)`.
        classes: weights of the classes, `(batch, num_classes)`.

    Returns:
        `(batch, ..., channels + num_classes)`, the classes last.
    """
    planes = _planes(view, classes)
    shape = (*ops.shape(view)[:-1], planes.shape[-1])
    return ops.concatenate([view, ops.broadcast_to(planes, shape)], axis=-1)


def in_label_channel(view: Any, classes: Any) -> Any:
    """Puts a view in the channels of its class, and zeros in the others.

    Args:
        view: `(batch, ..., channels)`.
        classes: weights of the classes, `(batch, num_classes)`.

    Returns:
        `(batch, ..., num_classes * channels)`, class by class.
    """
    planes = _planes(view, classes)
    placed = ops.expand_dims(planes, -1) * ops.expand_dims(view, -2)
    channels = planes.shape[-1] * view.shape[-1]
    return ops.reshape(placed, (*ops.shape(view)[:-1], channels))


def _planes(view: Any, classes: Any) -> Any:
    between = [1] * (len(view.shape) - 2)
    classes = ops.cast(classes, view.dtype)
    return ops.reshape(classes, [-1, *between, classes.shape[-1]])


class LabelledDiscriminator(MultiDiscriminator):
    """Critics that see the label in the channels of their view.

    Args:
        discriminators: built for views with the channels that
            `num_label_channels` tells.
        num_classes: labels.
        condition_on: `"label"` for `beside_planes`, `"sample"` for
            `in_label_channel`.
        dtype: dtype policy.
        name: name of the model.
    """

    def __init__(
        self,
        discriminators: list[Discriminator],
        num_classes: int,
        condition_on: str = "label",
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(discriminators, dtype=dtype, name=name)
        check_option("condition_on", condition_on, CONDITIONS)
        self.num_classes = num_classes
        self.condition_on = condition_on

    def judge(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns one list of feature maps per critic.

        Args:
            views: as `views` returns them, the signal's channels alone.
            training: whether the networks train.
            classes: weights of the classes, `(batch, num_classes)`; all
                classes alike if not given.
        """
        if classes is None:
            shape = (ops.shape(views[0])[0], self.num_classes)
            classes = ops.full(shape, 1.0 / self.num_classes)
        label = (
            beside_planes if self.condition_on == "label" else in_label_channel
        )
        return super().judge(
            [label(view, classes) for view in views], training=training
        )


def num_label_channels(
    condition_on: str, num_channels: int, num_classes: int
) -> int:
    """Returns the channels that a labelled view has."""
    check_option("condition_on", condition_on, CONDITIONS)
    if condition_on == "label":
        return num_channels + num_classes
    return num_channels * num_classes


class ClassifyingDiscriminator(MultiDiscriminator):
    """Critics with a second output, for the class, from the same trunk.

    The feature maps end with the class logits `(batch, num_classes)` and the
    logits `(batch, 1)`.

    Args:
        discriminators: built with `1 + num_classes` outputs.
        dtype: dtype policy.
        name: name of the model.
    """

    def judge(
        self, views: list[Any], training: bool = False
    ) -> list[list[Any]]:
        """Returns one list of feature maps per critic."""
        outputs = super().judge(views, training=training)
        return [
            [*features, numbers[:, 1:], numbers[:, :1]]
            for *features, numbers in outputs
        ]

    def class_logits(self, outputs: list[list[Any]]) -> Any:
        """Returns the class logits among what `judge` returned.

        Returns:
            Float32 `(batch, num_classes)`, the mean of the critics'.
        """
        logits = [ops.cast(maps[-2], "float32") for maps in outputs]
        return sum(logits) / len(logits)

    def classify(self, audio: Any) -> Any:
        """Returns the class logits of audio, `(batch, num_classes)`."""
        return self.class_logits(self(audio, training=False))


def build_critics(
    critics: tuple[str, ...] | list[str],
    *,
    slice_length: int,
    num_channels: int,
    sampling_rate: int,
    waveform: dict[str, Any],
    spectral: dict[str, Any],
    num_outputs: int = 1,
    dtype: Any = None,
    name: str = "discriminator",
) -> list[Discriminator]:
    """Builds critics by name.

    Args:
        critics: `"waveform"`, `"spectral"` or both.
        slice_length: samples of a clip.
        num_channels: channels of the views, labels included.
        sampling_rate: in Hz.
        waveform: further arguments of `WaveGANDiscriminator`.
        spectral: further arguments of `SpectralDiscriminator`.
        num_outputs: numbers that each critic ends in.
        dtype: dtype policy.
        name: name of the network if there is only one; several are called as
            in `critics`.

    Raises:
        ValueError: if there is none, one twice, or one unknown.
    """
    names = tuple(critics)
    if (
        not names
        or len(set(names)) != len(names)
        or any(critic not in CRITICS for critic in names)
    ):
        raise ValueError(
            f"`critics` must name one or more of {CRITICS}, each once. "
            f"Received: critics={critics!r}"
        )
    built: list[Discriminator] = []
    for critic in names:
        own: dict[str, Any] = {
            "slice_length": slice_length,
            "num_channels": num_channels,
            "num_outputs": num_outputs,
            "dtype": dtype,
            "name": name if len(names) == 1 else critic,
        }
        built.append(
            WaveGANDiscriminator(**own, **waveform)
            if critic == "waveform"
            else SpectralDiscriminator(
                sampling_rate=sampling_rate, **own, **spectral
            )
        )
    return built


def class_loss(logits: Any, labels: Any) -> Any:
    """Mean cross-entropy of class logits, float32.

    Args:
        logits: `(batch, num_classes)`.
        labels: integers `(batch,)`.
    """
    logits = ops.cast(logits, "float32")
    entropy = ops.sparse_categorical_crossentropy(
        labels, logits, from_logits=True
    )
    return ops.mean(entropy)


def class_accuracy(logits: Any, labels: Any) -> Any:
    """Share of rows whose largest logit is the label's, float32."""
    best = ops.cast(ops.argmax(logits, axis=-1), "int32")
    return ops.mean(ops.cast(best == ops.cast(labels, "int32"), "float32"))


def check_option(name: str, value: Any, known: tuple[str, ...]) -> None:
    """Checks an option that is one of some words.

    Raises:
        ValueError: if it is not; the message lists them.
    """
    if value not in known:
        raise ValueError(
            f"`{name}` must be one of {known}. Received: {name}={value!r}"
        )
