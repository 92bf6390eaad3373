"""WaveGAN's speed beside the same network in PyTorch, on this machine's CPU.

    python benchmarks/wavegan_speed.py [--batch-size 8] [--rounds 3] [--quick]

For d=16 and d=64, float32 and mixed bfloat16, at 16,384 samples: sampling,
and a full training iteration (5 discriminator updates with gradient penalty,
one of the generator, phase shuffle, Adam). Each contender is a process;
they are timed one at a time, turn by turn, while the others wait for input.
All start from one set of weights, and their outputs are compared first.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import selectors
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
SLICE_LENGTH, SAMPLING_RATE, LATENT_DIM, TAPS = 16384, 16000, 100, 25
START_FRAMES, DISCRIMINATOR_STEPS, NUM_CLIPS = 16, 5, 64
CONTENDERS = ("keras-audiogan", "torch", "torch.compile")
MATRIX_SIZE = 2048


def network_multiply_adds(dim: int) -> tuple[int, int, int]:
    """Multiply-adds that one clip needs.

    Returns:
        Of the generator, of the discriminator, and of the discriminator's
        first layer, which is 1 channel wide and needs no gradient in its
        input but for the penalty.
    """
    frames, widths = START_FRAMES, []
    while frames < SLICE_LENGTH:
        frames *= 4
        widths.append(dim * 2 ** len(widths))
    channels = [1, *widths]
    layers = []
    for source, target in zip(channels, channels[1:], strict=False):
        frames //= 4
        layers.append(frames * TAPS * source * target)
    wide = START_FRAMES * widths[-1]
    # A transposed convolution costs what the strided one backwards does.
    generator = sum(layers) + LATENT_DIM * wide
    return generator, sum(layers) + wide, layers[0]


def iteration_multiply_adds(dim: int, batch_size: int) -> int:
    """Multiply-adds that one training iteration cannot do without.

    A discriminator update runs G once, D and its gradients in weights and maps
    on real and fake; and for the penalty D, its slope, and that slope's
    derivative (again a forward pass and a gradient in the weights). The
    generator's update runs G with both gradients, and D with one.
    """
    generator, critic, first = network_multiply_adds(dim)
    update = generator + 2 * (3 * critic - first) + 4 * critic
    return batch_size * (
        DISCRIMINATOR_STEPS * update + 3 * generator + 2 * critic
    )


class KerasContender:
    """Our side: the public interface."""

    def __init__(self, case: dict[str, Any], folder: pathlib.Path) -> None:
        from keras_audiogan.models import WaveGAN

        self.gan = WaveGAN(
            SLICE_LENGTH,
            dim=case["dim"],
            dtype="mixed_bfloat16" if case["bfloat16"] else "float32",
        )
        self.gan.compile("wgan-gp", seed=0)
        networks = {"g": self.gan.generator, "d": self.gan.discriminator}
        np.savez(
            folder / "weights.npz",
            **{
                f"{key}/{weight.path.split('/', 1)[1]}": np.asarray(weight)
                for key, network in networks.items()
                for weight in network.weights
            },
        )

    def train(self, audio: np.ndarray) -> None:
        self.gan.train_on_batch(audio)

    def sample(self, latents: np.ndarray) -> np.ndarray:
        return self.gan.sample(latents=latents, batch_size=len(latents))

    def score(self, audio: np.ndarray) -> np.ndarray:
        return np.asarray(self.gan.discriminator(audio)[0][-1])

    def multiplier(self, bfloat16: bool) -> Callable[[], Any]:
        import tensorflow as tf

        dtype = tf.bfloat16 if bfloat16 else tf.float32
        matrix = tf.cast(tf.random.normal((MATRIX_SIZE, MATRIX_SIZE)), dtype)
        return lambda: tf.matmul(matrix, matrix)


class TorchContender:
    """PyTorch's side: `wavegan_torch.py`."""

    def __init__(self, case: dict[str, Any], folder: pathlib.Path) -> None:
        import torch
        import wavegan_torch

        self.torch = torch
        self.trainer = wavegan_torch.Trainer(
            SLICE_LENGTH,
            case["dim"],
            case["batch_size"],
            case["bfloat16"],
            case["contender"] == "torch.compile",
        )
        weights = np.load(folder / "weights.npz")
        generator, discriminator = (
            {
                name.split("/", 1)[1]: weights[name]
                for name in weights
                if name.startswith(key)
            }
            for key in ("g/", "d/")
        )
        self.trainer.load(generator, discriminator)

    def train(self, audio: np.ndarray) -> None:
        # A view: one channel needs no transposition in memory.
        rows = self.torch.from_numpy(audio.reshape(len(audio), 1, -1))
        self.trainer.iteration(rows)

    def sample(self, latents: np.ndarray) -> np.ndarray:
        return self.trainer.sample(latents)

    def score(self, audio: np.ndarray) -> np.ndarray:
        critic = self.trainer.discriminator.eval()
        with self.torch.no_grad():
            scores = critic(self.torch.from_numpy(audio).transpose(1, 2))
        critic.train()
        return scores.numpy()

    def multiplier(self, bfloat16: bool) -> Callable[[], Any]:
        dtype = self.torch.bfloat16 if bfloat16 else self.torch.float32
        matrix = self.torch.randn(MATRIX_SIZE, MATRIX_SIZE).to(dtype)
        return lambda: matrix @ matrix


def inputs(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Real clips of an iteration and latents to sample, equal for all."""
    rng = np.random.default_rng(0)
    rows = DISCRIMINATOR_STEPS * case["batch_size"]
    audio = rng.uniform(-1.0, 1.0, (rows, SLICE_LENGTH, 1))
    latents = rng.uniform(-1.0, 1.0, (NUM_CLIPS, LATENT_DIM))
    return audio.astype("float32"), latents.astype("float32")


def serve(case: dict[str, Any]) -> None:
    """Runs a contender: reads the name of a job, answers with seconds."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    folder = pathlib.Path(case["folder"])
    ours = case["contender"] == CONTENDERS[0]
    contender: KerasContender | TorchContender = (
        KerasContender(case, folder) if ours else TorchContender(case, folder)
    )
    audio, latents = inputs(case)
    multiply = contender.multiplier(case["bfloat16"])
    scored = audio[:4]
    jobs = {
        "train": lambda: contender.train(audio),
        "sample": lambda: contender.sample(latents),
        "multiply": multiply,
    }
    for line in sys.stdin:
        name = line.strip()
        began = time.perf_counter()
        if name == "outputs":
            np.savez(
                folder / f"{case['contender']}.npz",
                sound=contender.sample(latents),
                scores=contender.score(scored),
            )
        else:
            jobs[name]()
        print(json.dumps(time.perf_counter() - began), file=answers)


class Process:
    """A contender in a process of its own, which waits for its turns."""

    def __init__(
        self, case: dict[str, Any], limit: float, script: str = __file__
    ) -> None:
        self.limit = limit
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
        environment["KERAS_BACKEND"] = "tensorflow"
        self.log = open(  # noqa: SIM115
            pathlib.Path(case["folder"]) / f"{case['contender']}.log", "w+"
        )
        self.child = subprocess.Popen(
            [sys.executable, script, "--serve", json.dumps(case)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            cwd=REPOSITORY,
            env=environment,
        )

    def ask(self, job: str) -> float:
        """Returns the seconds that a job took.

        Raises:
            TimeoutError: if it takes longer than the limit.
            RuntimeError: if the process ends instead.
        """
        stdin, stdout = self.child.stdin, self.child.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("The contender has no pipes.")
        try:
            stdin.write(job + "\n")
            stdin.flush()
        except BrokenPipeError:
            raise RuntimeError(self.last_words()) from None
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            if not selector.select(self.limit):
                raise TimeoutError(f"`{job}` took over {self.limit:.0f} s")
        line = stdout.readline()
        if not line:
            raise RuntimeError(self.last_words())
        return float(json.loads(line))

    def last_words(self) -> str:
        """Returns the end of what the process wrote about its failure."""
        self.child.wait(timeout=10)
        self.log.seek(0)
        lines = self.log.read().strip().splitlines()
        return lines[-1] if lines else "the process ended without a word"

    def close(self) -> None:
        """Ends the process."""
        self.child.kill()
        self.child.wait()
        self.log.close()


def start(case: dict[str, Any], limit: float) -> dict[str, Process]:
    """Starts the contenders in turn, compares outputs, warms them up."""
    folder = pathlib.Path(case["folder"])
    running: dict[str, Process] = {}
    reference = None
    for contender in case["contenders"]:
        began = time.perf_counter()
        process = Process({**case, "contender": contender}, limit)
        try:
            process.ask("outputs")
            for job in ("sample", "train", "train"):
                process.ask(job)
        except (TimeoutError, RuntimeError) as error:
            process.close()
            if contender != "torch.compile":
                raise
            print(f"# torch.compile left out: {error}", flush=True)
            continue
        running[contender] = process
        outputs = np.load(folder / f"{contender}.npz")
        reference = reference or outputs
        differences = [
            float(
                np.abs(outputs[key] - reference[key]).max()
                / np.abs(reference[key]).max()
            )
            for key in ("sound", "scores")
        ]
        print(
            f"# d={case['dim']} {precision(case)} {contender}: ready after "
            f"{time.perf_counter() - began:.0f} s; differs by "
            f"{differences[0]:.1e} of the sound's peak, by "
            f"{differences[1]:.1e} of the scores'",
            flush=True,
        )
        tolerance = 0.05 if case["bfloat16"] else 1e-4
        if max(differences) > tolerance:
            raise SystemExit("The networks do not give the same outputs.")
    return running


def precision(case: dict[str, Any]) -> str:
    """Returns the name of a case's precision."""
    return "bfloat16" if case["bfloat16"] else "float32"


def compare(case: dict[str, Any], rounds: int, limit: float) -> None:
    """Measures one case and prints its rows."""
    running = start(case, limit)
    seconds: dict[tuple[str, str], list[float]] = {}
    try:
        for _ in range(rounds):
            for job, repeats in (("multiply", 8), ("sample", 3), ("train", 1)):
                for contender, process in running.items():
                    if job != "train":
                        # Wakes threads and caches, which a step does itself.
                        process.ask(job)
                    timed = [process.ask(job) for _ in range(repeats)]
                    seconds.setdefault((job, contender), []).extend(timed)
    finally:
        for process in running.values():
            process.close()
    medians = {key: statistics.median(v) for key, v in seconds.items()}
    rate = MATRIX_SIZE**3 / min(
        value for (job, _), value in medians.items() if job == "multiply"
    )
    generator, _, _ = network_multiply_adds(case["dim"])
    needed = {
        "sample": NUM_CLIPS * generator,
        "train": iteration_multiply_adds(case["dim"], case["batch_size"]),
    }
    for job in ("sample", "train"):
        for contender in running:
            value = medians[job, contender]
            clips = NUM_CLIPS / value
            real_time = clips * SLICE_LENGTH / SAMPLING_RATE
            speed = (
                f"{clips:8.0f} clips/s, {real_time:6.0f} x real time"
                if job == "sample"
                else f"{value:8.3f} s an iteration         "
            )
            share = needed[job] / value / rate
            ratio = value / medians[job, CONTENDERS[0]]
            print(
                f"d={case['dim']:<3} {precision(case):<9} {job:<7}"
                f"{contender:<15}{speed}{share:7.0%} of matmul"
                + (f"   ours is {ratio:5.2f} x as fast" * (ratio != 1.0)),
                flush=True,
            )
    print(f"# matrix products: {2 * rate / 1e9:.0f} GFLOP/s", flush=True)


def main() -> None:
    """Runs all cases, or one contender of one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dims", type=int, nargs="+", default=[16, 64])
    parser.add_argument(
        "--precisions",
        nargs="+",
        default=["float32", "bfloat16"],
        choices=["float32", "bfloat16"],
    )
    parser.add_argument(
        "--eager", action="store_true", help="leave torch.compile out"
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=120.0,
        help="seconds until a job is given up; torch.compile is then left out",
    )
    parser.add_argument("--quick", action="store_true", help="d=16, 2 rounds")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(json.loads(arguments.serve))
        return
    dims = [16] if arguments.quick else arguments.dims
    rounds = 2 if arguments.quick else arguments.rounds
    print(
        f"# {NUM_CLIPS} clips a sampling call, {arguments.batch_size} clips a "
        f"discriminator update, medians of {rounds} rounds"
    )
    for dim in dims:
        for name in arguments.precisions:
            with tempfile.TemporaryDirectory() as folder:
                case = {
                    "dim": dim,
                    "bfloat16": name == "bfloat16",
                    "batch_size": arguments.batch_size,
                    "contenders": CONTENDERS[: 2 if arguments.eager else 3],
                    "folder": folder,
                }
                compare(case, rounds, arguments.limit)


if __name__ == "__main__":
    main()
