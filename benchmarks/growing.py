"""Does growing help? Progressive WaveGAN, grown and from scratch.

    python benchmarks/growing.py piano

T. Körmendi's experiment at a size for a CPU: stage 6 (4 s of stereo) is reached
by way of stages 4 and 5, and trained from scratch for as many iterations, with
several seeds. Held-out music is the reference; distances of musicnn need
`audiogan judge musicnn`. Runs are kept in `growing.jsonl`, so that a command
that was stopped goes on; it ends with their table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import trials

HERE = Path(__file__).parent
KINDS = {
    "grown": ["--stages", "4,5,6", "--frozen-steps", "100", "--steps"],
    "from scratch": ["--stages", "6", "--steps"],
}
COLUMNS: trials.Figures = {"minutes": ("minutes", 1.0, 1)}
FIGURES: trials.Figures = {
    "music_frechet_distance": ("Frechet distance, musicnn", 1.0, 1),
    "music_kernel_distance": ("kernel distance", 1.0, 2),
    "pitch_classes_distance": ("pitch classes", 1.0, 2),
    "onset_density_distance": ("onset density", 1.0, 2),
    "self_similarity_distance": ("self-similarity", 1.0, 2),
    "spectral_tilt_difference": ("tilt, dB/octave", 1.0, 1),
    "rms_db": ("level, dB", 1.0, 0),
    "repeated": ("repeated, %", 100.0, 0),
}


def minutes_of(run: Path) -> float:
    """Returns how long a run's stages took, each from its first step on."""
    seconds = 0.0
    for path in run.glob("stage_*/log.jsonl"):
        lines = path.read_text().splitlines()
        times = [json.loads(line).get("time") for line in lines]
        known = [time for time in times if time is not None]
        seconds += known[-1] - known[0]
    return seconds / 60.0


def main() -> None:
    """Trains, measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="folder of stereo music")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=300, help="a stage")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--precision", default="mixed_bfloat16")
    args = parser.parse_args()
    path = HERE / "growing.jsonl"
    steps = {"grown": args.steps, "from scratch": 3 * args.steps + 200}

    def made(kind: str, seed: int, run: Path) -> dict[str, Any]:
        command = trials.audiogan(
            *("train", "progressive_wavegan", args.data, "-o", str(run)),
            *(*KINDS[kind], str(steps[kind]), "--seed", str(seed)),
            *("--sampling-rate", "16000", "--mode", "join"),
            *("--dim", "64", "--set", "latent_dim=64"),
            *("--loss", "relativistic", "--batch-size", "8"),
            *("--precision", args.precision, "--hold-out", "0.1"),
            *("--checkpoint-every", "100000", "--preview-every", "100000"),
            *("--log-every", "1"),
        )
        subprocess.run(command, check=True)
        preset = run / "stage_6" / "preset"
        clips = ["--data", args.data, "-n", str(args.clips)]
        return {
            "steps": steps[kind],
            "minutes": minutes_of(run),
            "figures": trials.measured(preset, clips, FIGURES),
        }

    trials.make(path, KINDS, args.seeds, made)
    print(trials.table(trials.read(path), list(KINDS), COLUMNS, FIGURES))


if __name__ == "__main__":
    main()
