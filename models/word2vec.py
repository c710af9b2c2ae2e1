"""Word2Vec trained on a person's own sentences, and what its words say afterwards."""

from collections import Counter
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
from gensim.models import Word2Vec
from gensim.models.callbacks import CallbackAny2Vec
from scipy.spatial.distance import cdist, cosine

from models.base import ModelSpec, Placement, Similarities, Stop, Word2VecDone
from models.errors import InvalidInput, Stopped
from models.requests import Word2VecRequest, drawn_seed
from models.segment import as_word, training_sentences, words
from models.settings import Settings

NEIGHBOURS = 10


class Word2VecSimilarity:
    """Trains anew for every request and keeps nothing: no weights, no text.

    Source: Mikolov et al., Efficient Estimation of Word Representations in Vector Space, 2013.
    """

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """There are no weights to load: importing gensim, with this module, is all."""
        return cls()

    def stream(self, request: Word2VecRequest, stop: Stop) -> Generator[Word2VecDone]:
        """Train, then compare the pair of words and the sentences.

        The same request gives the same vectors in any process: one worker, a fixed seed, and
        gensim's start values come from the seed alone, not from Python's randomised hash().

        Raises:
            InvalidInput: no word is there min_count times (invalid_no_vocabulary).
            Stopped: stop was set during the training; looked at after each epoch.
        """
        vectors = train(request, stop)
        asked = [word for word in map(as_word, (request.word_a, request.word_b)) if word]
        known = [word for word in asked if word in vectors]
        in_sentences = [word for sentence in request.sentences for word in words(sentence)]
        pair = None
        if len(asked) == len(known) == 2:
            pair = 1 - float(cosine(vectors[known[0]], vectors[known[1]]))
        yield Word2VecDone(
            vocabulary=tuple(vectors.index_to_key),
            pair=pair,
            neighbours={word: nearest(vectors, word) for word in known},
            similarities=compared(vectors, request.sentences),
            unknown=tuple(dict.fromkeys(w for w in [*asked, *in_sentences] if w not in vectors)),
        )

    def nbytes(self) -> int:
        """None are kept."""
        return 0


class _StopBetweenEpochs(CallbackAny2Vec):
    def __init__(self, stop: Stop) -> None:
        self.stop = stop

    def on_epoch_end(self, model: Word2Vec) -> None:
        if self.stop.is_set():
            raise Stopped


def train(request: Word2VecRequest, stop: Stop) -> Any:
    """Train on the request's corpus; the result is KeyedVectors of gensim.

    Raises:
        InvalidInput: no word is there min_count times.
        Stopped: stop was set.
    """
    sentences = training_sentences(request.corpus)
    counts = Counter(word for sentence in sentences for word in sentence)
    if max(counts.values(), default=0) < request.min_count:
        raise InvalidInput("invalid_no_vocabulary", limit=request.min_count)
    return Word2Vec(
        sentences,
        vector_size=request.vector_size,
        window=request.window,
        min_count=request.min_count,
        sg=request.sg,
        epochs=request.epochs,
        seed=drawn_seed(request.seed),
        workers=1,
        callbacks=[_StopBetweenEpochs(stop)],
    ).wv


def nearest(vectors: Any, word: str) -> tuple[tuple[str, float], ...]:
    """The words at the smallest angle, nearest first, with their cosines."""
    return tuple((other, float(c)) for other, c in vectors.most_similar(word, topn=NEIGHBOURS))


def compared(vectors: Any, sentences: Iterable[str]) -> Similarities | None:
    """Cosines of the sentences' mean vectors (gensim's n_similarity); None for fewer than two.

    A sentence of which no word is known has no vector: its cosines are NaN.
    """
    known = [[word for word in words(sentence) if word in vectors] for sentence in sentences]
    if len(known) < 2:
        return None
    none = np.full(vectors.vector_size, np.nan)
    means = [vectors.get_mean_vector(k, pre_normalize=False) if k else none for k in known]
    return Similarities(tuple(tuple(row) for row in (1 - cdist(means, means, "cosine")).tolist()))
