"""What the similarity tab says about its numbers, and that a person's words stay words."""

import math

import pytest

from models.base import Similarities, Task
from models.choice import choose
from models.errors import InvalidInput
from models.registry import find
from models.requests import Word2VecRequest
from models.settings import Settings
from models.words.events import OtherSeed, Word2VecDone, WordsFound
from tabs.context import Context
from tabs.sentence_similarity import compare, encoders, many, show, words_show, words_train

HOSTILE = '<img src=x onerror="alert(1)">'
SETTINGS = Settings(device="cpu")


@pytest.fixture
def context():
    from models.cache import ModelCache

    return Context(SETTINGS, ModelCache(SETTINGS))


def spec(model_id: str):
    return find(Task.SENTENCE_SIMILARITY, model_id)


def similarities(cosine: float, count: int = 2) -> Similarities:
    rows = [[1.0 if i == j else cosine for j in range(count)] for i in range(count)]
    return Similarities(tuple(map(tuple, rows)))


def test_numbers_are_short_and_a_missing_vector_is_a_dash():
    assert [show.number(c) for c in (0.8449, -0.001, -0.5, math.nan)] == [
        "0.84",
        "0.00",
        "−0.50",
        "–",
    ]


def test_a_reading_follows_the_cosine_and_the_encoder():
    minilm = choose(Task.SENTENCE_SIMILARITY, "auto", SETTINGS)
    said = [compare._reading(minilm, c) for c in (0.9, 0.6, 0.3, -0.2)]
    assert len(set(said)) == 4
    bert, typed = spec("google-bert/bert-base-uncased"), spec("somebody/encoder")
    for other in (bert, typed):
        assert compare._reading(other, 0.9) == compare._reading(other, 0.1), "no scale is claimed"
        assert compare._reading(other, 0.9) not in said


def test_korean_in_an_english_encoder_is_called_unreliable_and_the_other_is_named():
    minilm = spec("sentence-transformers/all-MiniLM-L6-v2")
    multilingual = spec("sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2")
    sentences = ("I am here.", "고양이가 소파에서 자요.")
    assert "paraphrase-multilingual" in compare._shown(minilm, sentences, similarities(0.8))
    assert 'class="note"' not in compare._shown(multilingual, sentences, similarities(0.8))
    assert 'class="note"' not in compare._shown(minilm, ("A cat.", "A dog."), similarities(0.8))


def test_several_sentences_are_a_table_that_names_the_most_alike():
    found = Similarities(((1.0, 0.1, 0.2), (0.1, 1.0, 0.7), (0.2, 0.7, 1.0)), truncated=(2,))
    shown = many._shown(spec("sentence-transformers/all-MiniLM-L6-v2"), ("a", "b", HOSTILE), found)
    assert "Most alike: 2 and 3 (0.70)" in shown
    assert shown.count("<td style") == 9
    assert "of sentence 3 only" in shown
    assert "<img" not in shown


def test_a_persons_words_are_escaped():
    done = Word2VecDone(
        vocabulary=(HOSTILE,),
        pair=0.5,
        neighbours={HOSTILE: ((HOSTILE, 0.5),)},
        before={HOSTILE: ((HOSTILE, 0.4),)},
        places=((HOSTILE, 0.0, 0.0),),
        other_seed=OtherSeed(2, 0.1, {HOSTILE: ((HOSTILE, 0.5),)}),
        similarities=similarities(math.nan),
        unknown=(HOSTILE,),
    )
    ask = Word2VecRequest.of(corpus=HOSTILE, word_a=HOSTILE, word_b=HOSTILE)
    shown = words_train._shown(ask, done, [2.0, 1.0])
    assert "<img" not in shown
    assert "&lt;img" in shown
    assert "no number" in shown
    found = WordsFound(((HOSTILE, 0.5),), unknown=(HOSTILE,), pieces={HOSTILE: (HOSTILE,)})
    for question in ("nearest", "analogy"):
        assert "<img" not in words_show.answer(question, HOSTILE, found)
    assert "<img" not in words_show.word_map(((HOSTILE, 0.0, 1.0),))


def test_word2vec_has_nothing_to_compare_with_untrained(context):
    with pytest.raises(InvalidInput) as told:
        encoders.chosen(context, "word2vec", ("a", "b"))
    assert told.value.code == "invalid_word2vec"


def test_what_an_encoder_is_and_its_licence_stand_under_the_choice(context):
    shown = encoders.about(context, "google-bert/bert-base-uncased")
    assert "Apache-2.0" in shown
    assert encoders.about(context, "not an id") == ""
    assert "<img" not in encoders.about(context, HOSTILE)
