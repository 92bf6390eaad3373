"""How each data set is made of its sources.

A recipe yields `(path, content, rate)`: sound as int16 `(time, channels)`
with its rate in Hz, or text with the rate 0. Where sound is resampled, every
step has the precision and the order of the sets that the zoo was trained on,
so that the samples are the same.
"""

from __future__ import annotations

import csv
import importlib.resources
import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import soundfile
import soxr

from keras_audiogan.collections import catalogue, music, notes
from keras_audiogan.collections.catalogue import Archive, CollectionError
from keras_audiogan.collections.sources import Source

Sources = Mapping[Archive, Source]
Piece = tuple[str, np.ndarray | str, int]
Recipe = Callable[[Sources, Path | None], Iterator[Piece]]

DIGITS = "zero one two three four five six seven eight nine".split()

# Left out of Speech Commands: the same recording under two names, and one
# that is all but silent.
_REPEATED = {
    "digits/two": ["51055bda_nohash_4"],
    "yes_no/yes": [
        *(f"4c6167ca_nohash_{take}" for take in (2, 3, 6, 7)),
        *(f"893705bb_nohash_{take}" for take in (2, 3, 6, 7)),
        *(f"9a7c1f83_nohash_{take}" for take in (3, 4, 5)),
        "ca4d5368_nohash_5",
        *(f"d0faf7e4_nohash_{take}" for take in (2, 6, 7)),
        "e49428d9_nohash_4",
    ],
    "yes_no/no": [
        *(f"4c6167ca_nohash_{take}" for take in (4, 5, 6)),
        *(f"893705bb_nohash_{take}" for take in (1, 2, 3, 5, 7, 8)),
        *(f"9a7c1f83_nohash_{take}" for take in (2, 3)),
        *(f"ca4d5368_nohash_{take}" for take in (3, 4)),
        "e49428d9_nohash_2",
    ],
}

# The microphones of a hit, in place of the star in its source, and their
# weights: the close one, those above or before the kit, that below a snare.
_OVERHEADS = {"OHL": 0.5, "OHR": 0.5}
_FAR = {"front_mic": 0.7, "oh_mic": 0.7}
_MIXES = {
    "frankensnare_snom": {"snom": 1.0, "btm": 0.25, "oh": 0.7},
    "frankensnare_top": {"top": 1.0, "btm": 0.25, "oh": 0.7},
    "gogodze_kick": {"kick_mic": 1.0, **_FAR},
    "gogodze_room": {**_FAR, "side_mic": 0.5},
    "gogodze_snare": {"snare_mic": 1.0, **_FAR},
    "muldjord_overheads": _OVERHEADS,
    "muldjord_snare": {"Snare_top": 1.0, "Snare_bottom": 0.3, **_OVERHEADS},
    **{
        f"muldjord_{close}": {close: 1.0, **_OVERHEADS}
        for close in (
            "Hihat KdrumL KdrumR RideL RideR Tom1 Tom2 Tom3 Tom4".split()
        )
    },
}
_DRUM_RATE = 16000
_DRUM_PEAK = 0.9
_DRUM_FADE = 320
_PIANO_RATE = 16000
_PIANO_RENDERED = 48000
_PIANO_OPTIONS = (
    "-O",
    "float",
    "-o",
    "synth.reverb.room-size=0.4",
    "-o",
    "synth.reverb.level=0.3",
    "-o",
    "synth.chorus.active=0",
)
_PIANO_SIDE = 0.6
# One for all pieces: the loudest has a peak of 0.5.
_PIANO_GAIN = 45018.2707 / 32767
_SPEECH_RATE = 22050
_SPEECH_GAIN = 2.0
_SPEECH_PEAK = 0.99


def fsdd(sources: Sources, soundfont: Path | None) -> Iterator[Piece]:
    """`DIGIT/SPEAKER_TAKE.flac`, the samples as they are."""
    source = sources[catalogue.FSDD]
    for name in sorted(source.names()):
        match = re.fullmatch(r"recordings/(\d)_([a-z]+_\d+)\.wav", name)
        if match:
            yield _copied(f"{match[1]}/{match[2]}.flac", source, name)


def sc09(sources: Sources, soundfont: Path | None) -> Iterator[Piece]:
    """`digits/WORD/` and `yes_no/WORD/`, the samples as they are."""
    for archive, top, group, words in (
        (catalogue.COMMANDS_V1, "speech_commands_v0.01", "digits", DIGITS),
        (catalogue.COMMANDS_SC09, "data/sc09", "digits", DIGITS),
        (
            catalogue.COMMANDS_V2,
            "MLTK_keyworkSpotting/dataset",
            "yes_no",
            ["yes", "no"],
        ),
    ):
        source = sources[archive]
        pattern = re.escape(top) + r"/([a-z]+)/([0-9a-f]+_nohash_\d+)\.wav"
        for name in sorted(source.names()):
            match = re.fullmatch(pattern, name)
            if not match or match[1] not in words:
                continue
            folder = f"{group}/{match[1]}"
            if match[2] not in _REPEATED.get(folder, []):
                yield _copied(f"{folder}/{match[2]}.flac", source, name)


def speech(sources: Sources, soundfont: Path | None) -> Iterator[Piece]:
    """`kathleen/`, `kathleen_more/` and `ljspeech/`, with transcripts."""
    source = sources[catalogue.KATHLEEN]
    lines: dict[str, list[str]] = {}
    for row in _table("kathleen.csv"):
        folder, name = row["folder"], row["name"]
        take = f"{name}_{row['take']}"
        audio, rate = _decoded(source, f"data/{take}.wav")
        made = _phrase if folder == "kathleen" else _further_phrase
        yield f"{folder}/{name}.flac", made(audio, rate), _SPEECH_RATE
        spoken = source.read(f"data/{take}.txt").decode("utf-8").strip()
        line = f"{name}|{take}.wav|{spoken}\n"
        lines.setdefault(folder, []).append(line)
    source = sources[catalogue.TTS]
    said = sources[catalogue.LJ_TRANSCRIPTS].read(
        catalogue.LJ_TRANSCRIPTS.wanted
    )
    rows = (line.split("|") for line in said.decode("utf-8").splitlines())
    normalized = {row[0]: row[2] for row in rows if len(row) == 3}
    for number in range(1, 33):
        name = f"LJ001-{number:04}"
        wav = f"tests/data/ljspeech/wavs/{name}.wav"
        yield _copied(f"ljspeech/{name}.flac", source, wav)
        lines.setdefault("ljspeech", []).append(f"{name}|{normalized[name]}\n")
    for folder, spoken_lines in lines.items():
        yield f"{folder}/transcripts.csv", "".join(spoken_lines), 0


def drums(sources: Sources, soundfont: Path | None) -> Iterator[Piece]:
    """`KIND/KIT_HIT.flac`: mixed, resampled, cut, faded, levelled."""
    for row in _table("drums.csv"):
        source = sources[catalogue.DRUMS[row["mix"].partition("_")[0]]]
        yield f"{row['name']}.flac", drum_hit(source, row), _DRUM_RATE


def drum_hit(source: Source, row: Mapping[str, str]) -> np.ndarray:
    """Returns one hit, int16 `(time, 1)` at 16 kHz.

    Args:
        source: The repository.
        row: A row of `tables/drums.csv`: the sound file (a star stands for the
            microphone), how it is mixed, where the hit begins and how long
            it is, in samples at 16 kHz.
    """
    hit = _mixed(source, row["source"], _MIXES.get(row["mix"], {"": 1.0}))
    start = int(row["start"])
    hit = hit[start : start + int(row["length"])]
    num_faded = min(_DRUM_FADE, len(hit) // 4)
    ramp = np.linspace(0, np.pi, num_faded)
    hit[len(hit) - num_faded :] *= 0.5 * (1 + np.cos(ramp))
    return _rounded(hit * (_DRUM_PEAK / np.abs(hit).max()))


def render_notes(sources: Sources, soundfont: Path | None) -> Iterator[Piece]:
    """`PITCH/INSTRUMENT_VELOCITY.flac`, rendered."""
    if soundfont is None:
        raise CollectionError("The notes need a soundfont. Received: none.")
    for path, clip in notes.render(soundfont):
        yield path, clip, notes.RATE


def piano(sources: Sources, soundfont: Path | None) -> Iterator[Piece]:
    """`COMPOSER_PIECE.flac`, rendered in stereo, and `index.csv`."""
    if soundfont is None:
        raise CollectionError("The piano needs a soundfont. Received: none.")
    source = sources[catalogue.PIANO_MIDI]
    index = "file,composer,title,midi,seconds\n"
    for row in _table("piano.csv"):
        sound = notes.synthesize(
            source.read(row["midi"]),
            soundfont,
            _PIANO_RENDERED,
            0.6,
            *_PIANO_OPTIONS,
        )
        start, length = int(row["start"]), int(row["length"])
        left, right = (
            soxr.resample(channel, _PIANO_RENDERED, _PIANO_RATE, "VHQ")[
                start : start + length
            ]
            for channel in sound.T.astype(np.float64)
        )
        middle, side = (left + right) / 2, _PIANO_SIDE * (left - right) / 2
        pair = np.stack([middle + side, middle - side], axis=1)
        levels = _rounded(_PIANO_GAIN * pair)
        yield f"{row['name']}.flac", levels, _PIANO_RATE
        index += (
            f"{row['name']}.flac,{row['composer']},{row['title']},"
            f"{row['midi']},{length / _PIANO_RATE:.1f}\n"
        )
    yield "index.csv", index, 0


def produced_music(sources: Sources, soundfont: Path | None) -> Iterator[Piece]:
    """`TRACK.flac`, stereo, resampled to 16 kHz."""
    yield from music.tracks(sources[catalogue.UFOAI_MUSIC])


RECIPES: dict[str, Recipe] = {
    "drums": drums,
    "fsdd": fsdd,
    "music": produced_music,
    "notes": render_notes,
    "piano": piano,
    "sc09": sc09,
    "speech": speech,
}


def _table(name: str) -> Iterator[dict[str, str]]:
    folder = importlib.resources.files("keras_audiogan.collections")
    text = (folder / "tables" / name).read_text(encoding="utf-8")
    yield from csv.DictReader(io.StringIO(text))


def _decoded(
    source: Source, name: str, dtype: str = "float32"
) -> tuple[np.ndarray, int]:
    try:
        return soundfile.read(
            io.BytesIO(source.read(name)), dtype=dtype, always_2d=True
        )
    except soundfile.SoundFileError as error:
        raise CollectionError(
            f"{name} is not sound that can be read ({error}). Delete the "
            "archive and fetch it again."
        ) from error


def _copied(path: str, source: Source, name: str) -> Piece:
    audio, rate = _decoded(source, name, "int16")
    return path, audio, rate


def _rounded(audio: np.ndarray, scale: int = 32767) -> np.ndarray:
    levels = np.rint(audio * audio.dtype.type(scale))
    levels = np.clip(levels, -32768, 32767).astype(np.int16)
    return levels if levels.ndim == 2 else levels[:, None]


def _phrase(audio: np.ndarray, rate: int) -> np.ndarray:
    """Both channels in float64; 6 dB more, or less where that would clip."""
    mono = audio.astype(np.float64).mean(axis=1)
    mono = soxr.resample(mono - mono.mean(), rate, _SPEECH_RATE, "VHQ")
    gain = min(_SPEECH_GAIN, _SPEECH_PEAK / np.abs(mono).max())
    return _rounded(mono * gain)


def _further_phrase(audio: np.ndarray, rate: int) -> np.ndarray:
    """The first channel in float32; 6 dB more."""
    mono = soxr.resample(audio[:, 0], rate, _SPEECH_RATE, "VHQ")
    return _rounded((mono - mono.mean()) * np.float32(_SPEECH_GAIN), 32768)


def _mixed(
    source: Source, pattern: str, mix: Mapping[str, float]
) -> np.ndarray:
    """One hit, its microphones added, without offset, at 16 kHz."""
    parts, rate = [], _DRUM_RATE
    for microphone, weight in mix.items():
        audio, rate = _decoded(source, pattern.replace("*", microphone))
        parts.append(weight * audio.mean(axis=1).astype(np.float64))
    total = np.zeros(max(map(len, parts)))
    for part in parts:
        total[: len(part)] += part
    total -= np.median(total)
    return soxr.resample(total, rate, _DRUM_RATE, "VHQ")
