"""What the benchmarks count by hand."""

import importlib.util
import math
import pathlib

import numpy as np
import pytest

from keras_audiogan.layers.representations import LogSpectrogram
from keras_audiogan.models import (
    GANSynth,
    SpecGAN,
    WaveGAN,
    get_architecture,
    list_architectures,
)

SCRIPT = pathlib.Path(__file__).parent.parent / "benchmarks/wavegan_speed.py"


@pytest.fixture(scope="module")
def wavegan_speed():
    spec = importlib.util.spec_from_file_location("wavegan_speed", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_multiply_adds_are_those_of_the_layers(wavegan_speed):
    gan = WaveGAN(16384, dim=4)
    upconvs = [math.prod(x.kernel.shape) for x in gan.generator.upconvs]
    downconvs = [math.prod(x.kernel.shape) for x in gan.discriminator.downconvs]
    # Steps of each map at its lower rate.
    steps = [16, 64, 256, 1024, 4096]
    generator = math.prod(gan.generator.dense.kernel.shape) + sum(
        a * b for a, b in zip(upconvs, steps, strict=True)
    )
    first = downconvs[0] * 4096
    discriminator = math.prod(gan.discriminator.score.kernel.shape) + sum(
        a * b for a, b in zip(downconvs, steps[::-1], strict=True)
    )
    counted = wavegan_speed.network_multiply_adds(4)
    assert counted == (generator, discriminator, first)
    # Per clip: 5 discriminator updates and one of the generator.
    update = generator + 10 * discriminator - 2 * first
    expected = 5 * update + 3 * generator + 2 * discriminator
    assert wavegan_speed.iteration_multiply_adds(4, 3) == 3 * expected


def script(name):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def spectral_speed():
    return script("spectral_speed")


@pytest.fixture(scope="module")
def growing():
    return GANSynth(
        labels=["060", "061", "062"],
        slice_length=2000,
        fft_length=32,
        frame_step=16,
        start_width=2,
        start_height=16,
        latent_dim=5,
        channel_base=32,
        max_channels=6,
    )


def size(kernel, steps):
    """Multiply-adds of a layer whose kernel meets so many places."""
    return steps * math.prod(kernel.shape)


def test_multiply_adds_of_specgan_are_those_of_its_layers(spectral_speed):
    gan = SpecGAN(dim=2)
    # Pixels at the lower rate of each map.
    pixels = [16 * 4**i for i in range(5)]
    generator = math.prod(gan.generator.dense.kernel.shape) + sum(
        size(layer.kernel, n)
        for layer, n in zip(gan.generator.upconvs, pixels, strict=True)
    )
    downconvs = [
        size(layer.kernel, n)
        for layer, n in zip(
            gan.discriminator.downconvs, pixels[::-1], strict=True
        )
    ]
    score = math.prod(gan.discriminator.score.kernel.shape)
    counted = spectral_speed.specgan_multiply_adds(2)
    assert counted == [generator, sum(downconvs) + score, downconvs[0]]


def test_multiply_adds_of_gansynth_are_those_of_its_layers(
    growing, spectral_speed
):
    gan = growing
    for blocks in (2, 4):
        generator = discriminator = first = 0
        for block in range(1, blocks + 1):
            pixels = 32 * 4 ** (block - 1)
            pair = slice(2 * block - 2, 2 * block)
            for place, layer in enumerate(gan.generator.convs[pair]):
                # The first kernel covers the small picture, once.
                full = block == 1 and place == 0
                generator += size(layer.kernel, 1 if full else pixels)
            for place, layer in enumerate(gan.discriminator.convs[pair]):
                last = block == 1 and place == 1
                discriminator += size(layer.kernel, 1 if last else pixels)
            if block >= blocks - 1:
                kernel = gan.generator.to_pictures[block - 1].kernel
                first += size(kernel, pixels)
        for head in (gan.discriminator.score, gan.discriminator.classes):
            discriminator += size(head.kernel, 1)
        counted = spectral_speed.gansynth_multiply_adds(
            blocks, (16, 2), 5, 3, channel_base=32, max_channels=6
        )
        assert counted == [generator + first, discriminator + first, first]
    # One discriminator update a step, of rows of 3.
    g, d, f = counted
    expected = 3 * (g + 2 * (3 * d - f) + 4 * d + 3 * g + 2 * d)
    assert spectral_speed.iteration_multiply_adds(counted, 3, 1) == expected


def test_rates_of_training_are_read_from_a_log():
    table = script("spectra_or_waves")
    lines = [
        '{"step": 42, "time": 99.0, "event": "non_finite", "text": "x"}',
        '{"step": 100, "time": 100.0}',
        '{"step": 200, "time": 110.0}',
        '{"step": 300, "time": 120.0}',
        # Resumed a day later, from an earlier step.
        '{"step": 250, "time": 90000.0}',
        '{"step": 350, "time": 90010.0}',
        '{"step": 450, "time": 90020.0}',
        '{"step": 550, "ti',
    ]
    assert table.steps_per_second(lines) == pytest.approx(10.0)
    assert table.steps_per_second(lines[:2]) is None
    scores = {
        "generated": {"value": 6.0, "low": 5.0, "high": 7.0},
        "real_test": {"value": 8.0},
    }
    assert table.share(scores) == "0.75 [0.62, 0.88]"
    rows = [["a", *[""] * 8, "910 [900, 920]"]]
    assert table.table(rows) == (
        "|  | sampling, times real time |\n"
        "| --- | --- |\n"
        "| a | 910 [900, 920] |"
    )


def named_weights(network):
    return {
        weight.path.split("/", 1)[1]: np.asarray(weight)
        for weight in network.weights
    }


@pytest.mark.parametrize("blocks", [2, 4])
def test_gansynth_in_pytorch_makes_the_same(growing, blocks):
    torch = pytest.importorskip("torch")
    parts = script("spectral_torch")
    widths = [6, 6, 4, 2][:blocks]
    generator = parts.GANSynthGenerator(widths, (16, 2), 8, 5**0.5)
    discriminator = parts.GANSynthDiscriminator(widths, (16, 2), 3)
    parts.load(generator, named_weights(growing.generator))
    parts.load(discriminator, named_weights(growing.discriminator))
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((3, 5)).astype("float32")
    classes = np.eye(3, dtype="float32")
    made = np.asarray(
        growing.generator([latents, classes], training=True, num_blocks=blocks)
    )
    with torch.no_grad():
        theirs = generator(*map(torch.from_numpy, (latents, classes)))
        scores, logits = discriminator(theirs)
    # Random weights: pictures, from -1 to 1, of sixteen layers.
    assert np.abs(np.moveaxis(made, -1, 1) - theirs.numpy()).max() < 1e-3
    ((*_, known, judged),) = growing.discriminator.feature_maps(
        [made], training=True
    )
    assert np.abs(np.asarray(judged) - scores.numpy()).max() < 1e-3
    assert np.abs(np.asarray(known) - logits.numpy()).max() < 1e-3


def test_spectra_in_pytorch_are_the_same(growing):
    torch = pytest.importorskip("torch")
    parts = script("spectral_torch")
    mine = growing.representation
    config = mine.get_config()
    theirs = parts.MagnitudeFrequency(
        2000,
        128,
        32,
        16,
        mine._warp,
        mine._unwarp,
        (config["magnitude_scale"], config["magnitude_offset"]),
        config["frequency_scale"],
    )
    times = np.arange(2000) / 16000
    audio = np.sin(2 * np.pi * np.array([[440.0], [900.0]]) * times)
    audio = audio.astype("float32")
    picture = np.moveaxis(np.asarray(mine.analyse(audio[..., None])), -1, 1)
    other = theirs.analyse(torch.from_numpy(audio)).numpy()
    # Phases of next to nothing turn by rounding.
    assert np.median(np.abs(picture - other)) < 1e-4
    sound = np.asarray(mine.synthesise(np.moveaxis(other, 1, -1)))[..., 0]
    again = theirs.synthesise(torch.from_numpy(other)).numpy()
    assert np.abs(sound - again).max() < 1e-3 * np.abs(sound).max()
    specgan = LogSpectrogram(32, 16, num_iterations=4, slice_length=2000)
    theirs = parts.LogSpectrogram(2000, 32, 16)
    picture = np.moveaxis(np.asarray(specgan.analyse(audio[..., None])), -1, 1)
    other = theirs.analyse(torch.from_numpy(audio)).numpy()
    assert np.median(np.abs(picture - other)) < 1e-4
    sound = np.asarray(specgan.synthesise(np.moveaxis(other, 1, -1)))[..., 0]
    again = theirs.synthesise(torch.from_numpy(other), 4).numpy()
    assert np.median(np.abs(sound - again)) < 1e-3 * np.abs(sound).max()


@pytest.fixture(scope="module")
def vocoder_speed():
    return script("vocoder_speed")


def test_vocoders_are_shown_beside_their_originals(vocoder_speed):
    rows = {
        "original, PyTorch, float32": ([4.0, 6.0, 5.0], 900.0, 0.0),
        "original, openvino, float32": ([3.0, 3.0, 4.0], 600.0, 1e-6),
        "ours, Keras, float32": ([2.0, 4.0, 2.5], 1200.0, 2e-6),
        "ours, Keras, bfloat16": ([1.0, 1.0, 1.0], 1200.0, 1e-2),
    }
    keys = ("seconds", "peak_mib", "difference")
    rows = {
        side: dict(zip(keys, row, strict=True)) for side, row in rows.items()
    }
    assert vocoder_speed.show("hifigan V1", "vocode", rows) == [
        "| hifigan V1 | original | PyTorch | float32 | 5.000 | 2.0 | 1.00 "
        "| 900 | 0e+00 |",
        "| hifigan V1 | original | openvino | float32 | 3.000 | 3.3 | 1.33 "
        "| 600 | 1e-06 |",
        # Rounds are paired: 4 to 2, 6 to 4, 5 to 2.5.
        "| hifigan V1 | ours | Keras | float32 | 2.500 | 4.0 | 2.00 "
        "| 1200 | 2e-06 |",
        "| hifigan V1 | ours | Keras | bfloat16 | 1.000 | 10.0 | 5.00 "
        "| 1200 | 1e-02 |",
        # Of bfloat16 the original has none.
        "hifigan V1, float32: ours, Keras, float32 is 1.20 times as fast as "
        "original, openvino, float32",
    ]


@pytest.mark.parametrize("alone", [False, True])
def test_who_takes_part(vocoder_speed, alone):
    case = {"alone": alone, "job": "vocode"}
    made = vocoder_speed.contenders(case, ["openvino-bfloat16"])
    theirs = ["original, PyTorch, float32", "original, openvino, bfloat16"]
    ours = ["Keras, float32", "Keras, bfloat16", "openvino, bfloat16"]
    ours = [f"ours, {each}" for each in ours]
    assert list(made) == [*([] if alone else theirs), *ours]
    told = made[ours[-1]]
    assert (told["engine"], told["precision"]) == ("openvino", "bfloat16")
    case["job"] = "train"
    made = vocoder_speed.contenders(case, ["openvino-bfloat16"])
    assert list(made) == [*([] if alone else theirs[:1]), *ours[:2]]


def test_sizes_of_ours_are_the_published_ones(vocoder_speed):
    models = {name.split()[0] for name in vocoder_speed.RECIPES}
    assert models <= set(list_architectures())
    assert set(vocoder_speed.SIZES_OF_OURS) <= set(vocoder_speed.RECIPES)
    for name, options in vocoder_speed.SIZES_OF_OURS.items():
        network = get_architecture(name.split()[0]).generator_class(**options)
        weights = sum(
            math.prod(variable.shape)
            for variable in network.weights
            if variable.name != "gain"
        )
        # Those of the paper, in millions.
        published = {"hifigan V2": 0.92, "hifigan V3": 1.46}
        assert weights / 1e6 == pytest.approx(published[name], abs=0.01)
