"""How right a classifier is on labelled texts: accuracy, confusion matrix, calibration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

BINS = 10
# What people call the usual classes, for a proposal; the first is the class's own name.
_SYNONYMS = {
    "positive": ("pos", "1", "+1", "good", "긍정", "label_1", "positive", "true"),
    "negative": ("neg", "0", "-1", "bad", "부정", "label_0", "negative", "false"),
    "neutral": ("neu", "2", "중립", "neutral"),
}


@dataclass(frozen=True, slots=True)
class Bin:
    """Texts whose highest probability lies in one tenth: how sure the model was, how often right."""

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures over the texts that have a label of the model's.

    Attributes:
        count: how many those are; skipped: how many have none.
        accuracy: share where the likeliest class is the label.
        labels: the model's classes; confusion[i][j]: texts of class i that were read as j.
        bins: BINS of them, by the highest probability.
        ece: expected calibration error (Naeini et al. 2015): the bins' |accuracy - confidence|,
            weighted by their counts.
    """

    count: int
    skipped: int
    accuracy: float
    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    bins: tuple[Bin, ...]
    ece: float


def measure(
    scores: np.ndarray, labels: Sequence[str], truth: Sequence[str], mapping: Mapping[str, str]
) -> Measured | None:
    """Hold scores against labels.

    Args:
        scores: of shape (texts, classes); NaN rows are skipped.
        labels: the model's classes.
        truth: each text's label as the file has it.
        mapping: the file's label -> the model's; what is not in it is skipped.

    Returns:
        None where no text has a label that the model knows.
    """
    index = {label: i for i, label in enumerate(labels)}
    wanted = np.array([index.get(mapping.get(t.strip(), ""), -1) for t in truth])
    kept = (wanted >= 0) & ~np.isnan(scores).any(axis=1)
    if not kept.any():
        return None
    wanted, probabilities = wanted[kept], scores[kept]
    read, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    confusion = np.zeros((len(labels), len(labels)), int)
    np.add.at(confusion, (wanted, read), 1)
    right = read == wanted
    bins = _bins(sure, right)
    ece = sum(b.count * abs(b.accuracy - b.confidence) for b in bins) / len(wanted)
    return Measured(
        count=len(wanted),
        skipped=len(truth) - len(wanted),
        accuracy=float(right.mean()),
        labels=tuple(labels),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        bins=bins,
        ece=float(ece),
    )


def _bins(sure: np.ndarray, right: np.ndarray) -> tuple[Bin, ...]:
    """The texts by tenths of their highest probability; arrays of shape (texts,)."""
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    bins: list[Bin] = []
    for tenth in range(BINS):
        inside = place == tenth
        count = int(inside.sum())
        mean = (float(sure[inside].mean()), float(right[inside].mean())) if count else (0.0, 0.0)
        bins.append(Bin(count, *mean))
    return tuple(bins)


def proposed(truth: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    """The file's labels, each with the model's that it most likely means, or ""."""
    known = {label.lower(): label for label in labels}
    made: dict[str, str] = {}
    for name in dict.fromkeys(t.strip() for t in truth):
        if name:
            made[name] = known.get(name.lower()) or _meant(name.lower(), known)
    return made


def _meant(name: str, known: Mapping[str, str]) -> str:
    for words in _SYNONYMS.values():
        if name in words:
            return next((known[word] for word in words if word in known), "")
    return ""
