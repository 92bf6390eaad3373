"""TensorFlow 1 checkpoint files: sound, damaged and hostile ones."""

import pathlib
import shutil

import numpy as np
import pytest
from tensorflow_checkpoint_support import (
    entry,
    header,
    masked_crc32c,
    write_checkpoint,
    write_index,
)

from keras_audiogan.converters import (
    ConversionError,
    MissingPackageError,
    convert,
    wavegan,
)
from keras_audiogan.converters.tensorflow_checkpoint import (
    TensorFlowCheckpoint,
)

PLAIN = pathlib.Path(__file__).parent / "data" / "wavegan_tf1_16384"


def test_reads_what_tensorflow_writes(tmp_path):
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(0)
    # Enough names for several blocks of the index; two data files.
    halves = [
        {
            f"{i:05d}{half}" + "/deep" * 60: rng.integers(0, 99, i % 7)
            for i in range(300)
        }
        for half in range(2)
    ]
    halves[0] |= {
        "half": rng.standard_normal((3, 4)).astype("float16"),
        "double": rng.standard_normal((2, 0, 5)),
        "int": np.array(-7, "int32"),
        "large": rng.standard_normal((1200, 1000)).astype("float32"),
    }
    prefixes = [str(tmp_path / f"part-{i}") for i in range(2)]
    for prefix, half in zip(prefixes, halves, strict=True):
        write_checkpoint(prefix, half)
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=prefixes, destination_prefix=str(tmp_path / "all")
    )
    assert (tmp_path / "all.data-00001-of-00002").is_file()
    expected = halves[0] | halves[1]
    checkpoint = TensorFlowCheckpoint(tmp_path / "all")
    assert checkpoint.shapes == {k: v.shape for k, v in expected.items()}
    for name, values in checkpoint.read(expected).items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, expected[name].astype("f4"))
    (tmp_path / "all.data-00001-of-00002").unlink()
    with pytest.raises(ConversionError, match="missing"):
        TensorFlowCheckpoint(tmp_path / "all").read(halves[1])


def test_what_the_saver_of_tensorflow_1_writes(tmp_path):
    v1 = pytest.importorskip("tensorflow").compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        with v1.variable_scope("G"):
            v1.get_variable("bias", initializer=[1.5, -2.0])
        session.run(v1.global_variables_initializer())
        prefix = v1.train.Saver().save(session, str(tmp_path / "model"), 3)
    checkpoint = TensorFlowCheckpoint(prefix)
    assert checkpoint.shapes == {"G/bias": (2,)}
    np.testing.assert_array_equal(
        checkpoint.read(["G/bias"])["G/bias"], [1.5, -2]
    )


def copy(tmp_path, *left_out):
    run = tmp_path / "run"
    ignore = shutil.ignore_patterns("checkpoint", *left_out)
    shutil.copytree(PLAIN, run, ignore=ignore)
    return run / "model.ckpt-2"


def test_damaged_data_is_an_error(tmp_path):
    name = "G/upconv_0/conv2d_transpose/kernel"
    held = TensorFlowCheckpoint(PLAIN / "model.ckpt-2").read([name])
    kernel = held[name].tobytes()

    def flip(data):
        place = data.index(kernel) + len(kernel) // 2
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    for change, message in (
        (flip, "upconv_0.*damaged.*Checksum"),
        (lambda data: data[: len(data) // 4], "missing or cut short"),
        # Here the optimiser's slots make up for what is lost.
        (lambda data: data[: len(data) // 2], "cut short or damaged"),
        (lambda data: b"", "missing or cut short"),
    ):
        prefix = copy(tmp_path)
        path = prefix.with_name("model.ckpt-2.data-00000-of-00001")
        path.write_bytes(change(path.read_bytes()))
        with pytest.raises(ConversionError, match=message):
            wavegan.read_contents(prefix)
        shutil.rmtree(prefix.parent)
    with pytest.raises(ConversionError, match="missing or cut short"):
        wavegan.read_contents(copy(tmp_path, "*.data-*"))


def test_no_damage_to_an_index_goes_unseen(tmp_path):
    whole = (PLAIN / "model.ckpt-2.index").read_bytes()
    shapes = TensorFlowCheckpoint(PLAIN / "model.ckpt-2").shapes
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
            found = TensorFlowCheckpoint(path.with_suffix("")).shapes
        except ConversionError as error:
            assert str(path) in str(error)
            refused += 1
            continue
        # Either bytes that mean nothing, or what is lost is a variable.
        assert found.items() <= shapes.items()
        if found != shapes:
            with pytest.raises(ConversionError, match=r"ckpt-2\.index is not"):
                wavegan.read_contents(path.with_suffix(""))
            refused += 1
    assert refused > 280


def test_checksum_of_the_crafted_files_is_the_standard_one():
    rotated = (masked_crc32c(b"123456789") - 0xA282EAD8) & 0xFFFFFFFF
    assert (rotated >> 17 | rotated << 15) & 0xFFFFFFFF == 0xE3069283


HUGE = 1 << 47


@pytest.mark.parametrize(
    "value,message",
    [
        (entry((HUGE // 4,), size=HUGE), "missing or cut short"),
        (entry((1 << 20, 1 << 14), size=1 << 36), "missing or cut short"),
        (entry((4,), offset=HUGE, size=16), "damaged"),
        (entry((4,), size=16), "Checksum"),
        (entry((4,), size=15), "stored size 15; expected size 16"),
        (entry((4,), size=16, dtype=7), "is of a type.*string"),
    ],
)
def test_hostile_entry_takes_no_memory(tmp_path, value, message):
    write_index(tmp_path / "model.index", [(b"", header()), (b"a", value)])
    (tmp_path / "model.data-00000-of-00001").write_bytes(bytes(64))
    checkpoint = TensorFlowCheckpoint(tmp_path / "model")
    with pytest.raises(ConversionError, match=message):
        checkpoint.read(["a"])


@pytest.mark.parametrize(
    "records",
    [
        [],
        [(b"", b"\x08")],
        [(b"", header()), (b"\xff", entry((1,)))],
    ],
)
def test_hostile_index_is_refused(tmp_path, records):
    write_index(tmp_path / "model.index", records)
    with pytest.raises(ConversionError, match=r"model\.index is not"):
        TensorFlowCheckpoint(tmp_path / "model")


def test_index_without_variables_is_refused(tmp_path):
    write_index(tmp_path / "model.index", [(b"", header())])
    with pytest.raises(ConversionError, match="Received: none"):
        wavegan.read_contents(tmp_path / "model")


def test_compressed_and_giant_indices_are_refused(tmp_path):
    path = tmp_path / "model.index"
    write_index(path, [(b"", header())], compression=255)
    with pytest.raises(ConversionError, match=r"model\.index is not"):
        TensorFlowCheckpoint(tmp_path / "model")
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ConversionError, match="too many"):
        TensorFlowCheckpoint(tmp_path / "model")


@pytest.mark.slow
@pytest.mark.parametrize(
    "value",
    [entry((-1,)), b"\x0a\x01\x01"],
    ids=["negative dimension", "no message"],
)
def test_index_that_ends_tensorflow_leaves_this_process_alone(tmp_path, value):
    write_index(tmp_path / "model.index", [(b"", header()), (b"G/a", value)])
    with pytest.raises(ConversionError, match="broke off.*index is damaged"):
        convert(tmp_path)


@pytest.mark.slow
def test_errors_come_through_from_the_other_process(tmp_path):
    write_checkpoint(tmp_path / "model", {"G/weights": [1.0, 2.0]})
    with pytest.raises(ConversionError, match="expected layers G/upconv_0"):
        convert(tmp_path)


def test_absent_tensorflow_is_one_clear_error(tmp_path, monkeypatch):
    (tmp_path / "tensorflow.py").write_text("raise ImportError('not here')")
    monkeypatch.syspath_prepend(tmp_path)
    message = "needs TensorFlow.*pip install tensorflow.*not here"
    with pytest.raises(MissingPackageError, match=message):
        convert(PLAIN)


def test_a_reader_that_does_not_end_is_given_up(monkeypatch):
    monkeypatch.setattr(wavegan, "_TIME_LIMIT", 0.01)
    with pytest.raises(ConversionError, match="given up"):
        convert(PLAIN)


def test_no_python_to_start_is_one_clear_error(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(ConversionError, match="no Python could be started"):
        convert(PLAIN)
