"""Which stages of a model that grows are trained; Keras is not imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from keras_audiogan.runs.options import DEFAULTS

STAGES_FILE = "stages.json"
DEFAULT_FROZEN_STEPS = 2000


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageOptions:
    """Which stages are trained, and how long. None stands for a default.

    Attributes:
        stages: Numbers of blocks, each one more than the one before.
        frozen_steps: Steps before each stage but the first in which only what
            is new trains; 0 for none; 2,000.
        steps: Steps of each stage, or one number for all; 20,000.
        batch_sizes: Rows of a discriminator update in each stage, or one
            number for all; the architecture's own by stage.
    """

    stages: Sequence[int] | None = None
    frozen_steps: int | None = None
    steps: Sequence[int] | int | None = None
    batch_sizes: Sequence[int] | int | None = None

    def check(self, most: int | None = None) -> None:
        """Checks what can be checked without the data.

        Args:
            most: The last stage that there is.

        Raises:
            ValueError: If stages skip, repeat or fall, or a list does not
                fit them.
        """
        stages = list(self.stages or ())
        rising = (
            list(range(stages[0], stages[0] + len(stages))) if stages else 0
        )
        if stages != rising or stages[0] < 1 or stages[-1] > (most or 1 << 10):
            last = "" if most is None else f" to {most}"
            raise ValueError(
                "`stages` are numbers of blocks that rise by one, from 1"
                f"{last}, e.g. 4,5,6: a stage begins with what the one before "
                f"has learnt. Received: stages={stages}"
            )
        if self.frozen_steps is not None and self.frozen_steps < 0:
            raise ValueError(
                "`frozen_steps` must be 0 or more. "
                f"Received: frozen_steps={self.frozen_steps}"
            )
        for name in ("steps", "batch_sizes"):
            values = getattr(self, name)
            if values is None or isinstance(values, int):
                values = [1 if values is None else values] * len(stages)
            if len(values) != len(stages) or min(values) < 1:
                raise ValueError(
                    f"`{name}` is a number of 1 or more, or one for each of "
                    f"the {len(stages)} stages. Received: "
                    f"{name}={getattr(self, name)}"
                )

    def resolved(self, own_batch_sizes: Sequence[int]) -> StageOptions:
        """Returns them with a number for every stage."""
        stages = list(self.stages or ())

        def each(values: Any, default: Callable[[int], int]) -> list[int]:
            if values is None:
                return [default(stage) for stage in stages]
            if isinstance(values, int):
                return [values] * len(stages)
            return list(values)

        frozen = self.frozen_steps
        return StageOptions(
            stages=stages,
            frozen_steps=DEFAULT_FROZEN_STEPS if frozen is None else frozen,
            steps=each(self.steps, lambda _: DEFAULTS["steps"]),
            batch_sizes=each(
                self.batch_sizes, lambda stage: own_batch_sizes[stage - 1]
            ),
        )
