"""The figures of every models_here model, on a handful of rows that it must get right."""

import hashlib
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from models.contract import ModelSpec
from models.runtime.cache import ModelCache
from models.select import find
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY, SENTIMENT
from models.weights import sources
from tests import tiny
from training import corpora, evaluate, hub_evaluation

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
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
    evaluate.main(["hub", "--only", "encoders", "classifiers", "--data", str(data)])
    lines = capsys.readouterr().out.splitlines()
    cells = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:3] for line in lines if line}
    assert "STS-B dev (n=3)" in lines[0]
    assert cells["sentence-transformers/all-MiniLM-L6-v2"] == ["100.0", "100.0"]
    assert cells["genlab/words-en"][1] == "–", "it knows no word of it"
    assert cells["genlab/sentiment-en"][0] == "100.0"
    assert cells["genlab/sentiment-ko"][1] == "66.7", "two of three labels are right"
    for task in (SENTENCE_SIMILARITY, SENTIMENT):
        assert {spec.id for spec in hub_evaluation.models_here(task)} <= set(cells)


def test_one_model_alone_and_its_overlaps_are_stored(data, capsys, monkeypatch, tmp_path):
    file = tmp_path / "overlap.json"
    file.write_text('{"source": "here", "models": {"another": {}}}')
    monkeypatch.setattr(hub_evaluation, "_measurements", {file: {}, tmp_path / "none.json": {}})
    monkeypatch.setattr(hub_evaluation, "OVERLAPS", file)
    words = ["--only", "encoders", "overlaps", "--model", MINILM, "--write"]
    stsb = data / corpora.CORPORA["stsb_dev"].path  # as many rows as KorSTS: the first and the last
    first, *_, last = stsb.read_text("utf-8").splitlines(keepends=True)
    stsb.write_text(first + last, "utf-8")
    sha256 = hashlib.sha256(stsb.read_bytes()).hexdigest()
    corpus = replace(corpora.CORPORA["stsb_dev"], sha256=sha256)
    monkeypatch.setitem(corpora.CORPORA, "stsb_dev", corpus)
    evaluate.main(["hub", "--data", str(data), *words])
    lines = [line for line in capsys.readouterr().out.splitlines() if MINILM in line]
    assert len(lines) == 2, "one row a table"
    text = json.loads(file.read_text())
    assert set(text["models"]) == {"another", MINILM}, "other models' rows stay"
    assert text["models"][MINILM]["en"]["pairs"] == 2


def test_the_overlap_is_where_two_of_three_agree_at_most():
    rng = np.random.default_rng(0)
    cosines = rng.uniform(0, 1, 40_000)
    alike = rng.uniform(0, 1, 40_000) < 1 / (1 + np.exp(-20 * (cosines - 0.6)))
    result = hub_evaluation.overlap(cosines.tolist(), np.where(alike, 4.0, 1.0).tolist())
    assert result["low"] == pytest.approx(0.6 - math.log(2) / 20, abs=0.01)
    assert result["high"] == pytest.approx(0.6 + math.log(2) / 20, abs=0.01)
    assert result["inside"] == pytest.approx(result["high"] - result["low"], abs=0.01)
    assert result["pairs"] == 40_000
    useless = hub_evaluation.overlap([0.1, 0.2, 0.8, 0.9], [5, 5, 0, 0])
    assert (useless["low"], useless["high"]) == (-1, 1)


def test_a_classifier_is_in_doubt_up_to_the_last_bin_in_which_it_is_often_wrong():
    def bin_of(probability, right, of):
        return [(probability, i < right) for i in range(of)]

    rows = [
        *bin_of(0.52, 12, 20),
        *bin_of(0.57, 18, 20),
        *bin_of(0.62, 12, 20),
        *bin_of(0.9, 19, 20),
    ]
    result = hub_evaluation.doubtful(*zip(*rows, strict=True))
    assert result == {"below": 0.65, "right": 0.7, "texts": 60}
    few = hub_evaluation.doubtful([0.52] * 19, [False] * 19)
    assert result["below"] > few["below"] == 0.5, "fewer than 20 texts say nothing"


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
