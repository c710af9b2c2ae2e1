"""A llama.cpp server in a child process, and the talk with it.

It listens on a socket file in a folder that only this user can enter; where there are no such sockets
(Windows), on a loopback port. Either way it wants a random key.
"""

import http.client
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from models.errors import Damaged, InvalidInput, ModelError, Unavailable

_CHILD = Path(__file__).with_name("llama_child.py")
_LOAD_SECONDS = 300.0  # after so long a load counts as hung
# glibc gives each thread a heap of its own and keeps what it freed: after eight looks at the next token
# the server would hold twice its memory.
_ENVIRONMENT = {"MALLOC_ARENA_MAX": "1"}
_DEATH_SECONDS = 3.0  # a broken connection's process is given so long to be gone


class LlamaServer:
    """One child process with one model.

    Args:
        file: the GGUF file, the first one of a model that is split.
        label: the model's name, for the sentences.
        slots: people at once.
        window: tokens of each slot.
        threads: of the processor.
        gpu: use a GPU if the library was built for one.

    Raises:
        Damaged: the file cannot be loaded (damaged_gguf).
    """

    def __init__(
        self, file: Path, label: str, *, slots: int, window: int, threads: int, gpu: bool
    ) -> None:
        self._label, self._key = label, secrets.token_urlsafe(32)
        self._folder = tempfile.mkdtemp(prefix="genlab-")  # 0700
        host = f"{self._folder}/s.sock" if hasattr(socket, "AF_UNIX") else "127.0.0.1"
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ENVIRONMENT},
        )
        self._finalizer = weakref.finalize(self, _end, self._process, self._folder)
        wish = {"model": str(file), "slots": slots, "window": window, "threads": threads}
        answer = self._start({**wish, "gpu": gpu, "host": host, "key": self._key})
        if "address" not in answer:
            self.close()
            raise Damaged("damaged_gguf", model=label, file=file.name)
        self._address = str(answer["address"])

    def _start(self, wish: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        hung = threading.Timer(_LOAD_SECONDS, self._process.kill)
        hung.start()
        try:
            self._process.stdin.write(json.dumps(wish).encode() + b"\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())
        except (OSError, ValueError):  # it died: the line is empty or cut
            return {}
        finally:
            hung.cancel()

    # ------------------------------------------------------------ the process

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def close(self) -> None:
        """End the process, which gives its memory back."""
        self._finalizer()

    def nbytes(self) -> int:
        """Bytes that the process holds in memory."""
        with suppress(psutil.Error):
            return int(psutil.Process(self.pid).memory_info().rss)
        return 0

    def failure(self) -> ModelError:
        """Why a connection broke: the process is gone, or only this answer."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_DEATH_SECONDS)
        code = "unavailable_llama_cut" if self.alive else "unavailable_llama_died"
        return Unavailable(code, model=self._label)

    # ------------------------------------------------------------ talk

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """One question and its whole answer.

        Raises:
            ModelError: it refused, or the process died.
        """
        connection = self._connection()
        try:
            return json.loads(self._response(connection, path, body).read())
        except (OSError, ValueError, http.client.HTTPException):
            raise self.failure() from None
        finally:
            connection.close()

    def stream(self, body: dict[str, Any], put: Callable[[Any], None]) -> Callable[[], None]:
        """Ask for a completion; a thread hands its pieces to `put` as they come.

        Args:
            body: of llama.cpp's /completion.
            put: is told each piece, last one with "stop": true; or a ModelError, which is the last.

        Returns:
            A function that ends it, at any time: the server sees the closed connection at its next token.
        """
        connection = self._connection()

        def read() -> None:
            try:
                response = self._response(connection, "/completion", body)
                while line := response.readline():
                    if line.startswith(b"data: "):
                        piece = json.loads(line[6:])
                        if "error" in piece:
                            raise self._refusal(piece["error"])
                        put(piece)
                        if piece.get("stop"):
                            return
                put(self.failure())
            except ModelError as problem:
                put(problem)
            except (OSError, ValueError, AttributeError, http.client.HTTPException):
                if not over.is_set():
                    put(self.failure())
            finally:
                connection.close()

        over = threading.Event()
        threading.Thread(target=read, name="llama.cpp answer", daemon=True).start()

        def end() -> None:
            over.set()
            with suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)

        return end

    def _connection(self) -> http.client.HTTPConnection:
        """An open connection: one that is shut down before its request is not opened again."""
        if not self.alive:
            raise self.failure()
        if self._address.startswith("unix://"):
            connection = _SocketFile(self._address.removeprefix("unix://"))
        else:
            parts = urlsplit(self._address)
            connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port)
        try:
            connection.connect()
        except OSError:
            connection.close()
            raise self.failure() from None
        return connection

    def _response(
        self, connection: http.client.HTTPConnection, path: str, body: dict[str, Any]
    ) -> http.client.HTTPResponse:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        if response.status != 200:
            raise self._refusal(json.loads(response.read()).get("error", {}))
        return response

    def _refusal(self, error: dict[str, Any]) -> ModelError:
        if error.get("type") == "exceed_context_size_error":
            return InvalidInput("invalid_over_window", limit=error.get("n_ctx", 0))
        # Some templates know no system prompt, some want strict turns.
        if "emplate" in str(error.get("message")):
            return InvalidInput("invalid_turns")
        return Unavailable("unavailable_llama_cut", model=self._label)


class _SocketFile(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def _end(process: "subprocess.Popen[bytes]", folder: str) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        os.rmdir(folder)
