"""Push: a preset folder to the Hub, as one commit."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_audiogan.presets import cards
from keras_audiogan.saving import PresetError, is_preset_folder, read_config
from keras_audiogan.zoo.hub_errors import (
    HubError,
    Notify,
    attempt,
    is_xet_trouble,
)
from keras_audiogan.zoo.hub_files import (
    CARD,
    CONFIG,
    OPTIONAL,
    HubURI,
    client,
    digest_of,
    parse_uri,
    sample_names,
)

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

_CONFLICTS = (409, 412)
_MAX_CONFLICTS = 4

_log = logging.getLogger(__name__)


def upload_preset(
    uri: str,
    preset_dir: str | os.PathLike[str],
    *,
    private: bool = False,
    token: str | bool | None = None,
    message: str | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    overwrite_card: bool = False,
    notify: Notify | None = None,
) -> str:
    """Uploads a preset folder to the Hub as one commit.

    The repository and the branch are made if they do not exist. Only the
    files of a preset are sent; weights that the remote preset lists and this
    one no longer has are deleted by the same commit. A README.md there that a
    person wrote stays. A push that broke off can be repeated: what has
    arrived is not sent again, and nothing is committed twice.

    Args:
        uri: `hf://owner/name[@branch]`.
        preset_dir: The preset folder.
        private: Make a new repository private. An existing one must be
            private already.
        token: A token with the write role; None takes the client's own, from
            `hf auth login` or HF_TOKEN.
        message: The commit's message.
        revision: The branch, if it is not in the URI; main by default.
        create_pr: Open a pull request instead of committing to the branch,
            as one does in a repository of someone else.
        overwrite_card: Overwrite README.md whoever wrote it.
        notify: Is told what is waited for or left out; by default a warning
            is logged.

    Returns:
        The address of the commit, or of the pull request. If nothing has
        changed, that of the newest commit.

    Raises:
        ValueError: if the URI is malformed.
        PresetError: if the folder is not a preset, or not whole.
        HubError: if the Hub refuses or cannot be reached.
    """
    target = _branch_of(uri, revision)
    config = read_config(preset_dir)
    push = _Push(
        target,
        _checked_files(Path(preset_dir), config, target),
        token=token,
        private=private,
        message=message or f"Push {config['architecture']} preset",
        create_pr=create_pr,
        overwrite_card=overwrite_card,
        notify=notify or _log.warning,
    )
    push.create_repo()
    for _ in range(_MAX_CONFLICTS):
        try:
            return push.commit()
        except HubError as error:
            if error.status not in _CONFLICTS:
                raise
            conflict = error
    raise conflict


class _Push:
    """One push: what it sends, and what it found on the Hub."""

    def __init__(
        self,
        target: HubURI,
        files: Mapping[str, Path | bytes],
        *,
        token: str | bool | None,
        private: bool,
        message: str,
        create_pr: bool,
        overwrite_card: bool,
        notify: Notify,
    ) -> None:
        self.target = target
        self.branch = target.revision or "main"
        self.files = files
        self.api = client(token)
        self.private = private
        self.message = message
        self.create_pr = create_pr
        self.overwrite_card = overwrite_card
        self.notify = notify
        self.task = f"push to {target}"

    def call(
        self,
        function: Callable[..., Any],
        *args: Any,
        waits: tuple[float, ...] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Calls a method of the client about this repository."""
        bound = functools.partial(
            function, self.target.repo_id, *args, **kwargs
        )
        return attempt(bound, self.task, notify=self.notify, waits=waits)

    def create_repo(self) -> None:
        """Makes the repository, unless it is there or someone else's."""
        if not self.create_pr:
            # None leaves the choice to the owner's settings.
            private = True if self.private else None
            self.call(self.api.create_repo, private=private, exist_ok=True)

    def commit(self) -> str:
        """Uploads what is new and commits it onto the newest commit."""
        head = self._head()
        if self.private and head.private is False:
            raise HubError(
                f"Cannot {self.task}: the repository exists and is public. "
                "Make it private on its settings page first, or push to "
                "another name. Received: private=True"
            )
        files, stale = self._changes(head)
        with contextlib.ExitStack() as stack:
            operations = self._upload(files, stack) + _deletions(stale)
            info = self.call(
                self.api.create_commit,
                operations,
                commit_message=self.message,
                revision=self.branch,
                create_pr=self.create_pr,
                # If someone commits in between, or our commit arrived and
                # only the answer was lost, the Hub refuses; we look again.
                parent_commit=None if self.create_pr else head.sha,
                # Nothing keeps a pull request from being opened twice.
                waits=() if self.create_pr else None,
            )
        return str(info.pr_url or info.commit_url)

    def _head(self) -> ModelInfo:
        """Returns the state of the branch, which is made if missing."""
        try:
            return self.call(self.api.model_info, revision=self.branch)
        except HubError as error:
            if not _is_unknown_revision(error) or self.create_pr:
                raise
        self.call(self.api.create_branch, branch=self.branch, exist_ok=True)
        return self.call(self.api.model_info, revision=self.branch)

    def _changes(
        self, head: ModelInfo
    ) -> tuple[dict[str, Path | bytes], list[str]]:
        """Returns the files to send and the names to delete."""
        remote = {sibling.rfilename for sibling in head.siblings or ()}
        files = dict(self.files)
        stale: list[str] = []
        if CONFIG in remote:
            stale = self._stale_weights(head, remote)
        if CARD in remote and CARD in files and not self.overwrite_card:
            card = self.call(self.api.hf_hub_download, CARD, revision=head.sha)
            if not cards.is_generated(Path(card).read_bytes()):
                del files[CARD]
                self.notify(
                    f"{self.target} has a {CARD} that a person wrote; it "
                    "stays as it is."
                )
        return files, stale

    def _stale_weights(self, head: ModelInfo, remote: set[str]) -> list[str]:
        path = self.call(self.api.hf_hub_download, CONFIG, revision=head.sha)
        folder = Path(path).parent
        if not is_preset_folder(folder):
            raise HubError(
                f"Cannot {self.task}: the repository holds something else "
                "than a keras-audiogan preset, which this push would break. "
                "Push to another name. Received: a config.json without "
                "format_version and architecture"
            )
        try:
            weights = read_config(folder)["weights"]
        except PresetError as error:
            self.notify(f"The preset there is broken; it is replaced. {error}")
            return []
        names = {f"{stem}.safetensors" for stem in weights}
        return sorted((names & remote) - self.files.keys())

    def _upload(
        self, files: Mapping[str, Path | bytes], stack: contextlib.ExitStack
    ) -> list[Any]:
        """Sends the large files; returns the additions to commit."""
        try:
            operations = _additions(files)
            self._preupload(operations)
        except HubError as error:
            if not is_xet_trouble(error.__cause__):
                raise
            self.notify(
                "The files go by plain HTTP, since Xet storage cannot be "
                f"used here: {error.__cause__}"
            )
            # The client sends open files, unlike paths, without Xet.
            operations = _additions(files, stack)
            self._preupload(operations)
        return operations

    def _preupload(self, operations: list[Any]) -> None:
        self.call(
            self.api.preupload_lfs_files,
            operations,
            revision=self.branch,
            create_pr=self.create_pr,
        )


def _branch_of(uri: str, revision: str | None) -> HubURI:
    """Returns where to push, from the URI and the argument `revision`."""
    target = parse_uri(uri)
    if revision is not None:
        if target.revision not in (None, revision):
            raise ValueError(
                "`revision` and the revision in the URI differ. Received: "
                f"revision={revision!r}, uri={uri!r}"
            )
        target = parse_uri(f"hf://{target.repo_id}@{revision}")
    if target.is_pinned:
        raise ValueError(
            f"A push needs a branch: a commit never changes. Received: {target}"
        )
    return target


def _checked_files(
    folder: Path, config: Mapping[str, Any], target: HubURI
) -> dict[str, Path | bytes]:
    """Returns the files of a preset by their names on the Hub.

    A generated card is made anew, with the address that a reader needs.

    Raises:
        PresetError: if weights are missing or are not those that config.json
            lists, or a file lies outside.
    """
    names = [CONFIG]
    names += [name for name in OPTIONAL if (folder / name).is_file()]
    names += sample_names(folder)
    for stem, entry in config["weights"].items():
        name = f"{stem}.safetensors"
        file = folder / name
        if not file.is_file():
            raise PresetError(
                file,
                "the file is missing",
                advice="Save the preset anew",
            )
        if digest_of(file, "sha256") != entry["sha256"]:
            raise PresetError(
                file,
                "the weights are not those that config.json lists",
                advice="Save the preset anew",
                expected=f"sha256 {entry['sha256']}",
            )
        names.append(name)
    for name in names:
        _check_inside(folder, folder / name)
    files: dict[str, Path | bytes] = {name: folder / name for name in names}
    if CARD in files and cards.is_generated((folder / CARD).read_bytes()):
        uri = f"hf://{target.repo_id}"
        card = cards.render_card(folder, name=target.name, uri=uri)
        files[CARD] = card.encode()
    return files


def _check_inside(folder: Path, file: Path) -> None:
    """Refuses a link that would publish a file from elsewhere.

    The client's cache is made of links, and is pushed from, too.
    """
    from huggingface_hub import constants

    place = file.resolve()
    cache = Path(constants.HF_HUB_CACHE).resolve()
    if not any(place.is_relative_to(p) for p in (folder.resolve(), cache)):
        raise PresetError(
            file,
            "this is a link to a file outside of the preset",
            advice="Put the file itself there",
            received=str(place),
        )


def _additions(
    files: Mapping[str, Path | bytes], stack: contextlib.ExitStack | None = None
) -> list[Any]:
    """Returns what to commit; with a stack, as open files that it closes."""
    from huggingface_hub import CommitOperationAdd

    def content(source: Path | bytes) -> Any:
        if stack is None or isinstance(source, bytes):
            return source
        return stack.enter_context(source.open("rb"))

    return [
        CommitOperationAdd(name, content(source))
        for name, source in files.items()
    ]


def _deletions(names: Iterable[str]) -> list[Any]:
    from huggingface_hub import CommitOperationDelete

    return [CommitOperationDelete(name, is_folder=False) for name in names]


def _is_unknown_revision(error: HubError) -> bool:
    from huggingface_hub.errors import RevisionNotFoundError

    return isinstance(error.__cause__, RevisionNotFoundError)
