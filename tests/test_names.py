"""Names that are no UTF-8, accents in two forms, and Git LFS pointers."""

import json
import os
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
import soundfile
from cli_support import audiogan

from keras_audiogan.audio import read_audio, write_audio
from keras_audiogan.converters.errors import ConversionError
from keras_audiogan.converters.torch_files import read_torch_file
from keras_audiogan.data import AudioDataset, AudioFolder
from keras_audiogan.presets.atomic_folder import write_json
from keras_audiogan.presets.strict_json import PresetError, read_json

LATIN = os.fsdecode(b"caf\xe9")
COMPOSED = "caf\u00e9"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:" + b"a" * 64 + b"\nsize 12345\n"
)

pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="names are no bytes there"
)


def make_sounds(folder, channels=1):
    folder.mkdir(parents=True)
    for index in range(3):
        tone = 0.5 * np.sin(np.arange(4000) * (0.1 + 0.05 * index))
        sound = np.stack([tone] * channels, 1)
        write_audio(folder / f"{LATIN}{index}.wav", sound, 8000)


def test_names_that_are_no_utf8_are_read_written_and_shown(tmp_path):
    root = tmp_path / LATIN
    make_sounds(root / LATIN)
    make_sounds(root / "the")
    (root / "the" / f"bad{LATIN}.wav").write_bytes(b"no sound")
    audio, rate = read_audio(root / "the" / f"{LATIN}0.wav")
    assert (len(audio), rate) == (4000, 8000)
    folder = AudioFolder.scan(root)
    assert folder.labels == ("caf\\xe9", "the")
    report = AudioDataset(folder, 1000).report()
    assert "badcaf\\xe9.wav: not sound" in report
    for text in (report, repr(folder), *folder.labels):
        text.encode("utf-8")
    assert len(folder.content_hash) == 64
    # What is stored of a run comes back as it was.
    write_json(tmp_path / "x.json", {"data": os.fspath(root)})
    assert read_json(tmp_path / "x.json") == {"data": os.fspath(root)}
    json.loads((tmp_path / "x.json").read_text("utf-8"))


@pytest.mark.slow
def test_the_command_line_takes_and_shows_such_names(tmp_path):
    root = tmp_path / LATIN
    make_sounds(root)
    options = ["--dry-run", "-o", tmp_path / f"run{LATIN}"]
    result = audiogan("train", "wavegan", root, *options)
    assert result.exit_code == 0, result.output
    assert "caf\\xe9" in result.output
    missing = tmp_path / f"{LATIN}2"
    result = audiogan("train", "wavegan", missing, *options)
    assert result.exit_code == 2 and "does not exist" in result.output


@pytest.mark.slow
def test_a_run_in_the_c_locale(tmp_path):
    """From the folder of sounds to samples, every name in Latin-1."""
    make_sounds(tmp_path / LATIN / COMPOSED)
    make_sounds(tmp_path / LATIN / "the")
    environment = {
        **os.environ,
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "keras_audiogan.cli", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    small = "--slice-length 4096 --batch-size 2 --steps 1 --dim 2"
    output = os.fsencode(f"run{LATIN}")
    run(
        *("train", "projection_wavegan", os.fsencode(LATIN), "-o", output),
        *small.split(),
        *("--preview-every", "1", "--num-previews", "2"),
    )
    config = read_json(tmp_path / f"run{LATIN}" / "preset" / "config.json")
    assert config["labels"] == [COMPOSED, "the"]
    label = DECOMPOSED.encode()
    out = run(
        *("sample", output, "-n", "1", "--label", label),
        *("-o", os.fsencode(f"out{LATIN}"), "--seed", "1"),
    )
    assert b"Wrote 1 sound to outcaf" in out
    assert list((tmp_path / f"out{LATIN}").glob("*.wav"))


def test_accents_match_in_both_forms(tmp_path):
    make_sounds(tmp_path / DECOMPOSED)
    make_sounds(tmp_path / "the")
    for pattern in (f"{COMPOSED}/*", f"*/{DECOMPOSED}/*"):
        folder = AudioFolder.scan(tmp_path, include=pattern)
        assert folder.num_files == 3
    folder = AudioFolder.scan(tmp_path)
    assert folder.labels == (COMPOSED, "the")
    again = AudioFolder.scan(tmp_path, labels=["the", DECOMPOSED])
    assert again.labels == ("the", DECOMPOSED)
    # A model that was made where names are decomposed keeps its spelling.
    matched = folder.matched(["the", DECOMPOSED])
    assert [f.label for f in matched.files] == [1, 1, 1, 0, 0, 0]
    named = AudioFolder.scan(tmp_path, labels={COMPOSED: "a", "the": "b"})
    assert named.class_counts == {"a": 3, "b": 3}


@pytest.mark.parametrize("name", ["include", "exclude"])
def test_a_list_of_patterns_is_refused_by_name(tmp_path, name):
    write_audio(tmp_path / "a.wav", np.full((800, 1), 0.5, "float32"), 8000)
    with pytest.raises(TypeError, match=rf"`{name}` must be one pattern"):
        AudioFolder.scan(tmp_path, **{name: ["*.wav"]})


def test_stereo_mixed_to_mono_is_announced(tmp_path):
    make_sounds(tmp_path / "s", channels=2)
    dataset = AudioDataset(tmp_path / "s", 1000, num_channels=1)
    assert "stereo (3), mixed to mono" in dataset.report()
    dataset = AudioDataset(AudioFolder.scan(tmp_path / "s"), 1000)
    assert "mixed to" not in dataset.report()
    options = ["--dry-run", "-o", tmp_path / "run"]
    result = audiogan("train", "wavegan", tmp_path / "s", *options)
    # The third is held out.
    assert "stereo (2), mixed to mono" in result.output
    out = tmp_path / "out"
    result = audiogan(
        "vocode", "melgan_speech", tmp_path / "s", "-o", out, "--no-compare"
    )
    assert result.exit_code == 0, result.output
    assert "3 files with more channels mixed to mono." in result.output
    names = [f"{LATIN}{index}.wav" for index in range(3)]
    assert sorted(p.name for p in out.iterdir()) == names
    path = os.fsencode(out / names[0])
    assert soundfile.info(path).channels == 1


def test_git_lfs_pointers_in_place_of_presets_and_checkpoints(tmp_path):
    for name in ("config.json", "generator.safetensors"):
        path = tmp_path / name
        path.write_bytes(POINTER)
        with pytest.raises(PresetError, match=r"Git LFS pointer.*lfs pull"):
            read_json(path)
    (tmp_path / "config.json").write_bytes(POINTER)
    result = audiogan("info", tmp_path)
    assert result.exit_code == 1 and "Git LFS pointer" in result.output
    for name in ("g_00000001", "netG.pt", "checkpoint-1steps.pkl"):
        (tmp_path / name).write_bytes(POINTER)
        pytest.importorskip("torch")
        with pytest.raises(ConversionError, match="Git LFS pointer"):
            read_torch_file(tmp_path / name)
    for name in ("model.ckpt-1.index", "model.ckpt-1.data-00000-of-00001"):
        (tmp_path / name).write_bytes(POINTER)
    for source in ("g_00000001", "netG.pt", "model.ckpt-1", ""):
        result = audiogan("convert", tmp_path / source, tmp_path / "new")
        assert result.exit_code == 1
        assert "Git LFS pointer" in result.output
