"""The index of a folder of sounds: what counts, what is skipped, and why."""

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from keras_audiogan.audio import read_audio, write_audio
from keras_audiogan.data import AudioDataset, AudioFolder, AudioFolderError
from keras_audiogan.data import checks as checks_module
from keras_audiogan.data.checks import measure_peak

DATA = pathlib.Path(__file__).parent / "data"
DIGITS = DATA / "digits"
DRUMS = DATA / "drums"
PIANO = DATA / "piano" / "chopin_op28_4.flac"


def cut_file(source, target, part):
    """Copies the first `part` of a file's bytes."""
    content = pathlib.Path(source).read_bytes()
    target.write_bytes(content[: int(len(content) * part)])


def make_bad_files(folder):
    """One of every bad kind; returns the reason expected for each name."""
    audio, rate = read_audio(PIANO)
    whole = folder.parent / "whole"
    for extension in ("wav", "flac", "aiff", "ogg", "mp3"):
        write_audio(whole / f"x.{extension}", audio, rate)
        cut_file(whole / f"x.{extension}", folder / f"cut.{extension}", 0.6)
    cut_file(whole / "x.flac", folder / "nearly.flac", 0.99)
    damaged = bytearray((whole / "x.flac").read_bytes())
    damaged[40000:44000] = b"\xaa" * 4000
    (folder / "damaged.flac").write_bytes(damaged)
    (folder / "empty.wav").touch()
    (folder / "stub.wav").write_bytes((whole / "x.wav").read_bytes()[:30])
    (folder / "text.wav").write_text("not a sound at all\n" * 50)
    (folder / "folder.wav").mkdir()
    (folder / "link.flac").symlink_to("nowhere.flac")
    os.mkfifo(folder / "pipe.wav")
    soundfile.write(folder / "header.wav", np.zeros((0, 1)), 8000)
    silence = np.zeros(800)
    soundfile.write(folder / "silent.wav", silence, 8000)
    soundfile.write(folder / "quiet.wav", silence + 4e-5, 8000)
    for name, value in (("nan", np.nan), ("infinite", np.inf)):
        wave = np.sin(np.arange(800.0))
        wave[700] = value
        soundfile.write(folder / f"{name}.wav", wave, 8000, subtype="FLOAT")
    return {
        "cut.wav": "truncated: its header promises 192000 bytes",
        "cut.flac": "truncated",
        "cut.aiff": "truncated: its header promises",
        "cut.ogg": "truncated",
        "cut.mp3": "truncated",
        "nearly.flac": "truncated",
        "damaged.flac": "truncated or damaged",
        "empty.wav": "empty file (0 bytes)",
        "stub.wav": "not sound that can be read",
        "text.wav": "not sound that can be read",
        "folder.wav": "a folder, not a sound file",
        "link.flac": "broken link",
        "pipe.wav": "not a regular file",
        "header.wav": "header only, no samples",
        "silent.wav": "silent (every sample is zero)",
        "quiet.wav": "silent (its peak is -",
        "nan.wav": "holds NaN or infinite values",
        "infinite.wav": "holds NaN or infinite values",
    }


def test_real_folders():
    digits = AudioFolder.scan(DIGITS)
    assert digits.num_files == 12 and not digits.skipped
    assert digits.labels == ("one", "two", "zero")
    assert digits.class_counts == {"one": 4, "two": 4, "zero": 4}
    assert digits.rates == {8000: 12} and digits.channels == {1: 12}
    assert digits.format == (8000, 1)
    names = [entry.name for entry in digits.files]
    assert names == sorted(names) and names[0] == "one/george_5.flac"
    assert digits.files[0].label == 0 and digits.files[-1].label == 2
    seconds = sum(soundfile.info(e.path).duration for e in digits.files)
    assert digits.hours == pytest.approx(seconds / 3600)
    for entry in digits.files:
        audio, _ = read_audio(entry.path)
        assert entry.peak == float(np.abs(audio).max())


def test_one_file_and_several_folders():
    one = AudioFolder.scan(PIANO)
    assert one.num_files == 1 and one.labels is None
    assert one.format == (16000, 2)
    both = AudioFolder.scan([DIGITS / "one", DRUMS / "kick", PIANO])
    assert both.num_files == 8 and both.labels is None
    assert "kick/sonicpi_bd_haus.flac" in [e.name for e in both.files]


def test_mixed_rates_and_channels_go_to_what_most_of_the_sound_has(tmp_path):
    audio, rate = read_audio(PIANO)
    write_audio(tmp_path / "long.ogg", audio, rate)
    for number in range(3):
        write_audio(tmp_path / f"{number}.wav", audio[:2000, 0] * 5, 8000)
    folder = AudioFolder.scan(tmp_path)
    assert folder.format == (16000, 2)
    assert folder.rates == {8000: 3, 16000: 1}
    assert folder.channels == {1: 3, 2: 1}
    assert folder.lengths(16000).tolist() == [4000, 4000, 4000, 48000]
    chosen = AudioFolder.scan(tmp_path, sampling_rate=22050, num_channels=1)
    assert chosen.format == (22050, 1)
    report = folder.report()
    assert "8000 Hz (3), 16000 Hz (1), resampled to 16000 Hz" in report
    assert "mono (3), stereo (1), converted to stereo" in report


def test_every_format_that_libsndfile_writes_is_found(tmp_path):
    audio, rate = read_audio(PIANO)
    names = ["a.wav", "b.FLAC", "c.ogg", "d.mp3", "e.aiff", "f.opus"]
    for name in names:
        write_audio(tmp_path / "deep" / "er" / name, audio, rate)
    folder = AudioFolder.scan(tmp_path, strict=True)
    found = [pathlib.Path(entry.path).name for entry in folder.files]
    assert found == names


def test_what_desktops_and_archives_leave_behind_is_passed_over(tmp_path):
    shutil.copytree(DRUMS, tmp_path / "drums")
    junk = tmp_path / "__MACOSX" / "kick"
    junk.mkdir(parents=True)
    for path in (
        junk / "._a.wav",
        tmp_path / "drums" / "kick" / "._x.wav",
        tmp_path / ".hidden.wav",
    ):
        path.write_bytes(b"Mac OS X")
    (tmp_path / ".git").mkdir()
    shutil.copy(PIANO, tmp_path / ".git" / "x.flac")
    (tmp_path / "notes.txt").touch()
    folder = AudioFolder.scan(tmp_path, strict=True)
    assert folder.num_files == 9
    assert folder.other_files == {".txt": 1}
    # One way down: the labels are below it.
    assert folder.labels == ("hat", "kick", "snare")


def test_a_link_that_loops_ends(tmp_path):
    shutil.copytree(DRUMS, tmp_path / "drums")
    (tmp_path / "drums" / "again").symlink_to(tmp_path / "drums")
    assert AudioFolder.scan(tmp_path / "drums").num_files == 9


@pytest.mark.parametrize("check", ["auto", "full"])
def test_every_bad_kind_is_listed_with_its_reason(tmp_path, check):
    folder = tmp_path / "sounds"
    shutil.copytree(DIGITS / "one", folder)
    expected = make_bad_files(folder)
    index = AudioFolder.scan(folder, check=check)
    assert [pathlib.Path(e.path).stem for e in index.files] == [
        "george_5",
        "jackson_5",
        "lucas_6",
        "theo_7",
    ]
    assert index.format == (8000, 1)
    reasons = {
        os.path.basename(entry.path): entry.reason for entry in index.skipped
    }
    assert sorted(reasons) == sorted(expected)
    for name, reason in expected.items():
        assert reason in reasons[name]
    report = index.report()
    assert f"skipped   {len(expected)} files: " in report
    assert "2 silent" in report and "1 broken link" in report
    assert f"and {len(expected) - 10} more" in report


def test_a_fast_scan_sees_what_headers_and_ends_show(tmp_path):
    folder = tmp_path / "sounds"
    shutil.copytree(DIGITS / "one", folder)
    expected = make_bad_files(folder)
    index = AudioFolder.scan(folder, check="fast")
    inside = {"silent", "quiet", "nan", "infinite", "damaged"}
    kept = {pathlib.Path(entry.path).stem for entry in index.files}
    assert kept >= inside
    assert len(index.skipped) == len(expected) - len(inside)
    assert all(entry.peak is None for entry in index.files)


def test_strict_makes_a_bad_file_an_error(tmp_path):
    shutil.copy(PIANO, tmp_path / "good.flac")
    (tmp_path / "bad.wav").touch()
    with pytest.raises(
        AudioFolderError, match=r"1 of the files.*\n.*bad.wav: empty file"
    ):
        AudioFolder.scan(tmp_path, strict=True)
    assert AudioFolder.scan(tmp_path).num_files == 1


@pytest.fixture
def wild(tmp_path):
    """A folder of two long files, one with a second of 1,000s in it."""
    wave = 0.5 * np.sin(np.arange(70 * 1000) * 0.3)
    soundfile.write(tmp_path / "good.wav", wave, 1000, subtype="FLOAT")
    # Between two of the windows that are looked at.
    wave[12_500:13_500] *= 2000.0
    soundfile.write(tmp_path / "wild.wav", wave, 1000, subtype="FLOAT")
    return tmp_path


def test_a_wild_second_in_a_long_file_is_no_sound(wild):
    """Nothing beside it would be loud enough to be kept."""
    assert measure_peak(str(wild / "wild.wav"), 1000, 1) < 1.0
    folder = AudioFolder.scan(wild)
    assert [entry.name for entry in folder.files] == ["good.wav"]
    (skipped,) = folder.skipped
    assert "not on the scale of sound: samples as large as " in skipped.reason
    assert folder.files[0].num_used == 70_000


def test_a_wild_second_that_no_scan_saw_is_met_when_it_is_read(wild):
    folder = AudioFolder.scan(wild, check="fast", trim="off")
    assert folder.num_files == 2 and not folder.skipped
    dataset = AudioDataset(folder, 10_000, cache_bytes=0)
    rows = sum(len(batch["audio"]) for batch in dataset.clips())
    assert rows == 13
    (skipped,) = folder.skipped
    assert skipped.path.endswith("wild.wav")
    assert skipped.reason.startswith("not on the scale of sound")


@pytest.mark.parametrize("seconds", [1, 70])
def test_channels_that_cancel_out_are_not_called_silent(tmp_path, seconds):
    wave = 0.5 * np.sin(np.arange(seconds * 1000) * 0.3)
    soundfile.write(tmp_path / "x.wav", np.stack([wave, -wave], 1), 1000)
    assert AudioFolder.scan(tmp_path).num_files == 1
    with pytest.raises(
        AudioFolderError, match="its 2 channels cancel each other out"
    ):
        AudioFolder.scan(tmp_path, num_channels=1)
    silence = np.zeros((seconds * 1000, 2))
    soundfile.write(tmp_path / "x.wav", silence, 1000)
    with pytest.raises(AudioFolderError, match="silent .every sample"):
        AudioFolder.scan(tmp_path, num_channels=1)


def test_nothing_usable_says_what_is_there(tmp_path):
    with pytest.raises(AudioFolderError, match="Found there: nothing"):
        AudioFolder.scan(tmp_path)
    (tmp_path / "a.m4a").touch()
    (tmp_path / "b.m4a").touch()
    (tmp_path / "sounds.zip").touch()
    (tmp_path / "c.wav").touch()
    with pytest.raises(AudioFolderError) as caught:
        AudioFolder.scan(tmp_path)
    message = str(caught.value)
    assert "No usable sound in" in message and str(tmp_path) in message
    assert "2 .m4a, 1 .zip" in message
    assert "c.wav: empty file (0 bytes)" in message
    assert "ffmpeg" in message and "Unpack archives" in message
    with pytest.raises(AudioFolderError, match="No such file or folder"):
        AudioFolder.scan(tmp_path / "missing")


def test_a_size_that_a_stream_left_open_is_no_truncation(tmp_path):
    audio, rate = read_audio(PIANO)
    path = tmp_path / "stream.wav"
    write_audio(path, audio, rate)
    content = bytearray(path.read_bytes())
    size = content.index(b"data") + 4
    content[size : size + 4] = b"\xff" * 4
    path.write_bytes(content)
    folder = AudioFolder.scan(tmp_path, strict=True)
    assert folder.files[0].num_samples == len(audio)


# Labels


def test_folder_names_that_are_numbers_sort_as_numbers(tmp_path):
    for name in ("10", "9", "1"):
        shutil.copytree(DIGITS / "one", tmp_path / name)
    assert AudioFolder.scan(tmp_path).labels == ("1", "9", "10")


def test_no_labels_in_one_folder_or_beside_folders(tmp_path):
    assert AudioFolder.scan(DIGITS / "one").labels is None
    assert AudioFolder.scan(DIGITS, labels=None).labels is None
    shutil.copytree(DIGITS, tmp_path / "digits")
    shutil.copy(PIANO, tmp_path / "digits" / "piano.flac")
    index = AudioFolder.scan(tmp_path / "digits")
    assert index.labels is None and index.files[0].label is None


def test_the_order_of_labels_can_be_given():
    index = AudioFolder.scan(DIGITS, labels=["zero", "one", "two", "three"])
    assert index.labels == ("zero", "one", "two", "three")
    assert index.files[0].name.startswith("one/")
    assert index.files[0].label == 1
    renamed = AudioFolder.scan(
        DIGITS, labels={"zero": "none", "one": "some", "two": "some"}
    )
    assert renamed.class_counts == {"none": 4, "some": 8}


def test_labels_that_miss_a_folder_are_refused():
    with pytest.raises(ValueError, match=r"without a label: \['two'\]"):
        AudioFolder.scan(DIGITS, labels=["zero", "one"])
    with pytest.raises(ValueError, match="files outside of folders: 1"):
        AudioFolder.scan(PIANO, labels=["piano"])
    with pytest.raises(ValueError, match="labels='files'"):
        AudioFolder.scan(DIGITS, labels="files")


def test_files_are_chosen_by_name():
    index = AudioFolder.scan(DIGITS, exclude="*_[0-5].flac")
    assert index.num_files == 6 and index.num_excluded == 6
    assert "excluded  6 files, by name" in index.report()
    index = AudioFolder.scan(DIGITS, include="one/*", exclude="*/theo*")
    assert [e.name for e in index.files] == [
        f"one/{name}.flac" for name in ("george_5", "jackson_5", "lucas_6")
    ]
    below = AudioFolder.scan(DIGITS, include="*/one/*")
    from_above = AudioFolder.scan(DIGITS.parent, include="*/one/*")
    assert below.num_files == from_above.num_files == 4
    with pytest.raises(AudioFolderError, match="None of the 12"):
        AudioFolder.scan(DIGITS, include="*.wav")


@pytest.mark.parametrize(
    "options",
    [{"check": "deep"}, {"sampling_rate": 0}, {"num_channels": -1}],
)
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match="Received"):
        AudioFolder.scan(DIGITS, **options)


# Hash and peaks


def test_the_hash_is_that_of_the_contents(tmp_path):
    first = AudioFolder.scan(DIGITS).content_hash
    assert len(first) == 64
    copy = tmp_path / "elsewhere"
    shutil.copytree(DIGITS, copy)
    (copy / "notes.txt").write_text("not sound")
    for path in copy.rglob("*.flac"):
        os.utime(path, (0, 0))
    assert AudioFolder.scan(copy).content_hash == first
    changed = copy / "one" / "theo_7.flac"
    content = bytearray(changed.read_bytes())
    # A letter of the encoder's name, in the comment block.
    content[content.index(b"reference")] ^= 1
    changed.write_bytes(content)
    second = AudioFolder.scan(copy, check="fast").content_hash
    assert second != first
    changed.rename(copy / "two" / "theo_8.flac")
    third = AudioFolder.scan(copy, check="fast").content_hash
    assert third not in (first, second)


def test_peaks_are_those_of_the_converted_sound():
    audio, rate = read_audio(PIANO, 8000, 1)
    assert measure_peak(str(PIANO), 8000, 1) == np.abs(audio).max()


def test_long_files_are_sampled(tmp_path, monkeypatch):
    rate = 500
    wave = np.zeros(200 * rate)
    wave[30 * rate :: 7] = 0.25
    write_audio(tmp_path / "long.wav", wave, rate)
    decoded = 0
    original = checks_module.read_section

    def counted(sound, start, length, *rest):
        nonlocal decoded
        decoded += length
        return original(sound, start, length, *rest)

    monkeypatch.setattr(checks_module, "read_section", counted)
    assert measure_peak(str(tmp_path / "long.wav"), rate, 1) == 0.25
    assert decoded == 30 * rate


def test_a_long_file_with_sound_between_the_windows_is_not_silent(tmp_path):
    rate = 500
    wave = np.zeros(200 * rate)
    wave[5 * rate] = 0.5
    write_audio(tmp_path / "sparse.wav", wave, rate)
    assert measure_peak(str(tmp_path / "sparse.wav"), rate, 1) == 0.5
    write_audio(tmp_path / "silent.wav", wave * 0, rate)
    index = AudioFolder.scan(tmp_path)
    assert [entry.reason for entry in index.skipped] == [
        "silent (every sample is zero)"
    ]


# Imports


def test_data_and_audio_import_no_framework():
    code = (
        "import sys, keras_audiogan.data as d, keras_audiogan.audio as a\n"
        "[getattr(m, n) for m in (d, a) for n in m.__all__]\n"
        "heavy = {'keras', 'tensorflow', 'jax', 'torch', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr
