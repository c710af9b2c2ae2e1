"""Bad input on its way to a server, and the sentence for each fault in both languages."""

import json
import time

import gradio as gr
import pytest

from models.chat.requests import ChatRequest
from models.errors import InvalidInput
from models.settings import Settings
from tabs.chat.controls import list_models
from tabs.chat.conversations import messages
from tabs.shared.strings import LANGUAGES, STRINGS
from tests.chat.test_chat_openai import KEY, answer, ask, settings
from tests.chat.test_chat_page import context, turn
from tests.stub_server import WHOLE, StubServer

FAULTS = {
    "401": "wrong_key",
    "a key with Korean letters": "wrong_key_letters",
    "no key": "missing_key",
    "403": "refused_by_server",
    "404 of a model": "not_found_on_server",
    "404 of an address": "not_found_address",
    "400": "invalid_for_server",
    "400, too long": "invalid_too_long_for_model",
    "422": "invalid_unprocessable",
    "429, quota": "quota_exceeded",
    "429, rate": "rate_limited",
    "5xx": "unavailable_server_fault",
    "time-out": "unavailable_timeout",
    "refused connection": "unavailable_unreachable",
    "cut": "unavailable_cut",
    "error inside the stream": "unavailable_midway",
    "malformed JSON": "unavailable_bad_json",
    "HTML": "unavailable_html",
    "no chat answer": "unavailable_bad_answer",
    "no list of models": "unavailable_no_list",
    "inner address": "refused_inside",
    "no address": "invalid_address",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_fault_has_its_own_sentence(language):
    words = [STRINGS[language][f"errors.{code}"] for code in FAULTS.values()]
    assert len(set(words)) == len(FAULTS)
    assert all(text.endswith(".") for text in words)


def test_a_message_of_a_megabyte_is_refused_at_once():
    began = time.perf_counter()
    with pytest.raises(InvalidInput) as error:
        ask("x" * 1_000_000)
    assert error.value.code == "invalid_too_long"
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize(
    "history",
    [
        [turn("user", "x" * 10_000_000), turn("assistant", "y")],
        [turn("user", "x" * 25_000), turn("assistant", "y")] * 199,
        [turn("user", [{"type": "text", "text": "x"}] * 200_000), turn("assistant", "y")],
    ],
)
def test_a_forged_history_of_ten_megabytes_is_refused_at_once(history):
    began = time.perf_counter()
    with pytest.raises(InvalidInput):
        ChatRequest.of(messages=[*messages(history), turn("user", "and?")])
    assert time.perf_counter() - began < 2


def test_control_characters_arrive_as_they_were_typed():
    text = "a\x00b\x1b[31m\u202e\u0007\r\n\u2028c"
    with StubServer((200, WHOLE)) as server:
        assert answer(settings(server.url), ask(text))[0] == ["Hello"]
    assert server.bodies[0]["messages"][-1]["content"] == text


def test_half_a_letter_is_no_text():
    with pytest.raises(InvalidInput):
        ask(json.loads('"\\ud83d"'))


def listed(page, *values):
    """The last update of the list of models."""
    *_, last = list_models(page)(*values)
    return last


@pytest.mark.parametrize("reply", [(404, {"detail": "no"}), (200, {"data": []})])
def test_the_page_says_where_a_server_lists_no_models(reply):
    with StubServer((200, WHOLE), listed=reply) as server:
        page = context(server)
        if reply[0] == 404:
            update, problem = listed(page, "", KEY, "m")
            assert update == gr.skip()
            assert "/v1" in problem
            assert 'role="alert"' in problem
        else:
            assert STRINGS["ko"]["chat.models_none"] in listed(page, "", KEY, "m")[1]


def test_the_list_offers_chat_models_with_prices_and_keeps_the_choice():
    data = [{"id": name} for name in ("gpt-4o", "text-embedding-3-small", "my-model", "tts-1")]
    with StubServer((200, WHOLE), listed=(200, {"data": data})) as server:
        update, line = listed(context(server), "", KEY, "typed-by-hand")
        assert [value for _, value in update["choices"]] == ["gpt-4o", "my-model"]
        assert update["value"] == "typed-by-hand"
        assert "2 models" in line
        update, _ = listed(context(server), server.url, None, "typed-by-hand")
        assert update["value"] == "gpt-4o"
    assert Settings().openai_model == "gpt-4o"
