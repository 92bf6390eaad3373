"""Progress of a training run: a bar on a terminal, or else plain lines."""

from __future__ import annotations

import time
from typing import Any, TextIO

from keras_audiogan.runs.bars import Bar
from keras_audiogan.runs.callbacks import StepCallback
from keras_audiogan.runs.step_log import Means, Numbers, describe


class Progress(StepCallback):
    """Shows how far a run is, its rate, the time left and the losses.

    On a terminal it is a bar and a line below it; elsewhere a line now and
    then, `step 200 of 10000, 1.73 steps/s, 1 h 34 min left, ...`.

    Args:
        total: The step at which training ends.
        every: Steps between plain lines. By default there is one after the
            first step, and then one every `every_seconds`.
        every_seconds: See `every`.
        stream: Where to; stderr by default.
        quiet: Whether to show nothing but what `say` is given.
    """

    def __init__(
        self,
        total: int,
        every: int | None = None,
        every_seconds: float = 30.0,
        stream: TextIO | None = None,
        quiet: bool = False,
    ) -> None:
        super().__init__()
        self.total = total
        self.every = every
        self.every_seconds = every_seconds
        self.quiet = quiet
        self._bar = Bar("step", total, "steps", stream)
        self._means = Means()
        self._shown = -float("inf")

    def on_train_begin(self, logs: Any = None) -> None:
        """Draws the bar."""
        if not self.quiet:
            self._bar.done = self.step
            self._bar.show()

    def on_step(self, numbers: Numbers) -> None:
        """Shows where training is."""
        self._means.add(numbers)
        self._bar.set(self.step)
        if self.quiet:
            return
        now = time.monotonic()
        waited = now - self._shown
        if self._bar.is_shown:
            due = waited >= 1.0
        elif self.every:
            due = self.due(self.every)
        else:
            due = waited >= self.every_seconds
        if due or (self.step == self.total and not self._bar.is_shown):
            self._shown = now
            losses = describe(self.model, self._means.take())
            if self._bar.is_shown:
                self._bar.below = losses
            else:
                self.say(f"{self._bar.where()}, {losses}")

    def on_train_end(self, logs: Any = None) -> None:
        """Gives the terminal back."""
        self.close()

    def close(self) -> None:
        """Gives the terminal back, also where `fit` was left by an error."""
        self._bar.close()

    def say(self, text: str, style: str | None = None) -> None:
        """Prints a line, above the bar if there is one."""
        self._bar.say(text, style)
