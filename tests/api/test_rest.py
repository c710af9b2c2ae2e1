"""GET /health and /api/v1 on the running app, as a program calls them."""

import asyncio
import base64
import json
import re
import socket
import time
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest
from starlette.testclient import TestClient

import api
from api.http import Service
from models.access import Access
from models.runtime.cache import ModelCache
from models.sentiment.requests import SentimentRequest
from models.settings import Settings
from tests.engines import Steps, spec

CHAT = {"messages": [{"role": "user", "content": "Hello!"}], "seed": 1}
PICTURE = {"prompt": "a red circle on a blue background", "num_inference_steps": 2, "seed": 1}


@pytest.fixture(scope="module")
def web(server):
    with httpx2.Client(base_url=server.url, timeout=120) as web:
        yield web


def post(web, path, body, **headers):
    return web.post(f"api/v1/{path}", json=body, headers=headers)


def test_health_counts(web):
    health = web.get("health").json()
    assert (health["status"], health["live"], health["ready"]) == ("ok", True, True)
    assert {"loaded", "active", "waiting"} <= health.keys()


def test_the_catalogue_says_what_is_here(web):
    models = {one["id"]: one for one in web.get("api/v1/models").json()["models"]}
    assert models["genlab/small-talk"]["here"]
    assert models["openai"]["hosted"]
    tasks = web.get("api/v1/models", params={"task": "sentiment"}).json()["models"]
    assert {one["task"] for one in tasks} == {"sentiment"}
    assert web.get("api/v1/models", params={"task": "x"}).status_code == 422


def test_a_conversation_goes_on_whole_and_streamed(web):
    whole = post(web, "chat", CHAT).json()
    assert whole["texts"][0]
    assert whole["model"] == "genlab/small-talk"
    assert whole["usage"]["completion_tokens"] > 0
    body = {**CHAT, "stream": True}
    with web.stream("POST", "api/v1/chat", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [e.split("\ndata: ") for e in response.read().decode().split("\n\n") if "\n" in e]
    assert {kind for kind, _ in events} == {"event: delta", "event: done"}
    text = "".join(json.loads(data)["text"] for kind, data in events if kind == "event: delta")
    assert text == whole["texts"][0]
    assert json.loads(events[-1][1])["seed"] == 1


def test_a_problem_within_a_stream_is_its_last_event(web):
    body = {**CHAT, "stream": True, "model": "openai"}
    with web.stream("POST", "api/v1/chat", json=body) as response:
        last = response.read().decode().strip().split("\n\n")[-1]
    assert last.startswith("event: error")
    assert json.loads(last.partition("data: ")[2])["error"]["code"] == "missing_key"


def test_several_answers_and_their_tokens(web):
    answer = post(web, "chat", {**CHAT, "num_return_sequences": 2, "alternatives": 3}).json()
    assert len(answer["texts"]) == len(answer["tokens"]) == 2
    token = answer["tokens"][0][0]
    assert 0 < token["raw"] <= 1
    assert len(token["alternatives"]) == 3


def test_the_next_token(web):
    answer = post(web, "next-token", {"text": "Hello", "likeliest": 5}).json()
    assert len(answer["tokens"]) == 5
    sharp = post(web, "next-token", {"text": "Hello", "likeliest": 5, "top_k": 1}).json()
    assert sharp["tokens"][0]["chance"] == 1
    assert sharp["tokens"][0]["raw"] == answer["tokens"][0]["raw"] < 1


def test_pictures_as_json_and_as_png(web):
    answer = post(web, "images", PICTURE).json()
    assert answer["seeds"] == [1]
    png = post(web, "images", PICTURE, accept="image/png")
    assert png.headers["content-type"] == "image/png"
    assert base64.b64decode(answer["images"][0]) == png.content
    again = post(web, "images", {**PICTURE, "image": answer["images"][0], "strength": 0.5})
    assert again.json()["images"] != answer["images"]
    two = post(web, "images", {**PICTURE, "num_images": 2}, accept="image/png")
    assert two.status_code == 422


def test_sentiment_of_one_and_of_many_and_why(web):
    one = post(web, "sentiment", {"text": "I loved every minute of it."}).json()
    assert one["label"] == "positive"
    assert sum(one["scores"].values()) == pytest.approx(1)
    many = post(web, "sentiment", {"texts": ["I loved it.", "너무 지루했어요.", " "]}).json()
    assert [row.get("label") for row in many["rows"]] == ["positive", "negative", None]
    why = post(web, "explanations", {"text": "I loved it.", "method": "leave_out"}).json()
    assert [word["word"] for word in why["words"]] == ["I", "loved", "it."]


def test_similarity_and_search(web):
    pair = ["A man plays guitar.", "Someone plays the guitar."]
    answer = post(web, "similarity", {"sentences": pair}).json()
    assert answer["cosines"][0][1] == answer["cosines"][1][0] > 0.7
    lines = ["Log in again", " ", "Get your money back"]
    result = post(web, "search", {"query": "refund", "lines": lines, "k": 1}).json()
    assert [(hit["line"], hit["text"]) for hit in result["hits"]] == [(2, "Get your money back")]


# ---------------------------------------------------------------- errors

BAD = [
    ("chat", {}, 422, "invalid_blank", "messages"),
    ("chat", {**CHAT, "temperature": 99}, 422, "invalid_le", "temperature"),
    ("chat", {**CHAT, "temperature": "hot"}, 422, "invalid_not_a_number", "temperature"),
    ("chat", {**CHAT, "nonsense": 1}, 422, "invalid_input", "nonsense"),
    ("chat", {**CHAT, "model": "no such model"}, 404, "not_found", None),
    ("chat", {**CHAT, "model": "openai"}, 401, "missing_key", None),
    ("sentiment", {}, 422, "invalid_blank", "text"),
    ("sentiment", {"text": "  "}, 422, "invalid_blank", "text"),
    ("sentiment", {"text": ["not", "text"]}, 422, "invalid_not_text", "text"),
    ("sentiment", {"text": "a" * 5_000_000}, 422, "invalid_too_long", "text"),
    ("sentiment", {"text": "a", "model": "../../etc/passwd"}, 404, "not_found", None),
    ("images", {"prompt": "a", "num_inference_steps": 100_000}, 422, "invalid_le", None),
    ("images", {"prompt": "a", "image": "no base64 !"}, 422, "invalid_picture", None),
    ("images", {"prompt": "a", "seed": 10**30}, 422, "invalid_le", "seed"),
    ("similarity", {"sentences": ["one"]}, 422, "invalid_too_few", "sentences"),
    ("similarity", {"sentences": ["a", "b"], "model": "word2vec"}, 422, "invalid_word2vec", None),
    ("search", {"query": "a", "lines": [" "]}, 422, "invalid_no_lines", None),
    ("search", {"query": "a", "lines": ["b"], "k": 10**6}, 422, "invalid_le", "k"),
]


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize(("path", "body", "status", "code", "field"), BAD)
def test_each_bad_input_has_its_status_and_a_sentence(
    web, path, body, status, code, field, language
):
    response = post(web, path, body, **{"accept-language": f"{language}-XX,en;q=0.5"})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert field in (None, error["param"])
    assert any("가" <= c <= "힣" for c in error["message"]) == (language == "ko")
    assert response.headers["x-request-id"] == error["request_id"]
    for inside in ("Traceback", "pydantic", "{", "None"):
        assert inside not in error["message"]


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{bad", "application/json", 400, "bad_json"),
        (b"[" * 100_000, "application/json", 400, "bad_json"),
        (b'{"text": NaN}', "application/json", 422, "invalid_not_text"),
        (b"[1]", "application/json", 422, "no_object"),
        (b"", "application/json", 422, "no_object"),
        (b"text=a", "application/x-www-form-urlencoded", 415, "no_json"),
        (b'{"text": "a"}', "text/plain", 415, "no_json"),
        (b'"' + b"a" * 34_000_000 + b'"', "application/json", 413, "body_too_large"),
    ],
)
def test_a_body_that_is_no_request(web, content, kind, status, code):
    response = web.post("api/v1/sentiment", content=content, headers={"content-type": kind})
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


def test_paths_and_methods_that_are_not_there(web):
    for method, path, status in [
        ("GET", "api/v1/nothing", 404),
        ("GET", "api/v1/chat", 405),
        ("DELETE", "api/v1/loaded-models/chat/nothing", 404),
    ]:
        response = web.request(method, path)
        assert response.status_code == status
        assert response.json()["error"]["message"]


# ---------------------------------------------------------------- models in memory, access, leaving


def test_the_host_unloads_a_model(web):
    post(web, "sentiment", {"text": "fine"})
    path = "api/v1/loaded-models/sentiment/genlab/sentiment-en"
    ids = {(m["task"], m["id"]) for m in web.get("api/v1/loaded-models").json()["models"]}
    assert ("sentiment", "genlab/sentiment-en") in ids
    assert web.delete(path).status_code == 204
    assert web.delete(path).status_code == 404


class Caller:
    """A caller that has left once its first event is there."""

    async def is_disconnected(self) -> bool:
        return True


@pytest.mark.parametrize(("is_stream", "most"), [(True, 1), (False, 30)])
def test_a_caller_that_leaves_stops_its_work(is_stream, most):
    """Without a stream the events of 50 ms are read together, so a few more come before it is seen."""
    Steps.reset()
    cache = ModelCache(Settings())
    service = Service(cache)
    half_a_minute = SentimentRequest.of(text="3000")  # steps of 10 ms

    async def leave():
        if not is_stream:
            return await service.collect(Caller(), spec("steps"), half_a_minute)
        return [e async for e in service.events(Caller(), spec("steps"), half_a_minute)]

    events = asyncio.run(leave())
    assert 1 <= len(events) <= most
    end = time.monotonic() + 5
    while any(model.active for model in cache.status()):
        assert time.monotonic() < end, "the model still works for nobody"
        time.sleep(0.01)
    assert service._jobs == 0


RAMBLING = {**CHAT, "temperature": 2, "max_new_tokens": 2000, "num_return_sequences": 8}
FOR_A_MINUTE = {**PICTURE, "num_inference_steps": 100, "num_images": 8}


@pytest.mark.parametrize(
    ("path", "body", "task"),
    [
        ("api/v1/chat", {**RAMBLING, "stream": True}, "chat"),
        ("api/v1/chat", RAMBLING, "chat"),
        ("api/v1/images", FOR_A_MINUTE, "text-to-image"),
        (
            "v1/images/generations",
            {"prompt": "a red circle", "n": 8, "num_inference_steps": 100},
            "text-to-image",
        ),
    ],
    ids=["stream", "answer", "picture", "openai's picture"],
)
def test_a_socket_that_closes_ends_its_work_and_nothing_is_held(server, web, path, body, task):
    process = psutil.Process(server.process.pid)

    def count(outcome):
        figures = web.get("metrics").text
        result = re.search(rf'genlab_jobs_total{{.*"{outcome}",task="{task}"}} (\d+)', figures)
        return int(result[1]) if result else 0

    def until(condition):
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end, web.get("health").json()
            time.sleep(0.05)

    def is_quiet():
        health = web.get("health").json()
        return health["active"] == health["waiting"] == 0

    until(is_quiet)
    before, whole, files = count("stopped"), count("ok"), process.num_fds()
    for _ in range(2):
        where = urlsplit(server.url)
        with socket.create_connection((where.hostname, where.port), timeout=30) as line:
            content = json.dumps(body).encode()
            head = f"POST /{path} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
            line.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
            if body.get("stream"):
                text = b""
                while b"event: delta" not in text:
                    text += line.recv(65536)
            else:
                until(lambda: not is_quiet())
        until(is_quiet)
    until(lambda: count("stopped") == before + 2)
    assert count("ok") == whole, "somebody's work went on to its end"
    until(lambda: process.num_fds() <= files)
    short = (
        {**PICTURE, "num_inference_steps": 1} if task != "chat" else {**CHAT, "max_new_tokens": 1}
    )
    assert post(web, "chat" if task == "chat" else "images", short).status_code == 200


def test_where_people_sign_in_programs_do_too():
    settings = Settings()
    access = Access(settings, [("ann", "secret:1")])
    with TestClient(api.build(ModelCache(settings), access)) as web:
        assert web.get("/health").status_code == 200
        assert web.get("/api/v1/models").status_code == 401
        assert web.get("/v1/models", auth=("ann", "wrong")).status_code == 401
        assert web.get("/v1/models", headers={"authorization": "Basic ?"}).status_code == 401
        refusal = web.get("/api/v1/models").json()["error"]
        assert refusal["code"] == "no_access"
        assert web.get("/api/v1/models", auth=("ann", "secret:1")).status_code == 200


def test_a_public_page_keeps_its_models_to_the_host():
    with TestClient(api.build(ModelCache(Settings(GENLAB_PUBLIC=True)))) as web:
        for response in (
            web.get("/api/v1/loaded-models"),
            web.delete("/api/v1/loaded-models/chat/genlab/small-talk"),
        ):
            assert response.status_code == 403
            assert response.json()["error"]["code"] == "refused_host_only"


def test_a_full_queue_says_when_to_come_back():
    with TestClient(api.build(ModelCache(Settings(GENLAB_QUEUE_SIZE=1)))) as web:
        service = next(
            m.kwargs["service"] for m in web.app.user_middleware if "service" in m.kwargs
        )
        service._jobs = 1
        full = web.post("/api/v1/sentiment", json={"text": "fine"})
        assert full.status_code == 429
        assert full.headers["retry-after"] == "5"
        service._jobs = 0
        assert web.post("/api/v1/sentiment", json={"text": "fine"}).status_code == 200
        assert service._jobs == 0


def test_the_reference_names_each_path_and_its_examples_run(web):
    from api.reference import EXAMPLES

    page = web.get("docs").text
    schema = web.get("openapi.json").json()
    assert "src=" not in page
    assert "`" not in page  # of docstrings: shown as code
    assert "<code>base_url</code>" in page
    for path, methods in schema["paths"].items():
        assert path in page
        for method in methods:
            assert method.upper() + " " in page
    for path, body in EXAMPLES.items():
        content = (
            body.replace('"seed": 1', '"seed": 1, "num_inference_steps": 2')
            if "images" in path
            else body
        )
        response = web.post(path, content=content, headers={"content-type": "application/json"})
        assert response.status_code == 200, (path, response.text[:300])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/chat", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/completions", {"prompt": "Hi"}),
    ],
)
def test_a_stream_is_of_a_content_type_that_the_schema_names(web, path, body):
    schema = web.get("openapi.json").json()["paths"][path]["post"]["responses"]["200"]["content"]
    for stream in (False, True):
        response = web.post(path, json={**body, "stream": stream})
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].split(";")[0] in schema
