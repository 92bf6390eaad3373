"""Recordings through an autoencoder, piece by piece and in bounded memory.

```python
model = keras_audiogan.from_preset("my_autoencoder")
reconstruct_file(model, "piece.flac", "out/copy.wav")
```
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from keras_audiogan.audio.files import AudioWriter, open_sound, read_section
from keras_audiogan.audio.joining import join_clips
from keras_audiogan.audio.levels import SILENCE_PEAK, level_gain
from keras_audiogan.audio.resampling import resampled_length
from keras_audiogan.data.checks import check_header, check_scale, finite_peak
from keras_audiogan.serving.walks import CROSSFADE

# Samples that are read, encoded and decoded at a time.
_BATCH_SAMPLES = 1 << 20

Compare = Callable[[np.ndarray, np.ndarray], dict[str, float]]
"""Figures of a recording `(time, channels)` and of its copy."""


class Recording:
    """A sound file at an autoencoder's rate, level and channels.

    Of more channels than the model has some are averaged, of fewer the first
    ones repeated: see `audio.convert_channels`.

    Args:
        path: The file, of any rate and length.
        model: The autoencoder.
        level: How it is levelled, see `level_gain`; by default as the model
            was trained.

    Attributes:
        num_samples: At the model's rate.
        peak: The largest magnitude, before it is levelled.
        gain: What it is multiplied by to be at the model's level.

    Raises:
        AudioFileError: If the file cannot be read, is damaged or empty, or
            holds numbers that are no sound.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        model: Any,
        level: str | float | None = None,
    ) -> None:
        self.path = path = os.fspath(path)
        info = check_header(path)
        self._model = model
        self.num_samples = resampled_length(
            info.num_samples, info.sampling_rate, model.sampling_rate
        )
        self.gain, self.peak = 1.0, 0.0
        for start in range(0, self.num_samples, _BATCH_SAMPLES):
            section = self.samples(start, _BATCH_SAMPLES)
            self.peak = max(self.peak, finite_peak(path, section))
        check_scale(path, self.peak)
        self.gain = level_gain(
            self.peak, model.level if level is None else level
        )

    def samples(self, start: int, length: int) -> np.ndarray:
        """Returns float32 `(length, channels)`, fewer at the end."""
        rate, channels = self._model.sampling_rate, self._model.num_channels
        length = min(length, self.num_samples - start)
        with open_sound(self.path) as sound:
            found = read_section(sound, start, length, rate, channels)
        return found * np.float32(self.gain)

    def pieces(self, starts: Sequence[int]) -> np.ndarray:
        """Returns clips that begin there, filled up with zeros.

        Args:
            starts: Samples, one behind the other.

        Returns:
            Float32 `(n, slice_length, channels)`.
        """
        length = self._model.slice_length
        first, last = int(starts[0]), int(starts[-1]) + length
        found = self.samples(first, last - first)
        padded = np.pad(found, [(0, last - first - len(found)), (0, 0)])
        return np.stack(
            [padded[i - first : i - first + length] for i in starts]
        )

    def batches(self, crossfade: float) -> Iterator[np.ndarray]:
        """Yields all pieces in turn, some at a time."""
        starts = self._model.piece_starts(self.num_samples, crossfade)
        size = max(1, _BATCH_SAMPLES // self._model.slice_length)
        for first in range(0, len(starts), size):
            yield self.pieces(starts[first : first + size])


def encode_file(
    model: Any,
    source: str | os.PathLike[str],
    *,
    level: str | float | None = None,
    crossfade: float = CROSSFADE,
    num_pieces: int | None = None,
) -> np.ndarray:
    """Returns the latents of a recording's pieces.

    Args:
        model: The autoencoder.
        source: A sound file of any rate, channels and length; zeros fill up
            the last piece.
        level: See `Recording`.
        crossfade: Overlap of pieces in seconds, at most half a clip.
        num_pieces: How many of the first ones; all by default.

    Returns:
        Float32 `(pieces, latent_dim)`.

    Raises:
        AudioFileError: As `Recording`.
    """
    recording = Recording(source, model, level)
    if num_pieces is not None:
        starts = model.piece_starts(recording.num_samples, crossfade)
        return model.encode(recording.pieces(starts[:num_pieces]))
    return np.concatenate(
        [model.encode(x) for x in recording.batches(crossfade)]
    )


def reconstruct_file(
    model: Any,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    level: str | float | None = None,
    crossfade: float = CROSSFADE,
    compare: Compare | None = None,
) -> dict[str, Any]:
    """Writes the copy that an autoencoder makes of a recording.

    The recording goes through in overlapping pieces, which fade into each
    other with equal power, in the memory of some of them. The copy has its
    length and its level; the file appears when it is complete.

    Args:
        model: The autoencoder.
        source: As for `encode_file`.
        target: The file to write, at the model's rate; its extension says
            which kind.
        level: See `Recording`.
        crossfade: See `encode_file`.
        compare: Returns figures of a recording and its copy, e.g.
            `functools.partial(metrics.reconstruction_distances,
            sampling_rate=model.sampling_rate)`. Of long recordings the mean
            over half minutes counts, weighted by their length.

    Returns:
        `seconds` of sound, `compute_seconds`, `times_real_time`, `pieces`,
        and the figures of `compare` unless the recording is silent.

    Raises:
        AudioFileError: As `Recording`, or if the target cannot be written.
    """
    recording = Recording(source, model, level)
    fade = model.fade_samples(crossfade)
    window = max(model.slice_length, round(30.0 * model.sampling_rate))
    spent, num_pieces = 0.0, 0

    def copies() -> Iterator[np.ndarray]:
        nonlocal spent, num_pieces
        for clips in recording.batches(crossfade):
            begin = time.perf_counter()
            made = model.reconstruct(clips)
            spent += time.perf_counter() - begin
            num_pieces += len(made)
            yield from made

    totals: dict[str, float] = {}
    compared = compare if recording.peak >= SILENCE_PEAK else None
    held: list[np.ndarray] = []
    done = 0

    def measure(least: int) -> None:
        """Compares what is held, if it is as long as that."""
        nonlocal done, held
        length = sum(map(len, held))
        if compared is None or not length or length < least:
            return
        made = np.concatenate(held)
        real = recording.samples(done, length) / np.float32(recording.gain)
        for name, value in compared(real, made).items():
            totals[name] = totals.get(name, 0.0) + float(value) * length
        done, held = done + length, []

    left = recording.num_samples
    with AudioWriter(target, model.sampling_rate, model.num_channels) as writer:
        for block in join_clips(copies(), fade):
            part = block[:left] / np.float32(recording.gain)
            left -= len(part)
            writer.write(part)
            if compared is not None:
                held.append(np.clip(part, -1.0, 1.0))
                measure(window)
        # Of a long recording a rest of less than a second is left out.
        measure(1 if not totals else model.sampling_rate)
    seconds = recording.num_samples / model.sampling_rate
    return {
        "seconds": seconds,
        "compute_seconds": spent,
        "times_real_time": seconds / spent,
        "pieces": num_pieces,
        **{name: total / done for name, total in totals.items()},
    }
