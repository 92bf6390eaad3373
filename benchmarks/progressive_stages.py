"""Time and memory of progressive WaveGAN by stage, each in its own process.

    python benchmarks/progressive_stages.py
    python benchmarks/progressive_stages.py --stages 8 --dim 1024 --rows 2
    python benchmarks/progressive_stages.py --precisions
    python benchmarks/progressive_stages.py --sampling

An iteration is 5 critic steps with gradient penalty and one generator step.
Memory is the peak of the whole process, TensorFlow included.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import numpy as np


def peak() -> float:
    """Returns the most memory that the process had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(job: dict) -> dict:
    """Trains or samples in this process; returns medians."""
    from keras_audiogan.models import ProgressiveWaveGAN

    gan = ProgressiveWaveGAN(
        num_blocks=job["stage"],
        num_channels=2,
        dim=job["dim"],
        dtype=job["precision"],
    )
    seconds = []
    if job["sampling"]:
        for _ in range(1 + job["repeats"]):
            began = time.perf_counter()
            gan.sample(1, seed=0)
            seconds.append(time.perf_counter() - began)
        clip = gan.slice_length / gan.sampling_rate
        took = statistics.median(seconds[1:])
        return {"seconds": took, "x real time": clip / took, "GiB": peak()}
    mixed = job["precision"] != "float32"
    gan.compile(
        discriminator_steps=job["critic_steps"],
        seed=0,
        recompute=job["recompute"],
        loss_scale=32.0 if mixed else None,
    )
    rows = job["rows"] * job["critic_steps"]
    rng = np.random.default_rng(0)
    audio = rng.uniform(-0.5, 0.5, (rows, gan.slice_length, 2))
    audio = audio.astype("float32")
    for _ in range(1 + job["repeats"]):  # The first one traces.
        began = time.perf_counter()
        gan.train_on_batch(audio)
        seconds.append(time.perf_counter() - began)
    return {"seconds": statistics.median(seconds[1:]), "GiB": peak()}


def main() -> None:
    """Measures what is asked for and prints a row of a table for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--stages", default="1,2,3,4,5,6,7,8")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--critic-steps", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--recompute", action="store_true")
    parser.add_argument("--sampling", action="store_true")
    parser.add_argument("--precisions", action="store_true")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        print(json.dumps(measure(json.loads(given.job))))
        return
    precisions = ["float32"]
    if given.precisions:
        precisions.append("mixed_bfloat16")
    for stage in map(int, given.stages.split(",")):
        for precision in precisions:
            job = {**vars(given), "stage": stage, "precision": precision}
            command = [sys.executable, __file__, "--job", json.dumps(job)]
            done = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, text=True
            )
            result = json.loads(done.stdout.splitlines()[-1])
            figures = " | ".join(f"{x:.3g}" for x in result.values())
            print(
                f"| {stage} | {given.dim} | {given.rows} | {precision} | "
                f"{figures} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
