"""The layers against Keras's own and against numpy."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_audiogan.layers import (
    PQMF,
    BatchNorm,
    PhaseShuffle,
    SpectrogramAugment,
    StridedConv1D,
    StridedConv1DTranspose,
    strided_conv,
)
from keras_audiogan.layers.activations import leaky_relu
from keras_audiogan.layers.normalized_conv import (
    NormalizedConv1D,
    NormalizedConv1DTranspose,
    NormalizedConv2D,
)
from keras_audiogan.training import gradients
from keras_audiogan.training.losses import gradient_penalty

pytestmark = pytest.mark.backends

SHAPES = [
    # length, channels, filters, kernel_size, strides
    (64, 1, 3, 25, 4),
    (64, 2, 4, 25, 4),
    (16, 5, 2, 25, 4),
    (32, 3, 2, 25, 2),
    (32, 3, 1, 24, 4),
    (16, 2, 3, 7, 3),
    (16, 2, 3, 4, 4),
    (16, 2, 3, 5, 1),
    (16, 2, 3, 3, 4),
    (128, 2, 3, 25, 4),
    (96, 3, 2, 25, 4),
    (60, 2, 3, 7, 3),
    (72, 2, 3, 3, 4),
]


def sound(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape).astype("float32")


def as_numpy(value):
    return np.asarray(ops.convert_to_numpy(value))


def pair(ours, reference, length, channels, kernel, bias):
    for layer in (ours, reference):
        layer.build((None, length, channels))
        layer.set_weights([kernel, bias])
    return ours, reference


@pytest.fixture(params=["convolution", "product"])
def way(request, monkeypatch):
    """Both ways that the layers take."""
    if request.param == "product":
        monkeypatch.setattr(strided_conv, "FEW_STEPS", 1000)
        monkeypatch.setattr(strided_conv, "LARGE_KERNEL", 0)


@pytest.mark.parametrize("length,channels,filters,size,stride", SHAPES)
def test_strided_conv_is_kerass_conv1d(
    way, length, channels, filters, size, stride
):
    length -= length % stride
    ours, reference = pair(
        StridedConv1D(filters, size, stride),
        keras.layers.Conv1D(filters, size, stride, padding="same"),
        length,
        channels,
        sound(size, channels, filters, seed=1),
        sound(filters, seed=2),
    )
    x = sound(3, length, channels)
    y = as_numpy(ours(x))
    assert y.shape == (3, length // stride, filters)
    np.testing.assert_allclose(y, as_numpy(reference(x)), atol=3e-5)


@pytest.mark.parametrize("length,channels,filters,size,stride", SHAPES)
def test_strided_transpose_is_kerass(
    way, length, channels, filters, size, stride
):
    ours, reference = pair(
        StridedConv1DTranspose(filters, size, stride),
        keras.layers.Conv1DTranspose(filters, size, stride, padding="same"),
        length,
        channels,
        sound(size, filters, channels, seed=1),
        sound(filters, seed=2),
    )
    x = sound(3, length, channels)
    y = as_numpy(ours(x))
    assert y.shape == (3, length * stride, filters)
    np.testing.assert_allclose(y, as_numpy(reference(x)), atol=3e-5)


@pytest.mark.parametrize(
    "layer_class,reference_class",
    [
        (StridedConv1D, keras.layers.Conv1D),
        (StridedConv1DTranspose, keras.layers.Conv1DTranspose),
    ],
)
def test_layers_without_bias_and_with_activation(
    way, layer_class, reference_class
):
    options = {"use_bias": False, "activation": "relu"}
    ours = layer_class(3, 25, 4, **options)
    reference = reference_class(3, 25, 4, padding="same", **options)
    for layer in (ours, reference):
        layer.build((None, 16, 2))
    reference.set_weights(ours.get_weights())
    x = sound(2, 16, 2)
    assert len(ours.get_weights()) == 1
    np.testing.assert_allclose(
        as_numpy(ours(x)), as_numpy(reference(x)), atol=1e-5
    )


def test_small_maps_of_large_kernels_are_products(monkeypatch):
    """The bounds decide, and the derivatives are the same either way."""
    layer = StridedConv1DTranspose(3, 25, 4)
    layer.build((None, 16, 2))
    x = ops.convert_to_tensor(sound(2, 16, 2))

    def derivatives():
        _, _, grads = gradients.value_and_gradients(
            lambda: (ops.sum(ops.square(layer(x))), {}), [*layer.weights]
        )
        return [as_numpy(gradient) for gradient in grads]

    assert not strided_conv.multiplies(16, layer.kernel)
    convolved = derivatives()
    monkeypatch.setattr(strided_conv, "LARGE_KERNEL", 25 * 3 * 2)
    assert strided_conv.multiplies(16, layer.kernel)
    assert not strided_conv.multiplies(17, layer.kernel)
    for a, b in zip(derivatives(), convolved, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def naive_transpose(x, kernel, stride, left):
    """Every input sample adds a scaled kernel; `left` samples are cropped."""
    batch, length, _ = x.shape
    size, filters, _ = kernel.shape
    full = np.zeros((batch, (length - 1) * stride + size + stride, filters))
    for t in range(length):
        for i in range(size):
            full[:, t * stride + i] += x[:, t] @ kernel[i].T
    return full[:, left : left + length * stride]


def test_transpose_crops_10_samples_left_and_11_right(way):
    layer = StridedConv1DTranspose(2, 25, 4)
    layer.build((None, 16, 3))
    kernel = sound(25, 2, 3, seed=1)
    layer.set_weights([kernel, np.zeros(2)])
    x = sound(2, 16, 3)
    y = as_numpy(layer(x))
    full_length = (16 - 1) * 4 + 25
    assert full_length - 10 - 11 == 16 * 4
    np.testing.assert_allclose(
        y, naive_transpose(x, kernel, 4, left=10), atol=3e-5
    )
    one_off = naive_transpose(x, kernel, 4, left=11)
    assert np.abs(y - one_off).max() > 0.1


@pytest.mark.parametrize("layer_class", [StridedConv1D, StridedConv1DTranspose])
def test_strided_layers_survive_their_config(layer_class):
    layer = layer_class(3, 25, 4, name="conv", use_bias=False)
    copy = layer_class.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    copy.build((None, 16, 2))
    assert as_numpy(copy(sound(1, 16, 2))).shape[-1] == 3


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_is_kerass(training):
    layers = [BatchNorm(), keras.layers.BatchNormalization()]
    rng = np.random.default_rng(0)
    for layer in layers:
        layer.build((None, 8, 3))
    layers[1].set_weights([rng.uniform(0.5, 2.0, 3) for _ in range(4)])
    layers[0].set_weights(layers[1].get_weights())
    x = 2.0 + 3.0 * sound(4, 8, 3)
    ours, keras_own = (
        as_numpy(layer(x, training=training)) for layer in layers
    )
    np.testing.assert_allclose(ours, keras_own, atol=1e-5)
    for a, b in zip(*(layer.get_weights() for layer in layers), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_batch_norm_computes_in_float32():
    layer = BatchNorm(dtype="mixed_float16")
    y = layer(np.full((2, 4, 1), 6e4, "float16"), training=True)
    assert keras.backend.standardize_dtype(y.dtype) == "float16"
    np.testing.assert_array_equal(as_numpy(y), np.zeros((2, 4, 1)))
    assert float(as_numpy(layer.moving_mean)[0]) == pytest.approx(600, rel=1e-2)


def shifted(x, shift, radius):
    """The expected phase shuffle: `shift` samples, reflected at the ends."""
    padded = np.pad(x, [(0, 0), (radius, radius), (0, 0)], mode="reflect")
    return padded[:, radius + shift : radius + shift + x.shape[1]]


def shift_of(x, y, radius):
    matches = [
        shift
        for shift in range(-radius, radius + 1)
        if np.array_equal(shifted(x, shift, radius), y)
    ]
    assert len(matches) == 1, matches
    return matches[0]


def test_phase_shuffle_shifts_a_whole_batch_alike_and_reflects():
    x = sound(4, 12, 3)
    layer = PhaseShuffle(2, seed=0)
    shifts = [
        shift_of(x, as_numpy(layer(x, training=True)), 2) for _ in range(60)
    ]
    # Fresh at every call, and every shift occurs: 60 draws miss one of five
    # values less than once in 100,000 seeds, and the seed is fixed.
    assert set(shifts) == {-2, -1, 0, 1, 2}
    assert shifts[:20] != shifts[20:40]


def test_phase_shuffles_of_two_layers_are_independent():
    x = sound(1, 12, 1)
    layers = [PhaseShuffle(2, seed=1), PhaseShuffle(2, seed=2)]
    draws = np.array(
        [
            [
                shift_of(x, as_numpy(layer(x, training=True)), 2)
                for _ in "x" * 40
            ]
            for layer in layers
        ]
    )
    assert len({tuple(column) for column in draws.T}) > 10


def test_phase_shuffle_rests_outside_training_and_at_radius_0():
    x = sound(2, 12, 1)
    np.testing.assert_array_equal(as_numpy(PhaseShuffle(2)(x)), x)
    np.testing.assert_array_equal(
        as_numpy(PhaseShuffle(0)(x, training=True)), x
    )


def test_phase_shuffle_refuses_a_negative_radius():
    with pytest.raises(ValueError, match="Received: radius=-1"):
        PhaseShuffle(-1)


def picture():
    rows = np.arange(1.0, 7.0, dtype="float32")[None, :, None, None]
    return np.tile(rows, (4, 1, 5, 1))


@pytest.mark.backends
def test_augmentation_shifts_each_example_and_fills():
    layer = SpectrogramAugment(max_shift=2, max_gain=0.0, cutout=0.0, fill=0.5)
    layer.seed_generator.state.assign([1, 2])
    x = picture()
    shifts = set()
    for _ in range(12):
        for example in keras.ops.convert_to_numpy(layer(x)):
            frames = example[:, 0, 0]
            np.testing.assert_array_equal(
                example, np.broadcast_to(frames[:, None, None], example.shape)
            )
            possible = {
                shift: np.concatenate(
                    [np.full(max(shift, 0), 0.5), x[0, :, 0, 0]]
                    if shift >= 0
                    else [x[0, -shift:, 0, 0], np.full(-shift, 0.5)]
                )[:6]
                for shift in range(-2, 3)
            }
            found = [s for s, v in possible.items() if np.allclose(frames, v)]
            assert len(found) == 1, frames
            shifts.update(found)
    assert shifts == {-2, -1, 0, 1, 2}


def test_augmentation_gain_leaves_silence_alone():
    layer = SpectrogramAugment(max_shift=0, max_gain=2.0, cutout=0.0, fill=-1.0)
    x = np.full((64, 4, 3, 1), -1.0, "float32")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), x)
    x += 20.0  # Far above silence the whole of the gain is added.
    change = keras.ops.convert_to_numpy(layer(x)) - x
    assert np.ptp(change, axis=(1, 2, 3)).max() < 1e-5
    gains = change[:, 0, 0, 0]
    assert -2 <= gains.min() < -1 and 1 < gains.max() <= 2


def test_augmentation_cuts_out_no_more_than_asked():
    layer = SpectrogramAugment(max_shift=0, max_gain=0.0, cutout=0.5, fill=0.0)
    x = np.ones((64, 40, 20, 1), "float32")
    result = keras.ops.convert_to_numpy(layer(x))
    assert set(np.unique(result)) == {0.0, 1.0}
    frames = (result.max(axis=(2, 3)) == 0).sum(axis=1)
    bands = (result.max(axis=(1, 3)) == 0).sum(axis=1)
    assert 10 < frames.max() <= 20 and 5 < bands.max() <= 10
    for row, (frame, band) in enumerate(zip(frames, bands, strict=True)):
        assert result[row].sum() == (40 - frame) * (20 - band)


@pytest.mark.parametrize(
    "options", [{"max_shift": -1}, {"max_gain": -0.1}, {"cutout": 1.0}]
)
def test_augmentation_refuses_what_makes_no_sense(options):
    with pytest.raises(ValueError, match="Received"):
        SpectrogramAugment(**options)


def test_augmentation_rebuilds_from_its_config():
    layer = SpectrogramAugment(3, 0.1, 0.4, -2.0)
    copy = SpectrogramAugment.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()


def test_leaky_relu_has_the_derivatives_of_kerass():
    rng = np.random.default_rng(0)
    first, second = (
        keras.Variable(rng.standard_normal(shape), dtype="float32")
        for shape in ((4, 5), (5, 3))
    )
    x = ops.convert_to_tensor(rng.standard_normal((6, 4)).astype("float32"))

    def derivatives(activation):
        def score(inputs):
            hidden = activation(ops.matmul(inputs[0], first) + 0.1, 0.2)
            return ops.sum(activation(ops.matmul(hidden, second), 0.2), axis=1)

        def penalty():
            (slopes,) = gradients.input_gradients(score, [x])
            total = gradient_penalty(slopes) + ops.sum(score([x]))
            return total, {}

        value, _, grads = gradients.value_and_gradients(
            penalty, [first, second]
        )
        return [as_numpy(tensor) for tensor in (value, *grads)]

    ours = derivatives(leaky_relu)
    for a, b in zip(ours, derivatives(ops.leaky_relu), strict=True):
        assert np.abs(b).max() > 0.1
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_a_configured_data_format_changes_nothing():
    """`image_data_format` of a keras.json is other models' affair."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        for layer, channels, shape in (
            (StridedConv1D(3, 5, 4), 2, (1, 4, 3)),
            (StridedConv1DTranspose(3, 5, 4), 2, (1, 64, 3)),
            (NormalizedConv1D(4, 3, strides=2, groups=2), 2, (1, 8, 4)),
            (NormalizedConv1DTranspose(3, 8, 4), 2, (1, 64, 3)),
            (PQMF(2), 2, (1, 32, 1)),
            (BatchNorm(), 2, (1, 16, 2)),
            (PhaseShuffle(1), 2, (1, 16, 2)),
        ):
            y = layer(sound(1, 16, channels))
            assert tuple(y.shape) == shape, layer.name
        picture = NormalizedConv2D(4, (3, 3), 2, (1, 1, 1))
        assert tuple(picture(sound(1, 16, 8, 2)).shape) == (1, 8, 8, 4)
        assert tuple(PQMF(2).analysis(sound(1, 16, 1)).shape) == (1, 8, 2)
    finally:
        keras.config.set_image_data_format(before)


@pytest.mark.parametrize(
    "layer",
    [
        PhaseShuffle(3, seed=1),
        PQMF(2, 30, 0.25, 8.0, name="bank"),
        NormalizedConv1D(4, 3, padding=(1, 2), norm="spectral", name="c"),
        NormalizedConv1DTranspose(3, 8, 4, causal=True, use_bias=False),
        NormalizedConv2D(4, (3, 5), 2, (1, 1, 1), kernel_stddev=0.02),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_are_rebuilt_from_their_configs(layer):
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    for name, value in vars(layer).items():
        if isinstance(value, (int, float, str)) and name[0] != "_":
            assert getattr(again, name) == value, name
