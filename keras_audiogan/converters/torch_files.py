"""Reads files that PyTorch wrote, and never runs what is in them.

A PyTorch file is a pickle, which can name any function and have it called.
`torch.load(weights_only=True)` knows tensors, numbers and containers and
refuses everything else; nothing here reads a file in another way. What it
cannot guard against is checked before: archives that unfold to many times
their size. What comes out is checked after: views that are larger than what
they look at, numbers that are not finite.
"""

from __future__ import annotations

import collections
import dataclasses
import pathlib
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from keras_audiogan.converters.errors import (
    ConversionError,
    MissingPackageError,
    refuse_pointer,
)

# Earlier releases' `weights_only` can be led astray by a crafted file
# (CVE-2025-32434, CVE-2026-24747).
_OLDEST_TORCH = (2, 10)
_MAX_RANK = 4
_MAX_PICKLE_SIZE = 1 << 20
_AXES = {
    "linear": (1, 0),
    "conv1d": (2, 1, 0),
    "conv1d_transpose": (2, 1, 0),
    "conv2d": (2, 3, 1, 0),
    # Over (frequency, time) in the file, over (time, frequency) here.
    "conv2d_swapped": (3, 2, 1, 0),
}
# Norm, and what the tensors of such a layer's weight are called below it:
# plain; as `torch.nn.utils` names them; as `torch.nn.utils.parametrizations`
# does.
_NEW = "parametrizations.weight"
_FORMS = (
    (None, ("weight",)),
    ("spectral", ("weight_orig", "weight_u", "weight_v")),
    ("spectral", (f"{_NEW}.original", f"{_NEW}.0._u", f"{_NEW}.0._v")),
    ("weight", ("weight_g", "weight_v")),
    ("weight", (f"{_NEW}.original0", f"{_NEW}.original1")),
)
# Norm -> what we call them.
_PARTS: dict[str | None, tuple[str, ...]] = {
    None: ("kernel",),
    "spectral": ("kernel", "left", "right"),
    "weight": ("gain", "direction"),
}


def import_torch() -> Any:
    """Returns PyTorch, if it can be trusted with a stranger's file."""
    try:
        import torch
    except ImportError as error:
        raise MissingPackageError(
            "Reading a PyTorch checkpoint needs PyTorch. Install it with "
            "pip install 'keras-audiogan[convert]'. "
            f"Received: {error}"
        ) from error
    version = tuple(int(n) for n in re.findall(r"\d+", torch.__version__)[:2])
    if version < _OLDEST_TORCH:
        raise MissingPackageError(
            "This PyTorch can be led astray by a crafted file even with "
            "weights_only=True. Install a newer one with pip install "
            f"'torch>={'.'.join(map(str, _OLDEST_TORCH))}'. "
            f"Received: torch {torch.__version__}"
        )
    return torch


class _NumberType:
    """Stands in for `numpy.dtype` in a pickle: a code and nothing else."""

    def __init__(self, code: str, *_: Any) -> None:
        self.code = str(code)

    def __setstate__(self, state: Any) -> None:
        """Takes the byte order out of a pickled dtype's state."""
        order = state[1] if len(state) > 1 else "<"
        self.order = order if order in ("<", ">") else "<"


def _number(kind: _NumberType, data: bytes) -> float | int | bool:
    """Stands in for NumPy's unpickling of one number."""
    if not re.fullmatch(r"[fiub][1248]", kind.code):
        raise pickle.UnpicklingError(f"a NumPy number of type {kind.code!r}")
    order = getattr(kind, "order", "<")
    return np.frombuffer(data, np.dtype(order + kind.code), count=1)[0].item()


# Trainers keep a loss or a learning rate as a NumPy number, and milestones in
# a Counter. None of these runs anything.
_HARMLESS: list[Any] = [
    (_NumberType, "numpy.dtype"),
    (_number, "numpy.core.multiarray.scalar"),
    (_number, "numpy._core.multiarray.scalar"),
    collections.Counter,
    collections.defaultdict,
    (_NumberType, f"{_NumberType.__module__}._NumberType"),
]


def read_torch_file(path: str | pathlib.Path) -> Any:
    """Returns what a PyTorch file holds, with its tensors as PyTorch's.

    Tensors of newer files stay on the disk until they are looked at.

    Raises:
        ConversionError: if PyTorch is absent, the file is damaged, or it
            holds more than tensors, numbers and containers.
    """
    torch = import_torch()
    path = pathlib.Path(path)
    refuse_pointer(path)
    try:
        is_archive = zipfile.is_zipfile(path)
        if is_archive:
            _check_archive(path)
        with (
            warnings.catch_warnings(),
            torch.serialization.safe_globals(_HARMLESS),
        ):
            warnings.simplefilter("ignore")
            return torch.load(
                str(path),
                map_location="cpu",
                weights_only=True,
                mmap=is_archive,
            )
    except ConversionError:
        raise
    except FileNotFoundError as error:
        raise ConversionError(f"{path}: there is no such file.") from error
    except Exception as error:
        # A damaged pickle makes PyTorch raise almost anything.
        raise ConversionError(_explain(path, error)) from error


def require(path: pathlib.Path, held: Any, *names: str) -> Mapping[str, Any]:
    """Returns what a file holds; it must be a dict with these names in it."""
    if isinstance(held, Mapping) and set(names) <= set(held):
        return held
    received = list(held) if isinstance(held, Mapping) else type(held).__name__
    raise ConversionError(
        f"{path}: expected {', '.join(map(repr, names))} in it. Received: "
        f"{str(received)[:200]}"
    )


def _check_archive(path: pathlib.Path) -> None:
    """Refuses archives whose members are larger than the file."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    packed = [m.filename for m in members if m.compress_type]
    total = sum(member.file_size for member in members)
    if packed or total > path.stat().st_size:
        raise ConversionError(
            f"{path}: this is not as PyTorch writes it: its members are "
            f"compressed, or claim {total} bytes in a file of "
            f"{path.stat().st_size}. It was not read."
        )


def _explain(path: pathlib.Path, error: Exception) -> str:
    text = " ".join(str(error).split())
    match = re.search(r"GLOBAL (\S+)", text)
    wanted = [match.group(1)] if match else _named_globals(path)
    if wanted:
        return (
            f"{path}: it was refused, since reading it would run code: it "
            f"wants {', '.join(wanted)}. Only tensors, numbers and containers "
            "are read. If you trust its author, load it with their own code "
            "and save its state dict alone."
        )
    return (
        f"{path}: this is not a PyTorch file that can be read, or it is "
        "damaged or cut short; fetch it again. "
        f"Received: {type(error).__name__}: {text[:300]}"
    )


def _named_globals(path: pathlib.Path) -> list[str]:
    """Returns what a plain pickle names, without unpickling it."""
    with path.open("rb") as file:
        data = file.read(_MAX_PICKLE_SIZE)
    if not data.startswith(b"\x80"):
        return []
    found: dict[str, None] = {}
    strings = [""]
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "GLOBAL":
                found[str(argument).replace(" ", ".")[:100]] = None
            elif opcode.name == "STACK_GLOBAL":
                found[".".join(strings[-2:])[:100]] = None
            elif "UNICODE" in opcode.name:
                strings = [strings[-1], str(argument)]
    except ValueError:
        # It ends here, or is damaged here: what was named before counts.
        pass
    known = {"torch._utils", "collections", "torch.storage"}
    return [g for g in found if g.rpartition(".")[0] not in known][:4]


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of a checkpoint, in our layouts.

    Attributes:
        norm: `"weight"`, `"spectral"` or None.
        arrays: our variable's name (`"kernel"`, or `"direction"` and
            `"gain"`, or `"kernel"`, `"left"` and `"right"`; `"bias"`) ->
            float32 values. `right` runs over channels, then over taps.
        sources: our variable's name -> the tensor in the file.
    """

    norm: str | None
    arrays: dict[str, np.ndarray]
    sources: dict[str, str]

    def fused(self) -> Layer:
        """Returns the layer with its normalisation multiplied out."""
        if self.norm is None:
            return self
        bias = {n: a for n, a in self.arrays.items() if n == "bias"}
        if self.norm == "weight":
            direction = self.arrays["direction"].astype("float64")
            axes = tuple(range(direction.ndim - 1))
            norms = np.sqrt(np.sum(direction**2, axis=axes, keepdims=True))
            kernel = direction / norms * self.arrays["gain"]
            source = self.sources["direction"]
        else:
            raw = self.arrays["kernel"].astype("float64")
            order = (raw.ndim - 1, raw.ndim - 2, *range(raw.ndim - 2))
            matrix = np.transpose(raw, order).reshape(raw.shape[-1], -1)
            sigma = self.arrays["left"] @ matrix @ self.arrays["right"]
            kernel, source = raw / sigma, self.sources["kernel"]
        return Layer(
            None,
            {"kernel": kernel.astype("float32"), **bias},
            {**self.sources, "kernel": source},
        )


class StateDict:
    """The tensors of one network in a PyTorch file.

    Args:
        path: the file, for messages.
        tensors: what should be a state dict.
        entry: where it was found in the file, e.g. `"model/generator"`.

    Raises:
        ConversionError: if it is not a dict of plain tensors by name.
    """

    def __init__(
        self, path: str | pathlib.Path, tensors: Any, entry: str = ""
    ) -> None:
        self.path = pathlib.Path(path)
        self.entry = entry
        torch = import_torch()
        is_dict = isinstance(tensors, Mapping)
        odd = [
            f"{str(name)[:100]!r}, which is {type(tensor).__name__}"
            for name, tensor in (tensors.items() if is_dict else ())
            if not (isinstance(name, str) and isinstance(tensor, torch.Tensor))
        ]
        if odd or not is_dict or not tensors:
            received = "an empty dict" if is_dict else type(tensors).__name__
            raise ConversionError(
                f"{self.place}: expected a dict of tensors by name. "
                f"Received: {odd[0] if odd else received}"
            )
        # A network may have been saved as torch.nn.DataParallel wrapped it.
        is_wrapped = all(name.startswith("module.") for name in tensors)
        self._tensors: dict[str, Any] = {
            name.removeprefix("module.") if is_wrapped else name: tensor
            for name, tensor in tensors.items()
        }
        self._unread = set(self._tensors)

    @property
    def place(self) -> str:
        """The file and what of it this is, for messages."""
        return f"{self.path}, {self.entry!r}" if self.entry else str(self.path)

    def error(self, tensor: str, problem: str) -> ConversionError:
        """Returns an error that names the file and a tensor."""
        return ConversionError(f"{self.place}: tensor {tensor!r} {problem}")

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def __iter__(self) -> Any:
        return iter(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a tensor, in PyTorch's layout."""
        if name not in self._tensors:
            raise self.error(name, "is missing.")
        return tuple(int(size) for size in self._tensors[name].shape)

    def _weight(self, layer: str) -> tuple[str | None, dict[str, str]]:
        """Returns a layer's norm, and our part -> the tensor's name."""
        # The first tensor tells: spectral norm's v has weight norm's name.
        found = [
            (norm, [f"{layer}.{suffix}" for suffix in suffixes])
            for norm, suffixes in _FORMS
            if f"{layer}.{suffixes[0]}" in self._tensors
        ]
        if not found:
            raise self.error(f"{layer}.weight", "is missing.")
        if len(found) > 1:
            raise self.error(
                found[-1][1][0], "is there beside another form of the weight."
            )
        norm, names = found[0]
        return norm, dict(zip(_PARTS[norm], names, strict=True))

    def kernel_shape(self, layer: str, rank: int | None = 3) -> tuple[int, ...]:
        """Returns the shape of a convolution's kernel, however it is stored.

        `rank` is the number of dimensions that it must have; None for any.
        """
        _, names = self._weight(layer)
        name = names.get("direction") or names["kernel"]
        shape = self.shape(name)
        if len(shape) != (rank or len(shape)) or len(shape) < 3:
            raise self.error(name, f"is no convolution's. Received: {shape}")
        return shape

    def read(self, name: str, rank: int | None = None) -> np.ndarray:
        """Returns a tensor as float32; `rank` is as for `kernel_shape`."""
        shape = self.shape(name)
        tensor = self._tensors[name].detach()
        torch = import_torch()
        if (
            tensor.layout is not torch.strided
            or tensor.device.type != "cpu"
            or tensor.is_quantized
            or tensor.is_complex()
        ):
            raise self.error(
                name,
                "is not a plain tensor of real numbers. Received: "
                f"{tensor.dtype}, {tensor.layout}, on {tensor.device}",
            )
        if rank is not None and len(shape) != rank or len(shape) > _MAX_RANK:
            raise self.error(
                name,
                f"should have {_MAX_RANK if rank is None else rank} "
                f"dimensions. Received: shape {shape}",
            )
        stored = tensor.untyped_storage().nbytes()
        if tensor.numel() * tensor.element_size() > stored:
            raise self.error(
                name,
                f"claims the shape {shape}, and the file holds only {stored} "
                "bytes of it.",
            )
        # A copy: the tensor may be a map of a file that someone rewrites.
        values = np.array(tensor.to(torch.float32).contiguous().numpy())
        if not np.isfinite(values).all():
            raise self.error(
                name,
                "holds NaN or infinity. Training had diverged; convert an "
                "earlier checkpoint.",
            )
        self._unread.discard(name)
        return values

    def layer(self, name: str, kind: str, bias: bool | None = None) -> Layer:
        """Returns a convolution; arguments are those of a `Source`."""
        axes = _AXES[kind]
        norm, sources = self._weight(name)
        arrays = {}
        kernel, shapes = "kernel" if "kernel" in sources else "direction", {}
        raw = self.read(sources[kernel], len(axes))
        if norm == "weight":
            shapes["gain"] = (len(raw),) + (1,) * (raw.ndim - 1)
            if not np.square(raw).sum(tuple(range(1, raw.ndim))).all():
                raise self.error(
                    sources[kernel],
                    "has a channel of zeros, which has no direction.",
                )
        elif norm == "spectral":
            shapes = {"left": (len(raw),), "right": (raw[:1].size,)}
        arrays[kernel] = np.transpose(raw, axes)
        for part, shape in shapes.items():
            values = self.read(sources[part], len(shape))
            if values.shape != shape:
                raise self.error(
                    sources[part],
                    f"should have the shape {shape}. Received: {values.shape}",
                )
            if part == "right":
                # Our taps may stand in another order than the file's.
                order = (0, *(axis - 1 for axis in axes[:-2]))
                values = values.reshape(raw.shape[1:]).transpose(order)
            arrays[part] = values.reshape(-1)
        source = f"{name}.bias"
        if bias or (bias is None and source in self._tensors):
            arrays["bias"], sources["bias"] = self.read(source, 1), source
        return Layer(norm, arrays, sources)

    def ignore(self, names: Iterable[str]) -> None:
        """Marks tensors as known and of no use here."""
        self._unread.difference_update(names)

    def check_all_read(self) -> None:
        """Refuses tensors that nothing asked for."""
        if self._unread:
            raise self.error(
                min(self._unread),
                "is none of this network's. "
                f"Received: {len(self._unread)} such tensors",
            )


def read_networks(path: pathlib.Path, *names: str) -> list[StateDict]:
    """Returns the state dicts that a PyTorch file holds by these names."""
    held = require(path, read_torch_file(path), *names)
    return [StateDict(path, held[name], name) for name in names]
