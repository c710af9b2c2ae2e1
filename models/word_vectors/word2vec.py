"""Word2Vec trained on a person's own text, watched as it learns, and what its words say afterwards."""

import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from gensim.models import Word2Vec
from scipy.spatial.distance import cdist, cosine

from models.contract import ModelSpec, Placement, Stop
from models.errors import InvalidInput, Stopped
from models.fields import MAX_SEED, draw_seed
from models.sentence_similarity.events import Similarities
from models.settings import Settings
from models.text.segmentation import as_word, training_sentences, words
from models.word_vectors.events import (
    Neighbours,
    OtherSeed,
    Places,
    Word2VecDone,
    Word2VecStep,
    WordsFound,
    WordTable,
)
from models.word_vectors.files import MOST_NUMBERS
from models.word_vectors.questions import answer, of_table, places
from models.word_vectors.requests import Word2VecRequest, WordsRequest

NEIGHBOURS = 10
ON_THE_MAP = 30  # words, where none were chosen
PAUSE = 0.2  # seconds between two looks at the training
ENOUGH = 100_000  # words; below it chance shapes the vectors more than the text does


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

    def stream(
        self, request: Word2VecRequest | WordsRequest, stop: Stop
    ) -> Generator[Word2VecStep | Word2VecDone | WordsFound]:
        """Train and compare the pair of words and the sentences; or ask the request's own table.

        The same request gives the same vectors in any process: one worker, a fixed seed, and
        gensim's start values come from the seed alone, not from Python's randomised hash().

        Raises:
            InvalidInput: as Training and answer() say.
            Stopped: stop was set during the training; looked at before each sentence.
        """
        if isinstance(request, WordsRequest):
            assert request.table is not None, "it keeps no vectors of its own"
            yield answer(of_table(request.table), request)
            return
        run = Training(request, stop)
        before = run.neighbours()
        yield from run.epochs()
        other = None
        if sum(map(len, run.sentences)) < ENOUGH:
            seed = (run.seed + 1) % (MAX_SEED + 1)
            again = Training(request.model_copy(update={"seed": seed}), stop)
            for _ in again.epochs():
                pass
            other = OtherSeed(seed, again.pair(), again.neighbours())
        yield run.done(before, other)

    def nbytes(self) -> int:
        """None are kept."""
        return 0


class Training:
    """One training, epoch by epoch, with what can be asked between them."""

    def __init__(self, request: Word2VecRequest, stop: Stop) -> None:
        """Read the text and give every word its random start.

        Raises:
            InvalidInput: no word is there min_count times (invalid_no_vocabulary), or there would be
                too many vectors (invalid_vectors_size).
        """
        self.request, self.stop = request, stop
        self.seed = draw_seed(request.seed)
        self.sentences = training_sentences(request.corpus)
        counts = Counter(word for sentence in self.sentences for word in sentence)
        kept = sum(count >= request.min_count for count in counts.values())
        if not kept:
            raise InvalidInput("invalid_no_vocabulary", limit=request.min_count)
        if kept * request.vector_size > MOST_NUMBERS:
            raise InvalidInput("invalid_vectors_size", limit=MOST_NUMBERS)
        self.model = Word2Vec(
            vector_size=request.vector_size,
            window=request.window,
            min_count=request.min_count,
            sg=request.sg,
            negative=request.negative,
            seed=self.seed,
            workers=1,
        )
        self.model.build_vocab(self.sentences)
        asked = (as_word(word) for word in (request.word_a, request.word_b))
        self.asked = [word for word in asked if word]
        chosen = [word for word in map(as_word, request.words) if word in self.vectors]
        self.mapped = list(dict.fromkeys(chosen)) or self.vectors.index_to_key[:ON_THE_MAP]
        self.map: Places = ()

    @property
    def vectors(self) -> Any:
        """The words' vectors as they are now (gensim KeyedVectors)."""
        return self.model.wv

    def epochs(self) -> Generator[Word2VecStep]:
        """Train; an event for an epoch, at most one each PAUSE and always for the last.

        Raises:
            Stopped: stop was set.
        """
        total, said = self.request.epochs, 0.0
        first, last = self.model.alpha, self.model.min_alpha
        for epoch in range(total):
            self.model.train(
                self._until_stop(),
                total_examples=self.model.corpus_count,
                epochs=1,
                start_alpha=first - (first - last) * epoch / total,
                end_alpha=first - (first - last) * (epoch + 1) / total,
                compute_loss=True,
            )
            if self.stop.is_set():
                raise Stopped
            if time.monotonic() - said >= PAUSE or epoch + 1 == total:
                said = time.monotonic()
                self.map = places({w: self.vectors[w] for w in self.mapped}, like=self.map)
                loss = float(self.model.get_latest_training_loss())
                yield Word2VecStep(epoch + 1, total, loss, self.map)

    def _until_stop(self) -> Iterator[list[str]]:
        for sentence in self.sentences:
            if self.stop.is_set():
                return
            yield sentence

    def neighbours(self) -> Neighbours:
        """The nearest words of the pair, as far as they are known."""
        return {w: nearest(self.vectors, w) for w in self.asked if w in self.vectors}

    def pair(self) -> float | None:
        """The cosine of the pair; None where one is blank or unknown."""
        if len(self.asked) < 2 or any(word not in self.vectors for word in self.asked):
            return None
        return 1 - float(cosine(*(self.vectors[word] for word in self.asked)))

    def done(self, before: Neighbours, other_seed: OtherSeed | None) -> Word2VecDone:
        """Everything that the finished training says."""
        in_sentences = [word for text in self.request.sentences for word in words(text)]
        named = [*self.asked, *in_sentences, *map(as_word, self.request.words)]
        return Word2VecDone(
            vocabulary=tuple(self.vectors.index_to_key),
            pair=self.pair(),
            neighbours=self.neighbours(),
            similarities=compared(self.vectors, self.request.sentences),
            unknown=tuple(dict.fromkeys(word for word in named if word not in self.vectors)),
            before=before,
            other_seed=other_seed,
            places=self.map,
            table=WordTable(tuple(self.vectors.index_to_key), self.vectors.vectors.copy()),
        )


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
