"""Training a classifier: from labelled sounds to a preset, as one run."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from cli_support import audiogan
from hub_server import HubServer, User
from training_support import assert_same_bits, state

from keras_audiogan import saving
from keras_audiogan.data import (
    AudioDataset,
    AudioFolder,
    AudioFolderError,
    hold_out,
)
from keras_audiogan.models.registry import get_architecture
from keras_audiogan.runs import TrainingOptions, describe_run, run_training
from keras_audiogan.runs.augmentation import (
    Augmentation,
    augment_batch,
    augment_clip,
)
from keras_audiogan.runs.classifier_run import (
    classifier_feed,
    command_of,
    recordings_heard,
)
from keras_audiogan.runs.plan import named

DIGITS = pathlib.Path(__file__).parent / "data" / "digits"
NO_CHANGE = Augmentation(0.0, 0.0, 1.0, 0.0, 0.0)


def options(output, **changes):
    return TrainingOptions(
        output=output,
        **{
            "data": DIGITS,
            "architecture": "digit_classifier",
            "model": {"filters": [4, 8], "num_mel_bins": 16},
            "slice_length": 2048,
            "mode": "pad",
            "batch_size": 4,
            "steps": 4,
            "precision": "float32",
            "test": "*/theo_*",
            **changes,
        },
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier") / "run"
    return run_training(
        options(
            folder,
            data_name="digits",
            data_license="cc-by-sa-4.0",
            checkpoint_every=2,
        ),
        quiet=True,
    )


@pytest.mark.slow
def test_a_run_leaves_a_preset_with_figures_of_what_was_held_out(run):
    model = saving.load_preset(run.preset)
    assert model.labels == ("one", "two", "zero")
    assert model.sampling_rate == 8000
    record = saving.read_training(run.preset)
    assert record["data"]["name"] == "digits"
    assert record["data"]["num_files"] == 9
    assert record["data"]["files_per_label"] == {"one": 3, "two": 3, "zero": 3}
    assert (record["steps"], record["recipe"]["test"]) == (4, "*/theo_*")
    confusion = np.array(record["metrics"]["confusion"]["value"])
    assert confusion.sum(axis=1).tolist() == [1, 1, 1]
    accuracy = record["metrics"]["test_accuracy"]
    assert accuracy["value"] == pytest.approx(np.trace(confusion) / 3, abs=1e-4)
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert accuracy["num_recordings"] == 3
    # What stands there is what the stored preset hears.
    test = AudioFolder.scan(DIGITS, include="*/theo_*")
    heard, targets = recordings_heard(
        model, AudioDataset(test, 2048, 8000, mode="pad", labels=True)
    )
    again = np.zeros((3, 3), int)
    np.add.at(again, (targets, heard.argmax(axis=1)), 1)
    np.testing.assert_array_equal(again, confusion)
    card = (run.preset / "README.md").read_text()
    assert "license: cc-by-sa-4.0" in card and "Balanced accuracy (%)" in card
    assert "3 recordings held out" in str(run)
    assert run.advice.endswith(f"--classifier {run.preset}")
    recipe = record["recipe"]
    assert recipe["learning_rate"] == 2e-3 and recipe["optimizer"] == "adamw"
    assert recipe["augmentation"]["max_shift"] == 0.1
    assert not {"loss", "num_previews", "reset_discriminator"} & recipe.keys()


@pytest.mark.slow
def test_the_log_has_each_steps_own_numbers(tmp_path):
    result = run_training(options(tmp_path / "run", log_every=1), quiet=True)
    lines = [
        json.loads(line)
        for line in (result.folder / "log.jsonl").read_text().splitlines()
    ]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    for line in lines:
        # Four clips a step: a mean over steps would be finer.
        assert line["accuracy"] * 4 == pytest.approx(
            round(line["accuracy"] * 4), abs=1e-4
        )
        assert line["loss"] > 0


@pytest.mark.slow
def test_a_stopped_and_resumed_run_equals_one_that_was_not(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    shutil.rmtree(folder / "checkpoints" / "step_00000004")
    shutil.rmtree(folder / "preset")
    resumed = run_training(
        TrainingOptions(
            data=DIGITS,
            architecture="digit_classifier",
            output=folder,
            resume=True,
        ),
        quiet=True,
    )
    assert resumed.step == 4
    assert_same_bits(state(folder, 4), state(run.folder, 4))


def test_the_steps_of_a_resumed_run_stay(run):
    with pytest.raises(
        ValueError, match=r"steps=9 \(the run has 4\)"
    ) as caught:
        run_training(
            TrainingOptions(
                data=DIGITS,
                architecture="digit_classifier",
                output=run.folder,
                resume=True,
                steps=9,
            )
        )
    # Its learning rate follows a curve over all of them.
    allowed = str(caught.value).partition("may change")[0]
    assert "log_every" in allowed and "steps" not in allowed


@pytest.mark.slow
@pytest.mark.backends
def test_it_learns_to_tell_tones_apart(tmp_path):
    random = np.random.default_rng(0)
    time = np.arange(1500) / 8000
    for name, low, high in (("low", 200, 400), ("high", 1500, 2500)):
        (tmp_path / name).mkdir()
        for index in range(12):
            tone = np.sin(2 * np.pi * random.uniform(low, high) * time)
            soundfile.write(tmp_path / name / f"{index}.wav", tone, 8000)
    result = run_training(
        options(
            tmp_path / "run",
            data=tmp_path,
            model={"filters": [8, 16], "num_mel_bins": 16},
            test="*/[0-3].wav",
            steps=60,
            batch_size=8,
            learning_rate=0.01,
        ),
        quiet=True,
    )
    assert result.metrics["test_accuracy"]["value"] >= 7 / 8
    assert result.metrics["test_accuracy"]["num_recordings"] == 8
    recipe = json.loads((result.preset / "training.json").read_text())["recipe"]
    assert recipe["augmentation"]["max_speed_change"] == 0.1


@pytest.mark.slow
def test_what_hears_pitches_hears_none_at_another_speed(tmp_path):
    time = np.arange(1500) / 8000
    for pitch, hertz in (("C4", 261.6), ("C#4", 277.2)):
        (tmp_path / pitch).mkdir()
        for index in range(4):
            tone = np.sin(2 * np.pi * hertz * time + index)
            soundfile.write(tmp_path / pitch / f"{index}.wav", tone, 8000)
    model = {
        "filters": [8, 16],
        "num_mel_bins": 64,
        "fft_length": 1024,
        "keep_frequencies": True,
    }
    result = run_training(
        options(
            tmp_path / "run",
            data=tmp_path,
            model=model,
            test="*/[0-1].wav",
            steps=60,
            batch_size=4,
            learning_rate=0.01,
        ),
        quiet=True,
    )
    assert result.metrics["test_accuracy"]["value"] == 1.0
    recipe = json.loads((result.preset / "training.json").read_text())["recipe"]
    assert recipe["augmentation"]["max_speed_change"] == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "hinge"}, "architecture digit_classifier: `loss`"),
        ({"critic_steps": 2}, "digit_classifier: `discriminator_steps`"),
        (
            {"num_previews": 2, "level": "keep"},
            "digit_classifier: `level`, `num_previews`. Leave them out",
        ),
        ({"epochs": 2}, "`steps` or `epochs`, not both"),
        ({"model": {"filter": [3]}}, "Did you mean 'filters'"),
        ({"test": "*"}, "12 of the 12 files"),
        ({"test": "nothing"}, "0 of the 12 files"),
        ({"test": "one/*"}, "none of one"),
        ({"data": DIGITS / "one"}, "one sub-folder of sound files per label"),
        ({"label_names": ("a", "b")}, "one name for each label"),
        (
            {
                "architecture": "wavegan",
                "model": {},
                "steps": None,
                "epochs": 1,
            },
            "architecture wavegan: `epochs`",
        ),
    ],
)
def test_wrong_options(tmp_path, changes, message):
    with pytest.raises((ValueError, AudioFolderError), match=message):
        run_training(options(tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


def test_epochs_are_turned_into_steps(tmp_path):
    text = describe_run(options(tmp_path / "run", steps=None, epochs=3))
    assert "steps                9" in text  # 9 files, 4 a step.
    assert "held out  3 of 12 files" in text
    assert not (tmp_path / "run").exists()


def test_the_command_of_a_run_can_be_typed_again(tmp_path):
    given = options(
        tmp_path,
        model={"dropout": 0.1, "filters": [4, 8]},
        label_names=["a", "b", "c"],
        balance=False,
    )
    model_class = get_architecture("digit_classifier")
    assert command_of(given.as_json(), model_class) == (
        "audiogan train digit_classifier DATA -o RUN --set dropout=0.1 "
        "--set 'filters=[4, 8]' --steps 4 --batch-size 4 "
        "--slice-length 2048 --mode pad --label-names a,b,c --no-balance "
        "--test '*/theo_*'"
    )


@pytest.mark.slow
def test_train_resume_and_info_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDIOGAN_DEBUG", raising=False)

    begin = ("train", "digit_classifier", DIGITS, "-o", "run")
    result = audiogan(
        *(*begin, "--steps", 2, "--batch-size", 4, "--slice-length", 2048),
        *("--set", "filters=[4,8]", "--test", "*/theo_*"),
    )
    assert result.exit_code == 0, result.output
    assert "Done: 2 steps. Hears" in result.stdout
    result = audiogan(*begin, "--resume")
    assert result.exit_code == 0, result.output
    result = audiogan("info", "run/preset")
    assert result.exit_code == 0, result.output
    assert "Balanced accuracy (%)" in result.stdout
    result = audiogan(*begin[:-1], "other", "--loss", "hinge")
    assert result.exit_code == 1
    assert "architecture digit_classifier: --loss" in result.stderr


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_learnt(tmp_path):
    command = [
        *(sys.executable, "-P", "-m", "keras_audiogan.cli", "train"),
        *("digit_classifier", str(DIGITS), "-o", "run", "--batch-size", "2"),
        *("--slice-length", "2048", "--set", "filters=[4]"),
        *("--steps", "1000000", "--precision", "float32"),
    ]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        for line in process.stderr:
            if line.startswith("step 1 of"):
                break
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate()
    assert process.returncode == 130, stderr
    assert "Stopped by SIGINT" in stdout and "--resume" in stdout
    assert list((tmp_path / "run" / "checkpoints").glob("step_*"))
    assert not (tmp_path / "run" / "preset").exists()


def test_a_run_is_pushed_and_loaded_from_the_hub(run, tmp_path):
    with HubServer({"hf_secret": User("me")}) as server:
        environment = {
            **os.environ,
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": "hf_secret",
        }
        audiogan = (sys.executable, "-P", "-m", "keras_audiogan.cli")
        for arguments in (
            ("push", str(run.folder), "hf://me/ears"),
            ("pull", "hf://me/ears", "-o", str(tmp_path / "ears")),
        ):
            subprocess.run([*audiogan, *arguments], env=environment, check=True)
    folders = (run.preset, tmp_path / "ears")
    mine, theirs = (saving.load_preset(folder) for folder in folders)
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 2048, 1))
    np.testing.assert_array_equal(
        mine.predict_logits(noise), theirs.predict_logits(noise)
    )


# Data


def test_every_tenth_file_of_each_label_is_held_out(tmp_path):
    for label, count in (("a", 21), ("b", 3), ("c", 1)):
        (tmp_path / label).mkdir()
        for index in range(count):
            path = tmp_path / label / f"{index:02d}.wav"
            soundfile.write(path, np.ones(90) * 0.1, 8000)
    whole = AudioFolder.scan(tmp_path)
    train, test = hold_out(whole)
    assert [entry.name for entry in test.files] == [
        *("a/00.wav", "a/10.wav", "a/20.wav", "b/00.wav"),
    ]
    assert train.num_files == 25 - 4
    assert train.labels == test.labels == ("a", "b", "c")


def test_what_was_skipped_is_told_once(tmp_path):
    shutil.copytree(DIGITS, tmp_path / "data")
    (tmp_path / "data" / "one" / "theo_bad.wav").write_bytes(b"RIFFxxxx")
    train, test = hold_out(AudioFolder.scan(tmp_path / "data"), "*/theo_*")
    assert [pathlib.Path(s.path).name for s in train.skipped] == [
        "theo_bad.wav"
    ]
    assert test.skipped == []


def test_folders_named_by_digit_are_named_in_words():
    folder = AudioFolder.scan(
        DIGITS, labels={"zero": "0", "one": "1", "two": "2"}
    )
    assert named(folder).labels == ("zero", "one", "two")
    assert named(folder, ["x", "y", "z"]).labels == ("x", "y", "z")
    assert named(AudioFolder.scan(DIGITS)).labels == ("one", "two", "zero")


def gtzan(folder, per_genre=3, seconds=1.0):
    """A small tree of GTZAN's shape: genres/blues/blues.00000.wav ..."""
    random = np.random.default_rng(0)
    for genre in ("blues", "jazz", "rock"):
        path = folder / "genres" / genre
        path.mkdir(parents=True)
        for index in range(per_genre):
            noise = random.normal(0, 0.1, round(seconds * 22050))
            soundfile.write(path / f"{genre}.{index:05d}.wav", noise, 22050)
    # As in GTZAN: a file that is no sound, among those that are.
    (folder / "genres" / "jazz" / "jazz.00054.wav").write_bytes(
        bytes(random.integers(0, 256, 4000, dtype=np.uint8))
    )
    (folder / "genres" / "._blues").write_bytes(b"left by an archive")


def test_gtzans_layout_loads_and_its_corrupt_file_is_told(tmp_path):
    gtzan(tmp_path)
    data = AudioFolder.scan(tmp_path)
    assert data.labels == ("blues", "jazz", "rock")
    assert data.class_counts == {"blues": 3, "jazz": 3, "rock": 3}
    assert data.rates == {22050: 9}
    (skipped,) = data.skipped
    assert skipped.path.endswith("jazz.00054.wav")
    assert "jazz.00054.wav" in data.report()


def test_a_classifier_is_trained_on_gtzans_layout(tmp_path, capsys):
    gtzan(tmp_path, seconds=2.0)
    result = run_training(
        options(
            tmp_path / "run",
            data=tmp_path / "genres",
            mode="auto",
            test=None,
            slice_length=8192,
            sampling_rate=11025,
            steps=2,
        )
    )
    assert "jazz.00054.wav" in capsys.readouterr().err
    record = saving.read_training(result.preset)
    assert record["data"]["num_files"] == 6
    assert record["data"]["num_skipped"] == 1
    # Long recordings are cut into slices; the verdict is on the recording.
    assert record["data"]["num_slices"] > 6
    assert record["metrics"]["test_accuracy"]["num_recordings"] == 3


# Augmentation


def test_augmentation_without_strength_only_places():
    clip = np.sin(np.arange(300.0))
    slice_ = augment_clip(clip, 512, 8000, NO_CHANGE, np.random.default_rng(0))
    np.testing.assert_allclose(slice_[:299], clip[:299], atol=1e-6)
    assert not slice_[300:].any()


@pytest.mark.parametrize("length", [1, 300, 512, 900])
def test_augmented_clips_have_the_slice_length_and_stay_in_range(length):
    random = np.random.default_rng(0)
    clip = random.uniform(-1, 1, length)
    for _ in range(20):
        slice_ = augment_clip(clip, 512, 8000, Augmentation(), random)
        assert slice_.shape == (512,)
        assert slice_.dtype == np.float32
        assert np.abs(slice_).max() < 1.2


def test_the_zeros_of_a_slice_are_not_part_of_its_clip():
    batch = np.zeros((2, 64, 2), "float32")
    batch[0, :20] = 0.5
    strength = Augmentation(0.0, 0.0, 1.0, 0.0, anywhere=1.0)
    found = set()
    for seed in range(50):
        random = np.random.default_rng(seed)
        changed = augment_batch(batch, 8000, strength, random)
        assert not changed[1].any()
        sounding = np.flatnonzero(changed[0, :, 0])
        assert len(sounding) == 19  # The last sample is interpolated away.
        found.add(sounding[0])
    assert len(found) > 10 and max(found) > 30


def test_a_feed_is_a_function_of_the_seed_and_the_step():
    def batches(seed, start):
        folder = AudioFolder.scan(DIGITS)
        data = AudioDataset(folder, 2048, 8000, seed=seed, labels=True)
        feed = classifier_feed(data, start)
        try:
            return [feed[0], feed[1]]
        finally:
            feed.close()

    first, second = batches(0, 0), batches(0, 1)
    np.testing.assert_array_equal(first[1][0], second[0][0])
    np.testing.assert_array_equal(first[1][1], second[0][1])
    assert (first[0][0] != batches(1, 0)[0][0]).any()
    assert (first[0][0] != first[1][0]).any()
