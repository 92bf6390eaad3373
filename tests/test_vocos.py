"""Vocos: its head and blocks, its discriminators, its losses, its run."""

import keras
import numpy as np
import pytest
import torch
from keras import ops

from keras_audiogan.layers import ConvNeXtBlock, InverseSTFTHead, stft
from keras_audiogan.layers.istft_head import PHASES
from keras_audiogan.metrics.artefacts import comb_levels
from keras_audiogan.models import HiFiGAN, Vocos
from keras_audiogan.models.vocoder_discriminators import (
    MultiBandDiscriminator,
    MultiPeriodDiscriminator,
)
from keras_audiogan.training.vocoder_losses import (
    MultiScaleMelLoss,
    discriminator_adversarial_loss,
    feature_matching_loss,
    generator_adversarial_loss,
)
from keras_audiogan.training.vocoder_objectives import get_objective


def numbers(x):
    return np.asarray(ops.convert_to_numpy(x))


def audio_of(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return (0.3 * rng.standard_normal(shape)).astype("float32")


@pytest.mark.backends
@pytest.mark.parametrize("padding", ["center", "same"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("phase", PHASES)
def test_the_head_is_the_inverse_of_the_transform(padding, channels, phase):
    fft_length, hop, frames = 32, 8, 10
    sound = audio_of(channels, frames * hop)
    real, imaginary = stft(ops.convert_to_tensor(sound), 32, hop, padding)
    spectrum = numbers(real) + 1j * numbers(imaginary)
    spectrum = spectrum[:, :frames]
    angles = np.angle(spectrum)
    turns = 2 * np.pi * hop / fft_length * np.arange(fft_length // 2 + 1)
    if phase == "frequency":
        angles[:, 1:] = np.diff(angles, axis=1) - turns
    parts = [np.log(np.abs(spectrum) + 1e-9), angles]
    features = np.concatenate(parts, -1).transpose(1, 0, 2)
    features = features.reshape(1, frames, -1).astype("float32")
    head = InverseSTFTHead(
        fft_length,
        hop,
        padding,
        channels,
        phase=phase,
        name=f"{padding}_{channels}_{phase}",
    )
    head.build(features.shape)
    head.out.kernel.assign(np.eye(features.shape[-1], dtype="float32"))
    head.out.bias.assign(np.zeros(features.shape[-1], "float32"))
    made = numbers(head(features))
    assert made.shape == (1, frames * hop, channels)
    # Mirrored ends are windowed apart, and centred frames lack the last.
    inside = slice(0, -fft_length)
    np.testing.assert_allclose(made[0, inside], sound.T[inside], atol=1e-5)


@pytest.mark.backends
def test_the_transform_is_pytorchs():
    sound = audio_of(2, 64)
    real, imaginary = stft(ops.convert_to_tensor(sound), 16, 4)
    wanted = torch.stft(
        torch.from_numpy(sound),
        16,
        4,
        window=torch.hann_window(16),
        return_complex=True,
    )
    made = (numbers(real) + 1j * numbers(imaginary)).transpose(0, 2, 1)
    np.testing.assert_allclose(made, wanted.numpy(), atol=1e-5)
    with pytest.raises(ValueError, match="longer than 8 samples"):
        stft(ops.convert_to_tensor(sound[:, :8]), 16, 4)


@pytest.mark.backends
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("phase", PHASES)
def test_the_head_starts_at_its_level(channels, phase):
    keras.utils.set_random_seed(3)
    head = InverseSTFTHead(
        64, 16, num_channels=channels, start_level=0.1, phase=phase
    )
    frames = audio_of(4, 60, 24) / 0.3
    level = np.sqrt(np.mean(numbers(head(frames)) ** 2))
    assert 0.08 < level < 0.125


@pytest.mark.backends
@pytest.mark.parametrize("phase", PHASES)
def test_frames_that_are_alike_buzz_where_angles_stand_still(phase):
    head = InverseSTFTHead(256, 64, start_level=0.1, phase=phase)
    # The same phases in every frame, of 20 heads that differ.
    levels = []
    for seed in range(20):
        keras.utils.set_random_seed(seed)
        bias = numbers(head._start_of_bias(0.1, (258,)))
        sound = head.synthesise(
            *(
                ops.convert_to_tensor(np.tile(part, (1, 100, 1)))
                for part in np.split(bias, 2)
            )
        )
        clip = numbers(sound)[..., None]
        levels.append(comb_levels(clip, 8000, [64])[125.0][0])
    # White noise lies at -1.6 dB.
    if phase == "angle":
        assert np.median(levels) > 40.0
    else:
        assert np.median(levels) < 3.0


@pytest.mark.backends
def test_a_head_without_an_offset_leaves_out_the_lowest_bin():
    keras.utils.set_random_seed(3)
    frames = audio_of(2, 12, 24)
    heads = [
        InverseSTFTHead(64, 16, dc=dc, name=f"dc_{dc}") for dc in (False, True)
    ]
    for wrong in ({"dc": 3}, {"phase": "angles"}):
        with pytest.raises(ValueError, match="`phase` must be one of"):
            InverseSTFTHead(64, 16, **wrong)
    without, full = (head(frames) for head in heads)
    assert not np.allclose(numbers(without), numbers(full), atol=1e-2)
    silent = numbers(heads[0].out.bias).copy()
    silent[0] = -100.0
    kernel = numbers(heads[0].out.kernel).copy()
    kernel[:, 0] = 0.0
    heads[1].out.bias.assign(silent)
    heads[1].out.kernel.assign(kernel)
    np.testing.assert_allclose(
        numbers(without), numbers(heads[1](frames)), atol=1e-6
    )


@pytest.mark.backends
def test_the_block_is_the_originals():
    dim, wide = 6, 10
    block = ConvNeXtBlock(dim, wide, layer_scale=0.5)
    block.build((None, None, dim))
    rng = np.random.default_rng(1)
    for weight in block.weights:
        weight.assign(rng.normal(size=weight.shape).astype("float32"))
    x = audio_of(2, 9, dim)
    t = {
        w.path.split("/", 1)[1]: torch.tensor(numbers(w)) for w in block.weights
    }
    y = torch.nn.functional.conv1d(
        torch.tensor(x).transpose(1, 2),
        t["kernel"].T[:, None],
        t["bias"],
        padding=3,
        groups=dim,
    ).transpose(1, 2)
    y = torch.nn.functional.layer_norm(
        y, (dim,), t["norm/gamma"], t["norm/beta"], 1e-6
    )
    y = torch.nn.functional.gelu(y @ t["expand/kernel"] + t["expand/bias"])
    y = y @ t["contract/kernel"] + t["contract/bias"]
    wanted = torch.tensor(x) + y * t["gamma"]
    np.testing.assert_allclose(numbers(block(x)), wanted.numpy(), atol=2e-5)


def test_published_sizes():
    model = Vocos(discriminators=["multi_band"])
    assert model.generator.count_params() == 13_531_650
    # Of the original's own, counted there with weight norm.
    assert model.discriminator.count_params() == MULTI_BAND


MULTI_BAND = 3 * (
    5 * (2 * 32 * 27 + 3 * 32 * 32 * 27 + 32 * 32 * 9 + 5 * 64) + 32 * 9 + 2
)


def dac_spectrum(x, length):
    """The spectrum of DAC's `match_stride`: as many frames as hops."""
    hop = length // 4
    edge = (length - hop) // 2
    x = torch.nn.functional.pad(x[:, None], (edge, edge), "reflect")[:, 0]
    window = torch.hann_window(length)
    x = torch.stft(x, length, hop, window=window, return_complex=True)
    return x[..., 2:-2]


def vocos_spectrum(x, length):
    window = torch.hann_window(length)
    return torch.stft(
        x, length, length // 4, window=window, return_complex=True
    )


@pytest.mark.backends
@pytest.mark.parametrize("of_dac", [False, True])
def test_the_bands_are_the_originals(of_dac):
    layer = MultiBandDiscriminator(
        fft_lengths=[32],
        channels=3,
        first_maps=of_dac,
        padding="same" if of_dac else "center",
    )
    rng = np.random.default_rng(2)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape).astype("float32"))
    audio = audio_of(2, 128, 1)
    (maps,) = layer(ops.convert_to_tensor(audio))
    assert len(maps) == 5 * (4 + of_dac) + 1

    def conv(layer, x, stride):
        kernel = numbers(layer.effective_kernel()).transpose(3, 2, 1, 0)
        return torch.nn.functional.conv2d(
            x,
            torch.tensor(kernel),
            torch.tensor(numbers(layer.bias)),
            (1, stride),
            tuple(size // 2 for size in kernel.shape[2:]),
        )

    x = torch.tensor(audio[..., 0])
    x = x - x.mean(-1, keepdim=True)
    x = 0.8 * x / (x.abs().amax(-1, keepdim=True) + 1e-9)
    x = (dac_spectrum if of_dac else vocos_spectrum)(x, 32)
    x = torch.view_as_real(x).permute(0, 3, 2, 1)  # b c t f
    wanted, tops = [], []
    for low, high, stack in zip(
        [0, 1, 4, 8, 12], [1, 4, 8, 12, 17], layer.stacks[0], strict=True
    ):
        y = x[..., low:high]
        for i, each in enumerate(stack):
            y = conv(each, y, 1 if i in (0, 4) else 2)
            y = torch.nn.functional.leaky_relu(y, 0.1)
            wanted += [y] if i or of_dac else []
        tops.append(y)
    wanted.append(conv(layer.lasts[0], torch.cat(tops, -1), 1))
    for ours, theirs in zip(maps, wanted, strict=True):
        np.testing.assert_allclose(
            numbers(ours).transpose(0, 3, 2, 1),
            theirs.detach().numpy(),
            rtol=1e-4,
            atol=1e-4 * float(theirs.abs().max()),
        )


def test_periods_alone_are_those_beside_scales():
    keras.utils.set_random_seed(0)
    small = {"channels": 2, "max_channels": 4, "rates": [2, 1]}
    alone = MultiPeriodDiscriminator(periods=[2, 3], **small)
    both = HiFiGAN(**HiFiGAN.tiny).discriminator
    assert [len(maps) for maps in alone(audio_of(1, 50, 1))] == [3, 3]
    for ours, theirs in zip(
        alone.weights, both.weights[: len(alone.weights)], strict=True
    ):
        assert (
            ours.shape == theirs.shape
            and ours.path.split("/")[1:] == (theirs.path.split("/")[1:])
        )
    without = MultiPeriodDiscriminator(
        periods=[2, 3], first_maps=False, **small
    )
    assert [len(maps) for maps in without(audio_of(1, 50, 1))] == [2, 2]
    stereo = MultiPeriodDiscriminator(2, periods=[3], **small)
    (maps,) = stereo(audio_of(1, 50, 2))
    assert maps[0].shape == (1, 9, 3, 2)


def test_a_margin_on_both_sides():
    scores = [np.array([[-1.0, 0.5, 3.0]], "float32")]
    # Shortfalls from 1: 2, 0.5 and 0.
    loss = generator_adversarial_loss(scores, "double_hinge")
    np.testing.assert_allclose(numbers(loss), 2.5 / 3, rtol=1e-6)
    real, fake = discriminator_adversarial_loss(scores, scores, "double_hinge")
    np.testing.assert_allclose(numbers(real), 2.5 / 3, rtol=1e-6)
    np.testing.assert_allclose(numbers(fake), (0 + 1.5 + 4) / 3, rtol=1e-6)


def test_weights_of_discriminators():
    ones = [[np.full((1, 4), v, "float32")] * 2 for v in (1.0, 2.0, 4.0)]
    zeros = [[np.zeros((1, 4), "float32")] * 2] * 3
    weights = [0.5, 0.5, 0.1]
    loss = feature_matching_loss(
        ones, zeros, average_by_discriminators=False, weights=weights
    )
    np.testing.assert_allclose(numbers(loss), 0.5 + 1.0 + 0.4, rtol=1e-6)
    loss = generator_adversarial_loss(ones, "hinge", False, weights)
    np.testing.assert_allclose(numbers(loss), -(0.5 + 1.0 + 0.4), rtol=1e-6)
    model = Vocos(**Vocos.tiny)
    # Two periods of weight 1, two resolutions of weight 0.1.
    np.testing.assert_allclose(
        model.discriminator.score_weights(mean=True), [0.5, 0.5, 0.05, 0.05]
    )
    assert model.discriminator.score_weights() == [1.0, 1.0, 0.1, 0.1]
    with pytest.raises(ValueError, match="`weight` of a discriminator"):
        Vocos(
            **{
                **Vocos.tiny,
                "discriminators": [{"kind": "multi_band", "weight": -1}],
            }
        )


def test_multi_scale_mels_by_hand():
    loss = MultiScaleMelLoss(8000, [(64, 4), (32, 2)])
    sound = audio_of(1, 512, 1)
    assert float(loss(sound, sound)) == 0.0
    # A tenth of the level is one decade in every band of both, and at the
    # edges, which weigh as two bands of the two.
    quiet = 1e-2 * sound
    np.testing.assert_allclose(
        float(loss(quiet, 10.0 * quiet)), 2.0 + _edge_decades(quiet), rtol=1e-3
    )


def _edge_decades(quiet):
    """Mean decades between 10 x and x at 0 Hz and 4 kHz, above the floor."""
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(32) / 32)
    sound = np.asarray(quiet)[0, :, 0].astype("float64")
    frames = np.lib.stride_tricks.sliding_window_view(sound, 32)[::8] * taper
    bins = np.abs(np.stack([frames.sum(1), frames @ (-1.0) ** np.arange(32)]))
    loud, soft = np.maximum([10 * bins, bins], 1e-3)
    return np.mean(np.log10(loud / soft))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_nothing_hides_at_the_edges_of_a_spectrum(sign):
    loss = MultiScaleMelLoss(8000)
    sound = 0.1 * audio_of(1, 8192, 1)
    tone = 0.3 * sign ** np.arange(8192)[None, :, None]
    # Bands alone hear little of it: a mean of 0.3, or a tone at 4 kHz.
    assert float(loss(sound + tone.astype("float32"), sound)) > 0.02


def test_the_head_follows_the_mels():
    mel = {**Vocos.tiny["mel"], "fft_length": 128, "window_length": 128}
    arguments = {k: v for k, v in Vocos.tiny.items() if k[:5] != "head_"}
    model = Vocos(**{**arguments, "mel": {**mel, "padding": "same"}})
    head = model.generator.head
    assert (head.fft_length, head.padding) == (128, "same")
    assert Vocos.from_config(model.get_config()).get_config() == (
        model.get_config()
    )
    with pytest.raises(ValueError, match="whole frames"):
        Vocos(**{**Vocos.tiny, "slice_length": 2040})


def test_rates_fall_along_a_cosine_in_a_run():
    model = Vocos(**Vocos.tiny)
    model.compile_for_run(100, 0, learning_rate=1e-3)
    for each in (model.optimizer.generator, model.optimizer.discriminator):
        schedule = each.inner._learning_rate
        np.testing.assert_allclose(float(schedule(50)), 5e-4, rtol=1e-5)
        assert float(schedule(100)) < 1e-9
    model.compile()
    assert float(model.optimizer.learning_rate) == pytest.approx(5e-4)
    assert get_objective("multi_scale_mel").discriminator_start > 0


@pytest.mark.slow
def test_spectra_alone_teach_it():
    keras.utils.set_random_seed(1)
    model = Vocos(**Vocos.tiny, ema_momentum=0.9)
    model.compile("multi_scale_mel", seed=1, discriminator_start=1000)
    audio = audio_of(4, 2048, 1)
    history = model.fit(audio, batch_size=4, epochs=12, verbose=0).history
    losses = history["rec/multi_scale_mel"]
    assert losses[-1] < 0.8 * losses[0]
    assert "adv/discriminator" not in history
