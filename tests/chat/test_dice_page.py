"""The dice panels: what is remembered, shown and done, with the starter behind the handlers."""

import subprocess
import sys
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from models.chat import next_token_recipe as recipe
from models.chat.distribution import chances
from models.chat.events import Alternative, ChatDone, NextToken, TextDelta, Token
from models.chat.requests import ChatRequest
from models.contract import Placement
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.settings import ROOT, Settings
from models.tasks import CHAT
from tabs.chat.controls import Dials
from tabs.chat.facts import note
from tabs.chat.token_odds import answers as dice_answers
from tabs.chat.token_odds import next_token as dice_next
from tabs.chat.token_odds.record import MOST_ANSWERS, Answers, Sample, companions, remembered
from tabs.chat.token_odds.view import FORK, answers_view, details, percent, strip, visible
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


def sample(*tokens: Token) -> Sample:
    return Sample([TextDelta(one.text, 0, (one,)) for one in tokens])


def ask(**options) -> ChatRequest:
    turns = [{"role": "user", "content": "Hi there! How are you today?"}]
    usual = {"seed": 5, "alternatives": 6, "max_new_tokens": 24, "temperature": 1.2}
    return ChatRequest.of(messages=turns, **(usual | options))


def answered(context, request: ChatRequest) -> Answers:
    answers = Answers.to(STARTER, request)
    for event in run(context.cache, STARTER, request):
        answers.take(event)
    return answers


# ---------------------------------------------------------------- what is remembered


def test_a_key_is_not_remembered_and_a_drawn_seed_is(context):
    answers = answered(context, ask(seed=-1, api_key="secret"))
    assert answers.ask.api_key is None
    assert answers.ask.seed >= 0
    assert "secret" not in repr(answers)


def test_the_tokens_of_an_answer_make_its_text(context):
    answers = answered(context, ask())
    (one,) = answers.samples
    said = [token.text for token in one.tokens]
    assert "".join(said).removesuffix("<|end|>") == one.text


def test_only_so_many_answers_are_remembered():
    answers: list[Answers] = []
    for _ in range(MOST_ANSWERS + 3):
        answers = remembered(answers, Answers.to(STARTER, ask()))
    assert len(answers) == MOST_ANSWERS
    assert remembered(answers, answers[-1]) is answers
    assert remembered(answers, None) is answers


def test_where_answers_part_is_found():
    a, b, c = token(1, "a"), token(2, "b"), token(3, "c")
    three = [sample(a, b, c), sample(a, b, a), sample(a, c)]
    assert companions(three) == [[2, 1, 0], [2, 1, 0], [2, 0]]
    answers = Answers(STARTER, ask(), three)
    view = answers_view(answers)
    assert view.count(FORK) == 5 + 1  # five places, and one in the legend


def test_a_branch_keeps_what_was_before_and_has_the_other_token():
    answers = Answers(STARTER, ask(), [sample(token(1, "a"), token(2, "b"), token(3, "c"))])
    new = answers.branch(0, 1, answers.samples[0].tokens[1].alternatives[1])
    assert [one.id for one in new.tokens] == [1, 99]
    assert new.text == "aother"
    assert new.branch == (0, 1)
    assert [one.id for one in answers.samples[0].tokens] == [1, 2, 3]


def test_another_byte_makes_another_letter():
    pair = (token(1, "⟨ed 95⟩"), token(2, "⟨9c⟩"))
    answers = Answers(STARTER, ask(), [Sample([TextDelta("한", 0, pair)])])
    assert answers.branch(0, 1, Alternative("⟨9d⟩", 3)).text == "핝"
    assert answers.branch(0, 0, Alternative("⟨ed 96⟩", 4)).text == ""  # its rest is yet to come


# ---------------------------------------------------------------- what is shown


def test_nothing_of_a_token_becomes_markup():
    bad = token(1, "<img src=x onerror=alert(1)>")
    shown = answers_view(Answers(STARTER, ask(), [sample(bad)])) + details(bad, "0:0", [True, True])
    assert "<img" not in shown
    assert visible(" a\n") == "<i>·</i>a<i>↵</i>"


def test_the_bytes_of_a_letter_stand_over_it():
    pair = (token(1, "⟨ed 95⟩"), token(2, "⟨9c⟩"))
    view = answers_view(Answers(STARTER, ask(), [Sample([TextDelta("한", 0, pair)])]))
    assert view.index("⟨ed 95⟩") < view.index("⟨9c⟩") < view.index('<span class="whole">한</span>')


def test_an_answer_without_probabilities_says_so():
    view = answers_view(Answers(STARTER, ask(), [Sample([TextDelta("Hello")])]))
    assert "no probabilities" in view


def test_small_probabilities_are_told_from_none():
    assert [percent(p) for p in (0, 1e-9, 0.12345)] == ["0 %", "< 0.01 %", "12.35 %"]


# ---------------------------------------------------------------- what is left out


def test_messages_that_the_template_leaves_out_are_told_and_quoted(context):
    """The starter's own template shows it the newest seven messages."""
    turns = [{"role": ("user", "assistant")[k % 2], "content": f"say {k}"} for k in range(9)]
    request = ChatRequest.of(messages=turns, max_new_tokens=1, seed=1)
    done = next(e for e in run(context.cache, STARTER, request) if isinstance(e, ChatDone))
    assert done.notes == ("turns_left_out:2",)
    said = note(done.notes[0], request)
    assert "the oldest 2 messages" in said
    assert "up to “say 1”" in said
    seven = ChatRequest.of(messages=turns[2:], max_new_tokens=1, seed=1)
    alone = next(e for e in run(context.cache, STARTER, seven) if isinstance(e, ChatDone))
    assert (alone.notes, alone.prompt_tokens) == ((), done.prompt_tokens)


# ---------------------------------------------------------------- what is done


def test_going_on_from_another_token_shows_a_new_answer_and_keeps_the_old(context):
    answers = [answered(context, ask())]
    old = list(answers[0].samples[0].tokens)
    other = next(k for k, one in enumerate(old[0].alternatives) if one.id != old[0].id)
    *_, last = dice_answers._branched(context, VISITOR, answers, 0, f"0:0:{other}", "", "")
    first, second = last[0][0].samples
    assert first.tokens == old
    assert second.tokens[0].id == old[0].alternatives[other].id
    assert len(second.tokens) > 1
    assert "another token at place 1" in last[2]


def test_asking_again_makes_so_many_answers(context):
    answers = [answered(context, ask())]
    values = {"model": STARTER.id, "temperature": 2.0, "max_new_tokens": 16, "seed": 3}
    values |= {"alternatives": 0, "num_return_sequences": 1}
    values = [values.get(name) for name in Dials._fields]
    *_, last = dice_answers._asked_again(context, VISITOR, answers, 0, 4, values)
    assert len(last[0]) == 2
    texts = [one.text for one in last[0][1].samples]
    assert len(texts) == 4
    assert len(set(texts)) > 1
    assert all(one.tokens for one in last[0][1].samples)


@pytest.mark.parametrize("at", ["0:99:0", "9:0:0", "0:0:99", "0:0", "x:y:z", None, "-1:0:0"])
def test_a_place_that_is_not_there_is_told(context, at):
    answers = [answered(context, ask())]
    with pytest.raises(gr.Error, match="no answer to look into"):
        list(dice_answers._branched(context, VISITOR, answers, 0, at, "", ""))
    assert len(answers[0].samples) == 1


SHAPE = (0.8, 0.95, 0)


def written(context, text: str, **values) -> dice_next.Writing:
    spec, request = dice_next.asked(context, STARTER.id, {"text": text, **values})
    *_, last = dice_next._predicted(context, VISITOR, dice_next.Writing(spec, request), SHAPE)
    return last[0]


def test_a_sentence_is_written_draw_by_draw(context):
    writing = written(context, "Hi there! How are you today?", as_message=True)
    for drawn in range(1, 100):
        *_, last = dice_next._drawn(context, VISITOR, writing, None, SHAPE)
        writing = last[0]
        assert len(writing.ask.ids) == drawn
        assert "🎲" in last[3]
        if writing.over:
            break
    assert writing.over
    assert "whole" in last[1]
    with pytest.raises(gr.Error, match="An end token"):
        list(dice_next._drawn(context, VISITOR, writing, None, SHAPE))


def test_the_dials_bend_the_bars_without_the_model(context):
    writing = written(context, "Hello", as_message=True)
    context.cache.unload("chat", STARTER.id)
    cold, _ = dice_next._bent(writing, 0.1, 1.0, 0)
    hot, code = dice_next._bent(writing, 2.0, 1.0, 0)
    assert cold != hot
    assert "scores = logits / 2.0" in code
    assert context.cache.status() == []


def test_a_token_is_taken_by_hand(context):
    writing = written(context, "Hello", as_message=True)
    id_ = writing.event.likeliest[3].id
    *_, last = dice_next._drawn(context, VISITOR, writing, str(id_), SHAPE)
    assert last[0].ask.ids == (id_,)
    assert "by hand" in last[3]
    with pytest.raises(gr.Error, match="Predict the next token first"):
        list(dice_next._drawn(context, VISITOR, writing, "999999", SHAPE))


def test_a_model_behind_a_server_is_refused_with_the_reason(context):
    with pytest.raises(Exception, match="refused_logits"):
        dice_next.asked(context, "openai", {"text": "Hello"})


def test_the_strip_is_as_wide_as_the_tokens_are_likely():
    pieces = (Alternative("a", 0), Alternative("b", 1))
    event = NextToken((), np.log([0.75, 0.25]).astype(np.float32), pieces)
    shown = strip(event, chances(event.logits), 0.8, pieces[1])
    assert "width:75.000%" in shown
    assert "left:80.00%" in shown
    assert "0.8000" in shown


def test_the_recipe_prints_the_same_probabilities(context):
    for values, dials in (
        ({"text": "Hello", "as_message": True, "system_prompt": "Be kind."}, (0.7, 0.9, 20)),
        ({"text": "안녕", "ids": (300, 301)}, (1.0, 1.0, 0)),
        ({"text": "Hello"}, (0, 1.0, 0)),
    ):
        spec, request = dice_next.asked(context, STARTER.id, values)
        event = next(e for e in run(context.cache, spec, request) if isinstance(e, NextToken))
        script = recipe.python(spec, request, Placement("cpu", "float32", "", 1), *dials)
        found = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, text=True
        )
        rows = [line.split()[:3] for line in found.stdout.splitlines()[1:]]
        shares, raw = chances(event.logits, *dials), chances(event.logits)
        assert [int(row[0]) for row in rows] == [piece.id for piece in event.likeliest]
        for id_, raw_, share in rows:
            assert float(raw_[:-1]) / 100 == pytest.approx(raw[int(id_)], abs=1e-5)
            assert float(share[:-1]) / 100 == pytest.approx(shares[int(id_)], abs=1e-5)
