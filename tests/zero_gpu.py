"""A stand-in for a Space with ZeroGPU: the real package `spaces` with its forks, pickles, durations and errors.

Two things stand in, since no GPU is lent here: the device API that it asks (DeviceApi, over HTTP as there), and its
part spaces.zero.torch, which makes torch believe in CUDA and needs a CUDA build. In its place is what spaces has
itself where torch is not installed, and torch says that there is a GPU, which nothing can use. Models that want a
GPU lie on the CPU of the forked process.

python -m tests.zero_gpu app ...   the whole page, as demo.py
python -m tests.zero_gpu probe     what tests/runtime/test_zero_gpu.py looks at, as JSON
"""

import base64
import json
import os
import runpy
import sys
import threading
import time
import types
import urllib.request
from contextlib import closing
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from models.sentiment.events import Scores
from tests import engines
from tests.engines import Steps, spec

GRANT = {"idle": True, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "t"}
BROKEN_GPU = GRANT | {"nvidiaIndex": 1, "nvidiaUUID": "GPU-broken"}
TOKEN = "head." + base64.urlsafe_b64encode(b'{"user": "ann"}').decode().rstrip("=") + ".tail"


@dataclass
class DeviceApi:
    """The device API of a ZeroGPU Space.

    Attributes:
        calls: (path, parameters) of every request, in order.
        answers: of the next requests for a GPU: (status, headers, body); one is granted where there is none left.
    """

    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def calls_to(self, path: str) -> list[dict[str, str]]:
        """The parameters of the requests for a path."""
        return [values for one, values in self.calls if one == path]

    def environment(self, folder: Path) -> dict[str, str]:
        """What a Space with ZeroGPU has in its environment."""
        group = folder / "cgroup"
        group.write_text("0::/space\n", encoding="utf-8")
        return {
            "SYSTEM": "spaces",
            "SPACE_ID": "me/genlab",
            "SPACES_ZERO_GPU": "true",
            "SPACES_ZERO_DEVICE_API_URL": self.url,
            "ZEROGPU_PROC_SELF_CGROUP_PATH": str(group),
            "GRADIO_SSR_MODE": "true",
            "GENLAB_FETCH": "false",  # which a Space does
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                address = urlsplit(self.path)
                values = {name: one[0] for name, one in parse_qs(address.query).items()}
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size) or "null")
                if address.path == "/control":  # of the tests
                    api.answers.append((body[0], body[1], body[2]))
                    return self._send(200, {}, None)
                api.calls.append((address.path, values))
                if address.path == "/schedule":
                    self._send(*(api.answers.pop(0) if api.answers else (200, {}, GRANT)))
                else:
                    self._send(200, {}, {})

            def do_GET(self) -> None:
                self._send(200, {}, api.calls)

            def log_message(self, *_: Any) -> None:
                pass

            def _send(self, status: int, headers: dict[str, str], body: Any) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                standard = {"Content-Type": "application/json", "Content-Length": str(len(data))}
                for name, value in (standard | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

        return Handler


def stand_in() -> None:
    """Let spaces be imported beside a torch without CUDA, and let what wants a GPU lie on the CPU."""
    part = types.ModuleType("spaces.zero.torch")
    for name, value in {"pack": 0, "size": 0, "is_in_bad_fork": False}.items():
        setattr(part, name, lambda *_, value=value, **__: value)
    for name in ("enter_mode", "unpatch", "move"):
        setattr(part, name, lambda *_, **__: None)
    for name, own in {"patch": _believe, "init": _start_gpu}.items():
        setattr(part, name, own)
    sys.modules["spaces.zero.torch"] = part
    from models.runtime import placement

    placement.ZERO_GPU_DEVICE = "cpu"


def _believe() -> None:
    """As spaces lets it all the time outside the calls: torch finds a GPU, and whoever uses it fails."""
    import torch

    for name, value in {"is_available": True, "device_count": 1, "current_device": 0}.items():
        setattr(torch.cuda, name, lambda *_, value=value: value)


def _start_gpu(name: str) -> None:
    if name == BROKEN_GPU["nvidiaUUID"]:
        raise RuntimeError("Found no NVIDIA driver on your system")


# ---------------------------------------------------------------- the probe


class Place(Steps):
    """Tells in which process it works, and how often it was loaded there."""

    def stream(self, request: Any, stop: Any):
        yield Scores((("process", float(os.getpid())), ("loads", float(type(self).loads))))
        yield from super().stream(request, stop)


class Fails(engines.Fails):
    """As there; under this module's name."""


class Silent(Steps):
    """Says nothing for a while, but looks at the flag."""

    def stream(self, request: Any, stop: Any):
        yield Scores((("begun", 1.0),))
        stop.wait(30)
        Path(request.text).write_text("stopped" if stop.is_set() else "not stopped")


class Dies(Steps):
    """Its process ends, as one does that ZeroGPU cuts off."""

    def stream(self, request: Any, stop: Any):
        yield Scores((("begun", 1.0),))
        time.sleep(0.2)
        os._exit(9)


def on_gpu(name: str, engine: str, **fields: Any) -> Any:
    """A spec that wants a GPU; its folder is a starter's, since "none:" stands for no weights at all."""
    one = spec(name, **fields)
    return replace(
        one, engine=f"tests.zero_gpu:{engine}", source="starter:sentiment_ko", wants_gpu=True
    )


def control(*answer: Any) -> None:
    """Say what the device API answers to the next request for a GPU."""
    url = os.environ["SPACES_ZERO_DEVICE_API_URL"] + "/control"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(answer).encode())).close()


def probe() -> dict[str, Any]:
    """Run jobs as the page does, and report."""
    import gradio  # noqa: F401  # first, as in demo.py
    from gradio.context import LocalContext

    from models.errors import ModelError
    from models.runtime import zerogpu
    from models.runtime.cache import ModelCache
    from models.runtime.jobs import run
    from models.sentiment.requests import SentimentRequest
    from models.settings import Settings

    settings = Settings.read()
    cache = ModelCache(settings)
    at_start, later = on_gpu("placed", "Place"), on_gpu("later", "Place")
    zerogpu.place_models([at_start, on_gpu("broken", "Missing"), spec("small")], settings)
    request = SentimentRequest.of(text="3")
    report: dict[str, Any] = {"parent": os.getpid(), "spaces": sys.modules["spaces"].__file__}

    def failure(model: Any, text: str) -> dict[str, Any]:
        try:
            list(run(cache, model, SentimentRequest.of(text=text)))
        except ModelError as problem:
            return {"code": problem.code, "kind": type(problem).__name__, "params": problem.params}
        return {}

    for name, model in {"placed": at_start, "later": later, "again": later}.items():
        events = list(run(cache, model, request))
        report[name] = {
            "events": [type(event).__name__ for event in events],
            "first": dict(next(e.scores for e in events if isinstance(e, Scores))),
            "last": {"device": events[-1].placement.reason, "seconds": events[-1].seconds},
            "reserved": zerogpu.seconds(
                zerogpu.GpuJob(model, None, events[-1].placement, settings, request)
            ),
        }
    events = list(run(cache, spec("small"), request))
    report["small"] = events[-1].placement.reason

    LocalContext.request.set(SimpleNamespace(headers=Headers({"x-ip-token": TOKEN})))  # type: ignore
    list(run(cache, at_start, request))

    start = time.monotonic()
    file = Path(os.environ["PROBE_FOLDER"]) / "silent"
    with closing(
        run(cache, on_gpu("silent", "Silent"), SentimentRequest.of(text=str(file)))
    ) as all_of:
        next(event for event in all_of if isinstance(event, Scores))
        closing_at = time.monotonic()
    report["close_seconds"] = time.monotonic() - closing_at
    while not file.exists() and time.monotonic() < start + 40:
        time.sleep(0.02)
    report["stop_seconds"] = time.monotonic() - closing_at
    report["silent"] = file.read_text()

    report["known"] = failure(on_gpu("known", "Fails"), "known")
    report["unknown"] = failure(on_gpu("unknown", "Fails"), "x")
    report["memory"] = failure(on_gpu("memory", "Fails"), "memory")
    report["dead"] = failure(on_gpu("dead", "Dies"), "1")
    control(200, {}, BROKEN_GPU)
    report["broken"] = failure(at_start, "1")
    report["after_death"] = sum(isinstance(e, Scores) for e in run(cache, at_start, request))
    quota = {"left": 12, "wait": 11520}
    control(429, {"X-Authenticated": "regular", "X-Approve-Result": "quota-exceeded"}, quota)
    report["quota"] = failure(at_start, "1")
    control(429, {}, {"left": 60, "wait": -1})
    report["long"] = failure(at_start, "1")
    control(503, {}, None)
    report["none_free"] = failure(at_start, "1")
    control(401, {}, None)
    report["old_page"] = failure(at_start, "1")
    LocalContext.request.set(None)
    control(429, {}, {"left": 0, "wait": 600})
    report["page_quota"] = failure(at_start, "1")
    credits = {"X-Approve-Result": "pending-overquota-exceeded"}
    control(429, credits, {"left": 0, "wait": 600})
    report["credits"] = failure(at_start, "1")
    LocalContext.request.set(SimpleNamespace(headers=Headers({"x-ip-token": TOKEN})))  # type: ignore
    control(429, {}, {"left": 60, "wait": 0})
    report["runs"] = failure(at_start, "1")
    LocalContext.request.set(None)
    control(500, {}, None)
    report["api_broken"] = failure(at_start, "1")
    sys.modules["spaces.config"].Config.zero_device_api_url = "http://127.0.0.1:9"  # nobody listens
    report["no_api"] = failure(at_start, "1")
    report["active"] = [model.active for model in cache.status()]
    return report


class Headers:
    """A request's headers as spaces reads them: an object with a __dict__ and `get`."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def get(self, name: str, default: str | None = None) -> str | None:
        return self.values.get(name, default)


if __name__ == "__main__":
    stand_in()
    if sys.argv[1] == "probe":
        print("REPORT", json.dumps(probe()), flush=True)
    else:
        sys.argv[1:] = sys.argv[2:]
        runpy.run_path("demo.py", run_name="__main__")
