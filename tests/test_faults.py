"""Faults of the machine: full disks, closed terminals, two at one run."""

import contextlib
import errno
import os
import pty
import signal
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from cli_support import audiogan
from fault_support import largest_file
from preset_support import tiny_gan
from training_support import DIGITS, resume_options, tiny_options

from keras_audiogan import vocoding
from keras_audiogan.audio import AudioFileError, write_audio
from keras_audiogan.presets.atomic_folder import (
    AppendedFile,
    write_json,
    write_text,
)
from keras_audiogan.runs import run_training
from keras_audiogan.runs.checkpoints import CheckpointFolder
from keras_audiogan.runs.interrupts import StopOnSignal
from keras_audiogan.runs.run_lock import LOCK_FILE, RunInUseError, run_lock
from keras_audiogan.runs.run_log import EventLog, RunLog, read_log
from keras_audiogan.saving import save_preset

TRAIN = [
    *(sys.executable, "-P", "-m", "keras_audiogan.cli", "train", "wavegan"),
    *(str(DIGITS), "--slice-length=256", "--dim=2", "--batch-size=4"),
    *("--loss=relativistic", '--set=discriminators=["waveform"]'),
    *("--num-previews=2", "--log-every=1", "--steps=100000"),
]


@pytest.fixture
def full_disk(tmp_path):
    """A disk of 300 KiB, for those who may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("There is no `mount`.")
    if done.returncode:
        pytest.skip(f"No disk can be mounted: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def all_files(folder):
    """Every file below a folder, hidden ones included."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    )


def said(result):
    """The one line that a command left on stderr."""
    assert result.exit_code == 1
    (line,) = result.stderr.strip().splitlines()
    return line


# A full disk.


@pytest.mark.parametrize("kind", "wav flac ogg opus mp3 aiff".split())
def test_a_sound_that_finds_no_room_is_not_there(kind, tmp_path):
    noise = np.random.default_rng(0).uniform(-1, 1, 100_000)
    file = tmp_path / f"x.{kind}"
    with largest_file(4096), pytest.raises(AudioFileError) as caught:
        write_audio(file, noise, 24000)
    assert caught.value.__cause__.errno == errno.EFBIG
    assert os.strerror(errno.EFBIG) in str(caught.value)
    assert all_files(tmp_path) == []
    write_audio(file, noise, 24000)
    assert all_files(tmp_path) == [file.name]


def test_files_of_text_are_whole_or_as_they_were(tmp_path):
    file = tmp_path / "x.json"
    write_json(file, [1])
    for write in (
        lambda: write_json(file, "x" * 5000),
        lambda: write_text(file, "x" * 5000),
    ):
        with largest_file(4096), pytest.raises(OSError, match="x.json"):
            write()
    assert all_files(tmp_path) == ["x.json"]
    assert file.read_text() == "[\n  1\n]\n"


def test_a_file_grows_by_whole_lines(tmp_path):
    file = tmp_path / "log"
    with AppendedFile(file) as lines:
        with largest_file(4096), pytest.raises(OSError, match="log") as caught:
            for _ in range(100):
                assert lines.write("x" * 99 + "\n") == 100
        assert caught.value.errno == errno.EFBIG
        assert file.read_text() == ("x" * 99 + "\n") * 40
        lines.write("ä\n")
    assert file.read_bytes()[-4:] == b"\n\xc3\xa4\n"


def test_logs_end_with_a_whole_entry(tmp_path):
    log = RunLog(tmp_path, tensorboard=False)
    log.open()
    with largest_file(4096), pytest.raises(OSError, match="log.jsonl"):
        for _ in range(100):
            log.event("alarm", "x" * 50)
    log.close()
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert len(read_log(tmp_path)) == len(lines) > 30

    events = EventLog(tmp_path / "events")
    (file,) = (tmp_path / "events").iterdir()
    with largest_file(4096), pytest.raises(OSError, match="tfevents"):
        for step in range(100):
            events.text(step, "x", "x" * 50)
            size = file.stat().st_size
    events.close()
    assert file.stat().st_size == size


def test_a_preset_that_finds_no_room_leaves_the_older(tmp_path):
    preset = tmp_path / "preset"
    save_preset(tiny_gan(), preset)
    before = {path: path.read_bytes() for path in preset.iterdir()}
    with largest_file(512), pytest.raises(OSError, match="preset") as caught:
        save_preset(tiny_gan(seed=1), preset)
    assert caught.value.filename == str(preset)
    assert {path: path.read_bytes() for path in preset.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["preset"]


def test_a_checkpoint_that_finds_no_room_leaves_the_older(tmp_path):
    gan = tiny_gan()
    gan.compile(loss="relativistic")
    checkpoints = CheckpointFolder(tmp_path / "checkpoints")
    checkpoints.save(gan, 1)
    with largest_file(512), pytest.raises(OSError, match="step_") as caught:
        checkpoints.save(gan, 2)
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(checkpoints.path_of(2))
    assert checkpoints.restore(gan).step == 1
    names = [path.name for path in checkpoints.path.iterdir()]
    assert names == ["step_00000001"]


def test_room_for_mels_is_there_before_it_is_mapped(monkeypatch, tmp_path):
    monkeypatch.setattr(vocoding, "_MOST_MEL_BYTES", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with vocoding._room(30, 4) as mels:
        mels[:] = 1.0
        assert mels.shape == (30, 4)
    with (
        largest_file(4096),
        pytest.raises(OSError) as caught,
        vocoding._room(3000, 80),
    ):
        pass
    assert caught.value.filename == str(tmp_path)
    assert caught.value.errno == errno.EFBIG
    # As where Python has no posix_fallocate.
    monkeypatch.delattr(os, "posix_fallocate")
    with vocoding._room(30, 4) as mels:
        assert mels.sum() == 0.0
    with largest_file(4096), pytest.raises(OSError), vocoding._room(3000, 80):
        pass


def test_sample_on_a_full_disk(full_disk, in_a_new_folder, tmp_path):
    save_preset(tiny_gan(slice_length=8192), tmp_path / "tiny")
    out = full_disk / "out"
    arguments = ("sample", "./tiny", "-o", out, "--seed", 0, "--no-plot")
    line = said(audiogan(*arguments, "-n", 100))
    assert line.startswith("Error: The disk is full while writing ")
    assert "--output" in line
    made = [f"tiny_0_{index:02}.wav" for index in range(100)]
    rows = (out / "tiny_0.csv").read_text().splitlines()[1:]
    written = [row.partition(",")[0] for row in rows]
    assert 10 < len(written) < 20
    assert written == made[: len(written)]
    assert {*all_files(out)} - {*written} <= {"tiny_0.csv", made[len(written)]}
    for name in written[-2:]:
        (out / name).unlink()
    result = audiogan(*arguments, "-n", 2)
    assert result.exit_code == 0, result.stderr
    assert (out / "tiny_0.csv").read_text().splitlines()[1:] == rows[:-2]


@pytest.mark.slow
def test_a_training_run_on_a_full_disk(full_disk, in_a_new_folder, tmp_path):
    run = full_disk / "run"
    arguments = ("train", "wavegan", DIGITS, "-o", run)
    result = audiogan(
        *arguments, "--slice-length", 256, "--dim", 2, "--batch-size", 4,
        "--loss", "relativistic", "--set", 'discriminators=["waveform"]',
        "--num-previews", 2, "--checkpoint-every", 1, "--keep-checkpoints", 99,
        "--preview-every", 99, "--steps", 60,
    )  # fmt: skip
    assert result.exit_code == 1
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith("Error: The disk is full while writing ")
    assert [p.name for p in full_disk.rglob(".*")] == []
    steps = CheckpointFolder(run / "checkpoints").steps()
    assert len(steps) >= 2
    for path in (run / "checkpoints").iterdir():
        assert all_files(path) == ["checkpoint.json", "state.safetensors"]
    assert not (run / LOCK_FILE).exists()


# Signals.


@pytest.mark.slow
def test_sighup_saves_as_sigterm_does(tmp_path):
    """The terminal is closed: two SIGHUPs, and no more writing to it."""
    run = tmp_path / "run"
    pid, terminal = pty.fork()
    if pid == 0:
        # Tests that `nohup` started would hand down that it is ignored.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.execv(sys.executable, [*TRAIN, f"--output={run}"])
    while b"step 2" not in os.read(terminal, 4096).replace(b"\x1b", b""):
        pass
    os.close(terminal)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGHUP)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    (step,) = CheckpointFolder(run / "checkpoints").steps()
    assert step >= 2
    assert (run / "preset" / "config.json").is_file()
    assert not (run / LOCK_FILE).exists()


@pytest.mark.parametrize("ignored", [False, True])
def test_an_ignored_sighup_stays_ignored(ignored):
    before = signal.signal(
        signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL
    )
    gan, stop = tiny_gan(), StopOnSignal()
    stop.set_model(gan)
    gan.stop_training = False
    try:
        stop.on_train_begin()
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        stop.on_train_batch_end(0)
        assert gan.stop_training != ignored
        assert stop.signal == (None if ignored else signal.SIGHUP)
    finally:
        stop.restore()
        assert signal.signal(signal.SIGHUP, before) == (
            signal.SIG_IGN if ignored else signal.SIG_DFL
        )


# One run folder, one process.

HOLD = """
import pathlib, sys
from keras_audiogan.runs.run_lock import run_lock
with run_lock(pathlib.Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_a_run_folder_has_one_process(tmp_path):
    run = tmp_path / "runs" / "run"
    command = [sys.executable, "-c", HOLD, str(run)]
    owner = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout.readline() == "mine\n"
        for options in (tiny_options(run), resume_options(run)):
            with pytest.raises(RunInUseError, match=f"process {owner.pid} on"):
                run_training(options)
        with pytest.raises(RunInUseError, match="since 2"), run_lock(run):
            pass
        owner.kill()
    # Its file is still there, and says nothing of whether it lives.
    assert str(owner.pid) in (run / LOCK_FILE).read_text()
    result = run_training(tiny_options(run, steps=1), quiet=True)
    assert result.step == 1
    assert not (run / LOCK_FILE).exists()


def test_a_start_that_fails_leaves_no_folder(tmp_path):
    with pytest.raises(ZeroDivisionError), run_lock(tmp_path / "a" / "b"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
