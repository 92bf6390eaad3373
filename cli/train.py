"""`audiogan train`: an architecture from nothing, on a folder of sounds."""

import pathlib
from typing import Any

import click

from keras_audiogan.cli import _options, _training


@click.command()
@click.argument("architecture", metavar="ARCHITECTURE")
@_training.data_argument
@_training.option(
    "--slice-length",
    "Length of a clip.",
    default="the architecture's own",
    metavar="SAMPLES",
)
@_training.option(
    "--sampling-rate",
    "Files of other rates are resampled.",
    default="the architecture's own, or the data's if that is lower",
    metavar="HZ",
)
@_training.option("--num-channels", "1 for mono, 2 for stereo.", default="1")
@_training.option(
    "--level",
    "Level of the files: peak brings the peak of each to 1, keep leaves it, "
    "a number multiplies.",
    _training.Level(),
    "peak",
)
@_training.option(
    "--dim", "Width of the networks.", default="the architecture's own"
)
@click.option(
    "--set",
    "assignments",
    type=_training.Assignment(),
    multiple=True,
    help="Another argument of the architecture, in JSON; can be repeated.",
)
@_training.option(
    "--stages",
    "Train an architecture that grows (progressive_wavegan) through these "
    "numbers of blocks, e.g. 4,5,6: each is a run of its own in OUTPUT and "
    "begins with the one before.",
    _options.Counts(),
)
@_training.option(
    "--frozen-steps",
    "Steps before each stage but the first in which only what is new trains; "
    "0 for none.",
    click.IntRange(0),
    "2,000",
)
@_training.option(
    "--recompute/--no-recompute",
    "Keep fewer activations and compute them again: less memory, more time.",
    bool,
    "no",
)
@_training.training_options
def command(
    architecture: str,
    data: tuple[pathlib.Path, ...],
    dim: int | None,
    assignments: tuple[tuple[str, Any], ...],
    **options: Any,
) -> None:
    """Train an architecture from nothing on a folder of sounds.

    DATA is one or more folders of wav, flac, ogg, mp3 or aiff files, nested
    as they are; sub-folders are labels. The run folder gets a log (also for
    TensorBoard), previews, checkpoints and the preset. Ctrl-C stops at the
    next step and keeps it; the same command with --resume continues.
    Classifiers (digit_classifier, lstm_classifier) are trained alike, on a
    folder with one sub-folder per label, and tested on what is held out.

    \b
    Examples:
      audiogan train wavegan my_sounds/ -o runs/first
      audiogan train wavegan drums/ -o runs/drums --steps 50000 --dim 32
      audiogan train wavegan fsdd/ -o runs/digits --sampling-rate 8000 \\
          --slice-length 8192 --exclude "*_[0-4].wav"
      audiogan train wavegan my_sounds/ -o runs/first --resume
      audiogan train wavegan my_sounds/ -o runs/trial --dry-run \\
          --set upsampling=nearest --set phase_shuffle=0
      audiogan train progressive_wavegan piano/ -o runs/piano --dim 128 \\
          --stages 4,5,6 --frozen-steps 1000 --steps 20000
      audiogan train lstm_classifier fsdd/ -o runs/classifier \\
          --test "*_[0-4].wav" --set inputs=sliced_mfcc
    """
    model = dict(assignments)
    if dim is not None:
        model["dim"] = dim
    _training.start(
        data, architecture=architecture, model=model or None, **options
    )
