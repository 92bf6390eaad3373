"""Notes with pitch labels, rendered by fluidsynth from a soundfont."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from keras_audiogan.collections.catalogue import CollectionError

RATE = 16000
# General MIDI programs that sustain or ring, one of a family or two.
INSTRUMENTS = {
    0: "grand_piano",
    4: "electric_piano",
    6: "harpsichord",
    11: "vibraphone",
    12: "marimba",
    19: "church_organ",
    24: "nylon_guitar",
    33: "fingered_bass",
    40: "violin",
    42: "cello",
    48: "strings",
    52: "choir",
    56: "trumpet",
    60: "french_horn",
    65: "alto_sax",
    68: "oboe",
    71: "clarinet",
    73: "flute",
}
PITCHES = range(24, 85)
VELOCITIES = (75, 127)
CLIP_SECONDS = 1.024
_HELD = 0.75
_GAP_SECONDS = 0.5
_FADE = 64
# Quieter than this, an instrument does not have the pitch.
_SILENT = 1e-3
_TICKS_PER_SECOND = 960

SOUNDFONT = "FluidR3_GM.sf2"
_FOLDERS = (
    "/usr/share/sounds/sf2",
    "/usr/share/soundfonts",
    "/usr/local/share/soundfonts",
    "/opt/homebrew/share/soundfonts",
)
INSTALL = (
    "Debian and Ubuntu have both: apt-get install fluidsynth "
    "fluid-soundfont-gm (Fedora: dnf install fluidsynth fluid-soundfont-gm; "
    "macOS: brew install fluid-synth, and fetch FluidR3_GM.sf2). A soundfont "
    "elsewhere is named with `given`."
)


def find_fluidsynth() -> str:
    """Returns the program, or says how to get it.

    Raises:
        CollectionError: if it is not installed.
    """
    program = shutil.which("fluidsynth")
    if program is None:
        raise CollectionError(
            "This is rendered by the program fluidsynth, which is not "
            f"installed. {INSTALL}"
        )
    return program


def find_soundfont(given: Iterable[Path]) -> Path:
    """Returns the soundfont that is given, or else the system's.

    Raises:
        CollectionError: if there is none.
    """
    for path in given:
        places = [path, path / SOUNDFONT] if path.is_dir() else [path]
        for place in places:
            if place.suffix == ".sf2" and place.is_file():
                return place
    for folder in _FOLDERS:
        if (Path(folder) / SOUNDFONT).is_file():
            return Path(folder) / SOUNDFONT
    raise CollectionError(
        f"This is rendered with the soundfont {SOUNDFONT}, which is not in "
        f"{' or '.join(_FOLDERS)}. {INSTALL}"
    )


def render(
    soundfont: Path,
    instruments: Iterable[int] = tuple(INSTRUMENTS),
    pitches: Sequence[int] = PITCHES,
    velocities: Sequence[int] = VELOCITIES,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields notes as `(path, clip)`; the folder in the path is the pitch.

    Args:
        soundfont: An .sf2 file.
        instruments: Programs of General MIDI.
        pitches: MIDI pitches; 60 is middle C.
        velocities: MIDI velocities, 1 to 127.

    Yields:
        The path and int16 `(time, 1)` at 16 kHz. Pitches that an instrument
        does not have are left out.

    Raises:
        CollectionError: if fluidsynth is missing or fails.
    """
    length = round(CLIP_SECONDS * RATE)
    period = CLIP_SECONDS + _GAP_SECONDS
    keys = [(pitch, force) for force in velocities for pitch in pitches]
    for program in instruments:
        song = _song(program, keys, CLIP_SECONDS * _HELD, period)
        audio = synthesize(song, soundfont, RATE, gain=0.8).mean(axis=1)
        for index, (pitch, force) in enumerate(keys):
            start = round(index * period * RATE)
            clip = audio[start : start + length]
            if len(clip) < length or np.abs(clip).max() < _SILENT:
                continue
            clip[-_FADE:] *= np.linspace(1, 0, _FADE, dtype=np.float32)
            levels = np.clip(np.rint(clip * 32768), -32768, 32767)
            path = f"{pitch:03}/{INSTRUMENTS[program]}_{force:03}.flac"
            yield path, levels.astype(np.int16)[:, None]


def synthesize(
    song: bytes, soundfont: Path, rate: int, gain: float, *options: str
) -> np.ndarray:
    """Plays a MIDI file without reverberation or chorus.

    Returns:
        float32 `(time, 2)`.

    Raises:
        CollectionError: if fluidsynth is missing or fails.
    """
    program = find_fluidsynth()
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder, "song.mid"), Path(folder, "song.wav")
        midi.write_bytes(song)
        command = [program, "-n", "-i", "-q", "-g", str(gain), "-r", str(rate)]
        command += options or ["-R", "0", "-C", "0"]
        command += ["-F", str(wav), str(soundfont), str(midi)]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace"
        )
        if done.returncode or not wav.is_file():
            said = " ".join((done.stderr or done.stdout).split())[-300:]
            raise CollectionError(
                f"fluidsynth failed with {soundfont} (exit code "
                f"{done.returncode}): {said or 'no message'}"
            )
        return soundfile.read(wav, dtype="float32", always_2d=True)[0]


def _song(
    program: int, keys: Sequence[tuple[int, int]], held: float, period: float
) -> bytes:
    """A MIDI file of single notes, one every `period` seconds."""
    rest = _ticks(period - held)
    events = bytearray([0, 0xC0, program])
    for pitch, force in keys:
        events += bytes([0, 0x90, pitch, force])
        events += _ticks(held) + bytes([0x80, pitch, 0])
        # All sound off: what still rings does not reach the next note.
        events += rest + bytes([0xB0, 120, 0])
    events += bytes([0, 0xFF, 0x2F, 0])
    header = b"MThd" + struct.pack(">IHHH", 6, 0, 1, _TICKS_PER_SECOND // 2)
    return header + b"MTrk" + struct.pack(">I", len(events)) + bytes(events)


def _ticks(seconds: float) -> bytes:
    """A length of time as MIDI writes it: seven bits a byte."""
    value = round(seconds * _TICKS_PER_SECOND)
    digits = [value & 127]
    while value := value >> 7:
        digits.append(value & 127 | 128)
    return bytes(reversed(digits))
