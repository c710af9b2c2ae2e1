"""Skip-gram vectors (Mikolov et al. 2013) cut to the frequent words, with their SIF weights."""

import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.word_vectors.vectors import TENSORS, VOCABULARY
from training.word_vectors.corpus import english_sentences, korean_sentences

SEED = 5
SIF_A = 1e-3
SAMPLE = 20_000  # sentences that the common direction is taken from
PARTS, FEWEST_PARTS = 200, 8  # a word ships if so many parts of the text have it: no novel's names


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is trained and how much of it ships.

    Attributes:
        training_dimensions: of the vectors while they are trained.
        dimensions, words: of what ships.
        pieces: whether unknown words are read in pieces.
    """

    training_dimensions: int
    dimensions: int
    words: int
    epochs: int
    pieces: bool


SIZES = {
    "en": Sizes(training_dimensions=80, dimensions=60, words=11_200, epochs=5, pieces=False),
    "ko": Sizes(training_dimensions=80, dimensions=60, words=11_000, epochs=8, pieces=True),
}


def skip_gram(sentences: list[list[str]], dimensions: int, epochs: int, min_count: int = 5) -> Any:
    """Return gensim KeyedVectors with the words' counts; one worker, so it can be repeated."""
    from gensim.models import Word2Vec
    from gensim.models.callbacks import CallbackAny2Vec

    start = time.monotonic()

    class Progress(CallbackAny2Vec):
        epoch = 0

        def on_epoch_end(self, model: Any) -> None:
            self.epoch += 1
            minutes = (time.monotonic() - start) / 60
            left = minutes / self.epoch * (epochs - self.epoch)
            print(f"epoch {self.epoch}/{epochs}, {left:.1f} min left", flush=True)

    return Word2Vec(
        sentences,
        vector_size=dimensions,
        window=5,
        min_count=min_count,
        sg=1,
        negative=5,
        sample=1e-4,
        epochs=epochs,
        seed=SEED,
        workers=1,
        callbacks=[Progress()],
    ).wv


def sif_weights(counts: np.ndarray, a: float = SIF_A) -> np.ndarray:
    """Return a / (a + p(word)) of each word, shape (words,), from counts in the whole text."""
    return (a / (a + counts / counts.sum())).astype(np.float32)


def common_direction(means: np.ndarray) -> np.ndarray:
    """Return the first right singular vector of sentence vectors (n, d), shape (d,)."""
    _, _, directions = np.linalg.svd(means, full_matrices=False)
    return directions[0].astype(np.float32)


def narrow_vectors(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    """Return the vectors (n, d) in the axes along which they are longest, the first so many of them.

    Of 60 of 80 dimensions 95 % of the squared length is left, at three quarters of the size.
    """
    _, _, axes = np.linalg.svd(vectors.astype(np.float64), full_matrices=False)
    return (vectors @ axes[:dimensions].T).astype(np.float32)


def widespread(sentences: list[list[str]]) -> set[str]:
    """Return the words that stand in at least FEWEST_PARTS of PARTS equal parts of the text."""
    size = max(1, -(-len(sentences) // PARTS))
    parts = (sentences[start : start + size] for start in range(0, len(sentences), size))
    counts = Counter(word for part in parts for word in {w for line in part for w in line})
    return {word for word, count in counts.items() if count >= FEWEST_PARTS}


def cut_down(vectors: Any, sentences: list[list[str]], sizes: Sizes) -> dict[str, Any]:
    """Return the tensors that ship and the vocabulary, most frequent word first."""
    wide = widespread(sentences)
    rows = [i for i, word in enumerate(vectors.index_to_key) if word in wide][: sizes.words]
    order = [vectors.index_to_key[i] for i in rows]
    counts = np.array([vectors.get_vecattr(w, "count") for w in vectors.index_to_key], np.float64)
    weights = sif_weights(counts)[rows]
    narrow = narrow_vectors(vectors.vectors[rows], sizes.dimensions)
    index = {word: i for i, word in enumerate(order)}
    lines = random.Random(SEED).sample(sentences, min(SAMPLE, len(sentences)))
    numbers = [[index[word] for word in sentence if word in index] for sentence in lines]
    means = np.stack([(weights[k, None] * narrow[k]).mean(axis=0) for k in numbers if k])
    return {
        "vocabulary": order,
        "vectors": narrow.astype(np.float16),
        "weights": weights.astype(np.float16),
        "common": common_direction(means),
        "pieces": np.array([sizes.pieces], dtype=np.uint8),
    }


def save(tensors: dict[str, Any], out: Path) -> None:
    """Write the tensors as safetensors and the vocabulary as text."""
    from safetensors.numpy import save_file

    out.mkdir(parents=True, exist_ok=True)
    vocabulary = tensors.pop("vocabulary")
    (out / VOCABULARY).write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    save_file({name: np.ascontiguousarray(t) for name, t in tensors.items()}, out / TENSORS)


def train(language: str, data: Path, out: Path) -> None:
    """Read the texts, train, cut down and write one language's vectors."""
    start = time.monotonic()
    sizes = SIZES[language]
    sentences = english_sentences(data) if language == "en" else korean_sentences(data)
    total = sum(map(len, sentences))
    print(f"{total:,} words in {len(sentences):,} sentences", flush=True)
    vectors = skip_gram(sentences, sizes.training_dimensions, sizes.epochs)
    save(cut_down(vectors, sentences, sizes), out)
    print(f"trained in {(time.monotonic() - start) / 60:.1f} minutes; written to {out}")
