"""A small hub on this machine, for the real huggingface_hub client behind HF_ENDPOINT.

It answers what a download asks for: the list of files (GET /api/models/NAME?blobs=true), the
metadata of one (HEAD /NAME/resolve/COMMIT/FILE) and its bytes. As on the real one, a large file is
redirected to another host (localhost for 127.0.0.1), a gated repository lists its files but does
not give them, and an unknown one is a 401. It can be told to break.
"""

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin", ".gguf")  # kept apart, with their SHA-256, as by Git LFS
TOKEN = "hf_of_the_host"


@dataclass
class Repository:
    """One model's files, and what is special about it.

    Attributes:
        gated: only for TOKEN.
        sizes: what is said of a file's size, where it is not true.
    """

    files: dict[str, bytes]
    gated: bool = False
    sizes: dict[str, int] = field(default_factory=dict)


@dataclass
class Call:
    """One request."""

    method: str
    path: str
    range: str | None
    authorization: str | None


class HubServer:
    """A context manager; `url` is its address.

    Attributes:
        cut: file -> bytes after which each answer breaks off.
        hold: file -> bytes after which each answer waits until `release` is set.
        wrong: file -> bytes to send instead of the true ones.
        status: instead of every answer.
    """

    def __init__(self, repositories: dict[str, Repository]) -> None:
        self.repositories = repositories
        self.cut: dict[str, int] = {}
        self.hold: dict[str, int] = {}
        self.wrong: dict[str, bytes] = {}
        self.status: int | None = None
        self.release = threading.Event()
        self.holding = threading.Event()
        self.calls: list[Call] = []
        self.variables: dict[str, list[str]] = {}  # of Spaces, for TOKEN
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    def bytes_of(self, name: str) -> list[Call]:
        """The requests for a file's bytes."""
        return [s for s in self.calls if s.method == "GET" and s.path.endswith(name)]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer()

            def do_GET(self) -> None:
                self._answer()

            def log_message(self, *_: Any) -> None:
                pass

            def _answer(self) -> None:
                path = self.path.partition("?")[0]
                key = self.headers.get("Authorization")
                hub.calls.append(Call(self.command, path, self.headers.get("Range"), key))
                try:
                    answer(hub, self, path, key)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

        return Handler


def answer(hub: HubServer, http: BaseHTTPRequestHandler, path: str, key: str | None) -> None:
    """One request, as the hub would answer it."""
    listing = re.fullmatch(r"/api/models/([^/]+/[^/]+)", path)
    file = re.fullmatch(r"(/cdn)?/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
    name = listing[1] if listing else file[2] if file else ""
    repository = hub.repositories.get(name)
    space = re.fullmatch(r"/api/spaces/([^/]+/[^/]+)/variables", path)
    if hub.status is not None:
        send(http, hub.status, {})
    elif space and key == f"Bearer {TOKEN}":
        names = {name: {"value": "x"} for name in hub.variables.get(space[1], [])}
        send(http, 200, {"Content-Type": "application/json"}, json.dumps(names).encode())
    elif key and key != f"Bearer {TOKEN}":
        wrong = "Invalid credentials in Authorization header"
        send(http, 401, {"X-Error-Message": wrong})
    elif repository is None:
        send(http, 401, {"X-Error-Code": "RepoNotFound"})
    elif listing:
        send(http, 200, {"Content-Type": "application/json"}, listed(name, repository))
    elif repository.gated and key is None and not file[1]:
        send(http, 401, {"X-Error-Code": "GatedRepo"})
    elif file[3] not in repository.files:
        send(http, 404, {"X-Error-Code": "EntryNotFound"})
    elif file[3].endswith(LARGE) and not file[1]:
        send(http, 302, redirect(hub, path, repository, file[3]))
    else:
        send_file(hub, http, repository.files[file[3]], file[3])


def listed(name: str, repository: Repository) -> bytes:
    """The answer to model_info(files_metadata=True)."""
    siblings = []
    for file, data in repository.files.items():
        size = repository.sizes.get(file, len(data))
        entry = {"rfilename": file, "size": size, "blobId": hashlib.sha1(data).hexdigest()}
        if file.endswith(LARGE):
            sha = hashlib.sha256(data).hexdigest()
            entry["lfs"] = {"sha256": sha, "size": size, "pointerSize": 134}
        siblings.append(entry)
    info = {"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings}
    return json.dumps(info | {"gated": "manual" if repository.gated else False}).encode()


def redirect(hub: HubServer, path: str, repository: Repository, file: str) -> dict[str, str]:
    """Where a large file is: on another host, with what the client wants to know of it."""
    data = repository.files[file]
    return {
        "Location": f"http://localhost:{hub.port}/cdn{path}",
        "X-Repo-Commit": COMMIT,
        "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
        "X-Linked-Size": str(len(data)),
    }


def send_file(hub: HubServer, http: BaseHTTPRequestHandler, data: bytes, name: str) -> None:
    """A file's bytes, from where a Range asks for; broken off or held where the test says so."""
    etag = hashlib.sha1(data).hexdigest()
    data = hub.wrong.get(name, data)
    start = int((http.headers.get("Range") or "bytes=0-").partition("=")[2].partition("-")[0])
    headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
    if start:
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
    http.send_response(206 if start else 200)
    for header, value in (headers | {"Content-Length": str(len(data) - start)}).items():
        http.send_header(header, value)
    http.end_headers()
    if http.command == "HEAD":
        return
    end = hub.cut.get(name, hub.hold.get(name, len(data)))
    http.wfile.write(data[start:end])
    http.wfile.flush()
    if name in hub.cut:
        http.close_connection = True
    elif name in hub.hold:
        hub.holding.set()
        hub.release.wait(30)
        http.wfile.write(data[max(start, end) :])


def send(
    http: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes = b""
) -> None:
    """A small answer."""
    http.send_response(status)
    for name, value in (headers | {"Content-Length": str(len(body))}).items():
        http.send_header(name, value)
    http.end_headers()
    if http.command != "HEAD":
        http.wfile.write(body)
