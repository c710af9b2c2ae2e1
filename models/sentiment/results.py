"""The results of a table's rows, and how right they are: accuracy, confusion matrix, calibration."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.sentiment.events import RowScores
from models.text.tables import Table

BINS = 10
# Usual names of the usual classes, to propose what a file's labels mean.
_SYNONYMS = {
    "positive": ("pos", "1", "+1", "good", "긍정", "label_1", "positive", "true"),
    "negative": ("neg", "0", "-1", "bad", "부정", "label_0", "negative", "false"),
    "neutral": ("neu", "2", "중립", "neutral"),
}


@dataclass(slots=True)
class TableResults:
    """The scores of a table's rows; complete, or of the rows until a stop.

    Attributes:
        table: the input.
        texts: the cells that are classified.
        labels: the classes of all models, in order of appearance.
        scores: float32 of shape (rows, labels); NaN for a row without a score, and for a class that
            the row's model does not have.
        models: for each row the id of its model, "" for a row without a score.
    """

    table: Table
    texts: Sequence[str]
    labels: list[str] = field(default_factory=list[str])
    scores: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    models: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        """Start without scores."""
        self.scores = np.full((len(self.texts), 0), np.nan, np.float32)
        self.models = [""] * len(self.texts)

    def add(self, model: str, rows: Sequence[int], event: RowScores) -> None:
        """Add scores of a model.

        Args:
            model: its id.
            rows: the rows of this table that are in the request, in the request's order.
            event: the scores of some of them.
        """
        for label in event.labels:
            if label not in self.labels:
                self.labels.append(label)
                empty = np.full((len(self.texts), 1), np.nan, np.float32)
                self.scores = np.hstack([self.scores, empty])
        places = list(rows[event.first : event.first + len(event.scores)])
        for label, scores in zip(event.labels, event.scores.T, strict=True):
            self.scores[places, self.labels.index(label)] = scores
        for row, blank in zip(places, np.isnan(event.scores).any(axis=1), strict=True):
            self.models[row] = "" if blank else model

    def complete_scores(self) -> np.ndarray:
        """The scores with 0 for a class that a row's model does not have; rows of NaN stay."""
        missing = np.isnan(self.scores)
        without_score = missing.all(axis=1, keepdims=True)
        return np.where(missing & ~without_score, 0.0, self.scores)

    def top_class(self, row: int) -> tuple[str, float] | None:
        """A row's likeliest class and its probability; None for a row without a score."""
        if not self.models[row]:
            return None
        index = int(np.nanargmax(self.scores[row]))
        return self.labels[index], float(self.scores[row, index])

    def top_classes(self) -> tuple[np.ndarray, np.ndarray]:
        """`top_class` of every row at once; fast enough for a page with 100,000 rows.

        Returns:
            (index of the class in `labels`, int64; its probability, float32), each of shape (rows,)
            and -1 for a row without a score.
        """
        scores = np.nan_to_num(np.pad(self.scores, ((0, 0), (0, 1)), constant_values=-1), nan=-1)
        indexes = scores.argmax(axis=1)
        confidences = scores[np.arange(len(scores)), indexes]
        return np.where(confidences < 0, -1, indexes), confidences

    def class_counts(self) -> dict[str, int]:
        """How many rows have each class as their likeliest, most first."""
        indexes, _ = self.top_classes()
        counts = np.bincount(indexes[indexes >= 0], minlength=len(self.labels)).tolist()
        return dict(sorted(zip(self.labels, counts, strict=True), key=lambda item: -item[1]))

    def columns(self) -> tuple[str, ...]:
        """The table's columns, then those of the results; a name that is taken gets underscores."""
        classes = [f"sentiment_{label}" for label in self.labels]
        names = ["sentiment", "sentiment_score", *classes, "sentiment_model"]
        return (*self.table.columns, *(self._free_name(name) for name in names))

    def _free_name(self, name: str) -> str:
        while name in self.table.columns:
            name += "_"
        return name

    def rows(self) -> Iterator[list[object]]:
        """The table's rows with the results behind their own cells, as in `columns`."""
        blank: list[object] = [""] * (len(self.labels) + 3)
        tops = zip(*(values.tolist() for values in self.top_classes()), strict=True)
        scores = self.scores.tolist()
        for row, (cells, (index, confidence)) in enumerate(zip(self.table.rows, tops, strict=True)):
            own = [f"{score:.6f}" if score == score else "" for score in scores[row]]
            results = [self.labels[index], f"{confidence:.6f}", *own, self.models[row]]
            yield [*cells, *(blank if index < 0 else results)]


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """The texts with a highest probability within one tenth: mean probability, share of right ones."""

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures over the texts with a label that the model has.

    Attributes:
        count: how many those are; skipped: how many others.
        accuracy: share of texts of which the likeliest class is the label.
        labels: the model's classes; confusion[i][j]: texts of class i with class j as the likeliest.
        bins: BINS of them, by the highest probability.
        ece: expected calibration error (Naeini et al. 2015): the bins' |accuracy - confidence|,
            weighted by their counts.
    """

    count: int
    skipped: int
    accuracy: float
    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    bins: tuple[CalibrationBin, ...]
    ece: float


def evaluate(
    scores: np.ndarray, labels: Sequence[str], truth: Sequence[str], mapping: Mapping[str, str]
) -> Evaluation | None:
    """Compare scores with labels.

    Args:
        scores: of shape (texts, classes); rows of NaN are skipped.
        labels: the model's classes.
        truth: each text's label in the file.
        mapping: label in the file -> the model's class; texts with another label are skipped.

    Returns:
        None where no text is left.
    """
    index = {label: i for i, label in enumerate(labels)}
    classes = np.array([index.get(mapping.get(t.strip(), ""), -1) for t in truth])
    usable = (classes >= 0) & ~np.isnan(scores).any(axis=1)
    if not usable.any():
        return None
    classes, probabilities = classes[usable], scores[usable]
    predictions, confidences = probabilities.argmax(axis=1), probabilities.max(axis=1)
    confusion = np.zeros((len(labels), len(labels)), int)
    np.add.at(confusion, (classes, predictions), 1)
    right = predictions == classes
    bins = _bins(confidences, right)
    ece = sum(b.count * abs(b.accuracy - b.confidence) for b in bins) / len(classes)
    return Evaluation(
        count=len(classes),
        skipped=len(truth) - len(classes),
        accuracy=float(right.mean()),
        labels=tuple(labels),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        bins=bins,
        ece=float(ece),
    )


def _bins(confidences: np.ndarray, right: np.ndarray) -> tuple[CalibrationBin, ...]:
    """The texts by tenths of their highest probability; both arrays of shape (texts,)."""
    tenths = np.minimum((confidences * BINS).astype(int), BINS - 1)
    bins = [CalibrationBin(0, 0.0, 0.0)] * BINS
    for tenth in np.unique(tenths).tolist():
        inside = tenths == tenth
        means = float(confidences[inside].mean()), float(right[inside].mean())
        bins[tenth] = CalibrationBin(int(inside.sum()), *means)
    return tuple(bins)


def propose_mapping(truth: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    """Each label of a file with the model's class that it most likely means, or ""."""
    classes = {label.lower(): label for label in labels}
    names = dict.fromkeys(t.strip() for t in truth)
    return {name: _class_of(name.lower(), classes) for name in names if name}


def _class_of(name: str, classes: Mapping[str, str]) -> str:
    if name in classes:
        return classes[name]
    for synonyms in _SYNONYMS.values():
        if name in synonyms:
            return next((classes[word] for word in synonyms if word in classes), "")
    return ""
