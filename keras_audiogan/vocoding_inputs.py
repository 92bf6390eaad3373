"""What `audiogan vocode` reads: recordings, and mels."""

import contextlib
import dataclasses
import math
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import numpy as np

    from keras_audiogan.data.walk import FoundFile
    from keras_audiogan.models.vocoder import Vocoder

MELS = ".npy"
LAYOUTS = ("auto", "frames-first", "bins-first")
# Longer recordings are read, turned to mels and compared in such pieces.
PIECE_SECONDS = 30.0
_MEL_FRAMES = 1024
# Mels of more bytes lie in a temporary file.
_MOST_MEL_BYTES = 1 << 26


class UnusableInputError(ValueError):
    """An input that is left out; its text is the reason."""


@dataclasses.dataclass(frozen=True)
class Job:
    """An input and where its sound goes.

    Attributes:
        path: The input.
        name: Its name below the folder that was given.
        file: What is made of it, below the folder to write to.
        target: The file to write.
    """

    path: str
    name: str
    file: str
    target: pathlib.Path

    @property
    def is_mel(self) -> bool:
        """Whether the input is a mel spectrogram."""
        return self.path.lower().endswith(MELS)


def find_jobs(
    inputs: Sequence[str], output: pathlib.Path, suffix: str
) -> tuple[list[Job], list[tuple[str, str]]]:
    """Pair files with the names of what is made of them.

    Args:
        inputs: files and folders.
        output: folder to write to.
        suffix: extension of the sound files.

    Returns:
        The jobs, and `(path, reason)` of folders that cannot be entered.

    Raises:
        click.ClickException: if two inputs would be written to one file, or
            one over an input.
        ValueError: if an input does not exist.
    """
    from keras_audiogan.audio.files import AUDIO_EXTENSIONS
    from keras_audiogan.data.walk import find_files

    found, skipped, _ = find_files(
        [os.fspath(path) for path in inputs], (*AUDIO_EXTENSIONS, MELS)
    )
    # What an earlier run made is not input, where it lies among the inputs.
    own = os.path.realpath(output)
    roots = {os.path.realpath(path) for path in inputs}
    inside = any(own.startswith(root + os.sep) for root in roots)
    given: dict[str, FoundFile] = {}
    for entry in found:
        path = os.path.realpath(entry.path)
        if path in roots or not (inside and path.startswith(own + os.sep)):
            given.setdefault(path, entry)
    entries = list(given.values())
    stems = [os.path.splitext(entry.name)[0] for entry in entries]
    jobs = []
    for entry, stem in zip(entries, stems, strict=True):
        if stems.count(stem) > 1:
            # a.wav and a.flac become a_wav.wav and a_flac.wav.
            kind = os.path.splitext(entry.name)[1].lstrip(".").lower()
            stem = f"{stem}_{kind}"
        file = f"{stem}{suffix}"
        jobs.append(Job(entry.path, entry.name, file, output / file))
    targets: dict[str, Job] = {}
    for job in jobs:
        target = os.path.realpath(job.target)
        other = targets.setdefault(target, job)
        if other is not job:
            raise click.UsageError(
                f"{other.path} and {job.path} would both be written to "
                f"{str(job.target)!r}. Vocode them one at a time, or give "
                "the folder that holds both."
            )
        if target in given:
            raise click.UsageError(
                f"{job.path} would be written over "
                f"{given[target].path!r}, which is an input. Choose another "
                "folder with --output."
            )
    return jobs, [(skip.path, skip.reason) for skip in skipped]


class Recording:
    """A sound file at a vocoder's rate, mono, read in pieces if it is long.

    Args:
        path: The file.
        vocoder: Whose rate and front end count.

    Attributes:
        num_samples: At the vocoder's rate.
        peak: The largest magnitude.

    Raises:
        AudioFileError: If the file cannot be read, is damaged, or holds
            numbers that are not finite.
        UnusableInputError: If it is shorter than a transform.
    """

    def __init__(self, path: str, vocoder: "Vocoder") -> None:
        from keras_audiogan.audio.resampling import resampled_length
        from keras_audiogan.data.checks import check_header, finite_peak

        info = check_header(path)
        self.path = path
        self.rate = rate = vocoder.sampling_rate
        self.num_samples = resampled_length(
            info.num_samples, info.sampling_rate, rate
        )
        shortest = vocoder.features.fft_length
        if self.num_samples < shortest:
            raise UnusableInputError(
                f"too short: {self.num_samples / rate:.3f} s, less than the "
                f"{shortest / rate:.3f} s of one transform"
            )
        self._kept: Any = None
        self.peak = 0.0
        pieces = self.pieces()
        for start, length in pieces:
            audio = self.samples(start, length)
            self.peak = max(self.peak, finite_peak(path, audio))
        if len(pieces) == 1:
            self._kept = audio

    def pieces(self) -> list[tuple[int, int]]:
        """Return start and length of about equal pieces of the whole."""
        count = math.ceil(self.num_samples / (PIECE_SECONDS * self.rate))
        length = math.ceil(self.num_samples / count)
        return [
            (start, min(length, self.num_samples - start))
            for start in range(0, self.num_samples, length)
        ]

    def samples(self, start: int, length: int) -> "np.ndarray":
        """Return float32 `(length,)`, fewer at the end of the file."""
        if self._kept is not None:
            return self._kept[start : start + length]
        from keras_audiogan.audio.files import open_sound, read_section

        with open_sound(self.path) as sound:
            return read_section(sound, start, length, self.rate, 1)[:, 0]


def mels_of(
    recording: Recording,
    gain: float,
    vocoder: "Vocoder",
    section_frames: int = _MEL_FRAMES,
) -> Iterator["np.ndarray"]:
    """Make the mels of a recording, section by section.

    Together they are those of the whole, as `Vocoder.vocode` makes them: the
    sound is filled up with zeros to whole hops.

    Args:
        recording: The recording.
        gain: Factor on the sound.
        vocoder: Whose front end it is.
        section_frames: Frames at a time.

    Yields:
        Float32 `(frames, num_mel_bins)`.
    """
    import numpy as np

    features = vocoder.features
    hop, total = features.frame_step, padded_length(recording, vocoder)
    # Frames whose transforms may reach over the ends of a section.
    spare = math.ceil(features.fft_length / hop)
    frames = num_frames(recording, vocoder)
    for first in range(0, frames, section_frames):
        last = min(first + section_frames, frames)
        begin = max(0, first - spare) * hop
        end = min((last + spare) * hop, total)
        audio = recording.samples(begin, end - begin) * np.float32(gain)
        audio = np.pad(audio, (0, end - begin - len(audio)))
        skip = first - begin // hop
        yield vocoder.mel(audio)[0, skip : skip + last - first]


def padded_length(recording: Recording, vocoder: "Vocoder") -> int:
    """Return the samples of a recording filled up to whole hops."""
    hop = vocoder.features.frame_step
    whole = -(-recording.num_samples // hop) * hop
    return max(whole, vocoder.features.fft_length)


def num_frames(recording: Recording, vocoder: "Vocoder") -> int:
    """Return the number of frames that `mels_of` makes."""
    return vocoder.features.num_frames(padded_length(recording, vocoder))


@contextlib.contextmanager
def room_for_mels(frames: int, bins: int) -> Iterator["np.ndarray"]:
    """Lend an array for mels: in memory, or in a file if there are many."""
    import numpy as np

    shape = (frames, bins)
    if frames * bins * 4 <= _MOST_MEL_BYTES:
        yield np.empty(shape, "float32")
        return
    with tempfile.TemporaryFile() as file:
        mels = np.memmap(file, "float32", "w+", shape=shape)
        yield mels


def read_mels(
    path: str, num_mel_bins: int, layout: str = "auto"
) -> "np.ndarray":
    """Read a mel spectrogram, mapped into memory.

    Args:
        path: A `.npy` file of `(frames, bins)` or `(bins, frames)`, with or
            without a leading 1.
        num_mel_bins: Bins that the vocoder takes.
        layout: One of `LAYOUTS`; with `"auto"` the shape decides.

    Returns:
        Array `(frames, num_mel_bins)`.

    Raises:
        UnusableInputError: If it is none, another shape, or ambiguous.
    """
    import numpy as np

    try:
        mels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UnusableInputError(
            f"not a NumPy file of numbers ({reason})"
        ) from error
    shape = mels.shape
    expected = (
        f"expected (frames, {num_mel_bins}) or ({num_mel_bins}, frames). "
        f"Received: {shape}"
    )
    if mels.dtype.kind not in "fiu":
        raise UnusableInputError(f"expected real numbers, not {mels.dtype}")
    if mels.ndim == 3 and shape[0] == 1:
        mels = mels[0]
    if mels.ndim != 2 or not mels.size or num_mel_bins not in mels.shape:
        raise UnusableInputError(f"wrong shape of mels: {expected}")
    if layout == "auto":
        if mels.shape[0] == mels.shape[1]:
            raise UnusableInputError(
                f"its shape does not tell which way it lies: {expected}; say "
                "it with --mel-layout"
            )
        frames_first = mels.shape[1] == num_mel_bins
    else:
        frames_first = layout == "frames-first"
    mels = mels if frames_first else mels.T
    if mels.shape[1] != num_mel_bins:
        raise UnusableInputError(f"wrong shape of mels: {expected}")
    for start in range(0, len(mels), _MEL_FRAMES):
        if not np.isfinite(mels[start : start + _MEL_FRAMES]).all():
            raise UnusableInputError("holds NaN or infinite values")
    return mels
