"""How many of several runs survive: the report's own headline, measured.

    audiogan data fsdd fsdd
    python benchmarks/stability.py fsdd

J. Hill's report ("End-to-end conditional audio generation", its tables of
5,000 iterations at batch 64 and learning rate 1e-4, two spoken words of 4,096
samples) had its WaveGAN diverge after 3,700 iterations, its concatenated
conditional WaveGAN after 0 to 500, and does not say for its ACGAN. This trains
the same three kinds of model here, several seeds each, on the words zero and
one, and writes what became of them to `stability.jsonl` and `stability.md`
beside itself. A run that stands in the former is not repeated, so that the
command can be stopped and started again.

A run has diverged at the first step whose losses are not finite or beyond
100 (the report's criterion), or at which the level of generated sound has been
below a thirtieth of real sound's for 200 steps.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REPORT = {
    "wavegan": "3,700",
    "concat_wavegan": "0 to 500",
    "acgan_wavegan": "not stated",
}
# Each model as its preset of the words is trained.
RECIPE: dict[str, dict[str, Any]] = {
    "wavegan": {"discriminators": ["spectral"]},
    "concat_wavegan": {"discriminators": ["spectral"], "first_layer": "planes"},
    "acgan_wavegan": {"discriminators": ["spectral"], "first_layer": "planes"},
}
LOSS = "relativistic"
LABELS = ["zero", "one"]
RATE = LENGTH = 4096
LIMIT = 100.0
SILENT, SILENT_STEPS = 1 / 30, 200


def make_callback(steps: int) -> Any:
    import keras

    class Watch(keras.callbacks.Callback):
        """Ends a run that has diverged, and notes where."""

        def __init__(self) -> None:
            super().__init__()
            self.step = 0
            self.silent = 0
            self.diverged: str | None = None
            self.last: dict[str, float] = {}

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.step += 1
            values = {k: float(v) for k, v in (logs or {}).items()}
            self.last = values
            adversarial = [v for k, v in values.items() if k[:4] == "adv/"]
            quiet = values["level/fake"] < SILENT * values["level/real"]
            self.silent = self.silent + 1 if quiet else 0
            if not all(math.isfinite(v) for v in values.values()):
                self.diverged = "not finite"
            elif max(abs(v) for v in adversarial) > LIMIT:
                self.diverged = f"loss beyond {LIMIT:g}"
            elif self.silent >= SILENT_STEPS:
                self.diverged = "silence"
            if self.diverged is not None or self.step >= steps:
                self.model.stop_training = True

    return Watch()


def run(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    import keras

    from keras_audiogan.data import AudioDataset, AudioFolder
    from keras_audiogan.models import get_architecture
    from keras_audiogan.training.precision import resolve_precision

    folders = [os.path.join(options.data, digit) for digit in ("0", "1")]
    folder = AudioFolder.scan(
        folders, sampling_rate=RATE, exclude="*_[0-4].flac"
    ).renamed(LABELS)
    keras.utils.set_random_seed(seed)
    model = get_architecture(name)(
        slice_length=LENGTH,
        sampling_rate=RATE,
        labels=LABELS,
        dim=options.dim,
        dtype=resolve_precision("auto"),
        **RECIPE[name],
    )
    model.compile(LOSS, learning_rate=options.learning_rate, seed=seed)
    data = AudioDataset(
        folder,
        LENGTH,
        batch_size=options.batch_size,
        discriminator_steps=model.discriminator_steps,
        seed=seed,
        labels=model.conditional,
    )
    watch, began = make_callback(options.steps), time.perf_counter()
    feed = data.to_keras()
    try:
        model.fit(
            feed,
            steps_per_epoch=options.steps,
            shuffle=False,
            verbose=0,
            callbacks=[watch],
        )
    finally:
        feed.close()
    return {
        "model": name,
        "seed": seed,
        "steps": options.steps,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "dim": options.dim,
        "survived": watch.step,
        "diverged": watch.diverged,
        "level_ratio": watch.last["level/fake"] / watch.last["level/real"],
        "discriminator_loss": watch.last["adv/discriminator"],
        "seconds": round(time.perf_counter() - began, 1),
    }


def table(rows: list[dict[str, Any]]) -> str:
    first = rows[0]
    lines = [
        "# Stability of the downsized models",
        "",
        "Spoken zero and one (FSDD), 4,096 samples at 4,096 Hz, "
        f"{first['steps']:,} iterations, batch {first['batch_size']}, "
        f"learning rate {first['learning_rate']:g}; spectral discriminator, "
        "relativistic loss with R1 and R2, width "
        f"{first['dim']}. Command: "
        "`python benchmarks/stability.py fsdd`.",
        "",
        "| model | runs | diverged | iterations survived (least) | level of "
        "generated against real at the end | the report's iterations |",
        "|---|---|---|---|---|---|",
    ]
    for name in REPORT:
        own = [row for row in rows if row["model"] == name]
        if not own:
            continue
        ratios = [20 * math.log10(row["level_ratio"]) for row in own]
        lines.append(
            f"| `{name}` | {len(own)} | "
            f"{sum(row['diverged'] is not None for row in own)} | "
            f"{min(row['survived'] for row in own):,} | "
            f"{min(ratios):+.1f} to {max(ratios):+.1f} dB | {REPORT[name]} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="folder of FSDD, with 0/ and 1/ in it")
    parser.add_argument("--models", nargs="+", default=list(REPORT))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--output", type=Path, default=HERE)
    options = parser.parse_args()
    results = options.output / "stability.jsonl"
    rows = []
    if results.exists():
        rows = [json.loads(line) for line in results.read_text().splitlines()]
    asked = ("steps", "batch_size", "learning_rate", "dim")
    wanted = {key: getattr(options, key) for key in asked}
    rows = [row for row in rows if wanted.items() <= row.items()]
    done = {(row["model"], row["seed"]) for row in rows}
    for seed in options.seeds:
        for name in options.models:
            if (name, seed) in done:
                continue
            row = run(name, seed, options)
            print(json.dumps(row), flush=True)
            rows.append(row)
            with results.open("a") as file:
                file.write(json.dumps(row) + "\n")
            (options.output / "stability.md").write_text(table(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
