import dataclasses
import json
import re
import shutil

import architecture_cases as cases
import keras
import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file
from training_support import DATA, DIGITS, resume_options, tiny_options

from keras_audiogan import metrics, saving, zoo
from keras_audiogan.cli.main import main
from keras_audiogan.data import (
    AudioDataset,
    AudioFolder,
    AudioFolderError,
    hold_out,
)
from keras_audiogan.models import WaveGAN, registry
from keras_audiogan.runs.evaluation import Evaluation, is_better
from keras_audiogan.runs.options import MEASURES, TrainingOptions
from keras_audiogan.runs.run import describe_run, run_training
from keras_audiogan.runs.run_log import read_log
from keras_audiogan.training.precision import resolve_precision

STEPS = 5


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return run_training(
        tiny_options(
            tmp_path_factory.mktemp("run") / "run",
            steps=STEPS,
            checkpoint_every=2,
            keep_checkpoints=2,
            preview_every=3,
            log_every=2,
            level="keep",
            exclude="*/theo_*",
            hold_out=0,
            data_name="Ten digits",
            data_license="CC-BY-SA-4.0",
            data_url="https://example.org/digits",
        ),
        quiet=True,
    )


@pytest.fixture(scope="module")
def run(result):
    return result.folder


def _json(path):
    return json.loads(path.read_text())


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def _weights(preset, stem):
    return load_file(preset / f"{stem}.safetensors")


def _largest_difference(preset, other, stem):
    first, second = _weights(preset, stem), _weights(other, stem)
    assert first.keys() == second.keys()
    return max(
        np.abs(first[k].astype("f4") - second[k].astype("f4")).max()
        for k in first
    )


@pytest.mark.slow
def test_result(result, run):
    assert (result.step, result.steps, result.signal) == (STEPS, STEPS, None)
    assert result.preset == run / "preset"
    assert result.alarms == {}
    assert f"audiogan sample {run / 'preset'}" in str(result)
    stopped = dataclasses.replace(result, step=3, signal=15)
    assert "Stopped by SIGTERM at step 3 of 5" in str(stopped)
    assert "--resume" in str(stopped)


def test_run_folder(run):
    assert _names(run) == [
        "checkpoints",
        "data.json",
        "log.jsonl",
        "options.json",
        "preset",
        "previews",
        "samples",
        "tensorboard",
    ]
    assert _names(run / "checkpoints") == ["step_00000004", "step_00000005"]
    assert _names(run / "preset") == [
        "README.md",
        "config.json",
        "discriminator.safetensors",
        "generator.safetensors",
        "samples",
        "training.json",
    ]
    assert _names(run / "preset" / "samples") == _names(run / "samples")


def test_options_file(run):
    stored = _json(run / "options.json")
    assert stored["backend"] == keras.backend.backend()
    options = stored["options"]
    assert options["data"] == [str(DIGITS)]
    assert options["steps"] == STEPS
    assert options["precision"] == "float32"
    assert options["model"] == {"dim": 2, "discriminators": ["waveform"]}
    assert "resume" not in options and "output" not in options
    config = stored["model_config"]
    gan = zoo.from_preset(str(run / "preset"))
    assert config == gan.get_config()
    assert config["dim"] == 2
    # What was not asked for follows from the data.
    assert config["sampling_rate"] == 8000
    assert config["num_channels"] == 1
    assert config["level"] == "keep"
    assert sorted(config["labels"]) == ["one", "two", "zero"]
    data = _json(run / "data.json")
    assert data["num_files"] == 9
    assert data["name"] == "Ten digits"
    assert data["num_slices"] > 9


def test_log(run):
    entries = read_log(run)
    assert [entry["step"] for entry in entries] == [2, 4]
    for entry in entries:
        assert entry["skipped"] == 0
        for key in (
            "adv/discriminator",
            "adv/generator",
            "reg/r1",
            "level/real",
            "level/fake",
            "steps_per_second",
        ):
            assert np.isfinite(entry[key]), key
        # Spoken digits, and the tanh of small numbers.
        assert 0.01 < entry["level/real"] < 0.5
        assert 0.0 < entry["level/fake"] < 0.5


def test_previews(run):
    assert _names(run / "previews") == [
        f"step_{step:08d}.{suffix}"
        for step in (3, 5)
        for suffix in ("png", "wav")
    ]
    sounds = []
    for step in (3, 5):
        path = run / "previews" / f"step_{step:08d}.wav"
        sound, rate = soundfile.read(path)
        assert rate == 8000
        # Two clips with a pause of a quarter second between them.
        assert sound.shape == (256 + 2000 + 256,)
        assert not sound[256:2256].any()
        sounds.append(sound)
        assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    # The same latents: the sound changes as the weights do, a little.
    assert 0 < np.abs(sounds[0] - sounds[1]).max() < 0.2


def test_preset(run):
    gan = zoo.from_preset(str(run / "preset"))
    assert gan.slice_length == 256
    assert gan.sampling_rate == 8000
    assert gan.level == "keep"
    audio = gan.sample(4, seed=5)
    assert audio.shape == (4, 256, 1) and np.isfinite(audio).all()
    for index, clip in enumerate(audio):
        sound, rate = soundfile.read(run / "samples" / f"{index}.flac")
        assert rate == 8000
        # float16 weights and 16 bit samples.
        np.testing.assert_allclose(sound, clip[:, 0], atol=2e-3)


def test_training_record(run):
    record = _json(run / "preset" / "training.json")
    assert record["steps"] == STEPS
    assert record["seed"] == 5
    assert record["wall_time_seconds"] > 0
    assert "CPU cores" in record["hardware"]
    assert record["versions"]["keras"] == keras.__version__
    assert record["data"]["name"] == "Ten digits"
    assert record["data"]["license"] == "CC-BY-SA-4.0"
    assert record["data"]["url"] == "https://example.org/digits"
    assert record["data"]["num_files"] == 9
    assert record["data"]["hash"]
    recipe = record["recipe"]
    assert recipe["loss"] == "relativistic"
    assert recipe["discriminator_steps"] == 1
    assert recipe["batch_size"] == 4
    assert recipe["precision"] == "float32"
    assert recipe["exclude"] == "*/theo_*"
    assert recipe["generator_optimizer"]["learning_rate"] > 0
    # A preset may be published: it must not tell where it was made.
    text = (run / "preset" / "training.json").read_text()
    assert str(DIGITS.parent) not in text and str(run) not in text


@pytest.fixture
def tape_loop():
    """An architecture of a task that this library does not know."""

    @registry.register_architecture("tape_loop")
    class TapeLoop(WaveGAN):
        task = "loop"

    yield "tape_loop"
    del registry._ARCHITECTURES["tape_loop"]


def test_a_task_that_nobody_knows_is_trained(tape_loop, tmp_path):
    run = tmp_path / "run"
    options = tiny_options(run, architecture=tape_loop, steps=2)
    result = run_training(options, quiet=True)
    assert result.advice == f"audiogan info {run / 'preset'}"
    assert saving.read_config(run / "preset")["task"] == "loop"
    assert _names(run / "samples")[-1] == "sheet.png"
    result = run_training(
        resume_options(run, architecture=tape_loop, steps=3), quiet=True
    )
    assert result.step == 3
    gan = saving.load_preset(run / "preset")
    assert type(gan).__name__ == "TapeLoop"


@pytest.mark.slow
def test_a_finished_run_goes_on_to_more_steps(run, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    result = run_training(resume_options(copy, steps=8))
    assert result.step == result.steps == 8
    assert "Continuing at step 5 of 8." in capsys.readouterr().err
    assert [entry["step"] for entry in read_log(copy)] == [2, 4, 6, 8]
    assert _json(copy / "preset" / "training.json")["steps"] == 8
    before = _json(run / "preset" / "training.json")["wall_time_seconds"]
    after = _json(copy / "preset" / "training.json")["wall_time_seconds"]
    assert after > before


def test_resume_refuses_other_options(run):
    before = _json(run / "options.json")
    with pytest.raises(ValueError, match="resumed with the options") as caught:
        run_training(resume_options(run, batch_size=8, loss="hinge", seed=5))
    message = str(caught.value)
    assert "batch_size=8 (the run has 4)" in message
    assert "loss='hinge' (the run has 'relativistic')" in message
    assert "seed" not in message.partition("Received")[2]
    assert _json(run / "options.json") == before


def test_resume_refuses_other_data(run):
    with pytest.raises(ValueError, match="data it was started on") as caught:
        run_training(resume_options(run, data=DATA / "drums"))
    assert "the 9 files of 'Ten digits'" in str(caught.value)


def test_resume_refuses_another_backend(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    stored = _json(copy / "options.json")
    stored["backend"] = "another"
    (copy / "options.json").write_text(json.dumps(stored))
    with pytest.raises(ValueError, match="KERAS_BACKEND=another"):
        run_training(resume_options(copy))
    (copy / "options.json").write_text('{"format_version": 1, "opt')
    with pytest.raises(ValueError, match=r"options\.json is damaged"):
        run_training(resume_options(copy))


def test_only_an_empty_folder_begins_a_run(run, tmp_path):
    with pytest.raises(ValueError, match="is not empty.*--resume"):
        run_training(tiny_options(run, steps=STEPS))
    with pytest.raises(ValueError, match="There is no run to resume in"):
        run_training(resume_options(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()


def test_a_failed_start_leaves_nothing_behind(tmp_path):
    run = tmp_path / "run"
    options = tiny_options(run, steps=1)
    with pytest.raises(ValueError, match="slice_length"):
        run_training(dataclasses.replace(options, slice_length=100))
    assert not run.exists()
    # What a kill between the first two files leaves does not bar the folder.
    run.mkdir()
    (run / "data.json").write_text("{}")
    assert "Options" in describe_run(options)


def test_dry_run(tmp_path, capsys):
    run = tmp_path / "run"
    arguments = ["train", "wavegan", str(DIGITS), "-o", str(run), "--dry-run"]
    main(
        [*arguments, "--slice-length", "256", "--dim", "3"],
        standalone_mode=False,
    )
    text = capsys.readouterr().out
    assert "12 files" in text
    for name, value in (
        ("steps", "20000"),
        ("dim", "3"),
        ("slice_length", "256"),
        ("sampling_rate", "8000"),
        ("batch_size", "32"),
        ("precision", resolve_precision("auto")),
    ):
        lines = [line.split() for line in text.splitlines()]
        assert [name, value] in lines
    assert not run.exists()


def _finetune(tmp_path, preset, **changes):
    """One step so small that it cannot be seen in float16."""
    options = {
        **dict.fromkeys(
            ("architecture", "model", "slice_length"),
        ),
        "preset": preset,
        "steps": 1,
        "seed": 6,
        "learning_rate": 1e-9,
        **changes,
    }
    return run_training(tiny_options(tmp_path / "tuned", **options))


@pytest.mark.parametrize(("test", "num_files"), [("tenth", 9), ("*/theo*", 9)])
def test_files_are_held_out_of_training(tmp_path, test, num_files):
    options = tiny_options(tmp_path / "run", test=test)
    report = describe_run(options)
    assert f"{num_files} files" in report
    held_out = {
        "tenth": {f"{d}/george_5.flac" for d in ("zero", "one", "two")},
        "*/theo*": {f"{d}/theo_7.flac" for d in ("zero", "one", "two")},
    }
    train, rest = hold_out(AudioFolder.scan(DIGITS), test)
    assert {entry.name for entry in rest.files} == held_out[test]
    assert len(train.files) == num_files


@pytest.mark.slow
def test_finetune_goes_on_from_the_preset(run, tmp_path, capsys):
    result = _finetune(tmp_path, run / "preset", data=DATA / "drums")
    config = saving.read_config(result.preset)["config"]
    assert config["sampling_rate"] == 8000
    assert config["slice_length"] == 256
    assert config["level"] == "keep"
    for stem in ("generator", "discriminator"):
        difference = _largest_difference(run / "preset", result.preset, stem)
        assert difference < 1e-4, stem
    record = _json(result.preset / "training.json")
    assert record["recipe"]["preset"] == "preset"
    assert "no discriminator" not in capsys.readouterr().err
    own, earlier = record["data"]
    assert own["name"] == "drums" and "license" not in own
    assert earlier["name"] == "Ten digits"
    assert "the preset preset" in earlier["heard_by"]
    card = (result.preset / "README.md").read_text()
    assert "license: cc-by-sa-4.0" in card and "Ten digits" in card


def test_finetune_takes_the_loss_that_the_preset_was_trained_with(
    run, tmp_path
):
    shutil.copytree(run / "preset", tmp_path / "preset")
    file = tmp_path / "preset" / "training.json"
    record = _json(file)
    record["recipe"] |= {"loss": "hinge", "learning_rate": 3e-5, "penalty": 2}
    file.write_text(json.dumps(record))
    given = {"preset": tmp_path / "preset", "data": DIGITS}
    recipes = [
        describe_run(TrainingOptions(output=tmp_path / "x", **given, **chosen))
        for chosen in ({}, {"penalty": 5.0}, {"loss": "lsgan"})
    ]
    shown = [re.findall(r"(loss|penalty|_rate) +(\S+)\n", r) for r in recipes]
    assert ("loss", "hinge") in shown[0] and ("penalty", "2.0") in shown[0]
    assert ("_rate", "3e-05") in shown[0]
    assert ("penalty", "5.0") in shown[1] and ("_rate", "3e-05") in shown[1]
    assert ("loss", "lsgan") in shown[2]
    assert "penalty" not in dict(shown[2])
    record["recipe"] = ["no", "recipe"]
    file.write_text(json.dumps(record))
    described = describe_run(TrainingOptions(output=tmp_path / "x", **given))
    assert not re.search(r"^  loss ", described, re.M)


@pytest.mark.slow
def test_finetune_with_another_discriminator(run, tmp_path):
    result = _finetune(tmp_path, run / "preset", reset_discriminator=True)
    differences = [
        _largest_difference(run / "preset", result.preset, stem)
        for stem in ("generator", "discriminator")
    ]
    assert differences[0] < 1e-4 and differences[1] > 1e-2


@pytest.mark.slow
def test_finetune_without_a_discriminator_says_so(run, tmp_path, capsys):
    bare = tmp_path / "bare"
    gan = zoo.from_preset(str(run / "preset"))
    saving.save_preset(gan, bare, weights=["generator"])
    result = _finetune(tmp_path, bare)
    assert "holds no discriminator" in capsys.readouterr().err
    assert _largest_difference(bare, result.preset, "generator") < 1e-4


def test_finetune_keeps_what_is_the_presets(run, tmp_path):
    with pytest.raises(ValueError, match="`slice_length` is the preset's"):
        _finetune(tmp_path, run / "preset", slice_length=1024)
    with pytest.raises(ValueError, match="digit_classifier: `preset`"):
        _finetune(tmp_path, zoo.resolve("digit_classifier"))
    with pytest.raises(ValueError, match="either an `architecture`"):
        _finetune(tmp_path, run / "preset", architecture="wavegan")


def test_bad_files_are_skipped_or_an_error(tmp_path):
    data = tmp_path / "data"
    shutil.copytree(DIGITS, data)
    bad = data / "one" / "torn.wav"
    bad.write_bytes(b"RIFF")
    options = tiny_options(tmp_path / "run", data=data)
    text = describe_run(options)
    assert "12 files" in text and "torn.wav" in text
    with pytest.raises(AudioFolderError, match=r"torn\.wav"):
        run_training(dataclasses.replace(options, strict=True))
    assert not (tmp_path / "run").exists()


def test_data_without_sound(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.txt").write_text("no sound")
    options = tiny_options(tmp_path / "run", data=tmp_path / "data")
    with pytest.raises(AudioFolderError, match=r"notes\.txt|\.txt"):
        run_training(options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"kernel_sise": 1}}, "Did you mean 'kernel_size'"),
        ({"model": {"level": "peak"}}, "`level` is an option of its own"),
        ({"architecture": "wavegam"}, "wavegan"),
        (
            {"architecture": "digit_classifier"},
            "architecture digit_classifier: `loss`",
        ),
        (
            {"critic_steps": 2, "discriminator_steps": 3},
            "older name of `discriminator_steps`",
        ),
        ({"steps": 0}, "`steps` must be 1 or more"),
        ({"seed": -1}, "`seed` must be from 0"),
        ({"learning_rate": 1.0}, "`learning_rate` must be above 0"),
        ({"loss": "wgangp"}, "wgan-gp"),
        ({"precision": "float99"}, "float99"),
        ({"evaluate_every": 1}, "`evaluate_every` needs a `classifier`"),
        (
            {
                "evaluate_every": 1,
                "classifier": DATA / "nothing",
            },
            "nothing",
        ),
        (
            {
                "evaluate_every": 1,
                "sampling_rate": 16000,
                "classifier": zoo.resolve("digit_classifier"),
            },
            "at 8000 Hz, and this model would make it at 16000 Hz",
        ),
        (
            {"classifier": zoo.resolve("digit_classifier")},
            "`classifier` measures a training run every `evaluate_every`",
        ),
        ({"reset_discriminator": True}, "is for fine-tuning"),
        ({"keep_best": "loss"}, "must be one of frechet_distance, incep"),
        ({"keep_best": "recall"}, "`keep_best` needs `evaluate_every`"),
        (
            {
                "keep_best": "label_accuracy",
                "evaluate_every": 1,
                "classifier": zoo.resolve("digit_classifier"),
            },
            "Only conditional generators",
        ),
    ],
)
def test_wrong_options(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        run_training(tiny_options(tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


def test_only_classifiers_evaluate(run, tmp_path):
    options = tiny_options(
        tmp_path / "run", evaluate_every=1, classifier=run / "preset"
    )
    with pytest.raises(ValueError, match="must be the preset of a classifier"):
        run_training(options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("chosen", sorted(MEASURES))
def test_better_is_what_the_measure_says(chosen):
    better, worse = {
        "lower": (1.0, 2.0),
        "higher": (2.0, 1.0),
        "zero": (-1.0, 2.0),
    }[MEASURES[chosen]]
    assert is_better(chosen, better, worse)
    assert not is_better(chosen, worse, better)
    assert is_better(chosen, worse, None)
    assert not is_better(chosen, float("nan"), None)


@pytest.mark.slow
def test_evaluation_measures_what_the_metrics_do(tmp_path):
    gan = cases.build(
        "projection_wavegan",
        labels=["one", "zero"],
        slice_length=1024,
        sampling_rate=8000,
    )
    classifier = zoo.from_preset("digit_classifier")
    data = AudioDataset(DIGITS, 1024, 8000, mode="slice")
    real = data.real_clips(data.num_slices)
    evaluation = Evaluation(
        classifier,
        real,
        1,
        num_samples=20,
        seed=3,
        stage_steps=gan.stage_steps,
    )
    evaluation.set_model(gan)
    figures = evaluation.measure()
    assert figures.keys() == MEASURES.keys()
    assert figures == evaluation.measure()
    audio = gan.sample(20, seed=3)
    features = classifier.features(audio)
    assert figures["frechet_distance"] == pytest.approx(
        metrics.frechet_distance(features, classifier.features(real)), rel=1e-6
    )
    heard = classifier.predict_labels(audio)
    wanted = ["one", "zero"] * 10
    right = sum(a == b for a, b in zip(heard, wanted, strict=True))
    assert figures["label_accuracy"] == right / 20
    assert figures["level_difference"] == pytest.approx(
        metrics.level(audio).rms_db - metrics.level(real).rms_db
    )
    assert figures["kernel_distance"] > 0
    assert 0 <= figures["coverage"] <= 1


@pytest.mark.slow
def test_the_best_is_kept_by_another_figure(tmp_path):
    result = run_training(
        tiny_options(
            tmp_path / "run",
            slice_length=1024,
            steps=3,
            evaluate_every=1,
            keep_best="level_difference",
            classifier=zoo.resolve("digit_classifier"),
        ),
        quiet=True,
    )
    key = "evaluation/level_difference"
    entries = [entry for entry in read_log(result.folder) if key in entry]
    best = min(entries, key=lambda entry: abs(entry[key]))
    record = _json(result.folder / "best" / "training.json")
    assert record["steps"] == best["step"]
    assert record["metrics"]["level_difference"]["value"] == best[key]


@pytest.mark.slow
def test_evaluation_keeps_the_best(tmp_path, capsys):
    result = run_training(
        tiny_options(
            tmp_path / "run",
            slice_length=1024,
            steps=2,
            evaluate_every=1,
            classifier=zoo.resolve("digit_classifier"),
        )
    )
    run = result.folder
    key = "evaluation/frechet_distance"
    entries = [entry for entry in read_log(run) if key in entry]
    assert [entry["step"] for entry in entries] == [1, 2]
    for entry in entries:
        assert entry[key] > 0
        assert 1 <= entry["evaluation/inception_score"] <= 10
    best = min(entries, key=lambda entry: entry[key])
    record = _json(run / "best" / "training.json")
    assert record["steps"] == best["step"]
    assert record["metrics"]["frechet_distance"]["value"] == best[key]
    assert zoo.from_preset(str(run / "best")).slice_length == 1024
    newest = run / "checkpoints" / "step_00000002" / "checkpoint.json"
    assert _json(newest)["details"]["best"] == best[key]
    assert "Frechet distance" in capsys.readouterr().err
