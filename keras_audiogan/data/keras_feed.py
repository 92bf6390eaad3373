"""Batches for `model.fit`; the one file of this package that needs Keras."""

from collections.abc import Callable

import keras

from keras_audiogan.data.prefetch import Batch, BatchIterator


class KerasFeed(keras.utils.PyDataset):
    """Endless batches in the order of their steps, for `model.fit`.

    Keras asks for batch 0, 1, 2 ... over all epochs of one `fit`, on every
    backend, so the threads and the order are ours. Pass `steps_per_epoch` to
    `fit`. A second `fit` begins again at the first step.

    Args:
        make_iterator: Function from the number of a batch to an iterator over
            the batches from there on.
    """

    # Of files that were scanned: `fit` need not look at a batch before.
    is_checked = True

    def __init__(self, make_iterator: Callable[[int], BatchIterator]) -> None:
        # One worker and no processes: Keras starts no threads of its own.
        super().__init__(workers=1, use_multiprocessing=False)
        self._make_iterator = make_iterator
        self._iterator: BatchIterator | None = None
        self._next = 0

    @property
    def num_batches(self) -> None:
        """None: there is no end."""
        return None

    def __getitem__(self, index: int) -> Batch:
        """Returns a batch, usually one that was made ahead."""
        if self._iterator is None or index != self._next:
            # TensorFlow looks at the first batches before it begins.
            self.close()
            self._iterator = self._make_iterator(index)
        self._next = index + 1
        return next(self._iterator)

    def close(self) -> None:
        """Stops the threads; they start again when needed."""
        iterator, self._iterator = self._iterator, None
        if iterator is not None:
            iterator.close()
