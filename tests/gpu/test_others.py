"""Chat, classifiers and encoders on CUDA: placed there, equal to the CPU, beside one another."""

import threading
from contextlib import closing
from dataclasses import replace

import pytest

from models import sources
from models.base import ChatDone, Finished, ModelSpec, Scores, Similarities, Task, TextDelta
from models.cache import ModelCache
from models.jobs import run
from models.requests import ChatRequest, SentimentRequest, SimilarityRequest
from models.settings import Settings
from tests import tiny
from tests.gpu.drawing import SLACK, SPEC, allocated, draw

CUDA, CPU = "cuda", "cpu"
SENTENCES = ("the cat was bad", "a dog", "the king rules the land")


def spec(task: Task, engine: str, dtype: str = "float32") -> ModelSpec:
    """A tiny model among the starters, in the folder of its task's name."""
    source = f"starter:{task.value}"
    return ModelSpec(f"tests/{task}", task, engine, source, task.value, cuda_dtype=dtype)


CHAT = spec(Task.CHAT, "models.chat:TransformersChat")
SENTIMENT = spec(Task.SENTIMENT, "models.sentiment:TransformersSentiment")
SIMILARITY = spec(Task.SENTENCE_SIMILARITY, "models.sentence_similarity:BertSimilarity")
REQUESTS = {
    Task.CHAT: ChatRequest.of(
        messages=[{"role": "user", "content": "hello"}], temperature=0, max_new_tokens=24, seed=1
    ),
    Task.SENTIMENT: SentimentRequest.of(text="a very good film"),
    Task.SENTENCE_SIMILARITY: SimilarityRequest.of(sentences=SENTENCES),
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


def told(cache, model):
    """Events of the model's request."""
    return list(run(cache, model, REQUESTS[model.task]))


def on(device, model):
    with closing(ModelCache(Settings(GENLAB_DEVICE=device))) as cache:
        events = told(cache, model)
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


@pytest.mark.parametrize("model", [CHAT, SENTIMENT, SIMILARITY], ids=lambda m: m.task.value)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_each_runs_in_the_dtype_it_wants_and_gives_its_memory_back(cache, model, dtype):
    before = allocated()
    events = told(cache, replace(model, cuda_dtype=dtype))
    placement = events[-1].placement
    assert (placement.device, placement.dtype, placement.reason) == (CUDA, dtype, "cuda_found")
    cache.unload(model.task, model.id)
    assert allocated() - before < SLACK


def test_two_tabs_at_once(cache, classic):
    results = {}

    def picture():
        results["picture"] = draw(cache, SPEC, num_inference_steps=20)[0].images

    def words():
        results["words"] = [told(cache, model)[-1] for model in (CHAT, SENTIMENT, SIMILARITY)]

    threads = [threading.Thread(target=work) for work in (picture, words)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results["picture"]) == 1
    assert all(isinstance(event, Finished) for event in results["words"])
    assert {model.placement.device for model in cache.status()} == {CUDA}
