"""People at once on one model: each gets what they would get alone, and nobody costs another anything."""

import threading
import time
from contextlib import closing

import numpy as np
import pytest

from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.sentence_similarity.catalog import EncoderOptions
from models.sentence_similarity.events import Encoded
from models.sentence_similarity.requests import EncodeRequest
from models.sentiment.events import Attribution, RowScores, Scores
from models.sentiment.requests import AttributionRequest, ManyTextsRequest, SentimentRequest
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY, SENTIMENT
from tests.at_once import together

KOREAN = find(SENTIMENT, "genlab/sentiment-ko")
MINILM = find(SENTENCE_SIMILARITY, "sentence-transformers/all-MiniLM-L6-v2")
TEXTS = [
    "최고예요!",
    "이야기가 늘어져요.",
    "음악은 좋았지만 인물들이 무슨 생각을 하는지 끝까지 알 수가 없었어요.",
    "그냥 그래요.",
    "배우들의 연기가 아까운 영화예요. " * 8,
    "not a word of Korean",
]


@pytest.fixture(scope="module")
def cache():
    with_models = ModelCache(Settings(device="cpu", idle_minutes=0))
    yield with_models
    with_models.close()


def one(events, kind):
    return next(event for event in events if isinstance(event, kind))


def engine(cache, spec):
    list(run(cache, spec, spec_request(spec)))
    with cache.lease(spec, threading.Event(), lambda _: None) as lease:
        return lease.engine


def spec_request(spec):
    if spec.task == "sentiment":
        return SentimentRequest.of(text="좋아요")
    return EncodeRequest.of(sentences=("good",))


def note_calls(monkeypatch, engine, name):
    """How many items each pass had."""
    sizes, work = [], getattr(engine, name)
    batcher = engine.passes if hasattr(engine, "passes") else engine._passes
    monkeypatch.setattr(
        batcher, "_work", lambda items, *rest: sizes.append(len(items)) or work(items, *rest)
    )
    return sizes


def test_texts_at_once_share_passes_and_score_as_alone(cache, monkeypatch):
    sizes = note_calls(monkeypatch, engine(cache, KOREAN), "_score_together")
    requests = [SentimentRequest.of(text=f"{TEXTS[n % 6]} {n}") for n in range(24)]
    alone = [one(run(cache, KOREAN, request), Scores) for request in requests]
    assert set(sizes) == {1}
    sizes.clear()
    for events, expected in zip(together(cache, KOREAN, requests), alone, strict=True):
        scores = one(events, Scores)
        assert dict(scores.scores) == pytest.approx(dict(expected.scores), abs=1e-5)
        assert (scores.pieces, scores.unknown) == (expected.pieces, expected.unknown)
    assert max(sizes) > 1, "nobody shared a pass"
    assert max(sizes) <= 16


def test_a_bad_text_and_a_person_who_leaves_harm_nobody(cache):
    blank = SentimentRequest.model_construct(text="")  # no token
    good = [SentimentRequest.of(text=text) for text in TEXTS]
    alone = [one(run(cache, KOREAN, request), Scores).scores for request in good]
    leaver = run(cache, KOREAN, ManyTextsRequest.of(texts=("좋아요",) * 5000))
    next(leaver)
    threading.Timer(0.05, leaver.close).start()
    results = together(cache, KOREAN, [*good, blank])
    for events, expected in zip(results[:-1], alone, strict=True):
        assert dict(one(events, Scores).scores) == pytest.approx(dict(expected), abs=1e-5)
    assert results[-1].code == "invalid_blank"


def test_a_long_file_lets_a_single_text_through(cache):
    """The file takes many times as long as the text may wait."""
    rows = tuple(f"{TEXTS[n % 4]} {n}" for n in range(20_000))
    list(run(cache, KOREAN, SentimentRequest.of(text="좋아요")))
    with closing(run(cache, KOREAN, ManyTextsRequest.of(texts=rows))) as file:
        while not isinstance(next(file), RowScores):
            pass
        waits = []
        for text in TEXTS[:4]:
            start = time.perf_counter()
            assert one(run(cache, KOREAN, SentimentRequest.of(text=text)), Scores)
            waits.append(time.perf_counter() - start)
        rest = 0
        for event in file:  # it has not come to its end meanwhile
            rest += isinstance(event, RowScores)
            if rest == 2:
                break
        assert rest == 2
    assert sorted(waits)[1] < 2, waits


def test_words_are_explained_beside_others_without_touching_their_model(cache):
    """Integrated gradients puts hooks on a layer: they must not be on the one that others use."""
    ask = AttributionRequest.of(text=TEXTS[2])
    expected = one(run(cache, KOREAN, ask), Attribution)
    texts = [SentimentRequest.of(text=text) for text in TEXTS] * 2
    alone = [one(run(cache, KOREAN, request), Scores).scores for request in texts]
    results = together(cache, KOREAN, [ask, *texts, ask])
    for result in (results[0], results[-1]):
        outcome = one(result, Attribution)
        assert [w.value for w in outcome.words] == pytest.approx(
            [w.value for w in expected.words], abs=1e-4
        )
    for events, scores in zip(results[1:-1], alone, strict=True):
        assert dict(one(events, Scores).scores) == pytest.approx(dict(scores), abs=1e-5)


@pytest.mark.parametrize("model", [MINILM.id, f"{MINILM.id}:cls"])
def test_sentences_at_once_share_passes_and_get_their_own_vectors(cache, monkeypatch, model):
    spec = find(SENTENCE_SIMILARITY, model)
    sizes = note_calls(monkeypatch, engine(cache, spec), "_embed_together")
    words = ("a cat", "the king rules the land and everything in it", "not good", "x " * 300)
    requests = [
        EncodeRequest.of(sentences=tuple(f"{words[(n + k) % 4]} {n}" for k in range(1 + n % 3)))
        for n in range(18)
    ]

    def vectors(events):
        parts = [event for event in events if isinstance(event, Encoded)]
        return np.concatenate([part.vectors[np.argsort(part.rows)] for part in parts])

    alone = [vectors(run(cache, spec, request)) for request in requests]
    sizes.clear()
    for events, expected in zip(together(cache, spec, requests), alone, strict=True):
        np.testing.assert_allclose(vectors(events), expected, atol=1e-5)
    assert max(sizes) > 1, "nobody shared a pass"


def test_numbers_that_hang_on_their_company_are_not_shared(cache):
    spec = find(SENTENCE_SIMILARITY, f"{MINILM.id}:int8")
    assert spec.options == EncoderOptions(int8=True)
    result = engine(cache, spec)
    assert result.capacity(spec_request(spec)) == 1
