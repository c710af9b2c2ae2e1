"""Naive Bayes on character n-grams of Korean reviews: the baseline to beat, and a teacher."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.sentiment.calibration import fit_temperature
from training.sentiment.data import Rows


def _counter(min_rows: int) -> Any:
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(analyzer="char", ngram_range=(2, 4), min_df=min_rows, dtype=np.float32)


def naive_bayes_accuracy(train: Rows, dev: Rows) -> float:
    """Return dev accuracy of naive Bayes on counts of character 2-4-grams, the baseline."""
    from sklearn.naive_bayes import MultinomialNB

    counter = _counter(1)
    counts = counter.fit_transform([text for text, _ in train])
    model = MultinomialNB().fit(counts, [label for _, label in train])
    predictions = model.predict(counter.transform([text for text, _ in dev]))
    return float((predictions == np.array([label for _, label in dev])).mean())


def leave_one_out_margins(rows: Rows) -> np.ndarray:
    """Return naive Bayes' log-odds of positive for each row, trained on all the other rows.

    The counts are used without a row's own n-grams, so that no folds are needed.

    Args:
        rows: Texts with labels 0 or 1.
    """
    labels = np.array([label for _, label in rows], dtype=np.float32)
    counts = _counter(2).fit_transform([text for text, _ in rows])
    positive = np.asarray(counts.T @ labels)
    negative = np.asarray(counts.sum(axis=0)).ravel() - positive
    owner = np.repeat(np.arange(len(rows)), np.diff(counts.indptr))
    own, feature = counts.data, counts.indices
    mine = labels[owner] > 0.5
    up = np.log(positive[feature] - own * mine + 1)
    down = np.log(negative[feature] - own * ~mine + 1)
    total = np.bincount(owner, own * (up - down), minlength=len(rows))
    length = np.asarray(counts.sum(axis=1)).ravel()
    width = counts.shape[1]
    pull = np.log(positive.sum() - length * (labels > 0.5) + width)
    push = np.log(negative.sum() - length * (labels <= 0.5) + width)
    return total - length * (pull - push)


def teacher_probabilities(rows: Rows) -> np.ndarray:
    """Return calibrated P(positive) of each row from naive Bayes trained on the others, (n,)."""
    margins = leave_one_out_margins(rows)
    labels = np.array([label for _, label in rows])
    temperature = fit_temperature(np.stack([np.zeros_like(margins), margins], axis=1), labels)
    return 1 / (1 + np.exp(-margins / temperature))
