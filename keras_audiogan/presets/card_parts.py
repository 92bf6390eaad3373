"""The parts of a card that depend on the task of its preset.

Needs neither Keras nor NumPy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from keras_audiogan.presets.figures import is_number
from keras_audiogan.presets.tasks import TASKS
from keras_audiogan.presets.words import plain

# As `read_config` or `preset_info` returns it.
Config = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class CardParts:
    """What a card says because of its preset's task.

    Attributes:
        heading: Of the presets of this task, e.g. `Vocoders`.
        verb: What a preset does, before `sound`.
        sound: From the config to what it makes or takes.
        limits: From the config to what every preset of this task lacks.
        python: Lines of code that use it; `{preset}` stands for its name.
        commands: Command lines that use it, likewise.
        clip: What the length of its clips is called.
        hub_task: The Hub's name of the task.
        tags: More tags for the Hub.
        columns: Keys of the figures that compare presets of this task.
        comparison: What stands in brackets behind such a figure.
    """

    heading: str
    verb: str
    sound: Callable[[Config], str]
    limits: Callable[[Config], list[str]]
    python: tuple[str, ...]
    commands: tuple[str, ...]
    clip: str = "Clip"
    hub_task: str = "audio-generation"
    tags: tuple[str, ...] = ("gan",)
    columns: tuple[str, ...] = ()
    comparison: str = ""


def clips(config: Config) -> str:
    """Returns e.g. `1.02 s clips of mono sound at 8,000 Hz`."""
    seconds = duration_seconds(config)
    channels = {1: "mono", 2: "stereo"}.get(
        config["num_channels"], f"{config['num_channels']} channels of"
    )
    words = "clips" if seconds is None else f"{seconds:.3g} s clips"
    if config["sampling_rate"] is None:
        return words
    return f"{words} of {channels} sound at {config['sampling_rate']:,} Hz"


def duration_seconds(config: Config) -> float | None:
    """Returns the length of a clip in seconds, if the preset says."""
    samples = config["config"].get("slice_length")
    if not isinstance(samples, int) or not config["sampling_rate"]:
        return None
    return samples / config["sampling_rate"]


def mels(config: Config) -> str:
    """Returns what a vocoder's mel spectrograms are, in a few words."""
    # Strangers write configs too: whatever is no number is left out.
    mel = config["config"].get("mel")
    given = mel if isinstance(mel, dict) else {}
    given = {key: value for key, value in given.items() if is_number(value)}
    words = []
    if "num_mel_bins" in given:
        words.append(f"{given['num_mel_bins']} bands")
    high = given.get("max_frequency") or (config["sampling_rate"] or 0) / 2
    if "min_frequency" in given and high:
        words.append(f"{given['min_frequency']:,.0f} to {high:,.0f} Hz")
    for key, label in (("fft_length", "FFT"), ("frame_step", "hop")):
        if key in given:
            words.append(f"{label} {given[key]}")
    return plain(", ".join(words) or "not stated")


def _vocoded(config: Config) -> str:
    rate = config["sampling_rate"]
    return (
        f"mono sound{f' at {rate:,} Hz' if rate else ''} from mel spectrograms"
    )


def _limits_of_clips(config: Config) -> list[str]:
    return [
        f"It makes {clips(config)}, and nothing longer or higher.",
        "It knows only sounds like those it was trained on, may repeat "
        "itself, and may make sounds that are none of these.",
    ]


def _limits_of_mels(config: Config) -> list[str]:
    return [
        "It takes mel spectrograms of its own front end only "
        f"({mels(config)}): with others it sounds wrong.",
        "It knows voices and sounds like those it was trained on; others "
        "come out less clean.",
    ]


def _limits_of_labels(config: Config) -> list[str]:
    return [
        f"It knows {clips(config)} like those it was trained on, and gives "
        "one of its labels to any other sound, too."
    ]


_FINETUNE = "audiogan finetune {preset} my_sounds/ -o runs/mine"

CARD_PARTS = {
    "generate": CardParts(
        heading="Generators",
        verb="Makes",
        sound=clips,
        limits=_limits_of_clips,
        python=(
            "gan = keras_audiogan.from_preset({preset})",
            "audio = gan.sample(8, seed=0)"
            "  # float32 (8, time, channels) in [-1, 1]",
        ),
        commands=(*TASKS["generate"].commands, _FINETUNE),
        columns=(
            "label_accuracy",
            "inception_score",
            "frechet_distance",
            "times_real_time",
        ),
        comparison="real held-out sound, measured the same way",
    ),
    "autoencode": CardParts(
        heading="Autoencoders",
        verb="Copies and makes",
        sound=clips,
        limits=_limits_of_clips,
        python=(
            "model = keras_audiogan.from_preset({preset})",
            "copy = model.reconstruct(audio)  # (time, channels), any length",
            "latents = model.encode(clips)  # of (n, slice_length, channels)",
            "audio = model.sample(8, seed=0)"
            "  # float32 (8, time, channels) in [-1, 1]",
        ),
        commands=(*TASKS["autoencode"].commands, _FINETUNE),
        tags=("gan", "vae"),
        columns=(
            "reconstruction_log_mel_distance",
            "inception_score",
            "frechet_distance",
            "times_real_time",
        ),
        comparison="real held-out sound, measured the same way",
    ),
    "vocode": CardParts(
        heading="Vocoders",
        verb="Makes",
        sound=_vocoded,
        limits=_limits_of_mels,
        python=(
            "vocoder = keras_audiogan.from_preset({preset})",
            "mel = vocoder.mel(audio, rate)  # of mono sound (time,)",
            "copy = vocoder.vocode(mel)  # float32 (1, time, 1) in [-1, 1]",
        ),
        commands=(*TASKS["vocode"].commands, _FINETUNE),
        clip="Clip in training",
        tags=("gan", "vocoder"),
        columns=(
            "mel_cepstral_distortion",
            "log_mel_distance",
            "real_time_factor",
        ),
        comparison="the fast Griffin-Lim algorithm on the same mel "
        "spectrograms, with 32 iterations",
    ),
    "classify": CardParts(
        heading="Classifiers",
        verb="Recognises",
        sound=clips,
        limits=_limits_of_labels,
        python=(
            "model = keras_audiogan.from_preset({preset})",
            "probabilities = model.predict_proba(audio)"
            "  # audio (clips, time, channels)",
        ),
        commands=TASKS["classify"].commands,
        hub_task="audio-classification",
        tags=(),
        columns=(
            "test_accuracy",
            "test_balanced_accuracy",
            "test_inception_score",
        ),
    ),
}
"""The parts of a card that depend on the task, by the task's name."""

_ANY_TASK = CardParts(
    heading="Others",
    verb="Handles",
    sound=clips,
    limits=lambda config: [
        "It knows only sounds like those it was trained on."
    ],
    python=("model = keras_audiogan.from_preset({preset})",),
    commands=("audiogan info {preset}", _FINETUNE),
)


def parts_of(config: Config) -> CardParts:
    """Returns the parts of a card that depend on a preset's task."""
    return CARD_PARTS.get(config["task"], _ANY_TASK)
