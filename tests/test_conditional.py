"""Generators that are told what to say: labels, their losses, their runs."""

import csv
import json
import shutil

import architecture_cases as cases
import keras
import numpy as np
import pytest
from cli_support import audiogan
from keras import ops
from training_support import (
    DIGITS,
    assert_same_bits,
    resume_options,
    state,
    tiny_options,
)

from keras_audiogan import saving
from keras_audiogan.audio import read_audio
from keras_audiogan.data import AudioFolder
from keras_audiogan.models import (
    CGAN,
    GAN,
    STFTGAN,
    ACGANWaveGAN,
    ConcatWaveGAN,
    ControlWaveGAN,
    ProjectionSpecGAN,
    ProjectionWaveGAN,
    WaveGAN,
    get_architecture,
)
from keras_audiogan.models.concat_wavegan import in_label_channel
from keras_audiogan.models.labelled_wavegan import beside_planes
from keras_audiogan.presets.model_sizes import measure_model
from keras_audiogan.runs.run import run_training
from keras_audiogan.training.losses import (
    class_accuracy,
    class_loss,
    likeness,
)

NAMES = ("yes", "no", "maybe")
CONDITIONAL = [
    name
    for name in cases.gan_architectures()
    if get_architecture(name).conditional
]
every_conditional = pytest.mark.parametrize("name", CONDITIONAL)
WORDS = ("zero", "one")


@pytest.fixture(scope="module")
def models():
    """Architecture -> a tiny model whose weights are not zero."""
    built = {}

    def get(name):
        if name not in built:
            built[name] = cases.build(name)
            cases.set_weights_from_paths(built[name])
        return built[name]

    return get


def batch_of(model, rows=4):
    return model.as_batch(
        keras.tree.map_structure(
            ops.convert_to_tensor, cases.make_batch(model, rows)
        )
    )


def numbers(value):
    return np.asarray(ops.convert_to_numpy(value), "float64")


# Labels


@every_conditional
def test_labels_by_name_and_by_index_are_the_same(models, name):
    model = models(name)
    yes, _, maybe = model.labels
    audio = model.sample(labels=[maybe, yes], seed=3)
    assert audio.shape == (2, model.slice_length, 1)
    np.testing.assert_array_equal(audio, model.sample(labels=[2, 0], seed=3))
    both = model.sample(2, labels=[maybe, 0], seed=3)
    np.testing.assert_array_equal(audio, both)
    other = model.sample(labels=[yes, yes], seed=3)
    assert np.abs(audio[0] - other[0]).max() > 1e-3
    np.testing.assert_allclose(audio[1], other[1], atol=1e-6)


def test_labels_are_repeated_in_turn(models):
    model = models("concat_wavegan")
    audio = model.sample(5, labels=["no", "maybe"], seed=1)
    turn = model.sample(labels=[1, 2, 1, 2, 1], seed=1)
    np.testing.assert_array_equal(audio, turn)
    np.testing.assert_array_equal(
        model.sample(4, seed=1), model.sample(labels=[0, 1, 2, 0], seed=1)
    )
    assert len(model.sample(seed=1)) == 1
    one = model.sample(3, labels="no", seed=1, batch_size=2)
    np.testing.assert_allclose(
        one, model.sample(labels=["no"] * 3, seed=1), atol=1e-6
    )


@pytest.mark.parametrize(
    "labels", ["perhaps", ["yes", "perhaps"], 3, -1, True, [1.0]]
)
def test_an_unknown_label_lists_the_known_ones(models, labels):
    with pytest.raises(ValueError, match="yes, no, maybe.*Received"):
        models("concat_wavegan").sample(labels=labels)


def test_no_labels_at_all(models):
    with pytest.raises(ValueError, match="names none"):
        models("concat_wavegan").sample(labels=[])
    with pytest.raises(ValueError, match="takes no labels"):
        models("gan").sample(labels="yes")


def test_a_path_between_labels_ends_in_them(models):
    model = models("concat_wavegan")
    path = model.interpolate(1, 2, 4, labels=["yes", "no"])
    ends = [model.sample(1, 1, labels="yes"), model.sample(1, 2, labels="no")]
    np.testing.assert_allclose(path[[0, -1]], np.concatenate(ends), atol=1e-5)
    one = model.interpolate(1, 2, 4, labels="no")
    assert np.abs(one[0] - path[0]).max() > 1e-3
    np.testing.assert_allclose(one[-1], path[-1], atol=1e-5)
    with pytest.raises(ValueError, match="one at each end"):
        model.interpolate(1, 2, 4, labels=NAMES)


@every_conditional
@pytest.mark.parametrize("labels", [None, (), ("yes",), ("a", "a"), "yes"])
def test_a_conditional_model_needs_labels(name, labels):
    # STFT-GAN takes none as well, unless it shall be told.
    told = {"conditional": True} if name == "stft_gan" else {}
    with pytest.raises(ValueError, match="two labels or more, each once"):
        cases.build(name, labels=labels, **told)


@every_conditional
def test_a_conditional_model_is_not_trained_without_labels(models, name):
    model = models(name)
    model.compile("dcgan")
    audio = cases.make_batch(model, 4)["audio"]
    with pytest.raises(ValueError, match="is trained with labels"):
        model.fit(audio, batch_size=4, verbose=0)


# Networks


@pytest.mark.parametrize(
    ("model_class", "options", "generator", "discriminator"),
    [
        (ConcatWaveGAN, {}, 18_267_191, 1_082_177),
        (ConcatWaveGAN, {"condition_on": "sample"}, 18_267_191, 1_081_377),
        (ConcatWaveGAN, {"first_layer": "planes"}, 1_496_321, 1_082_177),
        (ACGANWaveGAN, {}, 18_267_191, 1_088_771),
        (ControlWaveGAN, {}, 18_267_191, 1_080_577),
    ],
)
def test_parameters_of_the_report(
    model_class, options, generator, discriminator
):
    sizes = measure_model(model_class, {"labels": WORDS, **options})
    counts = {
        stem: sum(int(np.prod(shape)) for shape in shapes.values())
        for stem, shapes in sizes.shapes.items()
    }
    assert counts["generator"] == generator
    assert counts["discriminator"] == discriminator
    if model_class is ControlWaveGAN:
        assert set(counts) == {"generator", "discriminator", "classifier"}
        assert sizes.required == ("generator",)


def test_the_first_layer_is_a_transposed_convolution_of_one_frame():
    model = cases.build("concat_wavegan")
    cases.set_weights_from_paths(model)
    start = model.generator.start
    x = np.random.default_rng(0).standard_normal((2, 64)).astype("float32")
    kernel = np.transpose(np.array(start.kernel), (1, 2, 0))
    convolution = keras.layers.Conv1DTranspose(4, 16, padding="valid")
    convolution.build((None, 1, 64))
    convolution.set_weights([kernel, np.array(start.bias)])
    np.testing.assert_allclose(
        numbers(start(x)), numbers(convolution(x[:, None])), atol=1e-5
    )
    # One number of the 64 is left to each of the three labels.
    assert model.generator.dense.units == 61


def test_planes_by_hand():
    view = np.array([[[1.0], [2.0]], [[3.0], [4.0]]], "float32")
    classes = np.array([[0, 1], [1, 0]], "float32")
    assert numbers(beside_planes(view, classes)).tolist() == [
        [[1, 0, 1], [2, 0, 1]],
        [[3, 1, 0], [4, 1, 0]],
    ]


def test_a_signal_in_its_labels_channel_by_hand():
    view = np.array([[[1.0], [2.0]], [[3.0], [4.0]]], "float32")
    classes = np.array([[0, 1], [1, 0]], "float32")
    assert numbers(in_label_channel(view, classes)).tolist() == [
        [[0, 1], [0, 2]],
        [[3, 0], [4, 0]],
    ]
    picture = np.array([[[[5.0, 6.0]]]], "float32")
    placed = in_label_channel(picture, np.array([[0, 0, 1]], "float32"))
    assert numbers(placed).tolist() == [[[[0, 0, 0, 0, 5, 6]]]]


# Its views have two numbers for each of the sound.
COMPLEX = {"kind": "complex_stft", "fft_lengths": [64, 32], "dim": 2}
LABELLED_DISCRIMINATORS = [
    ("concat_wavegan", {}),
    ("concat_wavegan", {"condition_on": "sample"}),
    ("concat_wavegan", {"discriminators": [cases.WAVEFORM, cases.SPECTRAL]}),
    *(
        ("concat_wavegan", {"condition_on": on, "discriminators": [COMPLEX]})
        for on in ("label", "sample")
    ),
    ("cgan", {}),
    ("cgan", {"network": "dense"}),
    ("projection_wavegan", {"discriminators": [cases.SPECTRAL]}),
]


@pytest.mark.parametrize(("name", "options"), LABELLED_DISCRIMINATORS)
def test_swapped_labels_change_the_logits(name, options):
    model = cases.build(name, **options)
    cases.set_weights_from_paths(model)
    batch = batch_of(model, 3)
    views = model.discriminator.views(batch["audio"])
    classes = numbers(batch["classes"]).astype("float32")
    scores = [
        [
            numbers(maps[-1])
            for maps in model.discriminator.feature_maps(views, classes=given)
        ]
        for given in (classes, classes[::-1].copy())
    ]
    for right, swapped in zip(*scores, strict=True):
        change = np.abs(right - swapped)[:, 0]
        assert (change[[0, 2]] > 1e-4).all()
        # The middle row's label stays the same.
        assert change[1] < 1e-5


@every_conditional
def test_the_label_reaches_the_sound(models, name):
    model = models(name)
    latents = model.sample_latents(1, 0)
    audio = [
        numbers(model.generator([latents, np.eye(3, dtype="float32")[[k]]]))
        for k in range(3)
    ]
    for a, b in ((0, 1), (1, 2), (0, 2)):
        assert np.abs(audio[a] - audio[b]).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("concat_wavegan", {"condition_on": "mood"}, "`condition_on`"),
        ("concat_wavegan", {"first_layer": "last"}, "`first_layer`"),
        ("concat_wavegan", {"discriminators": []}, "`discriminators`"),
        ("concat_wavegan", {"discriminators": ["ear"]}, "`kind`"),
        ("concat_wavegan", {"discriminators": ["spectral"] * 17}, "1 to 16"),
        (
            "concat_wavegan",
            {"discriminators": [{"kind": "spectral", "slice_length": 4}]},
            "takes the arguments",
        ),
        ("concat_wavegan", {"dim": 0}, "`dim` must be 1"),
        ("concat_wavegan", {"variety_weight": -1.0}, "`variety_weight`"),
        (
            "concat_wavegan",
            {"discriminators": [{"kind": "spectral", "augment": 5.0}]},
            "`augment`",
        ),
        ("concat_wavegan", {"slice_length": 300}, "16 \\* 4\\*\\*n"),
        (
            "concat_wavegan",
            {"dim": 1, "labels": [str(i) for i in range(32)]},
            "fewer labels than the 32 numbers",
        ),
        ("acgan_wavegan", {"objective": "none"}, "`objective`"),
        ("acgan_wavegan", {"class_weight": -1.0}, "`class_weight`"),
        ("acgan_wavegan", {"label_noise": [1.2, 0.7]}, "`label_noise`"),
        ("control_wavegan", {"classifier": "ear"}, "`classifier`"),
        ("control_wavegan", {"control_rate": -1.0}, "`control_rate`"),
        ("control_wavegan", {"control_weight": 11.0}, "must not exceed"),
        ("cgan", {"network": "lstm"}, "`network`"),
        (
            "cgan",
            {"discriminators": ["waveform"] * 2},
            "`discriminators`",
        ),
        ("gan", {"embedding_dim": 0}, "`embedding_dim`"),
    ],
)
def test_options_out_of_range(name, options, message):
    with pytest.raises(ValueError, match=f"{message}.*Received"):
        cases.build(name, **options)


def test_a_dense_network_has_any_length():
    model = GAN(slice_length=300, latent_dim=5, dim=2, sampling_rate=8000)
    assert model.sample(2, seed=0).shape == (2, 300, 1)
    model = CGAN(WORDS, slice_length=300, num_channels=2, dim=2)
    assert model.sample(2, seed=0).shape == (2, 300, 2)


# Losses


def cross_entropy(logits, labels):
    logits = logits - logits.max(axis=1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -logs[np.arange(len(labels)), labels].mean()


def test_class_loss_and_accuracy_by_hand():
    logits = np.array([[0.0, np.log(3.0)], [2.0, 2.0]], "float32")
    labels = np.array([1, 0], "int32")
    expected = (np.log(4 / 3) + np.log(2.0)) / 2
    assert numbers(class_loss(logits, labels)) == pytest.approx(expected)
    assert numbers(class_accuracy(logits, labels)) == 1.0
    assert numbers(class_accuracy(logits, 1 - labels)) == 0.0


def test_likeness_by_hand():
    # Four sounds of the first label, one of the second.
    classes = np.eye(2, dtype="float32")[[0, 0, 1, 0, 0]]
    real = np.array([0, 4, 100, 6, 9], "float32").reshape(5, 1, 1)
    fake = np.array([0, 1, 100, 2, 9], "float32").reshape(5, 1, 1)
    # Nearest of the label, sorted: 2, 2, 3, 4 and 1, 1, 1, 7.
    expected = ((1 + 1 + 2 + 0) / 5) / ((2 + 2 + 3 + 4) / 5)
    assert numbers(likeness(real, fake, classes)) == pytest.approx(expected)
    assert numbers(likeness(fake, 3 * fake, classes)) == 0.0
    # Equal sounds lack all of it, and no sounds at all nothing.
    assert numbers(likeness(real, 0 * fake, classes)) == pytest.approx(1.0)
    assert numbers(likeness(0 * real, fake, classes)) == 0.0
    alone = np.eye(5, dtype="float32")
    assert numbers(likeness(real, 0 * fake, alone)) == 0.0


@pytest.mark.parametrize(
    "name", ["concat_wavegan", "gansynth", "stft_gan", "wavegan"]
)
def test_a_generator_is_told_how_alike_its_clips_are(name):
    model = cases.build(name, variety_weight=3.0, **cases.deterministic(name))
    cases.set_weights_from_paths(model)
    model.compile("relativistic", run_eagerly=True)
    batch = batch_of(model, 8)
    latents = batch["latents"][:, 1]
    loss, logs = model.generator_loss(batch, latents)
    assert 0 < numbers(logs["reg/likeness"]) < 1
    model.compared = None
    without, _ = model.generator_loss(batch, latents)
    expected = numbers(without) + 3 * numbers(logs["reg/likeness"])
    assert numbers(loss) == pytest.approx(expected, abs=1e-5)


def acgan(**options):
    model = cases.build(
        "acgan_wavegan", **cases.deterministic("acgan_wavegan"), **options
    )
    cases.set_weights_from_paths(model)
    batch = batch_of(model, 6)
    latents = batch["latents"][:, 0]
    fake = model._generated(latents, batch)
    seen = {}
    for key, audio in (("real", batch["audio"]), ("fake", fake)):
        ((*_, classes, score),) = model.discriminator(audio)
        assert classes.shape == (6, 3) and score.shape == (6, 1)
        seen[key] = (
            numbers(score),
            cross_entropy(
                numbers(classes), numbers(batch["labels"]).astype(int)
            ),
        )
    return model, batch, latents, fake, seen


def softplus(x):
    return np.log1p(np.exp(x))


def test_the_acgan_objective_by_hand():
    model, batch, latents, fake, seen = acgan(class_weight=2.0)
    (real_score, real_class), (fake_score, fake_class) = seen.values()
    model.compile("wgan")
    loss, logs = model.discriminator_loss(batch, fake)
    # The discriminator classifies real sound alone.
    expected = fake_score.mean() - real_score.mean() + 2 * real_class
    assert numbers(loss) == pytest.approx(expected, abs=1e-5)
    assert numbers(logs["class/real"]) == pytest.approx(real_class, abs=1e-5)
    loss, logs = model.generator_loss(batch, latents)
    expected = -fake_score.mean() + 2 * fake_class
    assert numbers(loss) == pytest.approx(expected, abs=1e-5)
    assert numbers(logs["class/fake"]) == pytest.approx(fake_class, abs=1e-5)


def test_the_reports_objective_by_hand():
    model, batch, latents, fake, seen = acgan(
        objective="report", label_noise=[0.9, 0.9]
    )
    (real_score, real_class), (fake_score, fake_class) = seen.values()
    model.compile("dcgan")
    loss, _ = model.discriminator_loss(batch, fake)
    on_real = (softplus(real_score) - 0.9 * real_score).mean()
    expected = 0.5 * (on_real + softplus(fake_score).mean())
    expected += 0.5 * (real_class + fake_class)
    assert numbers(loss) == pytest.approx(expected, abs=1e-5)
    loss, _ = model.generator_loss(batch, latents)
    expected = softplus(-fake_score).mean() + 0.5 * fake_class
    assert numbers(loss) == pytest.approx(expected, abs=1e-5)


def test_label_noise_is_drawn_for_each_clip_within_its_range():
    model, _, _, _, seen = acgan(objective="report")
    model.compile("dcgan", seed=0)
    score = ops.ones((2000, 1))
    none = ops.full((2000, 1), -50.0)
    noisy = model.gan_loss.discriminator
    # With scores of 1 the loss is a line in the mean target.
    targets = softplus(1.0) - 2 * numbers(noisy(score, none))
    assert targets == pytest.approx(0.95, abs=0.02)
    one = [
        softplus(1.0) - 2 * numbers(noisy(score[:1], none[:1]))
        for _ in range(20)
    ]
    assert 0.7 <= min(one) < 0.9 and 1.0 < max(one) <= 1.2001
    # Other losses have no targets.
    model.compile("hinge")
    first = numbers(model.gan_loss.discriminator(score, none))
    assert first == numbers(model.gan_loss.discriminator(score, none))


@pytest.mark.parametrize(
    ("on_real", "on_fake", "expected"),
    [
        (0.2, 1.4, 1.5),  # 1 + 0.5 * (1.4 - 2 * 0.2)
        (1.0, 0.4, 0.2),
        (2.0, 0.4, 0.0),
        (0.0, 100.0, 3.0),
        (0.1, np.nan, 1.0),
    ],
)
def test_the_control_weight_adapts_by_hand(on_real, on_fake, expected):
    model = cases.build(
        "control_wavegan",
        control_rate=0.5,
        control_target=2.0,
        max_control_weight=3.0,
    )
    model._adapt(np.float32(on_real), np.float32(on_fake))
    weight = numbers(model.control_weight)
    assert weight == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
@pytest.mark.backends
def test_a_control_step_moves_the_weight_by_its_losses():
    model = cases.build("control_wavegan", control_rate=0.1)
    model.compile("wgan-gp", seed=0)
    batch = cases.make_batch(model, 10)
    before = [np.array(w) for w in model.classifier.weights]
    logs = model.fit(batch, batch_size=10, verbose=0).history
    excess = logs["class/fake"][0] - logs["class/real"][0]
    assert abs(excess) > 1e-5
    assert logs["control_weight"][0] == pytest.approx(1 + 0.1 * excess)
    for old, new in zip(before, model.classifier.weights, strict=True):
        assert np.abs(old - np.array(new)).max() > 0, new.path


def test_the_classifier_steers_the_generator_and_learns_from_real_alone():
    model = cases.build(
        "control_wavegan", **cases.deterministic("control_wavegan")
    )
    cases.set_weights_from_paths(model)
    model.control_weight.assign(2.0)
    model.compile("wgan", discriminator_steps=1)
    batch = batch_of(model, 6)
    latents = batch["latents"][:, 0]
    loss, logs = model.generator_loss(batch, latents)
    fake = model._generated(latents, batch)
    labels = numbers(batch["labels"]).astype(int)
    on_fake = cross_entropy(numbers(model.classify(fake)), labels)
    ((*_, score),) = model.discriminator(fake)
    expected = -numbers(score).mean() + 2.0 * on_fake
    assert numbers(loss) == pytest.approx(expected, abs=1e-4)
    loss, _ = model._classifier_loss(batch)
    on_real = cross_entropy(numbers(model.classify(batch["audio"])), labels)
    assert numbers(loss) == pytest.approx(on_real, abs=1e-5)


def test_one_rate_scales_all_three_optimisers():
    model = cases.build("control_wavegan")
    model.compile("wgan-gp", learning_rate=1e-3)
    classifier = model.optimizer.others["classifier"].inner
    assert float(classifier.learning_rate) == pytest.approx(5e-4)
    model.optimizer.learning_rate = 5e-4
    assert float(classifier.learning_rate) == pytest.approx(2.5e-4)
    rate = model.optimizer.discriminator.inner.learning_rate
    assert float(rate) == pytest.approx(5e-4)


# Runs

TINY_MODELS = {
    "acgan_wavegan": {"dim": 2},
    "concat_wavegan": {"dim": 2, "condition_on": "sample"},
    "control_wavegan": {"dim": 2, "spectral_dim": 2},
    "cgan": {"dim": 2, "network": "conv"},
    "projection_wavegan": {"dim": 2, "spectral_dim": 2},
}
STEPS = {"steps": 2, "checkpoint_every": 1}


def conditional_options(output, name, **changes):
    return tiny_options(
        output,
        **{
            "architecture": name,
            "model": TINY_MODELS[name],
            "loss": "dcgan",
            **STEPS,
            **changes,
        },
    )


def folders(tmp_path, **names):
    """Copies folders of digits under other names."""
    for new, old in names.items():
        shutil.copytree(DIGITS / old, tmp_path / new)
    return tmp_path


@pytest.fixture(scope="module")
def control_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("control") / "run"
    return run_training(
        conditional_options(folder, "control_wavegan"), quiet=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(TINY_MODELS) - {"control_wavegan"}))
def test_a_run_learns_the_labels_of_its_folders(tmp_path, name):
    result = run_training(
        conditional_options(tmp_path / "run", name), quiet=True
    )
    assert result.step == 2
    gan = saving.load_preset(result.preset)
    assert gan.labels == ("one", "two", "zero")
    assert np.isfinite(gan.sample(labels=["zero", "two"], seed=0)).all()


@pytest.mark.slow
def test_the_classifier_of_a_control_run_is_in_its_preset(control_run):
    preset = control_run.preset
    assert {p.name for p in preset.glob("*.safetensors")} == {
        "classifier.safetensors",
        "discriminator.safetensors",
        "generator.safetensors",
    }
    bare = saving.load_preset(preset)
    whole = bare.sample(2, seed=0)
    (preset / "classifier.safetensors").rename(preset / "aside")
    try:
        config = json.loads((preset / "config.json").read_text())
        del config["weights"]["classifier"]
        folder = preset.parent / "bare"
        shutil.copytree(preset, folder)
    finally:
        (preset / "aside").rename(preset / "classifier.safetensors")
    (folder / "aside").unlink()
    (folder / "config.json").write_text(json.dumps(config))
    alone = saving.load_preset(folder)
    np.testing.assert_array_equal(alone.sample(2, seed=0), whole)


@pytest.mark.slow
def test_a_control_run_is_resumed_with_all_three_optimisers(
    control_run, tmp_path
):
    run = tmp_path / "run"
    shutil.copytree(control_run.folder, run)
    shutil.rmtree(run / "checkpoints" / "step_00000002")
    run_training(
        resume_options(run, architecture="control_wavegan"), quiet=True
    )
    resumed, whole = state(run, 2), state(control_run.folder, 2)
    assert_same_bits(resumed, whole)
    assert "model/control_weight" in whole
    assert sum("/iteration" in name for name in whole) == 3


@pytest.mark.slow
def test_fine_tuning_takes_folders_in_any_order(control_run, tmp_path):
    # "a_two" would come first: the preset's order counts, not the folders'.
    data = folders(tmp_path / "data", zero="zero", a_two="two", one="one")
    result = run_training(
        tiny_options(
            tmp_path / "tuned",
            data=data,
            architecture=None,
            model=None,
            slice_length=None,
            preset=control_run.preset,
            label_names=["two", "one", "zero"],
            reset_discriminator=True,
            learning_rate=1e-9,
            **STEPS,
        ),
        quiet=True,
    )
    gan = saving.load_preset(result.preset)
    before = saving.load_preset(control_run.preset)
    assert gan.labels == before.labels == ("one", "two", "zero")
    np.testing.assert_allclose(
        gan.sample(labels="two", seed=0),
        before.sample(labels="two", seed=0),
        atol=2e-3,
    )
    dataset = AudioFolder.scan([data], sampling_rate=8000)
    renamed = dataset.renamed(["two", "one", "zero"])
    matched = renamed.matched(gan.labels)
    for entry in matched.files:
        folder = entry.path.split("/")[-2].removeprefix("a_")
        assert gan.labels[entry.label] == folder


def test_folders_that_the_model_does_not_know(control_run, tmp_path):
    data = folders(tmp_path / "data", zero="zero", three="two")
    with pytest.raises(ValueError, match="one, two, zero.*Received: 'three'"):
        run_training(
            tiny_options(
                tmp_path / "tuned",
                data=data,
                architecture=None,
                model=None,
                slice_length=None,
                preset=control_run.preset,
                **STEPS,
            )
        )
    assert not (tmp_path / "tuned").exists()


def test_data_without_labels(tmp_path):
    with pytest.raises(ValueError, match="[Ll]abels"):
        run_training(
            conditional_options(
                tmp_path / "run", "concat_wavegan", data=DIGITS / "zero"
            )
        )


# Labels of folders


@pytest.fixture(scope="module")
def digits():
    return AudioFolder.scan([DIGITS], sampling_rate=8000)


def test_labels_are_renamed_in_order(digits):
    renamed = digits.renamed(["uno", "due", "nulla"])
    assert renamed.labels == ("uno", "due", "nulla")
    assert [f.label for f in renamed.files] == [f.label for f in digits.files]
    some = digits.renamed([f"{digits.labels[2]}=nulla"])
    assert some.labels == (*digits.labels[:2], "nulla")
    for names in (["uno"], ["uno", "uno", "due"]):
        with pytest.raises(ValueError, match="one name for each label"):
            digits.renamed(names)


def test_labels_are_matched_by_name_and_numbers_by_word(digits, tmp_path):
    matched = digits.matched(("zero", "one", "two", "three"))
    assert matched.labels == ("zero", "one", "two", "three")
    assert {f.label for f in matched.files} == {0, 1, 2}
    data = folders(tmp_path, **{"0": "zero", "2": "two"})
    numbered = AudioFolder.scan([data], sampling_rate=8000)
    words = numbered.matched(("zero", "one", "two"))
    assert {f.label for f in words.files} == {0, 2}
    with pytest.raises(ValueError, match="Received: '2'"):
        numbered.matched(("zero", "one"))
    unlabelled = AudioFolder.scan([DIGITS / "zero"], sampling_rate=8000)
    with pytest.raises(ValueError, match="the data set has none"):
        unlabelled.matched(("zero", "one"))


# The command line


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    model = cases.build("concat_wavegan")
    cases.set_weights_from_paths(model)
    folder = tmp_path_factory.mktemp("presets") / "words"
    return str(saving.save_preset(model, folder))


def sample(preset, output, *flags):
    return audiogan("sample", preset, "-o", output, "--no-plot", *flags)


def table(output):
    (path,) = output.glob("*.csv")
    with open(path, newline="") as file:
        return [row["label"] for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("flags", "labels"),
    [
        (["--label", "no", "-n", "3"], ["no"] * 3),
        (["--label", "no", "--label", "yes", "-n", "3"], ["no", "yes", "no"]),
        (["--per-label", "2"], ["yes", "no", "maybe"] * 2),
        (["--label", "maybe", "--per-label", "2"], ["maybe"] * 2),
        (["-n", "4"], ["yes", "no", "maybe", "yes"]),
    ],
)
def test_labels_on_the_command_line(preset, tmp_path, flags, labels):
    result = sample(preset, tmp_path, "--seed", "3", *flags)
    assert result.exit_code == 0, result.output
    assert table(tmp_path) == labels
    # Their names carry them, in the order of the table.
    assert sorted(path.name for path in tmp_path.glob("*.wav")) == [
        f"words_3_{index:02d}_{label}.wav" for index, label in enumerate(labels)
    ]
    assert len(list(tmp_path.glob("*.wav"))) == len(labels)


def test_wrong_labels_on_the_command_line(preset, tmp_path):
    result = sample(preset, tmp_path, "--label", "perhaps")
    assert result.exit_code == 2
    assert "yes, no, maybe" in result.output and "perhaps" in result.output
    result = sample(preset, tmp_path, "--per-label", "2", "-n", "2")
    assert result.exit_code == 2
    plain = WaveGAN(slice_length=64, dim=2, labels=("low", "high"))
    folder = tmp_path / "plain"
    saving.save_preset(plain, folder)
    result = sample(str(folder), tmp_path / "out", "--label", "low")
    assert result.exit_code == 2
    assert "takes no labels" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.backends
@pytest.mark.parametrize(
    "kind", [ProjectionWaveGAN, ProjectionSpecGAN, STFTGAN]
)
@pytest.mark.parametrize("latent_dim", [8, 100])
def test_labels_begin_as_long_as_latents(kind, latent_dim):
    labels = [f"{number:03}" for number in range(200)]
    sizes = {**kind.tiny, "embedding_dim": 64, "labels": labels}
    model = kind(**{**sizes, "latent_dim": latent_dim})
    (table,) = model.generator.embedding.get_weights()
    assert table.shape == (200, 64)
    # A uniform number in [-1, 1] has a mean square of a third.
    lengths = np.square(table).sum(axis=1)
    assert np.mean(lengths) == pytest.approx(latent_dim / 3.0, rel=0.05)


def test_what_a_preset_shows_comes_from_all_its_labels(tmp_path):
    names = [f"{number:03}" for number in range(15)]
    gan = STFTGAN(**{**STFTGAN.tiny, "labels": names})
    gan.write_samples(tmp_path, None, seed=0)
    shown = [*names[::4], *names[2::4]]
    assert shown == ["000", "004", "008", "012", "002", "006", "010", "014"]
    clips = gan.sample(8, seed=0, labels=shown)
    assert len(list(tmp_path.glob("*.flac"))) == 4
    for index in range(4):
        heard, _ = read_audio(tmp_path / f"{index}.flac")
        np.testing.assert_allclose(heard, clips[index], atol=1e-4)
    # Of fewer labels each has its turn.
    gan = STFTGAN(**STFTGAN.tiny)
    expected = gan.sample(5, seed=0)
    np.testing.assert_array_equal(gan.preview(5, 0, None), expected)
