"""The sentiment training on a few sentences, its calibration, and a sample of what ships."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.weights.packages import MINILM, package_folder
from training import corpora
from training.sentiment import data, english, evaluation, korean, loop, ngrams
from training.sentiment.calibration import expected_calibration_error, fit_temperature

Starters = dict[str, tuple[Any, Any]]


def with_side(name: str, count: int) -> data.Rows:
    rows = [row for row in data.own_rows(name) if row[1] != 0.5]
    half = [row for row in rows if row[1] == 1][: count // 2]
    return half + [row for row in rows if row[1] == 0][: count // 2]


def accuracy(starter: tuple, rows: data.Rows) -> float:
    positive = evaluation.positive_probabilities(*starter, [text for text, _ in rows])
    return float(((positive >= 0.5) == np.array([label for _, label in rows])).mean())


def test_temperature_is_found_and_one_where_nothing_is_to_mend() -> None:
    rng = np.random.default_rng(0)
    margin = rng.normal(0, 2, 20_000)
    labels = (rng.random(20_000) < 1 / (1 + np.exp(-margin))).astype(float)
    logits = np.stack([-margin / 2, margin / 2], axis=1)
    assert fit_temperature(logits, labels) == pytest.approx(1, abs=0.05)
    assert fit_temperature(3 * logits, labels) == pytest.approx(3, abs=0.15)


def test_calibration_error_of_known_cases() -> None:
    sure = np.array([0.99999, 0.00001] * 50)
    assert expected_calibration_error(sure, np.array([1, 0] * 50)) == pytest.approx(0, abs=1e-4)
    assert expected_calibration_error(sure, np.array([0, 1] * 50)) == pytest.approx(1, abs=1e-4)
    eight_of_ten = np.array([1] * 80 + [0] * 20)
    assert expected_calibration_error(np.full(100, 0.8), eight_of_ten) == pytest.approx(0, abs=1e-9)
    assert expected_calibration_error(np.full(100, 0.6), eight_of_ten) == pytest.approx(0.2)


def test_length_sorted_batches_hold_every_row_once() -> None:
    groups = loop.random_batches([i % 7 for i in range(100)], 8, random.Random(0))
    assert sorted(i for group in groups for i in group) == list(range(100))
    assert max(len(group) for group in groups) == 8


def test_average_of_constant_weights_is_those_weights() -> None:
    model = torch.nn.Linear(2, 2)
    before = model.weight.detach().clone()
    average = loop.Average(model, 0.9)
    average.update(1)
    average.apply()
    assert torch.equal(model.weight, before)


def test_masking_hides_about_15_percent_and_leaves_the_frame() -> None:
    torch.manual_seed(0)
    ids = torch.randint(10, 300, (50, 40))
    ids[:, 0], ids[:, -1] = korean.CLS, korean.SEP
    inputs, masks = korean.mask_tokens(ids, torch.ones_like(ids))
    assert masks[:, 1:-1].float().mean() == pytest.approx(0.15, abs=0.02)
    assert not masks[:, 0].any()
    assert not masks[:, -1].any()
    assert torch.equal(inputs[~masks], ids[~masks])
    assert (inputs[masks] == korean.MASK).float().mean() == pytest.approx(0.8, abs=0.06)


def test_naive_bayes_judges_a_row_by_the_others_alone() -> None:
    rows = [("재미있다", 1.0), ("재미있다", 1.0), ("지루하다", 0.0), ("지루하다", 0.0)]
    margins = ngrams.leave_one_out_margins(rows)
    assert (margins[:2] > 0).all()
    assert (margins[2:] < 0).all()
    # The odd one out is judged by its twins, not by its own label.
    odd = ngrams.leave_one_out_margins([("재미있다", 0.0), *rows])
    assert odd[0] > 0


def test_adapter_of_enough_rank_keeps_the_whole_change() -> None:
    before, model = english.new_model(), english.new_model()
    name = "bert.encoder.layer.3.output.dense"
    with torch.no_grad():
        model.get_submodule(name).weight[0] += 0.5
    adapter = english.as_adapter(model, ["A good film.", "A bad film."], 2.5).merge_and_unload()
    torch.testing.assert_close(
        adapter.get_submodule(name).weight, model.get_submodule(name).weight, atol=1e-4, rtol=0
    )
    assert torch.equal(adapter.classifier.weight, model.classifier.weight)
    assert not torch.equal(adapter.classifier.weight, before.classifier.weight)


def test_korean_training_learns_a_few_sentences_and_loads_by_stock_classes(tmp_path: Path) -> None:
    from transformers import BertForSequenceClassification

    torch.manual_seed(0)
    rows = with_side("own_ko", 60)
    lines = [text for text, _ in rows]
    tokenizer = korean.new_tokenizer(lines, 500)
    config = korean.new_config(tokenizer.get_vocab_size())
    encoder = korean.pretrain(tokenizer, config, lines, 1)
    model = BertForSequenceClassification(config)
    model.bert.load_state_dict(encoder, strict=False)
    korean.fit(model, tokenizer, rows, 40, rate=2e-3)
    before = loop.predict(model, korean.encode(tokenizer, lines), korean.PAD)
    korean.save(model, tokenizer, 2.0, tmp_path)

    starter = evaluation.load_starter("ko", tmp_path)
    assert accuracy(starter, rows) >= 0.95
    assert starter[0].config.id2label == {0: "negative", 1: "positive"}
    after = evaluation.positive_probabilities(*starter, lines)
    half = 1 / (1 + np.exp((before[:, 0] - before[:, 1]) / 2))
    np.testing.assert_allclose(after, half, atol=0.02)


def test_english_training_moves_the_head_and_reloads_with_its_temperature(tmp_path: Path) -> None:
    torch.manual_seed(0)
    rows = with_side("own_en", 32)
    lines = [text for text, _ in rows]
    model = english.new_model()
    english.fit(model, rows, 8, rate=3e-4)
    model = english.as_adapter(model, lines)
    before = loop.predict(model, english.tokenize(lines), 0)
    assert ((before[:, 1] > before[:, 0]) == [label for _, label in rows]).mean() >= 0.9
    english.save(model, 2.0, tmp_path)

    after = evaluation.positive_probabilities(*evaluation.load_starter("en", tmp_path), lines)
    half = 1 / (1 + np.exp((before[:, 0] - before[:, 1]) / 2))
    np.testing.assert_allclose(after, half, atol=0.02)
    text = (tmp_path / "adapter_config.json").read_text() + (tmp_path / "config.json").read_text()
    assert str(package_folder(MINILM)) not in text


@pytest.mark.parametrize(
    ("language", "sentence", "low", "high"),
    [
        ("en", "I loved every minute of this film.", 0.7, 1),
        ("en", "A dull, lifeless waste of two hours.", 0, 0.3),
        ("en", "What a wonderful evening.", 0.7, 1),
        ("en", "The waiter was rude and the fish smelled off.", 0, 0.3),
        ("en", "The meeting is at three.", 0.1, 0.9),
        ("ko", "정말 재미있고 감동적인 영화였어요.", 0.7, 1),
        ("ko", "시간이 아까운 최악의 영화.", 0, 0.3),
        ("ko", "정말 멋진 저녁이었어요.", 0.7, 1),
        ("ko", "직원이 불친절해서 기분이 상했어요.", 0, 0.5),
        ("ko", "회의는 세 시에 시작합니다.", 0.1, 0.9),
    ],
)
def test_shipped_weights_read_plain_sentences(
    starters: Starters, language: str, sentence: str, low: float, high: float
) -> None:
    positive = evaluation.positive_probabilities(*starters[language], [sentence])[0]
    assert low <= positive <= high


@pytest.fixture(scope="module")
def starters() -> Starters:
    return {language: evaluation.load_starter(language) for language in ("en", "ko")}


def test_shipped_weights_read_the_everyday_sentences(starters: Starters) -> None:
    for language, starter in starters.items():
        rows = [row for row in data.own_rows(f"everyday_{language}") if row[1] != 0.5]
        assert len(rows) == 100
        assert accuracy(starter, rows) >= 0.85, language


def test_our_own_sentences_for_reporting_are_not_in_the_training() -> None:
    for language in ("en", "ko"):
        model = {text for _, _, text in data.own(f"own_{language}")}
        report_rows = data.own(f"everyday_{language}") + data.own(f"cases_{language}")
        assert not model & {text for _, _, text in report_rows}


def test_a_missing_or_other_corpus_is_named_with_its_source(tmp_path: Path) -> None:
    with pytest.raises(
        SystemExit, match=r"rt-polarity.neg is not there: get it from https://.*sha"
    ):
        data.rt_polarity(tmp_path)
    (tmp_path / "sst2_en").mkdir()
    (tmp_path / corpora.CORPORA["sst2_dev"].path).write_text("fine\t1\n")
    with pytest.raises(SystemExit, match="has sha256"):
        data.sst2_dev(tmp_path)
