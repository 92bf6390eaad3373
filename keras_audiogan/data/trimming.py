"""Silence at the ends of files, and within them: found, and left out.

Levels are those of the loudest 10 ms of a file: half the distance from the
lowest to the highest sample, so that an offset of the recorder, or the -1 of
an 8-bit file's pauses, is silence as well.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_audiogan.audio.files import (
    AudioFileError,
    convert_channels,
    decode,
    open_sound,
)
from keras_audiogan.data.checks import checked_section
from keras_audiogan.data.trim_option import Trimming

if TYPE_CHECKING:
    import soundfile

    from keras_audiogan.data.folder import AudioFile, AudioFolder
    from keras_audiogan.data.slices import SlicePlan

#: What is kept before the first sound and behind the last one.
KEPT_SECONDS = 0.005

_BLOCK_SECONDS = 0.01
# Pauses from this length on are remembered: shorter ones hold no slice.
_PAUSE_SECONDS = 0.05
# Decoded at a time, in blocks.
_CHUNK = 512
# Shorter files are decoded whole even where only ends are looked at.
_SHORT_SECONDS = 8.0
_NUM_PROBES = 8
_PROBE_BLOCKS = 10


def as_factor(trim: Trimming) -> float:
    """Returns the largest silent magnitude re the peak; below 0 for none."""
    return -1.0 if trim == "off" else 10.0 ** (float(trim) / 20.0)


class Sounding(NamedTuple):
    """Where a file sounds, in samples at its own rate.

    Attributes:
        start: First sample that is kept.
        stop: End of what is kept.
        pauses: Silent stretches between them, as far as they were looked
            for: pairs of first sample and end.
    """

    start: int
    stop: int
    pauses: tuple[tuple[int, int], ...] = ()


def trimmed(
    entry: "AudioFile", num_channels: int, trim: Trimming, whole: bool
) -> "AudioFile":
    """Returns a file without the silence at its ends.

    Where only a part is decoded, a file that cannot be stays as it is:
    whoever reads it says so.

    Args:
        entry: The file.
        num_channels: Channels in which training hears it.
        trim: What is silence.
        whole: Whether to decode all of it and to find the pauses within it;
            else some of it and its ends are. What is then taken for the
            peak is at most the peak, and less is trimmed.

    Raises:
        AudioFileError: If a file that is decoded whole is damaged, or holds
            what cannot be sound.
    """
    try:
        with open_sound(entry.path) as sound:
            found = find_sound(
                sound, entry.num_samples, num_channels, trim, whole
            )
    except AudioFileError:
        if whole:
            raise
        return entry
    return dataclasses.replace(entry, **found._asdict())


def find_sound(
    sound: "soundfile.SoundFile",
    num_samples: int,
    num_channels: int,
    trim: Trimming,
    whole: bool = True,
) -> Sounding:
    """Finds where an open file sounds.

    Args:
        sound: The open file, see `open_sound`.
        num_samples: Its length.
        num_channels: Channels to which it is converted before.
        trim: What is silence.
        whole: See `trimmed`.

    Returns:
        The whole file if there is no sound in it.

    Raises:
        AudioFileError: If the file is damaged, or holds what cannot be
            sound: beside it, all the rest would be silence.
    """
    rate = sound.samplerate
    block = max(1, round(_BLOCK_SECONDS * rate))
    count = -(-num_samples // block)
    factor = as_factor(trim)

    def read(first: int, stop: int) -> np.ndarray:
        first, stop = max(0, first), min(stop, num_samples)
        return convert_channels(
            decode(sound, first, stop - first), num_channels
        )

    def levels(first: int, stop: int) -> np.ndarray:
        audio = read(first * block, stop * block)
        checked_section(sound.name, audio)
        return _levels(audio, block)

    if whole or num_samples <= _SHORT_SECONDS * rate:
        found = np.concatenate(
            [levels(i, min(i + _CHUNK, count)) for i in range(0, count, _CHUNK)]
        )
        threshold = factor * float(found.max())
        loud = np.flatnonzero(found > threshold)
        if not len(loud):
            return Sounding(0, num_samples)
        first, last = int(loud[0]), int(loud[-1])
        pauses = _pauses(loud, block, math.ceil(_PAUSE_SECONDS * rate))
    else:
        peak = max(
            float(levels(i, i + _PROBE_BLOCKS).max())
            for i in np.linspace(
                0, count - _PROBE_BLOCKS, _NUM_PROBES, dtype=int
            )
        )
        ends = _ends(levels, count, peak, factor)
        if ends is None:
            return Sounding(0, num_samples)
        first, last, threshold = ends
        pauses = ()
    kept = round(KEPT_SECONDS * rate)
    start, stop = first * block, min((last + 1) * block, num_samples)
    onset = _crossing(
        read(start, start + block), read(start - block, start), threshold
    )
    rest = _crossing(
        read(last * block, stop)[::-1], read(stop, stop + block), threshold
    )
    return Sounding(
        max(0, start + onset - kept),
        min(stop - rest + kept, num_samples),
        pauses,
    )


def _crossing(loud: np.ndarray, silence: np.ndarray, threshold: float) -> int:
    """First sample of a loud block that leaves the silence beside it."""
    rest = silence.mean(axis=0) if len(silence) else 0.0
    return int(np.argmax((np.abs(loud - rest) > threshold).any(axis=1)))


def _levels(audio: np.ndarray, block: int) -> np.ndarray:
    """Half the range of each block of sound (time, channels), the loudest."""
    missing = -len(audio) % block
    # The last sample again: it widens no range.
    audio = np.pad(audio, ((0, missing), (0, 0)), "edge")
    blocks = audio.reshape(-1, block, audio.shape[1])
    return 0.5 * (blocks.max(axis=1) - blocks.min(axis=1)).max(axis=1)


def _pauses(
    loud: np.ndarray, block: int, shortest: int
) -> tuple[tuple[int, int], ...]:
    """The stretches between loud blocks, in samples."""
    before, behind = loud[:-1] + 1, loud[1:]
    long = (behind - before) * block >= shortest
    pairs = np.stack([before[long], behind[long]], axis=1) * block
    return tuple((int(first), int(stop)) for first, stop in pairs)


def _ends(
    levels: Callable[[int, int], np.ndarray],
    count: int,
    peak: float,
    factor: float,
) -> tuple[int, int, float] | None:
    """First and last loud block, and the threshold; None for no sound."""
    chunk = _CHUNK // 8
    first = last = -1
    for i in range(0, count, chunk):
        found = levels(i, min(i + chunk, count))
        peak = max(peak, float(found.max()))
        loud = np.flatnonzero(found > factor * peak)
        if len(loud):
            first = i + int(loud[0])
            break
    for i in range(count, 0, -chunk):
        begin = max(0, i - chunk)
        found = levels(begin, i)
        peak = max(peak, float(found.max()))
        loud = np.flatnonzero(found > factor * peak)
        if len(loud):
            last = begin + int(loud[-1])
            break
    if first < 0 or last < first:
        return None
    return first, last, factor * peak


def without_silence(
    plan: "SlicePlan", folder: "AudioFolder", sampling_rate: int
) -> "SlicePlan":
    """Returns a plan without the slices that lie in a pause of their file.

    Args:
        plan: Slices of the trimmed files, at `sampling_rate`.
        folder: The data set.
        sampling_rate: In Hz.
    """
    sounds = np.ones(len(plan), bool)
    for index, entry in enumerate(folder.files):
        if not entry.pauses:
            continue
        pauses = (np.array(entry.pauses) - entry.start) * sampling_rate
        begins = -(-pauses[:, 0] // entry.sampling_rate)
        ends = pauses[:, 1] // entry.sampling_rate
        own = slice(*plan.of_file(index))
        starts = plan.starts[own]
        # The last pause that begins at or before the slice.
        place = np.searchsorted(begins, starts, "right") - 1
        inside = starts + plan.slice_length <= ends[place]
        sounds[own] = ~(inside & (place >= 0))
    if sounds.all():
        return plan
    chosen = {
        name: getattr(plan, name)[sounds]
        for name in ("files", "starts", "lows", "highs")
    }
    silent = int((~sounds).sum())
    return dataclasses.replace(plan, **chosen, num_silent=silent)


def sounds(section: np.ndarray, peak: float, factor: float) -> bool:
    """Whether a section (time, channels) of a file with a peak is no silence.

    Args:
        section: Samples of the file, not levelled.
        peak: The file's peak.
        factor: See `as_factor`.
    """
    if factor < 0.0:
        return True
    spans = section.max(axis=0) - section.min(axis=0)
    return 0.5 * float(spans.max()) > factor * peak


def describe_trim(folder: "AudioFolder") -> str:
    """Says what was trimmed off the files of a data set, in one line."""
    if folder.trim == "off":
        return "none trimmed (off)"
    what = (
        f"more than {-float(folder.trim):g} dB below the file's peak; "
        f"{1000 * KEPT_SECONDS:g} ms are kept"
    )
    lengths = np.array(
        [(f.num_samples - f.num_used) / f.sampling_rate for f in folder.files]
    )
    count = int(np.count_nonzero(lengths))
    if not count:
        return f"none to trim ({what})"
    files = "1 file" if count == 1 else f"{count:,} files"
    return f"{lengths.sum():,.1f} s trimmed off the ends of {files} ({what})"
