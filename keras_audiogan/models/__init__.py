"""The architectures: one file each, registered by importing this package."""

from keras_audiogan.models.audio_gan import AudioGAN
from keras_audiogan.models.registry import (
    get_architecture,
    list_architectures,
    register_architecture,
)
from keras_audiogan.models.wavegan import (
    WaveGAN,
    WaveGANDiscriminator,
    WaveGANGenerator,
)

__all__ = [
    "AudioGAN",
    "WaveGAN",
    "WaveGANDiscriminator",
    "WaveGANGenerator",
    "get_architecture",
    "list_architectures",
    "register_architecture",
]
