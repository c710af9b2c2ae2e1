"""How much may be asked in a minute: each and all together, whichever way it came."""

import threading
import time

import pytest
from starlette.testclient import TestClient

import api
from models.chat.requests import ChatRequest
from models.errors import InvalidInput, RateLimited
from models.runtime import limits
from models.runtime.cache import ModelCache
from models.runtime.jobs import together
from models.runtime.limits import PERSON, Count, Limits, Minute
from models.sentiment.requests import ManyTextsRequest, SentimentRequest
from models.settings import Settings
from models.text_to_image.requests import ImageGridRequest, ImageRequest, LeaveOutRequest
from tests.engines import Steps, spec

SMALL = SentimentRequest.of(text="1")


def count_until_refusal(limiter, person, request=SMALL):
    """How many of a hundred requests of a person are let through."""
    PERSON.set(person)
    for count in range(100):
        try:
            limiter.admit(request)
        except RateLimited:
            with pytest.raises(RateLimited, match="full") as problem:
                limiter.admit(request)
            assert 1 <= problem.value.params["seconds"] <= 60
            return count
    return None


def test_a_request_says_what_it_costs():
    chat = ChatRequest.of(
        messages=[{"role": "user", "content": "한국어" * 4}],
        max_new_tokens=100,
        num_return_sequences=3,
    )
    assert chat.tokens == 300 + (36 + len("user")) // 4
    assert SentimentRequest.of(text="a" * 40).tokens == 10
    assert ManyTextsRequest.of(texts=["a" * 40] * 5).tokens == 50
    assert chat.image_steps == 0
    assert ImageRequest.of(prompt="a", num_images=3, num_inference_steps=20).image_steps == 60
    grid = ImageGridRequest.of(prompt="a", guidance_scales=(1, 2, 3), step_counts=(5, 10))
    assert grid.image_steps == 45
    request = LeaveOutRequest.of(prompt="a red circle", num_inference_steps=10)
    assert request.image_steps == 10 * len(request.prompts)


def test_each_person_and_all_together_have_their_share():
    limiter = Limits(Settings.model_validate({"person_requests": 3, "all_requests": 5}))
    assert count_until_refusal(limiter, "name:ann") == 3
    assert count_until_refusal(limiter, "name:bob") == 2
    assert [count_until_refusal(limiter, f"address:{n}") for n in range(50)] == [0] * 50


def test_steps_and_tokens_are_counted():
    limiter = Limits(Settings.model_validate({"person_image_steps": 100, "all_tokens": 50}))
    picture = ImageRequest.of(prompt="a", num_inference_steps=40)
    assert count_until_refusal(limiter, "a", picture) == 2
    assert count_until_refusal(limiter, "b", SentimentRequest.of(text="a" * 40)) == 5
    PERSON.set("c")
    for request, code in (
        (ImageRequest.of(prompt="a", num_inference_steps=101), "invalid_over_image_steps"),
        (SentimentRequest.of(text="a" * 204), "invalid_over_tokens"),
    ):
        with pytest.raises(InvalidInput) as problem:
            limiter.admit(request)
        assert problem.value.code == code


def test_without_limits_nothing_is_counted():
    assert count_until_refusal(Limits(Settings()), "a") is None


def test_many_threads_get_no_more_than_one():
    minute, wins = Minute(), []
    counts = [Count("all", 20)]

    def take():
        for _ in range(10):
            if not minute.take(counts):
                wins.append(1)

    threads = [threading.Thread(target=take) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) == 20


def test_a_clock_that_steps_locks_nobody_out(monkeypatch):
    minute, real = Minute(), time.time
    counts = [Count("all", 2)]
    assert [minute.take(counts) for _ in range(2)] == [0, 0]
    assert 0 < minute.take(counts) <= 60
    monkeypatch.setattr(limits.time, "time", lambda: real() - 86400)
    assert [minute.take(counts) for _ in range(2)] == [0, 0]
    assert 0 < minute.take(counts) <= 60
    monkeypatch.setattr(limits.time, "time", real)
    assert minute.take(counts) == 0


def test_a_job_too_many_fails_and_the_others_go_on():
    Steps.reset()
    cache = ModelCache(Settings.model_validate({"all_requests": 1}))
    events = list(together(cache, [(spec("steps"), SMALL), (spec("steps"), SMALL)]))
    failures = [event for _, event in events if isinstance(event, RateLimited)]
    assert len(failures) == 1
    assert not any(model.active or model.waiting for model in cache.status())


def test_a_flood_of_the_api_is_429_with_a_time_and_forged_addresses_do_not_help(monkeypatch):
    now = time.time()
    monkeypatch.setattr(limits.time, "time", lambda: now)  # a slow load may take over a minute
    cache = ModelCache(Settings.model_validate({"person_requests": 3, "all_requests": 5}))
    app = api.build(cache)
    good, korean = {"text": "good"}, {"accept-language": "ko"}
    for n in range(7):  # what a proxy that is believed makes of a forged address
        web = TestClient(app, client=(f"10.0.0.{n}", 1))
        answer = web.post("/api/v1/sentiment", json=good, headers=korean)
        assert answer.status_code == (200 if n < 5 else 429)
    cache = ModelCache(Settings.model_validate({"person_requests": 3, "all_requests": 5}))
    with TestClient(api.build(cache)) as web:
        for n in range(8):  # and one that is not
            headers = {"x-forwarded-for": f"10.0.0.{n}", **korean}
            answer = web.post("/api/v1/sentiment", json=good, headers=headers)
            assert answer.status_code == (200 if n < 3 else 429)
        assert answer.json()["error"]["code"] == "full"
        assert "초 뒤에" in answer.json()["error"]["message"]
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
        for path in ("/api/v1/chat", "/v1/chat/completions"):
            stream = web.post(path, json=body)
            assert stream.status_code == 429  # and no stream whose first event is an error
            assert 1 <= int(stream.headers["retry-after"]) <= 60
