"""What the Models panel says of the models in memory."""

import re
import threading

import pytest

from models.contract import ModelSpec, Stop
from models.runtime.cache import ModelCache
from models.settings import Settings
from models.tasks import SENTIMENT, TEACH
from tabs.shared.models_panel import by_label, loaded_html
from tests.engines import Steps, spec


class Weightless(Steps):
    """As Word2Vec before it is trained."""

    def nbytes(self) -> int:
        return 0


@pytest.fixture
def cache():
    Steps.reset()
    cache = ModelCache(Settings())
    yield cache
    cache.close()


def use(cache: ModelCache, model: ModelSpec) -> None:
    """Load a model, and leave it idle."""
    with cache.lease(model, Stop(), lambda _: None):
        pass


def entries(cache: ModelCache) -> list[str]:
    """The entries as a visitor reads them in English."""
    page = loaded_html(by_label(cache.status()))
    page = re.sub(r'<span class="in-ko".*?</span>', "", page)
    return [re.sub("<[^>]+>", " ", entry) for entry in re.findall("<li>(.*?)</li>", page)]


def test_a_model_that_two_tasks_use_is_one_entry_with_the_memory_of_both(cache):
    common = [
        next(s for s in task.models if s.label == "GenLab Sentiment (한국어)")
        for task in (SENTIMENT, TEACH)
    ]
    for model in common:
        fields = {"task": model.task, "id": model.id, "label": model.label}
        use(cache, ModelSpec(engine="tests.engines:Steps", source="none:", **fields))
    (entry,) = entries(cache)
    assert "GenLab Sentiment (한국어)" in entry
    assert "used just now" in entry
    (models,) = by_label(cache.status()).values()
    assert sum(model.nbytes for model in models) == 2000


def test_an_idle_model_without_weights_is_not_said_to_be_loading(cache):
    model = ModelSpec("word2vec", "sentiment", f"{__name__}:Weightless", "none:", "Word2Vec")
    use(cache, model)
    (entry,) = entries(cache)
    assert "loading" not in entry
    assert "used just now" in entry


def test_a_model_on_its_way_is_loading_and_a_load_that_failed_is_gone(cache):
    Steps.load_seconds, Steps.failure = 0.5, OSError("broken")

    def load() -> None:
        with pytest.raises(Exception, match="failed"):
            use(cache, spec("slow"))

    thread = threading.Thread(target=load)
    thread.start()
    while not cache.status():
        pass
    (entry,) = entries(cache)
    assert "loading" in entry
    assert "idle" not in entry
    thread.join()
    assert entries(cache) == []
