"""What stands between the chat page or a program and the model: turns, notes, words."""

import html
from types import SimpleNamespace
from typing import get_args

import gradio as gr
import pytest

from models.chat.catalog import default_system_prompt
from models.chat.events import Note, NoteCode
from models.chat.requests import ChatRequest
from models.errors import InvalidInput
from models.runtime.cache import ModelCache
from models.select import find
from models.settings import Settings
from models.tasks import CHAT
from tabs.chat import talk
from tabs.chat.answers import note_html
from tabs.chat.controls import LARGER, SMALL, DialComponents, _about, _about_line, _own_prompt
from tabs.chat.conversations import MAX_MESSAGES, messages, text_of
from tabs.chat.talk import View
from tabs.shared.context import Context
from tabs.shared.strings import STRINGS
from tests.stub_server import DONE, WHOLE, StubServer, chunk

_SET = {
    "system_prompt": "Be kind.",
    "model": "openai",
    "model_name": "",
    "base_url": "",
    "api_key": "sk-own",
    "temperature": 0.5,
    "top_p": 0.9,
    "max_new_tokens": 20,
    "seed": 3,
    "num_return_sequences": 1,
}
DIALS = [_SET.get(name) for name in DialComponents._fields]  # the others are the model's own


def turn(role: str, content) -> dict:
    return {"role": role, "content": content}


def test_turns_of_the_page_and_of_programs_are_the_same():
    blocks = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    page = [turn("user", blocks) | {"metadata": None, "options": None}, turn("assistant", "Hi")]
    assert messages(page) == [turn("user", "Hello"), turn("assistant", "Hi")]
    assert messages(None) == messages([]) == []


def test_a_question_that_was_stopped_before_its_answer_is_left_out():
    open_question = [turn("user", "one"), turn("assistant", "")]
    whole = [turn("user", "two"), turn("assistant", "2")]
    assert messages([*open_question, *whole]) == whole
    assert messages([*whole, *open_question]) == whole
    assert messages([*whole, turn("user", "three")]) == whole


@pytest.mark.parametrize(
    "history",
    [
        "text",
        {"role": "user"},
        [["a", "b"]],
        [turn("system", "x")],
        [turn("user", 7)],
        [turn("user", {"path": "/etc/passwd"})],
        [turn("user", [{"type": "file", "file": {"path": "x"}}])],
        [{"role": ["user"], "content": "x"}],
        [None],
    ],
)
def test_what_is_no_conversation_is_refused(history):
    with pytest.raises(InvalidInput) as error:
        messages(history)
    assert error.value.code == "invalid_history"


def test_too_many_turns_are_refused_with_the_limit():
    pairs = [turn("user", "a"), turn("assistant", "b")] * MAX_MESSAGES
    with pytest.raises(InvalidInput) as error:
        messages(pairs)
    assert error.value.params == {"limit": MAX_MESSAGES + 1}


def test_a_deeply_nested_content_is_refused():
    content = "x"
    for _ in range(5000):
        content = [content]
    with pytest.raises(InvalidInput):
        text_of(content)


def test_notes_name_the_parameter_in_both_languages():
    ask = ChatRequest.of(messages=[turn("user", "one"), turn("user", "two")])
    html = note_html(Note("parameter_left_out", "temperature"), ask)
    for language in STRINGS:
        assert STRINGS[language]["fields.temperature"] in html
    note = note_html(Note("parameter_ignored", "n"), ask)
    assert STRINGS["en"]["fields.num_return_sequences"] in note
    assert "one" in note_html(Note("turns_left_out", 1), ask)
    assert note_html(Note("plain_continuation"), ask)
    assert note_html(Note("parameter_left_out", "max_completion_tokens"), ask) == ""


def test_every_note_has_its_words():
    for code in get_args(NoteCode):
        for language in STRINGS:
            assert f"notes.{code}" in STRINGS[language]


def context(server: StubServer, **values) -> Context:
    limits = Settings.model_validate({"openai_base_url": server.url} | values)
    return Context(limits, ModelCache(limits))


def test_what_a_model_reads_without_a_system_prompt_is_on_the_page():
    page = Context(Settings(), ModelCache(Settings()))
    about = _own_prompt(page, "smollm2-135m-instruct-gguf")
    assert html.escape(default_system_prompt(find(CHAT, "smollm2-135m-instruct-gguf"))) in about
    assert "own_prompt" not in about
    assert STRINGS["en"]["chat.own_prompt"].split("{")[0] not in _own_prompt(page, LARGER)


def test_auto_says_which_model_answers_in_each_language(monkeypatch):
    page = Context(Settings(), ModelCache(Settings()))
    monkeypatch.setattr(
        "models.select.is_here", lambda spec: spec.id in SMALL
    )  # SmolLM2 for English, small talk for Korean
    about = _about_line(page, "auto")
    english, korean = about.split('<span class="in-ko" lang="ko">', 1)
    assert find(CHAT, "smollm2-135m-instruct-gguf").label in english
    assert find(CHAT, "genlab/small-talk").label in korean
    assert STRINGS["ko"]["chat.korean_is_small"] in korean
    assert STRINGS["ko"]["chat.korean_is_small"] not in english


def test_a_larger_model_is_offered_beside_the_small_ones_only():
    page = Context(Settings(), ModelCache(Settings()))
    larger = find(CHAT, LARGER)
    assert {"*", "ko"} & {*larger.languages}
    assert larger.quantisation  # the quick one, which llama.cpp runs
    for language in STRINGS:
        assert larger.label.removesuffix(" (GGUF)") in STRINGS[language]["chat.larger"]
    for model, offers in (
        ("auto", True),
        ("genlab/small-talk", True),
        (LARGER, False),
        ("openai", False),
    ):
        assert _about(page, model)[3]["visible"] is offers


def answer(page: Context, question_of, history, message="", index=None, value=None):
    """The updates of the view; index and value are those of a retry or an edit."""
    event = SimpleNamespace(index=index, value=value)
    return talk.answer(page, question_of)(event, None, history, message, *DIALS)


def last_view(updates, view: dict | None = None) -> dict:
    """The view after all updates."""
    view = {} if view is None else view
    for update in updates:
        by_name = dict(zip(View._fields, update, strict=True))
        view |= {k: v for k, v in by_name.items() if v != gr.skip()}
    return view


def problem_in(status: str, code: str) -> bool:
    """Whether the line has the sentence of a code, up to its first gap, in both languages."""
    starts = [STRINGS[language][f"errors.{code}"].partition("{")[0] for language in STRINGS]
    return 'role="alert"' in status and all(start in status for start in starts)


def test_an_answer_fills_the_view():
    with StubServer((200, WHOLE)) as server:
        view = last_view(answer(context(server, openai_model="m"), talk.new_message, [], "Hi"))
    assert view["chatbot"] == [turn("user", "Hi"), turn("assistant", "Hello")]
    assert view["message"] == ""
    assert "seed 3" in view["status"]
    assert 'model="m"' in view["code"].replace("'", '"')
    assert "sk-own" not in str(view)
    assert server.bodies[0]["model"] == "m"


def test_the_half_answer_stays_and_is_marked_when_the_server_breaks_off():
    with StubServer((200, [chunk("Hel"), chunk("lo")])) as server:
        view = last_view(answer(context(server), talk.new_message, [], "Hi"))
    assert problem_in(view["status"], "unavailable_cut")
    assert view["chatbot"] == [turn("user", "Hi"), turn("assistant", "Hello")]
    assert STRINGS["en"]["chat.cut"] in view["status"]


def test_a_question_without_an_answer_stays_and_can_be_asked_again():
    with StubServer((401, {"error": {"code": "invalid_api_key"}}), (200, WHOLE)) as server:
        page = context(server)
        view = last_view(answer(page, talk.new_message, [], "Hi"))
        assert problem_in(view["status"], "wrong_key")
        assert view["chatbot"] == [turn("user", "Hi"), turn("assistant", "")]
        assert STRINGS["en"]["chat.unanswered"] in view["status"]
        again = last_view(answer(page, talk.retry, view["chatbot"], index=0))
    assert again["chatbot"] == [turn("user", "Hi"), turn("assistant", "Hello")]
    assert "message" not in again


def test_edit_asks_anew_from_there_and_undo_gives_the_message_back():
    earlier = [turn("user", "a"), turn("assistant", "b"), turn("user", "c"), turn("assistant", "d")]
    with StubServer((200, WHOLE)) as server:
        after_edit = last_view(answer(context(server), talk.edit, earlier, index=2, value="e"))
    assert after_edit["chatbot"] == [*earlier[:2], turn("user", "e"), turn("assistant", "Hello")]
    assert [m["content"] for m in server.bodies[0]["messages"]] == ["Be kind.", "a", "b", "e"]
    back = last_view([talk.undo(SimpleNamespace(index=2), earlier)])
    assert (back["chatbot"], back["message"]) == (earlier[:2], "c")


def test_a_retry_that_fails_leaves_everything_as_it_was():
    earlier = [turn("user", "a"), turn("assistant", "b")]
    with StubServer((500, {})) as server:
        view = last_view(answer(context(server), talk.retry, earlier, index=1))
    assert "chatbot" not in view
    assert "message" not in view
    assert STRINGS["en"]["chat.as_it_was"] in view["status"]


def test_an_edit_that_fails_costs_neither_the_old_turns_nor_the_new_words():
    earlier = [turn("user", "a"), turn("assistant", "b"), turn("user", "c"), turn("assistant", "d")]
    with StubServer((500, {})) as server:
        view = last_view(answer(context(server), talk.edit, earlier, index=0, value="new"))
    assert view["chatbot"] == [*earlier, turn("user", "new"), turn("assistant", "")]


def test_an_answer_continues_from_where_it_ended():
    earlier = [
        turn("user", "a"),
        turn("assistant", "b"),
        turn("user", "c"),
        turn("assistant", "He"),
    ]
    rest = (chunk("ll"), chunk("o"), chunk(None, end="stop"), DONE)
    with StubServer((200, rest)) as server:
        view = last_view(answer(context(server), talk.go_on, earlier))
    assert view["chatbot"] == [*earlier[:3], turn("assistant", "Hello")]
    assert server.bodies[0]["messages"][-1] == turn("assistant", "He")
    refusal = last_view(answer(context(server), talk.go_on, []))
    assert problem_in(refusal["status"], "invalid_history")
    assert list(refusal) == ["status"]


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([], "x" * 1_000_000),
        ([], "\ud800"),
        ([turn("user", "x" * 10_000_000), turn("assistant", "b")], "Hi"),
        ([turn("user", "x" * 30_000), turn("assistant", "b")] * 200, "Hi"),
        ([turn("user", "x"), turn("assistant", "b")] * 100_000, "Hi"),
        ([], ["Hi"]),
    ],
    ids=["1 MB", "half a letter", "10 MB turn", "12 MB", "200,000 turns", "a list"],
)
def test_what_is_too_big_is_refused_before_anything_changes(history, message):
    with StubServer((200, WHOLE)) as server:
        view = last_view(answer(context(server), talk.new_message, history, message))
    assert list(view) == ["status"]  # the box keeps what was typed, the conversation its turns
    assert 'role="alert"' in view["status"]
    assert not server.bodies
