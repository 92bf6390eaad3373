"""Songs through generators whose labels are pitches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from keras_audiogan.audio.notes import (
    MAX_PITCH,
    Note,
    pitches_of,
)

# In seconds: how fast a note begins, and how long it sounds after its end.
_ATTACK = 0.01
_RELEASE = 0.3
# Samples of silence, or of a tail, that are given at a time.
_BLOCK = 1 << 16
_OCTAVE = 12
_MAX_VELOCITY = 127.0


@dataclasses.dataclass(frozen=True)
class Arrangement:
    """Notes as a generator can play them.

    Attributes:
        notes: In the order of their beginnings.
        labels: Index of the label of each.
        num_moved: How many were moved by octaves into the range.
        num_left_out: How many have no octave in the range.
        gain: What makes the loudest place of all notes, were their peaks to
            meet, full scale.
    """

    notes: Sequence[Note]
    labels: Sequence[int]
    num_moved: int
    num_left_out: int
    gain: float


class Playing:
    """Methods of conditional generators whose labels are pitches."""

    labels: tuple[str, ...]
    sampling_rate: int
    num_channels: int
    slice_length: int

    @property
    def pitches(self) -> dict[int, int]:
        """MIDI number -> index of its label.

        Raises:
            ValueError: If the labels are no pitches.
        """
        return pitches_of(self.labels)

    def arrange(self, notes: Iterable[Note]) -> Arrangement:
        """Fits notes to the pitches that the generator has.

        A pitch that it lacks is moved by as few octaves as can be.

        Raises:
            ValueError: If a note is not one, or none can be played.
        """
        known = self.pitches
        nearest: dict[int, int | None] = {}
        fitting, labels, moved, left_out = [], [], 0, 0
        for note in sorted(_checked(note) for note in notes):
            if note.pitch not in nearest:
                octaves = [
                    pitch
                    for pitch in known
                    if (pitch - note.pitch) % _OCTAVE == 0
                ]
                nearest[note.pitch] = min(
                    octaves,
                    key=lambda pitch: (abs(pitch - note.pitch), pitch),
                    default=None,
                )
            pitch = nearest[note.pitch]
            if pitch is None:
                left_out += 1
                continue
            moved += pitch != note.pitch
            fitting.append(note._replace(pitch=pitch))
            labels.append(known[pitch])
        if not fitting:
            raise ValueError(
                "There are no notes that the generator can play. "
                f"Received: {left_out} of other pitches"
            )
        return Arrangement(
            fitting, labels, moved, left_out, 1.0 / self._loudest(fitting)
        )

    def _clip_seconds(self) -> float:
        return self.slice_length / self.sampling_rate

    def _sounding(self, note: Note) -> tuple[float, float]:
        """Returns how long a note is held, and its release, in seconds."""
        release = min(_RELEASE, 0.25 * self._clip_seconds())
        held = min(note.end - note.start, self._clip_seconds() - release)
        return max(held, 0.0), release

    def _loudest(self, notes: Sequence[Note]) -> float:
        """Returns the largest sum of the levels of notes that sound at once."""
        changes = []
        for note in notes:
            level = note.velocity / _MAX_VELOCITY
            changes += [
                (note.start, level),
                (note.start + sum(self._sounding(note)), -level),
            ]
        changes.sort()
        return max(np.cumsum([level for _, level in changes]))

    def play(
        self,
        notes: Iterable[Note],
        seed: int | None = None,
        seconds_per_timbre: float = 6.0,
        batch_size: int = 16,
    ) -> np.ndarray:
        """Plays notes, while the timbre walks through the latent space.

        Args:
            notes: `Note`s or tuples of start and end in seconds, MIDI number
                and velocity; see `read_midi` in `keras_audiogan.audio`.
            seed: Of the timbres; None draws one.
            seconds_per_timbre: Seconds from one timbre to the next; a note
                has that of its beginning.
            batch_size: Notes that are made at a time.

        Returns:
            Float32 `(time, channels)` in [-1, 1]; see `play_blocks`, which
            needs less memory for long songs.

        Raises:
            ValueError: If the labels are no pitches, or a note is wrong.
        """
        blocks = self.play_blocks(
            self.arrange(notes), seed, seconds_per_timbre, batch_size
        )
        return np.concatenate(list(blocks))

    def play_blocks(
        self,
        arrangement: Arrangement,
        seed: int | None = None,
        seconds_per_timbre: float = 6.0,
        batch_size: int = 16,
    ) -> Iterator[np.ndarray]:
        """Plays notes as `play` does, in the memory of one batch.

        Each note is brought to the same peak, times its velocity. A note
        that is held for longer than a clip lasts ends with it.

        Args:
            arrangement: What `arrange` returned.
            seed: As for `play`, as the rest.
            seconds_per_timbre: See `play`.
            batch_size: See `play`.

        Yields:
            Float32 `(time, channels)` in [-1, 1], one after another.
        """
        if not 0.0 < seconds_per_timbre < np.inf or batch_size < 1:
            raise ValueError(
                "`seconds_per_timbre` must be above 0, and `batch_size` 1 or "
                f"more. Received: seconds_per_timbre={seconds_per_timbre}, "
                f"batch_size={batch_size}"
            )
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        return self._mixed(arrangement, seed, seconds_per_timbre, batch_size)

    def _mixed(
        self,
        arrangement: Arrangement,
        seed: int,
        seconds_per_timbre: float,
        batch_size: int,
    ) -> Iterator[np.ndarray]:
        model: Any = self
        rest = np.zeros((self.slice_length, self.num_channels), "float32")
        position, end = 0, 0
        for begin in range(0, len(arrangement.notes), batch_size):
            notes = arrangement.notes[begin : begin + batch_size]
            labels = arrangement.labels[begin : begin + batch_size]
            clips = model._generate(
                self._timbres(notes, seed, seconds_per_timbre),
                model._one_hot(np.array(labels)),
                batch_size,
            )
            for note, clip in zip(notes, clips, strict=True):
                start = round(note.start * self.sampling_rate)
                while position < start:
                    step = min(start - position, _BLOCK)
                    block, rest = _taken(rest, step)
                    yield block
                    position += step
                sound = self._shaped(clip, note) * arrangement.gain
                rest[: len(sound)] += sound
                end = max(end, start + len(sound))
        yield _taken(rest, end - position)[0]

    def _timbres(
        self, notes: Sequence[Note], seed: int, seconds_per_timbre: float
    ) -> np.ndarray:
        model: Any = self
        places = np.array([note.start for note in notes]) / seconds_per_timbre
        before = np.floor(places).astype(int)
        anchors = {
            index: model._latents_between(index, index + 1, seed)[0]
            for index in {*before.tolist(), *(before + 1).tolist()}
        }
        return model.path_between(
            np.stack([anchors[index] for index in before.tolist()]),
            np.stack([anchors[index + 1] for index in before.tolist()]),
            (places - before)[:, None].astype("float32"),
        )

    def _shaped(self, clip: np.ndarray, note: Note) -> np.ndarray:
        """Returns a clip under the note's envelope, at its velocity."""
        held, release = (
            round(seconds * self.sampling_rate)
            for seconds in self._sounding(note)
        )
        length = min(held + release, len(clip))
        release = min(release, length)
        envelope = np.ones((length, 1), "float32")
        attack = min(round(_ATTACK * self.sampling_rate), length)
        envelope[:attack, 0] = np.linspace(0.0, 1.0, attack, endpoint=False)
        envelope[length - release :, 0] *= np.linspace(1.0, 0.0, release)
        sound = clip[:length] * envelope
        peak = float(np.abs(sound).max(initial=0.0))
        if peak:
            sound *= note.velocity / _MAX_VELOCITY / peak
        return sound


def _taken(rest: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns `step` samples from the front, and what is left, as long."""
    out = np.zeros((step, rest.shape[1]), "float32")
    held = min(step, len(rest))
    out[:held] = rest[:held]
    left = np.zeros_like(rest)
    left[: len(rest) - held] = rest[held:]
    return np.clip(out, -1.0, 1.0), left


def _checked(note: Any) -> Note:
    try:
        note = Note(*note)
        good = (
            0.0 <= note.start <= note.end < np.inf
            and 0 <= note.pitch <= MAX_PITCH
            and 0 < note.velocity <= _MAX_VELOCITY
        )
    except TypeError:
        good = False
    if not good:
        raise ValueError(
            "A note must be its start and its end in seconds, a MIDI number "
            "from 0 to 127 and a velocity from 1 to 127. "
            f"Received: {note!r}"
        )
    return note
