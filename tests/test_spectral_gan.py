"""A generator of spectra, made in one file: the house is ready for them."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_audiogan
from keras_audiogan.layers.representations import LogSpectrogram
from keras_audiogan.models import AudioGAN, register_architecture, registry
from keras_audiogan.models.networks import BuiltNetwork

FFT, STEP, LENGTH = 64, 32, 512


class PictureGenerator(BuiltNetwork):
    """Latents -> `(batch, frames, bins, channels)` in [-1, 1]."""

    def __init__(
        self, slice_length, latent_dim=6, dtype=None, name="generator"
    ):
        super().__init__(dtype=dtype, name=name)
        self.picture = (slice_length // STEP, FFT // 2, 1)
        self.dense = keras.layers.Dense(
            int(np.prod(self.picture)), name="dense", dtype=self.dtype_policy
        )
        self.build_layers([(self.dense, (None, latent_dim))])

    def call(self, latents, training=False):
        x = ops.reshape(self.dense(latents), (-1, *self.picture))
        return ops.tanh(ops.cast(x, "float32"))


@pytest.fixture(scope="module")
def picture_gan():
    """The class, registered for these tests alone."""
    known = dict(registry._ARCHITECTURES)

    @register_architecture("picture_gan")
    class PictureGAN(AudioGAN):
        generator_class = PictureGenerator
        default_arguments = {
            "slice_length": LENGTH,
            "sampling_rate": 8000,
            "discriminators": [{"kind": "dense", "dim": 2}],
        }
        default_loss = "dcgan"

        def __init__(self, mean=None, std=None, **kwargs):
            super().__init__(**kwargs)

        def make_representation(self):
            return LogSpectrogram(
                FFT,
                STEP,
                mean=self.arguments["mean"],
                std=self.arguments["std"],
            )

        @classmethod
        def fit_to_clips(cls, arguments, dataset):
            clips = dataset.real_clips(16)
            return {**arguments, **LogSpectrogram(FFT, STEP).fit(clips)}

    yield PictureGAN
    registry._ARCHITECTURES.clear()
    registry._ARCHITECTURES.update(known)


class Clips:
    """What a model asks of a data set."""

    def __init__(self, clips):
        self.clips = clips

    def real_clips(self, count):
        return self.clips[:count]


@pytest.fixture(scope="module")
def audio():
    time = np.arange(LENGTH) / 8000
    rng = np.random.default_rng(0)
    tones = [np.sin(2 * np.pi * f * time) for f in (440, 880, 1500, 2500)]
    noise = 0.01 * rng.standard_normal((4, LENGTH))
    return (0.5 * np.stack(tones) + noise)[..., None].astype("float32")


@pytest.mark.slow
@pytest.mark.backends
def test_networks_see_spectra_and_people_hear_sound(
    picture_gan, audio, tmp_path
):
    keras.utils.set_random_seed(0)
    gan = picture_gan(**picture_gan.fit_to_clips({}, Clips(audio)))
    assert len(gan.get_config()["mean"]) == FFT // 2 + 1
    gan.compile(seed=0)
    before = np.array(gan.generator.dense.kernel)
    logs = gan.fit(audio, batch_size=4, epochs=2, verbose=0).history
    assert all(np.isfinite(value).all() for value in logs.values())
    assert not np.array_equal(before, np.array(gan.generator.dense.kernel))
    # The level is that of sound, not of what the networks see.
    assert logs["level/real"][0] == pytest.approx(
        np.sqrt(np.mean(audio**2)), rel=1e-4
    )
    clips = gan.sample(3, seed=1)
    assert clips.shape == (3, LENGTH, 1) and np.abs(clips).max() <= 1.0
    made = gan.ema_generator(gan.sample_latents(3, seed=1))
    assert tuple(made.shape) == (3, LENGTH // STEP, FFT // 2, 1)
    np.testing.assert_allclose(
        clips,
        np.clip(np.array(gan.representation.synthesise(made)), -1, 1),
        atol=1e-4,
    )
    gan.save_to_preset(tmp_path / "preset", storage_dtype="float32")
    again = keras_audiogan.from_preset(tmp_path / "preset")
    np.testing.assert_allclose(again.sample(3, seed=1), clips, atol=1e-5)


@pytest.mark.backends
def test_a_gradient_penalty_is_taken_between_spectra(picture_gan, audio):
    gan = picture_gan()
    gan.compile("wgan-gp", discriminator_steps=1, seed=0)
    logs = gan.fit(audio, batch_size=4, verbose=0).history
    assert logs["reg/gradient_penalty"][0] > 0
