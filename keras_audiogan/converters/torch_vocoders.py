"""A vocoder of ours out of the parts of a PyTorch checkpoint."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
from typing import TYPE_CHECKING, Any

from keras_audiogan.converters.errors import ConversionError
from keras_audiogan.converters.network_weights import NetworkWeights

if TYPE_CHECKING:
    from keras_audiogan.models import Vocoder

logger = logging.getLogger(__name__)


@dataclasses.dataclass
class Parts:
    """What a checkpoint holds, read and checked, before Keras is imported.

    Attributes:
        path: the file of the generator, for messages.
        architecture: a name of the registry.
        config: arguments of its class.
        generator: the generator's weights.
        discriminator: the discriminator's, if the checkpoint has one.
    """

    path: pathlib.Path
    architecture: str
    config: dict[str, Any]
    generator: NetworkWeights
    discriminator: NetworkWeights | None = None

    @property
    def networks(self) -> dict[str, NetworkWeights]:
        """File stem of a preset -> weights."""
        networks = {"generator": self.generator}
        if self.discriminator is not None:
            networks["discriminator"] = self.discriminator
        return networks


def build(parts: Parts, dtype: Any = None) -> Vocoder:
    """Builds the vocoder and assigns its weights.

    Shapes are compared before any memory is taken for a model.

    Args:
        parts: what was read.
        dtype: dtype policy of the networks; Keras's global policy if None.

    Raises:
        ConversionError: if options and tensors do not fit each other.
    """
    from keras_audiogan.models.registry import get_architecture
    from keras_audiogan.presets.model_sizes import (
        measure_model,
        weights_by_name,
    )

    model_class: Any = get_architecture(parts.architecture)
    # The originals take a file's level as it is in use.
    config = {"level": "keep", **parts.config}
    if dtype is not None:
        config["dtype"] = dtype
    try:
        sizes = measure_model(model_class, config)
    except Exception as error:
        # Whatever a constructor raises, the arguments are a stranger's.
        raise ConversionError(
            f"{parts.path}: its options describe a {model_class.__name__} "
            "that has no counterpart here: "
            f"{type(error).__name__}: {str(error)[:500]}"
        ) from error
    for stem, weights in parts.networks.items():
        weights.check(sizes.shapes[stem])
    model = model_class(**config)
    for stem, weights in parts.networks.items():
        weights.assign(weights_by_name(model.preset_weights[stem]))
    model.on_preset_loaded(set(parts.networks))
    if parts.discriminator is None:
        logger.info("%s holds no discriminator.", parts.path)
    return model


def check_sampling_rate(
    path: pathlib.Path, stated: int, asked: int | None
) -> None:
    """Refuses a sampling rate other than the checkpoint's own.

    Raises:
        ConversionError: if `asked` is one.
    """
    if asked is not None and asked != stated:
        raise ConversionError(
            f"{path} was trained at {stated} Hz, and its mel features are "
            f"those of that rate. Received: sampling_rate={asked}"
        )


def whole_frames(num_samples: int, frame_step: int) -> int:
    """Returns a clip's length cut to whole frames, at least one."""
    return max(1, num_samples // frame_step) * frame_step
