"""Converts checkpoints of the original musicnn (TensorFlow 1).

Source: https://github.com/jordipons/musicnn, whose wheel on PyPI holds them;
see `keras_audiogan.converters.judges`.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from keras_audiogan.converters import checkpoint_files
from keras_audiogan.converters.errors import ConversionError
from keras_audiogan.converters.network_weights import NetworkWeights
from keras_audiogan.converters.parts import Parts, build
from keras_audiogan.converters.tensorflow_checkpoint import (
    TensorFlowCheckpoint,
)
from keras_audiogan.converters.torch_files import Layer
from keras_audiogan.converters.wavegan import Contents, outline, read_apart

if TYPE_CHECKING:
    from keras_audiogan.models.musicnn import MusiCNN

_NUM_TIMBRAL, _NUM_TEMPORAL, _NUM_MID = 2, 3, 3
_VARIABLES = {
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "conv2d": ("kernel", "bias"),
    "dense": ("kernel", "bias"),
}


def _layers() -> dict[str, str]:
    """Their layers, numbered as they were made -> ours."""
    convolutions = [
        *(f"timbral_{i}" for i in range(_NUM_TIMBRAL)),
        *(f"temporal_{i}" for i in range(_NUM_TEMPORAL)),
        *(f"mid_{i}" for i in range(_NUM_MID)),
    ]
    norms = [
        "batch_norm_in",
        *(f"{name}_batch_norm" for name in convolutions),
        "batch_norm_pooled",
        "batch_norm_hidden",
    ]
    return {
        f"{kind}_{i}" if i else kind: ours
        for kind, names in (
            ("batch_normalization", norms),
            ("conv2d", convolutions),
            ("dense", ["hidden", "dense"]),
        )
        for i, ours in enumerate(names)
    }


_LAYERS = _layers()


def _named(layer: str) -> Iterable[str]:
    """The names of a layer's variables, without the layer's."""
    for kind, names in _VARIABLES.items():
        if layer.startswith(kind):
            return names
    return ()


def read_contents(
    prefix: str | pathlib.Path, networks: Collection[str] | None = None
) -> Contents:
    """Reads a checkpoint with TensorFlow, in this process.

    `networks` are those whose weights to read; None for all that are there.
    """
    checkpoint = TensorFlowCheckpoint(prefix)
    names = [f"{layer}/{name}" for layer in _LAYERS for name in _named(layer)]
    missing = [name for name in names if name not in checkpoint.shapes]
    if missing:
        raise ConversionError(
            f"{checkpoint.index_path} is not a checkpoint of musicnn: it has "
            f"no variable {missing[0]!r}."
        )
    config = _infer_config(checkpoint)
    wanted = networks is None or "classifier" in networks
    arrays = checkpoint.read(names) if wanted else {}
    return Contents("musicnn", config, ["classifier"], arrays)


def _infer_config(checkpoint: TensorFlowCheckpoint) -> dict[str, Any]:
    kernels = {
        ours: checkpoint.shapes[f"{theirs}/kernel"]
        for theirs, ours in _LAYERS.items()
        if not theirs.startswith("batch")
    }
    for ours, shape in kernels.items():
        rank = 2 if ours in ("hidden", "dense") else 4
        if len(shape) != rank:
            raise ConversionError(
                f"{checkpoint.index_path} is not a checkpoint of musicnn: "
                f"the kernel of {ours!r} must have {rank} dimensions. "
                f"Received: {shape}"
            )
    timbral = [kernels[f"timbral_{i}"] for i in range(_NUM_TIMBRAL)]
    temporal = [kernels[f"temporal_{i}"] for i in range(_NUM_TEMPORAL)]
    return {
        "timbral_heights": [shape[1] for shape in timbral],
        "temporal_lengths": [shape[0] for shape in temporal],
        "timbral_filters": timbral[0][3],
        "temporal_filters": temporal[0][3],
        "mid_filters": kernels["mid_0"][3],
        "units": kernels["hidden"][1],
        "num_labels": kernels["dense"][1],
    }


@dataclasses.dataclass
class ClassifierParts(Parts):
    """Parts of a model whose one network is a classifier."""

    @property
    def networks(self) -> dict[str, NetworkWeights]:
        """File stem of a preset -> weights."""
        return {"classifier": self.generator}


class MusiCNNConverter:
    """Converts checkpoints of the original musicnn."""

    def check(self, source: str | pathlib.Path) -> str | None:
        """Says why `source` is no checkpoint of musicnn; None if it is one."""
        try:
            prefix = checkpoint_files.find_checkpoint(source)
            # Starting TensorFlow takes seconds, and names are not compressed.
            index = checkpoint_files.index_of(prefix).read_bytes()
            others = (b"upconv_", b"downconv_", b"z_project")
            if b"batch_normalization/" in index and not any(
                name in index for name in others
            ):
                outline(prefix, __name__)
                return None
        except ConversionError as error:
            return str(error)
        return f"{prefix} is no checkpoint of musicnn."

    def list_networks(self, source: str | pathlib.Path) -> list[str]:
        """Returns which networks a checkpoint holds: the classifier."""
        del source
        return ["classifier"]

    def convert(
        self,
        source: str | pathlib.Path,
        *,
        labels: Sequence[str] | None = None,
        sampling_rate: int | None = None,
        slice_length: int | None = None,
        weights: Iterable[str] | None = None,
        dtype: Any = None,
    ) -> MusiCNN:
        """Converts a checkpoint of the original musicnn.

        TensorFlow must be installed, and reads the files in a process of its
        own, so this works on every backend.

        Args:
            source: the checkpoint's folder, prefix or `.index` file.
            labels: the tags; the files do not tell them. None numbers them.
            sampling_rate: in Hz; 16000, the original's, if None.
            slice_length: samples that further training looks at.
            weights: not used: there is one network.
            dtype: dtype policy of the network; Keras's global policy if None.

        Raises:
            MissingPackageError: if TensorFlow is not installed.
            ConversionError: if the files are damaged, hold something else, or
                have another number of tags.
        """
        del weights
        prefix = checkpoint_files.find_checkpoint(source)
        contents = read_apart(prefix, None, __name__)
        parts = make_parts(contents, prefix, labels)
        for name, value in (
            ("sampling_rate", sampling_rate),
            ("slice_length", slice_length),
        ):
            if value is not None:
                parts.config[name] = value
        return build(parts, dtype)


converter = MusiCNNConverter()
convert_musicnn = converter.convert


def make_parts(
    contents: Contents,
    prefix: pathlib.Path,
    labels: Sequence[str] | None = None,
    **options: Any,
) -> ClassifierParts:
    """Returns a checkpoint's contents as parts of our model.

    Args:
        contents: as `read_contents` returned them.
        prefix: of the checkpoint, for messages.
        labels: the tags; None numbers them.
        **options: further arguments of `MusiCNN`.
    """
    config = dict(contents.config)
    count = config.pop("num_labels")
    if labels is None:
        labels = [f"tag_{i}" for i in range(count)]
    if len(labels) != count:
        raise ConversionError(
            f"{prefix}: this checkpoint has {count} tags. "
            f"Received: {len(labels)} labels"
        )
    config |= {"labels": list(labels), "multi_label": True, **options}
    layers = {}
    for theirs, ours in _LAYERS.items():
        layer = layers[ours] = Layer(None, {}, {})
        for name in _named(theirs):
            values = contents.arrays[f"{theirs}/{name}"]
            if ours.startswith("mid_") and name == "kernel":
                # As tall as what it hears: one-dimensional.
                values = values[:, :, 0]
            layer.arrays[name] = values
            layer.sources[name] = f"{theirs}/{name}"
    weights = NetworkWeights(prefix, layers)
    return ClassifierParts(prefix, "musicnn", config, weights)
