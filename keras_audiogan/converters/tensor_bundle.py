"""Reads TensorFlow checkpoints (`.index` and `.data-*` files) with NumPy.

The index is a LevelDB table whose keys are variable names and whose values
say where in the data files a tensor lies. Nothing in it is code, and every
length and checksum is verified before memory is taken for it.

Format: tensorflow/core/util/tensor_bundle, tensorflow/core/protobuf/
tensor_bundle.proto, and the LevelDB table format.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Iterator

import numpy as np

from keras_audiogan.converters import protobuf
from keras_audiogan.converters.crc32c import masked_crc32c
from keras_audiogan.converters.errors import ConversionError

_TABLE_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER_SIZE = 48
_MAX_INDEX_SIZE = 64 << 20
_MAX_KEY_SIZE = 4096
_MAX_TENSORS = 100_000
_MAX_RANK = 16

# TensorFlow's DataType numbers; others (strings, quantised) are not weights.
_DTYPES: dict[int, np.dtype] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("<i4"),
    9: np.dtype("<i8"),
    19: np.dtype("<f2"),
}


@dataclasses.dataclass(frozen=True)
class _Entry:
    """Where one tensor lies."""

    dtype: np.dtype | None
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    partitioned: bool


class TensorBundle:
    """The variables of one TensorFlow checkpoint.

    Reading needs neither TensorFlow nor pickle.

    Args:
        prefix: path of the checkpoint without `.index`, for example
            `"train/model.ckpt-1000"`.

    Raises:
        ConversionError: if the index is missing, damaged or not an index.
    """

    def __init__(self, prefix: str | pathlib.Path) -> None:
        self.prefix = pathlib.Path(prefix)
        self.index_path = self.prefix.with_name(self.prefix.name + ".index")
        self._entries: dict[str, _Entry] = {}
        self._num_shards = 1
        try:
            self._read_index()
        except ConversionError as error:
            raise ConversionError(
                f"{self.index_path} is not a readable TensorFlow checkpoint "
                f"index: {error}."
            ) from error

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every variable."""
        return {name: entry.shape for name, entry in self._entries.items()}

    def read(self, name: str) -> np.ndarray:
        """Reads one variable.

        Args:
            name: one of `shapes`.

        Returns:
            A new array of the stored shape and type.

        Raises:
            ConversionError: if there is no such variable, its type is not
                numeric, or its bytes are missing or damaged.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise ConversionError(
                f"{self.index_path} holds no variable {name!r}."
            )
        path = self.prefix.with_name(
            f"{self.prefix.name}.data-{entry.shard:05d}"
            f"-of-{self._num_shards:05d}"
        )
        try:
            return self._read_entry(path, entry)
        except OSError as error:
            reason = f"{path} cannot be read ({error.strerror})"
        except ConversionError as error:
            reason = str(error)
        raise ConversionError(f"Cannot read variable {name!r}: {reason}.")

    def _read_entry(self, path: pathlib.Path, entry: _Entry) -> np.ndarray:
        if entry.partitioned:
            raise ConversionError("it is stored in partitions")
        if entry.dtype is None:
            raise ConversionError("its type is none that weights have")
        expected = math.prod(entry.shape) * entry.dtype.itemsize
        if expected != entry.size:
            raise ConversionError(
                f"shape {entry.shape} takes {expected} bytes, but the index "
                f"states {entry.size}"
            )
        with path.open("rb") as file:
            held = file.seek(0, 2)
            if entry.offset + entry.size > held:
                raise ConversionError(
                    f"{path} is cut short: it should hold bytes "
                    f"{entry.offset} to {entry.offset + entry.size}, but has "
                    f"{held}"
                )
            file.seek(entry.offset)
            data = bytearray(entry.size)
            if file.readinto(data) != entry.size:
                raise ConversionError(f"{path} is cut short")
        values = np.frombuffer(data, entry.dtype).reshape(entry.shape)
        if masked_crc32c(values) != entry.checksum:
            raise ConversionError(
                f"the checksum of its bytes in {path} does not match: the "
                "file is damaged"
            )
        return values

    def _read_index(self) -> None:
        try:
            with self.index_path.open("rb") as file:
                data = file.read(_MAX_INDEX_SIZE + 1)
        except OSError as error:
            raise ConversionError(
                f"it cannot be opened ({error.strerror})"
            ) from error
        if len(data) > _MAX_INDEX_SIZE:
            raise ConversionError(f"it has more than {_MAX_INDEX_SIZE} bytes")
        records = _iter_table(data)
        key, header = next(records, (None, b""))
        if key != b"":
            raise ConversionError("it has no header record")
        self._read_header(header)
        for key, value in records:
            if len(self._entries) >= _MAX_TENSORS:
                raise ConversionError(
                    f"it names more than {_MAX_TENSORS} variables"
                )
            try:
                name = key.decode("utf-8")
            except UnicodeDecodeError as error:
                raise ConversionError("a name is not UTF-8") from error
            # Slices of partitioned variables have keys that start with 0.
            if not name.startswith("\0"):
                self._entries[name] = _parse_entry(value, self._num_shards)

    def _read_header(self, header: bytes) -> None:
        fields = protobuf.fields_by_number(header)
        shards, endianness = fields.get(1, [0])[-1], fields.get(2, [0])[-1]
        if not isinstance(shards, int) or not 1 <= shards <= 99_999:
            raise ConversionError("its number of data files is impossible")
        if endianness != 0:
            raise ConversionError("it was written on a big-endian machine")
        self._num_shards = shards


def _parse_entry(value: bytes, num_shards: int) -> _Entry:
    """Parses a BundleEntryProto."""
    fields = protobuf.fields_by_number(value)

    def number(field: int) -> int:
        found = fields.get(field, [0])[-1]
        if not isinstance(found, int):
            raise ConversionError("an entry has a field of the wrong type")
        return found

    shape = []
    for message in fields.get(2, []):
        for dimension in _messages(message, field=2):
            sizes = protobuf.fields_by_number(dimension).get(1, [0])
            shape.append(sizes[-1])
    # A dimension or a length above 2**48 cannot be real; negative numbers
    # arrive here as more than that.
    if len(shape) > _MAX_RANK or not all(
        isinstance(size, int) and size < 1 << 48 for size in shape
    ):
        raise ConversionError("an entry has an impossible shape")
    entry = _Entry(
        dtype=_DTYPES.get(number(1)),
        shape=tuple(shape),  # type: ignore[arg-type]
        shard=number(3),
        offset=number(4),
        size=number(5),
        checksum=number(6),
        partitioned=7 in fields,
    )
    if entry.shard >= num_shards or max(entry.offset, entry.size) >= 1 << 48:
        raise ConversionError("an entry points outside the data files")
    return entry


def _messages(message: int | bytes, field: int) -> Iterator[bytes]:
    if not isinstance(message, bytes):
        raise ConversionError("an entry has a field of the wrong type")
    for found in protobuf.fields_by_number(message).get(field, []):
        if not isinstance(found, bytes):
            raise ConversionError("an entry has a field of the wrong type")
        yield found


def _iter_table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Iterates over the records of a LevelDB table, in key order."""
    if len(data) < _FOOTER_SIZE or not data.endswith(_TABLE_MAGIC):
        raise ConversionError("it does not end as one does")
    footer = data[-_FOOTER_SIZE:]
    _, position = _read_handle(footer, 0)
    (offset, size), _ = _read_handle(footer, position)
    end = 0
    for _, handle in _iter_block(_read_block(data, offset, size)):
        (offset, size), _ = _read_handle(handle, 0)
        if offset < end:
            raise ConversionError("its blocks overlap")
        end = offset + size
        yield from _iter_block(_read_block(data, offset, size))


def _read_handle(data: bytes, position: int) -> tuple[tuple[int, int], int]:
    offset, position = protobuf.read_varint(data, position)
    size, position = protobuf.read_varint(data, position)
    return (offset, size), position


def _read_block(data: bytes, offset: int, size: int) -> bytes:
    """Returns a block's records, without the list of restart points."""
    if offset + size + 5 > len(data) - _FOOTER_SIZE or size < 4:
        raise ConversionError("a block lies outside the file")
    block = data[offset : offset + size]
    checksum = int.from_bytes(
        data[offset + size + 1 : offset + size + 5], "little"
    )
    if masked_crc32c(data[offset : offset + size + 1]) != checksum:
        raise ConversionError("a checksum does not match: it is damaged")
    if data[offset + size] != 0:
        raise ConversionError("its blocks are compressed")
    records = size - 4 - 4 * int.from_bytes(block[-4:], "little")
    if records < 0:
        raise ConversionError("a block has an impossible end")
    return block[:records]


def _iter_block(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Iterates over a block's records; a key repeats part of the last one."""
    position, last = 0, None
    while position < len(block):
        shared, position = protobuf.read_varint(block, position)
        unshared, position = protobuf.read_varint(block, position)
        size, position = protobuf.read_varint(block, position)
        start = position + unshared
        if (
            start + size > len(block)
            or shared > len(last or b"")
            or shared + unshared > _MAX_KEY_SIZE
        ):
            raise ConversionError("a record runs past its block")
        key = (last or b"")[:shared] + block[position:start]
        if last is not None and key <= last:
            raise ConversionError("its names are not in order")
        position, last = start + size, key
        yield key, block[start:position]
