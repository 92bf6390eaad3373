"""Pitches by number and by name, and the notes of MIDI files.

MIDI numbers semitones: 69 is the A of 440 Hz, and 60 is C4, the middle C.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

PathLike = str | os.PathLike[str]

#: Highest MIDI number; the lowest is 0.
MAX_PITCH = 127

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NAMES = "C C# D D# E F F# G G# A A# B".split()
_NAME = re.compile(r"([A-Ga-g])([#♯b♭]?)(-?\d{1,2})")

# Bounds of what is read: a file of a few bytes may claim to last for years.
_MAX_BYTES = 4 << 20
_MAX_NOTES = 100_000
_MAX_SECONDS = 12 * 3600.0
# Percussion has no pitch; General MIDI has it here, counted from 0.
_DRUM_CHANNEL = 9


class Note(NamedTuple):
    """A note of a song.

    Attributes:
        start: When it begins, in seconds.
        end: When its key is let go, in seconds.
        pitch: MIDI number.
        velocity: How hard the key is struck, from 1 to 127.
    """

    start: float
    end: float
    pitch: int
    velocity: int


class MidiFileError(ValueError):
    """A MIDI file cannot be read, or holds nothing to play.

    Attributes:
        path: The file.
        reason: What is wrong with it.
    """

    def __init__(self, path: PathLike, reason: str) -> None:
        """Args: `path` of the file and the `reason`."""
        super().__init__(f"{os.fspath(path)}: {reason}")
        self.path = Path(path)
        self.reason = reason


def pitch_number(pitch: str | int) -> int:
    """Returns the MIDI number of a pitch.

    Args:
        pitch: A number, `"60"` or `"060"` for example, or a name: a letter,
            `#` or `b` if there is one, and the octave, as in `"C4"`,
            `"f#3"` or `"Bb-1"`.

    Raises:
        ValueError: If it is none, or out of the range from 0 to 127.
    """
    number = -1
    text = str(pitch).strip()
    match = _NAME.fullmatch(text)
    if match:
        letter, sign, octave = match.groups()
        shift = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}[sign]
        number = 12 * (int(octave) + 1) + _STEPS[letter.upper()] + shift
    elif re.fullmatch(r"\d{1,3}", text, re.ASCII):
        number = int(text)
    if isinstance(pitch, bool) or not 0 <= number <= MAX_PITCH:
        raise ValueError(
            f"A pitch must be a MIDI number from 0 to {MAX_PITCH}, such as "
            "60, or a name from C-1 to G9, such as C4, F#3 or Bb2. "
            f"Received: {pitch!r}"
        )
    return number


def pitch_name(number: int) -> str:
    """Returns the name of a MIDI number, `"C4"` for 60."""
    return f"{_NAMES[number % 12]}{number // 12 - 1}"


def read_midi(path: PathLike, seconds: float | None = None) -> list[Note]:
    """Reads the notes of a MIDI file, in the order of their beginnings.

    All tracks and channels are taken together, but for the tenth channel,
    which is percussion. Programs, pedals and bends are not heeded. Needs the
    package `mido`.

    Args:
        path: The file, of type 0 or 1.
        seconds: Only notes that begin before this; None for all.

    Raises:
        MidiFileError: If it is broken, holds no notes, more than 100,000, or
            lasts longer than 12 hours.
        ModuleNotFoundError: If `mido` is not installed.
        OSError: If the file cannot be opened.
    """
    path = Path(path)
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > _MAX_BYTES:
            raise MidiFileError(
                path,
                f"a MIDI file has {_MAX_BYTES >> 20} MiB at most. Received: "
                f"{os.fstat(file.fileno()).st_size} bytes",
            )
        notes = list(_notes(path, _messages(path, file), seconds))
    if not notes:
        raise MidiFileError(path, "there are no notes in it")
    return sorted(notes)


def _messages(path: Path, file: Any) -> Iterator[tuple[float, Any]]:
    """Yields the messages that concern notes, with the time in seconds."""
    import mido

    try:
        song = mido.MidiFile(file=file, clip=True)
        if song.ticks_per_beat <= 0:
            raise ValueError("its time is in frames of film, not in beats")
        now = 0.0
        for message in song:
            now += message.time
            if message.type in ("note_on", "note_off"):
                yield now, message
    # Whatever mido meets in broken bytes.
    except (EOFError, OSError, ValueError, TypeError, LookupError) as error:
        if isinstance(error, MidiFileError):
            raise
        text = " ".join(str(error).split())[:200] or "it ends too early"
        raise MidiFileError(
            path,
            f"this is no MIDI file that can be read, or it is broken ({text})",
        ) from error


def _notes(
    path: Path, messages: Iterator[tuple[float, Any]], seconds: float | None
) -> Iterator[Note]:
    held: dict[tuple[int, int], deque[tuple[float, int]]] = {}
    count, now = 0, 0.0
    for now, message in messages:
        if message.channel == _DRUM_CHANNEL:
            continue
        begun = held.setdefault((message.channel, message.note), deque())
        if message.type == "note_off" or not message.velocity:
            if begun:
                start, velocity = begun.popleft()
                yield Note(start, now, message.note, velocity)
            continue
        if seconds is not None and now >= seconds:
            break
        count += 1
        if count > _MAX_NOTES or now > _MAX_SECONDS:
            raise MidiFileError(
                path,
                f"a song has {_MAX_NOTES:,} notes and lasts "
                f"{_MAX_SECONDS / 3600:g} hours at most; play the beginning "
                f"of it. Received: note {count:,} at {now / 3600:.1f} hours",
            )
        begun.append((now, message.velocity))
    for (_, pitch), begun in held.items():
        for start, velocity in begun:
            yield Note(start, max(now, start), pitch, velocity)


def pitches_of(labels: Sequence[str]) -> dict[int, int]:
    """Returns MIDI number -> index of its label.

    Raises:
        ValueError: If the labels are no pitches.
    """
    numbers: dict[int, int] = {}
    try:
        for index, label in enumerate(labels):
            numbers.setdefault(pitch_number(label), index)
    except ValueError:
        raise ValueError(
            "Only generators whose labels are pitches, such as 060 or C4, "
            f"play notes. Received: {', '.join(labels[:4])}, ..."
        ) from None
    return numbers


def label_of(pitch: str | int, labels: Sequence[str]) -> str:
    """Returns the label of a pitch.

    Args:
        pitch: MIDI number or name; see `pitch_number`.
        labels: Those that there are.

    Raises:
        ValueError: If it is no pitch, or not among them.
    """
    known, number = pitches_of(labels), pitch_number(pitch)
    if number not in known:
        low, high = min(known), max(known)
        raise ValueError(
            f"The {len(known)} pitches of this generator lie from {low} "
            f"({pitch_name(low)}) to {high} ({pitch_name(high)}). "
            f"Received: {pitch!r}"
        )
    return labels[known[number]]
