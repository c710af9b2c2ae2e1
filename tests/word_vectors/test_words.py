"""Questions to word vectors, a person's own vectors as files, the starters as an engine."""

import math
from pathlib import Path

import numpy as np
import pytest

from models.contract import Stop
from models.errors import Damaged, InvalidInput
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.runtime.placement import place
from models.select import find, select
from models.sentence_similarity import encoder
from models.sentence_similarity.events import Similarities
from models.sentence_similarity.requests import SimilarityRequest
from models.settings import Settings
from models.tasks import CATALOG, SENTENCE_SIMILARITY, WORD_VECTORS, recipe
from models.text.encodings import decode
from models.text.language import training_sentences
from models.weights import sources
from models.weights.sources import STARTERS
from models.word_vectors.events import Word2VecStep, WordAnswer, WordTable
from models.word_vectors.requests import Word2VecRequest, WordsRequest
from models.word_vectors.vectors import (
    TENSORS,
    VOCABULARY,
    WordVectors,
    formula,
    keyed_vectors,
    map_points,
    read_table,
    unfit_words,
    write_table,
)

SETTINGS = Settings(device="cpu", idle_minutes=0)
ENGLISH = find(SENTENCE_SIMILARITY, "genlab/words-en")
KOREAN = find(SENTENCE_SIMILARITY, "genlab/words-ko")
OWN = find(SENTENCE_SIMILARITY, "word2vec")
# On a plane: king and queen differ as man and woman do; the others lie elsewhere.
TABLE = WordTable(
    ("man", "woman", "king", "queen", "stone"),
    np.array([[1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1], [-1, -1, -1]], dtype=np.float32),
)


@pytest.fixture(scope="module")
def cache():
    with_models = ModelCache(SETTINGS)
    yield with_models
    with_models.close()


def answer_of(cache: ModelCache, spec=OWN, table: WordTable | None = TABLE, **values) -> WordAnswer:
    request = WordsRequest.of(table=table if spec is OWN else None, **values)
    return next(e for e in run(cache, spec, request) if isinstance(e, WordAnswer))


def test_known_values(cache):
    near = answer_of(cache, question="nearest", words=["man"]).nearest
    assert near[0] == ("king", pytest.approx(1 / math.sqrt(2)))
    sum_of = answer_of(cache, question="analogy", words=["King", "woman"], minus=["man"]).nearest
    assert sum_of[0][0] == "queen"
    odd = answer_of(cache, question="odd", words=["man", "king", "stone", "queen"])
    assert (odd.odd, odd.fits[-1][0]) == ("stone", "stone")


def test_unknown_words_are_named_and_too_few_known_are_refused(cache):
    answer = answer_of(cache, question="map", words=["man", "king", "unicorn"])
    assert answer.unknown == ("unicorn",)
    assert [word for word, _, _ in answer.points] == ["man", "king"]
    for values in (
        {"question": "nearest", "words": ["unicorn"]},
        {"question": "analogy", "words": ["king", "unicorn"], "minus": ["man"]},
        {"question": "odd", "words": ["man", "king", "unicorn"]},
    ):
        with pytest.raises(InvalidInput) as error:
            answer_of(cache, **values)
        assert error.value.code == "invalid_no_vector"
        assert "unicorn" in error.value.params["words"]


def test_a_map_keeps_distances_and_follows_an_earlier_one():
    words = {"a": np.array([1.0, 0, 0]), "b": np.array([0, 1.0, 0]), "c": np.array([0, 0, 1.0])}
    first = map_points(words)
    points = np.array([[x, y] for _, x, y in first])
    gaps = [np.linalg.norm(points[i] - points[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert gaps == pytest.approx([math.sqrt(2)] * 3)
    rotation = tuple((word, -y, x) for word, x, y in first)
    after = map_points(words, like=rotation)
    assert [v for p in after for v in p[1:]] == pytest.approx([v for p in rotation for v in p[1:]])
    assert map_points({"a": words["a"]}) == (("a", 0.0, 0.0),)


def test_sums_as_people_type_them():
    assert formula("king - man + woman") == (["king", "woman"], ["man"])
    assert formula("왕−남자+여자") == (["왕", "여자"], ["남자"])
    assert formula("") == ([], [])


@pytest.mark.parametrize("name", ["mine.txt", "mine.safetensors"])
def test_own_vectors_are_saved_and_loaded(tmp_path, name):
    write_table(TABLE, tmp_path / name)
    again = read_table(tmp_path / name)
    assert again.words == TABLE.words
    np.testing.assert_allclose(again.vectors, TABLE.vectors)
    assert b"\x80\x04" not in (tmp_path / name).read_bytes()[:2], "a pickle begins so"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.txt", b"not vectors at all", "invalid_vectors_file"),
        ("a.txt", b"Chapter 1\nThe king had 3\nsons and no more\nwords\n", "invalid_vectors_file"),
        ("a.bin", b"\xba\x16\x4f\x2f\x0c\0\0\0", "invalid_vectors_file"),
        ("a.bin", b"\x80\x04\x95pickle", "invalid_vectors_pickle"),
        ("a.vec", b"\x80\x03csomething", "invalid_vectors_pickle"),
        ("a.txt", b"1 1\nking nan\n", "invalid_vectors_file"),
        ("a.txt", b"999999999 300\nking 1\n", "invalid_vectors_size"),
        ("a.txt", b"\xff\xfe\x00\x01", "invalid_vectors_file"),
        ("a.safetensors", b"broken", "invalid_vectors_file"),
        ("a.kv", b"\x80\x04pickle", "invalid_vectors_file"),
    ],
)
def test_files_that_are_none_are_refused(tmp_path, name, content, code):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput) as error:
        read_table(tmp_path / name)
    assert error.value.code == code


# content -> words, and what was counted; all have the vectors 0.5 -1.25 for "cat", -2 0.75 for "왕이"
LINES = "cat 0.5 -1.25\n왕이 -2 0.75\n".encode()
FORMATS = {
    "with a header": (b"2 2\n" + LINES, ("cat", "왕이"), {}),
    "without one, as GloVe": (LINES, ("cat", "왕이"), {}),
    "a mark": (b"\xef\xbb\xbf2 2\n" + LINES, ("cat", "왕이"), {}),
    "a mark and no header": (b"\xef\xbb\xbf" + LINES, ("cat", "왕이"), {}),
    "tabs": (b"2\t2\n" + LINES.replace(b" ", b"\t"), ("cat", "왕이"), {}),
    "two blanks, and some at the end": (
        LINES.replace(b" ", b"  ").replace(b"\n", b" \t\n"),
        ("cat", "왕이"),
        {},
    ),
    "CR LF": (b"2 2\r\n" + LINES.replace(b"\n", b"\r\n"), ("cat", "왕이"), {}),
    "CR": ((b"2 2\n" + LINES).replace(b"\n", b"\r"), ("cat", "왕이"), {}),
    "no end of the last line": (LINES.rstrip(), ("cat", "왕이"), {}),
    "words with blanks": (
        b"4 2\n" + LINES + b"new york 1 2\n. . . 3 4\n",
        ("cat", "왕이", "new york", ". . ."),
        {},
    ),
    "words that are numbers, or blanks of other kinds": (
        LINES + "2024 1 2\nnew\xa0york 3 4\n\u2028 5 6\n\x85 7 8\n\u3000 9 9\n".encode(),
        ("cat", "왕이", "2024", "new\xa0york", "\u2028", "\x85", "\u3000"),
        {},
    ),
    "no UTF-8": (LINES + b"caf\xe9 1 2\n", ("cat", "왕이", "café"), {"not_utf8": 1}),
    "UTF-16": (("2 2\n" + LINES.decode()).encode("utf-16"), ("cat", "왕이"), {}),
    "Korean of Windows": (
        b"2 2\n" + LINES.decode().encode("cp949"),
        ("cat", "왕이"),
        {},
    ),
    "a letter that was cut, alone": (
        LINES + "왕".encode()[:-1] + b" 1 2\n",
        ("cat", "왕이", "\ufffd"),
        {"not_utf8": 1},
    ),
    "a number to Python alone": (LINES + b"dog 1_0 2\n", ("cat", "왕이"), {"no_vector": 1}),
    "a blank before each word": (
        b" " + LINES.replace(b"\n", b"\n ").rstrip() + b"\n",
        ("cat", "왕이"),
        {},
    ),
    "a letter that was cut": (
        LINES + "왕비".encode()[:-1] + b" 1 2\n",
        ("cat", "왕이", "왕\ufffd"),
        {"not_utf8": 1},
    ),
    "words that come twice": (LINES + b"cat 9 9\n", ("cat", "왕이"), {"duplicate": 1}),
    "lines that are none": (
        b"5 2\n" + LINES + b"short 1\n 3 4\nlong x y\n",
        ("cat", "왕이"),
        {"no_vector": 3},
    ),
    "numbers that are none": (
        LINES + b"bad nan 1\nworse inf 2\n",
        ("cat", "왕이"),
        {"not_finite": 2},
    ),
    "fewer than the header claims": (b"9 2\n" + LINES, ("cat", "왕이"), {"header": 9}),
    "more than the header claims": (b"1 2\n" + LINES, ("cat", "왕이"), {"header": 1}),
    "another size than the header claims": (
        b"2 5\n" + LINES,
        ("cat", "왕이"),
        {"header_size": 5},
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_vectors_as_others_write_them(tmp_path, name):
    content, words, faults = FORMATS[name]
    path = tmp_path / "a.vec"
    path.write_bytes(content)
    table = read_table(path)
    assert table.words == words
    assert table.vectors[:2].tolist() == [[0.5, -1.25], [-2, 0.75]]
    assert dict(table.faults) == faults


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_binary_word2vec_is_read(tmp_path, end):
    vectors = np.array([[0.5, -1.25], [-2, 0.75]], "<f4")
    rows = [
        word.encode() + b" " + row.tobytes() + end
        for word, row in zip(("cat", "왕이"), vectors, strict=True)
    ]
    path = tmp_path / "a.bin"
    path.write_bytes(b"2 2\n" + b"".join(rows))
    table = read_table(path)
    assert (table.words, table.vectors.tolist(), table.faults) == (
        ("cat", "왕이"),
        vectors.tolist(),
        (),
    )
    path.write_bytes(b"2 2\n" + b"".join(rows)[:-4])
    assert (read_table(path).words, read_table(path).faults) == (("cat",), (("header", 2),))


def test_a_binary_file_of_more_words_than_it_claims_or_of_other_numbers(tmp_path):
    path = tmp_path / "a.bin"
    rows = [b"%c " % letter + np.array([0.5, 1], "<f4").tobytes() for letter in b"abc"]
    path.write_bytes(b"2 2\n" + b"".join(rows))
    assert (read_table(path).words, read_table(path).faults) == (("a", "b", "c"), (("header", 2),))
    rows = [b"%c " % letter + np.array([0.5, 1], "<f8").tobytes() for letter in b"abc"]
    path.write_bytes(b"3 2\n" + b"".join(rows))
    with pytest.raises(InvalidInput) as problem:
        read_table(path)
    assert problem.value.code == "invalid_vectors_file"


def test_a_binary_file_of_gensim_is_read(tmp_path):
    keyed_vectors(TABLE.words, TABLE.vectors).save_word2vec_format(
        str(tmp_path / "a.bin"), binary=True
    )
    again = read_table(tmp_path / "a.bin")
    assert again.words == TABLE.words
    np.testing.assert_array_equal(again.vectors, TABLE.vectors)


def test_a_training_is_seen_epoch_by_epoch_and_a_small_one_is_checked_by_another_seed(cache):
    corpus = "the king rules the land\nthe queen rules the land\n"
    request = Word2VecRequest.of(
        corpus=corpus, word_a="king", word_b="queen", words=["king", "land", "zebra"], epochs=200
    )
    *events, end, _ = [e for e in run(cache, OWN, request) if type(e).__name__ != "Working"]
    steps = [e for e in events if isinstance(e, Word2VecStep)]
    assert (steps[-1].epoch, steps[-1].epochs) == (200, 200)
    assert steps[-1].loss > 0
    assert [word for word, _, _ in steps[-1].points] == ["king", "land"]
    assert end.unknown == ("zebra",)
    assert end.other_seed.seed == 2
    again = request.model_copy(update={"seed": 2})
    other = next(e for e in run(cache, OWN, again) if type(e) is type(end))
    assert end.other_seed.neighbours == other.neighbours
    assert end.other_seed.pair == other.pair
    assert set(end.before) == {"king", "queen"}
    assert end.before != end.neighbours
    assert end.table.vectors.shape == (5, 5)


def test_text_files_of_every_usual_encoding():
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp949"):
        assert decode("왕이 산다\nking".encode(encoding)) == "왕이 산다\nking"
    with pytest.raises(InvalidInput):
        decode(b"\x89PNG\x00\x00\xff\xff")


def test_the_english_starter_knows_common_words(cache):
    near = {
        word for word, _ in answer_of(cache, ENGLISH, question="nearest", words=["mother"]).nearest
    }
    assert near & {"father", "sister", "daughter", "wife", "grandmother"}
    odd = answer_of(cache, ENGLISH, question="odd", words=["guitar", "piano", "violin", "table"])
    assert odd.odd == "table"


def test_the_korean_starter_reads_unknown_words_in_pieces(cache):
    near = {
        word for word, _ in answer_of(cache, KOREAN, question="nearest", words=["엄마"]).nearest
    }
    assert near & {"아빠", "어머니", "아버지", "딸", "아들"}
    assert not any(word.startswith("엄마") for word in near), "only its endings differ"
    answer = answer_of(cache, KOREAN, question="nearest", words=["엄마한테서도"])
    assert answer.pieces["엄마한테서도"][0] == "엄마"
    assert not answer.unknown


@pytest.mark.parametrize(
    ("spec", "like", "other"),
    [
        (ENGLISH, ("A man plays the guitar.", "Someone plays a guitar."), "We ate soup at home."),
        (KOREAN, ("영화가 정말 재미있어요.", "너무 재미있는 영화예요."), "비가 와서 집에 있었다."),
    ],
)
def test_sentences_of_like_words_are_alike(cache, spec, like, other):
    request = SimilarityRequest.of(sentences=(*like, other, "🙂🙂"))
    answer = next(e for e in run(cache, spec, request) if isinstance(e, Similarities))
    assert answer.cosines[0][1] > answer.cosines[0][2]
    assert math.isnan(answer.cosines[0][3])


def test_a_megabyte_and_a_third_language(cache):
    request = SimilarityRequest.of(sentences=("word " * 400, "Völlig дом 家"))
    answer = next(e for e in run(cache, ENGLISH, request) if isinstance(e, Similarities))
    assert math.isnan(answer.cosines[0][1])
    assert set(answer.unknown) >= {"völlig", "дом", "家"}


def test_a_damaged_file_is_named_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "STARTERS", tmp_path)
    folder = tmp_path / ENGLISH.name
    folder.mkdir()
    for name in (TENSORS, VOCABULARY):
        (folder / name).write_bytes((STARTERS / ENGLISH.name / name).read_bytes())
    (folder / TENSORS).write_bytes(b"broken")
    for break_it in (lambda: None, (folder / VOCABULARY).unlink):
        break_it()
        bad = ModelCache(SETTINGS)
        with pytest.raises(Damaged) as error:
            list(run(bad, ENGLISH, WordsRequest.of(question="nearest", words=["a"])))
        bad.close()
        assert error.value.params["command"].startswith("python -m training.word_vectors en")
    assert error.value.params["file"] == VOCABULARY


def test_every_id_of_the_catalogue_is_found():
    for spec in SENTENCE_SIMILARITY.models:
        assert find(SENTENCE_SIMILARITY, spec.id) is spec


def test_korean_pairs_take_the_korean_vectors_where_there_is_nothing_better():
    assert select(SENTENCE_SIMILARITY, "auto", SETTINGS, "고양이가 자요").id == KOREAN.id
    assert "MiniLM" in select(SENTENCE_SIMILARITY, "auto", SETTINGS, "A cat.").label
    assert place(KOREAN, Settings(device="auto")).device == "cpu"


@pytest.mark.parametrize(
    ("spec", "word"), [(ENGLISH, "girl"), (KOREAN, "재미없다"), (KOREAN, "여자")]
)
def test_words_that_would_embarrass_a_class_are_not_listed(cache, spec, word):
    starter = WordVectors.load(STARTERS / spec.name)
    assert unfit_words() & set(starter.table.index_to_key)
    everything = starter.table.most_similar(
        word if word in starter.table else [starter.word(word)], topn=500
    )
    assert any(w in unfit_words() for w, _ in everything), "else this test says nothing"
    near = answer_of(cache, spec, None, question="nearest", words=[word], count=50).nearest
    assert len(near) == 50
    assert not {w for w, _ in near} & unfit_words()


def test_the_list_of_unfit_words_is_short_and_of_the_starters():
    values = {
        w for s in (ENGLISH, KOREAN) for w in WordVectors.load(STARTERS / s.name).table.index_to_key
    }
    assert unfit_words() <= values
    assert len(unfit_words()) < 120


def test_a_persons_own_words_are_all_listed(cache):
    table = WordTable(("cat", "damn", "dog"), np.eye(3, dtype=np.float32))
    near = answer_of(cache, table=table, question="nearest", words=["cat"]).nearest
    assert {w for w, _ in near} == {"damn", "dog"}


@pytest.mark.parametrize(
    ("spec", "request_of"),
    [
        (ENGLISH, WordsRequest.of(question="analogy", words=["king", "woman"], minus=["man"])),
        (KOREAN, WordsRequest.of(question="nearest", words=["엄마한테서도"])),
        (KOREAN, WordsRequest.of(question="odd", words=["엄마", "아빠", "노래"])),
        (ENGLISH, WordsRequest.of(question="map", words=["king", "queen", "man"])),
        (KOREAN, SimilarityRequest.of(sentences=("영화가 좋다", "영화가 재미있다"))),
    ],
)
def test_the_recipe_says_the_same(cache, spec, request_of, monkeypatch, capsys):
    monkeypatch.chdir(STARTERS.parents[1])
    exec(compile(recipe(spec, request_of, place(spec, SETTINGS)), "recipe", "exec"), {})
    output = capsys.readouterr().out
    event = next(
        e for e in run(cache, spec, request_of) if isinstance(e, WordAnswer | Similarities)
    )
    if isinstance(event, Similarities):
        assert f"{event.cosines[0][1]:.9f}"[:5] in output
    else:
        rows = event.nearest or event.fits or event.points
        places = [output.index(f"'{row[0]}'" if event.nearest else row[0]) for row in rows]
        assert not event.nearest or places == sorted(places)
        assert not event.nearest or output.count("(") == len(rows)
        assert f"{abs(rows[0][1]):.9f}"[:5] in output


def test_stop_ends_a_training_within_an_epoch(cache):
    from models.errors import Stopped
    from models.word_vectors.engine import Training

    stop = Stop()
    training = Training(Word2VecRequest.of(corpus="a b c d\n" * 1000, epochs=500), stop)
    steps = training.epochs()
    next(steps)
    stop.set()
    with pytest.raises(Stopped):
        next(steps)


def test_word_vectors_stand_behind_the_encoders_and_are_listed_once():
    assert SENTENCE_SIMILARITY.models[-len(WORD_VECTORS.models) :] == WORD_VECTORS.models
    assert [spec.id for spec in WORD_VECTORS.models] == [
        "genlab/words-en",
        "genlab/words-ko",
        "genlab/words-en:mean",
        "genlab/words-ko:mean",
        "word2vec",
    ]
    assert all(CATALOG.count(spec) == 1 for spec in WORD_VECTORS.models)


def test_sentence_similarity_does_not_know_word_vectors():
    folder = Path(encoder.__file__).parent
    assert not any("models.word_vectors" in path.read_text() for path in folder.glob("*.py"))


def test_lines_of_a_training_text_end_at_line_ends_only():
    text = "왕이 산다\u2028여왕이 산다\r\nking\x0blives\rqueen\x85lives\n"
    assert training_sentences(text) == [
        ["왕이", "산다", "여왕이", "산다"],
        ["king", "lives"],
        ["queen", "lives"],
    ]
