"""SpecGAN's and GANSynth's speed beside the same networks in PyTorch, on a CPU.

    python benchmarks/spectral_speed.py [--rounds 3] [--cases specgan ...]

Training steps (analysis of the real sound, discriminator updates with
gradient penalty, one generator update, Adam, moving average) and sampling, of
which networks and inverse transforms are also timed apart, in float32 and
mixed bfloat16. PyTorch runs with channels first and with channels last. Each
contender is a process; they are timed turn by turn while the others wait.
Seconds of all processors stand beside those of the clock, which other work on
the machine makes longer.
All start from one set of weights, and their outputs are compared first.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from wavegan_speed import MATRIX_SIZE, Process, precision

SAMPLING_RATE = 16000
CONTENDERS = ("keras-audiogan", "torch", "torch, channels last")
LABELS = [f"{pitch:03}" for pitch in range(24, 85)]
# Name -> architecture, its arguments, clips of an update, clips sampled.
CASES: dict[str, dict[str, Any]] = {
    "specgan": {
        "architecture": "specgan",
        "arguments": {"dim": 64},
        "batch_size": 8,
        "num_clips": 64,
    },
    "gansynth": {
        "architecture": "gansynth",
        # 128 frames of 1,024 bins.
        "arguments": {"labels": LABELS, "start_width": 16, "start_height": 2},
        "batch_size": 2,
        "num_clips": 8,
    },
    "gansynth, block 4": {
        "architecture": "gansynth",
        "arguments": {
            "labels": LABELS,
            "start_width": 16,
            "start_height": 2,
            "first_block": 4,
            "num_stable": 1_000_000,
            "num_transition": 1_000_000,
        },
        "batch_size": 8,
        "num_clips": 0,
    },
}


def specgan_multiply_adds(dim: int, latent_dim: int = 100) -> list[int]:
    """Multiply-adds of a clip of 128 frames and 128 bins.

    Returns:
        Of the generator, of the discriminator, and of the discriminator's
        first layer, whose input needs no gradient but for the penalty.
    """
    widths = [1, *(dim * 2**i for i in range(5))]
    layers = [
        (64 // 2**i) ** 2 * 25 * widths[i] * widths[i + 1] for i in range(5)
    ]
    wide = 16 * widths[-1]
    return [sum(layers) + latent_dim * wide, sum(layers) + wide, layers[0]]


def gansynth_multiply_adds(
    num_blocks: int,
    start: tuple[int, int],
    latent_dim: int,
    num_classes: int,
    channel_base: int = 4096,
    max_channels: int = 256,
) -> list[int]:
    """Multiply-adds of a clip while so many blocks are trained.

    Returns:
        As `specgan_multiply_adds`.
    """
    widths = [
        min(channel_base // 2**block, max_channels)
        for block in range(num_blocks + 1)
    ]
    pixels = math.prod(start)
    inputs = latent_dim + num_classes
    generator = pixels * widths[1] * (inputs + 9 * widths[1])
    discriminator = pixels * 9 * (widths[1] + 1) * widths[1]
    discriminator += pixels * widths[1] * widths[0]
    discriminator += widths[0] * (1 + num_classes)
    first = 0
    for block in range(2, num_blocks + 1):
        area = pixels * 4 ** (block - 1)
        own, below = widths[block], widths[block - 1]
        generator += area * 9 * own * (below + own)
        discriminator += area * 9 * own * (own + below)
    for block in range(max(1, num_blocks - 1), num_blocks + 1):
        first += pixels * 4 ** (block - 1) * 2 * widths[block]
    return [generator + first, discriminator + first, first]


def iteration_multiply_adds(counted: list[int], rows: int, steps: int) -> int:
    """Multiply-adds that an iteration cannot do without, spectra aside.

    Args:
        counted: those of the networks, for one clip.
        rows: clips of an update.
        steps: discriminator updates; see `wavegan_speed`.
    """
    generator, critic, first = counted
    update = generator + 2 * (3 * critic - first) + 4 * critic
    return rows * (steps * update + 3 * generator + 2 * critic)


def count(case: dict[str, Any]) -> tuple[list[int], list[int], int]:
    """Returns what networks take to train and to sample, and the steps."""
    if case["architecture"] == "specgan":
        counted = specgan_multiply_adds(case["arguments"]["dim"])
        return counted, counted, 5
    start = case["arguments"]["start_height"], case["arguments"]["start_width"]
    counts = [
        gansynth_multiply_adds(blocks, start, 256, len(LABELS))
        for blocks in (case["arguments"].get("first_block", 7), 7)
    ]
    return counts[0], counts[1], 1


def inputs(case: dict[str, Any], length: int, latent_dim: int) -> Any:
    """Real clips of an iteration, their labels, and latents, for all alike."""
    rng = np.random.default_rng(0)
    specgan = case["architecture"] == "specgan"
    rows = case["batch_size"] * (5 if specgan else 1)
    clips = max(4, case["num_clips"])
    # Tones in noise, so that there is something at every level.
    time_axis = np.arange(length) / SAMPLING_RATE
    tones = np.sin(2 * np.pi * rng.uniform(60, 2000, (rows, 1)) * time_axis)
    audio = 0.5 * tones + 0.1 * rng.standard_normal((rows, length))
    latents = (
        rng.uniform(-1, 1, (clips, latent_dim))
        if specgan
        else rng.standard_normal((clips, latent_dim))
    )
    return (
        audio[..., None].astype("float32"),
        np.arange(rows) % len(LABELS),
        latents.astype("float32"),
        np.arange(clips) % len(LABELS),
    )


class KerasContender:
    """Our side: the public interface; networks and transforms also apart."""

    def __init__(self, case: dict[str, Any], folder: pathlib.Path) -> None:
        import keras
        import tensorflow as tf

        from keras_audiogan.models import get_architecture

        keras.utils.set_random_seed(0)
        self.gan = gan = get_architecture(case["architecture"])(
            sampling_rate=SAMPLING_RATE,
            dtype="mixed_bfloat16" if case["bfloat16"] else "float32",
            **case["arguments"],
        )
        gan.compile("wgan-gp", seed=0)
        if case["architecture"] != "specgan":
            gan._begin_at_progress()
            gan.generator.progress.assign(gan.growth.progress())
            gan.discriminator.progress.assign(gan.growth.progress())
        self.blocks = case["arguments"].get("first_block")
        np.savez(
            folder / "weights.npz",
            **{
                f"{key}/{weight.path.split('/', 1)[1]}": np.asarray(weight)
                for key, network in (
                    ("g", gan.generator),
                    ("d", gan.discriminator),
                )
                for weight in network.weights
            },
        )
        audio, labels, self.latents, self.asked = inputs(
            case, gan.slice_length, gan.latent_dim
        )
        self.audio, self.labels = audio, labels
        self.batch: Any = {"audio": audio}
        self.given: Any = self.latents
        if gan.conditional:
            self.batch["labels"] = labels.astype("int32")
            classes = np.eye(len(LABELS), dtype="float32")[self.asked]
            self.given = [self.latents, classes]
        self.made = tf.function(
            functools.partial(gan.ema_generator, training=False)
        )
        self.inverted = tf.function(gan.representation.synthesise)
        options = {} if self.blocks is None else {"num_blocks": self.blocks}
        self.outputs = lambda: np.moveaxis(
            np.asarray(
                gan.generator(
                    keras.tree.map_structure(lambda x: x[:4], self.given),
                    training=True,
                    **options,
                )
            ),
            -1,
            1,
        )
        self.pictures = None

    def train(self) -> None:
        self.gan.train_on_batch(self.batch)

    def sample(self) -> np.ndarray:
        labels = self.asked if self.gan.conditional else None
        return self.gan.sample(
            latents=self.latents, labels=labels, batch_size=len(self.latents)
        )[..., 0]

    def networks(self) -> None:
        self.pictures = self.made(self.given)

    def invert(self) -> None:
        np.asarray(self.inverted(self.pictures))

    def score(self, pictures: np.ndarray) -> np.ndarray:
        views = [np.moveaxis(pictures, 1, -1)]
        return np.asarray(
            self.gan.discriminator.feature_maps(views, training=True)[0][-1]
        )

    def analysed(self) -> np.ndarray:
        x = self.gan.representation.analyse(self.audio[:4])
        return np.moveaxis(np.asarray(x), -1, 1)

    def multiplier(self, bfloat16: bool) -> Callable[[], Any]:
        import tensorflow as tf

        dtype = tf.bfloat16 if bfloat16 else tf.float32
        matrix = tf.cast(tf.random.normal((MATRIX_SIZE, MATRIX_SIZE)), dtype)
        return lambda: tf.matmul(matrix, matrix)


class TorchContender:
    """PyTorch's side: `spectral_torch.py`."""

    def __init__(self, case: dict[str, Any], folder: pathlib.Path) -> None:
        import spectral_torch as parts
        import torch

        self.torch = torch
        options = {
            "batch_size": case["batch_size"],
            "bfloat16": case["bfloat16"],
            "channels_last": case["contender"] == CONTENDERS[2],
        }
        if case["architecture"] == "specgan":
            length, latent_dim = 16384, 100
            dim = case["arguments"]["dim"]
            self.trainer = parts.Trainer(
                lambda: parts.SpecGANGenerator(dim, 5, latent_dim),
                parts.SpecGANDiscriminator(dim, 5),
                parts.LogSpectrogram(length, 256, 128),
                steps=5,
                latents=lambda rows: torch.rand(rows, latent_dim) * 2 - 1,
                **options,
            )
        else:
            length, latent_dim = 64000, 256
            self.trainer = gansynth_trainer(parts, case, latent_dim, **options)
        weights = np.load(folder / "weights.npz")
        self.trainer.load(
            *(
                {
                    name.split("/", 1)[1]: weights[name]
                    for name in weights
                    if name.startswith(key)
                }
                for key in ("g/", "d/")
            )
        )
        audio, labels, self.latents, self.asked = inputs(
            case, length, latent_dim
        )
        self.audio = torch.from_numpy(audio[..., 0])
        self.labels = torch.from_numpy(labels)
        self.made: Any = None

    def train(self) -> None:
        self.trainer.iteration(self.audio, self.labels)

    def sample(self) -> np.ndarray:
        self.networks()
        return self.trainer.sound(self.made)

    def networks(self) -> None:
        self.made = self.trainer.pictures(self.latents, self.asked)

    def invert(self) -> None:
        self.trainer.sound(self.made)

    def outputs(self) -> np.ndarray:
        with self.torch.no_grad():
            made = self.trainer.made(
                self.trainer.generator,
                self.torch.from_numpy(self.latents[:4]),
                self.torch.from_numpy(self.asked[:4]),
            )
            return made.float().numpy()

    def score(self, pictures: np.ndarray) -> np.ndarray:
        with self.torch.no_grad():
            judged = self.trainer.judged(self.torch.from_numpy(pictures))
            return judged[0].float().numpy()

    def analysed(self) -> np.ndarray:
        return self.trainer.spectra.analyse(self.audio[:4]).numpy()

    def multiplier(self, bfloat16: bool) -> Callable[[], Any]:
        dtype = self.torch.bfloat16 if bfloat16 else self.torch.float32
        matrix = self.torch.randn(MATRIX_SIZE, MATRIX_SIZE).to(dtype)
        return lambda: matrix @ matrix


def gansynth_trainer(
    parts: Any, case: dict[str, Any], latent_dim: int, **options: Any
) -> Any:
    """Returns PyTorch's trainer of GANSynth's published size."""
    import torch

    from keras_audiogan.layers.representations import warping_matrix

    given = case["arguments"]
    blocks = given.get("first_block", 7)
    start = given["start_height"], given["start_width"]
    widths = [min(4096 // 2**block, 256) for block in range(1, blocks + 1)]
    warp = warping_matrix(1024, SAMPLING_RATE)
    sums = np.sum(warp @ warp.T, axis=0)
    sums[np.abs(sums) <= 1e-8] = 1.0
    return parts.Trainer(
        lambda: parts.GANSynthGenerator(
            widths, start, latent_dim + len(LABELS), math.sqrt(latent_dim)
        ),
        parts.GANSynthDiscriminator(widths, start, len(LABELS)),
        parts.MagnitudeFrequency(
            64000,
            128,
            2048,
            512,
            warp.astype("float32"),
            np.ascontiguousarray((warp / sums[:, None]).T).astype("float32"),
            (0.0661371661726, 0.113718730221),
            0.8,
        ),
        steps=1,
        latents=lambda rows: torch.randn(rows, latent_dim),
        num_classes=len(LABELS),
        num_halvings=7 - blocks,
        **options,
    )


def serve(case: dict[str, Any]) -> None:
    """Runs a contender: reads the name of a job, answers with seconds."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    folder = pathlib.Path(case["folder"])
    ours = case["contender"] == CONTENDERS[0]
    contender: Any = (KerasContender if ours else TorchContender)(case, folder)
    multiply = contender.multiplier(case["bfloat16"])
    processor = 0.0
    for line in sys.stdin:
        name = line.strip()
        if name == "processor":
            print(json.dumps(processor), file=answers)
            continue
        began, processor = time.perf_counter(), time.process_time()
        if name == "outputs":
            pictures = contender.outputs()
            if ours:
                np.save(folder / "pictures.npy", pictures)
            np.savez(
                folder / f"{case['contender']}.npz",
                pictures=pictures,
                # Of the same pictures, which may differ in bfloat16.
                scores=contender.score(np.load(folder / "pictures.npy")),
                analysed=contender.analysed(),
            )
        elif name == "multiply":
            multiply()
        else:
            getattr(contender, name)()
        processor = time.process_time() - processor
        print(json.dumps(time.perf_counter() - began), file=answers)


def start(case: dict[str, Any], limit: float) -> dict[str, Process]:
    """Starts the contenders in turn, compares outputs, warms them up."""
    folder = pathlib.Path(case["folder"])
    running: dict[str, Process] = {}
    reference: Any = None
    for contender in CONTENDERS:
        began = time.perf_counter()
        process = Process({**case, "contender": contender}, limit, __file__)
        running[contender] = process
        process.ask("outputs")
        if case["num_clips"]:
            for job in ("sample", "networks", "invert"):
                process.ask(job)
        process.ask("train")
        outputs = np.load(folder / f"{contender}.npz")
        reference = reference or outputs
        # Phases of next to nothing turn by rounding: of spectra the middle of
        # the differences counts. In bfloat16 some of a million pixels lie far
        # off, in a network that gives the same in float32: the mean counts.
        usual = np.mean if case["bfloat16"] else np.max
        measures = {"pictures": usual, "scores": usual, "analysed": np.median}
        differences = {
            key: float(
                measure(np.abs(outputs[key] - reference[key]))
                / np.abs(reference[key]).max()
            )
            for key, measure in measures.items()
        }
        told = ", ".join(f"{k} {v:.1e}" for k, v in differences.items())
        print(
            f"# {case['name']} {precision(case)} {contender}: ready after "
            f"{time.perf_counter() - began:.0f} s; differs by {told}",
            flush=True,
        )
        if max(differences.values()) > (0.05 if case["bfloat16"] else 1e-3):
            raise SystemExit("The networks do not give the same outputs.")
    return running


def compare(case: dict[str, Any], rounds: int, limit: float) -> None:
    """Measures one case and prints its rows."""
    sampled = ("sample", "networks", "invert") if case["num_clips"] else ()
    running: dict[str, Process] = {}
    seconds: dict[tuple[str, str], list[tuple[float, float]]] = {}
    try:
        running = start(case, limit)
        for _ in range(rounds):
            for job in ("multiply", *sampled, "train"):
                for contender, process in running.items():
                    if job == "multiply":
                        process.ask(job)  # Wakes threads and caches.
                    repeats = 8 if job == "multiply" else 1
                    for _ in range(repeats):
                        timed = process.ask(job), process.ask("processor")
                        seconds.setdefault((job, contender), []).append(timed)
    finally:
        for process in running.values():
            process.close()
    medians, processors = (
        {
            key: statistics.median(each[i] for each in v)
            for key, v in seconds.items()
        }
        for i in range(2)
    )
    rate = MATRIX_SIZE**3 / min(
        value for (job, _), value in medians.items() if job == "multiply"
    )
    training, sampling, steps = count(case)
    needed = {
        "train": iteration_multiply_adds(training, case["batch_size"], steps),
        **dict.fromkeys(
            ("sample", "networks"), case["num_clips"] * sampling[0]
        ),
    }
    for job in ("train", *sampled):
        own = medians[job, CONTENDERS[0]]
        for contender in running:
            value = medians[job, contender]
            share = ""
            if job in needed:
                share = f"{needed[job] / value / rate:6.0%} of matmul"
            used = processors[job, contender]
            less = used / processors[job, CONTENDERS[0]]
            print(
                f"{case['name']:<18} {precision(case):<9} {job:<9}"
                f"{contender:<21}{value:8.3f} s {share:17}"
                f"{used:8.3f} s of processors"
                + (
                    f"   ours is {value / own:5.2f} x as fast, "
                    f"{less:5.2f} x by processors"
                )
                * (contender != CONTENDERS[0]),
                flush=True,
            )
    print(f"# matrix products: {2 * rate / 1e9:.0f} GFLOP/s", flush=True)


def main() -> None:
    """Runs all cases, or one contender of one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--cases", nargs="+", default=list(CASES), choices=list(CASES)
    )
    parser.add_argument(
        "--precisions",
        nargs="+",
        default=["float32", "bfloat16"],
        choices=["float32", "bfloat16"],
    )
    parser.add_argument("--limit", type=float, default=300.0)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(json.loads(arguments.serve))
        return
    print(f"# medians of {arguments.rounds} rounds; clips of an update and of")
    print("# a sampling call:", end=" ")
    print(
        "; ".join(
            f"{name} {CASES[name]['batch_size']}, {CASES[name]['num_clips']}"
            for name in arguments.cases
        )
    )
    for name in arguments.cases:
        for kind in arguments.precisions:
            with tempfile.TemporaryDirectory() as folder:
                case = {
                    "name": name,
                    **CASES[name],
                    "bfloat16": kind == "bfloat16",
                    "folder": folder,
                }
                compare(case, arguments.rounds, arguments.limit)


if __name__ == "__main__":
    main()
