"""What a server sends beside the text: probabilities, counts, thoughts."""

import math

import pytest

from models.chat.events import Note, TextDelta
from tests.chat.test_chat_openai import answer, ask, settings
from tests.chat.test_hosted_parameters import notes
from tests.stub_server import DONE, WHOLE, StubServer, chunk, fault, usage


def logprob(token: str, logprob: float, top: tuple = (), data: bytes | None = None) -> dict:
    """A token as servers send it."""
    return {
        "token": token,
        "logprob": logprob,
        "bytes": list(token.encode() if data is None else data),
        "top_logprobs": [{"token": t, "logprob": p, "bytes": list(t.encode())} for t, p in top],
    }


def tokens(pieces, **options):
    """The tokens of an answer and its ChatDone."""
    events: list = []
    with StubServer((200, pieces)) as server:
        _, end = answer(settings(server.url), ask(**{"alternatives": 2} | options), events)
    result = [t for event in events if isinstance(event, TextDelta) for t in event.tokens]
    return result, end, server.bodies[0]


def test_probabilities_and_alternatives_come_with_the_text():
    one = logprob("Hel", math.log(0.7), (("Hel", math.log(0.7)), ("Hal", math.log(0.2))))
    two = logprob("lo", math.log(0.9))
    pieces = [chunk("Hello", logprobs=[one, two]), chunk(None, end="stop"), DONE]
    result, end, body = tokens(pieces)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)
    assert [token.text for token in result] == ["Hel", "lo"]
    assert [round(token.raw, 6) for token in result] == [0.7, 0.9]
    assert [(a.text, round(a.raw, 6)) for a in result[0].alternatives] == [
        ("Hel", 0.7),
        ("Hal", 0.2),
    ]
    assert all(token.chance is None and token.entropy is None for token in result)
    assert notes(end) == set()


def test_a_token_that_is_half_a_letter_shows_its_bytes():
    half = logprob("\\xed\\x95", -1.0, data="한".encode()[:2])
    result, *_ = tokens([chunk("", logprobs=[half]), chunk("한", end="stop"), DONE])
    assert [token.text for token in result] == ["⟨ed 95⟩"]


def test_a_token_of_half_a_letter_in_utf_16_can_be_written():
    half = {"token": "a\ud83d", "logprob": -1.0, "bytes": None, "top_logprobs": []}
    result, *_ = tokens([chunk("a", logprobs=[half], end="stop"), DONE])
    assert [token.text for token in result] == ["a\ufffd"]


@pytest.mark.parametrize(
    "forgery",
    [
        [{"token": "x"}],
        ["x"],
        [logprob("x", math.nan)],
        [{"token": "x", "logprob": "high", "bytes": None, "top_logprobs": []}],
        [{"token": "x", "logprob": -1, "bytes": [900], "top_logprobs": []}],
        7,
    ],
)
def test_forged_probabilities_count_as_none(forgery):
    result, end, _ = tokens([chunk("Hello", logprobs=forgery, end="stop"), DONE])
    assert result == []
    assert notes(end) == {Note("no_logprobs")}


def test_a_server_without_probabilities_is_noted():
    result, end, _ = tokens(WHOLE)
    assert (result, notes(end)) == ([], {Note("no_logprobs")})
    refusal = (403, fault(None, "You are not allowed to request logprobs from this model"))
    with StubServer(refusal, (200, WHOLE)) as server:
        (text,), end = answer(settings(server.url), ask(alternatives=5))
    assert text == "Hello"
    assert not {"logprobs", "top_logprobs"} & set(server.bodies[1])
    assert notes(end) == {Note("no_logprobs")}


def test_without_the_wish_no_probabilities_are_asked_for():
    with StubServer((200, WHOLE)) as server:
        _, end = answer(settings(server.url), ask())
    assert not {"logprobs", "top_logprobs"} & set(server.bodies[0])
    assert notes(end) == set()


def test_counts_come_from_the_server():
    pieces = [chunk("Hi", end="stop"), usage(100, 40, cache_hits=64, thought=30), DONE]
    with StubServer((200, pieces)) as server:
        _, end = answer(settings(server.url), ask(max_new_tokens=50))
    assert (end.prompt_tokens, end.completion_tokens) == (100, 40)
    assert (end.cached_tokens, end.hidden_tokens) == (64, 30)
    assert notes(end) == {Note("hidden_tokens", 30)}


def test_a_limit_that_was_ignored_is_told():
    with StubServer((200, [chunk("Hi", end="stop"), usage(9, 40), DONE])) as server:
        _, end = answer(settings(server.url), ask(max_new_tokens=20))
    assert notes(end) == {Note("parameter_ignored", "max_new_tokens")}


def test_thoughts_are_no_answer():
    thinking = chunk(None, reasoning_content="The person says hello.")
    with StubServer((200, [thinking, chunk("Hi", end="stop"), DONE])) as server:
        result, end = answer(settings(server.url), ask())
    assert result == ["Hi"]
    assert notes(end) == {Note("thought_aloud")}
    pieces = [thinking, chunk(None, end="length"), usage(9, 20, thought=20), DONE]
    with StubServer((200, pieces)) as server:
        result, end = answer(settings(server.url), ask(max_new_tokens=20))
    assert result == [""]
    assert notes(end) == {Note("all_thought")}  # they are shown, so no note that they are hidden


def test_an_answer_that_the_content_rules_ended_is_noted():
    with StubServer((200, [chunk("He", end="content_filter"), DONE])) as server:
        result, end = answer(settings(server.url), ask())
    assert (result, notes(end)) == (["He"], {Note("content_filter")})


def test_an_answer_without_end_is_ended_here():
    endless = [chunk("x" * 5000) for _ in range(100)]
    with StubServer((200, endless)) as server:
        (text,), end = answer(settings(server.url), ask())
    assert 20_000 < len(text) <= 25_000
    assert end.finish_reason == "length"
    assert notes(end) == {Note("parameter_ignored", "max_new_tokens")}


def test_an_answer_goes_on_from_its_beginning():
    with StubServer((200, WHOLE)) as server:
        _, end = answer(settings(server.url), ask(prefix="Well,"))
    assert server.bodies[0]["messages"][-1] == {"role": "assistant", "content": "Well,"}
    assert notes(end) == {Note("prefix_shown")}
