"""The figures of a report: measured with intervals, shown as a table."""

import math
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

import numpy as np

from keras_audiogan.metrics.blind_check import in_words
from keras_audiogan.metrics.bootstrap import bootstrap_interval
from keras_audiogan.presets.figures import FIGURES, figure, in_order, meanings
from keras_audiogan.presets.words import Block, as_markdown, as_terminal

# Said in reports, and too much for a card.
_NOT_FOR_CARDS = {
    "label_distance",
    "smallest_cluster_share",
    "largest_cluster_share",
}
_MEANINGS = "What the figures mean:"

#: Columns of a report of `evaluate_gan` -> their headings.
COLUMNS = {"generated": "Generated", "real_test": "Real test"}

#: Columns of a report of `evaluate_music` -> their headings.
MUSIC_COLUMNS = {
    **COLUMNS,
    "shuffled": "Shuffled pieces",
    "white_noise": "White noise",
}

#: Columns of a report of `evaluate_vocoder` -> their headings.
SYSTEMS = {
    "vocoder": "vocoder",
    "griffin_lim": "Griffin-Lim",
    "fast_griffin_lim": "fast Griffin-Lim",
    "real": "real",
}


def described(key: str) -> dict[str, str]:
    """Returns `better` and `unit` of a figure, for a report."""
    known = FIGURES[key]
    # A report holds shares from 0 to 1, not per cent.
    unit = "" if known.unit == "%" else known.unit
    return {"better": known.better, "unit": unit}


def finite(value: Any) -> Any:
    """Returns a report with None for numbers that strict JSON cannot hold."""
    if isinstance(value, Mapping):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class FigureTable:
    """Collects figures of sets of clips, with their intervals.

    Args:
        figures: The dictionary to fill, by name.
        num_resamples: Resamples for the intervals; 0 leaves them out.
        seed: Seed of the resampling.
        columns: What the sets are called.
    """

    def __init__(
        self,
        figures: dict,
        num_resamples: int,
        seed: int,
        columns: Sequence[str] = tuple(COLUMNS),
    ):
        self.columns = columns
        self.figures = figures
        self.num_resamples = num_resamples
        self.seed = seed

    def add(
        self,
        names: str | Sequence[str],
        statistic: Callable[..., Any] | Sequence[Callable[..., Any]],
        columns: Sequence[np.ndarray | Sequence[np.ndarray] | None],
        *,
        unit: str | None = None,
        replace: bool = True,
        signed: bool = False,
        most: float = math.inf,
        interval: Callable[..., tuple[float, float]] | None = None,
    ) -> None:
        """Adds a row, or one for each name if the statistic gives several.

        Args:
            names: The name of each row, one of `FIGURES`.
            statistic: From arrays to one figure, or to one for each name;
                or as many as columns, one for each.
            columns: The array, or arrays whose rows go together, of each
                set of clips; None for no figure.
            unit: In place of the catalogue's.
            replace: How to resample; see `bootstrap_interval`.
            signed: Whether figures may be negative; else intervals end
                at 0.
            most: The largest value there can be; intervals end there, and
                those of shares at 1.
            interval: From the arrays to both ends, in place of resampling.
        """
        names = [names] if isinstance(names, str) else names
        for name in names:
            row = {**described(name), **dict.fromkeys(self.columns)}
            self.figures[name] = row if unit is None else {**row, "unit": unit}
        if callable(statistic):
            statistic = [statistic] * len(self.columns)
        for column, function, samples in zip(
            self.columns, statistic, columns, strict=True
        ):
            if samples is None:
                continue
            arrays = [samples] if isinstance(samples, np.ndarray) else samples
            measured = [function(*arrays)]
            if self.num_resamples and interval is not None:
                measured += interval(*arrays)
            elif self.num_resamples:
                measured += bootstrap_interval(
                    function,
                    arrays,
                    num_resamples=self.num_resamples,
                    replace=replace,
                    seed=self.seed,
                )
            for name, (value, *ends) in zip(
                names, np.column_stack(measured).tolist(), strict=True
            ):
                self.figures[name][column] = entry = {"value": value}
                if ends:
                    limit = 1.0 if FIGURES[name].unit == "%" else float(most)
                    low = ends[0] if signed else max(ends[0], 0.0)
                    entry.update(low=low, high=min(ends[1], limit))


def format_table(report: dict[str, Any], markdown: bool = False) -> str:
    """Returns the figures of `evaluate_gan`, and what they mean, as a table.

    `markdown` asks for Markdown in place of plain text.
    """
    return (as_markdown if markdown else as_terminal)(blocks_of(report)) + "\n"


def format_music_table(report: dict[str, Any]) -> str:
    """Returns the figures of `evaluate_music`, and what they mean."""
    return as_terminal(music_blocks(report)) + "\n"


def music_blocks(report: dict[str, Any]) -> list[Block]:
    """Returns a report of `evaluate_music` in blocks for `presets.words`."""
    heard = report["embedding"]
    by = f" as {heard['name']} hears it" if heard else ""
    title = (
        f"Is it music? Distances from {report['num_real_train']} training "
        f"clips{by}: of {report['num_samples']} generated and "
        f"{report['num_real_test']} test clips, of the test clips with their "
        "pieces shuffled, and of white noise as loud; 95 % intervals"
    )
    rows, terms = _figures(
        report["figures"], MUSIC_COLUMNS, {"generated", "real_test"}
    )
    notes = [*report.get("notes", ()), *report.get("left_out", {}).values()]
    return [title, *notes, rows, _MEANINGS, terms]


def format_vocoder_table(report: dict[str, Any]) -> str:
    """Returns the figures of `evaluate_vocoder`, and what they mean."""
    title = (
        f"{report['num_clips']} recordings, {report['seconds']:.1f} s, and "
        "copies made from their mel spectrograms; Griffin-Lim: "
        f"{report['num_iterations']} iterations; 95 % intervals"
    )
    headings = {
        name: heading[:1].upper() + heading[1:]
        for name, heading in SYSTEMS.items()
    }
    judges = ", ".join(map(" ".join, report.get("judges", {}).items()))
    measured = "PESQ and what judges say of it are" if judges else "PESQ is"
    ceiling = f"Real: a recording beside itself; only its {measured} measured."
    notes = [
        f"{note} ({count} of {report['num_clips']} recordings)"
        for note, count in report["notes"].items()
    ]
    rows, terms = _figures(report["figures"], headings, {"vocoder"})
    blocks: list[Block] = [title, *_tested(report), rows, ceiling]
    blocks += [f"Judges: {judges}."] if judges else []
    return as_terminal([*blocks, _MEANINGS, terms, *notes]) + "\n"


def format_reconstruction_table(report: dict[str, Any]) -> str:
    """Returns the figures of `evaluate_reconstruction`, and what they mean."""
    columns = {"copies": "Copies", "random": "Clips of drawn latents"}
    title = (
        f"{report['num_clips']} held-out clips, encoded and decoded; 95 % "
        "intervals"
    )
    rows, terms = _figures(report["figures"], columns, columns)
    beside = (
        "Clips of drawn latents have nothing to do with the held-out clips "
        "that they are compared with: copies must come nearer."
    )
    return as_terminal([title, rows, beside, _MEANINGS, terms]) + "\n"


def reconstruction_metrics_for_card(report: dict[str, Any]) -> dict[str, Any]:
    """Returns `evaluate_reconstruction`'s report for `training.json`.

    Each figure becomes `{value, low, high, random, better, unit}`.
    """
    return _for_card(report["figures"], "copies", "random")


def blocks_of(report: dict[str, Any]) -> list[Block]:
    """Returns a report of `evaluate_gan` in blocks for `presets.words`."""
    title = (
        f"{report['num_samples']} generated clips in groups of "
        f"{report['group_size']}; real: {report['num_real_train']} training, "
        f"{report['num_real_test']} test clips; 95 % intervals"
    )
    rows, terms = _figures(report["figures"], COLUMNS, COLUMNS)
    ordered = in_order(report["figures"])
    rows[0].insert(-1, "Ratio")
    for row, key in zip(rows[1:], ordered, strict=True):
        row.insert(-1, _ratio(report["figures"][key]))
    blocks: list[Block] = [title, *_tested(report), rows]
    varied = report.get("variety", {})
    if varied.get("generated"):
        blocks.append(_variety(varied))
    histogram = report.get("class_histogram")
    if histogram:
        heard = [["Heard as", *COLUMNS.values()]]
        for label in histogram["generated"]:
            shares = (histogram[column][label] for column in COLUMNS)
            heard.append([label, *(f"{share:.1%}" for share in shares)])
        blocks.append(heard)
    if "generated" in report.get("confusion", {}):
        blocks.append("Labels asked for, and how often each was heard:")
        blocks.append(_confusion(report))
    if "blind_check" in report:
        blocks.append("What tells generated clips from real ones:")
        blocks += in_words(report["blind_check"])
    music = report.get("music")
    return [*blocks, _MEANINGS, terms, *(music_blocks(music) if music else [])]


def _tested(report: dict[str, Any]) -> list[Block]:
    """Whether test files were heard in training, and other remarks."""
    tested = report.get("test_files")
    remarks = [*([tested["note"]] if tested else [])]
    remarks += report.get("warnings", ())
    pitch, second = report.get("pitch"), report.get("second_classifier")
    if pitch:
        remarks.append(
            f"Pitch by {pitch['tracker']}, of the {len(pitch['heard'])} "
            f"pitches of {pitch['num_pitches']} that it hears in real notes."
        )
    if second:
        remarks.append(
            f"Second classifier: {second['preset']}, of "
            f"{len(second['labels'])} labels."
        )
    return remarks


def _figures(
    figures: dict[str, Any], columns: dict[str, str], with_interval: Container
) -> tuple[list[list[str]], dict[str, str]]:
    """Rows of figures under a header, and what the figures mean."""
    rows = [["Figure", *columns.values(), "Better"]]
    known = []
    for key in in_order(figures):
        entry = figures[key]
        shown = figure(key, entry)
        cells = [
            "-"
            if entry[column] is None
            else shown.measured(entry[column])
            + (f" ({entry[column]['at']})" if "at" in entry[column] else "")
            if column in with_interval
            else shown.number(entry[column]["value"])
            for column in columns
        ]
        rows.append([shown.title, *cells, shown.direction])
        known.append(shown)
    return rows, meanings(known)


def _variety(varied: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Repeats and distances of each label, beside those of real clips."""
    rows = [["Label", "Repeated", "Real", "Distance", "Real"]]
    for label, made in varied["generated"].items():
        real = varied["real_test"].get(label)
        rows.append(
            [
                label,
                f"{made['repeated']:.1%}",
                f"{real['repeated']:.1%}" if real else "-",
                f"{made['distance']:.2f}",
                f"{real['distance']:.2f}" if real else "-",
            ]
        )
    return rows


def _confusion(report: dict[str, Any]) -> list[list[str]]:
    """Of generated clips, without the labels that were not asked for."""
    names = report["classifier"]["labels"]
    matrix = np.array(report["confusion"]["generated"])
    columns = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    rows = [["asked for", *(names[i] for i in columns), "right"]]
    for i in np.flatnonzero(matrix.sum(axis=1)):
        right = f"{matrix[i, i] / matrix[i].sum():.1%}"
        rows.append([names[i], *map(str, matrix[i, columns]), right])
    return rows


def metrics_for_card(report: dict[str, Any]) -> dict[str, Any]:
    """Returns a report of `evaluate_gan` as the `metrics` of `training.json`.

    Each figure becomes `{value, low, high, real_test, better}`; the shares
    of the classes stand under `class_histogram`, what was heard of each
    label asked for under `label_recall` and `confusion`.
    """
    figures = {
        name: row
        for name, row in report["figures"].items()
        if name not in _NOT_FOR_CARDS
    }
    metrics = _for_card(figures, *COLUMNS)
    if "music" in report:
        metrics |= music_metrics_for_card(report["music"])
    if "class_histogram" in report:
        metrics["class_histogram"] = {
            "value": report["class_histogram"]["generated"]
        }
    if "generated" in report.get("confusion", {}):
        metrics["label_recall"] = {"value": report["label_recall"]["generated"]}
        metrics["confusion"] = {
            "value": report["confusion"]["generated"],
            "rows": "asked for",
            "columns": "heard",
        }
    return metrics


def music_metrics_for_card(report: dict[str, Any]) -> dict[str, Any]:
    """Returns a report of `evaluate_music` as `metrics` of `training.json`.

    Each figure becomes `{value, low, high, real_test, shuffled, white_noise,
    better}`, distances by a network with its name as `embedding`.
    """
    metrics = _for_card(report["figures"], *MUSIC_COLUMNS)
    for name in ("music_frechet_distance", "music_kernel_distance"):
        if name in metrics:
            metrics[name]["embedding"] = report["embedding"]["name"]
    return metrics


def vocoder_metrics_for_card(report: dict[str, Any]) -> dict[str, Any]:
    """Returns what `evaluate_vocoder` returned as `metrics` of `training.json`.

    Each figure becomes `{value, low, high, griffin_lim, fast_griffin_lim,
    real, num_clips, better, unit}`, with the `judge` that it is from, if any.
    """
    metrics = _for_card(report["figures"], *SYSTEMS)
    for name, entry in metrics.items():
        if "judge" in report["figures"][name]:
            entry["judge"] = report["figures"][name]["judge"]
    return metrics


def _for_card(
    figures: dict[str, Any], own: str, *others: str
) -> dict[str, Any]:
    metrics = {}
    for name, row in figures.items():
        if row[own] is None:
            continue
        metrics[name] = {**row[own], "better": row["better"]}
        if row["unit"]:
            metrics[name]["unit"] = row["unit"]
        for other in others:
            if row[other] is not None:
                metrics[name][other] = row[other]["value"]
    return metrics


def _ratio(row: dict[str, Any]) -> str:
    generated, real = row["generated"], row["real_test"]
    # A ratio of decibels, or to a figure that may be negative, says nothing.
    if generated is None or real is None or row["unit"].startswith("dB"):
        return ""
    if real["value"] <= 0 or generated["value"] < 0:
        return ""
    return f"{generated['value'] / real['value']:.3f}"
