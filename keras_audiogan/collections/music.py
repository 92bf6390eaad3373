"""Produced music of a game, out of Debian's package of it."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from keras_audiogan.collections.catalogue import CollectionError
from keras_audiogan.collections.sources import (
    Source,
    ZipSource,
    debian_members,
)

RATE = 16000
# The tracks that the package's copyright file has under CC BY 3.0, and those
# in the public domain.
TRACKS = (
    *(f"David0{i}" for i in range(1, 6)),
    "azrael1",
    "karlmacklin_geoscape",
    "van_geoscape",
    *(f"van_mission{i}" for i in ("", 2, 3, 4)),
    "van_theme",
    "alBasrahM",
    "greecei",
    "turinItalyM",
)
_INNER = "./usr/share/games/ufoai/base/0music.pk3"
_LARGEST = 1 << 29


class PackageSource:
    """The zip archive of music within a Debian package."""

    def __init__(self, path: Path) -> None:
        """Opens the package at `path`."""
        self._file = tempfile.NamedTemporaryFile(suffix=".pk3")
        try:
            with path.open("rb") as package:
                start, size = debian_members(package)["data.tar.gz"]
                package.seek(start)
                data = io.BytesIO(package.read(size))
            with tarfile.open(fileobj=data, mode="r:gz") as archive:
                member = archive.getmember(_INNER)
                inner = archive.extractfile(member)
                if inner is None or member.size > _LARGEST:
                    raise KeyError(_INNER)
                while chunk := inner.read(1 << 20):
                    self._file.write(chunk)
            self._file.flush()
        except (KeyError, tarfile.TarError, EOFError, ValueError) as error:
            self._file.close()
            raise CollectionError(
                f"{path} is damaged, or not Debian's package ufoai-music "
                f"({error}). Delete it and fetch it again."
            ) from error
        self._zip = ZipSource(Path(self._file.name))

    def names(self) -> Iterable[str]:
        """Every file, with slashes between folders."""
        return self._zip.names()

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        return self._zip.read(name)

    def close(self) -> None:
        """Closes the package."""
        self._zip.close()
        self._file.close()


def tracks(source: Source) -> Iterator[tuple[str, np.ndarray, int]]:
    """`TRACK.flac`, int16 `(time, 2)`, resampled to 16 kHz."""
    for name in TRACKS:
        try:
            audio, rate = soundfile.read(
                io.BytesIO(source.read(f"music/{name}.ogg")),
                dtype="float32",
                always_2d=True,
            )
        except soundfile.SoundFileError as error:
            raise CollectionError(
                f"{name}.ogg is not sound that can be read ({error}). Delete "
                "the package and fetch it again."
            ) from error
        audio = soxr.resample(audio, rate, RATE, "VHQ")
        levels = np.clip(np.rint(audio * 32767), -32768, 32767)
        yield f"{name}.flac", levels.astype(np.int16), RATE
