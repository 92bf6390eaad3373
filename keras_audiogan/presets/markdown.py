"""Markdown and YAML from words that a stranger may have written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

_KEYWORDS = ("null", "true", "false", "yes", "no", "on", "off")


def text(value: object) -> str:
    """Returns a value as one line of Markdown that cannot break its place."""
    if isinstance(value, dict):
        line = ", ".join(f"{plain(k)} {plain(v)}" for k, v in value.items())
    elif isinstance(value, (list, tuple)):
        line = ", ".join(plain(item) for item in value)
    else:
        line = plain(value)
    for character, escaped in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("|", "\\|"),
    ):
        line = line.replace(character, escaped)
    return line


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Returns a Markdown table; the cells must be escaped already."""
    names = list(header)
    lines = [names, ["---"] * len(names), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(value: object) -> str:
    """Returns a value as one printable line."""
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


def slug(name: str) -> str:
    """Returns a name as the Hub writes names: lower case, no spaces."""
    return re.sub(r"[^a-z0-9._/]+", "-", name.lower()).strip("-./")


def yaml(value: Any, depth: int) -> list[str]:
    """Returns the lines of nested dicts and lists; JSON's scalars are YAML."""
    pad = "  " * depth
    lines: list[str] = []
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)):
                lines += [f"{pad}{key}:", *yaml(item, depth + 1)]
            else:
                lines.append(f"{pad}{key}: {scalar(item)}")
    else:
        for item in value:
            if isinstance(item, dict):
                first, *rest = yaml(item, depth + 1)
                lines += [f"{pad}- {first.strip()}", *rest]
            else:
                lines.append(f"{pad}- {scalar(item)}")
    return lines


def scalar(value: Any) -> str:
    """Returns a YAML scalar; words that need no quotes get none."""
    if isinstance(value, str):
        line = plain(value)
        if re.fullmatch(r"[a-z][a-z0-9_./-]*", line) and line not in _KEYWORDS:
            return line
        return json.dumps(line, ensure_ascii=False)
    return json.dumps(value)
