"""How soon training starts on 15 hours of sound, and what memory that takes.

    python benchmarks/training_startup.py [--hours 15] [--dim 16] [--links]

Writes the hours by repeating the sounds of `--source`, starts a real
`audiogan train wavegan` on them, and takes the time to its first finished
step and its largest resident memory up to then. Beside it stands a process
that imports the framework, builds the same model and runs the same step on
data in memory: what no corpus can go below. Linux only.
"""

from __future__ import annotations

import argparse
import itertools
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import data_pipeline

REPOSITORY = data_pipeline.REPOSITORY
MEBIBYTE = data_pipeline.MEBIBYTE
POLL_SECONDS = 0.02


def link_corpus(
    source: pathlib.Path, folder: pathlib.Path, hours: float
) -> None:
    """Repeats the files of `source` as they are, as hard links or copies."""
    import shutil

    import soundfile

    folder.mkdir(parents=True)
    files = [
        (path, soundfile.info(path).duration)
        for path in sorted(source.rglob("*"))
        if path.suffix in (".wav", ".flac")
    ]
    copies = [
        (folder.parent / f"source_{i}{path.suffix}", seconds)
        for i, (path, seconds) in enumerate(files)
    ]
    for (path, _), (copy, _) in zip(files, copies, strict=True):
        shutil.copyfile(path, copy)
    left = hours * 3600
    for i, (copy, seconds) in enumerate(itertools.cycle(copies)):
        if left <= 0:
            return
        part = folder / f"part_{i // 1000:03d}"
        part.mkdir(exist_ok=True)
        os.link(copy, part / f"{i:06d}{copy.suffix}")
        left -= seconds


def memory(pid: int) -> int:
    """Largest resident memory of a process so far, in bytes."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024


def train(arguments: argparse.Namespace, data: pathlib.Path) -> tuple:
    """Trains until the first step is logged; returns seconds and bytes."""
    run = data.parent / "run"
    log, output = run / "log.jsonl", data.parent / "output.txt"
    start = "from keras_audiogan.cli.main import main; main()"
    command = [sys.executable, "-c", start, "train"]
    command += ["wavegan", str(data), "-o", str(run), "--log-every", "1"]
    command += ["--steps", "1000", "--sampling-rate", "16000"]
    command += ["--dim", str(arguments.dim)]
    command += ["--batch-size", str(arguments.batch_size)]
    began = time.perf_counter()
    with open(output, "w") as file:
        child = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            while not (log.exists() and '"step": 1' in log.read_text()):
                if child.poll() is not None:
                    raise SystemExit(output.read_text())
                time.sleep(POLL_SECONDS)
            return time.perf_counter() - began, memory(child.pid)
        finally:
            child.kill()
            child.wait()


def step_in_memory(dim: int, batch_size: int) -> None:
    """Runs one step without a corpus; prints the largest memory."""
    import numpy as np

    from keras_audiogan.models import WaveGAN
    from keras_audiogan.training.precision import resolve_precision

    gan = WaveGAN(dim=dim, dtype=resolve_precision("auto"))
    gan.compile("wgan-gp", seed=0)
    rows = gan.discriminator_steps * batch_size
    rng = np.random.default_rng(0)
    audio = rng.uniform(-1.0, 1.0, (rows, gan.slice_length, 1))
    gan.fit(audio.astype("float32"), batch_size=rows, verbose=0)
    print(memory(os.getpid()))


def main() -> None:
    """Measures both processes, and prints what the corpus adds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--source", type=pathlib.Path, default=REPOSITORY / "tests/data/piano"
    )
    parser.add_argument("--hours", type=float, default=15.0)
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument(
        "--links",
        action="store_true",
        help="repeat the files as they are, instead of files of 30 s",
    )
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        step_in_memory(arguments.dim, arguments.batch_size)
        return
    began = time.perf_counter()
    alone = subprocess.run(
        [sys.executable, __file__, "--alone", "--dim", str(arguments.dim)]
        + ["--batch-size", str(arguments.batch_size)],
        check=True,
        capture_output=True,
        text=True,
    )
    framework = time.perf_counter() - began
    framework_memory = int(alone.stdout.split()[-1])
    with tempfile.TemporaryDirectory() as scratch:
        data = pathlib.Path(scratch) / "data"
        if arguments.links:
            link_corpus(arguments.source, data, arguments.hours)
        else:
            data_pipeline.write_corpus(
                arguments.source, data, arguments.hours, "wav"
            )
        files = sum(path.is_file() for path in data.rglob("*"))
        seconds, resident = train(arguments, data)
    print(
        f"{arguments.hours:g} h in {files} files, d={arguments.dim}, batches "
        f"of {arguments.batch_size}\n"
        f"  first step after {seconds:.1f} s, of which the framework alone "
        f"takes {framework:.1f} s (imports, graph, step)\n"
        f"  resident memory {resident / MEBIBYTE:.0f} MiB, "
        f"{(resident - framework_memory) / MEBIBYTE:.0f} MiB above the "
        f"framework's {framework_memory / MEBIBYTE:.0f} MiB"
    )


if __name__ == "__main__":
    main()
