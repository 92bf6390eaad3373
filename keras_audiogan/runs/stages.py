"""A model that grows is trained stage by stage, each stage a run of its own.

```
run/
    stages.json      what was asked for, and which parts are done
    stage_4/         the run of four blocks
    stage_5_frozen/  five blocks, of which four do not train
    stage_5/         the same five, which all train
```

A part begins with the newest checkpoint of the one before: stage 5 with that
of its frozen part, which began with that of stage 4. Whatever can be done
with a run can be done with each.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_audiogan.data.reports import duration_in_words
from keras_audiogan.presets.atomic_folder import write_json
from keras_audiogan.runs.checkpoints import CheckpointFolder
from keras_audiogan.runs.options import TrainingOptions, resumed_options
from keras_audiogan.runs.run_lock import run_lock
from keras_audiogan.runs.stage_options import STAGES_FILE, StageOptions

OPTIONS_FILE = "options.json"
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Part:
    """A run among those of the stages.

    Attributes:
        name: Its folder within the run's.
        options: What `run_training` is given.
        num_blocks: Its stage.
    """

    name: str
    options: TrainingOptions
    num_blocks: int

    @property
    def is_begun(self) -> bool:
        """Whether it can be resumed."""
        return (self.options.folder / OPTIONS_FILE).is_file()


def describe_stages(options: TrainingOptions, asked: StageOptions) -> str:
    """Scans the data and says what `run_stages` would do.

    Args:
        options: Those of all stages; see `TrainingOptions`.
        asked: The stages.

    Returns:
        Lines for people: the first part in full, and a table of all.
    """
    from keras_audiogan.runs.memory import in_words, run_memory
    from keras_audiogan.runs.plan import make_plan

    options, chosen, done = _merged(options, asked)
    lines: list[str] = []
    rows = [_ROW.format(*_HEAD)]
    for part in _parts(options, chosen):
        fresh = dataclasses.replace(part.options, resume=part.is_begun)
        plan = make_plan(fresh)
        if not lines:
            lines = [plan.describe(), "", "Stages"]
        clip = plan.arguments["slice_length"] / plan.arguments["sampling_rate"]
        before = part.options.grown_from
        rows.append(
            _ROW.format(
                part.name,
                duration_in_words(clip),
                f"{plan.dataset.num_slices:,}",
                plan.dataset.batch_size,
                f"{plan.steps:,}",
                in_words(run_memory(plan)),
                "done"
                if part.name in done
                else Path(before).name
                if before
                else "nothing",
            )
        )
    return "\n".join([*lines, *rows])


_ROW = "  {:15} {:>14} {:>8} {:>6} {:>8} {:>9}  {}"
_HEAD = ("part", "clip", "slices", "batch", "steps", "memory", "begins with")


def run_stages(
    options: TrainingOptions, asked: StageOptions, *, quiet: bool = False
) -> Any:
    """Trains a model that grows, stage by stage, or continues to.

    Args:
        options: What holds for all stages; see `TrainingOptions`. Its
            `output` gets a folder for each part.
        asked: The stages. With `resume` they may be left out, or go on where
            the run's end.
        quiet: Whether to show no progress, alarms only.

    Returns:
        The `RunResult` of the last part, or of the one that a signal ended.

    Raises:
        ValueError: As `run_training`; or if a stage cannot begin with what
            the folder holds.
    """
    from keras_audiogan.runs.run import run_training

    options, chosen, done = _merged(options, asked)
    with run_lock(options.folder):
        # Another process may have begun one meanwhile.
        options, chosen, done = _merged(options, asked)
        parts = _parts(options, chosen)
        _write(options, chosen, done)
        result = None
        for part in parts:
            if part.name in done and part is not parts[-1]:
                continue
            result = run_training(
                dataclasses.replace(part.options, resume=part.is_begun),
                quiet=quiet,
            )
            if result.signal is not None:
                break
            done = {**done, part.name: part.options.steps}
            _write(options, chosen, done)
    return result


def _write(
    options: TrainingOptions, chosen: StageOptions, done: dict[str, Any]
) -> None:
    write_json(
        options.folder / STAGES_FILE,
        {
            "format_version": FORMAT_VERSION,
            "options": options.as_json(),
            **dataclasses.asdict(chosen),
            "done": done,
        },
    )


def _merged(
    options: TrainingOptions, asked: StageOptions
) -> tuple[TrainingOptions, StageOptions, dict[str, Any]]:
    """Puts together what is asked for and what the folder's run was."""
    from keras_audiogan.models.registry import get_architecture

    folder = options.folder
    if not options.resume:
        asked.check()
        options.check()
        own = _own_batch_sizes(get_architecture(options.architecture or ""))
        asked.check(len(own))
        begun = [f"stage_{asked.stages[0]}"]  # type: ignore[index]
        if folder.exists():
            found = [entry.name for entry in folder.iterdir()]
            if any(not name.startswith("run.lock") for name in found):
                raise ValueError(
                    f"{folder} is not empty. Continue the run in it with "
                    "`resume` (--resume), or choose another folder. "
                    f"Received: {', '.join(sorted(found)[:3] or begun)}"
                )
        return options, asked.resolved(own), {}
    path = folder / STAGES_FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        version = stored["format_version"]
        known = {
            name: stored[name]
            for name in ("stages", "frozen_steps", "steps", "batch_sizes")
        }
        done, before = stored["done"], stored["options"]
    except FileNotFoundError:
        raise ValueError(
            f"There is no run of stages to resume in {folder}: it has no "
            f"{STAGES_FILE}. Start it without `resume`."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}.") from error
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {version}; expected "
            f"{FORMAT_VERSION}. Update with: pip install -U keras-audiogan"
        )
    options = resumed_options(options, before)
    own = _own_batch_sizes(get_architecture(options.architecture or ""))
    chosen = _continued(StageOptions(**known), asked, own, done)
    return options, chosen, done


def _own_batch_sizes(model_class: Any) -> Sequence[int]:
    sizes = getattr(model_class, "stage_batch_sizes", ())
    if not sizes:
        raise ValueError(
            "`stages` are for architectures that grow, such as "
            "progressive_wavegan. "
            f"Received: architecture={model_class.architecture!r}"
        )
    return sizes


def _continued(
    known: StageOptions,
    asked: StageOptions,
    own: Sequence[int],
    done: dict[str, Any],
) -> StageOptions:
    """Merges stages that are asked for with those of a run."""
    old: list[int] = list(known.stages or ())
    new = old if asked.stages is None else list(asked.stages)
    if new and new[0] == old[-1] + 1:  # What comes behind is named alone.
        new = old + new
    if new[: len(old)] != old:
        raise ValueError(
            "A run of stages is resumed with the stages it was started "
            "with, and those behind them. Expected "
            f"{','.join(map(str, old))}, or on from {old[-1] + 1}. "
            f"Received: stages={list(asked.stages or ())}"
        )
    frozen = known.frozen_steps
    if asked.frozen_steps not in (None, frozen):
        raise ValueError(
            "A run of stages is resumed with the `frozen_steps` it was "
            f"started with, {frozen}. "
            f"Received: frozen_steps={asked.frozen_steps}"
        )

    def lists(name: str) -> list[int]:
        before = list(getattr(known, name))
        given = getattr(asked, name)
        if given is None:
            # New stages are as long as the last one.
            rest = StageOptions(
                stages=new[len(old) :],
                steps=before[-1],
            ).resolved(own)
            return before + list(getattr(rest, name))
        if isinstance(given, int):
            given = [given] * len(new)
        if len(given) == len(new) - len(old):
            given = before + list(given)
        return list(given)

    merged = StageOptions(
        stages=new,
        frozen_steps=frozen,
        steps=lists("steps"),
        batch_sizes=lists("batch_sizes"),
    )
    merged.check(len(own))
    for name in ("steps", "batch_sizes"):
        for stage, was, now in zip(
            old, getattr(known, name), getattr(merged, name), strict=False
        ):
            # A stage that others have begun with stays as it was.
            if was != now and f"stage_{stage}" in done and stage != old[-1]:
                raise ValueError(
                    f"Stage {stage} is done, with {name} of {was}: that stays. "
                    f"Received: {name}={getattr(asked, name)}"
                )
    return merged


def _parts(options: TrainingOptions, chosen: StageOptions) -> list[Part]:
    """Returns the parts in their order."""
    steps: Any = chosen.steps
    sizes: Any = chosen.batch_sizes
    parts: list[Part] = []

    def add(name: str, blocks: int, frozen: int, steps: int, rows: int) -> None:
        before = parts[-1].options.folder if parts else None
        part = dataclasses.replace(
            options,
            output=options.folder / name,
            model={
                **(options.model or {}),
                "num_blocks": blocks,
                "frozen_blocks": frozen,
            },
            steps=steps,
            batch_size=rows,
            grown_from=before,
        )
        parts.append(Part(name, part, blocks))

    for index, stage in enumerate(chosen.stages or ()):
        if index and chosen.frozen_steps:
            add(
                f"stage_{stage}_frozen",
                stage,
                stage - 1,
                chosen.frozen_steps,
                sizes[index],
            )
        add(f"stage_{stage}", stage, 0, steps[index], sizes[index])
    return parts


def carry_stage(model: Any, folder: str | os.PathLike[str]) -> None:
    """Begins a model with what the run of an earlier stage has learnt.

    Its newest sound checkpoint holds the weights as they were, bit for bit.

    Args:
        model: A model that grows.
        folder: The run of the same stage, or of an earlier one.

    Raises:
        ValueError: If the run is missing or torn, or its networks are of
            another form; no weight has changed then.
    """
    path = Path(folder)
    try:
        text = (path / OPTIONS_FILE).read_text(encoding="utf-8")
        num_blocks = json.loads(text)["model_config"]["num_blocks"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"The stage before cannot be read: {path} holds no whole run. "
            "Train it first, or bring its folder back. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    checkpoints = CheckpointFolder(path / "checkpoints")
    newest = checkpoints.newest()
    if newest is None:
        raise ValueError(
            f"The stage before cannot be read: {path} has no sound "
            "checkpoint. Train it first with `resume`, or bring its folder "
            f"back. Received: {'; '.join(checkpoints.problems) or 'none'}"
        )
    weights = {
        name.removeprefix("model/"): value
        for name, value in newest[1].items()
        if name.startswith("model/")
    }
    try:
        model.carry(weights, num_blocks)
    except ValueError as error:
        raise ValueError(f"{newest[0].path}: {error}") from error
