"""`audiogan finetune`: a preset goes on learning, on other sounds."""

import pathlib
from typing import Any

import click

from keras_audiogan.cli import _options, _training


@click.command()
@_options.preset_argument
@_training.data_argument
@_training.option(
    "--reset-discriminator/--keep-discriminator",
    "Begin with a new discriminator.",
    bool,
)
@_training.training_options
def command(
    preset: str, data: tuple[pathlib.Path, ...], **options: Any
) -> None:
    """Train a preset further on a folder of sounds.

    Rate, channels, clip length and level are the preset's. Everything else
    is as for `audiogan train`.

    \b
    Examples:
      audiogan finetune wavegan_digits my_voice/ -o runs/mine
      audiogan finetune wavegan_drums my_drums/ -o runs/mine --steps 5000
      audiogan finetune hf://me/my_gan more/ -o runs/more --dry-run
      audiogan finetune wavegan_digits my_voice/ -o runs/mine --resume
    """
    folder, _ = _options.find_preset(preset, "sample", "vocode")
    _training.start(data, preset=folder, **options)
