"""What band-limited upsampling costs a WaveGAN, beside transposed convolutions.

    python benchmarks/upsampling_cost.py [--length 16384] [--dim 16]

Prints the medians of a training step and of the sampling of a batch, taken in
turns in one process, and how well either generator learns one clip of white
noise by heart: whether it can make every frequency.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

FORMS: dict[str, dict[str, Any]] = {
    "transposed, 25 taps": {},
    "nearest, 25 taps": {"upsampling": "nearest"},
    "band_limited, 25 taps": {"upsampling": "band_limited"},
    "band_limited, 7 taps": {"upsampling": "band_limited", "kernel_size": 7},
}


def seconds(work: Callable[[], Any]) -> float:
    """Returns how long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def error_by_heart(options: dict[str, Any], steps: int) -> float:
    """Returns the squared error left of a clip of noise, 1 for silence."""
    import keras
    import numpy as np

    from keras_audiogan.models.wavegan import WaveGANGenerator

    keras.utils.set_random_seed(0)
    generator = WaveGANGenerator(slice_length=1024, dim=16, **options)
    noise = np.random.default_rng(0).normal(0, 0.2, (1, 1024, 1))
    latents = np.ones((1, 100), "float32")
    generator.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
    generator.fit(
        np.repeat(latents, steps, 0),
        np.repeat(noise.astype("float32"), steps, 0),
        batch_size=1,
        verbose=0,
    )
    left = np.array(generator(latents)) - noise
    return float((left**2).mean() / (noise**2).mean())


def main() -> None:
    """Measures all forms in turns."""
    import numpy as np

    from keras_audiogan.models import WaveGAN

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=16384)
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=400)
    given = parser.parse_args()
    shape = (given.batch_size, given.length, 1)
    audio = np.random.default_rng(0).normal(0, 0.1, shape).astype("float32")
    waveform = {"kind": "waveform", "kernel_size": 25}
    works: dict[tuple[str, str], Callable[[], Any]] = {}
    for form, options in FORMS.items():
        gan = WaveGAN(
            slice_length=given.length,
            dim=given.dim,
            # The same for all: only the generator's cost differs.
            discriminators=[waveform],
            **options,
        )
        gan.compile(loss="hinge", discriminator_steps=1)
        works[form, "step"] = lambda gan=gan: gan.train_on_batch(audio)
        works[form, "sampling"] = lambda gan=gan: gan.sample(
            given.batch_size, seed=0, batch_size=given.batch_size
        )
    times: dict[tuple[str, str], list[float]] = {key: [] for key in works}
    for i in range(given.rounds + 1):
        for key, work in works.items():
            taken = seconds(work)
            # The first round compiles.
            if i:
                times[key].append(taken)
    print(f"{'form':24} {'step':>9} {'':8} {'sampling':>9} {'':8} by heart")
    first = next(iter(FORMS))
    for form, options in FORMS.items():
        cells = []
        for kind in ("step", "sampling"):
            own, base = (
                statistics.median(times[name, kind]) for name in (form, first)
            )
            cells.append(f"{1000 * own:6.0f} ms {own / base:6.2f} x")
        error = error_by_heart(options, given.steps)
        print(f"{form:24} {cells[0]} {cells[1]} {error:8.4f}")


if __name__ == "__main__":
    main()
