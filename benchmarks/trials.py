"""What `recipes.py` and `growing.py` share: runs, kept, and their tables."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

# A figure's name -> its heading, what it is multiplied by, its decimals.
Figures = Mapping[str, tuple[str, float, int]]


def audiogan(*arguments: str) -> list[str]:
    """Returns the command line of our own program, of this Python."""
    return [sys.executable, "-m", "keras_audiogan.cli", *arguments]


def measured(preset: Path, arguments: Sequence[str], names: Figures) -> Any:
    """Returns the figures of `audiogan evaluate` that are asked for.

    Returns:
        Name -> kind of sound (`"generated"`, `"real_test"`) -> value.
    """
    found = subprocess.run(
        audiogan("evaluate", str(preset), *arguments, "--json"),
        check=True,
        capture_output=True,
        text=True,
    )
    report = json.loads(found.stdout)
    figures = {
        **report["figures"],
        **report.get("music", {"figures": {}})["figures"],
    }
    return {
        name: {
            kind: figures[name][kind]["value"]
            for kind in ("generated", "real_test")
            if kind in figures[name]
        }
        for name in names
        if name in figures
    }


def read(path: Path) -> list[dict[str, Any]]:
    """Returns the runs that were made."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def make(
    path: Path,
    kinds: Iterable[str],
    seeds: Iterable[int],
    made: Callable[[str, int, Path], Mapping[str, Any]],
) -> None:
    """Makes the runs that do not stand in a file yet, and adds them to it.

    Args:
        path: A line of JSON for each run.
        kinds: Of runs.
        seeds: Each kind is run with.
        made: Called with kind, seed and a new folder; returns what else a
            run's line says, its `"figures"` among it.
    """
    for seed in seeds:
        for kind in kinds:
            if any((r["kind"], r["seed"]) == (kind, seed) for r in read(path)):
                continue
            with tempfile.TemporaryDirectory() as folder:
                found = made(kind, seed, Path(folder) / "run")
            row = {"kind": kind, "seed": seed, **found}
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


def _cell(values: Sequence[float], scale: float, digits: int) -> str:
    values = [scale * value for value in values]
    text = f"{statistics.fmean(values):,.{digits}f}"
    if len(values) > 1:
        least, most = min(values), max(values)
        text += f" ({least:,.{digits}f} to {most:,.{digits}f})"
    return text


def table(
    rows: Sequence[Mapping[str, Any]],
    kinds: Sequence[str],
    columns: Figures,
    figures: Figures,
) -> str:
    """Returns a table in Markdown: means, and the least and the most.

    Args:
        rows: Runs: `"kind"`, `"seed"`, `"figures"` and the columns.
        kinds: One line each, in this order; those without a run are left
            out.
        columns: Numbers of the run itself.
        figures: Those of `measured`.
    """
    headings = [heading for heading, _, _ in columns.values()]
    headings += [heading for heading, _, _ in figures.values()]
    lines = [["", "seeds", *headings], ["---"] * (2 + len(headings))]
    for kind in kinds:
        runs = [row for row in rows if row["kind"] == kind]
        if not runs:
            continue
        line = [kind, str(len(runs))]
        line += [
            _cell([run[name] for run in runs], scale, digits)
            for name, (_, scale, digits) in columns.items()
        ]
        line += [
            _cell(
                [run["figures"][name]["generated"] for run in runs],
                scale,
                digits,
            )
            for name, (_, scale, digits) in figures.items()
        ]
        lines.append(line)
    line = ["real sound, held out", "", *[""] * len(columns)]
    for name, (_, scale, digits) in figures.items():
        value = rows[0]["figures"][name].get("real_test") if rows else None
        line.append("" if value is None else _cell([value], scale, digits))
    lines.append(line)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
