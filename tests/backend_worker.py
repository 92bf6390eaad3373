"""What one backend makes of given weights: sound, and weights after a step.

Run as a program under some `KERAS_BACKEND`; the argument is the `.npz` file to
write. TensorFlow cannot be imported here unless it is the backend.
"""

from __future__ import annotations

import os
import sys
from typing import Any

BACKEND = os.environ["KERAS_BACKEND"]


class _WithoutTensorFlow:
    """A finder of modules as on a machine that has no TensorFlow."""

    def __init__(self, finder: Any) -> None:
        self.finder = finder

    def find_spec(self, name: str, *args: Any) -> Any:
        if name.split(".")[0] == "tensorflow":
            return None
        return self.finder.find_spec(name, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.finder, name)


if BACKEND != "tensorflow":
    sys.meta_path[:] = [_WithoutTensorFlow(f) for f in sys.meta_path]

import architecture_cases as cases  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402

from keras_audiogan.training.losses import LOSSES  # noqa: E402

NUM_ROWS = 3


def _forms() -> dict[str, tuple[str, dict[str, Any], list[str]]]:
    """Form -> architecture, options, losses to train a step with."""
    forms = {
        name: (
            name,
            cases.deterministic(name),
            cases.compared_losses(name),
        )
        for name in cases.gan_architectures()
    }
    for form, (name, options, loss) in cases.VARIANTS.items():
        options = {**cases.deterministic(name), **options}
        forms[form] = (name, options, [loss])
    return forms


def _as_numpy(value: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value))


def _step(model: Any, loss: str) -> dict[str, np.ndarray]:
    """Weights and logs of one `fit` step from the same start."""
    cases.set_weights_from_paths(model)
    model.compile(
        loss,
        discriminator_steps=min(2, LOSSES[loss].discriminator_steps),
        generator_optimizer=keras.optimizers.SGD(0.01),
        discriminator_optimizer=keras.optimizers.SGD(0.01),
    )
    rows = NUM_ROWS * model.discriminator_steps
    history = model.fit(
        cases.make_batch(model, rows),
        batch_size=rows,
        shuffle=False,
        verbose=0,
    )
    logs = {f"log/{k}": np.asarray(v[0]) for k, v in history.history.items()}
    return {**logs, **{w.path: _as_numpy(w) for w in model.weights}}


def _vocoder(name: str, options: dict[str, Any]) -> dict[str, np.ndarray]:
    """Sound of a vocoder, and weights and logs of one `fit` step."""
    model = cases.build(name, **options, dtype="float32")
    cases.set_weights_from_paths(model)
    for weight in model.weights:
        # Small biases and lively layers: a sound that varies, unclipped.
        if weight.path.endswith("bias"):
            weight.assign(0.1 * _as_numpy(weight))
        elif weight.path.endswith("gain"):
            weight.assign(0.5 + np.abs(_as_numpy(weight)))
    sound = model.vocode(cases.make_mels(model, 2, 20), seed=5)
    model.compile(
        None if name != "melgan" else "multi_resolution_stft",
        discriminator_start=0,
        run_eagerly=BACKEND == "tensorflow",
        generator_optimizer=keras.optimizers.SGD(0.001),
        discriminator_optimizer=keras.optimizers.SGD(0.001),
    )
    batch = cases.make_vocoder_batch(model, NUM_ROWS)
    history = model.fit(batch, batch_size=NUM_ROWS, shuffle=False, verbose=0)
    logs = {f"log/{k}": np.asarray(v[0]) for k, v in history.history.items()}
    after = {w.path: _as_numpy(w) for w in model.weights}
    step = {f"step//{key}": value for key, value in {**logs, **after}.items()}
    return {"sound": sound, **step}


def main(path: str) -> None:
    """Writes `form//sound` and `form//loss//weight` arrays."""
    results = {}
    vocoders = {name: (name, {}) for name in cases.vocoder_architectures()}
    for form, case in {**vocoders, **cases.VOCODER_VARIANTS}.items():
        for key, value in _vocoder(*case).items():
            results[f"{form}//{key}"] = value
    for form, (name, options, losses) in _forms().items():
        model = cases.build(name, **options, dtype="float32")
        cases.set_weights_from_paths(model)
        results[f"{form}//sound"] = model.sample(3, seed=5, batch_size=2)
        for loss in losses:
            for key, value in _step(model, loss).items():
                results[f"{form}//{loss}//{key}"] = value
    if BACKEND != "tensorflow" and "tensorflow" in sys.modules:
        raise RuntimeError("TensorFlow was imported.")
    np.savez(path, **results)


if __name__ == "__main__":
    main(sys.argv[1])
