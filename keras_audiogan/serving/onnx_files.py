"""ONNX files of strangers: looked through before a runtime is given them.

An ONNX file may name other files to read weights from, wherever they are, and
operators and functions of its own. What this library exports needs none of
them, so none is let through, at any depth. The file is walked as bytes, field
by field of the format's schema
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), with no package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_audiogan.presets.strict_json import PresetError, open_regular

# 4 GiB is what a message of this format may have at most.
_MOST_BYTES = 1 << 31
_MOST_NODES = 100_000
_DOMAINS = (b"", b"ai.onnx")

# Message -> number of a field -> the message in it, for those walked into.
_SCHEMA: dict[str, dict[int, str]] = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
# Message -> number of a field -> why none of it may be there.
_FORBIDDEN: dict[str, dict[int, str]] = {
    "model": {20: "steps of training", 25: "functions of its own"},
    "tensor": {13: "data in another file", 14: "data in another file"},
}


def read_onnx(path: Path, entry: Mapping[str, Any]) -> bytes:
    """Returns the bytes of an ONNX file, checked.

    Args:
        path: the file.
        entry: `num_bytes` and `sha256`, as config.json states them.

    Raises:
        PresetError: if it is not the file that config.json states, is no
            ONNX file, or holds what no export of this library does.
    """
    with open_regular(path) as file:
        data = file.read(min(entry["num_bytes"], _MOST_BYTES) + 1)
    if len(data) != entry["num_bytes"]:
        longer = len(data) > entry["num_bytes"]
        raise PresetError(
            path,
            "the file is longer than config.json states: it is another one"
            if longer
            else "the file is shorter than config.json states: it is "
            "truncated, or another one",
            expected=f"{entry['num_bytes']} bytes",
            received=f"{'more than ' if longer else ''}"
            f"{min(len(data), entry['num_bytes'])} bytes",
            advice="Export or fetch the preset anew",
        )
    digest = hashlib.sha256(data).hexdigest()
    if digest != entry["sha256"]:
        raise PresetError(
            path,
            "the file is not the one that config.json states: it is of "
            "another preset, or damaged",
            expected=f"sha256 {entry['sha256']}",
            received=digest,
            advice="Export or fetch the preset anew",
        )
    _check(path, data)
    return data


def _check(path: Path, data: bytes) -> None:
    """Walks through a file; see the module."""
    nodes = 0
    waiting = [("model", memoryview(data))]
    graphs = 0
    while waiting:
        message, view = waiting.pop()
        inner, forbidden = _SCHEMA[message], _FORBIDDEN.get(message, {})
        for number, value in _fields(path, view):
            if number in forbidden and value not in (0, b""):
                raise PresetError(
                    path,
                    f"the ONNX file holds {forbidden[number]}, which no "
                    "export of this library does; it is not run",
                )
            if message == "node" and number == 7:
                domain = bytes(value) if isinstance(value, memoryview) else b"?"
                if domain not in _DOMAINS:
                    raise PresetError(
                        path,
                        "the ONNX file holds operators that are not ONNX's "
                        "own; it is not run",
                        received=domain[:60].decode("utf-8", "replace"),
                    )
            if number not in inner:
                continue
            if not isinstance(value, memoryview):
                raise _no_onnx(path)
            nodes += inner[number] == "node"
            graphs += message == "model"
            waiting.append((inner[number], value))
    if nodes > _MOST_NODES or graphs != 1:
        raise _no_onnx(path)


def _fields(
    path: Path, view: memoryview
) -> Iterator[tuple[int, int | memoryview]]:
    """Yields the fields of a message: their numbers, and what is in them."""
    at, end = 0, len(view)
    while at < end:
        tag, at = _varint(path, view, at)
        kind = tag & 7
        value: int | memoryview
        if kind == 0:
            value, at = _varint(path, view, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = view[at : at + size], at + size
        elif kind == 2:
            size, at = _varint(path, view, at)
            value, at = view[at : at + size], at + size
        else:
            raise _no_onnx(path)
        if at > end:
            raise _no_onnx(path)
        yield tag >> 3, value


def _varint(path: Path, view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(view):
            break
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _no_onnx(path)


def _no_onnx(path: Path) -> PresetError:
    return PresetError(
        path,
        "this is no whole ONNX file",
        advice="Export or fetch the preset anew",
    )
