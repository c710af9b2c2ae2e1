"""The host's budget: no call is made past it, whatever falls over."""

import base64
import io
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from PIL import Image
from starlette.testclient import TestClient

import api
from models.chat.events import TextDelta
from models.chat.requests import ChatRequest
from models.errors import (
    InvalidInput,
    ModelError,
    QuotaExceeded,
    RateLimited,
    Refused,
    Unavailable,
)
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.sentence_similarity.requests import EncodeRequest
from models.servers import budget
from models.servers.budget import DAY, reserve, spending
from models.settings import ROOT, Settings, SettingsError
from models.state import StateFile
from models.tasks import CHAT, SENTENCE_SIMILARITY, TEXT_TO_IMAGE
from models.text_to_image.requests import ImageRequest
from tests.conftest import start_server
from tests.stub_server import DONE, PRICES, WHOLE, StubServer, chunk, fault, usage

WITH_COUNTS = (200, (chunk("Hi"), chunk(None, end="stop"), usage(10, 20, cache_hits=5), DONE))


@pytest.fixture
def host(tmp_path):
    """Settings of a host with a key, and with what a test adds."""

    def settings(url="http://127.0.0.1:9/v1", **values):
        prices = tmp_path / "prices.toml"
        prices.write_text(PRICES)
        fixed_values = {"openai_base_url": url, "openai_api_key": "sk-host", "openai_timeout": 5}
        state = {"state": tmp_path / "state.sqlite3", "prices": prices}
        return Settings.model_validate(fixed_values | state | values)

    return settings


def chat(text="Hello", **options):
    turns = [{"role": "user", "content": text}]
    return ChatRequest.of(**({"messages": turns, "max_new_tokens": 100} | options))


def hosted(task):
    return next(spec for spec in task.models if spec.hosted)


def answer(settings, request=None, task=CHAT):
    return list(run(ModelCache(settings), hosted(task), request or chat()))


def test_the_estimate_is_reserved_and_the_counts_take_its_place(host):
    record = []

    def reply(_):
        record.append(spending(settings))
        return WITH_COUNTS

    with StubServer(reply) as server:
        settings = host(server.url, budget_dollars=2, budget_tokens=1000)
        answer(settings)
    dollars, tokens = record[0]
    assert tokens == len("Hello") + 16 + 100
    assert dollars == pytest.approx((21 * 1000 + 100 * 10000) / 1e6)
    dollars, tokens = spending(settings)
    assert tokens == 30
    assert dollars == pytest.approx((5 * 1000 + 5 * 100 + 20 * 10000) / 1e6)


@pytest.mark.parametrize("cap", [{"budget_tokens": 200}, {"budget_dollars": 1.3}])
def test_no_call_is_made_past_the_budget(host, cap):
    with StubServer((200, WHOLE)) as server:  # which counts nothing, so the estimate stays
        settings = host(server.url, **cap)
        answer(settings)
        with pytest.raises(QuotaExceeded) as problem:
            answer(settings)
        assert problem.value.code == "quota_budget"
        assert DAY - 60 < problem.value.params["seconds"] <= DAY
        assert problem.value.params["hours"] == 24
        with pytest.raises(InvalidInput) as problem:
            answer(settings, chat(max_new_tokens=4000))
        assert problem.value.code == "invalid_over_budget"
        assert len(server.bodies) == 1
        # What a person's own key pays for is that person's affair.
        answer(settings, chat(api_key="sk-a-person"))
        answer(settings, chat(base_url=server.url, api_key="sk-a-person", max_new_tokens=4000))
        assert len(server.bodies) == 3


def test_a_model_without_a_price_is_not_called_under_a_budget_in_dollars(host):
    with StubServer(WITH_COUNTS) as server:
        settings = host(server.url, budget_dollars=100)
        with pytest.raises(Refused) as problem:
            answer(settings, chat(model_name="gpt-secret"))
        assert problem.value.code == "refused_no_price"
        assert not server.bodies
        answer(host(server.url, budget_tokens=1000), chat(model_name="gpt-secret"))
        answer(host(server.url, budget_dollars=1, openai_api_key=None), chat(model_name="own"))
        assert len(server.bodies) == 2


@pytest.mark.parametrize(
    ("reply", "kind", "is_free"),
    [
        ((401, fault("invalid_api_key")), ModelError, True),
        ((429, fault("rate_limit_exceeded")), RateLimited, True),
        ((500, fault("server_error")), Unavailable, False),
        ((200, (chunk("Hel"), f"data: {fault('rate_limit_exceeded')}\n\n")), ModelError, False),
        ((200, (chunk("Hel"),)), Unavailable, False),
    ],
)
def test_what_surely_cost_nothing_is_given_back_and_nothing_else(host, reply, kind, is_free):
    with StubServer(reply) as server:
        settings = host(server.url, budget_tokens=1000)
        with pytest.raises(kind):
            answer(settings)
        assert len(server.bodies) == 1  # no second try that might be paid too
    assert spending(settings)[1] == (0 if is_free else 121)


def test_a_server_that_is_not_there_costs_nothing(host):
    settings = host(budget_tokens=1000)
    with pytest.raises(Unavailable):
        answer(settings)
    assert spending(settings) == (0, 0)


def test_an_answer_that_a_person_stops_costs_its_estimate(host):
    with StubServer((200, (chunk("Hel"), 30.0, *WITH_COUNTS[1]))) as server:
        settings = host(server.url, budget_tokens=1000)
        with closing(run(ModelCache(settings), hosted(CHAT), chat())) as events:
            assert any(isinstance(event, TextDelta) for event in events)
        assert server.hangup.wait(10)
    assert spending(settings)[1] == 121


def a_png():
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    return file.getvalue()


def test_pictures_and_embeddings_are_counted_too(host):
    picture = base64.b64encode(a_png()).decode()
    counts = {"input_tokens": 7, "output_tokens": 1000, "total_tokens": 1007}
    vector = {"object": "embedding", "index": 0, "embedding": [1.0, 0.0]}
    replies = (
        (200, {"created": 1, "data": [{"b64_json": picture}], "usage": counts}),
        (200, {"created": 1, "data": [{"b64_json": picture}]}),
        (200, {"data": [vector], "model": "m", "usage": {"prompt_tokens": 3, "total_tokens": 3}}),
    )
    with StubServer(*replies) as server:
        settings = host(server.url, budget_tokens=20_000)
        image = ImageRequest.of(prompt="a cat")
        answer(settings, image, TEXT_TO_IMAGE)
        assert spending(settings)[1] == 1007
        answer(settings, image, TEXT_TO_IMAGE)  # which counts nothing
        total = spending(settings)[1]
        assert total > 1007 + 4160  # OpenAI's best picture of 1024 x 1024
        answer(settings, EncodeRequest.of(sentences=["one"]), SENTENCE_SIMILARITY)
        assert spending(settings)[1] == total + 3
        with pytest.raises(InvalidInput):
            answer(settings, ImageRequest.of(prompt="a cat", num_images=8), TEXT_TO_IMAGE)
        assert len(server.bodies) == 3


def test_a_kill_in_the_middle_of_a_call_leaves_it_counted(host, tmp_path):
    code = """
import sys
from models.chat.requests import ChatRequest
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.settings import Settings
from models.tasks import CHAT
request = ChatRequest.of(messages=[{"role": "user", "content": "Hello"}], max_new_tokens=100)
list(run(ModelCache(Settings.read()), find(CHAT, "openai"), request))
"""
    with StubServer((200, (chunk("Hel"), 60.0))) as server:
        environment = {
            "OPENAI_BASE_URL": server.url,
            "OPENAI_API_KEY": "sk-host",
            "GENLAB_STATE": str(tmp_path / "state.sqlite3"),
            "GENLAB_BUDGET_TOKENS": "200",
        }
        child = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, env=os.environ | environment
        )
        assert server.first_request.wait(60)
        child.send_signal(signal.SIGKILL)
        child.wait(10)
    with StubServer(WITH_COUNTS) as server:  # after the restart
        settings = host(server.url, budget_tokens=200)
        assert spending(settings)[1] == 121
        with pytest.raises(QuotaExceeded):
            answer(settings)
        assert not server.bodies


def test_many_at_once_and_two_processes_never_pass_the_budget(host):
    settings = host(budget_tokens=1000)
    files = [StateFile(settings.state_file) for _ in range(2)]  # as two processes have
    wins, lock = [], threading.Lock()

    def take(file):
        for _ in range(5):
            try:
                budget._reserve(file, settings, 0.0, 70)
            except QuotaExceeded:
                continue
            with lock:
                wins.append(70)

    threads = [threading.Thread(target=take, args=(files[n % 2],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(wins) == 980 == spending(settings)[1]


def test_a_clock_that_steps_frees_no_budget(host, monkeypatch):
    settings = host(budget_tokens=1000)

    def take():
        with reserve(settings, "gpt-4o", (900, 0), None):
            pass

    take()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 10 * DAY)  # while the app runs
    with pytest.raises(QuotaExceeded):
        take()
    monkeypatch.setattr(budget, "_START", budget._START - 10 * DAY)  # back, before a restart
    with pytest.raises(QuotaExceeded) as problem:
        take()
    assert problem.value.params["seconds"] <= DAY
    monkeypatch.setattr(budget, "_START", budget._START + 0.99 * DAY)
    with pytest.raises(QuotaExceeded) as problem:
        take()
    assert problem.value.params["hours"] == 1
    monkeypatch.setattr(budget, "_START", budget._START + 0.02 * DAY)
    take()


def test_a_full_disk_makes_no_call_and_says_so(host):
    with StubServer(WITH_COUNTS) as server:
        settings = host(server.url, budget_tokens=10**9)
        answer(settings)
        with budget.state(settings.state_file).transaction() as rows:
            pages = rows.execute("PRAGMA page_count").fetchone()[0]
        rows.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own "disk is full" past it

        def fill():
            for _ in range(1000):
                with reserve(settings, "gpt-4o", (1, 1), None):
                    pass

        with pytest.raises(Unavailable) as problem:
            fill()
        assert problem.value.code == "unavailable_state"
        rows = budget.state(settings.state_file)._open()
        rows.execute(f"PRAGMA max_page_count = {pages}")
        budget.state(settings.state_file)._connection = rows
        with pytest.raises(Unavailable):
            answer(settings)
        assert len(server.bodies) == 1
        answer(settings)  # a new connection, without that limit: there is room again
        assert len(server.bodies) == 2


def test_a_damaged_file_makes_no_call(host):
    with StubServer(WITH_COUNTS) as server:
        settings = host(server.url, budget_tokens=1000)
        settings.state_file.write_bytes(b"no database " * 1000)
        with pytest.raises(Unavailable):
            answer(settings)
        assert not server.bodies


def test_the_file_holds_no_word_of_anybody(host):
    with StubServer(WITH_COUNTS) as server:
        settings = host(server.url, budget_tokens=1000)
        answer(settings, chat("a very private question"))
    with closing(sqlite3.connect(settings.state_file)) as rows:
        dump = "\n".join(rows.iterdump())
    assert "private" not in dump
    assert "sk-host" not in dump


def test_a_program_is_told_when_to_come_back(host):
    with (
        StubServer((200, WHOLE)) as server,
        TestClient(api.build(ModelCache(host(server.url, budget_tokens=200)))) as web,
    ):
        body = {
            "model": "openai",
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 100,
        }
        assert web.post("/v1/chat/completions", json=body).status_code == 200
        cost_answer = web.post("/v1/chat/completions", json=body)
        assert (cost_answer.status_code, cost_answer.json()["error"]["code"]) == (
            429,
            "quota_budget",
        )
        assert int(cost_answer.headers["retry-after"]) > 3600


def test_a_public_page_spends_the_key_only_within_a_budget(host, tmp_path):
    values = {"public": True, "public_server_key": True}
    for fine in (
        host(**values, budget_tokens=1),
        host(**values, budget_dollars=1),
        host(public=True),
        host(public_server_key=True),
        host(**values, openai_api_key=None),
    ):
        fine.check_budget()
    for open_to_all in (host(**values), host(public_server_key=True).for_public()):
        with pytest.raises(
            SettingsError, match="set GENLAB_BUDGET_DOLLARS or GENLAB_BUDGET_TOKENS"
        ):
            open_to_all.check_budget()
    with pytest.raises(RuntimeError, match="GenLab cannot start: GENLAB_PUBLIC_SERVER_KEY") as end:
        start_server(
            tmp_path, SPACE_ID="a/b", OPENAI_API_KEY="sk-host", GENLAB_PUBLIC_SERVER_KEY="true"
        )
    assert "Traceback" not in str(end.value)
