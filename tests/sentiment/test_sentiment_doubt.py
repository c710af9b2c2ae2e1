"""Where a classifier says that it is unsure: by the calibration that was measured on dev texts."""

import json

import pytest

from models.runtime.jobs import run
from models.select import find
from models.sentiment import catalog
from models.sentiment.events import Scores
from models.sentiment.requests import SentimentRequest
from models.tasks import SENTIMENT
from tabs.sentiment import scores_html

STARTERS = ("genlab/sentiment-en", "genlab/sentiment-ko")


def scores_of(cache, model_id: str, text: str) -> Scores:
    events = run(cache, find(SENTIMENT, model_id), SentimentRequest.of(text=text))
    return next(event for event in events if isinstance(event, Scores))


@pytest.mark.parametrize("model_id", STARTERS)
def test_the_measured_edge_decides(model_id):
    content = json.loads(catalog.UNSURE.read_text("utf-8"))
    assert "training.evaluate hub" in content["source"]
    result = content["models"][model_id]
    assert 0.5 < result["below"] < 0.9
    assert result["right"] < 2 / 3
    assert result["texts"] > 50
    assert catalog.doubt(model_id, result["below"] - 0.001) == result["right"]
    assert catalog.doubt(model_id, result["below"]) is None
    assert catalog.doubt("somebody/model", 0.5) is None


@pytest.mark.parametrize(
    ("model_id", "clear", "middle"),
    [
        (
            "genlab/sentiment-ko",
            ["정말 재미있고 감동적인 영화였어요.", "최악이에요. 돈이 아까워요."],
            ["지루할 틈이 없었어요.", "돈이 하나도 아깝지 않았어요.", "팝콘이 제일 맛있었던 영화."],
        ),
        (
            "genlab/sentiment-en",
            ["I loved every minute of it.", "A dull, lifeless waste of time."],
            [],
        ),
    ],
)
def test_a_text_near_the_middle_is_unsure_and_a_clear_one_is_not(cache, model_id, clear, middle):
    spec = find(SENTIMENT, model_id)
    for text in clear:
        assert scores_html.doubt_note(spec, scores_of(cache, model_id, text)) == ""
    for text in middle:
        note = scores_html.doubt_note(spec, scores_of(cache, model_id, text))
        assert "Unsure" in note, text
        assert "확실하지 않아요" in note


def test_no_model_is_called_unsure_without_a_measure():
    spec = find(SENTIMENT, "distilbert/distilbert-base-uncased-finetuned-sst-2-english")
    even = Scores((("POSITIVE", 0.51), ("NEGATIVE", 0.49)))
    assert scores_html.doubt_note(spec, even) == ""
    assert scores_html.doubt_note(spec, Scores(())) == ""
