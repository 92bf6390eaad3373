"""Numbers, sizes and tables as people read them."""

from collections.abc import Iterable, Sequence

import click


def plain(value: object) -> str:
    """Return a value as one line that cannot steer a terminal.

    What a preset says of itself was written by strangers.
    """
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        value = ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        value = ", ".join(map(plain, value))
    line = " ".join(str(value).split())
    return "".join(character for character in line if character.isprintable())


def number(value: float | None) -> str:
    """Return three significant digits, or a dash for None."""
    return "-" if value is None else f"{value:.3g}"


def hertz(value: int | None) -> str:
    """Return a sampling rate, e.g. `22,050 Hz`, or a dash for None."""
    return "-" if value is None else f"{value:,} Hz"


def size(num_bytes: float) -> str:
    """Return a file size in units of 1000, e.g. `4.5 MB`."""
    if num_bytes < 1000:
        return f"{num_bytes:.0f} bytes"
    for unit in ("kB", "MB"):
        num_bytes /= 1000
        if num_bytes < 1000:
            return f"{num_bytes:.1f} {unit}"
    return f"{num_bytes / 1000:.1f} GB"


def duration(seconds: float) -> str:
    """Return a length of time, e.g. `2 h 05 min`, `3 min 20 s` or `45 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under a header, in columns that are as wide as needed."""
    table = [list(map(plain, row)) for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = [
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def print_fields(
    fields: Iterable[tuple[str, object]], indent: str = ""
) -> None:
    """Print names and values in two columns."""
    shown = [(plain(name), plain(value)) for name, value in fields]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{indent}{name.ljust(width)}  {value}")
