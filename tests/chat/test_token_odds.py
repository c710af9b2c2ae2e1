"""Token odds: the events say what the model computed and what a token was sampled from."""

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

from models.chat.decoding import TextStream
from models.chat.events import ChatDone, NextToken, Note, TextDelta
from models.chat.requests import ChatRequest, NextTokenRequest
from models.chat.token_odds import (
    bytes_of_text,
    entropy,
    join_texts,
    pieces,
    pieces_of_texts,
    probabilities,
    text_of_bytes,
    token_at,
)
from models.errors import InvalidInput
from models.runtime.jobs import run
from models.weights.sources import STARTERS
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


def deltas_of(cache, request, name="llama"):
    """The deltas of each sample, and the end."""
    deltas = [[] for _ in range(request.num_return_sequences)]
    end = None
    for event in run(cache, spec(name), request):
        if isinstance(event, TextDelta):
            deltas[event.index].append(event)
        elif isinstance(event, ChatDone):
            end = event
    return deltas, end


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


def warp(logits: torch.Tensor, temperature: float, top_p: float, top_k: int) -> np.ndarray:
    """By transformers' own warpers."""
    warpers = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    if top_k:
        warpers.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        warpers.append(TopPLogitsWarper(top_p))
    return torch.softmax(warpers(None, logits[None].double()), -1)[0].numpy()


# ---------------------------------------------------------------- exact


@pytest.mark.parametrize(("temperature", "top_p", "top_k"), [(0.9, 0.8, 0), (1.3, 1.0, 12)])
def test_the_distribution_is_softmax_of_the_logits(cache, folder, temperature, top_p, top_k):
    sampling = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    (deltas,), _ = deltas_of(cache, ask(**sampling))
    tokens = tokens_of(deltas)
    tokenizer = AutoTokenizer.from_pretrained(folder / "llama")
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], add_generation_prompt=True
    )["input_ids"]
    logits = logits_of(folder / "llama", [*prompt, *(token.id for token in tokens)])
    assert len(tokens) == 24
    for at, token in enumerate(tokens, len(prompt) - 1):
        raw = torch.softmax(logits[at].double(), -1).numpy()
        distribution = warp(logits[at], **sampling)
        assert token.raw == pytest.approx(raw[token.id], abs=1e-5)
        assert token.chance == pytest.approx(distribution[token.id], abs=1e-5)
        assert token.entropy == pytest.approx(entropy(distribution), abs=1e-4)
        assert [one.id for one in token.alternatives] == list(np.argsort(-raw)[:5])
        for one in token.alternatives:
            assert one.raw == pytest.approx(raw[one.id], abs=1e-5)
            assert one.chance == pytest.approx(distribution[one.id], abs=1e-5)


def test_the_token_follows_from_the_distribution_and_the_seed(cache, folder):
    sampling = {"temperature": 0.9, "top_p": 0.9, "top_k": 0}
    (deltas,), _ = deltas_of(cache, ask(**sampling))
    tokenizer = AutoTokenizer.from_pretrained(folder / "llama")
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], add_generation_prompt=True
    )["input_ids"]
    ids = [token.id for token in tokens_of(deltas)]
    logits = logits_of(folder / "llama", [*prompt, *ids])
    generator = torch.Generator().manual_seed(7)
    for at, tokens in enumerate(ids, len(prompt) - 1):
        distribution = torch.tensor(warp(logits[at], **sampling), dtype=torch.float32)
        assert torch.multinomial(distribution, 1, generator=generator).item() == tokens


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.0, 1.9])
@pytest.mark.parametrize(("top_p", "top_k"), [(1.0, 0), (0.9, 0), (1.0, 5), (0.5, 7), (0.05, 1)])
def test_probabilities_are_those_of_transformers_warpers(temperature, top_p, top_k):
    logits = torch.randn(300, generator=torch.Generator().manual_seed(1)) * 3
    ours = probabilities(logits.numpy(), temperature, top_p, top_k)
    assert np.abs(ours - warp(logits, temperature, top_p, top_k)).max() < 1e-9
    assert ours.sum() == pytest.approx(1)


def test_temperature_0_gives_all_to_the_likeliest(cache):
    (deltas,), _ = deltas_of(cache, ask(temperature=0))
    for token in tokens_of(deltas):
        assert (token.chance, token.entropy) == (1.0, 0.0)
        assert token.id == token.alternatives[0].id
    assert probabilities(np.array([1.0, 3.0, 2.0]), 0).tolist() == [0, 1, 0]


def test_entropy_grows_with_temperature(cache):
    logits = next_token(cache, NextTokenRequest.of(text="Hello", as_message=True)).logits
    bits = [entropy(probabilities(logits, t)) for t in (0, 0.2, 0.5, 0.8, 1, 1.5, 2)]
    assert bits == sorted(bits)
    assert bits[0] == 0
    assert bits[-1] < np.log2(len(logits)) + 1e-9
    first = [tokens_of(deltas_of(cache, ask(temperature=t, top_p=1))[0][0])[0] for t in (0.2, 1, 2)]
    assert first[0].entropy < first[1].entropy < first[2].entropy


# ---------------------------------------------------------------- which tokens come


def test_without_alternatives_no_tokens_come_and_the_text_is_the_same(cache):
    (silent,), _ = deltas_of(cache, ask(alternatives=0))
    (loud,), _ = deltas_of(cache, ask())
    assert tokens_of(silent) == []
    assert text_of(silent) == text_of(loud)


def test_the_tokens_of_a_letter_come_with_the_letter():
    tokenizer = tiny.byte_tokenizer()
    texts = [piece.text for piece in pieces(tokenizer, tokenizer("a한 <end>").input_ids)]
    assert texts == ["a", "⟨ed⟩", "⟨95⟩", "⟨9c⟩", " ", "<end>"]
    assert text_of_bytes("한".encode()[:2] + b"a" + "é".encode()) == "⟨ed 95⟩aé"


def test_a_tokens_text_says_its_bytes():
    letters = ("한".encode(), "⟨ψ|".encode(), "a⟩ ⟨".encode(), "⟨0⟩⟨".encode())
    for data in (b"a", "한".encode()[:2], b"x\xed\x95y\x8c", *letters):
        assert bytes_of_text(text_of_bytes(data)) == data


def test_a_samples_tokens_are_its_own(cache):
    deltas, end = deltas_of(cache, ask(num_return_sequences=3))
    assert sum(len(tokens_of(own)) for own in deltas) == end.completion_tokens
    alone, _ = deltas_of(cache, ask(seed=8))
    # The first sample may use the KV cache, which rounds the last digits otherwise.
    own, lone = tokens_of(deltas[1]), tokens_of(alone[0])
    assert [token.id for token in own] == [token.id for token in lone]
    assert [token.raw for token in own] == pytest.approx([token.raw for token in lone], rel=1e-4)


# ---------------------------------------------------------------- going on from a token


def test_an_answer_goes_on_from_its_own_beginning(cache):
    """At temperature 0 the rest after a beginning is the rest of the whole."""
    (whole,), _ = deltas_of(cache, ask(temperature=0))
    ids = [token.id for token in tokens_of(whole)]
    (rest,), end = deltas_of(cache, ask(temperature=0, prefix_ids=ids[:9], max_new_tokens=15))
    assert [token.id for token in tokens_of(rest)] == ids[9:]
    assert text_of(whole).endswith(text_of(rest))
    assert end.completion_tokens == 15


def test_another_token_instead_makes_another_answer(cache):
    (whole,), _ = deltas_of(cache, ask())
    tokens = tokens_of(whole)
    other = next(one for one in tokens[3].alternatives if one.id != tokens[3].id)
    prefix = [*(token.id for token in tokens[:3]), other.id]
    (branch,), _ = deltas_of(cache, ask(prefix_ids=prefix))
    again, _ = deltas_of(cache, ask(prefix_ids=prefix))
    assert tokens_of(branch) == tokens_of(again[0])
    assert text_of(branch) != text_of(whole)[-len(text_of(branch)) :]


def test_an_answer_goes_on_from_a_text(cache):
    by_text, _ = deltas_of(cache, ask(prefix="한국"))
    ids = tiny.byte_tokenizer()("한국").input_ids
    by_ids, _ = deltas_of(cache, ask(prefix_ids=ids))
    one, other = tokens_of(by_text[0]), tokens_of(by_ids[0])
    assert [token.id for token in one] == [token.id for token in other]
    # The KV cache of the first is read back in another order of sums.
    assert [t.raw for t in one] == pytest.approx([t.raw for t in other], rel=1e-4)
    assert tokens_of(deltas_of(cache, ask())[0][0]) != tokens_of(by_text[0])


def test_a_letter_whose_first_bytes_were_there_comes_whole():
    tokenizer = tiny.byte_tokenizer()
    ids = tokenizer("가한").input_ids
    text = TextStream(tokenizer, ids[:4])
    assert [text.add(token) for token in ids[4:]] == ["", "한"]


def test_a_token_the_model_does_not_have_is_refused(cache):
    for request in (ask(prefix_ids=[9999]), NextTokenRequest.of(text="a", ids=[9999])):
        with pytest.raises(InvalidInput) as error:
            list(run(cache, spec(), request))
        assert error.value.code == "invalid_token"


# ---------------------------------------------------------------- the next token of any text


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_the_next_token_of_a_text_is_exact(cache, folder, name):
    event = next_token(cache, NextTokenRequest.of(text="Once upon 한", ids=[1, 2]), name)
    ids = [piece.id for piece in event.prompt]
    assert ids == [*tiny.byte_tokenizer()("Once upon 한").input_ids, 1, 2]
    expected = torch.softmax(logits_of(folder / name, ids)[-1].double(), -1).numpy()
    assert np.abs(probabilities(event.logits) - expected).max() < 1e-5
    assert len(event.likeliest) == 12
    assert [piece.id for piece in event.likeliest] == list(np.argsort(-expected)[:12])


def test_the_next_token_of_a_message_is_what_the_chat_draws_from(cache):
    event = next_token(
        cache, NextTokenRequest.of(text="Hello", as_message=True, system_prompt="Be kind.")
    )
    (deltas,), _ = deltas_of(cache, ask(system_prompt="Be kind.", temperature=0.9, top_p=0.8))
    first = tokens_of(deltas)[0]
    assert probabilities(event.logits)[first.id] == pytest.approx(first.raw, abs=1e-5)
    assert probabilities(event.logits, 0.9, 0.8)[first.id] == pytest.approx(first.chance, abs=1e-5)


def test_a_model_without_a_template_says_that_it_continues_a_message(cache):
    event = next_token(cache, NextTokenRequest.of(text="Hi", as_message=True), "gpt2")
    assert event.notes == (Note("plain_continuation"),)


def test_a_text_over_the_window_is_refused(cache):
    with pytest.raises(InvalidInput) as error:
        next_token(cache, NextTokenRequest.of(text="x" * 300))
    assert error.value.code == "invalid_over_window"


# ---------------------------------------------------------------- the random position


def test_a_token_comes_as_often_as_it_is_likely():
    """10,000 random positions against the distribution: a chi-square test."""
    from scipy.stats import chisquare

    distribution = probabilities(np.random.default_rng(3).normal(size=40) * 2, 0.9, 0.95)
    positions = np.random.default_rng(4).random(10_000)
    counts = np.bincount([token_at(distribution, one) for one in positions], minlength=40)
    often = distribution * 10_000 >= 5
    assert counts[distribution == 0].sum() == 0
    sample_counts = [*counts[often], counts[~often].sum() + 1e-9]
    expected = [*(distribution[often] * 10_000), (distribution[~often] * 10_000).sum() + 1e-9]
    assert chisquare(sample_counts, expected, sum_check=False).pvalue > 0.001


def test_a_tokenizers_file_cuts_texts_without_its_model():
    for folder, first, count in (
        ("small_talk", "오늘은", 4),
        ("sentiment_ko", " 오늘", 5),
        ("scenes/tokenizer", "오", 9),
    ):
        file = STARTERS / folder / "tokenizer.json"
        (korean, again) = pieces_of_texts(file, ("오늘은 날씨가 좋아요", "오늘은"))
        assert korean[0].text == again[0].text == first
        assert len(korean) >= count
        assert all(piece.id is not None for piece in korean)
    # Bytes that are parts of a letter join to the letter again.
    assert join_texts(piece.text for piece in again).strip() == "오늘은"


def test_the_line_of_tokens_begins_with_the_likeliest():
    distribution = np.array([0.1, 0.6, 0.3])
    assert [
        token_at(distribution, position) for position in (0.0, 0.59, 0.6, 0.89, 0.9, 0.9999999)
    ] == [
        1,
        1,
        2,
        2,
        0,
        0,
    ]


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 9e-5])
def test_a_temperature_that_no_text_can_tell_from_0_is_0(temperature):
    words = [{"role": "user", "content": "Hello"}]
    assert ChatRequest.of(messages=words, temperature=temperature).temperature == 0
