"""Original authors' checkpoints, turned into our models.

`convert` recognises what a checkpoint is and picks the converter. Pickles
are read by PyTorch's `weights_only=True`, or as arrays of numbers and nothing
beside: nothing in them is run. Nothing imports Keras before a model is built.
"""

from __future__ import annotations

import importlib
import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from keras_audiogan.converters import checkpoint_names
from keras_audiogan.converters.errors import (
    ConversionError,
    MissingPackageError,
)

if TYPE_CHECKING:
    from keras_audiogan.converters.bigvgan import convert_bigvgan
    from keras_audiogan.converters.gansynth import convert_gansynth
    from keras_audiogan.converters.hifigan import convert_hifigan
    from keras_audiogan.converters.melgan import convert_melgan
    from keras_audiogan.converters.musicnn import convert_musicnn
    from keras_audiogan.converters.parallel_wavegan import (
        convert_parallel_wavegan,
    )
    from keras_audiogan.converters.specgan import convert_specgan
    from keras_audiogan.converters.vocos import convert_vocos
    from keras_audiogan.converters.wavegan import convert_wavegan
    from keras_audiogan.models.audio_gan import AudioGAN

__all__ = [
    "ConversionError",
    "MissingPackageError",
    "choose_files",
    "convert",
    "convert_bigvgan",
    "convert_gansynth",
    "convert_hifigan",
    "convert_melgan",
    "convert_musicnn",
    "convert_parallel_wavegan",
    "convert_specgan",
    "convert_vocos",
    "convert_wavegan",
    "identify",
    "list_networks",
]

# Each is the name of a module, whose `converter` says what it takes and does.
_KINDS = (
    "gansynth",
    "musicnn",
    "specgan",
    "wavegan",
    "parallel_wavegan",
    "bigvgan",
    "hifigan",
    "vocos",
    "melgan",
)
# Those whose files are told by their names.
_ON_HUB = _KINDS[4:]


def _converter(kind: str) -> Any:
    return importlib.import_module(f"{__name__}.{kind}").converter


def identify(source: str | pathlib.Path) -> str:
    """Returns the kind of a checkpoint, `"wavegan"` for example.

    Args:
        source: a checkpoint's folder, prefix or file.

    Raises:
        ConversionError: if no converter knows it; each one's reason is given.
        MissingPackageError: if telling needs TensorFlow or PyTorch.
    """
    reasons = []
    for kind in _KINDS:
        reason = _converter(kind).check(source)
        if reason is None:
            return kind
        reasons.append(reason)
    raise ConversionError(
        " ".join(dict.fromkeys(reasons))
        + f" What converts: {', '.join(_KINDS)}."
    )


def choose_files(names: Iterable[str]) -> list[str]:
    """Says which files of a repository make up its newest checkpoint.

    They are the checkpoint, its options and its statistics.

    Args:
        names: of all its files, with slashes.

    Raises:
        ConversionError: if none of them is a checkpoint that is known, or
            several folders hold one.
    """
    held = [name for name in names if _is_plain(name)]
    for kind in _ON_HUB:
        found = checkpoint_names.choose(held, _converter(kind).choose_files)
        if found:
            return sorted(set(found.values()))
    raise ConversionError(
        "Expected checkpoint-*steps.pkl with config.yml, g_* or "
        "bigvgan_generator.pt with config.json, pytorch_model.bin with "
        "config.yaml, or netG.pt. "
        f"Received: {', '.join(held[:8]) or 'no files'}"
    )


def _is_plain(name: str) -> bool:
    parts = name.split("/")
    return "\\" not in name and not {"", ".", ".."} & set(parts)


def list_networks(source: str | pathlib.Path) -> list[str]:
    """Returns the networks of a checkpoint, e.g. `["generator"]`.

    What it lacks, a converted model has as initialised, so a preset should
    be saved with these as its `weights`.

    Args:
        source: a checkpoint's folder, prefix or file.

    Raises:
        ConversionError: if the checkpoint is damaged or of no known kind.
    """
    return _converter(identify(source)).list_networks(source)


def convert(source: str | pathlib.Path, **options: Any) -> AudioGAN:
    """Converts an original author's checkpoint.

    Args:
        source: a checkpoint's folder, prefix or file.
        **options: passed to the converter, e.g. `sampling_rate`; see
            `convert_gansynth`, `convert_wavegan`, `convert_specgan`,
            `convert_parallel_wavegan`, `convert_bigvgan`, `convert_hifigan`,
            `convert_vocos`, `convert_melgan` and `convert_musicnn`.

    Returns:
        The model with the checkpoint's weights.

    Raises:
        ConversionError: if the checkpoint is damaged or of no known kind.
    """
    return _converter(identify(source)).convert(source, **options)


def __getattr__(name: str) -> Any:
    kind = name.removeprefix("convert_")
    if kind != name and kind in _KINDS:
        return _converter(kind).convert
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
