"""`audiogan info`: what a preset says of itself, without starting Keras."""

import json
from collections.abc import Iterator
from typing import Any

import click

from keras_audiogan.cli import _format, _options


@click.command()
@_options.preset_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_options.token_option()
def command(preset: str, as_json: bool, token: str | None) -> None:
    """Show what a preset is, what it was trained on, how good it is.

    \b
    Examples:
      audiogan info wavegan_digits
      audiogan info runs/mine --json
      audiogan info hf://me/my_gan
    """
    from keras_audiogan import zoo

    info = zoo.preset_info(preset, token=token)
    if as_json:
        click.echo(json.dumps(info, indent=2, default=str))
        return
    click.echo(_format.plain(f"{info['name']}: {info['summary']}"))
    _section("", _facts(info))
    for entry in info["data"]:
        _section("Data", entry.items())
    training = info["training"]
    keys = ("steps", "seed", "hardware", "versions")
    fields = [(key, training.get(key)) for key in keys]
    seconds = training.get("wall_time_seconds")
    if isinstance(seconds, (int, float)):
        fields.append(("wall time", _format.duration(seconds)))
    recipe = training.get("recipe")
    if isinstance(recipe, dict):
        fields += [item for item in recipe.items() if item[0] not in keys]
    _section("Training", fields)
    _section("Measured", info["metrics"].items())
    notes = training.get("notes") or []
    if notes:
        click.echo("\nNotes")
        for note in notes if isinstance(notes, list) else [notes]:
            click.echo(f"  - {_format.plain(note)}")


def _facts(info: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    from keras_audiogan.presets import cards

    samples, seconds = info["slice_length"], info["duration"]
    yield "architecture", f"{info['architecture']} ({info['class_name']})"
    if cards.is_vocoder(info):
        yield "mels", cards.mels(info)
    elif samples and seconds:
        yield "clip", f"{samples:,} samples, {seconds:.3g} s"
    yield "sampling rate", _format.hertz(info["sampling_rate"])
    yield "channels", info["num_channels"]
    yield "labels", info["labels"]
    yield (
        "parameters",
        {stem: f"{count:,}" for stem, count in info["num_parameters"].items()},
    )
    stored = f" as {info['storage_dtype']}" if info["storage_dtype"] else ""
    yield "weights", _format.size(info["num_bytes"]) + stored
    yield "licence", info["license"]
    yield "saved with", f"keras-audiogan {info['library_version']}"
    yield "folder", info["path"]


def _section(title: str, fields: Any) -> None:
    """Print a title and its fields, or nothing where there are none."""
    given = [
        (name, value)
        for name, value in fields
        if value is not None and value != []
    ]
    if given:
        click.echo("\n" + title if title else "")
        _format.print_fields(given, indent="  " if title else "")
