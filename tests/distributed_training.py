"""Trains a tiny WaveGAN on several devices, run by test_distribution.py.

In processes of their own, since a framework's devices are settled once in a
process: `MODE OUTPUT.npz`, with MODE one of mirrored, multiworker, jax and
vocoder (mirrored too, of another model). Where the process holds two devices,
the same run on one of them is written beside, under `single/`; on TensorFlow
also under a strategy of one replica, under `alone/`.
"""

import pathlib
import sys

import architecture_cases as cases
import keras
import numpy as np
from keras import ops

from keras_audiogan import from_preset
from keras_audiogan.data.dataset import AudioDataset
from keras_audiogan.models import WaveGAN
from keras_audiogan.training.distribution import get_distribution

SOUNDS = pathlib.Path(__file__).parent / "data" / "digits"
NUM_STEPS = 3


class NotNumbers(keras.utils.PyDataset):
    """One batch of NaN, as an unlucky file might make it."""

    is_checked = True

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return {"audio": np.full((self.rows, 64, 1), np.nan, "float32")}


def start(mode):
    if mode in ("mirrored", "vocoder"):
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )
    return get_distribution(
        "multiworker" if mode == "multiworker" else "mirrored"
    )


def train(distribution):
    """Returns weights, optimisers' state, logs and clips after some steps.

    Latents, interpolates and phase shuffle are drawn at random.
    """
    keras.utils.set_random_seed(5)
    with distribution.scope():
        gan = WaveGAN(slice_length=64, dim=2, latent_dim=6, phase_shuffle=2)
        gan.compile(
            "wgan-gp", discriminator_steps=2, learning_rate=1e-2, seed=7
        )
        dataset = AudioDataset(
            SOUNDS,
            slice_length=64,
            batch_size=4,
            discriminator_steps=gan.discriminator_steps,
            random_offset=True,
        )
        distribution.check_batch(dataset.batch_size)
        history = gan.fit(
            distribution.feed(dataset, start_step=5),
            steps_per_epoch=NUM_STEPS,
            shuffle=False,
            verbose=0,
        ).history
        # As in a run, where the chief alone writes samples at the end.
        for _ in range(2 if distribution.is_chief else 1):
            clips = gan.sample(3, seed=0)
        # Made by all workers together, and listening on the chief alone.
        classifier = from_preset("digit_classifier")
        if distribution.is_chief:
            heard = classifier.predict_proba(clips)
        else:
            heard = np.zeros((0, 10))
    state = [*gan.variables, *gan.optimizer.variables]
    state = [np.array(ops.convert_to_numpy(v)) for v in state]
    # What sound that is no number does to the discriminator: nothing.
    kept = [*gan.discriminator.weights, *gan.optimizer.discriminator.variables]
    before = [np.array(ops.convert_to_numpy(v)) for v in kept]
    with distribution.scope():
        rows = dataset.num_rows
        gan.fit(NotNumbers(rows), shuffle=False, verbose=0)
    changed = [
        value.path
        for value, old in zip(kept, before, strict=True)
        if not np.array_equal(ops.convert_to_numpy(value), old)
    ]
    return {
        "changed_by_nan": np.array(changed),
        "num_replicas": distribution.num_replicas,
        "is_chief": distribution.is_chief,
        "clips": clips,
        "heard": heard,
        **{f"logs/{key}": values[-1] for key, values in history.items()},
        **{f"state/{i}": value for i, value in enumerate(state)},
    }


def train_vocoder(distribution):
    """Returns weights and logs of a HiFi-GAN after some steps.

    Its losses are means over a batch, so that replicas' add up to it.
    """
    keras.utils.set_random_seed(3)
    with distribution.scope():
        model = cases.build("hifigan", dtype="float32")
        cases.set_weights_from_paths(model)
        model.compile(discriminator_start=0, learning_rate=1e-3, seed=1)
        batch = cases.make_vocoder_batch(model, 4)
        history = model.fit(
            batch, batch_size=4, epochs=NUM_STEPS, shuffle=False, verbose=0
        ).history
    return {
        "num_replicas": distribution.num_replicas,
        **{f"logs/{key}": values[-1] for key, values in history.items()},
        **{
            f"state/{weight.path}": ops.convert_to_numpy(weight)
            for weight in model.weights
        },
    }


def main(mode, output):
    run = train_vocoder if mode == "vocoder" else train
    results = run(start(mode))
    if mode != "multiworker":
        single = run(get_distribution(None))
        results |= {f"single/{key}": value for key, value in single.items()}
    if mode == "mirrored":
        alone = train(get_distribution("mirrored", ["CPU:0"]))
        results |= {f"alone/{key}": value for key, value in alone.items()}
    np.savez(output, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
