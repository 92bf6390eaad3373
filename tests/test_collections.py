"""Data sets: fetched from a server of the test, prepared, checked."""

import csv
import dataclasses
import functools
import http.server
import io
import json
import pathlib
import re
import shutil
import socket
import stat
import struct
import threading
import zipfile

import numpy as np
import pytest
import soundfile
from cli_support import audiogan

from keras_audiogan.collections import (
    COLLECTIONS,
    CollectionError,
    catalogue,
    collect,
    download,
    downloads_of,
    notes,
    prepare,
    recipes,
)
from keras_audiogan.collections.sources import FolderSource, ZipSource

ROOT = pathlib.Path(__file__).parents[1]
TOP = f"free-spoken-digit-dataset-{catalogue.FSDD.commit}"
TAKES = {
    "0_george_0": np.array([0, 1, -1, 32767], np.int16),
    "0_theo_5": np.array([5, 6, -32768], np.int16),
    "9_lucas_12": np.arange(-20, 20, dtype=np.int16),
}


def wav(samples, rate=8000):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def zipped(members, top=TOP):
    """The bytes of an archive as GitHub packs it; names may be ZipInfo."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            if isinstance(name, str):
                name = f"{top}/{name}" if top else name
            archive.writestr(name, data)
    return buffer.getvalue()


def recordings():
    members = {f"recordings/{k}.wav": wav(v) for k, v in TAKES.items()}
    return {"README.md": b"words", **members, "recordings/notes.txt": b"no"}


@pytest.fixture
def small(monkeypatch):
    """The catalogue with an fsdd of three files."""
    listing = prepare.Listing()
    for name, samples in TAKES.items():
        digit, _, rest = name.partition("_")
        listing.add((f"{digit}/{rest}.flac", samples[:, None], 8000))
    collection = dataclasses.replace(
        COLLECTIONS["fsdd"],
        num_files=3,
        num_bytes=1000,
        names_digest=listing.names_digest(),
        sound_digest=listing.sound_digest(),
    )
    monkeypatch.setitem(COLLECTIONS, "fsdd", collection)
    return collection


class Server(http.server.ThreadingHTTPServer):
    """Serves `body`; `faults` is what goes wrong with the next requests."""

    daemon_threads = True
    body = b""
    etag = '"1"'

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults = []
        self.requests = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        fault = server.faults.pop(0) if server.faults else None
        if isinstance(fault, int):
            self.send_error(fault)
            return
        body, first = server.body, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked and self.headers.get("If-Range") == server.etag:
            first = int(asked[1])
        self.send_response(206 if first else 200)
        if fault != "no tag":
            self.send_header("ETag", server.etag)
        chunked = fault == "cut chunk"
        length = str(len(body) - first)
        header = ("Transfer-Encoding", "chunked")
        self.send_header(*(header if chunked else ("Content-Length", length)))
        self.end_headers()
        body = body[first:]
        if chunked:
            self.wfile.write(b"%x\r\n" % len(body) + body[:20])
        else:
            cut = fault in ("cut", "no tag")
            self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = True

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        server.body = zipped(recordings())
        thread = threading.Thread(
            target=functools.partial(server.serve_forever, 0.01)
        )
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def samples_in(folder):
    return {
        path.relative_to(folder).as_posix(): soundfile.read(path, dtype="int16")
        for path in sorted(folder.rglob("*.flac"))
    }


def assert_nothing(tmp_path, *kept):
    assert {path.name for path in tmp_path.iterdir()} == set(kept)


def test_the_command_fetches_prepares_and_checks(small, server, tmp_path):
    target = tmp_path / "fsdd"
    result = audiogan("data", "fsdd", target, "--mirror", server.url)
    assert result.exit_code == 0, result.output
    assert "CC BY-SA 4.0" in result.stdout
    assert f"{small.sound_digest}, as expected" in result.stdout
    path = f"/Jakobovski/free-spoken-digit-dataset/archive/{TOP[-40:]}.zip"
    assert server.requests == [(path, None)]
    found = samples_in(target)
    assert sorted(found) == [
        "0/george_0.flac",
        "0/theo_5.flac",
        "9/lucas_12.flac",
    ]
    for name, expected in TAKES.items():
        digit, _, rest = name.partition("_")
        samples, rate = found[f"{digit}/{rest}.flac"]
        assert rate == 8000
        np.testing.assert_array_equal(samples, expected)
    license_text = (target / "LICENSE.md").read_text("utf-8")
    assert catalogue.FSDD.commit in license_text
    assert_nothing(tmp_path, "fsdd")

    again = audiogan("data", "fsdd", target, "--mirror", server.url, "--json")
    facts = json.loads(again.stdout)
    assert facts["was_there"] and facts["is_expected"]
    assert len(server.requests) == 1


def test_the_digest_is_that_of_the_lines(small):
    import hashlib
    import zlib

    lines = []
    for path, name in (
        ("0/george_0.flac", "0_george_0"),
        ("0/theo_5.flac", "0_theo_5"),
        ("9/lucas_12.flac", "9_lucas_12"),
    ):
        samples = TAKES[name].astype("<i2")
        checksum = zlib.crc32(samples.tobytes())
        lines.append(f"{path} 8000 1 {len(samples)} {checksum:08x}\n")
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert small.sound_digest == expected


@pytest.mark.parametrize(
    ("faults", "ranges"),
    [
        (["cut"], [None, "resumed"]),
        (["no tag"], [None, None]),
        (["cut chunk"], [None, None]),
        ([503], [None, None]),
    ],
)
def test_a_broken_connection_is_tried_once_more(
    small, server, tmp_path, faults, ranges
):
    server.faults = list(faults)
    done = collect("fsdd", tmp_path / "fsdd", base=server.url)
    assert done.is_expected and done.num_files == 3
    got = [asked and "resumed" for _, asked in server.requests]
    assert got == ranges


@pytest.mark.parametrize(
    ("faults", "said", "requests"),
    [
        ([404], "answered 404", 1),
        ([503, 503], "answered 503", 2),
        (["no tag", "no tag"], "the connection broke after", 2),
    ],
)
def test_what_cannot_be_fetched_is_said_with_addresses(
    small, server, tmp_path, faults, said, requests
):
    server.faults = list(faults)
    target = tmp_path / "fsdd"
    result = audiogan("data", "fsdd", target, "--mirror", server.url)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "--from" in result.stderr
    assert catalogue.FSDD.url(server.url) in result.stderr.split("--from")[1]
    assert len(server.requests) == requests
    assert_nothing(tmp_path, "fsdd.download")


def test_without_network_all_addresses_are_named(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{unused.getsockname()[1]}"
        result = audiogan("data", "drums", tmp_path / "d", "--mirror", base)
    assert result.exit_code == 1
    advice = result.stderr.split("--from")[1]
    for archive in catalogue.DRUMS.values():
        assert archive.url(base) in advice


def test_a_silent_server_is_not_waited_for(small, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        base = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(CollectionError, match="timed out"):
            collect("fsdd", tmp_path / "fsdd", base=base)


def test_a_proxy_is_used(small, server, tmp_path, monkeypatch):
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", server.url)
    collect("fsdd", tmp_path / "fsdd", base="http://elsewhere.invalid")
    assert server.requests[0][0].startswith("http://elsewhere.invalid/")


def test_too_much_is_refused(small, server, tmp_path, monkeypatch):
    archive = dataclasses.replace(catalogue.FSDD, num_bytes=100)
    changed = dataclasses.replace(small, archives=(archive,))
    monkeypatch.setitem(COLLECTIONS, "fsdd", changed)
    server.body = bytes(3 << 20)
    with pytest.raises(CollectionError, match="sends more than 1.0 MB"):
        collect("fsdd", tmp_path / "fsdd", base=server.url)
    assert len(server.requests) == 1


def test_a_page_in_place_of_the_archive_is_refused(small, server, tmp_path):
    server.body = b"<html>Log in to this network</html>"
    with pytest.raises(CollectionError, match="cut, or no zip archive"):
        collect("fsdd", tmp_path / "fsdd", base=server.url)


def test_a_full_disk_leaves_nothing_half_made(small, server, tmp_path):
    if not pathlib.Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    target = tmp_path / "fsdd"
    part = downloads_of(target) / f"{TOP}.zip.part"
    part.parent.mkdir()
    part.symlink_to("/dev/full")
    result = audiogan("data", "fsdd", target, "--mirror", server.url)
    assert result.exit_code == 1
    assert f"The disk is full while writing {str(part)!r}" in result.stderr
    assert_nothing(tmp_path, "fsdd.download")


def test_a_disk_that_is_too_small_is_said_first(
    small, server, tmp_path, monkeypatch
):
    changed = dataclasses.replace(small, num_bytes=10**18)
    monkeypatch.setitem(COLLECTIONS, "fsdd", changed)
    with pytest.raises(CollectionError, match="needs about 1000000000.0 GB"):
        collect("fsdd", tmp_path / "fsdd", base=server.url)
    assert not server.requests


@pytest.mark.parametrize("moment", [f"{TOP}.zip", "preparing"])
def test_an_interruption_leaves_what_was_fetched(
    small, server, tmp_path, moment
):
    def interrupt(what, done, total):
        if what == moment:
            raise KeyboardInterrupt

    target = tmp_path / "fsdd"
    with pytest.raises(KeyboardInterrupt):
        collect("fsdd", target, base=server.url, progress=interrupt)
    assert_nothing(tmp_path, "fsdd.download")
    collect("fsdd", target, base=server.url)
    # An archive that was whole is not fetched again.
    assert len(server.requests) == (1 if moment == "preparing" else 2)
    assert_nothing(tmp_path, "fsdd")


def given_archive(tmp_path, members, top=TOP):
    path = tmp_path / "given.zip"
    path.write_bytes(zipped(members, top))
    return path


@pytest.mark.parametrize("form", ["zip", "bare", "folder", "parent", "several"])
def test_from_takes_what_is_here(small, tmp_path, form):
    archive = given_archive(
        tmp_path, recordings(), "" if form == "bare" else TOP
    )
    given = archive
    if form in ("folder", "parent"):
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tmp_path / "unpacked")
        given = tmp_path / "unpacked"
        given = given / TOP if form == "folder" else given
    elif form == "several":
        given = tmp_path / "downloads"
        given.mkdir()
        shutil.move(archive, given)
        (given / "other.txt").write_text("")
    target = tmp_path / "fsdd"
    result = audiogan("data", "fsdd", target, "--from", given)
    assert result.exit_code == 0, result.output
    assert len(samples_in(target)) == 3


def test_from_says_what_is_missing(small, tmp_path):
    (tmp_path / "empty").mkdir()
    target = tmp_path / "fsdd"
    result = audiogan("data", "fsdd", target, "--from", tmp_path / "empty")
    assert result.exit_code == 1
    assert catalogue.FSDD.url() in result.stderr
    result = audiogan("data", "fsdd", target, "--from", tmp_path / "none")
    assert result.exit_code == 1 and "does not exist" in result.stderr
    text = tmp_path / "fsdd.tar.gz"
    text.write_bytes(b"\x1f\x8b" + bytes(100))
    result = audiogan("data", "fsdd", target, "--from", text)
    assert result.exit_code == 1 and "unpacked by hand" in result.stderr
    assert not target.exists()


def test_hostile_names_stay_in_the_archive(small, tmp_path):
    members = recordings()
    outside = {
        zipfile.ZipInfo(name): wav(TAKES["0_theo_5"])
        for name in (
            f"{TOP}/../../1_evil_0.wav",
            f"{TOP}/recordings/../../1_evil_1.wav",
            "/1_evil_2.wav",
            f"{TOP}/recordings/2_../../x_0.wav",
        )
    }
    path = given_archive(tmp_path, {**members, **outside})
    # Other tops than one: the files are looked for where they stand.
    with pytest.raises(CollectionError, match="These are missing"):
        collect("fsdd", tmp_path / "fsdd", given=[path])
    del outside[next(n for n in outside if n.filename.startswith("/"))]
    path = given_archive(tmp_path, {**members, **outside})
    collect("fsdd", tmp_path / "fsdd", given=[path])
    assert_nothing(tmp_path, "fsdd", "given.zip")
    assert len(samples_in(tmp_path / "fsdd")) == 3


def link(members):
    info = zipfile.ZipInfo(f"{TOP}/recordings/0_george_0.wav")
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    del members["recordings/0_george_0.wav"]
    return {**members, info: "/etc/passwd"}


def bomb(members):
    return {**members, "recordings/0_george_0.wav": bytes((1 << 26) + 1)}


def no_sound(members):
    return {**members, "recordings/0_george_0.wav": b"RIFF of another kind"}


def too_few(members):
    del members["recordings/9_lucas_12.wav"]
    return members


def other_length(members):
    return {**members, "recordings/0_theo_5.wav": wav(np.zeros(9, np.int16))}


def other_samples(members):
    return {**members, "recordings/0_theo_5.wav": wav(np.zeros(3, np.int16))}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (link, "is a link"),
        (bomb, "67,108,865 bytes; expected at most 67,108,864"),
        (no_sound, "0_george_0.wav is not sound"),
        (too_few, "2 files, expected 3"),
        (other_length, "names, rates or lengths"),
        (other_samples, "samples of its files"),
    ],
)
def test_a_wrong_archive_is_refused(small, tmp_path, change, said):
    path = given_archive(tmp_path, change(recordings()))
    result = audiogan("data", "fsdd", tmp_path / "fsdd", "--from", path)
    assert result.exit_code == 1
    assert said in result.stderr
    assert_nothing(tmp_path, "given.zip")


def test_a_corrupt_archive_is_refused(small, tmp_path):
    path = given_archive(tmp_path, recordings())
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{TOP}/recordings/9_lucas_12.wav")
    data[info.header_offset + 30 + len(info.filename) + 20] ^= 0xFF
    path.write_bytes(data)
    result = audiogan("data", "fsdd", tmp_path / "fsdd", "--from", path)
    assert result.exit_code == 1
    assert "given.zip is damaged" in result.stderr
    assert_nothing(tmp_path, "given.zip")


@pytest.mark.parametrize("what", ["other", "half", "file"])
def test_a_folder_with_other_things_is_refused(small, server, tmp_path, what):
    target = tmp_path / "fsdd"
    if what == "file":
        target.write_text("mine")
    elif what == "other":
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    else:
        collect("fsdd", target, base=server.url)
        (target / "0" / "theo_5.flac").unlink()
    before = sorted(tmp_path.rglob("*"))
    result = audiogan("data", "fsdd", target, "--mirror", server.url)
    assert result.exit_code != 0
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_is_filled(small, server, tmp_path):
    (tmp_path / "fsdd").mkdir()
    collect("fsdd", tmp_path / "fsdd", base=server.url)
    assert len(samples_in(tmp_path / "fsdd")) == 3


def test_the_list_and_the_description():
    result = audiogan("data")
    assert result.exit_code == 0
    for name, collection in COLLECTIONS.items():
        assert f"\n{name} " in result.stdout
        assert collection.license in result.stdout
        shown = audiogan("data", name).stdout
        assert (collection.sound_digest or "varies") in shown
        assert all(a.url() in shown for a in collection.archives)
        assert all(a.commit in shown for a in collection.archives)
    listed = json.loads(audiogan("data", "--json").stdout)
    assert [entry["name"] for entry in listed] == list(COLLECTIONS)
    assert audiogan("data", "fsd").exit_code == 2


def rows(name):
    path = ROOT / "keras_audiogan" / "collections" / "tables" / name
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))


def test_the_tables_agree_with_the_catalogue():
    hits = rows("drums.csv")
    assert len({row["name"] for row in hits}) == len(hits)
    assert len(hits) == COLLECTIONS["drums"].num_files
    kinds = {row["name"].partition("/")[0] for row in hits}
    assert kinds == set(
        "clap conga cymbal hat kick perc rim snare tabla tom".split()
    )
    for row in hits:
        assert row["mix"].partition("_")[0] in catalogue.DRUMS
        assert ("*" in row["source"]) == (row["mix"] in recipes._MIXES)
    assert len(rows("piano.csv")) == COLLECTIONS["piano"].num_files
    phrases = rows("kathleen.csv")
    assert len({row["name"] for row in phrases}) == len(phrases)
    assert len(phrases) + 32 == COLLECTIONS["speech"].num_files


def test_a_drum_hit_by_hand(tmp_path):
    """At 16 kHz nothing is resampled, so that every step can be followed."""
    close = np.full(3000, 0.25)
    close[10] = 0.75
    left, right = np.full(3000, 0.125), np.full(3000, 0.125)
    left[10], right[12] = 0.625, 0.375
    for name, data in (("top", close), ("btm", np.zeros(2000)), ("oh", None)):
        folder = tmp_path / name
        folder.mkdir()
        both = np.stack([left, right], 1) if data is None else data
        soundfile.write(folder / "h.wav", both, 16000, subtype="FLOAT")
    hit = recipes.drum_hit(
        FolderSource(tmp_path),
        {
            "mix": "frankensnare_top",
            "source": "*/h.wav",
            "start": "8",
            "length": "2000",
        },
    )
    # Above the median of 0.25 + 0.7 x 0.125: at 10, 0.5 + 0.7 x 0.25 = 0.675;
    # at 12, 0.7 x 0.125 = 0.0875.
    expected = np.zeros((2000, 1))
    expected[2] = round(0.9 * 32767)
    expected[4] = round(0.9 * 32767 * 0.0875 / 0.675)
    assert hit.dtype == np.int16
    np.testing.assert_array_equal(hit, expected)


def test_the_fade_of_a_drum_hit(tmp_path):
    audio = np.zeros(1000)
    audio[:400:2] = 1.0
    audio[1:400:2] = -1.0
    soundfile.write(tmp_path / "h.wav", audio, 16000, subtype="FLOAT")
    hit = recipes.drum_hit(
        FolderSource(tmp_path),
        {"mix": "tr808", "source": "h.wav", "start": "0", "length": "400"},
    )
    # A quarter of a short hit, half a cosine from 1 to 0.
    ramp = 0.5 * (1 + np.cos(np.pi * np.arange(100) / 99))
    expected = np.where(np.arange(400) % 2, -1, 1) * 0.9 * 32767
    expected[300:] *= ramp
    np.testing.assert_array_equal(hit[:, 0], np.rint(expected))


def test_phrases_are_louder_without_offset_and_do_not_clip():
    time = np.arange(2205) / 22050
    tone = 0.25 * np.sin(2 * np.pi * 100 * time)
    audio = np.stack([tone, tone], 1).astype(np.float32) + np.float32(0.01)
    for made, scale in (
        (recipes._phrase, 32767),
        (recipes._further_phrase, 32768),
    ):
        levels = made(audio, 22050)
        assert levels.shape == (2205, 1)
        np.testing.assert_allclose(levels[:, 0], 2 * scale * tone, atol=0.51)
    loud = recipes._phrase(3 * audio, 22050)
    assert np.abs(loud).max() == round(0.99 * 32767)


@pytest.mark.filterwarnings("default")
def test_resampled_sets_warn_where_samples_differ(
    small, server, tmp_path, monkeypatch
):
    changed = dataclasses.replace(small, is_copied=False, sound_digest="0" * 64)
    monkeypatch.setitem(COLLECTIONS, "fsdd", changed)
    target = tmp_path / "fsdd"
    result = audiogan("data", "fsdd", target, "--mirror", server.url)
    assert result.exit_code == 0
    assert "another version of soxr" in " ".join(result.stderr.split())
    assert "not the expected one" in result.stdout


def test_a_song_is_midi():
    song = notes._song(12, [(60, 100)], held=0.5, period=1.0)
    assert song[:14] == b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480)
    assert song[14:18] == b"MTrk"
    # 480 ticks are half a second; 0x83 0x60 is 480 in sevens of bits.
    assert song[22:] == bytes(
        [0, 0xC0, 12, 0, 0x90, 60, 100, 0x83, 0x60, 0x80, 60, 0]
        + [0x83, 0x60, 0xB0, 120, 0, 0, 0xFF, 0x2F, 0]
    )
    assert struct.unpack(">I", song[18:22]) == (len(song) - 22,)


def test_missing_programs_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(notes, "_FOLDERS", (str(tmp_path / "sf2"),))
    with pytest.raises(CollectionError, match="fluid-soundfont-gm"):
        notes.find_soundfont([])
    font = tmp_path / "mine.sf2"
    font.write_bytes(b"")
    assert notes.find_soundfont([font]) == font
    monkeypatch.setenv("PATH", str(tmp_path))
    result = audiogan("data", "notes", tmp_path / "notes", "--from", font)
    assert result.exit_code == 1
    assert "apt-get install fluidsynth" in result.stderr
    assert "--from" in result.stderr
    assert_nothing(tmp_path, "mine.sf2")


def test_a_failing_renderer_is_quoted(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "fluidsynth"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'not a soundfont' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    font = tmp_path / "mine.sf2"
    font.write_bytes(b"")
    result = audiogan("data", "notes", tmp_path / "notes", "--from", font)
    assert result.exit_code == 1
    assert "exit code 3): not a soundfont" in result.stderr
    assert_nothing(tmp_path, "bin", "mine.sf2")


def test_notes_have_the_pitch_of_their_folder():
    try:
        notes.find_fluidsynth()
        font = notes.find_soundfont([])
    except CollectionError as error:
        pytest.skip(str(error))
    made = dict(notes.render(font, [71], [57, 69], [127]))
    assert list(made) == ["057/clarinet_127.flac", "069/clarinet_127.flac"]
    for clip, hertz in zip(made.values(), (220.0, 440.0), strict=True):
        assert clip.shape == (16384, 1) and clip.dtype == np.int16
        assert clip[-1] == 0
        # A clarinet sounds every second harmonic: the lowest is its pitch.
        spectrum = np.abs(np.fft.rfft(clip[:8192, 0] * np.hanning(8192)))
        found = np.flatnonzero(spectrum > 0.2 * spectrum.max())[0]
        assert abs(found * 16000 / 8192 - hertz) < 5


def test_commands_of_the_cards_name_public_data_only():
    """What a reader copies must run: no folder that only we have."""
    pages = [
        ROOT / "README.md",
        *ROOT.glob("zoo/presets/*/README.md"),
        *ROOT.glob("zoo/presets/*/training.json"),
        *ROOT.glob("benchmarks/*.*"),
        *ROOT.glob("notebooks/*.ipynb"),
    ]
    assert len(pages) > 20
    for page in pages:
        if page.suffix == ".png":
            continue
        text = page.read_text("utf-8")
        assert "../" not in text.replace("](../", ""), page
        for name in re.findall(r"--data ([\w./]+)", text):
            assert name in COLLECTIONS or not page.match("presets/*"), page


def test_a_zip_is_read_once_and_closed(tmp_path):
    path = given_archive(tmp_path, recordings())
    source = ZipSource(path)
    assert source.read("README.md") == b"words"
    with pytest.raises(CollectionError, match="has no file a.wav"):
        source.read("a.wav")
