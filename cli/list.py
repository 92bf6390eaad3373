"""`audiogan list`: the bundled presets, without starting Keras."""

import json
from typing import Any

import click

from keras_audiogan.cli import _format

NUM_FIGURES = 3
# Shown first where a preset has them.
KEY_FIGURES = (
    "inception_score",
    "frechet_distance",
    "test_accuracy",
    "mel_cepstral_distortion",
    "log_mel_distance",
)
COLUMNS = (
    "preset",
    "architecture",
    "data",
    "rate",
    "seconds",
    "parameters",
    "size",
    "measured",
)


@click.command()
@click.argument("pattern", default="*", metavar="[PATTERN]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(pattern: str, as_json: bool) -> None:
    """Show the presets that this installation holds.

    PATTERN is a name with * and ?, in quotes. Other presets are on the Hub:
    every command takes hf://owner/name in place of a name.

    \b
    Examples:
      audiogan list
      audiogan list "wavegan_*"
      audiogan list --json
    """
    from keras_audiogan import zoo

    names = zoo.list_presets(pattern)
    infos = [zoo.preset_info(name) for name in names]
    if as_json:
        shown = [
            {key: value for key, value in info.items() if key != "training"}
            for info in infos
        ]
        click.echo(json.dumps(shown, indent=2, default=str))
        return
    if not infos and pattern == "*":
        click.echo("No preset is bundled with this installation.")
        return
    if not infos:
        raise click.ClickException(
            f"No bundled preset matches {pattern!r}. Bundled are: "
            f"{', '.join(zoo.list_presets()) or 'none'}."
        )
    _format.print_table(COLUMNS, [_row(info) for info in infos])


def _row(info: dict[str, Any]) -> tuple[str, ...]:
    from keras_audiogan.presets import cards

    counts = info["num_parameters"]
    count = counts.get("generator", sum(counts.values()))
    names = sorted(info["metrics"], key=lambda name: name not in KEY_FIGURES)
    figures = [(name, info["metrics"][name]) for name in names[:NUM_FIGURES]]
    return (
        info["name"],
        info["architecture"],
        ", ".join(entry.get("name", "?") for entry in info["data"]) or "-",
        _format.hertz(info["sampling_rate"]),
        # Of a vocoder it is the length of training clips only.
        "any" if cards.is_vocoder(info) else _format.number(info["duration"]),
        f"{count:,}",
        _format.size(info["num_bytes"]),
        ", ".join(f"{name} {value:.3g}" for name, value in figures) or "-",
    )
