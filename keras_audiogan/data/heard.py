"""Which files a model has heard in training, and which were held out.

Files are known by what is in them, so that they may be renamed, moved and
joined by others: the same sound twice is one file.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_audiogan.data.folder import AudioFile, AudioFolder
from keras_audiogan.data.reports import count

#: Keys of a data set's entry in training.json: prints, end to end.
HEARD_KEY, HELD_OUT_KEY = "heard_files", "held_out_files"

_DIGITS = 8
_NUM_PARTS, _PART_BYTES = 16, 4096
# A training.json may have a megabyte.
_MOST_LISTED = 10_000
_MOST_DIGITS = 400_000


def fingerprint(entry: AudioFile) -> str:
    """Returns 8 hexadecimal digits by which a file is known.

    They are made of its size and 64 kB of it, spread evenly.
    """
    status = os.stat(entry.path)
    return _fingerprint(entry.path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=1 << 18)
def _fingerprint(path: str, num_bytes: int, modified: int) -> str:
    digest = hashlib.sha256(f"{num_bytes}\0".encode())
    last = max(0, num_bytes - _PART_BYTES)
    with open(path, "rb") as file:
        for place in sorted(set(np.linspace(0, last, _NUM_PARTS, dtype=int))):
            file.seek(int(place))
            digest.update(file.read(_PART_BYTES))
    return digest.hexdigest()[:_DIGITS]


def lots(folder: AudioFolder) -> np.ndarray:
    """Returns a number from 0 to below 1 for each file, by its content."""
    prints = [int(fingerprint(entry), 16) for entry in folder.files]
    return np.array(prints, np.float64) / 16.0**_DIGITS


def heard_record(
    train: AudioFolder, held_out: AudioFolder
) -> dict[str, str | int]:
    """Returns what training.json says of the files, see `TestFiles.of`.

    Of more than 10,000 files it is not said which they were; of files held
    out, the first 10,000.
    """
    heard, rest = (
        sorted({fingerprint(entry) for entry in part.files})
        for part in (train, held_out)
    )
    record: dict[str, str | int] = {
        "num_held_out": held_out.num_files,
        HELD_OUT_KEY: "".join(rest[:_MOST_LISTED]),
    }
    if len(heard) <= _MOST_LISTED:
        record[HEARD_KEY] = "".join(heard)
    return record


def within_bounds(
    entries: Iterable[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Returns data sets, of the earliest without their files if it is much."""
    left, kept = _MOST_DIGITS, []
    for entry in entries:
        texts = [str(entry.get(key, "")) for key in (HEARD_KEY, HELD_OUT_KEY)]
        left -= sum(map(len, texts))
        unlisted = () if left >= 0 else (HEARD_KEY, HELD_OUT_KEY)
        kept.append({k: v for k, v in entry.items() if k not in unlisted})
    return kept


def prints_of(text: object) -> frozenset[str]:
    """Returns the prints that stand end to end in a text."""
    if not isinstance(text, str):
        return frozenset()
    places = range(0, len(text), _DIGITS)
    return frozenset(text[i : i + _DIGITS] for i in places)


def known_held_out(
    folder: AudioFolder, data: Sequence[Mapping[str, Any]]
) -> np.ndarray:
    """Whether each file was held out of training, and never heard.

    Args:
        folder: Files.
        data: The data sets of a training.json, the newest first.
    """
    held_out, heard = (
        frozenset().union(*(prints_of(entry.get(key)) for entry in data))
        for key in (HELD_OUT_KEY, HEARD_KEY)
    )
    if not held_out:
        return np.zeros(folder.num_files, bool)
    prints = [fingerprint(entry) for entry in folder.files]
    return np.array([p in held_out and p not in heard for p in prints], bool)


@dataclasses.dataclass(frozen=True)
class TestFiles:
    """The files that a model is tested on: has it heard them in training?

    Attributes:
        num_files: How many there are.
        num_heard: How many of them it was trained on.
        unknown: Data sets, by what heard them, of which it is not recorded
            which files they were; `""` is the model's own training.
        chosen: How they were chosen, in words; `""` for no choice, where
            nothing says what was held out.
    """

    __test__ = False  # No test, whatever pytest thinks.

    num_files: int
    num_heard: int
    unknown: tuple[str, ...] = ()
    chosen: str = ""

    @classmethod
    def of(
        cls,
        train: AudioFolder,
        test: AudioFolder,
        data: Sequence[Mapping[str, Any]],
        chosen: str = "",
    ) -> TestFiles:
        """Compares files with what a preset says of its training.

        Args:
            train: Files that stand for those trained on.
            test: Those to test on.
            data: The data sets of its training.json, the newest first.
            chosen: How the test files were chosen, in words.
        """
        prints = [fingerprint(entry) for entry in test.files]
        heard = np.zeros(len(prints), bool)
        both = dataclasses.replace(train, files=[*train.files, *test.files])
        unknown = []
        for place, entry in enumerate(data or [{}]):
            if isinstance(entry.get(HEARD_KEY), str):
                known = prints_of(entry[HEARD_KEY])
                heard |= [p in known for p in prints]
            elif entry.get("hash") == both.content_hash:
                heard[:] = True
            elif entry.get("hash") != train.content_hash:
                by = str(entry.get("heard_by", "an earlier preset"))
                unknown.append(by.removesuffix(", before") if place else "")
        return cls(
            len(prints), int(heard.sum()), tuple(dict.fromkeys(unknown)), chosen
        )

    @property
    def status(self) -> str:
        """`"heard"`, `"unknown"` or `"held out"`."""
        if self.num_heard:
            return "heard"
        return "unknown" if "" in self.unknown else "held out"

    @property
    def brief(self) -> str:
        """A few words, to stand beside a figure."""
        if self.num_heard:
            return f"{self.num_heard} of {self.num_files} heard in training"
        if "" in self.unknown:
            chosen = f", {self.chosen}" if self.chosen else ""
            return f"not known whether heard in training{chosen}"
        earlier = f", not known of {' and '.join(self.unknown)}"
        return "not heard in training" + (earlier if self.unknown else "")

    def __str__(self) -> str:
        """A sentence or two for people."""
        files = count(self.num_files, "test file")
        if self.num_heard:
            return (
                f"SEEN: training heard {self.num_heard} of the {files}. What "
                "stands as real test sound was not held out, and figures may "
                "come out too good."
            )
        if "" in self.unknown and self.chosen:
            return (
                f"The {files}: {self.chosen}; the preset does not record "
                "which files it was trained on."
            )
        if "" in self.unknown:
            return (
                "UNKNOWN: the preset does not record which files it was "
                f"trained on. The {files} in place of held-out ones have "
                "probably been heard; name those held out with --test."
            )
        heard = f"Training heard none of the {files}"
        if self.unknown:
            heard += "; whether before, by "
            heard += f"{' and '.join(self.unknown)}, is not recorded"
        return f"{heard}."

    def as_json(self) -> dict[str, Any]:
        """Returns it as a report has it."""
        return {
            "status": self.status,
            "num_files": self.num_files,
            "num_heard": self.num_heard,
            "brief": self.brief,
            "note": str(self),
        }
