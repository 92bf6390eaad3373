"""Words, numbers and tables as people read them: Markdown, terminal, HTML.

What a preset says of itself may be a stranger's: nothing here lets it break
out of its place. Nothing but the standard library is imported.
"""

from __future__ import annotations

import html
import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence

Row = Sequence[str]
Block = str | Mapping[str, str] | Sequence[Row]
"""A paragraph, a table whose first row is its header, or a list of terms."""


def plain(value: object) -> str:
    """Returns a value as one printable line, which steers no terminal."""
    if isinstance(value, dict):
        return ", ".join(f"{_item(k)} {_item(v)}" for k, v in value.items())
    items = value if isinstance(value, (list, tuple)) else [value]
    return ", ".join(map(_item, items))


def _item(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False)
    line = " ".join(str(value).split())
    return "".join(c for c in line if c.isprintable())


def text(value: object) -> str:
    """Returns a value as one line of Markdown that cannot break its place."""
    return html.escape(plain(value), quote=False).replace("|", "\\|")


def slug(name: str) -> str:
    """Returns a name as the Hub writes names: lower case, no spaces."""
    return re.sub(r"[^a-z0-9._/]+", "-", name.lower()).strip("-./")


def size(num_bytes: float) -> str:
    """Returns a file size in units of 1000, e.g. `4.5 MB`."""
    if num_bytes < 1000:
        return f"{num_bytes:.0f} bytes"
    for unit in ("kB", "MB"):
        num_bytes /= 1000
        if num_bytes < 1000:
            return f"{num_bytes:.1f} {unit}"
    return f"{num_bytes / 1000:.1f} GB"


def duration(seconds: float) -> str:
    """Returns a length of time, e.g. `2 h 05 min`, `3 min 20 s` or `45 s`."""
    if seconds >= 3599.5:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours} h {minutes:02} min"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def table(rows: Iterable[Row]) -> str:
    """Returns rows, the header first, as Markdown; cells are escaped."""
    header, *body = [list(row) for row in rows]
    lines = [header, ["---"] * len(header), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def columns(rows: Iterable[Sequence[object]], indent: str = "") -> str:
    """Returns rows in columns of a terminal, each as wide as needed."""
    lines = [list(map(plain, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        indent + "  ".join(map(str.ljust, line, widths)).rstrip()
        for line in lines
    )


def as_markdown(blocks: Iterable[Block]) -> str:
    """Returns paragraphs, tables and lists of terms as Markdown."""
    parts = []
    for block in blocks:
        if isinstance(block, str):
            parts.append(text(block))
        elif isinstance(block, Mapping):
            lines = [f"- {text(k)}: {text(v)}" for k, v in block.items()]
            parts.append("\n".join(lines))
        else:
            parts.append(table([*map(text, row)] for row in block))
    return "\n\n".join(parts)


def as_terminal(blocks: Iterable[Block], width: int = 80) -> str:
    """Returns paragraphs, tables and lists of terms for a terminal.

    Args:
        blocks: What to show.
        width: Columns within which words are wrapped; tables are not.
    """
    parts = []
    for block in blocks:
        if isinstance(block, str):
            parts.append(textwrap.fill(plain(block), width))
        elif isinstance(block, Mapping):
            terms = (f"{plain(k)}: {plain(v)}" for k, v in block.items())
            lines = [
                textwrap.fill(term, width, subsequent_indent="  ")
                for term in terms
            ]
            parts.append("\n".join(lines))
        else:
            parts.append(columns(block))
    return "\n\n".join(parts)


def as_html(blocks: Iterable[Block]) -> str:
    """Returns paragraphs, tables and lists of terms as HTML."""
    parts = []
    for block in blocks:
        if isinstance(block, str):
            parts.append(f"<p>{html.escape(block)}</p>")
        elif isinstance(block, Mapping):
            terms = [
                f"<dt>{html.escape(name)}</dt><dd>{html.escape(words)}</dd>"
                for name, words in block.items()
            ]
            parts.append("\n".join(["<dl>", *terms, "</dl>"]))
        else:
            lines = ["<table>"]
            for index, row in enumerate(block):
                tag = "td" if index else "th"
                cells = [f"<{tag}>{html.escape(c)}</{tag}>" for c in row]
                lines.append(f"<tr>{''.join(cells)}</tr>")
            parts.append("\n".join([*lines, "</table>"]))
    return "\n".join(parts)
