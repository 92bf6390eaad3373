"""JSON from strangers, read with bounds, and the error of all presets.

Nothing here imports Keras or NumPy.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

from keras_audiogan._names import LFS_ADVICE, LFS_POINTER, LFS_REASON, shown

MAX_JSON_BYTES = 1 << 20
MAX_JSON_DEPTH = 16


class PresetError(ValueError):
    """A preset folder that cannot be used, or a model that makes none.

    Args:
        path: The file or folder at fault.
        problem: What is wrong, a sentence without its full stop.
        tensor: The tensor at fault, where it is one.
        expected: What was expected, if the problem does not say; a string
            is taken for words of ours.
        received: What was found, if the problem does not say; a string is
            taken for a stranger's and quoted.
        advice: How to mend it, a sentence without its full stop.

    Attributes:
        path: As given.
        tensor: As given.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        problem: str,
        *,
        tensor: str | None = None,
        expected: object = None,
        received: object = None,
        advice: str | None = None,
    ):
        place = "" if tensor is None else f"tensor {short(tensor)}: "
        message = f"{_printable(path)}: {place}{problem}."
        if expected is not None:
            if not isinstance(expected, str):
                expected = short(expected)
            message += f" Expected: {_printable(expected)}."
        if advice is not None:
            message += f" {advice}."
        if received is not None:
            message += f" Received: {short(received)}"
        super().__init__(message)
        self.path = Path(path)
        self.tensor = tensor

    def relocated(self, old: Path, new: Path) -> PresetError:
        """Returns this error as it reads for a folder's later place."""
        (message,) = self.args
        moved = PresetError.__new__(PresetError)
        ValueError.__init__(
            moved, message.replace(_printable(old), _printable(new))
        )
        moved.path = Path(str(self.path).replace(str(old), str(new)))
        moved.tensor = self.tensor
        return moved


def short(value: object, limit: int = 200) -> str:
    """Returns a representation of `value`, printable and of bounded length."""
    if isinstance(value, (list, tuple)) and len(value) > 32:
        value = [*value[:32], "..."]
    if isinstance(value, str):
        text = repr(value[: limit + 1])
    else:
        text = ascii(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def _printable(path: str | os.PathLike[str]) -> str:
    """Returns a path with what a terminal must not see escaped."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1]
        for character in shown(path)
    )


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file for reading; a pipe or a device is refused.

    A link is followed: the Hub client's cache is made of links.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise PresetError(path, "this is not a regular file")
        file = open(path, "rb")
    except FileNotFoundError:
        raise PresetError(
            path,
            "the file is missing",
            advice="A preset folder holds config.json and the weights that "
            "it lists; fetch or save the preset anew",
        ) from None
    except OSError as error:
        raise PresetError(
            path, f"the file cannot be read ({error.strerror})"
        ) from error
    except ValueError as error:
        raise PresetError(path, f"this is no file name: {error}") from error
    is_pointer = file.read(len(LFS_POINTER)) == LFS_POINTER
    file.seek(0)
    if is_pointer:
        file.close()
        raise PresetError(path, f"this is {LFS_REASON}", advice=LFS_ADVICE)
    return file


def read_json(path: Path) -> dict[str, Any]:
    """Reads one JSON object from a file; see `parse_json`."""
    with open_regular(path) as file:
        data = file.read(MAX_JSON_BYTES + 1)
    return parse_json(path, data)


def parse_json(path: Path, data: bytes) -> dict[str, Any]:
    """Parses one JSON object.

    Raises:
        PresetError: if it is too large, not UTF-8, not JSON, too deep, holds
            a key twice, a number that is not finite, or is no object.
    """
    if len(data) > MAX_JSON_BYTES:
        raise PresetError(
            path, f"the JSON is larger than {MAX_JSON_BYTES:,} bytes"
        )
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object_without_duplicates,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        raise PresetError(
            path, f"the JSON is nested deeper than {MAX_JSON_DEPTH} levels"
        ) from None
    except ValueError as error:
        raise PresetError(path, f"this is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise PresetError(path, "the JSON must be an object", received=kind)
    _check_depth_and_numbers(path, value, 0)
    return value


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {short(key)} stands there twice")
    return result


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _check_depth_and_numbers(path: Path, value: Any, depth: int) -> None:
    if depth > MAX_JSON_DEPTH:
        raise PresetError(
            path, f"the JSON is nested deeper than {MAX_JSON_DEPTH} levels"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise PresetError(path, "the JSON holds a number that is not finite")
    if isinstance(value, dict):
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        _check_depth_and_numbers(path, item, depth + 1)
