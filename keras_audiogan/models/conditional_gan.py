"""`ConditionalGAN`: generators that are told what to say."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_audiogan.models.audio_gan import AudioGAN, Batch


class ConditionalGAN(AudioGAN):
    """An `AudioGAN` whose generator and discriminator see a label.

    A batch must hold `"labels"`: integers `(rows,)`. The networks take them
    as `classes`, float rows of one weight per label that add up to 1:
    one-hot in training, anything between in `interpolate`.

    - The generator is called with `[latents, classes]`.
    - The discriminator's `judge` gets `classes=`, unless the architecture
      overrides `_features`.

    Args:
        labels: names of the classes, two or more.
        **kwargs: as `AudioGAN`.

    Raises:
        ValueError: if there are fewer than two labels, or one twice.
    """

    conditional = True
    labels: tuple[str, ...]

    def __init__(self, *, labels: Any, **kwargs: Any) -> None:
        check_labels(labels)
        super().__init__(labels=labels, **kwargs)

    @property
    def num_classes(self) -> int:
        """How many labels the generator knows."""
        return len(self.labels)

    def _as_batch(self, data: Any) -> Batch:
        batch = super()._as_batch(data)
        if "labels" not in batch:
            raise ValueError(
                f"{type(self).__name__} is trained with labels: pass a dict "
                'with "audio" and "labels" (integers), or `fit(audio, '
                f"labels)`. Received: {sorted(batch)}"
            )
        labels = ops.reshape(ops.cast(batch["labels"], "int32"), (-1,))
        batch["labels"] = labels
        batch["classes"] = ops.one_hot(
            labels, self.num_classes, dtype="float32"
        )
        return batch

    def _generated(self, latents: Any, batch: Batch) -> Any:
        return self.generator([latents, batch["classes"]], training=True)

    def _features(self, views: list[Any], batch: Batch) -> list[list[Any]]:
        # Not every discriminator takes classes; those of this family do.
        judge: Any = self.discriminator.judge
        return judge(views, training=True, classes=batch["classes"])

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Audio of `[latents, classes]`, from the generator's average."""
        del training
        return self.ema_generator(list(inputs), training=False)


def check_labels(labels: Any) -> None:
    """Checks the labels of a conditional architecture.

    Raises:
        ValueError: if there are fewer than two, or one is there twice.
    """
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
