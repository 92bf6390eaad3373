"""Which is better, spectra or waves? Presets side by side in one table.

    python benchmarks/spectra_or_waves.py \
        --compare digit_classifier fsdd wavegan_digits specgan_digits \
        --compare runs/pitch_classifier notes runs/wavegan_notes gansynth_notes

Each `--compare` names a classifier preset (or none), a folder of real sounds
(or several, joined by commas), and two presets or more that were trained on
them. Figures are those of `audiogan evaluate`, with its intervals of 95 %;
pitches are heard by the tracker of the extra `pitch`, if that is installed.
The rate of training is read from the `log.jsonl` beside a preset's folder or
in it, or from `--log PRESET FILE`; sampling is timed here.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import sys
import time
from collections.abc import Iterable
from typing import Any

COLUMNS = {
    "label_accuracy": "label accuracy (%)",
    "pitch_accuracy": "pitch accuracy (%)",
    "inception_score": "inception score",
    "share": "of real",
    "frechet_distance": "Frechet distance",
    "kernel_distance": "kernel distance",
    "repeated": "repeated (%)",
    "steps": "training steps/s",
    "speed": "sampling, times real time",
}


def steps_per_second(lines: Iterable[str]) -> float | None:
    """Returns the median rate between the entries of a run's log.

    Pauses (a resumed run, an evaluation) change few of the rates, and so
    hardly their median.

    Args:
        lines: of a `log.jsonl`; entries without a number of steps and a time
            (events) are passed over.

    Returns:
        Steps a second; None of fewer than two entries.
    """
    entries = []
    for line in lines:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue  # The last line of a run that was cut off.
        if isinstance(entry, dict) and "event" not in entry:
            if {"step", "time"} <= entry.keys():
                entries.append((entry["step"], entry["time"]))
    rates = [
        (step - last) / (at - before)
        for (last, before), (step, at) in zip(
            entries, entries[1:], strict=False
        )
        if step > last and at > before
    ]
    return statistics.median(rates) if rates else None


def log_of(preset: str, folder: pathlib.Path, given: dict[str, str]) -> Any:
    """Returns the path of a preset's log, None if there is none."""
    if preset in given:
        return pathlib.Path(given[preset])
    for path in (folder / "log.jsonl", folder.parent / "log.jsonl"):
        if path.is_file():
            return path
    return None


def times_real_time(gan: Any, batch_size: int, rounds: int) -> list[float]:
    """Returns seconds of sound made in a second, of each round."""
    gan.sample(batch_size, seed=0, batch_size=batch_size)
    speeds = []
    for seed in range(rounds):
        began = time.perf_counter()
        clips = gan.sample(batch_size, seed=seed, batch_size=batch_size)
        seconds = clips.shape[0] * clips.shape[1] / gan.sampling_rate
        speeds.append(seconds / (time.perf_counter() - began))
    return speeds


def measure(
    preset: str,
    classifier_name: str,
    folders: tuple[pathlib.Path, ...],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Returns the report of `evaluate_gan` on a preset, and its speeds."""
    from keras_audiogan import metrics, zoo
    from keras_audiogan.cli import _evaluation
    from keras_audiogan.saving import read_config

    folder = zoo.resolve(preset)
    config = read_config(folder)
    train, test, tested = _evaluation.split(
        folders, config, folder, options.test
    )
    chosen = _evaluation.choose_classifier(classifier_name, config, None)
    classifier = zoo.from_preset(chosen) if chosen else None
    gan = zoo.from_preset(str(folder))
    real, held_out = (_evaluation.read(part, gan) for part in (train, test))
    generated = metrics.sample_clips(gan, options.num_samples, options.seed)
    report = metrics.evaluate_gan(
        generated,
        real.audio,
        held_out.audio,
        classifier,
        sampling_rate=gan.sampling_rate,
        seed=options.seed,
        targets=metrics.targets_of(gan, classifier, options.num_samples),
        test_targets=held_out.targets(classifier),
    )
    asked = _evaluation.labels_asked(gan, options.num_samples, None)
    _evaluation.add_pitches(report, generated, asked, real, held_out)
    log = log_of(preset, folder, dict(options.log))
    report["steps"] = None
    if log is not None:
        report["steps"] = steps_per_second(log.read_text("utf-8").splitlines())
    report["speed"] = times_real_time(gan, options.batch_size, options.rounds)
    report["tested"] = tested.brief
    return report


def row(name: str, report: dict[str, Any], column: str) -> list[str]:
    """Returns the cells of a preset (`"generated"`) or of real sound."""
    from keras_audiogan.presets.figures import figure

    cells = [name]
    for key in COLUMNS:
        figures = report["figures"]
        entry = (figures.get(key) or {}).get(column)
        text = figure(key).measured(entry) if entry else ""
        if key == "share" and column == "generated":
            text = share(figures.get("inception_score"))
        elif key == "steps" and column == "generated" and report["steps"]:
            text = f"{report['steps']:.3g}"
        elif key == "speed" and column == "generated":
            middle = statistics.median(report["speed"])
            ends = min(report["speed"]), max(report["speed"])
            text = f"{middle:.0f} [{ends[0]:.0f}, {ends[1]:.0f}]"
        cells.append(text)
    return cells


def share(scores: dict[str, Any] | None) -> str:
    """Returns an inception score as a part of that of real sound."""
    if not scores or not scores.get("real_test"):
        return ""
    real = scores["real_test"]["value"]
    own = scores["generated"]
    ends = [own[key] / real for key in ("low", "high") if key in own]
    interval = f" [{', '.join(f'{x:.2f}' for x in ends)}]" if ends else ""
    return f"{own['value'] / real:.2f}{interval}"


def table(rows: list[list[str]]) -> str:
    """Returns rows as a Markdown table, without columns that are empty."""
    header = ["", *COLUMNS.values()]
    kept = [i for i in range(len(header)) if any(each[i] for each in rows)]
    lines = [[line[i] for i in kept] for line in (header, *rows)]
    lines.insert(1, ["---"] * len(kept))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Measures every preset and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--compare",
        nargs="+",
        action="append",
        required=True,
        metavar=("CLASSIFIER", "DATA"),
        help="a classifier preset, auto or none; folders of real sound, joined "
        "by commas; presets",
    )
    parser.add_argument(
        "--log",
        nargs=2,
        action="append",
        default=[],
        metavar=("PRESET", "FILE"),
    )
    parser.add_argument("--test", help="files that were held out, a pattern")
    parser.add_argument("-n", "--num-samples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows, remarks = [], []
    for classifier, data, *presets in options.compare:
        if not presets:
            parser.error(
                "--compare takes a classifier, a folder and presets. "
                f"Received: {classifier} {data}"
            )
        folders = tuple(map(pathlib.Path, data.split(",")))
        for preset in presets:
            print(f"Measuring {preset} ...", file=sys.stderr, flush=True)
            report = measure(preset, classifier, folders, options)
            rows.append(row(preset, report, "generated"))
            lines = report["warnings"] + [f"test files: {report['tested']}"]
            if "pitch" in report:
                pitch = report["pitch"]
                lines.append(
                    f"pitch by {pitch['tracker']}, of {len(pitch['heard'])} "
                    f"of {pitch['num_pitches']} pitches"
                )
            remarks += [f"{preset}: {line}" for line in lines]
        # That of the last preset: the same sound, cut by its own recipe.
        rows.append(row(f"real, {data}", report, "real_test"))
    print(table(rows))
    print(
        f"\n{options.num_samples} generated clips each, seed {options.seed}; "
        "intervals of 95 %, those of sampling from the slowest to the fastest "
        f"of {options.rounds} calls of {options.batch_size} clips; `of real` "
        "takes the score of real sound as exact."
    )
    for remark in dict.fromkeys(remarks):
        print(f"- {remark}")


if __name__ == "__main__":
    main()
