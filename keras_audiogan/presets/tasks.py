"""Tasks: what a model is for, what it can do, and the command that tries it.

Whoever needs to know what a preset is good for (commands, cards, listings)
asks this table. Nothing here imports Keras or NumPy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Task:
    """What a model takes and gives.

    Attributes:
        name: As `task` in config.json.
        noun: What a model of the task is called, e.g. `"vocoder"`.
        summary: What it does, as the end of a sentence that begins with the
            noun.
        capabilities: Names of the methods that every model of the task has.
        commands: Command lines that try a preset, with `{preset}` where its
            name goes.
    """

    name: str
    noun: str
    summary: str
    capabilities: tuple[str, ...]
    commands: tuple[str, ...]

    def can(self, *capabilities: str) -> bool:
        """Returns whether models of the task have one of these methods."""
        return not set(capabilities).isdisjoint(self.capabilities)

    def tries(self, preset: str) -> list[str]:
        """Returns the command lines that try a preset, by name or place."""
        return [command.format(preset=preset) for command in self.commands]


_SAMPLE = "audiogan sample {preset} -n 8 -o out/"

TASKS = {
    task.name: task
    for task in (
        Task(
            "generate",
            "generator",
            "makes clips from random latents, of a label where it has labels",
            ("sample", "interpolate"),
            (_SAMPLE,),
        ),
        Task(
            "vocode",
            "vocoder",
            "makes sound of any length from mel spectrograms or recordings",
            ("mel", "vocode"),
            ("audiogan vocode {preset} recordings/ -o out/",),
        ),
        Task(
            "autoencode",
            "autoencoder",
            "turns sound into latents and back, and makes clips from noise",
            ("encode", "decode", "reconstruct", "sample", "interpolate"),
            (_SAMPLE, "audiogan reconstruct {preset} recordings/ -o out/"),
        ),
        Task(
            "classify",
            "classifier",
            "tells which label a sound has",
            ("predict",),
            (
                "audiogan evaluate GENERATOR --data sounds/ "
                "--classifier {preset}",
            ),
        ),
    )
}
"""Every task by its name, in the order in which people are shown them."""


def task_of(config: Mapping[str, Any]) -> Task:
    """Returns the task of a preset, from what `read_config` returns.

    Raises:
        ValueError: If the preset names a task that this version lacks.
    """
    name = config["task"]
    if name not in TASKS:
        raise ValueError(
            f"The preset's config.json names an unknown task. Expected one of "
            f"{', '.join(TASKS)}; a newer keras-audiogan may know it. "
            f"Received: task={name!r}"
        )
    return TASKS[name]
