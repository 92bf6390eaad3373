"""The training step: losses, gradients, optimisers, precision, devices.

Keras is imported when a name that needs it is used.
"""

from keras_audiogan._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "GANLoss": "losses",
        "MultiResolutionSTFTLoss": "vocoder_losses",
        "discriminator_adversarial_loss": "vocoder_losses",
        "feature_matching_loss": "vocoder_losses",
        "generator_adversarial_loss": "vocoder_losses",
        "get_distribution": "distribution",
        "get_loss": "losses",
        "mel_loss": "vocoder_losses",
        "resolve_precision": "precision",
    },
)
