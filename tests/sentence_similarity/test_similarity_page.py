"""What the similarity tab says about its numbers, and that a person's words stay words."""

import math

import numpy as np
import pytest

from models.errors import InvalidInput, MissingKey
from models.select import find
from models.sentence_similarity.events import Reference, Similarities
from models.sentence_similarity.landscape import landscape
from models.sentence_similarity.reference import percentile, separation
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY
from models.word_vectors.events import OtherSeed, Word2VecDone, WordsFound
from models.word_vectors.requests import Word2VecRequest
from tabs.sentence_similarity import encoders, many, show, verdicts
from tabs.sentence_similarity import maps as many_maps
from tabs.sentence_similarity.verdicts import Verdict
from tabs.sentence_similarity.words import training as words_train
from tabs.sentence_similarity.words import view as words_show
from tabs.shared.context import Context

HOSTILE = '<img src=x onerror="alert(1)">'
SETTINGS = Settings(device="cpu")


@pytest.fixture
def context():
    from models.runtime.cache import ModelCache

    return Context(SETTINGS, ModelCache(SETTINGS))


def spec(model_id: str):
    return find(SENTENCE_SIMILARITY, model_id)


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


def reference(**medians: float) -> Reference:
    """Pairs whose cosines lie close around each grade's median."""
    return Reference(
        "en", {g: tuple(m + d / 100 for d in range(-3, 4)) for g, m in medians.items()}
    )


WIDE = reference(none=0.05, some=0.2, close=0.35, same=0.7)
NARROW = reference(none=0.6, some=0.65, close=0.7, same=0.9)
FLAT = reference(none=0.6, some=0.6, close=0.6, same=0.6)


def verdict(model_id: str, cosine: float, found: Reference | None) -> Verdict:
    return Verdict(spec(model_id), similarities(cosine), found)


MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MULTILINGUAL = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
PAIR = ("A cat.", "A dog.")


def test_a_reading_follows_what_the_cosine_means_for_this_encoder():
    assert "in other words" in verdicts.one(verdict(MINILM, 0.72, WIDE), PAIR)
    narrow = verdicts._reading(verdict(MINILM, 0.72, NARROW), PAIR)
    assert "like event" in narrow, "where all cosines are high, 0.72 is not the same"
    weak = verdicts._reading(verdict(MINILM, 0.72, FLAT), PAIR)
    assert "does not tell" in weak


def test_the_place_among_the_reference_pairs_is_a_share_of_lower_ones():
    assert percentile(WIDE, 0.5) == 0.75
    assert percentile(WIDE, -1) == 0
    assert math.isnan(percentile(WIDE, math.nan))
    assert separation(WIDE) == 1
    assert separation(FLAT) == pytest.approx(0.5, abs=0.1)


def test_an_encoder_whose_cosines_are_all_high_is_said_to_be_one():
    assert "narrow cone" in verdicts.one(verdict(MINILM, 0.7, NARROW), PAIR)
    assert "narrow cone" not in verdicts.one(verdict(MINILM, 0.7, WIDE), PAIR)


def test_korean_in_an_english_encoder_is_called_unreliable_and_the_other_is_named():
    sentences = ("I am here.", "고양이가 소파에서 자요.")
    assert "paraphrase-multilingual" in verdicts.one(verdict(MINILM, 0.8, WIDE), sentences)
    assert "does not read" not in verdicts.one(verdict(MULTILINGUAL, 0.8, WIDE), sentences)
    assert "does not read" not in verdicts.one(verdict(MINILM, 0.8, WIDE), PAIR)


def test_side_by_side_each_encoder_has_its_row_and_its_problem():
    rows = [verdict(MINILM, 0.7, WIDE), verdict("somebody/encoder", math.nan, None)]
    rows.append(Verdict(spec(MULTILINGUAL), problem=MissingKey()))
    shown = verdicts.several(rows, PAIR)
    assert shown.count('<th scope="row">') == 3
    assert "needs an API key" in shown
    assert "API 키가 필요해요" in shown
    assert "0.70" in shown


def test_several_sentences_are_pairs_groups_a_map_and_a_table():
    cosines = ((1.0, 0.1, 0.2), (0.1, 1.0, 0.7), (0.2, 0.7, 1.0))
    found = Similarities(cosines, truncated=(2,))
    shown = many._shown(spec(MINILM), ("a", "b", HOSTILE), found, landscape(cosines, 2))
    assert shown.index("0.70") < shown.index("0.20") < shown.index("0.10"), "most alike first"
    assert shown.count("<td style") == 9
    assert "Group A (2)" in shown
    assert shown.count("<circle") == 3
    assert "of sentence 3 only" in shown
    assert "<img src=x" not in shown


def test_sentences_without_a_vector_stand_apart_and_many_are_a_picture():
    cosines = np.full((20, 20), 0.5)
    np.fill_diagonal(cosines, 1)
    cosines[3] = cosines[:, 3] = math.nan
    found = Similarities(tuple(map(tuple, cosines.tolist())))
    shown = many._shown(
        spec(MINILM), tuple("abcdefghijklmnopqrst"), found, landscape(found.cosines)
    )
    assert "No vector" in shown
    assert shown.count("<circle") == 19
    assert "data:image/png;base64," in shown


@pytest.mark.parametrize("cosine", [1.0, math.nan])
def test_identical_sentences_and_unknown_ones_break_nothing(cosine):
    found = Similarities(((cosine,) * 4,) * 4)
    assert many._shown(spec(MINILM), ("🙂",) * 4, found, landscape(found.cosines))


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


def test_a_large_heatmap_has_the_nearest_of_each_sentence_as_a_table():
    count = many_maps.IN_TABLE + 1
    rows = [[1.0 if i == j else 0.1 for j in range(count)] for i in range(count)]
    rows[0][3] = rows[3][0] = 0.9
    rows[5] = [math.nan] * count
    for row in rows:
        row[5] = math.nan
    found = Similarities(tuple(map(tuple, rows)))
    sentences = [*map(str, range(count - 1)), HOSTILE]
    shown = many_maps.heat(sentences, found, landscape(found.cosines))
    assert '<th scope="row">1. 0</th><td>0.90</td><td>4. 3</td>' in shown
    assert shown.count('<th scope="row">') == count - 1, "one has no vector"
    assert 'aria-describedby="many-heat-says"' in shown
    assert HOSTILE not in shown
