"""BigVGAN: its activations, discriminators, losses, checkpoints and run."""

import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
import torch
from keras import ops

from keras_audiogan.audio.low_pass import half_band
from keras_audiogan.converters import (
    ConversionError,
    bigvgan,
    convert,
    hifigan,
    identify,
    list_networks,
)
from keras_audiogan.layers import AntiAliasedSnake
from keras_audiogan.models import BigVGAN
from keras_audiogan.training.vocoder_losses import (
    BIGVGAN_MELS,
    MultiScaleMelLoss,
    discriminator_adversarial_loss,
    feature_matching_loss,
    generator_adversarial_loss,
    mel_loss,
)
from keras_audiogan.training.vocoder_objectives import get_objective

DATA = pathlib.Path(__file__).parent / "data" / "vocoders"


def numbers(x):
    return np.asarray(ops.convert_to_numpy(x))


def audio_of(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return (0.3 * rng.standard_normal(shape)).astype("float32")


# Activations


def test_the_filter_is_the_originals():
    held = torch.load(
        DATA / "bigvgan" / "bigvgan_generator.pt", weights_only=True
    )["generator"]
    for name in ("upsample.filter", "downsample.lowpass.filter"):
        theirs = held[f"activation_post.{name}"].numpy().reshape(-1)
        np.testing.assert_allclose(half_band(), theirs, atol=1e-6)
    assert half_band().sum() == pytest.approx(1.0)


def snake_by_torch(x, alpha, beta):
    """The activation of `(batch, channels, time)`, with the zeros between."""
    channels = x.shape[1]
    taps = torch.tensor(half_band(), dtype=torch.float32)
    kernel = taps.repeat(channels, 1, 1)
    x = torch.nn.functional.pad(x, (5, 5), "replicate")
    x = 2 * torch.nn.functional.conv_transpose1d(
        x, kernel, stride=2, groups=channels
    )
    x = x[..., 15:-15]
    x = x + torch.sin(x * alpha[:, None]) ** 2 / beta[:, None]
    x = torch.nn.functional.pad(x, (5, 6), "replicate")
    return torch.nn.functional.conv1d(x, kernel, stride=2, groups=channels)


@pytest.mark.backends
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("log_scale", [False, True])
def test_activation_is_the_originals(separate, log_scale):
    rng = np.random.default_rng(0)
    layer = AntiAliasedSnake(separate, log_scale)
    layer.build((None, None, 3))
    weights = [rng.uniform(0.5, 2.0, 3).astype("float32") for _ in range(2)]
    weights = weights if separate else weights[:1]
    assert len(layer.weights) == len(weights)
    for weight, value in zip(layer.weights, weights, strict=True):
        weight.assign(value)
    alpha, beta = (
        torch.tensor(np.exp(w) if log_scale else w)
        for w in (weights[0], weights[-1])
    )
    for time in (1, 4, 50):
        x = audio_of(2, time, 3, seed=time)
        wanted = snake_by_torch(torch.tensor(x).transpose(1, 2), alpha, beta)
        np.testing.assert_allclose(
            numbers(layer(x)), wanted.transpose(1, 2).numpy(), atol=2e-6
        )


def test_activation_makes_no_aliases():
    layer = AntiAliasedSnake(log_scale=False)
    layer.build((None, None, 1))
    # At 0.3 of the rate: what sin^2 makes at 0.6 of it would fold to 0.4.
    tone = np.sin(2 * np.pi * 0.3 * np.arange(1000)).astype("float32")
    plain = tone + np.sin(tone) ** 2
    power = [
        np.abs(np.fft.rfft(sound[100:900]))[320]
        for sound in (plain, numbers(layer(tone[None, :, None]))[0, :, 0])
    ]
    assert power[1] < 0.35 * power[0]


# Sizes, arguments


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="graphs are TensorFlow's"
)
def test_an_activation_is_few_operations():
    """The base size has 73 of them, and exports take the square of it."""
    import tensorflow as tf

    layer = AntiAliasedSnake()
    layer.build((None, None, 4))
    signature = [tf.TensorSpec((None, None, 4))]
    function = tf.function(layer.call, input_signature=signature)
    operations = function.get_concrete_function().graph.get_operations()
    kinds = [each.type for each in operations if each.type != "Const"]
    assert "Tile" not in kinds and len(kinds) < 60


def test_published_sizes():
    model = BigVGAN(discriminators=["none"])
    # The original's own counts of `bigvgan_base_24khz_100band`.
    assert model.generator.count_params() == BASE


BASE = 14_025_154


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="`activation` is one of"):
        BigVGAN(**{**BigVGAN.tiny, "activation": "relu"})
    with pytest.raises(ValueError, match="a kernel size no smaller"):
        BigVGAN(**{**BigVGAN.tiny, "upsample_kernel_sizes": [8, 2]})
    spec = {"kind": "multi_resolution", "frame_steps": [8]}
    with pytest.raises(ValueError, match="Each of the `fft_lengths`"):
        BigVGAN(**{**BigVGAN.tiny, "discriminators": [spec]})


@pytest.mark.slow
def test_chunks_are_the_whole():
    keras.utils.set_random_seed(0)
    model = BigVGAN(**{**BigVGAN.tiny, "discriminators": ["none"]})
    mel = audio_of(40, 8) - 6.0
    np.testing.assert_allclose(
        model.vocode(mel, chunk_frames=4), model.vocode(mel), atol=1e-6
    )


def test_without_weight_norm_it_keeps_its_activations():
    vocoder = convert(DATA / "bigvgan", weights=["generator"])
    outputs = np.load(DATA / "bigvgan" / "outputs.npz")
    fused = vocoder.fuse_weight_norm()
    assert fused.get_config()["weight_norm"] is False
    np.testing.assert_allclose(
        numbers(fused(outputs["mel"][None]))[0], outputs["wave"], atol=2e-5
    )


# Losses


@pytest.mark.slow
@pytest.mark.backends
@pytest.mark.parametrize("name", ["bigvgan", "bigvgan_v2"])
def test_losses_are_the_originals(name):
    if keras.backend.backend() == "jax" and name == "bigvgan_v2":
        pytest.skip("JAX compiles every initialiser: one case stands for all")
    vocoder = convert(DATA / name)
    outputs = np.load(DATA / name / "outputs.npz")
    real, fake = (outputs[part][None] for part in ("audio", "fake"))
    maps = [vocoder.discriminator(sound) for sound in (fake, real)]
    objective = get_objective(name)
    mels = MultiScaleMelLoss(vocoder.sampling_rate, **BIGVGAN_MELS)
    kind = objective.adversarial, objective.average_by_discriminators
    found = [
        generator_adversarial_loss(maps[0], *kind),
        sum(discriminator_adversarial_loss(*maps, *kind)),
        feature_matching_loss(*maps, **objective.feature_matching),
        mel_loss(*(vocoder._loss_features(x) for x in (fake, real))),
        mels(ops.convert_to_tensor(fake), real),
    ]
    np.testing.assert_allclose(
        [float(numbers(x)) for x in found], outputs["losses"], rtol=1e-4
    )


def test_objectives_are_the_originals():
    first, second = get_objective("bigvgan"), get_objective("bigvgan_v2")
    assert (first.mel_weight, first.multi_scale_mel_weight) == (45.0, 0.0)
    assert (second.mel_weight, second.multi_scale_mel_weight) == (0.0, 15.0)
    limits = [
        optimizer["config"]["global_clipnorm"]
        for each in (first, second)
        for optimizer in (
            each.generator_optimizer,
            each.discriminator_optimizer,
        )
    ]
    assert limits == [1000.0, 1000.0, 500.0, 500.0]


@pytest.mark.slow
def test_the_discriminator_is_frozen_at_first():
    keras.utils.set_random_seed(0)
    model = BigVGAN(**BigVGAN.tiny)
    # As `audiogan finetune --discriminator-start 2`, its weights loaded.
    model.compile_for_run(
        3, 0, {"discriminator"}, loss="bigvgan_v2", discriminator_start=2
    )
    before = model.discriminator.get_weights()
    audio = audio_of(2, 2048, 1)
    history = model.fit(audio, batch_size=2, epochs=2, verbose=0).history
    assert "adv/discriminator" not in history
    for a, b in zip(before, model.discriminator.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    history = model.fit(audio, batch_size=2, epochs=1, verbose=0).history
    assert np.isfinite(history["adv/discriminator"]).all()
    after = model.discriminator.get_weights()
    assert any((a != b).any() for a, b in zip(before, after, strict=True))
    assert int(numbers(model.optimizer.skipped)) == 0


# Checkpoints


def copy(name, tmp_path):
    return pathlib.Path(shutil.copytree(DATA / name, tmp_path / "run"))


def change_config(run, **values):
    path = run / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_options_become_arguments():
    config = bigvgan.converter.read_parts(DATA / "bigvgan_v2").config
    assert config.pop("mel")["num_mel_bins"] == 10
    kinds = [spec["kind"] for spec in config.pop("discriminators")]
    assert kinds == ["multi_period", "multi_band"]
    assert config == {
        "channels": 16,
        "upsample_rates": [3, 5],
        "upsample_kernel_sizes": [7, 9],
        "block_type": 2,
        "block_kernel_sizes": [3, 5],
        "block_dilations": [[1, 3], [1, 3]],
        "activation": "snake",
        "log_scale": False,
        "use_tanh_at_final": False,
        "use_bias_at_final": False,
        "weight_norm": True,
        "sampling_rate": 8000,
        "slice_length": 255,
    }


def test_files_of_the_trainer_are_told_from_hifigans(tmp_path):
    run = copy("bigvgan", tmp_path)
    (run / "bigvgan_generator.pt").rename(run / "g_00000010")
    (run / "bigvgan_discriminator_optimizer.pt").rename(run / "do_00000010")
    assert identify(run) == identify(run / "do_00000010") == "bigvgan"
    assert list_networks(run) == ["discriminator", "generator"]
    assert "it is BigVGAN's" in hifigan.converter.check(run)
    (run / "g_00000010").rename(run / "bigvgan_generator_3msteps.pt")
    parts = bigvgan.converter.read_parts(run)
    assert parts.path.name == "bigvgan_generator_3msteps.pt"
    assert parts.discriminator is None


def test_constant_q_discriminators_are_left_out_and_that_is_said(tmp_path):
    run = copy("bigvgan", tmp_path)
    change_config(run, use_cqtd_instead_of_mrd=True)
    with pytest.warns(UserWarning, match="constant-Q transforms has no"):
        parts = bigvgan.converter.read_parts(run)
    assert [s["kind"] for s in parts.config["discriminators"]] == [
        "multi_period"
    ]
    assert "period_0_conv_0" in parts.discriminator.layers
    with pytest.warns(UserWarning, match="left unread"):
        model = convert(run)
    assert model.discriminator.num_scores == 2


@pytest.mark.parametrize(
    "values,message",
    [
        ({"upsample_kernel_sizes": [7, 4]}, "`upsample_kernel_sizes` should"),
        ({"activation": "relu"}, "`activation` should be one of"),
        ({"activation": "snake"}, "beta' is none of this network's"),
        ({"resolutions": [[64, 12]] * 3}, "lists of three"),
        ({"use_bias_at_final": False}, "conv_post.bias' is none of"),
    ],
)
def test_options_that_do_not_fit(tmp_path, values, message):
    run = copy("bigvgan", tmp_path)
    change_config(run, **values)
    with pytest.raises(ConversionError, match=message):
        bigvgan.converter.read_parts(run)


def test_another_filter_is_refused(tmp_path):
    run = copy("bigvgan", tmp_path)
    path = run / "bigvgan_generator.pt"
    held = torch.load(path, weights_only=True)
    held["generator"]["activation_post.upsample.filter"] *= 1.1
    torch.save(held, path)
    with pytest.raises(ConversionError, match="another low-pass filter"):
        bigvgan.converter.read_parts(run)
