"""The API under input that nobody writes: its OpenAPI schema fuzzed, requests of random values, slow callers.

GENLAB_FUZZ_SECONDS is the time that the schema is fuzzed for: 40 s by default, 180 s for a long look.
"""

import json
import os
import socket
import time
from contextlib import ExitStack, nullcontext, suppress
from datetime import timedelta
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi import checks
from starlette.testclient import TestClient

import api
from api import guard
from models.chat.requests import ChatRequest, NextTokenRequest, ServerModelsRequest
from models.contract import Request
from models.errors import InvalidInput
from models.runtime.cache import ModelCache
from models.sentence_similarity.requests import EncodeRequest, SimilarityRequest
from models.sentiment.requests import AttributionRequest, ManyTextsRequest, SentimentRequest
from models.settings import Settings
from models.teach.requests import ClassifyRequest, FineTuneRequest, TeachRequest
from models.text_to_image.requests import (
    DecodeRequest,
    ImageGridRequest,
    ImageRequest,
    LeaveOutRequest,
)
from models.word_vectors.requests import Word2VecRequest, WordsRequest
from tabs.shared.strings import LANGUAGES, STRINGS

SECONDS = float(os.environ.get("GENLAB_FUZZ_SECONDS", "40"))
ROUND = 15  # cases of an operation before the next one has its turn
QUIET = {
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.explicit, Phase.generate],
}
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
# What would be much work if it were taken: field -> the value to take instead.
LIGHT = {
    "num_inference_steps": 2,
    "num_images": 1,
    "width": 256,
    "height": 256,
    "size": "256x256",
    "max_new_tokens": 4,
    "max_tokens": 4,
    "max_completion_tokens": 4,
    "num_return_sequences": 2,
    "n": 2,
    "method": "leave_out",
}


def lighten(body: object, turn: int) -> None:
    """Make a body that may be taken a quick one, in place; three of four go to a model that is here."""
    if not isinstance(body, dict):
        return
    for name, value in LIGHT.items():
        if name in body and type(body[name]) is type(value):
            body[name] = value
    if turn % 4 and isinstance(body.get("model", ""), str):
        body["model"] = "auto"
    if "num_inference_steps" not in body and "prompt" in body and turn % 2:
        body["prompt"] = "a red circle"
        body["num_inference_steps"] = 2


@pytest.fixture(scope="module")
def operations(server):
    load_all_checks()
    schema = schemathesis.openapi.from_url(f"{server.url}openapi.json")
    return [result.ok() for result in schema.get_all_operations()]


def test_no_request_of_the_schemas_making_is_answered_otherwise_than_it_says(operations, server):
    assert len(operations) >= 15
    statuses: dict[int, int] = {}
    end = time.monotonic() + SECONDS
    turn = 0
    while time.monotonic() < end:
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                turn += 1
                _round(operation, mode, turn, end, statuses)
    print("statuses:", dict(sorted(statuses.items())))
    assert statuses.get(200, 0) >= 5, statuses  # it came to the models
    assert statuses.get(422, 0) >= 10, statuses
    assert httpx2.get(f"{server.url}health").json()["waiting"] == 0


def _round(
    operation, mode: GenerationMode, turn: int, end: float, statuses: dict[int, int]
) -> None:
    """Some cases of one operation."""
    strategy = operation.as_strategy(generation_mode=mode)
    count = 0

    @seed(turn)
    @settings(max_examples=ROUND, **QUIET)
    @given(case=strategy)
    def ask(case):
        nonlocal count
        count += 1
        if time.monotonic() > end:
            return
        lighten(case.body, turn + count)
        response = case.call(timeout=60)
        statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
        if (
            response.status_code >= 500
        ):  # a model that is nowhere to be had; anything else is a fault
            assert response.status_code == 503, response.text
            assert json.loads(response.text)["error"]["code"].startswith("unavailable")
        case.validate_response(response, checks=CHECKS)

    negative = mode == GenerationMode.NEGATIVE
    with suppress(Unsatisfiable) if negative else nullcontext():  # there is nothing to be wrong
        ask()


# ---------------------------------------------------------------- the requests themselves

ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=30)  # half letters too
    | st.binary(max_size=30)
    | st.sampled_from([10**400, -1, float("nan"), float("inf"), "NaN", "\0", "a" * 30_000, 10**9]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)
REQUESTS = [
    ChatRequest,
    NextTokenRequest,
    ServerModelsRequest,
    SentimentRequest,
    AttributionRequest,
    ManyTextsRequest,
    SimilarityRequest,
    EncodeRequest,
    ImageRequest,
    LeaveOutRequest,
    ImageGridRequest,
    DecodeRequest,
    TeachRequest,
    FineTuneRequest,
    ClassifyRequest,
    WordsRequest,
    Word2VecRequest,
]
RIGHT = {
    "messages": [{"role": "user", "content": "Hello"}],
    "text": "fine",
    "texts": ["fine"],
    "sentences": ["a", "b"],
    "prompt": "a circle",
    "data": b"\0" * 8,
    "shape": (1, 1, 2, 2),
    "examples": [{"text": f"t{n}", "label": f"l{n % 2}"} for n in range(4)],
    "classifier": b"x",
    "question": "nearest",
    "words": ["a"],
    "corpus": "a b c",
}


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: kind.__name__)
def test_a_request_takes_values_or_names_the_fault(kind: type[Request]):
    """Whatever the values: a request within its limits, or one InvalidInput that has its words."""
    names = sorted(kind.model_fields)
    right = {name: value for name, value in RIGHT.items() if name in kind.model_fields}
    kind.of(**right)

    @settings(max_examples=60, derandomize=True, **QUIET)
    @given(st.dictionaries(st.sampled_from([*names, "nonsense"]), ANY, max_size=3), st.booleans())
    def build(values, whole):
        request, problem = None, None
        try:
            request = kind.of(**({**right, **values} if whole else values))
        except InvalidInput as fault:
            problem = fault
        if problem is not None:
            for language in LANGUAGES:
                words = STRINGS[language][f"errors.{problem.code}"]
                assert words.format(**problem.params)
            return
        dump = request.model_dump()
        json.dumps(dump, default=str, allow_nan=False)  # no NaN came through
        assert kind.of(**dump) == request or any(isinstance(v, bytes) for v in dump.values())

    build()


# ---------------------------------------------------------------- bodies by hand

HELLO = [{"role": "user", "content": "Hi"}]
ODD_NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1",
    "1e308",
    "9" * 400,
    "0.5",
    "null",
    "true",
    "[]",
]
NUMBERS = [
    (
        "api/v1/chat",
        {"messages": HELLO},
        ["temperature", "max_new_tokens", "top_k", "alternatives"],
    ),
    ("api/v1/next-token", {"text": "Hi"}, ["likeliest", "top_p"]),
    ("api/v1/images", {"prompt": "a red circle"}, ["num_inference_steps", "width", "seed"]),
    ("api/v1/search", {"query": "a", "lines": ["b"]}, ["k"]),
    ("v1/chat/completions", {"messages": HELLO}, ["top_p", "n", "max_tokens", "top_logprobs"]),
    ("v1/images/generations", {"prompt": "a red circle"}, ["n", "num_inference_steps"]),
]


@pytest.mark.parametrize(("path", "body", "fields"), NUMBERS, ids=[row[0] for row in NUMBERS])
def test_numbers_that_are_none_are_refused_by_name(server, path, body, fields):
    heavy = {"num_inference_steps", "seed", "n", "width"}
    for field in fields:
        for number in ODD_NUMBERS:
            text = json.dumps({**body, "max_new_tokens": 4} if path == "api/v1/chat" else body)
            content = text[:-1] + f', "{field}": {number}}}'
            if number in ("null", "0.5", "true", "-1") and (
                field in heavy or field == "max_tokens"
            ):
                continue  # some of them are right, and work
            kind = {"content-type": "application/json"}
            response = httpx2.post(
                f"{server.url}{path}", content=content, headers=kind, timeout=120
            )
            assert response.status_code in (200, 400, 422), (content, response.text)
            if number in ("NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "[]", "1e308"):
                assert response.status_code in (400, 422), (content, response.text)
                assert response.json()["error"]["code"] != "failed"


@pytest.mark.parametrize("depth", [1_000, 100_000])
@pytest.mark.parametrize("inner", ["[", '{"a":'])
def test_deep_json_is_no_fault_of_ours(server, depth, inner):
    close = {"[": "]", '{"a":': "}"}[inner]
    value = inner * depth + "1" + close * depth
    for path in ("api/v1/sentiment", "v1/chat/completions"):
        for body in (value, f'{{"text": {value}, "messages": {value}}}'):
            kind = {"content-type": "application/json"}
            response = httpx2.post(f"{server.url}{path}", content=body, headers=kind, timeout=60)
            assert response.status_code in (400, 422), response.text
            assert len(response.text) < 1000


def test_thousands_of_steps_and_tokens_are_refused_before_any_work(server):
    for path, body in [
        ("api/v1/images", {"prompt": "a red circle", "num_inference_steps": 5000}),
        ("api/v1/images", {"prompt": "a red circle", "num_images": 1000}),
        ("api/v1/images", {"prompt": "a red circle", "width": 100_000}),
        ("api/v1/chat", {"messages": HELLO, "max_new_tokens": 100_000}),
        ("api/v1/chat", {"messages": HELLO * 1001}),
        ("v1/images/generations", {"prompt": "a red circle", "n": 1000}),
        ("v1/embeddings", {"input": ["a"] * 3000}),
        ("api/v1/similarity", {"sentences": ["a"] * 301}),
    ]:
        start = time.monotonic()
        response = httpx2.post(f"{server.url}{path}", json=body, timeout=60)
        assert response.status_code == 422, (path, response.text)
        assert time.monotonic() - start < 5


# ---------------------------------------------------------------- slow callers


def test_callers_that_never_finish_hold_nobody_up(server):
    where = urlsplit(server.url)
    with ExitStack() as sockets:
        for number in range(150):
            line = socket.create_connection((where.hostname, where.port), timeout=10)
            sockets.enter_context(line)
            head = b"POST /api/v1/sentiment HTTP/1.1\r\nHost: x\r\n"
            if number % 2:  # half a head, or half a body
                head += b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
            line.sendall(head)
        for _ in range(3):
            start = time.monotonic()
            body = {"text": "I loved it."}
            answer = httpx2.post(f"{server.url}api/v1/sentiment", json=body, timeout=60)
            assert answer.json()["label"] == "positive"
            took = timedelta(seconds=time.monotonic() - start)
        assert took < timedelta(seconds=5)
    assert httpx2.get(f"{server.url}health").json()["active"] == 0
    counts = httpx2.get(f"{server.url}metrics").text
    assert 'genlab_calls_total{method="POST",path="other",status="500"}' not in counts


def test_a_body_that_does_not_come_is_given_up(monkeypatch):
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.3)
    app = guard.Guard(api.build(ModelCache(Settings())), Settings())
    with TestClient(app) as web:
        request_body: list[dict] = []

        async def receive():
            if not request_body:
                request_body.append({})
                return {"type": "http.request", "body": b"{", "more_body": True}
            await anyio.sleep(30)

        answer: list[dict] = []

        async def send(message):
            answer.append(message)

        headers = [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"accept-language", b"ko"),
        ]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/v1/sentiment",
            "raw_path": b"/api/v1/sentiment",
            "query_string": b"",
            "headers": headers,
            "http_version": "1.1",
            "scheme": "http",
            "server": ("x", 80),
            "client": ("127.0.0.1", 1),
            "root_path": "",
        }
        start = time.monotonic()
        web.portal.call(web.app, scope, receive, send)
        assert time.monotonic() - start < 5
    assert answer[0]["status"] == 408
    body = json.loads(b"".join(part.get("body", b"") for part in answer))
    assert body["error"]["code"] == "body_too_slow"
    assert "1분" in body["error"]["message"]
