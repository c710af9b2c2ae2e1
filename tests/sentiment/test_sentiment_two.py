"""Two models on the same texts: each text to the model of its language, and where they differ."""

import csv

import numpy as np
import pytest

from models.runtime.cache import ModelCache
from models.sentiment.events import RowScores
from models.sentiment.results import TableResults
from models.settings import Settings
from models.text.tables import read_lines
from tabs.sentiment import two_models
from tabs.shared.context import Context

SETTINGS = Settings(device="cpu", idle_minutes=0)
TEXTS = "I loved every minute of this film.\n정말 재미있고 감동적인 영화였어요.\n시간이 아까운 최악의 영화."


@pytest.fixture(scope="module")
def context():
    with_models = ModelCache(SETTINGS)
    yield Context(SETTINGS, with_models)
    with_models.close()


def compare(context: Context, first: str, second: str, lines: str = TEXTS) -> tuple[str, str, str]:
    """The last table, the last status line and the file that a comparison ends with."""
    view = ["", "", ""]
    for update in two_models._compare(context, (None, lines, True, None, first, second), None):  # type: ignore[arg-type]
        for at, value in enumerate(update):
            if isinstance(value, str):
                view[at] = value
            elif value.get("value"):
                view[at] = value["value"]
    return view[0], view[1], view[2]


def test_auto_reads_each_text_with_the_model_of_its_language(context):
    table, status, path = compare(context, "auto", "genlab/sentiment-ko")
    assert "GenLab Sentiment (English): 1" in status
    assert "GenLab Sentiment (한국어): 2" in status
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["sentiment_model_1"] for row in rows] == [
        "genlab/sentiment-en",
        "genlab/sentiment-ko",
        "genlab/sentiment-ko",
    ]
    assert {row["sentiment_model_2"] for row in rows} == {"genlab/sentiment-ko"}
    assert [row["sentiment_1"] for row in rows] == ["positive", "positive", "negative"]
    assert [row["agree"] for row in rows[1:]] == ["yes", "yes"]
    assert "GenLab Sentiment (English) / GenLab Sentiment (한국어)" in table


def test_the_same_model_twice_gets_a_note(context):
    assert "pick another one" in compare(context, "auto", "auto")[1]
    korean = "정말 재미있어요"
    assert "pick another one" in compare(context, "auto", "genlab/sentiment-ko", korean)[1]
    assert (
        "pick another one" not in compare(context, "genlab/sentiment-en", "genlab/sentiment-ko")[1]
    )


def test_texts_on_which_they_differ_come_first_the_surest_of_them_before_the_others():
    lines = read_lines("same\nunread\nunsure\nsure")
    one, two_ = (TableResults(lines, lines.column(lines.columns[0])) for _ in range(2))
    first = np.array([[0.1, 0.9], [np.nan, np.nan], [0.6, 0.4], [0.9, 0.1]], np.float32)
    second = np.array([[0.7, 0.3], [0.7, 0.3], [0.7, 0.3], [0.8, 0.2]], np.float32)
    rows = range(4)
    one.add("a", rows, RowScores(0, ("negative", "positive"), first, (1,) * 4))
    two_.add("b", rows, RowScores(0, ("POSITIVE", "NEGATIVE"), second, (1,) * 4))
    table = two_models.comparison_html([], [one, two_])
    assert "1 of 3 texts (33%)" in table
    assert [table.index(f"<td>{text}") for text in ("sure", "unsure", "same")] == sorted(
        table.index(f"<td>{text}") for text in ("sure", "unsure", "same")
    )
    assert "<td>unread" not in table
    assert table.count("≠") == 2
    assert [row[-1] for row in two_models.comparison_rows(one, two_)] == ["yes", "", "no", "no"]
