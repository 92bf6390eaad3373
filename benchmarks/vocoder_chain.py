"""A picture of one sentence: real, by Griffin-Lim, and by every vocoder.

    python benchmarks/vocoder_chain.py SENTENCE [-o benchmarks/vocoders.png]

Every bundled vocoder makes the sentence again of its own mels, and Griffin-Lim
(32 iterations) of those of the first. The figures of many sentences come from
`audiogan evaluate PRESET --data DIR --test last-tenth`.
"""

from __future__ import annotations

import argparse
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PRESETS = (
    "vocos_speech",
    "hifigan_speech",
    "multiband_melgan_speech",
    "melgan_speech",
    "parallel_wavegan_speech",
)
HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 3.0


def main() -> None:
    """Writes the picture, and the sounds beside it if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sentence", type=pathlib.Path)
    parser.add_argument("--presets", nargs="+", default=list(PRESETS))
    parser.add_argument("--sounds", type=pathlib.Path, help="folder for wav")
    parser.add_argument(
        "-o", "--output", type=pathlib.Path, default=HERE / "vocoders.png"
    )
    options = parser.parse_args()

    import numpy as np

    from keras_audiogan import zoo
    from keras_audiogan.audio.files import read_audio, write_audio
    from keras_audiogan.audio.plots import save_sheet
    from keras_audiogan.metrics import griffin_lim

    clips: dict[str, np.ndarray] = {}
    rate = 0
    for preset in options.presets:
        vocoder = zoo.from_preset(preset).fuse_weight_norm()
        if not clips:
            rate = vocoder.sampling_rate
            audio, _ = read_audio(options.sentence, rate, 1, 0.0, SECONDS)
            clips["real"] = audio
            mel = vocoder.mel(audio)[0]
            floor = griffin_lim(mel, vocoder.features, num_iterations=32)
            clips["Griffin-Lim"] = np.reshape(floor, (-1, 1))
        clips[preset] = vocoder.vocode(clips["real"])[0]
    length = len(clips["real"])
    sheet = np.zeros((len(clips), length, 1), "float32")
    for row, clip in zip(sheet, clips.values(), strict=True):
        row[: min(length, len(clip))] = clip[:length]
    save_sheet(options.output, sheet, rate, titles=list(clips))
    print(options.output)
    if options.sounds is not None:
        options.sounds.mkdir(parents=True, exist_ok=True)
        for name, clip in clips.items():
            write_audio(options.sounds / f"{name}.wav", clip, rate)


if __name__ == "__main__":
    main()
