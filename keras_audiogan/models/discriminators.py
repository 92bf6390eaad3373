"""What discriminators have in common, their table, and the shared ones.

A discriminator looks at *views* of a sound: the waveform itself, or a
spectrum of it. Gradient penalties are taken in the views, each in units of
its own standard deviation, so that one weight serves them all.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import keras
from keras import ops

from keras_audiogan.layers import LogMelSpectrogram, SpectrogramAugment
from keras_audiogan.layers.activations import leaky_relu
from keras_audiogan.layers.equalized_conv import beside_deviation
from keras_audiogan.layers.stft import stft
from keras_audiogan.models.networks import BuiltNetwork
from keras_audiogan.models.sliced_scores import call_last, sliced_score
from keras_audiogan.training import gradients

T = TypeVar("T", bound=type)

# Bring log-mel spectra of sound levelled to its peak to about [-1, 3].
_LOG_MEL_SHIFT, _LOG_MEL_SCALE = 3.0, 2.8
# Bring compressed spectra to a deviation of about 1; below -80 dB they fade.
_COMPLEX_SCALE, _SILENT_POWER = 4.0, 1e-8

_KINDS: dict[str, Any] = {}
# More of them side by side than anybody has tried.
_MOST = 16
# What every discriminator is told by the model that it is built for.
_CONTEXT = (
    "slice_length",
    "num_channels",
    "sampling_rate",
    "num_classes",
    "num_outputs",
    "dtype",
)


def register_discriminator(kind: str) -> Callable[[T], T]:
    """Enters a `Discriminator` that `{"kind": ...}` asks for by this name."""

    def decorate(cls: T) -> T:
        _KINDS[kind] = cls
        return cls

    return decorate


def list_discriminators() -> list[str]:
    """Returns the kinds of discriminators, sorted."""
    return sorted(_KINDS)


def discriminator_specs(
    given: Any,
    defaults: Mapping[str, Mapping[str, Any]],
    argument: str = "discriminators",
) -> list[dict[str, Any]]:
    """Returns what `discriminators` asks for in its full form.

    Args:
        given: a kind, a dict of a `kind` and the arguments of its class, or a
            list of either.
        defaults: kind -> the architecture's own defaults of its arguments.
        argument: what the model calls it.

    Raises:
        ValueError: if there is none, too many, or one without a known kind.
    """
    entries = [given] if isinstance(given, (str, Mapping)) else given
    specs = []
    for entry in entries if isinstance(entries, Sequence) else ():
        spec = {"kind": entry} if isinstance(entry, str) else entry
        kind = spec.get("kind") if isinstance(spec, Mapping) else None
        if not isinstance(kind, str) or kind not in _KINDS:
            raise ValueError(
                f"`{argument}` must name a `kind`, one of "
                f"{list_discriminators()}. Received: {argument}={entry!r}"
            )
        kind = spec["kind"]
        specs.append({"kind": kind, **defaults.get(kind, {}), **spec})
    if not 0 < len(specs) <= _MOST:
        raise ValueError(
            f"`{argument}` must name 1 to {_MOST}, e.g. "
            f'[{{"kind": "spectral"}}]. Received: {argument}={given!r}'
        )
    return specs


def make_discriminator(
    spec: Mapping[str, Any], name: str, available: Mapping[str, Any]
) -> Discriminator:
    """Builds a discriminator.

    Args:
        spec: its `kind`, and arguments of its class; beside them a `weight`
            of its losses, 1 by default, and `san`, whether its last layer
            learns apart; see `keras_audiogan.models.sliced_scores`.
        name: name of the network.
        available: what the model knows. A class takes of it the sizes of the
            sound, the dtype, and the arguments that it `shares`.

    Raises:
        ValueError: if it does not take an argument, or one is out of range.
    """
    options = dict(spec)
    kind = options.pop("kind")
    weight = options.pop("weight", 1.0)
    if not isinstance(weight, int | float) or not 0.0 <= weight < math.inf:
        raise ValueError(
            "`weight` of a discriminator must be a number, 0 or more. "
            f"Received: weight={weight!r} of {kind!r}"
        )
    san = options.pop("san", False)
    if not isinstance(san, bool):
        raise ValueError(
            "`san` of a discriminator must be true or false. "
            f"Received: san={san!r} of {kind!r}"
        )
    discriminator_class = _KINDS[kind]
    known = inspect.signature(discriminator_class.__init__).parameters
    allowed = sorted(set(known) - {"self", "name", *_CONTEXT})
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise ValueError(
            f"The discriminator {kind!r} takes the arguments {allowed}. "
            f"Received: {unknown}"
        )
    shared = {
        key: value
        for key, value in available.items()
        if key in known and key in (*_CONTEXT, *discriminator_class.shares)
    }
    try:
        built = discriminator_class(**{**shared, **options}, name=name)
    except (TypeError, ZeroDivisionError) as error:
        raise ValueError(
            f"The discriminator {kind!r} cannot be built from its arguments: "
            f"{error}. Received: {options}"
        ) from error
    built.loss_weight = float(weight)
    built.san = san
    return built


class Discriminator(BuiltNetwork):
    """Base class: audio `(batch, time, channels)` -> lists of feature maps.

    The result has one entry per sub-discriminator, each a list of feature
    maps with the logits last. A subclass defines `feature_maps`, and `views`
    where it looks at something else than the waveform.

    Attributes:
        view_scales: typical standard deviation of each view.
        num_scores: how many lists `feature_maps` returns.
        loss_weight: weight of its losses beside those of others.
        san: whether the direction of its last layers learns apart, for which
            `feature_maps` calls them by `score_of`.
        shares: arguments that it takes from the model, if that has them,
            unless they are given.
    """

    view_scales: tuple[float, ...] = (1.0,)
    num_scores: int = 1
    loss_weight: float = 1.0
    san: bool = False
    shares: tuple[str, ...] = ()

    def views(self, audio: Any, training: bool = False) -> list[Any]:
        """Returns what the discriminator looks at."""
        del training
        return [audio]

    def balanced_views(self, audio: Any, training: bool = False) -> list[Any]:
        """Returns the views of generated sound in a generator's update.

        Where several look on, the gradients that they send back are brought
        to one size, times their weights.
        """
        return self.views(audio, training)

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns the feature maps of views, per sub-discriminator.

        Those that know labels take the weights of the `classes`, `(batch,
        num_classes)`; the others overlook them.
        """
        raise TypeError(
            f"{type(self).__name__} must define "
            "`feature_maps(views, training, classes)`."
        )

    def score_of(self, layer: Any, x: Any, training: bool = False) -> Any:
        """Returns the logits that a last layer makes of features."""
        call = sliced_score if self.san else call_last
        return call(layer, x, training)

    def san_scores(self) -> list[bool]:
        """Returns of each list whether the last layer learns apart."""
        return [self.san] * self.num_scores

    def of_san(self, each: Sequence[Any], directions: Sequence[Any]) -> Any:
        """Returns what belongs to the scores whose last layer learns apart.

        Args:
            each: one thing for each list of maps.
            directions: what was collected of one call.

        Raises:
            ValueError: if a discriminator asks for that and cannot do it.
        """
        chosen = [
            one for one, san in zip(each, self.san_scores(), strict=True) if san
        ]
        if len(chosen) != len(directions):
            raise ValueError(
                "A discriminator with `san` must make each of its scores by "
                "`self.score_of(layer, features)`. Received: "
                f"{len(chosen)} scores, {len(directions)} of them so made"
            )
        return chosen

    def score_weights(self, mean: bool = False) -> list[float]:
        """Returns the weight of each list's loss.

        With `mean`, those of one discriminator add up to its own.
        """
        each = self.loss_weight / (self.num_scores if mean else 1)
        return [each] * self.num_scores

    def view_weights(self) -> list[float]:
        """Returns the weight of the penalty in each view."""
        return [self.loss_weight] * len(self.view_scales)

    def call(self, audio: Any, training: bool = False) -> list[list[Any]]:
        """Returns the feature maps of audio, per sub-discriminator."""
        return self.feature_maps(self.views(audio, training), training=training)


@register_discriminator("spectral")
class SpectralDiscriminator(Discriminator):
    """Looks at a log-mel spectrogram as a picture.

    Four strided 4 x 4 convolutions with leaky ReLU and one dense layer, after
    DCGAN (arXiv:1511.06434) without batch normalisation. A picture shows what
    is said; a waveform also shows phase, which hardly matters to the ear and
    which a discriminator of waveforms can always win by.

    Args:
        slice_length: samples of a clip.
        num_channels: channels of a clip.
        sampling_rate: in Hz.
        dim: channels after the first convolution; each further one has twice
            as many.
        num_mel_bins: bands of the picture.
        fft_length: window in samples.
        frame_step: hop in samples.
        min_frequency: lower edge of the lowest band, in Hz.
        num_classes: labels that it knows; 0 for none. With labels it is a
            projection discriminator (arXiv:1802.05637): the label chooses
            weights that are added to those of the last layer.
        augment: strength of the augmentation of the picture in training
            (see `SpectrogramAugment`): 1 for shifts of an eighth of the clip
            and cut-outs of a fifth, 0 for none.
        num_outputs: numbers that come last, 1 for a score.
    """

    def __init__(
        self,
        slice_length: int,
        num_channels: int,
        sampling_rate: int,
        dim: int = 32,
        num_mel_bins: int = 64,
        fft_length: int = 256,
        frame_step: int = 128,
        min_frequency: float = 40.0,
        num_classes: int = 0,
        augment: float = 0.0,
        minibatch_deviation: bool = False,
        num_outputs: int = 1,
        dtype: Any = None,
        name: str = "spectral",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        if dim < 1 or not 0.0 <= augment <= 4.0:
            raise ValueError(
                "`dim` of a spectral discriminator must be 1 or more, and "
                f"`augment` in [0, 4]. Received: dim={dim}, augment={augment}"
            )
        self.log_mel = LogMelSpectrogram(
            sampling_rate,
            num_mel_bins,
            fft_length,
            frame_step,
            min_frequency,
            name="log_mel",
        )
        self.augmentation = None
        if augment:
            self.augmentation = SpectrogramAugment(
                max_shift=int(augment * slice_length / frame_step / 8),
                max_gain=0.3 * augment,
                cutout=min(0.2 * augment, 0.8),
                fill=self.silence,
                name="augmentation",
            )
        widths = [num_channels, *(dim * 2**i for i in range(4))]
        self.convs = [
            self.make_layer(
                keras.layers.Conv2D,
                (None, None, widths[i]),
                widths[i + 1],
                4,
                strides=2,
                padding="same",
                data_format="channels_last",
                name=f"conv_{i}",
            )
            for i in range(4)
        ]
        frames = slice_length // frame_step
        self.minibatch_deviation = minibatch_deviation
        num_features = -(-frames // 16) * -(-num_mel_bins // 16)
        num_features *= widths[-1] + minibatch_deviation
        self.score = self.make_dense(
            num_features, num_outputs, "output", dtype="float32"
        )
        self.projection = None
        if num_classes:
            self.projection = self.make_dense(
                num_classes,
                num_features,
                use_bias=False,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
                name="projection",
                dtype="float32",
            )

    def views(self, audio: Any, training: bool = False) -> list[Any]:
        """Returns the log-mel spectrogram, roughly of mean 0, deviation 1."""
        picture = (self.log_mel(audio) + _LOG_MEL_SHIFT) / _LOG_MEL_SCALE
        if training and self.augmentation is not None:
            picture = self.augmentation(picture)
        return [picture]

    @property
    def silence(self) -> float:
        """The value of digital silence in the view."""
        return (math.log(self.log_mel.floor) + _LOG_MEL_SHIFT) / _LOG_MEL_SCALE

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns `[[features, ..., logits]]`, logits `(batch, outputs)`."""
        del training
        (x,) = views
        features = []
        for conv in self.convs:
            x = leaky_relu(conv(x), 0.2)
            features.append(x)
        if self.minibatch_deviation:
            x = beside_deviation(x)
        x = ops.reshape(x, (-1, x.shape[1] * x.shape[2] * x.shape[3]))
        logits = self.score_of(self.score, x)
        if classes is not None and self.projection is not None:
            x = ops.cast(x, "float32")
            weights = self.projection(classes)
            logits = logits + ops.sum(x * weights, axis=-1, keepdims=True)
        features.append(logits)
        return [features]


@register_discriminator("complex_stft")
class ComplexSTFTDiscriminator(Discriminator):
    """Looks at complex spectra, whose magnitudes are compressed.

    Five strided 5 x 5 convolutions with leaky ReLU and one dense layer for
    each resolution. Unlike a log-mel picture it shows phase, DC, and what
    lies between frames.

    Args:
        slice_length: samples of a clip.
        num_channels: channels of a clip.
        fft_lengths: windows in samples, one for each resolution; hops are a
            quarter of it.
        dim: channels after the first convolution; the second has twice, the
            others four times as many.
        exponent: power of the magnitudes.
        num_classes: labels that it knows; see `SpectralDiscriminator`.
        augment: as `SpectralDiscriminator`'s.
        minibatch_deviation: as `SpectralDiscriminator`'s.
        num_outputs: numbers that come last, 1 for a score.
    """

    def __init__(
        self,
        slice_length: int,
        num_channels: int,
        fft_lengths: Sequence[int] = (256,),
        dim: int = 16,
        exponent: float = 0.4,
        num_classes: int = 0,
        augment: float = 0.0,
        minibatch_deviation: bool = False,
        num_outputs: int = 1,
        dtype: Any = None,
        name: str = "complex_stft",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        if (
            not 0 < len(fft_lengths) <= _MOST
            or any(n < 16 or n % 8 or n > slice_length for n in fft_lengths)
            or dim < 1
            or not 0.0 <= augment <= 4.0
            or not 0.0 < exponent <= 1.0
        ):
            raise ValueError(
                f"`fft_lengths` must be 1 to {_MOST} multiples of 8, 16 or "
                "more and no longer than a clip, `dim` 1 or more, `augment` "
                "in [0, 4] and `exponent` in (0, 1]. Received: "
                f"fft_lengths={list(fft_lengths)}, "
                f"slice_length={slice_length}, dim={dim}, augment={augment}, "
                f"exponent={exponent}"
            )
        self.fft_lengths = list(fft_lengths)
        self.exponent = exponent
        self.minibatch_deviation = minibatch_deviation
        self.num_scores = len(self.fft_lengths)
        # Distances grow with the root of the size of a picture; in units of a
        # log-mel picture's of 128 x 64 penalties weigh as much.
        self.view_scales = tuple(
            math.sqrt(
                -(-slice_length // (n // 4)) * (n + 2) * num_channels / 8192
            )
            for n in self.fft_lengths
        )
        self.augmentations = [
            SpectrogramAugment(
                max_shift=int(augment * slice_length / (length // 4) / 8),
                max_gain=0.3 * augment,
                cutout=min(0.2 * augment, 0.8),
                logarithmic=False,
                name=f"augmentation_{r}",
            )
            for r, length in enumerate(self.fft_lengths if augment else ())
        ]
        widths = [2 * num_channels, dim, 2 * dim, *[4 * dim] * 3]
        self.stacks: list[list[Any]] = []
        self.scores: list[Any] = []
        self.projections: list[Any] = []
        for r, length in enumerate(self.fft_lengths):
            self.stacks.append(
                [
                    self.make_layer(
                        keras.layers.Conv2D,
                        (None, None, widths[i]),
                        widths[i + 1],
                        5,
                        strides=2,
                        padding="same",
                        data_format="channels_last",
                        name=f"resolution_{r}_conv_{i}",
                    )
                    for i in range(5)
                ]
            )
            frames = -(-slice_length // (length // 4))
            sizes = (-(-n // 32) for n in (frames, length // 2 + 1))
            num_features = math.prod(sizes) * (widths[-1] + minibatch_deviation)
            self.scores.append(
                self.make_dense(
                    num_features,
                    num_outputs,
                    f"resolution_{r}_output",
                    dtype="float32",
                )
            )
            if num_classes:
                self.projections.append(
                    self.make_dense(
                        num_classes,
                        num_features,
                        use_bias=False,
                        kernel_initializer=keras.initializers.RandomNormal(
                            stddev=0.02
                        ),
                        name=f"resolution_{r}_projection",
                        dtype="float32",
                    )
                )

    def views(self, audio: Any, training: bool = False) -> list[Any]:
        """Returns the compressed spectra, real beside imaginary parts.

        Each is `(batch, frames, bins, 2 * channels)`, of a deviation of
        roughly 1 where there is sound.
        """
        length, channels = audio.shape[1], audio.shape[2]
        rows = ops.reshape(ops.transpose(audio, (0, 2, 1)), (-1, length))
        views = []
        for r, fft_length in enumerate(self.fft_lengths):
            step = fft_length // 4
            padded = ops.pad(rows, [[0, 0], [0, -length % step]])
            real, imaginary = stft(padded, fft_length, step, "middle")
            # A sine at full scale has a magnitude of a quarter of the window.
            real, imaginary = 4 * real / fft_length, 4 * imaginary / fft_length
            power = ops.square(real) + ops.square(imaginary) + _SILENT_POWER
            gain = _COMPLEX_SCALE * ops.power(power, 0.5 * self.exponent - 0.5)
            view = ops.stack([real * gain, imaginary * gain], axis=-1)
            frames, bins = view.shape[1], view.shape[2]
            view = ops.reshape(view, (-1, channels, frames, bins, 2))
            view = ops.transpose(view, (0, 2, 3, 1, 4))
            view = ops.reshape(view, (-1, frames, bins, 2 * channels))
            if training and self.augmentations:
                view = self.augmentations[r](view)
            views.append(view)
        return views

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns one list of maps per resolution, `(batch, outputs)` last."""
        del training
        outputs = []
        for r, (x, convs) in enumerate(zip(views, self.stacks, strict=True)):
            features = []
            for conv in convs:
                x = leaky_relu(conv(x), 0.2)
                features.append(x)
            if self.minibatch_deviation:
                x = beside_deviation(x)
            x = ops.reshape(x, (-1, x.shape[1] * x.shape[2] * x.shape[3]))
            logits = self.score_of(self.scores[r], x)
            if classes is not None and self.projections:
                x = ops.cast(x, "float32")
                weights = self.projections[r](classes)
                logits = logits + ops.sum(x * weights, axis=-1, keepdims=True)
            outputs.append([*features, logits])
        return outputs


class MultiDiscriminator(Discriminator):
    """Several discriminators side by side.

    Args:
        discriminators: built discriminators.
    """

    def __init__(
        self,
        discriminators: list[Discriminator],
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        self.discriminators = discriminators
        self.view_scales = tuple(
            scale for each in discriminators for scale in each.view_scales
        )
        self.num_scores = sum(each.num_scores for each in discriminators)

    def views(self, audio: Any, training: bool = False) -> list[Any]:
        """Returns the view of each discriminator."""
        return [
            view
            for each in self.discriminators
            for view in each.views(audio, training)
        ]

    def balanced_views(self, audio: Any, training: bool = False) -> list[Any]:
        """Returns the views of copies that send back gradients of one size."""
        weights = [each.loss_weight for each in self.discriminators]
        copies = gradients.balanced_copies(audio, weights)
        return [
            view
            for each, copy in zip(self.discriminators, copies, strict=True)
            for view in each.views(copy, training)
        ]

    def feature_maps(
        self, views: list[Any], training: bool = False, classes: Any = None
    ) -> list[list[Any]]:
        """Returns one list of feature maps per sub-discriminator."""
        rest, outputs = list(views), []
        for each in self.discriminators:
            count = len(each.view_scales)
            outputs += each.feature_maps(rest[:count], training, classes)
            rest = rest[count:]
        return outputs

    def score_weights(self, mean: bool = False) -> list[float]:
        """Returns the weight of each list's loss."""
        return [w for d in self.discriminators for w in d.score_weights(mean)]

    def san_scores(self) -> list[bool]:
        """Returns of each list whether the last layer learns apart."""
        return [san for d in self.discriminators for san in d.san_scores()]

    def view_weights(self) -> list[float]:
        """Returns the weight of the penalty in each view."""
        return [w for d in self.discriminators for w in d.view_weights()]
