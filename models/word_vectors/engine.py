"""Two engines: the starters' word vectors, and Word2Vec trained on a person's own text."""

import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from gensim.models import Word2Vec
from scipy.spatial.distance import cdist, cosine

from models.contract import Event, ModelSpec, Placement, Stop
from models.errors import InvalidInput, Stopped
from models.fields import MAX_SEED, draw_seed
from models.sentence_similarity.encoder import Encoder
from models.sentence_similarity.events import Similarities
from models.sentence_similarity.requests import EncodeRequest, SimilarityRequest
from models.settings import Settings
from models.text.language import as_word, training_sentences, words
from models.weights.sources import damaged_starter
from models.word_vectors.catalog import plain_mean
from models.word_vectors.events import (
    MapPoints,
    Neighbours,
    OtherSeed,
    Word2VecDone,
    Word2VecStep,
    WordAnswer,
    WordTable,
)
from models.word_vectors.requests import Word2VecRequest, WordsRequest
from models.word_vectors.vectors import (
    MOST_NUMBERS,
    TENSORS,
    VOCABULARY,
    WordVectors,
    answer,
    map_points,
)

NEIGHBOURS = 10
MAP_WORDS = 30  # on the map, where the request names none
PAUSE = 0.2  # seconds between two events of a training
ENOUGH = 100_000  # words; below it chance shapes the vectors more than the text does


class WordVectorSimilarity(Encoder):
    """Vectors of words that ship with GenLab; a sentence is their mean, SIF-weighted or plain."""

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
            return cls(WordVectors.load(folder), plain_mean(spec))
        except UnicodeDecodeError as error:
            raise damaged_starter(spec.name, VOCABULARY) from error
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise damaged_starter(spec.name, TENSORS) from error

    def stream(
        self, request: SimilarityRequest | EncodeRequest | WordsRequest, stop: Stop
    ) -> Generator[Event]:
        """Compare or encode sentences as every encoder does, or answer a question about words.

        Raises:
            InvalidInput: see `answer`.
        """
        if isinstance(request, WordsRequest):
            yield answer(self.words, request)
        else:
            yield from super().stream(request, stop)

    def vectors(self, sentences: Sequence[str]) -> np.ndarray:
        """The SIF vector (or plain mean) of each sentence, all NaN where no word is known."""
        vector = self.words.plain_mean if self.plain else self.words.sentence
        return np.stack([vector(sentence) for sentence in sentences])

    def unknown(self, sentences: Sequence[str]) -> tuple[str, ...]:
        """Words that have no vector, not even in pieces, each once."""
        return tuple(dict.fromkeys(w for text in sentences for w in self.words.unknown(text)))

    def nbytes(self) -> int:
        """Bytes of vectors held."""
        return self.words.table.vectors.nbytes


class Word2VecSimilarity:
    """Trains anew for every request; it holds no weights and no text.

    Source: Mikolov et al., Efficient Estimation of Word Representations in Vector Space, 2013.
    """

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """There are no weights to load: importing gensim, with this module, is enough."""
        return cls()

    def stream(
        self, request: Word2VecRequest | WordsRequest, stop: Stop
    ) -> Generator[Word2VecStep | Word2VecDone | WordAnswer]:
        """Train and compare the pair of words and the sentences; or answer from the request's table.

        The same request gives the same vectors in any process: one worker, a fixed seed, and
        gensim's start values come from the seed alone, not from Python's randomised hash().

        Raises:
            InvalidInput: see `Training` and `answer`.
            Stopped: stop was set during the training; looked at before each sentence.
        """
        if isinstance(request, WordsRequest):
            assert request.table is not None, "the engine has no vectors of its own"
            yield answer(WordVectors.from_table(request.table), request)
            return
        training = Training(request, stop)
        before = training.neighbours()
        yield from training.epochs()
        other_seed = None
        if sum(map(len, training.sentences)) < ENOUGH:
            seed = (training.seed + 1) % (MAX_SEED + 1)
            again = Training(request.model_copy(update={"seed": seed}), stop)
            for _ in again.epochs():
                pass
            other_seed = OtherSeed(seed, again.pair(), again.neighbours())
        yield training.result(before, other_seed)

    def nbytes(self) -> int:
        """It holds none."""
        return 0


class Training:
    """One training, epoch by epoch; its words can be looked at between them."""

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
        vocabulary = sum(count >= request.min_count for count in counts.values())
        if not vocabulary:
            raise InvalidInput("invalid_no_vocabulary", limit=request.min_count)
        if vocabulary * request.vector_size > MOST_NUMBERS:
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
        pair = (as_word(word) for word in (request.word_a, request.word_b))
        self.pair_words = [word for word in pair if word]
        words_of_map = [word for word in map(as_word, request.words) if word in self.vectors]
        self.map_words = list(dict.fromkeys(words_of_map)) or self.vectors.index_to_key[:MAP_WORDS]
        self.points: MapPoints = ()
        self.losses: list[float] = []

    @property
    def vectors(self) -> Any:
        """The words' vectors as they are now (gensim KeyedVectors)."""
        return self.model.wv

    def epochs(self) -> Generator[Word2VecStep]:
        """Train; yield an event after an epoch, at most one each PAUSE and always after the last.

        Raises:
            Stopped: stop was set.
        """
        total, last_event = self.request.epochs, 0.0
        first, last = self.model.alpha, self.model.min_alpha
        for epoch in range(total):
            words, _ = self.model.train(
                self._until_stop(),
                total_examples=self.model.corpus_count,
                epochs=1,
                start_alpha=first - (first - last) * epoch / total,
                end_alpha=first - (first - last) * (epoch + 1) / total,
                compute_loss=True,
            )
            if self.stop.is_set():
                raise Stopped
            self.losses.append(float(self.model.get_latest_training_loss()) / max(words, 1))
            if time.monotonic() - last_event >= PAUSE or epoch + 1 == total:
                last_event = time.monotonic()
                by_word = {word: self.vectors[word] for word in self.map_words}
                self.points = map_points(by_word, like=self.points)
                losses = tuple(self.losses)
                yield Word2VecStep(epoch + 1, total, losses[-1], self.points, losses)

    def _until_stop(self) -> Iterator[list[str]]:
        for sentence in self.sentences:
            if self.stop.is_set():
                return
            yield sentence

    def neighbours(self) -> Neighbours:
        """The nearest words of the pair, as far as they are known."""
        return {
            word: tuple((w, float(c)) for w, c in self.vectors.most_similar(word, topn=NEIGHBOURS))
            for word in self.pair_words
            if word in self.vectors
        }

    def pair(self) -> float | None:
        """The cosine of the pair; None where one is blank or unknown."""
        if len(self.pair_words) < 2 or any(word not in self.vectors for word in self.pair_words):
            return None
        return 1 - float(cosine(*(self.vectors[word] for word in self.pair_words)))

    def result(self, before: Neighbours, other_seed: OtherSeed | None) -> Word2VecDone:
        """The whole result, once the epochs are over."""
        in_sentences = [word for text in self.request.sentences for word in words(text)]
        mentions = [*self.pair_words, *in_sentences, *map(as_word, self.request.words)]
        return Word2VecDone(
            vocabulary=tuple(self.vectors.index_to_key),
            pair=self.pair(),
            neighbours=self.neighbours(),
            similarities=sentence_cosines(self.vectors, self.request.sentences),
            unknown=tuple(dict.fromkeys(word for word in mentions if word not in self.vectors)),
            before=before,
            other_seed=other_seed,
            points=self.points,
            table=WordTable(tuple(self.vectors.index_to_key), self.vectors.vectors.copy()),
        )


def sentence_cosines(vectors: Any, sentences: Iterable[str]) -> Similarities | None:
    """Cosines of the sentences' mean vectors (gensim's n_similarity); None for fewer than two.

    A sentence of which no word is known has no vector: its cosines are NaN.
    """
    in_table = [[word for word in words(sentence) if word in vectors] for sentence in sentences]
    if len(in_table) < 2:
        return None
    nan = np.full(vectors.vector_size, np.nan)
    means = [vectors.get_mean_vector(k, pre_normalize=False) if k else nan for k in in_table]
    return Similarities(tuple(tuple(row) for row in (1 - cdist(means, means, "cosine")).tolist()))
