"""OpenAI's images over the real client; a server of our own gives the answers that cost money."""

import base64
import io
import time

import pytest
from PIL import Image

from models.contract import Finished
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
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.settings import Settings
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.events import ImagesDone
from models.text_to_image.recipe import python
from models.text_to_image.requests import ImageRequest
from tests.stub_server import StubServer, fault

SPEC = find(TEXT_TO_IMAGE, "openai-images")
KEY = "sk-typed-by-a-person"


def answer(count):
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(file, "PNG")
    image = base64.b64encode(file.getvalue()).decode()
    return {"created": 1, "data": [{"b64_json": image}] * count}


@pytest.fixture
def server():
    with StubServer() as server:
        yield server


def settings(server, **values):
    return Settings(openai_base_url=server.url, openai_image_model="image-model", **values)


def draw(server, limits=None, **values):
    cache = ModelCache(limits or settings(server))
    request = ImageRequest.of(**{"prompt": "a red square", "api_key": KEY, **values})
    events = list(run(cache, SPEC, request))
    assert isinstance(events[-1], Finished)
    return [e for e in events if isinstance(e, ImagesDone)][-1]


def test_pictures_come_back_as_png_with_the_prompt_inside(server):
    server.answers = [(200, answer(2))]
    end = draw(server, num_images=2, width=1024, height=768, seed=5, guidance_scale=3)
    assert server.bodies == [
        {"model": "image-model", "prompt": "a red square", "size": "1024x768", "n": 2}
    ]
    assert server.keys == [f"Bearer {KEY}"]
    assert (len(end.images), end.seeds) == (2, ())
    image = Image.open(io.BytesIO(end.images[0]))
    assert (image.format, image.getpixel((3, 3))) == ("PNG", (255, 0, 0))
    assert image.text["parameters"].startswith("a red square\nSize: 1024x768, Model: image-model")


def test_a_parameter_that_the_server_does_not_know_is_left_out(server):
    server.answers = [(400, fault("unknown_parameter", param="size")), (200, answer(1))]
    assert len(draw(server).images) == 1
    assert set(server.bodies[0]) - set(server.bodies[1]) == {"size"}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (401, fault("invalid_api_key"), WrongKey, "wrong_key"),
        (403, fault("country"), Refused, "refused_by_server"),
        (404, fault("model_not_found"), NotFound, "not_found"),
        (429, fault("insufficient_quota"), QuotaExceeded, None),
        (429, fault("rate_limit_exceeded"), RateLimited, None),
        (400, fault("moderation_blocked"), Refused, "refused_content"),
        (400, fault("bad", param="prompt"), InvalidInput, "invalid_for_server"),
        (500, fault("server_error"), Unavailable, "unavailable_server"),
        (200, "<html>", Unavailable, "unavailable_server"),
        (200, {"created": 1, "data": []}, Unavailable, "unavailable_server"),
        (200, {"data": [{"b64_json": "bm90IGEgcGljdHVyZQ=="}]}, Unavailable, "unavailable_server"),
    ],
)
def test_each_failure_has_its_kind_and_holds_no_key(server, status, body, kind, code):
    server.answers = [(status, body)]
    with pytest.raises(kind) as error:
        draw(server)
    assert error.value.code == (code or kind.kind)
    assert KEY not in repr(error.value.params)
    assert error.value.__cause__ is None


def test_a_server_that_is_down_differs_from_a_silent_one(server):
    down = Settings(openai_base_url="http://127.0.0.1:9/v1")
    with pytest.raises(Unavailable) as error:
        draw(server, down)
    assert error.value.code == "unavailable_server"
    server.answers = [(200, (20.0,))]
    with pytest.raises(Unavailable) as error:
        draw(server, settings(server, openai_timeout=0.05))
    assert error.value.code == "unavailable_timeout"


def test_stop_does_not_wait_for_the_server(server):
    server.answers = [(200, (20.0,))]
    cache = ModelCache(settings(server))
    events = run(cache, SPEC, ImageRequest.of(prompt="x", api_key=KEY))
    while not server.bodies:
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
        assert server.bodies == []
    else:
        draw(server, limits, api_key=None)
        assert server.keys == ["Bearer sk-host"]


def test_the_recipe_asks_the_same_and_holds_no_key(server, tmp_path, monkeypatch):
    server.answers = [(200, answer(1))]
    draw(server, width=1024, height=1024)
    request = ImageRequest.of(
        prompt="a red square", width=1024, height=1024, model_name="image-model", api_key=KEY
    )
    code = python(SPEC, request, None)
    assert KEY not in code
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "recipe", "exec"), {})
    assert server.bodies[0] == server.bodies[1]
    assert Image.open(tmp_path / "picture-1.png").size == (32, 32)
