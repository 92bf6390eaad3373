"""Layers that several architectures share."""

from keras_audiogan.layers.batch_norm import BatchNorm
from keras_audiogan.layers.convnext import ConvNeXtBlock
from keras_audiogan.layers.istft_head import InverseSTFTHead
from keras_audiogan.layers.mel_features import (
    MEL_SETTINGS,
    LogMelSpectrogram,
    MelFeatures,
)
from keras_audiogan.layers.mfcc import MFCC, cosine_matrix
from keras_audiogan.layers.phase_shuffle import PhaseShuffle
from keras_audiogan.layers.pqmf import PQMF
from keras_audiogan.layers.representations import (
    LogSpectrogram,
    MagnitudeFrequency,
    Representation,
    SubBands,
    Waveform,
    get_representation,
    register_representation,
)
from keras_audiogan.layers.snake import AntiAliasedSnake
from keras_audiogan.layers.spectrogram_augment import SpectrogramAugment
from keras_audiogan.layers.stft import stft, stft_magnitude, stft_power
from keras_audiogan.layers.strided_conv import (
    StridedConv1D,
    StridedConv1DTranspose,
)

__all__ = [
    "AntiAliasedSnake",
    "BatchNorm",
    "ConvNeXtBlock",
    "InverseSTFTHead",
    "LogMelSpectrogram",
    "LogSpectrogram",
    "MEL_SETTINGS",
    "MFCC",
    "MagnitudeFrequency",
    "MelFeatures",
    "PQMF",
    "PhaseShuffle",
    "Representation",
    "SpectrogramAugment",
    "StridedConv1D",
    "StridedConv1DTranspose",
    "SubBands",
    "Waveform",
    "cosine_matrix",
    "get_representation",
    "register_representation",
    "stft",
    "stft_magnitude",
    "stft_power",
]
