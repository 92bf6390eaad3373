"""A training run of seconds, for the tests of runs."""

import pathlib

from safetensors.numpy import load_file

from keras_audiogan.runs.options import TrainingOptions

DATA = pathlib.Path(__file__).parent / "data"
DIGITS = DATA / "digits"

TINY = {
    "data": DIGITS,
    "architecture": "wavegan",
    "model": {"dim": 2, "discriminators": ["waveform"]},
    "slice_length": 256,
    "batch_size": 4,
    "loss": "relativistic",
    "precision": "float32",
    "seed": 5,
    "num_previews": 2,
}


def tiny_options(output, **changes):
    return TrainingOptions(output=output, **{**TINY, **changes})


def resume_options(output, **changes):
    return TrainingOptions(
        output=output,
        resume=True,
        **{"data": DIGITS, "architecture": "wavegan", **changes},
    )


def state(run, step):
    name = f"step_{step:08d}"
    return load_file(run / "checkpoints" / name / "state.safetensors")


def assert_same_bits(actual, expected):
    assert actual.keys() == expected.keys()
    groups = {name.split("/")[0] for name in actual}
    assert groups == {"model", "optimizer", "seed"}
    different = [
        name
        for name, array in actual.items()
        if array.dtype != expected[name].dtype
        or array.tobytes() != expected[name].tobytes()
    ]
    assert not different
