"""Chat behind OpenAI's API, what only a stub can show: faults, refusals, keys. See test_chat_server."""

import logging
import socket
import time

import pytest

from models.chat.events import ChatDone, TextDelta
from models.chat.requests import ChatRequest
from models.contract import Finished, Stop
from models.errors import (
    InvalidInput,
    MissingKey,
    ModelError,
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
from models.tasks import CHAT
from tests.stub_server import DONE, WHOLE, StubServer, chunk, fault

KEY = "sk-a-persons-own-secret"
SPEC = find(CHAT, "openai")


def settings(url: str | None, **values) -> Settings:
    return Settings.model_validate({"openai_base_url": url, "openai_timeout": 5} | values)


def ask(text: str = "Hello", **options) -> ChatRequest:
    turns = [{"role": "user", "content": text}]
    return ChatRequest.of(**({"messages": turns, "seed": 7, "api_key": KEY} | options))


def answer(limits: Settings, request: ChatRequest, events: list | None = None):
    """Texts of the samples and ChatDone; `told` keeps the events even when an error follows."""
    events = [] if events is None else events
    for event in run(ModelCache(limits), SPEC, request):
        events.append(event)
    assert isinstance(events[-1], Finished)
    assert events[-1].placement.device == "server"
    return texts(events), next(event for event in events if isinstance(event, ChatDone))


def texts(events) -> list[str]:
    result: dict[int, str] = {}
    for event in events:
        if isinstance(event, TextDelta):
            result[event.index] = result.get(event.index, "") + event.text
    return [result[index] for index in sorted(result)]


# ---------------------------------------------------------------- faults, each with its own code


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        ((401, fault("invalid_api_key", f"Incorrect key {KEY}")), WrongKey, "wrong_key"),
        ((403, fault("unsupported_country")), Refused, "refused_by_server"),
        ((404, fault("model_not_found", "no such model")), NotFound, "not_found_on_server"),
        ((400, fault("context_length_exceeded")), InvalidInput, "invalid_too_long_for_model"),
        ((400, fault("invalid_value", param="messages")), InvalidInput, "invalid_for_server"),
        ((422, {"detail": "no such field"}), InvalidInput, "invalid_unprocessable"),
        ((400, "<html>plain HTTP to an HTTPS port</html>"), Unavailable, "unavailable_html"),
        ((402, fault("insufficient_balance")), QuotaExceeded, "quota_exceeded"),
        ((404, "<html>Not found</html>"), NotFound, "not_found_address"),
        ((404, {"detail": "Not Found"}), NotFound, "not_found_address"),
        (
            (404, fault(None, 'model "x" not found, try pulling it')),
            NotFound,
            "not_found_on_server",
        ),
        ((405, {"detail": "Method Not Allowed"}), NotFound, "not_found_address"),
        ((429, fault("insufficient_quota")), QuotaExceeded, "quota_exceeded"),
        ((429, fault("rate_limit_exceeded")), RateLimited, "rate_limited"),
        ((500, fault("server_error")), Unavailable, "unavailable_server_fault"),
        ((503, "<html>down</html>"), Unavailable, "unavailable_server_fault"),
        ((200, "<html>hello</html>"), Unavailable, "unavailable_html"),
        ((200, ["data: {malformed\n\n"]), Unavailable, "unavailable_bad_json"),
        ((200, ["data: \xff\xfe\n\n"]), Unavailable, "unavailable_bad_json"),
        ((200, {"choices": []}), Unavailable, "unavailable_bad_answer"),
        ((200, [DONE]), Unavailable, "unavailable_bad_answer"),
        ((200, ['data: {"choices": 5}\n\n']), Unavailable, "unavailable_bad_answer"),
        ((200, ["data: [1]\n\n"]), Unavailable, "unavailable_bad_answer"),
    ],
)
def test_each_fault_has_its_own_code_and_never_shows_the_key(caplog, reply, kind, code):
    with StubServer(reply) as server, pytest.raises(ModelError) as error, caplog.at_level(0):
        answer(settings(server.url), ask())
    assert isinstance(error.value, kind)
    assert error.value.code == code
    assert KEY not in repr(error.value) + str(error.value.params) + caplog.text


@pytest.mark.parametrize(
    ("pieces", "cut", "code"),
    [
        (["data: " + "{malformed\n\n"], False, "unavailable_bad_json"),
        ([], False, "unavailable_cut"),
        ([], True, "unavailable_cut"),
        ([f"data: {fault('server_error')}\n\n".replace("'", '"')], False, "unavailable_bad_json"),
        (['data: {"error": {"message": "overloaded"}}\n\n'], False, "unavailable_midway"),
        (['data: {"error": {"code": "insufficient_quota"}}\n\n'], False, "quota_exceeded"),
        (['data: {"error": {"code": "rate_limit_exceeded"}}\n\n'], False, "rate_limited"),
        ([30.0], False, "unavailable_timeout"),
    ],
)
def test_the_half_answer_stays_when_the_stream_fails(pieces, cut, code):
    message: list = []
    with (
        StubServer((200, [chunk("Hel"), chunk("lo"), *pieces]), cut=cut) as server,
        pytest.raises(ModelError) as error,
    ):
        answer(settings(server.url, openai_timeout=0.5), ask(), message)
    assert texts(message) == ["Hello"]
    assert error.value.code == code


def test_no_server_at_all():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unavailable) as error:
        answer(settings(f"http://127.0.0.1:{port}/v1"), ask())
    assert error.value.code == "unavailable_unreachable"


def test_a_silent_server_times_out():
    with (
        StubServer((200, [30.0])) as server,
        pytest.raises(Unavailable) as error,
    ):
        answer(settings(server.url, openai_timeout=0.3), ask())
    assert error.value.code == "unavailable_timeout"


# ---------------------------------------------------------------- stop


def test_stop_ends_the_request_at_once_while_the_server_is_silent():
    with StubServer((200, [chunk("Hel"), 30.0])) as server:
        cache = ModelCache(settings(server.url, openai_timeout=60))
        events = run(cache, SPEC, ask())
        assert any(isinstance(event, TextDelta) for event in events)
        events.close()
        assert server.hangup.wait(1), "the server is still being listened to"
        end = time.monotonic() + 1
        while any(model.active for model in cache.status()):
            assert time.monotonic() < end
            time.sleep(0.01)


def test_a_server_that_fails_once_is_asked_again():
    with StubServer((503, fault(None)), (200, WHOLE)) as server:
        assert answer(settings(server.url), ask())[0] == ["Hello"]


# ---------------------------------------------------------------- keys


def test_no_key_and_no_server_of_ones_own_is_a_missing_key():
    with pytest.raises(MissingKey):
        answer(settings(None), ask(api_key=None))
    with pytest.raises(MissingKey):
        answer(settings(None), ask(api_key="  "))


@pytest.mark.parametrize("key", ["sk-한글", "sk with space", "sk-\n1"])
def test_a_key_that_cannot_be_one_is_a_wrong_key(key):
    with StubServer((200, WHOLE)) as server, pytest.raises(WrongKey):
        answer(settings(server.url), ask(api_key=key))
    assert server.bodies == []


def test_a_local_server_needs_no_key_but_a_public_page_needs_leave():
    with StubServer((200, WHOLE)) as server:
        answer(settings(server.url), ask(api_key=None))
        with pytest.raises(MissingKey):
            answer(settings(server.url, public=True), ask(api_key=None))
        answer(settings(server.url, public=True, public_server_key=True), ask(api_key=None))
    assert "None" not in str(server.keys)


def test_the_hosts_key_is_spent_only_where_the_host_says_so():
    with StubServer((200, WHOLE)) as server:
        answer(settings(server.url, openai_api_key="sk-host"), ask(api_key=None))
        answer(settings(server.url, openai_api_key="sk-host"), ask())
        with pytest.raises(MissingKey):
            answer(settings(server.url, openai_api_key="sk-host", public=True), ask(api_key=None))
    assert server.keys == ["Bearer sk-host", f"Bearer {KEY}"]


def test_no_key_stays_in_the_engine_or_in_what_is_printed(caplog):
    caplog.set_level(logging.DEBUG)
    request = ask()
    with StubServer((200, WHOLE)) as server:
        cache = ModelCache(settings(server.url))
        list(run(cache, SPEC, request))
    assert KEY not in repr(request) + caplog.text + repr(cache.status())
    with cache.lease(SPEC, Stop(), lambda event: None) as lease:
        assert set(vars(lease.engine)) == {"_settings"}
