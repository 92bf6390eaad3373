"""A bar on the terminal, for training runs and for commands."""

from __future__ import annotations

import collections
import contextlib
import errno
import os
import time
from collections.abc import Iterator
from typing import Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from keras_audiogan.runs.step_log import spoken_time

PATIENCE = 2.0
"""Seconds of a command's work before its bar is shown."""
_WINDOW_SECONDS = 60.0


class Bar:
    """How far something is: a bar, the rate and the time left.

    It is drawn on terminals only. It stays until `close`, which belongs in a
    `finally`.

    Args:
        name: What stands before the count, e.g. `"step"`.
        total: How many there are.
        unit: What the rate counts, e.g. `"steps"`; without it none is shown.
        stream: Where to; stderr by default.

    Attributes:
        done: How many are done.
        below: A line below the bar.
    """

    def __init__(
        self,
        name: str,
        total: int,
        unit: str = "",
        stream: TextIO | None = None,
    ) -> None:
        self.name = name
        self.total = total
        self.unit = unit
        self.done = 0
        self._console = Console(
            file=stream, stderr=stream is None, highlight=False, soft_wrap=True
        )
        self._live: Live | None = None
        self.below = ""
        # Time and count, over the last minute, pauses included.
        self._marks: collections.deque[tuple[float, int]] = collections.deque()

    @property
    def is_shown(self) -> bool:
        """Whether there is a bar on a terminal."""
        return self._live is not None

    def show(self) -> None:
        """Draws the bar, if this is a terminal and there is none yet."""
        if self._live is None and self._console.is_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=self._table,
                refresh_per_second=4,
            )
            with _spoken():
                self._live.start()

    def set(self, done: int) -> None:
        """Notes how many are done."""
        self.done = done
        now = time.monotonic()
        self._marks.append((now, done))
        while len(self._marks) > 2 and (
            now - self._marks[0][0] > _WINDOW_SECONDS
        ):
            self._marks.popleft()

    def say(self, text: str, style: str | None = None) -> None:
        """Prints a line, above the bar if there is one."""
        with _spoken():
            self._console.print(Text(text, style=style or ""))

    def where(self) -> str:
        """Returns e.g. `step 200 of 10000, 1.73 steps/s, 1 h 34 min left`."""
        text = f"{self.name} {self.done} of {self.total}"
        if len(self._marks) < 2:
            return text
        (begin, first), (end, last) = self._marks[0], self._marks[-1]
        if end <= begin or last <= first:
            return text
        rate = (last - first) / (end - begin)
        if self.unit:
            text += f", {rate:.3g} {self.unit}/s"
        return f"{text}, {spoken_time((self.total - self.done) / rate)} left"

    def close(self) -> None:
        """Leaves the bar as it is and gives the terminal back."""
        if self._live is not None:
            with _spoken():
                self._live.stop()
            self._live = None

    def _table(self) -> Table:
        line = Table.grid(padding=(0, 1))
        line.add_row(ProgressBar(self.total, self.done, width=24), self.where())
        table = Table.grid()
        table.add_row(line)
        if self.below:
            table.add_row(Text(self.below, style="dim"))
        return table


def leave_dead_terminal() -> None:
    """Lets what is still said go nowhere where the terminal is gone.

    Each write to it would fail, and end what is worth more than words.
    """
    for stream in (1, 2):
        try:
            os.write(stream, b"")
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream)
            os.close(nowhere)


@contextlib.contextmanager
def _spoken() -> Iterator[None]:
    """Goes on where the terminal was closed, as of a job that was disowned."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        leave_dead_terminal()


class Advance(Protocol):
    """What `progress` yields: call it with the number of items done."""

    def __call__(self, count: int = 1) -> None:
        """Counts `count` more items as done."""


@contextlib.contextmanager
def progress(name: str, total: int) -> Iterator[Advance]:
    """Shows a bar on stderr, from `PATIENCE` seconds on.

    Args:
        name: What is being done, in one or two words.
        total: Number of items to do.

    Yields:
        A function to call with the number of items just done.
    """
    bar = Bar(name, total)
    begin = time.monotonic()
    bar.set(0)

    def advance(count: int = 1) -> None:
        bar.set(bar.done + count)
        if time.monotonic() - begin > PATIENCE:
            bar.show()

    try:
        yield advance
    finally:
        bar.close()
