"""A tiny form of every registered GAN, and numbers to fill it."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from keras_audiogan.models.vocoder import TINY

# Losses that the backends are compared by, where they are not all: a loss is
# one function for every architecture, and "wgan-gp" differentiates twice.
_TWO_LOSSES = ("dcgan", "wgan-gp")
COMPARED_LOSSES: dict[str, tuple[str, ...]] = {
    "acgan_wavegan": _TWO_LOSSES,
    "concat_wavegan": _TWO_LOSSES,
    "control_wavegan": _TWO_LOSSES,
    "gan": _TWO_LOSSES,
    "gansynth": _TWO_LOSSES,
    "cgan": _TWO_LOSSES,
    "dcgan": _TWO_LOSSES,
    "progressive_wavegan": _TWO_LOSSES,
    "progressive_vae_gan": ("wgan-gp",),
    "projection_dcgan": _TWO_LOSSES,
    "projection_specgan": ("relativistic",),
    "specgan": _TWO_LOSSES,
}

# Discriminators that leave nothing to chance.
WAVEFORM: dict[str, Any] = {"kind": "waveform", "phase_shuffle": 0}
SPECTRAL: dict[str, Any] = {
    "kind": "spectral",
    "dim": 2,
    "num_mel_bins": 16,
    "fft_length": 64,
    "frame_step": 16,
    "augment": 0.0,
}

# Further forms, whose options run other code, and a loss to compare them by:
# form -> (architecture, options, loss).
VARIANTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "acgan_wavegan, the report's losses, two discriminators": (
        "acgan_wavegan",
        {
            "objective": "report",
            "label_noise": [0.9, 0.9],
            "discriminators": [WAVEFORM, SPECTRAL],
            "num_channels": 2,
        },
        "dcgan",
    ),
    "concat_wavegan, sample, planes, two discriminators": (
        "concat_wavegan",
        {
            "condition_on": "sample",
            "first_layer": "planes",
            "discriminators": [WAVEFORM, SPECTRAL],
            "num_channels": 2,
            "slice_length": 512,
            "variety_weight": 2.0,
        },
        "relativistic",
    ),
    "concat_wavegan, label, spectral discriminator": (
        "concat_wavegan",
        {"discriminators": [SPECTRAL]},
        "wgan-gp",
    ),
    "control_wavegan, two discriminators, a waveform classifier": (
        "control_wavegan",
        {
            "classifier": WAVEFORM,
            "discriminators": [WAVEFORM, SPECTRAL],
            "num_channels": 2,
        },
        "hinge",
    ),
    "cgan, dense, spectral discriminator": (
        "cgan",
        {"network": "dense", "discriminators": [SPECTRAL], "num_channels": 2},
        "wgan-gp",
    ),
    "projection_specgan, all options": (
        "projection_specgan",
        {
            "num_channels": 2,
            "slice_length": 512,
            "frame_step": 13,
            "batch_norm": True,
            "upsampling": "nearest",
            "max_channels": 3,
            "mean": [-1.0] * 17,
            "phase_momentum": 0.5,
            "exact_overlap": False,
        },
        "wgan-gp",
    ),
    "gansynth, growing, linear, stereo": (
        "gansynth",
        {
            "mel": False,
            "num_channels": 2,
            "first_block": 2,
            "num_stable": 8,
            "num_transition": 8,
        },
        "wgan-gp",
    ),
    "progressive_wavegan, all options": (
        "progressive_wavegan",
        {
            "num_channels": 2,
            "num_blocks": 3,
            "widths": "halved",
            "extended": "both",
            "sample_norm": True,
            "equalized": True,
            "frozen_blocks": 2,
            "discriminators": [
                {"kind": "progressive_waveform", "minibatch_deviation": True}
            ],
        },
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
    "wavegan, band-limited": (
        "wavegan",
        {"upsampling": "band_limited", "slice_length": 256},
        "hinge",
    ),
    "progressive_wavegan, band-limited, equalized": (
        "progressive_wavegan",
        {"upsampling": "band_limited", "equalized": True},
        "wgan-gp",
    ),
    "wavegan, two discriminators": (
        "wavegan",
        {"discriminators": [WAVEFORM, {**SPECTRAL, "num_mel_bins": 32}]},
        "relativistic",
    ),
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
            "mel": {**TINY["mel"], "frame_step": 15},
            "slice_length": 2025,
        },
    ),
    "melgan, hop of odd factors": (
        "melgan",
        {
            "upsample_rates": [5, 3],
            "mel": {**TINY["mel"], "frame_step": 15},
            "slice_length": 2025,
        },
    ),
    "hifigan, phases corrected": ("hifigan", {"phase_iterations": 2}),
    "melgan, two discriminators": (
        "melgan",
        {
            "discriminators": [
                TINY["discriminators"][0],
                {"kind": "dilated", "num_layers": 3, "channels": 4},
            ],
        },
    ),
    "parallel_wavegan, phases corrected": (
        "parallel_wavegan",
        {"phase_iterations": 1},
    ),
    "parallel_wavegan, causal, residual discriminator": (
        "parallel_wavegan",
        {
            "causal": True,
            "discriminators": [
                {
                    "kind": "residual",
                    "num_layers": 2,
                    "num_stacks": 1,
                    "residual_channels": 4,
                    "gate_channels": 8,
                    "skip_channels": 4,
                }
            ],
        },
    ),
}


def tiny(name: str) -> dict[str, Any]:
    """Returns the arguments that make an architecture tiny."""
    from keras_audiogan.models import get_architecture

    return dict(get_architecture(name).tiny)


def deterministic(name: str) -> dict[str, Any]:
    """Returns arguments that take all chance out of a training step."""
    from keras_audiogan.models import get_architecture

    return dict(getattr(get_architecture(name), "deterministic", {}))


def architectures_of(task: str) -> list[str]:
    """Returns the registered architectures of a task."""
    from keras_audiogan.models import get_architecture, list_architectures

    return [
        name
        for name in list_architectures()
        if get_architecture(name).task == task
    ]


def gan_architectures() -> list[str]:
    """Returns the registered architectures that make sound of latents."""
    return sorted(architectures_of("generate") + architectures_of("autoencode"))


def vocoder_architectures() -> list[str]:
    """Returns the registered architectures that make sound of mels."""
    return architectures_of("vocode")


def compared_losses(name: str) -> list[str]:
    """Returns the losses that the backends are compared by."""
    from keras_audiogan.training.losses import LOSSES

    return sorted(COMPARED_LOSSES.get(name, LOSSES))


def build(name: str, **options: Any) -> Any:
    """Returns a tiny model of an architecture."""
    from keras_audiogan.models import get_architecture

    return get_architecture(name)(**{**tiny(name), **options})


def set_weights_from_paths(model: Any) -> None:
    """Gives each weight numbers that depend on its path alone.

    They are the same on every backend, and the same for the generator as for
    its moving average.
    """
    equalized = {
        # A layer of Keras calls it `_kernel`; `kernel` is a property there.
        id(getattr(layer, "_kernel" if hasattr(layer, "_kernel") else "kernel"))
        for layer in model._flatten_layers()
        if hasattr(layer, "kernel_scale")
    }
    for weight in model.weights:
        if weight.path.endswith("progress") or "int" in weight.dtype:
            continue  # How far networks have grown.
        rng = np.random.default_rng(
            zlib.crc32(
                weight.path.replace("ema_generator", "generator").encode()
            )
        )
        shape = tuple(int(size) for size in weight.shape)
        normalises = "batch_norm" in weight.path
        if normalises and weight.path.endswith(("gamma", "variance")):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            fan_in = max(1, int(np.prod(shape[:-1])))
            if id(weight) in equalized:
                fan_in = 1  # They are divided when they run.
            value = rng.standard_normal(shape) / fan_in**0.5
            if normalises:
                value = 0.25 * value  # Else the few channels may be dead.
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
