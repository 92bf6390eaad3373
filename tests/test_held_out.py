"""Runs hold files out, and what is measured on files they heard says so."""

import json

import numpy as np
import pytest
import soundfile
from cli_support import audiogan
from training_support import DIGITS, tiny_options

from keras_audiogan import zoo
from keras_audiogan.data import AudioFolder, TestFiles, heard, hold_out
from keras_audiogan.runs.plan import make_plan
from keras_audiogan.runs.run import run_training


def write(folder, numbers, name="{}.wav"):
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        wave = np.random.default_rng(number).uniform(-0.5, 0.5, 300)
        soundfile.write(folder / name.format(number), wave, 8000)


def prints(folder):
    return {heard.fingerprint(entry) for entry in folder.files}


def test_the_same_files_are_held_out_when_others_come(tmp_path):
    write(tmp_path / "few", range(60))
    write(tmp_path / "many" / "below", range(140), "take {}.wav")
    few, many = (
        [prints(part) for part in hold_out(AudioFolder.scan(folder), 0.1)]
        for folder in (tmp_path / "few", tmp_path / "many")
    )
    assert 2 <= len(few[1]) <= 12 and 7 <= len(many[1]) <= 24
    assert few[0] < many[0] and few[1] < many[1]
    assert not few[0] & few[1]


@pytest.mark.parametrize("count", range(1, 10))
def test_little_folders(tmp_path, count):
    for label in ("kick", "snare"):
        first = 100 * len(label)
        write(tmp_path / label, range(first, first + count))
    train, test = hold_out(AudioFolder.scan(tmp_path), 0.1)
    assert sum(train.class_counts.values()) == 2 * count - test.num_files
    for numbers in (train.class_counts, test.class_counts):
        least = 1 if count > 1 or numbers == train.class_counts else 0
        assert min(numbers.values()) >= least
    if count == 1:
        assert not test.num_files


def test_a_sound_that_is_there_twice_is_on_one_side(tmp_path):
    write(tmp_path, range(30))
    write(tmp_path, range(30), "copy of {}.wav")
    train, test = hold_out(AudioFolder.scan(tmp_path), 0.1)
    assert test.num_files and not prints(train) & prints(test)
    assert {x.name[-5:] for x in test.files if x.name[0] == "c"}


def test_files_of_one_size_that_differ_in_the_middle_are_two(tmp_path):
    for number in (1, 2):
        wave = np.zeros(40000)
        wave[20000:30000] = 0.1 * number
        soundfile.write(tmp_path / f"{number}.wav", wave, 8000)
    assert len(prints(AudioFolder.scan(tmp_path))) == 2


def test_a_run_holds_out_a_tenth_unless_told_otherwise(tmp_path):
    plan = make_plan(tiny_options(tmp_path / "run"))
    assert min(plan.held_out.class_counts.values()) >= 1
    total = plan.dataset.folder.num_files + plan.held_out.num_files
    assert total == 12
    text = plan.describe()
    assert f"held out  {plan.held_out.num_files} of 12 files" in text
    assert "--hold-out 0" in text
    plan = make_plan(tiny_options(tmp_path / "run", hold_out=0))
    assert plan.dataset.folder.num_files == 12
    assert "held out  nothing: every file is trained on" in plan.describe()
    plan = make_plan(tiny_options(tmp_path / "run", test="*/theo*"))
    assert {x.name[-11:] for x in plan.held_out.files} == {"theo_7.flac"}
    with pytest.raises(ValueError, match="leave `hold_out` out"):
        make_plan(tiny_options(tmp_path, test="tenth", hold_out=0.1))
    one = DIGITS / "zero" / "theo_7.flac"
    plan = make_plan(tiny_options(tmp_path / "run", data=one))
    assert "nothing: there is no second file" in plan.describe()


def test_a_classifier_must_hold_out(tmp_path):
    options = {
        "architecture": "digit_classifier",
        **dict.fromkeys(("model", "loss", "num_previews")),
        "slice_length": 2048,
    }
    plan = make_plan(tiny_options(tmp_path / "run", **options))
    assert (plan.options["test"], plan.options["hold_out"]) == ("tenth", None)
    assert plan.held_out.num_files == 3
    plan = make_plan(tiny_options(tmp_path / "run", **options, hold_out=0.1))
    assert plan.options["test"] is None and plan.held_out.num_files >= 3
    with pytest.raises(ValueError, match="tested on what is held out"):
        make_plan(tiny_options(tmp_path / "run", **options, hold_out=0))


def test_what_was_heard_is_known_by_its_content(tmp_path):
    write(tmp_path, range(12))
    folder = AudioFolder.scan(tmp_path)
    train, test = folder.subset(range(8)), folder.subset(range(8, 12))
    own = heard.heard_record(train, test)
    # Of an earlier preset, which heard one of those held out.
    earlier = heard.heard_record(folder.subset([9]), folder.subset([10]))
    earlier["heard_by"] = "the preset old, before"

    def tested(*data, part=test, chosen=""):
        return TestFiles.of(train, part, data, chosen)

    assert tested(own).status == "held out"
    assert tested(own).brief == "not heard in training"
    assert tested(own, part=folder.subset([0, 8])).num_heard == 1
    both = tested(own, earlier)
    assert (both.status, both.brief) == ("heard", "1 of 4 heard in training")
    assert str(both).startswith("SEEN: training heard 1 of the 4 test files")
    assert heard.known_held_out(folder, [own, earlier]).nonzero()[
        0
    ].tolist() == [*(8, 10, 11)]
    # Presets of older versions have a hash of all that they heard.
    assert tested({"hash": train.content_hash}).status == "held out"
    assert tested({"hash": folder.content_hash}).num_heard == 4
    for data in ([], [{"hash": "other"}], [{"name": "x"}]):
        assert str(tested(*data)).startswith("UNKNOWN: the preset does")
        named = tested(*data, chosen="chosen by name")
        assert named.status == "unknown" and "by name" in named.brief
    unknown = {"hash": "other", "heard_by": "the preset old, before"}
    assert tested(own, unknown).brief == (
        "not heard in training, not known of the preset old"
    )


def test_the_record_of_many_files_stays_small(tmp_path):
    entries = [{"heard_files": "a" * 150_000, "name": n} for n in range(4)]
    kept = heard.within_bounds(entries)
    assert ["heard_files" in entry for entry in kept] == [True] * 2 + [
        False
    ] * 2


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = tmp_path_factory.mktemp("run") / "run"
    run_training(tiny_options(run, steps=1), quiet=True)
    return run


def _evaluate(run, *options):
    done = audiogan(
        *("evaluate", run, "--data", DIGITS, "-n", 20),
        *("--classifier", "none", *options),
    )
    assert done.exit_code == 0, done.output
    return done.output


def test_evaluate_takes_what_the_run_held_out(run, tmp_path):
    held_out = json.loads((run / "data.json").read_text())["held_out"]
    note = f"Training heard none of the {len(held_out)} test files."
    assert note in _evaluate(run, "--save")
    record = json.loads((run / "preset" / "training.json").read_text())
    assert record["data"]["num_held_out"] == len(held_out)
    assert record["recipe"]["trim"] == -60.0
    assert record["recipe"]["hold_out"] == 0.1
    for entry in record["metrics"].values():
        assert entry["test_files"] == "not heard in training"
    card = (run / "preset" / "README.md").read_text()
    assert "test files: not heard in training" in card
    assert "Files held out" in card and "heard_files" not in card
    assert record["data"]["heard_files"] not in card


def test_figures_of_files_that_were_heard_say_so(run, tmp_path):
    held_out = json.loads((run / "data.json").read_text())["held_out"]
    names = {entry.name for entry in AudioFolder.scan(DIGITS).files}
    heard_name = sorted(names - set(held_out))[0]
    page = tmp_path / "page.html"
    text = _evaluate(run, "--test", heard_name, "--save", "--report", page)
    assert "SEEN: training heard 1 of the 1 test file." in text
    assert "SEEN: training heard 1 of" in page.read_text()
    record = zoo.preset_info(str(run))
    training = json.loads((run / "preset" / "training.json").read_text())
    brief = {x["test_files"] for x in training["metrics"].values()}
    assert brief == {"1 of 1 heard in training"} and record
    card = (run / "preset" / "README.md").read_text()
    assert "test files: 1 of 1 heard in training" in card
