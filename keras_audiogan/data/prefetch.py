"""Batches made ahead in background threads, in exact order."""

import collections
import concurrent.futures
import contextlib
import itertools
from collections.abc import Callable, Iterator

import numpy as np

Batch = dict[str, np.ndarray]


class BatchIterator(Iterator[Batch], contextlib.AbstractContextManager):
    """Calls a function for step after step, some steps ahead.

    The order is that of the steps, whatever the number of threads. An error
    in a thread is raised by the `next` whose batch it concerns. Threads start
    with the first `next` and end with `close`, at the end of a `with` block,
    or when the iterator is no longer used.

    Args:
        make_batch: Function from a step to its batch; called in threads.
        start_step: The first step.
        num_steps: Number of steps, or None for no end.
        workers: Number of threads.
        prefetch: Number of batches made ahead; 0 makes each one when it is
            asked for, without threads.
    """

    def __init__(
        self,
        make_batch: Callable[[int], Batch],
        start_step: int = 0,
        num_steps: int | None = None,
        workers: int = 1,
        prefetch: int = 4,
    ) -> None:
        self._make_batch = make_batch
        self._steps: Iterator[int] = (
            itertools.count(start_step)
            if num_steps is None
            else iter(range(start_step, start_step + num_steps))
        )
        self._prefetch = prefetch
        self._pool = (
            concurrent.futures.ThreadPoolExecutor(
                workers, thread_name_prefix="audio-batches"
            )
            if prefetch > 0
            else None
        )
        self._waiting: collections.deque[concurrent.futures.Future[Batch]]
        self._waiting = collections.deque()
        self._closed = False

    def __next__(self) -> Batch:
        """Returns the next batch."""
        if self._closed:
            raise StopIteration
        if self._pool is None:
            return self._make_batch(next(self._steps))
        while len(self._waiting) <= self._prefetch:
            step = next(self._steps, None)
            if step is None:
                break
            self._waiting.append(self._pool.submit(self._make_batch, step))
        if not self._waiting:
            self.close()
            raise StopIteration
        try:
            return self._waiting.popleft().result()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stops the threads; a batch being made is finished first."""
        self._closed = True
        self._waiting.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Closes."""
        self.close()

    def __del__(self) -> None:
        """Stops the threads without waiting: it may run in one of them."""
        pool = getattr(self, "_pool", None)
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
