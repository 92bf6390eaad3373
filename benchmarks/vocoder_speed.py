"""The vocoders' speed beside the original authors' own code, on a CPU.

    python benchmarks/vocoder_speed.py --originals-python env/bin/python \
        --parallel-wavegan ParallelWaveGAN --hifi-gan hifi-gan \
        --vocos vocos --bigvgan BigVGAN [--rounds 5] [--models NAME ...] \
        [--engines NAME ...] [--threads N] [--train]

`--originals-python` is a Python with PyTorch and the requirements of
kan-bayashi/ParallelWaveGAN (of NVIDIA/BigVGAN: librosa and matplotlib, too),
with onnx, onnxruntime and openvino for the engines; the others are clones of
the originals, needed for their own models. Each model has its published size.
The original writes a checkpoint, which our converter reads: both have the same
weights and get the same mels, 10 seconds of them, without weight norm. They
take turns, while the others wait, and their sounds are compared. A model whose
original is not given is timed alone.

Beside PyTorch and Keras each engine runs the original's network as
`torch.onnx` exports it, whole clips at once, and ours as `audiogan export
--engine onnx` does, through `vocode`. Of Vocos `torch.onnx` has all but the
inverse transform, which PyTorch does then. Processes keep to `--threads` cores.

`--train` times a step that updates the generator and the discriminator, by the
original's own training code, on a batch of 2 clips.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
RECIPES = {
    "melgan v1": "melgan.v1",
    "parallel_wavegan v1": "parallel_wavegan.v1",
    "multiband_melgan v2": "multi_band_melgan.v2",
    "hifigan V1": "config_v1",
    "hifigan V2": "config_v2",
    "hifigan V3": "config_v3",
    "vocos": "vocos",
    "bigvgan base": "bigvgan_base_24khz_100band",
}
# The same of ours, where the original is not given: what differs from the
# architecture's defaults.
SIZES_OF_OURS: dict[str, dict[str, Any]] = {
    "hifigan V2": {"channels": 128},
    "hifigan V3": {
        "channels": 256,
        "upsample_rates": (8, 8, 4),
        "upsample_kernel_sizes": (16, 16, 8),
        "block_kernel_sizes": (3, 5, 7),
        "block_dilations": ((1, 2), (2, 6), (3, 12)),
        "block_type": 2,
    },
}
TRAINED = {
    "melgan v1": "melgan.v1",
    "parallel_wavegan v1": "parallel_wavegan.v1",
    "multiband_melgan v2": "multi_band_melgan.v2",
    "hifigan v1 (kan-bayashi)": "hifigan.v1",
}
SECONDS, HOP, CLIPS = 10, 256, 2
# Samples a second and bands of the mels, for those that have others.
SIZES = {"bigvgan_base_24khz_100band": (24000, 100), "vocos": (24000, 100)}
RATE_AND_BINS = (22050, 80)
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
ENGINES = ("onnxruntime", "openvino", "openvino-bfloat16")
CLONES = ("parallel_wavegan", "hifi_gan", "vocos", "bigvgan")


def clone_of(recipe: str) -> str:
    """Returns the option with the clone that a recipe is in."""
    for name in ("bigvgan", "vocos"):
        if recipe.startswith(name):
            return name
    return "hifi_gan" if recipe.startswith("config") else "parallel_wavegan"


class Ours:
    """Our side: the public interface, in a process of its own."""

    def __init__(self, case: dict[str, Any], folder: pathlib.Path) -> None:
        import keras_audiogan

        dtype = PRECISIONS[case["precision"]]
        if case["engine"]:
            self.model = keras_audiogan.from_preset(
                str(folder / "engine"), runtime=case["engine"], dtype=dtype
            )
        else:
            self.model = keras_audiogan.from_preset(
                str(folder / "ours"), dtype=dtype
            )
            if case["job"] == "train":
                self.model.compile(discriminator_start=0, learning_rate=1e-6)
            else:
                self.model = self.model.fuse_weight_norm()
        self.noisy = self.model.architecture == "parallel_wavegan"

    def vocode(self, mel: np.ndarray, noise: np.ndarray) -> np.ndarray:
        given = {"noise": noise[None]} if self.noisy else {}
        return self.model.vocode(mel, **given)[0]

    def train(self, audio: np.ndarray, mel: np.ndarray) -> None:
        self.model.train_on_batch({"audio": audio, "mel": mel})


def prepare(case: dict[str, Any]) -> None:
    """Writes our preset of the original's weights, and its engine."""
    import keras_audiogan
    from keras_audiogan import exporting, models, saving

    folder = pathlib.Path(case["folder"])
    if case["alone"]:
        architecture = case["model"].split()[0]
        model = models.get_architecture(architecture)(
            **SIZES_OF_OURS.get(case["model"], {})
        )
    else:
        model = keras_audiogan.from_preset(case["folder"], dtype="float32")
    saving.save_preset(model, folder / "ours", storage_dtype="float32")
    if case["job"] == "vocode" and case["engines"]:
        exporting.export_engine(model, folder / "ours", folder / "engine")


def serve(case: dict[str, Any]) -> None:
    """Runs our side: reads a job a line, answers with seconds and memory."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    folder = pathlib.Path(case["folder"])
    if case["side"] == "prepare":
        prepare(case)
        print(json.dumps([0.0, 0.0]), file=answers)
        return
    ours = Ours(case, folder)
    print(json.dumps([0.0, 0.0]), file=answers)
    for line in sys.stdin:
        data = np.load(folder / "inputs.npz")
        began = time.perf_counter()
        if line.strip() == "vocode":
            sound = ours.vocode(data["mel"], data["noise"])
        else:
            ours.train(data["clips"], data["clip_mels"])
        seconds = time.perf_counter() - began
        if line.strip() == "vocode":
            np.save(folder / f"{case['side']}.npy", sound)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps([seconds, peak]), file=answers)


class Process:
    """A contender that waits for its turns."""

    def __init__(
        self, command: list[str], log: pathlib.Path, threads: int
    ) -> None:
        self.log = log
        cores = sorted(os.sched_getaffinity(0))[:threads]
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
        environment["KERAS_BACKEND"] = "tensorflow"
        with log.open("w") as file:
            self.child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env=environment,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )
        self._answer()

    def _answer(self) -> tuple[float, float]:
        line = self.child.stdout.readline() if self.child.stdout else ""
        if not line:
            raise RuntimeError(self.log.read_text()[-2000:])
        seconds, peak = json.loads(line)
        return seconds, peak

    def ask(self, job: str) -> tuple[float, float]:
        """Returns seconds of a job and the peak memory so far, in MiB."""
        if self.child.stdin is None:
            raise RuntimeError("The contender has no pipes.")
        self.child.stdin.write(job + "\n")
        self.child.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """Ends the process."""
        self.child.kill()
        self.child.wait()


def inputs(folder: pathlib.Path, samples: int, recipe: str) -> None:
    """Writes mels and noise of ten seconds, and clips to train on."""
    rng = np.random.default_rng(0)
    rate, bins = SIZES.get(recipe, RATE_AND_BINS)
    frames = SECONDS * rate // HOP

    def mels(*shape: int) -> np.ndarray:
        # Below full scale in every base of logarithms, or they are refused.
        return rng.normal(-2, 0.5, (*shape, bins)).astype("float32")

    np.savez(
        folder / "inputs.npz",
        mel=mels(frames),
        noise=rng.normal(0, 1, (frames * HOP, 1)).astype("float32"),
        clips=rng.uniform(-0.5, 0.5, (CLIPS, samples, 1)).astype("float32"),
        clip_mels=mels(CLIPS, samples // HOP),
    )


def contenders(
    case: dict[str, Any], engines: list[str]
) -> dict[str, dict[str, Any]]:
    """Returns who takes part: its name, and what its process is told."""
    owners = ("ours",) if case["alone"] else ("original", "ours")
    made: dict[str, dict[str, Any]] = {}
    for owner in owners:
        own = PRECISIONS if owner == "ours" else ["float32"]
        framework = "Keras" if owner == "ours" else "PyTorch"
        for precision in own:
            side = f"{owner}, {framework}, {precision}"
            made[side] = {"engine": "", "precision": precision}
        for name in engines if case["job"] == "vocode" else ():
            engine, _, low = name.partition("-")
            precision = low or "float32"
            side = f"{owner}, {engine}, {precision}"
            # The originals' side takes precisions with the engine.
            told = engine if owner == "ours" else name
            made[side] = {"engine": told, "precision": precision}
    return {side: {**case, **told, "side": side} for side, told in made.items()}


def measure(
    model: str, recipe: str, job: str, options: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Returns each contender's seconds a round, memory and difference."""
    with tempfile.TemporaryDirectory() as text:
        folder = pathlib.Path(text)
        inputs(folder, 8192, recipe)
        case = {
            "model": model,
            "recipe": recipe,
            "job": job,
            "folder": text,
            "threads": options.threads,
            "engines": options.engines,
            "alone": getattr(options, clone_of(recipe)) is None,
            **{name: str(getattr(options, name)) for name in CLONES},
        }
        rows: dict[str, dict[str, Any]] = {}
        processes: dict[str, Process] = {}

        def start(told: dict[str, Any]) -> Process:
            command = [sys.executable, __file__, "--serve"]
            if told["side"].startswith("original"):
                script = HERE / "vocoder_originals.py"
                command = [str(options.originals_python), str(script)]
            log = folder / f"{told['side']}.log"
            return Process([*command, json.dumps(told)], log, options.threads)

        try:
            for side, told in contenders(case, options.engines).items():
                if side.startswith("ours") and not (folder / "ours").exists():
                    start({**told, "side": "prepare"}).close()
                processes[side] = start(told)
                rows[side] = {"seconds": []}
            for index in range(options.rounds + 1):
                for side, process in processes.items():
                    taken, rows[side]["peak_mib"] = process.ask(job)
                    if index:
                        rows[side]["seconds"].append(taken)
        finally:
            for process in processes.values():
                process.close()
        if job == "vocode" and not case["alone"]:
            for side, row in rows.items():
                row["difference"] = difference(
                    np.load(folder / f"{side}.npy"),
                    np.load(folder / f"{next(iter(rows))}.npy"),
                )
        return rows


def difference(sound: np.ndarray, original: np.ndarray) -> float:
    """Returns the largest difference, relative to the peak."""
    # Ours does not leave full scale, and Vocos's is a hop shorter.
    length = min(len(sound), len(original))
    sound, original = (
        each[:length].clip(-1.0, 1.0) for each in (sound, original)
    )
    return float(np.abs(sound - original).max() / np.abs(original).max())


def show(name: str, job: str, rows: dict[str, dict[str, Any]]) -> list[str]:
    """Returns rows of the table, in Markdown, and who is fastest."""
    lines = []
    (first, *_) = rows
    medians = {
        side: statistics.median(row["seconds"]) for side, row in rows.items()
    }
    for side, row in rows.items():
        ratio = statistics.median(
            theirs / own
            for theirs, own in zip(
                rows[first]["seconds"], row["seconds"], strict=True
            )
        )
        cells = [name, *side.split(", "), f"{medians[side]:.3f}"]
        if job == "vocode":
            cells.append(f"{SECONDS / medians[side]:.1f}")
        cells += [f"{ratio:.2f}", f"{row['peak_mib']:.0f}"]
        if "difference" in row:
            cells.append(f"{row['difference']:.0e}")
        lines.append("| " + " | ".join(cells) + " |")
    for precision in PRECISIONS:
        fastest = [
            min(
                (
                    side
                    for side in rows
                    if side.startswith(owner) and side.endswith(precision)
                ),
                key=medians.__getitem__,
                default=None,
            )
            for owner in ("original", "ours")
        ]
        if None not in fastest:
            theirs, own = map(str, fastest)
            lines.append(
                f"{name}, {precision}: {own} is "
                f"{medians[theirs] / medians[own]:.2f} times as fast as "
                f"{theirs}"
            )
    return lines


def available_engines() -> list[str]:
    """Returns the engines that are installed here."""
    from keras_audiogan.serving import runtimes

    return [
        name
        for name in ENGINES
        if importlib.util.find_spec(name.partition("-")[0]) is not None
        and ("-" not in name or runtimes.has_bfloat16("openvino"))
    ]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--originals-python", type=pathlib.Path)
    for name in CLONES:
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=pathlib.Path)
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--engines", nargs="*", choices=ENGINES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--train", action="store_true")
    options = parser.parse_args()
    if options.serve:
        serve(json.loads(options.serve))
        return
    job = "train" if options.train else "vocode"
    known = TRAINED if options.train else RECIPES
    if options.engines is None:
        options.engines = available_engines()
    given = [name for name in CLONES if getattr(options, name) is not None]
    if given and options.originals_python is None:
        parser.error("--originals-python is needed")
    options.threads = min(options.threads, len(os.sched_getaffinity(0)))
    print(f"Threads: {options.threads}. Engines: {', '.join(options.engines)}.")
    columns = ["model", "whose", "run by", "in", "seconds"]
    if job == "vocode":
        columns.append("times real time")
    columns += ["as fast as the first", "peak memory, MiB"]
    if job == "vocode":
        columns.append("difference")
    print(f"| {' | '.join(columns)} |\n" + "|---" * len(columns) + "|")
    for name in options.models or known:
        rows = measure(name, known[name], job, options)
        print("\n".join(show(name, job, rows)), flush=True)


if __name__ == "__main__":
    main()
