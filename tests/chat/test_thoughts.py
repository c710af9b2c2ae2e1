"""Thoughts of models on this machine are apart from the answer, as a server's are.

What a model would write is given to the engines in its place: no model that is small enough thinks.
"""

from types import SimpleNamespace

import pytest
import torch

from models.chat.decoding import Prompt, Step, TextStream
from models.chat.events import ChatDone, TextDelta, with_delta
from models.chat.llama_cpp import _Talk
from models.chat.requests import ChatRequest
from models.chat.thoughts import ThoughtSplitter, begins_in_thoughts, notes_on, writes_thoughts
from models.chat.transformers_engine import TransformersChat, _Sample
from tests import tiny

TEMPLATE = "{{ messages[0].content }}<think>\n"
CASES = {
    "tags": (False, "<think>\nA colour.\n</think>\n\nBlue.", "Blue.", "A colour.", "thought_aloud"),
    "opened by the prompt": (True, "A colour.</think>Blue.", "Blue.", "A colour.", "thought_aloud"),
    "opened by nobody": (False, "A colour.\n</think>\n\nBlue.", "Blue.", "A colour.", "thought_aloud"),
    "nothing in between": (False, "<think>\n\n</think>\n\nBlue.", "Blue.", "", ""),
    "none": (False, "Blue, a < b.", "Blue, a < b.", "", ""),
    "no answer": (True, "A colour", "", "A colour", "all_thought"),
}  # fmt: skip


def ask(**options) -> ChatRequest:
    return ChatRequest.of(messages=[{"role": "user", "content": "Why?"}], seed=7, **options)


def texts_of(events) -> tuple[str, str]:
    """(answer, thoughts) in events."""
    deltas: list[TextDelta] = []
    for event in events:
        if isinstance(event, TextDelta):
            deltas = with_delta(deltas, event)
    return "".join(d.text for d in deltas), "".join(d.thoughts for d in deltas).strip()


@pytest.mark.parametrize("name", CASES)
def test_of_transformers(name):
    is_open, text, answer, thoughts, note = CASES[name]
    tokenizer = tiny.byte_tokenizer(TEMPLATE)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    logits = torch.zeros(len(tokenizer))
    sample = _Sample(
        index=0,
        steps=iter([Step(one, logits, logits, False) for one in ids]),
        text=TextStream(tokenizer),
        limit=len(ids),
        end_ids=set(),
        tokenizer=tokenizer,
        alternatives=2,
        splitter=ThoughtSplitter(is_open),
    )
    deltas = [sample.next_delta() for _ in ids]
    assert texts_of(deltas) == (answer, thoughts)
    notes = notes_on(sample.has_thoughts, sample.has_answer, "length")
    assert [one.code for one in notes] == ([note] if note else [])
    now: list[TextDelta] = []
    for delta in deltas:
        now = with_delta(now, delta)
    tokens = "".join(token.text for delta in now for token in delta.tokens)
    assert tokens == ("" if thoughts else text)


def test_a_prompt_that_opens_thoughts_is_known_by_its_end():
    tokenizer = tiny.byte_tokenizer(TEMPLATE)
    engine = TransformersChat.__new__(TransformersChat)
    engine._tokenizer = tokenizer
    ids = tuple(tokenizer("Why?<think>\n")["input_ids"])
    splitter = engine._splitter(Prompt(ids, (), 9, ()))
    assert splitter is not None
    assert splitter.split("A colour.</think>Blue.") == ("Blue.", "A colour.")
    assert engine._splitter(Prompt(ids, ids[:1], 9, ())) is None  # an answer that is continued
    engine._tokenizer = tiny.byte_tokenizer()
    assert engine._splitter(Prompt(ids, (), 9, ())) is None
    assert writes_thoughts(TEMPLATE)
    assert not writes_thoughts(None)
    assert not begins_in_thoughts("<think>\n\n</think>\n\n")


@pytest.mark.parametrize("name", CASES)
def test_of_llama_cpp(name):
    is_open, text, answer, thoughts, note = CASES[name]
    header = SimpleNamespace(chat_template=TEMPLATE, ends=frozenset())
    prompt = "Why?<think>\n" if is_open else "Why?"
    words = SimpleNamespace(header=header, piece=lambda id_: SimpleNamespace(text=chr(id_)))
    talk = _Talk(None, words, 100, "")  # type: ignore[arg-type]
    pieces = [{"content": letter, "stop": False} for letter in text]
    end = {"content": "", "stop": True, "tokens_predicted": 5, "stop_type": "limit"}
    pairs = [(0, piece, {}) for piece in [*pieces, end]]
    events = list(talk._lengthen(ask(), [*map(ord, prompt)], pairs, 7, ()))
    assert texts_of(events) == (answer, thoughts)
    assert isinstance(events[-1], ChatDone)
    assert [one.code for one in events[-1].notes] == ([note] if note else [])
