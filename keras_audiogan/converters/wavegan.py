"""Converts checkpoints of the original WaveGAN (TensorFlow 1).

Source: https://github.com/chrisdonahue/wavegan, whose `train_wavegan.py`
writes `model.ckpt-N.index` and `model.ckpt-N.data-*` into its run folder.
"""

from __future__ import annotations

import dataclasses
import logging
import pathlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_audiogan.converters import checkpoint_files
from keras_audiogan.converters.errors import ConversionError
from keras_audiogan.converters.tensor_bundle import TensorBundle

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


@dataclasses.dataclass(frozen=True)
class _Variable:
    """A variable of the original and where it goes."""

    shape: tuple[int, ...]
    network: str
    target: str


def check(source: str | pathlib.Path) -> str | None:
    """Says why `source` is not an original WaveGAN checkpoint.

    Args:
        source: see `convert_wavegan`.

    Returns:
        None if it is one, else the reason, a sentence.
    """
    try:
        bundle = TensorBundle(checkpoint_files.find_checkpoint(source))
        _expected_variables(bundle)
    except ConversionError as error:
        return str(error)
    return None


def list_networks(source: str | pathlib.Path) -> list[str]:
    """Returns which networks a checkpoint holds, by their preset's stems.

    Arguments and errors are those of `convert_wavegan`.
    """
    prefix = checkpoint_files.find_checkpoint(source)
    _, variables = _expected_variables(TensorBundle(prefix))
    return sorted({variable.network for variable in variables.values()})


def read_config(
    source: str | pathlib.Path,
    *,
    sampling_rate: int | None = None,
    slice_length: int | None = None,
    phase_shuffle: int | None = None,
) -> dict[str, Any]:
    """Returns the arguments of the `WaveGAN` that a checkpoint holds.

    No weight is read and Keras is not imported. Arguments and errors are
    those of `convert_wavegan`.
    """
    prefix = checkpoint_files.find_checkpoint(source)
    config, _ = _expected_variables(TensorBundle(prefix))
    _complete(config, prefix, sampling_rate, slice_length, phase_shuffle)
    return config


def convert_wavegan(
    source: str | pathlib.Path,
    *,
    sampling_rate: int | None = None,
    slice_length: int | None = None,
    phase_shuffle: int | None = None,
    weights: Iterable[str] | None = None,
    dtype: Any = None,
) -> WaveGAN:
    """Converts a checkpoint of the original WaveGAN.

    Channels, width, kernel and latent size, batch norm, upsampling and post
    filter come from the variables' names and shapes. A checkpoint without a
    discriminator leaves ours as initialised. Neither TensorFlow nor pickle
    is used, so this works on every backend.

    Args:
        source: the run folder, the checkpoint's prefix
            (`"train/model.ckpt-1000"`) or its `.index` file.
        sampling_rate: in Hz. None takes it from the run's `args.txt`, or
            else 16000, the original's default.
        slice_length: samples in a clip. The variables of 32,768 and 65,536
            samples have the same shapes; None takes it from the graph stored
            with the checkpoint or from `args.txt`, or else 65536, with a
            warning in the log.
        phase_shuffle: the discriminator's radius. None takes it from
            `args.txt`, or else 2, the original's default.
        weights: networks to load, e.g. `["generator"]`; None for all.
        dtype: dtype policy of the networks; Keras's global policy if None.

    Returns:
        A `WaveGAN` whose generator, its average and the discriminator hold
        the checkpoint's weights.

    Raises:
        ConversionError: if the files are damaged, or hold something else.
    """
    prefix = checkpoint_files.find_checkpoint(source)
    bundle = TensorBundle(prefix)
    config, variables = _expected_variables(bundle)
    _complete(config, prefix, sampling_rate, slice_length, phase_shuffle)
    wanted = None if weights is None else {"generator", *weights}
    # Read all before a model takes memory, so that nothing is half loaded.
    arrays: dict[str, dict[str, np.ndarray]] = {}
    for name, variable in variables.items():
        if wanted is not None and variable.network not in wanted:
            continue
        values = bundle.read(name).astype("float32", copy=False)
        if not np.isfinite(values).all():
            raise ConversionError(
                f"{bundle.index_path}: variable {name!r} holds NaN or "
                "infinity. Training had diverged; convert an earlier "
                "checkpoint."
            )
        if "conv2d_transpose/kernel" in name:
            values = values[0]
        arrays.setdefault(variable.network, {})[variable.target] = values

    from keras_audiogan.models import WaveGAN

    try:
        gan = WaveGAN(**config, dtype=dtype)
    except ValueError as error:
        raise ConversionError(
            f"{bundle.index_path} holds a WaveGAN that has no counterpart "
            f"here: {error}"
        ) from error
    _assign(gan.ema_generator, arrays["generator"])
    stems = {"generator"}
    if "discriminator" in arrays:
        _assign(gan.discriminator, arrays["discriminator"])
        stems.add("discriminator")
    elif wanted is None:
        logger.warning(
            "%s holds no discriminator; it keeps its initial weights.",
            bundle.index_path,
        )
    gan.on_preset_loaded(stems)
    return gan


def _assign(network: Any, weights: dict[str, np.ndarray]) -> None:
    for variable in network.weights:
        variable.assign(weights[variable.path.partition("/")[2]])


def _complete(
    config: dict[str, Any],
    prefix: pathlib.Path,
    sampling_rate: int | None,
    slice_length: int | None,
    phase_shuffle: int | None,
) -> None:
    """Adds what variables do not tell to `config`."""
    arguments = checkpoint_files.read_arguments(prefix)
    if sampling_rate is None:
        sampling_rate = arguments.get("data_sample_rate")
    if phase_shuffle is None:
        phase_shuffle = arguments.get("wavegan_disc_phaseshuffle")
        if phase_shuffle is None:
            phase_shuffle = _DEFAULT_PHASE_SHUFFLE
    num_layers = config.pop("num_layers")
    longest = _NUM_START_FRAMES * 4**num_layers
    possible = [longest]
    if num_layers == _AMBIGUOUS_NUM_LAYERS:
        possible = [longest // 2, longest]
    if slice_length is None and len(possible) > 1:
        slice_length = _find_slice_length(prefix, arguments, longest)
    elif slice_length is None:
        slice_length = longest
    if slice_length not in possible:
        raise ConversionError(
            f"The {num_layers} layers in {prefix} make clips of "
            f"{' or '.join(map(str, possible))} samples. Received: "
            f"slice_length={slice_length}"
        )
    config["slice_length"] = slice_length
    config["sampling_rate"] = sampling_rate or _DEFAULT_SAMPLING_RATE
    config["phase_shuffle"] = phase_shuffle


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
    bundle: TensorBundle,
) -> tuple[dict[str, Any], dict[str, _Variable]]:
    """Infers the networks, and checks every variable's name and shape.

    Returns:
        The constructor's arguments with `num_layers` in place of the slice
        length, and the variables to read.
    """
    shapes = bundle.shapes
    try:
        config = _infer_config(shapes)
        variables = _generator_variables(config)
        if any(name.startswith("D/") for name in shapes):
            variables |= _discriminator_variables(config)
        _compare(shapes, variables)
    except ConversionError as error:
        raise ConversionError(
            f"{bundle.index_path} is not a checkpoint of the original "
            f"WaveGAN: {error}"
        ) from error
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
