"""What the encoders of sentences yield."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.contract import Event


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
class Reference:
    """What cosines this encoder gives pairs of known likeness (models.sentence_similarity.reference).

    Attributes:
        language: of the pairs: "en", "ko" or "mixed".
        cosines: grade ("none", "some", "close", "same") -> its pairs' cosines, lowest first.
    """

    language: str
    cosines: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded(Event):
    """The vectors of some sentences of an EncodeRequest.

    Attributes:
        rows: which sentences, indexes of shape (some,).
        vectors: of length 1 (or all NaN where there is none), float32, shape (some, dimensions).
        share: how much of the whole request's text is done, 0 to 1.
        truncated: how many of these sentences the encoder saw only in part.
    """

    rows: np.ndarray
    vectors: np.ndarray
    share: float
    truncated: int = 0
