"""Chat, classifiers and encoders on CUDA: placed there, equal to the CPU, beside one another."""

import threading
from contextlib import closing
from dataclasses import replace

import pytest

from models.chat.events import ChatDone, TextDelta
from models.chat.requests import ChatRequest
from models.contract import Finished, ModelSpec
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.sentence_similarity.events import Similarities
from models.sentence_similarity.requests import SimilarityRequest
from models.sentiment.events import Scores
from models.sentiment.requests import SentimentRequest
from models.settings import Settings
from models.weights import sources
from tests import tiny
from tests.gpu.classic import SLACK, SPEC, allocation, draw

CUDA, CPU = "cuda", "cpu"
SENTENCES = ("the cat was bad", "a dog", "the king rules the land")


def spec(task: str, engine: str, dtype: str = "float32") -> ModelSpec:
    """A tiny model among the starters, in the folder of its task's name."""
    source = f"starter:{task}"
    return ModelSpec(f"tests/{task}", task, engine, source, task, cuda_dtype=dtype)


CHAT = spec("chat", "models.chat.transformers_engine:TransformersChat")
SENTIMENT = spec("sentiment", "models.sentiment.transformers_engine:TransformersSentiment")
SIMILARITY = spec(
    "sentence-similarity", "models.sentence_similarity.transformers_engine:BertSimilarity"
)
REQUESTS = {
    "chat": ChatRequest.of(
        messages=[{"role": "user", "content": "hello"}], temperature=0, max_new_tokens=24, seed=1
    ),
    "sentiment": SentimentRequest.of(text="a very good film"),
    "sentence-similarity": SimilarityRequest.of(sentences=SENTENCES),
}


@pytest.fixture(scope="module", autouse=True)
def _starters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("starters")
    tiny.llama(folder / CHAT.name)
    tiny.classifier(folder / SENTIMENT.name)
    tiny.bert_base(folder / SIMILARITY.name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "STARTERS", folder)
        yield


def events_of(cache, model):
    """Events of the model's request."""
    return list(run(cache, model, REQUESTS[model.task]))


def on(device, model):
    with closing(ModelCache(Settings(GENLAB_DEVICE=device))) as cache:
        events = events_of(cache, model)
    assert isinstance(events[-1], Finished)
    assert events[-1].placement.device == device
    return events


def test_chat_says_what_it_says_on_a_cpu():
    texts = {}
    for device in (CUDA, CPU):
        events = on(device, CHAT)
        texts[device] = "".join(e.text for e in events if isinstance(e, TextDelta))
        assert any(isinstance(e, ChatDone) for e in events)
    assert texts[CUDA] == texts[CPU] != ""


def test_a_classifier_gives_the_same_scores():
    scores = [
        dict(next(e for e in on(device, SENTIMENT) if isinstance(e, Scores)).scores)
        for device in (CUDA, CPU)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def test_an_encoder_gives_the_same_cosines():
    rows = [
        next(e for e in on(device, SIMILARITY) if isinstance(e, Similarities)).cosines
        for device in (CUDA, CPU)
    ]
    for one, other in zip(*rows, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize("model", [CHAT, SENTIMENT, SIMILARITY], ids=lambda m: m.task)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_each_runs_in_the_dtype_it_wants_and_gives_its_memory_back(cache, model, dtype):
    before = allocation()
    events = events_of(cache, replace(model, cuda_dtype=dtype))
    placement = events[-1].placement
    assert (placement.device, placement.dtype, placement.reason) == (CUDA, dtype, "cuda_found")
    cache.unload(model.task, model.id)
    assert allocation() - before < SLACK


def test_two_tabs_at_once(cache, classic):
    results = {}

    def picture():
        results["picture"] = draw(cache, SPEC, num_inference_steps=20)[0].images

    def words():
        results["words"] = [events_of(cache, model)[-1] for model in (CHAT, SENTIMENT, SIMILARITY)]

    threads = [threading.Thread(target=work) for work in (picture, words)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results["picture"]) == 1
    assert all(isinstance(event, Finished) for event in results["words"])
    assert {model.placement.device for model in cache.status()} == {CUDA}
