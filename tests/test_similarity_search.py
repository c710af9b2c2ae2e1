"""Groups, maps, search and uploaded lines: known values, and input that is not as one would wish."""

import math
from itertools import chain

import numpy as np
import pytest

from models.base import Stop, Task
from models.errors import InvalidInput, MissingKey, Unavailable
from models.registry import find
from models.requests import EncodeRequest, SimilarityRequest
from models.sentence_similarity.encoder import Encoder, batches
from models.sentence_similarity.events import Encoded, Reference, Similarities
from models.sentence_similarity.landscape import landscape
from models.sentence_similarity.reference import GRADES, language_of_pairs, pairs, separation
from models.sentence_similarity.search import Index
from models.settings import Settings
from models.text_files import MOST_LINES, lines_of, read_text
from tests.stub_server import StubServer, fault


def unit(count: int, dimensions: int = 24, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Letters(Encoder):
    """Counts letters: a real vector of any text without a model; none where there is no letter."""

    def vectors(self, sentences):
        found = [[s.lower().count(chr(97 + i)) for i in range(26)] for s in sentences]
        return np.array(found, dtype=np.float32)


# ---------------------------------------------------------------- groups and map


def test_the_map_is_scikit_learns_pca_of_the_vectors():
    from sklearn.decomposition import PCA

    vectors = unit(40)
    expected = PCA(2).fit(vectors)
    land = landscape((vectors.astype(float) @ vectors.T.astype(float)).tolist())
    assert np.abs(land.points) == pytest.approx(np.abs(expected.transform(vectors)), abs=1e-4)
    assert land.kept == pytest.approx(expected.explained_variance_ratio_.sum(), abs=1e-4)


def test_groups_are_found_and_the_largest_comes_first():
    centres = unit(3)
    which = [0] * 5 + [1] * 9 + [2] * 4
    vectors = centres[which] + 0.05 * unit(18, seed=1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    land = landscape((vectors @ vectors.T).tolist())
    assert land.groups == tuple([1] * 5 + [0] * 9 + [2] * 4)
    assert len(set(landscape((vectors @ vectors.T).tolist(), 2).groups)) == 2


@pytest.mark.parametrize("cosine", [1.0, math.nan])
@pytest.mark.parametrize("count", [2, 3, 12])
def test_identical_sentences_are_one_group_and_unknown_ones_none(cosine, count):
    land = landscape([[cosine] * count] * count)
    assert set(land.groups) == ({-1} if math.isnan(cosine) else {0})


# ---------------------------------------------------------------- search


def test_search_finds_what_sentence_transformers_finds():
    from sentence_transformers.util import semantic_search

    vectors, query = unit(20_000), unit(1, seed=9)[0]  # float16 may swap near equals
    index = Index(["line"] * len(vectors), "m")
    for rows in np.array_split(np.random.default_rng(1).permutation(len(vectors)), 7):
        index.add(Encoded(rows, vectors[rows], 0.5))
    (expected,) = semantic_search(query[None], vectors, top_k=10)
    found = index.nearest(query, 10)
    assert {row for row, _ in found[:3]} == {hit["corpus_id"] for hit in expected[:3]}
    assert [c for _, c in found] == pytest.approx([hit["score"] for hit in expected], abs=1e-3)


def test_a_half_filled_index_answers_from_what_there_is_and_fills_on():
    index = Index(["a", "b", "c"], "m")
    assert index.nearest(np.ones(3, np.float32), 5) == []
    index.add(Encoded(np.array([2]), np.eye(3, dtype=np.float32)[2:], 0.3))
    assert [row for row, _ in index.nearest(np.array([0, 0, 1], np.float32), 5)] == [2]
    assert index.ready == 1
    assert index.nearest(np.full(3, np.nan, np.float32), 5) == [], "a query without a vector"


def test_an_index_that_would_not_fit_is_refused():
    index = Index(["a"] * MOST_LINES, "m")
    with pytest.raises(MemoryError):
        index.add(Encoded(np.array([0]), np.ones((1, 4096), np.float32), 0))


def test_every_line_is_encoded_once_in_batches_of_like_length():
    sentences = ["x" * (n * 7 % 50 + 1) for n in range(9000)]
    rows = list(batches(sentences, 32))
    assert sorted(chain.from_iterable(rows)) == list(range(9000))
    first = [len(sentences[row]) for row in chain.from_iterable(rows[:128])]
    assert first == sorted(first, reverse=True)


def test_encoding_yields_vectors_of_length_1_and_the_share_that_is_done():
    request = EncodeRequest.of(sentences=[f"sentence {'abc' * n}" for n in range(100)])
    parts = list(Letters().stream(request, Stop()))
    assert parts[-1].share == pytest.approx(1)
    assert [p.share for p in parts] == sorted(p.share for p in parts)
    assert np.linalg.norm(parts[0].vectors, axis=1) == pytest.approx(1)
    stopped = Stop()
    stopped.set()
    assert list(Letters().stream(request, stopped)) == []


# ---------------------------------------------------------------- reference pairs


def test_the_reference_pairs_are_300_a_language_half_of_them_unrelated():
    for language in ("en", "ko", "mixed"):
        grades = [grade for *_, grade in pairs(language)]
        assert {grade: grades.count(grade) for grade in GRADES} == {
            "none": 150, "some": 50, "close": 50, "same": 50
        }  # fmt: skip
    assert language_of_pairs(["a cat", "고양이"]) == "mixed"


def test_an_encoder_measures_the_reference_pairs_once():
    encoder = Letters()
    ask = SimilarityRequest.of(sentences=("a cat", "a dog"), reference=True)
    first, reference = encoder.stream(ask, Stop())
    assert isinstance(first, Similarities)
    assert isinstance(reference, Reference)
    assert 0.5 < separation(reference) < 1, "letters alone tell meanings apart a little"
    assert list(encoder.stream(ask, Stop()))[1] is reference


def test_a_sentence_without_a_vector_has_no_cosine():
    ask = SimilarityRequest.of(sentences=("a cat", "🙂", "!!"), reference=True)
    found, _ = Letters().stream(ask, Stop())
    assert math.isnan(found.cosines[0][1])
    assert found.cosines[0][0] == pytest.approx(1)


# ---------------------------------------------------------------- uploaded lines


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp949"])
def test_a_file_is_read_in_the_encoding_it_was_written_in(tmp_path, encoding):
    text = "고양이가 자요.\n강아지가 뛰어요.\n"
    data = text.encode(encoding)
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe" + data if encoding == "utf-16-le" else data)
    assert read_text(tmp_path / "a.txt") == text


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"a\0b", b"\xff\xfea"])
def test_what_is_no_text_is_refused(tmp_path, data):
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(InvalidInput) as told:
        read_text(tmp_path / "a.txt")
    assert told.value.code == "invalid_not_text_file"


def test_blank_lines_go_and_too_many_or_too_long_ones_are_counted():
    assert lines_of(" \n\na\n  b  \n").lines == ("a", "b")
    huge = lines_of("x" * 10_000_000 + "\nb")
    assert (len(huge.lines[0]), huge.cut) == (2000, 1)
    assert lines_of("a\n" * (MOST_LINES + 5)).left_out == 5
    with pytest.raises(InvalidInput):
        lines_of(" \n \n")


# ---------------------------------------------------------------- embeddings behind a key


def hosted(server, **values):
    from models.placement import place
    from models.sentence_similarity import OpenAIEmbeddings

    settings = Settings(openai_base_url=server.url if server else None)
    spec = find(Task.SENTENCE_SIMILARITY, "openai")
    engine = OpenAIEmbeddings.load(spec, None, place(spec, settings), settings)
    ask = SimilarityRequest.of(sentences=("a", "b"), **values)
    return list(engine.stream(ask, Stop()))


def answer(*vectors):
    data = [{"index": i, "embedding": v, "object": "embedding"} for i, v in enumerate(vectors)]
    return 200, {"object": "list", "data": data[::-1], "model": "m", "usage": {}}


def test_hosted_vectors_are_put_in_order_and_compared():
    with StubServer(answer([3, 0], [3, 3])) as server:
        (found,) = hosted(server, api_key="sk-typed", model_name="large")
    assert found.cosines[0][1] == pytest.approx(math.sqrt(0.5), abs=1e-6)
    assert server.asked[0]["model"] == "large"
    assert server.asked[0]["input"] == ["a", "b"]
    assert server.keys == ["Bearer sk-typed"]


@pytest.mark.parametrize("vectors", [([1, 0],), ([1, 0], [1]), ([1, 0], ["x", 1])])
def test_an_answer_that_does_not_fit_is_no_result(vectors):
    with StubServer(answer(*vectors)) as server, pytest.raises(Unavailable):
        hosted(server, api_key="sk-typed")


def test_faults_of_the_server_are_named():
    with pytest.raises(MissingKey):
        hosted(None)
    from models.errors import WrongKey

    with StubServer((401, fault("invalid_api_key"))) as server, pytest.raises(WrongKey):
        hosted(server, api_key="sk-typed")
