"""What a classifier answers."""

from dataclasses import dataclass
from typing import Any

from models.contract import Event


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a text over the model's limit.

    Attributes:
        begin, end: where it stands in the text, in characters.
        tokens: how many it has, special ones included: its weight in the average.
        scores: (label, probability) pairs, in the order of the whole text's.
    """

    begin: int
    end: int
    tokens: int
    scores: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Scores(Event):
    """Probability of each class, highest first, for the whole text.

    Attributes:
        scores: (label, probability) pairs that sum to 1.
        parts: for a text over the model's limit, how many pieces were scored and averaged.
        multi_label: each label was asked for itself, so that they need not sum to 1.
        pieces: those pieces, each with its own scores.
        unknown: share of the tokens that are not in the model's vocabulary, 0 to 1.
    """

    scores: tuple[tuple[str, float], ...]
    parts: int = 1
    multi_label: bool = False
    pieces: tuple[Part, ...] = ()
    unknown: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """So much of the work is done."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Word:
    """A word and what it did.

    Attributes:
        begin, end: where it stands in the text, in characters.
        value: what it adds to the class's probability; below 0 it speaks against the class.
        tokens: (token, id) pairs that it was cut into.
    """

    begin: int
    end: int
    value: float
    tokens: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Attribution(Event):
    """Which words did it, for one class.

    Attributes:
        method: "gradients" (the values sum to score - baseline, but for the error) or "leave_out"
            (each value stands for itself: the score minus the score without the word).
        label: the class.
        score: its probability for the whole text.
        baseline: its probability for the text without any word; None for "leave_out".
        words: in the order of the text.
        rest: what the special tokens added.
        error: the sum of all values and the rest, minus (score - baseline): 0 were the integral exact.
        steps: points of the integral, the most that a part needed.
    """

    method: str
    label: str
    score: float
    words: tuple[Word, ...]
    baseline: float | None = None
    rest: float = 0.0
    error: float = 0.0
    steps: int = 0


@dataclass(frozen=True, slots=True)
class RowsScored(Event):
    """Some of many texts are scored.

    Attributes:
        first: the index of the first of them in the request.
        labels: the model's classes, in its own order.
        scores: float32 of shape (texts, classes); a row of NaN where a text has no token.
        parts: for each text, how many pieces it was cut into.
    """

    first: int
    labels: tuple[str, ...]
    scores: Any
    parts: tuple[int, ...]
    multi_label: bool = False


SentimentEvent = Scores | Progress | Attribution | RowsScored
