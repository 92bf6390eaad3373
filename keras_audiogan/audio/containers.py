"""What of a file libsndfile is to see, where the file as it is misleads it.

Files can be joined end to end, and a recorder that dies leaves a header that
does not know the length of the sound. A `Piece` is a section of a file behind
a header that is right.
"""

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

_BLOCK = 1 << 20
_OGG_FIRST_PAGE = b"OggS\0\2"
_OGG_PAGE_BYTES = 27
_OGG_FLAC = b"\x7fFLAC"
# Mark, version and the number of packets before "fLaC".
_OGG_FLAC_BYTES = 9
_FLAC_STARTS = (b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22")
# The number of samples is the last 36 bits of these bytes.
_FLAC_COUNT = slice(21, 26)
FLAC_HEAD = 26
# Writers of WAV that do not know the size of 4 GiB or more put this.
_LARGE = 0xFFFFFFFF


class Piece(NamedTuple):
    """`head`, and behind it the bytes `start` to `stop` of a file.

    `num_samples` is known where libsndfile only guesses it, else 0.
    """

    start: int
    stop: int
    head: bytes = b""
    is_ogg_flac: bool = False
    num_samples: int = 0


class Region(io.RawIOBase):
    """A piece of an open file as a file of its own."""

    def __init__(self, file: BinaryIO, piece: Piece) -> None:
        super().__init__()
        self._file, self._piece = file, piece
        self._size = len(piece.head) + piece.stop - piece.start
        self._at = 0

    def readinto(self, buffer: Any) -> int:
        """Fills a buffer from here on; returns how much there was."""
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._size - self._at))
        head = self._piece.head[self._at : self._at + count]
        view[: len(head)] = head
        done = len(head)
        if count > done:
            behind = self._at + done - len(self._piece.head)
            self._file.seek(self._piece.start + behind)
            data = self._file.read(count - done)
            view[done : done + len(data)] = data
            done += len(data)
        self._at += done
        return done

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to a place; returns it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}
        self._at = max(0, base[whence] + offset)
        return self._at

    def tell(self) -> int:
        """The place."""
        return self._at

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Closes the file as well."""
        self._file.close()
        super().close()


def find_pieces(file: BinaryIO, size: int) -> list[Piece]:
    """Finds the sounds of a file of any format but MP3; most hold one."""
    head = _peek(file, 0, 16)
    starts = [0]
    if head[:4] == b"OggS":
        return _ogg_links(file, size)
    if head[:4] == b"fLaC" or head[:3] == b"ID3":
        starts = [
            at
            for at in _find_all(file, b"fLaC")
            if _peek(file, at, 8) in _FLAC_STARTS
        ] or [0]
    elif head[:4] in (b"RIFF", b"FORM"):
        order = "little" if head[:4] == b"RIFF" else "big"
        while True:
            length = int.from_bytes(_peek(file, starts[-1] + 4, 4), order)  # type: ignore[arg-type]
            following = starts[-1] + 8 + length + length % 2
            if length < 4 or _peek(file, following, 4) != head[:4]:
                break
            starts.append(following)
    return _between(starts, size)


def _between(starts: list[int], size: int) -> list[Piece]:
    stops = [*starts[1:], size]
    return [Piece(*both) for both in zip(starts, stops, strict=True)]


def _peek(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)


def _find_all(file: BinaryIO, mark: bytes) -> Iterator[int]:
    """Yields the places of a mark; reads the whole file once."""
    base, kept = 0, b""
    while True:
        file.seek(base + len(kept))
        block = file.read(_BLOCK)
        if not block:
            return
        data = kept + block
        at = data.find(mark)
        while at >= 0:
            yield base + at
            at = data.find(mark, at + 1)
        kept = data[len(data) - len(mark) + 1 :]
        base += len(data) - len(kept)


def _ogg_links(file: BinaryIO, size: int) -> list[Piece]:
    starts: list[int] = []
    behind = -1
    for at in _find_all(file, _OGG_FIRST_PAGE):
        # Streams side by side begin with one first page after the other.
        if at != behind:
            starts.append(at)
        behind = at + sum(_ogg_page(file, at))
    pieces = _between(starts or [0], size)
    return [
        piece._replace(is_ogg_flac=first[:5] == _OGG_FLAC)
        for piece in pieces
        for first in [
            _peek(file, piece.start + _ogg_page(file, piece.start)[0], 5)
        ]
    ]


def _ogg_page(file: BinaryIO, at: int) -> tuple[int, int]:
    """Bytes of the header of a page, and of what it holds."""
    header = _peek(file, at, _OGG_PAGE_BYTES)
    if header[:4] != b"OggS" or len(header) < _OGG_PAGE_BYTES:
        return 0, 0
    lacing = file.read(header[-1])
    return _OGG_PAGE_BYTES + len(lacing), sum(lacing)


def unwrapped_flac(file: BinaryIO, piece: Piece) -> bytes:
    """The FLAC stream within an Ogg stream, which holds nothing else."""
    at, pages = piece.start, []
    while at < piece.stop:
        header, length = _ogg_page(file, at)
        if not header:
            break
        pages.append(file.read(length))
        at += header + length
    return b"".join(pages)[_OGG_FLAC_BYTES:]


def with_flac_samples(head: bytes, num_samples: int) -> bytes:
    """A FLAC header (26 bytes or more) that states another number."""
    count = int.from_bytes(head[_FLAC_COUNT], "big") >> 36 << 36 | num_samples
    return head[:21] + count.to_bytes(5, "big") + head[26:]


def mended(file: BinaryIO, piece: Piece) -> Piece | None:
    """Finds the sound behind a header that does not know its length.

    Returns:
        The sound behind a right header, or None if there is none.
    """
    kind = _peek(file, piece.start, 4)
    if kind in (b"RIFF", b"RF64"):
        return _mended_wav(file, piece)
    head = _peek(file, piece.start, 24)
    if kind == b".snd" and len(head) == 24:
        # The format has a number for an unknown length.
        head = head[:8] + b"\xff" * 4 + head[12:]
        return piece._replace(start=piece.start + 24, head=head)
    if kind == b"caff":
        return _mended_caf(file, piece)
    return None


def _mended_wav(file: BinaryIO, piece: Piece) -> Piece | None:
    at, form = piece.start + 12, b""
    while at + 8 <= piece.stop:
        name, size = _chunk(file, at)
        if name == b"fmt ":
            form = _peek(file, at, 8 + size)
        if name == b"data":
            start = at + 8
            stop = start + size if 0 < size < _LARGE else piece.stop
            if size == 0 and _is_chunks(file, start, piece.stop):
                return None
            length = min(stop, piece.stop) - start
            if not form or length <= 0:
                return None
            body = form + b"data" + min(length, _LARGE).to_bytes(4, "little")
            total = min(4 + len(body) + length, _LARGE)
            head = b"RIFF" + total.to_bytes(4, "little") + b"WAVE" + body
            return Piece(start, start + length, head)
        at += 8 + size
        # Some writers leave out the byte that makes a chunk's length even.
        if size % 2 and not _peek(file, at, 4).isalpha():
            at += 1
    return None


def _chunk(file: BinaryIO, at: int) -> tuple[bytes, int]:
    data = _peek(file, at, 8)
    return data[:4], int.from_bytes(data[4:], "little")


def _is_chunks(file: BinaryIO, at: int, stop: int) -> bool:
    """Whether nothing but whole chunks stands to the end of a file."""
    while at < stop:
        name, size = _chunk(file, at)
        if len(name) < 4 or not name.isascii() or not name.strip().isalnum():
            return False
        at += 8 + size + size % 2
        if at > stop + 1:
            return False
    return True


def _mended_caf(file: BinaryIO, piece: Piece) -> Piece | None:
    at = piece.start + 8
    while at + 12 <= piece.stop:
        data = _peek(file, at, 12)
        size = int.from_bytes(data[4:], "big", signed=True)
        if data[:4] == b"data":
            length = piece.stop - at - 12
            if size > 0 or length <= 4:
                return None
            head = _peek(file, piece.start, at + 4 - piece.start)
            head += length.to_bytes(8, "big")
            return Piece(at + 12, piece.stop, head)
        at += 12 + max(0, size)
    return None
