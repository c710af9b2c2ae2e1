"""What is known of a table's rows so far: filled as they are scored, whole or stopped half-way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.sentiment.events import RowsScored
from models.text.tables import Table


@dataclass(slots=True)
class Results:
    """The scores of a table's rows.

    Attributes:
        table: what was read.
        texts: the cells that are classified.
        labels: every class that a model named, in order of appearance.
        scores: float32 of shape (rows, labels): NaN where not scored (yet, or nothing to read).
        models: for each row the id of the model that read it, "" for none.
    """

    table: Table
    texts: Sequence[str]
    labels: list[str] = field(default_factory=list[str])
    scores: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    models: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        """Begin with nothing scored."""
        self.scores = np.full((len(self.texts), 0), np.nan, np.float32)
        self.models = [""] * len(self.texts)

    def add(self, model: str, rows: Sequence[int], event: RowsScored) -> None:
        """Take in what a model says of the rows at event.first and after it.

        Args:
            model: its id.
            rows: the rows of this table that the request held.
            event: some of them, scored.
        """
        for label in event.labels:
            if label not in self.labels:
                self.labels.append(label)
                empty = np.full((len(self.texts), 1), np.nan, np.float32)
                self.scores = np.hstack([self.scores, empty])
        at = list(rows[event.first : event.first + len(event.scores)])
        known = ~np.isnan(event.scores).any(axis=1)
        for label, scores in zip(event.labels, event.scores.T, strict=True):
            self.scores[at, self.labels.index(label)] = scores
        for row, is_known in zip(at, known, strict=True):
            self.models[row] = model if is_known else ""

    @property
    def filled(self) -> np.ndarray:
        """The scores with 0 for a class that a row's model does not have; NaN rows stay."""
        one = np.isnan(self.scores)
        unscored = one.all(axis=1, keepdims=True)
        return np.where(one & ~unscored, 0.0, self.scores)

    def best(self, row: int) -> tuple[str, float] | None:
        """A row's likeliest class and its probability; None where it has none."""
        if not self.models[row]:
            return None
        at = int(np.nanargmax(self.scores[row]))
        return self.labels[at], float(self.scores[row, at])

    def likeliest(self) -> tuple[np.ndarray, np.ndarray]:
        """What `best` says of every row at once: a page asks it again and again of 100,000 rows.

        Returns:
            (place of the likeliest class in `labels`, int64, -1 for a row that has none; its
            probability, float32, -1 where it has none), each of shape (rows,).
        """
        known = np.nan_to_num(np.pad(self.scores, ((0, 0), (0, 1)), constant_values=-1), nan=-1)
        at = known.argmax(axis=1)
        sure = known[np.arange(len(known)), at]
        return np.where(sure < 0, -1, at), sure

    def counts(self) -> dict[str, int]:
        """How many rows have each class as their likeliest, most first."""
        at, _ = self.likeliest()
        found = np.bincount(at[at >= 0], minlength=len(self.labels)).tolist()
        return dict(sorted(zip(self.labels, found, strict=True), key=lambda item: -item[1]))

    def columns(self) -> tuple[str, ...]:
        """The table's columns, then what was found."""
        shares = [f"sentiment_{label}" for label in self.labels]
        added = ["sentiment", "sentiment_score", *shares, "sentiment_model"]
        return (*self.table.columns, *(self._free(name) for name in added))

    def _free(self, name: str) -> str:
        while name in self.table.columns:
            name += "_"
        return name

    def rows(self) -> Iterator[list[object]]:
        """The table's rows with what was found behind their own cells."""
        none: list[object] = [""] * (len(self.labels) + 3)
        likeliest = zip(*(found.tolist() for found in self.likeliest()), strict=True)
        scores = self.scores.tolist()
        for row, (cells, (at, sure)) in enumerate(zip(self.table.rows, likeliest, strict=True)):
            shares = [f"{share:.6f}" if share == share else "" for share in scores[row]]
            found = [self.labels[at], f"{sure:.6f}", *shares, self.models[row]]
            yield [*cells, *(none if at < 0 else found)]
