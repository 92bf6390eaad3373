"""WaveGAN with its label concatenated, in generator and discriminator.

Source: J. Hill's conditional audio GANs and their report, which trained this
network to say "zero" or "one" and could not keep it from diverging. The
generator and the `"waveform"` discriminator have the report's layers and
parameters (18,267,191 and 1,082,177 for two labels and 4,096 samples).

Different from it: the Wasserstein losses have their signs right and the
gradient penalty knows the label; phase shuffle draws a shift at every step,
where the report's drew one when it built the graph, and another one for real
than for generated sound; `sample` reads a moving average of the generator.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_audiogan.models.arguments import check_option
from keras_audiogan.models.discriminators import (
    Discriminator,
    MultiDiscriminator,
)
from keras_audiogan.models.labelled_wavegan import (
    LabelledWaveGAN,
    beside_planes,
    planes,
)
from keras_audiogan.models.registry import register_architecture

CONDITIONS = ("label", "sample")


def in_label_channel(view: Any, classes: Any) -> Any:
    """Puts a view in the channels of its class, and zeros in the others.

    The result is `(batch, ..., num_classes * channels)`, class by class.
    """
    weights = planes(view, classes)
    placed = ops.expand_dims(weights, -1) * ops.expand_dims(view, -2)
    channels = weights.shape[-1] * view.shape[-1]
    return ops.reshape(placed, (*ops.shape(view)[:-1], channels))


class LabelledDiscriminator(MultiDiscriminator):
    """Discriminators that see the label in the channels of their view.

    Args:
        discriminators: built for views with the channels of labelled ones.
        num_classes: labels.
        condition_on: `"label"` for `beside_planes`, `"sample"` for
            `in_label_channel`.
        num_channels: of the audio. A view with several numbers for each,
            such as a complex spectrum, has the planes as often.
    """

    def __init__(
        self,
        discriminators: list[Discriminator],
        num_classes: int,
        condition_on: str = "label",
        num_channels: int = 1,
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(discriminators, dtype=dtype, name=name)
        self.num_classes = num_classes
        self.condition_on = condition_on
        self.num_channels = num_channels

    def labelled(self, view: Any, classes: Any) -> Any:
        """Returns a view with its label, as `condition_on` asks."""
        if self.condition_on == "sample":
            return in_label_channel(view, classes)
        for _ in range(view.shape[-1] // self.num_channels):
            view = beside_planes(view, classes)
        return view

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns one list of feature maps per sub-discriminator.

        All `classes` count alike if they are not given.
        """
        if classes is None:
            shape = (ops.shape(views[0])[0], self.num_classes)
            classes = ops.full(shape, 1.0 / self.num_classes)
        return super().feature_maps(
            [self.labelled(view, classes) for view in views], training=training
        )


@register_architecture("concat_wavegan")
class ConcatWaveGAN(LabelledWaveGAN):
    """A WaveGAN whose label is concatenated to what its networks see.

    In the discriminator the label stands beside the signal, as one constant
    channel per class (`condition_on="label"`, the report's table 4); or the
    signal stands in the channel of its label, with zeros in the others
    (`condition_on="sample"`, the report's own idea), so that a discriminator
    cannot overlook the label.

    Args:
        condition_on: `"label"` or `"sample"`.
        **kwargs: those of `LabelledGenerator` and of `ConditionalGAN`.
    """

    def __init__(self, condition_on: str = "label", **kwargs: Any) -> None:
        check_option("condition_on", condition_on, CONDITIONS)
        super().__init__(**kwargs)

    def make_discriminator(self) -> Discriminator:
        """Builds discriminators of views that hold the label."""
        condition_on = self.arguments["condition_on"]
        channels = (
            self.num_channels + self.num_classes
            if condition_on == "label"
            else self.num_channels * self.num_classes
        )
        return LabelledDiscriminator(
            self.make_discriminators(num_channels=channels),
            self.num_classes,
            condition_on,
            self.num_channels,
            dtype=self.dtype_policy,
        )
