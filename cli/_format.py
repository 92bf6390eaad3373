"""Numbers and tables as people read them."""

from collections.abc import Iterable, Sequence

import click

from keras_audiogan.presets.words import columns


def number(value: float | None) -> str:
    """Return three significant digits, or a dash for None."""
    return "-" if value is None else f"{value:.3g}"


def print_table(rows: Iterable[Sequence[object]], indent: str = "") -> None:
    """Print rows in columns that are as wide as needed."""
    click.echo(columns(rows, indent))
