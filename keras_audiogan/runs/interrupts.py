"""Stopping a training run at the end of a step, so that nothing is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import keras

from keras_audiogan.runs.bars import leave_dead_terminal

# A terminal that is closed sends SIGHUP; Windows has none.
_HANGUP = getattr(signal, "SIGHUP", None)
SIGNALS = tuple(
    number
    for number in (signal.SIGINT, signal.SIGTERM, _HANGUP)
    if number is not None
)


class StopOnSignal(keras.callbacks.Callback):
    """Ends `fit` after the current step at Ctrl-C, SIGTERM or SIGHUP.

    `fit` then returns as at its proper end, so that the other callbacks write
    their last checkpoint and preview. A second signal acts at once, save
    SIGHUP, which a closed terminal sends twice. A SIGHUP that is ignored, as
    `nohup` has it, stays ignored. Signals reach the main thread only:
    elsewhere this callback does nothing.

    Args:
        report: Called with a line for people when a signal arrives.

    Attributes:
        signal: Number of the signal that ended the training, or None.
    """

    def __init__(self, report: Callable[[str], None] | None = None) -> None:
        super().__init__()
        self.signal: int | None = None
        self._report = report
        self._before: dict[int, Any] = {}

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins to listen."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number == _HANGUP and (
                    signal.getsignal(number) == signal.SIG_IGN
                ):
                    continue
                self._before[number] = signal.signal(number, self._receive)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Ends the training if a signal has arrived."""
        if self.signal is not None:
            self.model.stop_training = True

    def restore(self) -> None:
        """Gives the signals back to those who listened before."""
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == _HANGUP:
            leave_dead_terminal()
            if self.signal is not None:
                # The shell sends a second one, for the same closed window.
                return
        if self.signal is not None:
            self.restore()
            signal.raise_signal(number)
            return
        self.signal = number
        if self._report is not None:
            self._report(
                "Stopping after this step; once more stops at once, and "
                "loses what came after the last checkpoint."
            )
