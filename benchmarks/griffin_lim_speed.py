"""Griffin-Lim of a batch beside librosa's, on this machine's CPU.

    python benchmarks/griffin_lim_speed.py --librosa-python ENV/bin/python

64 clips of 16,384 samples, 32 iterations without momentum, from zero phase,
SpecGAN's transform (256/128) and a longer one (1,024/256). Ours is
`invert_magnitudes` of the whole batch, in NumPy and compiled by TensorFlow;
librosa's `griffinlim` gets the clips one by one, as most use it, and as one
batch. The turns change from round to round. librosa is not in this library's
environment: make one for it (`pip install librosa`) and name its Python.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

NUM_CLIPS, NUM_SAMPLES, NUM_ITERATIONS = 64, 16384, 32
TRANSFORMS = ((256, 128), (1024, 256))


def make_magnitudes(fft_length: int, frame_step: int) -> np.ndarray:
    """Magnitudes `(clips, frames, bins)` of tones in noise."""
    rng = np.random.default_rng(0)
    times = np.arange(NUM_SAMPLES) / 16000
    pitch = rng.uniform(80, 1000, (NUM_CLIPS, 1))
    sound = np.sin(2 * np.pi * pitch * times)
    sound += 0.3 * rng.standard_normal(sound.shape)
    frames = np.lib.stride_tricks.sliding_window_view(sound, fft_length, -1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(fft_length) / fft_length)
    return np.abs(np.fft.rfft(frames[:, ::frame_step] * window)).astype(
        "float32"
    )


def error(sound: np.ndarray, magnitudes: np.ndarray, step: int) -> float:
    """How far the magnitudes of sound lie from those wanted, of 1."""
    size = 2 * (magnitudes.shape[-1] - 1)
    frames = np.lib.stride_tricks.sliding_window_view(sound, size, -1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    found = np.abs(np.fft.rfft(frames[:, ::step] * window))
    count = min(found.shape[1], magnitudes.shape[1])
    # Ends are done in another way.
    inner = slice(4, count - 4)
    apart = found[:, inner] - magnitudes[:, inner]
    return float(np.linalg.norm(apart) / np.linalg.norm(magnitudes[:, inner]))


def our_jobs(magnitudes: np.ndarray, step: int) -> dict[str, Callable[[], Any]]:
    """Name -> what makes the sound of the batch."""
    import tensorflow as tf

    from keras_audiogan.audio.phase_recovery import invert_magnitudes
    from keras_audiogan.audio.windows import centered_window

    window = centered_window("hann", None, 2 * (magnitudes.shape[-1] - 1))
    compiled = tf.function(
        lambda x: invert_magnitudes(x, window, step, NUM_ITERATIONS)
    )
    given = tf.constant(magnitudes)
    return {
        "ours, TensorFlow": lambda: compiled(given).numpy(),
        "ours, NumPy": lambda: invert_magnitudes(
            magnitudes, window, step, NUM_ITERATIONS
        ),
    }


def librosa_jobs(
    magnitudes: np.ndarray, step: int
) -> dict[str, Callable[[], Any]]:
    """The same by librosa, whose frames come last."""
    import librosa

    turned = np.ascontiguousarray(magnitudes.swapaxes(-1, -2))

    def invert(x: np.ndarray) -> np.ndarray:
        return librosa.griffinlim(
            x,
            n_iter=NUM_ITERATIONS,
            hop_length=step,
            momentum=0.0,
            init=None,
            center=False,
        )

    return {
        "librosa, clip by clip": lambda: np.stack([invert(x) for x in turned]),
        "librosa, as a batch": lambda: invert(turned),
    }


def serve(arguments: dict[str, Any]) -> None:
    """Answers the names of jobs with their seconds, of one contender."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    magnitudes = np.load(arguments["file"])
    make = our_jobs if arguments["ours"] else librosa_jobs
    jobs = make(magnitudes, arguments["step"])
    print(json.dumps(list(jobs)), file=answers)
    for line in sys.stdin:
        began = time.perf_counter(), time.process_time()
        sound = jobs[line.strip()]()
        passed = time.perf_counter() - began[0], time.process_time() - began[1]
        apart = error(sound, magnitudes, arguments["step"])
        print(json.dumps([*passed, apart]), file=answers)


def start(python: str, arguments: dict[str, Any]) -> Any:
    """Starts a contender; returns the process and the names of its jobs."""
    child = subprocess.Popen(
        [python, __file__, "--serve", json.dumps(arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ},
    )
    line = child.stdout.readline() if child.stdout else ""
    if not line:
        raise SystemExit(f"{python} ended without a word.")
    return child, json.loads(line)


def ask(child: Any, job: str) -> list[float]:
    """Returns seconds, seconds of all processors, and the error of a job."""
    child.stdin.write(job + "\n")
    child.stdin.flush()
    return json.loads(child.stdout.readline())


def has_librosa(python: str) -> bool:
    """Whether a Python has librosa."""
    found = subprocess.run(
        [python, "-c", "import librosa"], capture_output=True
    )
    return found.returncode == 0


def compare(
    python: str | None, transform: tuple[int, int], rounds: int
) -> None:
    """Measures one transform and prints its rows."""
    size, step = transform
    with tempfile.TemporaryDirectory() as folder:
        file = str(pathlib.Path(folder) / "magnitudes.npy")
        np.save(file, make_magnitudes(size, step))
        given = {"file": file, "step": step}
        started = [start(sys.executable, {**given, "ours": True})]
        if python is not None:
            started.append(start(python, {**given, "ours": False}))
        jobs = [(job, child) for child, names in started for job in names]
        try:
            measured: dict[str, list[list[float]]] = {}
            for job, child in jobs:
                ask(child, job)  # Compiles, and wakes threads.
            for _ in range(rounds):
                for job, child in jobs:
                    measured.setdefault(job, []).append(ask(child, job))
                jobs.reverse()
        finally:
            for child, _ in started:
                child.kill()
                child.wait()
    best = statistics.median(x[0] for x in measured["ours, TensorFlow"])
    for job, values in measured.items():
        seconds, processors, apart = (
            statistics.median(x[i] for x in values) for i in range(3)
        )
        print(
            f"{size:>5}/{step:<5}{job:<24}{seconds:8.3f} s"
            f"{processors:8.3f} s of processors   error {apart:.3f}"
            + f"   ours is {seconds / best:6.1f} x as fast"
            * job.startswith("librosa"),
            flush=True,
        )


def main() -> None:
    """Runs all transforms, or serves one contender."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--librosa-python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(json.loads(arguments.serve))
        return
    python = arguments.librosa_python
    if not has_librosa(python):
        print(
            f"librosa is left out: {python} does not have it. Make an "
            "environment with it, and name its Python with --librosa-python.",
            flush=True,
        )
        python = None
    print(
        f"# {NUM_CLIPS} clips of {NUM_SAMPLES} samples, {NUM_ITERATIONS} "
        f"iterations, medians of {arguments.rounds} rounds"
    )
    for transform in TRANSFORMS:
        compare(python, transform, arguments.rounds)


if __name__ == "__main__":
    main()
