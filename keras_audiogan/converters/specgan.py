"""Converts checkpoints of the original SpecGAN (TensorFlow 1).

Source: https://github.com/chrisdonahue/wavegan, whose `train_specgan.py`
writes the checkpoint into its run folder, and the moments of the corpus into
a pickle that is named at every start, most often in the same folder.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from keras_audiogan.converters import checkpoint_files
from keras_audiogan.converters.errors import ConversionError
from keras_audiogan.converters.moments import read_moments
from keras_audiogan.converters.parts import Parts, build
from keras_audiogan.converters.wavegan import (
    Contents,
    TensorFlowConverter,
    network_weights,
    outline,
    read_apart,
)

if TYPE_CHECKING:
    from keras_audiogan.models import SpecGAN

_DEFAULT_SAMPLING_RATE = 16000
_DEFAULT_ITERATIONS = 16
_START = 4


class SpecGANConverter(TensorFlowConverter):
    """Converts checkpoints of the original SpecGAN."""

    def check(self, source: str | pathlib.Path) -> str | None:
        """Says why `source` is no checkpoint of SpecGAN; None if it is one."""
        try:
            prefix = checkpoint_files.find_checkpoint(source)
        except ConversionError as error:
            return str(error)
        index = checkpoint_files.index_of(prefix)
        # Starting TensorFlow takes seconds, and names are not compressed.
        is_wavegan = b"/conv1d/" in index.read_bytes()
        if is_wavegan or outline(prefix).architecture != "specgan":
            return f"{prefix} is no checkpoint of SpecGAN."
        return None

    def convert(
        self,
        source: str | pathlib.Path,
        *,
        moments: str | pathlib.Path | None = None,
        sampling_rate: int | None = None,
        slice_length: int | None = None,
        weights: Iterable[str] | None = None,
        dtype: Any = None,
    ) -> SpecGAN:
        """Converts a checkpoint of the original SpecGAN.

        Width, kernel and latent size, batch norm and upsampling come from the
        variables' names and shapes. Sound is made as the original makes it,
        with `exact_overlap=False`. TensorFlow must be installed, and reads
        the files in a process of its own.

        Args:
            source: the run folder, the checkpoint's prefix
                (`"train/model.ckpt-1000"`) or its `.index` file.
            moments: the pickle of mean and deviation of each bin. None takes
                the one beside the checkpoint that `args.txt` names, or the
                only one there.
            sampling_rate: in Hz. None takes it from the run's `args.txt`, or
                else 16000, the original's.
            slice_length: samples in a clip; the variables tell it too.
            weights: networks to load, e.g. `["generator"]`; None for all.
            dtype: dtype policy of the networks; Keras's global policy if
                None.

        Returns:
            A `SpecGAN` whose generator, its average and the discriminator
            hold the checkpoint's weights.

        Raises:
            MissingPackageError: if TensorFlow is not installed.
            ConversionError: if the files are damaged, hold something else, or
                there are no moments.
        """
        prefix = checkpoint_files.find_checkpoint(source)
        wanted = None if weights is None else {"generator", *weights}
        parts = make_parts(
            read_apart(prefix, wanted),
            prefix,
            moments,
            sampling_rate,
            slice_length,
        )
        return build(parts, dtype)


converter = SpecGANConverter()
convert_specgan = converter.convert


def make_parts(
    contents: Contents,
    prefix: pathlib.Path,
    moments: str | pathlib.Path | None = None,
    sampling_rate: int | None = None,
    slice_length: int | None = None,
) -> Parts:
    """Returns a checkpoint's contents as parts of our model.

    Arguments and errors are those of `convert`.
    """
    if contents.architecture != "specgan":
        raise ConversionError(
            f"{prefix} is no checkpoint of SpecGAN: its kernels have one "
            "dimension. Convert it with `convert_wavegan`."
        )
    arguments = checkpoint_files.read_arguments(prefix)
    config = dict(contents.config)
    # As many frames as bins, and half a frame between them: 128 of each.
    side = _START << config.pop("num_layers")
    fft_length, frame_step = 2 * side, side
    if slice_length not in (None, side * frame_step):
        raise ConversionError(
            f"The layers in {prefix} make clips of {side * frame_step} "
            f"samples. Received: slice_length={slice_length}"
        )
    config |= {
        "slice_length": side * frame_step,
        "fft_length": fft_length,
        "frame_step": frame_step,
        "sampling_rate": sampling_rate
        or arguments.get("data_sample_rate")
        or _DEFAULT_SAMPLING_RATE,
        "phase_iterations": arguments.get("specgan_ngl", _DEFAULT_ITERATIONS),
        "exact_overlap": False,
        "discriminators": [{"kind": "spectrogram"}],
        **read_moments(moments or find_moments(prefix), side + 1),
    }
    weights = network_weights(contents, prefix)
    return Parts(
        prefix,
        "specgan",
        config,
        weights["generator"],
        weights.get("discriminator"),
    )


def find_moments(prefix: pathlib.Path) -> pathlib.Path:
    """Returns the moments pickle beside a checkpoint.

    Raises:
        ConversionError: if there is none, or more than one.
    """
    folder = prefix.parent
    named = checkpoint_files.read_argument(prefix, "data_moments_fp")
    if named:
        # A path of the machine that trained: only its last part means
        # anything here.
        path = folder / re.split(r"[\\/]", named)[-1]
        if path.is_file():
            return path
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix in (".pkl", ".pickle") and path.is_file()
    )
    if len(found) != 1:
        held = ", ".join(path.name for path in found[:4]) or "none"
        raise ConversionError(
            f"{prefix}: SpecGAN makes sound by the mean and the deviation of "
            "each bin of its corpus, which train_specgan.py keeps in a pickle "
            "(--data_moments_fp). Put it beside the checkpoint, or pass "
            f"`moments` (--moments). Received: {held} of *.pkl in {folder}"
        )
    return found[0]
