"""Word vectors that ship with GenLab, and sentence vectors made of them without a network.

A sentence is the weighted mean of its words, rare words counting more than frequent ones, less
what all sentences share (SIF; Arora, Liang and Ma, A Simple but Tough-to-Beat Baseline for
Sentence Embeddings, ICLR 2017).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from models.text.segmentation import words

TENSORS = "vectors.safetensors"
VOCABULARY = "vocabulary.txt"
HANGUL = re.compile("[가-힣]")


@dataclass(frozen=True, slots=True)
class WordVectors:
    """A vocabulary's vectors with what SIF needs.

    Attributes:
        keyed: gensim KeyedVectors, float32, most frequent word first.
        weights: SIF weight of each word, shape (words,).
        common: the direction that all sentences share, of length 1, shape (dimensions,).
        pieces: whether an unknown word is read as the longest known pieces of it (Korean).
    """

    keyed: Any
    weights: np.ndarray
    common: np.ndarray
    pieces: bool

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a folder that `python -m training.word_vectors` wrote.

        Raises:
            OSError, ValueError: A file is missing, or the files are not of one make.
        """
        from gensim.models import KeyedVectors
        from safetensors.numpy import load_file

        tensors = load_file(folder / TENSORS)
        vocabulary = (folder / VOCABULARY).read_text(encoding="utf-8").splitlines()
        vectors = tensors["vectors"].astype(np.float32)
        if len(vocabulary) != len(vectors) or len(tensors["weights"]) != len(vectors):
            raise ValueError(f"{VOCABULARY} and {TENSORS} differ in length")
        keyed = KeyedVectors(vectors.shape[1])
        keyed.add_vectors(vocabulary, vectors)
        weights = tensors["weights"].astype(np.float32)
        return cls(keyed, weights, tensors["common"].astype(np.float32), bool(tensors["pieces"][0]))

    def tokens(self, text: str) -> list[str]:
        """Return the known words of a text, or known pieces where this language has them."""
        known = self.keyed.key_to_index
        if not self.pieces:
            return [word for word in words(text) if word in known]
        return [piece for word in words(text) for piece in cut(word, known)]

    def unknown(self, text: str) -> list[str]:
        """Return the words of a text that have no vector, not even in pieces, each once."""
        return [word for word in dict.fromkeys(words(text)) if not self.tokens(word)]

    def word(self, word: str) -> np.ndarray | None:
        """Return a word's vector, shape (dimensions,), its pieces' where it has none, or None."""
        if word in self.keyed:
            return self.keyed[word]
        return self.weighted_mean(word) if self.pieces_of(word) else None

    def pieces_of(self, word: str) -> tuple[str, ...]:
        """Return the known pieces that an unknown Korean word is read as when it is asked about.

        None where all are single letters: they help to tell sentences apart, but mean nothing.
        """
        found = tuple(cut(word, self.keyed.key_to_index)) if self.pieces else ()
        return found if HANGUL.match(word) and any(len(piece) > 1 for piece in found) else ()

    def plain_mean(self, text: str) -> np.ndarray:
        """Return the unweighted mean of the words' vectors, shape (dimensions,); NaN for none."""
        return self._mean(text, np.ones_like(self.weights))

    def weighted_mean(self, text: str) -> np.ndarray:
        """Return the SIF-weighted mean, the common direction still in it, shape (dimensions,)."""
        return self._mean(text, self.weights)

    def sentence(self, text: str) -> np.ndarray:
        """Return the SIF vector of a text, shape (dimensions,); NaN where no word is known."""
        mean = self.weighted_mean(text)
        return mean - (mean @ self.common) * self.common

    def _mean(self, text: str, weights: np.ndarray) -> np.ndarray:
        which = [self.keyed.key_to_index[token] for token in self.tokens(text)]
        if not which:
            return np.full(self.keyed.vector_size, np.nan, dtype=np.float32)
        return (weights[which, None] * self.keyed.vectors[which]).mean(axis=0)


def cut(word: str, known: Any) -> list[str]:
    """Cut a word into the longest known pieces from the left; unknown letters are left out.

    Args:
        word: One word.
        known: Anything that answers `piece in known`.
    """
    pieces, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            if word[start:end] in known:
                pieces.append(word[start:end])
                break
        else:
            end = start + 1
        start = end
    return pieces
