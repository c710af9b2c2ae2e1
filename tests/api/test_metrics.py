"""What is seen of the running app: GET /metrics, and the log, in which no prompt stands."""

import base64
import contextlib
import io
import json
import logging
import re
import sys
import time
import urllib.request

import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.testclient import TestClient

import api
from api.metrics import Metrics
from models import logs
from models.access import Access
from models.chat.requests import ChatRequest
from models.contract import Finished, Stop
from models.errors import ModelError, Stopped
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.runtime.observer import JobWatch, Observer
from models.sentence_similarity.requests import EncodeRequest
from models.sentiment.requests import SentimentRequest
from models.settings import Settings, SettingsError
from models.tasks import CHAT, SENTENCE_SIMILARITY, TEXT_TO_IMAGE
from models.text_to_image.requests import ImageRequest
from tests.engines import Steps, spec
from tests.stub_server import DONE, PRICES, StubServer, chunk, usage

TOKEN = "a-token-of-the-scraper"


@contextlib.contextmanager
def app(login=None, **settings):
    """The API's routes and /metrics, as they stand before Gradio's own."""
    cache = ModelCache(Settings.model_validate(settings))
    access = Access(cache.settings, login or ())
    with TestClient(Starlette(routes=api.app_options(cache, access)["routes"])) as web:
        web.cache = cache
        yield web
    cache.close()


def figures(text: str) -> dict[tuple[str, ...], float]:
    """(name, label values in the order of their names) -> value, read by Prometheus' own parser."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(web) -> dict[tuple[str, ...], float]:
    return figures(web.get("/metrics").text)


# ---------------------------------------------------------------- who may look


def test_open_on_a_page_of_ones_own_and_off_on_a_public_one():
    with app() as web:
        answer = web.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert web.post("/metrics").status_code == 405
    for off in ({"GENLAB_PUBLIC": True}, {"login": [("ann", "secret")]}):
        login = off.pop("login", None)
        with app(login, **off) as web:
            assert web.get("/metrics").status_code == 404


@pytest.mark.parametrize("public", [False, True])
def test_a_token_opens_it(public):
    with app(GENLAB_METRICS_TOKEN=TOKEN, GENLAB_PUBLIC=public) as web:
        for wrong in ("", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer 한글".encode()):
            assert web.get("/metrics", headers={"authorization": wrong}).status_code == 401
        right = web.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        assert right.status_code == 200
        assert TOKEN not in right.text


def test_a_short_token_ends_the_start():
    with pytest.raises(SettingsError, match="GENLAB_METRICS_TOKEN"):
        Settings.read({"GENLAB_METRICS_TOKEN": "abc", "GENLAB_ENV_FILE": "/dev/null"})


# ---------------------------------------------------------------- what it counts


def test_jobs_loads_calls_and_tokens_are_counted():
    with app() as web:
        chat = {"messages": [{"role": "user", "content": "Hello!"}], "seed": 1}
        tokens = web.post("/api/v1/chat", json=chat).json()["usage"]
        assert web.post("/api/v1/chat", json={}).status_code == 422
        assert web.post("/api/v1/sentiment", json={"text": "fine", "model": "x"}).status_code == 404
        assert web.get("/api/v1/no/such/path/with-a-secret").status_code == 404
        assert web.delete("/api/v1/loaded-models/chat/genlab/small-talk").status_code == 204
        rows = scrape(web)
        text = web.get("/metrics").text
    model = "genlab/small-talk"
    assert rows["genlab_jobs_total", model, "ok", "chat"] == 1
    assert rows["genlab_tokens_total", "in", model] == tokens["prompt_tokens"]
    assert rows["genlab_tokens_total", "out", model] == tokens["completion_tokens"]
    assert rows["genlab_loads_total", model, "chat"] == 1
    assert rows["genlab_unloads_total", model, "host", "chat"] == 1
    assert rows["genlab_wait_seconds_count", model, "chat"] == 1
    assert rows["genlab_job_seconds_count", model, "chat"] == 1
    assert rows["genlab_load_seconds_count", model, "chat"] == 1
    assert rows["genlab_calls_total", "POST", "/api/v1/chat", "200"] == 1
    assert rows["genlab_calls_total", "POST", "/api/v1/chat", "422"] == 1
    assert rows["genlab_calls_total", "POST", "/api/v1/sentiment", "404"] == 1
    assert rows["genlab_calls_total", "GET", "other", "404"] == 1
    assert rows[("genlab_memory_bytes",)] > 1e7
    assert "with-a-secret" not in text
    assert "Hello!" not in text


def test_problems_stops_evictions_and_what_waits():
    Steps.reset()
    cache = ModelCache(Settings(GENLAB_MEMORY_GB=1.5e-6))  # one of these engines fits
    cache.observer = metrics = Metrics(cache)
    assert not metrics.text().count(b'model="')
    with pytest.raises(ModelError):
        list(run(cache, spec("fails", "Fails"), SentimentRequest.of(text="known")))
    with pytest.raises(ModelError):
        list(run(cache, spec("fails", "Fails"), SentimentRequest.of(text="secret")))
    events = run(cache, spec("steps"), SentimentRequest.of(text="1000"))
    next(event for event in events if not isinstance(event, Finished))
    waiting = run(cache, spec("steps"), SentimentRequest.of(text="1"))
    next(waiting)
    now = figures(metrics.text().decode())
    assert now["genlab_active", "typed", "sentiment"] == 1
    assert now["genlab_queue_length", "typed", "sentiment"] == 1
    assert now["genlab_model_bytes", "typed", "sentiment"] == 1000
    events.close()
    list(waiting)
    end = time.monotonic() + 5
    while True:
        now = figures(metrics.text().decode())
        if ("genlab_jobs_total", "typed", "stopped", "sentiment") in now or time.monotonic() > end:
            break
    assert now["genlab_jobs_total", "typed", "stopped", "sentiment"] == 1
    assert now["genlab_jobs_total", "typed", "ok", "sentiment"] == 1
    assert now["genlab_jobs_total", "typed", "problem", "sentiment"] == 2
    assert now["genlab_errors_total", "unavailable", "sentiment"] == 1
    assert now["genlab_errors_total", "failed", "sentiment"] == 1
    assert now["genlab_unloads_total", "typed", "room", "sentiment"] == 1
    assert not now.get(("genlab_queue_length", "typed", "sentiment"))


def test_spend_is_what_the_host_pays_for_answers_pictures_and_vectors(tmp_path):
    (tmp_path / "prices.toml").write_text(PRICES)
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    counts = {"input_tokens": 7, "output_tokens": 1000, "total_tokens": 1007}
    picture = {"b64_json": base64.b64encode(file.getvalue()).decode()}
    vector = {"object": "embedding", "index": 0, "embedding": [1.0, 0.0]}
    chat = (200, (chunk("Hi"), chunk(None, end="stop"), usage(10, 20, cache_hits=5), DONE))
    replies = (
        chat,
        (200, {"created": 1, "data": [picture], "usage": counts}),
        (200, {"data": [vector], "model": "m", "usage": {"prompt_tokens": 3, "total_tokens": 3}}),
        chat,
    )
    message = {"messages": [{"role": "user", "content": "a secret"}]}
    with StubServer(*replies) as server:
        values = {"openai_base_url": server.url, "openai_api_key": "sk-host", "openai_timeout": 5}
        prices = {"prices": tmp_path / "prices.toml"}
        cache = ModelCache(Settings.model_validate(values | prices))  # without a budget
        cache.observer = metrics = Metrics(cache)
        for task, request in (
            (CHAT, ChatRequest.of(**message)),
            (TEXT_TO_IMAGE, ImageRequest.of(prompt="a cat")),
            (SENTENCE_SIMILARITY, EncodeRequest.of(sentences=["one"])),
            (CHAT, ChatRequest.of(**message, api_key="sk-a-visitors-own")),
        ):
            hosted = next(one for one in task.models if one.hosted)
            list(run(cache, hosted, request))
        rows = figures(metrics.text().decode())
    spend = {key[1]: value for key, value in rows.items() if key[0] == "genlab_spend_dollars_total"}
    answer = (5 * 1000 + 5 * 100 + 20 * 10000) / 1e6
    vectors, pictures = 3 * 1000 / 1e6, (7 * 1000 + 1000 * 10000) / 1e6
    assert sorted(spend.values()) == pytest.approx([answer + vectors, pictures])
    text = metrics.text().decode()
    assert "secret" not in text
    assert "sk-" not in text


def test_a_stop_is_no_problem():
    ends = []

    class Keeper(Observer):
        def on_job(self, report):
            ends.append((report.outcome, report.kind))

    stop = Stop()
    for last in (None, Stopped(), ModelError("failed")):
        JobWatch(Keeper(), spec("steps"), SentimentRequest.of(text="1"), stop).see(last)
    stop.set()
    JobWatch(Keeper(), spec("steps"), SentimentRequest.of(text="1"), stop).see(None)
    assert ends == [("ok", ""), ("stopped", ""), ("failed", "failed"), ("stopped", "")]


# ---------------------------------------------------------------- the log


@contextlib.contextmanager
def write_at(level: str):
    """What is written to the log at a level."""
    log = logging.getLogger("genlab")
    before = (log.handlers, log.level, log.propagate)
    out = io.StringIO()
    logs.configure(Settings(GENLAB_LOG_LEVEL=level))
    log.handlers[0].setStream(out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    log.handlers, log.level, log.propagate = before


def test_a_call_and_its_job_have_one_id_and_no_text_of_the_person():
    with write_at("info") as lines, app() as web:
        answer = web.post("/api/v1/sentiment", json={"text": "a private sentence"})
        wrong = web.post(
            "/api/v1/sentiment", json={"text": "a private sentence", "model": "my-own"}
        )
        assert (answer.status_code, wrong.status_code) == (200, 404)
        rows = lines()
    load, job, call, other = rows
    assert [row["event"] for row in rows] == ["load", "job", "call", "call"]
    assert job["request_id"] == call["request_id"] == answer.headers["x-request-id"]
    assert other["request_id"] == wrong.headers["x-request-id"]
    assert (call["path"], call["status"]) == ("/api/v1/sentiment", 200)
    assert (job["outcome"], job["request"]) == ("ok", "SentimentRequest")
    assert load["model"] == job["model"] == "genlab/sentiment-en"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", job["time"])
    assert "private" not in json.dumps(rows)
    assert "my-own" not in json.dumps(rows)


def test_a_models_id_that_somebody_typed_is_in_no_line():
    Steps.reset()
    name = "some-one/my-own-secret-model"
    with write_at("info") as lines:
        cache = ModelCache(Settings())
        list(run(cache, spec(name), SentimentRequest.of(text="1")))
        with pytest.raises(ModelError):
            list(run(cache, spec(f"{name}-2", "Fails"), SentimentRequest.of(text="x")))
        cache.unload("sentiment", name)
        rows = lines()
    # A line of another test's model may come late.
    assert {row["event"] for row in rows if row.get("model") == "typed"} >= {
        "load",
        "job",
        "unload",
    }
    assert "job of typed failed" in {row["event"] for row in rows}
    assert name not in json.dumps(rows)


def test_jobs_of_the_page_have_ids_of_their_own():
    Steps.reset()
    with write_at("info") as lines:
        cache = ModelCache(Settings())
        for _ in range(2):
            list(run(cache, spec("steps"), SentimentRequest.of(text="1")))
        jobs = [row["request_id"] for row in lines() if row["event"] == "job"]
    assert len(jobs) == len(set(jobs)) == 2


@pytest.mark.parametrize("level", ["warning", "debug"])
def test_an_unforeseen_fault_is_one_line_with_its_place(level):
    with write_at(level) as lines:
        cache = ModelCache(Settings())
        with pytest.raises(ModelError):
            list(run(cache, spec("fails", "Fails"), SentimentRequest.of(text="x")))
        rows = lines()
    fault = next(row for row in rows if "trace" in row)
    assert fault["trace"].startswith("Traceback: ")
    assert "engines.py" in fault["trace"]
    assert ("a secret in here" in fault["trace"]) == (level == "debug")
    assert [row["outcome"] for row in rows if row["event"] == "job"] == ["failed"]
    assert all(row["level"] != "info" for row in rows) or level == "debug"


def test_no_level_writes_a_secret():
    line = logs.JsonLines(messages=True, secrets=["a host's word"])
    try:
        raise ValueError("no a host's word, nor sk-abcdefghijkl, nor Bearer abc123")
    except ValueError:
        record = logging.LogRecord("genlab", 40, "", 0, "failed", (), sys.exc_info())
    assert "no ***, nor ***, nor Bearer ***" in line.format(record)


def test_the_running_app_counts_the_pages_jobs_too(server):
    before = figures(urllib.request.urlopen(f"{server.url}metrics").read().decode())
    body = json.dumps({"data": ["I loved it.", "auto"]}).encode()
    kind = {"Content-Type": "application/json"}
    call = f"{server.url}gradio_api/call/analyze_sentiment"
    event = json.load(urllib.request.urlopen(urllib.request.Request(call, body, kind)))["event_id"]
    urllib.request.urlopen(f"{call}/{event}").read()
    after = figures(urllib.request.urlopen(f"{server.url}metrics").read().decode())
    name = ("genlab_jobs_total", "genlab/sentiment-en", "ok", "sentiment")
    assert after[name] == before.get(name, 0) + 1
    assert "I loved it." not in server.log_text()
