"""Files over HTTP: streamed, bounded, tried once more, whole or not there."""

from __future__ import annotations

import errno
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from keras_audiogan.collections.sources import is_whole
from keras_audiogan.presets.words import size

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""

TIMEOUT = 30.0
"""Seconds that a server may stay silent."""
_ATTEMPTS = 2
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_CHUNK = 1 << 18
# Packing differs from day to day; more than this is something else.
_LARGEST = 4


class DownloadError(Exception):
    """A file cannot be had; the message is the reason."""


def download(
    url: str, target: Path, num_bytes: int, progress: Progress
) -> None:
    """Fetches a zip archive; proxies are those that urllib knows.

    The bytes go to `target` with `.part` behind its name until they are all
    there. A connection that breaks is taken up once where it broke, if the
    server can do that, and begun anew if not.

    Args:
        url: The address.
        target: The file to be.
        num_bytes: About how many are expected.
        progress: Told of every piece.

    Raises:
        DownloadError: if the server cannot be reached or has no such file, or
            what it sends is cut, too long or no zip archive.
        OSError: if the disk is full or the folder not writable.
    """
    part = target.with_name(target.name + ".part")
    state = _State()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _attempt(url, part, num_bytes, progress, state)
        except urllib.error.HTTPError as error:
            error.close()
            reason = f"{url} answered {error.code} ({error.reason})"
            if error.code not in _PASSING or attempt == _ATTEMPTS:
                raise DownloadError(reason) from error
        except (
            urllib.error.URLError,
            http.client.HTTPException,
            ConnectionError,
            TimeoutError,
        ) as error:
            if attempt == _ATTEMPTS:
                cause = getattr(error, "reason", None) or error
                raise DownloadError(f"{url}: {cause}") from error
        else:
            os.replace(part, target)
            return


class _State:
    """What a second attempt must know of the first."""

    def __init__(self) -> None:
        self.done = 0
        self.etag: str | None = None


def _attempt(
    url: str, part: Path, num_bytes: int, progress: Progress, state: _State
) -> None:
    request = urllib.request.Request(url)
    request.add_header("User-Agent", "keras-audiogan")
    if state.done and state.etag:
        request.add_header("Range", f"bytes={state.done}-")
        request.add_header("If-Range", state.etag)
    # A new opener reads the proxies anew; urlopen keeps those of its first
    # call.
    opener = urllib.request.build_opener()
    with opener.open(request, timeout=TIMEOUT) as response:
        if response.status != http.client.PARTIAL_CONTENT:
            state.done = 0
        state.etag = response.headers.get("ETag")
        length = response.headers.get("Content-Length")
        total = state.done + int(length) if (length or "").isdigit() else None
        limit = max(_LARGEST * num_bytes, 1 << 20)
        try:
            with open(part, "ab" if state.done else "wb") as file:
                while chunk := response.read(_CHUNK):
                    file.write(chunk)
                    state.done += len(chunk)
                    progress(part.stem, state.done, total or num_bytes)
                    if state.done > limit:
                        raise DownloadError(
                            f"{url} sends more than {size(limit)}, where about "
                            f"{size(num_bytes)} are expected"
                        )
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                error.filename = os.fspath(part)
            raise
    if total is not None and state.done < total:
        raise ConnectionError(
            f"the connection broke after {size(state.done)} of {size(total)}"
        )
    if not is_whole(part):
        state.done, state.etag = 0, None
        raise ConnectionError("what came is cut, or no zip archive")
