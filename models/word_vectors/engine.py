"""The starters' word vectors as an engine: sentences by SIF, and questions about words."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from models.contract import ModelSpec, Placement, Stop
from models.sentence_similarity.encoder import Encoder
from models.sentence_similarity.requests import EncodeRequest, SimilarityRequest
from models.settings import Settings
from models.weights.sources import damaged_starter
from models.word_vectors.questions import answer
from models.word_vectors.requests import WordsRequest
from models.word_vectors.vectors import TENSORS, VOCABULARY, WordVectors


class WordVectorSimilarity(Encoder):
    """Vectors of words, trained once; a sentence is their weighted mean (models/word_vectors.py).

    A spec with defaults={"pooling": "mean"} takes the plain mean.
    """

    def __init__(self, words: WordVectors, plain: bool = False) -> None:
        super().__init__()
        self.words = words
        self.plain = plain

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Read a starter's folder; plain numpy, so that every placement is the processor's.

        Raises:
            Damaged: a file is missing or broken; names the command that rebuilds it.
        """
        assert folder is not None, "word vectors are files"
        from safetensors import SafetensorError

        for name in (TENSORS, VOCABULARY):
            if not (folder / name).is_file():
                raise damaged_starter(spec.name, name)
        try:
            plain = spec.defaults.get("pooling") == "mean"
            return cls(WordVectors.load(folder), plain)
        except UnicodeDecodeError as error:
            raise damaged_starter(spec.name, VOCABULARY) from error
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise damaged_starter(spec.name, TENSORS) from error

    def stream(
        self, request: SimilarityRequest | EncodeRequest | WordsRequest, stop: Stop
    ) -> Generator[Any]:
        """Compare or encode sentences as every encoder does, or answer a question about words.

        Raises:
            InvalidInput: see models.word_vectors.questions.answer.
        """
        if isinstance(request, WordsRequest):
            yield answer(self.words, request)
        else:
            yield from super().stream(request, stop)

    def vectors(self, sentences: Sequence[str]) -> np.ndarray:
        """The SIF vector (or plain mean) of each sentence, all NaN where no word is known."""
        way = self.words.plain_mean if self.plain else self.words.sentence
        return np.stack([way(sentence) for sentence in sentences])

    def unknown(self, sentences: Sequence[str]) -> tuple[str, ...]:
        """Words that have no vector, not even in pieces, each once."""
        return tuple(dict.fromkeys(w for text in sentences for w in self.words.unknown(text)))

    def nbytes(self) -> int:
        """Bytes of vectors held."""
        return self.words.keyed.vectors.nbytes
