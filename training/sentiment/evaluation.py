"""Every figure of the sentiment starters, from the shipped weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.weights.packages import MINILM, package_folder
from models.weights.sources import STARTERS
from training.sentiment import data as texts
from training.sentiment.calibration import expected_calibration_error
from training.sentiment.loop import predict
from training.sentiment.ngrams import naive_bayes_accuracy

KINDS = ("negation", "contrast", "sarcasm")


def load_starter(language: str, folder: Path | None = None) -> tuple[Any, Any]:
    """Return (model, tokenizer) of the English or Korean starter, loaded by stock classes."""
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    folder = folder or STARTERS / f"sentiment_{language}"
    loader = AutoModelForSequenceClassification
    if language == "ko":
        model = loader.from_pretrained(folder, dtype=torch.float32)
        return model.eval(), AutoTokenizer.from_pretrained(folder)
    from peft import PeftModel

    base = loader.from_pretrained(
        package_folder(MINILM), config=AutoConfig.from_pretrained(folder), dtype=torch.float32
    )
    model = PeftModel.from_pretrained(base, folder).eval()
    return model, AutoTokenizer.from_pretrained(package_folder(MINILM))


def positive_probabilities(model: Any, tokenizer: Any, sentences: list[str]) -> np.ndarray:
    """Return P(positive) of each sentence, shape (n,)."""
    length = min(model.config.max_position_embeddings, tokenizer.model_max_length, 256)
    rows = tokenizer(sentences, truncation=True, max_length=length)["input_ids"]
    logits = predict(model, rows, tokenizer.pad_token_id)
    return 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))


def dev_figures(name: str, starter: tuple[Any, Any], rows: texts.Rows) -> Iterator[tuple[str, str]]:
    """Yield accuracy and calibration on a dev file."""
    labels = np.array([label for _, label in rows])
    positive = positive_probabilities(*starter, [text for text, _ in rows])
    right = ((positive >= 0.5) == labels).mean()
    yield f"{name}: accuracy", f"{100 * right:.2f} % of {len(rows):,}"
    error = expected_calibration_error(positive, labels)
    yield f"{name}: expected calibration error", f"{error:.4f} over {len(rows):,}"


def own_figures(language: str, starter: tuple[Any, Any]) -> Iterator[tuple[str, str]]:
    """Yield the figures on our own everyday sentences and hard cases, which are not in the training."""
    rows = texts.own(f"everyday_{language}")
    positive = positive_probabilities(*starter, [text for _, _, text in rows])
    predictions = np.where(positive >= 0.5, "positive", "negative")
    truth = np.array([label for _, label, _ in rows])
    clear, neutral = truth != "neutral", truth == "neutral"
    right = int((predictions == truth)[clear].sum())
    yield f"Everyday sentences outside films ({language})", f"{right} of {clear.sum()} right"
    confidence = np.maximum(positive, 1 - positive)[neutral]
    yield (
        f"Neutral everyday sentences ({language})",
        f"median confidence {np.median(confidence):.2f}, highest {confidence.max():.2f}, of {neutral.sum()}",
    )
    cases = case_results(language, starter)
    for kind in KINDS:
        of_kind = [right for k, _, _, right, _ in cases if k == kind]
        yield f"{kind.capitalize()} ({language})", f"{sum(of_kind)} of {len(of_kind)} right"


def case_results(
    language: str, starter: tuple[Any, Any]
) -> list[tuple[str, str, str, bool, float]]:
    """Return (kind, label, sentence, right, P(positive)) of every hard case."""
    rows = texts.own(f"cases_{language}")
    positive = positive_probabilities(*starter, [text for _, _, text in rows])
    return [
        (kind, label, text, (p >= 0.5) == (label == "positive"), float(p))
        for (kind, label, text), p in zip(rows, positive, strict=True)
    ]


def figures(data: Path) -> Iterator[tuple[str, str]]:
    """Yield (figure name, value with its sample size) for both starters."""
    english = load_starter("en")
    yield from dev_figures("SST-2 dev", english, texts.sst2_dev(data))
    yield from own_figures("en", english)
    korean, dev = load_starter("ko"), texts.nsmc(data, "dev")
    yield from dev_figures("NSMC dev", korean, dev)
    baseline = naive_bayes_accuracy(texts.nsmc(data, "train"), dev)
    yield (
        "NSMC dev: naive Bayes on character 2-4-grams, for comparison",
        f"{100 * baseline:.2f} % of {len(dev):,}",
    )
    yield from own_figures("ko", korean)
