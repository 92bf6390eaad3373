"""Converts checkpoints of the original WaveGAN (TensorFlow 1).

Source: https://github.com/chrisdonahue/wavegan, whose `train_wavegan.py`
writes `model.ckpt-N.index` and `model.ckpt-N.data-*` into its run folder. So
does `train_specgan.py`, in the same scopes: reading is shared, and the
kernels tell which it was.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import logging
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.numpy

from keras_audiogan.converters import checkpoint_files
from keras_audiogan.converters.errors import (
    ConversionError,
    MissingPackageError,
)
from keras_audiogan.converters.network_weights import NetworkWeights
from keras_audiogan.converters.parts import Parts, build
from keras_audiogan.converters.tensorflow_checkpoint import (
    TensorFlowCheckpoint,
)
from keras_audiogan.converters.torch_files import Layer

if TYPE_CHECKING:
    from keras_audiogan.models import WaveGAN

logger = logging.getLogger(__name__)

_NUM_START_FRAMES = 16
_VARIABLES = (
    *("kernel", "bias"),
    *("gamma", "beta", "moving_mean", "moving_variance"),
)
# With six layers the last one's stride is 4, or 2 for 32,768 samples: their
# variables have the same shapes.
_AMBIGUOUS_NUM_LAYERS = 6
_DEFAULT_SAMPLING_RATE = 16000
_DEFAULT_PHASE_SHUFFLE = 2
# In seconds. The largest original is read in one of them.
_TIME_LIMIT = 600


# A layer of the original -> which network of ours it is in, and where. The
# original normalises before a layer, in the scope of the layer that came
# before.
_LAYERS = (
    (r"G/z_project/dense", "generator", "dense"),
    (r"G/z_project/batch_normalization", "generator", "batch_norm_0"),
    (
        r"G/upconv_(\d+)/(?:conv2d_transpose|conv1d|conv2d)",
        "generator",
        "upconv_{i}",
    ),
    (r"G/upconv_(\d+)/batch_normalization", "generator", "batch_norm_{next}"),
    (r"G/pp_filt/conv1d", "generator", "post_filter"),
    (
        r"D/downconv_(\d+)/conv[12]d",
        "discriminator",
        "downconv_{i}",
    ),
    (
        r"D/downconv_(\d+)/batch_normalization",
        "discriminator",
        "batch_norm_{i}",
    ),
    (r"D/output/dense", "discriminator", "output"),
)


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a checkpoint holds.

    Attributes:
        architecture: its name in the registry.
        config: its arguments with `num_layers` in place of the slice length.
        networks: which networks are there, by their preset's stems.
        arrays: the original's names -> float32 values.
    """

    architecture: str
    config: dict[str, Any]
    networks: list[str]
    arrays: dict[str, np.ndarray]


def read_contents(
    prefix: str | pathlib.Path, networks: Collection[str] | None = None
) -> Contents:
    """Reads a checkpoint with TensorFlow, in this process.

    `networks` are those whose weights to read; None for all that are there.
    """
    checkpoint = TensorFlowCheckpoint(prefix)
    try:
        architecture, config = _infer_config(checkpoint.shapes)
        held = _networks_by_name(checkpoint.shapes)
    except ConversionError as error:
        raise ConversionError(
            f"{checkpoint.index_path} is not a checkpoint of the original "
            f"WaveGAN, nor of its SpecGAN: {error}"
        ) from error
    arrays = checkpoint.read(
        name
        for name, network in held.items()
        if networks is None or network in networks
    )
    return Contents(architecture, config, sorted(set(held.values())), arrays)


def read_apart(
    prefix: pathlib.Path,
    networks: Collection[str] | None,
    reader: str = __name__,
) -> Contents:
    """Is the `read_contents` of a module in a process of its own.

    TensorFlow's reader ends its process over a crafted file, and beside JAX
    or PyTorch TensorFlow is not wanted in ours.
    """
    code = f"from {__name__} import _child; _child({reader!r})"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    wanted = None if networks is None else sorted(networks)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "contents")
        request = json.dumps([str(prefix), wanted, str(path)])
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-c", code, request],
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIME_LIMIT,
            )
        except subprocess.TimeoutExpired as error:
            raise ConversionError(
                f"{prefix}: TensorFlow did not read it in {_TIME_LIMIT} "
                "seconds; it was given up."
            ) from error
        except OSError as error:
            raise ConversionError(
                f"{prefix}: no Python could be started to read it. "
                f"Received: {sys.executable}: {error}"
            ) from error
        if done.returncode:
            raise ConversionError(
                f"{prefix}: TensorFlow broke off as it read this checkpoint "
                f"(exit status {done.returncode}). The index is damaged, or "
                "made to mislead; fetch it again. Received: "
                + " ".join(done.stderr.split())[-300:]
            )
        with safetensors.safe_open(path, "numpy") as file:
            answer = json.loads(file.metadata()["answer"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    if "error" in answer:
        kind = MissingPackageError if answer["missing"] else ConversionError
        raise kind(answer["error"])
    contents = Contents(**answer, arrays=arrays)
    _held[_state(prefix, reader)] = dataclasses.replace(contents, arrays={})
    return contents


# Starting TensorFlow takes seconds: a checkpoint's state -> all but arrays.
_held: dict[tuple[str, int, str], Contents] = {}


def outline(prefix: pathlib.Path, reader: str = __name__) -> Contents:
    """Returns what a checkpoint holds, without its arrays."""
    held = _held.get(_state(prefix, reader))
    return held or read_apart(prefix, [], reader)


def _state(prefix: pathlib.Path, reader: str) -> tuple[str, int, str]:
    index = prefix.with_name(prefix.name + ".index").absolute()
    return str(index), index.stat().st_mtime_ns, reader


def _child(reader: str) -> None:
    """Is the other end of `read_apart`."""
    prefix, networks, path = json.loads(sys.argv[1])
    arrays = {}
    answer: dict[str, Any]
    try:
        module = importlib.import_module(reader)
        contents = module.read_contents(prefix, networks)
        answer = {
            "architecture": contents.architecture,
            "config": contents.config,
            "networks": contents.networks,
        }
        arrays = {
            name: np.ascontiguousarray(values)
            for name, values in contents.arrays.items()
        }
    except ConversionError as error:
        is_missing = isinstance(error, MissingPackageError)
        answer = {"error": str(error), "missing": is_missing}
    metadata = {"answer": json.dumps(answer)}
    safetensors.numpy.save_file(arrays, path, metadata)


class TensorFlowConverter:
    """What converters of the project's TensorFlow 1 checkpoints share."""

    def list_networks(self, source: str | pathlib.Path) -> list[str]:
        """Returns which networks a checkpoint holds, by their preset's stems.

        Arguments and errors are those of `convert`.
        """
        prefix = checkpoint_files.find_checkpoint(source)
        return list(outline(prefix).networks)


class WaveGANConverter(TensorFlowConverter):
    """Converts checkpoints of the original WaveGAN."""

    def check(self, source: str | pathlib.Path) -> str | None:
        """Says why `source` is no TensorFlow checkpoint; None if it is one.

        SpecGAN's, which is told by what is in it, has its own converter.
        """
        try:
            checkpoint_files.find_checkpoint(source)
        except ConversionError as error:
            return str(error)
        return None

    def convert(
        self,
        source: str | pathlib.Path,
        *,
        sampling_rate: int | None = None,
        slice_length: int | None = None,
        phase_shuffle: int | None = None,
        weights: Iterable[str] | None = None,
        dtype: Any = None,
    ) -> WaveGAN:
        """Converts a checkpoint of the original WaveGAN.

        Channels, width, kernel and latent size, batch norm, upsampling and
        post filter come from the variables' names and shapes. A checkpoint
        without a discriminator leaves ours as initialised. TensorFlow must be
        installed, and reads the files in a process of its own, so this works
        on every backend.

        Args:
            source: the run folder, the checkpoint's prefix
                (`"train/model.ckpt-1000"`) or its `.index` file.
            sampling_rate: in Hz. None takes it from the run's `args.txt`, or
                else 16000, the original's default.
            slice_length: samples in a clip. The variables of 32,768 and
                65,536 samples have the same shapes; None takes it from the
                graph stored with the checkpoint or from `args.txt`, or else
                65536, with a warning in the log.
            phase_shuffle: the discriminator's radius. None takes it from
                `args.txt`, or else 2, the original's default.
            weights: networks to load, e.g. `["generator"]`; None for all.
            dtype: dtype policy of the networks; Keras's global policy if
                None.

        Returns:
            A `WaveGAN` whose generator, its average and the discriminator
            hold the checkpoint's weights.

        Raises:
            MissingPackageError: if TensorFlow is not installed.
            ConversionError: if the files are damaged, or hold something else.
        """
        prefix = checkpoint_files.find_checkpoint(source)
        wanted = None if weights is None else {"generator", *weights}
        parts = make_parts(
            read_apart(prefix, wanted),
            prefix,
            sampling_rate,
            slice_length,
            phase_shuffle,
        )
        if wanted is None and parts.discriminator is None:
            logger.warning(
                "%s holds no discriminator; it keeps its initial weights.",
                prefix,
            )
        return build(parts, dtype)


converter = WaveGANConverter()
convert_wavegan = converter.convert


def make_parts(
    contents: Contents,
    prefix: pathlib.Path,
    sampling_rate: int | None = None,
    slice_length: int | None = None,
    phase_shuffle: int | None = None,
) -> Parts:
    """Returns a checkpoint's contents as parts of our model.

    The run's other files lie beside `prefix`; what they and the variables do
    not tell is as for `convert`.
    """
    if contents.architecture != "wavegan":
        raise ConversionError(
            f"{prefix} is a checkpoint of SpecGAN: its kernels are "
            "two-dimensional. Convert it with `convert_specgan`."
        )
    arguments = checkpoint_files.read_arguments(prefix)
    config = dict(contents.config)
    if phase_shuffle is None:
        phase_shuffle = arguments.get(
            "wavegan_disc_phaseshuffle", _DEFAULT_PHASE_SHUFFLE
        )
    config["slice_length"] = _slice_length(
        prefix, arguments, config.pop("num_layers"), slice_length
    )
    config["sampling_rate"] = (
        sampling_rate
        or arguments.get("data_sample_rate")
        or _DEFAULT_SAMPLING_RATE
    )
    config["discriminators"] = [
        {"kind": "waveform", "phase_shuffle": phase_shuffle}
    ]
    weights = network_weights(contents, prefix)
    return Parts(
        prefix,
        "wavegan",
        config,
        weights["generator"],
        weights.get("discriminator"),
    )


def network_weights(
    contents: Contents, prefix: pathlib.Path
) -> dict[str, NetworkWeights]:
    """Returns the weights of each network that was read."""
    flat = contents.architecture == "wavegan"
    layers: dict[str, dict[str, Layer]] = {}
    for source, values in contents.arrays.items():
        network, target, name = _target(source) or ("", "", "")
        layer = layers.setdefault(network, {}).setdefault(
            target, Layer(None, {}, {})
        )
        if (
            flat
            and source.endswith("conv2d_transpose/kernel")
            and len(values) == 1
        ):
            values = values[0]
        layer.arrays[name], layer.sources[name] = values, source
    return {
        network: NetworkWeights(prefix, of_network)
        for network, of_network in layers.items()
    }


def _slice_length(
    prefix: pathlib.Path,
    arguments: dict[str, int],
    num_layers: int,
    wanted: int | None,
) -> int:
    """Returns the slice length; tells 32,768 from 65,536 samples."""
    longest = _NUM_START_FRAMES * 4**num_layers
    # The last layer's stride -> the slice length.
    possible = {4: longest}
    if num_layers == _AMBIGUOUS_NUM_LAYERS:
        possible = {2: longest // 2, 4: longest}
    if wanted is not None:
        if wanted not in possible.values():
            raise ConversionError(
                f"The {num_layers} layers in {prefix} make clips of "
                f"{' or '.join(map(str, possible.values()))} samples. "
                f"Received: slice_length={wanted}"
            )
        return wanted
    if len(possible) == 1:
        return longest
    stride = checkpoint_files.find_last_stride(prefix, num_layers)
    if stride in possible:
        return possible[stride]
    if arguments.get("data_slice_len") in possible.values():
        return arguments["data_slice_len"]
    logger.warning(
        "The variables in %s fit clips of %d and of %d samples, and neither "
        "a .meta file nor args.txt beside them tells which: taking %d. Pass "
        "`slice_length` if that is wrong.",
        prefix,
        *possible.values(),
        longest,
    )
    return longest


def _infer_config(
    shapes: dict[str, tuple[int, ...]],
) -> tuple[str, dict[str, Any]]:
    """Infers architecture and networks from the generator's variables."""
    if not any(name.startswith("G/") for name in shapes):
        raise ConversionError(_reason_without_generator(shapes))

    def shape(name: str, rank: int) -> tuple[int, ...]:
        if len(shapes.get(name, ())) != rank:
            raise ConversionError(
                f"expected a variable {name!r} with {rank} dimensions. "
                f"Received: {shapes.get(name, 'none')}"
            )
        return shapes[name]

    scopes = {
        int(found.group(1))
        for found in map(re.compile(r"G/upconv_(\d{1,2})/").match, shapes)
        if found
    }
    num_layers = len(scopes)
    if not scopes or scopes != set(range(num_layers)):
        raise ConversionError(
            "expected layers G/upconv_0, G/upconv_1, ... Received: layers "
            f"{sorted(scopes)}"
        )
    first, last = "G/upconv_0/", f"G/upconv_{num_layers - 1}/"
    transposed = first + "conv2d_transpose/kernel" in shapes
    architecture = "wavegan"
    if transposed:
        if shape(first + "conv2d_transpose/kernel", 4)[0] != 1:
            architecture = "specgan"
        height, kernel_size, channels, dim = shape(
            last + "conv2d_transpose/kernel", 4
        )
        if (height != 1) != (architecture == "specgan"):
            raise ConversionError(
                "the kernels of some layers have two dimensions, those of "
                "others one."
            )
    elif first + "conv2d/kernel" in shapes:
        architecture = "specgan"
        _, kernel_size, dim, channels = shape(last + "conv2d/kernel", 4)
    else:
        kernel_size, dim, channels = shape(last + "conv1d/kernel", 3)
    config: dict[str, Any] = {
        "num_layers": num_layers,
        "num_channels": channels,
        "latent_dim": shape("G/z_project/dense/kernel", 2)[0],
        "dim": dim,
        "kernel_size": kernel_size,
        "batch_norm": "G/z_project/batch_normalization/gamma" in shapes,
        "upsampling": "transposed" if transposed else "nearest",
    }
    filtered = "G/pp_filt/conv1d/kernel"
    if architecture == "wavegan":
        config["post_filter_length"] = (
            shape(filtered, 3)[0] if filtered in shapes else None
        )
    return architecture, config


def _reason_without_generator(shapes: dict[str, tuple[int, ...]]) -> str:
    if any("/.ATTRIBUTES/" in name for name in shapes):
        return "it was written by TensorFlow 2's tf.train.Checkpoint."
    if any(name.startswith("D/") for name in shapes):
        return "it holds a discriminator only; sampling needs a generator."
    some = ", ".join(sorted(shapes)[:3]) or "none"
    return f"no variable's name starts with 'G/'. Received: {some} ..."


def _target(name: str) -> tuple[str, str, str] | None:
    """Returns the network, the layer and the name of a variable of ours."""
    scope, _, last = name.rpartition("/")
    for theirs, network, layer in _LAYERS:
        match = re.fullmatch(theirs, scope)
        if match and last in _VARIABLES:
            i = int(match.group(1)) if match.groups() else 0
            return network, layer.format(i=i, next=i + 1), last
    return None


def _networks_by_name(names: Iterable[str]) -> dict[str, str]:
    """Returns the variables of weights, and which network each is in."""
    found = {}
    targets = set()
    for name in sorted(names):
        target = _target(name)
        if target and target not in targets:
            found[name] = target[0]
            targets.add(target)
        # An optimiser's slots are named after their variable.
        elif name.startswith(("G/", "D/")) and (
            target or not _target(name.rpartition("/")[0])
        ):
            raise ConversionError(f"WaveGAN has no variable {name!r}.")
    return found
