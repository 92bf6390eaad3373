"""The Hub's HTTP API, as far as the client uses it for models.

Each method answers one route with a status, a body and headers, or raises
`Refusal` as the real Hub refuses.
"""

import base64
import hashlib
import json
import re
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import yaml
from hub_repos import Blob, Commit, Repo, User, describe, is_large


class Refusal(Exception):
    """An error answer, with the headers by which the client tells which."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {"X-Error-Message": message, **(headers or {})}
        if code is not None:
            self.headers["X-Error-Code"] = code


class HubAPI:
    """The routes; mixed into the handler of one connection."""

    hub: Any
    body: bytes
    command: str
    headers: Any
    path: str
    query: dict[str, str]

    # Who asks, and for what.

    def _user(self) -> User | None:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        if token not in self.hub.users:
            raise Refusal(401, "Invalid credentials in Authorization header")
        return self.hub.users[token]

    def _repo(self, repo_id: str, write: bool = False) -> Repo:
        user = self._user()
        repo = self.hub.repos.get(repo_id)
        visible = repo is not None and (
            not repo.private or (user is not None and user.owns(repo_id))
        )
        if repo is None or not visible:
            # Without a token the Hub does not say which it is.
            if user is None:
                raise Refusal(
                    401, "Invalid username or password.", "RepoNotFound"
                )
            raise Refusal(404, "Repository not found", "RepoNotFound")
        if repo.gated and (user is None or not user.owns(repo_id)):
            raise Refusal(
                403, "Access to this model is restricted", "GatedRepo"
            )
        if write:
            if user is None:
                raise Refusal(401, "Invalid username or password.")
            proposes = self.query.get("create_pr") == "1"
            if not user.can_write or not (user.owns(repo_id) or proposes):
                raise Refusal(
                    403, "Forbidden: you must use a write token to upload"
                )
        return repo

    def _uploader(self, repo_id: str) -> None:
        """Anyone with a write token may store what a pull request needs."""
        self._repo(repo_id)
        user = self._user()
        if user is None or not user.can_write:
            raise Refusal(403, "Forbidden: you must use a write token")

    def _commit(self, repo: Repo, revision: str) -> Commit:
        commit = repo.find(unquote(revision))
        if commit is None:
            raise Refusal(
                404, f"Invalid rev id: {revision}", "RevisionNotFound"
            )
        return commit

    def _json(self) -> dict[str, Any]:
        return json.loads(self.body)

    def route(self, path: str) -> tuple:
        """Answer a request, or raise `Refusal`."""
        for method, pattern, name in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method.split("|"):
                with self.hub.lock:
                    return getattr(self, name)(
                        *[unquote(part or "") for part in match.groups()]
                    )
        raise Refusal(404, f"Cannot {self.command} {path}")

    # The API proper: each returns status, body and headers.

    def agent_harnesses(self) -> tuple:
        return 200, {"standardEnvVars": [], "harnesses": {}}

    def whoami(self) -> tuple:
        user = self._user()
        if user is None:
            raise Refusal(401, "Invalid username or password.")
        role = "write" if user.can_write else "read"
        return 200, {
            "type": "user",
            "id": user.name,
            "name": user.name,
            "orgs": [{"name": name} for name in user.organizations],
            "auth": {"accessToken": {"displayName": "t", "role": role}},
        }

    def validate_yaml(self) -> tuple:
        content = self._json()["content"]
        match = re.match(r"---\s*\n(.*?\n)---\s*(\n|$)", content, re.DOTALL)
        if match is None:
            warning = {"message": "empty or missing yaml metadata in repo card"}
            return 200, {"warnings": [warning], "errors": []}
        try:
            data = yaml.safe_load(match[1])
        except yaml.YAMLError as error:
            return 400, {"errors": [{"message": str(error)}], "warnings": []}
        if not isinstance(data, dict):
            return 400, {"errors": [{"message": "not a mapping"}]}
        return 200, {"warnings": [], "errors": []}

    def create_repo(self) -> tuple:
        user = self._user()
        if user is None:
            raise Refusal(401, "Invalid username or password.")
        request = self._json()
        owner = request.get("organization") or user.name
        repo_id = f"{owner}/{request['name']}"
        if not user.can_write or not user.owns(repo_id):
            raise Refusal(
                403,
                "You don't have the rights to create a model under the "
                f'namespace "{owner}"',
            )
        url = {"url": f"{self.hub.url}/{repo_id}", "name": repo_id}
        if repo_id in self.hub.repos:
            return 409, {"error": "You already created this model repo", **url}
        private = request.get("visibility") == "private"
        self.hub.add_repo(repo_id, private=private)
        return 200, url

    def model_info(self, repo_id: str, revision: str) -> tuple:
        repo = self._repo(repo_id)
        commit = self._commit(repo, revision or "main")
        return 200, {
            "id": repo_id,
            "modelId": repo_id,
            "author": repo_id.split("/")[0],
            "sha": commit.oid,
            "private": repo.private,
            "gated": repo.gated,
            "disabled": False,
            "tags": [],
            "siblings": [{"rfilename": path} for path in sorted(commit.tree)],
        }

    def create_branch(self, repo_id: str, branch: str) -> tuple:
        repo = self._repo(repo_id, write=True)
        if branch in repo.refs:
            raise Refusal(409, f"Reference already exists: {branch}")
        start = self._json().get("startingPoint") or "main"
        repo.refs[branch] = self._commit(repo, start).oid
        return 201, {}

    def tree(self, repo_id: str, revision: str, folder: str) -> tuple:
        commit = self._commit(self._repo(repo_id), revision)
        prefix = f"{folder}/" if folder else ""
        recursive = self.query.get("recursive", "").lower() in ("true", "1")
        entries: dict[str, dict[str, Any]] = {}
        for path, blob in sorted(commit.tree.items()):
            if not path.startswith(prefix):
                continue
            parts = path.removeprefix(prefix).split("/")
            for depth in range(1, len(parts)):
                name = prefix + "/".join(parts[:depth])
                oid = hashlib.sha1(name.encode()).hexdigest()
                entry = {"type": "directory", "oid": oid, "size": 0}
                entries.setdefault(name, {**entry, "path": name})
            entries[path] = describe(path, blob)
        rows = [
            entry
            for name, entry in entries.items()
            if recursive or "/" not in name.removeprefix(prefix)
        ]
        start = int(self.query.get("cursor", 0))
        end = start + self.hub.page_size
        headers = {}
        if end < len(rows):
            query = f"recursive={recursive}&cursor={end}"
            url = f"{self.hub.url}{urlsplit(self.path).path}?{query}"
            headers["Link"] = f'<{url}>; rel="next"'
        return 200, rows[start:end], headers

    def paths_info(self, repo_id: str, revision: str) -> tuple:
        commit = self._commit(self._repo(repo_id), revision)
        if self.headers.get("Content-Type", "").startswith("application/json"):
            paths = self._json()["paths"]
        else:
            paths = parse_qs(self.body.decode())["paths"]
        return 200, [
            describe(path, commit.tree[path])
            for path in paths
            if path in commit.tree
        ]

    def preupload(self, repo_id: str, revision: str) -> tuple:
        repo = self._repo(repo_id, write=True)
        commit = self._commit(repo, revision)
        files = []
        for file in self._json()["files"]:
            path, size = file["path"], file["size"]
            large = is_large(path, base64.b64decode(file["sample"]), size)
            answer = {
                "path": path,
                "uploadMode": "lfs" if large else "regular",
                "shouldIgnore": False,
            }
            if path in commit.tree:
                answer["oid"] = commit.tree[path].etag
            files.append(answer)
        return 200, {"files": files}

    def lfs_batch(self, repo_id: str) -> tuple:
        self._uploader(repo_id)
        objects = []
        for item in self._json()["objects"]:
            oid, size = item["oid"], item["size"]
            answer = {"oid": oid, "size": size}
            if oid not in self.hub.storage:
                store = f"{self.hub.cdn_url}/store/{oid}?size={size}"
                verify = f"{self.hub.url}/{repo_id}.git/info/lfs/verify"
                answer["actions"] = {
                    "upload": {"href": store},
                    "verify": {"href": verify},
                }
            objects.append(answer)
        return 200, {"transfer": "basic", "objects": objects}

    def lfs_store(self, oid: str) -> tuple:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise Refusal(400, "The content does not match its checksum")
        if len(self.body) != int(self.query["size"]):
            raise Refusal(400, "The content does not match its size")
        self.hub.storage[oid] = self.body
        return 200, b"", {"ETag": f'"{oid}"'}

    def lfs_verify(self, repo_id: str) -> tuple:
        self._uploader(repo_id)
        item = self._json()
        data = self.hub.storage.get(item["oid"])
        if data is None or len(data) != item["size"]:
            raise Refusal(404, "Object does not exist on the server")
        return 200, {}

    def commit(self, repo_id: str, revision: str) -> tuple:
        repo = self._repo(repo_id, write=True)
        parent = self._commit(repo, revision)
        tree = dict(parent.tree)
        title = None
        for line in self.body.splitlines():
            item = json.loads(line)
            key, value = item["key"], item["value"]
            if key == "header":
                title = value["summary"]
                expected = value.get("parentCommit")
                if expected not in (None, parent.oid):
                    raise Refusal(412, "A commit has happened since")
                continue
            path = value["path"]
            parts = path.split("/")
            if any(part in ("", ".", "..", ".git") for part in parts):
                raise Refusal(400, f"Invalid path: {path}")
            if key == "file":
                tree[path] = Blob(base64.b64decode(value["content"]))
            elif key == "lfsFile":
                if value["oid"] not in self.hub.storage:
                    raise Refusal(400, f"LFS object of {path} was not uploaded")
                tree[path] = Blob(self.hub.storage[value["oid"]], is_lfs=True)
            elif key == "deletedFile":
                if path not in tree:
                    raise Refusal(
                        404,
                        "A file with this name doesn't exist",
                        "EntryNotFound",
                    )
                del tree[path]
            else:
                raise Refusal(400, f"Unknown operation: {key}")
        if not title:
            raise Refusal(400, "A commit needs a summary")
        ref = revision
        answer: dict[str, Any] = {"success": True}
        if self.query.get("create_pr") == "1":
            number = sum(name.startswith("refs/pr/") for name in repo.refs) + 1
            ref = f"refs/pr/{number}"
            repo.refs[ref] = parent.oid
            url = f"{self.hub.url}/{repo_id}/discussions/{number}"
            answer["pullRequestUrl"] = url
        elif revision in repo.commits:
            raise Refusal(400, "Cannot commit to a commit")
        commit = repo.add(ref, title, tree)
        answer["commitOid"] = commit.oid
        answer["commitUrl"] = f"{self.hub.url}/{repo_id}/commit/{commit.oid}"
        return 200, answer

    def resolve(self, repo_id: str, revision: str, path: str) -> tuple:
        commit = self._commit(self._repo(repo_id), revision)
        headers = {"X-Repo-Commit": commit.oid}
        blob = commit.tree.get(path)
        if blob is None:
            raise Refusal(404, "Entry not found", "EntryNotFound", headers)
        headers["X-Linked-Etag"] = f'"{blob.etag}"'
        headers["X-Linked-Size"] = str(len(blob.data))
        if blob.is_lfs:
            headers["Location"] = f"{self.hub.cdn_url}/store/{blob.sha256}"
            return 302, b"Found. Redirecting", headers
        location = f"/api/resolve-cache/models/{repo_id}/{commit.oid}/"
        headers["Location"] = location + quote(path)
        return 307, b"Temporary Redirect", headers

    def resolve_cache(self, repo_id: str, oid: str, path: str) -> tuple:
        commit = self._commit(self._repo(repo_id), oid)
        blob = commit.tree[path]
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{blob.etag}"'}
        return self._range(blob.data, headers)

    def cdn(self, oid: str) -> tuple:
        if oid not in self.hub.storage:
            raise Refusal(404, "No such object")
        return self._range(self.hub.storage[oid], {"ETag": f'"{oid}"'})

    def _range(self, data: bytes, headers: dict[str, str]) -> tuple:
        headers["Accept-Ranges"] = "bytes"
        match = re.fullmatch(
            r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")
        )
        if match is None:
            return 200, data, headers
        start = int(match[1])
        end = min(int(match[2] or len(data) - 1), len(data) - 1)
        if start > end:
            headers["Content-Range"] = f"bytes */{len(data)}"
            return 416, b"", headers
        headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
        return 206, data[start : end + 1], headers


_REPO = r"([^/]+/[^/]+)"
_REV = r"([^/]+)"
ROUTES = (
    ("GET", r"/api/agent-harnesses", "agent_harnesses"),
    ("GET", r"/api/whoami-v2", "whoami"),
    ("POST", r"/api/validate-yaml", "validate_yaml"),
    ("POST", r"/api/repos/create", "create_repo"),
    ("GET", rf"/api/models/{_REPO}(?:/revision/{_REV})?", "model_info"),
    ("POST", rf"/api/models/{_REPO}/branch/{_REV}", "create_branch"),
    ("GET", rf"/api/models/{_REPO}/tree/{_REV}(?:/(.+))?", "tree"),
    ("POST", rf"/api/models/{_REPO}/paths-info/{_REV}", "paths_info"),
    ("POST", rf"/api/models/{_REPO}/preupload/{_REV}", "preupload"),
    ("POST", rf"/{_REPO}\.git/info/lfs/objects/batch", "lfs_batch"),
    ("POST", rf"/{_REPO}\.git/info/lfs/verify", "lfs_verify"),
    ("POST", rf"/api/models/{_REPO}/commit/{_REV}", "commit"),
    ("GET|HEAD", rf"/{_REPO}/resolve/{_REV}/(.+)", "resolve"),
    (
        "GET|HEAD",
        rf"/api/resolve-cache/models/{_REPO}/{_REV}/(.+)",
        "resolve_cache",
    ),
    ("PUT", r"/store/([0-9a-f]{64})", "lfs_store"),
    ("GET|HEAD", r"/store/([0-9a-f]{64})", "cdn"),
)
