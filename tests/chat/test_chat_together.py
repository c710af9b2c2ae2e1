"""Parts of the chat tab together: hosted answers and token odds, side by side and the KV cache."""

import html
import json
import math
import re
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest
import torch

from models.chat.events import TextDelta
from models.chat.requests import ChatRequest
from models.runtime.cache import ModelCache
from models.runtime.jobs import run, together
from models.select import find
from models.settings import Settings
from models.tasks import CHAT
from tabs.chat import talk, token_odds
from tabs.chat.answers import Answers
from tabs.chat.controls import DialComponents
from tabs.chat.token_odds.view import answers_view
from tabs.shared.context import Context
from tests.stub_server import DONE, StubServer, chunk, fault

torch.set_num_threads(1)
VISITOR = SimpleNamespace(query_params={}, headers={})
STARTER = find(CHAT, "genlab/small-talk")


def logprob(word: str, share: float, *others: str) -> dict:
    """A token and others of probability 1/4, as a server sends them; ⟨ed 95⟩ stands for its bytes."""

    def one(text: str, share: float) -> dict:
        data = bytes.fromhex(text[1:-1]) if text.startswith("⟨") else text.encode()
        return {"token": text, "logprob": math.log(share), "bytes": list(data)}

    top = [one(word, share), *(one(other, 0.25) for other in others)]
    return one(word, share) | {"top_logprobs": top}


HEL, LO = logprob("Hel", 0.5, "Bye"), logprob("lo", 0.75, "Bye", "⟨ed 95⟩", "")
WITH_ODDS = [chunk("Hel", logprobs=[HEL]), chunk("lo", logprobs=[LO])]
WITHOUT_ODDS = [chunk("Hel"), chunk("lo")]
END = [chunk(None, end="stop"), DONE]


def page(url: str) -> Context:
    limits = Settings.model_validate({"openai_base_url": url, "openai_model": "m"})
    return Context(limits, ModelCache(limits))


def answer_of(url: str, alternatives: int) -> tuple[str, Answers]:
    """The status line and the Answers for the panel, after a hosted answer on the page."""
    values = {"model": "openai", "api_key": "sk-a", "temperature": 1, "alternatives": alternatives}
    dials = [values.get(name) for name in DialComponents._fields]
    visible = talk.frame()
    handler = talk.answer(page(url), talk.new_message)
    for update in handler(None, None, [], "Hi", *dials):
        visible = [b if a == gr.skip() else a for a, b in zip(update, visible, strict=True)]
    view = talk.View(*visible)
    return view.status, view.newest


def test_the_dial_gets_a_servers_probabilities_and_the_panel_shows_them():
    with StubServer((200, WITH_ODDS + END)) as stub:
        status, newest = answer_of(stub.url, 6)
    assert (stub.bodies[0]["logprobs"], stub.bodies[0]["top_logprobs"]) == (True, 6)
    assert "how likely its tokens were" not in status
    view = answers_view(newest)
    assert view.count('class="tok') == 2
    assert "50.0%" in view
    own, other = odds_in(view)[1]["rows"][:2]
    assert (own[0], own[2]) == ("lo", 0.75)
    assert (other[0], other[2]) == ("Bye", 0.25)


@pytest.mark.parametrize("refuses", [False, True])
def test_a_server_without_probabilities_is_noted(refuses):
    no = (400, fault("unsupported_parameter", "logprobs is not supported", "logprobs"))
    with StubServer(*([no] if refuses else []), (200, WITHOUT_ODDS + END)) as stub:
        status, newest = answer_of(stub.url, 6)
    assert "logprobs" in stub.bodies[0]
    assert ("logprobs" in stub.bodies[-1]) is not refuses
    assert "how likely its tokens were" in status
    assert "no probabilities" in answers_view(newest)


def test_thoughts_are_folded_under_the_conversation_and_stay_out_of_it():
    pieces = [chunk("<think>A greeting <b>.</think>Hello"), chunk(None, end="stop"), DONE]
    with StubServer((200, pieces)) as stub:
        status, newest = answer_of(stub.url, 0)
    assert newest.texts == ["Hello"]
    assert '<details class="thoughts">' in status
    assert "A greeting &lt;b&gt;." in status


def test_a_servers_own_sentence_is_folded_behind_ours():
    with StubServer((429, fault("insufficient_quota", "Pay <now> for sk-abcdefghij"))) as stub:
        status, _ = answer_of(stub.url, 0)
    assert "Pay &lt;now&gt; for •••" in status


def test_at_zero_no_server_is_asked_for_probabilities():
    with StubServer((200, WITHOUT_ODDS + END)) as stub:
        status, _ = answer_of(stub.url, 0)
    assert "logprobs" not in stub.bodies[0]
    assert "how likely its tokens were" not in status


# ---------------------------------------------------------------- another token, of a server


def odds_in(view: str) -> list[dict]:
    """What each token of a view brings for lens.js."""
    return [json.loads(html.unescape(one)) for one in re.findall(r'data-odds="([^"]*)"', view)]


def branch(url: str, newest: Answers, at: str, *server: str):
    """The panel's updates while an answer goes on from another token."""
    event = SimpleNamespace(at=at)
    handler = token_odds.answer(page(url), token_odds.branch_job)
    return handler(VISITOR, event, [newest], 0, *server)


def last_branch(url: str, newest: Answers, at: str, *server: str) -> list:
    """The panel's last update after going on from another token."""
    view = [None] * 4
    server = server or ("", "sk-a")
    for update in branch(url, newest, at, *server):
        view = [b if a == gr.skip() else a for a, b in zip(update, view, strict=True)]
    return view


def test_a_servers_answer_goes_on_from_another_token_by_its_text():
    more = [chunk(" now", logprobs=[logprob(" now", 0.9)]), *END]
    with StubServer((200, WITH_ODDS + END), (200, more)) as stub:
        _, newest = answer_of(stub.url, 6)
        _, _, view, status = last_branch(stub.url, newest, "0:1:1")
    assert stub.bodies[1]["messages"][-1] == {"role": "assistant", "content": "HelBye"}
    assert stub.keys == ["Bearer sk-a"] * 2
    old, new = newest.samples
    assert (old.text, new.text) == ("Hello", "HelBye now")
    assert [token.text for token in new.tokens] == ["Hel", "Bye", " now"]
    assert "another token at place 2" in view
    assert "some begin anew" in status  # not every server goes on from a text
    assert "seed" in status


def test_two_tokens_that_came_at_once_are_parted():
    both = [chunk("Hello", logprobs=[HEL, LO]), *END]
    with StubServer((200, both), (200, WITHOUT_ODDS + END)) as stub:
        _, newest = answer_of(stub.url, 6)
        last_branch(stub.url, newest, "0:1:1")
    assert stub.bodies[1]["messages"][-1]["content"] == "HelBye"


def test_where_text_does_not_say_enough_no_going_on_is_offered():
    half = [chunk("", logprobs=[logprob("⟨ed 95⟩", 0.5, "Bye")]), chunk("한")]
    unlike = [chunk("Hel", logprobs=[logprob("Bye", 0.5, "Hel")])]
    with StubServer((200, WITH_ODDS + END), (200, half + END), (200, unlike + END)) as stub:
        result = [answer_of(stub.url, 6)[1] for _ in range(3)]
        assert result[0].branch_choices(0, 1) == [
            True,
            True,
            False,
            False,
        ]  # half a letter; nothing
        assert [one.branch_choices(0, 0) for one in result[1:]] == [[False] * 2] * 2
        assert "no answer to look into" in last_branch(stub.url, result[0], "0:1:2")[3]
        rows = odds_in(answers_view(result[0]))[1]["rows"]
        assert [may for *_, may in rows] == [True, True, False, False]
    assert len(stub.bodies) == 3


def test_a_key_never_goes_to_another_server_than_its_own():
    with StubServer((200, WITH_ODDS + END)) as stub, StubServer((200, WITHOUT_ODDS + END)) as other:
        _, newest = answer_of(stub.url, 6)
        view = last_branch(stub.url, newest, "0:1:1", other.url, "sk-for-the-other")
        assert "another server" in view[3]
        assert (len(stub.bodies), len(other.bodies)) == (1, 0)
    assert len(newest.samples) == 1


def test_a_branch_that_breaks_off_stays_as_far_as_it_came():
    with StubServer((200, WITH_ODDS + END), (200, WITH_ODDS[1:])) as stub:
        _, newest = answer_of(stub.url, 6)
        updates = branch(stub.url, newest, "0:1:1", "", "sk-a")
        *_, view = updates
    assert "It broke off here" in view[3]
    assert "broke off before the answer was whole" in view[3]
    assert newest.samples[1].text == "HelByelo"


# ---------------------------------------------------------------- two at once in one model


def ask(text: str, earlier: tuple[str, ...], seed: int) -> ChatRequest:
    turns = [
        {"role": ("user", "assistant")[k % 2], "content": words}
        for k, words in enumerate((*earlier, text))
    ]
    return ChatRequest.of(messages=turns, seed=seed, temperature=1.2, max_new_tokens=16)


def words_of(events) -> list[str]:
    """The text of each of two jobs."""
    texts = ["", ""]
    for number, event in events:
        assert not isinstance(event, Exception), event
        texts[number] += event.text if isinstance(event, TextDelta) else ""
    return texts


def test_two_at_once_say_what_each_says_alone_without_a_kv_cache():
    earlier = ("Hi there! How are you today?", "I am well, thank you.")
    pairs = [
        (ask("What is your name?", earlier, seed), ask("I had a bad day.", earlier, seed))
        for seed in range(2)
    ]
    pairs += [(ask("Tell me a joke.", earlier, 9), ask("Tell me a joke.", earlier, 9))]
    spec = replace(STARTER, concurrency=2)
    with closing(ModelCache(Settings(GENLAB_DEVICE="cpu"))) as cache:
        alone = []
        for one in (one for pair in pairs for one in pair):
            alone.append(words_of((0, event) for event in run(cache, spec, one))[0])
            cache.unload("chat", spec.id)  # its KV cache goes with it
        for _ in range(2):  # the second time with a full KV cache
            texts = [words_of(together(cache, [(spec, one) for one in pair])) for pair in pairs]
            assert [text for pair in texts for text in pair] == alone
    assert len(set(alone)) > 3
