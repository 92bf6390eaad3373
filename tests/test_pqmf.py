"""The filter bank against its definition and against the original."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_audiogan.layers import PQMF
from keras_audiogan.layers.pqmf import band_filters, prototype_filter

pytestmark = pytest.mark.backends

# bands, taps, cutoff, beta, then every (size // 6)th value of kan-bayashi's
# analysis of `noise(1, 240)` and synthesis of `noise(bands, 60, seed=1)`.
GOLDEN = [
    (
        4,
        62,
        0.142,
        9.0,
        [-0.027515, 0.690812, -1.001698, 0.042543, -0.304301, 0.105367],
        [0.728072, 0.013398, 2.871974, -1.160639, -2.04444, -0.751077],
    ),
    (
        8,
        100,
        0.08,
        9.0,
        [0.013265, 0.108336, -0.796188, 0.113011, -0.178345, 0.048532],
        [1.660529, 4.555263, -1.994423, 5.141943, -3.354922, -5.044933],
    ),
    (
        3,
        46,
        0.19,
        7.0,
        [0.076349, -1.088117, -0.048846, 0.211424, -0.194112, 0.604142],
        [1.270048, -0.254507, -1.35944, 0.704284, 0.297759, -2.28731],
    ),
    (
        5,
        20,
        0.11,
        6.0,
        [-0.014861, 0.405865, -0.740987, 0.095512, -0.213508, 0.096396],
        [1.101416, 2.199362, 1.965734, -0.87649, -0.825983, -1.49],
    ),
]


def noise(channels, time, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((2, time, channels)).astype("float32")


def as_numpy(value):
    return np.asarray(ops.convert_to_numpy(value))


def every_sixth(values):
    return values.reshape(-1)[:: values.size // 6][:6]


@pytest.mark.parametrize("bands, taps, cutoff, beta, split, joined", GOLDEN)
def test_both_directions_are_the_original(
    bands, taps, cutoff, beta, split, joined
):
    pqmf = PQMF(bands, taps, cutoff, beta)
    analysed = as_numpy(pqmf.analysis(noise(1, 240)))
    assert analysed.shape == (2, 240 // bands, bands)
    np.testing.assert_allclose(every_sixth(analysed), split, atol=1e-5)
    sound = as_numpy(pqmf(noise(bands, 60, seed=1)))
    assert sound.shape == (2, 60 * bands, 1)
    np.testing.assert_allclose(every_sixth(sound), joined, atol=1e-5)


@pytest.mark.parametrize(
    "bands, taps, cutoff, beta",
    [
        (4, 62, 0.142, 9.0),
        (3, 10, 0.2, 5.0),
        (8, 6, 0.1, 4.0),
        (1, 4, 0.9, 3.0),
    ],
)
@pytest.mark.parametrize("time", [96, 101])
def test_polyphase_is_filtering_then_decimation(
    bands, taps, cutoff, beta, time
):
    pqmf = PQMF(bands, taps, cutoff, beta)
    audio = noise(1, time)
    steps = time // bands
    filters = band_filters(bands, taps, cutoff, beta, 1)
    middle = slice(taps // 2, taps // 2 + time)
    # A convolution turns the filter round, a correlation does not.
    want = np.stack(
        [
            np.convolve(audio[1, :, 0], filters[::-1, band])[middle]
            for band in range(bands)
        ],
        axis=-1,
    )[: steps * bands : bands]
    got = as_numpy(pqmf.analysis(audio))
    assert got.shape == (2, steps, bands)
    np.testing.assert_allclose(got[1], want, atol=1e-5)

    subbands = noise(bands, steps, seed=2)
    stuffed = np.zeros((steps * bands, bands))
    stuffed[::bands] = bands * subbands[1]
    filters = band_filters(bands, taps, cutoff, beta, -1)
    middle = slice(taps // 2, taps // 2 + steps * bands)
    want = sum(
        np.convolve(stuffed[:, band], filters[::-1, band])[middle]
        for band in range(bands)
    )
    got = as_numpy(pqmf.synthesis(subbands))
    np.testing.assert_allclose(got[1, :, 0], want, atol=2e-5)


def test_prototype_by_hand():
    # Half a band: sinc(n / 2) / 2 is 0, 1/pi, 1/2, 1/pi, 0 and beta=0 leaves
    # the window out.
    np.testing.assert_allclose(
        prototype_filter(4, 0.5, 0.0),
        [0, 1 / np.pi, 0.5, 1 / np.pi, 0],
        atol=1e-12,
    )


def test_reconstruction_is_nearly_perfect():
    pqmf = PQMF()
    audio = noise(1, 4096)
    again = as_numpy(pqmf.synthesis(pqmf.analysis(audio)))
    error = (again - audio)[:, 64:-64]
    assert 10 * np.log10(np.mean(audio**2) / np.mean(error**2)) > 50.0


def test_a_tone_lands_in_its_band():
    pqmf = PQMF()
    for band in range(4):
        # The middle of band b is (b + 1/2) / 8 of the rate.
        phase = 2 * np.pi * (band + 0.5) / 8 * np.arange(2048)
        split = as_numpy(
            pqmf.analysis(np.sin(phase).astype("float32")[None, :, None])
        )
        energy = np.square(split[0, 32:-32]).mean(axis=0)
        assert energy.argmax() == band
        assert energy[band] > 1e4 * np.delete(energy, band).max()


def test_configuration_unknown_length_and_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        pqmf = PQMF.from_config(PQMF(2, 30, 0.25, 8.0).get_config())
        inputs = keras.Input((None, 2), dtype="float32")
        outputs = pqmf(inputs)
    finally:
        keras.config.set_dtype_policy("float32")
    assert outputs.shape == (None, None, 1)
    model = keras.Model(inputs, outputs)
    bands = noise(2, 40)
    want = as_numpy(PQMF(2, 30, 0.25, 8.0).synthesis(bands))
    np.testing.assert_allclose(model.predict(bands, verbose=0), want, atol=1e-6)
    assert not pqmf.weights


@pytest.mark.parametrize(
    "options, told",
    [
        ({"num_bands": 0}, "num_bands"),
        ({"taps": 61}, "taps"),
        ({"cutoff": 1.0}, "cutoff"),
    ],
)
def test_wrong_options_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        PQMF(**options)
