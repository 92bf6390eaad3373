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


_MEL = {
    "num_mel_bins": 8,
    "fft_length": 64,
    "frame_step": 16,
    "window_length": 64,
    "min_frequency": 0.0,
    "max_frequency": None,
}
_SCALES = {
    "kind": "multi_scale",
    "num_scales": 2,
    "channels": 4,
    "max_channels": 8,
    "downsample_rates": [2],
}
# Clips must be longer than half the longest window of the STFT loss.
_VOCODER: dict[str, Any] = {
    "sampling_rate": 8000,
    "slice_length": 2048,
    "mel": _MEL,
    "discriminator": _SCALES,
}

# Architecture name of a vocoder -> arguments that make it tiny.
VOCODERS: dict[str, dict[str, Any]] = {
    "hifigan": {
        **_VOCODER,
        "channels": 8,
        "upsample_rates": [4, 4],
        "upsample_kernel_sizes": [8, 8],
        "block_kernel_sizes": [3, 5],
        "block_dilations": [[1, 2], [1, 3]],
        "discriminator": {
            "kind": "multi_period_multi_scale",
            "periods": [2, 3],
            "period_channels": 2,
            "period_max_channels": 4,
            "period_rates": [2, 1],
            "num_scales": 2,
            "scale_channels": 16,
            "scale_max_channels": 16,
            "scale_rates": [2],
        },
    },
    "melgan": {
        **_VOCODER,
        "channels": 8,
        "upsample_rates": [4, 4],
        "num_stacks": 2,
    },
    "multiband_melgan": {
        **_VOCODER,
        "channels": 8,
        "upsample_rates": [2, 2],
        "num_stacks": 2,
    },
    "parallel_wavegan": {
        **_VOCODER,
        "num_layers": 4,
        "num_stacks": 2,
        "residual_channels": 4,
        "gate_channels": 8,
        "skip_channels": 4,
        "upsample_rates": [4, 4],
        "discriminator": {"kind": "dilated", "num_layers": 3, "channels": 4},
    },
}

# Further forms of vocoders: form -> (architecture, options).
VOCODER_VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "hifigan, causal, blocks of type 2": (
        "hifigan",
        {"causal": True, "block_type": 2},
    ),
    "melgan, causal, hop of odd factors": (
        "melgan",
        {
            "causal": True,
            "upsample_rates": [5, 3],
            "mel": {**_MEL, "frame_step": 15},
            "slice_length": 2025,
        },
    ),
    "melgan, hop of odd factors": (
        "melgan",
        {
            "upsample_rates": [5, 3],
            "mel": {**_MEL, "frame_step": 15},
            "slice_length": 2025,
        },
    ),
    "parallel_wavegan, causal, residual discriminator": (
        "parallel_wavegan",
        {
            "causal": True,
            "discriminator": {
                "kind": "residual",
                "num_layers": 2,
                "num_stacks": 1,
                "residual_channels": 4,
                "gate_channels": 8,
                "skip_channels": 4,
            },
        },
    ),
}


def gan_architectures() -> list[str]:
    """Returns the registered architectures that make sound of latents."""
    from keras_audiogan.models import (
        AudioGAN,
        Vocoder,
        get_architecture,
        list_architectures,
    )

    classes = {name: get_architecture(name) for name in list_architectures()}
    return [
        name
        for name, each in classes.items()
        if issubclass(each, AudioGAN) and not issubclass(each, Vocoder)
    ]


def vocoder_architectures() -> list[str]:
    """Returns the registered architectures that make sound of mels."""
    from keras_audiogan.models import (
        Vocoder,
        get_architecture,
        list_architectures,
    )

    return [
        name
        for name in list_architectures()
        if issubclass(get_architecture(name), Vocoder)
    ]


def compared_losses(name: str) -> list[str]:
    """Returns the losses that the backends are compared by."""
    from keras_audiogan.training.losses import LOSSES

    return sorted(COMPARED_LOSSES.get(name, LOSSES))


def build(name: str, **options: Any) -> Any:
    """Returns a tiny model of an architecture."""
    from keras_audiogan.models import get_architecture

    config = CONFIGS[name] if name in CONFIGS else VOCODERS[name]
    return get_architecture(name)(**{**config, **options})


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


def make_mels(model: Any, rows: int, frames: int, seed: int = 0) -> np.ndarray:
    """Returns mels of noise, as the vocoder's front end makes them."""
    rng = np.random.default_rng(seed)
    samples = max((frames + 4) * model.features.frame_step, 256)
    audio = 0.3 * rng.standard_normal((rows, samples, 1))
    return model.mel(audio.astype("float32"))[:, :frames]


def make_vocoder_batch(model: Any, rows: int, seed: int = 0) -> dict[str, Any]:
    """Returns a batch that leaves nothing to chance: audio and noise."""
    rng = np.random.default_rng(seed)
    shape = (rows, model.slice_length, 1)
    return {
        "audio": rng.uniform(-0.8, 0.8, shape).astype("float32"),
        "noise": rng.standard_normal(shape).astype("float32"),
    }
