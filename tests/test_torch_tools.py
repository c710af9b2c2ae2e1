"""Linear layers by oneDNN and in int8, and batches by length."""

import platform
import random
import sys
import threading

import pytest
import torch
from transformers import AutoTokenizer

from models.contract import Stop
from models.runtime.cache import ModelCache
from models.select import find
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY, SENTIMENT
from models.text.language import batches_by_length
from models.torch_tools import OneDnnLinear, by_onednn, in_turn
from models.weights.sources import STARTERS

pytestmark = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "AMD64"} or not torch.backends.mkldnn.is_available(),
    reason="torch takes another way on this processor",
)


@pytest.fixture(autouse=True)
def capability(monkeypatch):
    """A processor with AVX-512, where oneDNN is faster."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")


def test_with_avx2_torchs_own_product_stays(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    layer = torch.nn.Linear(4, 2)
    by_onednn(layer)
    assert type(layer) is torch.nn.Linear


@pytest.mark.parametrize("shape", [(1, 24), (3, 7, 24), (0, 24)])
@pytest.mark.parametrize("bias", [True, False])
def test_the_answer_is_that_of_torchs_own_product(shape, bias):
    torch.manual_seed(0)
    layer, inputs = torch.nn.Linear(24, 10, bias=bias), torch.randn(shape)
    with torch.inference_mode():
        expected = inputs @ layer.weight.T + (layer.bias if bias else 0)
        by_onednn(layer)
        assert isinstance(layer, OneDnnLinear)
        assert torch.allclose(layer(inputs), expected, atol=1e-5)


def test_where_gradients_are_wanted_they_are_there():
    layer = torch.nn.Linear(4, 2)
    by_onednn(layer)
    inputs = torch.ones(1, 4, requires_grad=True)
    layer(inputs).sum().backward()
    assert torch.allclose(inputs.grad, layer.weight.sum(0, keepdim=True))


def test_half_precision_goes_torchs_own_way():
    layer = torch.nn.Linear(4, 2).bfloat16()
    by_onednn(layer)
    with torch.inference_mode():
        assert layer(torch.ones(1, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("task", "model"),
    [
        (SENTIMENT, "genlab/sentiment-ko"),
        (SENTENCE_SIMILARITY, "sentence-transformers/all-MiniLM-L6-v2"),
        (SENTENCE_SIMILARITY, "sentence-transformers/all-MiniLM-L6-v2:cls"),
    ],
)
def test_engines_on_a_cpu_use_it_in_every_linear_layer(task, model):
    cache = ModelCache(Settings(device="cpu", idle_minutes=0))
    with cache.lease(find(task, model), Stop(), lambda _: None) as lease:
        kinds = {
            type(module)
            for module in lease.engine.model.modules()
            if isinstance(module, torch.nn.Linear)
        }
    cache.close()
    assert kinds == {OneDnnLinear}


def test_batches_hold_similar_lengths_within_the_limits():
    lengths = [5, 500, 7, 6, 300, 5]
    batches = [*batches_by_length(lengths, 3, tokens=600)]
    assert batches == [[1], [4, 2], [3, 0, 5]]
    assert [*batches_by_length([900], 3, tokens=600)] == [[0]]


def test_texts_of_one_length_stay_in_their_order():
    assert [*batches_by_length([2, 2, 2], 2)] == [[0, 1], [2]]


def test_no_text_is_no_batch():
    assert [*batches_by_length([], 32, tokens=100, window=4)] == []


def test_a_window_ends_before_the_next_begins():
    assert [*batches_by_length([1, 2, 3, 9, 8, 7], 2, window=3)] == [[2, 1], [0], [3, 4], [5]]


@pytest.mark.parametrize("window", [None, 1, 7, 1000])
def test_every_text_is_in_one_batch(window):
    draw = random.Random(0)
    lengths = [draw.randrange(0, 200) for _ in range(100)]
    batches = [*batches_by_length(lengths, 8, tokens=512, window=window)]
    assert sorted(index for batch in batches for index in batch) == [*range(100)]
    for batch in batches:
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or longest * len(batch) <= 512
        assert len(batch) <= 8


def test_a_tokenizer_keeps_the_padding_of_a_call_whatever_other_threads_do():
    """diffusers calls `tokenize` before each `tokenizer(...)`, which takes the padding away."""
    tokenizer = AutoTokenizer.from_pretrained(STARTERS / "scenes" / "tokenizer")
    in_turn(tokenizer)
    end, interval = threading.Event(), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads change places often

    def tokenize() -> None:
        while not end.is_set():
            tokenizer.tokenize("a cat on the beach")

    threads = [threading.Thread(target=tokenize) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(1500):
            ids = tokenizer("", padding="max_length", max_length=48, truncation=True).input_ids
            assert len(ids) == 48
    finally:
        sys.setswitchinterval(interval)
        end.set()
        for thread in threads:
            thread.join()


def test_one_text_has_all_its_tokens_whatever_the_call_before_left():
    tokenizer = AutoTokenizer.from_pretrained(STARTERS / "sentiment_ko")
    plain = AutoTokenizer.from_pretrained(STARTERS / "sentiment_ko")
    ids_of_text = in_turn(tokenizer)
    for text in ("최고예요!", "잔잔하지만 오래 남는 영화예요. " * 40, "", "[MASK] a b", "🐈 \n ok"):
        tokenizer("다른 글", padding="max_length", max_length=12, truncation=True)
        assert ids_of_text(text) == plain(text)["input_ids"]
        tokenizer(text, truncation=True, max_length=4)
        assert ids_of_text(text) == plain(text)["input_ids"]
