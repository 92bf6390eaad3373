"""`audiogan info`: what a preset says of itself, without starting Keras."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import click

from keras_audiogan.cli import _format, _options


@click.command()
@_options.preset_argument
@_options.json_option
@_options.token_option
def command(preset: str, as_json: bool, token: str | None) -> None:
    """Show what a preset is, what it was trained on, how good it is.

    \b
    Examples:
      audiogan info wavegan_digits
      audiogan info runs/mine --json
      audiogan info hf://me/my_gan
    """
    from keras_audiogan import zoo
    from keras_audiogan.presets import cards
    from keras_audiogan.presets.words import as_terminal, plain

    info = zoo.preset_info(preset, token=token)
    if as_json:
        click.echo(json.dumps(info, indent=2, default=str))
        return
    training = info["training"]
    click.echo(plain(f"{info['name']}: {info['summary']}"))
    _section("", _facts(info))
    for entry in info["data"]:
        _section("Data", cards.data_rows(entry))
    _section("Training run", cards.run_rows(training))
    recipe = training.get("recipe")
    if isinstance(recipe, dict):
        _section("Options of the training run", recipe.items())
    measured = cards.measured(training)
    if measured:
        click.echo(f"\nMeasured\n{as_terminal(measured)}")
    for title, key in (("Notes", "notes"), ("Limits", "limits")):
        said = training.get(key) or []
        lines = said if isinstance(said, list) else [said]
        if lines:
            click.echo(f"\n{title}")
        for line in lines:
            click.echo(f"  - {plain(line)}")


def _facts(info: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    from keras_audiogan.presets import cards
    from keras_audiogan.presets.words import size

    yield "Architecture", f"{info['architecture']} ({info['class_name']})"
    yield from cards.shape(info)
    counts = info["num_parameters"].items()
    yield "Parameters", {stem: f"{count:,}" for stem, count in counts}
    stored = f" as {info['storage_dtype']}" if info["storage_dtype"] else ""
    yield "Weights", size(info["num_bytes"]) + stored
    if info["engine"]:
        yield "Engine", f"{info['engine']}, run without Keras"
    if streaming := info["streaming"]:
        ahead, first = streaming["look_ahead"], streaming["first_frames"]
        hop = info["config"]["mel"]["frame_step"]
        rate = info["sampling_rate"]
        yield (
            "Streaming",
            f"sound stays {ahead:,} samples ({streaming['latency'] * 1e3:.1f} "
            f"ms) behind the frames that are in; the first comes with frame "
            f"{first} ({first * hop / rate * 1e3:.0f} ms)",
        )
    yield "Licence", info["license"]
    yield "Saved with", f"keras-audiogan {info['library_version']}"
    yield "Folder", info["path"]


def _section(title: str, fields: Iterable[tuple[str, Any]]) -> None:
    """Print a title and its fields, or nothing where there are none."""
    given = [
        (name, value)
        for name, value in fields
        if value is not None and value != []
    ]
    if given:
        click.echo("\n" + title if title else "")
        _format.print_table(given, indent="  " if title else "")
