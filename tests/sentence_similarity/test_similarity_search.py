"""Groups, maps, search and uploaded lines: known values, and input that is not as one would wish."""

import csv
import math
import zipfile
from itertools import chain

import gradio as gr
import numpy as np
import pytest

from models.contract import Stop
from models.errors import MissingKey, Unavailable
from models.select import find
from models.sentence_similarity.encoder import Encoder, reference_language, reference_pairs
from models.sentence_similarity.events import GRADES, Encoded, ReferenceCosines, Similarities
from models.sentence_similarity.many_sentences import Index, landscape
from models.sentence_similarity.requests import EncodeRequest, SimilarityRequest
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY
from models.text.tables import MAX_ROWS
from tabs.sentence_similarity import many, search
from tabs.shared.events import show_errors
from tests.stub_server import StubServer, fault


def unit(count: int, dimensions: int = 24, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Letters(Encoder):
    """Counts letters: a real vector of any text without a model; none where there is no letter."""

    def vectors(self, sentences):
        counts = [[s.lower().count(chr(97 + i)) for i in range(26)] for s in sentences]
        return np.array(counts, dtype=np.float32)


# ---------------------------------------------------------------- groups and map


def test_the_map_is_scikit_learns_pca_of_the_vectors():
    from sklearn.decomposition import PCA

    vectors = unit(40)
    expected = PCA(2).fit(vectors)
    land = landscape((vectors.astype(float) @ vectors.T.astype(float)).tolist())
    assert np.abs(land.points) == pytest.approx(np.abs(expected.transform(vectors)), abs=1e-4)
    assert land.variance == pytest.approx(expected.explained_variance_ratio_.sum(), abs=1e-4)


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
    hits = index.nearest(query, 10)
    assert {row for row, _ in hits[:3]} == {hit["corpus_id"] for hit in expected[:3]}
    assert [c for _, c in hits] == pytest.approx([hit["score"] for hit in expected], abs=1e-3)


def test_a_long_line_without_a_blank_is_shown_by_its_beginning():
    page = search._hits_html(["가" * 500], [1], [(0, 0.9)])
    assert "가" * (search.EXCERPT - 1) + "…" in page


def test_a_half_filled_index_answers_from_what_there_is_and_fills_on():
    index = Index(["a", "b", "c"], "m")
    assert index.nearest(np.ones(3, np.float32), 5) == []
    index.add(Encoded(np.array([2]), np.eye(3, dtype=np.float32)[2:], 0.3))
    assert [row for row, _ in index.nearest(np.array([0, 0, 1], np.float32), 5)] == [2]
    assert index.size == 1
    assert index.nearest(np.full(3, np.nan, np.float32), 5) == [], "a query without a vector"


def test_an_index_that_would_not_fit_is_refused():
    index = Index(["a"] * MAX_ROWS, "m")
    with pytest.raises(MemoryError):
        index.add(Encoded(np.array([0]), np.ones((1, 4096), np.float32), 0))


def test_every_line_is_encoded_once_in_batches_of_like_length():
    sentences = ["x" * (n * 7 % 50 + 1) for n in range(9000)]
    rows = [part.rows.tolist() for part in Letters().encode(sentences, Stop())]
    assert sorted(chain.from_iterable(rows)) == list(range(9000))
    first = [len(sentences[row]) for row in chain.from_iterable(rows[:128])]
    assert first == sorted(first, reverse=True)


def test_encoding_yields_vectors_of_length_1_and_the_share_that_is_done():
    request = EncodeRequest.of(sentences=[f"sentence {'abc' * n}" for n in range(100)])
    parts = list(Letters().stream(request, Stop()))
    assert parts[-1].share == pytest.approx(1)
    assert [p.share for p in parts] == sorted(p.share for p in parts)
    assert np.linalg.norm(parts[0].vectors, axis=1) == pytest.approx(1)
    stop_time = Stop()
    stop_time.set()
    assert list(Letters().stream(request, stop_time)) == []


# ---------------------------------------------------------------- reference pairs


def test_the_reference_pairs_are_300_a_language_half_of_them_unrelated():
    for language in ("en", "ko", "mixed"):
        grades = [grade for *_, grade in reference_pairs(language)]
        assert {grade: grades.count(grade) for grade in GRADES} == {
            "none": 150, "some": 50, "close": 50, "same": 50
        }  # fmt: skip
    assert reference_language(["a cat", "고양이"]) == "mixed"


def test_an_encoder_measures_the_reference_pairs_once():
    encoder = Letters()
    request = SimilarityRequest.of(sentences=("a cat", "a dog"), reference=True)
    first, reference = encoder.stream(request, Stop())
    assert isinstance(first, Similarities)
    assert isinstance(reference, ReferenceCosines)
    assert 0.5 < reference.separation() < 1, "letters alone tell meanings apart a little"
    assert list(encoder.stream(request, Stop()))[1] is reference


def test_a_sentence_without_a_vector_has_no_cosine():
    request = SimilarityRequest.of(sentences=("a cat", "🙂", "!!"), reference=True)
    answer, _ = Letters().stream(request, Stop())
    assert math.isnan(answer.cosines[0][1])
    assert answer.cosines[0][0] == pytest.approx(1)


# ---------------------------------------------------------------- uploaded lines


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949"])
@pytest.mark.parametrize("kind", ["txt", "csv"])
def test_lines_come_from_a_file_in_any_usual_encoding(tmp_path, encoding, kind):
    head = "" if kind == "txt" else "no,text\n"
    rows = ["고양이가, 음, 자요.", "강아지가 뛰어요."]
    rows = rows if kind == "txt" else [f'{i},"{row}"' for i, row in enumerate(rows)]
    path = tmp_path / f"a.{kind}"
    path.write_bytes((head + "\n".join(rows)).encode(encoding))
    lines = search.lines_of_table(str(path), "", True, None)
    assert lines.texts == ("고양이가, 음, 자요.", "강아지가 뛰어요.")
    assert lines.numbers == ((1, 2) if kind == "txt" else (2, 3))
    assert not lines.notes


def test_a_sheet_gives_the_column_that_was_chosen(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    for row in (["short", "long"], ["cmd", "a much longer text"], ["b", "and another long text"]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    path = str(tmp_path / "a.xlsx")
    assert search.lines_of_table(path, "", True, None).texts[0] == "a much longer text"
    assert search.lines_of_table(path, "", True, "short").texts == ("cmd", "b")


def test_ragged_rows_are_named_and_long_or_blank_cells_are_dealt_with(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,n\none,1\ntwo,2,3\n  ,4\n" + "x" * 3000 + ",5\n", encoding="utf-8")
    lines = search.lines_of_table(str(path), "", True, "text")
    assert lines.numbers == (2, 5)
    assert len(lines.texts[1]) == search.LONGEST
    assert ["rows 3" in note for note in lines.notes] == [True, False]
    sentences, notes = many.read_sentences(str(path), "", True, "text")
    assert sentences == ["one", "x" * 3000]
    assert "3" in notes


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "cannot be read as text"),
        ("a.csv", b"\xff\xfea", "cannot be read as text"),
        ("a.xlsx", b"PK\x03\x04 not a zip", "cannot be read as a table"),
        ("a.csv", b" \n \n", "no row"),
        ("a.csv", b"text,n\n ,1\n", "no row"),
    ],
)
def test_what_holds_no_lines_is_one_clear_sentence(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(gr.Error, match=message), show_errors(None):
        search.lines_of_table(str(tmp_path / name), "", True, None)


def test_a_sheet_that_unpacks_to_too_much_is_not_opened(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * 201_000_000)
    with pytest.raises(gr.Error, match="unpacks to more than"), show_errors(None):
        search.lines_of_table(str(tmp_path / "a.xlsx"), "", True, None)


def test_pasted_lines_may_be_huge_and_none_is_an_error():
    lines = search.lines_of_table(None, " \n\na\n  b  \n" + "x" * 10_000_000, True, None)
    assert lines.texts == ("a", "b")
    assert "20,000" in lines.notes[0]
    with pytest.raises(gr.Error, match="nothing to read"), show_errors(None):
        search.lines_of_table(None, " \n \n", True, None)


def test_results_are_downloaded_as_a_csv_that_computes_nothing():
    index = Index(["=cmd|calc", "plain, text"], "m", numbers=(4, 7))
    path = search.hits_download(index, [(0, 0.91234), (1, -0.5)])["value"]
    with open(path, encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [
            ["line", "cosine", "text"],
            ["4", "0.9123", "'=cmd|calc"],
            ["7", "-0.5000", "plain, text"],
        ]
    answer = Similarities(((1.0, math.nan), (math.nan, 1.0)))
    with open(
        many.csv_file(("=1", "b"), answer, landscape(answer.cosines)), encoding="utf-8-sig"
    ) as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["number", "sentence", "group", "1", "2"]
    assert rows[1][1] == "'=1"
    assert rows[1][3:] == ["1.0000", ""]


# ---------------------------------------------------------------- embeddings behind a key


def hosted(server, **values):
    from models.runtime.placement import place
    from models.sentence_similarity.openai_engine import OpenAIEmbeddings

    settings = Settings(openai_base_url=server.url if server else None)
    spec = find(SENTENCE_SIMILARITY, "openai")
    engine = OpenAIEmbeddings.load(spec, None, place(spec, settings), settings)
    request = SimilarityRequest.of(sentences=("a", "b"), **values)
    return list(engine.stream(request, Stop()))


def reply(*vectors):
    data = [{"index": i, "embedding": v, "object": "embedding"} for i, v in enumerate(vectors)]
    return 200, {"object": "list", "data": data[::-1], "model": "m", "usage": {}}


def test_hosted_vectors_are_put_in_order_and_compared():
    with StubServer(reply([3, 0], [3, 3])) as server:
        (answer,) = hosted(server, api_key="sk-typed", model_name="large")
    assert answer.cosines[0][1] == pytest.approx(math.sqrt(0.5), abs=1e-6)
    assert server.bodies[0]["model"] == "large"
    assert server.bodies[0]["input"] == ["a", "b"]
    assert server.keys == ["Bearer sk-typed"]


@pytest.mark.parametrize("vectors", [([1, 0],), ([1, 0], [1]), ([1, 0], ["x", 1])])
def test_an_answer_that_does_not_fit_is_no_result(vectors):
    with StubServer(reply(*vectors)) as server, pytest.raises(Unavailable):
        hosted(server, api_key="sk-typed")


def test_faults_of_the_server_are_named():
    with pytest.raises(MissingKey):
        hosted(None)
    from models.errors import WrongKey

    with StubServer((401, fault("invalid_api_key"))) as server, pytest.raises(WrongKey):
        hosted(server, api_key="sk-typed")
