"""Two answers side by side: each with its facts or its error, and what differs comes from the dials."""

import gradio as gr
import pytest

from models.runtime.cache import ModelCache
from models.settings import Settings
from tabs.chat.controls import DialComponents
from tabs.chat.versus import OwnDials, answer_both
from tabs.shared.context import Context
from tabs.shared.strings import STRINGS
from tests.stub_server import WHOLE, StubServer, fault

_SET = {
    "system_prompt": "",
    "model": "genlab/small-talk",
    "model_name": "",
    "base_url": "",
    "api_key": "",
    "temperature": 0,
    "top_p": 0.95,
    "max_new_tokens": 24,
    "seed": 7,
    "num_return_sequences": 1,
}
A = DialComponents(*(_SET.get(name) for name in DialComponents._fields))  # type: ignore[arg-type]
B = OwnDials("genlab/small-talk", "", "", "", "", 0)  # type: ignore[arg-type]
WITTY = "You are a witty assistant who jokes."
FORMAL = "You are a professional assistant. Keep it formal."


@pytest.fixture(scope="module")
def page():
    limits = Settings()
    cache = ModelCache(limits)
    yield Context(limits, cache)
    cache.close()


def both(page: Context, history, message: str, *values):
    """The updates while A and B answer; with a conversation both read it."""
    return answer_both(page)(None, message, history is not None, history, *values)


def last(updates) -> list:
    """Status, text and line of A, text and line of B after all updates, and their Python."""
    view = [None] * 6
    for update in updates:
        view = [b if a == gr.skip() else a for a, b in zip(update, view, strict=True)]
    return view


def ask(page: Context, a: DialComponents, b: OwnDials, message: str = "Who are you?") -> list:
    return last(both(page, None, message, *a, *b))


def test_the_same_dials_give_the_same_answer(page):
    _, a, line_a, b, line_b, code = ask(page, A, B)
    assert a
    assert a == b
    assert "seed 7" in line_a
    assert "seed 7" in line_b
    assert code.count("for seed in [7]:") == 2


def test_another_system_prompt_gives_another_answer(page):
    _, a, _, b, *_ = ask(page, A._replace(system_prompt=WITTY), B._replace(system_prompt=FORMAL))
    assert a
    assert b
    assert a != b


def test_without_a_seed_both_get_the_same(page):
    _, a, line_a, b, line_b, _ = ask(
        page, A._replace(temperature=1.5, seed=-1), B._replace(temperature=1.5)
    )
    assert a == b
    assert line_a.partition("seed ")[2].split("<")[0] == line_b.partition("seed ")[2].split("<")[0]


def order_of_updates(page, seed: int) -> list[str]:
    """Whose words were shown, update by update, of two long answers."""
    hot = {"temperature": 2.0}
    a = A._replace(max_new_tokens=200, top_p=1, seed=seed, **hot)
    order = []
    for _, a_says, _, b_says, *_ in both(page, None, "Hello", *a, *B._replace(**hot)):
        words = (("a", a_says), ("b", b_says))
        order += [side for side, text in words if text and text != gr.skip()]
    return order


def test_both_answers_of_one_model_grow_at_once(page):
    ask(page, A, B)  # it is loaded now
    orders = [order_of_updates(page, seed) for seed in range(6)]
    # Were one to wait for the other, all words of one would come before the other's.
    assert any(order not in (sorted(order), sorted(order, reverse=True)) for order in orders)


def test_both_read_the_conversation_above(page):
    history = [
        {"role": "user", "content": "Hi there! How are you today?"},
        {"role": "assistant", "content": [{"type": "text", "text": "I am well, thank you."}]},
    ]
    _, a, _, b, _, code = last(both(page, history, "Who are you?", *A, *B))
    assert a
    assert a == b
    assert code.count("I am well, thank you.") == 2
    assert "I am well" not in ask(page, A, B)[5]


def test_one_that_fails_says_so_and_the_other_goes_on():
    with (
        StubServer((200, WHOLE)) as good,
        StubServer((401, fault("invalid_api_key"))) as bad,
    ):
        limits = Settings.model_validate({"openai_base_url": good.url, "openai_model": "m"})
        page = Context(limits, ModelCache(limits))
        a = A._replace(model="openai", api_key="sk-a", temperature=1)
        b = B._replace(model="openai", api_key="sk-b", base_url=bad.url, temperature=1)
        _, text_a, line_a, text_b, line_b, code = ask(page, a, b)
    assert text_a == "Hello"
    assert "seed 7" in line_a
    assert text_b == ""
    for language in STRINGS:
        assert STRINGS[language]["errors.wrong_key"] in line_b
    assert good.keys == ["Bearer sk-a"]
    assert bad.keys == ["Bearer sk-b"]
    assert "sk-" not in line_a + line_b + code


def test_a_bad_request_is_said_and_changes_nothing(page):
    for wrong in (B._replace(temperature=9), B._replace(model="no such model")):
        status, *others = next(both(page, None, "Hi", *A, *wrong))
        assert 'role="alert"' in status
        assert others == [gr.skip()] * 5
    assert "fill in" in next(both(page, None, " ", *A, *B))[0]
