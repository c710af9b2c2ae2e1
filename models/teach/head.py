"""The linear head: logistic regression on sentence vectors, and how far to trust it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from models.teach.requests import STRENGTH

FEW = 8  # sentences a class below which an accuracy says little
MOST_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Head:
    """weight (labels, dimensions) and bias (labels,), float32: softmax(weight @ vector + bias)."""

    labels: tuple[str, ...]
    weight: np.ndarray
    bias: np.ndarray

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """Of each class, (count, labels), for vectors (count, dimensions)."""
        scores = vectors @ self.weight.T + self.bias
        raised = np.exp(scores - scores.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)

    def says(self, vectors: np.ndarray) -> list[str]:
        """The likeliest class of each vector."""
        return [self.labels[index] for index in self.probabilities(vectors).argmax(axis=1)]


def _model() -> LogisticRegression:
    return LogisticRegression(C=STRENGTH, max_iter=1000, class_weight="balanced")


def fitted(vectors: np.ndarray, labels: Sequence[str]) -> Head:
    """Logistic regression on vectors (count, dimensions) and a label each.

    Source: sklearn.linear_model.LogisticRegression; of two classes scikit-learn keeps one row, the
    second's: the first's is zero.
    """
    model = _model().fit(vectors, labels)
    weight, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        weight, bias = np.vstack([0 * weight, weight]), np.concatenate([0 * bias, bias])
    names = tuple(str(name) for name in model.classes_)
    return Head(names, weight.astype(np.float32), bias.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Trial:
    """What cross-validation found; `said` is None where a class has one sentence only."""

    folds: int
    said: tuple[str, ...] | None
    accuracy: float | None
    confusion: tuple[tuple[int, ...], ...]


def tried(vectors: np.ndarray, labels: Sequence[str], seed: int) -> Trial:
    """Each sentence classified by a head that was taught without it (stratified folds)."""
    folds = min(MOST_FOLDS, *Counter(labels).values())
    if folds < 2:
        return Trial(0, None, None, ())
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed)
    said = cross_val_predict(_model(), vectors, list(labels), cv=parts)
    table = confusion_matrix(labels, said, labels=sorted(set(labels)))
    return Trial(
        folds,
        tuple(str(one) for one in said),
        float(np.mean(said == np.asarray(labels))),
        tuple(tuple(int(cell) for cell in row) for row in table),
    )
