"""What a type checker, and with it an editor, knows of `from_preset`.

`make typecheck` runs mypy over this file; nothing here is ever called.
"""

from pathlib import Path
from typing import Any, assert_type

import numpy as np

import keras_audiogan
from keras_audiogan import AudioClassifier, AudioGAN, Vocoder, zoo


def presets_of_the_zoo() -> None:
    gan = keras_audiogan.from_preset("wavegan_digits")
    assert_type(gan, AudioGAN)
    assert_type(gan.sample(8, seed=0), np.ndarray)
    vocoder = keras_audiogan.from_preset("hifigan_speech", dtype="float32")
    assert_type(vocoder, Vocoder)
    assert_type(vocoder.vocode("mels"), np.ndarray)
    assert_type(vocoder.vocode([np.zeros((9, 80))]), list[np.ndarray])
    coder = keras_audiogan.from_preset("progressive_vae_gan_piano")
    assert_type(coder.reconstruct(np.zeros((1, 16384, 2))), np.ndarray)
    classifier = keras_audiogan.from_preset("digit_classifier")
    assert_type(classifier, AudioClassifier)
    assert_type(classifier.predict_labels("sound"), list[str])
    # A name from before presets were renamed, and a task that says the same.
    assert_type(zoo.from_preset("genre_cgan_drums_conv"), AudioGAN)
    assert_type(zoo.from_preset("melgan_speech", task="vocode"), Vocoder)


def presets_of_others(uri: str, folder: Path) -> None:
    assert_type(zoo.from_preset(uri, task="generate"), AudioGAN)
    assert_type(zoo.from_preset(folder, task="vocode", token="t"), Vocoder)
    assert_type(zoo.from_preset(folder, task="classify"), AudioClassifier)
    assert_type(zoo.from_preset(uri), Any)
