"""What a Keras user tries on a model, and what is said of wrong inputs."""

import dataclasses
import warnings

import architecture_cases as cases
import keras
import numpy as np
import pytest
import soundfile

from keras_audiogan import vocoding
from keras_audiogan.audio import AudioFileError, mel_scale
from keras_audiogan.audio.levels import scale_remark
from keras_audiogan.audio.resampling import resample
from keras_audiogan.data import AudioFolder
from keras_audiogan.layers import MEL_SETTINGS, MelFeatures
from keras_audiogan.models import list_architectures
from keras_audiogan.training.losses import get_loss
from keras_audiogan.training.step_means import StepMeans
from keras_audiogan.training.vocoder_objectives import OBJECTIVES

ROWS = 12


@pytest.fixture(scope="module")
def models():
    made = {}

    def get(name):
        if name not in made:
            made[name] = cases.build(name)
        return made[name]

    return get


def compiled(name, **options):
    """A tiny model, compiled so that its steps are of two parts."""
    model = cases.build(name, **options)
    if model.task in ("generate", "autoencode"):
        model.compile(seed=1, discriminator_steps=2)
    elif model.task == "vocode":
        model.compile(seed=1, discriminator_start=0)
    else:
        model.compile()
    return model


def clips_and_labels(model):
    shape = (ROWS, model.slice_length, model.num_channels)
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, shape)
    labels = None
    if type(model).learns_labels(model.get_config()):
        labels = np.arange(ROWS) % len(model.labels)
    return audio.astype("float32"), labels


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_arrays_that_are_not_finite_are_refused(value):
    model = compiled("wavegan")
    audio, _ = clips_and_labels(model)
    broken = audio.copy()
    broken[3, 7] = value
    message = f"infinite samples in 1 of {len(audio)} clips.* number 3"
    with pytest.raises(ValueError, match=message):
        model.fit(broken, batch_size=4, verbose=0)
    with pytest.raises(ValueError, match=message):
        model.evaluate({"audio": broken}, batch_size=4, verbose=0)
    with pytest.raises(ValueError, match=message):
        model.fit(
            audio, batch_size=4, verbose=0, validation_data=(broken, None)
        )


class Recorder(keras.callbacks.Callback):
    """Keeps what callbacks get."""

    def __init__(self):
        super().__init__()
        self.steps, self.epochs = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append({k: float(np.ravel(v)[0]) for k, v in logs.items()})

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(dict(logs))


@pytest.mark.backends
@pytest.mark.parametrize(
    "name",
    [
        "wavegan",
        "melgan",
        pytest.param("control_wavegan", marks=pytest.mark.slow),
        pytest.param("parallel_wavegan", marks=pytest.mark.slow),
    ],
)
def test_fit_evaluate_and_a_reloaded_model(name, tmp_path):
    """Means in history, losses without updates, and a file that trains on."""
    model = compiled(name)
    audio, labels = clips_and_labels(model)
    held = (audio[:6], labels) if labels is None else (audio[:6], labels[:6])
    seen = Recorder()
    file = tmp_path / "best.keras"
    options = {"batch_size": 4, "epochs": 1, "verbose": 0, "shuffle": False}
    history = model.fit(
        audio,
        labels,
        validation_data=held,
        callbacks=[
            seen,
            # As in the README.
            keras.callbacks.ModelCheckpoint(
                file,
                monitor="val_adv/generator",
                mode="min",
                save_best_only=True,
            ),
        ],
        **options,
    ).history
    assert len(seen.steps) == 3
    for key in seen.steps[0]:
        values = [step[key] for step in seen.steps]
        expected = values[-1] if key == "skipped" else np.mean(values)
        assert history[key][0] == pytest.approx(expected, rel=1e-4, abs=1e-6)
        assert seen.epochs[0][key] == history[key][0]

    before = [np.array(weight) for weight in model.get_weights()]
    seeds = [np.array(state) for state in model._seed_states()]
    losses = model.evaluate(*held, batch_size=4, verbose=0, return_dict=True)
    assert {f"val_{key}" for key in losses} == {
        key for key in history if key.startswith("val_")
    }
    assert any(key.startswith("adv/") for key in losses)
    assert "skipped" not in losses
    for key, value in losses.items():
        assert history[f"val_{key}"][0] == pytest.approx(value, rel=1e-4)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    for old, new in zip(seeds, model._seed_states(), strict=True):
        np.testing.assert_array_equal(old, np.array(new))

    again = keras.saving.load_model(file)
    assert int(np.asarray(again.optimizer.iterations)) == 3
    assert again.gan_loss == model.gan_loss
    assert again.discriminator_steps == model.discriminator_steps
    for each in (model, again):
        each.fit(audio, labels, **options)
    for one, other in zip(
        model.get_weights(), again.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.backends
def test_a_classifier_file_trains_on(tmp_path):
    model = compiled("digit_classifier")
    audio, labels = clips_and_labels(model)
    history = model.fit(
        audio[:, :, 0], labels, validation_split=0.25, verbose=0
    ).history
    assert {"val_loss", "val_accuracy"} <= set(history)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again.optimizer, keras.optimizers.AdamW)
    for one, other in zip(
        model.optimizer.variables, again.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(np.array(one), np.array(other))


def test_means_count_rows_and_names_that_come_late():
    means = StepMeans()
    means.update_state({"a": 1.0, "skipped": 1.0}, 4)
    means.update_state({"a": 4.0, "b": 3.0, "skipped": 2.0}, 2)
    assert means.result() == {"a": 2.0, "skipped": 2.0, "b": 3.0}
    means.reset_state()
    means.update_state({"b": 5.0}, 1)
    assert means.result() == {"b": 5.0}


def test_what_a_file_remembers_of_compile_and_precision(tmp_path):
    model = cases.build("wavegan", dtype="mixed_bfloat16")
    model.compile(
        loss="relativistic",
        penalty=0.25,
        generator_optimizer=keras.optimizers.Adam(3e-4, beta_1=0.25),
        discriminator_steps=3,
        run_eagerly=True,
    )
    model._average_is_new = False
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert again.dtype_policy.name == "mixed_bfloat16"
    assert again.gan_loss.r1 == again.gan_loss.r2 == 0.25
    assert again.discriminator_steps == 3
    assert again.run_eagerly
    assert again.optimizer.generator.inner.beta_1 == 0.25
    assert float(np.asarray(again.optimizer.learning_rate)) == (
        pytest.approx(3e-4)
    )
    assert not again._average_is_new
    model.save_to_preset(tmp_path / "preset")
    assert '"dtype": "mixed' not in (
        tmp_path / "preset" / "config.json"
    ).read_text("utf-8")


def test_a_loss_of_ones_own_is_not_in_the_file(tmp_path):
    model = cases.build("wavegan")
    own = dataclasses.replace(
        get_loss("hinge"), generator=lambda real, fake: 0.0 * fake
    )
    model.compile(own)
    with pytest.warns(UserWarning, match="call `compile` after loading"):
        model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"Call `compile\(\)`"):
        again.fit(np.zeros((4, 256, 1), "float32"))


def test_losses_are_made_of_their_configs():
    assert get_loss(get_loss("wgan-gp").get_config()) == get_loss("wgan-gp")
    for objective in OBJECTIVES.values():
        assert type(objective)(**objective.get_config()) == objective


@pytest.mark.parametrize("name", ["wavegan", "control_wavegan", "melgan"])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"optimizer": "adam"}, "write compile.generator_optimizer=.*adam"),
        ({"metrics": ["accuracy"]}, "`evaluate` returns them for other data"),
        ({"loss_weights": [1.0]}, "has the weights of its terms in the loss"),
        ({"loss": "adam"}, "The first argument of `compile` is the loss"),
        ({"generator_optimiser": "adam"}, "mean `generator_optimizer`"),
    ],
)
def test_compile_says_what_to_write_instead(models, name, arguments, expected):
    with pytest.raises(TypeError, match=expected):
        models(name).compile(**arguments)


@pytest.mark.parametrize(
    ("name", "word", "meant"),
    [
        ("wavegan", "slice_lenght", "slice_length"),
        ("hifigan", "upsample_rate", "upsample_rates"),
        ("digit_classifier", "sample_rate", "sampling_rate"),
    ],
)
def test_a_mistyped_keyword_is_guessed(name, word, meant):
    with pytest.raises(TypeError, match=f"Did you mean `{meant}`"):
        cases.build(name, **{word: 1})


def zeros(*shape, dtype="float32"):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        (zeros(256), r"audio\[None, :, None\]. Received: shape \(256,\)"),
        (zeros(4, 100, 1), r"\(rows, 256, 1\), as long .* \(4, 100, 1\)"),
        (zeros(4, 1, 256), r"transpose.*Received: shape \(4, 1, 256\)"),
        (zeros(4, 256, 2), r"mix them.*Received: shape \(4, 256, 2\)"),
        (zeros(4, 256, 1, 1), "of three axes"),
        (zeros(4, 256, 1, dtype="int16"), r"/ 32768. Received: int16"),
        (zeros(4, 256, 1) + 30000, "Divide them by 32768"),
        ([zeros(256, 1), zeros(100, 1)], r"lengths \[100, 256\]"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "evaluate"])
@pytest.mark.parametrize("name", ["projection_wavegan", "digit_classifier"])
def test_wrong_clips_are_told_in_a_sentence(
    models, name, method, audio, expected
):
    model = models(name)
    if not model.compiled:
        model.compile()
    if name == "digit_classifier":
        if getattr(audio, "ndim", 0) == 3 and audio.max() == 0.0:
            if audio.dtype == "float32":
                pytest.skip("It takes clips of any length and channels.")
        expected = expected.replace("rows, 256, 1", "rows, time, channels")
    with pytest.raises(ValueError, match=expected) as caught:
        getattr(model, method)(audio, np.zeros(4, "int32"), verbose=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["a", "b", "c", "a"], r"index\(name\).*names, \['a', 'b', 'c'\]"),
        (np.eye(3)[[0, 1, 2, 0]], r"argmax.*Received: shape \(4, 3\)"),
        (np.array([0, 1, 2, 3]), "from 0 to 3"),
        (np.array([0.5, 1, 2, 0]), "from 0 to 2"),
        (np.zeros((4, 2), "int32"), r"Received: shape \(4, 2\)"),
    ],
)
@pytest.mark.parametrize("name", ["projection_wavegan", "digit_classifier"])
def test_wrong_labels_are_told_in_a_sentence(models, name, labels, expected):
    model = models(name)
    if not model.compiled:
        model.compile()
    assert len(model.labels) == 3
    clips = zeros(4, model.slice_length, 1)
    with pytest.raises(ValueError, match=expected):
        model.fit(clips, labels, verbose=0)


@pytest.mark.parametrize(
    ("name", "inputs", "expected"),
    [
        ("wavegan", zeros(2, 5), r"\(batch, 6\).*Received: shape \(2, 5\)"),
        ("projection_wavegan", zeros(2, 6), "called with two tensors"),
        (
            "projection_wavegan",
            [zeros(2, 6), np.array([0, 1])],
            r"one-hot.*Received: shape \(2,\)",
        ),
        ("melgan", zeros(2, 8, 30), "bins first.*swapaxes"),
        ("melgan", zeros(30, 8), r"one alone is mel\[None\]"),
        ("digit_classifier", zeros(2, 7, 1, 1), "of three axes"),
    ],
)
def test_wrong_inputs_of_a_call_are_told_in_a_sentence(
    models, name, inputs, expected
):
    for run in (models(name), models(name).predict_on_batch):
        with pytest.raises(ValueError, match=expected) as caught:
            run(inputs)
        assert "\n" not in str(caught.value)


def test_rows_must_feed_whole_updates(models):
    model = models("wavegan")
    model.compile(loss="wgan-gp")
    with pytest.raises(ValueError, match=r"batch_size=30 and 40 rows.*or comp"):
        model.fit(zeros(42, 256, 1), verbose=0)
    with pytest.raises(ValueError, match="Received: 21 rows in batches of 5"):
        model.fit(
            zeros(42, 256, 1), validation_split=0.5, batch_size=5, verbose=0
        )


def test_a_vocoder_says_what_its_clips_and_mels_must_be(models):
    model = models("melgan")
    model.compile(discriminator_start=0)
    for batch, expected in (
        (zeros(2, 2050, 1), r"whole hops of 16.*cut or pad them to 2048"),
        ({"audio": zeros(2, 2048, 1), "mel": zeros(2, 8, 128) - 5}, "transp"),
        ({"audio": zeros(2, 2048, 1), "mel": zeros(2, 9, 8) - 5}, r"128, 8\)"),
        ({"audio": zeros(2, 2048, 1), "mel": zeros(2, 128, 8) - 80}, "decibel"),
    ):
        with pytest.raises(ValueError, match=expected):
            model.fit(batch, verbose=0)
    mels = [zeros(30, 8) - 5, zeros(20, 8) - 5]
    assert [len(each) for each in model.vocode(mels)] == [30 * 16, 20 * 16]
    with pytest.raises(ValueError, match=r"np.asarray.*\(30, 8\), \(20, 8\)"):
        model.vocode([each.tolist() for each in mels])
    with pytest.raises(ValueError, match=r"bins first.*shape \(8, 30\)"):
        model.vocode(mels[0].T)
    with pytest.raises(ValueError, match="Received: int16"):
        model.mel(zeros(4000, dtype="int16"), 8000)


def test_mel_resamples_and_says_once_what_it_assumes():
    model = cases.build("melgan")
    audio = np.sin(np.arange(11025) * 0.05).astype("float32")
    made = model.mel(audio, sampling_rate=11025)
    own = resample(audio, 11025, 8000)
    np.testing.assert_array_equal(made, model.mel(own, sampling_rate=8000))
    with pytest.warns(UserWarning, match="to be at this vocoder's 8000 Hz"):
        assumed = model.mel(own)
    np.testing.assert_array_equal(assumed, made)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.mel(own)
        again = model.vocode(audio, sampling_rate=11025)
    assert again.shape == (1, 8000, 1)


@pytest.mark.parametrize("name", list_architectures())
def test_summary_and_diagram_show_networks_with_shapes(models, name):
    """Names, shapes and counts of weights are those of the model."""
    model = models(name)
    shown = model.diagram()
    networks = (
        [model.network]
        if model.task == "classify"
        else [model.generator, model.ema_generator, *model.networks_beside()]
    )
    assert shown.count_params() == sum(x.count_params() for x in networks)
    (first, *_) = model.preset_weights.values()
    stem = first.name.removeprefix("ema_")
    layers = {layer.name: layer for layer in shown.layers}
    assert layers[stem].count_params() == first.count_params()
    assert "discriminator" in layers or stem == "classifier"
    if model.task == "vocode":
        assert layers["generator"].inputs[0].shape == (None, 128, 8)
    if model.task == "generate":
        seen = model.representation.shape(model.slice_length, 1)
        assert layers["generator"].output.shape == (None, *seen)
    lines = []
    model.summary(print_fn=lines.append, expand_nested=True, line_length=120)
    text = "".join(lines)
    assert "?" not in text
    for layer in layers[stem].layers[1:]:
        assert layer.name[:12] in text
    assert not {"call"} & set(vars(first))


def test_a_fused_vocoder_has_a_summary(models):
    lines = []
    fused = models("melgan").fuse_weight_norm()
    fused.summary(print_fn=lines.append)
    assert "(None, 2048, 1)" in "".join(lines)


# Scales


def speech_like():
    """Loud harmonics and pauses at 22,050 Hz, with a peak of 0.9."""
    time = np.arange(2 * 22050) / 22050
    voice = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 30))
    audio = voice * np.clip(np.sin(2 * np.pi * 1.5 * time), 0.0, 1.0)
    noise = np.random.default_rng(0).normal(0.0, 1e-4, len(time))
    return (0.9 * audio / np.abs(audio).max() + noise).astype("float32")


@pytest.fixture(scope="module")
def front_ends():
    """A plain front end, and one that normalises, with mels of each."""
    plain = MelFeatures(**MEL_SETTINGS["hifigan"])
    settings = MEL_SETTINGS["parallel_wavegan"]
    fitted = MelFeatures(**settings).fit([speech_like()[:, None]])
    normal = MelFeatures(**settings, **fitted)
    audio = speech_like()[None, :, None]
    return {
        name: (each, np.array(each(audio))[0], np.array(each(audio * 2**15))[0])
        for name, each in (("plain", plain), ("normal", normal))
    }


def nepers(mel, features):
    if features.scale is None:
        return mel.astype("float64")
    raw = mel * np.array(features.scale) + np.array(features.mean)
    return raw * np.log(10.0)


def test_the_level_of_mels_is_at_most_that_of_the_sound(front_ends):
    time = np.arange(22050)
    rng = np.random.default_rng(0)
    for audio, decibels in (
        (np.sin(time * 0.3), -3.01),
        (rng.uniform(-1, 1, 22050), -4.77),
        (np.sign(rng.normal(size=22050)), 0.0),
    ):
        for features, *_ in front_ends.values():
            mel = np.array(features(audio[None].astype("float32")))[0][4:-4]
            level = mel_scale._levels(
                mel_scale._nepers(mel, features), features
            )
            assert np.median(level) < decibels + 0.5
            assert np.median(level) > decibels - 6.0


@pytest.mark.parametrize("kind", ["plain", "normal"])
def test_mels_of_sound_raise_no_remark(front_ends, kind):
    features, mel, _ = front_ends[kind]
    assert mel_scale.mel_remark(mel, features) is None
    quiet = np.array(features(1e-3 * speech_like()[None, :, None]))[0]
    assert mel_scale.mel_remark(quiet, features) is None


@pytest.mark.parametrize("kind", ["plain", "normal"])
@pytest.mark.parametrize(
    ("scale", "looks"),
    [
        ("linear", "linear mel magnitudes"),
        ("decibels", "decibels"),
        ("integers", "16-bit integers"),
    ],
)
def test_other_scales_are_refused_with_what_mends_them(
    front_ends, kind, scale, looks
):
    """Applied to what was given, the expression gives this front end's mels."""
    features, mel, loud = front_ends[kind]
    log = nepers(mel, features)
    given = {
        "linear": np.exp(log),
        "decibels": 20.0 / np.log(10.0) * log,
        "integers": loud,
    }[scale]
    remark = mel_scale.mel_remark(given, features)
    assert remark.certain
    assert looks in remark.text and "Expected np.log" in remark.text
    with pytest.raises(ValueError, match="no mels of this vocoder"):
        mel_scale.check_mel_scale(given, features)
    mend = remark.text.rpartition("give ")[2]
    vocoder = type("Vocoder", (), {"features": features})
    mended = eval(mend, {"np": np, "mel": given, "vocoder": vocoder})
    if scale == "integers":
        # Not where the floor was, which is no sound.
        assert np.median(np.abs(mended - mel)) < 1e-3
    else:
        np.testing.assert_allclose(mended, mel, atol=2e-3)


def test_what_is_doubtful_is_a_warning(front_ends):
    features, mel, _ = front_ends["plain"]
    hot = mel + 1.0  # 8.7 dB more than a peak of 0.9.
    with pytest.warns(UserWarning, match="dB over full scale"):
        mel_scale.check_mel_scale(hot, features)


def test_the_scale_of_samples():
    assert scale_remark(4.0) is None
    assert "Divide them by 128" in scale_remark(4.5)
    assert "Divide them by 32768" in scale_remark(30000.0)
    assert "Divide them by 2147483648" in scale_remark(1e9)


def test_files_on_the_scale_of_integers_are_left_out(tmp_path, models):
    tone = np.sin(np.arange(8000) * 0.1)
    soundfile.write(tmp_path / "good.wav", 0.5 * tone, 8000, "FLOAT")
    soundfile.write(tmp_path / "loud.wav", 32767 * tone, 8000, "FLOAT")
    folder = AudioFolder.scan(tmp_path)
    checked = folder.checked() if hasattr(folder, "checked") else folder
    (skipped,) = checked.skipped
    assert skipped.path.endswith("loud.wav")
    assert "Divide them by 32768" in skipped.reason
    with pytest.raises(AudioFileError, match="Divide them by 32768"):
        vocoding.vocode_file(
            models("melgan"), tmp_path / "loud.wav", tmp_path / "x.wav"
        )
    assert not (tmp_path / "x.wav").exists()


def test_files_of_mels_of_another_scale_or_kind(tmp_path, models):
    model = models("melgan")
    mel = cases.make_mels(model, 1, 40)[0]
    np.save(tmp_path / "db.npy", np.float32(20) * mel.T)
    np.savez(tmp_path / "two.npz", a=mel, b=mel)
    np.savez(tmp_path / "good.npz", mel=mel.T, rate=8000)
    (tmp_path / "mel.pt").write_bytes(b"PK")
    for name, expected in (
        ("db.npy", "decibels: give mel"),
        ("two.npz", r"Received: \['a', 'b'\]"),
        ("mel.pt", "np.save"),
    ):
        with pytest.raises(AudioFileError, match=expected):
            vocoding.vocode_file(model, tmp_path / name, tmp_path / "x.wav")
    row = vocoding.vocode_file(model, tmp_path / "good.npz", tmp_path / "x.wav")
    assert row["kind"] == "mel" and row["seconds"] == 40 * 16 / 8000


@pytest.mark.parametrize("name", ["wavegan", "vocos"])
def test_mono_clips_may_leave_their_axis_out_at_any_time(name):
    model = compiled(name)
    audio, _ = clips_and_labels(cases.build(name))
    model.fit(audio, batch_size=ROWS, verbose=0)
    # After a step of another rank, a traced one would not know the rank.
    model.fit(audio[..., 0], batch_size=ROWS, verbose=0)
    values = model.evaluate(audio[..., 0], batch_size=ROWS, verbose=0)
    assert np.isfinite(values).all()
