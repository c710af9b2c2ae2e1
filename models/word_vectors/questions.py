"""What can be asked of word vectors: nearest words, analogies, the odd one out, a map."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from models.errors import InvalidInput
from models.text.segmentation import as_word
from models.word_vectors.events import Places, WordsFound, WordTable
from models.word_vectors.requests import WordsRequest
from models.word_vectors.vectors import WordVectors

FEWEST = {"nearest": 1, "analogy": 1, "odd": 3, "map": 2}  # known words a question needs


def of_table(table: WordTable) -> WordVectors:
    """A person's own vectors as what the starters are: every word counts the same."""
    from gensim.models import KeyedVectors

    keyed = KeyedVectors(table.vectors.shape[1])
    keyed.add_vectors(list(table.words), table.vectors)
    ones = np.ones(len(table.words), dtype=np.float32)
    return WordVectors(keyed, ones, np.zeros(table.vectors.shape[1], np.float32), pieces=False)


def answer(vectors: WordVectors, request: WordsRequest) -> WordsFound:
    """Answer a question; words without a vector are named and left out.

    Raises:
        InvalidInput: too few of the words are known (invalid_no_vector).
    """
    plus, minus = spelt(request.words), spelt(request.minus)
    found = {word: vector for word in [*plus, *minus] if (vector := vectors.word(word)) is not None}
    unknown = tuple(word for word in [*plus, *minus] if word not in found)
    known = [word for word in plus if word in found]
    lost = request.question == "analogy" and unknown  # an analogy without one of its words is none
    if lost or len(known) < FEWEST[request.question]:
        raise InvalidInput("invalid_no_vector", words=", ".join(unknown) or ", ".join(plus))
    pieces = {word: vectors.pieces_of(word) for word in found if word not in vectors.keyed}
    if request.question == "odd":
        fits = centrality(found)
        return WordsFound(odd=fits[-1][0], fits=fits, unknown=unknown, pieces=pieces)
    if request.question == "map":
        return WordsFound(places=places(found), unknown=unknown, pieces=pieces)
    asked = {
        "positive": [(_key(vectors, word, found), 1.0) for word in known],
        "negative": [(_key(vectors, word, found), -1.0) for word in minus],
    }
    near = nearest(vectors, asked, found, request.count)
    return WordsFound(nearest=near, unknown=unknown, pieces=pieces)


def spelt(typed: Iterable[str]) -> list[str]:
    """Typed words as the vocabularies spell them, each once."""
    return list(dict.fromkeys(map(as_word, typed)))


def _key(vectors: WordVectors, word: str, found: Mapping[str, np.ndarray]) -> str | np.ndarray:
    """A known word goes to gensim by its name, so that it is not its own nearest word."""
    return word if word in vectors.keyed else found[word]


def nearest(
    vectors: WordVectors, asked: Mapping[str, Any], words: Mapping[str, Any], count: int
) -> tuple[tuple[str, float], ...]:
    """The words at the smallest angle to a sum of vectors (gensim's most_similar).

    Where words are read in pieces, those that only add an ending to an asked word are passed over.
    """
    candidates = vectors.keyed.most_similar(**asked, topn=count * (5 if vectors.pieces else 1))
    if vectors.pieces:
        stems = tuple(words)
        candidates = [(w, c) for w, c in candidates if not w.startswith(stems)]
    return tuple((word, float(cosine)) for word, cosine in candidates[:count])


def centrality(found: Mapping[str, np.ndarray]) -> tuple[tuple[str, float], ...]:
    """Each word with its cosine to the mean of all, best first (gensim's rank_by_centrality)."""
    from gensim.models import KeyedVectors

    keyed = KeyedVectors(len(next(iter(found.values()))))
    keyed.add_vectors(list(found), np.stack(list(found.values())))
    return tuple((word, float(c)) for c, word in keyed.rank_by_centrality(list(found)))


def places(found: Mapping[str, np.ndarray], like: Places = ()) -> Places:
    """Where words lie in the plane in which their unit vectors differ most (PCA).

    Args:
        found: word -> vector.
        like: an earlier map of the same words, to which this one is turned (orthogonal Procrustes),
            so that a training's maps follow each other without jumps.
    """
    from scipy.linalg import orthogonal_procrustes

    points = np.stack([v / (np.linalg.norm(v) or 1) for v in found.values()]).astype(np.float64)
    points -= points.mean(axis=0)
    left, sizes, _ = np.linalg.svd(points, full_matrices=False)
    flat = np.zeros((len(points), 2))
    flat[:, : min(2, len(sizes))] = (left * sizes)[:, :2]
    if len(like) == len(flat):
        turn, _ = orthogonal_procrustes(flat, np.array([[x, y] for _, x, y in like]))
        flat = flat @ turn
    return tuple((word, float(x), float(y)) for word, (x, y) in zip(found, flat, strict=True))


def formula(text: str) -> tuple[list[str], list[str]]:
    """The words that are added and those that are taken away in "king - man + woman"."""
    signs = re.sub("[\N{MINUS SIGN}\N{EN DASH}]", "-", text)
    signed = re.findall(r"([+-]?)\s*([^\s+-]+)", signs)
    plus = [word for sign, word in signed if sign != "-"]
    return plus, [word for sign, word in signed if sign == "-"]
