"""Networks that grow along time, and their stages."""

import numpy as np
import pytest
from architecture_cases import build, make_batch, set_weights_from_paths
from keras import layers, ops

from keras_audiogan.models import ProgressiveGenerator, ProgressiveWaveGAN
from keras_audiogan.models.discriminators import make_discriminator
from keras_audiogan.models.progressive_networks import (
    ProgressiveWaveGANDiscriminator,
    block_channels,
    num_blocks_of,
)
from keras_audiogan.saving import load_preset


def numbers(weights):
    return {w.path: ops.convert_to_numpy(w) for w in weights}


def test_widths_are_those_of_the_tables():
    smoothed = [512, 256, 128, 64, 48, 32, 24, 16]
    assert block_channels(8, 1024, "smoothed") == smoothed
    assert block_channels(8, 1024, "halved") == [
        512,
        256,
        128,
        64,
        32,
        16,
        8,
        4,
    ]
    assert block_channels(6, 64, "smoothed") == [32, 16, 8, 4, 3, 2]
    # Narrow networks keep a channel.
    assert block_channels(8, 8, "halved") == [4, 2, 1, 1, 1, 1, 1, 1]


def test_networks_have_the_parameters_of_the_tables():
    """The thesis's fifth stage, counted by hand."""
    assert ProgressiveGenerator().count_params() == sum(
        (
            *(101 * 16384, 25 * 1024 * 512 + 512, 25 * 512 * 256 + 256),
            *(25 * 256 * 128 + 128, 25 * 128 * 64 + 64, 25 * 64 * 48 + 48),
            48 + 1,
        )
    )
    assert ProgressiveWaveGANDiscriminator(
        num_channels=2
    ).count_params() == sum(
        (
            *(3 * 48, 25 * 48 * 64 + 64, 25 * 64 * 128 + 128),
            *(25 * 128 * 256 + 256, 25 * 256 * 512 + 512),
            *(25 * 512 * 1024 + 1024, 16 * 1024 + 1),
        )
    )


def test_networks_are_what_the_thesis_says():
    """Equal to plain Keras layers in the order of its tables."""
    gan = build("progressive_wavegan", num_channels=2, extended="discriminator")
    set_weights_from_paths(gan)

    def conv(kind, filters, size, weights, stride=1):
        layer = kind(filters, size, stride, "same", data_format="channels_last")

        def apply(x):
            layer.build(x.shape)
            layer.set_weights([ops.convert_to_numpy(w) for w in weights])
            return layer(x)

        return apply

    g, d = gan.generator, gan.discriminator
    latents = np.random.default_rng(0).uniform(-1, 1, (3, 6)).astype("float32")
    x = ops.reshape(g.dense(latents), (3, 16, 8))
    for filters, upconv in zip((4, 2), g.upconvs, strict=True):
        x = conv(layers.Conv1DTranspose, filters, 25, upconv.weights, 4)(x)
        x = ops.leaky_relu(x, 0.2)
    x = ops.tanh(conv(layers.Conv1D, 2, 1, g.to_audio.weights)(x))
    made = g(latents)
    assert made.shape == (3, 256, 2)
    np.testing.assert_allclose(made, x, atol=1e-5)

    x = ops.leaky_relu(conv(layers.Conv1D, 2, 1, d.from_audio.weights)(x), 0.2)
    for i, filters in ((1, 4), (0, 8)):
        for layer, stride in ((d.downconvs[i], 4), (d.convs[i], 1)):
            x = conv(layers.Conv1D, filters, 25, layer.weights, stride)(x)
            x = ops.leaky_relu(x, 0.2)
    scores = d.score(ops.reshape(x, (3, 128)))
    np.testing.assert_allclose(d(made)[0][-1], scores, atol=1e-4)


def test_sample_normalisation_brings_each_time_step_to_one():
    network = ProgressiveGenerator(2, dim=32, sample_norm=True)
    x = np.random.default_rng(0).standard_normal((2, 16, 32)).astype("float32")
    made = ops.convert_to_numpy(network.block(0, x))
    np.testing.assert_allclose((made**2).mean(axis=-1), 1.0, atol=1e-3)


def test_minibatch_deviation_makes_scores_depend_on_the_batch():
    network = make_discriminator(
        {"kind": "progressive_waveform", "minibatch_deviation": True},
        "discriminator",
        {"num_blocks": 1, "num_channels": 1, "dim": 4},
    )
    set_weights_from_paths(network)
    clip = np.random.default_rng(0).uniform(-1, 1, (2, 64, 1)).astype("float32")
    alone = ops.convert_to_numpy(network(clip[:1])[0][-1])
    beside = ops.convert_to_numpy(network(clip)[0][-1])
    assert abs(alone[0, 0] - beside[0, 0]) > 1e-3


def test_equalised_kernels_are_scaled_by_what_makes_a_number():
    network = ProgressiveGenerator(
        1, latent_dim=9, dim=32, equalized=True, extended="both"
    )
    for layer, scale in (
        (network.dense, (1 / 9) ** 0.5),
        (network.upconvs[0], (2 / (25 * 32 / 4)) ** 0.5),
        (network.convs[0], (2 / (25 * 16)) ** 0.5),
    ):
        raw, _ = (ops.convert_to_numpy(w) for w in layer.weights)
        np.testing.assert_allclose(layer.kernel, raw * scale, rtol=1e-5)
        assert 0.8 < raw.std() < 1.2


def test_length_follows_from_blocks_and_blocks_from_length():
    assert [num_blocks_of(16 * 4**b) for b in range(1, 9)] == [*range(1, 9)]
    gan = ProgressiveWaveGAN(slice_length=256, dim=4)
    assert (gan.arguments["num_blocks"], gan.slice_length) == (2, 256)
    assert ProgressiveWaveGAN(num_blocks=1, dim=4).slice_length == 64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_blocks": 9}, "from 1 to 8"),
        ({"num_blocks": 0}, "from 1 to 8"),
        ({"num_blocks": 2, "slice_length": 64}, "has 256 samples"),
        ({"slice_length": 100}, "16 \\* 4\\*\\*n"),
        ({"num_blocks": 2, "frozen_blocks": 2}, "leave a block to train"),
        ({"num_blocks": 1, "widths": "wide"}, "`widths` must be one of"),
        ({"num_blocks": 1, "extended": "all"}, "`extended` must be one of"),
        ({"num_blocks": 1, "dim": 0}, "`dim` must be 1 or more"),
        (
            {"num_blocks": 1, "dim": 2, "discriminators": ["waveform"]},
            "must grow with the generator",
        ),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ProgressiveWaveGAN(**arguments)


def test_growing_carries_all_but_the_convolutions_of_a_stage():
    gan = build("progressive_wavegan", num_channels=2)
    set_weights_from_paths(gan)
    before = numbers(gan.weights)
    grown = gan.grow(frozen=True)
    assert grown.slice_length == 1024
    after = numbers(grown.weights)
    stage = ("to_audio", "from_audio")
    carried = [p for p in before if p.split("/")[1] not in stage]
    assert len(carried) == 2 * 6 + 6
    for path in carried:
        assert before[path].tobytes() == after[path].tobytes(), path
    for path in set(before) - set(carried):
        if path.endswith("kernel"):
            assert not np.array_equal(before[path], after[path])
    # No slots and no gradients for what is frozen.
    grown.compile()
    for part, names in (
        (grown.optimizer.generator, ("upconv_2", "to_audio")),
        (grown.optimizer.discriminator, ("from_audio", "downconv_2")),
    ):
        trained = {v.path.split("/")[1] for v in part.targets}
        assert trained == set(names)
        assert len(part.inner.variables) == 2 + 2 * 4
    whole = grown.grow(0)
    for path, value in numbers(whole.weights).items():
        assert value.tobytes() == after[path].tobytes()
    assert len(whole.generator.trainable_variables) == 10
    with pytest.raises(ValueError, match="0 blocks or more"):
        gan.grow(-1)
    with pytest.raises(ValueError, match="from 1 to 8"):
        gan.grow(7)
    with pytest.raises(ValueError, match="leave a block to train"):
        gan.grow(0, frozen=True)


def test_other_forms_are_refused_and_nothing_is_changed():
    gan = build("progressive_wavegan", num_blocks=3)
    for options in (
        {"dim": 16},
        {"latent_dim": 5},
        {"extended": "both"},
        {"num_blocks": 4},
    ):
        other = build("progressive_wavegan", **options)
        before = numbers(gan.weights)
        with pytest.raises(ValueError, match="Weights are carried between"):
            gan.carry_from(other)
        for path, value in numbers(gan.weights).items():
            assert value.tobytes() == before[path].tobytes()


def test_a_preset_of_a_frozen_stage_comes_back(tmp_path):
    gan = build("progressive_wavegan", frozen_blocks=1)
    gan.save_to_preset(tmp_path / "preset", storage_dtype="float32")
    loaded = load_preset(tmp_path / "preset")
    assert loaded.arguments == gan.arguments
    np.testing.assert_array_equal(
        loaded.sample(2, seed=1), gan.sample(2, seed=1)
    )


@pytest.mark.slow
@pytest.mark.backends
@pytest.mark.parametrize("loss", ["wgan-gp", "lsgan"])
def test_clip_by_clip_gives_the_same_numbers(loss):
    """Two updates, whose second depends on the first one's weights."""
    after = []
    for recompute in (False, True):
        gan = build("progressive_wavegan", num_channels=2)
        set_weights_from_paths(gan)
        gan.compile(
            loss=loss, seed=1, discriminator_steps=2, recompute=recompute
        )
        batch = {"audio": make_batch(gan, 6)["audio"]}
        for _ in range(2):
            logs = gan.train_on_batch(batch, return_dict=True)
        after.append((logs, numbers(gan.weights)))
    (logs, expected), (own_logs, actual) = after
    for name in logs:
        if name != "level/fake":  # The mean of levels.
            np.testing.assert_allclose(
                own_logs[name], logs[name], rtol=1e-5, atol=1e-6
            )
    for path, value in expected.items():
        np.testing.assert_allclose(
            actual[path], value, rtol=1e-5, atol=1e-6, err_msg=path
        )


@pytest.mark.parametrize(
    ("discriminator", "loss", "message"),
    [
        ({"minibatch_deviation": True}, None, "minibatch deviation"),
        ({"phase_shuffle": 1}, None, "phase shuffle"),
        ({}, "relativistic", "penalties on some clips"),
    ],
)
def test_clips_that_know_of_each_other_stay_together(
    discriminator, loss, message
):
    spec = {"kind": "progressive_waveform", **discriminator}
    gan = build("progressive_wavegan", discriminators=[spec])
    with pytest.raises(ValueError, match=message):
        gan.compile(loss=loss, recompute=True)


def test_a_static_loss_scale_stays_and_changes_no_gradient():
    moved = []
    for scale in (None, 32.0):
        gan = build("progressive_wavegan", num_blocks=1)
        set_weights_from_paths(gan)
        gan.compile(seed=1, discriminator_steps=1, loss_scale=scale)
        gan.train_on_batch(make_batch(gan, 2))
        moved.append(numbers(gan.generator.weights))
    assert gan.get_compile_config()["loss_scale"] == 32.0
    assert float(gan.optimizer.generator.scale) == 32.0
    for path, value in moved[0].items():
        np.testing.assert_allclose(moved[1][path], value, atol=1e-6)


def test_more_clips_longer_clips_and_wider_networks_take_more_memory():
    def memory(rows, recompute=False, **arguments):
        return ProgressiveWaveGAN.memory_of_step(arguments, rows, recompute)

    # Measured on TensorFlow in GiB, with one discriminator update, and five.
    for stage, rows, measured in ((6, 1, 1.75), (7, 1, 2.01), (8, 2, 4.39)):
        ratio = memory(rows, num_blocks=stage) / 2**30 / measured
        assert 1.0 < ratio < 1.25
    assert memory(4, num_blocks=8) > memory(2, num_blocks=8)
    assert memory(4, True, num_blocks=8) == memory(1, num_blocks=8)
    assert memory(2, num_blocks=5, dim=64) < memory(2, num_blocks=5)
