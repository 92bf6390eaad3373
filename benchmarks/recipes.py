"""Recipes of labelled generators beside each other: data, time, seeds alike.

    audiogan data drums drums
    python benchmarks/recipes.py drums

Every recipe trains with several seeds, each for as many minutes of one core
from its first step on; what it then makes is measured by `audiogan evaluate`
and stands in `recipes.jsonl` beside this file. A run that stands there is not
repeated, so the command can be stopped and started again, and a second one may
run on another core (`--seeds`, `taskset`). It ends with a table of all runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import trials

HERE = Path(__file__).parent
COMPLEX = {"kind": "complex_stft", "augment": 1.0, "dim": 8}
LOG_MEL = {"kind": "spectral", "augment": 1.0}
# The form of frames that runs had before.
REPEATED = {
    "head_phase": "angle",
    "upsampling": "nearest",
    "positions": False,
}
# Architecture, discriminators, and what else is set.
RECIPES: dict[str, tuple[str, list[dict[str, Any]], dict[str, Any]]] = {
    "WaveGAN's strides, log-mel": ("projection_wavegan", [LOG_MEL], {}),
    "frames, log-mel": ("stft_gan", [LOG_MEL], REPEATED),
    "frames, log-mel and complex STFT": (
        "stft_gan",
        [LOG_MEL, COMPLEX],
        REPEATED,
    ),
    "frames of frequencies, log-mel and complex STFT": (
        "stft_gan",
        [LOG_MEL, COMPLEX],
        {},
    ),
}
COLUMNS: trials.Figures = {"steps": ("steps", 1.0, 0)}
FIGURES: trials.Figures = {
    "label_accuracy": ("label accuracy, %", 100.0, 1),
    "frechet_distance": ("Frechet distance", 1.0, 2),
    "recall": ("recall, %", 100.0, 0),
    "label_repeated": ("repeated, %", 100.0, 0),
    "comb": ("comb, dB", 1.0, 1),
    "dc_offset": ("offset", 1.0, 4),
}


def train(recipe: str, seed: int, args: argparse.Namespace, run: Path) -> int:
    """Trains for some minutes; returns the steps that fitted in."""
    architecture, discriminators, more = RECIPES[recipe]
    settings = {"discriminators": discriminators, **more}
    command = [
        *trials.audiogan("train", architecture),
        *(args.data, "-o", str(run), "--seed", str(seed), "--steps", "1000000"),
        *("--batch-size", "16", "--learning-rate", "3e-4", "--balance"),
        *("--test", "tenth", "--precision", args.precision),
        *(
            word
            for name, value in settings.items()
            for word in ("--set", f"{name}={json.dumps(value)}")
        ),
        *("--checkpoint-every", "1000000", "--preview-every", "1000000"),
        *("--log-every", "1"),
    ]
    with (run.parent / "train.log").open("w") as output:
        child = subprocess.Popen(command, stdout=output, stderr=output)
        log, end = run / "log.jsonl", math.inf
        while child.poll() is None and time.monotonic() < end:
            if end == math.inf and log.is_file() and log.stat().st_size:
                end = time.monotonic() + 60.0 * args.minutes
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0.5)
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        child.wait()
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    return max(entry["step"] for entry in entries if "step" in entry)


def main() -> None:
    """Trains, measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="folder of drums, by kind")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--precision", default="mixed_bfloat16")
    args = parser.parse_args()
    path = HERE / "recipes.jsonl"

    def made(recipe: str, seed: int, run: Path) -> dict[str, Any]:
        steps = train(recipe, seed, args, run)
        clips = ["--data", args.data, "--test", "tenth", "--ask", "as-data"]
        clips += ["-n", str(args.clips)]
        return {
            "minutes": args.minutes,
            "steps": steps,
            "figures": trials.measured(run / "preset", clips, FIGURES),
        }

    trials.make(path, args.recipes, args.seeds, made)
    print(trials.table(trials.read(path), list(RECIPES), COLUMNS, FIGURES))


if __name__ == "__main__":
    main()
