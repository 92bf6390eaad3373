"""Recordings or mels in, sound out, piece by piece and in bounded memory.

```python
vocoder = keras_audiogan.from_preset("hifigan_speech").fuse_weight_norm()
vocode_file(vocoder, "speech.flac", "out/copy.wav")
vocode_file(vocoder, "mels.npy", "out/mels.wav")
```
"""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from keras_audiogan.audio.files import (
    AudioFileError,
    AudioWriter,
    open_sound,
    read_section,
)
from keras_audiogan.audio.levels import SILENCE_PEAK, level_gain
from keras_audiogan.audio.mel_scale import mel_remark
from keras_audiogan.audio.resampling import resampled_length
from keras_audiogan.data.checks import check_header, check_scale, finite_peak

if TYPE_CHECKING:
    from keras_audiogan.models.vocoder import Vocoder

MELS = (".npy", ".npz", ".pt", ".pth")
"""Extensions of files of mels; those of PyTorch are refused with advice."""
LAYOUTS = ("auto", "frames-first", "bins-first")
# Longer recordings are read, turned to mels and compared in such pieces.
PIECE_SECONDS = 30.0
_MEL_FRAMES = 1024
# Mels of more bytes lie in a temporary file.
_MOST_MEL_BYTES = 1 << 26

_Parts = Generator[np.ndarray, None, None]
Compare = Callable[[np.ndarray, np.ndarray], dict[str, float]]
"""Figures of a recording `(time,)` and of the copy that was made of it."""


class UnusableInputError(AudioFileError):
    """A file that a vocoder can make no sound of."""


def vocode_file(
    vocoder: Vocoder,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    level: str | float | None = None,
    seed: int = 0,
    chunk_frames: int | None = None,
    mel_layout: str = "auto",
    compare: Compare | None = None,
) -> dict[str, Any]:
    """Makes a sound file of a recording, through its mels, or of mels.

    The file appears when it is complete. Memory is that of a piece and a
    chunk: recordings of any length can be vocoded.

    Args:
        vocoder: The model; best with its weight norm fused.
        source: A sound file of any rate and number of channels, which is
            mixed to mono; or a file of mels, see `read_mels`.
        target: The file to write, at the vocoder's rate; its extension says
            which kind. A copy has the length of its recording, and its
            level as far as the vocoder keeps the level of mels.
        level: How a recording is levelled before its mels are made, see
            `level_gain`; by default as the vocoder was trained.
        seed: Of the noise, for vocoders that start from it.
        chunk_frames: Mel frames at a time; by default the architecture's own
            number.
        mel_layout: See `read_mels`.
        compare: Returns figures of a recording and its copy, e.g.
            `functools.partial(metrics.copy_distances,
            mel_features=vocoder.features)`. Of recordings longer than half
            a minute the mean over pieces counts, weighted by their length.

    Returns:
        `kind` (`"sound"` or `"mel"`), `seconds` of sound,
        `compute_seconds`, `real_time_factor` (computing time over the length
        of the sound), `times_real_time` (its inverse), and the figures of
        `compare` where the source is a recording that is not silent.

    Raises:
        UnusableInputError: If nothing can be made of the source.
        AudioFileError: If a sound file cannot be read or written; its `path`
            tells which.
        ValueError: If the level or `chunk_frames` is out of range.
    """
    source = os.fspath(source)
    features, timer = vocoder.features, _Timer()
    figures: dict[str, float] = {}

    def write(mels: np.ndarray, length: int, gain: float) -> _Parts:
        with AudioWriter(target, vocoder.sampling_rate) as writer:
            for part in timer.each(
                vocoder.vocode_parts(mels, seed, chunk_frames)
            ):
                if not np.isfinite(part).all():
                    raise UnusableInputError(
                        source,
                        "the vocoder made numbers of it that are not finite: "
                        "its values are far from those of sound",
                    )
                part = part[0, :length] / np.float32(gain)
                length -= len(part)
                writer.write(part)
                yield np.clip(part[:, 0], -1.0, 1.0)

    if source.lower().endswith(MELS):
        kind = "mel"
        mels = read_mels(source, features.num_mel_bins, mel_layout)
        remark = mel_remark(mels, features)
        if remark is not None and remark.certain:
            raise UnusableInputError(
                source, f"no mels of this vocoder: {remark.text}"
            )
        if remark is not None:
            warnings.warn(
                f"{source}: are these this vocoder's mels? {remark.text}",
                stacklevel=2,
            )
        num_samples = len(mels) * features.frame_step
        for _ in write(mels, num_samples, 1.0):
            pass
    else:
        kind, recording = "sound", Recording(source, vocoder)
        num_samples = recording.num_samples
        gain = level_gain(
            recording.peak, vocoder.level if level is None else level
        )
        with (
            _room(recording.num_frames, features.num_mel_bins) as mels,
            contextlib.closing(write(mels, num_samples, gain)) as copy,
        ):
            at = 0
            for section in timer.each(recording.mels(gain)):
                mels[at : at + len(section)] = section
                at += len(section)
            figures = _compared(recording, copy, compare)
    seconds = num_samples / vocoder.sampling_rate
    return {"kind": kind, **_times(seconds, timer.seconds), **figures}


def means(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Returns means over what `vocode_file` returned for one file or more.

    Those of comparisons are over the files that have the figure; times are of
    all computing over all sound.
    """
    times = _times(
        sum(row["seconds"] for row in rows),
        sum(row["compute_seconds"] for row in rows),
    )
    figures: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            if isinstance(value, float):
                figures.setdefault(name, []).append(value)
    found = {name: sum(all_) / len(all_) for name, all_ in figures.items()}
    return {**found, **times}


class Recording:
    """A sound file at a vocoder's rate, mono, read in pieces if it is long.

    Attributes:
        num_samples: At the vocoder's rate.
        num_frames: Of its mels.
        peak: The largest magnitude.

    Raises:
        AudioFileError: If the file cannot be read, is damaged, or holds
            numbers that are not finite.
        UnusableInputError: If it is shorter than a transform.
    """

    def __init__(self, path: str | os.PathLike[str], vocoder: Vocoder) -> None:
        self.path = path = os.fspath(path)
        info = check_header(path)
        self._vocoder = vocoder
        self.rate = rate = vocoder.sampling_rate
        self.num_samples = resampled_length(
            info.num_samples, info.sampling_rate, rate
        )
        features = vocoder.features
        shortest, hop = features.fft_length, features.frame_step
        if self.num_samples < shortest:
            raise UnusableInputError(
                path,
                f"too short: {self.num_samples / rate:.3f} s, less than the "
                f"{shortest / rate:.3f} s of one transform",
            )
        # Filled up with zeros to whole hops.
        self._padded_length = -(-self.num_samples // hop) * hop
        self.num_frames = features.num_frames(self._padded_length)
        self._kept: np.ndarray | None = None
        self.peak = 0.0
        pieces = self.pieces()
        for start, length in pieces:
            audio = self.samples(start, length)
            self.peak = max(self.peak, finite_peak(path, audio))
        check_scale(path, self.peak)
        if len(pieces) == 1:
            self._kept = audio

    def pieces(self) -> list[tuple[int, int]]:
        """Returns start and length of about equal pieces of the whole."""
        count = math.ceil(self.num_samples / (PIECE_SECONDS * self.rate))
        length = math.ceil(self.num_samples / count)
        return [
            (start, min(length, self.num_samples - start))
            for start in range(0, self.num_samples, length)
        ]

    def samples(self, start: int, length: int) -> np.ndarray:
        """Returns float32 `(length,)`, fewer at the end of the file."""
        if self._kept is not None:
            return self._kept[start : start + length]
        with open_sound(self.path) as sound:
            return read_section(sound, start, length, self.rate, 1)[:, 0]

    def mels(
        self, gain: float = 1.0, section_frames: int = _MEL_FRAMES
    ) -> _Parts:
        """Makes the mels of the recording times `gain`, section by section.

        Together they are those of the whole, as `Vocoder.vocode` makes them.

        Yields:
            Float32 `(frames, num_mel_bins)`.
        """
        features, total = self._vocoder.features, self._padded_length
        hop = features.frame_step
        # Frames whose transforms may reach over the ends of a section.
        spare = math.ceil(features.fft_length / hop)
        for first in range(0, self.num_frames, section_frames):
            last = min(first + section_frames, self.num_frames)
            begin = max(0, first - spare) * hop
            end = min((last + spare) * hop, total)
            audio = self.samples(begin, end - begin) * np.float32(gain)
            audio = np.pad(audio, (0, end - begin - len(audio)))
            skip = first - begin // hop
            made = self._vocoder.mel(audio, self.rate)
            yield made[0, skip : skip + last - first]


def read_mels(
    path: str | os.PathLike[str], num_mel_bins: int, layout: str = "auto"
) -> np.ndarray:
    """Reads a mel spectrogram; a `.npy` file is mapped into memory.

    Args:
        path: A `.npy` file, or an `.npz` of one array or one named "mel", of
            `(frames, bins)` or `(bins, frames)`, with or without a leading 1,
            as the vocoder's front end makes them.
        num_mel_bins: Bins that the vocoder takes.
        layout: One of `LAYOUTS`; with `"auto"` the shape decides.

    Returns:
        Array `(frames, num_mel_bins)`.

    Raises:
        UnusableInputError: If it is none, another shape, or ambiguous.
        ValueError: If the layout is unknown.
    """
    if layout not in LAYOUTS:
        raise ValueError(
            f"`layout` must be one of {', '.join(LAYOUTS)}. "
            f"Received: layout={layout!r}"
        )
    if os.fspath(path).lower().endswith((".pt", ".pth")):
        raise UnusableInputError(
            path,
            "a file of PyTorch: write its tensor as NumPy does, "
            "np.save('mel.npy', torch.load('mel.pt').cpu().numpy())",
        )
    try:
        mels = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(mels, np.lib.npyio.NpzFile):
            with mels as archive:
                mels = _only_array(path, archive)
    except (OSError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UnusableInputError(
            path, f"not a NumPy file of numbers ({reason})"
        ) from error
    expected = (
        f"expected (frames, {num_mel_bins}) or ({num_mel_bins}, frames). "
        f"Received: {mels.shape}"
    )
    if mels.dtype.kind not in "fiu":
        reason = f"expected real numbers, not {mels.dtype}"
        raise UnusableInputError(path, reason)
    if mels.ndim == 3 and mels.shape[0] == 1:
        mels = mels[0]
    if layout == "auto" and mels.shape == (num_mel_bins, num_mel_bins):
        raise UnusableInputError(
            path,
            f"its shape does not tell which way it lies: {expected}; say it "
            "with `mel_layout`",
        )
    if layout == "bins-first" or (
        layout == "auto" and mels.shape[-1:] != (num_mel_bins,)
    ):
        mels = mels.T
    if mels.ndim != 2 or not mels.size or mels.shape[1] != num_mel_bins:
        raise UnusableInputError(path, f"wrong shape of mels: {expected}")
    for start in range(0, len(mels), _MEL_FRAMES):
        if not np.isfinite(mels[start : start + _MEL_FRAMES]).all():
            raise UnusableInputError(path, "holds NaN or infinite values")
    return mels


def _only_array(
    path: str | os.PathLike[str], archive: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Returns the one array of an .npz file, or that named "mel"."""
    names = list(archive)
    if "mel" in names or len(names) == 1:
        return archive["mel" if "mel" in names else names[0]]
    raise UnusableInputError(
        path, f'expected one array, or one named "mel". Received: {names}'
    )


class _Timer:
    """Adds up the time that iterators take, without that of their users."""

    seconds = 0.0

    def each(self, items: Iterator[np.ndarray]) -> _Parts:
        while True:
            begin = time.perf_counter()
            item = next(items, None)
            self.seconds += time.perf_counter() - begin
            if item is None:
                return
            yield item


def _times(seconds: float, compute_seconds: float) -> dict[str, float]:
    return {
        "seconds": seconds,
        "compute_seconds": compute_seconds,
        "real_time_factor": compute_seconds / seconds,
        "times_real_time": seconds / compute_seconds,
    }


@contextlib.contextmanager
def _room(frames: int, bins: int) -> Iterator[np.ndarray]:
    """Lends an array for mels: in memory, or in a file if there are many."""
    if frames * bins * 4 <= _MOST_MEL_BYTES:
        yield np.empty((frames, bins), "float32")
        return
    with tempfile.TemporaryFile() as file:
        try:
            _reserve(file, frames * bins * 4)
        except OSError as error:
            # The file has no name, but its folder has.
            place = tempfile.gettempdir()
            raise OSError(error.errno, error.strerror, place) from error
        yield np.memmap(file, "float32", "r+", shape=(frames, bins))


def _reserve(file: IO[bytes], num_bytes: int) -> None:
    """Takes room on the disk: a memory map that finds none ends the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, num_bytes)
        return
    block = bytes(1 << 20)
    for start in range(0, num_bytes, len(block)):
        file.write(block[: num_bytes - start])
    file.flush()


def _compared(
    recording: Recording, copy: _Parts, compare: Compare | None
) -> dict[str, float]:
    """Returns the means of figures over pieces; the copy is used up."""
    totals: dict[str, float] = {}
    num_compared = 0
    if compare is not None and recording.peak >= SILENCE_PEAK:
        pieces = recording.pieces()
        made = _regrouped(copy, [length for _, length in pieces])
        for piece, fake in zip(pieces, made, strict=False):
            real = recording.samples(*piece)
            num_compared += len(real)
            for name, value in compare(real, fake).items():
                totals[name] = totals.get(name, 0.0) + float(value) * len(real)
    for _ in copy:
        pass
    return {name: total / num_compared for name, total in totals.items()}


def _regrouped(parts: _Parts, lengths: Sequence[int]) -> _Parts:
    """Cuts a stream of sound anew; where it ends early, so do the pieces.

    Front ends that round frames down leave some samples out.
    """
    held: list[np.ndarray] = []
    for length in lengths:
        while sum(map(len, held)) < length:
            if (part := next(parts, None)) is None:
                break
            held.append(part)
        whole = np.concatenate(held) if held else np.zeros(0, "float32")
        if not len(whole):
            return
        yield whole[:length]
        held = [whole[length:]]
