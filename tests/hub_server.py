"""A small Hub on the loopback, for the real `huggingface_hub` client.

It speaks the part of the Hugging Face Hub's HTTP API that the client uses to
push and pull a model repository, checks every byte it is given, keeps a
Git-like history, and misbehaves on demand (see `HubServer.fail`):

    with HubServer(users={"secret": User("me")}) as hub:
        os.environ["HF_ENDPOINT"] = hub.url   # before the client is imported
        hub.fail(r"/commit/", status=503, headers={"Retry-After": "0"})

Large files live behind a second port, as the Hub's live behind a CDN: the
client must follow the redirect there without its token.
"""

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hub_api import HubAPI, Refusal
from hub_repos import LFS_SUFFIXES, Blob, Commit, Repo, User, is_large

__all__ = ["Fault", "HubServer", "Request", "User"]


@dataclass
class Fault:
    """How to misbehave, on which requests, and how often.

    status: answer with this code instead (with `headers` and `body`).
    cut_after: send this many bytes of the body, then hang up.
    reset: hang up with a TCP reset rather than an orderly close.
    drop_answer: do what was asked, then hang up without a word.
    length_error: add this to the Content-Length that is announced.
    corrupt: send as many bytes as announced, but other bytes.
    hang: say nothing at all until the server closes.
    before: a function to run first (another client's push, say).
    """

    pattern: str
    method: str | None = None
    times: int = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | bytes | None = None
    cut_after: int | None = None
    reset: bool = False
    drop_answer: bool = False
    length_error: int = 0
    corrupt: bool = False
    hang: bool = False
    before: Callable[[], None] | None = None


@dataclass(frozen=True)
class Request:
    """One request that the server answered."""

    method: str
    path: str
    headers: dict[str, str]
    port: int


class HubServer:
    """The Hub's state and its two listening ports (Hub and CDN)."""

    def __init__(
        self, users: dict[str, User] | None = None, page_size: int = 1000
    ) -> None:
        self.users = users or {}
        self.page_size = page_size
        self.repos: dict[str, Repo] = {}
        self.storage: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.lock = threading.RLock()
        self.closing = threading.Event()
        self.connections: set[socket.socket] = set()
        self._http = self._listen()
        self._cdn = self._listen()
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self.cdn_url = f"http://127.0.0.1:{self._cdn.server_port}"

    def _listen(self) -> ThreadingHTTPServer:
        handler = type("BoundHandler", (Handler,), {"hub": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(
            target=server.serve_forever, args=(0.02,), daemon=True
        ).start()
        return server

    def __enter__(self) -> "HubServer":
        return self

    def __exit__(self, *exception: object) -> None:
        self.closing.set()
        for server in (self._http, self._cdn):
            server.shutdown()
            server.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # The other side hung up first.

    def fail(self, pattern: str, **how: Any) -> Fault:
        """Misbehave on requests whose path matches; see `Fault`."""
        fault = Fault(pattern, **how)
        self.faults.append(fault)
        return fault

    def take_fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if (
                    fault.times > 0
                    and fault.method in (None, method)
                    and re.search(fault.pattern, path)
                ):
                    fault.times -= 1
                    return fault
        return None

    def count(self, method: str, pattern: str) -> int:
        """How many requests of this kind came in."""
        return sum(
            request.method == method
            and re.search(pattern, request.path) is not None
            for request in self.requests
        )

    def add_repo(
        self,
        repo_id: str,
        files: dict[str, bytes] | None = None,
        private: bool = False,
    ) -> Repo:
        """Create a repository with, as the Hub does, a first commit."""
        repo = Repo(repo_id, private)
        attributes = "".join(
            f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n"
            for suffix in LFS_SUFFIXES
        ).encode()
        with self.lock:
            repo.add(
                "main", "initial commit", {".gitattributes": Blob(attributes)}
            )
            self.repos[repo_id] = repo
            if files:
                self.push(repo_id, files, "files")
        return repo

    def push(
        self, repo_id: str, files: dict[str, bytes], title: str = "by hand"
    ) -> Commit:
        """Commit as another client would (Git, or the web editor)."""
        with self.lock:
            repo = self.repos[repo_id]
            tree = dict(repo.commits[repo.refs["main"]].tree)
            for path, data in files.items():
                tree[path] = Blob(data, is_large(path, data[:512], len(data)))
                if tree[path].is_lfs:
                    self.storage[tree[path].sha256] = data
            return repo.add("main", title, tree)

    def files(self, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        """What a reader of the revision would see, without .gitattributes."""
        commit = self.repos[repo_id].find(revision)
        assert commit is not None
        return {
            path: blob.data
            for path, blob in commit.tree.items()
            if path != ".gitattributes"
        }


class Handler(HubAPI, BaseHTTPRequestHandler):
    """One connection of one client."""

    hub: HubServer
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.hub.connections.add(self.connection)

    def finish(self) -> None:
        self.hub.connections.discard(self.connection)
        try:
            super().finish()
        except OSError:
            pass  # The client is gone, or we hung up on it.

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    # One request.

    def _serve(self) -> None:
        self.body = self._read_body()
        url = urlsplit(self.path)
        self.query = {k: v[-1] for k, v in parse_qs(url.query).items()}
        port = self.server.server_address[1]
        headers = {k.lower(): v for k, v in self.headers.items()}
        self.hub.requests.append(
            Request(self.command, self.path, headers, port)
        )
        self.fault = self.hub.take_fault(self.command, self.path)
        if self.fault is not None:
            if self.fault.before is not None:
                self.fault.before()
            if self.fault.hang:
                self.hub.closing.wait(30)
                self.close_connection = True
                return
            if self.fault.status is not None:
                body = self.fault.body or {"error": "asked to fail"}
                self._answer(self.fault.status, body, self.fault.headers)
                return
        try:
            self._answer(*self.route(url.path))
        except Refusal as refusal:
            self._answer(
                refusal.status, {"error": str(refusal)}, refusal.headers
            )

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return b"".join(self._read_chunks())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _read_chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(
        self,
        status: int,
        body: bytes | dict[str, Any] | list[Any] = b"",
        headers: dict[str, str] | None = None,
    ) -> None:
        fault = self.fault
        if fault is not None and fault.drop_answer:
            self._hang_up(reset=fault.reset)
            return
        headers = dict(headers or {})
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        length = len(body)
        if fault is not None:
            length += fault.length_error
            if fault.corrupt:
                body = bytes(byte ^ 0xFF for byte in body)
        headers.setdefault("Content-Length", str(length))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD" or status == 304:
            return
        if fault is not None and fault.cut_after is not None:
            self.wfile.write(body[: fault.cut_after])
            self.wfile.flush()
            self._hang_up(reset=fault.reset)
            return
        self.wfile.write(body)
        if fault is not None and fault.length_error:
            self.close_connection = True

    def _hang_up(self, reset: bool) -> None:
        if reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
            self.connection.close()
        self.close_connection = True
