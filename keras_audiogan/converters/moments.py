"""Reads the moments of a corpus from a pickle, and runs nothing in it.

SpecGAN's `train_specgan.py moments` pickles mean and deviation of each bin,
two NumPy arrays, often with Python 2. A pickle is a program: here its
instructions are followed only as far as such arrays need them, a function
that it names is only a name, and nothing is ever called.
"""

from __future__ import annotations

import io
import pathlib
import pickle
import re
from typing import Any

import numpy as np

from keras_audiogan.converters.errors import ConversionError

# Those of 129 bins take some thousand bytes.
_MAX_SIZE = 1 << 20
_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
_NAMES = {
    **dict.fromkeys([(module, "_reconstruct") for module in _MODULES], "array"),
    **dict.fromkeys([(module, "_frombuffer") for module in _NUMERIC], "buffer"),
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
}
_NUMBERS = re.compile(r"[<>=|]?([fiu])([1248])")
# What arrays, tuples and lists are written with: numbers, text, containers,
# the memo, names. Left out: persistent ids, extensions, other ways to make
# objects, and what takes memory by a number that stands in the file.
_OPCODES = (
    *(pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK),
    *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE),
    *(pickle.INT, pickle.BININT, pickle.BININT1, pickle.BININT2),
    *(pickle.LONG, pickle.LONG1),
    *(pickle.STRING, pickle.BINSTRING, pickle.SHORT_BINSTRING),
    *(pickle.UNICODE, pickle.BINUNICODE, pickle.SHORT_BINUNICODE),
    *(pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BYTEARRAY8),
    *(pickle.TUPLE, pickle.EMPTY_TUPLE),
    *(pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.LIST, pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS),
    *(pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE),
    *(pickle.GET, pickle.BINGET, pickle.LONG_BINGET),
    *(pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.REDUCE, pickle.BUILD),
)


class _Refused(ValueError):
    """What a pickle holds beside arrays of numbers."""


class _Made:
    """What a call would have made: the name, its arguments, its state."""

    def __init__(self, name: str, arguments: Any) -> None:
        self.name = name
        self.arguments = arguments
        self.state: Any = None


class _Name(str):
    """A name of `_NAMES`, no string of the file."""


# Python's own unpickler in Python: the one in C takes memory by numbers that
# stand in the file, and cannot be held to some instructions.
_Unpickler: Any = pickle._Unpickler  # type: ignore[attr-defined]


class _Reader(_Unpickler):
    """Follows the instructions of `_OPCODES`, and calls nothing."""

    dispatch: dict[int, Any] = {
        opcode[0]: _Unpickler.dispatch[opcode[0]] for opcode in _OPCODES
    }

    def __init__(self, data: bytes) -> None:
        self._size = len(data)
        super().__init__(io.BytesIO(data), encoding="bytes")

    def find_class(self, module: str, name: str) -> _Name:
        if (module, name) not in _NAMES:
            raise _Refused(f"it names {module}.{name}"[:200])
        return _Name(_NAMES[module, name])

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        name = self.stack.pop()
        if not isinstance(name, _Name) or not isinstance(arguments, tuple):
            raise _Refused("it calls what is no function of NumPy's")
        made: Any = _Made(name, arguments)
        if name == "encode":
            text, code = arguments
            if _text(code) != "latin1":
                raise _Refused(f"it holds text in the code {code!r}"[:200])
            made = text.encode("latin1")
        self.stack.append(made)

    dispatch[pickle.REDUCE[0]] = load_reduce

    def load_build(self) -> None:
        state = self.stack.pop()
        made = self.stack[-1]
        if not isinstance(made, _Made):
            raise _Refused("it gives a state to what has none")
        made.state = state

    dispatch[pickle.BUILD[0]] = load_build

    def load_bytearray8(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        if size > self._size:
            raise _Refused("it is cut short")
        self.append(bytes(self.read(size)))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def _text(value: Any) -> Any:
    return value.decode("latin1") if isinstance(value, bytes) else value


def _array(made: Any) -> np.ndarray:
    """Returns the one-dimensional array that a call would have made."""
    if isinstance(made, _Made) and made.name == "array":
        _, shape, dtype, _, data = made.state
    elif isinstance(made, _Made) and made.name == "buffer":
        data, dtype, shape, *_ = made.arguments
    else:
        raise _Refused(f"it holds {type(made).__name__} where arrays belong")
    if not isinstance(dtype, _Made) or dtype.name != "dtype":
        raise _Refused("an array in it has no type")
    kind = str(_text(dtype.arguments[0]))
    if dtype.state is not None:
        kind = f"{_text(dtype.state[1])}{kind}"
    if not _NUMBERS.fullmatch(kind):
        raise _Refused(f"an array in it is of the type {kind[:40]!r}")
    numbers = np.frombuffer(data, np.dtype(kind))
    if shape != (len(numbers),):
        raise _Refused(
            f"an array in it has the shape {shape!r}"[:200]
            + f" and {len(numbers)} numbers"
        )
    return numbers.astype("float64")


def read_moments(
    path: str | pathlib.Path, num_bins: int
) -> dict[str, list[float]]:
    """Returns what a moments pickle holds, as `LogSpectrogram` takes it.

    Args:
        path: the file.
        num_bins: numbers in each array, 129 in the original's.

    Returns:
        `mean` and `std`, each a list of `num_bins` numbers.

    Raises:
        ConversionError: if the file cannot be read, holds anything beside
            two NumPy arrays of numbers, or they are no statistics.
    """
    path = pathlib.Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SIZE + 1)
    except OSError as error:
        raise ConversionError(
            f"{path}: the moments cannot be read. Received: {error}"
        ) from error
    wanted = (
        f"{path}: expected a pickle of two NumPy arrays of {num_bins} numbers, "
        "mean and deviation of each bin, as train_specgan.py writes it, and "
        "nothing beside. Received: "
    )
    if len(data) > _MAX_SIZE:
        raise ConversionError(f"{wanted}more than {_MAX_SIZE} bytes")
    try:
        held = _Reader(data).load()
        if not isinstance(held, (tuple, list)) or len(held) != 2:
            raise _Refused(f"it holds {type(held).__name__}, not two arrays")
        mean, std = (_array(each) for each in held)
    # What Python's unpickler makes of instructions that are nonsense.
    except (
        *(pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError),
        *(IndexError, AttributeError, OverflowError, MemoryError),
        RecursionError,
    ) as error:
        said = str(error)
        if not isinstance(error, _Refused):
            said = f"what such a file does not hold, {error!r}"[:200]
        raise ConversionError(wanted + said) from error
    if mean.shape != (num_bins,) or std.shape != (num_bins,):
        raise ConversionError(
            f"{wanted}arrays of {len(mean)} and {len(std)} numbers"
        )
    if not (np.isfinite(mean).all() and np.isfinite(std).all()):
        raise ConversionError(f"{path}: the moments hold NaN or infinity.")
    if not (std > 0).all():
        raise ConversionError(
            f"{path}: every bin needs a deviation above 0, or the original "
            "divides by nothing; were they taken of silence? Received: "
            f"{int((std <= 0).sum())} bins of {num_bins} without, the least "
            f"{std.min():g}"
        )
    return {"mean": mean.tolist(), "std": std.tolist()}
