"""Push: a preset folder to the Hub, as one commit."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_audiogan._names import SHOWN
from keras_audiogan.presets import cards
from keras_audiogan.presets.config import (
    CARD_FILE,
    CONFIG_FILE,
    is_preset_folder,
    read_config,
    weights_file,
)
from keras_audiogan.presets.strict_json import PresetError
from keras_audiogan.zoo.hub_errors import (
    HubError,
    Notify,
    caller,
    is_xet_trouble,
)
from keras_audiogan.zoo.hub_files import (
    HubURI,
    client,
    digest_of,
    optional_names,
    parse_uri,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi, ModelInfo

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
    notify = notify or _log.warning
    push = _Push(
        target,
        _checked_files(Path(preset_dir), config, target),
        client(token),
        caller(target.repo_id, f"push to {target}", notify),
        private,
        message or f"Push {config['architecture']} preset",
        create_pr,
        overwrite_card,
        notify,
    )
    if not create_pr:  # Else it is there, and someone else's.
        # None leaves the choice to the owner's settings.
        push.call(push.api.create_repo, private=private or None, exist_ok=True)
    for _ in range(_MAX_CONFLICTS):
        try:
            return push.commit()
        except HubError as error:
            if error.status not in _CONFLICTS:
                raise
            conflict = error
    raise conflict


@dataclasses.dataclass(frozen=True)
class _Push:
    """One push: see `upload_preset`; `call` is as `caller` returns it."""

    target: HubURI
    files: Mapping[str, Path | bytes]
    api: HfApi
    call: Callable[..., Any]
    private: bool
    message: str
    create_pr: bool
    overwrite_card: bool
    notify: Notify

    @property
    def branch(self) -> str:
        return self.target.revision or "main"

    def commit(self) -> str:
        """Uploads what is new and commits it onto the newest commit."""
        from huggingface_hub import CommitOperationDelete

        head = self._head()
        if self.private and head.private is False:
            raise HubError(
                f"Cannot push to {self.target}: the repository exists and is "
                "public. Make it private on its settings page first, or push "
                "to another name. Received: private=True"
            )
        files, stale = self._changes(head)
        with contextlib.ExitStack() as stack:
            operations = self._upload(files, stack)
            operations += [
                CommitOperationDelete(name, is_folder=False) for name in stale
            ]
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
        from huggingface_hub.errors import RevisionNotFoundError

        try:
            return self.call(self.api.model_info, revision=self.branch)
        except HubError as error:
            is_unknown = isinstance(error.__cause__, RevisionNotFoundError)
            if not is_unknown or self.create_pr:
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
        if CONFIG_FILE in remote:
            stale = self._stale_weights(head, remote)
        if {CARD_FILE} <= remote & files.keys() and not self.overwrite_card:
            card = self._download(CARD_FILE, head)
            if not cards.is_generated(card.read_bytes()):
                del files[CARD_FILE]
                self.notify(
                    f"{self.target} has a {CARD_FILE} that a person wrote; it "
                    "stays as it is."
                )
        return files, stale

    def _download(self, name: str, head: ModelInfo) -> Path:
        method = self.api.hf_hub_download
        return Path(self.call(method, name, revision=head.sha))

    def _stale_weights(self, head: ModelInfo, remote: set[str]) -> list[str]:
        folder = self._download(CONFIG_FILE, head).parent
        if not is_preset_folder(folder):
            raise HubError(
                f"Cannot push to {self.target}: the repository holds something "
                "else than a keras-audiogan preset, which this push would "
                "break. Push to another name. Received: a config.json without "
                "format_version and architecture"
            )
        try:
            remote_config = read_config(folder)
        except PresetError as error:
            self.notify(f"The preset there is broken; it is replaced. {error}")
            return []
        names = {
            weights_file(remote_config, stem)
            for stem in remote_config["weights"]
        }
        return sorted((names & remote) - self.files.keys())

    def _upload(
        self, files: Mapping[str, Path | bytes], stack: contextlib.ExitStack
    ) -> list[Any]:
        """Sends the large files; returns the additions to commit."""
        from huggingface_hub import CommitOperationAdd

        def send(contents: Mapping[str, Any]) -> list[Any]:
            operations = [
                CommitOperationAdd(*item) for item in contents.items()
            ]
            self.call(
                self.api.preupload_lfs_files,
                operations,
                revision=self.branch,
                create_pr=self.create_pr,
            )
            return operations

        try:
            return send(files)
        except HubError as error:
            if not is_xet_trouble(error.__cause__):
                raise
            self.notify(
                "The files go by plain HTTP, since Xet storage cannot be "
                f"used here: {error.__cause__}"
            )
        # The client sends open files, unlike paths, without Xet.
        return send(
            {
                name: source
                if isinstance(source, bytes)
                else stack.enter_context(source.open("rb"))
                for name, source in files.items()
            }
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
    """
    names = [CONFIG_FILE, *optional_names(folder)]
    for stem, entry in config["weights"].items():
        file = folder / weights_file(config, stem)
        problem = "the file is missing"
        if file.is_file():
            if digest_of(file, "sha256") == entry["sha256"]:
                names.append(file.name)
                continue
            problem = "the weights are not those that config.json lists"
        raise PresetError(
            file,
            problem,
            advice="Save the preset anew",
            expected=f"sha256 {entry['sha256']}",
        )
    for name in names:
        _check_inside(folder, folder / name)
    files: dict[str, Path | bytes] = {name: folder / name for name in names}
    card = folder / CARD_FILE
    if CARD_FILE in files and cards.is_generated(card.read_bytes()):
        uri = f"hf://{target.repo_id}"
        text = cards.render_card(folder, name=target.name, uri=uri)
        files[CARD_FILE] = text.encode("utf-8", SHOWN)
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
