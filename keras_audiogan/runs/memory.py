"""How much memory a run will need, and whether there is so much."""

from __future__ import annotations

import os
from typing import Any

from keras_audiogan.training.precision import has_gpu


def run_memory(plan: Any) -> int | None:
    """Returns the bytes that a planned run will take at most.

    None for models that do not say, and where an accelerator does the work.
    """
    if has_gpu() or not hasattr(plan.model_class, "memory_of_step"):
        return None
    return plan.model_class.memory_of_step(
        plan.arguments,
        plan.dataset.batch_size,
        bool(plan.compile_options.get("recompute")),
    )


def in_words(size: int | None) -> str:
    """Writes a size in GB; nothing for None."""
    return "" if size is None else f"{size / 1e9:.1f} GB"


def free_memory() -> int | None:
    """Returns the bytes that this process can have; None if unknown.

    Those that it has already are among them.
    """
    found = []
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        found.append(int(lines["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError, ValueError):
        pass
    folder = "/sys/fs/cgroup/"
    try:
        with open(folder + "memory.max", encoding="ascii") as file:
            most = int(file.read())  # Or the word "max".
        with open(folder + "memory.current", encoding="ascii") as file:
            found.append(most - int(file.read()))
    except (OSError, ValueError):
        pass
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            own = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
    return min(found) + own if found else None


def check_memory(plan: Any) -> None:
    """Checks before the first step that a batch fits.

    Raises:
        ValueError: If it does not; the message says the largest that does.
    """
    needed, free = run_memory(plan), free_memory()
    if needed is None or free is None or needed <= free:
        return
    recompute = bool(plan.compile_options.get("recompute"))
    asked = plan.dataset.batch_size
    fitting = [
        rows
        for rows in range(1, asked)
        if plan.model_class.memory_of_step(plan.arguments, rows, recompute)
        <= free
    ]
    advice = f"the largest that fits is {fitting[-1]}"
    if not fitting:
        advice = "not even 1 fits: choose narrower networks"
    if not recompute:
        advice += ", or more with `recompute` (--recompute)"
    raise ValueError(
        f"A step of this batch takes about {in_words(needed)}, and "
        f"{in_words(free)} are free. Lower `batch_size`: {advice}. "
        f"Received: batch_size={asked}"
    )
