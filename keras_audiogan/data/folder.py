"""A folder of sounds: what is in it, and what of it can be used."""

import collections
import concurrent.futures
import dataclasses
import functools
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from keras_audiogan._names import composed, same_name, shown
from keras_audiogan.audio.files import (
    AUDIO_EXTENSIONS,
    AudioFileError,
    PathLike,
)
from keras_audiogan.audio.resampling import resampled_length
from keras_audiogan.data.checks import check_header, measure_peak
from keras_audiogan.data.reports import (
    describe_folder,
    describe_nothing,
    listed,
)
from keras_audiogan.data.trim_option import DEFAULT_TRIM, Trimming, as_trim
from keras_audiogan.data.trimming import trimmed
from keras_audiogan.data.walk import (
    AudioFolderError,
    FoundFile,
    SkippedFile,
    find_files,
    matches,
)

# Up to this much sound is decoded during the scan, which takes seconds;
# of more, contents are checked when they are first read.
_FULL_CHECK_HOURS = 1.0

_HASHED_BYTES = 4096

Labels = str | None | Sequence[str] | Mapping[str, str]

_DIGITS = "zero one two three four five six seven eight nine".split()


@dataclasses.dataclass(frozen=True, slots=True)
class AudioFile:
    """One usable file of a data set.

    Attributes:
        path: Where it is.
        name: Path relative to the data set, with forward slashes.
        num_samples: Length in samples at `sampling_rate`.
        sampling_rate: The file's own rate in Hz.
        num_channels: The file's own channels.
        num_bytes: Size of the file.
        label: Index of its label, or None.
        peak: Largest magnitude at the data set's rate and channels, or None
            while nobody has looked inside.
        start: First sample that is used, at `sampling_rate`: what is before
            it is silence.
        stop: End of what is used; None for the end of the file.
        pauses: Silent stretches in between: pairs of first sample and end.
    """

    path: str
    name: str
    num_samples: int
    sampling_rate: int
    num_channels: int
    num_bytes: int
    label: int | None = None
    peak: float | None = None
    start: int = 0
    stop: int | None = None
    pauses: tuple[tuple[int, int], ...] = ()

    @property
    def num_used(self) -> int:
        """Samples that are used, at `sampling_rate`."""
        stop = self.num_samples if self.stop is None else self.stop
        return stop - self.start

    @property
    def duration(self) -> float:
        """Length in seconds, without silence that is trimmed."""
        return self.num_used / self.sampling_rate


@dataclasses.dataclass(eq=False, repr=False)
class AudioFolder:
    """The index of a folder of sounds; make one with `AudioFolder.scan`.

    The index holds a few numbers per file and no sound.

    Attributes:
        roots: The folders and files that were scanned.
        files: The usable files, in the order of their names.
        skipped: What was left out, with the reasons. Damage that shows only
            while decoding is added when it is met.
        labels: Names of the classes, or None.
        sampling_rate: Rate for which the data set is prepared, in Hz.
        num_channels: Channels for which it is prepared.
        other_files: Number of files per extension that are not sound.
        num_excluded: Number of sound files left out by name.
        strict: Whether a bad file is an error.
        scan_seconds: How long the scan took.
        trim: What counted as silence; see `scan`.
    """

    roots: Sequence[str]
    files: Sequence[AudioFile]
    skipped: list[SkippedFile] = dataclasses.field(default_factory=list)
    labels: Sequence[str] | None = None
    sampling_rate: int = 0
    num_channels: int = 0
    other_files: Mapping[str, int] = dataclasses.field(default_factory=dict)
    strict: bool = False
    scan_seconds: float = 0.0
    num_excluded: int = 0
    trim: Trimming = "off"

    def __post_init__(self) -> None:
        self.roots, self.files = tuple(self.roots), tuple(self.files)
        self.skipped = list(self.skipped)
        self.labels = None if self.labels is None else tuple(self.labels)
        for name in ("sampling_rate", "num_channels"):
            if not getattr(self, name):
                setattr(self, name, _most(self.files, name))
        self._lock = threading.Lock()
        self._skipped_paths = {entry.path for entry in self.skipped}

    @classmethod
    def scan(
        cls,
        paths: PathLike | Iterable[PathLike],
        *,
        sampling_rate: int | None = None,
        num_channels: int | None = None,
        extensions: Sequence[str] = AUDIO_EXTENSIONS,
        labels: Labels = "folder",
        include: str | None = None,
        exclude: str | None = None,
        strict: bool = False,
        check: str = "auto",
        workers: int | None = None,
        trim: Trimming = DEFAULT_TRIM,
    ) -> "AudioFolder":
        """Finds the sounds in a folder, nested folders included.

        Every header and every file's end is read; up to an hour of sound is
        decoded as well, to find silence, NaN and damage before training.
        Hidden files and what archives leave behind (`__MACOSX`, `._x.wav`)
        are passed over.

        Args:
            paths: A folder, a file, or several of them.
            sampling_rate: Rate in Hz for which to prepare. Defaults to the
                rate of most of the sound.
            num_channels: Channels for which to prepare. Defaults to those of
                most of the sound.
            extensions: Extensions that count as sound.
            labels: `"folder"` takes the name of the folder directly below
                the scanned one (below the first branching, if there is only
                one way down); there are none if sounds lie beside folders or
                in one folder only. None for no labels. A sequence of folder
                names fixes their order, a mapping names the label for each
                folder; both must cover every folder.
            include: Pattern (`*`, `?`, `[...]`) that the names of files,
                relative to the folder and with forward slashes, must match.
            exclude: Pattern of names that are left out, e.g. `"*_[0-4].wav"`
                for the test set of a corpus.
            strict: Whether a bad file is an error.
            check: `"full"` decodes every file, `"fast"` none, `"auto"` does
                so up to an hour.
            workers: Threads. Defaults to one per processor, 8 at most.
            trim: Silence at both ends of a file is left out, and slices that
                are wholly silent are not drawn: what is so many dB below the
                file's peak, e.g. -60 (5 ms are kept), or `"off"`. Where files
                are not decoded (see `check`), their ends and some samples of
                them are.

        Returns:
            The index.

        Raises:
            AudioFolderError: If nothing usable is found, or in strict mode
                if anything is bad.
            ValueError: If an option is unknown, or `labels` miss a folder.
        """
        began = time.perf_counter()
        trim = as_trim(trim)
        if check not in ("auto", "fast", "full"):
            raise ValueError(
                '`check` must be "auto", "fast" or "full". '
                f"Received: check={check!r}."
            )
        for name, value in (
            ("sampling_rate", sampling_rate),
            ("num_channels", num_channels),
        ):
            if value is not None and value < 1:
                raise ValueError(
                    f"`{name}` must be positive. Received: {name}={value}."
                )
        for name, pattern in (("include", include), ("exclude", exclude)):
            if not isinstance(pattern, (str, type(None))):
                raise TypeError(
                    f"`{name}` must be one pattern, such as '*/kick*'. "
                    f"Received: {name}={pattern!r}."
                )
        if isinstance(paths, (str, os.PathLike)):
            paths = [paths]
        roots = [os.fspath(path) for path in paths]
        found, skipped, others = find_files(roots, extensions)
        named = len(found)
        found = [
            entry
            for entry in found
            if matches(entry.name, include, True)
            and not matches(entry.name, exclude, False)
        ]
        if named and not found:
            raise AudioFolderError(
                f"None of the {named} sound files in {', '.join(roots)} is "
                "left after choosing by name. Received: "
                f"include={include!r}, exclude={exclude!r}."
            )
        workers = workers or min(8, os.cpu_count() or 1)
        files, bad = _in_threads(_inspect, found, workers)
        skipped += bad
        rate, channels = sampling_rate or 0, num_channels or 0
        folder = cls(roots, files, skipped, None, rate, channels, others)
        whole = check == "full" or (
            check == "auto" and folder.hours <= _FULL_CHECK_HOURS
        )
        if whole:
            folder = folder._measured(workers)
            # A long bad file may have set the rate or the channels.
            again = dataclasses.replace(
                folder, sampling_rate=rate, num_channels=channels
            )
            if again.format != folder.format:
                folder = again._measured(workers)
        if trim != "off":
            folder = folder._trimmed(trim, whole, workers)
        if not folder.files:
            raise AudioFolderError(describe_nothing(folder))
        folder = folder._labelled(labels)
        folder.strict = strict
        folder.num_excluded = named - len(found)
        folder.scan_seconds = time.perf_counter() - began
        if strict and folder.skipped:
            raise AudioFolderError(
                f"{len(folder.skipped)} of the files in "
                f"{', '.join(roots)} cannot be used, and `strict` is on:\n"
                + "\n".join(listed(folder.skipped))
                + "\nRemove or repair them, or scan without `strict`."
            )
        return folder

    @property
    def format(self) -> tuple[int, int]:
        """`(sampling_rate, num_channels)` for which it is prepared."""
        return self.sampling_rate, self.num_channels

    @property
    def num_files(self) -> int:
        """Number of usable files."""
        return len(self.files)

    @property
    def hours(self) -> float:
        """Length of the usable sound in hours."""
        return sum(entry.duration for entry in self.files) / 3600.0

    @property
    def rates(self) -> dict[int, int]:
        """Number of files per sampling rate (Hz), the most frequent first."""
        return _counts(f.sampling_rate for f in self.files)

    @property
    def channels(self) -> dict[int, int]:
        """Number of files per channel count, the most frequent first."""
        return _counts(f.num_channels for f in self.files)

    @property
    def class_counts(self) -> dict[str, int]:
        """Number of files per label; empty without labels."""
        counts = collections.Counter(entry.label for entry in self.files)
        return {name: counts[i] for i, name in enumerate(self.labels or ())}

    def lengths(self, sampling_rate: int) -> np.ndarray:
        """Lengths of the files in samples at `sampling_rate`, as int64.

        Silence that is trimmed does not count.
        """
        lengths = [
            resampled_length(f.num_used, f.sampling_rate, sampling_rate)
            for f in self.files
        ]
        return np.array(lengths, np.int64)

    @functools.cached_property
    def content_hash(self) -> str:
        """SHA-256 of names, sizes and first and last bytes of the files.

        It does not depend on where the data set lies or when it was copied.
        """
        digest = hashlib.sha256()
        for entry in sorted(self.files, key=lambda f: f.name):
            text = f"{entry.name}\0{entry.num_bytes}\0"
            digest.update(text.encode("utf-8", "surrogateescape"))
            with open(entry.path, "rb") as file:
                digest.update(file.read(_HASHED_BYTES))
                file.seek(max(0, entry.num_bytes - _HASHED_BYTES))
                digest.update(file.read(_HASHED_BYTES))
        return digest.hexdigest()

    def skip(self, path: str, reason: str) -> None:
        """Notes that a file turned out bad, which is an error if `strict`."""
        with self._lock:
            if path not in self._skipped_paths:
                self._skipped_paths.add(path)
                self.skipped.append(SkippedFile(path, reason))
        if self.strict:
            raise AudioFolderError(
                f"{shown(path)}: {reason}. Remove or repair the file, or scan "
                "without `strict`."
            )

    def report(self) -> str:
        """Describes the data set in a few lines for people."""
        return describe_folder(self)

    def __repr__(self) -> str:
        """One line: where, how many, how long."""
        return (
            f"<AudioFolder {', '.join(map(shown, self.roots))}: "
            f"{self.num_files} files, {self.hours:.2f} h, "
            f"{len(self.skipped)} skipped>"
        )

    def _measured(self, workers: int) -> "AudioFolder":
        def measure(entry: AudioFile) -> AudioFile:
            peak = measure_peak(entry.path, *self.format)
            return dataclasses.replace(entry, peak=peak)

        files, bad = _in_threads(measure, self.files, workers)
        skipped = self.skipped + bad
        return dataclasses.replace(self, files=files, skipped=skipped)

    def _trimmed(
        self, trim: Trimming, whole: bool, workers: int
    ) -> "AudioFolder":
        def without_silent_ends(entry: AudioFile) -> AudioFile:
            return trimmed(entry, self.num_channels, trim, whole)

        files, bad = _in_threads(without_silent_ends, self.files, workers)
        skipped = self.skipped + bad
        return dataclasses.replace(
            self, files=files, skipped=skipped, trim=trim
        )

    def subset(self, indices: Iterable[int]) -> "AudioFolder":
        """Returns this data set with some of its files, by their indices."""
        return dataclasses.replace(self, files=[self.files[i] for i in indices])

    def renamed(self, names: Sequence[str]) -> "AudioFolder":
        """Returns this data set with a new name for each of its `labels`.

        Args:
            names: In the order of `labels`; or `"OLD=NEW"` for those that
                change.

        Raises:
            ValueError: If there are no labels, another number of names than
                of labels, no label of an old name, or one name twice.
        """
        present = self.labels or ()
        changes = [name.partition("=") for name in names]
        if names and all(
            old in present and equals for old, equals, _ in changes
        ):
            new_names = {old: new for old, _, new in changes}
            names = [new_names.get(name, name) for name in present]
        if len(names) != len(present) or len(set(names)) != len(names):
            raise ValueError(
                "There must be one name for each label of the data set, in "
                f"this order: {', '.join(present) or 'it has none'}; or "
                "OLD=NEW for those that change. "
                f"Received: {', '.join(names)}"
            )
        return dataclasses.replace(self, labels=names)

    def digits_in_words(self) -> "AudioFolder":
        """Returns it with labels 0 to 9 in words, unless two would be one."""
        names = self.names_like(())
        return self.renamed(names) if len({*names}) == len(names) > 0 else self

    def matched(self, labels: Sequence[str]) -> "AudioFolder":
        """Returns this data set with the labels of a model, in its order.

        A folder belongs to the label of the same name, and a folder called
        0 to 9 also to that number in words.

        Raises:
            ValueError: If a folder has no label among them.
        """
        self.check_labelled()
        names = self.names_like(labels)
        for own, name in zip(self.labels or (), names, strict=True):
            if name not in labels:
                raise ValueError(
                    "The folders of the data set must be called as the "
                    f"model's labels, {', '.join(labels)}; rename the folder "
                    f"or give names for all of them. Received: {own!r}"
                )
        return self.relabelled(names, labels)

    def check_labelled(self) -> None:
        """Raises a `ValueError` if the data set has no labels."""
        if not self.labels:
            raise ValueError(
                "Labels are asked for, but the data set has none: it needs "
                "one folder per label, and no sound beside them. "
                f"Received: {', '.join(self.roots)}."
            )

    def names_like(self, labels: Sequence[str]) -> list[str]:
        """Names of the labels, digits in words where `labels` have no digit."""
        return [
            same_name(name, labels) or in_words(name)
            for name in self.labels or ()
        ]

    def relabelled(
        self, names: Sequence[str], labels: Sequence[str]
    ) -> "AudioFolder":
        """Returns the files whose label has one of `labels` as its new name."""
        return self._relabelled(
            [None if f.label is None else names[f.label] for f in self.files],
            labels,
        )

    def _relabelled(
        self, names: Sequence[str | None], labels: Sequence[str]
    ) -> "AudioFolder":
        """The same of a name for each file."""
        places: dict[str | None, int] = {x: i for i, x in enumerate(labels)}
        files = [
            dataclasses.replace(entry, label=places[name])
            for entry, name in zip(self.files, names, strict=True)
            if name in places
        ]
        return dataclasses.replace(self, files=files, labels=labels)

    def _labelled(self, labels: Labels) -> "AudioFolder":
        if labels is None:
            return self
        parts = [entry.name.split("/") for entry in self.files]
        # The first branching of folders is what counts.
        while min(map(len, parts)) > 2 and len({p[0] for p in parts}) == 1:
            parts = [p[1:] for p in parts]
        names = [composed(p[0]) if p[1:] else None for p in parts]
        present = sorted({n for n in names if n is not None}, key=_natural)
        if labels == "folder":
            if None in names or len(present) < 2:
                return self
            labels = present
        elif isinstance(labels, str):
            raise ValueError(
                '`labels` must be "folder", None, a sequence of folder names '
                f"or a mapping. Received: labels={labels!r}."
            )
        mapping = (
            {composed(x): labels[x] for x in labels}
            if isinstance(labels, Mapping)
            else {composed(x): x for x in labels}
        )
        missing = [name for name in present if name not in mapping]
        if missing or None in names:
            raise ValueError(
                "`labels` must cover every folder of the data set, and no "
                "sound may lie outside of them. Folders without a label: "
                f"{missing}; files outside of folders: {names.count(None)}. "
                f"Received: labels={labels!r}."
            )
        order = list(dict.fromkeys(mapping.values()))
        return self._relabelled([mapping[n] for n in names if n], order)


Entry = TypeVar("Entry", AudioFile, FoundFile)


def _in_threads(
    function: Callable[[Entry], AudioFile],
    entries: Iterable[Entry],
    workers: int,
) -> tuple[list[AudioFile], list[SkippedFile]]:
    """Calls a function for every file; returns the good and the bad ones."""

    def attempt(entry: Entry) -> AudioFile | SkippedFile:
        try:
            return function(entry)
        except AudioFileError as error:
            return SkippedFile(entry.path, error.reason)

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(attempt, entries))
    return (
        [entry for entry in results if isinstance(entry, AudioFile)],
        [entry for entry in results if isinstance(entry, SkippedFile)],
    )


def _inspect(found: FoundFile) -> AudioFile:
    info = check_header(found.path)
    return AudioFile(
        path=found.path,
        name=found.name,
        num_samples=info.num_samples,
        sampling_rate=info.sampling_rate,
        num_channels=info.num_channels,
        num_bytes=os.path.getsize(found.path),
    )


def in_words(name: str) -> str:
    """Returns the name of a label, a digit 0 to 9 in words."""
    return _DIGITS[int(name)] if re.fullmatch("[0-9]", name) else name


def _counts(values: Iterable[int]) -> dict[int, int]:
    return dict(collections.Counter(values).most_common())


def _natural(name: str) -> list[tuple[int, int, str]]:
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part)
        for part in re.split(r"(\d+)", name)
        if part
    ]


def _most(files: Sequence[AudioFile], attribute: str) -> int:
    seconds: collections.Counter[int] = collections.Counter()
    for entry in files:
        seconds[getattr(entry, attribute)] += entry.duration  # type: ignore
    return max(seconds, key=lambda v: (seconds[v], v)) if seconds else 1
