"""A web page beside sounds that plays them; it needs no network."""

import html
import pathlib
import urllib.parse
from collections.abc import Iterable, Mapping

from keras_audiogan.presets.atomic_folder import write_text

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font-family: sans-serif; max-width: 90em; margin: 2em auto; }}
table {{ border-collapse: collapse; margin: 1em 0; }}
td, th {{ padding: 0.2em 0.8em; text-align: left; }}
tr {{ border-bottom: 1px solid #ddd; }}
img {{ max-width: 100%; }}
</style>
</head>
<body>
<h1>{title}</h1>
{picture}
<table>
<tr><th>Sound</th>{heads}</tr>
{rows}
</table>
</body>
</html>
"""
_COLUMNS = ("label", "seed", "index", "position", "truncation")


def write_page(
    path: pathlib.Path,
    title: str,
    rows: Iterable[Mapping[str, str]],
    picture: pathlib.Path | None,
) -> None:
    """Write a page with a player for each file.

    Args:
        path: the page; the sounds and the picture lie in its folder.
        title: heading.
        rows: of the table of a `SampleWriter`. Rows of one file share a
            player, and columns that are empty everywhere are left out.
        picture: of the first sounds, if there is one.
    """
    by_file: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        by_file.setdefault(row["file"], []).append(row)
    columns = [
        name
        for name in _COLUMNS
        if any(row[name] for own in by_file.values() for row in own)
    ]
    lines = []
    for file, own in by_file.items():
        cells = "".join(
            f"<td>{html.escape(_values(own, name))}</td>" for name in columns
        )
        lines.append(
            f'<tr><td><audio controls preload="none" src="{_link(file)}">'
            f"</audio><br>{html.escape(file)}</td>{cells}</tr>"
        )
    write_text(
        path,
        _PAGE.format(
            title=html.escape(title),
            picture=""
            if picture is None
            else f'<p><img alt="Waveforms and spectrograms of the first '
            f'sounds" src="{_link(picture.name)}"></p>',
            heads="".join(f"<th>{name}</th>" for name in columns),
            rows="\n".join(lines),
        ),
    )


def _values(rows: list[Mapping[str, str]], name: str) -> str:
    """Return the values of a column, each once."""
    values = list(dict.fromkeys(row[name] for row in rows))
    if len(values) > 3:
        return f"{values[0]} \u2026 {values[-1]}"
    return ", ".join(values)


def _link(name: str) -> str:
    return html.escape(urllib.parse.quote(name))
