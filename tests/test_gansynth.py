"""GANSynth: growing networks, and what they are told of pitches."""

import json

import architecture_cases as cases
import keras
import numpy as np
import pytest
from cli_support import audiogan
from keras import ops

import keras_audiogan
from keras_audiogan.layers.equalized_conv import (
    EqualizedConv2D,
    beside_deviation,
    doubled,
    halved,
    pixel_norm,
)
from keras_audiogan.models import GANSynth
from keras_audiogan.models.gansynth import Growth
from keras_audiogan.presets.model_sizes import measure_model
from keras_audiogan.presets.strict_json import PresetError
from keras_audiogan.runs.checkpoints import CheckpointFolder
from keras_audiogan.serving.sampling import slerp
from keras_audiogan.training import gradients

GROWING = {"num_stable": 8, "num_transition": 8}


def as_numpy(value):
    return np.array(ops.convert_to_numpy(value))


def build(**options):
    return cases.build("gansynth", **options, dtype="float32")


def notes(rows=8, seed=0):
    batch = cases.make_batch(build_once(), rows, seed)
    return {key: batch[key] for key in ("audio", "labels")}


_BUILT = {}


def build_once():
    if not _BUILT:
        _BUILT["gan"] = build()
    return _BUILT["gan"]


def test_the_published_networks_have_their_size():
    sizes = measure_model(GANSynth, {"labels": [str(p) for p in range(24, 85)]})
    count = {
        stem: sum(int(np.prod(shape)) for shape in shapes.values()) - 1
        for stem, shapes in sizes.shapes.items()
    }
    # A kernel of 2 x 16 of 256 + 61 numbers, eleven of 3 x 3, ...
    assert count == {"generator": 7_311_246, "discriminator": 6_831_230}
    assert sizes.shapes["generator"]["block_1_conv_0/kernel"] == (
        *(2, 16),
        *(317, 256),
    )
    assert sizes.shapes["discriminator"]["block_1_conv_0/kernel"][2] == 257


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start_width": 3}, "power of two"),
        ({"start_height": 0}, "`start_height` must be 1"),
        ({"start_height": 1}, "hold"),
        ({"first_block": 4}, "one of the 3 blocks"),
        ({"num_stable": 8}, "Give both"),
        ({"num_stable": -1, "num_transition": 8}, "from 0 to"),
        ({"batch_sizes": [1, 2, 3, 4]}, "`batch_sizes`"),
        ({"batch_sizes": []}, "`batch_sizes`"),
        ({"schedule": "epochs"}, "`schedule` must be one of"),
        ({"normalization": "none"}, "`normalization`"),
        ({"class_weight": float("nan")}, "`class_weight`"),
        ({"drift_weight": -1.0}, "`drift_weight`"),
        ({"magnitude_scale": 0.0}, "magnitude_scale"),
        ({"discriminators": ["waveform"]}, "'progressive'"),
    ],
)
def test_sizes_are_checked_together(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


@pytest.mark.backends
def test_an_equalized_convolution_scales_when_it_runs():
    conv = EqualizedConv2D(3, (2, 4), padding="full", dtype="float32")
    x = np.random.default_rng(0).standard_normal((2, 1, 1, 5)).astype("float32")
    conv.build(x.shape)
    kernel = as_numpy(conv.kernel)
    assert 0.7 < kernel.std() < 1.3
    padded = np.pad(x, [(0, 0), (1, 1), (3, 3), (0, 0)])
    expected = np.zeros((2, 2, 4, 3))
    for i in range(2):
        for j in range(4):
            window = padded[:, i : i + 2, j : j + 4]
            expected[:, i, j] = np.einsum("bhwz,hwzc->bc", window, kernel)
    np.testing.assert_allclose(
        as_numpy(conv(x)), expected * np.sqrt(2 / 40), atol=1e-5
    )


@pytest.mark.backends
def test_pixels_are_normalised_repeated_and_averaged():
    x = np.arange(16, dtype="float32").reshape(1, 2, 4, 2)
    normed = as_numpy(pixel_norm(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(normed[0, 0, 1], [2 / 6.5**0.5, 3 / 6.5**0.5])
    twice = as_numpy(doubled(ops.convert_to_tensor(x)))
    np.testing.assert_array_equal(twice, x.repeat(2, axis=1).repeat(2, axis=2))
    np.testing.assert_array_equal(as_numpy(halved(twice)), x)
    mean = as_numpy(halved(ops.convert_to_tensor(x)))
    np.testing.assert_array_equal(mean, [[[[5, 6], [9, 10]]]])
    # Deviations 1 and 3 of the two channels.
    pair = np.array([[0.0, 1.0], [2.0, 7.0]], "float32").reshape(2, 1, 1, 2)
    made = as_numpy(beside_deviation(ops.convert_to_tensor(pair)))
    np.testing.assert_allclose(made[..., 2], 2.0, atol=1e-5)


def test_growth_follows_its_schedule():
    growth = Growth(3, 1)
    growth.lengths.assign([10, 20])
    for count, progress, blocks in (
        (0, 0.0, 1),
        (9, 0.0, 1),
        (10, 0.0, 1),
        (15, 0.25, 2),
        (29, 0.95, 2),
        (30, 1.0, 2),
        (40, 1.0, 2),
        (41, 1.05, 3),
        (60, 2.0, 3),
        (2**30, 2.0, 3),
    ):
        growth.count.assign(count)
        assert float(growth.progress()) == pytest.approx(progress), count
        assert growth.blocks_at(count, (10, 20)) == blocks, count
    assert growth.count_at(0.25, (10, 20)) == 15
    assert growth.count_at(1.0, (10, 20)) == 30
    assert growth.count_at(9.0, (10, 20)) == 60
    growth.lengths.assign([0, 0])
    assert float(growth.progress()) == 2.0
    assert growth.blocks_at(0, (0, 0)) == 3
    later = Growth(3, 2)
    later.lengths.assign([10, 20])
    assert (float(later.progress()), later.blocks_at(0, (10, 20))) == (1.0, 2)


@pytest.mark.backends
def test_what_is_not_grown_yet_repeats_pixels():
    gan = build_once()
    cases.set_weights_from_paths(gan)
    generator = gan.generator
    inputs = [gan.sample_latents(2, 0), np.eye(3, dtype="float32")[:2]]
    parts = {}
    for progress in (0.0, 1.0, 0.25):
        generator.progress.assign(progress)
        part = as_numpy(generator(inputs, num_blocks=2))
        assert part.shape == (2, 8, 8, 2)
        whole = as_numpy(generator(inputs))
        np.testing.assert_allclose(whole, as_numpy(doubled(part)), atol=1e-6)
        parts[progress] = part
    first = as_numpy(generator(inputs, num_blocks=1))
    np.testing.assert_allclose(parts[0.0], as_numpy(doubled(first)), atol=1e-6)
    mixed = 0.75 * parts[0.0] + 0.25 * parts[1.0]
    np.testing.assert_allclose(parts[0.25], mixed, atol=1e-6)
    assert np.abs(parts[1.0] - parts[0.0]).max() > 0.01
    generator.progress.assign(2.0)
    assert as_numpy(generator(inputs)).shape == (2, 16, 16, 2)


@pytest.mark.backends
def test_blends_are_exact_in_half_precision():
    gan = cases.build("gansynth", dtype="mixed_bfloat16")
    cases.set_weights_from_paths(gan)
    inputs = [gan.sample_latents(2, 0), np.eye(3, dtype="float32")[:2]]
    parts = {}
    for progress in (1.0, 2.0, 1.3):
        gan.generator.progress.assign(progress)
        parts[progress] = as_numpy(gan.generator(inputs, num_blocks=3))
    assert np.abs(parts[1.0] - parts[2.0]).max() > 0.01
    mixed = 0.7 * parts[1.0] + 0.3 * parts[2.0]
    np.testing.assert_allclose(parts[1.3], mixed, atol=1e-6)


@pytest.mark.backends
def test_a_discriminator_sees_pictures_of_any_size():
    gan = build_once()
    cases.set_weights_from_paths(gan)
    discriminator = gan.discriminator
    rng = np.random.default_rng(0)
    small = rng.uniform(-1, 1, (2, 4, 4, 2)).astype("float32")
    discriminator.progress.assign(0.0)
    (alone,) = discriminator(ops.convert_to_tensor(small))
    (whole,) = discriminator(doubled(ops.convert_to_tensor(small), 2))
    np.testing.assert_allclose(as_numpy(alone[-1]), as_numpy(whole[-1]), 1e-4)
    np.testing.assert_allclose(as_numpy(alone[-2]), as_numpy(whole[-2]), 1e-4)
    assert alone[-1].shape == (2, 1) and alone[-2].shape == (2, 3)
    discriminator.progress.assign(2.0)
    with pytest.raises(ValueError, match="doubled up to 2 times"):
        discriminator(np.zeros((1, 5, 4, 2), "float32"))


def test_the_score_hears_the_class_by_projection_only():
    plain = build()
    projecting = build(
        discriminators=[{"kind": "progressive", "projection": True}]
    )
    picture = ops.convert_to_tensor(
        np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 2)), "float32"
    )
    picture = picture[:, : plain.representation.shape(256, 1)[0]]
    classes = np.eye(3, dtype="float32")
    scores = {}
    for name, gan in (("plain", plain), ("projecting", projecting)):
        ((*_, x, _, first),) = gan.discriminator.feature_maps(
            [picture], classes=classes[:2]
        )
        ((*_, second),) = gan.discriminator.feature_maps(
            [picture], classes=classes[1:]
        )
        scores[name] = as_numpy(second) - as_numpy(first)
    np.testing.assert_array_equal(scores["plain"], 0.0)
    # Of one class to the other: rows of the kernel, of fan-in 3.
    rows = as_numpy(projecting.discriminator.projection.kernel)[0, 0]
    features = as_numpy(x)[:, 0, 0]
    by_hand = np.sum(features * (rows[1:] - rows[:2]), -1, keepdims=True)
    np.testing.assert_allclose(
        scores["projecting"], by_hand / np.sqrt(3.0), rtol=1e-4, atol=1e-6
    )
    assert np.abs(by_hand).min() > 1e-3


@pytest.mark.backends
def test_penalties_hold_from_the_first_step_on():
    keras.utils.set_random_seed(0)
    # Six blocks, of pictures of 4 x 4 up to 128 x 128.
    sizes = {"fft_length": 256, "start_height": 4, "max_channels": 32}
    discriminator = build(**sizes).discriminator
    rng = np.random.default_rng(0)
    pictures = rng.uniform(-1, 1, (8, 4, 4, 2)).astype("float32")

    def score(views):
        ((*_, scores),) = discriminator.feature_maps(views, training=True)
        return scores

    views = discriminator.views(ops.convert_to_tensor(pictures))
    np.testing.assert_array_equal(as_numpy(views[0]), pictures)
    (slopes,) = gradients.input_gradients(score, views)
    norms = np.sqrt(np.square(as_numpy(slopes)).sum(axis=(1, 2, 3)))
    # They were 0.02 in full-size pictures of logarithms and half turns.
    assert 0.3 < norms.mean() < 3.0


@pytest.mark.backends
def test_a_generator_hears_the_class_as_well_as_the_latent():
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((2, 64)).astype("float32")
    classes = np.eye(3, dtype="float32")

    def change(**options):
        keras.utils.set_random_seed(0)
        generator = build(latent_dim=64, max_channels=32, **options).generator
        first, latent, label = (
            as_numpy(generator([latents[[i]], classes[[j]]], num_blocks=1))
            for i, j in ((0, 0), (1, 0), (0, 1))
        )
        return (
            np.square(label - first).mean() / np.square(latent - first).mean()
        )

    # Which weights are drawn differs from backend to backend.
    assert 0.25 < change() < 4.0
    # As in the original: 1 / 64 of the power.
    assert change(class_scale=1.0) < 0.1
    with pytest.raises(ValueError, match="`class_scale` must be a positive"):
        build(class_scale=0.0)


@pytest.mark.slow
def test_notes_of_three_pitches_are_learned():
    keras.utils.set_random_seed(0)
    gan = build(
        slice_length=1024,
        fft_length=64,
        frame_step=32,
        mel=False,
        start_width=8,
        latent_dim=32,
        max_channels=16,
        first_block=2,
        magnitude_offset=0.113718730221,
    )
    gan.compile(seed=0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 8 * 400).astype("int32")
    pitch = np.array([0.25, 0.4, 0.65])[labels, None]
    phase = rng.uniform(0, 2 * np.pi, pitch.shape)
    decay = np.exp(-np.arange(1024) * rng.uniform(0.001, 0.004, pitch.shape))
    audio = 0.5 * decay * np.sin(np.arange(1024) * pitch + phase)
    noise = 1e-3 * rng.standard_normal(audio.shape)
    audio = (audio + noise).astype("float32")[..., None]
    seen = []
    for part in np.split(np.arange(len(labels)), 4):
        batch = {"audio": audio[part], "labels": labels[part]}
        logs = gan.fit(batch, batch_size=8, shuffle=False, verbose=0).history
        seen.append({key: value[-1] for key, value in logs.items()})
    distance = [each["score/real"] - each["score/fake"] for each in seen]
    assert seen[-1]["class/fake"] < 0.5 * np.log(3), seen
    assert max(distance) < 20.0, distance


@pytest.mark.slow
@pytest.mark.backends
def test_a_run_grows_and_compiles_once_for_each_block(monkeypatch):
    gan = build(**GROWING, batch_sizes=[4, 4, 2])
    gan.compile(seed=0)
    traced = []
    step = gan.adversarial_step
    monkeypatch.setattr(
        gan,
        "adversarial_step",
        lambda batch: (traced.append(gan.num_blocks), step(batch))[1],
    )
    seen = []
    for _ in range(6):
        logs = gan.fit(notes(), batch_size=4, shuffle=False, verbose=0).history
        assert all(np.isfinite(value).all() for value in logs.values())
        seen.append((int(gan.growth.count), logs["growth/progress"][-1]))
    # Batches of 4 rows, of 2 for the last block; the progress before a step.
    counts = [8, 16, 24, 30, 34, 38]
    assert [count for count, _ in seen] == counts
    assert float(gan.ema_generator.progress) == 2.0
    if keras.backend.backend() != "torch":
        assert sorted(set(traced)) == [1, 2, 3] and len(traced) <= 6
    assert sorted(set(traced)) == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.backends
def test_a_resumed_run_goes_on_at_its_blend(tmp_path):
    def begin(loaded=()):
        keras.utils.set_random_seed(1)
        gan = build()
        gan.compile_for_run(20, 3, loaded)
        return gan

    def train(gan, rows):
        batch = {key: value[rows] for key, value in notes(16).items()}
        gan.fit(batch, batch_size=2, shuffle=False, verbose=0)
        return gan

    # 40 % of 20 steps in four parts: two steps each.
    whole = train(begin(), slice(0, 6))
    assert as_numpy(whole.growth.lengths).tolist() == [2, 2]
    assert float(whole.generator.progress) == 0.0
    CheckpointFolder(tmp_path).save(whole, 3)
    train(whole, slice(6, 16))
    resumed = begin()
    # A run that is made longer keeps its schedule.
    resumed.compile_for_run(2000, 3)
    CheckpointFolder(tmp_path).restore(resumed)
    train(resumed, slice(6, 16))
    assert int(resumed.growth.count) == 8
    assert float(resumed.generator.progress) == pytest.approx(1.5)
    for one, other in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_allclose(as_numpy(one), as_numpy(other), atol=1e-6)


@pytest.mark.backends
def test_a_preset_remembers_how_far_it_has_grown(tmp_path):
    gan = build(**GROWING)
    for network in (gan.generator, gan.ema_generator, gan.discriminator):
        network.progress.assign(1.25)
    gan.save_to_preset(tmp_path / "preset", storage_dtype="float32")
    again = keras_audiogan.from_preset(tmp_path / "preset")
    assert float(again.ema_generator.progress) == 1.25
    assert float(again.discriminator.progress) == 1.25
    # 16 until the second block is alone, 8 more, a quarter of 8.
    assert int(again.growth.count) == 26
    np.testing.assert_allclose(
        again.sample(2, seed=1), gan.sample(2, seed=1), atol=1e-5
    )


def test_scales_of_magnitudes_are_fitted():
    class Clips:
        def real_clips(self, count):
            assert count == 1000
            time = np.arange(256) / 8000
            return np.sin(2 * np.pi * 440 * time)[None, :, None]

    given = {**GANSynth.tiny, "normalization": "fitted"}
    fitted = GANSynth.fit_to_clips(given, Clips())
    assert fitted["magnitude_scale"] > 0
    gan = GANSynth(**fitted)
    audio = Clips().real_clips(1000).astype("float32")
    picture = as_numpy(gan.representation.analyse(audio))[..., 0]
    assert picture.min() == pytest.approx(-0.8, abs=1e-3)
    assert picture.max() == pytest.approx(0.8, abs=1e-3)
    silent = Clips()
    silent.real_clips = lambda count: np.zeros((1, 256, 1), "float32")
    with pytest.raises(ValueError, match="sound in them"):
        GANSynth.fit_to_clips(given, silent)


def test_latents_are_normal_and_paths_lie_on_the_sphere():
    gan = build_once()
    latents = gan.sample_latents(2000, seed=0)
    assert abs(latents.mean()) < 0.05 and abs(latents.std() - 1) < 0.05
    np.testing.assert_array_equal(latents[:3], gan.sample_latents(3, seed=0))
    start, end = np.array([[2.0, 0.0]]), np.array([[0.0, 2.0]])
    middle = slerp(start, end, np.array([[0.5]]))
    np.testing.assert_allclose(middle, [[2**0.5, 2**0.5]], rtol=1e-6)
    third = slerp(start, end, np.array([[0.0], [1 / 3], [1.0]]))
    np.testing.assert_allclose(third, [[2, 0], [3**0.5, 1], [0, 2]], atol=1e-6)
    same = slerp(start, start, np.array([[0.3]]))
    np.testing.assert_allclose(same, start)


def test_latents_must_be_finite_and_of_their_law():
    gan = build_once()
    with pytest.raises(ValueError, match="finite"):
        gan.sample(latents=np.full((1, 6), np.nan))
    with pytest.raises(ValueError, match="standard normal"):
        gan.sample(latents=np.full((1, 6), 100.0))


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gansynth") / "notes"
    build_once().save_to_preset(folder, weights=["generator"])
    return folder


@pytest.mark.slow
def test_pitches_are_asked_for_by_number_and_name(preset, tmp_path):
    done = audiogan(
        *("sample", preset, "--pitch", 60, "--pitch", "D4", "-n", 2),
        *("--seed", 1, "-o", tmp_path, "--no-plot"),
    )
    assert done.exit_code == 0, done.output
    table = (tmp_path / "notes_1.csv").read_text().splitlines()
    assert [row.split(",")[5] for row in table[1:]] == ["060", "062"]
    for pitch, message in (("61", "from 60 (C4) to 64 (E4)"), ("H1", "C-1")):
        done = audiogan("sample", preset, "--pitch", pitch, "-o", tmp_path)
        assert done.exit_code == 2 and message in done.output
        assert "--pitch" in done.output
    done = audiogan("sample", "wavegan_digits", "--pitch", 60, "-o", tmp_path)
    assert done.exit_code == 2 and "takes no labels" in done.output


def test_hostile_growth_in_a_preset_is_refused(preset, tmp_path):
    config = json.loads((preset / "config.json").read_text())
    for name, value in (
        ("start_width", 1 << 30),
        ("start_height", 1 << 30),
        ("num_stable", -5),
        ("max_channels", 1 << 20),
        ("first_block", 99),
        ("magnitude_scale", "a"),
        ("frequency_scale", 0),
        ("batch_sizes", [0]),
        ("batch_sizes", "12"),
        ("fft_length", 0),
        ("frame_step", 0),
    ):
        folder = tmp_path / f"{name}"
        folder.mkdir(exist_ok=True)
        changed = {**config, "config": {**config["config"], name: value}}
        for file in preset.iterdir():
            if file.is_file():
                (folder / file.name).write_bytes(file.read_bytes())
        (folder / "config.json").write_text(json.dumps(changed))
        with pytest.raises(PresetError):
            keras_audiogan.from_preset(folder)
