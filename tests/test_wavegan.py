"""WaveGAN's shapes and sizes, and the adversarial step that it inherits."""

import math

import architecture_cases as cases
import keras
import numpy as np
import pytest
from keras import ops

from keras_audiogan.models import WaveGAN, get_architecture
from keras_audiogan.models.wavegan import block_strides
from keras_audiogan.presets.model_sizes import measure_model
from keras_audiogan.training.losses import GANLoss, get_loss


def tiny(**options):
    model = cases.build("wavegan", **options)
    cases.set_weights_from_paths(model)
    return model


def fit(model, batch, rows):
    return model.fit(batch, batch_size=rows, shuffle=False, verbose=0).history


def weights_of(network):
    return [np.array(w) for w in network.weights]


# Sizes


def count(**options):
    """Parameters of both networks, without allocating them."""
    shapes = measure_model(WaveGAN, options).shapes
    return tuple(
        sum(math.prod(shape) for shape in shapes[stem].values())
        for stem in ("generator", "discriminator")
    )


def test_parameter_counts_of_the_original():
    assert count(slice_length=16384, dim=64) == (19_065_345, 17_427_969)


def expected_count(strides, dim, num_channels=1, size=25, latent_dim=100):
    widths = [dim * 2**i for i in range(len(strides))]
    generator = (latent_dim + 1) * 16 * widths[-1]
    for source, target in zip(
        widths[::-1], [*widths[-2::-1], num_channels], strict=True
    ):
        generator += (size * source + 1) * target
    discriminator = 16 * widths[-1] + 1
    for source, target in zip([num_channels, *widths], widths, strict=False):
        discriminator += (size * source + 1) * target
    return generator, discriminator


@pytest.mark.parametrize(
    "length,strides",
    [
        (4096, [4] * 4),
        (8192, [4] * 4 + [2]),
        (16384, [4] * 5),
        (32768, [4] * 5 + [2]),
        (65536, [4] * 6),
        (262144, [4] * 7),
    ],
)
def test_strides_and_counts_of_every_length(length, strides):
    assert block_strides(length) == strides
    for dim, num_channels in ((32, 1), (64, 2)):
        options = {"dim": dim, "num_channels": num_channels}
        assert count(slice_length=length, **options) == expected_count(
            strides, **options
        )


def test_large_forms_of_the_original():
    def millions(**options):
        return [round(n / 1e6, 1) for n in count(slice_length=65536, **options)]

    assert millions(dim=64) == [73.1, 69.9]
    assert millions(dim=32) == [19.1, 17.5]


@pytest.mark.parametrize("length", [4096, 8192, 16384, 32768, 65536])
def test_every_slice_length_generates_and_is_judged(length):
    model = tiny(slice_length=length, dim=1, num_channels=2)
    audio = model.sample(2, seed=0)
    assert audio.shape == (2, length, 2)
    assert not np.array_equal(audio[..., 0], audio[..., 1])
    (maps,) = model.discriminator(ops.convert_to_tensor(audio))
    assert tuple(maps[-1].shape) == (2, 1)
    assert tuple(maps[-2].shape) == (2, 16, 2 ** (len(maps) - 2))


def test_channels_can_be_capped():
    model = tiny(slice_length=4096, dim=2, max_channels=4)
    widths = [layer.filters for layer in model.discriminator.downconvs]
    assert widths == [2, 4, 4, 4]
    assert [layer.filters for layer in model.generator.upconvs] == [4, 4, 2, 1]


@pytest.mark.parametrize("length", [0, 16, 1000, 16385, 48, 128 * 3, 32])
def test_other_lengths_are_refused(length):
    with pytest.raises(ValueError, match=f"slice_length={length}"):
        WaveGAN(slice_length=length, dim=1)


@pytest.mark.parametrize(
    "options,message",
    [
        ({"dim": 0}, "dim=0"),
        ({"num_channels": 0}, "num_channels=0"),
        ({"level": "loud"}, "level='loud'"),
        ({"level": [[1]]}, "level=\\[\\[1"),
        ({"level": 0.0}, "level=0.0"),
        ({"kernel_size": 0}, "kernel_size=0"),
        ({"latent_dim": -1}, "latent_dim=-1"),
        ({"upsampling": "linear"}, "upsampling='linear'"),
        ({"discriminators": []}, r"discriminators=\[\]"),
        ({"discriminators": ["waveform"] * 1000}, r"discriminators=\['wave"),
        ({"phase_shuffle": -1}, "radius=-1"),
        ({"ema_momentum": 1.0}, "ema_momentum=1.0"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)


# Forms


def test_networks_equal_their_layers_written_out():
    """Both networks as a chain of Keras's own layers."""
    model = tiny(slice_length=1024, dim=2, phase_shuffle=0)
    generator = {
        w.path.split("/", 1)[1]: np.array(w) for w in model.generator.weights
    }
    latents = cases.make_batch(model, 2)["latents"][:, 0]
    x = latents @ generator["dense/kernel"] + generator["dense/bias"]
    x = x.reshape(2, 16, -1)
    for i in range(3):
        kernel = generator[f"upconv_{i}/kernel"]
        layer = keras.layers.Conv1DTranspose(
            kernel.shape[1], 25, 4, padding="same"
        )
        layer.build(x.shape)
        layer.set_weights([kernel, generator[f"upconv_{i}/bias"]])
        x = np.array(layer(np.maximum(x, 0)))
    audio = np.array(model.generator(latents))
    np.testing.assert_allclose(audio, np.tanh(x), atol=1e-5)

    critic = {
        w.path.split("/", 1)[1]: np.array(w)
        for w in model.discriminator.weights
    }
    x = audio
    for i in range(3):
        kernel = critic[f"downconv_{i}/kernel"]
        layer = keras.layers.Conv1D(kernel.shape[2], 25, 4, padding="same")
        layer.build(x.shape)
        layer.set_weights([kernel, critic[f"downconv_{i}/bias"]])
        x = np.array(layer(x))
        x = np.where(x > 0, x, 0.2 * x)
    logits = x.reshape(2, -1) @ critic["output/kernel"] + critic["output/bias"]
    ((*_, ours),) = model.discriminator(audio, training=True)
    np.testing.assert_allclose(np.array(ours), logits, atol=1e-4)


def test_nearest_upsampling_repeats_before_it_convolves():
    model = tiny(slice_length=64, upsampling="nearest")
    generator = model.generator
    latents = cases.make_batch(model, 2)["latents"][:, 0]
    x = ops.relu(ops.reshape(generator.dense(latents), (2, 16, -1)))
    x = np.repeat(np.array(x), 4, axis=1)
    expected = np.tanh(np.array(generator.upconvs[0](x)))
    np.testing.assert_allclose(
        np.array(generator(latents)), expected, atol=1e-6
    )


def test_post_filter_filters_the_sound_of_the_same_network():
    plain = tiny()
    filtered = tiny(post_filter_length=9)
    kernel = np.zeros((9, 1, 1), "float32")
    kernel[2] = 0.5
    filtered.ema_generator.post_filter.set_weights([kernel])
    # Tap 2 of 9, around the centre 4, reads two samples before.
    expected = 0.5 * np.pad(plain.sample(2, seed=0), [(0, 0), (2, 0), (0, 0)])
    np.testing.assert_allclose(
        filtered.sample(2, seed=0), expected[:, :-2], atol=1e-6
    )


def test_batch_norm_generator_samples_from_moving_statistics():
    model = tiny(batch_norm=True)
    alone = model.sample(1, seed=0)
    among = model.sample(6, seed=0)[:1]
    np.testing.assert_allclose(alone, among, atol=1e-5)
    assert len(model.discriminator.batch_norms) == 1
    audio = cases.make_batch(model, 4)["audio"]
    (maps,) = model.discriminator(audio[:2])
    (other,) = model.discriminator(audio)
    # The original's discriminator normalises by the batch, always.
    assert np.abs(np.array(maps[-1]) - np.array(other[-1])[:2]).max() > 1e-3


def test_phase_shuffle_is_fresh_in_training_and_absent_otherwise():
    model = tiny(slice_length=1024)
    assert [s.radius for s in model.discriminator.shuffles] == [2, 2]
    audio = cases.make_batch(model, 2)["audio"]

    def logits(training):
        ((*_, logits),) = model.discriminator(audio, training=training)
        return tuple(np.array(logits).ravel().tolist())

    assert len({logits(True) for _ in range(12)}) > 6
    assert len({logits(False) for _ in range(3)}) == 1


@pytest.mark.slow
def test_seed_of_compile_repeats_a_run():
    results = []
    for seed in (1, 1, 2):
        model = tiny()
        model.compile("dcgan", seed=seed)
        fit(model, cases.make_batch(model, 4)["audio"], 4)
        results.append(weights_of(model.discriminator)[0])
    np.testing.assert_array_equal(results[0], results[1])
    assert np.abs(results[0] - results[2]).max() > 0


# The step


@pytest.mark.slow
def test_rows_go_to_their_critic_step():
    model = tiny()
    model.compile("wgan-gp", discriminator_steps=3)
    audio = np.zeros((6, 256, 1), "float32")
    audio[2::3] = 0.5
    logs = fit(model, audio, 6)
    # The logged level is that of the last step's rows, 2 and 5.
    assert logs["level/real"] == [pytest.approx(0.5)]


def test_batch_must_divide_among_discriminator_steps():
    model = tiny()
    model.compile("wgan-gp")
    assert model.discriminator_steps == 5
    with pytest.raises(ValueError, match="multiple of that.*Received: 4 rows"):
        fit(model, np.zeros((4, 256, 1), "float32"), 4)


@pytest.mark.slow
def test_moving_average_by_hand():
    model = tiny(ema_momentum=0.15)
    model.compile("dcgan", generator_optimizer=keras.optimizers.SGD(0.1))
    batch = cases.make_batch(model, 2)
    average = weights_of(model.ema_generator)
    # One step has been taken: min(0.15, 2 / 6), then min(0.15, 3 / 7).
    for momentum in (0.15, 0.15):
        fit(model, batch, 2)
        average = [
            momentum * old + (1 - momentum) * new
            for old, new in zip(
                average, weights_of(model.generator), strict=True
            )
        ]
        for old, new in zip(
            average, weights_of(model.ema_generator), strict=True
        ):
            np.testing.assert_allclose(new, old, atol=1e-6)


@pytest.mark.slow
def test_moving_average_starts_fast():
    model = tiny(ema_momentum=0.999)
    model.compile("dcgan", generator_optimizer=keras.optimizers.SGD(0.1))
    before = weights_of(model.ema_generator)
    fit(model, cases.make_batch(model, 2), 2)
    for old, new, average in zip(
        before,
        weights_of(model.generator),
        weights_of(model.ema_generator),
        strict=True,
    ):
        expected = 2 / 6 * old + 4 / 6 * new
        np.testing.assert_allclose(average, expected, atol=1e-6)


def test_moving_average_of_a_preset_goes_on_in_full():
    model = tiny(ema_momentum=0.9)
    model.compile("dcgan", generator_optimizer=keras.optimizers.SGD(0.1))
    model.on_preset_loaded({"generator"})
    before = weights_of(model.ema_generator)
    fit(model, cases.make_batch(model, 2), 2)
    for old, new, average in zip(
        before,
        weights_of(model.generator),
        weights_of(model.ema_generator),
        strict=True,
    ):
        expected = 0.9 * old + 0.1 * new
        np.testing.assert_allclose(average, expected, atol=1e-6)


def test_wgan_clips_the_discriminator_alone():
    model = tiny()
    model.compile("wgan", discriminator_steps=1)
    fit(model, cases.make_batch(model, 2), 2)
    limit = np.float32(0.01)
    assert (
        max(np.abs(w).max() for w in weights_of(model.discriminator)) == limit
    )
    assert max(np.abs(w).max() for w in weights_of(model.generator)) > 0.1


@pytest.mark.slow
def test_gradient_penalty_is_taken_between_real_and_fake():
    """The logged penalty equals one of finite differences."""
    model = tiny(phase_shuffle=0)
    model.compile("wgan-gp", discriminator_steps=1)
    batch = cases.make_batch(model, 1)
    batch["interpolation"] = np.array([0.25], "float32")
    real = batch["audio"]
    fake = np.array(model.generator(batch["latents"][:, 0], training=True))
    between = real + 0.25 * (fake - real)
    step = 1e-2
    moved = between + step * np.eye(256, dtype="float32")[:, :, None]
    ((*_, up),) = model.discriminator(moved)
    moved = between - step * np.eye(256, dtype="float32")[:, :, None]
    ((*_, down),) = model.discriminator(moved)
    slopes = (np.array(up) - np.array(down)) / (2 * step)
    expected = (np.linalg.norm(slopes) - 1) ** 2
    logs = fit(model, batch, 1)
    assert logs["reg/gradient_penalty"][0] == pytest.approx(expected, rel=2e-2)


@pytest.mark.slow
def test_non_finite_batch_does_not_reach_the_weights():
    model = tiny(batch_norm=True)
    model.compile("wgan-gp", discriminator_steps=1)
    batch = cases.make_batch(model, 3)
    batch["audio"][1, 100] = np.nan
    before = weights_of(model.discriminator)
    # Arrays with NaN are refused; a generator of batches is not looked at.
    batches = ((each,) for each in [batch])
    fitted = model.fit(batches, steps_per_epoch=1, shuffle=False, verbose=0)
    logs = fitted.history
    for old, weight in zip(before, model.discriminator.weights, strict=True):
        if weight.trainable:
            np.testing.assert_array_equal(old, np.array(weight))
    assert logs["skipped"] == [1.0]
    assert all(np.isfinite(w).all() for w in weights_of(model))


def test_options_of_compile():
    model = tiny()
    model.compile("lsgan", learning_rate=3e-3)
    for guarded in (model.optimizer.generator, model.optimizer.discriminator):
        assert isinstance(guarded.inner, keras.optimizers.RMSprop)
        rate = float(np.array(guarded.inner.learning_rate))
        assert rate == pytest.approx(3e-3)
    own = GANLoss(
        "own",
        get_loss("wgan").discriminator,
        get_loss("wgan").generator,
        discriminator_steps=2,
        generator_optimizer=get_loss("dcgan").generator_optimizer,
        discriminator_optimizer=get_loss("dcgan").discriminator_optimizer,
    )
    model.compile(own)
    assert model.discriminator_steps == 2
    with pytest.raises(ValueError, match="discriminator_steps=0"):
        model.compile("dcgan", discriminator_steps=0)
    with pytest.raises(ValueError, match="loss='nonsense'"):
        model.compile("nonsense")


def test_training_needs_compile():
    with pytest.raises(ValueError, match="compile"):
        fit(tiny(), np.zeros((2, 256, 1), "float32"), 2)


# Sampling


def test_latents_depend_on_seed_and_index_alone():
    model = tiny()
    latents = model.sample_latents(5, seed=7)
    assert latents.shape == (5, 6) and latents.dtype == np.float32
    assert np.abs(latents).max() <= 1.0
    np.testing.assert_array_equal(latents[:2], model.sample_latents(2, seed=7))
    assert len({tuple(row) for row in latents}) == 5
    assert not np.array_equal(latents, model.sample_latents(5, seed=8))


def test_sample_of_given_latents_and_truncation():
    model = tiny()
    latents = model.sample_latents(3, seed=1)
    np.testing.assert_allclose(
        model.sample(latents=latents), model.sample(3, seed=1), atol=1e-6
    )
    np.testing.assert_allclose(
        model.sample(latents=0.5 * latents),
        model.sample(3, seed=1, truncation=0.5),
        atol=1e-6,
    )
    assert not np.array_equal(model.sample(1), model.sample(1))


def test_sample_batches_stream():
    model = tiny()
    batches = list(model.sample_batches(5, seed=2, batch_size=2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    np.testing.assert_array_equal(
        np.concatenate(batches), model.sample(5, seed=2, batch_size=2)
    )


def test_interpolation_joins_two_seeds():
    model = tiny()
    path = model.interpolate(3, 4, num_steps=5)
    assert path.shape == (5, 256, 1)
    for clip, seed in ((path[0], 3), (path[-1], 4)):
        np.testing.assert_allclose(
            clip, model.sample(1, seed=seed)[0], atol=1e-5
        )


@pytest.mark.parametrize(
    "call,message",
    [
        (lambda m: m.sample(0), "num_samples=0"),
        (lambda m: m.sample(1, batch_size=0), "batch_size=0"),
        (lambda m: m.sample(1, seed=-1), "seed=-1"),
        (lambda m: m.sample(1, truncation=0.0), "truncation=0.0"),
        (lambda m: m.sample(1, truncation=1.5), "truncation=1.5"),
        (lambda m: m.sample(latents=np.zeros((2, 5))), r"shape \(2, 5\)"),
        (lambda m: m.sample(latents=np.zeros((0, 6))), r"shape \(0, 6\)"),
        (lambda m: m.interpolate(0, 1, num_steps=1), "num_steps=1"),
    ],
)
def test_sampling_refuses_what_makes_no_sense(call, message):
    with pytest.raises(ValueError, match=f"Received.*{message}"):
        call(tiny())


def test_registry_knows_wavegan():
    assert get_architecture("wavegan") is WaveGAN
    assert WaveGAN.architecture == "wavegan"
    with pytest.raises(ValueError, match="wavegan.*Received: 'wavgan'"):
        get_architecture("wavgan")
