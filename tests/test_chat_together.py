"""Parts of the chat tab that meet: hosted answers and their dice, side by side and kept conversations."""

import math
from dataclasses import replace
from threading import Event
from types import SimpleNamespace

import gradio as gr
import pytest
import torch

from models.base import Task, TextDelta
from models.cache import ModelCache
from models.chat.kept import Kept
from models.jobs import run, together
from models.registry import find
from models.requests import ChatRequest
from models.settings import Settings
from tabs.chat import dice_answers, talk
from tabs.chat.controls import Dials
from tabs.chat.dice_view import answers_view
from tabs.context import Context
from tests.stub_server import DONE, StubServer, chunk, fault

torch.set_num_threads(1)
VISITOR = SimpleNamespace(query_params={}, headers={})
STARTER = find(Task.CHAT, "genlab/small-talk")
LOGPROBS = [
    {
        "token": word,
        "logprob": math.log(share),
        "bytes": list(word.encode()),
        "top_logprobs": [
            {"token": word, "logprob": math.log(share), "bytes": list(word.encode())},
            {"token": "Bye", "logprob": math.log(0.25), "bytes": list(b"Bye")},
        ],
    }
    for word, share in (("Hel", 0.5), ("lo", 0.75))
]
TOLD = [chunk("Hel", logprobs=LOGPROBS[:1]), chunk("lo", logprobs=LOGPROBS[1:])]
UNTOLD = [chunk("Hel"), chunk("lo")]
END = [chunk(None, end="stop"), DONE]


def answered(url: str, alternatives: int) -> tuple[str, dice_answers.Answers]:
    """The status line and what the dice panel remembers, after a hosted answer on the page."""
    limits = Settings.model_validate({"openai_base_url": url, "openai_model": "m"})
    values = {"model": "openai", "api_key": "sk-a", "temperature": 1, "alternatives": alternatives}
    dials = [values.get(name) for name in Dials._fields]
    shown = talk.frame()
    for update in talk.answer(Context(limits, ModelCache(limits)), VISITOR, [], "Hi", dials):
        shown = [b if a == gr.skip() else a for a, b in zip(update, shown, strict=True)]
    view = talk.View(*shown)
    return view.status, view.newest


def test_the_dial_asks_a_server_for_its_probabilities_and_the_panel_shows_them():
    with StubServer((200, TOLD + END)) as stub:
        status, newest = answered(stub.url, 6)
    assert (stub.asked[0]["logprobs"], stub.asked[0]["top_logprobs"]) == (True, 6)
    assert "how likely its tokens were" not in status
    view = answers_view(newest)
    assert view.count('class="tok') == 2
    assert "50.0%" in view
    about = dice_answers._clicked(VISITOR, SimpleNamespace(at="0:1"), [newest], 0)
    assert "75.00 %" in about
    assert "25.00 %" in about
    assert "Bye" in about
    assert 'class="take"' not in about  # no ids: no going on from another token


@pytest.mark.parametrize("refuses", [False, True])
def test_a_server_without_probabilities_is_told_of(refuses):
    no = (400, fault("unsupported_parameter", "logprobs is not supported", "logprobs"))
    with StubServer(*([no] if refuses else []), (200, UNTOLD + END)) as stub:
        status, newest = answered(stub.url, 6)
    assert "logprobs" in stub.asked[0]
    assert ("logprobs" in stub.asked[-1]) is not refuses
    assert "how likely its tokens were" in status
    assert "no probabilities" in answers_view(newest)


def test_at_zero_no_server_is_asked_for_probabilities():
    with StubServer((200, UNTOLD + END)) as stub:
        status, _ = answered(stub.url, 0)
    assert "logprobs" not in stub.asked[0]
    assert "how likely its tokens were" not in status


# ---------------------------------------------------------------- two at once in one model


def ask(text: str, earlier: tuple[str, ...], seed: int) -> ChatRequest:
    turns = [
        {"role": ("user", "assistant")[k % 2], "content": said}
        for k, said in enumerate((*earlier, text))
    ]
    return ChatRequest.of(messages=turns, seed=seed, temperature=1.2, max_new_tokens=16)


def said(events) -> list[str]:
    """The text of each of two jobs."""
    texts = ["", ""]
    for number, event in events:
        assert not isinstance(event, Exception), event
        texts[number] += event.text if isinstance(event, TextDelta) else ""
    return texts


def test_two_at_once_say_what_each_says_alone_with_nothing_kept():
    earlier = ("Hi there! How are you today?", "I am well, thank you.")
    pairs = [
        (ask("What is your name?", earlier, seed), ask("I had a bad day.", earlier, seed))
        for seed in range(2)
    ]
    pairs += [(ask("Tell me a joke.", earlier, 9), ask("Tell me a joke.", earlier, 9))]
    cache = ModelCache(Settings(GENLAB_DEVICE="cpu"))
    spec = replace(STARTER, concurrency=2)
    with cache.lease(spec, Event(), lambda _: None) as lease:
        engine = lease.engine
    alone = []
    for pair in pairs:
        for one in pair:
            engine._kept = Kept()
            alone.append(said((0, event) for event in run(cache, spec, one))[0])
    engine._kept = Kept()
    at_once = [text for pair in pairs for text in said(together(cache, [(spec, p) for p in pair]))]
    assert at_once == alone
    assert len(set(alone)) > 3
    assert len(engine._kept) >= 2  # both gave back what they knew
    cache.close()
