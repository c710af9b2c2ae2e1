"""Sentences to vectors to cosines: what all encoders share.

reference.txt was written for GenLab (Apache-2.0): 50 blocks of four English sentences and the same
four in Korean. The second sentence of a block is a paraphrase of the first, the third is about a
similar event, the fourth has only the subject in common; first sentences of two blocks are unrelated.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np

from models.contract import Event, Stop
from models.sentence_similarity.events import GRADES, Encoded, ReferenceCosines, Similarities
from models.sentence_similarity.requests import EncodeRequest, SimilarityRequest
from models.text.language import batches_by_length, language_of

WINDOW = 4096  # sentences that are sorted by length together
MIXED = "mixed"
BLOCK_DISTANCES = (7, 18, 31)  # an unrelated pair: first sentences of two blocks so far apart


class Encoder(ABC):
    """An engine whose answer rests on one vector a sentence.

    A new kind of encoder brings `load`, `vectors` and `nbytes` (models.contract.Engine), and
    `too_long` or `unknown` where it does not see all of a sentence.
    """

    batch = 32  # sentences between two looks at the stop flag
    variant = ""  # which of several models behind one engine

    def __init__(self) -> None:
        self._references: dict[tuple[str, str], ReferenceCosines] = {}

    @abstractmethod
    def vectors(self, sentences: Sequence[str]) -> np.ndarray:
        """One vector a sentence, of any length, all NaN where there is none.

        Returns:
            float32, shape (sentences, dimensions).
        """

    def too_long(self, sentences: Sequence[str]) -> tuple[int, ...]:
        """Indexes of the sentences of which only the beginning is seen."""
        return ()

    def unknown(self, sentences: Sequence[str]) -> tuple[str, ...]:
        """Words that have no vector, each once."""
        return ()

    def for_request(self, request: SimilarityRequest | EncodeRequest, stop: Stop) -> Self:
        """The encoder that serves one request: itself, or one that holds the request's key."""
        return self

    def stream(self, request: SimilarityRequest | EncodeRequest, stop: Stop) -> Generator[Event]:
        """Compare every sentence with every other, or hand out the vectors batch by batch.

        Yields:
            For an EncodeRequest Encoded; else Similarities and, if the request wants them, the
            ReferenceCosines.
        """
        encoder = self.for_request(request, stop)
        if isinstance(request, EncodeRequest):
            yield from encoder.encode(request.sentences, stop)
            return
        vectors = encoder.unit_vectors(request.sentences, stop)
        if vectors is None:
            return
        too_long, unknown = self.too_long(request.sentences), self.unknown(request.sentences)
        yield Similarities(cosine_matrix(vectors), too_long, unknown)
        if request.reference:
            key = (reference_language(request.sentences), encoder.variant)
            reference = self._references.get(key) or encoder.reference_cosines(key[0], stop)
            if reference is not None:
                self._references[key] = reference
                yield reference

    def encode(self, sentences: Sequence[str], stop: Stop) -> Generator[Encoded]:
        """The vectors batch by batch, until stop is set."""
        lengths = [len(sentence) for sentence in sentences]
        total, so_far = sum(lengths), 0
        for rows in batches_by_length(lengths, self.batch, window=WINDOW):
            if stop.is_set():
                return
            batch = [sentences[row] for row in rows]
            so_far += sum(map(len, batch))
            unit = unit_length(self.vectors(batch))
            yield Encoded(np.array(rows), unit, so_far / total, len(self.too_long(batch)))

    def unit_vectors(self, sentences: Sequence[str], stop: Stop) -> np.ndarray | None:
        """Unit vectors in the order of the sentences, (sentences, dimensions); None if stopped."""
        parts = list(self.encode(sentences, stop))
        return None if stop.is_set() else in_order(parts, len(sentences))

    def reference_cosines(self, language: str, stop: Stop) -> ReferenceCosines | None:
        """The cosines of the reference pairs of a language, by grade; None once stop is set."""
        left, right, grades = zip(*reference_pairs(language), strict=True)
        sentences = list(dict.fromkeys([*left, *right]))
        vectors = self.unit_vectors(sentences, stop)
        if vectors is None:
            return None
        row = {sentence: i for i, sentence in enumerate(sentences)}
        products = (
            vectors[[row[s] for s in left]].astype(np.float64) * vectors[[row[s] for s in right]]
        )
        cosines = products.sum(axis=1).clip(-1, 1).tolist()
        by_grade: dict[str, list[float]] = {grade: [] for grade in GRADES}
        for grade, cosine in zip(grades, cosines, strict=True):
            if not math.isnan(cosine):
                by_grade[grade].append(cosine)
        return ReferenceCosines(language, {g: tuple(sorted(c)) for g, c in by_grade.items()})


def in_order(parts: Sequence[Encoded], count: int) -> np.ndarray:
    """The vectors of all parts in the order of the sentences, shape (count, dimensions)."""
    vectors = np.empty((count, parts[0].vectors.shape[1]), parts[0].vectors.dtype)
    for part in parts:
        vectors[part.rows] = part.vectors
    return vectors


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """The same directions at length 1, shape (sentences, dimensions); NaN where the length is 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, np.nan)


def cosine_matrix(vectors: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Cosines of all pairs, -1 to 1, from vectors of shape (sentences, dimensions)."""
    unit = unit_length(vectors.astype(np.float64))
    return tuple(tuple(row) for row in (unit @ unit.T).clip(-1, 1).tolist())


@cache
def _blocks() -> list[dict[str, list[str]]]:
    text = Path(__file__).with_name("reference.txt").read_text(encoding="utf-8")
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return [{"en": lines[:4], "ko": lines[4:]} for lines in blocks]


def reference_pairs(language: str) -> list[tuple[str, str, str]]:
    """The 300 pairs of a language as (sentence, sentence, grade), 50 of each related grade.

    Args:
        language: "en", "ko", or "mixed": English with Korean.
    """
    left, right = ("en", "ko") if language == MIXED else (language, language)
    blocks = _blocks()
    pairs = [
        (block[left][0], block[right][line], grade)
        for block in blocks
        for line, grade in enumerate(reversed(GRADES[1:]), 1)
    ]
    for distance in BLOCK_DISTANCES:
        for number, block in enumerate(blocks):
            other = blocks[(number + distance) % len(blocks)]
            pairs.append((block[left][0], other[right][0], GRADES[0]))
    return pairs


def reference_language(sentences: Iterable[str]) -> str:
    """Which reference pairs suit the sentences: those of their one language, or the mixed ones."""
    languages = {language_of(sentence) for sentence in sentences}
    return languages.pop() if len(languages) == 1 else MIXED
