"""What the encoders of sentences yield."""

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

import numpy as np

from models.contract import Event

GRADES = ("none", "some", "close", "same")  # how alike the sentences of a reference pair are


@dataclass(frozen=True, slots=True)
class Similarities(Event):
    """Cosines of every sentence with every other (n x n, -1 to 1, NaN where there is no vector).

    Attributes:
        truncated: indexes of sentences of which the encoder saw only the beginning.
        unknown: words that the encoder has no vector for (word vectors alone know such words).
    """

    cosines: tuple[tuple[float, ...], ...]
    truncated: tuple[int, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReferenceCosines(Event):
    """The cosines that an encoder gives to pairs of known likeness (encoder.reference_pairs).

    Attributes:
        language: of the pairs: "en", "ko" or "mixed".
        cosines: grade -> its pairs' cosines, lowest first.
    """

    language: str
    cosines: Mapping[str, tuple[float, ...]]

    def percentile(self, cosine: float) -> float:
        """The share of pairs with a lower cosine, 0 to 1; NaN where nothing can be said."""
        ranks = sorted(c for row in self.cosines.values() for c in row)
        if not ranks or math.isnan(cosine):
            return math.nan
        return bisect_left(ranks, cosine) / len(ranks)

    def median(self, grade: str) -> float:
        """The median cosine of a grade's pairs; NaN where none has one."""
        cosines = self.cosines[grade]
        return median(cosines) if cosines else math.nan

    def separation(self) -> float:
        """How often a pair of one meaning has a higher cosine than an unrelated one, 0 to 1.

        This is the area under the ROC curve: 0.5 is chance. NaN where nothing can be said.
        """
        same, others = self.cosines["same"], sorted(self.cosines["none"])
        if not same or not others:
            return math.nan
        wins = sum(bisect_left(others, c) for c in same)
        return wins / (len(same) * len(others))

    def nearest_grade(self, cosine: float) -> str:
        """The grade whose median is nearest to a cosine."""
        return min(GRADES, key=lambda grade: abs(self.median(grade) - cosine))


@dataclass(frozen=True, slots=True, eq=False)
class Encoded(Event):
    """The vectors of some sentences of an EncodeRequest.

    Attributes:
        rows: which sentences, indexes of shape (some,).
        vectors: of length 1 (or all NaN where there is none), float32, shape (some, dimensions).
        share: how much of the whole request's text is encoded so far, 0 to 1.
        truncated: how many of these sentences the encoder saw only in part.
    """

    rows: np.ndarray
    vectors: np.ndarray
    share: float
    truncated: int = 0
