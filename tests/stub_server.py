"""A server that speaks as OpenAI's does where no real one can be made to: faults of every kind.

Only for what `transformers serve` cannot do: keys turned down, quotas, faults, refused parameters.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# What its models cost, as a prices.toml says it.
PRICES = """
[[list]]
server = "127.0.0.1"
source = "a test"
date = "2026-11"
[list.models]
"gpt-4o" = { input = 1000, cached_input = 100, output = 10000 }
"gpt-image-2" = { input = 1000, output = 10000 }
"text-embedding-3-small" = { input = 1000, output = 0 }
"""


def fault(code: str | None, message: str = "no", param: str | None = None) -> dict[str, Any]:
    """An error body as OpenAI writes it."""
    return {"error": {"message": message, "type": code, "param": param, "code": code}}


def chunk(
    text: str | None, index: int = 0, end: str | None = None, logprobs: Any = None, **delta: Any
) -> str:
    """One event of a streamed answer."""
    choice = {"index": index, "delta": {"content": text, **delta}, "finish_reason": end}
    if logprobs is not None:
        choice["logprobs"] = {"content": logprobs}
    return f"data: {json.dumps({'choices': [choice]})}\n\n"


def usage(read: int, completion: int, cache_hits: int = 0, thought: int = 0) -> str:
    """The last event, which has no choices but counts."""
    counts = {
        "prompt_tokens": read,
        "completion_tokens": completion,
        "total_tokens": read + completion,
        "prompt_tokens_details": {"cached_tokens": cache_hits},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }
    return f"data: {json.dumps({'choices': [], 'usage': counts})}\n\n"


DONE = "data: [DONE]\n\n"
WHOLE = (chunk("Hel"), chunk("lo"), chunk(None, end="stop"), DONE)


class StubServer:
    """Answers each request with the next of `answers`, the last one again and again.

    An answer is (status, body): a dict goes out as JSON, a text as HTML, several pieces as a stream
    of events; a number among the pieces is a silence of so many seconds. `cut=True` breaks the
    connection after the last piece instead of ending it. A function makes the answer of the
    request's body. A GET is answered with `listed`, (status, body), at /v1/models.

    Attributes:
        bodies: the bodies of the requests so far; keys: their Authorization headers; headers: all.
        first_request: is set with the first request.
        hangup: is set when the other side has gone away while an answer was being sent.
    """

    def __init__(
        self,
        *answers: tuple[int, Any] | Callable[[dict[str, Any]], tuple[int, Any]],
        cut: bool = False,
        listed: tuple[int, Any] = (404, fault(None)),
        headers: dict[str, str] | None = None,
    ) -> None:
        self.answers = list(answers)
        self.cut = cut
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.headers: list[dict[str, str]] = []
        self.first_request = threading.Event()
        self.hangup = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                stub.bodies.append(json.loads(body))
                stub.first_request.set()
                self._note()
                reply = stub.answers[min(len(stub.bodies), len(stub.answers)) - 1]
                self._answer(*(reply(json.loads(body)) if callable(reply) else reply))

            def do_GET(self) -> None:
                self._note()
                self._answer(*(listed if self.path == "/v1/models" else (404, fault(None))))

            def _note(self) -> None:
                stub.keys.append(self.headers["authorization"])
                stub.headers.append({k.lower(): v for k, v in self.headers.items()})

            def _answer(self, status: int, chunk_text: Any) -> None:
                if isinstance(chunk_text, dict) or (
                    isinstance(chunk_text, list) and chunk_text and isinstance(chunk_text[0], dict)
                ):
                    self._whole(status, "application/json", json.dumps(chunk_text))
                elif isinstance(chunk_text, str):
                    self._whole(status, "text/html", chunk_text)
                else:
                    self._pieces(status, chunk_text)

            def _whole(self, status: int, kind: str, text: str) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def _pieces(self, status: int, pieces: Iterable[str | float]) -> None:
                self.send_response(status)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                self.close_connection = True
                try:
                    for piece in pieces:
                        if isinstance(piece, str):
                            self._piece(piece)
                        else:
                            self._silence(piece)
                    if not stub.cut:
                        self._piece("")
                except OSError:
                    stub.hangup.set()

            def _piece(self, text: str) -> None:
                self.wfile.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())
                self.wfile.flush()

            def _silence(self, seconds: float) -> None:
                self.connection.settimeout(0.02)
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    try:
                        if self.connection.recv(1) == b"":
                            raise ConnectionResetError
                    except TimeoutError:
                        continue
                self.connection.settimeout(None)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> "StubServer":
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.shutdown()
        self._server.server_close()
