"""`audiogan list`: the zoo's presets, without starting Keras."""

import json
import shutil
from typing import Any

import click

from keras_audiogan.cli import _format, _options
from keras_audiogan.presets.figures import short_summary
from keras_audiogan.presets.words import size
from keras_audiogan.zoo.presets import TASKS

# Left out one by one where the terminal is too narrow for all columns.
SPARE_COLUMNS = ("parameters", "architecture", "trained on")


@click.command()
@click.argument("pattern", default="*", metavar="[PATTERN]")
@click.option(
    "--task",
    type=click.Choice(TASKS),
    help="Only presets for this: generate makes clips from nothing, vocode "
    "makes sound of mel spectrograms, autoencode turns sound into latents and "
    "back, classify names what it hears.",
)
@_options.json_option
def command(pattern: str, task: str | None, as_json: bool) -> None:
    """Show the presets of the zoo, and where each of them is.

    PATTERN is a name with * and ?, in quotes. In the column "where" package
    is what every installation holds, checkout is what only the repository
    does, and hub must be fetched first: `audiogan info NAME` says how. Presets
    of others are on the Hub, too: every command takes hf://owner/name in place
    of a name.

    \b
    Examples:
      audiogan list
      audiogan list --task vocode
      audiogan list "wavegan_*"
      audiogan list --json
    """
    from keras_audiogan import zoo

    infos = zoo.find_presets(pattern, task=task)
    if as_json:
        shown = [
            {key: value for key, value in info.items() if key != "training"}
            for info in infos
        ]
        click.echo(json.dumps(shown, indent=2, default=str))
        return
    if not infos and pattern == "*":
        click.echo(f"The zoo has no preset for the task {task} yet.")
        return
    if not infos:
        wanted = f" for the task {task}" if task else ""
        names = [info["name"] for info in zoo.find_presets(task=task)]
        raise click.ClickException(
            f"No preset of the zoo{wanted} matches {pattern!r}. There are: "
            f"{', '.join(names) or 'none'}."
        )
    # A pipe has no width, and gets everything.
    rows = _fit(list(map(_row, infos)), shutil.get_terminal_size((999, 24))[0])
    _format.print_table([list(rows[0]), *(list(r.values()) for r in rows)])


def _row(info: dict[str, Any]) -> dict[str, str]:
    counts = info["num_parameters"]
    count = counts.get("generator", sum(counts.values()))
    rate = info["sampling_rate"]
    # The length of a vocoder's clips matters to its training only.
    seconds = None if info["task"] == "vocode" else info["duration"]
    sound = [
        f"{seconds:.3g} s" if seconds else "",
        f"{rate / 1000:g} kHz" if rate else "",
    ]
    return {
        "preset": info["name"],
        "task": info["task"],
        "architecture": info["architecture"],
        "sound": ", ".join(filter(None, sound)) or "-",
        "parameters": f"{count:,}",
        "size": size(info["num_bytes"]),
        "where": info["where"],
        "trained on": ", ".join(data.get("name", "?") for data in info["data"])
        or "-",
        "measured": short_summary(info["metrics"]) or "-",
    }


def _fit(rows: list[dict[str, str]], width: int) -> list[dict[str, str]]:
    """Leave out and shorten until the table is not wider than the terminal."""

    def total() -> int:
        columns = [[name, *(row[name] for row in rows)] for name in rows[0]]
        return sum(max(map(len, column)) + 2 for column in columns) - 2

    for name in SPARE_COLUMNS:
        if total() > width:
            rows = [{k: v for k, v in r.items() if k != name} for r in rows]
    longest = max(len(row["measured"]) for row in rows)
    room = max(longest - max(total() - width, 0), len("measured"))
    for row in rows:
        if len(row["measured"]) > room:
            row["measured"] = row["measured"][: room - 1] + "…"
    return rows
