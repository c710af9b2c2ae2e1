"""Many texts: the same scores as one by one, the results of a table, and how right they are."""

import numpy as np
import pytest

from models.contract import Finished
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find, select_by_language
from models.sentiment.classifier import WINDOW
from models.sentiment.events import RowScores, Scores
from models.sentiment.requests import ManyTextsRequest, SentimentRequest
from models.sentiment.results import TableResults, evaluate, propose_mapping
from models.settings import Settings
from models.tasks import SENTIMENT
from models.text.tables import read_lines

SETTINGS = Settings(device="cpu", idle_minutes=0)
TEXTS = [
    "정말 재미있고 감동적인 영화였어요.",
    "",
    "최악",
    "배우들 연기는 좋은데 이야기가 너무 지루해요. " * 40,
    "🙂",
    "시간이 아까운 영화",
]
KOREAN = find(SENTIMENT, "genlab/sentiment-ko")


@pytest.fixture(scope="module")
def cache():
    with_models = ModelCache(SETTINGS)
    yield with_models
    with_models.close()


def rows_of(cache, spec, texts) -> list[RowScores]:
    events = [*run(cache, spec, ManyTextsRequest.of(texts=texts))]
    assert isinstance(events[-1], Finished)
    return [e for e in events if isinstance(e, RowScores)]


def test_many_texts_have_the_scores_that_each_has_alone(cache):
    [result] = rows_of(cache, KOREAN, TEXTS)
    assert result.parts[1] == 0
    assert np.isnan(result.scores[1]).all()
    for number in (0, 2, 3, 4, 5):
        events = run(cache, KOREAN, SentimentRequest.of(text=TEXTS[number]))
        alone = dict(next(e for e in [*events] if isinstance(e, Scores)).scores)
        together = dict(zip(result.labels, result.scores[number].tolist(), strict=True))
        assert together == pytest.approx(alone, abs=1e-5)
    assert result.parts[3] > 1


def test_windows_come_in_order_and_cover_every_row(cache):
    texts = ["좋아요", "싫어요"] * WINDOW
    result = rows_of(cache, KOREAN, texts)
    assert [e.first for e in result] == [0, WINDOW]
    assert all(np.allclose(e.scores[:2], result[0].scores[:2], atol=1e-5) for e in result)


def test_a_stop_keeps_what_was_done(cache):
    events = run(cache, KOREAN, ManyTextsRequest.of(texts=["좋아요"] * 20 * WINDOW))
    first = next(e for e in events if isinstance(e, RowScores))
    events.close()
    assert len(first.scores) == WINDOW


def test_rows_go_to_the_model_of_their_language():
    groups = select_by_language(
        SENTIMENT, "auto", SETTINGS, ["좋아요", "I like it", "🙂", "싫어요"]
    )
    assert {spec.id: rows for spec, rows in groups} == {
        "genlab/sentiment-ko": [0, 3],
        "genlab/sentiment-en": [1, 2],
    }
    [(spec, rows)] = select_by_language(
        SENTIMENT, "genlab/sentiment-en", SETTINGS, ["좋아요", "good"]
    )
    assert (spec.id, rows) == ("genlab/sentiment-en", [0, 1])


def test_results_keep_the_tables_columns_and_mark_what_was_not_read():
    table = read_lines("a\nb\nc", "sentiment")
    results = TableResults(table, table.column("sentiment"))
    scores = np.array([[0.25, 0.75], [np.nan, np.nan]], np.float32)
    results.add("m", [2, 0], RowScores(0, ("negative", "positive"), scores, (1, 0)))
    assert results.top_class(2) == ("positive", 0.75)
    assert results.top_class(0) is None
    assert results.class_counts() == {"positive": 1, "negative": 0}
    assert [values.tolist() for values in results.top_classes()] == [[-1, -1, 1], [-1, -1, 0.75]]
    assert results.columns() == (
        "sentiment",
        "sentiment_",
        "sentiment_score",
        "sentiment_negative",
        "sentiment_positive",
        "sentiment_model",
    )
    assert [*results.rows()][2] == ["c", "positive", "0.750000", "0.250000", "0.750000", "m"]
    assert next(results.rows()) == ["a", "", "", "", "", ""]


def test_accuracy_confusion_and_calibration_by_hand():
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [np.nan, np.nan], [0.5, 0.5]])
    truth = ["부정", "긍정", "부정", "긍정", "?"]
    mapping = propose_mapping(truth, ("negative", "positive"))
    assert mapping == {"부정": "negative", "긍정": "positive", "?": ""}
    result = evaluate(scores, ("negative", "positive"), truth, mapping)
    assert (result.count, result.skipped) == (3, 2)
    assert result.accuracy == pytest.approx(2 / 3)
    assert result.confusion == ((1, 1), (0, 1))
    assert result.ece == pytest.approx((abs(1 - 0.9) + abs(1 - 0.8) + abs(0 - 0.6)) / 3)
    assert evaluate(scores, ("joy", "anger"), truth, {}) is None


@pytest.mark.parametrize("labels", [("negative", "positive"), ("LABEL_0", "LABEL_1")])
def test_usual_labels_are_propose_mapping(labels):
    assert propose_mapping(["0", "1", "1"], labels) == {"0": labels[0], "1": labels[1]}
    assert propose_mapping(["neg", "pos"], labels) == {"neg": labels[0], "pos": labels[1]}
