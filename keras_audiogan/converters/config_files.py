"""The options and statistics that lie beside a PyTorch checkpoint."""

from __future__ import annotations

import functools
import itertools
import json
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import yaml

from keras_audiogan.converters.errors import ConversionError, refuse_pointer

_MAX_TEXT_SIZE = 1 << 20
_MAX_BINS = _MAX_COUNT = 4096
_MAX_INTEGER = 1 << 24
_MAX_LIST = 64
_MAX_NODES = 10_000
_MISSING: Any = object()
_T = TypeVar("_T")


class Options:
    """Options from a stranger's file, each checked as it is read.

    Args:
        path: the file, for messages.
        values: what was read from it.
        prefix: where in the file `values` stands, e.g.
            `"generator_params."`.
    """

    def __init__(
        self, path: pathlib.Path, values: Any, prefix: str = ""
    ) -> None:
        if not isinstance(values, Mapping):
            raise ConversionError(
                f"{path}: expected options by name"
                + (f" under {prefix[:-1]!r}" if prefix else "")
                + f". Received: {type(values).__name__}"
            )
        self.path = path
        self._values = dict(values)
        self._prefix = prefix
        self._unread = set(self._values)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def error(self, name: str, expected: str) -> ConversionError:
        """Returns an error that names the file, the option and its value."""
        received = repr(self._values.get(name, "nothing"))[:200]
        return ConversionError(
            f"{self.path}: `{self._prefix}{name}` should be {expected}. "
            f"Received: {received}"
        )

    def _get(
        self,
        name: str,
        default: Any,
        is_fit: Callable[[Any], bool],
        expected: str,
    ) -> Any:
        self._unread.discard(name)
        if name not in self._values and default is _MISSING:
            raise self.error(name, "given")
        value = self._values.get(name, default)
        if not is_fit(value):
            raise self.error(name, expected)
        return value

    def optional(self, name: str, read: Callable[[str], _T]) -> _T | None:
        """Returns what `read` does, or None where the file has null or none."""
        if self._values.get(name) is None:
            self._unread.discard(name)
            return None
        return read(name)

    def take(self, table: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
        """Returns options by our names.

        Args:
            table: our name -> theirs, and the default, of whose type it is;
                `num_*` are counts.
        """
        readers: dict[type, Callable[..., Any]] = {
            bool: self.flag,
            int: self.integer,
            list: self.integers,
        }
        found = {}
        for ours, (theirs, default) in table.items():
            is_count = ours.startswith("num_")
            read = self.count if is_count else readers[type(default)]
            found[ours] = read(theirs, default)
        return found

    def integer(
        self,
        name: str,
        default: Any = _MISSING,
        low: int = 1,
        high: int = _MAX_INTEGER,
    ) -> int:
        """Returns a whole number from `low` to `high`."""
        return self._get(
            name,
            default,
            lambda v: _is_integer(v, low, high),
            f"a whole number from {low} to {high}",
        )

    def count(self, name: str, default: Any = _MISSING) -> int:
        """Returns how many of something there are: each takes memory."""
        return self.integer(name, default, high=_MAX_COUNT)

    def number(self, name: str, default: Any = _MISSING) -> float:
        """Returns a finite number."""
        return float(self._get(name, default, _is_number, "a number"))

    def text(self, name: str, default: Any = _MISSING) -> str:
        """Returns a string."""
        return self._get(
            name, default, lambda v: isinstance(v, str), "a string"
        )

    def flag(self, name: str, default: Any = _MISSING) -> bool:
        """Returns true or false."""
        return self.choice(name, [True, False], default)

    def choice(
        self, name: str, choices: Sequence[Any], default: Any = _MISSING
    ) -> Any:
        """Returns one of `choices`."""
        return self._get(
            name,
            default,
            lambda v: any(type(v) is type(c) and v == c for c in choices),
            f"one of {', '.join(map(repr, choices))}",
        )

    def integers(self, name: str, default: Any = _MISSING) -> list[int]:
        """Returns a list of whole numbers."""
        expected = "a list of whole numbers from 1"
        return list(self._get(name, default, _are_integers, expected))

    def integer_lists(
        self, name: str, default: Any = _MISSING
    ) -> list[list[int]]:
        """Returns a list of lists of whole numbers."""
        expected = "a list of lists of whole numbers from 1"
        rows = self._get(
            name, default, lambda v: _is_list(v, _are_integers), expected
        )
        return [list(row) for row in rows]

    def options(self, name: str, default: Any = _MISSING) -> Options:
        """Returns the options under a name."""
        value = self._get(name, default, lambda v: True, "")
        return Options(
            self.path, {} if value is None else value, f"{self._prefix}{name}."
        )

    def skip(self, *names: str) -> None:
        """Marks options as known and of no use here."""
        self._unread.difference_update(names)

    def check_all_read(self) -> None:
        """Refuses options that nothing asked for: they may matter."""
        if self._unread:
            name = min(map(str, self._unread))
            raise ConversionError(
                f"{self.path}: `{self._prefix}{name}` is no option that is "
                "known here, and the network may depend on it. "
                f"Received: {str(self._values.get(name))[:100]}"
            )


def mel_options(
    options: Options, num_bins: int, fft_length: str, **others: Any
) -> dict[str, Any]:
    """Returns the arguments of a mel front end.

    `num_bins` is what the generator takes, `fft_length` the option's name.
    """
    if options.integer("num_mels", num_bins) != num_bins:
        raise options.error("num_mels", f"{num_bins}, as its generator has it")
    return {
        "sampling_rate": options.integer("sampling_rate"),
        "num_mel_bins": num_bins,
        "fft_length": options.integer(fft_length),
        "frame_step": options.integer("hop_size"),
        "min_frequency": options.optional("fmin", options.number) or 0.0,
        "max_frequency": options.optional("fmax", options.number),
        **others,
    }


def leaky_slope(options: Options, default: Mapping[str, float]) -> float:
    """Returns a leaky rectifier's slope for negative numbers.

    Args:
        options: with PyTorch's `nonlinear_activation` and its parameters.
        default: the parameters where the file has none.
    """
    kind = options.choice(
        "nonlinear_activation", ["LeakyReLU", "ReLU"], "LeakyReLU"
    )
    settings = options.options("nonlinear_activation_params", default)
    settings.skip("inplace")
    # PyTorch's own default.
    slope = settings.number("negative_slope", 0.01)
    settings.check_all_read()
    return slope if kind == "LeakyReLU" else 0.0


def _is_number(value: Any) -> bool:
    is_real = type(value) in (int, float)
    return is_real and abs(value) <= sys.float_info.max


def _is_integer(value: Any, low: int = 1, high: int = _MAX_INTEGER) -> bool:
    return type(value) is int and low <= value <= high


def _is_list(value: Any, is_fit: Callable[[Any], bool]) -> bool:
    return (
        isinstance(value, list | tuple)
        and 0 < len(value) <= _MAX_LIST
        and all(is_fit(entry) for entry in value)
    )


def _are_integers(value: Any) -> bool:
    return _is_list(value, _is_integer)


class _Loader(yaml.SafeLoader):
    """Reads what Python tags name as the plain list or dict it is."""

    def get_single_node(self) -> Any:
        """Refuses documents that aliases unfold to many times their size."""
        node = super().get_single_node()
        if _num_nodes(node, {}) > _MAX_NODES:
            raise yaml.YAMLError(f"it unfolds to over {_MAX_NODES} values")
        return node

    def plain(self, suffix: str, node: Any) -> Any:
        """Leaves a tag of Python's out."""
        del suffix
        if isinstance(node, yaml.MappingNode):
            return self.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return self.construct_sequence(node, deep=True)
        return self.construct_scalar(node)


# argparse's namespaces, paths and tuples, as the originals dump them.
_Loader.add_multi_constructor("tag:yaml.org,2002:python/", _Loader.plain)


def _num_nodes(node: Any, known: dict[int, int]) -> int:
    """Returns how many nodes there are when each alias is written out."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        # Found again within itself, it has no end.
        known[id(node)] = _MAX_NODES + 1
        children = node.value
        if isinstance(node, yaml.MappingNode):
            children = itertools.chain.from_iterable(children)
        known[id(node)] = 1 + sum(_num_nodes(n, known) for n in children)
    return known[id(node)]


def read_yaml(path: pathlib.Path) -> Options:
    """Reads options from YAML; what its tags ask to be built is not built."""
    return _parse(path, "YAML", functools.partial(yaml.load, Loader=_Loader))


def read_json(path: pathlib.Path) -> Options:
    """Reads options from JSON."""
    return _parse(path, "JSON", json.loads)


def _parse(
    path: pathlib.Path, form: str, parse: Callable[[bytes], Any]
) -> Options:
    refuse_pointer(path)
    data = _read(path)
    try:
        return Options(path, parse(data))
    except ConversionError:
        raise
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ConversionError(
            f"{path} is not readable {form}: "
            f"{' '.join(str(error).split())[:300]}"
        ) from error


def _read(path: pathlib.Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_TEXT_SIZE + 1)
    except OSError as error:
        raise ConversionError(
            f"{path} cannot be read: {error.strerror}. It belongs beside the "
            "checkpoint."
        ) from error
    if len(data) > _MAX_TEXT_SIZE:
        raise ConversionError(f"{path} is too large for a file of options.")
    return data


def read_statistics(
    path: pathlib.Path, num_mel_bins: int
) -> tuple[list[float], list[float]]:
    """Returns the mean and the scale of each mel bin.

    Args:
        path: HDF5 with the data sets `mean` and `scale`, or a `.npy` file
            with the two in rows.
        num_mel_bins: how many there must be.
    """
    refuse_pointer(path)
    read = _read_npy if path.suffix == ".npy" else _read_hdf5
    try:
        found = read(path)
    except ConversionError:
        raise
    except Exception as error:
        # The libraries raise many kinds for a damaged file.
        raise ConversionError(
            f"{path} is not a readable file of statistics, or it is damaged. "
            f"Received: {type(error).__name__}: {str(error)[:200]}"
        ) from error
    for name, values in zip(("mean", "scale"), found, strict=True):
        is_scale = name == "scale"
        if (
            values.shape != (num_mel_bins,)
            or not np.isfinite(values).all()
            or (is_scale and not (values > 0).all())
        ):
            raise ConversionError(
                f"{path}: {name!r} should hold a "
                + ("positive " if is_scale else "")
                + f"number for each of {num_mel_bins} mel bins. "
                f"Received: shape {values.shape}, "
                f"least {values.min(initial=np.inf):g}"
            )
    return found[0].tolist(), found[1].tolist()


def _read_npy(path: pathlib.Path) -> list[np.ndarray]:
    # A memory map: a header may claim any size, and only the rows are read.
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    if values.ndim < 2 or len(values) < 2 or values[0].size > _MAX_BINS:
        raise ConversionError(
            f"{path}: expected two rows, means and scales. "
            f"Received: shape {values.shape}"
        )
    return [np.array(row, "float64").reshape(-1) for row in values[:2]]


def _read_hdf5(path: pathlib.Path) -> list[np.ndarray]:
    import h5py

    found = []
    with h5py.File(path, "r") as file:
        for name in ("mean", "scale"):
            link = file.get(name, getlink=True)
            data = file[name] if type(link) is h5py.HardLink else None
            if (
                not isinstance(data, h5py.Dataset)
                or data.external
                or data.is_virtual
                or data.size > _MAX_BINS
                or data.dtype.kind != "f"
            ):
                raise ConversionError(
                    f"{path}: expected a data set {name!r} of at most "
                    f"{_MAX_BINS} numbers in the file itself. "
                    f"Received: {str(data or link)[:200]}"
                )
            found.append(np.asarray(data[()], "float64").reshape(-1))
    return found
