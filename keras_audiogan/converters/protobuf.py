"""Just enough of the protocol buffer wire format to read checkpoints.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

from keras_audiogan.converters.errors import ConversionError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Reads one base-128 integer.

    Args:
        data: the buffer.
        position: where the integer starts.

    Returns:
        The integer (unsigned, below 2**64) and the position after it.

    Raises:
        ConversionError: if it runs past the buffer or past 64 bits.
    """
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise ConversionError("a number runs past the end of its record")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, position
    raise ConversionError("a number has more than 64 bits")


def iter_fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Iterates over the fields of a serialised message.

    Args:
        data: the message.

    Yields:
        `(field number, wire type, value)`: an unsigned integer for `VARINT`,
        `FIXED32` and `FIXED64`, bytes for `BYTES`.

    Raises:
        ConversionError: if the message is malformed.
    """
    position = 0
    while position < len(data):
        key, position = read_varint(data, position)
        number, wire_type = key >> 3, key & 7
        value: int | bytes
        if wire_type == VARINT:
            value, position = read_varint(data, position)
            yield number, wire_type, value
            continue
        if wire_type == BYTES:
            size, position = read_varint(data, position)
        elif wire_type in (FIXED32, FIXED64):
            size = 4 if wire_type == FIXED32 else 8
        else:
            raise ConversionError(f"unknown wire type {wire_type}")
        if number == 0 or position + size > len(data):
            raise ConversionError("a field runs past the end of its message")
        value = data[position : position + size]
        position += size
        if wire_type != BYTES:
            value = int.from_bytes(value, "little")
        yield number, wire_type, value


def fields_by_number(data: bytes) -> dict[int, list[int | bytes]]:
    """Returns all values of a message, in order, by field number.

    Raises:
        ConversionError: if the message is malformed.
    """
    found: dict[int, list[int | bytes]] = {}
    for number, _, value in iter_fields(data):
        found.setdefault(number, []).append(value)
    return found


def integers(value: int | bytes) -> list[int]:
    """Returns a repeated int64 field's values, packed or not, signed.

    Raises:
        ConversionError: if the packed numbers are malformed.
    """
    numbers = []
    if isinstance(value, int):
        numbers = [value]
    else:
        position = 0
        while position < len(value):
            number, position = read_varint(value, position)
            numbers.append(number)
    return [n - (1 << 64) if n >> 63 else n for n in numbers]
