"""Opens sound files so that their length is what decoding them gives."""

import abc
import contextlib
import functools
import io
import os
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
import soundfile

from keras_audiogan._names import (
    LFS_ADVICE,
    LFS_POINTER,
    LFS_REASON,
    native,
)
from keras_audiogan.audio import containers, mpeg
from keras_audiogan.audio.containers import Piece, Region
from keras_audiogan.audio.errors import AudioFileError

# What libsndfile reports for a stream that does not state its length.
_UNKNOWN_LENGTH = 1 << 62
_BLOCK = 1 << 16
_CACHED_LAYOUTS = 1 << 16

# A file that libsndfile can read as it is.
_WHOLE = Piece(0, 0)

# Pieces for libsndfile, or parts of an MP3.
Layout = Sequence[Piece | mpeg.MpegPart]


def _make_types() -> None:
    """Uses all of soundfile that threads will use, once, in one of them.

    cffi makes its types and functions where they are first needed, and ends
    the process if two threads make one at once. Python imports a module once,
    and every thread that reads or writes sound here waits for this one.
    """
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 8000, 1, format="WAV") as sound:
        sound.write(np.zeros(1, np.float32))
    file.seek(0)
    with soundfile.SoundFile(file) as sound:
        sound.seek(0)
        sound.read(dtype="float32")
        sound.extra_info  # noqa: B018
    # No sound: what errors need, and files that are opened by name.
    with contextlib.suppress(soundfile.SoundFileError):
        soundfile.SoundFile(os.devnull)


_make_types()


class Reader(abc.ABC):
    """An open sound file; a context manager.

    Attributes:
        name: The file.
        frames: Length in samples.
        samplerate: In Hz.
        channels: Number of channels.
        format: Container, e.g. `"WAV"`.
        subtype: Encoding, e.g. `"PCM_16"`.
        extra_info: libsndfile's remarks on the header.
        ends: Where the sounds end that it is joined from, in samples.
    """

    name: str
    frames: int
    samplerate: int
    channels: int
    format: str
    subtype: str
    extra_info: str = ""

    @property
    def ends(self) -> tuple[int, ...]:
        """One end, unless it is joined."""
        return (self.frames,)

    @abc.abstractmethod
    def read(self, first: int, length: int) -> np.ndarray:
        """Decodes samples at the file's own rate.

        Returns:
            float32 array `(length, channels)`, shorter where the file ends.

        Raises:
            soundfile.SoundFileError: If the file is damaged.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Closes the file."""

    def __enter__(self) -> "Reader":
        """Returns itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the file."""
        self.close()


class _SndfileReader(Reader):
    """A file, or a piece of one, that libsndfile decodes."""

    def __init__(self, path: str, piece: Piece) -> None:
        self.name, self._piece = path, piece
        self._open()
        sound = self._sound
        self.frames = piece.num_samples or sound.frames
        self.samplerate = sound.samplerate
        self.channels, self.format = sound.channels, sound.format
        self.subtype, self.extra_info = sound.subtype, sound.extra_info

    def _open(self) -> None:
        self._at = 0
        self._file = _region(self.name, self._piece)
        try:
            self._sound = soundfile.SoundFile(self._file or native(self.name))
        except BaseException:
            self._close_file()
            raise

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()

    def read(self, first: int, length: int) -> np.ndarray:
        if self._at != first and self._sound.seekable():
            self._sound.seek(first)
            self._at = first
        elif self._at > first:
            # GSM, G.721 and their like can only be read from the start.
            self.close()
            self._open()
        while self._at < first:
            skipped = self._sound.read(min(_BLOCK, first - self._at))
            if not len(skipped):
                return np.zeros((0, self.channels), np.float32)
            self._at += len(skipped)
        audio = self._sound.read(length, dtype="float32", always_2d=True)
        self._at += len(audio)
        return audio

    def close(self) -> None:
        self._sound.close()
        self._close_file()


class _MpegReader(Reader):
    """A part of an MP3 file."""

    def __init__(self, path: str, part: mpeg.MpegPart) -> None:
        self.name, self._part = path, part
        self.frames = part.num_samples
        self.samplerate, self.channels = part.frame.kind
        self.format, self.subtype = "MP3", "MPEG_LAYER_III"
        self._file = open(path, "rb")

    def read(self, first: int, length: int) -> np.ndarray:
        length = max(0, min(length, self.frames - first))
        return mpeg.decode(self._file, self._part, first, length)

    def close(self) -> None:
        self._file.close()


class _JoinedReader(Reader):
    """Sounds of one rate that stand in a file end to end."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = readers
        first = readers[0]
        self.name = first.name
        self.samplerate, self.channels = first.samplerate, first.channels
        self.format, self.subtype = first.format, first.subtype
        self.extra_info = "\n".join(x.extra_info for x in readers)
        lengths = [reader.frames for reader in readers]
        self._ends = tuple(int(end) for end in np.cumsum(lengths))
        self.frames = self._ends[-1]

    @property
    def ends(self) -> tuple[int, ...]:
        return self._ends

    def read(self, first: int, length: int) -> np.ndarray:
        pieces = [np.zeros((0, self.channels), np.float32)]
        stop = first + length
        for reader, end in zip(self._readers, self._ends, strict=True):
            start = end - reader.frames
            low, high = max(first, start), min(stop, end)
            if low >= high:
                continue
            piece = reader.read(low - start, high - low)
            pieces.append(piece)
            if len(piece) < high - low:
                break
        return np.concatenate(pieces)

    def close(self) -> None:
        for reader in self._readers:
            reader.close()


def open_reader(path: str, status: os.stat_result) -> Reader:
    """Opens a regular file for reading.

    Where its header cannot be trusted, what decoding it needs to know is
    found once, and again when its size or time is another.

    Raises:
        AudioFileError: If it is not sound, or cannot be read to its end.
    """
    try:
        with contextlib.ExitStack() as opened:
            readers: list[Reader] = [
                opened.enter_context(
                    _SndfileReader(path, part)
                    if isinstance(part, Piece)
                    else _MpegReader(path, part)
                )
                for part in _layout(path, status.st_size, status.st_mtime_ns)
            ]
            opened.pop_all()
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        # TypeError: headerless formats (".raw"), whose rate must be guessed.
        raise AudioFileError(
            path, f"not sound that can be read ({short(error)})"
        ) from error
    except mpeg.DamagedError as error:
        raise AudioFileError(path, str(error)) from error
    forms = {(reader.samplerate, reader.channels) for reader in readers}
    if len(forms) > 1:
        for reader in readers:
            reader.close()
        raise AudioFileError(
            path,
            f"{len(readers)} sounds joined end to end, of different forms ("
            + ", ".join(f"{rate} Hz with {n} channel(s)" for rate, n in forms)
            + "), of which only the first could be read: split the file, or "
            "encode it again",
        )
    return readers[0] if len(readers) == 1 else _JoinedReader(readers)


@functools.lru_cache(_CACHED_LAYOUTS)
def _layout(path: str, size: int, time: int) -> Layout:
    """What a file of this size and time is made of."""
    with open(path, "rb") as file:
        head = file.read(64)
        if head.startswith(LFS_POINTER):
            raise AudioFileError(path, f"{LFS_REASON}. {LFS_ADVICE}")
        if path.lower().endswith(".mp3") or _is_mpeg(head):
            parts = mpeg.find_parts(file)
            if parts:
                return parts
        pieces = containers.find_pieces(file, size)
        if pieces == [Piece(0, size)]:
            pieces = [_WHOLE]
        return [_checked(path, file, piece) for piece in pieces]


def _is_mpeg(head: bytes) -> bool:
    header = int.from_bytes(head[:4], "big")
    return head[:3] == b"ID3" or mpeg.parse_frame(header) is not None


def _checked(path: str, file: BinaryIO, piece: Piece) -> Piece:
    """A piece whose header states the length of its sound."""
    try:
        with _SndfileReader(path, piece) as reader:
            num_samples = reader.frames
            if reader.format == "MP3":
                # Layers I and II, of which libsndfile guesses the length.
                num_samples = 0
                while present := len(reader.read(num_samples, _BLOCK)):
                    num_samples += present
                return piece._replace(num_samples=num_samples)
    except soundfile.SoundFileError:
        mended = containers.mended(file, _sized(file, piece))
        if mended is None:
            raise
        return mended
    if num_samples == 0:
        return containers.mended(file, _sized(file, piece)) or piece
    if num_samples >= _UNKNOWN_LENGTH and reader.format in ("FLAC", "OGG"):
        return _counted(path, _sized(file, piece))
    return piece


def _sized(file: BinaryIO, piece: Piece) -> Piece:
    return piece if piece.stop else Piece(0, file.seek(0, io.SEEK_END))


def _counted(path: str, piece: Piece) -> Piece:
    """A FLAC stream of unknown length behind a header that states it."""
    region = _region(path, piece)
    if region is None:
        return piece
    with region, soundfile.SoundFile(region) as sound:
        form = (_BLOCK, sound.channels)
        count, present = 0, _BLOCK
        while present == _BLOCK:
            block = np.full(form, np.nan, np.float32)
            # At the end of such a stream libsndfile reports an error instead
            # of the samples before it, which it has written all the same.
            with contextlib.suppress(soundfile.SoundFileError):
                sound.read(out=block)
            present = int(np.isfinite(block[:, 0]).sum())
            count += present
        read = region.tell()
        if read < region.seek(0, io.SEEK_END):
            raise AudioFileError(
                path,
                "truncated or damaged: decoding ends after "
                f"{count / sound.samplerate:.2f} s, before the end of the file",
            )
        region.seek(0)
        head = containers.with_flac_samples(
            region.read(containers.FLAC_HEAD), count
        )
    if piece.is_ogg_flac:
        return piece._replace(head=head)
    return Piece(piece.start + len(head), piece.stop, head)


def _region(path: str, piece: Piece) -> BinaryIO | Region | None:
    """A piece of a file as a file, None for the whole of it as it is."""
    if not piece.stop:
        return None
    file = open(path, "rb")  # noqa: SIM115
    if not piece.is_ogg_flac:
        return Region(file, piece)
    with file:
        data = containers.unwrapped_flac(file, piece)
    return io.BytesIO(piece.head + data[len(piece.head) :])


def short(error: BaseException) -> str:
    """What an error of libsndfile or of the system says, in one line."""
    text = getattr(error, "error_string", None) or str(
        getattr(error, "strerror", None) or error
    )
    return " ".join(text.split()).rstrip(".")
