"""The data sets: what each is, whose, where it lives and what it comes to."""

from __future__ import annotations

import dataclasses
import importlib.resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from keras_audiogan.collections.sources import Source

GITHUB = "https://github.com"
DEBIAN = "https://deb.debian.org/debian"


class CollectionError(Exception):
    """A data set cannot be fetched or prepared; the message says why."""


@dataclasses.dataclass(frozen=True)
class Archive:
    """A repository at one commit, as GitHub packs it.

    Attributes:
        repository: `owner/name`.
        commit: 40 hex digits.
        wanted: A file in it, by which it is recognised.
        num_bytes: About how large the zip archive is.
    """

    repository: str
    commit: str
    wanted: str
    num_bytes: int

    @property
    def name(self) -> str:
        """The name of the repository without its owner."""
        return self.repository.partition("/")[2]

    @property
    def file_name(self) -> str:
        """What a browser calls the archive."""
        return f"{self.name}-{self.commit}.zip"

    def url(self, base: str = GITHUB) -> str:
        """Where the archive is; `base` takes the place of GitHub."""
        path = f"{self.repository}/archive/{self.commit}.zip"
        return f"{base.rstrip('/')}/{path}"

    def open(self, path: Path) -> Source:
        """Returns the files of the archive, fetched to `path`."""
        from keras_audiogan.collections.sources import ZipSource

        return ZipSource(path)


@dataclasses.dataclass(frozen=True)
class DebianPackage(Archive):
    """A package of Debian's archive.

    Attributes:
        repository: Its folder in the pool.
        commit: Its version.
        wanted: A file in the zip archive within it.
        num_bytes: Its size.
    """

    @property
    def name(self) -> str:
        """The name of the package."""
        return self.repository.rpartition("/")[2]

    @property
    def file_name(self) -> str:
        """What Debian calls the file."""
        return f"{self.name}_{self.commit}_all.deb"

    def url(self, base: str = GITHUB) -> str:
        """Where the package is; a `base` of one's own stands for Debian."""
        home = DEBIAN if base == GITHUB else base
        return f"{home.rstrip('/')}/{self.repository}/{self.file_name}"

    def open(self, path: Path) -> Source:
        """Returns the files of the zip archive within the package."""
        from keras_audiogan.collections.music import PackageSource

        return PackageSource(path)


@dataclasses.dataclass(frozen=True)
class Collection:
    """A data set.

    Attributes:
        name: What `audiogan data` calls it.
        title: What it is, in a few words.
        license: Name of its licence.
        archives: What it is made of; empty if it is rendered here.
        num_files: Sound files in it.
        hours: Its length.
        num_bytes: About its size on disk.
        layout: How its files are called.
        names_digest: SHA-256 of the sorted lines `path rate channels frames`.
        sound_digest: The same with each file's checksum, as the presets of
            the zoo were trained on it; None where fluidsynth does not render
            the same twice, as it does with long pieces.
        is_copied: Whether the samples are the source's own, so that another
            digest is an error. Resampled and rendered sound may differ in
            the last bit with another version of soxr or fluidsynth.
        needs: Programs and files that it is rendered with.
    """

    name: str
    title: str
    license: str
    archives: tuple[Archive, ...]
    num_files: int
    hours: float
    num_bytes: int
    layout: str
    names_digest: str
    sound_digest: str | None = None
    is_copied: bool = False
    needs: tuple[str, ...] = ()

    @property
    def license_text(self) -> str:
        """Source, licence, attribution and changes, in Markdown."""
        folder = importlib.resources.files("keras_audiogan.collections")
        path = folder / "licenses" / f"{self.name}.md"
        return path.read_text(encoding="utf-8")

    @property
    def download_bytes(self) -> int:
        """About how much is fetched."""
        return sum(archive.num_bytes for archive in self.archives)


_MEGABYTE = 1_000_000

FSDD = Archive(
    "Jakobovski/free-spoken-digit-dataset",
    "26eb9aaf76e81b692f806f9140c2d2777410d7a1",
    "recordings/0_george_0.wav",
    17 * _MEGABYTE,
)
KATHLEEN = Archive(
    "rhasspy/dataset-voice-kathleen",
    "c51cb971036a127359b43c621f26ca5081eab13e",
    "data/arctic_a0001_1592748574.wav",
    497 * _MEGABYTE,
)
TTS = Archive(
    "coqui-ai/TTS",
    "dbf1a08a0d4e47fdad6172e433eeb34bc6b13b4e",
    "tests/data/ljspeech/wavs/LJ001-0001.wav",
    38 * _MEGABYTE,
)
LJ_TRANSCRIPTS = Archive(
    "PhilippMatthes/dc_tts",
    "5f20e75b5c454b22f9f7dcaa2f7282bada93c1eb",
    "LJSpeech-1.1/metadata_all.csv",
    100 * _MEGABYTE,
)
COMMANDS_V1 = Archive(
    "vinsis/speech-commands-recognition",
    "53317d51bc2c75de6118ede48b0da06a412a1341",
    "speech_commands_v0.01/eight/439c84f4_nohash_1.wav",
    15 * _MEGABYTE,
)
COMMANDS_SC09 = Archive(
    "chaeyoung-lee/wids_tutorial",
    "7d028e7211c846244903eb59664087f1fb3e4c07",
    "data/sc09/eight/0a196374_nohash_0.wav",
    25 * _MEGABYTE,
)
COMMANDS_V2 = Archive(
    "thegtagamer/PICO-tinyML-benchmark",
    "c66f6b0d78fe9218f6de9d07189691cfae077bee",
    "MLTK_keyworkSpotting/dataset/yes/022cd682_nohash_0.wav",
    420 * _MEGABYTE,
)
DRUMS = {
    "sonicpi": Archive(
        "sonic-pi-net/sonic-pi",
        "c0002065a976b1355e7889f4aa96a1804e2b8119",
        "etc/samples/bd_boom.flac",
        325 * _MEGABYTE,
    ),
    "tr808": Archive(
        "tidalcycles/sounds-tr808-fischer",
        "85fbecf1bec32553395625ea659e2a56dfd7c0e1",
        "bd8/BD0000.WAV",
        8 * _MEGABYTE,
    ),
    "uzu": Archive(
        "tidalcycles/uzu-drumkit",
        "2f3e05c70ab4d73ad053a1467adec89bd27377a0",
        "bd/11_bd_mot4i.wav",
        2 * _MEGABYTE,
    ),
    "gogodze": Archive(
        "sfzinstruments/karoryfer.gogodze-phu-vol-ii",
        "69a0274cdc39c99c3098cde1bc3789690de86d62",
        "Samples/kick_mic/ks_vl1_rr1.wav",
        150 * _MEGABYTE,
    ),
    "frankensnare": Archive(
        "sfzinstruments/karoryfer.frankensnare",
        "9151c2d79fcbb73c65d63f78918d4ba7abc91a81",
        "Samples/xtra_claps/clap_stack_rr1.flac",
        300 * _MEGABYTE,
    ),
    "muldjord": Archive(
        "sfzinstruments/DrumGizmo.MuldjordKit",
        "fc165714974aa843125ce88597f341b31376e1d5",
        "DrumGizmo/MuldjordKit/Samples/Snare/1-Snare-OHL.flac",
        347 * _MEGABYTE,
    ),
    "body": Archive(
        "sfzinstruments/body_percussion",
        "4ac9d8966679c648b62fa10a188179e186b97f24",
        "Samples/body/handclap_vl1_rr1.wav",
        40 * _MEGABYTE,
    ),
}
PIANO_MIDI = Archive(
    "cheriell/ClassicalPianoMIDI-dataset",
    "505aef5e7539ac56cdb4cbc72d08a98bfaf7a208",
    "midis/Bach/bach_846.mid",
    3 * _MEGABYTE,
)

UFOAI_MUSIC = DebianPackage(
    "pool/main/u/ufoai-music",
    "2.5-2",
    "music/David01.ogg",
    210_239_176,
)

COLLECTIONS = {
    collection.name: collection
    for collection in (
        Collection(
            name="fsdd",
            title="spoken digits of six speakers, 8 kHz",
            license="CC-BY-SA-4.0",
            archives=(FSDD,),
            num_files=3000,
            hours=0.3645,
            num_bytes=18 * _MEGABYTE,
            layout="DIGIT/SPEAKER_TAKE.flac; takes 0 to 4 are the test set",
            names_digest=(
                "866954428b8668973280af7e984e60c8"
                "76c6f30e7530a18a0f7903102f8853ff"
            ),
            sound_digest=(
                "5d4754f5ed66ca69d20aa770387d4288"
                "6e2d40704f918fca6feaf7ee75d866cf"
            ),
            is_copied=True,
        ),
        Collection(
            name="speech",
            title="read English of two speakers, 22.05 kHz",
            license="CC0-1.0 and public domain",
            archives=(KATHLEEN, TTS, LJ_TRANSCRIPTS),
            num_files=987,
            hours=0.871,
            num_bytes=80 * _MEGABYTE,
            layout="kathleen/, kathleen_more/ and ljspeech/, with transcripts",
            names_digest=(
                "1d71ec79d2ee05c8bbffb32a86542e9b"
                "8bcb79fec8be224197e935f165ef1f75"
            ),
            sound_digest=(
                "8856576580d2eb45e1d7cfa78e5f19e2"
                "3f861cc7de2df5d979c679ed4da4ddaf"
            ),
        ),
        Collection(
            name="drums",
            title="one-shot drum hits of ten kinds, 16 kHz",
            license="CC0-1.0 and CC-BY-4.0",
            archives=tuple(DRUMS.values()),
            num_files=1371,
            hours=0.2844,
            num_bytes=20 * _MEGABYTE,
            layout="KIND/KIT_HIT.flac",
            names_digest=(
                "789448ddd4b4afbb0ca7e9b654c4fa4b"
                "6edf0ec91eef826b5834e7b603b14fbd"
            ),
            sound_digest=(
                "4b9e5d41090140c8627d094f1b904ee7"
                "053a73948ca58ef55d9b9dbd2fd93565"
            ),
        ),
        Collection(
            name="sc09",
            title="a small part of Speech Commands, 16 kHz",
            license="CC-BY-4.0",
            archives=(COMMANDS_V1, COMMANDS_SC09, COMMANDS_V2),
            num_files=923,
            hours=0.256,
            num_bytes=15 * _MEGABYTE,
            layout="digits/WORD/ and yes_no/WORD/, SPEAKER_nohash_TAKE.flac",
            names_digest=(
                "b66dc7694fb71c23b9da8de41435d32e"
                "3fb28c2f2e3b241fb43cb936e2f0a5e0"
            ),
            sound_digest=(
                "7f97486d8487cf4f3e46fbf93b12c723"
                "e60d9ba780ef7cb2074790a133e7aaab"
            ),
            is_copied=True,
        ),
        Collection(
            name="notes",
            title="61 pitches of 18 instruments, rendered here, 16 kHz",
            license="MIT",
            archives=(),
            num_files=2196,
            hours=0.6246,
            num_bytes=40 * _MEGABYTE,
            layout="PITCH/INSTRUMENT_VELOCITY.flac; MIDI pitches 024 to 084",
            names_digest=(
                "40587b72afb6a668d6c7e2e4b5202b9d"
                "075cbf45080970d783eb3c1e62d2cbbe"
            ),
            sound_digest=(
                "e4923b920cc43136333e83fe96e34664"
                "d2e59600937b9b561f2e06caa497436e"
            ),
            needs=("fluidsynth", "FluidR3_GM.sf2"),
        ),
        Collection(
            name="piano",
            title="15 piano pieces, rendered here, 16 kHz, stereo",
            license="CC-BY-SA-3.0-DE",
            archives=(PIANO_MIDI,),
            num_files=15,
            hours=0.6819,
            num_bytes=78 * _MEGABYTE,
            layout="COMPOSER_PIECE.flac, index.csv",
            names_digest=(
                "fd30f49fd67a669026c991d59b97e53c"
                "2140d12f3ea488dc64f1a2b75d54da4a"
            ),
            needs=("fluidsynth", "FluidR3_GM.sf2"),
        ),
        Collection(
            name="music",
            title="produced music of a game, 16 tracks, 16 kHz, stereo",
            license="CC-BY-3.0 and public domain",
            archives=(UFOAI_MUSIC,),
            num_files=16,
            hours=1.0011,
            num_bytes=160 * _MEGABYTE,
            layout="TRACK.flac",
            names_digest=(
                "a98c31e0020d61eae5c0cf55474484c3"
                "dd37a8fabb9494eb73eeb92ceb73d2fc"
            ),
            sound_digest=(
                "d0e4e83f9e48fbc51b00c3af695f3462"
                "5f35def22e21c222875dc26cd0e6e570"
            ),
        ),
    )
}
