"""The files of conversations: what goes out comes back; nothing else comes in."""

import json

import pytest

from models.errors import InvalidInput
from models.fields import MAX_TEXT
from tabs.chat.conversations import (
    FORMAT,
    MAX_BYTES,
    MAX_MESSAGES,
    VERSION,
    Conversation,
    read,
)
from tabs.chat.shelf import NAMES
from tabs.shared.strings import STRINGS

TURNS = [{"role": "user", "content": "안녕 $5"}, {"role": "assistant", "content": "Hi"}]


def file(**changes) -> str:
    whole = {"format": FORMAT, "version": VERSION, "conversations": [{"messages": TURNS}]}
    return json.dumps(whole | changes, ensure_ascii=False)


def code_of(text) -> str:
    with pytest.raises(InvalidInput) as error:
        read(text)
    return error.value.code


@pytest.mark.parametrize(
    "content",
    [
        "x",
        "",
        "\n\n two lines \n\n",
        "<!-- user -->",
        "\\<!-- user -->\n\\\\<!-- assistant -->",
        f"<!-- {FORMAT} {{}} -->",
        "## You\n\n# Title\n\n```html\n<!-- system -->\n```\n",
        " --> 안녕 🎲 ",
    ],
)
def test_markdown_comes_back_letter_for_letter(content):
    dials = {"system_prompt": content, "model": "auto", "temperature": 0.25, "seed": -1}
    turns = [{"role": role, "content": content} for role in ("user", "assistant") * 2]
    before = Conversation.of('A name --> "<b>"', dials, turns)
    (after,) = read(before.markdown())
    assert after.messages == before.messages
    assert after.name == before.name
    expected = before.dials.model_dump()
    assert after.dials.model_dump() == expected
    assert read("\ufeff" + before.markdown().replace("\n", "\r\n"))[0].messages == after.messages


def test_json_comes_back_with_its_dials_and_without_what_is_foreign_to_it():
    dials = {"temperature": 1.5, "api_key": "sk-secret", "base_url": "http://x"}
    conversations = [{"name": "a", "dials": dials, "messages": TURNS, "more": 1}] * 2
    result = read(file(conversations=conversations))
    assert [turn.model_dump() for turn in result[0].messages] == TURNS
    assert result[1].dials.temperature == 1.5
    assert "sk-secret" not in repr(result)


def test_a_key_is_never_stored():
    assert NAMES
    assert not {"api_key", "base_url"} & set(NAMES)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "invalid_import_foreign"),
        ("Dear diary", "invalid_import_foreign"),
        ("[1, 2]", "invalid_import_foreign"),
        ('{"messages": []}', "invalid_import_foreign"),
        ("{", "invalid_import"),
        ("[" * 100_000, "invalid_import"),
        (file(version=VERSION + 1), "invalid_import_newer"),
        (file(version="one"), "invalid_import"),
        (file(conversations=[]), "invalid_import"),
        (file(conversations=[{"messages": []}]), "invalid_import"),
        (
            file(conversations=[{"messages": [{"role": "system", "content": "x"}]}]),
            "invalid_import",
        ),
        (
            file(conversations=[{"messages": [{"role": "user", "content": ["x"]}]}]),
            "invalid_import",
        ),
        (
            file(conversations=[{"messages": [{"role": "user", "content": "x" * (MAX_TEXT + 1)}]}]),
            "invalid_import",
        ),
        (file(conversations=[{"messages": TURNS * MAX_MESSAGES}]), "invalid_import"),
        (file(conversations=[{"messages": TURNS, "dials": {"temperature": 9}}]), "invalid_import"),
        (file(conversations=[{"messages": TURNS, "dials": {"top_p": "x"}}]), "invalid_import"),
        (file(conversations=[{"messages": TURNS}]).replace("}]}]", "NaN}]}]"), "invalid_import"),
        ("x" * (MAX_BYTES + 1), "invalid_import_size"),
        ("한" * (MAX_BYTES // 3 + 1), "invalid_import_size"),
        (f"<!-- {FORMAT} [] -->\n", "invalid_import"),
        (f"<!-- {FORMAT} nonsense -->\n", "invalid_import"),
        (f'<!-- {FORMAT} {{"version": 1, "dials": {{}}}} -->\n', "invalid_import"),
        (f'<!-- {FORMAT} {{"version": 9, "dials": {{}}}} -->\n', "invalid_import_newer"),
        (None, "invalid_import"),
        ({"format": FORMAT}, "invalid_import"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else "file",
)
def test_a_foreign_forged_or_huge_file_is_refused_with_its_own_sentence(text, code):
    assert code_of(text) == code
    for strings in STRINGS.values():
        assert strings[f"errors.{code}"]


def test_an_empty_conversation_is_not_exported():
    with pytest.raises(InvalidInput) as error:
        Conversation.of("", {}, [])
    assert error.value.code == "invalid_export"
