"""Batches of slices for training: a pure function of the seed and the step."""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from keras_audiogan.audio.files import AudioFileError, PathLike
from keras_audiogan.audio.levels import Levelling
from keras_audiogan.data.folder import AudioFolder, AudioFolderError
from keras_audiogan.data.prefetch import Batch, BatchIterator
from keras_audiogan.data.reports import describe_cut, describe_folder, listed
from keras_audiogan.data.slices import SlicePlan, plan_slices
from keras_audiogan.data.store import AudioStore
from keras_audiogan.data.trim_option import DEFAULT_TRIM, Trimming
from keras_audiogan.data.trimming import without_silence

if TYPE_CHECKING:
    from keras_audiogan.data.keras_feed import KerasFeed

# Keys of the random streams. The first entry differs, because NumPy takes
# (1, 2) and (1, 2, 0) for the same key.
_SHUFFLE, _AUGMENT, _CLIPS, _SILENT = 1, 2, 3, 5


class AudioDataset:
    """Slices of a folder of sounds, levelled, shuffled and batched.

    `batch(step)` depends on the arguments, the files and `step`, and on
    nothing else: a run that stops and resumes at its step sees the same data
    to the last bit. The index is in memory, samples come from disk, and what
    fits into `cache_bytes` stays decoded.

    A file that turns out bad while it is read is noted in
    `folder.skipped`, and the next good file with its label takes its place.

    Args:
        folder: The scanned folder, or a path to scan.
        slice_length: Samples in a slice.
        sampling_rate: Rate of the slices in Hz; files of other rates are
            resampled. Defaults to the folder's.
        num_channels: Channels of the slices. Defaults to the folder's.
        batch_size: Rows for one update of a network.
        discriminator_steps: Discriminator updates a step; a batch has
            `batch_size * discriminator_steps` rows.
        level: `"peak"` brings the peak of every file to 1 (of files over a
            minute, the peak of 15 windows of 2 s; a slice that is louder is
            turned down), `"keep"` leaves the level, a number multiplies.
            What then exceeds [-1, 1] is clipped.
        mode: `"pad"`, `"slice"`, `"join"` or `"auto"`; see `plan_slices`.
        random_offset: Whether starts are random: within half a hop for long
            files, anywhere in the slice for files shorter than it. Defaults
            to yes when slicing, no when padding.
        overlap: Part of a slice that the next one repeats, 0 to below 1.
        offset_augmentation: Level 0 to 9, see `plan_slices`.
        random_gain_db: Range `(low, high)` in dB of a random gain per row;
            a number x means `(-x, 0)`. None for no gain.
        shuffle: Whether each epoch has its own order.
        seed: Seeds the order, the offsets and the gains. Not negative.
        labels: Whether batches hold labels.
        balance: Whether every label is drawn equally often, with `groups`
            about so within each.
        workers: Threads that make batches.
        prefetch: Batches made ahead.
        cache_bytes: Memory for decoded files, in bytes. It decides which
            files are kept, and (below what can be heard, in files that are
            resampled or MP3) the bits of a slice: keep it when resuming.
        trim: Of a path to scan, see `AudioFolder.scan`, which has a default;
            a scanned folder is trimmed already.
        groups: A number `(num_slices,)` from 0 for each slice, negative for
            one to leave out; they take the place of labels, and each is drawn
            equally often. Not with `offset_augmentation`.
        critic_steps: Older name of `discriminator_steps`.

    Attributes:
        folder: The scanned folder.
        plan: The cut of its files, see `plan_slices`.
        label_names: Names of the labels, or None.

    Raises:
        ValueError: If an option is out of range or labels are asked for and
            the folder has none.
        AudioFolderError: If the path holds nothing usable.
    """

    def __init__(
        self,
        folder: AudioFolder | PathLike,
        slice_length: int,
        sampling_rate: int | None = None,
        num_channels: int | None = None,
        batch_size: int = 64,
        discriminator_steps: int | None = None,
        *,
        level: Levelling = "peak",
        mode: str = "auto",
        random_offset: bool | None = None,
        overlap: float = 0.0,
        offset_augmentation: int = 0,
        random_gain_db: float | tuple[float, float] | None = None,
        shuffle: bool = True,
        seed: int = 0,
        labels: bool = False,
        balance: bool = False,
        workers: int = 1,
        prefetch: int = 4,
        cache_bytes: int = 256 << 20,
        trim: Trimming | None = None,
        groups: np.ndarray | None = None,
        critic_steps: int | None = None,
    ) -> None:
        if None not in (critic_steps, discriminator_steps):
            raise ValueError(
                "`critic_steps` is the older name of `discriminator_steps`: "
                f"give one of them. Received: critic_steps={critic_steps}, "
                f"discriminator_steps={discriminator_steps}"
            )
        if discriminator_steps is None:
            discriminator_steps = 1 if critic_steps is None else critic_steps
        if not isinstance(folder, AudioFolder):
            folder = AudioFolder.scan(
                folder,
                sampling_rate=sampling_rate,
                num_channels=num_channels,
                trim=DEFAULT_TRIM if trim is None else trim,
            )
        elif trim is not None:
            raise ValueError(
                "`trim` is for a path; a folder that was scanned is trimmed "
                "already: pass it to `AudioFolder.scan`. "
                f"Received: trim={trim!r}."
            )
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("discriminator_steps", discriminator_steps, 1),
            ("seed", seed, 0),
            ("workers", workers, 1),
            ("prefetch", prefetch, 0),
            ("cache_bytes", cache_bytes, 0),
        ):
            if value < least:
                raise ValueError(
                    f"`{name}` must be at least {least}. "
                    f"Received: {name}={value}."
                )
        if labels or balance:
            folder.check_labelled()
        self.folder = folder
        self.slice_length = slice_length
        self.sampling_rate = sampling_rate or folder.sampling_rate
        self.num_channels = num_channels or folder.num_channels
        self.batch_size = batch_size
        self.discriminator_steps = discriminator_steps
        self.level = level
        self.random_gain_db = _gain_range(random_gain_db)
        self.shuffle = shuffle
        self.seed = seed
        self.labels = labels
        self.balance = balance
        self.workers = workers
        self.prefetch = prefetch
        self.overlap = overlap
        self.offset_augmentation = offset_augmentation
        self.label_names = folder.labels if labels else None
        self.mode_asked = mode
        self._store = AudioStore(
            folder, self.sampling_rate, self.num_channels, level, cache_bytes
        )
        lengths = self._store.lengths
        plan = plan_slices(
            lengths, slice_length, mode, overlap, offset_augmentation
        )
        mode = plan.mode
        base_plan = plan_slices(lengths, slice_length, mode, overlap)
        self.plan, self._base_plan = (
            without_silence(cut, folder, self.sampling_rate)
            for cut in (plan, base_plan)
        )
        if groups is not None:
            groups = np.asarray(groups, np.int32)
            if (
                len(groups) != len(self.plan)
                or offset_augmentation
                or not (groups >= 0).any()
            ):
                raise ValueError(
                    "`groups` must have a number for each of the "
                    f"{len(self.plan)} slices, some of them 0 or more, and "
                    "`offset_augmentation` be 0. Received: groups of shape "
                    f"{groups.shape}, "
                    f"offset_augmentation={offset_augmentation}"
                )
        self.groups = groups
        if mode == "join" and (random_offset or labels or balance):
            raise ValueError(
                "Slices of joined files have no label and no random place: "
                "leave `random_offset`, `labels` and `balance` out, or choose "
                "another `mode`. Received: mode='join', "
                f"random_offset={random_offset}, labels={labels}, "
                f"balance={balance}."
            )
        if random_offset is None:
            random_offset = mode == "slice"
        self.random_offset = random_offset
        self._file_labels = np.array(
            [-1 if f.label is None else f.label for f in folder.files], np.int32
        )
        self._classes = [np.arange(len(self.plan))]
        if balance or groups is not None:
            of_slices = self._labels_of(self.plan, np.arange(len(self.plan)))
            self._classes = [
                np.flatnonzero(of_slices == label)
                for label in np.unique(of_slices[of_slices >= 0])
            ]
        if balance and groups is not None:
            copies = self.copies()
            self._classes = [
                np.repeat(members, copies[members]) for members in self._classes
            ]
        self._orders: dict[tuple[int, int], np.ndarray] = {}
        self._orders_lock = threading.Lock()

    @property
    def num_slices(self) -> int:
        """Number of slices in an epoch, augmented copies included."""
        return len(self.plan)

    def copies(self) -> np.ndarray:
        """How often each slice counts `(num_slices,)`: once.

        With `balance`, as often as brings its label to about the number of
        the most frequent one, or never if it has none.
        """
        if not self.balance:
            return np.ones(len(self.plan), np.int32)
        labels = self._file_labels[self.plan.files]
        counts = np.bincount(labels[labels >= 0])
        times = np.rint(counts.max() / np.maximum(counts, 1)).astype(np.int32)
        return np.where(labels < 0, 0, times[labels])

    @property
    def num_rows(self) -> int:
        """Rows of a batch: `batch_size * discriminator_steps`."""
        return self.batch_size * self.discriminator_steps

    @property
    def steps_per_epoch(self) -> int:
        """Steps after which every slice was drawn; the last one may wrap."""
        return -(-self.num_slices // self.num_rows)

    def batch(self, step: int, rows: slice | None = None) -> Batch:
        """Makes the batch of a step.

        Args:
            step: Number of the step, from 0.
            rows: The rows to make, for a worker that trains on a part of the
                batch. Defaults to all.

        Returns:
            `{"audio": float32 (rows, slice_length, num_channels)}`, and with
            labels `"labels": int32 (rows,)`.

        Raises:
            AudioFolderError: If no file is left that can be read, or in
                strict mode if one cannot.
        """
        if step < 0:
            raise ValueError(f"`step` cannot be negative. Received: {step}.")
        wanted = range(self.num_rows)[rows or slice(None)]
        draws = np.random.default_rng((_AUGMENT, self.seed, step)).random(
            (self.num_rows, 2)
        )
        audio = self._empty(len(wanted))
        labels = np.empty(len(wanted), np.int32)
        first = step * self.num_rows
        chosen = [self._slice_at(first + row) for row in wanted]
        self._store.examine(self.plan.files[chosen].tolist())
        for out, row in enumerate(wanted):
            offset, gain = draws[row]
            if not self.random_offset:
                offset = None
            labels[out] = self._read(self.plan, chosen[out], audio[out], offset)
            if self.random_gain_db is not None:
                low, high = self.random_gain_db
                factor = 10.0 ** ((low + gain * (high - low)) / 20.0)
                audio[out] *= np.float32(factor)
                np.clip(audio[out], -1.0, 1.0, out=audio[out])
        return {"audio": audio, **({"labels": labels} if self._told else {})}

    @property
    def _told(self) -> bool:
        """Whether batches hold labels, or groups in place of them."""
        return self.labels or self.groups is not None

    def batches(
        self,
        start_step: int = 0,
        num_steps: int | None = None,
        rows: slice | None = None,
    ) -> BatchIterator:
        """Iterates over batches, made ahead in background threads.

        Args:
            start_step: The first step; a resumed run passes its own.
            num_steps: Number of steps. Defaults to no end.
            rows: See `batch`.

        Returns:
            An iterator with `close`, to be used in a `with` block or a loop.
        """
        return BatchIterator(
            lambda step: self.batch(step, rows),
            start_step,
            num_steps,
            self.workers,
            self.prefetch,
        )

    def to_keras(
        self, start_step: int = 0, rows: slice | None = None
    ) -> "KerasFeed":
        """Makes an endless `keras.utils.PyDataset` for `model.fit`.

        It works on every backend: `fit(dataset.to_keras(), shuffle=False,
        steps_per_epoch=dataset.steps_per_epoch)`; without `shuffle=False`
        Keras warns that it will not shuffle. It draws the batches in the
        order of their steps, over all epochs of one `fit`; a resumed run
        makes one with its own `start_step`.

        Args:
            start_step: The first step.
            rows: See `batch`.
        """
        from keras_audiogan.data.keras_feed import KerasFeed

        return KerasFeed(
            lambda index: self.batches(start_step + index, rows=rows)
        )

    def clips(self, batch_size: int | None = None) -> Iterator[Batch]:
        """Iterates once over all slices in the order of the files.

        Nothing is random or augmented; bad files are left out.

        Args:
            batch_size: Rows of a batch. Defaults to `batch_size`.

        Yields:
            Batches as `batch` returns, `"slices"`, the index of each row's
            slice without augmentation, and `"files"`, that of its file in
            `folder.files`; the last one may have fewer rows.
        """
        audio = self._empty(batch_size or self.batch_size)
        read: list[int] = []
        for index in range(len(self._base_plan)):
            if self._read_file(self._base_plan, index, audio[len(read)]):
                read.append(index)
            if len(read) == len(audio):
                yield self._as_batch(audio, read)
                audio, read = self._empty(len(audio)), []
        if read:
            yield self._as_batch(audio[: len(read)], read)

    def real_clips(self, num_clips: int, seed: int = 0) -> np.ndarray:
        """Draws clips as training sees them, without augmentation.

        They are for comparison with generated ones: level, previews, metrics.

        Args:
            num_clips: Number of clips. More than there are slices repeats.
            seed: Chooses the clips.

        Returns:
            float32 array `(num_clips, slice_length, num_channels)`.
        """
        plan = self._base_plan
        order: list[int] = []
        while len(order) < num_clips:
            key = (_CLIPS, seed, len(order) // len(plan))
            order += np.random.default_rng(key).permutation(len(plan)).tolist()
        audio = self._empty(num_clips)
        for out, chosen in enumerate(order[:num_clips]):
            self._read(plan, chosen, audio[out])
        return audio

    def report(self) -> str:
        """Describes the data set and how it is cut, in lines for people."""
        found = describe_folder(
            self.folder, self.sampling_rate, self.num_channels
        )
        return found + "\n" + describe_cut(self)

    def _empty(self, rows: int) -> np.ndarray:
        shape = (rows, self.slice_length, self.num_channels)
        return np.zeros(shape, dtype=np.float32)

    def _as_batch(self, audio: np.ndarray, read: list[int]) -> Batch:
        slices, plan = np.array(read, np.int32), self._base_plan
        batch = {"audio": audio, "slices": slices, "files": plan.files[slices]}
        if self._told:
            batch["labels"] = self._labels_of(plan, slices)
        return batch

    def _labels_of(self, plan: SlicePlan, slices: np.ndarray) -> np.ndarray:
        """Label or group of slices; -1 for none."""
        if self.groups is not None:
            return self.groups[slices]
        return self._file_labels[plan.files[slices]]

    def _slice_at(self, position: int) -> int:
        """The slice at a position of the endless order of slices."""
        turn, group = divmod(position, len(self._classes))
        if len(self._classes) > 1 and self.shuffle:
            group = int(self._order(turn, -1)[group])
        members = self._classes[group]
        epoch, place = divmod(turn, len(members))
        if self.shuffle:
            place = int(self._order(epoch, group)[place])
        return int(members[place])

    def _order(self, epoch: int, group: int) -> np.ndarray:
        key = (epoch, group)
        with self._orders_lock:
            if key not in self._orders:
                shuffled = self._classes if group < 0 else self._classes[group]
                seeds = (_SHUFFLE, self.seed, epoch, group + 1)
                while len(self._orders) > 4 * len(self._classes) + 8:
                    self._orders.pop(next(iter(self._orders)))
                order = np.random.default_rng(seeds).permutation(len(shuffled))
                self._orders[key] = order
            return self._orders[key]

    def _read(
        self,
        plan: SlicePlan,
        chosen: int,
        out: np.ndarray,
        offset: float | None = None,
    ) -> int:
        """Reads a slice, or a stand-in for a bad one; returns its label."""
        for index in self._with_stand_ins(plan, chosen):
            sounds = self._read_file(plan, index, out, offset)
            if sounds is False:
                # Others of the file are drawn evenly, not the next one.
                first, stop = plan.of_file(int(plan.files[index]))
                key = (_SILENT, self.seed, index)
                order = np.random.default_rng(key).permutation(stop - first)
                sounds = any(
                    self._read_file(plan, first + int(other), out)
                    for other in order
                )
            if sounds:
                return int(self._labels_of(plan, np.array([index]))[0])
        raise AudioFolderError(
            f"None of the {self.folder.num_files} files of "
            f"{', '.join(self.folder.roots)} can be read:\n"
            + "\n".join(listed(self.folder.skipped))
        )

    def _read_file(
        self,
        plan: SlicePlan,
        index: int,
        out: np.ndarray,
        offset: float | None = None,
    ) -> bool | None:
        """Reads a slice, and says whether it sounds.

        Silence at its random place makes it begin at its own. A bad file is
        noted, and None.
        """
        file, start = int(plan.files[index]), int(plan.starts[index])
        if plan.mode == "join":
            return self._read_joined(file, start, out)
        starts = [start]
        if offset is not None:
            low, high = int(plan.lows[index]), int(plan.highs[index])
            starts.insert(0, low + int(offset * (high - low + 1)))
        try:
            return any(self._store.read(file, start, out) for start in starts)
        except AudioFileError as error:
            self.folder.skip(error.path, error.reason)
            return None

    def _read_joined(
        self, file: int, start: int, out: np.ndarray
    ) -> bool | None:
        """Reads on into the next files; bad ones are noted, and silent."""
        heard, place = [], 0
        out[:] = 0.0
        for index in range(file, self.folder.num_files):
            length = int(self._store.lengths[index]) - start
            part = out[place : place + length]
            try:
                heard.append(self._store.read(index, start, part))
            except AudioFileError as error:
                self.folder.skip(error.path, error.reason)
                part[:] = 0.0
            place, start = place + len(part), 0
            if place == len(out):
                break
        return any(heard) if heard else None

    def _with_stand_ins(self, plan: SlicePlan, chosen: int) -> Iterator[int]:
        yield chosen
        file, count = int(plan.files[chosen]), self.folder.num_files
        others = (np.arange(1, count) + file) % count
        same = self._file_labels[others] == self._file_labels[file]
        for other in np.concatenate([others[same], others[~same]]):
            first, stop = plan.of_file(int(other))
            if first == stop:  # No slice of joined files begins in it.
                continue
            yield first + chosen % (stop - first)


def _gain_range(
    random_gain_db: float | tuple[float, float] | None,
) -> tuple[float, float] | None:
    if random_gain_db is None:
        return None
    if isinstance(random_gain_db, (int, float)):
        random_gain_db = (-float(random_gain_db), 0.0)
    low, high = random_gain_db
    if not -120.0 <= low <= high <= 120.0:
        raise ValueError(
            "`random_gain_db` must be a positive number of dB, or a range "
            f"(low, high). Received: random_gain_db={random_gain_db!r}."
        )
    return low, high
