"""The keys and values of conversations: they save reading, change no word, leak nothing."""

import gc
import threading
import time
import weakref

import pytest
import torch
from transformers import DynamicCache

from models.chat import decoding as module
from models.chat.decoding import MAX_ENTRIES, KVCache
from models.chat.events import TextDelta
from models.chat.requests import ChatRequest
from models.runtime.jobs import run
from tests import tiny
from tests.chatting import own_starters, spec

torch.set_num_threads(1)
SPEC = spec("llama")


@pytest.fixture
def cache(tmp_path):
    with own_starters(tmp_path) as (folder, cache):
        tiny.llama(folder / "llama")
        yield cache


def forget(cache) -> None:
    """The keys and values go with the model; the next question loads it anew."""
    cache.unload("chat", SPEC.id)


def engine(cache):
    with cache.lease(SPEC, threading.Event(), lambda event: None) as lease:
        return lease.engine


def answer(cache, *messages: str, **options) -> str:
    roles = ["user", "assistant"]
    turns = [{"role": roles[i % 2], "content": text} for i, text in enumerate(messages)]
    request = ChatRequest.of(messages=turns, **({"seed": 7, "max_new_tokens": 20} | options))
    events = run(cache, SPEC, request)
    return "".join(e.text for e in events if isinstance(e, TextDelta))


def read(cache, *messages: str, **options) -> tuple[str, int]:
    """An answer, and how many tokens the model looked at for it."""
    counts: list[int] = []
    embedding = engine(cache)._model.get_input_embeddings()
    hook = embedding.register_forward_pre_hook(lambda _, ids: counts.append(ids[0].numel()))
    text = answer(cache, *messages, **options)
    hook.remove()
    return text, sum(counts)


def values(tokens: int) -> DynamicCache:
    cache = DynamicCache()
    cache.update(torch.ones(1, 2, tokens, 4), torch.ones(1, 2, tokens, 4), 0)
    return cache


def test_a_second_turn_reads_only_what_is_new_and_says_the_same(cache):
    first = answer(cache, "Hello there, how are you?")
    turns = ("Hello there, how are you?", first, "And now?")
    warm, few = read(cache, *turns)
    forget(cache)
    cold, many = read(cache, *turns)
    assert warm == cold
    assert few < many - len("Hello there, how are you?")


def test_another_draw_or_an_edit_goes_on_from_where_it_is_the_same(cache):
    for turns, options in [(("Hello", "Hi", "one"), {}), (("Hello", "Hi", "two"), {"seed": 9})]:
        warm, _ = read(cache, *turns, **options)
        forget(cache)
        assert read(cache, *turns, **options)[0] == warm


def test_what_a_stopped_answer_leaves_is_right(cache):
    whole = answer(cache, "Hello", max_new_tokens=60)
    forget(cache)
    request = ChatRequest.of(
        messages=[{"role": "user", "content": "Hello"}], seed=7, max_new_tokens=60
    )
    events = run(cache, SPEC, request)
    next(e for e in events if isinstance(e, TextDelta))
    events.close()
    assert answer(cache, "Hello", max_new_tokens=60) == whole


def test_it_holds_no_text_and_no_ids(cache):
    answer(cache, "a very private word")
    (entry,) = engine(cache)._kv_cache._entries
    assert set(entry.__slots__) == {"prefixes", "cache", "nbytes", "last_use"}
    assert all(isinstance(one, bytes) and len(one) == 16 for one in entry.prefixes)
    tensors = [t for layer in entry.cache.layers for t in (layer.keys, layer.values)]
    assert all(t.dtype == torch.float32 for t in tensors)


def test_the_hashes_are_of_this_process_alone(monkeypatch):
    before = module._prefixes([1, 2, 3])
    monkeypatch.setattr(module, "_KEY", bytes(16))
    assert not set(before) & set(module._prefixes([1, 2, 3]))


def test_only_the_very_same_beginning_counts():
    kv_cache = KVCache()
    kv_cache.put([1, 2, 3, 4, 5], values(4))
    assert kv_cache.take([9, 2, 3, 4]) is None
    assert kv_cache.take([1]) is None  # its only token is to be read
    past = kv_cache.take([1, 2, 9, 9])
    assert past.get_seq_length() == 2
    assert kv_cache.take([1, 2, 9, 9]) is None  # it belongs to the caller now


def test_it_holds_only_a_few_the_newest(monkeypatch):
    kv_cache = KVCache()
    for start in range(MAX_ENTRIES + 2):
        kv_cache.put([start, 0, 0], values(3))
    assert len(kv_cache) == MAX_ENTRIES
    assert kv_cache.take([0, 0, 0]) is None
    assert kv_cache.take([MAX_ENTRIES + 1, 0, 0]) is not None
    monkeypatch.setattr(module, "MAX_BYTES", 2 * values(3).layers[0].keys.nbytes)
    kv_cache.put([7, 0, 0], values(3))
    assert len(kv_cache) == 1


def test_what_is_not_used_goes_in_time():
    kv_cache = KVCache(idle_seconds=0.1)
    kv_cache.put([1, 2, 3], values(3))
    assert len(kv_cache) == 1
    end = time.monotonic() + 5
    while len(kv_cache) and time.monotonic() < end:
        time.sleep(0.05)
    assert len(kv_cache) == 0


def test_it_goes_with_the_model(cache):
    answer(cache, "Hello")
    tensor = weakref.ref(engine(cache)._kv_cache._entries[0].cache.layers[0].keys)
    cache.unload("chat", SPEC.id)
    gc.collect()
    assert tensor() is None
