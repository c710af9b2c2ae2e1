"""The dice: what the events tell of a draw is what the model computed and what was drawn from."""

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from models.chat.decoding import TextOf
from models.chat.distribution import chances, entropy, thrown
from models.chat.events import ChatDone, NextToken, TextDelta
from models.chat.requests import ChatRequest, NextTokenRequest
from models.chat.token_text import pieces, shown
from models.errors import InvalidInput
from models.runtime.jobs import run
from tests import tiny
from tests.chatting import own_starters, spec

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with own_starters(tmp_path_factory.mktemp("run")) as (folder, cache):
        tiny.llama(folder / "llama")
        tiny.gpt2(folder / "gpt2")
        yield folder, cache


@pytest.fixture
def folder(page):
    return page[0]


@pytest.fixture
def cache(page):
    return page[1]


def ask(message: str = "Hello", **options) -> ChatRequest:
    turns = [{"role": "user", "content": message}]
    usual = {"seed": 7, "max_new_tokens": 24, "alternatives": 5}
    return ChatRequest.of(messages=turns, **(usual | options))


def told(cache, request, name="llama"):
    """The deltas of each sample, and the end."""
    deltas = [[] for _ in range(request.num_return_sequences)]
    done = None
    for event in run(cache, spec(name), request):
        if isinstance(event, TextDelta):
            deltas[event.index].append(event)
        elif isinstance(event, ChatDone):
            done = event
    return deltas, done


def tokens_of(deltas):
    return [token for delta in deltas for token in delta.tokens]


def text_of(deltas):
    return "".join(delta.text for delta in deltas)


def next_token(cache, request, name="llama"):
    return next(e for e in run(cache, spec(name), request) if isinstance(e, NextToken))


def logits_of(folder, ids: list[int]) -> torch.Tensor:
    """Of every place, by transformers alone: (tokens, vocabulary)."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.inference_mode():
        return model(torch.tensor([ids])).logits[0].float()


def warped(logits: torch.Tensor, temperature: float, top_p: float, top_k: int) -> np.ndarray:
    """By transformers' own warpers."""
    warpers = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    if top_k:
        warpers.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        warpers.append(TopPLogitsWarper(top_p))
    return torch.softmax(warpers(None, logits[None].double()), -1)[0].numpy()


# ---------------------------------------------------------------- exact


@pytest.mark.parametrize(("temperature", "top_p", "top_k"), [(0.9, 0.8, 0), (1.3, 1.0, 12)])
def test_the_shown_distribution_is_softmax_of_the_logits(cache, folder, temperature, top_p, top_k):
    shape = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    (deltas,), _ = told(cache, ask(**shape))
    drawn = tokens_of(deltas)
    tokenizer = AutoTokenizer.from_pretrained(folder / "llama")
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], add_generation_prompt=True
    )["input_ids"]
    logits = logits_of(folder / "llama", [*asked, *(token.id for token in drawn)])
    assert len(drawn) == 24
    for at, token in enumerate(drawn, len(asked) - 1):
        raw = torch.softmax(logits[at].double(), -1).numpy()
        shares = warped(logits[at], **shape)
        assert token.raw == pytest.approx(raw[token.id], abs=1e-5)
        assert token.chance == pytest.approx(shares[token.id], abs=1e-5)
        assert token.entropy == pytest.approx(entropy(shares), abs=1e-4)
        assert [one.id for one in token.alternatives] == list(np.argsort(-raw)[:5])
        for one in token.alternatives:
            assert one.raw == pytest.approx(raw[one.id], abs=1e-5)
            assert one.chance == pytest.approx(shares[one.id], abs=1e-5)


def test_the_token_follows_from_the_distribution_and_the_seed(cache, folder):
    shape = {"temperature": 0.9, "top_p": 0.9, "top_k": 0}
    (deltas,), _ = told(cache, ask(**shape))
    tokenizer = AutoTokenizer.from_pretrained(folder / "llama")
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], add_generation_prompt=True
    )["input_ids"]
    ids = [token.id for token in tokens_of(deltas)]
    logits = logits_of(folder / "llama", [*asked, *ids])
    dice = torch.Generator().manual_seed(7)
    for at, drawn in enumerate(ids, len(asked) - 1):
        shares = torch.tensor(warped(logits[at], **shape), dtype=torch.float32)
        assert torch.multinomial(shares, 1, generator=dice).item() == drawn


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.0, 1.9])
@pytest.mark.parametrize(("top_p", "top_k"), [(1.0, 0), (0.9, 0), (1.0, 5), (0.5, 7), (0.05, 1)])
def test_chances_are_those_of_transformers_warpers(temperature, top_p, top_k):
    logits = torch.randn(300, generator=torch.Generator().manual_seed(1)) * 3
    ours = chances(logits.numpy(), temperature, top_p, top_k)
    assert np.abs(ours - warped(logits, temperature, top_p, top_k)).max() < 1e-9
    assert ours.sum() == pytest.approx(1)


def test_temperature_0_gives_all_to_the_likeliest(cache):
    (deltas,), _ = told(cache, ask(temperature=0))
    for token in tokens_of(deltas):
        assert (token.chance, token.entropy) == (1.0, 0.0)
        assert token.id == token.alternatives[0].id
    assert chances(np.array([1.0, 3.0, 2.0]), 0).tolist() == [0, 1, 0]


def test_entropy_grows_with_temperature(cache):
    logits = next_token(cache, NextTokenRequest.of(text="Hello", as_message=True)).logits
    bits = [entropy(chances(logits, t)) for t in (0, 0.2, 0.5, 0.8, 1, 1.5, 2)]
    assert bits == sorted(bits)
    assert bits[0] == 0
    assert bits[-1] < np.log2(len(logits)) + 1e-9
    first = [tokens_of(told(cache, ask(temperature=t, top_p=1))[0][0])[0] for t in (0.2, 1, 2)]
    assert first[0].entropy < first[1].entropy < first[2].entropy


# ---------------------------------------------------------------- what is told, and what is not


def test_without_alternatives_nothing_is_told_and_the_text_is_the_same(cache):
    (silent,), _ = told(cache, ask(alternatives=0))
    (loud,), _ = told(cache, ask())
    assert tokens_of(silent) == []
    assert text_of(silent) == text_of(loud)


def test_the_tokens_of_a_letter_come_with_the_letter():
    tokenizer = tiny.byte_tokenizer()
    texts = [piece.text for piece in pieces(tokenizer, tokenizer("a한 <end>").input_ids)]
    assert texts == ["a", "⟨ed⟩", "⟨95⟩", "⟨9c⟩", " ", "<end>"]
    assert shown("한".encode()[:2] + b"a" + "é".encode()) == "⟨ed 95⟩aé"


def test_a_samples_tokens_are_its_own(cache):
    deltas, done = told(cache, ask(num_return_sequences=3))
    assert sum(len(tokens_of(own)) for own in deltas) == done.completion_tokens
    alone, _ = told(cache, ask(seed=8))
    # The first sample may go on from what is kept, which rounds the last digits otherwise.
    own, lone = tokens_of(deltas[1]), tokens_of(alone[0])
    assert [token.id for token in own] == [token.id for token in lone]
    assert [token.raw for token in own] == pytest.approx([token.raw for token in lone], rel=1e-4)


# ---------------------------------------------------------------- going on from a token


def test_an_answer_goes_on_from_its_own_beginning(cache):
    """At temperature 0 the rest after a beginning is the rest of the whole."""
    (whole,), _ = told(cache, ask(temperature=0))
    ids = [token.id for token in tokens_of(whole)]
    (rest,), done = told(cache, ask(temperature=0, prefix_ids=ids[:9], max_new_tokens=15))
    assert [token.id for token in tokens_of(rest)] == ids[9:]
    assert text_of(whole).endswith(text_of(rest))
    assert done.completion_tokens == 15


def test_another_token_instead_makes_another_answer(cache):
    (whole,), _ = told(cache, ask())
    drawn = tokens_of(whole)
    other = next(one for one in drawn[3].alternatives if one.id != drawn[3].id)
    begun = [*(token.id for token in drawn[:3]), other.id]
    (branch,), _ = told(cache, ask(prefix_ids=begun))
    again, _ = told(cache, ask(prefix_ids=begun))
    assert tokens_of(branch) == tokens_of(again[0])
    assert text_of(branch) != text_of(whole)[-len(text_of(branch)) :]


def test_an_answer_goes_on_from_a_text(cache):
    by_text, _ = told(cache, ask(prefix="한국"))
    ids = tiny.byte_tokenizer()("한국").input_ids
    by_ids, _ = told(cache, ask(prefix_ids=ids))
    one, other = tokens_of(by_text[0]), tokens_of(by_ids[0])
    assert [token.id for token in one] == [token.id for token in other]
    # What was kept of the first is read back in another order of sums.
    assert [t.raw for t in one] == pytest.approx([t.raw for t in other], rel=1e-4)
    assert tokens_of(told(cache, ask())[0][0]) != tokens_of(by_text[0])


def test_a_letter_begun_before_is_told_whole():
    tokenizer = tiny.byte_tokenizer()
    ids = tokenizer("가한").input_ids
    text = TextOf(tokenizer, ids[:4])
    assert [text.add(token) for token in ids[4:]] == ["", "한"]


def test_a_token_the_model_does_not_have_is_refused(cache):
    for request in (ask(prefix_ids=[9999]), NextTokenRequest.of(text="a", ids=[9999])):
        with pytest.raises(InvalidInput) as refused:
            list(run(cache, spec(), request))
        assert refused.value.code == "invalid_token"


# ---------------------------------------------------------------- the next token of any text


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_the_next_token_of_a_text_is_exact(cache, folder, name):
    event = next_token(cache, NextTokenRequest.of(text="Once upon 한", ids=[1, 2]), name)
    ids = [piece.id for piece in event.read]
    assert ids == [*tiny.byte_tokenizer()("Once upon 한").input_ids, 1, 2]
    expected = torch.softmax(logits_of(folder / name, ids)[-1].double(), -1).numpy()
    assert np.abs(chances(event.logits) - expected).max() < 1e-5
    assert len(event.likeliest) == 12
    assert [piece.id for piece in event.likeliest] == list(np.argsort(-expected)[:12])


def test_the_next_token_of_a_message_is_what_the_chat_draws_from(cache):
    event = next_token(
        cache, NextTokenRequest.of(text="Hello", as_message=True, system_prompt="Be kind.")
    )
    (deltas,), _ = told(cache, ask(system_prompt="Be kind.", temperature=0.9, top_p=0.8))
    first = tokens_of(deltas)[0]
    assert chances(event.logits)[first.id] == pytest.approx(first.raw, abs=1e-5)
    assert chances(event.logits, 0.9, 0.8)[first.id] == pytest.approx(first.chance, abs=1e-5)


def test_a_model_without_a_template_says_that_it_continues_a_message(cache):
    event = next_token(cache, NextTokenRequest.of(text="Hi", as_message=True), "gpt2")
    assert event.notes == ("plain_continuation",)


def test_a_text_over_the_window_is_refused(cache):
    with pytest.raises(InvalidInput) as refused:
        next_token(cache, NextTokenRequest.of(text="x" * 300))
    assert refused.value.code == "invalid_over_window"


# ---------------------------------------------------------------- the throw


def test_the_dice_fall_on_a_token_as_often_as_it_is_likely():
    """10,000 throws against the shown distribution: a chi-square test."""
    from scipy.stats import chisquare

    shares = chances(np.random.default_rng(3).normal(size=40) * 2, 0.9, 0.95)
    dice = np.random.default_rng(4).random(10_000)
    counts = np.bincount([thrown(shares, one) for one in dice], minlength=40)
    often = shares * 10_000 >= 5
    assert counts[shares == 0].sum() == 0
    seen = [*counts[often], counts[~often].sum() + 1e-9]
    expected = [*(shares[often] * 10_000), (shares[~often] * 10_000).sum() + 1e-9]
    assert chisquare(seen, expected, sum_check=False).pvalue > 0.001


def test_the_strip_of_the_dice_begins_with_the_likeliest():
    shares = np.array([0.1, 0.6, 0.3])
    assert [thrown(shares, dice) for dice in (0.0, 0.59, 0.6, 0.89, 0.9, 0.9999999)] == [
        1,
        1,
        2,
        2,
        0,
        0,
    ]
