"""The reader of TensorFlow's checkpoint files, on sound and hostile ones."""

import pathlib
import shutil

import numpy as np
import pytest
from tensor_bundle_support import entry, header, write_table

from keras_audiogan.converters import ConversionError, convert
from keras_audiogan.converters.crc32c import crc32c
from keras_audiogan.converters.tensor_bundle import TensorBundle

DATA = pathlib.Path(__file__).parent / "data"
FOLDERS = sorted(DATA.glob("wavegan_tf1_*"))
PLAIN = DATA / "wavegan_tf1_16384"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_reader_agrees_with_tensorflow(folder):
    tf = pytest.importorskip("tensorflow")
    (index,) = folder.glob("*.index")
    reference = tf.train.load_checkpoint(str(index.with_suffix("")))
    bundle = TensorBundle(index.with_suffix(""))
    expected = reference.get_variable_to_shape_map()
    assert bundle.shapes == {k: tuple(v) for k, v in expected.items()}
    for name in expected:
        values, wanted = bundle.read(name), reference.get_tensor(name)
        assert values.dtype == wanted.dtype
        np.testing.assert_array_equal(values, wanted)


def test_reader_reads_what_tensorflow_writes(tmp_path):
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(0)
    # Enough bytes in names for several blocks of the index; two data files.
    halves = [
        {
            f"{i:05d}{half}" + "/deep" * 60: rng.integers(0, 99, i % 7)
            for i in range(900)
        }
        for half in range(2)
    ]
    halves[0] |= {
        "half": rng.standard_normal((3, 4)).astype("float16"),
        "double": rng.standard_normal((2, 0, 5)),
        "int": np.array(-7, "int32"),
        "large": rng.standard_normal((1200, 1000)).astype("float32"),
    }
    prefixes = []
    for i, half in enumerate(halves):
        prefixes.append(str(tmp_path / f"part-{i}"))
        tf.raw_ops.SaveV2(
            prefix=prefixes[-1],
            tensor_names=list(half),
            shape_and_slices=[""] * len(half),
            tensors=list(half.values()),
        )
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=prefixes, destination_prefix=str(tmp_path / "all")
    )
    assert (tmp_path / "all.data-00001-of-00002").is_file()
    bundle = TensorBundle(tmp_path / "all")
    assert len(bundle.shapes) == 1804
    for name, values in (halves[0] | halves[1]).items():
        assert bundle.read(name).dtype == values.dtype
        np.testing.assert_array_equal(bundle.read(name), values)


def test_checksum_is_the_standard_one(tmp_path):
    assert crc32c(b"") == 0
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    data = np.random.default_rng(0).bytes(3000)
    for size in (1, 3, 1023, 1024, 1025, 2048, 2999):
        register = 0xFFFFFFFF
        for byte in data[:size]:
            register ^= byte
            for _ in range(8):
                register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
        assert crc32c(data[:size]) == register ^ 0xFFFFFFFF


def test_checksum_of_many_chunks_is_tensorflows(tmp_path):
    tf = pytest.importorskip("tensorflow")
    data = np.random.default_rng(0).bytes((1 << 23) + 77)
    path = tmp_path / "record"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(data)
    masked = int.from_bytes(path.read_bytes()[-4:], "little")
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    assert crc32c(data) == (rotated >> 17 | rotated << 15) & 0xFFFFFFFF


def copy(tmp_path, *left_out):
    run = tmp_path / "run"
    ignore = shutil.ignore_patterns("checkpoint", *left_out)
    return shutil.copytree(PLAIN, run, ignore=ignore)


def test_damaged_data_is_an_error(tmp_path):
    def flip(data):
        # In the middle of the generator's largest kernel.
        bundle = TensorBundle(PLAIN / "model.ckpt-2")
        kernel = bundle.read("G/upconv_0/conv2d_transpose/kernel").tobytes()
        place = data.index(kernel) + len(kernel) // 2
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    for change, message in (
        (flip, "upconv_0.*checksum"),
        (lambda data: data[: len(data) // 3], "cut short"),
        (lambda data: b"", "cut short"),
    ):
        run = copy(tmp_path)
        path = run / "model.ckpt-2.data-00000-of-00001"
        path.write_bytes(change(path.read_bytes()))
        with pytest.raises(ConversionError, match=message):
            convert(run)
        shutil.rmtree(run)
    run = copy(tmp_path, "*.data-*")
    with pytest.raises(ConversionError, match="cannot be read"):
        convert(run)


def test_no_damage_to_an_index_goes_unseen(tmp_path):
    whole = (PLAIN / "model.ckpt-2.index").read_bytes()
    shapes = TensorBundle(PLAIN / "model.ckpt-2").shapes
    rng = np.random.default_rng(0)
    path = tmp_path / "model.ckpt-2.index"
    refused = 0
    for trial in range(300):
        data = bytearray(whole)
        if trial % 4 == 0:
            data = data[: rng.integers(len(data))]
        else:
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        path.write_bytes(data)
        try:
            bundle = TensorBundle(tmp_path / "model.ckpt-2")
        except ConversionError as error:
            assert str(path) in str(error)
            refused += 1
        else:
            # Only bytes that mean nothing: the footer's padding, and the
            # second index, which TensorFlow leaves empty.
            assert bundle.shapes == shapes
    assert refused > 280


HUGE = 1 << 47


@pytest.mark.parametrize(
    "records",
    [
        [],
        [(b"a", entry((2,)))],
        [(b"", header(endianness=1))],
        [(b"", header(shards=0))],
        [(b"", header(shards=1 << 40))],
        [(b"", b"\x08")],
        [(b"", b"\x0b\x01")],
        [(b"", b"\x08" + b"\xff" * 11)],
        [(b"", b"\x08" + b"\xff" * 9 + b"\x7f")],
        [(b"", header()), (b"b", entry((1,))), (b"a", entry((1,)))],
        [(b"", header()), (b"a", entry((1,))), (b"a", entry((1,)))],
        [(b"", header()), (b"a" * 5000, entry((1,)))],
        [(b"", header()), (b"\xff", entry((1,)))],
        [(b"", header()), (b"a", entry((-1,)))],
        [(b"", header()), (b"a", entry((1,) * 40))],
        [(b"", header()), (b"a", entry((1,), shard=1))],
        [(b"", header()), (b"a", entry((1,), size=1 << 60))],
        [(b"", header()), (b"a", b"\x12\x7f")],
        [(b"", header()), (b"a", b"\x10\x01")],
        [(b"", header()), (b"a", b"\x0a\x01\x01")],
    ],
)
def test_hostile_index_is_refused(tmp_path, records):
    write_table(tmp_path / "model.index", records)
    with pytest.raises(ConversionError, match=r"model\.index is not"):
        TensorBundle(tmp_path / "model")


@pytest.mark.parametrize(
    "value,message",
    [
        (entry((HUGE,), size=4 * HUGE // 4), "takes"),
        (entry((HUGE // 4,), size=HUGE), "cut short"),
        (entry((4,), offset=HUGE, size=16), "cut short"),
        (entry((4,), size=16), "checksum"),
        (entry((4,), size=15), "takes 16 bytes, but the index states 15"),
        (entry((4,), size=16, dtype=7), "its type"),
        (entry((4,), size=16) + b"\x3a\x00", "partitions"),
    ],
)
def test_hostile_entry_takes_no_memory(tmp_path, value, message):
    write_table(tmp_path / "model.index", [(b"", header()), (b"a", value)])
    (tmp_path / "model.data-00000-of-00001").write_bytes(bytes(64))
    bundle = TensorBundle(tmp_path / "model")
    with pytest.raises(ConversionError, match=f"'a'.*{message}"):
        bundle.read("a")
    with pytest.raises(ConversionError, match="no variable 'b'"):
        bundle.read("b")


@pytest.mark.parametrize("compression", [1, 255])
def test_compressed_index_says_so(tmp_path, compression):
    write_table(
        tmp_path / "model.index", [(b"", header())], compression=compression
    )
    with pytest.raises(ConversionError, match="compressed"):
        TensorBundle(tmp_path / "model")
