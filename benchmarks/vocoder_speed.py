"""The vocoders' speed beside the original authors' own code, on a CPU.

    python benchmarks/vocoder_speed.py --originals-python env/bin/python \
        --parallel-wavegan ParallelWaveGAN --hifi-gan hifi-gan \
        --bigvgan BigVGAN [--rounds 5] [--models NAME ...] [--train]

`--originals-python` is a Python with PyTorch and the requirements of
kan-bayashi/ParallelWaveGAN (of NVIDIA/BigVGAN: librosa and matplotlib, too);
the others are clones of the originals, needed for their own models. Each model
has its published size. The original writes a checkpoint, which our
converter reads: both have the same weights and get the same mels, 10 seconds
of them, without weight norm. They take turns, while the other one waits, and
their sounds are compared. `--train` times a step that updates the generator
and the discriminator, by the original's own training code, on a batch of 2
clips.
"""

from __future__ import annotations

import argparse
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
    "bigvgan base": "bigvgan_base_24khz_100band",
}
TRAINED = {
    "melgan v1": "melgan.v1",
    "parallel_wavegan v1": "parallel_wavegan.v1",
    "multiband_melgan v2": "multi_band_melgan.v2",
    "hifigan v1 (kan-bayashi)": "hifigan.v1",
}
SECONDS, HOP, CLIPS = 10, 256, 2
# Samples a second and bands of the mels, for those that have others.
SIZES = {"bigvgan_base_24khz_100band": (24000, 100)}
RATE_AND_BINS = (22050, 80)
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def clone_of(recipe: str) -> str:
    """Returns the option with the clone that a recipe is in."""
    if recipe.startswith("bigvgan"):
        return "bigvgan"
    return "hifi_gan" if recipe.startswith("config") else "parallel_wavegan"


class Ours:
    """Our side: the public interface, in a process of its own."""

    def __init__(self, case: dict[str, Any], folder: pathlib.Path) -> None:
        import keras_audiogan

        policy = PRECISIONS[case["precision"]]
        training = case["job"] == "train"
        self.model = keras_audiogan.from_preset(str(folder), dtype=policy)
        if training:
            self.model.compile(discriminator_start=0, learning_rate=1e-6)
        else:
            self.model = self.model.fuse_weight_norm()
        self.noisy = self.model.architecture == "parallel_wavegan"

    def vocode(self, mel: np.ndarray, noise: np.ndarray) -> np.ndarray:
        given = {"noise": noise[None]} if self.noisy else {}
        return self.model.vocode(mel, **given)[0]

    def train(self, audio: np.ndarray, mel: np.ndarray) -> None:
        self.model.train_on_batch({"audio": audio, "mel": mel})


def serve(case: dict[str, Any]) -> None:
    """Runs our side: reads a job a line, answers with seconds and memory."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    folder = pathlib.Path(case["folder"])
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
            np.save(folder / f"{case['precision']}.npy", sound)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps([seconds, peak]), file=answers)


class Process:
    """A contender that waits for its turns."""

    def __init__(self, command: list[str], log: pathlib.Path) -> None:
        self.log = log
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
    np.savez(
        folder / "inputs.npz",
        mel=rng.normal(-1, 1, (frames, bins)).astype("float32"),
        noise=rng.normal(0, 1, (frames * HOP, 1)).astype("float32"),
        clips=rng.uniform(-0.5, 0.5, (CLIPS, samples, 1)).astype("float32"),
        clip_mels=rng.normal(0, 1, (CLIPS, samples // HOP, bins)).astype(
            "float32"
        ),
    )


def measure(
    recipe: str, job: str, options: argparse.Namespace
) -> dict[str, Any]:
    """Returns medians, ratios of paired rounds, memory and difference."""
    with tempfile.TemporaryDirectory() as text:
        folder = pathlib.Path(text)
        inputs(folder, 8192, recipe)
        case = {
            "recipe": recipe,
            "job": job,
            "folder": text,
            "threads": options.threads,
            "parallel_wavegan": str(options.parallel_wavegan),
            "hifi_gan": str(options.hifi_gan),
            "bigvgan": str(options.bigvgan),
        }
        processes = {}
        try:
            processes["original"] = Process(
                [
                    str(options.originals_python),
                    str(HERE / "vocoder_originals.py"),
                    json.dumps(case),
                ],
                folder / "original.log",
            )
            for precision in PRECISIONS:
                serving = json.dumps({**case, "precision": precision})
                processes[precision] = Process(
                    [sys.executable, __file__, "--serve", serving],
                    folder / f"{precision}.log",
                )
            seconds: dict[str, list[float]] = {name: [] for name in processes}
            peaks = {}
            for index in range(options.rounds + 1):
                for name, process in processes.items():
                    taken, peaks[name] = process.ask(job)
                    if index:
                        seconds[name].append(taken)
        finally:
            for process in processes.values():
                process.close()
        row: dict[str, Any] = {"peak_mib": peaks}
        row["median"] = {
            name: statistics.median(each) for name, each in seconds.items()
        }
        row["ratio"] = {
            name: statistics.median(
                theirs / own
                for theirs, own in zip(
                    seconds["original"], seconds[name], strict=True
                )
            )
            for name in PRECISIONS
        }
        if job == "vocode":
            # Ours does not leave full scale.
            original = np.load(folder / "original.npy").clip(-1.0, 1.0)
            row["difference"] = {
                name: float(
                    np.abs(np.load(folder / f"{name}.npy") - original).max()
                    / np.abs(original).max()
                )
                for name in PRECISIONS
            }
        return row


def show(name: str, job: str, row: dict[str, Any]) -> str:
    """Returns a row of the table, in Markdown."""
    medians = row["median"]
    if job == "vocode":
        shown = [f"{medians[key] / SECONDS:.3f}" for key in medians]
        last = " / ".join(f"{x:.0e}" for x in row["difference"].values())
    else:
        shown = [f"{medians[key]:.2f} s" for key in medians]
        last = ""
    peaks = " / ".join(f"{peak:.0f}" for peak in row["peak_mib"].values())
    ratios = [f"{row['ratio'][key]:.2f}" for key in PRECISIONS]
    return "| " + " | ".join([name, *shown, *ratios, peaks, last]) + " |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--originals-python", type=pathlib.Path)
    parser.add_argument("--parallel-wavegan", type=pathlib.Path)
    parser.add_argument("--hifi-gan", type=pathlib.Path)
    parser.add_argument("--bigvgan", type=pathlib.Path)
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--train", action="store_true")
    options = parser.parse_args()
    if options.serve:
        serve(json.loads(options.serve))
        return
    job = "train" if options.train else "vocode"
    known = TRAINED if options.train else RECIPES
    needed = {clone_of(known[name]) for name in options.models or known}
    for name in ("originals_python", *sorted(needed)):
        if getattr(options, name) is None:
            parser.error(f"--{name.replace('_', '-')} is needed")
    unit = "" if options.train else " (seconds a second of sound)"
    print(
        f"| model | original{unit} | ours, float32 | ours, bfloat16 | "
        "original / ours, float32 | original / ours, bfloat16 | peak memory, "
        "MiB: original / float32 / bfloat16 | largest difference of the "
        "sound: float32 / bfloat16 |\n" + "|---" * 8 + "|"
    )
    for name in options.models or known:
        row = measure(known[name], job, options)
        print(show(name, job, row), flush=True)


if __name__ == "__main__":
    main()
