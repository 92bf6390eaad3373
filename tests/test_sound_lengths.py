"""The length of a file is what decoding it gives, whatever its header says."""

import io
import os
import struct

import numpy as np
import pytest
import soundfile

from keras_audiogan.audio import audio_info, read_audio
from keras_audiogan.audio.files import AudioFileError, decode, open_sound
from keras_audiogan.data.folder import AudioFolder

RATE = 22050
# What LAME puts before a sound, and what a decoder is late by, see mpeg.py.
LAME_DELAY = 576
FRAME = 576


def tone(seconds, rate=RATE, channels=1):
    time = np.arange(round(seconds * rate)) / rate
    swell = np.clip(np.sin(2 * np.pi * 0.7 * time), 0.05, 1)
    wave = 0.5 * swell * np.sin(2 * np.pi * 220 * time)
    return np.stack([wave] * channels, 1).astype("float32")


def encoded(audio, container, subtype=None, rate=RATE, **options):
    stream = io.BytesIO()
    soundfile.write(
        stream, audio, rate, format=container, subtype=subtype, **options
    )
    return stream.getvalue()


def mp3(seconds, mode="CONSTANT"):
    return encoded(
        tone(seconds),
        "MP3",
        "MPEG_LAYER_III",
        bitrate_mode=mode,
        compression_level=0.6,
    )


def bit_rate(data):
    kilobits = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    return 1000 * kilobits[data[2] >> 4]


def bare(data):
    """An MP3 file without the encoder's header frame."""
    length = 72 * bit_rate(data) // RATE + (data[2] >> 1 & 1)
    assert b"Info" in data[:length] or b"Xing" in data[:length]
    return data[length:]


def saved(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_mp3_without_a_header_has_the_length_of_its_frames(tmp_path, mode):
    data = mp3(4.0, mode)
    whole, _ = read_audio(saved(tmp_path / "whole.mp3", data))
    assert len(whole) == 4 * RATE
    with soundfile.SoundFile(io.BytesIO(data)) as sound:
        theirs = sound.read(dtype="float32", always_2d=True)
    np.testing.assert_allclose(whole, theirs, atol=1e-6)
    path = saved(tmp_path / "bare.mp3", bare(data))
    audio, _ = read_audio(path)
    # 4 s and LAME's delay fill 155 frames, and a last one lets it play out.
    assert len(audio) == audio_info(path).num_samples == 156 * FRAME
    if mode == "CONSTANT":
        per_second = bit_rate(bare(data)) / 8
        expected = len(bare(data)) / per_second * RATE
        assert len(audio) == pytest.approx(expected, abs=3)
    middle = audio[LAME_DELAY:][: len(whole)]
    np.testing.assert_allclose(middle, whole, atol=1e-6)


def test_joined_mp3s_are_read_to_the_end_of_the_last(tmp_path):
    first, second = mp3(1.5), mp3(1.0)
    one, _ = read_audio(saved(tmp_path / "one.mp3", first))
    two, _ = read_audio(saved(tmp_path / "two.mp3", second))
    raw, _ = read_audio(saved(tmp_path / "raw.mp3", bare(second)))
    tag = b"ID3\3\0\0\0\0\x10\0" + bytes(2048)
    old_tag = b"TAG" + bytes(125)
    for name, data, parts in (
        ("headers", first + second, (one, two)),
        ("no second header", first + bare(second), (one, raw)),
        ("tags", tag + first + old_tag + tag + second, (one, two)),
    ):
        audio, _ = read_audio(saved(tmp_path / f"{name}.mp3", data))
        np.testing.assert_array_equal(audio, np.concatenate(parts))


def test_tags_around_an_mp3_are_no_sound(tmp_path):
    data = mp3(1.0)
    footer = struct.pack("<8sIIII8x", b"APETAGEX", 2000, 1032, 1, 0x80000000)
    picture = bytes(range(250)) * 4
    path = tmp_path / "x.mp3"
    for around in (
        data + footer[:20] + b"\0\0\0\xa0" + footer[24:] + picture + footer,
        data + picture + footer,
        data + picture + footer + b"TAG" + bytes(125),
    ):
        assert audio_info(saved(path, around)).num_samples == RATE


def test_sections_of_an_mp3_are_the_whole_and_the_decoder_is_silent(
    tmp_path, capfd
):
    # Frames of 26 bytes in the quiet parts: bits of a loud frame lie many
    # frames back, which a decoder misses (and says so) after a jump.
    audio = tone(12.0, channels=2)
    audio[: 4 * RATE] = 0
    options = {"bitrate_mode": "VARIABLE", "compression_level": 0.5}
    data = encoded(audio, "MP3", "MPEG_LAYER_III", **options)
    path = saved(tmp_path / "x.mp3", data)
    whole, _ = read_audio(path)
    random = np.random.default_rng(0)
    for start in random.integers(0, len(whole) - 2000, 25):
        with open_sound(path) as sound:
            section = decode(sound, int(start), 2000)
        np.testing.assert_array_equal(section, whole[start : start + 2000])
    AudioFolder.scan(path, check="full")
    assert capfd.readouterr().err == ""


def test_an_mp3_that_ends_too_early_or_is_no_sound_inside_is_named(tmp_path):
    data = mp3(4.0)
    saved(tmp_path / "cut.mp3", data[: len(data) // 2])
    half = bare(data)[: len(data) // 2]
    # A download that was cut, in a file that was made at its full size.
    saved(tmp_path / "holes.mp3", half + bytes(len(half)))
    saved(tmp_path / "good.mp3", data)
    folder = AudioFolder.scan(tmp_path, check="fast")
    reasons = {os.path.basename(x.path): x.reason for x in folder.skipped}
    assert [entry.name for entry in folder.files] == ["good.mp3"]
    assert "promises 4.08 s, the end is missing after" in reasons["cut.mp3"]
    assert "hold no MP3 frames" in reasons["holes.mp3"]


def ogg_crc(data):
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = crc << 1 ^ (0x104C11DB7 if crc & 0x80000000 else 0)
    return crc


def ogg_page(packet, flags, position, serial, number):
    lacing = b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
    head = struct.pack("<4sBBqII", b"OggS", 0, flags, position, serial, number)
    rest = bytes([len(lacing)]) + lacing + packet
    crc = ogg_crc(head + bytes(4) + rest)
    return head + crc.to_bytes(4, "little") + rest


def ogg_flac(audio, serial):
    """FLAC in Ogg, of a sound that is one frame long."""
    flac = encoded(audio, "FLAC", "PCM_16")
    assert len(audio) <= 4096 and flac[4] == 0 and flac[42] == 0x84
    comments = 46 + int.from_bytes(flac[43:46], "big")
    return (
        ogg_page(b"\x7fFLAC\1\0\0\1" + flac[:42], 2, 0, serial, 0)
        + ogg_page(flac[42:comments], 0, 0, serial, 1)
        + ogg_page(flac[comments:], 4, len(audio), serial, 2)
    )


def test_flac_in_ogg_is_read(tmp_path):
    audio = tone(0.1)
    path = saved(tmp_path / "x.oga", ogg_flac(audio, 1))
    np.testing.assert_allclose(read_audio(path)[0], audio, atol=2 / 32767)


@pytest.mark.parametrize(
    ("name", "container", "subtype", "rate"),
    [
        ("x.ogg", "OGG", "VORBIS", RATE),
        ("x.opus", "OGG", "OPUS", 48000),
        ("x.flac", "FLAC", "PCM_16", RATE),
        ("x.oga", None, None, RATE),
        ("x.wav", "WAV", "PCM_16", RATE),
        ("x.aiff", "AIFF", "PCM_16", RATE),
    ],
)
def test_containers_joined_end_to_end(tmp_path, name, container, subtype, rate):
    seconds = (0.1, 0.15, 0.1)
    parts = [
        ogg_flac(tone(length), serial)
        if container is None
        else encoded(tone(length, rate), container, subtype, rate)
        for serial, length in enumerate(seconds)
    ]
    single = [
        read_audio(saved(tmp_path / f"{index}{name}", part))[0]
        for index, part in enumerate(parts)
    ]
    path = saved(tmp_path / name, b"".join(parts))
    joined, _ = read_audio(path)
    assert len(joined) == sum(round(x * rate) for x in seconds)
    np.testing.assert_array_equal(joined, np.concatenate(single))
    start, length = round(0.09 * rate), round(0.17 * rate)
    with open_sound(path) as sound:
        section = decode(sound, start, length)
    np.testing.assert_allclose(
        section, joined[start : start + length], atol=1e-6
    )
    cut = saved(tmp_path / f"cut{name}", b"".join(parts)[:-40])
    with pytest.raises(ValueError, match=r"truncated|malformed"):
        AudioFolder.scan(cut)


def test_joined_sounds_of_different_rates_are_named(tmp_path):
    slow = encoded(tone(0.2), "OGG", "VORBIS")
    fast = encoded(tone(0.2, 44100), "OGG", "VORBIS", 44100)
    with pytest.raises(AudioFileError, match="2 sounds joined end to end"):
        audio_info(saved(tmp_path / "x.ogg", slow + fast))


def test_flac_of_a_stream_is_counted_once_and_anew_when_it_changes(tmp_path):
    def endless(seconds):
        data = bytearray(encoded(tone(seconds), "FLAC", "PCM_16"))
        data[21] &= 0xF0
        data[22:26] = bytes(4)
        return bytes(data)

    path = saved(tmp_path / "x.flac", endless(3.0))
    audio, _ = read_audio(path)
    np.testing.assert_allclose(audio, tone(3.0), atol=2 / 32767)
    part, _ = read_audio(path, start=2.5, duration=0.25)
    np.testing.assert_array_equal(part, audio[round(2.5 * RATE) :][: len(part)])
    saved(path, endless(2.0))
    assert audio_info(path).num_samples == 2 * RATE
    damaged = bytearray(endless(2.0))
    damaged[4000:6000] = b"\xaa" * 2000
    saved(path, damaged)
    with pytest.raises(AudioFileError, match="truncated or damaged"):
        read_audio(path)


def riff(sound, size=None, before=b"", mark=b"RIFF", total=0):
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    size = len(sound) if size is None else size
    data = b"data" + size.to_bytes(4, "little") + sound
    return mark + total.to_bytes(4, "little") + b"WAVE" + form + before + data


def unknown(container, mark, at, length, value=b"\0"):
    data = bytearray(encoded(tone(0.5), container, "PCM_16"))
    place = data.index(mark) + at
    data[place : place + length] = value * length
    return bytes(data)


PCM = (tone(0.5) * 32767).astype("<i2").tobytes()
UNKNOWN_SIZES = {
    "died.wav": riff(PCM, 0),
    "stream.wav": riff(PCM, 0xFFFFFFFF, total=0xFFFFFFFF),
    "no padding.wav": riff(PCM, before=b"LIST\5\0\0\0hello"),
    "padding.wav": riff(PCM, before=b"LIST\5\0\0\0hello\0"),
    "died.rf64": unknown("RF64", b"ds64", 8, 24),
    "died.au": unknown("AU", b".snd", 8, 4),
    "stream.au": unknown("AU", b".snd", 8, 4, b"\xff"),
    "stream.caf": unknown("CAF", b"data", 4, 8, b"\xff"),
    "died.aiff": unknown("AIFF", b"SSND", 4, 4),
    "died.w64": unknown("W64", b"data", 16, 8),
}


@pytest.mark.parametrize("name", UNKNOWN_SIZES)
def test_sound_behind_a_header_that_does_not_know_its_size(tmp_path, name):
    path = saved(tmp_path / name, UNKNOWN_SIZES[name])
    audio, _ = read_audio(path)
    np.testing.assert_allclose(audio, tone(0.5), atol=2 / 32767)
    assert AudioFolder.scan(path).files[0].num_samples == len(audio)


def test_a_header_without_sound_stays_one(tmp_path):
    for name, data in (
        ("a.wav", riff(b"", 0)),
        ("b.wav", riff(b"", 0) + b"LIST\6\0\0\0hello!"),
    ):
        with pytest.raises(ValueError, match="header only, no samples"):
            AudioFolder.scan(saved(tmp_path / name, data))


@pytest.mark.parametrize(
    ("name", "container", "subtype"),
    [
        ("x.wav", "WAV", "GSM610"),
        ("x.aiff", "AIFF", "GSM610"),
        ("x.wav", "WAV", "G721_32"),
        ("x.au", "AU", "G723_24"),
        ("x.wav", "WAV", "NMS_ADPCM_32"),
    ],
)
def test_formats_that_are_read_from_the_start_only(
    tmp_path, name, container, subtype
):
    data = encoded(tone(1.6, 8000), container, subtype, 8000)
    path = saved(tmp_path / name, data)
    audio, _ = read_audio(path)
    # GSM in WAV and G.72x write whole blocks, of 320 and of 120 samples.
    assert 12800 <= len(audio) == audio_info(path).num_samples <= 12840
    loud = slice(2000, 4000)
    error = np.abs(audio[loud] - tone(1.6, 8000)[loud]).max()
    assert error < 0.2
    with open_sound(path) as sound:
        late = decode(sound, 9000, 500)
        early = decode(sound, 300, 500)
    np.testing.assert_array_equal(late, audio[9000:9500])
    np.testing.assert_array_equal(early, audio[300:800])
    assert AudioFolder.scan(path).files[0].num_samples == len(audio)


def test_a_git_lfs_pointer_is_called_that(tmp_path):
    pointer = (
        b"version https://git-lfs.github.com/spec/v1\n"
        b"oid sha256:" + b"a" * 64 + b"\nsize 12345\n"
    )
    with pytest.raises(AudioFileError, match=r"Git LFS pointer.*git lfs pull"):
        read_audio(saved(tmp_path / "x.flac", pointer))
