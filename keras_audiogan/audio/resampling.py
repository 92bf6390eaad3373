"""Resampling with soxr, in one piece, in a stream, or of one section."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import soxr

# Half the reach of soxr's "HQ" filter, in samples of the slower of the two
# rates. 145 give 2e-8 of error against resampling the whole file.
_FILTER_REACH = 256


def resampled_length(
    num_samples: int, source_rate: float, target_rate: float
) -> int:
    """Returns how many samples `resample` makes of so many.

    That is `num_samples * target_rate / source_rate`, rounded.
    """
    if source_rate == target_rate:
        return num_samples
    return int(math.floor(num_samples * target_rate / source_rate + 0.5))


def resample(
    audio: np.ndarray, source_rate: float, target_rate: float
) -> np.ndarray:
    """Resamples a whole sound (soxr, quality "HQ").

    Args:
        audio: Array `(time,)` or `(time, channels)`.
        source_rate: Its rate in Hz.
        target_rate: The wanted rate in Hz.

    Returns:
        float32 array with `resampled_length` samples and the same channels;
        the input itself when the rates are equal.

    Raises:
        ValueError: If a rate is not positive or the shape is another.
    """
    _check_rates(source_rate, target_rate)
    audio = np.asarray(audio, dtype=np.float32)
    if audio.ndim not in (1, 2):
        raise ValueError(
            "`audio` must have shape (time,) or (time, channels). "
            f"Received: shape {audio.shape}."
        )
    if source_rate == target_rate:
        return audio
    length = resampled_length(len(audio), source_rate, target_rate)
    if length == 0:
        return audio[:0]
    result = soxr.resample(
        np.ascontiguousarray(audio), source_rate, target_rate, quality="HQ"
    )
    return _fit(result, length)


def resample_stream(
    blocks: Iterable[np.ndarray], source_rate: float, target_rate: float
) -> Iterator[np.ndarray]:
    """Resamples a sound that comes in blocks, in the memory of one block.

    Args:
        blocks: Arrays `(time, channels)`, one after the other.
        source_rate: Their rate in Hz.
        target_rate: The wanted rate in Hz.

    Yields:
        float32 arrays `(time, channels)`; together they equal `resample` of
        the joined blocks.

    Raises:
        ValueError: If a rate is not positive.
    """
    _check_rates(source_rate, target_rate)
    stream: soxr.ResampleStream | None = None
    num_read = num_written = 0
    empty = np.zeros((0, 1), np.float32)
    for block in blocks:
        block = np.ascontiguousarray(block, dtype=np.float32)
        if source_rate == target_rate:
            yield block
            continue
        if stream is None:
            empty = block[:0]
            stream = soxr.ResampleStream(
                source_rate,
                target_rate,
                block.shape[-1],
                dtype="float32",
                quality="HQ",
            )
        num_read += len(block)
        result = stream.resample_chunk(block)
        num_written += len(result)
        yield result
    if stream is not None:
        length = resampled_length(num_read, source_rate, target_rate)
        result = stream.resample_chunk(empty, last=True)
        yield _fit(result, length - num_written)


def source_section(
    start: int, length: int, source_rate: int, target_rate: int
) -> tuple[int, int, int]:
    """Finds what to read so that a section can be resampled on its own.

    The section is widened by the filter's reach, and begins at a sample
    which both rates share, so that its samples fall where those of the whole
    resampled file fall.

    `start` and `length` are samples at `target_rate`.

    Returns:
        `(first, stop, skip)`: read source samples `first` to `stop` (it may
        lie past the end of the file), resample them, and drop `skip` samples
        at the beginning.
    """
    if source_rate == target_rate:
        return start, start + length, 0
    common = math.gcd(source_rate, target_rate)
    source_step, target_step = source_rate // common, target_rate // common
    reach = math.ceil(_FILTER_REACH * max(1.0, source_rate / target_rate))
    first = max(0, start * source_step // target_step - reach)
    first -= first % source_step
    stop = -(-(start + length) * source_step // target_step) + reach
    return first, stop, start - first // source_step * target_step


def _check_rates(source_rate: float, target_rate: float) -> None:
    if source_rate <= 0 or target_rate <= 0:
        raise ValueError(
            "Sampling rates must be positive, in Hz. "
            f"Received: {source_rate} and {target_rate}."
        )


def _fit(audio: np.ndarray, length: int) -> np.ndarray:
    # soxr's own rounding may differ by one sample.
    missing = length - len(audio)
    if missing > 0:
        return np.pad(audio, ((0, missing),) + ((0, 0),) * (audio.ndim - 1))
    return audio[: max(length, 0)]
