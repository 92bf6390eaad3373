"""safetensors files: written byte for byte alike, read with distrust.

The format is that of https://github.com/huggingface/safetensors: 8 bytes
with the length of a JSON header, the header, the tensors. Different from that
library's own functions: the header is read and checked alone, before memory
is taken for anything it claims, and without NumPy; the same tensors give the
same bytes, so that a preset has one hash; and one tensor at a time is turned
into its storage form.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from keras_audiogan.presets.strict_json import (
    MAX_JSON_BYTES,
    PresetError,
    open_regular,
    parse_json,
)

if TYPE_CHECKING:
    import numpy as np

MAX_RANK = 8
# 4 GiB of float32, far beyond any generator of sound.
MAX_PARAMETERS = 1 << 30

# What the format calls them -> NumPy, where bfloat16 is read as whole numbers.
_DTYPES = {"F16": "<f2", "BF16": "<u2", "F32": "<f4"}
_STORAGE = {"float16": "F16", "float32": "F32"}
_LENGTH_BYTES = 8
_MAX_COUNT = 1 << 53
_ALIGNMENT = 8

STORAGE_DTYPES = tuple(_STORAGE)


class TensorInfo(NamedTuple):
    """Where and what a tensor is: offsets count from the file's start."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


class Header(NamedTuple):
    """The checked header of a file, tensors in the order of their bytes."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]
    num_bytes: int

    @property
    def num_parameters(self) -> int:
        """Numbers in all tensors."""
        return sum(math.prod(t.shape) for t in self.tensors.values())


def read_header(path: Path) -> Header:
    """Reads and checks the header of a safetensors file.

    Raises:
        PresetError: if the file is no whole safetensors file of float16,
            bfloat16 or float32 tensors that fill it without gap or overlap.
    """
    with open_regular(path) as file:
        return _read_header(path, file)


def _read_header(path: Path, file: BinaryIO) -> Header:
    num_bytes = os.fstat(file.fileno()).st_size
    prefix = file.read(_LENGTH_BYTES)
    if len(prefix) < _LENGTH_BYTES:
        raise PresetError(
            path,
            "the file is too short to be a safetensors file",
            expected="8 bytes or more",
            received=num_bytes,
        )
    length = int.from_bytes(prefix, "little")
    if length > MAX_JSON_BYTES:
        raise PresetError(
            path,
            "the header claims to be too large; this is hardly a "
            "safetensors file",
            expected=f"at most {MAX_JSON_BYTES} bytes",
            received=length,
        )
    if length > num_bytes - _LENGTH_BYTES:
        raise PresetError(
            path,
            "the file ends within its header: it is truncated",
            expected=f"{length} bytes of header",
            received=num_bytes - _LENGTH_BYTES,
        )
    entries = parse_json(path, file.read(length))
    metadata = _check_metadata(path, entries.pop("__metadata__", {}))
    start = _LENGTH_BYTES + length
    tensors = {
        name: _check_entry(path, name, entry, start)
        for name, entry in entries.items()
    }
    tensors = dict(sorted(tensors.items(), key=lambda item: item[1][2:]))
    _check_layout(path, tensors, start, num_bytes)
    header = Header(tensors, metadata, num_bytes)
    if header.num_parameters > MAX_PARAMETERS:
        raise PresetError(
            path,
            "the file holds more parameters than any model of this library",
            expected=f"at most {MAX_PARAMETERS}",
            received=header.num_parameters,
        )
    stored = metadata.get("storage_dtype")
    for name, tensor in tensors.items():
        if stored in _STORAGE and tensor.dtype != _STORAGE[stored]:
            raise PresetError(
                path,
                "the storage dtype is not the one that the header states",
                tensor=name,
                expected=stored,
                received=tensor.dtype,
            )
    return header


def _check_metadata(path: Path, metadata: Any) -> dict[str, str]:
    values = metadata.values() if isinstance(metadata, dict) else [None]
    if not all(isinstance(value, str) for value in values):
        raise PresetError(
            path,
            "`__metadata__` must map strings to strings",
            received=metadata,
        )
    stored = metadata.get("storage_dtype", "float32")
    if stored not in (*_STORAGE, "bfloat16"):
        raise PresetError(
            path,
            "unknown storage_dtype in `__metadata__`",
            expected=(*_STORAGE, "bfloat16"),
            received=stored,
        )
    return metadata


def _check_entry(path: Path, name: str, entry: Any, base: int) -> TensorInfo:
    def refuse(problem: str, **more: Any) -> PresetError:
        return PresetError(path, problem, tensor=name, **more)

    keys = {"dtype", "shape", "data_offsets"}
    if not isinstance(entry, dict) or set(entry) != keys:
        raise refuse(
            "the entry must hold dtype, shape and data_offsets",
            received=entry,
        )
    dtype, shape = entry["dtype"], entry["shape"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise refuse(
            "unexpected dtype", expected=tuple(_DTYPES), received=dtype
        )
    if not _are_counts(shape) or len(shape) > MAX_RANK:
        raise refuse(
            f"`shape` must be a list of at most {MAX_RANK} whole numbers",
            received=shape,
        )
    offsets = entry["data_offsets"]
    if not _are_counts(offsets) or len(offsets) != 2:
        raise refuse(
            "`data_offsets` must be two whole numbers", received=offsets
        )
    start, stop = offsets
    needed = _num_bytes(shape, dtype)
    if stop - start != needed:
        raise refuse(
            "the offsets disagree with shape and dtype",
            expected=f"{needed} bytes for {shape} {dtype}",
            received=offsets,
        )
    return TensorInfo(dtype, tuple(shape), base + start, base + stop)


def _num_bytes(shape: Iterable[int], dtype: str) -> int:
    return math.prod(shape) * int(_DTYPES[dtype][-1])


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(
        type(item) is int and 0 <= item <= _MAX_COUNT for item in value
    )


def _check_layout(
    path: Path, tensors: dict[str, TensorInfo], start: int, num_bytes: int
) -> None:
    position = start
    for name, tensor in tensors.items():
        if tensor.start != position:
            raise PresetError(
                path,
                "the tensors overlap or leave a gap",
                tensor=name,
                expected=f"a start at byte {position}",
                received=tensor.start,
            )
        position = tensor.stop
    if position != num_bytes:
        raise PresetError(
            path,
            "the file is truncated"
            if num_bytes < position
            else "the file holds more bytes than its tensors",
            expected=f"{position} bytes",
            received=num_bytes,
        )


def read_tensors(
    path: Path, expected: Header, sha256: str
) -> dict[str, np.ndarray]:
    """Reads the tensors of a file whose header was read before.

    They come as stored, bfloat16 widened to float32.

    Raises:
        PresetError: if the file has changed since, the checksum differs, or
            a tensor holds NaN or infinity.
    """
    import hashlib

    import numpy as np

    arrays = {}
    with open_regular(path) as file:
        if _read_header(path, file) != expected:
            raise PresetError(path, "the file changed while it was read")
        tensors_start = file.tell()
        file.seek(0)
        digest = hashlib.sha256(file.read(tensors_start))
        for name, tensor in expected.tensors.items():
            data = file.read(tensor.stop - tensor.start)
            if len(data) != tensor.stop - tensor.start:
                raise PresetError(
                    path, "the file changed while it was read", tensor=name
                )
            digest.update(data)
            array = np.frombuffer(data, _DTYPES[tensor.dtype])
            if tensor.dtype == "BF16":
                array = (array.astype("<u4") << 16).view("<f4")
            arrays[name] = array.reshape(tensor.shape)
    if digest.hexdigest() != sha256:
        raise PresetError(
            path,
            "the checksum differs from the one in config.json: the file was "
            "damaged or changed after it was saved",
            expected=sha256,
            received=digest.hexdigest(),
            advice="Fetch or save the preset anew",
        )
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise PresetError(
                path,
                "the weights hold NaN or infinity",
                tensor=name,
                expected=f"{array.size} finite numbers",
                received=int(np.isfinite(array).sum()),
            )
    return arrays


def write(
    path: Path, tensors: Mapping[str, Any], storage_dtype: str
) -> dict[str, int | str]:
    """Writes a safetensors file and brings it to the disk.

    Args:
        path: The file, which must not exist.
        tensors: Name -> whatever `keras.ops.convert_to_numpy` or
            `numpy.asarray` takes; converted one at a time.
        storage_dtype: `"float16"` or `"float32"`.

    Returns:
        `num_parameters`, `num_bytes` and `sha256` of the file.

    Raises:
        PresetError: if a tensor is not of floating point, holds NaN or
            infinity, or does not fit into float16.
        OSError: if the disk is full or the like.
    """
    import hashlib

    code = _STORAGE[storage_dtype]
    metadata = {"format": "keras-audiogan", "storage_dtype": storage_dtype}
    entries: dict[str, Any] = {"__metadata__": metadata}
    position = num_parameters = 0
    for name, tensor in sorted(tensors.items()):
        shape = [int(size) for size in tensor.shape]
        num_parameters += math.prod(shape)
        offsets = [position, position + _num_bytes(shape, code)]
        entries[name] = {"dtype": code, "shape": shape, "data_offsets": offsets}
        position = offsets[1]
    header = json.dumps(entries, separators=(",", ":")).encode("utf-8")
    header += b" " * (-len(header) % _ALIGNMENT)
    digest = hashlib.sha256()
    with open(path, "xb") as file:

        def put(data: bytes) -> None:
            digest.update(data)
            file.write(data)

        put(len(header).to_bytes(_LENGTH_BYTES, "little"))
        put(header)
        for name, tensor in sorted(tensors.items()):
            put(_storage_form(path, name, tensor, _DTYPES[code]).tobytes())
        file.flush()
        os.fsync(file.fileno())
        return {
            "num_parameters": num_parameters,
            "num_bytes": file.tell(),
            "sha256": digest.hexdigest(),
        }


def _storage_form(path: Path, name: str, tensor: Any, dtype: str) -> np.ndarray:
    import keras
    import numpy as np

    if not isinstance(tensor, np.ndarray):
        tensor = keras.ops.convert_to_numpy(tensor)
    if tensor.dtype.name not in ("float16", "bfloat16", "float32", "float64"):
        raise PresetError(
            path,
            "only weights of floating point can be stored",
            tensor=name,
            received=tensor.dtype.name,
        )
    array = np.asarray(tensor, "float32")
    if not np.isfinite(array).all():
        raise PresetError(
            path,
            "the weights hold NaN or infinity",
            tensor=name,
            advice="Training has diverged: save from an earlier checkpoint",
        )
    largest = float(np.abs(array).max(initial=0.0))
    if largest > float(np.finfo(dtype).max):
        raise PresetError(
            path,
            "a weight is too large for float16",
            tensor=name,
            expected="at most 65504",
            received=largest,
            advice='Save with storage_dtype="float32"',
        )
    return array.astype(dtype)
