"""What goes wrong between here and the Hub, and what to do about it.

The Hub's client raises some thirty kinds of error, of three libraries. All
leave this module as one, `HubError`, with advice; the passing ones are tried
again first.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

Notify = Callable[[str], None]

# Seconds before each new attempt, where the Hub does not name a time.
WAITS = (1.0, 2.0, 4.0)
MAX_WAIT = 300.0
# No further attempt begins later than this.
MAX_TOTAL = 90.0

# The client tries some requests again by itself, for up to half a minute, and
# says so here, in lines with addresses.
_CLIENT_VOICES = (
    "huggingface_hub.file_download",
    "huggingface_hub.utils._http",
)
_RETRIES = re.compile(
    "Trying to resume|Retrying in|Max retries|thrown while req|Rate limited"
)

PASSING = frozenset({408, 429, 500, 502, 503, 504})
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_ACCESS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

_LOG_IN = (
    "Log in with `hf auth login`, or set HF_TOKEN to a token from "
    "https://huggingface.co/settings/tokens"
)
_OFFLINE = "the client is offline (HF_HUB_OFFLINE is set)"
# The client's errors that say all themselves, the more special ones first:
# what happened and how to mend it.
_KINDS = {
    "OfflineModeIsEnabled": (_OFFLINE, "Unset HF_HUB_OFFLINE"),
    "RevisionNotFoundError": (
        "the repository has no such revision",
        "Name a branch, a tag or a full commit hash, or leave the revision out",
    ),
    "GatedRepoError": (
        "its author grants access one by one",
        "Ask for access on the repository's page, then log in with "
        "`hf auth login`",
    ),
    "RepositoryNotFoundError": (
        "there is no such repository, or it is private and you may not see it",
        f"Check the spelling. Is it private? {_LOG_IN}",
    ),
    "RemoteEntryNotFoundError": (
        "the repository is not a keras-audiogan preset, or not whole: a file "
        "is missing",
        "Check the name; `audiogan list` shows the zoo's presets",
    ),
    "LocalTokenNotFoundError": ("no token is stored on this machine", _LOG_IN),
}


class HubError(RuntimeError):
    """A push to the Hub or a pull from it failed.

    Args:
        message: What happened, how to mend it, and what was received.
        status: The HTTP status that the Hub answered, if it answered.

    Attributes:
        status: As given.
    """

    def __init__(self, message: str, status: int | None = None):
        super().__init__(message)
        self.status = status


def caller(repo_id: str, task: str, notify: Notify) -> Callable[..., Any]:
    """Returns a function that calls the client, patiently, on a repository.

    Args:
        repo_id: `owner/name`, the first argument of every call.
        task: What is being done, to follow "Cannot".
        notify: Is told why and how long a new attempt waits.

    Returns:
        A function of a method of the client and its further arguments, and
        of `waits`, the seconds before each new attempt; `()` for a single
        one. It raises `HubError` if the call failed for good, or too often.
    """
    return functools.partial(_attempt, repo_id, task, notify)


def _attempt(
    repo_id: str,
    task: str,
    notify: Notify,
    function: Callable[..., Any],
    *args: Any,
    waits: tuple[float, ...] | None = None,
    **kwargs: Any,
) -> Any:
    left = list(WAITS if waits is None else waits)
    start = time.monotonic()
    while True:
        client = _ClientRetries(notify)
        try:
            with client:
                return function(repo_id, *args, **kwargs)
        except _client_errors() as error:
            delay = _delay(error, left.pop(0)) if left else None
            is_late = time.monotonic() - start > MAX_TOTAL
            # What the client has tried again and again is not tried here, too.
            is_late |= client.has_retried and not _is_torn(error)
            if delay is None or is_late:
                raise explain(error, task) from error
            problem = _problem(error)[0]
            notify(
                f"{problem[0].upper()}{problem[1:]}; next attempt in "
                f"{delay:.0f} s."
            )
        time.sleep(delay)


class _ClientRetries(logging.Filter, contextlib.AbstractContextManager):
    """Says once, in our words, that the client tries again by itself.

    Attributes:
        has_retried: Whether it did.
    """

    def __init__(self, notify: Notify) -> None:
        super().__init__()
        self.has_retried = False
        self._notify = notify
        self._loggers = [logging.getLogger(name) for name in _CLIENT_VOICES]

    def __enter__(self) -> _ClientRetries:
        for logger in self._loggers:
            logger.addFilter(self)
        return self

    def __exit__(self, *error: object) -> None:
        for logger in self._loggers:
            logger.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Keeps a line about a new attempt from those who read the log."""
        if not _RETRIES.search(record.getMessage()):
            return True
        if not self.has_retried:
            self.has_retried = True
            self._notify(
                "The connection to the Hub was cut, or it is busy; trying "
                "again, for half a minute at most."
            )
        return False


def explain(error: BaseException, task: str) -> HubError:
    """Returns what to raise from a client's error; `task` as in `caller`."""
    problem, advice = _problem(error)
    received = re.sub(r"For more information check: \S+", "", str(error))
    received = " ".join(received.split())[:400]
    response = _response(error)
    return HubError(
        f"Cannot {task}: {problem}. {advice}. "
        f"Received: {type(error).__name__}: {received}",
        status=None if response is None else response.status_code,
    )


def _client_errors() -> tuple[type[Exception], ...]:
    from huggingface_hub.errors import EntryNotFoundError, HTTPError

    # HTTPError is the HTTP library's: no connection, or one that was cut.
    # The four at the end are what the client raises when a server answers
    # with something that is not the Hub's.
    return (
        HTTPError,
        EntryNotFoundError,
        OSError,
        RuntimeError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        AssertionError,
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _response(error: BaseException):
    """Returns the HTTP answer behind an error, or None."""
    from huggingface_hub.errors import HfHubHTTPError

    causes = (e for e in _chain(error) if isinstance(e, HfHubHTTPError))
    return getattr(next(causes, None), "response", None)


def _transport_names(error: BaseException) -> set[str]:
    """Returns the names of the HTTP library's classes behind an error."""
    from huggingface_hub.errors import HTTPError

    causes = (type(e) for e in _chain(error) if isinstance(e, HTTPError))
    cause = next(causes, None)
    return {kind.__name__ for kind in cause.__mro__} if cause else set()


def is_xet_trouble(error: BaseException | None) -> bool:
    """Tells whether an error came from the transfer by Xet.

    That is a library of its own, which raises Python's plain errors without
    their numbers. A Hub behind a mirror, or a test's, has no Xet storage; and
    some networks do not let its hosts through. Plain HTTP may do better.
    """
    from huggingface_hub import errors

    if error is None or _response(error) or _transport_names(error):
        return False
    if isinstance(error, ConnectionError | PermissionError):
        offline = isinstance(error, errors.OfflineModeIsEnabled)
        return error.errno is None and not offline
    return type(error) is RuntimeError


def is_full_disk(error: BaseException) -> bool:
    """Tells whether there was no room for a file."""
    codes = {e.errno for e in _chain(error) if isinstance(e, OSError)}
    return bool(codes & _NO_ROOM)


def _is_torn(error: BaseException) -> bool:
    return "Consistency check failed" in str(error)


def _delay(error: BaseException, wait: float) -> float | None:
    """Returns how long to wait before a new attempt; None: it is in vain."""
    response = _response(error)
    if response is not None:
        if response.status_code not in PASSING:
            return None
        asked = retry_after(response.headers)
        if asked is None:
            return wait
        return None if asked > MAX_WAIT else asked
    names = _transport_names(error)
    if names:
        # A refused connection or a silent server stays so for a while, and
        # the client has waited long enough for it.
        hopeless = {"ConnectError", "TimeoutException", "UnsupportedProtocol"}
        return None if names & hopeless else wait
    passing = _is_torn(error) or isinstance(error, json.JSONDecodeError)
    return wait if passing else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns how many seconds a server asks to wait, None if it does not.

    It says so by `Retry-After` in seconds or as a date, or by the Hub's own
    `RateLimit: "api";r=0;t=55`.
    """
    value = (headers.get("Retry-After") or "").strip()
    if value.isdigit():
        return float(value)
    if value:
        try:
            moment = parsedate_to_datetime(value).timestamp()
        except (TypeError, ValueError, OverflowError):
            return None
        return max(0.0, moment - time.time())
    limit = re.search(
        r";\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d+)", headers.get("RateLimit") or ""
    )
    return float(limit[1]) if limit else None


def _problem(error: BaseException) -> tuple[str, str]:
    """Returns what happened and how to mend it, without full stops."""
    from huggingface_hub import constants, errors

    chain = tuple(_chain(error))

    def has(kind: str) -> bool:
        return any(isinstance(e, getattr(errors, kind)) for e in chain)

    response = _response(error)
    codes = {c.errno for c in chain if isinstance(c, OSError)}
    names = _transport_names(error)
    is_incomplete = has("LocalEntryNotFoundError")
    endpoint, cache = constants.ENDPOINT, constants.HF_HUB_CACHE
    # The more special ones first.
    table = (
        (
            constants.HF_HUB_OFFLINE and is_incomplete,
            f"{_OFFLINE} and the cache {cache} does not hold all of it",
            "Unset HF_HUB_OFFLINE and pull it once, or give the path of a "
            "preset folder",
        ),
        *((has(kind), *words) for kind, words in _KINDS.items()),
        (response is not None, *_status_problem(response, endpoint)),
        (
            codes & _NO_ROOM,
            "there is no room left for a file",
            f"Free some space, or move the cache ({cache}) by setting HF_HOME",
        ),
        (
            codes & _NO_ACCESS,
            "a file or folder on this machine may not be read or written",
            f"Mend its permissions, or move the cache ({cache}) by setting "
            "HF_HOME",
        ),
        (
            "TimeoutException" in names,
            f"{endpoint} did not answer in time",
            "Try again; on a slow line set HF_HUB_ETAG_TIMEOUT and "
            "HF_HUB_DOWNLOAD_TIMEOUT (seconds)",
        ),
        (
            names & {"ConnectError", "UnsupportedProtocol", "ProxyError"},
            f"{endpoint} cannot be reached",
            "Check the network, the proxy and HF_ENDPOINT; what was pulled "
            "before works with HF_HUB_OFFLINE=1",
        ),
        (
            names or _is_torn(error),
            "the connection was cut, and no part of a file was kept as whole",
            "Try again: files that arrived whole are not fetched twice",
        ),
        (
            is_incomplete,
            f"the Hub cannot be reached and the cache {cache} does not hold "
            "all of it",
            "Check the network and try again",
        ),
        (
            is_xet_trouble(error),
            "the Hub's Xet storage cannot be reached",
            "Try again with HF_HUB_DISABLE_XET=1, which sends and fetches "
            "files by plain HTTP",
        ),
        (
            True,
            "the Hub or its client refused",
            f"See what it says; if HF_ENDPOINT is set ({endpoint}), check "
            "that a Hub answers there",
        ),
    )
    return next((problem, advice) for true, problem, advice in table if true)


def _status_problem(response: Any, endpoint: str) -> tuple[str, str]:
    status = getattr(response, "status_code", 0)
    if status == 401:
        if "authorization" in response.request.headers:
            return (
                "the Hub does not accept your token (expired or mistyped?)",
                _LOG_IN,
            )
        return "the Hub asks who you are", _LOG_IN
    if status == 429:
        asked = retry_after(response.headers)
        when = "later" if asked is None else f"in {asked:.0f} s"
        return (
            "the Hub counts too many requests (429)",
            f"Try again {when}; logging in raises the limit",
        )
    if status == 403:
        return (
            "your token does not allow this",
            "Use a token with the write role, of an account that owns the "
            "repository or its organisation",
        )
    if status == 404:
        return (
            f"{endpoint} does not know the address",
            "Check the name; if HF_ENDPOINT is set, check that a Hub answers "
            "there",
        )
    if status in (409, 412):
        return (
            "someone else changed the repository at the same moment",
            "Try again",
        )
    if status >= 500 or status in PASSING:
        return (
            f"the Hub is out of order for the moment ({status})",
            "Try again later; see https://status.huggingface.co",
        )
    return f"the Hub refused ({status})", "See what it says"
