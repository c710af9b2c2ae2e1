"""OpenAI's images over the real client; a server of our own gives the answers that cost money."""

import base64
import io
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from models.base import Finished, ImagesDone, Task
from models.cache import ModelCache
from models.errors import (
    InvalidInput,
    MissingKey,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Refused,
    Unavailable,
    WrongKey,
)
from models.jobs import run
from models.recipe.text_to_image import python
from models.registry import find
from models.requests import ImageRequest
from models.settings import Settings

SPEC = find(Task.TEXT_TO_IMAGE, "openai-images")
KEY = "sk-typed-by-a-person"


def answer(count):
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(file, "PNG")
    image = base64.b64encode(file.getvalue()).decode()
    return {"created": 1, "data": [{"b64_json": image}] * count}


def error(code, param=None, kind="invalid_request_error"):
    return {"error": {"message": "no", "type": kind, "param": param, "code": code}}


class Server(ThreadingHTTPServer):
    """Answers from a list of (status, body) by turn; keeps what it was asked; None hangs."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked, self.keys = [], [], []
        self.done = threading.Event()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(json.loads(body))
        self.server.keys.append(self.headers["Authorization"])
        status, said = self.server.answers[0]
        if len(self.server.answers) > 1:
            self.server.answers.pop(0)
        if status is None:
            self.server.done.wait(20)
            return
        said = json.dumps(said).encode() if isinstance(said, dict) else said
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.done.set()
    server.shutdown()
    server.server_close()


def settings(server, **values):
    url = f"http://127.0.0.1:{server.server_port}/v1"
    return Settings(openai_base_url=url, openai_image_model="image-model", **values)


def draw(server, limits=None, **values):
    cache = ModelCache(limits or settings(server))
    asked = ImageRequest.of(**{"prompt": "a red square", "api_key": KEY, **values})
    events = list(run(cache, SPEC, asked))
    assert isinstance(events[-1], Finished)
    return [e for e in events if isinstance(e, ImagesDone)][-1]


def test_pictures_come_back_as_png_with_the_prompt_inside(server):
    server.answers = [(200, answer(2))]
    done = draw(server, num_images=2, width=1024, height=768, seed=5, guidance_scale=3)
    assert server.asked == [
        {"model": "image-model", "prompt": "a red square", "size": "1024x768", "n": 2}
    ]
    assert server.keys == [f"Bearer {KEY}"]
    assert (len(done.images), done.seeds) == (2, ())
    image = Image.open(io.BytesIO(done.images[0]))
    assert (image.format, image.getpixel((3, 3))) == ("PNG", (255, 0, 0))
    assert image.text["parameters"].startswith("a red square\nSize: 1024x768, Model: image-model")


def test_a_parameter_that_the_server_does_not_know_is_left_out(server):
    server.answers = [(400, error("unknown_parameter", "size")), (200, answer(1))]
    assert len(draw(server).images) == 1
    assert set(server.asked[0]) - set(server.asked[1]) == {"size"}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (401, error("invalid_api_key"), WrongKey, "wrong_key"),
        (403, error("country"), Refused, "refused_by_server"),
        (404, error("model_not_found"), NotFound, "not_found"),
        (429, error("insufficient_quota", kind="insufficient_quota"), QuotaExceeded, None),
        (429, error("rate_limit_exceeded"), RateLimited, None),
        (400, error("moderation_blocked"), Refused, "refused_content"),
        (400, error("bad", "prompt"), InvalidInput, "invalid_for_server"),
        (500, error("server_error"), Unavailable, "unavailable_server"),
        (200, b"<html>", Unavailable, "unavailable_server"),
        (200, {"created": 1, "data": []}, Unavailable, "unavailable_server"),
        (200, {"data": [{"b64_json": "bm90IGEgcGljdHVyZQ=="}]}, Unavailable, "unavailable_server"),
    ],
)
def test_each_failure_is_told_in_kind_without_the_key(server, status, body, kind, code):
    server.answers = [(status, body)]
    with pytest.raises(kind) as told:
        draw(server)
    assert told.value.code == (code or kind.kind)
    assert KEY not in repr(told.value.params)
    assert told.value.__cause__ is None


def test_a_server_that_is_down_or_silent_is_told_apart(server):
    down = Settings(openai_base_url="http://127.0.0.1:9/v1")
    with pytest.raises(Unavailable) as told:
        draw(server, down)
    assert told.value.code == "unavailable_server"
    server.answers = [(None, None)]
    with pytest.raises(Unavailable) as told:
        draw(server, settings(server, openai_timeout=0.05))
    assert told.value.code == "unavailable_timeout"


def test_stop_does_not_wait_for_the_server(server):
    server.answers = [(None, None)]
    cache = ModelCache(settings(server))
    events = run(cache, SPEC, ImageRequest.of(prompt="x", api_key=KEY))
    while not server.asked:
        next(events)
    events.close()
    end = time.monotonic() + 3
    while any(model.active for model in cache.status()):
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("public", [False, True])
def test_the_hosts_key_is_not_spent_on_a_public_page(server, public):
    server.answers = [(200, answer(1))]
    limits = settings(server, openai_api_key="sk-host", public=public)
    if public:
        with pytest.raises(MissingKey):
            draw(server, limits, api_key=None)
        assert server.asked == []
    else:
        draw(server, limits, api_key=None)
        assert server.keys == ["Bearer sk-host"]


def test_the_recipe_asks_the_same_and_holds_no_key(server, tmp_path, monkeypatch):
    server.answers = [(200, answer(1))]
    draw(server, width=1024, height=1024)
    asked = ImageRequest.of(
        prompt="a red square", width=1024, height=1024, model_name="image-model", api_key=KEY
    )
    code = python(SPEC, asked, None)
    assert KEY not in code
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "recipe", "exec"), {})
    assert server.asked[0] == server.asked[1]
    assert Image.open(tmp_path / "picture-1.png").size == (32, 32)
