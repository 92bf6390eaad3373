"""SpecGAN and DCGAN: sizes, statistics, phases, and what is refused."""

import json
import math

import keras
import numpy as np
import pytest
import soundfile
from cli_support import audiogan
from keras import ops

from keras_audiogan.layers.representations import LogSpectrogram
from keras_audiogan.models import (
    DCGAN,
    ProjectionDCGAN,
    ProjectionSpecGAN,
    SpecGAN,
    SpecGANDiscriminator,
    SpecGANGenerator,
)
from keras_audiogan.models.spectral_gan import picture_blocks
from keras_audiogan.presets.config import PresetError
from keras_audiogan.saving import load_preset


def tone(length=256, frequency=0.05, level=0.5):
    time = np.arange(length)
    return (level * np.sin(2 * np.pi * frequency * time)).astype("float32")


class Dataset:
    """What `fit_to_clips` asks of a data set."""

    def __init__(self, *batches):
        self.batches = batches

    def clips(self):
        for audio in self.batches:
            yield {"audio": audio}


@pytest.mark.parametrize(
    "sizes, want",
    [
        ((16384, 256, 128), (5, (4, 4))),
        ((8192, 256, 64), (5, (4, 4))),
        ((8192, 256, 128), (4, (4, 8))),
        ((65536, 256, 128), (5, (16, 4))),
        # Rounded up: 79 * 200 < 15900 <= 80 * 200.
        ((15900, 400, 200), (3, (10, 25))),
    ],
)
def test_how_pictures_grow(sizes, want):
    assert picture_blocks(*sizes) == want


@pytest.mark.parametrize(
    "sizes, told",
    [
        ((16000, 256, 128), "125 frames of 128 bins"),
        ((16384, 250, 125), "132 frames of 125 bins"),
        ((512, 256, 128), "4 frames of 128 bins"),
        ((16384, 256, 129), "twice `frame_step`"),
        ((16384, 255, 64), "even"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_together(sizes, told):
    names = ("slice_length", "fft_length", "frame_step")
    with pytest.raises(ValueError, match=told) as error:
        SpecGAN(**dict(zip(names, sizes, strict=True)))
    assert "Received" in str(error.value)


def test_networks_of_another_length_and_transform():
    sizes = {"slice_length": 600, "fft_length": 64, "frame_step": 25}
    generator = SpecGANGenerator(**sizes, latent_dim=3, dim=2, num_channels=2)
    # 24 frames of 32 bins, halved twice; 4 channels at first.
    assert generator.start == (6, 8, 4)
    made = generator(np.zeros((2, 3), "float32"))
    assert tuple(made.shape) == (2, 24, 32, 2)
    discriminator = SpecGANDiscriminator(**sizes, dim=2, num_channels=2)
    ((*features, logits),) = discriminator(made)
    assert [tuple(x.shape[1:]) for x in features] == [(12, 16, 2), (6, 8, 4)]
    assert tuple(logits.shape) == (2, 1)
    # Weights of the 5 x 5 kernels, and the biases.
    dense = 3 * 192 + 192
    convs = 25 * (4 * 2 + 2 * 2) + 2 + 2
    assert generator.count_params() == dense + convs


def test_the_label_of_a_projection_moves_the_score_by_hand():
    gan = ProjectionSpecGAN(**ProjectionSpecGAN.tiny)
    x = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 1))
    views = [ops.convert_to_tensor(x.astype("float32"))]
    discriminator = gan.discriminator
    plain = discriminator.feature_maps(views)[0]
    told = discriminator.feature_maps(views, classes=np.eye(3, dtype="f4"))[0]
    last = np.reshape(ops.convert_to_numpy(plain[-2]), (3, -1))
    kernel = ops.convert_to_numpy(discriminator.projection.kernel)
    np.testing.assert_allclose(
        ops.convert_to_numpy(told[-1] - plain[-1])[:, 0],
        np.sum(last * kernel, axis=1),
        atol=1e-6,
    )
    # A generator whose modulations are nothing takes the label at its start.
    a, b = (gan.sample(labels=label, seed=0) for label in ("yes", "no"))
    assert np.abs(a - b).max() > 1e-4


def test_dcgan_begins_as_radfords():
    keras.utils.set_random_seed(0)
    gan = DCGAN(**{**DCGAN.tiny, "dim": 16})
    for kernel in (
        gan.generator.upconvs[0].kernel,
        gan.discriminator.downconvs[1].kernel,
    ):
        assert np.std(np.array(kernel)) == pytest.approx(0.02, rel=0.1)
    assert len(gan.generator.batch_norms) == 2
    assert len(gan.discriminator.batch_norms) == 1
    gan.compile()
    config = gan.run_recipe()
    assert config["loss"] == "dcgan"
    for which in ("generator_optimizer", "discriminator_optimizer"):
        assert config[which]["learning_rate"] == 2e-4
        assert config[which]["beta_1"] == 0.5
    assert ProjectionDCGAN.default_loss == "dcgan"


# Statistics


def test_statistics_are_of_every_slice():
    rng = np.random.default_rng(0)
    audio = rng.uniform(-1, 1, (70, 256, 1)).astype("float32")
    arguments = dict(SpecGAN.tiny)
    del arguments["mean"], arguments["std"]
    fitted = SpecGAN.fit_to_clips(arguments, Dataset(audio[:50], audio[50:]))
    padded = np.pad(audio[:, :, 0], ((0, 0), (0, 16)))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(32) / 32)
    frames = np.stack([padded[:, 16 * i : 16 * i + 32] for i in range(16)], 1)
    values = np.log(np.abs(np.fft.rfft(frames * window)) + 1e-6)
    np.testing.assert_allclose(fitted["mean"], values.mean((0, 1)), atol=1e-4)
    np.testing.assert_allclose(fitted["std"], values.std((0, 1)), atol=1e-4)
    json.dumps(fitted)
    # What is given is not fitted.
    given = SpecGAN.fit_to_clips(SpecGAN.tiny, Dataset())
    assert given["mean"] == SpecGAN.tiny["mean"]


def test_silence_counts_only_if_it_shall():
    audio = np.zeros((4, 256, 1), "float32")
    audio[:, :128, 0] = tone(128)
    representation = LogSpectrogram(32, 16)
    with_silence = representation.fit(audio)
    without = representation.fit(audio, skip_silence=True)
    # Eight of the sixteen frames hold sound.
    bin_of_tone = round(0.05 * 32)
    silence = math.log(1e-6)
    assert with_silence["mean"][bin_of_tone] == pytest.approx(
        (8 * without["mean"][bin_of_tone] + 8 * silence) / 16, abs=1e-3
    )
    assert without["std"][bin_of_tone] < with_silence["std"][bin_of_tone] / 4


@pytest.mark.parametrize(
    "audio, told",
    [
        (np.zeros((3, 256, 1), "f4"), "3 silent clip"),
        (np.full((3, 256, 1), np.nan, "f4"), "clip 1 .* NaN"),
    ],
)
def test_corpora_without_statistics_are_refused(audio, told):
    arguments = {**SpecGAN.tiny, "mean": None, "std": None}
    with pytest.raises(ValueError, match=told):
        SpecGAN.fit_to_clips(arguments, Dataset(audio))


def test_a_bin_that_never_changes_has_a_deviation():
    audio = np.tile(tone(), (2, 1))[..., None]
    arguments = {**SpecGAN.tiny, "mean": None, "std": None}
    fitted = SpecGAN.fit_to_clips(arguments, Dataset(audio))
    assert min(fitted["std"]) >= 0.01
    x = SpecGAN(**fitted).representation.analyse(audio)
    assert np.isfinite(ops.convert_to_numpy(x)).all()


@pytest.mark.slow
def test_a_run_fits_one_file_and_its_preset_keeps_the_statistics(tmp_path):
    (tmp_path / "sounds").mkdir()
    soundfile.write(tmp_path / "sounds" / "one.wav", tone(700), 8000)
    tiny = dict(SpecGAN.tiny)
    settings = ("fft_length", "frame_step", "latent_dim", "dim")
    done = audiogan(
        *("train", "specgan", tmp_path / "sounds", "-o", tmp_path / "run"),
        *("--slice-length", 256, "--sampling-rate", 8000, "--steps", 2),
        *("--batch-size", 2, "--seed", 0),
        *(a for name in settings for a in ("--set", f"{name}={tiny[name]}")),
    )
    assert done.exit_code == 0, done.output
    gan = load_preset(tmp_path / "run" / "preset")
    config = gan.get_config()
    assert len(config["mean"]) == len(config["std"]) == 17
    assert gan.sample(1, seed=0).shape == (1, 256, 1)
    # Nobody listens to phases that were not looked for.
    options = ("-n", 1, "--seed", 3, "--no-plot", "-o")
    sounds = []
    for name, asked in {
        "preset": (),
        "more": ("--phase-iterations", 64),
        "fast": ("--phase-iterations", 64, "--fast-griffin-lim"),
        "same": ("--phase-iterations", 16, "--plain-griffin-lim"),
    }.items():
        out = tmp_path / name
        made = audiogan(
            "sample", tmp_path / "run/preset", *options, out, *asked
        )
        assert made.exit_code == 0, made.output
        sounds.append(soundfile.read(out / "preset_3_00.wav")[0])
    preset, more, fast, same = sounds
    np.testing.assert_array_equal(preset, same)
    assert np.abs(more - preset).max() > 0 and np.abs(fast - more).max() > 0


# Phases


def test_more_and_faster_iterations_come_nearer():
    rng = np.random.default_rng(0)
    audio = np.stack([tone(2048, f) for f in (0.03, 0.11)])[..., None]
    audio = audio + 0.1 * rng.standard_normal(audio.shape).astype("float32")
    arguments = {**SpecGAN.tiny, "slice_length": 2048, "frame_step": 8}
    arguments |= LogSpectrogram(32, 8).fit(audio)
    gan = SpecGAN(**arguments)
    x = gan.representation.analyse(audio)

    def miss(*asked):
        gan.set_phase_recovery(*asked)
        again = gan.representation.analyse(gan.representation.synthesise(x))
        return float(ops.mean(ops.square(again - x)))

    first, plain, fast = miss(1, 0.0), miss(60, 0.0), miss(60, 0.99)
    assert fast < 0.9 * plain < 0.9 * first
    assert gan.get_config()["phase_iterations"] == 60
    assert gan.get_config()["phase_momentum"] == 0.99
    with pytest.raises(ValueError, match="num_iterations"):
        gan.set_phase_recovery(0)
    assert gan.get_config()["phase_iterations"] == 60


def test_sampling_follows_a_change_of_phases():
    gan = SpecGAN(**SpecGAN.tiny)
    before = gan.sample(2, seed=0)
    gan.set_phase_recovery(30)
    after = gan.sample(2, seed=0)
    assert np.abs(after - before).max() > 1e-6
    gan.set_phase_recovery(1)
    np.testing.assert_array_equal(gan.sample(2, seed=0), before)


def test_presets_without_phases_to_find_say_so(tmp_path):
    done = audiogan(
        "sample", "wavegan_digits", "--phase-iterations", 3, "-o", tmp_path
    )
    assert done.exit_code == 2 and "no Griffin-Lim" in done.output


# What is refused


@pytest.mark.parametrize(
    "change, told",
    [
        ({"mean": [0.0] * 16}, "17 bins"),
        ({"mean": [float("nan")] * 17}, "`mean` must hold"),
        ({"std": [0.0] * 17}, "positive"),
        ({"std": None}, "belong together"),
        ({"mean": [1e6] * 17}, "logarithms"),
        ({"std": [1e3] * 17}, "logarithms"),
        ({"mean": "loud"}, "`mean` must hold"),
        ({"num_std": 0}, "num_std"),
        ({"phase_iterations": 10**9}, "num_iterations"),
        ({"phase_momentum": 1.0}, "momentum"),
        ({"discriminators": ["waveform"]}, "see spectrograms"),
        ({"discriminators": ["spectral"]}, "see spectrograms"),
    ],
)
def test_wrong_arguments_are_refused(change, told):
    with pytest.raises(ValueError, match=told):
        SpecGAN(**{**SpecGAN.tiny, **change})


def test_hostile_statistics_in_a_preset_are_one_error(tmp_path):
    gan = SpecGAN(**SpecGAN.tiny)
    gan.save_to_preset(tmp_path / "preset")
    path = tmp_path / "preset" / "config.json"
    config = json.loads(path.read_text())
    for name, value in (
        ("mean", [1e30] * 17),
        ("mean", [1.0] * 100000),
        ("std", [-1.0] * 17),
        ("std", {"a": 1}),
        ("phase_iterations", 1 << 40),
        ("frame_step", 3),
    ):
        changed = {**config, "config": {**config["config"], name: value}}
        path.write_text(json.dumps(changed))
        with pytest.raises((PresetError, ValueError)) as error:
            load_preset(tmp_path / "preset")
        assert len(str(error.value)) < 2000
