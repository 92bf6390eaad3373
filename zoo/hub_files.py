"""Where a preset is on the Hub, and which files belong to it."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keras_audiogan.presets.config import (
    CARD_FILE,
    SAMPLES_FOLDER,
    TRAINING_FILE,
)
from keras_audiogan.presets.writer import sample_files

if TYPE_CHECKING:
    from huggingface_hub import HfApi

OPTIONAL = (TRAINING_FILE, CARD_FILE)

_SCHEME = "hf://"
_NAME = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9_](?:[\w.-]{0,94}[\w])?", re.A)
_REVISION = re.compile(r"(?!.*(\.\.|//|/$))[\w][\w./+-]{0,254}", re.A)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubURI:
    """Where a preset is on the Hub.

    Attributes:
        owner: A user or an organisation.
        name: The repository's name.
        revision: A branch, a tag or a commit; None is the main branch.
    """

    owner: str
    name: str
    revision: str | None = None

    @property
    def repo_id(self) -> str:
        """`owner/name`, as the client wants it."""
        return f"{self.owner}/{self.name}"

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit, which never changes."""
        return bool(self.revision and _COMMIT.fullmatch(self.revision))

    def __str__(self) -> str:
        """Return `hf://owner/name[@revision]`."""
        revision = "" if self.revision is None else f"@{self.revision}"
        return f"{_SCHEME}{self.repo_id}{revision}"


def parse_uri(uri: str) -> HubURI:
    """Reads `hf://owner/name[@revision]`.

    Raises:
        ValueError: if it has another form.
    """
    repo_id, at, revision = str(uri).removeprefix(_SCHEME).partition("@")
    owner, slash, name = repo_id.partition("/")
    well_formed = (
        str(uri).startswith(_SCHEME)
        and bool(slash)
        and _NAME.fullmatch(owner)
        and _NAME.fullmatch(name)
        and not name.endswith(".git")
        and (not at or _REVISION.fullmatch(revision))
    )
    if not well_formed:
        raise ValueError(
            "Not the address of a preset on the Hub. Expected "
            "hf://owner/name[@revision], such as hf://me/my_gan or "
            f"hf://me/my_gan@v1. Received: {uri!r}"
        )
    return HubURI(owner, name, revision if at else None)


def client(token: str | bool | None) -> HfApi:
    """Returns the Hub's client; what it needs is read from its settings."""
    from huggingface_hub import HfApi

    return HfApi(token=token, library_name="keras-audiogan")


def optional_names(folder: Path) -> list[str]:
    """Returns what a preset holds beside config.json and weights, by name."""
    names = [name for name in OPTIONAL if (folder / name).is_file()]
    samples = folder / SAMPLES_FOLDER
    if samples.is_dir():
        names += [f"{SAMPLES_FOLDER}/{f.name}" for f in sample_files(samples)]
    return names


def digest_of(file: Path, algorithm: str) -> str:
    """Returns the checksum of a file; `git` is that of a Git blob."""
    with file.open("rb") as stream:
        if algorithm != "git":
            return hashlib.file_digest(stream, algorithm).hexdigest()
        # Git's names of contents, not a matter of security.
        digest = hashlib.sha1(usedforsecurity=False)
        digest.update(b"blob %d\0" % os.fstat(stream.fileno()).st_size)
        while block := stream.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()
