"""How fast the bundled presets make sound.

    python benchmarks/preset_speed.py [PRESET ...] [--save]

Samples batches of 64 clips in float32 and prints the median of seconds of
sound made in a second. `--save` writes it to the presets' training.json, from
where it goes to their cards and to MODEL_CARDS.md
(`python -m keras_audiogan.zoo.cards`).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

COMMAND = "python benchmarks/preset_speed.py --save"


def machine() -> str:
    """Name and number of the processors."""
    names = ["unknown processor"]
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [
                line.split(":", 1)[1].strip()
                for line in file
                if line.startswith("model name")
            ]
    return f"{names[0]}, {len(os.sched_getaffinity(0))} cores"


def times_real_time(gan: object, batch_size: int, rounds: int) -> float:
    """Median seconds of sound that a second makes."""
    seconds = []
    for index in range(rounds + 1):
        began = time.perf_counter()
        audio = gan.sample(batch_size, seed=index, batch_size=batch_size)
        seconds.append(time.perf_counter() - began)
    length = audio.shape[0] * audio.shape[1] / gan.sampling_rate
    return length / statistics.median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("presets", nargs="*", metavar="PRESET")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()

    from keras_audiogan import zoo
    from keras_audiogan.models import AudioGAN, Vocoder, get_architecture
    from keras_audiogan.saving import read_training

    print(f"{machine()}; seconds of sound made in a second, median")
    for name in options.presets or zoo.list_presets():
        architecture = get_architecture(zoo.preset_info(name)["architecture"])
        # Classifiers make no sound, and vocoders make it of mel spectrograms:
        # vocoder_speed.py measures those.
        if not issubclass(architecture, AudioGAN):
            continue
        if issubclass(architecture, Vocoder):
            continue
        speed = times_real_time(
            zoo.from_preset(name), options.batch_size, options.rounds
        )
        print(f"{name:32} {speed:10,.0f}", flush=True)
        if options.save:
            path = zoo.resolve(name) / "training.json"
            training = read_training(path.parent)
            training.setdefault("metrics", {})["times_real_time"] = {
                "value": float(f"{speed:.2g}"),
                "hardware": machine(),
                "command": COMMAND,
            }
            text = json.dumps(training, indent=2, ensure_ascii=False)
            path.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
