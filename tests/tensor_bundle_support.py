"""Writes TensorFlow checkpoint files, sound and hostile, without TensorFlow."""

import numpy as np

from keras_audiogan.converters.crc32c import masked_crc32c
from keras_audiogan.converters.tensor_bundle import TensorBundle

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
DTYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "float16": 19}


def varint(number):
    number %= 1 << 64
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def header(shards=1, endianness=0):
    """A BundleHeaderProto."""
    return field(1, shards) + field(2, endianness)


def entry(shape, dtype=1, shard=0, offset=0, size=0, checksum=0):
    """A BundleEntryProto."""
    dimensions = b"".join(field(2, field(1, size)) for size in shape)
    return (
        field(1, dtype)
        + field(2, dimensions)
        + field(3, shard)
        + field(4, offset)
        + field(5, size)
        + varint(6 << 3 | 5)
        + checksum.to_bytes(4, "little")
    )


def write_table(path, records, compression=0):
    """A LevelDB table of one block."""
    data = bytearray()

    def block(records):
        body = b"".join(
            varint(0) + varint(len(key)) + varint(len(value)) + key + value
            for key, value in records
        )
        body += bytes(4) + (1).to_bytes(4, "little")
        handle = varint(len(data)) + varint(len(body))
        body += bytes([compression])
        data.extend(body + masked_crc32c(body).to_bytes(4, "little"))
        return handle

    records_handle = block(records)
    meta = block([])
    index = block([(b"\xff", records_handle)])
    footer = meta + index
    data.extend(footer + bytes(40 - len(footer)) + MAGIC)
    path.write_bytes(data)


def write_bundle(prefix, variables):
    """A checkpoint of one data file that holds `variables`."""
    data, records = bytearray(), [(b"", header())]
    for name, value in sorted(variables.items()):
        value = np.ascontiguousarray(value)
        records.append(
            (
                name.encode(),
                entry(
                    value.shape,
                    DTYPES[str(value.dtype)],
                    offset=len(data),
                    size=value.nbytes,
                    checksum=masked_crc32c(value),
                ),
            )
        )
        data.extend(value.tobytes())
    write_table(prefix.with_name(prefix.name + ".index"), records)
    prefix.with_name(prefix.name + ".data-00000-of-00001").write_bytes(data)


def variables_of(prefix):
    """The variables of a checkpoint, without optimiser slots and counters."""
    bundle = TensorBundle(prefix)
    return {
        name: bundle.read(name)
        for name in bundle.shapes
        if name.startswith(("G/", "D/")) and "/Adam" not in name
    }
