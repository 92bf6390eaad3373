"""The vocoders' losses by hand and against the originals' numbers."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_audiogan.training import gradients
from keras_audiogan.training.vocoder_losses import (
    FEATURE_MATCHING,
    FULL_BAND,
    SUB_BAND,
    MultiResolutionSTFTLoss,
    discriminator_adversarial_loss,
    feature_matching_loss,
    generator_adversarial_loss,
    mel_loss,
)

pytestmark = pytest.mark.backends

MAPS = [
    [(2, 8, 3), (2, 4, 5), (2, 4, 1)],
    [(2, 6, 3), (2, 6, 4), (2, 3, 2), (2, 3, 1)],
]


def noise(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape).astype("float32")


def pair(time, bands, seed):
    """Soft noise, and louder noise that fades in."""
    fade = np.linspace(0, 1, time, dtype="float32")[None, :, None]
    fake = 0.1 * noise(2, time, bands, seed=seed)
    real = 0.2 * noise(2, time, bands, seed=seed + 1) * fade
    return fake.astype("float32"), real.astype("float32")


def outputs(seed):
    """Feature maps of two discriminators, the scores last."""
    return [
        [
            ops.convert_to_tensor(noise(*shape, seed=seed + 10 * i + j))
            for j, shape in enumerate(shapes)
        ]
        for i, shapes in enumerate(MAPS)
    ]


def numbers(values):
    return [float(ops.convert_to_numpy(value)) for value in values]


# kan-bayashi's `MultiResolutionSTFTLoss`, run on the same noise.
@pytest.mark.parametrize(
    "options, time, bands, seed, want",
    [
        (FULL_BAND, 2600, 1, 1, [0.76964384, 1.01352131]),
        (SUB_BAND, 650, 4, 3, [0.77732164, 1.01661742]),
        (
            {
                "fft_lengths": [128],
                "frame_steps": [32],
                "window_lengths": [100],
                "window": "hamming_window",
            },
            2600,
            1,
            1,
            [0.76751721, 1.05214512],
        ),
    ],
    ids=["full", "sub", "hamming"],
)
def test_stft_loss_is_the_original(options, time, bands, seed, want):
    loss = MultiResolutionSTFTLoss(**options)
    fake, real = pair(time, bands, seed)
    np.testing.assert_allclose(numbers(loss(fake, real)), want, rtol=1e-5)
    if bands == 1:
        flat = loss(fake[..., 0], real[..., 0])
        np.testing.assert_allclose(numbers(flat), want, rtol=1e-5)


def test_stft_loss_of_twice_the_sound_by_hand():
    loss = MultiResolutionSTFTLoss([64, 33], [16, 11], [64, 20], epsilon=1e-12)
    real = noise(2, 500, 1)
    # |2Y - Y| / |Y| = 1 and ln 2 in every bin.
    np.testing.assert_allclose(
        numbers(loss(2 * real, real)), [1.0, np.log(2)], rtol=1e-5
    )
    # Silence: the floor against itself, and 1 - floor against a real sound.
    silent = np.zeros_like(real)
    equal = numbers(loss(silent, silent))
    np.testing.assert_allclose(equal, [0, 0], atol=1e-9)
    np.testing.assert_allclose(numbers(loss(silent, real))[0], 1, rtol=1e-5)


def test_stft_loss_has_finite_gradients_everywhere():
    loss = MultiResolutionSTFTLoss([64, 33], [16, 11], [64, 20])
    real = noise(2, 300, 1)
    for start in (real, np.zeros_like(real), 0.5 * real):
        variable = keras.Variable(start)

        def value(variable=variable):
            convergence, distance = loss(variable, real)
            return convergence + distance, {}

        _, _, (gradient,) = gradients.value_and_gradients(value, [variable])
        gradient = ops.convert_to_numpy(gradient)
        assert np.isfinite(gradient).all()
    # Half the sound: both terms fall as it grows louder.
    assert np.sum(gradient * real) < 0


def test_mel_loss_by_hand():
    fake = np.array([[[1.0, 2.0], [3.0, 4.0]]], "float32")
    real = np.array([[[0.0, 4.0], [3.0, 1.0]]], "float32")
    assert numbers([mel_loss(fake, real)]) == [1.5]


# kan-bayashi's `FeatureMatchLoss` for each choice of the three flags,
# jik876's `feature_loss`, and descriptinc's sum in `train.py`.
@pytest.mark.parametrize(
    "options, want",
    [
        ({}, 1.24206376),
        ({"average_by_layers": False}, 3.10705996),
        (
            {"average_by_discriminators": False, "include_final_outputs": True},
            2.61050272,
        ),
        (
            {"average_by_layers": False, "average_by_discriminators": False},
            6.21411991,
        ),
        (FEATURE_MATCHING["parallel_wavegan"], 1.24206376),
        (FEATURE_MATCHING["hifigan"], 18.44271469),
        (FEATURE_MATCHING["melgan"], 2.48564768),
    ],
)
def test_feature_matching_is_the_originals(options, want):
    loss = feature_matching_loss(outputs(100), outputs(200), **options)
    np.testing.assert_allclose(numbers([loss]), [want], rtol=1e-5)


def test_feature_matching_by_hand():
    fake = [[np.float32([1, 3]), np.float32([2]), np.float32([9])]]
    real = [[np.float32([0, 0]), np.float32([5]), np.float32([0])]]
    fake, real = (
        [[*map(ops.convert_to_tensor, one[0])]] for one in (fake, real)
    )
    # Layers: (1 + 3) / 2 = 2 and 3; the scores differ by 9.
    assert numbers([feature_matching_loss(fake, real)]) == [2.5]
    jik876 = feature_matching_loss(fake, real, **FEATURE_MATCHING["hifigan"])
    assert numbers([jik876]) == [28.0]


# kan-bayashi's adversarial losses (generator, real, fake) for both kinds,
# averaged and summed; the sums are jik876's and descriptinc's as well.
@pytest.mark.parametrize(
    "kind, average, want",
    [
        ("mse", True, [1.78488481, 2.18806791, 1.83962882]),
        ("mse", False, [3.56976962, 4.37613582, 3.67925763]),
        ("hinge", True, [-0.527372, 1.17484069, 1.63542426]),
        ("hinge", False, [-1.054744, 2.34968138, 3.27084851]),
    ],
)
def test_adversarial_losses_are_the_originals(kind, average, want):
    fake, real = outputs(100), outputs(200)
    scores = [maps[-1] for maps in fake], [maps[-1] for maps in real]
    for fakes, reals in [(fake, real), scores]:
        generator = generator_adversarial_loss(fakes, kind, average)
        discriminator = discriminator_adversarial_loss(
            fakes, reals, kind, average
        )
        np.testing.assert_allclose(
            numbers([generator, *discriminator]), want, rtol=1e-5
        )


def test_adversarial_losses_of_one_tensor_by_hand():
    fake = ops.convert_to_tensor(np.float32([[-2.0], [0.5]]))
    real = ops.convert_to_tensor(np.float32([[3.0], [0.0]]))
    assert numbers([generator_adversarial_loss(fake)]) == [4.625]
    assert numbers([generator_adversarial_loss(fake, "hinge")]) == [0.75]
    mse = discriminator_adversarial_loss(fake, real)
    assert numbers(mse) == [2.5, 2.125]
    hinge = discriminator_adversarial_loss(fake, real, "hinge")
    assert numbers(hinge) == [0.5, 0.75]


def test_no_gradient_reaches_the_real_side():
    variable = keras.Variable(noise(2, 300, 1))
    fake = ops.convert_to_tensor(noise(2, 300, 1, seed=1))
    loss = MultiResolutionSTFTLoss([64], [16], [64])

    def value():
        real = variable * 1.0
        total = sum(loss(fake, real)) + mel_loss(fake, real)
        return total + feature_matching_loss([[fake, fake]], [[real, real]]), {}

    if keras.backend.backend() == "torch":
        total = value()[0]
        assert not total.requires_grad
        return
    _, _, (gradient,) = gradients.value_and_gradients(value, [variable])
    assert not np.any(ops.convert_to_numpy(gradient))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="one `fft_lengths`"):
        MultiResolutionSTFTLoss([64, 32], [16], [64])
    with pytest.raises(ValueError, match="kind"):
        generator_adversarial_loss(outputs(0), "wasserstein")
    with pytest.raises(ValueError, match="empty"):
        generator_adversarial_loss([])
    with pytest.raises(ValueError, match="empty"):
        feature_matching_loss([], [])
    with pytest.raises(ValueError, match="beside its scores"):
        feature_matching_loss([[1.0]], [[1.0]])
    with pytest.raises(ValueError, match="zip"):
        feature_matching_loss(outputs(0), outputs(1)[:1])
