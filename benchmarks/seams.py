"""Do the seams of `audiogan sample --seconds` stand out?

    python benchmarks/seams.py PRESET DATA [--seconds 300] [--crossfade 0.25]
    python benchmarks/seams.py - DATA --slice-length 16384 --rate 16000

Prints the spectral flux at seams and elsewhere (`metrics.seam_flux`) of
PRESET's stream; of clips of DATA, cut as training cuts them and joined in the
same way, in an order drawn at random; and of the files of DATA themselves, end
to end, at the same places, where there are no seams. Without a preset (-) only
the latter two, of clips of any length.
"""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Iterable

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def taken(blocks: Iterable[np.ndarray], length: int) -> np.ndarray:
    """The first samples of a sound that comes in blocks."""
    parts, left = [], length
    for block in blocks:
        parts.append(block[:left])
        left -= len(parts[-1])
        if not left:
            break
    return np.concatenate(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("preset")
    parser.add_argument("data")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--crossfade", type=float, default=0.25)
    parser.add_argument("--speed", type=float, default=0.25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--slice-length", type=int, default=16384)
    parser.add_argument("--rate", type=int, default=16000)
    options = parser.parse_args()

    from keras_audiogan import audio, metrics, zoo
    from keras_audiogan.data import AudioDataset, AudioFolder

    gan, sounds = None, {}
    rate, channels = options.rate, 1
    slice_length, level = options.slice_length, "peak"
    if options.preset != "-":
        gan = zoo.from_preset(options.preset, weights=["generator"])
        rate, channels = gan.sampling_rate, gan.num_channels
        slice_length, level = gan.slice_length, gan.level
    fade = min(round(options.crossfade * rate), slice_length // 2)
    length = round(options.seconds * rate)
    folder = AudioFolder.scan(
        [options.data], sampling_rate=rate, num_channels=channels
    )
    cut = AudioDataset(folder, slice_length, rate, channels, level=level)
    clips = np.concatenate([batch["audio"] for batch in cut.clips()])
    order = np.random.default_rng(options.seed).integers(
        0, len(clips), length // (slice_length - fade) + 2
    )
    files = itertools.cycle(sorted(entry.path for entry in folder.files))
    if gan is not None:
        blocks = gan.stream(
            options.seconds,
            options.seed,
            speed=options.speed,
            crossfade=options.crossfade,
        )
        sounds["generated"] = np.concatenate(list(blocks))
    joined = audio.join_clips((clips[i] for i in order), fade)
    sounds["real, joined"] = taken(joined, length)
    sounds["real, uncut"] = taken(
        (audio.read_audio(path, rate, channels)[0] for path in files), length
    )
    print("| sound | at seams, dB | elsewhere, dB | rank (95 %) | seams |")
    print("|---|---|---|---|---|")
    for name, sound in sounds.items():
        places = audio.seams(len(sound), slice_length, fade)
        found = metrics.seam_flux(sound, places, fade, rate)
        low, high = found.rank_interval
        print(
            f"| {name} | {found.at_seams:.1f} | {found.elsewhere:.1f} | "
            f"{found.rank:.2f} ({low:.2f} to {high:.2f}) | "
            f"{found.num_seams} |"
        )


if __name__ == "__main__":
    main()
