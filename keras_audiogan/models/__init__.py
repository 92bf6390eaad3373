"""The architectures: one file each, registered by importing this package."""

from keras_audiogan.models import vocoder_discriminators  # noqa: F401
from keras_audiogan.models.acgan_wavegan import ACGANWaveGAN
from keras_audiogan.models.adversarial import AdversarialModel
from keras_audiogan.models.audio_classifier import AudioClassifier
from keras_audiogan.models.audio_gan import AudioGAN
from keras_audiogan.models.bigvgan import BigVGAN, BigVGANGenerator
from keras_audiogan.models.cgan import CGAN, GAN
from keras_audiogan.models.concat_wavegan import ConcatWaveGAN
from keras_audiogan.models.conditional_gan import ConditionalGAN
from keras_audiogan.models.control_wavegan import ControlWaveGAN
from keras_audiogan.models.dcgan import DCGAN
from keras_audiogan.models.digit_classifier import (
    DigitClassifier,
    DigitClassifierNetwork,
)
from keras_audiogan.models.discriminators import (
    Discriminator,
    list_discriminators,
    register_discriminator,
)
from keras_audiogan.models.gansynth import (
    GANSynth,
    GANSynthGenerator,
    ProgressiveDiscriminator,
)
from keras_audiogan.models.hifigan import HiFiGAN, HiFiGANGenerator
from keras_audiogan.models.lstm_classifier import (
    LSTMClassifier,
    LSTMClassifierNetwork,
)
from keras_audiogan.models.melgan import (
    MelGAN,
    MelGANGenerator,
    MultiBandMelGAN,
)
from keras_audiogan.models.musicnn import MusiCNN, MusiCNNNetwork
from keras_audiogan.models.parallel_wavegan import (
    ParallelWaveGAN,
    ParallelWaveGANGenerator,
)
from keras_audiogan.models.progressive_networks import (
    ProgressiveGenerator,
    ProgressiveWaveGANDiscriminator,
)
from keras_audiogan.models.progressive_vae_gan import ProgressiveVAEGAN
from keras_audiogan.models.progressive_wavegan import ProgressiveWaveGAN
from keras_audiogan.models.projection_specgan import (
    ProjectionDCGAN,
    ProjectionSpecGAN,
    ProjectionSpecGANGenerator,
)
from keras_audiogan.models.projection_wavegan import (
    ProjectionWaveGAN,
    ProjectionWaveGANGenerator,
)
from keras_audiogan.models.registry import (
    get_architecture,
    list_architectures,
    register_architecture,
)
from keras_audiogan.models.specgan import (
    SpecGAN,
    SpecGANDiscriminator,
    SpecGANGenerator,
)
from keras_audiogan.models.spectral_gan import SpectralGAN
from keras_audiogan.models.stft_gan import STFTGAN, STFTGenerator
from keras_audiogan.models.vocoder import Vocoder
from keras_audiogan.models.vocos import Vocos, VocosGenerator
from keras_audiogan.models.wavegan import (
    WaveGAN,
    WaveGANDiscriminator,
    WaveGANGenerator,
)

# Its name before it was found that nothing in it is about genres.
GenreCGAN = CGAN

__all__ = [
    "CGAN",
    "DCGAN",
    "GAN",
    "GANSynth",
    "GANSynthGenerator",
    "ProgressiveDiscriminator",
    "ProgressiveGenerator",
    "ProgressiveVAEGAN",
    "ProgressiveWaveGAN",
    "ProgressiveWaveGANDiscriminator",
    "ACGANWaveGAN",
    "AdversarialModel",
    "AudioClassifier",
    "AudioGAN",
    "BigVGAN",
    "BigVGANGenerator",
    "ConcatWaveGAN",
    "ConditionalGAN",
    "ControlWaveGAN",
    "DigitClassifier",
    "DigitClassifierNetwork",
    "Discriminator",
    "LSTMClassifier",
    "LSTMClassifierNetwork",
    "GenreCGAN",
    "HiFiGAN",
    "HiFiGANGenerator",
    "MelGAN",
    "MelGANGenerator",
    "MultiBandMelGAN",
    "MusiCNN",
    "MusiCNNNetwork",
    "ParallelWaveGAN",
    "ParallelWaveGANGenerator",
    "ProjectionDCGAN",
    "ProjectionSpecGAN",
    "ProjectionSpecGANGenerator",
    "ProjectionWaveGAN",
    "ProjectionWaveGANGenerator",
    "SpecGAN",
    "SpecGANDiscriminator",
    "SpecGANGenerator",
    "SpectralGAN",
    "STFTGAN",
    "STFTGenerator",
    "Vocoder",
    "Vocos",
    "VocosGenerator",
    "WaveGAN",
    "WaveGANDiscriminator",
    "WaveGANGenerator",
    "get_architecture",
    "list_architectures",
    "list_discriminators",
    "register_architecture",
    "register_discriminator",
]
