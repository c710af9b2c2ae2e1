"""What a classifier answers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from models.contract import Event


@dataclass(frozen=True, slots=True)
class TextPiece:
    """One piece of a text that is longer than the model's limit.

    Attributes:
        begin, end: its place in the text, in characters.
        tokens: how many it has, special ones included; this is its weight in the average.
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
        parts: how many pieces were scored and averaged; 1 for a text within the model's limit.
        multi_label: each label has a probability of its own, so that they need not sum to 1.
        pieces: the pieces with their own scores, where there are several.
        unknown: share of the tokens that are not in the model's vocabulary, 0 to 1.
    """

    scores: tuple[tuple[str, float], ...]
    parts: int = 1
    multi_label: bool = False
    pieces: tuple[TextPiece, ...] = ()
    unknown: float = 0.0


@dataclass(frozen=True, slots=True)
class AttributionProgress(Event):
    """`done` of `total` pieces or words of a text are explained."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class WordAttribution:
    """A word and what it adds to the probability of a class.

    Attributes:
        begin, end: its place in the text, in characters.
        value: what it adds to the probability; below 0 for a word against the class.
        tokens: (token, id) pairs of the word.
    """

    begin: int
    end: int
    value: float
    tokens: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Attribution(Event):
    """What each word adds to the probability of one class.

    Attributes:
        method: "gradients" (the values sum to score - baseline, but for the error) or "leave_out"
            (each value by itself: the score minus the score without the word).
        label: the class.
        score: its probability for the whole text.
        baseline: its probability for the text with every word masked; None for "leave_out".
        words: in the order of the text.
        rest: what the special tokens add.
        error: the sum of all values and the rest, minus (score - baseline); 0 for an exact integral.
        steps: points of the integral, the most that a piece needed.
    """

    method: str
    label: str
    score: float
    words: tuple[WordAttribution, ...]
    baseline: float | None = None
    rest: float = 0.0
    error: float = 0.0
    steps: int = 0


@dataclass(frozen=True, slots=True)
class RowScores(Event):
    """The scores of some of many texts, which follow each other in the request.

    Attributes:
        first: the index of the first of them in the request.
        labels: the model's classes, in its own order.
        scores: float32 of shape (texts, classes); a row of NaN where a text has no token.
        parts: for each text, how many pieces it was cut into; 0 for one without a token.
    """

    first: int
    labels: tuple[str, ...]
    scores: Any
    parts: tuple[int, ...]
    multi_label: bool = False

    def by_label(self) -> Iterator[tuple[int, dict[str, float]]]:
        """(index in the request, label -> probability) of each text that has scores."""
        for offset, scores in enumerate(self.scores.tolist()):
            if not math.isnan(scores[0]):
                yield self.first + offset, dict(zip(self.labels, scores, strict=True))


SentimentEvent = Scores | AttributionProgress | Attribution | RowScores
