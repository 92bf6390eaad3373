"""Constructor arguments, the table of discriminators, and older names."""

import inspect

import architecture_cases as cases
import keras
import numpy as np
import pytest

from keras_audiogan import runs, training
from keras_audiogan.models import (
    CGAN,
    ConcatWaveGAN,
    GenreCGAN,
    HiFiGAN,
    MultiBandMelGAN,
    ProjectionWaveGAN,
    WaveGAN,
    get_architecture,
    list_architectures,
    list_discriminators,
)
from keras_audiogan.models.adversarial import statistics
from keras_audiogan.models.discriminators import make_discriminator
from keras_audiogan.presets.upgrade import (
    upgrade_config,
    upgrade_gan,
    upgrade_vocoder,
)

every_architecture = pytest.mark.parametrize("name", list_architectures())


@every_architecture
def test_a_config_says_all_that_a_model_was_built_with(name):
    model_class = get_architecture(name)
    model = model_class(**model_class.tiny)
    config = model.get_config()
    parameters = set(inspect.signature(model_class).parameters)
    assert set(config) == parameters - {"dtype", "name"}
    for key in set(model_class.tiny) - {"mel", "discriminators", "classifier"}:
        assert config[key] == model_class.tiny[key], key
    again = model_class.from_config(config)
    assert again.get_config() == config
    assert again.count_params() == model.count_params()


def test_a_signature_holds_the_networks_arguments_and_its_own_defaults():
    parameters = inspect.signature(MultiBandMelGAN).parameters
    assert parameters["channels"].default == 384
    assert parameters["kernel_size"].default == 7
    assert parameters["slice_length"].default == 16384
    # The model works these out by itself.
    assert not {"num_mel_bins", "out_channels", "kwargs"} & set(parameters)
    assert list(inspect.signature(ConcatWaveGAN).parameters)[0] == "labels"
    assert inspect.signature(ConcatWaveGAN).parameters["dim"].default == 32
    assert inspect.signature(WaveGAN).parameters["dim"].default == 64


def test_an_argument_that_is_none_is_refused():
    with pytest.raises(TypeError, match="WaveGAN.*'dimm'"):
        WaveGAN(dimm=3)
    with pytest.raises(TypeError, match="HiFiGAN.*'num_mel_bins'"):
        HiFiGAN(num_mel_bins=80)


def test_a_config_is_not_the_callers_list():
    labels = ["a", "b"]
    model = cases.build("concat_wavegan", labels=labels)
    labels.append("c")
    model.get_config()["labels"].append("d")
    assert model.get_config()["labels"] == ["a", "b"]
    assert model.num_classes == 2


def test_discriminators_have_several_forms_and_one_config():
    forms = (
        "spectral",
        ["spectral"],
        {"kind": "spectral"},
        [{"kind": "spectral", "num_mel_bins": 32}],
    )
    configs = [
        cases.build("concat_wavegan", discriminators=form).get_config()
        for form in forms
    ]
    assert all(config == configs[0] for config in configs)
    # The architecture's own defaults of the kind are written down.
    assert configs[0]["discriminators"] == [
        {
            "kind": "spectral",
            "num_mel_bins": 32,
            "fft_length": 128,
            "frame_step": 64,
            "augment": 1.0,
        }
    ]


def test_the_waveform_discriminator_shares_the_generators_widths():
    model = cases.build("wavegan", dim=3, max_channels=4)
    assert [d.filters for d in model.discriminator.downconvs] == [3, 4]
    model = cases.build(
        "wavegan", dim=3, discriminators={"kind": "waveform", "dim": 5}
    )
    assert [d.filters for d in model.discriminator.downconvs] == [5, 10]


def test_twins_side_by_side_have_names_and_weights_of_their_own(tmp_path):
    model = cases.build(
        "wavegan",
        discriminators=[cases.SPECTRAL, {**cases.SPECTRAL, "dim": 3}],
    )
    names = [each.name for each in model.discriminator.discriminators]
    assert names == ["spectral", "spectral_1"]
    model.save_to_preset(tmp_path / "preset")
    outputs = model.discriminator(np.zeros((1, 256, 1), "float32"))
    assert [maps[0].shape[-1] for maps in outputs] == [2, 3]


def test_several_discriminators_know_the_label():
    model = cases.build(
        "projection_wavegan",
        discriminators=[cases.SPECTRAL, {**cases.SPECTRAL, "dim": 3}],
    )
    cases.set_weights_from_paths(model)
    views = model.discriminator.views(np.ones((1, 256, 1), "float32"))
    one, two = (
        model.discriminator.feature_maps(
            views, classes=np.eye(3, dtype="float32")[[k]]
        )
        for k in (0, 1)
    )
    for a, b in zip(one, two, strict=True):
        assert np.abs(np.array(a[-1]) - np.array(b[-1])).max() > 1e-6


def test_the_table_of_discriminators():
    assert {"waveform", "spectral", "dense", "multi_scale"} <= set(
        list_discriminators()
    )
    with pytest.raises(ValueError, match=r"takes the arguments.*\['size'\]"):
        make_discriminator({"kind": "dilated", "size": 3}, "d", {})
    built = make_discriminator(
        {"kind": "dilated", "num_layers": 2}, "mine", {"channels": 3}
    )
    assert built.name == "mine" and len(built.convs) == 2
    # `channels` is the generator's, and this kind shares nothing.
    assert built.convs[0].filters == 64


# Older names

OLD = {
    "critics": ["waveform", "spectral"],
    "phase_shuffle": 0,
    "spectral_dim": 2,
    "num_mel_bins": 16,
    "fft_length": 64,
    "frame_step": 16,
    "augment": 0.0,
}


def test_critics_are_discriminators():
    old = cases.build("concat_wavegan", **OLD)
    new = cases.build(
        "concat_wavegan", discriminators=[cases.WAVEFORM, cases.SPECTRAL]
    )
    assert old.get_config() == new.get_config()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"phase_shuffle": 0}, [{"kind": "waveform", "phase_shuffle": 0}]),
        ({"critics": ("spectral",)}, [{"kind": "spectral"}]),
        # Options of a critic that is not there went unused.
        ({"spectral_dim": 8}, [{"kind": "waveform"}]),
    ],
)
def test_options_of_critics_speak_of_the_default_ones(old, new):
    config = cases.build("wavegan", **old).get_config()
    assert config["discriminators"] == new


def test_a_projection_gan_was_always_spectral():
    options = {k: v for k, v in OLD.items() if k[:2] not in ("cr", "ph")}
    model = ProjectionWaveGAN(
        labels=("a", "b"), slice_length=256, dim=2, **options
    )
    (spec,) = model.get_config()["discriminators"]
    assert spec == cases.SPECTRAL


def test_a_vocoders_one_discriminator():
    default = HiFiGAN.tiny["discriminators"][0]
    options = {k: v for k, v in HiFiGAN.tiny.items() if k != "discriminators"}
    old = HiFiGAN(**options, discriminator=default, num_channels=1)
    assert old.get_config()["discriminators"] == [default]
    # Without a kind, options changed the architecture's own.
    changed = upgrade_vocoder(
        {"discriminator": {"channels": 3}},
        [{"kind": "multi_scale", "max_channels": 512}],
    )
    assert changed["discriminators"] == [
        {"kind": "multi_scale", "max_channels": 512, "channels": 3}
    ]


def test_names_of_their_own_are_not_taken_for_a_discriminators():
    # An architecture may have a transform of its own.
    given = {"fft_length": 512, "dim": 3}
    assert upgrade_gan(given, [{"kind": "spectral"}], given) == given


@pytest.mark.parametrize(
    "both",
    [
        {"critics": ["spectral"], "discriminators": ["spectral"]},
        {"spectral_dim": 3, "discriminators": ["spectral"]},
    ],
)
def test_both_names_at_once_are_refused(both):
    with pytest.raises(ValueError, match="older name.*give one of them"):
        cases.build("wavegan", **both)


@pytest.mark.parametrize("critics", [[], "spectral", {"spectral": 1}])
def test_critics_that_are_no_list_of_kinds(critics):
    with pytest.raises(ValueError, match="`critics` must name.*Received"):
        cases.build("wavegan", critics=critics)


def test_a_vocoder_may_have_the_spectral_discriminator_of_clips():
    model = cases.build("melgan", discriminators=[cases.SPECTRAL])
    (maps,) = model.discriminator(np.zeros((1, 2048, 1), "float32"))
    assert tuple(maps[-1].shape) == (1, 1)


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": ["spectral"]},
        {"kind": "spectral", "dim": "8"},
        {"kind": "spectral", "frame_step": 0},
        {"kind": "multi_period_multi_scale", "periods": [2] * 17},
        {"kind": "multi_period_multi_scale", "num_scales": 1 << 20},
    ],
)
def test_arguments_that_no_discriminator_takes(spec):
    with pytest.raises(ValueError, match="Received"):
        cases.build("wavegan", discriminators=[spec])


def test_the_conditional_gan_of_genres():
    assert GenreCGAN is CGAN is get_architecture("genre_cgan")
    config = upgrade_config(
        {
            "format_version": 1,
            "architecture": "genre_cgan",
            "class_name": "keras_audiogan>GenreCGAN",
            "config": {"critics": ["spectral"], "augment": 1.0, "dim": 64},
        }
    )
    assert config["architecture"] == "cgan" and config["task"] == "generate"
    assert config["class_name"] == "keras_audiogan>CGAN"
    assert config["config"] == {
        "dim": 64,
        "discriminators": [{"kind": "spectral", "augment": 1.0}],
    }


def test_older_names_of_the_step():
    model = cases.build("wavegan")
    with pytest.raises(ValueError, match="older name"):
        model.compile(critic_steps=3, discriminator_steps=2)
    model.compile(critic_steps=3)
    assert model.critic_steps == model.discriminator_steps == 3


def test_whole_runs_are_found_where_they_stood():
    assert training.run_training is runs.run_training
    assert training.TrainingOptions is runs.TrainingOptions
    assert "run_training" not in training.__all__


# Settings of Keras


@every_architecture
def test_no_layer_follows_the_format_of_keras_json(name):
    model_class = get_architecture(name)
    options = dict(model_class.tiny)
    # Those of every choice that has a layer of its own.
    grows = "num_blocks" in inspect.signature(model_class).parameters
    further = {
        "upsampling": "band_limited" if grows else "nearest",
        "post_filter_length": 6,
    }
    known = inspect.signature(model_class).parameters
    options |= {k: v for k, v in further.items() if k in known}
    keras.config.set_image_data_format("channels_first")
    try:
        model = model_class(**options)
    finally:
        keras.config.set_image_data_format("channels_last")
    for layer in model._flatten_layers():
        assert getattr(layer, "data_format", None) in (None, "channels_last")


# Frozen layers


@pytest.mark.slow
@pytest.mark.backends
def test_what_is_frozen_is_no_statistic_and_does_not_move():
    keras.utils.set_random_seed(0)
    model = cases.build("wavegan", batch_norm=True, phase_shuffle=0)
    generator = model.generator
    moving = {w.path for w in generator.weights if "moving" in w.path}
    assert {v.path for v in statistics([generator])} == moving
    generator.dense.trainable = False
    generator.batch_norms[0].trainable = False
    paths = {v.path for v in statistics([generator])}
    assert paths == {p for p in moving if "batch_norm_0" not in p}
    model.compile("dcgan", seed=0)
    frozen = [generator.dense.kernel, model.ema_generator.dense.kernel]
    before = [np.array(v) for v in frozen]
    free = np.array(generator.upconvs[0].kernel)
    targets = {v.path for v in model.optimizer.generator.targets}
    assert frozen[0].path not in targets
    model.fit(cases.make_batch(model, 4), batch_size=4, verbose=0)
    for old, variable in zip(before, frozen, strict=True):
        np.testing.assert_array_equal(old, np.array(variable))
    assert not np.array_equal(free, np.array(generator.upconvs[0].kernel))
