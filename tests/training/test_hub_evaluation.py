"""The figures of every installed model, on a handful of rows that it must get right."""

import hashlib
from dataclasses import replace

import pytest

from models.contract import ModelSpec
from models.runtime.cache import ModelCache
from models.select import find
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY, SENTIMENT
from models.weights import sources
from tests import tiny
from training import corpora, evaluate, hub_evaluation

PAIRS = [
    ("0", "A man is playing a guitar.", "The stock market fell."),
    ("2.5", "A man is playing a guitar.", "A man is playing the piano."),
    ("5", "A man is playing a guitar.", "A man plays a guitar."),
]
FILES = {
    "stsb_dev": "".join(f"a\tb\tc\t1\t{score}\t{one}\t{two}\n" for score, one, two in PAIRS),
    "korsts_dev": "genre\tfile\tyear\tid\tscore\tone\ttwo\n"
    "a\tb\tc\t1\t0.0\t고양이가 자요\t주가가 올랐어요\na\tb\tc\t2\t5.0\t고양이가 자요\t고양이가 자요\n",
    "sst2_dev": "I loved every minute of it .\t1\na dull , lifeless waste of time .\t0\n",
    "nsmc_dev": "id\tdocument\tlabel\n1\t정말 재미있고 감동적인 영화\t1\n2\t최악의 영화\t0\n3\t최고예요\t0\n",
}


@pytest.fixture
def data(tmp_path, monkeypatch):
    for name, content in FILES.items():
        corpus = corpora.CORPORA[name]
        path = tmp_path / corpus.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        monkeypatch.setitem(corpora.CORPORA, name, replace(corpus, sha256=sha256))
    return tmp_path


def test_every_installed_model_has_its_row_in_both_tables(data, capsys):
    evaluate.main(["hub", "--data", str(data)])
    lines = capsys.readouterr().out.splitlines()
    cells = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:3] for line in lines if line}
    assert "STS-B dev (n=3)" in lines[0]
    assert cells["sentence-transformers/all-MiniLM-L6-v2"] == ["100.0", "100.0"]
    assert cells["genlab/words-en"][1] == "–", "it knows no word of it"
    assert cells["genlab/sentiment-en"][0] == "100.0"
    assert cells["genlab/sentiment-ko"][1] == "66.7", "two of three labels are right"
    for task in (SENTENCE_SIMILARITY, SENTIMENT):
        assert {spec.id for spec in hub_evaluation.installed(task)} <= set(cells)


def test_a_text_without_a_token_is_no_right_answer():
    cache = ModelCache(Settings(device="cpu", idle_minutes=0))
    korean = find(SENTIMENT, "genlab/sentiment-ko")
    assert hub_evaluation.accuracy(cache, korean, [("", 0.0), ("", 1.0), ("최악", 0.0)]) == (
        pytest.approx(100 / 3)
    )
    cache.close()


def test_a_model_that_cannot_be_used_has_its_problem_in_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "STARTERS", tmp_path)
    tiny.classifier(tmp_path / "scores", ("score",))
    engine = "models.sentiment.transformers_engine:TransformersSentiment"
    spec = ModelSpec("scores", "sentiment", engine, "starter:scores", "scores")
    cache = ModelCache(Settings(device="cpu", idle_minutes=0))
    figures = [lambda: hub_evaluation.accuracy(cache, spec, [("fine", 1.0)])]
    assert hub_evaluation.row(spec, figures).startswith("| scores | refused_regression |")
    cache.close()
