"""STFT-GAN: sizes, labels or none, and its discriminator of spectra."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_audiogan.models import STFTGAN
from keras_audiogan.models.discriminators import ComplexSTFTDiscriminator

UNLABELLED = {k: v for k, v in STFTGAN.tiny.items() if k != "labels"}


def numbers(x):
    return np.asarray(ops.convert_to_numpy(x))


def test_the_size_that_was_tried():
    assert STFTGAN(labels=list("abcdefghij")).generator.count_params() == (
        2_721_602
    )


@pytest.mark.parametrize("length, start", [(8, 1), (272, 9), (136, 5)])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_length_that_is_whole_steps(length, start, channels):
    model = STFTGAN(
        **{
            **UNLABELLED,
            "slice_length": length,
            "num_channels": channels,
            "discriminators": [
                {"kind": "multi_period", "periods": [2], "channels": 2}
            ],
        }
    )
    generator = model.generator
    # Doubled twice, they are as many or just more.
    assert generator.num_frames == length // 8
    assert generator.num_start_frames == start
    clips = model.sample(3, seed=0)
    assert clips.shape == (3, length, channels)
    assert np.abs(clips).max() <= 1.0


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="whole steps of `head_frame_step`"):
        STFTGAN(**{**UNLABELLED, "slice_length": 271})
    with pytest.raises(ValueError, match="two labels or more"):
        STFTGAN(**UNLABELLED, conditional=True)
    with pytest.raises(ValueError, match="multiples of 8"):
        STFTGAN(
            **{
                **UNLABELLED,
                "discriminators": [
                    {"kind": "complex_stft", "fft_lengths": [60]}
                ],
            }
        )


@pytest.mark.backends
def test_with_labels_and_without():
    told = STFTGAN(**STFTGAN.tiny)
    assert told.conditional and told.num_classes == 3
    untold = STFTGAN(**STFTGAN.tiny, conditional=False)
    assert not untold.conditional and untold.labels == ("yes", "no", "maybe")
    assert not STFTGAN(**UNLABELLED).conditional
    untold.compile(seed=0)
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 272, 1))
    logs = untold.fit(audio, batch_size=4, verbose=0).history
    assert all(np.isfinite(values).all() for values in logs.values())
    with pytest.raises(ValueError, match="takes no labels"):
        untold.sample(1, labels="yes")
    with pytest.raises(ValueError, match="is trained with labels"):
        told.as_batch(audio)
    assert STFTGAN.learns_labels({"labels": ["a", "b"]})
    assert not STFTGAN.learns_labels(
        {"labels": ["a", "b"], "conditional": False}
    )
    assert not STFTGAN.learns_labels({"labels": None})
    again = STFTGAN.from_config(untold.get_config())
    assert not again.conditional


@pytest.mark.backends
def test_groups_stand_for_labels():
    keras.utils.set_random_seed(0)
    model = STFTGAN(**UNLABELLED, num_groups=4)
    assert not model.conditional and model.num_classes == 4
    latents = np.zeros((5, 6), "float32")
    latents[:, 0] = [-1.0, -0.4, 0.1, 0.9, 1.0]
    groups = numbers(model.groups_of(ops.convert_to_tensor(latents)))
    np.testing.assert_array_equal(groups, np.eye(4)[[0, 1, 2, 3, 3]])
    # Sampling asks nothing, and each group comes about as often.
    drawn = model.sample_latents(4000, seed=0)
    shares = numbers(model.groups_of(ops.convert_to_tensor(drawn))).mean(0)
    np.testing.assert_allclose(shares, 0.25, atol=0.03)
    np.testing.assert_allclose(
        numbers(model(latents)),
        numbers(model.ema_generator([latents, groups])),
        atol=1e-6,
    )
    assert model.sample(2, seed=0).shape == (2, 272, 1)
    model.compile(seed=0)
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 272, 1))
    batch = {"audio": audio, "labels": np.array([0, 3, 1, 2])}
    logs = model.fit(batch, batch_size=4, verbose=0).history
    assert all(np.isfinite(values).all() for values in logs.values())
    with pytest.raises(ValueError, match="is trained with labels"):
        model.as_batch(audio)
    with pytest.raises(ValueError, match="4"):
        model.fit({**batch, "labels": np.array([0, 4, 1, 2])})
    again = STFTGAN.from_config(model.get_config())
    assert again.num_classes == 4 and not again.conditional
    for wrong in (1, -2, 2.5, True, "x", None):
        with pytest.raises(ValueError, match="`num_groups` must be 2 or more"):
            STFTGAN(**UNLABELLED, num_groups=wrong)
    with pytest.raises(ValueError, match="set `conditional` to false"):
        STFTGAN(**STFTGAN.tiny, num_groups=4)


@pytest.mark.backends
def test_it_starts_at_its_level():
    keras.utils.set_random_seed(0)
    # Of many bins, each with a kernel of its own.
    bins = {"head_fft_length": 256, "head_frame_step": 64}
    size = {**bins, "dim": 32, "slice_length": 1024}
    model = STFTGAN(**{**UNLABELLED, **size, "start_level": 0.05})
    level = np.sqrt(np.mean(model.sample(16, seed=0) ** 2))
    assert 0.04 < level < 0.063


@pytest.mark.backends
def test_frames_are_doubled():
    frames = ops.reshape(ops.convert_to_tensor([0.0, 4.0, 8.0]), (1, 3, 1))
    for upsampling, expected in {
        "nearest": [0, 0, 4, 4, 8, 8],
        "linear": [0, 1, 3, 5, 7, 8],
    }.items():
        generator = STFTGAN(
            **{**UNLABELLED, "dim": 1, "upsampling": upsampling}
        ).generator
        doubled = numbers(generator.doubled(frames))
        np.testing.assert_allclose(doubled[0, :, 0], expected)
    with pytest.raises(ValueError, match="`upsampling` must be"):
        STFTGAN(**{**UNLABELLED, "upsampling": "cubic"})


@pytest.mark.backends
def test_compressed_spectra():
    layer = ComplexSTFTDiscriminator(256, 2, fft_lengths=[64, 32], dim=2)
    time = np.arange(256)
    sine = 0.5 * np.sin(2 * np.pi * time / 8).astype("float32")
    audio = np.stack([sine, np.zeros(256, "float32")], -1)[None]
    views = layer.views(ops.convert_to_tensor(audio))
    assert [v.shape for v in views] == [(1, 16, 33, 4), (1, 32, 17, 4)]
    for view, bin in zip(views, (8, 4), strict=True):
        real, imaginary, *other = numbers(view)[0, 8, bin]
        # Half of full scale to the power 0.4, times 4.
        np.testing.assert_allclose(
            np.hypot(real, imaginary), 4 * 0.5**0.4, rtol=1e-3
        )
        assert other == [0.0, 0.0]
    # Deaf to nothing: a sine turned over is another picture.
    turned = layer.views(ops.convert_to_tensor(-audio))
    np.testing.assert_allclose(numbers(turned[0]), -numbers(views[0]))
    # A picture of 16 x 33 x 4 numbers against one of 128 x 64.
    np.testing.assert_allclose(
        layer.view_scales,
        [np.sqrt(16 * 66 * 2 / 8192)] * 1 + [np.sqrt(32 * 34 * 2 / 8192)],
    )


@pytest.mark.backends
def test_weights_of_losses():
    both = STFTGAN.deterministic["discriminators"]
    audio = np.random.default_rng(1).uniform(-0.5, 0.5, (4, 272, 1))
    batch = {
        "audio": audio.astype("float32"),
        "latents": np.zeros((4, 2, 6), "float32"),
    }
    losses = {}
    for name, weights in {
        "first": (1.0, 0.0),
        "second": (0.0, 1.0),
        "mixed": (0.5, 2.0),
    }.items():
        keras.utils.set_random_seed(5)
        model = STFTGAN(
            **{
                **UNLABELLED,
                "discriminators": [
                    {**spec, "weight": weight}
                    for spec, weight in zip(both, weights, strict=True)
                ],
            }
        )
        model.compile(seed=0)
        tensors = model.as_batch(
            keras.tree.map_structure(ops.convert_to_tensor, batch)
        )
        loss, _ = model.discriminator_loss(
            tensors, model._fake(tensors["latents"][:, 0], tensors)
        )
        losses[name] = float(numbers(loss))
    mixed = 0.5 * losses["first"] + 2.0 * losses["second"]
    assert losses["mixed"] == pytest.approx(mixed, rel=1e-5)
    assert losses["first"] > 0.5 and losses["second"] > 0.5
