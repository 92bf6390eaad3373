"""MP3 files, frame by frame: their true length, and any section of them.

libsndfile takes the number of frames from the header of the file's encoder
or, without one, guesses it from the first frame; it reads no sound behind
that, and its decoder prints what it misses after a jump. Here the frames are
counted, and the decoder gets those of a section as a little file of its own,
with a header that is true. Formats: ISO 11172-3 and 13818-3, and the "Info"
frame of LAME (http://gabriel.mp3-tech.org/mp3infotag.html).
"""

import array
import dataclasses
import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
import soundfile

# Kilobits per second by index, MPEG-1 and MPEG-2, layer III.
_BIT_RATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_RATES = (44100, 48000, 32000)

# Samples by which a decoder is late, which it leaves out by itself where a
# header such as ours is present.
_DECODER_DELAY = 529

# How far back a frame may reach for its bits.
_RESERVOIR_BYTES = 511
# Frames after which a decoder's filters have forgotten where it started.
_FILTER_FRAMES = 3
# Every so many frames a place is noted. The decoder's rounding repeats after
# eight frames, so that a section that starts at such a place is the same to
# the last bit.
_MARK_EVERY = 64
_ALIGNMENT = 8
_RUN_FRAMES = 2048

_BLOCK = 1 << 20
_LONGEST_FRAME = 2881
# Of this much that is no sound, a file is called damaged.
_MOST_JUNK = 0.1
_LEAST_JUNK = 1 << 13


class Frame(NamedTuple):
    """What the four bytes at the start of a frame say."""

    num_bytes: int
    num_samples: int
    sampling_rate: int
    num_channels: int
    is_low_rate: bool
    has_checksum: bool

    @property
    def side_bytes(self) -> int:
        """Bytes between the header (and checksum) and the sound."""
        if self.is_low_rate:
            return 9 if self.num_channels == 1 else 17
        return 17 if self.num_channels == 1 else 32

    @property
    def kind(self) -> tuple[int, int]:
        """What all frames of a sound have in common."""
        return self.sampling_rate, self.num_channels


def parse_frame(header: int) -> Frame | None:
    """Reads the header of a frame of layer III; None if it is none."""
    version, bit_rate = header >> 19 & 3, header >> 12 & 15
    rate = header >> 10 & 3
    if header >> 21 != 0x7FF or version == 1 or header >> 17 & 3 != 1:
        return None
    if bit_rate in (0, 15) or rate == 3:
        return None
    low = version != 3
    hertz = _RATES[rate] >> (0 if version == 3 else 1 if version == 2 else 2)
    samples = 576 if low else 1152
    return Frame(
        samples // 8 * 1000 * _BIT_RATES[low][bit_rate] // hertz
        + (header >> 9 & 1),
        samples,
        hertz,
        1 if header >> 6 & 3 == 3 else 2,
        low,
        not header >> 16 & 1,
    )


@dataclasses.dataclass
class MpegPart:
    """Frames that belong together: all of a file, or of one joined to others.

    Attributes:
        frame: The header of the first of them.
        marks: Where every 64th frame begins in the file.
        num_frames: Number of frames that hold sound.
        delay: Samples of the encoder's before the sound.
        padding: Samples of it after the sound.
        promised: Number of frames its own header states, 0 without one.
    """

    frame: Frame
    marks: "array.array[int]"
    num_frames: int = 0
    delay: int = 0
    padding: int = 0
    promised: int = 0

    @property
    def num_samples(self) -> int:
        """Length in samples."""
        total = self.num_frames * self.frame.num_samples
        return max(0, total - self.delay - self.padding)


class DamagedError(ValueError):
    """The frames end too early, or much of a file is none."""


def find_parts(file: BinaryIO) -> list[MpegPart] | None:
    """Counts the frames of an MP3 file.

    Returns:
        Its parts, of which most files have one; None if it is no MP3.

    Raises:
        DamagedError: If it is truncated or damaged.
    """
    start, stop = _without_tags(file)
    parts: list[MpegPart] = []
    num_sound = 0
    tags: list[int] = []
    for at, frame, data in _walk(file, start, stop, tags):
        num_sound += frame.num_bytes
        part = parts[-1] if parts else None
        head = _read_info(frame, data)
        if head is not None:
            parts.append(MpegPart(frame, array.array("Q"), *head))
            continue
        if (
            part is None
            or frame.kind != part.frame.kind
            or _is_joint(part, frame, data)
        ):
            part = MpegPart(frame, array.array("Q"))
            parts.append(part)
        if part.num_frames % _MARK_EVERY == 0:
            part.marks.append(at)
        part.num_frames += 1
    if not parts:
        return None
    junk = stop - start - num_sound - sum(tags)
    if junk > max(_LEAST_JUNK, _MOST_JUNK * (stop - start)):
        raise DamagedError(
            f"truncated or damaged: {junk} of its {stop - start} bytes hold "
            "no MP3 frames"
        )
    for part in parts:
        missing = part.promised - part.num_frames
        seconds = part.frame.num_samples / part.frame.sampling_rate
        if missing > 1:
            raise DamagedError(
                f"truncated: its header promises "
                f"{part.promised * seconds:.2f} s, the end is missing after "
                f"{part.num_frames * seconds:.2f} s"
            )
        if part.promised and missing == 1:
            # An encoder that counted its own header.
            part.padding = max(0, part.padding - part.frame.num_samples)
    return [part for part in parts if part.num_frames]


def _read_info(frame: Frame, data: bytes) -> tuple[int, int, int, int] | None:
    """Fields of an encoder's header frame; None for a frame of sound."""
    at = 4 + frame.side_bytes
    if data[36:40] == b"VBRI" and len(data) >= 54:
        return 0, 0, 0, int.from_bytes(data[50:54], "big")
    if data[at : at + 4] not in (b"Xing", b"Info") or len(data) < at + 8:
        return None
    flags = int.from_bytes(data[at + 4 : at + 8], "big")
    promised = int.from_bytes(data[at + 8 : at + 12], "big") * (flags & 1)
    sizes = 4 * (flags & 1), 2 * (flags & 2), 25 * (flags & 4), flags >> 1 & 4
    lame = at + 8 + sum(sizes)
    delay = padding = 0
    if len(data) >= lame + 24 and data[lame] and promised:
        both = int.from_bytes(data[lame + 21 : lame + 24], "big")
        delay, padding = both >> 12, both & 0xFFF
    return 0, delay, padding, promised


def _is_joint(part: MpegPart, frame: Frame, data: bytes) -> bool:
    """Whether a frame begins another file, joined without a header.

    The frames that the header promised are over by then, and such a frame
    can take no bits from those before it. (If it does, the header lies.)
    """
    if not part.promised or part.num_frames < part.promised:
        return False
    at = 6 if frame.has_checksum else 4
    back = data[at] if frame.is_low_rate else data[at] << 1 | data[at + 1] >> 7
    if back:
        part.promised, part.padding = 0, 0
    return back == 0


def _without_tags(file: BinaryIO) -> tuple[int, int]:
    """Where the sound begins and stops, without what was put around it."""
    stop = file.seek(0, io.SEEK_END)
    start = 0
    while length := _tag_length(_peek(file, start, 32)):
        start += length
    if _peek(file, stop - 128, 3) == b"TAG":
        stop -= 128
    footer = _peek(file, stop - 32, 16)
    if footer[:8] == b"APETAGEX":
        stop -= int.from_bytes(footer[12:16], "little")
        if _peek(file, stop - 32, 8) == b"APETAGEX":
            stop -= 32
    return min(start, stop), max(stop, 0)


def _peek(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(max(at, 0))
    return file.read(length)


def _tag_length(data: bytes) -> int:
    """Length of a tag that begins here, 0 if none does."""
    if data[:3] == b"ID3" and len(data) >= 10:
        size = 0
        for byte in data[6:10]:
            size = size << 7 | byte & 127
        return 10 + size + (10 if data[5] & 16 else 0)
    if data[:3] == b"TAG":
        return 128
    if data[:8] == b"APETAGEX" and len(data) >= 24:
        is_header = data[23] & 0x20
        return 32 + int.from_bytes(data[12:16], "little") * bool(is_header)
    return 0


def _walk(
    file: BinaryIO, start: int, stop: int, tags: list[int]
) -> Iterator[tuple[int, Frame, bytes]]:
    """Yields place, header and bytes of the whole frames of a file.

    Bytes that are no frames are passed over; `tags` gets the lengths of those
    that are tags.
    """
    at, base, data = start, start, b""
    known: dict[int, Frame | None] = {}
    in_step = False
    while at + 4 <= stop:
        here = at - base
        if here + 2 * _LONGEST_FRAME > len(data) and base + len(data) < stop:
            file.seek(at)
            data = file.read(min(_BLOCK, stop - at))
            base, here = at, 0
            if len(data) < 4:
                return
        header = int.from_bytes(data[here : here + 4], "big")
        if header not in known:
            known[header] = parse_frame(header)
        frame = known[header]
        if frame is not None and (
            in_step or _follows(data, here + frame.num_bytes, frame)
        ):
            end = here + frame.num_bytes
            if at + frame.num_bytes > stop:
                return
            yield at, frame, data[here:end]
            at += frame.num_bytes
            in_step = True
            continue
        in_step = False
        length = _tag_length(data[here : here + 32])
        if length:
            tags.append(length)
            at += length
            continue
        found = data.find(b"\xff", here + 1)
        at = base + (found if found >= 0 else len(data))


def _follows(data: bytes, at: int, frame: Frame) -> bool:
    """Whether the end of the file, a tag or a like frame is at `at`."""
    if at >= len(data):
        return at == len(data)
    following = parse_frame(int.from_bytes(data[at : at + 4], "big"))
    return bool(_tag_length(data[at : at + 32])) or (
        following is not None and following.kind == frame.kind
    )


def decode(
    file: BinaryIO, part: MpegPart, first: int, length: int
) -> np.ndarray:
    """Decodes a section of a part of an MP3 file.

    Args:
        file: The file.
        part: One of its parts, see `find_parts`.
        first: First sample of the section in the part.
        length: Number of samples.

    Returns:
        float32 array `(length, channels)`, shorter where the frames are
        damaged.

    Raises:
        soundfile.SoundFileError: If they cannot be decoded at all.
    """
    per_frame = part.frame.num_samples
    at, stop = part.delay + first, part.delay + first + length
    pieces = [np.zeros((0, part.frame.num_channels), np.float32)]
    while at < stop:
        low = at // per_frame
        high = min(-(-stop // per_frame), low + _RUN_FRAMES, part.num_frames)
        run = _decode_frames(file, part, low, high)
        piece = run[at - low * per_frame : stop - low * per_frame]
        pieces.append(piece)
        at += len(piece)
        if len(run) < (high - low) * per_frame or not len(piece):
            break
    return np.concatenate(pieces)


def _decode_frames(
    file: BinaryIO, part: MpegPart, low: int, high: int
) -> np.ndarray:
    """Decodes frames `low` to `high`, the decoder's delay made good."""
    lead = max(0, low - _FILTER_FRAMES)
    # How many frames hold the bits that the first may ask for is known once
    # they are read; few bits per frame are rare.
    reach = 64 if lead > 64 else lead
    start = (lead - reach) // _ALIGNMENT * _ALIGNMENT
    frames = _frames(file, part, start, min(high + 1, part.num_frames))
    bits = 0
    first = lead - start
    while first and bits < _RESERVOIR_BYTES:
        first -= 1
        bits += len(frames[first][1]) - frames[first][0].side_bytes - 6
    first -= first % _ALIGNMENT
    bits = 0
    sent = []
    for index, (frame, data) in enumerate(frames[first:], start + first):
        sent.append(_silenced(frame, data, bits) if index < lead else data)
        bits += frame.num_bytes - frame.side_bytes - 4
    if high >= part.num_frames:
        # What lets the filters play out.
        sent.append(_silenced(*frames[-1], 0))
    header = _info_frame(frames[first][1], len(sent), sum(map(len, sent)))
    with soundfile.SoundFile(io.BytesIO(header + b"".join(sent))) as sound:
        audio = sound.read(dtype="float32", always_2d=True)
    per_frame = part.frame.num_samples
    skipped = (low - start - first) * per_frame
    return audio[skipped : skipped + (high - low) * per_frame]


def _frames(
    file: BinaryIO, part: MpegPart, first: int, stop: int
) -> list[tuple[Frame, bytes]]:
    mark = first // _MARK_EVERY
    end = file.seek(0, io.SEEK_END)
    found = []
    for _, frame, data in _walk(file, part.marks[mark], end, []):
        found.append((frame, data))
        if len(found) == stop - mark * _MARK_EVERY:
            break
    return found[first - mark * _MARK_EVERY :]


def _silenced(frame: Frame, data: bytes, bits: int) -> bytes:
    """A frame of silence whose bits later frames can still ask for."""
    start = 6 if frame.has_checksum else 4
    side = bytearray(frame.side_bytes)
    if frame.is_low_rate:
        side[0] = min(bits, 255)
    else:
        back = min(bits, _RESERVOIR_BYTES)
        side[0], side[1] = back >> 1, (back & 1) << 7
    header = bytes([data[0], data[1] | 1, data[2], data[3]])
    # The checksum would be wrong: it goes, and two bytes that nobody asks for
    # begin the bits instead, so that the frame keeps its length.
    rest = data[start + frame.side_bytes :]
    return header + bytes(side) + bytes(start - 4) + rest


def _info_frame(data: bytes, num_frames: int, num_bytes: int) -> bytes:
    """A header like the encoder's, with the number of frames to come."""
    header = int.from_bytes(data[:4], "big")
    # No checksum, no padding, and a bit rate that leaves room for the fields.
    header = header & ~0xF200 | 0x18000
    frame = parse_frame(header)
    if frame is None:
        raise soundfile.SoundFileError("no MP3 frame")
    fields = struct.pack(
        ">4sIII", b"Info", 3, num_frames, num_bytes + frame.num_bytes
    )
    head = header.to_bytes(4, "big") + bytes(frame.side_bytes) + fields
    return head.ljust(frame.num_bytes, b"\0")
