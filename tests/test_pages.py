"""What the pages tell people to type works, in the order they say it."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import mido
import numpy as np
import pytest
from hub_server import HubServer, User
from page_worker import blocks, commands

from keras_audiogan.audio import read_audio, write_audio

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
TOKEN = "hf_secret"


@pytest.fixture
def folder(tmp_path):
    """What a reader has: labelled sounds, digits, and a sound to vocode."""
    rng = np.random.default_rng(0)
    for name in ("zero", "one"):
        sources = sorted((HERE / "data" / "digits" / name).iterdir())
        for take in range(120):
            audio, rate = read_audio(sources[take % len(sources)])
            audio = np.roll(audio, 7 * take) * rng.uniform(0.5, 0.9)
            write_audio(
                tmp_path / "my_sounds" / name / f"{take}.wav", audio, rate
            )
    shutil.copytree(HERE / "data" / "digits", tmp_path / "fsdd")
    audio, rate = read_audio(tmp_path / "my_sounds" / "zero" / "0.wav")
    write_audio(tmp_path / "speech.wav", np.tile(audio, (4, 1)), rate)
    for take in range(2):
        both = rng.uniform(-0.5, 0.5, (4096, 2)).astype("float32")
        write_audio(tmp_path / "piano" / f"{take}.wav", both, 16000)
    song = mido.MidiFile()
    song.tracks.append(mido.MidiTrack())
    for pitch in (60, 67, 48):
        for kind in ("note_on", "note_off"):
            song.tracks[0].append(mido.Message(kind, note=pitch, time=240))
    song.save(tmp_path / "song.mid")
    return tmp_path


@pytest.mark.slow
def test_the_readme_runs_from_its_first_block_to_its_last(folder):
    page = ROOT / "README.md"
    original = HERE / "data" / "vocoders" / "hifigan_resblock2"
    with HubServer({TOKEN: User("me")}) as hub:
        hub.add_repo(
            "espnet/some_vocoder",
            {path.name: path.read_bytes() for path in original.iterdir()},
        )
        done = subprocess.run(
            [sys.executable, HERE / "page_worker.py", page],
            cwd=folder,
            env={
                **os.environ,
                "HF_ENDPOINT": hub.url,
                "HF_TOKEN": TOKEN,
                "HF_HOME": str(folder / "hf"),
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                "KERAS_BACKEND": "tensorflow",
                "TF_CPP_MIN_LOG_LEVEL": "3",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr}"
        assert (
            "generator.safetensors" in hub.repos["me/my_gan"].history()[0].tree
        )
    ran = [
        json.loads(line)["ran"]
        for line in done.stdout.splitlines()
        if line.startswith('{"ran"')
    ]
    wanted = [
        text
        for language, code in blocks(page)
        for text in ([code] if language == "python" else commands(code))
    ]
    assert ran == wanted and len(ran) > 15


def test_the_make_targets_of_the_pages_exist():
    known = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    for name in ("README.md", "CONTRIBUTING.md"):
        for _, code in blocks(ROOT / name):
            assert set(re.findall(r"^make (\w+)", code, re.M)) <= set(known)


def test_the_scripts_of_the_pages_exist():
    for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md"):
        text = (ROOT / name).read_text("utf-8")
        for script in re.findall(r"python (\S+\.py)", text):
            assert (ROOT / script).is_file(), script
