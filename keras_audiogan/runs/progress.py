"""Progress on the terminal, or in plain lines where there is none."""

from __future__ import annotations

import collections
import time
from typing import Any, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from keras_audiogan.runs.callbacks import StepCallback
from keras_audiogan.runs.step_log import (
    Means,
    Numbers,
    describe,
    spoken_time,
)

_WINDOW_SECONDS = 60.0


class Progress(StepCallback):
    """Shows how far a training is, its rate, the time left and the losses.

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
        self.console = Console(
            file=stream, stderr=stream is None, highlight=False, soft_wrap=True
        )
        self._means = Means()
        self._rate = Rate()
        self._live: Live | None = None
        self._shown = -float("inf")
        self._losses = ""

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the bar."""
        if self.console.is_terminal and not self.quiet:
            self._live = Live(
                self._table(), console=self.console, refresh_per_second=4
            )
            self._live.start()

    def on_step(self, numbers: Numbers) -> None:
        """Shows where training is."""
        self._rate.add(self.step)
        self._means.add(numbers)
        if self.quiet:
            return
        now = time.monotonic()
        if self._live is not None:
            if now - self._shown >= 1.0:
                self._shown = now
                self._losses = describe(self.model, self._means.take())
            self._live.update(self._table())
            return
        due = (
            self.due(self.every)
            if self.every
            else now - self._shown >= self.every_seconds
        )
        if due or self.step == self.total:
            self._shown = now
            losses = describe(self.model, self._means.take())
            self.say(f"{self._where()}, {losses}")

    def on_train_end(self, logs: Any = None) -> None:
        """Takes the bar away."""
        self.close()

    def close(self) -> None:
        """Takes the bar away, also where `fit` was left by an error."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str, style: str | None = None) -> None:
        """Prints a line, above the bar if there is one."""
        self.console.print(Text(text, style=style or ""))

    def _where(self) -> str:
        text = f"step {self.step} of {self.total}"
        rate = self._rate.value
        if rate:
            left = spoken_time((self.total - self.step) / rate)
            text += f", {rate:.3g} steps/s, {left} left"
        return text

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        bar = ProgressBar(self.total, self.step, width=24)
        line = Table.grid(padding=(0, 1))
        line.add_row(bar, self._where())
        table.add_row(line)
        table.add_row(Text(self._losses, style="dim"))
        return table


class Rate:
    """Steps a second over the last minute, pauses included."""

    def __init__(self) -> None:
        self._marks: collections.deque[tuple[float, int]] = collections.deque()

    def add(self, step: int) -> None:
        """Notes that a step is done."""
        now = time.monotonic()
        self._marks.append((now, step))
        while now - self._marks[0][0] > _WINDOW_SECONDS and (
            len(self._marks) > 2
        ):
            self._marks.popleft()

    @property
    def value(self) -> float | None:
        """Steps a second; None until there are two marks."""
        if len(self._marks) < 2:
            return None
        (begin, first), (end, last) = self._marks[0], self._marks[-1]
        return (last - first) / (end - begin) if end > begin else None
