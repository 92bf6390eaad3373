"""Sound files, resampling, spectra and pictures."""

import gc
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from keras_audiogan.audio import (
    AudioFileError,
    audio_info,
    check_level,
    convert_channels,
    hertz_to_mel,
    level_gain,
    log_mel_spectrogram,
    mel_filter_bank,
    mel_to_hertz,
    read_audio,
    resample,
    resample_stream,
    resampled_length,
    save_sheet,
    spectrogram,
    to_mono,
    write_audio,
)

DATA = pathlib.Path(__file__).parent / "data"
PIANO = DATA / "piano" / "chopin_op28_4.flac"


def tone(frequency, rate, seconds, channels=1):
    time = np.arange(round(rate * seconds)) / rate
    wave = 0.5 * np.sin(2 * np.pi * frequency * time)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


# Files


@pytest.mark.parametrize(
    ("extension", "tolerance"),
    [
        ("wav", 0.0),
        ("flac", 0.0),
        ("aiff", 0.0),
        ("ogg", 0.03),
        ("opus", 0.03),
        ("mp3", 0.03),
    ],
)
def test_a_real_sound_survives_each_format(tmp_path, extension, tolerance):
    audio, rate = read_audio(PIANO)
    assert audio.shape == (48000, 2) and audio.dtype == np.float32
    path = tmp_path / "deep" / f"sound.{extension}"
    write_audio(path, audio, rate)
    info = audio_info(path)
    assert (info.sampling_rate, info.num_channels) == (16000, 2)
    assert info.duration == pytest.approx(3.0)
    copy, copy_rate = read_audio(path)
    assert copy_rate == rate and copy.shape == audio.shape
    assert np.abs(copy - audio).max() <= tolerance
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_minute_of_vorbis_is_written_in_blocks(tmp_path):
    # libsndfile's encoder overruns its stack when given it at once.
    audio = tone(440, 16000, 120, channels=2)
    write_audio(tmp_path / "long.ogg", audio, 16000)
    assert audio_info(tmp_path / "long.ogg").num_samples == len(audio)


def test_loud_sound_is_clipped_not_wrapped(tmp_path):
    write_audio(tmp_path / "x.wav", np.array([-3.0, 0.0, 3.0]), 8000)
    audio, _ = read_audio(tmp_path / "x.wav")
    assert audio[:, 0] == pytest.approx([-1.0, 0.0, 1.0], abs=1e-4)


def test_float_files_keep_every_bit(tmp_path):
    audio = np.random.default_rng(0).uniform(-1, 1, (100, 3))
    audio = audio.astype(np.float32)
    write_audio(tmp_path / "x.wav", audio, 44100, subtype="FLOAT")
    assert np.array_equal(read_audio(tmp_path / "x.wav")[0], audio)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.opus"
    write_audio(path, tone(440, 16000, 0.2), 16000)
    before = path.read_bytes()
    with pytest.raises(AudioFileError, match="11025 Hz as OGG OPUS") as caught:
        write_audio(path, tone(440, 11025, 0.2), 11025)
    # Were a file left open, that would be said here, as a warning.
    del caught
    gc.collect()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.opus"]


def test_threads_may_be_the_first_to_read(tmp_path):
    write_audio(tmp_path / "x.wav", tone(440, 16000, 0.02), 16000)
    # Where threads make cffi's types at once, the process is aborted. They
    # take turns within cffi only when Python collects garbage there.
    code = (
        "import gc, io, sys, threading\n"
        "sys.setswitchinterval(1e-6)\n"
        "gc.callbacks.append(lambda *_: [None for _ in range(99)])\n"
        "data = open(sys.argv[1], 'rb').read()\n"
        "ours = ('keras_audiogan', 'soundfile', '_soundfile')\n"
        "def read():\n"
        "    barrier.wait()\n"
        "    with soundfile.SoundFile(io.BytesIO(data)) as sound:\n"
        "        lengths.append(len(sound.read(dtype='float32')))\n"
        "for _ in range(30):\n"
        "    for name in [n for n in sys.modules if n.startswith(ours)]:\n"
        "        del sys.modules[name]\n"
        "    import keras_audiogan.audio.files, soundfile\n"
        "    barrier, lengths = threading.Barrier(16), []\n"
        "    threads = [threading.Thread(target=read) for _ in range(16)]\n"
        "    gc.freeze()\n"
        "    gc.set_threshold(1)\n"
        "    [thread.start() for thread in threads]\n"
        "    [thread.join() for thread in threads]\n"
        "    gc.set_threshold(700)\n"
        "    assert lengths == 16 * [320], lengths\n"
    )
    path = str(tmp_path / "x.wav")
    subprocess.run([sys.executable, "-c", code, path], check=True)


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(AudioFileError, match="unknown extension.*wav"):
        write_audio(tmp_path / "x.m4a", np.zeros(10), 8000)
    with pytest.raises(ValueError, match="not finite.*1 of 2"):
        write_audio(tmp_path / "x.wav", np.array([0.0, np.nan]), 8000)
    with pytest.raises(ValueError, match=r"Received: shape \(2, 3, 1\)"):
        write_audio(tmp_path / "x.wav", np.zeros((2, 3, 1)), 8000)
    assert not list(tmp_path.iterdir())


def test_unreadable_files_say_why(tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("hello " * 100)
    (tmp_path / "link.wav").symlink_to("nowhere")
    for name, reason in [
        ("empty.wav", "empty file"),
        ("text.wav", "not sound that can be read"),
        ("link.wav", "broken link"),
        ("none.wav", "no such file"),
        ("", "a folder, not a sound file"),
    ]:
        with pytest.raises(AudioFileError, match=reason) as caught:
            read_audio(tmp_path / name)
        assert caught.value.path == str(tmp_path / name)


def test_a_part_is_the_same_part_of_the_whole():
    whole, _ = read_audio(PIANO)
    part, _ = read_audio(PIANO, start=1.25, duration=0.5)
    assert np.array_equal(part, whole[20000:28000])
    end, _ = read_audio(PIANO, start=2.9, duration=9.0)
    assert np.array_equal(end, whole[46400:])
    assert len(read_audio(PIANO, start=99.0)[0]) == 0
    with pytest.raises(ValueError, match="start=-1"):
        read_audio(PIANO, start=-1)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 16001])
@pytest.mark.parametrize("start", [0.0, 0.5, 1.3337, 2.6])
def test_a_resampled_part_equals_the_resampled_whole(rate, start):
    audio, source_rate = read_audio(PIANO, num_channels=1)
    whole = resample(audio, source_rate, rate)
    part, _ = read_audio(PIANO, rate, 1, start=start, duration=0.4)
    first = round(start * rate)
    assert len(part) == round(0.4 * rate)
    expected = whole[first : first + len(part)]
    assert np.abs(expected).max() > 1e-3
    assert np.abs(part - expected).max() < 1e-6


# Levels


def test_gains_of_every_level():
    clip = np.array([0.0, -0.25, 0.1], np.float32)
    assert level_gain(clip, "peak") == level_gain(0.25, "peak") == 4.0
    assert level_gain(np.zeros(3), "peak") == level_gain(clip, "keep") == 1.0
    assert level_gain(clip, 0.5) == 0.5
    # The inverse of the smallest number is no gain.
    assert level_gain(5e-324, "peak") == 1.0


@pytest.mark.parametrize("level", ["loud", 0, -1.0, np.inf, np.nan, None])
def test_levels_that_are_none_are_refused(level):
    for check in (check_level, lambda level: level_gain(1.0, level)):
        with pytest.raises(ValueError, match=f"level={level!r}"):
            check(level)


# Channels and rates


def test_channels():
    stereo = np.array([[1.0, 3.0], [2.0, 4.0]], np.float32)
    assert np.array_equal(convert_channels(stereo, 1), [[2.0], [3.0]])
    mono = stereo[:, :1]
    assert np.array_equal(convert_channels(mono, 2), [[1, 1], [2, 2]])
    assert convert_channels(stereo, 2) is stereo
    five = np.array([[1.0, 2.0, 3.0, 4.0, 5.0]])
    assert np.array_equal(convert_channels(five, 2), [[3.0, 3.0]])
    assert np.array_equal(five, [[1.0, 2.0, 3.0, 4.0, 5.0]])
    assert np.array_equal(convert_channels(stereo, 3)[0], [1, 3, 1])
    assert np.array_equal(to_mono(stereo), [2.0, 3.0])
    with pytest.raises(ValueError, match="num_channels=0"):
        convert_channels(mono, 0)


@pytest.mark.parametrize(
    ("source", "target"),
    [(44100, 16000), (16000, 44100), (8000, 16000), (48000, 8000)],
)
def test_resampling_a_tone_gives_the_tone(source, target):
    result = resample(tone(440, source, 1.0), source, target)
    assert result.shape == (target, 1) and result.dtype == np.float32
    middle = slice(target // 10, -target // 10)
    expected = tone(440, target, 1.0)
    assert np.abs(result - expected)[middle].max() < 1e-3


def test_resampling_removes_what_the_new_rate_cannot_hold():
    result = resample(tone(6000, 16000, 1.0), 16000, 8000)
    assert np.abs(result[400:-400]).max() < 1e-4


def test_lengths_after_resampling():
    for num_samples in (0, 1, 2, 100, 12345):
        audio = np.zeros((num_samples, 1), np.float32)
        for source, target in ((44100, 16000), (8000, 44100), (8, 8)):
            length = resampled_length(num_samples, source, target)
            assert len(resample(audio, source, target)) == length
            assert abs(length - num_samples * target / source) <= 0.5


def test_a_stream_equals_the_whole():
    audio = np.random.default_rng(0).standard_normal((50000, 2)) * 0.1
    audio = audio.astype(np.float32)
    blocks = np.split(audio, [1, 7000, 7001, 30000])
    stream = np.concatenate(list(resample_stream(blocks, 44100, 16000)))
    assert np.abs(stream - resample(audio, 44100, 16000)).max() < 1e-6
    same = list(resample_stream(blocks, 8000, 8000))
    assert np.array_equal(np.concatenate(same), audio)


def test_bad_rates_are_refused():
    with pytest.raises(ValueError, match="must be positive"):
        resample(np.zeros(10), 0, 8000)
    with pytest.raises(ValueError, match="shape"):
        resample(np.zeros((1, 2, 3)), 8000, 4000)


# Spectra


def test_mel_scales_at_known_points():
    assert hertz_to_mel(1000.0) == pytest.approx(999.9855, abs=1e-3)
    assert hertz_to_mel(1000.0, "slaney") == pytest.approx(15.0)
    assert hertz_to_mel(6400.0, "slaney") == pytest.approx(42.0)
    assert mel_to_hertz(7.5, "slaney") == pytest.approx(500.0)
    frequencies = np.array([0.0, 50.0, 999.0, 1001.0, 8000.0, 20000.0])
    for scale in ("htk", "slaney"):
        there = hertz_to_mel(frequencies, scale)
        assert mel_to_hertz(there, scale) == pytest.approx(frequencies)
    with pytest.raises(ValueError, match="scale='bark'"):
        hertz_to_mel(100.0, "bark")


def test_filters_by_hand():
    # Four bins to 4 Hz: at these frequencies mels are all but linear.
    filters = mel_filter_bank(3, 8, 8)
    expected = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert filters == pytest.approx(np.array(expected, float), abs=0.01)


def test_filters_are_triangles_around_their_centres():
    bins = np.linspace(0, 8000, 1025)
    for scale in ("htk", "slaney"):
        filters = mel_filter_bank(40, 2048, 16000, 80, 7600, scale)
        assert filters.shape == (1025, 40) and filters.dtype == np.float32
        mels = np.linspace(*hertz_to_mel([80, 7600], scale), 42)
        centres = mel_to_hertz(mels[1:-1], scale)
        spacing = bins[1]
        assert np.abs(bins[filters.argmax(0)] - centres).max() < spacing
        assert filters[bins <= 80].max() == 0
        assert filters[bins >= 7600].max() == 0
        # Neighbours add up to one between the first and the last centre.
        inside = (bins > centres[0]) & (bins < centres[-1])
        assert filters[inside].sum(1) == pytest.approx(1.0, abs=1e-6)


def test_slaney_norm_gives_unit_area():
    filters = mel_filter_bank(80, 1024, 22050, 0, 8000, "slaney", "slaney")
    area = filters.sum(0) * 22050 / 1024
    assert area[40:] == pytest.approx(1.0, rel=0.02)


def test_slopes_straight_over_mels_leave_out_the_constant():
    filters = mel_filter_bank(20, 512, 16000, slopes="mel")
    assert filters[0].max() == 0
    mels = hertz_to_mel(np.linspace(0, 8000, 257))
    step = hertz_to_mel(8000) / 21
    expected = 1 - np.abs(mels[:, None] / step - np.arange(1, 21))
    assert filters[1:] == pytest.approx(np.maximum(expected, 0)[1:], abs=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        (0, 512, 16000),
        (10, 1, 16000),
        (10, 512, 16000, 0, 9000),
        (10, 512, 16000, 500, 400),
        (10, 512, 16000, 0, None, "bark"),
        (10, 512, 16000, 0, None, "htk", "area"),
        (10, 512, 16000, 0, None, "htk", None, "cubic"),
    ],
)
def test_bad_filters_are_refused(arguments):
    with pytest.raises(ValueError, match="Received"):
        mel_filter_bank(*arguments)


def test_spectrogram_by_the_definition():
    audio = np.random.default_rng(0).standard_normal(100)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(32) / 32)
    at_end = np.concatenate([audio, np.zeros(32)])
    mirrored = np.pad(audio, 16, mode="reflect")
    for padding, source, frames in (
        ("end", at_end, 10),
        ("none", audio, 7),
        ("center", mirrored, 11),
    ):
        got = spectrogram(audio, 32, 10, padding=padding)
        assert got.shape == (frames, 17)
        for i in range(frames):
            frame = source[10 * i : 10 * i + 32] * hann
            assert got[i] == pytest.approx(np.abs(np.fft.rfft(frame)), abs=1e-5)


def test_spectra_of_a_batch_are_those_of_its_clips():
    audio = np.random.default_rng(0).standard_normal((3, 2, 4000))
    both = log_mel_spectrogram(audio, 16000, num_mel_bins=20)
    assert both.shape == (3, 2, 16, 20) and both.dtype == np.float32
    one = log_mel_spectrogram(audio[2, 1], 16000, num_mel_bins=20)
    assert both[2, 1] == pytest.approx(one, abs=1e-6)


def test_a_tone_lights_its_mel_bin():
    picture = log_mel_spectrogram(
        tone(1000, 16000, 0.5)[:, 0], 16000, num_mel_bins=40
    )
    step = hertz_to_mel(8000) / 41
    expected = round(float(hertz_to_mel(1000)) / step) - 1
    assert set(picture[4:-4].argmax(1)) == {expected}


def test_the_floor_of_silence():
    silence = np.zeros(2000)
    added = log_mel_spectrogram(silence, 16000, floor=1e-6)
    assert added == pytest.approx(np.log(1e-6))
    raised = log_mel_spectrogram(silence, 16000, floor=1e-5, add_floor=False)
    assert raised == pytest.approx(np.log(1e-5))
    with pytest.raises(ValueError, match="floor=0"):
        log_mel_spectrogram(silence, 16000, floor=0)
    with pytest.raises(ValueError, match="at least one sample"):
        spectrogram(np.zeros((3, 0)))


# Pictures


def test_a_sheet_shows_every_clip(tmp_path):
    import matplotlib.image

    clips = [
        read_audio(path)[0]
        for path in sorted((DATA / "drums" / "snare").glob("*.flac"))
    ]
    clips += [clips[0][:300, 0], np.full((4000, 2), np.nan)]
    path = tmp_path / "new" / "sheet.png"
    save_sheet(path, clips, 16000, columns=2)
    picture = matplotlib.image.imread(path)[..., :3]
    rows = np.array_split(picture, 3)
    cells = [cell for row in rows for cell in np.array_split(row, 2, axis=1)]
    # A cell with a clip has a dark spectrogram with bright spots in it; the
    # one of silence stays dark, and the sixth cell is white paper.
    dark = [float((cell.max(-1) < 0.1).mean()) for cell in cells]
    bright = [float((np.ptp(cell, axis=-1) > 0.5).mean()) for cell in cells]
    assert min(bright[:4]) > 0.02 > bright[4]
    assert dark[4] > 0.4 > 0.02 > dark[5]
    assert [p.name for p in path.parent.iterdir()] == ["sheet.png"]


def test_a_sheet_takes_an_array_and_titles(tmp_path):
    clips = np.zeros((3, 500, 1), np.float32)
    save_sheet(tmp_path / "a.png", clips, 8000, titles=["a", "b", "c" * 90])
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("clips", "titles"),
    [([], None), ([np.zeros((0, 1))], None), ([np.zeros(9)], ["a", "b"])],
)
def test_bad_sheets_are_refused(tmp_path, clips, titles):
    with pytest.raises(ValueError, match="Received"):
        save_sheet(tmp_path / "x.png", clips, 8000, titles)
    assert not list(tmp_path.iterdir())


def test_raw_samples_are_what_soundfile_reads():
    path = sorted((DATA / "digits" / "one").glob("*.flac"))[0]
    expected, rate = soundfile.read(path, dtype="float32")
    audio, own_rate = read_audio(path)
    assert rate == own_rate == 8000
    assert np.array_equal(audio[:, 0], expected)
