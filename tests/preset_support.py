"""A model small enough to be saved and loaded hundreds of times."""

import hashlib
import json
import pathlib

import numpy as np

from keras_audiogan.models import WaveGAN

TRAINING = {
    "summary": "Spoken digits, for tests.",
    "license": "CC BY-SA 4.0",
    "data": {
        "name": "FSDD",
        "license": "CC BY-SA 4.0",
        "url": "https://github.com/Jakobovski/free-spoken-digit-dataset",
        "attribution": "Zohar Jackson and others",
        "hours": 0.33,
        "num_files": 2700,
        "hash": "0123abcd",
    },
    "recipe": {"loss": "wgan-gp", "batch_size": 64, "critic_steps": 5},
    "steps": 20000,
    "seed": 7,
    "hardware": "2 CPU cores",
    "wall_time_seconds": 5400.0,
    "versions": {"keras": "3.15.1"},
    "metrics": {
        "inception_score": {
            "value": 6.25,
            "command": "audiogan evaluate wavegan_digits",
            "num_samples": 1000,
        },
        "accuracy": {"value": 0.5, "command": "audiogan evaluate other"},
        "confusion": {"value": [[1, 0], [0, 1]]},
    },
    "notes": ["dim 16: 5.1", "dim 32 | batch norm: 4.9"],
    "limits": ["It says no number above nine."],
}


def tiny_gan(seed: int = 0, **options) -> WaveGAN:
    """Returns a WaveGAN of 300 weights, all of them drawn from `seed`."""
    gan = WaveGAN(
        **{
            "slice_length": 64,
            "dim": 2,
            "latent_dim": 4,
            "kernel_size": 5,
            "sampling_rate": 8000,
            "batch_norm": True,
            "labels": ["one", "two"],
            **options,
        }
    )
    rng = np.random.default_rng(seed)
    for network in gan.preset_weights.values():
        network.set_weights(
            [
                rng.uniform(0.1, 1.0, weight.shape).astype("float32")
                for weight in network.get_weights()
            ]
        )
    gan.on_preset_loaded(set(gan.preset_weights))
    return gan


def all_weights(gan) -> dict[str, list[np.ndarray]]:
    """Returns the weights of every network of a preset."""
    return {
        stem: network.get_weights()
        for stem, network in gan.preset_weights.items()
    }


def same_weights(first, second) -> bool:
    """Returns whether two results of `all_weights` are equal bit for bit."""
    return first.keys() == second.keys() and all(
        len(first[stem]) == len(second[stem])
        and all(map(np.array_equal, first[stem], second[stem]))
        for stem in first
    )


def read_raw(file: pathlib.Path) -> tuple[dict, bytes]:
    """Returns header and body of a safetensors file, nothing checked."""
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write_raw(file: pathlib.Path, header: dict | bytes, body: bytes) -> None:
    """Writes a safetensors file that may be wrong in every way."""
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + body)


def vouch_for(folder: pathlib.Path, stem: str) -> None:
    """Makes config.json agree with a changed weights file, as a forger can."""
    data = (folder / f"{stem}.safetensors").read_bytes()
    config = json.loads((folder / "config.json").read_text())
    entry = config["weights"][stem]
    entry["num_bytes"] = len(data)
    entry["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "config.json").write_text(json.dumps(config))
