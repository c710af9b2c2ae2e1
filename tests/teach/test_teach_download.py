"""Teach it with an encoder that is not here yet: fetched from a hub on this machine, then trained on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.contract import Downloading, Working
from models.errors import UntrainedHead
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find, select_teachable
from models.sentiment.requests import SentimentRequest
from models.settings import Settings
from models.tasks import SENTIMENT
from models.teach.catalog import KOREAN, MULTILINGUAL
from models.teach.events import Classification, HeadResult
from models.teach.requests import ClassifyRequest, TeachRequest
from tabs.sentiment.teach import TeachView, _train
from tabs.shared.context import Context
from tests import tiny
from tests.hub_server import HubServer, Repository

EXAMPLES = [
    ("정말 재미있게 봤어요.", "좋음"),
    ("최고의 영화예요.", "좋음"),
    ("너무 지루했어요.", "나쁨"),
    ("돈이 아까워요.", "나쁨"),
]
TEXTS = [text for text, _ in EXAMPLES]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelCache]:
    """A cache beside an empty hub cache, and a hub that has a tiny encoder by the large one's name."""
    folder = tiny.sentence_encoder(tmp_path / "encoder")
    paths = [path for path in folder.rglob("*") if path.is_file()]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    for name in ("HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    with HubServer({MULTILINGUAL.name: Repository(files)}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        models = ModelCache(Settings.read({}))
        yield models
        models.close()


def test_an_encoder_is_fetched_and_trained_on(cache: ModelCache) -> None:
    assert select_teachable("auto", TEXTS) is KOREAN
    spec = select_teachable(MULTILINGUAL.id, TEXTS)
    examples = [{"text": text, "label": label} for text, label in EXAMPLES]
    events = [*run(cache, spec, TeachRequest.of(examples=examples))]
    waits = [event.during if isinstance(event, Working) else event for event in events]
    assert any(isinstance(wait, Downloading) for wait in waits)
    result = next(event for event in events if isinstance(event, HeadResult))
    request = ClassifyRequest.of(classifier=result.classifier, texts=TEXTS)
    answer = next(e for e in run(cache, spec, request) if isinstance(e, Classification))
    assert len(answer.probabilities) == len(TEXTS)
    assert select_teachable("auto", TEXTS) is MULTILINGUAL  # since it is here


def test_the_page_trains_on_an_encoder_that_is_not_here(cache: ModelCache) -> None:
    lines = "\n".join(f"{label}: {text}" for text, label in EXAMPLES)
    values = (TeachRequest, lines, MULTILINGUAL.id, 1, 1, 0, {})
    *_, last = _train(Context(cache.settings, cache), None, *values)  # type: ignore[arg-type]
    view = TeachView(*last)
    assert "Multilingual MiniLM" in view.status
    assert f"source = '{MULTILINGUAL.name}'" in view.code
    assert set(view.classifiers) == {"head"}


def test_the_sentiment_tab_still_refuses_it(cache: ModelCache) -> None:
    with pytest.raises(UntrainedHead):
        list(run(cache, find(SENTIMENT, MULTILINGUAL.name), SentimentRequest.of(text="좋아요")))
