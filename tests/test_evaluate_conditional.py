"""`audiogan evaluate` of presets that are told what to say."""

import json
import pathlib
import shutil

import architecture_cases as cases
import numpy as np
import pytest
from cli_support import audiogan

from keras_audiogan import metrics, saving, zoo
from keras_audiogan.cli import _evaluation
from keras_audiogan.data import AudioFolder, with_labels
from keras_audiogan.runs.augmentation_study import (
    LabelledAudio,
    augmentation_study,
    format_study,
    study_for_card,
)

DIGITS = pathlib.Path(__file__).parent / "data" / "digits"


@pytest.fixture(autouse=True)
def in_a_new_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("AUDIOGAN_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)


def words(**options):
    return cases.build(
        "projection_wavegan",
        **{
            "labels": ["zero", "one"],
            "slice_length": 1024,
            "sampling_rate": 4096,
            **options,
        },
    )


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words") / "words"
    words().save_to_preset(folder, training={"data": {"name": "digits"}})
    return folder


@pytest.fixture
def many(tmp_path):
    """Twelve files of each of three words, in folders named by digit."""
    for digit, word in enumerate(("zero", "one", "two")):
        folder = tmp_path / "many" / str(digit)
        folder.mkdir(parents=True)
        for copy in range(3):
            for file in sorted((DIGITS / word).iterdir()):
                shutil.copy(file, folder / f"{copy}_{file.name}")
    return tmp_path / "many"


@pytest.mark.slow
def test_labels_are_asked_for_evenly_and_scored(preset, many, tmp_path):
    shutil.copytree(preset, "mine")
    command = ("evaluate", "mine", "--data", many, "--test", "*/0_*")
    result = audiogan(*command, "-n", 21, "--json", "--save")
    assert result.exit_code == 0, result.output
    assert "zero, one (24 of 36 files)" in result.stderr
    report = json.loads(result.stdout)
    assert report["classifier_preset"] == "word_classifier"
    assert report["num_real_train"] == 2 * report["num_real_test"] >= 16
    confusion = np.array(report["confusion"]["generated"])
    assert confusion.sum(axis=1).tolist() == [11, 10]
    comb = report["figures"]["comb"]
    # Steps of 16 and 64 samples at 4,096 Hz; of 4, they are too fast.
    assert comb["generated"]["at"] in ("256 Hz", "64 Hz")
    assert comb["real_test"]["at"] == comb["generated"]["at"]
    accuracy = report["figures"]["label_accuracy"]
    assert accuracy["generated"]["value"] == np.trace(confusion) / 21
    assert accuracy["real_test"]["value"] > 0
    assert {"low", "high"} <= accuracy["generated"].keys()
    for name in ("precision", "recall", "density", "coverage"):
        assert report["figures"][name]["generated"] is not None
    # By hand: the same clips, the same classifier.
    gan = saving.load_preset("mine")
    classifier = zoo.from_preset("word_classifier")
    heard = classifier.predict_labels(gan.sample(21, seed=0))
    wanted = [("zero", "one")[i % 2] for i in range(21)]
    assert accuracy["generated"]["value"] == pytest.approx(
        np.mean([a == b for a, b in zip(heard, wanted, strict=True)])
    )
    kept = saving.read_training(pathlib.Path("mine"))["metrics"]
    assert kept["label_accuracy"]["value"] == accuracy["generated"]["value"]
    assert kept["confusion"]["value"] == confusion.tolist()
    card = pathlib.Path("mine/README.md").read_text()
    assert "| Label accuracy (%) |" in card


@pytest.mark.slow
def test_the_table_shows_what_was_heard_of_each_label(preset, many):
    result = audiogan(
        *("evaluate", preset, "--data", many, "--test", "*/0_*"),
        *("-n", 20, "--report", "report.html", "--ask", "as-data"),
    )
    assert result.exit_code == 0, result.output
    assert "Labels asked for, and how often each was heard:" in result.stdout
    assert "Label accuracy (%)" in result.stdout
    page = pathlib.Path("report.html").read_text()
    assert "sample 0: " in page and "_5.flac" in page


def test_data_without_the_presets_labels_is_refused(preset, tmp_path):
    for name in ("cat", "dog"):
        shutil.copytree(DIGITS / "one", tmp_path / "animals" / name)
    result = audiogan("evaluate", preset, "--data", "animals", "-n", 20)
    assert result.exit_code == 2
    assert "folder for each label of the preset, zero, one" in result.stderr
    assert "cat, dog" in result.stderr


def test_ask_as_data_is_for_conditional_presets(tmp_path):
    cases.build("wavegan", slice_length=1024).save_to_preset(tmp_path / "plain")
    result = audiogan(
        *("evaluate", "plain", "--data", DIGITS, "-n", 20),
        *("--test", "*_[67].flac", "--ask", "as-data"),
    )
    assert result.exit_code == 2
    assert "--ask as-data is for a conditional preset" in result.stderr


def test_labels_are_asked_for_as_often_as_the_data_has_them():
    gan = words(labels=["zero", "one", "two"])
    real = _evaluation.RealClips(
        np.zeros((8, 4, 1)), np.array([0] * 6 + [1, 1]), [], ("one", "two")
    )
    asked = _evaluation.as_often(real, gan, 100)
    assert np.bincount(asked, minlength=3).tolist() == [0, 75, 25]
    names = _evaluation.labels_asked(gan, 100, asked)
    assert names[:3] == [gan.labels[i] for i in asked[:3]]


@pytest.mark.parametrize(
    ("rate", "labels", "wanted"),
    [
        (4096, ["zero", "one"], "word_classifier"),
        (4096, ["one"], "word_classifier"),
        (8000, ["zero", "one"], "digit_classifier"),
        (8000, ["zero", "cat"], None),
        (44100, ["zero", "one"], None),
    ],
)
def test_the_bundled_classifier_knows_the_labels_at_the_rate(
    rate, labels, wanted
):
    config = {"sampling_rate": rate, "labels": labels}
    assert _evaluation.choose_classifier("auto", config, None) == wanted
    assert _evaluation.choose_classifier("none", config, None) is None


def test_targets_are_in_the_classifiers_order():
    gan, classifier = words(), zoo.from_preset("digit_classifier")
    assert metrics.targets_of(gan, classifier, 3).tolist() == [0, 1, 0]
    assert metrics.targets_of(gan, classifier, 3, ["one"]).tolist() == [1, 1, 1]
    unknown = words(labels=["zero", "cat"])
    assert metrics.targets_of(unknown, classifier, 3) is None
    assert metrics.targets_of(words(), None, 3) is None
    plain = cases.build("wavegan")
    assert metrics.targets_of(plain, classifier, 3) is None


def test_folders_named_by_digit_belong_to_words(many):
    folder = AudioFolder.scan(many)
    chosen = with_labels(folder, ("one", "zero", "nine"))
    assert chosen.labels == ("one", "zero")
    assert chosen.class_counts == {"one": 12, "zero": 12}
    first = chosen.files[0]
    assert (first.name.split("/")[0], first.label) == ("0", 1)
    assert with_labels(folder, ("cat",)).num_files == 0


# Does generated sound help a classifier?


def tone_clips(count, seed, labels=(0, 1)):
    random = np.random.default_rng(seed)
    targets = np.resize(labels, count)
    frequencies = np.where(targets, 1500, 300) * random.uniform(0.9, 1.1, count)
    time = np.arange(1024) / 4096
    audio = np.sin(2 * np.pi * frequencies[:, np.newaxis] * time)
    return LabelledAudio(audio[..., np.newaxis].astype("float32"), targets)


@pytest.mark.slow
def test_a_study_tells_good_generated_sound_from_bad():
    real, test = tone_clips(16, 0), tone_clips(24, 1)
    good = tone_clips(16, 2)
    wrong = LabelledAudio(good.audio, 1 - good.labels)
    steps = []
    options = {"epochs": 10, "num_runs": 1, "batch_size": 8}
    report = augmentation_study(
        real,
        wrong,
        test,
        ("low", "high"),
        4096,
        num_resamples=50,
        on_step=lambda: steps.append(1),
        **options,
    )
    assert len(steps) == 3 * report["steps"] == 3 * 2 * 10
    first, both, generated = report["rows"]
    assert [row["num_clips"] for row in report["rows"]] == [16, 32, 16]
    assert first["accuracy"]["value"] > 0.6
    assert first["difference"] is None
    assert generated["accuracy"]["value"] < 0.4
    assert generated["difference"]["value"] == pytest.approx(
        generated["accuracy"]["value"] - first["accuracy"]["value"]
    )
    assert generated["difference"]["high"] < 0
    assert np.sum(both["confusion"]) == 24
    table = format_study(report)
    assert "real and generated" in table and "24 real test clips" in table
    saved = study_for_card(report)
    assert (
        saved["accuracy_trained_on_generated"]["value"]
        == (generated["accuracy"]["value"])
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "wavegan"}, "must be a classifier's"),
        ({"epochs": 0}, "epochs=0"),
        ({"num_runs": 0}, "num_runs=0"),
    ],
)
def test_wrong_options_of_a_study(changes, message):
    clips = tone_clips(4, 0)
    with pytest.raises(ValueError, match=message):
        augmentation_study(clips, clips, clips, ("a", "b"), 4096, **changes)


@pytest.mark.slow
def test_the_study_from_the_command_line(preset, many, tmp_path):
    shutil.copytree(preset, "mine")
    result = audiogan(
        *("evaluate", "mine", "--data", many, "--test", "*/0_*", "--save"),
        *("--augmentation-study", "--epochs", 1, "--runs", 1),
    )
    assert result.exit_code == 0, result.output
    # The first says which files are tested on.
    lines = result.stdout.splitlines()[1:]
    assert "digit_classifier, 1 steps of 64 clips" in lines[0]
    assert [line.split("  ")[0] for line in lines[2:]] == [
        *("real", "real and generated", "generated"),
    ]
    kept = saving.read_training(pathlib.Path("mine"))["metrics"]
    entry = kept["accuracy_trained_on_real_and_generated"]
    assert 0 <= entry["low"] <= entry["value"] <= entry["high"] <= 1
    assert "--augmentation-study" in entry["command"]


def test_the_study_needs_labels(tmp_path):
    cases.build("wavegan", slice_length=1024).save_to_preset(tmp_path / "plain")
    result = audiogan(
        *("evaluate", "plain", "--data", DIGITS, "--augmentation-study"),
    )
    assert result.exit_code == 2
    assert "choose a conditional preset" in result.stderr
