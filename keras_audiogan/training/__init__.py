"""The training step: losses, gradients, optimisers, precision, devices.

Keras is imported when a name that needs it is used.
"""

from keras_audiogan._lazy import lazy_names

_OWN = {
    "GANLoss": "losses",
    "MultiResolutionSTFTLoss": "vocoder_losses",
    "discriminator_adversarial_loss": "vocoder_losses",
    "feature_matching_loss": "vocoder_losses",
    "generator_adversarial_loss": "vocoder_losses",
    "get_distribution": "distribution",
    "get_loss": "losses",
    "mel_loss": "vocoder_losses",
    "resolve_precision": "precision",
}
# Whole runs stood here before they had a package of their own.
_RUNS = {
    name: ".runs"
    for name in (
        "Alarms CheckpointError CheckpointFolder Checkpoints Evaluation "
        "Previews Progress RunLog RunResult StepCallback StopOnSignal "
        "TrainingOptions describe_run resumed_at run_training"
    ).split()
}

__getattr__, __dir__, _ = lazy_names(__name__, {**_OWN, **_RUNS})
__all__ = list(_OWN)
