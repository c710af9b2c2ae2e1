"""What the similarity tab says about its numbers, and that a person's words stay words."""

import json
import math
import re

import numpy as np
import pytest

from models.errors import InvalidInput, MissingKey
from models.select import find
from models.sentence_similarity import catalog
from models.sentence_similarity.events import ReferenceCosines, Similarities
from models.sentence_similarity.many_sentences import landscape
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY
from models.word_vectors.events import OtherSeed, Word2VecDone, WordAnswer
from models.word_vectors.requests import Word2VecRequest
from tabs.sentence_similarity import compare, encoders, many
from tabs.sentence_similarity.compare import Verdict
from tabs.sentence_similarity.encoders import ColourScale, number
from tabs.sentence_similarity.words import training, view
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
    assert [number(c) for c in (0.8449, -0.001, -0.5, math.nan)] == [
        "0.84",
        "0.00",
        "−0.50",
        "–",
    ]


def reference(**medians: float) -> ReferenceCosines:
    """Pairs whose cosines lie close around each grade's median."""
    return ReferenceCosines(
        "en", {g: tuple(m + d / 100 for d in range(-3, 4)) for g, m in medians.items()}
    )


WIDE = reference(none=0.05, some=0.2, close=0.35, same=0.7)
NARROW = reference(none=0.6, some=0.65, close=0.7, same=0.9)
FLAT = reference(none=0.6, some=0.6, close=0.6, same=0.6)


def verdict(model_id: str, cosine: float, reference: ReferenceCosines | None) -> Verdict:
    return Verdict(spec(model_id), similarities(cosine), reference)


MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MULTILINGUAL = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
PAIR = ("A cat.", "A dog.")


def test_a_reading_follows_what_the_cosine_means_for_this_encoder():
    assert "in other words" in compare.verdict_html(verdict(MINILM, 0.72, WIDE), PAIR)
    narrow = compare._reading(verdict(MINILM, 0.72, NARROW), PAIR)
    assert "similar event" in narrow, "where all cosines are high, 0.72 is not the same"
    weak = compare._reading(verdict(MINILM, 0.72, FLAT), PAIR)
    assert "does not tell" in weak


def test_a_cosine_where_alike_and_unlike_pairs_overlap_is_unsure(monkeypatch):
    borders = {MINILM: {"en": {"low": 0.5, "high": 0.6}}}
    monkeypatch.setattr(catalog, "_overlaps", lambda: borders)

    def reading(model_id: str, cosine: float, sentences: tuple[str, str] = PAIR) -> str:
        return compare._reading(verdict(model_id, cosine, WIDE), sentences)

    assert "Unsure" in reading(MINILM, 0.55)
    assert "확실하지 않아요" in reading(MINILM, 0.5)
    for cosine in (0.49, 0.6, 0.8):
        assert "Unsure" not in reading(MINILM, cosine)
    assert "Unsure" not in reading(MULTILINGUAL, 0.55), "not measured, nothing said"


def test_the_borders_of_the_encoders_that_auto_takes_are_measured():
    content = json.loads(catalog.OVERLAPS.read_text("utf-8"))
    assert "training.evaluate hub" in content["source"]
    assert set(content["models"]["intfloat/multilingual-e5-small"]) == {"en", "ko", "mixed"}
    assert set(content["models"][MINILM]) == {"en"}
    for languages in content["models"].values():
        for borders in languages.values():
            assert 0 < borders["low"] < borders["high"] < 1
            assert borders["pairs"] == 1500
            assert borders["inside"] < 0.4, "an encoder that is mostly unsure says nothing"


def test_the_place_among_the_reference_pairs_is_a_share_of_lower_ones():
    assert WIDE.percentile(0.5) == 0.75
    assert WIDE.percentile(-1) == 0
    assert math.isnan(WIDE.percentile(math.nan))
    assert WIDE.separation() == 1
    assert FLAT.separation() == pytest.approx(0.5, abs=0.1)


def test_an_encoder_whose_cosines_are_all_high_is_said_to_be_one():
    assert "narrow cone" in compare.verdict_html(verdict(MINILM, 0.7, NARROW), PAIR)
    assert "narrow cone" not in compare.verdict_html(verdict(MINILM, 0.7, WIDE), PAIR)


def test_korean_in_an_english_encoder_is_called_unreliable_and_the_other_is_named():
    sentences = ("I am here.", "고양이가 소파에서 자요.")
    assert "Multilingual E5 small" in compare.verdict_html(verdict(MINILM, 0.8, WIDE), sentences)
    assert "does not read" not in compare.verdict_html(verdict(MULTILINGUAL, 0.8, WIDE), sentences)
    assert "does not read" not in compare.verdict_html(verdict(MINILM, 0.8, WIDE), PAIR)


def test_side_by_side_each_encoder_has_its_row_and_its_problem():
    rows = [verdict(MINILM, 0.7, WIDE), verdict("somebody/encoder", math.nan, None)]
    rows.append(Verdict(spec(MULTILINGUAL), problem=MissingKey()))
    result = compare.table_html(rows, PAIR)
    assert result.count('<th scope="row">') == 3
    assert "needs an API key" in result
    assert "API 키가 필요해요" in result
    assert "0.70" in result


def test_several_sentences_are_pairs_groups_a_map_and_a_table():
    cosines = ((1.0, 0.1, 0.2), (0.1, 1.0, 0.7), (0.2, 0.7, 1.0))
    event = Similarities(cosines, truncated=(2,))
    result = many.result_html(spec(MINILM), ("a", "b", HOSTILE), event, landscape(cosines, 2))
    assert result.index("0.70") < result.index("0.20") < result.index("0.10"), "most alike first"
    assert result.count("<td style") == 9
    assert "Group A (2)" in result
    assert result.count("<circle") == 3
    assert "of sentence 3 only" in result
    assert "<img src=x" not in result


def test_the_colours_span_what_an_encoder_gives_from_unrelated_to_one_meaning():
    """All cosines of E5 are high: between 0 and 1 they would be of nearly one colour."""
    pairs = {"none": (0.75, 0.8, 0.85), "some": (), "close": (), "same": (0.9, 0.95, 1.0)}
    scale = ColourScale.of(ReferenceCosines("en", pairs))
    assert scale == (0.8, 0.95)
    cosines = ((1.0, 0.8, 0.875), (0.8, 1.0, math.nan), (0.875, math.nan, 1.0))
    result = many.heatmap("abc", cosines, landscape(((1.0,) * 3,) * 3), scale)
    for words, share in (("1.00", 45), ("0.80", 0), ("0.88", 22), ("–", 0)):
        assert re.search(rf"--alike\) {share}%[^<]*>{words}</td>", result), words
    assert "colour begins at 0.80" in result
    assert "뜻이 같은 두 문장에 주는 0.95" in result
    assert scale.shares([0.7, 0.8, 0.875, 0.95, math.nan]) == pytest.approx([0, 0, 0.5, 1, 0])
    same = dict.fromkeys(pairs, (0.5,))
    assert ColourScale.of(ReferenceCosines("en", same)) == (0, 1)  # it tells nothing apart
    assert ColourScale.of(ReferenceCosines("en", dict.fromkeys(pairs, ()))) == (0, 1)


def test_sentences_without_a_vector_stand_apart_and_many_are_a_picture():
    cosines = np.full((20, 20), 0.5)
    np.fill_diagonal(cosines, 1)
    cosines[3] = cosines[:, 3] = math.nan
    event = Similarities(tuple(map(tuple, cosines.tolist())))
    result = many.result_html(
        spec(MINILM), tuple("abcdefghijklmnopqrst"), event, landscape(event.cosines)
    )
    assert "Without a vector" in result
    assert result.count("<circle") == 19
    assert "data:image/png;base64," in result


@pytest.mark.parametrize("cosine", [1.0, math.nan])
def test_identical_sentences_and_unknown_ones_break_nothing(cosine):
    event = Similarities(((cosine,) * 4,) * 4)
    assert many.result_html(spec(MINILM), ("🙂",) * 4, event, landscape(event.cosines))


def test_a_persons_words_are_escaped():
    end = Word2VecDone(
        vocabulary=(HOSTILE,),
        pair=0.5,
        neighbours={HOSTILE: ((HOSTILE, 0.5),)},
        before={HOSTILE: ((HOSTILE, 0.4),)},
        points=((HOSTILE, 0.0, 0.0),),
        other_seed=OtherSeed(2, 0.1, {HOSTILE: ((HOSTILE, 0.5),)}),
        similarities=similarities(math.nan),
        unknown=(HOSTILE,),
    )
    request = Word2VecRequest.of(corpus=HOSTILE, word_a=HOSTILE, word_b=HOSTILE)
    result = training.result_html(request, end, [2.0, 1.0])
    assert "<img" not in result
    assert "&lt;img" in result
    assert "no number" in result
    answer = WordAnswer(((HOSTILE, 0.5),), unknown=(HOSTILE,), pieces={HOSTILE: (HOSTILE,)})
    for question in ("nearest", "analogy"):
        assert "<img" not in view.answer_html(question, HOSTILE, answer)
    assert "<img" not in view.word_map(((HOSTILE, 0.0, 1.0),))


def test_word2vec_has_nothing_to_compare_with_untrained(context):
    with pytest.raises(InvalidInput) as error:
        encoders.find_encoder(context, "word2vec", ("a", "b"))
    assert error.value.code == "invalid_word2vec"


def test_what_an_encoder_is_and_its_licence_stand_under_the_choice(context):
    result = encoders.about(context, "google-bert/bert-base-uncased")
    assert "Apache-2.0" in result
    assert encoders.about(context, "not an id") == ""
    assert "<img" not in encoders.about(context, HOSTILE)


def test_a_large_heatmap_has_the_nearest_of_each_sentence_as_a_table():
    count = many.IN_TABLE + 1
    rows = [[1.0 if i == j else 0.1 for j in range(count)] for i in range(count)]
    rows[0][3] = rows[3][0] = 0.9
    rows[5] = [math.nan] * count
    for row in rows:
        row[5] = math.nan
    event = Similarities(tuple(map(tuple, rows)))
    sentences = [*map(str, range(count - 1)), HOSTILE]
    result = many.heatmap(sentences, event.cosines, landscape(event.cosines))
    assert '<th scope="row">1. 0</th><td>0.90</td><td>4. 3</td>' in result
    assert result.count('<th scope="row">') == count - 1, "one has no vector"
    assert 'aria-describedby="many-heat-says"' in result
    assert HOSTILE not in result


def test_the_answer_on_many_sentences_comes_before_the_encoders_own_scale(context):
    sentences = ["A man is playing a guitar.", "Someone plays the guitar.", "She cooks dinner."]
    views = [view for view, *_ in many._compare(context, sentences, 0, "auto", {}, None)]
    context.cache.close()
    first, *_, last = (view for view in views if isinstance(view, str))
    assert "colour-scale" not in first
    assert "colour-scale" in last
