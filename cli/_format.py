"""Numbers and tables as people read them."""

from collections.abc import Iterable, Sequence

import click

from keras_audiogan.presets.words import columns, duration, plain, size

__all__ = [
    "duration",
    "hertz",
    "number",
    "plain",
    "print_fields",
    "print_table",
    "size",
]


def number(value: float | None) -> str:
    """Return three significant digits, or a dash for None."""
    return "-" if value is None else f"{value:.3g}"


def hertz(value: int | None) -> str:
    """Return a sampling rate, e.g. `22,050 Hz`, or a dash for None."""
    return "-" if value is None else f"{value:,} Hz"


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under a header, in columns that are as wide as needed."""
    click.echo(columns([header, *rows]))


def print_fields(
    fields: Iterable[tuple[str, object]], indent: str = ""
) -> None:
    """Print names and values in two columns."""
    rows = list(fields)
    if rows:
        click.echo(columns(rows, indent))
