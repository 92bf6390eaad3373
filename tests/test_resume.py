import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from training_support import (
    DIGITS,
    TINY,
    assert_same_bits,
    resume_options,
    state,
    tiny_options,
)

from keras_audiogan.runs.run import run_training
from keras_audiogan.runs.run_log import read_log

STEPS = 90
# The uninterrupted run and the resumed one may make their previews and
# checkpoints at other steps: the weights must not depend on them.
EVERY = {"checkpoint_every": 3, "preview_every": 11, "log_every": 1}
POLL_SECONDS = 0.0005
PATIENCE_SECONDS = 240


class _Process:
    """`audiogan train` in a process of its own, as a user starts it."""

    def __init__(self, run, *options):
        self.run = run
        self._log = run.with_name("output.txt")
        command = [sys.executable, "-m", "keras_audiogan.cli", "train"]
        command += ["wavegan", str(DIGITS), "-o", str(run), *options]
        with open(self._log, "w") as log:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, "KERAS_BACKEND": "tensorflow"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()

    def text(self):
        return self._log.read_text()

    def until(self, condition):
        """Waits for a condition, but not for a process that has ended."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not (value := condition()):
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < end, self.text()
            time.sleep(POLL_SECONDS)
        return value

    def until_step(self, step):
        self.until(lambda: _last_step(self.run) >= step)

    def until_writing(self):
        """Stops the process while it writes a checkpoint."""

        def stopped():
            if not _leftovers(self.run):
                return False
            self.process.send_signal(signal.SIGSTOP)
            if _leftovers(self.run):
                return True
            self.process.send_signal(signal.SIGCONT)
            return False

        self.until(stopped)

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_SECONDS)


def _leftovers(run):
    return list((run / "checkpoints").glob(".step_*.saving"))


def _last_step(run):
    try:
        return max((entry["step"] for entry in read_log(run)), default=0)
    except FileNotFoundError:
        return 0


def _continued_at(text):
    match = re.search(r"Continuing at step (\d+) of", text)
    assert match, text
    return int(match[1])


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run = tmp_path_factory.mktemp("uninterrupted") / "run"
    result = run_training(
        tiny_options(run, steps=STEPS, checkpoint_every=4, preview_every=60)
    )
    assert result.step == STEPS and result.signal is None
    return run


def _kill_between_checkpoints(run):
    options = [f"--steps={STEPS}", "--dim=2"]
    options += ['--set=discriminators=["waveform"]']
    for name in ("slice_length", "batch_size", "loss", "precision", "seed"):
        options.append(f"--{name.replace('_', '-')}={TINY[name]}")
    for name, value in {**EVERY, "num_previews": 2}.items():
        options.append(f"--{name.replace('_', '-')}={value}")
    moment = random.randrange(2, 12)
    with _Process(run, *options) as training:
        training.until_step(moment)
        assert training.end(signal.SIGKILL) == -signal.SIGKILL


def _kill_while_writing(run):
    before = _last_step(run)
    with _Process(run, "--resume") as training:
        training.until_step(before + 2)
        training.until_writing()
        assert training.end(signal.SIGKILL) == -signal.SIGKILL
        assert _continued_at(training.text()) <= before
    assert _leftovers(run)


def _stop(run, number):
    before = _last_step(run)
    with _Process(run, "--resume") as training:
        training.until_step(before + 2)
        code = training.end(number)
        text = training.text()
    assert "Stopping after this step" in text
    name = signal.Signals(number).name
    match = re.search(rf"Stopped by {name} at step (\d+) of {STEPS}", text)
    assert match, text
    assert "--resume" in text[match.start() :]
    # Nothing is lost: the step that it names is the one it goes on from.
    assert (run / "checkpoints" / f"step_{int(match[1]):08d}").is_dir()
    return code, int(match[1]), text


@pytest.mark.slow
def test_a_killed_and_stopped_run_ends_as_if_it_never_was(
    uninterrupted, tmp_path, capsys
):
    run = tmp_path / "run"
    _kill_between_checkpoints(run)
    _kill_while_writing(run)
    code, _, text = _stop(run, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM == 143
    assert "writing was interrupted; removed" in text
    code, step, _ = _stop(run, signal.SIGINT)
    assert code == 128 + signal.SIGINT == 130
    assert not _leftovers(run)
    result = run_training(resume_options(run))
    assert _continued_at(capsys.readouterr().err) == step
    assert result.step == STEPS
    assert_same_bits(state(run, STEPS), state(uninterrupted, STEPS))
    # No step stands in the log twice, and none is missing.
    logged = [entry["step"] for entry in read_log(run)]
    assert logged == list(range(1, STEPS + 1))


@pytest.mark.slow
def test_torn_checkpoints_are_reported_and_passed_over(
    uninterrupted, tmp_path, capsys
):
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    kept = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert kept == [f"step_{step:08d}" for step in (84, 88, 90)]
    newest, second = (
        run / "checkpoints" / name / "state.safetensors" for name in kept[:0:-1]
    )
    os.truncate(newest, newest.stat().st_size // 2)
    with open(second, "r+b") as file:
        file.seek(-100, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-100, os.SEEK_END)
        file.write(bytes([byte ^ 1]))
    run_training(resume_options(run))
    said = capsys.readouterr().err
    assert re.search(r"step_00000090: torn: .*passed over", said)
    assert re.search(r"step_00000088: damaged: .*passed over", said)
    assert _continued_at(said) == 84
    assert_same_bits(state(run, STEPS), state(uninterrupted, STEPS))


@pytest.mark.slow
def test_without_a_sound_checkpoint_it_begins_again(
    uninterrupted, tmp_path, capsys
):
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    for folder in (run / "checkpoints").iterdir():
        (folder / "checkpoint.json").write_text('{"format_version": 1')
    run_training(resume_options(run, checkpoint_every=45))
    said = capsys.readouterr().err
    assert said.count("checkpoint.json is not whole") == 3
    assert _continued_at(said) == 0
    assert_same_bits(state(run, STEPS), state(uninterrupted, STEPS))


@pytest.mark.slow
@pytest.mark.backends
def test_a_run_is_resumed_on_every_backend(tmp_path, capsys):
    short = {"checkpoint_every": 2, "preview_every": 3, "log_every": 1}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run_training(tiny_options(whole, steps=4, **short), quiet=True)
    run_training(tiny_options(parts, steps=2, **short), quiet=True)
    result = run_training(resume_options(parts, steps=4), quiet=True)
    assert _continued_at(capsys.readouterr().err) == 2
    assert result.step == 4
    actual, expected = state(parts, 4), state(whole, 4)
    assert actual.keys() == expected.keys()
    for name, array in actual.items():
        assert array == pytest.approx(expected[name], abs=1e-5), name
    assert [entry["step"] for entry in read_log(parts)] == [1, 2, 3, 4]
