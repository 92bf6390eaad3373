"""A progress bar that appears only when there is something to wait for."""

import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

PATIENCE = 2.0
"""Seconds of work before a bar is shown."""


class Advance(Protocol):
    """What `progress` yields: call it with the number of items done."""

    def __call__(self, count: int = 1) -> None:
        """Count `count` more items as done."""


@contextlib.contextmanager
def progress(description: str, total: int) -> Iterator[Advance]:
    """Show a bar on stderr, from `PATIENCE` seconds on and on terminals only.

    Args:
        description: what is being done, in one or two words.
        total: number of items to do.

    Yields:
        A function to call with the number of items just done.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    task = bar.add_task(description, total=total)
    begin = time.monotonic()
    shown = False

    def advance(count: int = 1) -> None:
        nonlocal shown
        bar.advance(task, count)
        if not shown and time.monotonic() - begin > PATIENCE:
            bar.start()
            shown = True

    try:
        yield advance
    finally:
        if shown:
            bar.stop()
