"""What stands between the chat page or a program and the model: turns, notes, words."""

import pytest

from models.errors import InvalidInput
from tabs.chat.history import MOST, messages, text_of
from tabs.chat.talk import note
from tabs.text import STRINGS


def turn(role: str, content) -> dict:
    return {"role": role, "content": content}


def test_turns_of_the_page_and_of_programs_are_the_same():
    blocks = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    page = [turn("user", blocks) | {"metadata": None, "options": None}, turn("assistant", "Hi")]
    assert messages(page) == [turn("user", "Hello"), turn("assistant", "Hi")]
    assert messages(None) == messages([]) == []


def test_a_question_that_was_stopped_before_its_answer_is_left_out():
    unanswered = [turn("user", "one"), turn("assistant", "")]
    whole = [turn("user", "two"), turn("assistant", "2")]
    assert messages([*unanswered, *whole]) == whole
    assert messages([*whole, *unanswered]) == whole
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
    with pytest.raises(InvalidInput) as refused:
        messages(history)
    assert refused.value.code == "invalid_history"


def test_too_many_turns_are_refused_with_the_limit():
    pairs = [turn("user", "a"), turn("assistant", "b")] * MOST
    with pytest.raises(InvalidInput) as refused:
        messages(pairs)
    assert refused.value.params == {"limit": MOST + 1}


def test_a_deeply_nested_content_is_refused():
    content = "x"
    for _ in range(5000):
        content = [content]
    with pytest.raises(InvalidInput):
        text_of(content)


def test_notes_name_the_parameter_in_both_languages():
    said = note("parameter_left_out:temperature")
    for language in STRINGS:
        assert STRINGS[language]["fields.temperature"] in said
    assert STRINGS["en"]["fields.num_return_sequences"] in note("parameter_ignored:n")
    assert "3" in note("turns_left_out:3")
    assert note("plain_continuation")
    assert note("parameter_left_out:max_completion_tokens") == ""
