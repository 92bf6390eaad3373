"""Training runs: options, callbacks, checkpoints, evaluation, records.

Keras is imported when a name that needs it is used.
"""

import importlib
from typing import Any

_EXPORTS = {
    "Alarms": "alarms",
    "CheckpointError": "checkpoints",
    "CheckpointFolder": "checkpoints",
    "Checkpoints": "callbacks",
    "Evaluation": "evaluation",
    "Previews": "callbacks",
    "Progress": "progress",
    "RunLog": "run_log",
    "RunResult": "run",
    "StepCallback": "callbacks",
    "StopOnSignal": "interrupts",
    "TrainingOptions": "options",
    "describe_run": "run",
    "resumed_at": "callbacks",
    "run_training": "run",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_EXPORTS[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
