"""Training runs: options, plan, callbacks, checkpoints, evaluation, records.

Keras is imported when a name that needs it is used.
"""

from keras_audiogan._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Alarms": "alarms",
        "CheckpointError": "checkpoints",
        "CheckpointFolder": "checkpoints",
        "Checkpoints": "callbacks",
        "Evaluation": "evaluation",
        "Previews": "callbacks",
        "Progress": "progress",
        "RunLog": "run_log",
        "RunPlan": "plan",
        "RunResult": "run",
        "StageOptions": "stage_options",
        "StepCallback": "callbacks",
        "StopOnSignal": "interrupts",
        "Trainer": "trainer",
        "TrainingOptions": "options",
        "describe_run": "run",
        "describe_stages": "stages",
        "make_plan": "plan",
        "resumed_at": "callbacks",
        "run_stages": "stages",
        "run_training": "run",
    },
)
