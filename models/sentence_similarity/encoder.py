"""Sentences to vectors to cosines: what all encoders share."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence

import numpy as np

from models.base import Stop
from models.requests import EncodeRequest, SimilarityRequest
from models.sentence_similarity.events import Encoded, Similarities

BATCH = 32  # sentences between two looks at the stop flag
WINDOW = 4096  # sentences that are batched by their length, so that little is padding


class Encoder(ABC):
    """An engine whose answer rests on one vector a sentence.

    A new kind of encoder brings `load`, `vectors` and `nbytes` (models.base.Engine), and
    `truncated` or `unknown` where it does not see all of a sentence.
    """

    @abstractmethod
    def vectors(self, sentences: Sequence[str]) -> np.ndarray:
        """One vector a sentence, of any length, all NaN where there is none.

        Returns:
            float32, shape (sentences, dimensions).
        """

    def truncated(self, sentences: Sequence[str]) -> tuple[int, ...]:
        """Indexes of the sentences of which only the beginning is seen."""
        return ()

    def unknown(self, sentences: Sequence[str]) -> tuple[str, ...]:
        """Words that have no vector, each once."""
        return ()

    def stream(
        self, request: SimilarityRequest | EncodeRequest, stop: Stop
    ) -> Generator[Similarities | Encoded]:
        """Compare every sentence with every other, or hand out the vectors batch by batch."""
        if isinstance(request, EncodeRequest):
            yield from self._encode(request.sentences, stop)
            return
        sentences = request.sentences
        parts = list(self._encode(sentences, stop))
        if stop.is_set():
            return
        yield Similarities(
            cosine_matrix(in_order(parts, len(sentences))),
            self.truncated(sentences),
            self.unknown(sentences),
        )

    def _encode(self, sentences: Sequence[str], stop: Stop) -> Generator[Encoded]:
        total, done = sum(map(len, sentences)), 0
        for rows in batches(sentences):
            if stop.is_set():
                return
            chosen = [sentences[row] for row in rows]
            done += sum(map(len, chosen))
            unit = unit_length(self.vectors(chosen))
            yield Encoded(np.array(rows), unit, done / total, len(self.truncated(chosen)))


def batches(sentences: Sequence[str], size: int = BATCH) -> Iterator[list[int]]:
    """Indexes of sentences of like length, long ones first in each window of the whole."""
    for start in range(0, len(sentences), WINDOW):
        window = range(start, min(start + WINDOW, len(sentences)))
        order = sorted(window, key=lambda row: -len(sentences[row]))
        yield from (order[at : at + size] for at in range(0, len(order), size))


def in_order(parts: Sequence[Encoded], count: int) -> np.ndarray:
    """The vectors of all parts in the order of the sentences, shape (count, dimensions)."""
    found = np.empty((count, parts[0].vectors.shape[1]), parts[0].vectors.dtype)
    for part in parts:
        found[part.rows] = part.vectors
    return found


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """The same directions at length 1, shape (sentences, dimensions); NaN where the length is 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, np.nan)


def cosine_matrix(vectors: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Cosines of all pairs, -1 to 1, from vectors of shape (sentences, dimensions)."""
    unit = unit_length(vectors.astype(np.float64))
    return tuple(tuple(row) for row in (unit @ unit.T).clip(-1, 1).tolist())
