"""An original author's checkpoint from the Hub, as its repository has it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable
from pathlib import Path

from keras_audiogan.converters import ConversionError, choose_files
from keras_audiogan.converters.checkpoint_names import list_names
from keras_audiogan.zoo.hub_errors import PASSING, HubError, Notify, caller
from keras_audiogan.zoo.hub_files import HubURI, client, parse_uri
from keras_audiogan.zoo.hub_pull import NotAPresetError, fetch_sound, pull

_log = logging.getLogger(__name__)


def pull_any(
    uri: str,
    *,
    token: str | bool | None = None,
    weights: Iterable[str] | None = None,
    samples: bool = True,
    notify: Notify | None = None,
) -> Path:
    """Fetches a preset, or else an original author's checkpoint.

    Arguments are those of `pull`; of a checkpoint all is fetched.

    Returns:
        A folder in the client's cache: a preset, or a checkpoint's newest
        state with the options and statistics that belong to it.

    Raises:
        Exception: as `pull`; `HubError` if it is neither.
    """
    notify = notify or _log.warning
    try:
        return pull(
            uri, token=token, weights=weights, samples=samples, notify=notify
        )
    except NotAPresetError as error:
        refusal: HubError = error
    except HubError as error:
        if error.status not in (None, *PASSING):
            raise
        cached = _find_in_cache(parse_uri(uri), token)
        if cached is None:
            raise
        notify(f"{error} The copy in the cache is used.")
        return cached
    try:
        return _fetch_checkpoint(uri, token, notify)
    except ConversionError as error:
        raise HubError(
            f"Cannot pull {uri}: the repository is not a keras-audiogan "
            "preset, and holds no original author's checkpoint that "
            f"converts. Check the name. Received: {error}",
            refusal.status,
        ) from error


def _fetch_checkpoint(
    uri: str, token: str | bool | None, notify: Notify
) -> Path:
    """Fetches what makes up a checkpoint, all of one commit."""
    from huggingface_hub import constants

    target = parse_uri(uri)
    api = client(token)
    call = caller(target.repo_id, f"pull {target}", notify)
    if constants.HF_HUB_OFFLINE:
        cached = _find_in_cache(target, token)
        if cached is None:
            raise ConversionError(
                "The client is offline, and its cache holds no checkpoint."
            )
        return cached
    info = call(api.model_info, revision=target.revision)
    # By name, and no pattern: a stranger's name may hold a pattern's signs.
    names = choose_files([s.rfilename for s in info.siblings or ()])
    revision = target.revision
    folder = Path()
    for name in sorted(names, key=lambda name: (name.count("."), name)):
        fetch = functools.partial(call, api.hf_hub_download, name)
        path = fetch_sound(fetch, revision=revision)
        folder = path.parents[name.count("/")]
        # The commit that the first is of: a push in between does no harm.
        revision = folder.name
    return folder


def _find_in_cache(target: HubURI, token: str | bool | None) -> Path | None:
    """Returns the folder of the cache that holds a checkpoint, if one does."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(
            client(token).snapshot_download(
                target.repo_id,
                revision=target.revision,
                local_files_only=True,
            )
        )
        choose_files(list_names(folder))
    except (ConversionError, LocalEntryNotFoundError, OSError, ValueError):
        return None
    return folder
