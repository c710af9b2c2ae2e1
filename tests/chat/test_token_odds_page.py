"""The panels of token odds: what they store, show and do, with the starter behind the handlers."""

import subprocess
import sys
import time
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from models.chat.events import Alternative, ChatDone, NextToken, Note, TextDelta, Token
from models.chat.recipe import next_token_python
from models.chat.requests import ChatRequest
from models.chat.token_odds import probabilities
from models.contract import Placement
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.settings import ROOT, Settings
from models.tasks import CHAT
from tabs.chat import pieces, token_odds
from tabs.chat.answers import (
    MAX_ANSWERS,
    Answers,
    AnswerSample,
    RecordedExample,
    common_prefixes,
    note_html,
    with_newest,
)
from tabs.chat.controls import DialComponents
from tabs.chat.token_odds import next_token
from tabs.chat.token_odds.view import FORK, answers_view, percent, strip, visible
from tabs.shared.context import Context

STARTER = find(CHAT, "genlab/small-talk")
VISITOR = SimpleNamespace(query_params={}, headers={})


@pytest.fixture(scope="module")
def context():
    cache = ModelCache(Settings(GENLAB_DEVICE="cpu"))
    yield Context(cache.settings, cache)
    cache.close()


def token(id_: int, text: str, chance: float = 0.5) -> Token:
    others = (Alternative(text, id_, chance, chance), Alternative("other", 99, 0.2, 0.1))
    return Token(text, id_, chance, chance, 1.0, others)


def sample(*tokens: Token) -> AnswerSample:
    return AnswerSample([TextDelta(one.text, 0, (one,)) for one in tokens])


def ask(**options) -> ChatRequest:
    turns = [{"role": "user", "content": "Hi there! How are you today?"}]
    usual = {"seed": 5, "alternatives": 6, "max_new_tokens": 24, "temperature": 1.2}
    return ChatRequest.of(messages=turns, **(usual | options))


def answers_of(context, request: ChatRequest) -> Answers:
    answers = Answers.to(STARTER, request)
    for event in run(context.cache, STARTER, request):
        answers.add(event)
    return answers


def test_leaving_while_a_vocabulary_is_read_waits_for_nothing(context, monkeypatch, tmp_path):
    monkeypatch.setattr(pieces, "_light", lambda *_: False)
    monkeypatch.setattr(pieces, "_other_tokenizers", lambda _: [(STARTER, tmp_path)])
    monkeypatch.setattr(pieces, "pieces_of_texts", lambda *_: time.sleep(3))
    frames = pieces._compare(context, "a", "가")
    next(frames)
    start = time.monotonic()
    frames.close()
    assert time.monotonic() - start < 1


# ---------------------------------------------------------------- what is stored


def test_a_key_is_not_stored_and_the_seed_is(context):
    answers = answers_of(context, ask(seed=-1, api_key="secret"))
    assert answers.request.api_key is None
    assert answers.request.seed >= 0
    assert "secret" not in repr(answers)


def test_the_tokens_of_an_answer_make_its_text(context):
    answers = answers_of(context, ask())
    (one,) = answers.samples
    texts = [token.text for token in one.tokens]
    assert "".join(texts).removesuffix("<|end|>") == one.text


def test_only_so_many_answers_are_stored():
    answers: list[Answers] = []
    for _ in range(MAX_ANSWERS + 3):
        answers = with_newest(answers, Answers.to(STARTER, ask()))
    assert len(answers) == MAX_ANSWERS
    assert with_newest(answers, answers[-1]) is answers
    assert with_newest(answers, None) is answers


def test_where_answers_differ_is_found():
    a, b, c = token(1, "a"), token(2, "b"), token(3, "c")
    three = [sample(a, b, c), sample(a, b, a), sample(a, c)]
    assert common_prefixes(three) == [[2, 1, 0], [2, 1, 0], [2, 0]]
    answers = Answers(STARTER, ask(), three)
    view = answers_view(answers)
    assert view.count(FORK) == 5 + 2  # five places, and one in the legend of each language


def test_a_branch_keeps_what_was_before_and_has_the_other_token():
    answers = Answers(STARTER, ask(), [sample(token(1, "a"), token(2, "b"), token(3, "c"))])
    new = answers.branch(0, 1, answers.samples[0].tokens[1].alternatives[1])
    assert [one.id for one in new.tokens] == [1, 99]
    assert new.text == "aother"
    assert new.origin == (0, 1)
    assert [one.id for one in answers.samples[0].tokens] == [1, 2, 3]


def test_another_byte_makes_another_letter():
    pair = (token(1, "⟨ed 95⟩"), token(2, "⟨9c⟩"))
    answers = Answers(STARTER, ask(), [AnswerSample([TextDelta("한", 0, pair)])])
    assert answers.branch(0, 1, Alternative("⟨9d⟩", 3)).text == "핝"
    assert answers.branch(0, 0, Alternative("⟨ed 96⟩", 4)).text == ""  # its rest is yet to come


# ---------------------------------------------------------------- what is shown


def test_nothing_of_a_token_becomes_markup():
    bad = token(1, "<img src=x onerror=alert(1)>")
    view = answers_view(Answers(STARTER, ask(), [sample(bad)]))
    assert "<img" not in view
    assert 'data-odds="{&quot;rows&quot;' in view
    assert visible(" a\n") == "<i>·</i>a<i>↵</i>"


def test_the_bytes_of_a_letter_stand_over_it():
    pair = (token(1, "⟨ed 95⟩"), token(2, "⟨9c⟩"))
    view = answers_view(Answers(STARTER, ask(), [AnswerSample([TextDelta("한", 0, pair)])]))
    assert view.index("⟨ed 95⟩") < view.index("⟨9c⟩") < view.index('<span class="whole">한</span>')


def test_an_answer_without_probabilities_says_so():
    view = answers_view(Answers(STARTER, ask(), [AnswerSample([TextDelta("Hello")])]))
    assert "no probabilities" in view


def test_small_probabilities_look_different_from_none():
    assert [percent(p) for p in (0, 1e-9, 0.12345)] == ["0%", "< 0.01%", "12.35%"]


# ---------------------------------------------------------------- what is left out


def test_messages_that_the_template_leaves_out_are_noted_and_quoted(context):
    """The starter's own template shows it the newest seven messages."""
    turns = [{"role": ("user", "assistant")[k % 2], "content": f"say {k}"} for k in range(9)]
    request = ChatRequest.of(messages=turns, max_new_tokens=1, seed=1)
    end = next(e for e in run(context.cache, STARTER, request) if isinstance(e, ChatDone))
    assert end.notes == (Note("turns_left_out", 2),)
    html = note_html(end.notes[0], request)
    assert "the oldest 2 messages" in html
    assert "up to “say 1”" in html
    seven = ChatRequest.of(messages=turns[2:], max_new_tokens=1, seed=1)
    alone = next(e for e in run(context.cache, STARTER, seven) if isinstance(e, ChatDone))
    assert (alone.notes, alone.prompt_tokens) == ((), end.prompt_tokens)


# ---------------------------------------------------------------- what is done


def branch(context, answers: list[Answers], at):
    """The panel's updates while an answer goes on from another token."""
    handler = token_odds.answer(context, token_odds.branch_job)
    return handler(VISITOR, SimpleNamespace(at=at), answers, 0 if answers else None, "", "")


def test_going_on_from_another_token_shows_a_new_answer_and_keeps_the_old(context):
    answers = [answers_of(context, ask())]
    old = list(answers[0].samples[0].tokens)
    other = next(k for k, one in enumerate(old[0].alternatives) if one.id != old[0].id)
    *_, last = branch(context, answers, f"0:0:{other}")
    first, second = last[0][0].samples
    assert first.tokens == old
    assert second.tokens[0].id == old[0].alternatives[other].id
    assert len(second.tokens) > 1
    assert "another token at place 1" in last[2]


def test_asking_again_makes_so_many_answers(context):
    answers = [answers_of(context, ask())]
    values = {"model": STARTER.id, "temperature": 2.0, "max_new_tokens": 16, "seed": 3}
    values |= {"alternatives": 0, "num_return_sequences": 1}
    values = [values.get(name) for name in DialComponents._fields]
    handler = token_odds.answer(context, token_odds.repeat_job)
    *_, last = handler(VISITOR, None, answers, 0, 4, *values)
    assert len(last[0]) == 2
    texts = [one.text for one in last[0][1].samples]
    assert len(texts) == 4
    assert len(set(texts)) > 1
    assert all(one.tokens for one in last[0][1].samples)


@pytest.mark.parametrize("at", ["0:99:0", "9:0:0", "0:0:99", "0:0", "x:y:z", None, "-1:0:0"])
def test_a_place_that_is_not_there_is_an_error(context, at):
    answers = [answers_of(context, ask())]
    (only,) = branch(context, answers, at)
    assert only[:3] == (gr.skip(),) * 3
    assert "no answer to look into" in only[3]
    assert len(answers[0].samples) == 1


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_recorded_example_goes_on_for_real(context, language):
    *_, last = branch(context, [], f"{language}:0:0:1")
    (answers,) = last[0]
    first, second = answers.samples
    assert first.text == RecordedExample.read(language).text
    assert second.tokens[0].id == first.tokens[0].alternatives[1].id
    assert len(second.tokens) > 1


def test_before_the_first_message_the_example_can_be_repeated(context):
    values = {"model": STARTER.id, "alternatives": 4, "seed": 1}
    values = [values.get(name) for name in DialComponents._fields]
    handler = token_odds.answer(context, token_odds.repeat_job)
    *_, last = handler(VISITOR, None, [], None, 3, *values)
    assert [answers.message for answers in last[0]] == [
        RecordedExample.read("en").request.messages[0].content
    ]
    assert len(last[0][0].samples) == 3


def test_a_job_that_gets_no_answer_leaves_the_old_one_and_says_why(context):
    old = answers_of(context, ask())
    values = {"model": "no/such-model-at-all", "alternatives": 4}
    values = [values.get(name) for name in DialComponents._fields]
    handler = token_odds.answer(context, token_odds.repeat_job)
    *_, last = handler(VISITOR, None, [old], 0, 2, *values)
    assert last[0] == [old]
    assert last[2] == answers_view(old)
    assert 'role="alert"' in last[3]


SAMPLING = (0.8, 0.95, 0)


def draft_of(context, text: str, as_message: bool = True) -> next_token.Draft:
    handler = next_token.predict(context, next_token.start_draft)
    *_, last = handler(None, text, as_message, STARTER.id, "", *SAMPLING)
    return last[0]


def draw(context, draft: next_token.Draft, at: str | None = None):
    """The panel's updates while a random token, or the one that was clicked, is added."""
    step = next_token.sample_token if at is None else next_token.take_token
    return next_token.predict(context, step)(SimpleNamespace(at=at), draft, *SAMPLING)


def test_a_sentence_grows_draw_by_draw(context):
    draft = draft_of(context, "Hi there! How are you today?", as_message=True)
    for count in range(1, 100):
        *_, last = draw(context, draft)
        draft = last[0]
        assert len(draft.request.ids) == count
        assert "🎲" in last[3]
        if draft.complete:
            break
    assert draft.complete
    assert "whole" in last[1]
    *_, last = draw(context, draft)
    assert "An end token" in last[1]
    assert last[0] == gr.skip()


def test_the_dials_bend_the_bars_without_the_model(context):
    draft = draft_of(context, "Hello", as_message=True)
    context.cache.unload("chat", STARTER.id)
    cold, _ = next_token.bars_and_code(draft, 0.1, 1.0, 0)
    hot, code = next_token.bars_and_code(draft, 2.0, 1.0, 0)
    assert cold != hot
    assert "scores = logits / 2.0" in code
    assert context.cache.status() == []


def test_a_token_by_hand(context):
    draft = draft_of(context, "Hello", as_message=True)
    id_ = draft.prediction.likeliest[3].id
    *_, last = draw(context, draft, str(id_))
    assert last[0].request.ids == (id_,)
    assert "by hand" in last[3]
    *_, last = draw(context, draft, "999999")
    assert "Predict the next token first" in last[1]


def test_a_model_behind_a_server_is_refused_with_the_reason(context):
    with pytest.raises(Exception, match="refused_logits"):
        next_token.next_token_request(context, "openai", {"text": "Hello"})


def test_the_strip_is_as_wide_as_the_tokens_are_likely():
    pieces = (Alternative("a", 0), Alternative("b", 1))
    event = NextToken((), np.log([0.75, 0.25]).astype(np.float32), pieces)
    view = strip(event, probabilities(event.logits), 0.8, pieces[1])
    assert "width:75.000%" in view
    assert "left:80.00%" in view
    assert "0.8000" in view


def test_the_recipe_prints_the_same_probabilities(context):
    for values, dials in (
        ({"text": "Hello", "as_message": True, "system_prompt": "Be kind."}, (0.7, 0.9, 20)),
        ({"text": "안녕", "ids": (300, 301)}, (1.0, 1.0, 0)),
        ({"text": "Hello"}, (0, 1.0, 0)),
    ):
        spec, request = next_token.next_token_request(context, STARTER.id, values)
        event = next(e for e in run(context.cache, spec, request) if isinstance(e, NextToken))
        script = next_token_python(spec, request, Placement("cpu", "float32", "", 1), *dials)
        output = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, text=True
        )
        rows = [line.split()[:3] for line in output.stdout.splitlines()[1:]]
        distribution, raw = probabilities(event.logits, *dials), probabilities(event.logits)
        assert [int(row[0]) for row in rows] == [piece.id for piece in event.likeliest]
        for id_, raw_, share in rows:
            assert float(raw_[:-1]) / 100 == pytest.approx(raw[int(id_)], abs=1e-5)
            assert float(share[:-1]) / 100 == pytest.approx(distribution[int(id_)], abs=1e-5)
