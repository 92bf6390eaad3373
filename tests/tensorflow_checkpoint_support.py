"""Writes TensorFlow checkpoints: sound ones, and an index of any records."""

from keras_audiogan.converters.tensorflow_checkpoint import (
    TensorFlowCheckpoint,
)

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")


def write_checkpoint(prefix, variables):
    """A checkpoint as TensorFlow's own Saver writes it."""
    import tensorflow as tf

    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(variables),
        shape_and_slices=[""] * len(variables),
        tensors=list(variables.values()),
    )


def variables_of(prefix):
    """The variables of a checkpoint, without optimiser slots and counters."""
    checkpoint = TensorFlowCheckpoint(prefix)
    return checkpoint.read(
        name
        for name in checkpoint.shapes
        if name.startswith(("G/", "D/")) and "/Adam" not in name
    )


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


def header(shards=1):
    """A BundleHeaderProto."""
    return field(1, shards)


def entry(shape, dtype=1, offset=0, size=0):
    """A BundleEntryProto, with a checksum of 0."""
    dimensions = b"".join(field(2, field(1, size)) for size in shape)
    return (
        field(1, dtype)
        + field(2, dimensions)
        + field(4, offset)
        + field(5, size)
    )


def masked_crc32c(data):
    """The checksum that TensorFlow and LevelDB store (RFC 3720)."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    crc = register ^ 0xFFFFFFFF
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return (rotated + 0xA282EAD8) & 0xFFFFFFFF


def write_index(path, records, compression=0):
    """An index, a LevelDB table of one block, whose checksums are right."""
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
    footer = meta + block([(b"\xff", records_handle)])
    data.extend(footer + bytes(40 - len(footer)) + MAGIC)
    path.write_bytes(data)
