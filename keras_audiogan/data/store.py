"""Samples from disk: decoded, resampled, levelled, and kept while they fit."""

import concurrent.futures
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from keras_audiogan.audio.files import AudioFileError, open_sound, read_section
from keras_audiogan.audio.levels import Levelling, check_level
from keras_audiogan.data.checks import (
    checked_peak,
    checked_section,
    is_exact,
    measure_peak,
)
from keras_audiogan.data.folder import AudioFile, AudioFolder
from keras_audiogan.data.trimming import as_factor, sounds

T = TypeVar("T")

_NUM_LOCKS = 64

# Formats in which a seek costs more than decoding a few seconds: their files
# are the first to be kept decoded.
_SLOW_SEEK = (".mp3", ".opus")


class AudioStore:
    """Reads sections of the files of a data set; see `AudioDataset`.

    Which files are kept in memory once they are decoded is decided at the
    start, from their lengths alone. So what a section holds, to the last bit,
    does not depend on what was read before.
    """

    def __init__(
        self,
        folder: AudioFolder,
        sampling_rate: int,
        num_channels: int,
        level: Levelling = "peak",
        cache_bytes: int = 256 << 20,
    ) -> None:
        check_level(level)
        self.folder = folder
        self.sampling_rate = sampling_rate
        self.num_channels = num_channels
        self.level = level
        self.lengths = folder.lengths(sampling_rate)
        self._silence = as_factor(folder.trim)
        self._kept = _choose_kept(
            folder.files, self.lengths, sampling_rate, num_channels, cache_bytes
        )
        self._cache: dict[int, np.ndarray] = {}
        self._verdicts: dict[int, float | AudioFileError] = {}
        self._locks = [threading.Lock() for _ in range(_NUM_LOCKS)]
        if (sampling_rate, num_channels) == folder.format:
            for index, entry in enumerate(folder.files):
                if entry.peak is not None:
                    self._verdicts[index] = entry.peak

    @property
    def cached_bytes(self) -> int:
        """Memory that decoded files take now."""
        return sum(audio.nbytes for audio in list(self._cache.values()))

    def examine(self, indices: Iterable[int]) -> None:
        """Looks into files that are not known yet, several at once."""
        new = sorted({i for i in indices if i not in self._verdicts})
        if len(new) > 1:
            workers = min(8, os.cpu_count() or 1, len(new))
            with concurrent.futures.ThreadPoolExecutor(workers) as pool:
                list(pool.map(self._verdict, new))

    def peak(self, index: int) -> float:
        """Returns the peak of a file before levelling, see `measure_peak`."""
        verdict = self._verdict(index)
        if isinstance(verdict, AudioFileError):
            raise AudioFileError(verdict.path, verdict.reason)
        return verdict

    def read(self, index: int, start: int, out: np.ndarray) -> bool:
        """Reads a levelled section of a file, counted from where it is used.

        Args:
            index: Number of the file.
            start: First sample; may be negative.
            out: float32 array `(length, num_channels)` to fill; what lies
                outside of the file becomes zero.

        Returns:
            Whether it is more than silence, if the data set is trimmed; else
            yes.

        Raises:
            AudioFileError: If the file, or this section of it, is bad.
        """
        peak = self.peak(index)
        total = int(self.lengths[index])
        first, stop = max(start, 0), min(start + len(out), total)
        out[:] = 0.0
        if stop <= first:
            return self._silence < 0.0
        if self._kept[index]:
            section = self._once(self._cache, index, self._decode)[first:stop]
        else:
            section = self._decode(index, first, stop)
        inside = out[first - start : stop - start]
        if self.level == "peak":
            np.divide(section, np.float32(peak), out=inside)
            entry = self.folder.files[index]
            if not is_exact(entry.num_samples, entry.sampling_rate):
                # Louder than every window that was looked at: turning the
                # slice down does less harm than clipping it.
                loudest = max(float(inside.max()), -float(inside.min()))
                inside /= np.float32(max(1.0, loudest))
        elif self.level == "keep":
            inside[:] = section
        else:
            np.multiply(section, np.float32(self.level), out=inside)
        np.clip(inside, -1.0, 1.0, out=inside)
        return sounds(section, peak, self._silence)

    def _once(
        self, known: dict[int, T], index: int, find: Callable[[int], T]
    ) -> T:
        """What is known of a file, found by the first thread that asks."""
        if index not in known:
            with self._locks[index % _NUM_LOCKS]:
                if index not in known:
                    known[index] = find(index)
        return known[index]

    def _verdict(self, index: int) -> float | AudioFileError:
        return self._once(self._verdicts, index, self._examine)

    def _decode(
        self, index: int, first: int = 0, stop: int | None = None
    ) -> np.ndarray:
        entry = self.folder.files[index]
        path = entry.path
        length = (int(self.lengths[index]) if stop is None else stop) - first
        # Opened afresh each time: an MP3 decoder that was used before gives
        # other last bits after a seek.
        with open_sound(path) as sound:
            # Rounded down, so that no section ends behind the file.
            first += entry.start * self.sampling_rate // entry.sampling_rate
            audio = read_section(
                sound, first, length, self.sampling_rate, self.num_channels
            )
        checked_section(path, audio)
        if len(audio) != length:
            raise AudioFileError(path, "changed while it was in use")
        return audio

    def _examine(self, index: int) -> float | AudioFileError:
        entry = self.folder.files[index]
        exact = is_exact(entry.num_samples, entry.sampling_rate)
        form = self.sampling_rate, self.num_channels
        try:
            if not self._kept[index] or not exact:
                return measure_peak(entry.path, *form)
            audio = self._decode(index)
            peak = checked_peak(entry.path, audio)
        except AudioFileError as error:
            return error
        self._cache[index] = audio
        return peak


def _choose_kept(
    files: Sequence[AudioFile],
    lengths: np.ndarray,
    sampling_rate: int,
    num_channels: int,
    cache_bytes: int,
) -> np.ndarray:
    """Which files stay in memory: those that gain most, then the short."""

    def is_cheap(entry: AudioFile) -> bool:
        return entry.sampling_rate == sampling_rate and (
            not entry.path.lower().endswith(_SLOW_SEEK)
        )

    order = sorted(
        range(len(files)), key=lambda i: (is_cheap(files[i]), lengths[i], i)
    )
    sizes = lengths[order] * (4 * num_channels)
    kept = np.zeros(len(files), dtype=bool)
    kept[np.asarray(order)[np.cumsum(sizes) <= cache_bytes]] = True
    return kept
