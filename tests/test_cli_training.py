"""`audiogan train` and `finetune`: their options reach the run, and it runs."""

import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest
from cli_support import audiogan

from keras_audiogan.cli import _training, finetune, train
from keras_audiogan.runs.options import CHANGEABLE, TrainingOptions
from keras_audiogan.training import losses, vocoder_objectives

pytestmark = pytest.mark.usefixtures("in_a_new_folder")

DIGITS = str(pathlib.Path(__file__).parent / "data" / "digits")
TINY = (
    *("--dim", "1", "--slice-length", "64", "--batch-size", "2"),
    *(
        "--discriminator-steps",
        "1",
        "--precision",
        "float32",
        "--num-previews",
        "1",
    ),
)


def test_every_option_of_a_training_has_a_flag():
    flags = {
        param.name
        for module in (train, finetune)
        for param in module.command.params
    }
    fields = {field.name for field in dataclasses.fields(TrainingOptions)}
    # `model` is given by --dim and --set, `grown_from` by --stages.
    assert fields - flags == {"model", "grown_from"}
    own = {"dry_run", "dim", "assignments", "stages", "frozen_steps"}
    assert flags - fields == own


def test_every_loss_can_be_asked_for():
    known = {*losses.LOSSES, *vocoder_objectives.OBJECTIVES}
    assert sorted(_training.LOSSES) == sorted(known)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("dim=16", ("dim", 16)),
        ("batch-norm=true", ("batch_norm", True)),
        ("upsampling=nearest", ("upsampling", "nearest")),
        ('critics=["spectral"]', ("critics", ["spectral"])),
    ],
)
def test_arguments_of_the_architecture_are_json_or_words(text, wanted):
    assert _training.Assignment().convert(text, None, None) == wanted


def test_dry_run_shows_data_and_options_and_writes_nothing(tmp_path):
    result = audiogan(
        *("train", "wavegan", DIGITS, "-o", "run", "--dry-run", *TINY),
        *("--set", "upsampling=nearest", "--exclude", "*_7.flac"),
        *("--hold-out", 0),
    )
    assert result.exit_code == 0, result.output
    for wanted in ("9 files", "one (3)", "{'upsampling': 'nearest', 'dim': 1}"):
        assert wanted in result.stdout
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_train_resume_and_finetune_from_the_command_line(tmp_path):
    begin = ("train", "wavegan", DIGITS, "-o", "run")
    result = audiogan(*begin, *TINY, "--steps", 2, "--seed", 5)
    assert result.exit_code == 0, result.output
    assert "Done: 2 steps" in result.stdout

    result = audiogan(*begin)
    assert result.exit_code == 1
    assert "not empty. Continue the run in it with --resume," in result.stderr

    result = audiogan(*begin, "--resume", "--steps", 3)
    assert result.exit_code == 0, result.output
    training = json.loads((tmp_path / "run/preset/training.json").read_text())
    assert (training["steps"], training["seed"]) == (3, 5)

    result = audiogan(*begin, "--resume", "--batch-size", 3)
    assert result.exit_code == 1
    assert "--batch-size 3 (the run has 2)" in result.stderr

    result = audiogan(
        *("finetune", "run", DIGITS, "-o", "more", "--steps", 1),
        *("--batch-size", 2, "--critic-steps", 1, "--precision", "float32"),
    )
    assert result.exit_code == 0, result.output
    result = audiogan("sample", "more", "-n", 1, "--seed", 0, "-o", "out")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "more_0_00.wav").is_file()


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (("--learning-rate", "2"), "--learning-rate"),
        (("--loss", "mse"), "--loss"),
        (("--steps", "0"), "--steps"),
        (("--overlap", "1"), "--overlap"),
        (("--level", "loud"), "--level"),
        (("--level", "-1"), "--level"),
        (("--set", "dim"), "--set"),
        (("--distribute", "magic"), "--distribute"),
        (("--slice-length", "100"), "--slice-length must be"),
        (("--set", "dmi=2"), "Did you mean 'dim'?"),
        (("--classifier", "nobody"), "No preset is called 'nobody'"),
        (("--evaluate-every", "5"), "--evaluate-every needs a --classifier"),
        (("--resume",), "no run to resume"),
        (("--include", "*.wav"), "left after choosing by name"),
    ],
)
def test_wrong_options_are_named_before_a_run_begins(flags, wanted, tmp_path):
    result = audiogan("train", "wavegan", DIGITS, "-o", "run", *flags)
    assert result.exit_code in (1, 2)
    assert wanted in result.stderr.partition("Error")[2]
    assert not (tmp_path / "run").exists()


def test_data_and_names_that_are_none_are_told(tmp_path):
    result = audiogan("train", "wavegan", "nowhere", "-o", "run")
    assert result.exit_code == 2
    assert "'nowhere' does not exist" in result.stderr

    (tmp_path / "empty").mkdir()
    result = audiogan("train", "wavegan", "empty", "-o", "run")
    assert result.exit_code == 1
    assert "No usable sound in" in result.stderr

    result = audiogan("train", "wavgan", DIGITS, "-o", "run")
    assert result.exit_code == 1
    assert "'wavegan'" in result.stderr

    result = audiogan("finetune", "nobody", DIGITS, "-o", "run")
    assert result.exit_code == 1
    assert "No preset is called 'nobody'" in result.stderr


@pytest.mark.slow
def test_ctrl_c_stops_a_real_training_and_keeps_it(tmp_path):
    command = (
        *(sys.executable, "-P", "-m", "keras_audiogan.cli", "train"),
        *("wavegan", DIGITS, "-o", "run", *TINY),
    )
    with subprocess.Popen(
        [*command, "--steps", "1000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ,
        text=True,
    ) as process:
        for line in process.stderr:
            if line.startswith("step 1 of"):
                break
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate()
    assert process.returncode == 130, stderr
    assert "Stopped by SIGINT" in stdout
    assert "--resume" in stdout
    assert "Traceback" not in stderr
    assert (tmp_path / "run" / "preset" / "config.json").is_file()


@pytest.mark.parametrize("command", [train.command, finetune.command])
def test_the_help_of_resume_names_what_may_change(command):
    (text,) = (p.help for p in command.params if p.name == "resume")
    named = re.findall(r"--([\w-]+)", text.partition(" (but of a")[0])
    assert named == ["output", *(x.replace("_", "-") for x in CHANGEABLE)]
