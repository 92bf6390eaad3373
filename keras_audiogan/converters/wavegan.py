"""Converts checkpoints of the original WaveGAN (TensorFlow 1).

Source: https://github.com/chrisdonahue/wavegan, whose `train_wavegan.py`
writes `model.ckpt-N.index` and `model.ckpt-N.data-*` into its run folder.
"""

from __future__ import annotations

import dataclasses
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
from keras_audiogan.converters.tensorflow_checkpoint import (
    TensorFlowCheckpoint,
)

if TYPE_CHECKING:
    from keras_audiogan.models import WaveGAN

logger = logging.getLogger(__name__)

_NUM_START_FRAMES = 16
_BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
# With six layers the last one's stride is 4, or 2 for 32,768 samples: their
# variables have the same shapes.
_AMBIGUOUS_NUM_LAYERS = 6
_DEFAULT_SAMPLING_RATE = 16000
_DEFAULT_PHASE_SHUFFLE = 2
# In seconds. The largest original is read in one of them.
_TIME_LIMIT = 600


@dataclasses.dataclass(frozen=True)
class _Variable:
    """A variable of the original and where it goes."""

    shape: tuple[int, ...]
    network: str
    target: str


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a checkpoint holds.

    Attributes:
        config: `WaveGAN`'s arguments with `num_layers` in place of the slice
            length.
        networks: which networks are there, by their preset's stems.
        arrays: `"generator/dense/kernel"`, ... -> float32 values.
    """

    config: dict[str, Any]
    networks: list[str]
    arrays: dict[str, np.ndarray]


def read_contents(
    prefix: str | pathlib.Path, networks: Collection[str] | None = None
) -> Contents:
    """Reads and checks a checkpoint with TensorFlow, in this process.

    Args:
        prefix: path of the checkpoint without `.index`.
        networks: whose weights to read; None for all that are there.

    Raises:
        MissingPackageError: if TensorFlow is not installed.
        ConversionError: if the files are damaged, or hold something else.
    """
    checkpoint = TensorFlowCheckpoint(prefix)
    try:
        config, variables = _expected_variables(checkpoint.shapes)
    except ConversionError as error:
        raise ConversionError(
            f"{checkpoint.index_path} is not a checkpoint of the original "
            f"WaveGAN: {error}"
        ) from error
    wanted = {
        name: variable
        for name, variable in variables.items()
        if networks is None or variable.network in networks
    }
    arrays = {}
    for name, values in checkpoint.read(wanted).items():
        if "conv2d_transpose/kernel" in name:
            values = values[0]
        arrays[f"{wanted[name].network}/{wanted[name].target}"] = values
    held = sorted({variable.network for variable in variables.values()})
    return Contents(config, held, arrays)


def _read_apart(
    prefix: pathlib.Path, networks: Collection[str] | None
) -> Contents:
    """Is `read_contents` in a process of its own.

    TensorFlow's reader ends its process over a crafted file, and beside JAX
    or PyTorch TensorFlow is not wanted in ours.
    """
    code = f"from {__name__} import _child; _child()"
    with tempfile.TemporaryDirectory() as folder:
        request = json.dumps(
            [
                str(prefix),
                None if networks is None else sorted(networks),
                folder,
            ]
        )
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-c", code, request],
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                    "CUDA_VISIBLE_DEVICES": "-1",
                },
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIME_LIMIT,
            )
            result = pathlib.Path(folder, "result.json").read_text("utf-8")
        except subprocess.TimeoutExpired as error:
            raise ConversionError(
                f"{prefix}: TensorFlow did not read it in {_TIME_LIMIT} "
                "seconds; it was given up."
            ) from error
        except FileNotFoundError as error:
            raise ConversionError(
                f"{prefix}: TensorFlow broke off as it read this checkpoint "
                f"(exit status {done.returncode}). The index is damaged, or "
                "made to mislead; fetch it again. Received: "
                + " ".join(done.stderr.split())[-300:]
            ) from error
        answer = json.loads(result)
        if "missing" in answer:
            raise MissingPackageError(answer["missing"])
        if "error" in answer:
            raise ConversionError(answer["error"])
        weights = safetensors.numpy.load_file(f"{folder}/weights")
    _held[_state(prefix)] = answer["networks"]
    return Contents(answer["config"], answer["networks"], weights)


# Starting TensorFlow takes seconds: a checkpoint's state -> its networks.
_held: dict[tuple[str, int], list[str]] = {}


def _state(prefix: pathlib.Path) -> tuple[str, int]:
    index = prefix.with_name(prefix.name + ".index").absolute()
    return str(index), index.stat().st_mtime_ns


def _child() -> None:
    """Is the other end of `_read_apart`."""
    prefix, networks, folder = json.loads(sys.argv[1])
    try:
        contents = read_contents(prefix, networks)
        answer: dict[str, Any] = {
            "config": contents.config,
            "networks": contents.networks,
        }
        safetensors.numpy.save_file(
            {k: np.ascontiguousarray(v) for k, v in contents.arrays.items()},
            f"{folder}/weights",
        )
    except MissingPackageError as error:
        answer = {"missing": str(error)}
    except ConversionError as error:
        answer = {"error": str(error)}
    pathlib.Path(folder, "result.json").write_text(json.dumps(answer), "utf-8")


class WaveGANConverter:
    """Converts checkpoints of the original WaveGAN."""

    def check(self, source: str | pathlib.Path) -> str | None:
        """Says why `source` is no TensorFlow checkpoint; None if it is one."""
        try:
            checkpoint_files.find_checkpoint(source)
        except ConversionError as error:
            return str(error)
        return None

    def list_networks(self, source: str | pathlib.Path) -> list[str]:
        """Returns which networks a checkpoint holds, by their preset's stems.

        Arguments and errors are those of `convert`.
        """
        prefix = checkpoint_files.find_checkpoint(source)
        held = _held.get(_state(prefix))
        return list(held or _read_apart(prefix, []).networks)

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
        contents = _read_apart(prefix, wanted)
        config = complete_config(
            contents.config, prefix, sampling_rate, slice_length, phase_shuffle
        )

        from keras_audiogan.models import WaveGAN

        try:
            gan = WaveGAN(**config, dtype=dtype)
        except ValueError as error:
            raise ConversionError(
                f"{prefix} holds a WaveGAN that has no counterpart here: "
                f"{error}"
            ) from error
        stems = {name.partition("/")[0] for name in contents.arrays}
        _assign(gan.ema_generator, "generator", contents.arrays)
        if "discriminator" in stems:
            _assign(gan.discriminator, "discriminator", contents.arrays)
        elif wanted is None:
            logger.warning(
                "%s holds no discriminator; it keeps its initial weights.",
                prefix,
            )
        gan.on_preset_loaded(stems)
        return gan


converter = WaveGANConverter()
convert_wavegan = converter.convert


def _assign(network: Any, stem: str, arrays: dict[str, np.ndarray]) -> None:
    for variable in network.weights:
        variable.assign(arrays[f"{stem}/{variable.path.partition('/')[2]}"])


def complete_config(
    config: dict[str, Any],
    prefix: pathlib.Path,
    sampling_rate: int | None = None,
    slice_length: int | None = None,
    phase_shuffle: int | None = None,
) -> dict[str, Any]:
    """Returns `WaveGAN`'s arguments with what the variables do not tell.

    Args:
        config: of `Contents`.
        prefix: the checkpoint's prefix, beside which the run's other files
            lie.
        sampling_rate: as for `convert`.
        slice_length: as for `convert`.
        phase_shuffle: as for `convert`.

    Raises:
        ConversionError: if the slice length is not one that the layers make.
    """
    arguments = checkpoint_files.read_arguments(prefix)
    config = dict(config)
    num_layers = config.pop("num_layers")
    longest = _NUM_START_FRAMES * 4**num_layers
    possible = [longest]
    if num_layers == _AMBIGUOUS_NUM_LAYERS:
        possible = [longest // 2, longest]
    if slice_length is None:
        slice_length = longest
        if len(possible) > 1:
            slice_length = _find_slice_length(prefix, arguments, longest)
    if slice_length not in possible:
        raise ConversionError(
            f"The {num_layers} layers in {prefix} make clips of "
            f"{' or '.join(map(str, possible))} samples. Received: "
            f"slice_length={slice_length}"
        )
    if phase_shuffle is None:
        phase_shuffle = arguments.get(
            "wavegan_disc_phaseshuffle", _DEFAULT_PHASE_SHUFFLE
        )
    return {
        **config,
        "slice_length": slice_length,
        "sampling_rate": sampling_rate
        or arguments.get("data_sample_rate")
        or _DEFAULT_SAMPLING_RATE,
        "phase_shuffle": phase_shuffle,
    }


def _find_slice_length(
    prefix: pathlib.Path, arguments: dict[str, int], longest: int
) -> int:
    """Tells 32,768 from 65,536 samples by what lies beside the weights."""
    possible = {2: longest // 2, 4: longest}
    stride = checkpoint_files.find_last_stride(prefix, _AMBIGUOUS_NUM_LAYERS)
    if stride in possible:
        return possible[stride]
    if arguments.get("data_slice_len") in possible.values():
        return arguments["data_slice_len"]
    logger.warning(
        "The variables in %s fit clips of %d and of %d samples, and neither "
        "a .meta file nor args.txt beside them tells which: taking %d. Pass "
        "`slice_length` if that is wrong.",
        prefix,
        longest // 2,
        longest,
        longest,
    )
    return longest


def _expected_variables(
    shapes: dict[str, tuple[int, ...]],
) -> tuple[dict[str, Any], dict[str, _Variable]]:
    """Infers the networks, and checks every variable's name and shape."""
    config = _infer_config(shapes)
    variables = _generator_variables(config)
    if any(name.startswith("D/") for name in shapes):
        variables |= _discriminator_variables(config)
    _compare(shapes, variables)
    return config, variables


def _infer_config(shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """Infers the networks from the generator's names and shapes."""
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
    if first + "conv2d/kernel" in shapes:
        raise ConversionError(_SPECGAN)
    transposed = first + "conv2d_transpose/kernel" in shapes
    if transposed:
        if shape(first + "conv2d_transpose/kernel", 4)[0] != 1:
            raise ConversionError(_SPECGAN)
        _, kernel_size, channels, dim = shape(
            last + "conv2d_transpose/kernel", 4
        )
    else:
        kernel_size, dim, channels = shape(last + "conv1d/kernel", 3)
    filtered = "G/pp_filt/conv1d/kernel"
    return {
        "num_layers": num_layers,
        "num_channels": channels,
        "latent_dim": shape("G/z_project/dense/kernel", 2)[0],
        "dim": dim,
        "kernel_size": kernel_size,
        "batch_norm": "G/z_project/batch_normalization/gamma" in shapes,
        "upsampling": "transposed" if transposed else "nearest",
        "post_filter_length": (
            shape(filtered, 3)[0] if filtered in shapes else None
        ),
    }


_SPECGAN = (
    "its kernels are two-dimensional, as SpecGAN's are. SpecGAN makes "
    "spectrograms and does not convert."
)


def _reason_without_generator(shapes: dict[str, tuple[int, ...]]) -> str:
    if any("/.ATTRIBUTES/" in name for name in shapes):
        return "it was written by TensorFlow 2's tf.train.Checkpoint."
    if any(name.startswith("D/") for name in shapes):
        return "it holds a discriminator only; sampling needs a generator."
    some = ", ".join(sorted(shapes)[:3]) or "none"
    return f"no variable's name starts with 'G/'. Received: {some} ..."


def _layer(
    source: str, shape: tuple[int, ...], network: str, target: str
) -> dict[str, _Variable]:
    """A layer's kernel and bias."""
    units = shape[-2] if "conv2d_transpose" in source else shape[-1]
    return {
        f"{source}/kernel": _Variable(shape, network, f"{target}/kernel"),
        f"{source}/bias": _Variable((units,), network, f"{target}/bias"),
    }


def _batch_norm(
    scope: str, channels: int, network: str, index: int
) -> dict[str, _Variable]:
    return {
        f"{scope}/batch_normalization/{name}": _Variable(
            (channels,), network, f"batch_norm_{index}/{name}"
        )
        for name in _BATCH_NORM
    }


def _generator_variables(config: dict[str, Any]) -> dict[str, _Variable]:
    num_layers, size = config["num_layers"], config["kernel_size"]
    widths = [config["dim"] << i for i in reversed(range(num_layers))]
    units = _NUM_START_FRAMES * widths[0]
    variables = _layer(
        "G/z_project/dense",
        (config["latent_dim"], units),
        "generator",
        "dense",
    )
    outputs = [*widths[1:], config["num_channels"]]
    for i, (inputs, filters) in enumerate(zip(widths, outputs, strict=True)):
        scope = f"G/upconv_{i}"
        if config["upsampling"] == "transposed":
            source = f"{scope}/conv2d_transpose"
            shape: tuple[int, ...] = (1, size, filters, inputs)
        else:
            source, shape = f"{scope}/conv1d", (size, inputs, filters)
        variables |= _layer(source, shape, "generator", f"upconv_{i}")
        if config["batch_norm"]:
            # The original normalises before each layer, in the scope of the
            # layer that came before.
            before = f"G/upconv_{i - 1}" if i else "G/z_project"
            variables |= _batch_norm(before, inputs, "generator", i)
    if config["post_filter_length"] is not None:
        variables["G/pp_filt/conv1d/kernel"] = _Variable(
            (config["post_filter_length"], config["num_channels"], 1),
            "generator",
            "post_filter/kernel",
        )
    return variables


def _discriminator_variables(config: dict[str, Any]) -> dict[str, _Variable]:
    variables: dict[str, _Variable] = {}
    inputs = config["num_channels"]
    for i in range(config["num_layers"]):
        filters = config["dim"] << i
        scope = f"D/downconv_{i}"
        variables |= _layer(
            f"{scope}/conv1d",
            (config["kernel_size"], inputs, filters),
            "discriminator",
            f"downconv_{i}",
        )
        if config["batch_norm"] and i:
            variables |= _batch_norm(scope, filters, "discriminator", i)
        inputs = filters
    return variables | _layer(
        "D/output/dense",
        (_NUM_START_FRAMES * inputs, 1),
        "discriminator",
        "output",
    )


def _compare(
    shapes: dict[str, tuple[int, ...]], variables: dict[str, _Variable]
) -> None:
    """Refuses missing, misshapen and surplus variables."""
    for name, variable in variables.items():
        if name not in shapes:
            raise ConversionError(f"variable {name!r} is missing.")
        if shapes[name] != variable.shape:
            raise ConversionError(
                f"variable {name!r} should have the shape {variable.shape}. "
                f"Received: {shapes[name]}"
            )
    for name in shapes:
        # An optimiser's slots are named after their variable.
        owner = name.rpartition("/")[0]
        if name.startswith(("G/", "D/")) and not (
            name in variables or owner in variables
        ):
            raise ConversionError(f"WaveGAN has no variable {name!r}.")
