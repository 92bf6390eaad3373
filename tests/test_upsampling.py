"""Band-limited upsampling: no images, no buzz at the strides."""

import architecture_cases as cases
import keras
import numpy as np
import pytest
from keras import ops

from keras_audiogan.audio.low_pass import phases
from keras_audiogan.layers.upsampling import upsampled
from keras_audiogan.models import WaveGAN, get_architecture
from keras_audiogan.models.progressive_networks import ProgressiveGenerator
from keras_audiogan.models.wavegan import WaveGANGenerator


@pytest.mark.parametrize("ratio", [2, 4])
def test_an_impulse_train_has_no_images(ratio):
    # An impulse every 8 samples: lines at multiples of 1/8 of the rate, and
    # images of all of them from half the old rate on.
    train = np.zeros((1, 64, 1), "float32")
    train[:, 4::8] = 1
    out = np.array(upsampled(ops.array(train), ratio))[0, :, 0]
    assert out.shape == (64 * ratio,)
    # Whole periods, away from the ends.
    power = np.abs(np.fft.rfft(out[16 * ratio : 48 * ratio])) ** 2
    assert power[1:16].max() > 0.9 * power[0]
    assert 10 * np.log10(power[16:].max() / power[0]) < -40
    # Repetition has them.
    repeated = np.repeat(train[0, :, 0], ratio)[16 * ratio : 48 * ratio]
    images = np.abs(np.fft.rfft(repeated))[16:] ** 2
    assert 10 * np.log10(images.max() / (repeated.sum() ** 2)) > -15


def test_the_filter_s_passband_stopband_and_symmetry():
    for ratio in (2, 3, 4):
        taps = phases(ratio)
        np.testing.assert_allclose(taps.sum(axis=0), 1)
        np.testing.assert_allclose(taps, taps[::-1, ::-1], atol=1e-12)
        response = np.abs(np.fft.rfft(taps[::-1].ravel(), 1024 * ratio)) / ratio
        decibels = 20 * np.log10(response + 1e-9)
        assert np.abs(decibels[: int(0.29 * 1024)]).max() < 0.2
        assert decibels[512:].max() < -40


def test_a_slow_sine_is_the_same_sine_with_more_samples():
    times = np.arange(64)
    sine = np.sin(2 * np.pi * 0.1 * times)[None, :, None].astype("float32")
    # Channels do not mix.
    both = ops.array(np.concatenate([sine, 0 * sine + 3], axis=-1))
    out = np.array(upsampled(both, 4))[0]
    # Samples lie around those that they come from: 0.375 before the first.
    expected = np.sin(2 * np.pi * 0.1 * ((np.arange(256) + 0.5) / 4 - 0.5))
    np.testing.assert_allclose(out[32:-32, 0], expected[32:-32], atol=0.01)
    np.testing.assert_allclose(out[:, 1], 3, rtol=1e-6)
    assert upsampled(both, 1) is both


def comb(audio, stride):
    """Power of the envelope at rate / stride against what is around it."""
    envelope = np.abs(audio[..., 0])
    size = envelope.shape[1]
    spectrum = np.abs(np.fft.rfft(envelope * np.hanning(size))) ** 2
    power = spectrum.mean(axis=0)
    line = size // stride
    around = np.r_[power[line - 12 : line - 4], power[line + 5 : line + 13]]
    return 10 * np.log10(power[line - 1 : line + 2].mean() / around.mean())


@pytest.mark.parametrize(
    "network, options",
    [
        (WaveGANGenerator, {"slice_length": 4096, "dim": 4}),
        (
            ProgressiveGenerator,
            {"num_blocks": 4, "dim": 64, "widths": "halved"},
        ),
    ],
)
def test_untrained_networks_do_not_buzz_at_their_strides(network, options):
    latents = keras.random.normal((32, 100), seed=1)
    found = {}
    for upsampling in ("transposed", "band_limited"):
        keras.utils.set_random_seed(3)
        generator = network(**options, upsampling=upsampling)
        # As after some training; Keras begins with zeros.
        for weight in generator.weights:
            if "bias" in weight.path:
                weight.assign(keras.random.normal(weight.shape, 0, 0.1, seed=5))
        audio = np.array(generator(latents))
        audio -= audio.mean(axis=1, keepdims=True)
        found[upsampling] = [comb(audio, stride) for stride in (4, 16)]
    assert min(found["transposed"]) > 8
    assert max(found["band_limited"]) < 5


@pytest.mark.parametrize(
    "name",
    ["wavegan", "concat_wavegan", "projection_wavegan"]
    + ["progressive_wavegan", "progressive_vae_gan"],
)
def test_every_wavegan_has_the_option_with_as_many_parameters(name):
    first, second = (
        cases.build(name, **options)
        for options in ({}, {"upsampling": "band_limited"})
    )
    counts = [model.generator.count_params() for model in (first, second)]
    assert counts[0] == counts[1]
    assert first.get_config()["upsampling"] == "transposed"
    clips = second.sample(2, seed=0)
    assert clips.shape == first.sample(2, seed=0).shape
    assert np.isfinite(clips).all() and np.ptp(clips) > 0
    again = get_architecture(name).from_config(second.get_config())
    assert again.generator.upsampling == "band_limited"


def test_high_frequencies_are_within_reach():
    # Half the rate, which no filter passes: the activation at the higher rate
    # makes it of a sine at 0.2 of the lower one, and the convolution picks it.
    generator = WaveGANGenerator(
        slice_length=256, dim=1, kernel_size=3, upsampling="band_limited"
    )
    sine = np.sin(2 * np.pi * 0.2 * np.arange(64))[None, :, None]
    x = generator.lengthened(1, ops.array(sine.astype("float32")))
    differences = ops.array([[[0.25]], [[-0.5]], [[0.25]]])
    picked = np.array(
        ops.conv(ops.relu(x), differences, data_format="channels_last")
    )[0, 32:-32, 0]
    power = np.abs(np.fft.rfft(picked * np.hanning(len(picked)))) ** 2
    assert power[len(power) // 4 :].sum() > 0.1 * power.sum()


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="upsampling='bilinear'"):
        WaveGAN(slice_length=256, dim=1, upsampling="bilinear")
