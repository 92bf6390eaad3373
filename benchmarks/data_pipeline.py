"""How fast a folder of sounds becomes batches, and what memory that takes.

    python benchmarks/data_pipeline.py [--source FOLDER] [--hours 15]

Writes a corpus of 30 s files by repeating the sounds of `--source` (cut,
turned to mono or stereo as they are), scans it, and makes batches as training
does. Each row runs in a process of its own, so that memory is its own. Below
the table stands how many slices WaveGAN's training reads.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
FILE_SECONDS = 30
MEBIBYTE = 1 << 20


def write_corpus(
    source: pathlib.Path,
    folder: pathlib.Path,
    hours: float,
    extension: str,
    most_distinct: int = 80,
) -> None:
    """Writes files of 30 s; after `most_distinct` they repeat (hard links)."""
    import numpy as np

    from keras_audiogan.audio import read_audio, write_audio

    sounds = [read_audio(path) for path in sorted(source.rglob("*.flac"))]
    rate = sounds[0][1]
    channels = sounds[0][0].shape[1]
    joined = np.concatenate(
        [a for a, r in sounds if r == rate and a.shape[1] == channels]
    )
    length = FILE_SECONDS * rate
    joined = np.resize(joined, (max(len(joined), length + 1), channels))
    num_files = round(hours * 3600 / FILE_SECONDS)
    distinct = min(num_files, most_distinct)
    folder.mkdir(parents=True)
    for i in range(num_files):
        path = folder / f"part_{i:05d}.{extension}"
        if i < distinct:
            start = i * (len(joined) - length) // distinct
            write_audio(path, joined[start : start + length], rate)
        else:
            os.link(folder / f"part_{i % distinct:05d}.{extension}", path)


def measure(options: dict) -> dict:
    """Scans, makes a first batch, then times batches; runs in a child."""
    from keras_audiogan.audio import read_audio
    from keras_audiogan.data import AudioDataset, AudioFolder

    # What the imports and one decoded file take is not the corpus's.
    first = next(iter(sorted(pathlib.Path(options["folder"]).iterdir())))
    read_audio(first, options["sampling_rate"], duration=1.0)
    before = memory()
    began, began_cpu = time.perf_counter(), time.process_time()
    folder = AudioFolder.scan(
        options["folder"],
        sampling_rate=options["sampling_rate"],
        num_channels=1,
    )
    scanned, scanned_cpu = time.perf_counter(), time.process_time()
    dataset = AudioDataset(
        folder,
        options["slice_length"],
        batch_size=64,
        discriminator_steps=5,
        workers=options["workers"],
        cache_bytes=options["cache_mebibytes"] * MEBIBYTE,
    )
    with dataset.batches() as batches:
        next(batches)
        ready, ready_cpu = time.perf_counter(), time.process_time()
        peak = memory()
        for _ in range(options["warm_up"]):
            next(batches)
        timed, steps = time.perf_counter(), 0
        timed_cpu = time.process_time()
        while steps < 10 or time.perf_counter() - timed < options["seconds"]:
            next(batches)
            steps += 1
        rate = steps / (time.perf_counter() - timed)
        rate_cpu = steps / (time.process_time() - timed_cpu)
    return {
        "hours": folder.hours,
        "scan": scanned - began,
        "scan_cpu": scanned_cpu - began_cpu,
        "first": ready - scanned,
        "first_cpu": ready_cpu - scanned_cpu,
        "memory": (peak - before) / MEBIBYTE,
        "batches": rate,
        "slices": rate * dataset.num_rows,
        "slices_cpu": rate_cpu * dataset.num_rows,
    }


def consume(options: dict) -> dict:
    """Times training steps on data in memory; runs in a child."""
    import numpy as np

    from keras_audiogan.models import WaveGAN
    from keras_audiogan.training.precision import resolve_precision

    gan = WaveGAN(dim=options["dim"], dtype=resolve_precision("auto"))
    gan.compile("wgan-gp", seed=0)
    rows = options["batch_size"] * gan.discriminator_steps
    audio = np.random.default_rng(0).uniform(
        -1.0, 1.0, (rows, gan.slice_length, 1)
    )
    audio = audio.astype("float32")
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        gan.train_on_batch(audio)
        seconds.append(time.perf_counter() - began)
    return {"slices": rows / min(seconds[1:]), "dtype": gan.dtype_policy.name}


def memory() -> int:
    """Largest resident memory of this process so far, in bytes (Linux)."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024


def run(options: dict) -> dict:
    """Runs `measure` or `consume` in a fresh process."""
    child = subprocess.run(
        [sys.executable, __file__, "--child", json.dumps(options)],
        check=True,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    return json.loads(child.stdout)


def timed(result: dict, name: str) -> str:
    """Wall time, and processor time in brackets."""
    return f"{result[name]:8.2f} ({result[name + '_cpu']:.2f}) s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--source", type=pathlib.Path, default=REPOSITORY / "tests/data/piano"
    )
    parser.add_argument("--hours", type=float, default=15.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        options = json.loads(arguments.child)
        job = consume if "dim" in options else measure
        print(json.dumps(job(options)))
        return
    print(
        f"{'corpus':<24}{'slice':<14}{'scan':>15}{'first batch':>16}"
        f"{'memory':>10}{'batches/s':>11}{'slices/s':>16}"
    )
    with tempfile.TemporaryDirectory() as scratch:
        cases = (
            ("flac", arguments.hours, "streamed", 0),
            ("wav", arguments.hours, "streamed", 0),
            ("flac", 0.25, "cached", 256),
        )
        for extension, hours, kind, cache in cases:
            folder = pathlib.Path(scratch) / f"{kind}_{extension}"
            write_corpus(arguments.source, folder, hours, extension)
            for slice_length, rate in ((8192, 8000), (16384, 16000)):
                result = run(
                    {
                        "folder": str(folder),
                        "sampling_rate": rate,
                        "slice_length": slice_length,
                        "workers": arguments.workers,
                        "seconds": arguments.seconds,
                        "cache_mebibytes": cache,
                        "warm_up": 8,
                    }
                )
                print(
                    f"{result['hours']:6.2f} h {extension:<5}{kind:<10}"
                    f"{slice_length:>5} at {rate // 1000:>2}k "
                    f"{timed(result, 'scan')}{timed(result, 'first')}"
                    f"{result['memory']:6.0f} MiB{result['batches']:11.1f}"
                    f"{result['slices']:8.0f}"
                    f" ({result['slices_cpu']:.0f})",
                    flush=True,
                )
    print(
        "64 x 5 discriminator steps = 320 slices a batch, mono. In brackets: "
        "seconds of processor time, and slices per second of it. Memory is "
        "resident, above the imports, up to the first batch."
    )
    for dim in (16, 64):
        result = run({"dim": dim, "batch_size": 16})
        print(
            f"WaveGAN training (d={dim}, 16,384 samples, wgan-gp, "
            f"{result['dtype']}) reads {result['slices']:.0f} slices/s.",
            flush=True,
        )


if __name__ == "__main__":
    main()
