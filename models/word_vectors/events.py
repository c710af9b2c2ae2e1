"""What word vectors yield."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from models.contract import Event
from models.sentence_similarity.events import Similarities

Neighbours = Mapping[str, tuple[tuple[str, float], ...]]  # word -> its nearest (word, cosine)
MapPoints = tuple[tuple[str, float, float], ...]  # (word, x, y)


@dataclass(frozen=True, slots=True, eq=False)
class WordTable:
    """Vectors that belong to one person; they live in that person's session, never in an engine.

    Attributes:
        words: most frequent first.
        vectors: float32, shape (words, dimensions).
        faults: of a file, (code, count): lines left out as "no_vector" (no word with as many numbers
            as the others), "not_finite" or "duplicate" (the first one stays); words that are "not_utf8"
            and were read as Latin-1; "header" and "header_size" with what the first line claims, where
            the number of words or that of the dimensions does not fit.
    """

    words: tuple[str, ...]
    vectors: np.ndarray
    faults: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Word2VecStep(Event):
    """The end of an epoch of a training.

    Attributes:
        loss: gensim's training loss of this epoch, per word that it trained on.
        points: the map of the words so far.
        losses: of every epoch so far; there is no event for each.
    """

    epoch: int
    epochs: int
    loss: float
    points: MapPoints = ()
    losses: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class OtherSeed:
    """The same training from another random start: what differs is chance.

    Attributes:
        pair, neighbours: as in Word2VecDone.
    """

    seed: int
    pair: float | None
    neighbours: Neighbours


@dataclass(frozen=True, slots=True)
class Word2VecDone(Event):
    """The result of a Word2Vec training.

    Attributes:
        vocabulary: words it knows, most frequent first.
        pair: cosine of word_a and word_b, None where one was blank or unknown.
        neighbours: of word_a and word_b.
        before: the same, of the random vectors that the training began with.
        similarities: of `sentences`, by mean vectors; None where there were fewer than two.
        unknown: words of the pair, the sentences and the map that are not in the vocabulary.
        other_seed: the same from another seed, where there was too little text.
        points: the map at the end.
        table: the vectors themselves.
    """

    vocabulary: tuple[str, ...]
    pair: float | None
    neighbours: Neighbours
    similarities: Similarities | None
    unknown: tuple[str, ...]
    before: Neighbours = field(default_factory=dict[str, tuple[tuple[str, float], ...]])
    other_seed: OtherSeed | None = None
    points: MapPoints = ()
    table: WordTable | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class WordAnswer(Event):
    """The answer to a question about words.

    Attributes:
        nearest: (word, cosine), nearest first: of the word, or of the analogy's point.
        odd: the word that fits the others least, "" for other questions.
        fits: (word, cosine with the mean of all), for the odd one out.
        points: the map.
        unknown: words without a vector, each once.
        pieces: words read as pieces of them -> the pieces.
    """

    nearest: tuple[tuple[str, float], ...] = ()
    odd: str = ""
    fits: tuple[tuple[str, float], ...] = ()
    points: MapPoints = ()
    unknown: tuple[str, ...] = ()
    pieces: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
