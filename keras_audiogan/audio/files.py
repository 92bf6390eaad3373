"""Sound files in and out, through libsndfile.

Sound is float32 `(time, channels)` in [-1, 1]. What libsndfile reads is read:
WAV, FLAC, Ogg Vorbis and Opus, MP3, AIFF, AU, CAF, W64 and others.
"""

import contextlib
import dataclasses
import io
import os
import pathlib
import stat
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile

from keras_audiogan.audio.errors import AudioFileError, PathLike
from keras_audiogan.audio.readers import Reader, open_reader, short
from keras_audiogan.audio.resampling import (
    resample,
    resampled_length,
    source_section,
)

# Extensions of sound files, lower case.
AUDIO_EXTENSIONS = tuple(
    ".aif .aifc .aiff .au .caf .flac .mp3 .oga .ogg .opus .rf64 .snd .w64 "
    ".wav .wave".split()
)

_WRITERS = {
    ".aif": ("AIFF", "PCM_16"),
    ".aiff": ("AIFF", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".oga": ("OGG", "VORBIS"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".wav": ("WAV", "PCM_16"),
}

# libsndfile's Vorbis encoder keeps a block on the stack: a whole minute in
# one call crashes the process.
_WRITE_BLOCK = 1 << 14


@dataclasses.dataclass(frozen=True)
class AudioInfo:
    """What a sound file's header says.

    Attributes:
        path: The file.
        num_samples: Length in samples at `sampling_rate`.
        sampling_rate: In Hz.
        num_channels: 1 for mono, 2 for stereo.
        format: Container, e.g. `"WAV"` or `"FLAC"`.
        subtype: Encoding, e.g. `"PCM_16"`.
        remarks: libsndfile's remarks on the header, line by line.
    """

    path: str
    num_samples: int
    sampling_rate: int
    num_channels: int
    format: str
    subtype: str
    remarks: str = dataclasses.field(default="", repr=False)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.sampling_rate


def audio_info(path: PathLike) -> AudioInfo:
    """Returns the length, rate, channels and format of a sound file.

    The length is that of the decoded sound. Where a header cannot be trusted
    (MP3, FLAC from a stream, files joined end to end) the file is read once.

    Raises:
        AudioFileError: If the file is missing, unreadable, empty or not
            sound, or cannot be read to its end.
    """
    with open_sound(path) as sound:
        return sound_info(sound)


def sound_info(sound: Reader) -> AudioInfo:
    """Returns the header of an open file, see `open_sound`."""
    return AudioInfo(
        path=sound.name,
        num_samples=sound.frames,
        sampling_rate=sound.samplerate,
        num_channels=sound.channels,
        format=sound.format,
        subtype=sound.subtype,
        remarks=sound.extra_info,
    )


def open_sound(path: PathLike) -> Reader:
    """Opens a sound file for reading; the caller closes it.

    Raises:
        AudioFileError: As `audio_info`.
    """
    path = os.fspath(path)
    try:
        status = os.stat(path)
    except FileNotFoundError:
        reason = "broken link" if os.path.islink(path) else "no such file"
        raise AudioFileError(path, reason) from None
    except OSError as error:
        raise AudioFileError(
            path, f"unreadable ({error.strerror or error})"
        ) from error
    if stat.S_ISDIR(status.st_mode):
        raise AudioFileError(path, "a folder, not a sound file")
    # Opening a named pipe would wait for a writer for ever.
    if not stat.S_ISREG(status.st_mode):
        raise AudioFileError(path, "not a regular file")
    if status.st_size == 0:
        raise AudioFileError(path, "empty file (0 bytes)")
    if not os.access(path, os.R_OK):
        raise AudioFileError(path, "unreadable (permission denied)")
    return open_reader(path, status)


def read_audio(
    path: PathLike,
    sampling_rate: int | None = None,
    num_channels: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
) -> tuple[np.ndarray, int]:
    """Reads a sound file, or a part of it.

    Args:
        path: The file.
        sampling_rate: Wanted rate in Hz; the sound is resampled (soxr).
            Defaults to the file's own.
        num_channels: Wanted number of channels, see `convert_channels`.
            Defaults to the file's own.
        start: Where to begin, in seconds.
        duration: How much to read, in seconds. Defaults to the rest. What
            lies past the end of the file is left out.

    Returns:
        `(audio, rate)`: float32 `(time, channels)` and its rate in Hz.

    Raises:
        AudioFileError: If the file cannot be read or is damaged.
        ValueError: If `start`, `duration`, the rate or the channels are out
            of range.
    """
    if start < 0 or (duration is not None and duration < 0):
        raise ValueError(
            "`start` and `duration` are seconds and cannot be negative. "
            f"Received: start={start}, duration={duration}."
        )
    if sampling_rate is not None and sampling_rate < 1:
        raise ValueError(
            "`sampling_rate` must be positive, in Hz. "
            f"Received: sampling_rate={sampling_rate}."
        )
    with open_sound(path) as sound:
        rate = sampling_rate or sound.samplerate
        total = resampled_length(sound.frames, sound.samplerate, rate)
        first = min(round(start * rate), total)
        length = total - first
        if duration is not None:
            length = min(length, round(duration * rate))
        audio = read_section(sound, first, length, rate, num_channels)
    return audio, rate


def read_section(
    sound: Reader,
    start: int,
    length: int,
    sampling_rate: int,
    num_channels: int | None = None,
) -> np.ndarray:
    """Reads a section of an open file at another rate.

    Only the section and the resampling filter's reach on both sides are
    decoded; the result equals that section of the whole file resampled.

    Args:
        sound: The open file, see `open_sound`.
        start: First sample, at `sampling_rate`.
        length: Number of samples, at `sampling_rate`.
        sampling_rate: Wanted rate in Hz.
        num_channels: Wanted number of channels. Defaults to the file's own.

    Returns:
        float32 array `(length, num_channels)`, shorter where the file ends.

    Raises:
        AudioFileError: If the file is damaged or ends before its header
            says.
    """
    first, stop, skip = source_section(
        start, length, sound.samplerate, sampling_rate
    )
    stop = min(stop, sound.frames)
    audio = decode(sound, first, max(0, stop - first))
    if num_channels is not None:
        audio = convert_channels(audio, num_channels)
    audio = resample(audio, sound.samplerate, sampling_rate)
    return audio[skip : skip + length]


def decode(sound: Reader, first: int, length: int) -> np.ndarray:
    """Decodes samples of an open file at its own rate.

    Returns:
        float32 array `(length, channels)`, from the sample `first` on.

    Raises:
        AudioFileError: If the file is damaged or ends before its header
            says.
    """
    path = sound.name
    if length == 0:
        return np.zeros((0, sound.channels), np.float32)
    try:
        audio = sound.read(first, length)
    except soundfile.SoundFileError as error:
        raise AudioFileError(
            path, f"truncated or damaged ({short(error)})"
        ) from error
    if len(audio) < length:
        raise AudioFileError(
            path,
            f"truncated: {sound.frames} samples expected, only "
            f"{first + len(audio)} found",
        )
    return audio


def convert_channels(audio: np.ndarray, num_channels: int) -> np.ndarray:
    """Changes the number of channels.

    Mono is duplicated, stereo is averaged to mono. In general channel `i` of
    the input goes to channel `i % num_channels`, where several are averaged;
    missing channels repeat the first ones.

    Args:
        audio: Array `(..., time, channels)`.
        num_channels: Wanted number of channels.

    Returns:
        float32 array `(..., time, num_channels)`.

    Raises:
        ValueError: If `num_channels` is not positive.
    """
    if num_channels < 1:
        raise ValueError(
            "`num_channels` must be at least 1. "
            f"Received: num_channels={num_channels}."
        )
    audio = np.asarray(audio, dtype=np.float32)
    present = audio.shape[-1]
    if present == num_channels:
        return audio
    if present < num_channels:
        return audio[..., np.arange(num_channels) % present]
    # Adding whole channels is many times faster than a mean along the short
    # last axis.
    result = audio[..., :num_channels].copy()
    counts = np.ones(num_channels, dtype=np.float32)
    for channel in range(num_channels, present):
        result[..., channel % num_channels] += audio[..., channel]
        counts[channel % num_channels] += 1
    result /= counts
    return result


def write_audio(
    path: PathLike,
    audio: np.ndarray,
    sampling_rate: int,
    subtype: str | None = None,
) -> None:
    """Writes a sound file; the extension chooses the format.

    The file appears under its name when it is complete; values outside
    [-1, 1] are clipped.

    Args:
        path: The file: `.wav`, `.flac`, `.ogg`, `.opus`, `.mp3` or `.aiff`.
            Missing folders are made.
        audio: Array `(time,)` or `(time, channels)`.
        sampling_rate: In Hz.
        subtype: Encoding, in soundfile's names. Defaults to `"PCM_16"` for
            WAV, FLAC and AIFF, `"VORBIS"` for Ogg.

    Raises:
        AudioFileError: If the extension is unknown, or the format cannot
            hold this sound, or the disk refuses.
        ValueError: If `audio` has another shape, no samples, or values that
            are not finite.
    """
    audio = with_channels(audio)
    if not np.isfinite(audio).all():
        raise ValueError(
            f"Sound for {path} holds values that are not finite (NaN or "
            f"infinity): {np.count_nonzero(~np.isfinite(audio))} of "
            f"{audio.size}. Nothing was written."
        )
    with AudioWriter(path, sampling_rate, audio.shape[1], subtype) as writer:
        writer.write(audio)


def with_channels(audio: np.ndarray) -> np.ndarray:
    """Returns sound `(time,)` or `(time, channels)` as `(time, channels)`.

    Raises:
        ValueError: If it has another shape or no samples.
    """
    audio = np.asarray(audio, dtype=np.float32)
    if audio.ndim == 1:
        audio = audio[:, None]
    if audio.ndim != 2 or 0 in audio.shape:
        raise ValueError(
            "Sound must have shape (time,) or (time, channels) and hold "
            f"samples. Received: shape {audio.shape}."
        )
    return audio


class _Target(io.FileIO):
    """A file that libsndfile writes to, and what the disk said of it.

    libsndfile itself knows "System error" at best; of compressed formats it
    does not look whether what it wrote has arrived.
    """

    problem: OSError | None = None

    def write(self, data: Any) -> int:
        """Writes all of `data`, or notes why it cannot."""
        left = memoryview(data)
        try:
            while left and self.problem is None:
                left = left[super().write(left) or 0 :]
        except OSError as error:
            self.problem = error
        return len(data) - len(left)


class AudioWriter:
    """A sound file written part by part, in the memory of one part.

    A context manager. The file appears under its name when the block is left
    without an error; until then, and after one, nothing does.

    Args:
        path: As for `write_audio`.
        sampling_rate: In Hz.
        num_channels: 1 for mono.
        subtype: As for `write_audio`.

    Raises:
        AudioFileError: As `write_audio`, on entry, in `write` or at the end.
    """

    def __init__(
        self,
        path: PathLike,
        sampling_rate: int,
        num_channels: int = 1,
        subtype: str | None = None,
    ) -> None:
        self.path = path = pathlib.Path(path)
        if path.suffix.lower() not in _WRITERS:
            raise AudioFileError(
                path,
                "unknown extension; expected one of "
                + ", ".join(sorted(_WRITERS)),
            )
        self.sampling_rate = int(sampling_rate)
        self.num_channels = num_channels
        self._container, default_subtype = _WRITERS[path.suffix.lower()]
        self._subtype = subtype or default_subtype
        self._temporary = path.with_name(
            f".{path.stem}.{uuid.uuid4().hex}{path.suffix}"
        )
        self._sound: soundfile.SoundFile | None = None
        self._target: _Target | None = None

    def __enter__(self) -> "AudioWriter":
        """Opens the file; missing folders are made."""
        with self._explained():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            target = self._target = _Target(self._temporary, "w+")
            try:
                self._sound = soundfile.SoundFile(
                    target,
                    "w",
                    samplerate=self.sampling_rate,
                    channels=self.num_channels,
                    format=self._container,
                    subtype=self._subtype,
                )
            except BaseException:
                target.close()
                raise
        return self

    def write(self, audio: np.ndarray) -> None:
        """Appends sound; values outside [-1, 1] are clipped.

        Args:
            audio: Array `(time, num_channels)` of finite numbers.
        """
        if self._sound is None:
            raise ValueError(
                "`write` belongs inside a `with` block. Received: a writer "
                "that is not open"
            )
        audio = np.clip(np.asarray(audio, np.float32), -1.0, 1.0)
        with self._explained():
            for start in range(0, len(audio), _WRITE_BLOCK):
                self._sound.write(audio[start : start + _WRITE_BLOCK])
            self._check_disk()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Gives the file its name, or removes it after an error."""
        sound, self._sound = self._sound, None
        try:
            with self._explained():
                if sound is not None:
                    sound.close()
                if self._target is not None:
                    self._target.close()
                self._check_disk()
                if kind is None:
                    os.replace(self._temporary, self.path)
        finally:
            if self._target is not None:
                self._target.close()
            self._temporary.unlink(missing_ok=True)

    def _check_disk(self) -> None:
        if self._target is not None and self._target.problem is not None:
            raise self._target.problem

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (
            soundfile.SoundFileError,
            OSError,
            ValueError,
            # soundfile asserts that all was written.
            AssertionError,
        ) as error:
            self._temporary.unlink(missing_ok=True)
            cause = (self._target and self._target.problem) or error
            raise AudioFileError(
                self.path,
                f"cannot write {self.num_channels} channel(s) at "
                f"{self.sampling_rate} Hz as {self._container} "
                f"{self._subtype} ({short(cause)})",
            ) from cause
