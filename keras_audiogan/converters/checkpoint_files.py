"""Finds a TensorFlow 1 checkpoint and what its run folder tells about it."""

from __future__ import annotations

import glob
import pathlib
import re

from keras_audiogan.converters.errors import ConversionError, refuse_pointer

_PARTS = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
_MAX_TEXT_SIZE = 1 << 20
_MAX_GRAPH_SIZE = 512 << 20


def find_checkpoint(source: str | pathlib.Path) -> pathlib.Path:
    """Finds the checkpoint that `source` means, and no Git LFS pointers.

    See `_find`.
    """
    prefix = _find(source)
    for part in sorted(prefix.parent.glob(f"{glob.escape(prefix.name)}.*")):
        refuse_pointer(part)
    return prefix


def _find(source: str | pathlib.Path) -> pathlib.Path:
    """Returns the prefix of the checkpoint that `source` means.

    That is a prefix (`"train/model.ckpt-1000"`), a file of the checkpoint or
    a folder. In a folder the file `checkpoint` names the newest one; without
    that file it is the one with the highest step.
    """
    path = pathlib.Path(source)
    if path.is_dir():
        return _find_in_folder(path)
    prefix = path.with_name(_PARTS.sub("", path.name)) if path.name else path
    if index_of(prefix).is_file():
        return prefix
    if path.is_file():
        raise ConversionError(
            f"{path} is not part of a TensorFlow checkpoint of the format "
            "that has an .index file. Pass a folder, or a prefix such as "
            "'train/model.ckpt-1000'."
        )
    raise ConversionError(
        f"Found no TensorFlow checkpoint. Expected a folder, or a prefix such "
        "as 'train/model.ckpt-1000' beside which model.ckpt-1000.index lies. "
        f"Received: {str(source)!r}"
    )


def index_of(prefix: pathlib.Path) -> pathlib.Path:
    """Returns the file that lists a checkpoint's variables."""
    return prefix.with_name(prefix.name + ".index")


def _find_in_folder(folder: pathlib.Path) -> pathlib.Path:
    state = _read(folder / "checkpoint", _MAX_TEXT_SIZE).decode(
        errors="replace"
    )
    named = re.search(r'^model_checkpoint_path:\s*"(.+)"\s*$', state, re.M)
    if named:
        # Often an absolute path of the machine that trained: only its last
        # part means anything here.
        prefix = folder / re.split(r"[\\/]", named.group(1))[-1]
        if index_of(prefix).is_file():
            return prefix
    found = [file.with_suffix("") for file in folder.glob("*.index")]
    if not found:
        raise ConversionError(
            f"Found no TensorFlow checkpoint: no *.index file lies in {folder}."
        )

    def step(prefix: pathlib.Path) -> tuple[bool, int, str]:
        digits = re.search(r"-(\d{1,18})$", prefix.name)
        number = int(digits.group(1)) if digits else -1
        return prefix.name.startswith("model.ckpt"), number, prefix.name

    return max(found, key=step)


def _read(path: pathlib.Path, max_size: int) -> bytes:
    """Returns a file's first bytes, none if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(max_size)
    except OSError:
        return b""


def read_arguments(prefix: pathlib.Path) -> dict[str, int]:
    """Returns the integer options in `args.txt` beside a checkpoint."""
    return {
        name: int(value)
        for name, value in _options(prefix).items()
        if re.fullmatch(r"\d{1,9}", value)
    }


def read_argument(prefix: pathlib.Path, name: str) -> str | None:
    """Returns an option in `args.txt` beside a checkpoint, if it is there."""
    return _options(prefix).get(name)


def _options(prefix: pathlib.Path) -> dict[str, str]:
    text = _read(prefix.with_name("args.txt"), _MAX_TEXT_SIZE)
    options = {}
    for line in text.decode(errors="replace").splitlines():
        name, _, value = line.partition(",")
        options[name.strip()] = value.strip()
    return options


def find_last_stride(prefix: pathlib.Path, num_layers: int) -> int | None:
    """Returns the stride of the last layer, if a stored graph tells.

    Strides are no part of a checkpoint's variables. TensorFlow 1 writes the
    graph beside them (`model.ckpt-N.meta`), and WaveGAN's own script writes
    the sampling graph to `infer/infer.meta`. A damaged graph is an error.
    """
    from google.protobuf.message import DecodeError

    # TensorFlow's own messages, in a package that does not load TensorFlow.
    from tensorboard.compat.proto.meta_graph_pb2 import MetaGraphDef

    last = num_layers - 1
    scopes = (f"G/upconv_{last}/", f"D/downconv_{last}/")
    for path in (
        prefix.with_name(prefix.name + ".meta"),
        prefix.parent / "infer" / "infer.meta",
        prefix.parent / "infer.meta",
    ):
        try:
            graph = MetaGraphDef.FromString(_read(path, _MAX_GRAPH_SIZE))
        except DecodeError as error:
            raise ConversionError(
                f"{path} is not a readable TensorFlow graph: {error}. Mend "
                "or remove it."
            ) from error
        strides = {
            stride
            for node in graph.graph_def.node
            if any(scope in node.name for scope in scopes)
            and "strides" in node.attr
            for stride in node.attr["strides"].list.i
        } - {1}
        if len(strides) == 1:
            return strides.pop()
    return None
