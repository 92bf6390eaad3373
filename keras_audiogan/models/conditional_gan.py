"""`ConditionalGAN`: generators that are told what to say."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_audiogan.models.adversarial import Batch
from keras_audiogan.models.audio_gan import AudioGAN
from keras_audiogan.models.batches import (
    check_classes,
    check_index_shape,
    check_latents,
)
from keras_audiogan.models.diagram import zeros
from keras_audiogan.models.playing import Playing


class ConditionalGAN(Playing, AudioGAN):
    """An `AudioGAN` whose generator and discriminator see a label.

    A batch must hold `"labels"`: integers `(rows,)`. The networks take them
    as `classes`, float rows of one weight per label that add up to 1:
    one-hot in training, anything between in `interpolate`.

    - The generator is called with `[latents, classes]`, and told
      `num_classes`.
    - The discriminator's `feature_maps` gets `classes=`.

    Args:
        labels: names of the classes, two or more.
        **kwargs: as `AudioGAN`.

    Raises:
        ValueError: if there are fewer than two labels, or one twice.
    """

    conditional = True
    leading_arguments = ("labels",)
    derived_arguments: tuple[str, ...] = ("num_classes",)
    labels: tuple[str, ...]

    def __init__(
        self,
        labels: tuple[str, ...] | list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        check_labels(labels)
        super().__init__(labels=labels, **kwargs)

    @property
    def num_classes(self) -> int:
        """How many labels the generator knows."""
        return len(self.labels)

    def network_context(self) -> dict[str, Any]:
        """Returns the `derived_arguments` of networks."""
        return {"num_classes": self.num_classes}

    def as_batch(self, data: Any) -> Batch:
        """Returns what `fit` was given as a dict, with `"classes"`."""
        batch = super().as_batch(data)
        if "labels" not in batch:
            raise ValueError(
                f"{type(self).__name__} is trained with labels: pass a dict "
                'with "audio" and "labels" (integers), or `fit(audio, '
                f"labels)`. Received: {sorted(batch)}"
            )
        check_index_shape(batch["labels"].shape, self.num_classes)
        labels = ops.reshape(ops.cast(batch["labels"], "int32"), (-1,))
        batch["labels"] = labels
        batch["classes"] = ops.one_hot(
            labels, self.num_classes, dtype="float32"
        )
        return batch

    def _generated(self, latents: Any, batch: Batch) -> Any:
        return self.generator([latents, batch["classes"]], training=True)

    def _features(self, views: list[Any], batch: Batch) -> list[list[Any]]:
        return self.discriminator.feature_maps(
            views, training=True, classes=batch["classes"]
        )

    def example_inputs(self) -> list[Any]:
        """Returns a latent of zeros, and weights of the labels."""
        return [*super().example_inputs(), zeros(self.num_classes)]

    def check_inputs(self, inputs: Any) -> None:
        """Raises a ValueError if `call` can make no sound of the inputs."""
        if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
            given = getattr(inputs, "shape", None)
            raise ValueError(
                f"{type(self).__name__} is called with two tensors, [latents, "
                f"classes] of (batch, {self.latent_dim}) and (batch, "
                f"{self.num_classes}); `sample(labels=...)` takes names. "
                f"Received: {type(inputs).__name__}"
                + ("" if given is None else f" of shape {tuple(given)}")
            )
        check_latents(inputs[0], self.latent_dim)
        check_classes(inputs[1], self.labels)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Audio of `[latents, classes]`, from the generator's average."""
        del training
        made = self.ema_generator(list(inputs), training=False)
        return self.representation.synthesise(made)


def check_labels(labels: Any) -> None:
    """Raises a ValueError for fewer than two labels, or one twice."""
    names = () if labels is None else tuple(labels)
    if (
        isinstance(labels, str)
        or len(names) < 2
        or len(set(names)) != len(names)
    ):
        raise ValueError(
            "A conditional generator needs two labels or more, each once, "
            f'e.g. labels=("zero", "one"). Received: labels={labels!r}'
        )
