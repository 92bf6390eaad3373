"""What `audiogan evaluate` says of clips as music."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

JUDGE = "musicnn"


class Embedding(NamedTuple):
    """The network whose features distances of music are of.

    Its name, the preset that holds it, and what to say of it, if anything.
    """

    name: str
    preset: str | pathlib.Path
    note: str | None = None


def is_wanted(asked: bool | None, labels: Any) -> bool:
    """Return whether to measure music: if asked for, or without labels."""
    return not labels if asked is None else asked


def choose_embedding(sampling_rate: int) -> Embedding | None:
    """Return musicnn if it was fetched, else one of the zoo's classifiers.

    That is the one of the highest rate that sound at `sampling_rate` has the
    frequencies for; None if there is none.
    """
    from keras_audiogan import zoo
    from keras_audiogan.converters.judges import JUDGES, find_judge
    from keras_audiogan.presets.tasks import task_of
    from keras_audiogan.presets.words import size

    folder = find_judge(JUDGE)
    if folder is not None:
        return Embedding(JUDGE, folder)
    found = []
    for name in zoo.list_presets():
        info = zoo.preset_info(name)
        if (
            task_of(info).can("predict")
            and info["sampling_rate"] <= sampling_rate
        ):
            accuracy = info["metrics"].get("test_accuracy", 0.0)
            found.append((info["sampling_rate"], accuracy, name))
    if not found:
        return None
    name = max(found)[2]
    return Embedding(
        name,
        name,
        f"{JUDGE}, a published network that hears music, is not here: "
        f"`audiogan judge {JUDGE}` fetches it "
        f"({size(JUDGES[JUDGE].num_bytes)}). {name} of the zoo, which did not "
        "learn music, stands in: compare its distances with each other only.",
    )


def evaluate(
    generated: np.ndarray,
    real: np.ndarray,
    held_out: np.ndarray,
    sampling_rate: int,
    seed: int,
) -> dict[str, Any]:
    """Return a report of `metrics.evaluate_music`."""
    from keras_audiogan import metrics, zoo

    embedding = choose_embedding(sampling_rate)
    report = metrics.evaluate_music(
        generated,
        real,
        held_out,
        sampling_rate,
        zoo.from_preset(embedding.preset) if embedding else None,
        embedding_name=embedding.name if embedding else None,
        seed=seed,
    )
    report["notes"] = [embedding.note] if embedding and embedding.note else []
    return report
