"""How often should a vocoder correct phases?

    python benchmarks/phase_iterations.py SENTENCES... [--iterations 0 8 32]

Makes the sentences again by every bundled vocoder, with as many corrections of
phases as asked, and prints the figures of `audiogan evaluate` as a table, those
of judges that are installed among them.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PRESETS = (
    "vocos_speech",
    "multiband_melgan_speech",
    "hifigan_speech",
    "melgan_speech",
    "parallel_wavegan_speech",
)
# Figure -> heading and decimals.
COLUMNS = {
    "pesq": ("PESQ", 2),
    "dnsmos": ("DNSMOS", 2),
    "mel_cepstral_distortion": ("mel-cepstral distortion, dB", 2),
    "swift_f0_rmse_cents": ("pitch error, cents", 0),
    "periodicity_error": ("periodicity error", 3),
    "level_difference": ("level, dB", 1),
}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sentences", nargs="+")
    parser.add_argument("--presets", nargs="+", default=list(PRESETS))
    parser.add_argument(
        "--iterations", nargs="+", type=int, default=[0, 4, 8, 16, 32]
    )
    options = parser.parse_args()

    from keras_audiogan import audio, metrics, zoo
    from keras_audiogan.metrics import judges

    headings = [heading for heading, _ in COLUMNS.values()]
    print("| | corrections |", " | ".join(headings), "| times real time |")
    print("|---" * (len(headings) + 3) + "|")
    for preset in options.presets:
        vocoder = zoo.from_preset(preset, weights=["generator"])
        vocoder = vocoder.fuse_weight_norm()
        rate = vocoder.sampling_rate
        clips = [
            audio.read_audio(path, rate, 1)[0] for path in options.sentences
        ]
        for number in options.iterations:
            vocoder.set_phase_recovery(number)
            report = metrics.evaluate_vocoder(
                vocoder, clips, num_resamples=0, keep_sounds=len(clips)
            )
            # These two take seconds, the others minutes.
            metrics.add_judges(
                report,
                report["sounds"],
                rate,
                num_resamples=0,
                kinds=(judges.SpeechOpinion, judges.TrackedPitch),
            )
            means = {
                name: row["vocoder"]["value"]
                for name, row in report["figures"].items()
            }
            cells = [
                f"{means[name]:.{digits}f}" if name in means else ""
                for name, (_, digits) in COLUMNS.items()
            ]
            times = 1.0 / means["real_time_factor"]
            row = [f"`{preset}`", str(number), *cells, f"{times:.0f}"]
            print("|", " | ".join(row), "|", flush=True)


if __name__ == "__main__":
    main()
