"""From the layers of a state dict to the weights of one of our networks."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_audiogan.converters.errors import ConversionError
from keras_audiogan.converters.torch_files import Layer, StateDict

# Options of Parallel WaveGAN's WaveNets: ours, theirs and their default.
WAVENET_OPTIONS: Mapping[str, tuple[str, Any]] = {
    "num_layers": ("layers", 30),
    "num_stacks": ("stacks", 3),
    "kernel_size": ("kernel_size", 3),
    "residual_channels": ("residual_channels", 64),
    "gate_channels": ("gate_channels", 128),
    "skip_channels": ("skip_channels", 64),
    "use_bias": ("bias", True),
    "causal": ("use_causal_conv", False),
}
# Their last layers: ours and theirs.
WAVENET_ENDS = (
    ("conv_out_0", "last_conv_layers.1"),
    ("conv_out_1", "last_conv_layers.3"),
)


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a layer of ours comes from.

    Attributes:
        target: our layer's name.
        name: the layer's name in the file.
        kind: `"linear"`, `"conv1d"`, `"conv1d_transpose"` or `"conv2d"`.
        bias: whether it must have a bias; None: if the file has one.
    """

    target: str
    name: str
    kind: str = "conv1d"
    bias: bool | None = None


class NetworkWeights:
    """One network's layers, read whole before a model takes memory.

    Args:
        path: the file, for messages.
        layers: our layer's name -> the layer.
    """

    def __init__(self, path: pathlib.Path, layers: dict[str, Layer]) -> None:
        self.path = path
        self.layers = layers
        self._places = dict.fromkeys(layers, str(path))

    @classmethod
    def read(
        cls,
        state: StateDict,
        sources: Sequence[Source],
        ignored: Sequence[str] = (),
    ) -> NetworkWeights:
        """Reads a network; `ignored` are prefixes of tensors of no use here."""
        weights = cls(state.path, {})
        weights.add(state, sources, ignored)
        return weights

    @classmethod
    def side_by_side(
        cls, parts: Mapping[str, NetworkWeights]
    ) -> NetworkWeights:
        """Returns networks as one, each under its name."""
        (first, *_) = parts.values()
        joined = cls(first.path, {})
        for name, part in parts.items():
            for target, layer in part.layers.items():
                joined.layers[f"{name}/{target}"] = layer
                joined._places[f"{name}/{target}"] = part._places[target]
        return joined

    def add_layers(self, layers: Mapping[str, Layer]) -> None:
        """Adds layers that were read already."""
        self.layers.update(layers)
        self._places.update(dict.fromkeys(layers, str(self.path)))

    def add(
        self,
        state: StateDict,
        sources: Sequence[Source],
        ignored: Sequence[str] = (),
    ) -> None:
        """Adds layers of another state dict; arguments as those of `read`."""
        for source in sources:
            self.layers[source.target] = state.layer(
                source.name, source.kind, source.bias
            )
            self._places[source.target] = state.place
        state.ignore([n for n in state if n.startswith(tuple(ignored))])
        state.check_all_read()

    def add_identity(self, target: str, num_channels: int) -> None:
        """Adds a convolution of one tap that changes nothing."""
        source = f"an identity of {num_channels} channels"
        kernel = np.eye(num_channels, dtype="float32")[None]
        norm = self.norm()
        arrays = {"kernel": kernel}
        if norm == "weight":
            gain = np.ones(num_channels, "float32")
            arrays = {"direction": kernel, "gain": gain}
        self._places[target] = str(self.path)
        self.layers[target] = Layer(norm, arrays, dict.fromkeys(arrays, source))

    def norm(self, prefix: str = "", *others: str) -> str | None:
        """Returns the norm that all layers have, fusing it if they differ.

        Args:
            prefix: of our layers' names; only these are looked at.
            *others: norms beside weight norm that our network can have.
        """
        targets = [name for name in self.layers if name.startswith(prefix)]
        norms = {self.layers[name].norm for name in targets}
        if len(norms) == 1 and norms <= {None, "weight", *others}:
            return norms.pop()
        for name in targets:
            self.layers[name] = self.layers[name].fused()
        return None

    def check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Compares with our network's variables, by name and shape."""
        held = {
            f"{target}/{name}": (
                layer.arrays[name].shape,
                f"{self._places[target]}: tensor {layer.sources[name]!r}",
            )
            for target, layer in self.layers.items()
            for name in layer.arrays
        }
        for path, shape in shapes.items():
            if path not in held:
                raise ConversionError(
                    f"{self.path}: nothing in it is for our "
                    f"{path!r}, of shape {shape}. Its options and its "
                    "tensors do not fit each other."
                )
            received, place = held.pop(path)
            if received != shape:
                raise ConversionError(
                    f"{place} does not have the shape that the options call "
                    f"for. Expected: {shape} (as Keras has it). "
                    f"Received: {received}"
                )
        for _, place in held.values():
            raise ConversionError(
                f"{place} is not in the network that the options describe."
            )

    def assign(self, variables: Mapping[str, Any]) -> None:
        """Assigns to our variables by name; `check` must have passed."""
        for target, layer in self.layers.items():
            for name, values in layer.arrays.items():
                variables[f"{target}/{name}"].assign(values)


def convolutions(
    names: Iterable[tuple[str, str]],
    bias: bool | None,
    kind: str = "conv1d",
) -> list[Source]:
    """Layers of one kind, as (our name, theirs)."""
    return [Source(ours, theirs, kind, bias) for ours, theirs in names]


def residual_stack(
    ours: str, theirs: str, parts: Sequence[str], bias: bool | None
) -> list[Source]:
    """Layers of a MelGAN's residual stack.

    `parts` are their names of the dilated convolution, the last and the skip.
    """
    names = zip(("conv", "out", "skip"), parts, strict=True)
    return convolutions(
        ((f"{ours}_{our}", f"{theirs}.{their}") for our, their in names), bias
    )


def melgan_generator(
    num_upsamples: int, num_stacks: int, is_causal: bool, bias: bool | None
) -> list[Source]:
    """Layers of kan-bayashi's MelGAN generator, in one `Sequential`."""
    if is_causal:
        index, conv, deconv = 0, ".conv", ".deconv"
        parts = ["stack.1.conv", "stack.3", "skip_layer"]
    else:
        index, conv, deconv = 1, "", ""
        parts = ["stack.2", "stack.4", "skip_layer"]
    sources = [Source("conv_in", f"melgan.{index}{conv}", bias=bias)]
    index += 2
    for i in range(num_upsamples):
        theirs = f"melgan.{index}{deconv}"
        sources.append(
            Source(f"upsample_{i}", theirs, "conv1d_transpose", bias)
        )
        for j in range(num_stacks):
            index += 1
            sources += residual_stack(
                f"stack_{i}_{j}", f"melgan.{index}", parts, bias
            )
        index += 2
    index += 0 if is_causal else 1
    sources.append(Source("conv_out", f"melgan.{index}{conv}", bias=bias))
    return sources


def hifigan_generator(
    num_upsamples: int,
    dilations: Sequence[Sequence[int]],
    has_second_convs: bool,
    names: Mapping[str, str],
    bias: bool | None,
) -> list[Source]:
    """Layers of a HiFi-GAN generator.

    Args:
        num_upsamples: number of upsampling layers.
        dilations: of each kernel size, its blocks' dilations.
        has_second_convs: whether blocks are of the first kind.
        names: our `"conv_in"`, `"upsample"`, `"conv1"`, `"conv2"` and
            `"conv_out"` -> theirs, with `{i}`, `{k}` and `{j}` for indices.
        bias: as `Source` has it.
    """
    parts = ("conv1", "conv2") if has_second_convs else ("conv1",)
    sources = [Source("conv_in", names["conv_in"], bias=bias)]
    for i in range(num_upsamples):
        name = names["upsample"].format(i=i)
        sources.append(Source(f"upsample_{i}", name, "conv1d_transpose", bias))
        for index, of_block in enumerate(dilations):
            k = i * len(dilations) + index
            pairs = [
                (f"block_{k}_{part}_{j}", names[part].format(k=k, j=j))
                for j in range(len(of_block))
                for part in parts
            ]
            sources += convolutions(pairs, bias)
    sources.append(Source("conv_out", names["conv_out"], bias=bias))
    return sources


def residual_blocks(
    num_layers: int, has_aux: bool, bias: bool | None
) -> list[Source]:
    """Layers of Parallel WaveGAN's WaveNet blocks."""
    parts = [("conv", "conv", bias), ("aux", "conv1x1_aux", False)]
    parts += [(part, f"conv1x1_{part}", bias) for part in ("out", "skip")]
    return [
        Source(f"block_{i}_{ours}", f"conv_layers.{i}.{theirs}", bias=has_bias)
        for i in range(num_layers)
        for ours, theirs, has_bias in parts
        if has_aux or ours != "aux"
    ]
