"""What a Hub keeps: users, and repositories with a Git-like history."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

# What a new repository's .gitattributes sends to large-file storage.
LFS_SUFFIXES = (".safetensors", ".bin", ".h5", ".npz", ".wav", ".flac", ".ogg")
LFS_SIZE = 10_000_000


@dataclass(frozen=True)
class User:
    """Who a token belongs to; a read-only token may not create or commit."""

    name: str
    organizations: tuple[str, ...] = ()
    can_write: bool = True

    def owns(self, repo_id: str) -> bool:
        return repo_id.split("/")[0] in (self.name, *self.organizations)


@dataclass(frozen=True)
class Blob:
    """One file of a commit: its bytes, and whether Git holds a pointer."""

    data: bytes
    is_lfs: bool = False

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def git_oid(self) -> str:
        content = self.pointer if self.is_lfs else self.data
        header = f"blob {len(content)}\0".encode()
        return hashlib.sha1(header + content).hexdigest()

    @property
    def pointer(self) -> bytes:
        return (
            "version https://git-lfs.github.com/spec/v1\n"
            f"oid sha256:{self.sha256}\nsize {len(self.data)}\n"
        ).encode()

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_lfs else self.git_oid


@dataclass(frozen=True)
class Commit:
    """A whole tree, as in Git: a reader of it sees all of it or nothing."""

    oid: str
    parent: str | None
    title: str
    tree: dict[str, Blob]


@dataclass
class Repo:
    """A repository: commits, and the names that point at them."""

    repo_id: str
    private: bool
    gated: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def find(self, revision: str) -> Commit | None:
        """A branch, a tag, `refs/pr/N` or a commit's full name."""
        return self.commits.get(self.refs.get(revision, revision))

    def add(self, ref: str, title: str, tree: dict[str, Blob]) -> Commit:
        parent = self.refs.get(ref)
        names = sorted((path, blob.git_oid) for path, blob in tree.items())
        text = json.dumps([parent, title, len(self.commits), names])
        oid = hashlib.sha1(text.encode()).hexdigest()
        commit = Commit(oid, parent, title, tree)
        self.commits[oid] = commit
        self.refs[ref] = oid
        return commit

    def history(self, ref: str = "main") -> list[Commit]:
        """Commits of a branch, the newest first."""
        commits = []
        oid = self.refs.get(ref)
        while oid is not None:
            commits.append(self.commits[oid])
            oid = self.commits[oid].parent
        return commits


def is_large(path: str, sample: bytes, size: int) -> bool:
    """Whether the Hub keeps this file out of Git."""
    return path.endswith(LFS_SUFFIXES) or size > LFS_SIZE or b"\0" in sample


def describe(path: str, blob: Blob) -> dict[str, Any]:
    """A file's row in a tree listing."""
    entry: dict[str, Any] = {
        "type": "file",
        "oid": blob.git_oid,
        "size": len(blob.data),
        "path": path,
    }
    if blob.is_lfs:
        entry["lfs"] = {
            "oid": blob.sha256,
            "size": len(blob.data),
            "pointerSize": len(blob.pointer),
        }
    return entry
