"""A tiny form of every registered GAN, and numbers to fill it."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

_PLAIN: dict[str, Any] = {
    "slice_length": 256,
    "sampling_rate": 8000,
    "latent_dim": 6,
    "dim": 2,
    "spectral_dim": 2,
    "num_mel_bins": 16,
    "fft_length": 64,
    "frame_step": 16,
}

_LABELLED = {**_PLAIN, "labels": ["yes", "no", "maybe"]}

# Architecture name -> constructor arguments that make it as small as can be.
CONFIGS: dict[str, dict[str, Any]] = {
    "acgan_wavegan": _LABELLED,
    "concat_wavegan": _LABELLED,
    "control_wavegan": _LABELLED,
    "gan": {**_PLAIN, "embedding_dim": 16},
    "genre_cgan": {**_LABELLED, "embedding_dim": 16, "network": "conv"},
    "projection_wavegan": {
        "labels": ["yes", "no", "maybe"],
        "slice_length": 256,
        "sampling_rate": 8000,
        "latent_dim": 6,
        "dim": 2,
        "embedding_dim": 4,
        "spectral_dim": 2,
        "num_mel_bins": 16,
        "fft_length": 64,
        "frame_step": 16,
    },
    "wavegan": {
        "slice_length": 256,
        "sampling_rate": 8000,
        "latent_dim": 6,
        "dim": 2,
    },
}

# Architecture name -> arguments that take all chance out of a training step
# whose latents are given.
WITHOUT_CHANCE: dict[str, dict[str, Any]] = {
    "acgan_wavegan": {"phase_shuffle": 0, "augment": 0.0},
    "concat_wavegan": {"phase_shuffle": 0, "augment": 0.0},
    "control_wavegan": {"phase_shuffle": 0, "augment": 0.0},
    "gan": {},
    "genre_cgan": {"phase_shuffle": 0, "augment": 0.0},
    "projection_wavegan": {"augment": 0.0},
    "wavegan": {"phase_shuffle": 0},
}

# Losses that the backends are compared by, where they are not all: a loss is
# one function for every architecture, and "wgan-gp" differentiates twice.
_TWO_LOSSES = ("dcgan", "wgan-gp")
COMPARED_LOSSES: dict[str, tuple[str, ...]] = {
    "acgan_wavegan": _TWO_LOSSES,
    "concat_wavegan": _TWO_LOSSES,
    "control_wavegan": _TWO_LOSSES,
    "gan": _TWO_LOSSES,
    "genre_cgan": _TWO_LOSSES,
}

# Further forms, whose options run other code, and a loss to compare them by:
# form -> (architecture, options, loss).
VARIANTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "acgan_wavegan, the report's losses, both critics": (
        "acgan_wavegan",
        {
            "objective": "report",
            "label_noise": [0.9, 0.9],
            "critics": ["waveform", "spectral"],
            "num_channels": 2,
        },
        "dcgan",
    ),
    "concat_wavegan, sample, planes, both critics": (
        "concat_wavegan",
        {
            "condition_on": "sample",
            "first_layer": "planes",
            "critics": ["waveform", "spectral"],
            "num_channels": 2,
            "slice_length": 512,
        },
        "relativistic",
    ),
    "concat_wavegan, label, spectral critic": (
        "concat_wavegan",
        {"critics": ["spectral"]},
        "wgan-gp",
    ),
    "control_wavegan, both critics, a waveform classifier": (
        "control_wavegan",
        {
            "classifier_view": "waveform",
            "critics": ["waveform", "spectral"],
            "num_channels": 2,
        },
        "hinge",
    ),
    "genre_cgan, dense, spectral critic": (
        "genre_cgan",
        {"network": "dense", "critics": ["spectral"], "num_channels": 2},
        "wgan-gp",
    ),
    "wavegan, all options": (
        "wavegan",
        {
            "num_channels": 2,
            "slice_length": 512,
            "batch_norm": True,
            "upsampling": "nearest",
            "post_filter_length": 6,
        },
        "wgan-gp",
    ),
    "wavegan, both critics": (
        "wavegan",
        {"critics": ["waveform", "spectral"], "spectral_dim": 2},
        "relativistic",
    ),
}


def gan_architectures() -> list[str]:
    """Returns the registered architectures that are GANs."""
    from keras_audiogan.models import (
        AudioGAN,
        get_architecture,
        list_architectures,
    )

    return [
        name
        for name in list_architectures()
        if issubclass(get_architecture(name), AudioGAN)
    ]


def compared_losses(name: str) -> list[str]:
    """Returns the losses that the backends are compared by."""
    from keras_audiogan.training.losses import LOSSES

    return sorted(COMPARED_LOSSES.get(name, LOSSES))


def build(name: str, **options: Any) -> Any:
    """Returns a tiny model of an architecture."""
    from keras_audiogan.models import get_architecture

    return get_architecture(name)(**{**CONFIGS[name], **options})


def set_weights_from_paths(model: Any) -> None:
    """Gives each weight numbers that depend on its path alone.

    They are the same on every backend, and the same for the generator as for
    its moving average.
    """
    for weight in model.weights:
        rng = np.random.default_rng(
            zlib.crc32(
                weight.path.replace("ema_generator", "generator").encode()
            )
        )
        shape = tuple(int(size) for size in weight.shape)
        if weight.path.endswith("variance"):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            fan_in = max(1, int(np.prod(shape[:-1])))
            value = rng.standard_normal(shape) / fan_in**0.5
        weight.assign(value.astype("float32"))


def make_batch(model: Any, rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Returns a batch that leaves nothing to chance: audio and latents."""
    rng = np.random.default_rng(seed)
    shape = (rows, model.slice_length, model.num_channels)
    batch = {
        "audio": rng.uniform(-0.8, 0.8, shape).astype("float32"),
        "latents": rng.uniform(-1, 1, (rows, 2, model.latent_dim)).astype(
            "float32"
        ),
    }
    if model.labels:
        batch["labels"] = np.arange(rows, dtype="int32") % len(model.labels)
    return batch
