"""`audiogan sample --seconds`: one sound of any length, in one file."""

import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from keras_audiogan.cli import _options

if TYPE_CHECKING:
    import numpy as np

# Options of separate sounds, and of their table, picture and page.
_FOREIGN = (
    "num_samples",
    "per_label",
    "interpolate",
    "between",
    "steps",
    "join",
    "loop",
    "plot",
    "page",
)


def check_options() -> None:
    """Refuse options that say nothing of one long sound, by their names."""
    context = click.get_current_context()
    for param in context.command.params:
        source = context.get_parameter_source(str(param.name))
        if param.name in _FOREIGN and source is not ParameterSource.DEFAULT:
            raise click.UsageError(
                "--seconds makes one sound, of pieces that fade into each "
                f"other: leave out {max(param.opts, key=len)}."
            )


def target(
    output: pathlib.Path, stem: str, audio_format: str, overwrite: bool
) -> pathlib.Path:
    """Return the file to write: --output itself, or one in that folder.

    Raises:
        click.ClickException: if it is there, or the folder cannot be made.
    """
    from keras_audiogan.audio.files import AUDIO_EXTENSIONS

    file = output
    if output.is_dir() or output.suffix.lower() not in AUDIO_EXTENSIONS:
        file = output / f"{stem}.{audio_format}"
    elif (
        click.get_current_context().get_parameter_source("audio_format")
        is not ParameterSource.DEFAULT
        and file.suffix != f".{audio_format}"
    ):
        raise click.UsageError(
            f"--format {audio_format} and --output {file.name} name two kinds "
            "of file: leave out --format."
        )
    if file.exists() and not overwrite:
        raise click.BadParameter(
            f"{str(file)!r} exists. Choose another file, or --overwrite.",
            param_hint="--output",
        )
    _options.make_folder(file.parent)
    return file


def latents_of(
    model: Any, files: Sequence[str], crossfade: float
) -> "np.ndarray | None":
    """Return the latents of recordings' pieces in turn; None of no files."""
    if not files:
        return None
    import numpy as np

    from keras_audiogan.reconstructing import encode_file

    return np.concatenate(
        [encode_file(model, file, crossfade=crossfade) for file in files]
    )


def write(
    file: pathlib.Path, blocks: "Iterator[np.ndarray]", seconds: float, gan: Any
) -> None:
    """Write a sound, block by block as it is made."""
    from keras_audiogan.audio.files import AudioWriter
    from keras_audiogan.runs.bars import progress

    total = max(1, round(seconds))
    with (
        AudioWriter(file, gan.sampling_rate, gan.num_channels) as writer,
        progress("Seconds", total) as advance,
    ):
        written = shown = 0
        for block in blocks:
            writer.write(block)
            written += len(block)
            while shown < min(written // gan.sampling_rate, total):
                advance()
                shown += 1
