"""Sentences to vectors to cosines: what all encoders share."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from typing import Self

import numpy as np

from models.contract import Stop
from models.sentence_similarity.events import Encoded, Reference, Similarities
from models.sentence_similarity.reference import graded, language_of_pairs, pairs
from models.sentence_similarity.requests import EncodeRequest, SimilarityRequest

WINDOW = 4096  # sentences that are batched by their length, so that little is padding


class Encoder(ABC):
    """An engine whose answer rests on one vector a sentence.

    A new kind of encoder brings `load`, `vectors` and `nbytes` (models.contract.Engine), and
    `truncated` or `unknown` where it does not see all of a sentence.
    """

    batch = 32  # sentences between two looks at the stop flag
    variant = ""  # which of several models behind one engine

    def __init__(self) -> None:
        self._references: dict[tuple[str, str], Reference] = {}

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

    def for_request(self, request: SimilarityRequest | EncodeRequest, stop: Stop) -> Self:
        """The encoder that serves one request: itself, or one that holds the request's key."""
        return self

    def stream(
        self, request: SimilarityRequest | EncodeRequest, stop: Stop
    ) -> Generator[Similarities | Reference | Encoded]:
        """Compare every sentence with every other, or hand out the vectors batch by batch.

        Yields:
            For an EncodeRequest Encoded; else Similarities and, if it is asked for, a Reference.
        """
        encoder = self.for_request(request, stop)
        if isinstance(request, EncodeRequest):
            yield from encoder.encoded(request.sentences, stop)
            return
        vectors = encoder.all_vectors(request.sentences, stop)
        if vectors is None:
            return
        cut, unknown = self.truncated(request.sentences), self.unknown(request.sentences)
        yield Similarities(cosine_matrix(vectors), cut, unknown)
        if request.reference:
            key = (language_of_pairs(request.sentences), encoder.variant)
            found = self._references.get(key) or encoder.reference(key[0], stop)
            if found is not None:
                self._references[key] = found
                yield found

    def reference(self, language: str, stop: Stop) -> Reference | None:
        """The cosines of the reference pairs of a language; None once stop is set."""
        left, right, _ = zip(*pairs(language), strict=True)
        sentences = list(dict.fromkeys([*left, *right]))
        vectors = self.all_vectors(sentences, stop)
        if vectors is None:
            return None
        row = {sentence: i for i, sentence in enumerate(sentences)}
        products = (
            vectors[[row[s] for s in left]].astype(np.float64) * vectors[[row[s] for s in right]]
        )
        return graded(language, products.sum(axis=1).clip(-1, 1).tolist())

    def all_vectors(self, sentences: Sequence[str], stop: Stop) -> np.ndarray | None:
        """Unit vectors in the order of the sentences, (sentences, dimensions); None if stopped."""
        parts = list(self.encoded(sentences, stop))
        return None if stop.is_set() else in_order(parts, len(sentences))

    def encoded(self, sentences: Sequence[str], stop: Stop) -> Generator[Encoded]:
        """The vectors batch by batch, until stop is set."""
        total, done = sum(map(len, sentences)), 0
        for rows in batches(sentences, self.batch):
            if stop.is_set():
                return
            chosen = [sentences[row] for row in rows]
            done += sum(map(len, chosen))
            unit = unit_length(self.vectors(chosen))
            yield Encoded(np.array(rows), unit, done / total, len(self.truncated(chosen)))


def batches(sentences: Sequence[str], size: int) -> Iterator[list[int]]:
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
