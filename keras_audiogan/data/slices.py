"""How files are cut into slices of one length."""

import dataclasses

import numpy as np

MODES = ("auto", "pad", "slice", "join")


@dataclasses.dataclass(frozen=True)
class SlicePlan:
    """Every slice of a data set, in the order of the files.

    A slice that starts before its file's first sample, or ends after its
    last one, is filled up with zeros; of files that are joined it goes on
    with the next one.

    Attributes:
        mode: `"pad"`, `"slice"` or `"join"`.
        slice_length: Samples in a slice.
        files: int32 array `(num_slices,)`, index of each slice's file.
        starts: int64 array `(num_slices,)`, first sample of each slice.
        lows: Smallest start with a random offset.
        highs: Largest start with a random offset.
        num_padded: Number of files that are shorter than a slice.
        num_cut: Number of files of which only the beginning is used.
        samples_unused: Samples of sound that no slice reaches.
        num_silent: Number of slices left out since they are silent.
    """

    mode: str
    slice_length: int
    files: np.ndarray
    starts: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    num_padded: int
    num_cut: int
    samples_unused: int
    num_silent: int = 0

    def __len__(self) -> int:
        """Number of slices."""
        return len(self.files)

    def of_file(self, index: int) -> tuple[int, int]:
        """Range `(first, stop)` of the slices of a file."""
        first, stop = np.searchsorted(self.files, [index, index + 1])
        return int(first), int(stop)


def choose_mode(lengths: np.ndarray, slice_length: int) -> str:
    """Chooses between padding and slicing; lengths are in samples.

    Returns:
        `"pad"` if half of the files or more fit into a slice (one-shots),
        else `"slice"`.
    """
    return "pad" if np.median(lengths) <= slice_length else "slice"


def plan_slices(
    lengths: np.ndarray,
    slice_length: int,
    mode: str = "auto",
    overlap: float = 0.0,
    offset_augmentation: int = 0,
) -> SlicePlan:
    """Cuts files into slices.

    - `"pad"`, for one-shots: one slice per file, from its first sample. A
      shorter file is filled up with zeros, of a longer one the rest is not
      used.
    - `"slice"`, for long files: slices follow each other at a distance of
      `slice_length * (1 - overlap)` samples. What remains at the end gets a
      slice that ends with the file when it is at least half that distance.
      A file shorter than a slice is filled up with zeros.
    - `"join"`, as in Körmendi's thesis: all files are one, in the order of
      their names, which slices follow each other in; the last one is filled
      up with zeros.

    Args:
        lengths: int64 array, lengths of the files in samples.
        slice_length: Samples in a slice.
        mode: `"pad"`, `"slice"`, `"join"`, or `"auto"` for `choose_mode`.
        overlap: Part of a slice that the next one repeats, 0 to below 1.
        offset_augmentation: Level n of Körmendi's thesis ("Progressive
            adversarial music generation", 2019): n more copies of the
            corpus, cut 10 %, 20 % ... n * 10 % of a slice later. A shorter
            file is moved later in its slice instead, as far as it fits.

    Raises:
        ValueError: If an option is out of range, or there are no files.
    """
    if slice_length < 1 or len(lengths) == 0:
        raise ValueError(
            "`slice_length` must be positive, and there must be files. "
            f"Received: slice_length={slice_length}, {len(lengths)} files."
        )
    if mode not in MODES:
        raise ValueError(
            f"`mode` must be one of {', '.join(MODES)}. "
            f"Received: mode={mode!r}."
        )
    if not 0.0 <= overlap < 1.0:
        raise ValueError(
            "`overlap` is a part of the slice, from 0 to below 1. "
            f"Received: overlap={overlap}."
        )
    if not 0 <= offset_augmentation <= 9:
        raise ValueError(
            "`offset_augmentation` must be a level from 0 to 9. "
            f"Received: offset_augmentation={offset_augmentation}."
        )
    lengths = np.asarray(lengths, dtype=np.int64)
    if mode == "auto":
        mode = choose_mode(lengths, slice_length)
    hop = max(1, round(slice_length * (1.0 - overlap)))
    cut = _cut_joined if mode == "join" else _cut
    cuts = [
        cut(lengths, slice_length, hop, mode, level * slice_length // 10)
        for level in range(offset_augmentation + 1)
    ]
    files = np.concatenate([file for file, _ in cuts])
    starts = np.concatenate([start for _, start in cuts])
    order = np.argsort(files, kind="stable")
    files, starts = files[order], starts[order]
    spare = lengths[files] - slice_length
    short = (spare < 0) & (mode != "join")
    lows = highs = starts
    if mode == "slice":
        lows = np.maximum(0, starts - hop // 2)
        highs = np.minimum(spare, starts + hop // 2)
    rests = np.maximum(0, lengths - slice_length) * (mode == "pad")
    return SlicePlan(
        mode=mode,
        slice_length=slice_length,
        files=files.astype(np.int32),
        starts=starts,
        lows=np.where(short, spare, lows),
        highs=np.where(short, 0, highs),
        num_padded=int((lengths < slice_length).sum() * (mode != "join")),
        num_cut=int(np.count_nonzero(rests)),
        samples_unused=int(rests.sum()),
    )


def _cut(
    lengths: np.ndarray, slice_length: int, hop: int, mode: str, offset: int
) -> tuple[np.ndarray, np.ndarray]:
    """Files and starts of the slices of the corpus, cut `offset` later."""
    indices = np.arange(len(lengths))
    short = lengths < slice_length
    # A short file moves right as far as it fits into the slice, a long one
    # is cut later as long as a whole slice is left.
    fits = offset <= np.abs(lengths - slice_length)
    if mode == "pad":
        starts = np.where(short, -offset, offset)
        return indices[fits], starts[fits]
    left = lengths - offset - slice_length
    counts = np.where(short, 1, left // hop + 1) * fits
    files = np.repeat(indices, counts)
    position = np.arange(len(files)) - np.repeat(
        np.cumsum(counts) - counts, counts
    )
    starts = np.where(short[files], -offset, offset + position * hop)
    # The slice that ends with the file is the same for every offset.
    extra = ~short & (2 * (left % hop) >= hop) & (offset == 0)
    files = np.concatenate([files, indices[extra]])
    starts = np.concatenate([starts, (lengths - slice_length)[extra]])
    return files, starts


def _cut_joined(
    lengths: np.ndarray, slice_length: int, hop: int, mode: str, offset: int
) -> tuple[np.ndarray, np.ndarray]:
    """As `_cut`, of all files one after the other."""
    del mode
    ends = np.cumsum(lengths)
    # The last slice is the first that reaches the end.
    left = max(0, int(ends[-1]) - offset - slice_length)
    count = (-(-left // hop) + 1) * (offset < int(ends[-1]))
    places = offset + hop * np.arange(count)
    files = np.searchsorted(ends, places, "right")
    return files, places - (ends - lengths)[files]
