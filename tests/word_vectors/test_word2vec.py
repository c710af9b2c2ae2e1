"""Word2Vec on a person's own sentences: gensim's own numbers, unknown words, seeds, stop."""

import math
import threading
import time
import unicodedata

import pytest

from models.errors import InvalidInput
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY
from models.text.language import words
from models.word_vectors.events import Word2VecDone
from models.word_vectors.requests import Word2VecRequest

CORPUS = """\
The king rules the land.
The queen rules the land!
A dog chases a cat.
A cat sleeps all day, and the dog doesn't."""
WORD2VEC = find(SENTENCE_SIMILARITY, "word2vec")


@pytest.fixture(scope="module")
def cache():
    with_models = ModelCache(Settings(device="cpu", idle_minutes=0))
    yield with_models
    with_models.close()


def train(cache: ModelCache, **values) -> Word2VecDone:
    request = Word2VecRequest.of(**{"corpus": CORPUS, "epochs": 20, **values})
    return next(e for e in run(cache, WORD2VEC, request) if isinstance(e, Word2VecDone))


def reference(**values):
    """Gensim itself on the same words, in its own plain call."""
    from gensim.models import Word2Vec

    settings = {"vector_size": 5, "window": 5, "min_count": 1, "sg": 0, "epochs": 20, "seed": 1}
    lines = [
        ["the", "king", "rules", "the", "land"],
        ["the", "queen", "rules", "the", "land"],
        ["a", "dog", "chases", "a", "cat"],
        ["a", "cat", "sleeps", "all", "day", "and", "the", "dog", "doesn't"],
    ]
    return Word2Vec(lines, workers=1, **{**settings, **values}).wv


@pytest.mark.parametrize("values", [{}, {"sg": 1, "vector_size": 20, "window": 2, "seed": 7}])
def test_word2vec_is_gensims(cache, values):
    end, expected = train(cache, word_a="King", word_b=" queen ", **values), reference(**values)
    assert list(end.vocabulary) == expected.index_to_key
    assert end.pair == pytest.approx(float(expected.similarity("king", "queen")), abs=1e-6)
    neighbours = expected.most_similar("king", topn=10)
    assert [word for word, _ in end.neighbours["king"]] == [word for word, _ in neighbours]
    assert set(end.neighbours) == {"king", "queen"}


def test_sentences_are_compared_by_the_mean_of_their_words(cache):
    sentences = ("The king, the land!", "A cat sleeps.", "Völlig unbekannt")
    end, expected = train(cache, sentences=sentences), reference()
    by_gensim = expected.n_similarity(["the", "king", "the", "land"], ["a", "cat", "sleeps"])
    assert end.similarities is not None
    assert end.similarities.cosines[0][1] == pytest.approx(float(by_gensim), abs=1e-6)
    assert all(math.isnan(c) for c in end.similarities.cosines[2])
    assert end.unknown == ("völlig", "unbekannt")


def test_unknown_words_are_named_and_give_no_number(cache):
    end = train(cache, word_a="king", word_b="Unicorn")
    assert (end.pair, end.unknown, list(end.neighbours)) == (None, ("unicorn",), ["king"])


def test_the_seed_changes_the_result_and_nothing_else_does(cache):
    first, again, other = (train(cache, word_a="king", seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first.neighbours != other.neighbours


def test_min_count_that_leaves_no_word_is_an_error(cache):
    for corpus, min_count in ((CORPUS, 50), ("!!! ... 🙂", 1)):
        with pytest.raises(InvalidInput) as error:
            train(cache, corpus=corpus, min_count=min_count)
        assert error.value.code == "invalid_no_vocabulary"


def test_one_word_is_trained_too(cache):
    end = train(cache, corpus="word", word_a="word", word_b="word")
    assert (end.vocabulary, end.neighbours["word"]) == (("word",), ())


def test_korean_words_are_split_at_spaces_however_hangul_was_typed():
    assert words("고양이가, “잔다”.") == ["고양이가", "잔다"]
    assert words(unicodedata.normalize("NFD", "고양이가 잔다")) == ["고양이가", "잔다"]


def test_words_past_gensims_limit_of_a_line_are_trained_too(cache):
    end = train(cache, corpus="a b " * 6000 + "last", epochs=1, word_a="last")
    assert "last" in end.vocabulary
    assert not end.unknown


def test_stop_ends_a_training_between_epochs(cache):
    request = Word2VecRequest.of(corpus=CORPUS * 100, epochs=500, vector_size=300)
    job = run(cache, WORD2VEC, request)
    next(job)
    job.close()
    end_time = time.monotonic() + 5
    while any(t.name == "job word2vec" for t in threading.enumerate()):
        assert time.monotonic() < end_time, "the training went on"
        time.sleep(0.02)
