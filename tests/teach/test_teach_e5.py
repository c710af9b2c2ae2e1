"""Teach it on multilingual-e5-small: its prompt, a file that fits the next load, the same recipe."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from models.contract import Finished, Stop
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find, select_teachable
from models.sentence_similarity.events import Encoded
from models.sentence_similarity.requests import EncodeRequest
from models.settings import ROOT, Settings
from models.tasks import SENTENCE_SIMILARITY, recipe
from models.teach.catalog import E5, ENGLISH
from models.teach.classifier_file import encoder_of, read_classifier
from models.teach.events import Classification, HeadResult
from models.teach.requests import ClassifyRequest, TeachRequest

ID = "intfloat/multilingual-e5-small"
PAIRS = [
    ("택배가 일주일째 안 와요.", "배송"),
    ("배송이 왜 이렇게 늦나요?", "배송"),
    ("물건이 아직 도착하지 않았어요.", "배송"),
    ("오늘 출발한다더니 소식이 없네요.", "배송"),
    ("환불은 언제 되나요?", "환불"),
    ("돈을 돌려받고 싶어요.", "환불"),
    ("결제를 취소해 주세요.", "환불"),
    ("카드 승인 취소가 아직 안 됐어요.", "환불"),
    ("로그인이 안 돼요.", "계정"),
    ("비밀번호를 잊어버렸어요.", "계정"),
    ("인증 메일이 오지 않아요.", "계정"),
    ("아이디를 바꾸고 싶어요.", "계정"),
]
NEW = [
    ("주문한 물건이 열흘째 안 왔어요.", "배송"),
    ("환급 절차를 알려 주세요.", "환불"),
    ("암호가 틀렸다고 나와요.", "계정"),
]
pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def file(real_weights: Callable[[str], Path]) -> Path:
    return real_weights(ID)


@pytest.fixture(scope="module")
def models() -> Iterator[ModelCache]:
    cache = ModelCache(Settings())
    yield cache
    cache.close()


def teach_request() -> TeachRequest:
    return TeachRequest.of(examples=[{"text": text, "label": label} for text, label in PAIRS])


def result_of(cache: ModelCache) -> HeadResult:
    return next(e for e in run(cache, E5, teach_request()) if isinstance(e, HeadResult))


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [
        (["택배가 안 와요.", "환불해 주세요."], E5),
        (["My parcel is late.", "It never came.", "Nobody answers.", "환불해 주세요."], E5),
        (["I want my 환불 now.", "My parcel is late."], E5),
        (["My parcel is late.", "I want my money back."], ENGLISH),
    ],
)
def test_auto_takes_it_where_korean_is(sentences, expected):
    assert select_teachable("auto", sentences) is expected


def test_its_vectors_are_those_of_the_search(models):
    texts = [text for text, _ in PAIRS]
    with models.lease(E5, Stop(), lambda _: None) as lease:
        vectors = lease.engine.vectors(texts, Stop())
    spec = find(SENTENCE_SIMILARITY, ID)
    expected = np.zeros_like(vectors)
    for event in run(models, spec, EncodeRequest.of(sentences=texts)):
        if isinstance(event, Encoded):
            expected[event.rows] = event.vectors
    assert (vectors * expected).sum(1).min() > 0.9999, "the same prompt stands before each sentence"


def test_a_dozen_korean_sentences_teach_three_classes(models):
    result = result_of(models)
    assert result.accuracy > 2 * result.chance
    request = ClassifyRequest.of(classifier=result.classifier, texts=[text for text, _ in NEW])
    classes = next(e for e in run(models, E5, request) if isinstance(e, Classification))
    best = [classes.labels[int(np.argmax(row))] for row in classes.probabilities]
    assert best == [label for _, label in NEW]


def test_a_saved_file_fits_the_encoder_when_it_is_loaded_again(models):
    path_out = result_of(models).classifier
    assert encoder_of(path_out) is E5
    assert read_classifier(path_out).encoder == "teach/Multilingual E5 small"
    other = ModelCache(Settings())
    request = ClassifyRequest.of(classifier=path_out, texts=[NEW[0][0]])
    classes = next(e for e in run(other, E5, request) if isinstance(e, Classification))
    other.close()
    assert classes.labels[int(np.argmax(classes.probabilities[0]))] == NEW[0][1]


def test_the_recipe_gives_the_same_accuracy(models):
    events = list(run(models, E5, teach_request()))
    accuracy = next(e for e in events if isinstance(e, HeadResult)).accuracy
    placement = next(e for e in events if isinstance(e, Finished)).placement
    script = recipe(E5, teach_request(), placement)
    assert str(Path.home()) not in script
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=240
    )
    assert process.returncode == 0, process.stderr[-2000:]
    assert float(re.search(r"accuracy (\S+)", process.stdout)[1]) == pytest.approx(accuracy)
