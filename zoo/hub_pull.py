"""Pull: a preset from the Hub, through its client's cache."""

from __future__ import annotations

import errno
import functools
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_audiogan.presets.atomic_folder import replaced_folder
from keras_audiogan.presets.config import (
    CONFIG_FILE,
    SAMPLES_FOLDER,
    is_preset_folder,
    read_config,
    weights_file,
)
from keras_audiogan.presets.strict_json import PresetError
from keras_audiogan.zoo.hub_errors import (
    PASSING,
    HubError,
    Notify,
    caller,
    is_full_disk,
)
from keras_audiogan.zoo.hub_files import (
    OPTIONAL,
    HubURI,
    client,
    digest_of,
    optional_names,
    parse_uri,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_log = logging.getLogger(__name__)


class NotAPresetError(HubError):
    """A repository of the Hub holds no preset of this library."""


def pull(
    uri: str,
    *,
    token: str | bool | None = None,
    output: str | os.PathLike[str] | None = None,
    weights: Iterable[str] | None = None,
    samples: bool = True,
    notify: Notify | None = None,
) -> Path:
    """Fetches a preset from the Hub through the client's cache.

    What the cache holds is not fetched again; with `HF_HUB_OFFLINE=1`, or
    where the Hub cannot be reached, the cache alone serves. config.json comes
    first: a repository that holds no preset is refused before anything large
    is fetched. All files are of one commit. Weights that are not those that
    config.json lists are fetched anew or refused, never handed on.

    Args:
        uri: `hf://owner/name[@revision]`.
        token: For private repositories; None takes the client's own, from
            `hf auth login` or HF_TOKEN.
        output: Also copy the preset to this folder, which must be new or
            empty.
        weights: Names of the weights files to fetch, such as
            `["generator"]`; None fetches all.
        samples: Whether to fetch the sounds and pictures of samples/.
        notify: Is told what is waited for; by default a warning is logged.

    Returns:
        The preset folder: `output`, or the one in the client's cache (not to
        be written to).

    Raises:
        ValueError: if the URI is malformed or the preset has no such weights.
        FileExistsError: if `output` holds something.
        PresetError: if config.json is broken.
        HubError: if the Hub refuses or cannot be reached, or the cache's
            disk is full: of what did not fit nothing is left there.
        OSError: if `output` cannot be written.
    """
    target = parse_uri(uri)
    destination = None if output is None else Path(output)
    if destination is not None and os.path.lexists(destination):
        if not destination.is_dir() or any(destination.iterdir()):
            raise FileExistsError(
                errno.EEXIST,
                "Not a new or empty folder; name another one",
                str(destination),
            )
    try:
        folder, names = _fetch(
            client(token),
            target,
            None if weights is None else sorted(set(weights)),
            samples,
            notify or _log.warning,
        )
    except HubError as error:
        if is_full_disk(error):
            _remove_unfinished(target)
        raise
    if destination is None:
        return folder
    with replaced_folder(destination) as temporary:
        for name in names:
            (temporary / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(folder / name, temporary / name)
    return destination


def _remove_unfinished(target: HubURI) -> None:
    """Removes what the client had of files when its cache's disk was full.

    It would keep that, under names of its own, to go on with some day.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    name = repo_folder_name(repo_id=target.repo_id, repo_type="model")
    for file in Path(constants.HF_HUB_CACHE, name).rglob("*.incomplete"):
        file.unlink(missing_ok=True)


def _fetch(
    api: HfApi,
    target: HubURI,
    stems: list[str] | None,
    samples: bool,
    notify: Notify,
) -> tuple[Path, list[str]]:
    """Returns a folder of the cache, and which of its files are wanted."""
    from huggingface_hub.errors import EntryNotFoundError

    task = f"pull {target}"
    call = caller(target.repo_id, task, notify)
    is_reachable = _check_hub(api, target, call, notify)
    fetch_config = functools.partial(
        call,
        api.hf_hub_download,
        CONFIG_FILE,
        revision=target.revision,
        local_files_only=not is_reachable,
    )
    try:
        config = fetch_sound(fetch_config) if is_reachable else fetch_config()
    except HubError as error:
        if isinstance(error.__cause__, EntryNotFoundError):
            raise NotAPresetError(
                f"{error}{_convertible(target)}", error.status
            ) from error
        raise
    folder = Path(config).parent
    weights = _listed_weights(folder, target, stems)
    fetch_rest = functools.partial(
        call,
        api.snapshot_download,
        # The commit that config.json is of: a push in between does no harm.
        revision=folder.name,
        allow_patterns=[
            *weights,
            *OPTIONAL,
            *([f"{SAMPLES_FOLDER}/*"] if samples else []),
        ],
        ignore_patterns=[f"{SAMPLES_FOLDER}/*/*", f"{SAMPLES_FOLDER}/.*"],
        local_files_only=not is_reachable,
    )
    fetch_rest()
    spoilt = _spoilt(folder, weights)
    if is_reachable and _evict_doubtful(folder, spoilt):
        fetch_rest()
        spoilt = _spoilt(folder, weights)
    if spoilt:
        _evict_doubtful(folder, spoilt)
        raise HubError(
            f"Cannot {task}: weights are missing, or are not those that "
            "config.json lists. Pull again, online; if that does not help, "
            "its author must push it again. Received: "
            f"{', '.join(f'{n}: {why}' for n, why in spoilt.items())}"
        )
    others = [
        name
        for name in optional_names(folder)
        if samples or name in OPTIONAL  # They may be there from before.
    ]
    return folder, [CONFIG_FILE, *weights, *others]


def _listed_weights(
    folder: Path, target: HubURI, stems: list[str] | None
) -> dict[str, str]:
    """Returns the weights files that are wanted, with their SHA-256."""
    try:
        config = read_config(folder)
    except PresetError as error:
        if is_preset_folder(folder):
            raise
        raise NotAPresetError(
            f"Cannot pull {target}: the repository is not a keras-audiogan "
            f"preset. Check the name.{_convertible(target)} Received: {error}"
        ) from error
    entries = config["weights"]
    for stem in stems or ():
        if stem not in entries:
            raise ValueError(
                f"{target} has no such weights. Expected some of "
                f"{sorted(entries)}. Received: {stem!r}"
            )
    return {
        weights_file(config, stem): entries[stem]["sha256"]
        for stem in (entries if stems is None else stems)
    }


def _convertible(target: HubURI) -> str:
    return (
        " If it holds an original author's checkpoint, `audiogan convert "
        f"{target} DIR` makes a preset of it."
    )


def _check_hub(
    api: HfApi, target: HubURI, call: Callable[..., Any], notify: Notify
) -> bool:
    """Returns whether to ask the Hub; False: the cache has to do.

    The client would try an unreachable Hub for half a minute before it looks
    into its cache.
    """
    from huggingface_hub import constants, try_to_load_from_cache

    if constants.HF_HUB_OFFLINE:
        return False
    cached = try_to_load_from_cache(
        target.repo_id, CONFIG_FILE, revision=target.revision
    )
    is_cached = isinstance(cached, str)
    if is_cached and target.is_pinned:
        # The client finds all of it in its cache, and asks for nothing.
        return True
    try:
        call(
            api.model_info,
            revision=target.revision,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
        )
    except HubError as error:
        # A refusal stands: that a copy is here does not make it right.
        is_refused = error.status not in (None, *PASSING)
        if is_refused or not is_cached:
            raise
        notify(f"{error} The copy in the cache is used.")
        return False
    return True


def _spoilt(folder: Path, weights: Mapping[str, str]) -> dict[str, str]:
    """Returns the weights files that cannot be used, and why.

    The client compares lengths alone, and trusts what lies in its cache.
    """
    spoilt = {}
    for name, digest in weights.items():
        if not (folder / name).is_file():
            spoilt[name] = "missing"
        elif digest_of(folder / name, "sha256") != digest:
            spoilt[name] = "another SHA-256"
    return spoilt


def _evict_doubtful(folder: Path, spoilt: Iterable[str]) -> bool:
    """Removes what is worth fetching again; returns whether there was any."""
    others = [n for n in optional_names(folder) if _is_odd(folder / n)]
    for name in (*spoilt, *others):
        _evict(folder / name)
    return bool(spoilt or others)


def fetch_sound(fetch: Callable[..., str], **options: Any) -> Path:
    """Fetches a file to the cache, and again if the cache spoilt it."""
    path = Path(fetch(**options))
    if _is_odd(path):
        _evict(path)
        path = Path(fetch(**options))
    return path


def _is_odd(file: Path) -> bool:
    """Returns whether a file of the cache is not what its name says.

    The cache's links point at files that the Hub names after their contents:
    SHA-256 for large files, Git's SHA-1 for the others. A mirror may have its
    own names, so what comes a second time is taken as it is.
    """
    if not file.is_symlink():
        return False
    name = Path(os.readlink(file)).name
    kinds = {64: ("sha256",), 40: ("git", "sha1")}.get(len(name), ())
    return bool(kinds) and name not in [digest_of(file, k) for k in kinds]


def _evict(file: Path) -> None:
    """Removes a file from the client's cache, with what it links to."""
    paths = {file, file.resolve()}
    if file.is_symlink():
        paths.add(file.parent / os.readlink(file))
    for path in paths:
        path.unlink(missing_ok=True)
