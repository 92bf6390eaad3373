"""The training step: losses, gradients, optimisers, precision, devices.

Keras is imported when a name that needs it is used.
"""

import importlib
from typing import Any

_EXPORTS = {
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

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_EXPORTS[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
