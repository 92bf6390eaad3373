"""From a data set's name to a folder that holds it, whole and checked."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import io
import os
import shutil
import warnings
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from keras_audiogan.collections import notes
from keras_audiogan.collections.catalogue import (
    COLLECTIONS,
    GITHUB,
    Archive,
    Collection,
    CollectionError,
)
from keras_audiogan.collections.download import (
    DownloadError,
    Progress,
    download,
)
from keras_audiogan.collections.recipes import RECIPES, Piece, Sources
from keras_audiogan.collections.sources import find_sources, is_whole
from keras_audiogan.presets.atomic_folder import replaced_folder
from keras_audiogan.presets.words import size

LICENSE_FILE = "LICENSE.md"
_DOWNLOADS = ".download"


@dataclasses.dataclass(frozen=True)
class Collected:
    """What became of a data set.

    Attributes:
        folder: Where it is.
        num_files: Sound files in it.
        seconds: Their length.
        digest: SHA-256 of the sorted lines `path rate channels frames crc32`,
            the checksum being that of the int16 samples.
        is_expected: Whether the samples are those that the zoo was trained
            on; None if nobody can know.
        was_there: Whether it was found, and nothing was done.
    """

    folder: Path
    num_files: int
    seconds: float
    digest: str
    is_expected: bool | None
    was_there: bool = False


def collect(
    name: str,
    folder: str | os.PathLike[str],
    *,
    given: Sequence[str | os.PathLike[str]] = (),
    base: str = GITHUB,
    progress: Progress = lambda what, done, total: None,
) -> Collected:
    """Fetches and prepares a data set.

    The folder appears when it is whole. Archives are kept beside it, in a
    folder with `.download` behind its name, until then: after an error or an
    interruption the next call goes on with them.

    Args:
        name: One of `COLLECTIONS`.
        folder: Where to; new, empty, or holding this very data set.
        given: Archives or folders that are here already, or a soundfont.
            With any, nothing is fetched.
        base: What stands in place of https://github.com in the addresses.
        progress: Told what is being done, how much is done, and of how much.

    Raises:
        CollectionError: if the folder holds something else, a source cannot
            be had or is not what it should be, or a program is missing.
        OSError: if the disk is full or the folder not writable.
    """
    if name not in COLLECTIONS:
        raise CollectionError(
            f"There is no data set {name!r}. There are: "
            f"{', '.join(COLLECTIONS)}."
        )
    collection, target = COLLECTIONS[name], Path(folder)
    there = _already(collection, target)
    if there is not None:
        return there
    places = [Path(path) for path in given]
    for place in places:
        if not place.exists():
            raise CollectionError(f"`given` {str(place)!r} does not exist.")
    soundfont = None
    if collection.needs:
        notes.find_fluidsynth()
        soundfont = notes.find_soundfont(places)
    downloads = downloads_of(target)
    if places and collection.archives:
        sources = _from_given(collection, places, base)
    else:
        sources = _fetched(collection, downloads, base, progress)
    listing = Listing()
    with contextlib.ExitStack() as stack:
        for source in sources.values():
            stack.callback(source.close)
        temporary = stack.enter_context(replaced_folder(target))
        pieces = RECIPES[name](sources, soundfont)
        for done, piece in enumerate(pieces):
            listing.add(piece)
            _write(temporary / piece[0], piece)
            progress("preparing", done + 1, collection.num_files)
        text = collection.license_text
        _write_bytes(temporary / LICENSE_FILE, text.encode("utf-8"))
        _check(collection, listing)
    if not places:
        _discard(collection, downloads)
    return listing.collected(collection, target)


def downloads_of(folder: str | os.PathLike[str]) -> Path:
    """Returns where the archives of a data set are kept while it is made."""
    path = Path(os.path.abspath(folder))
    return path.with_name(path.name + _DOWNLOADS)


class Listing:
    """The sound files of a data set, as far as they tell it from others."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lines: list[tuple[str, str]] = []

    def add(self, piece: Piece) -> None:
        """Enters a sound file; text is passed by."""
        path, content, rate = piece
        if isinstance(content, str):
            return
        frames, channels = content.shape
        checksum = zlib.crc32(content.astype("<i2").tobytes())
        shape = f"{path} {rate} {channels} {frames}"
        self._lines.append((shape, f"{shape} {checksum:08x}"))
        self.seconds += frames / rate

    def __len__(self) -> int:
        return len(self._lines)

    def names_digest(self) -> str:
        """SHA-256 of `path rate channels frames`, sorted."""
        return self._digest(0)

    def sound_digest(self) -> str:
        """SHA-256 of `path rate channels frames crc32`, sorted."""
        return self._digest(1)

    def collected(
        self, collection: Collection, folder: Path, was_there: bool = False
    ) -> Collected:
        """Returns what there is to say of the data set."""
        digest, known = self.sound_digest(), collection.sound_digest
        expected = None if known is None else digest == known
        return Collected(
            folder, len(self), self.seconds, digest, expected, was_there
        )

    def _digest(self, column: int) -> str:
        lines = sorted(line[column] + "\n" for line in self._lines)
        return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()


def read_folder(folder: Path) -> Listing:
    """Returns the listing of the FLAC files in a folder.

    Raises:
        CollectionError: if one of them cannot be read.
    """
    listing = Listing()
    for path in sorted(folder.rglob("*.flac")):
        try:
            audio, rate = soundfile.read(path, dtype="int16", always_2d=True)
        except soundfile.SoundFileError as error:
            raise CollectionError(f"{path} is damaged ({error}).") from error
        listing.add((path.relative_to(folder).as_posix(), audio, rate))
    return listing


def _already(collection: Collection, folder: Path) -> Collected | None:
    """Returns what is said of a folder that holds the data set; or refuses."""
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise CollectionError(
            f"{str(folder)!r} is a file; expected the name of a folder to be "
            "made."
        )
    if not any(folder.iterdir()):
        return None
    if (folder / LICENSE_FILE).is_file():
        listing = read_folder(folder)
        if _difference(collection, listing) is None:
            return listing.collected(collection, folder, was_there=True)
    raise CollectionError(
        f"{str(folder)!r} is not empty, and does not hold the data set "
        f"{collection.name}, or not all of it. Choose a new folder, or empty "
        "this one yourself."
    )


def _from_given(
    collection: Collection, places: Sequence[Path], base: str
) -> Sources:
    sources = find_sources(places, collection.archives)
    missing = [a for a in collection.archives if a not in sources]
    if missing:
        shown = ", ".join(map(str, places))
        raise CollectionError(
            f"{shown}: not all that the data set {collection.name} is made of. "
            f"These are missing:{_addresses(missing, base)}"
        )
    return sources


def _fetched(
    collection: Collection, downloads: Path, base: str, progress: Progress
) -> Sources:
    if not collection.archives:
        return {}
    paths = {a: downloads / a.file_name for a in collection.archives}
    missing = [a for a, path in paths.items() if not is_whole(path)]
    if missing:
        downloads.mkdir(parents=True, exist_ok=True)
        _check_space(collection, missing, downloads)
    for archive in missing:
        try:
            download(
                archive.url(base), paths[archive], archive.num_bytes, progress
            )
        except DownloadError as error:
            still = [a for a, path in paths.items() if not path.is_file()]
            message = _offline(collection, error, still, base)
            raise CollectionError(message) from error
    return {archive: archive.open(path) for archive, path in paths.items()}


def _discard(collection: Collection, downloads: Path) -> None:
    """Deletes the archives; what somebody else put there stays."""
    for archive in collection.archives:
        (downloads / archive.file_name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        downloads.rmdir()


def _offline(
    collection: Collection,
    error: DownloadError,
    missing: Iterable[Archive],
    base: str,
) -> str:
    return (
        f"The data set {collection.name} could not be fetched: {error}. Run "
        "the same command again to go on; or, without network, bring these "
        "files from elsewhere into one folder, and name that folder with "
        f"`given`:{_addresses(missing, base)}"
    )


def _addresses(archives: Iterable[Archive], base: str) -> str:
    return "".join(
        f"\n  {archive.url(base)} (about {size(archive.num_bytes)})"
        for archive in archives
    )


def _check_space(
    collection: Collection, missing: Iterable[Archive], folder: Path
) -> None:
    needed = collection.num_bytes + sum(a.num_bytes for a in missing)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CollectionError(
            f"The data set {collection.name} needs about {size(needed)} while "
            f"it is made, {size(collection.num_bytes)} later; {folder} has "
            f"{size(free)}. Free some space or choose another disk."
        )


def _difference(collection: Collection, listing: Listing) -> str | None:
    """Returns what is wrong with a listing, if anything is."""
    if len(listing) != collection.num_files:
        return f"{len(listing):,} files, expected {collection.num_files:,}"
    if listing.names_digest() != collection.names_digest:
        return "names, rates or lengths of its files are not the expected ones"
    if collection.is_copied and (
        listing.sound_digest() != collection.sound_digest
    ):
        return "samples of its files are not the expected ones"
    return None


def _check(collection: Collection, listing: Listing) -> None:
    wrong = _difference(collection, listing)
    # A soundfont may be another one: what it has is what there is.
    if wrong is not None and (not collection.needs or not len(listing)):
        raise CollectionError(
            f"What the data set {collection.name} was made of is not what it "
            f"should be: {wrong}. The sources must be at the commits that the "
            "addresses name; delete what was fetched and run again."
        )
    known = collection.sound_digest
    if known is not None and listing.sound_digest() != known:
        warnings.warn(
            f"The data set {collection.name} is not in every sample the one "
            "that the presets were trained on: another version of soxr or "
            "fluidsynth rounds otherwise, and another soundfont sounds "
            "otherwise.",
            stacklevel=3,
        )


def _write(path: Path, piece: Piece) -> None:
    _, content, rate = piece
    if isinstance(content, str):
        _write_bytes(path, content.encode("utf-8"))
        return
    buffer = io.BytesIO()
    samples = np.ascontiguousarray(content)
    soundfile.write(buffer, samples, rate, format="FLAC", subtype="PCM_16")
    _write_bytes(path, buffer.getvalue())


def _write_bytes(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.write_bytes(data)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            error.filename = os.fspath(path)
        raise
