"""The produced music: out of a Debian package, fetched or given."""

import dataclasses
import io
import tarfile
import zipfile

import numpy as np
import pytest
import soundfile

from keras_audiogan.collections import (
    COLLECTIONS,
    CollectionError,
    catalogue,
    collect,
    music,
    prepare,
)
from keras_audiogan.collections.sources import debian_members, is_whole


def package(tracks):
    """The bytes of a package of Debian's layout, with a pk3 of tracks."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        for name, (audio, rate) in tracks.items():
            sound = io.BytesIO()
            soundfile.write(sound, audio, rate, format="OGG", subtype="VORBIS")
            archive.writestr(f"music/{name}.ogg", sound.getvalue())
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        member = tarfile.TarInfo("./usr/share/games/ufoai/base/0music.pk3")
        member.size = inner.tell()
        inner.seek(0)
        archive.addfile(member, inner)
    result = b"!<arch>\n"
    for name, content in (
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", b"odd"),
        ("data.tar.gz", data.getvalue()),
    ):
        result += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n"
        ).encode()
        result += content + b"\n" * (len(content) % 2)
    return result


@pytest.fixture
def small(monkeypatch, tmp_path):
    """The package with two tracks, and a catalogue that expects them."""
    time = np.arange(44100) / 44100
    tone = 0.4 * np.sin(2 * np.pi * 440 * time)
    stereo = np.stack([tone, 0.5 * tone], axis=1).astype("float32")
    path = tmp_path / catalogue.UFOAI_MUSIC.file_name
    path.write_bytes(
        package({"a": (stereo, 44100), "b": (stereo[:22050], 44100)})
    )
    monkeypatch.setattr(music, "TRACKS", ("a", "b"))
    listing = prepare.Listing()
    source = music.PackageSource(path)
    for piece in music.tracks(source):
        listing.add(piece)
    source.close()
    collection = dataclasses.replace(
        COLLECTIONS["music"],
        num_files=2,
        num_bytes=1000,
        names_digest=listing.names_digest(),
        sound_digest=listing.sound_digest(),
    )
    monkeypatch.setitem(COLLECTIONS, "music", collection)
    return path


def test_a_package_becomes_stereo_files_at_16_khz(small, tmp_path):
    done = collect("music", tmp_path / "music", given=[small])
    assert done.num_files == 2 and done.seconds == pytest.approx(1.5)
    assert done.is_expected
    audio, rate = soundfile.read(tmp_path / "music" / "a.flac")
    assert audio.shape == (16000, 2) and rate == 16000
    time = np.arange(16000) / 16000
    expected = 0.4 * np.sin(2 * np.pi * 440 * time)
    middle = slice(2000, 14000)
    np.testing.assert_allclose(audio[middle, 0], expected[middle], atol=0.02)
    np.testing.assert_allclose(
        audio[middle, 1], 0.5 * audio[middle, 0], atol=0.02
    )
    text = (tmp_path / "music" / "LICENSE.md").read_text("utf-8")
    assert "CC BY 3.0" in text and "Marino" in text
    # The folder that the package lies in serves as well.
    assert collect("music", tmp_path / "again", given=[tmp_path]).is_expected


def test_a_package_that_is_cut_is_said_to_be(small, tmp_path):
    whole = small.read_bytes()
    assert is_whole(small)
    with small.open("rb") as file:
        assert list(debian_members(file)) == [
            "debian-binary",
            "control.tar.gz",
            "data.tar.gz",
        ]
    small.write_bytes(whole[:-100])
    assert not is_whole(small)
    with pytest.raises(CollectionError, match="damaged, or not Debian's"):
        collect("music", tmp_path / "music", given=[small])
    small.write_bytes(b"<html>not found</html>")
    with pytest.raises(CollectionError, match="no ar archive"):
        collect("music", tmp_path / "music", given=[small])
    assert not (tmp_path / "music").exists()


def test_the_address_is_debians_or_that_of_a_mirror():
    archive = catalogue.UFOAI_MUSIC
    assert archive.url() == (
        "https://deb.debian.org/debian/pool/main/u/ufoai-music/"
        "ufoai-music_2.5-2_all.deb"
    )
    assert archive.url("http://127.0.0.1:9/").startswith(
        "http://127.0.0.1:9/pool/"
    )
