"""Every figure of the word vectors, from the shipped files."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from models.text.language import words
from models.weights.sources import STARTERS
from models.word_vectors.requests import WordsRequest
from models.word_vectors.vectors import WordVectors, answer
from training.corpora import require

EXAMPLES = {
    "en": ["mother", "monday", "music", "summer", "coffee", "beautiful", "run", "king"],
    "ko": ["엄마", "월요일", "음악", "배우", "커피", "행복", "재미", "슬프다"],
}
Pairs = list[tuple[str, str, float]]


def sts_pairs(path: Path) -> Pairs:
    """(Sentence, sentence, score 0 to 5) of an STS file; it knows no quoting."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n") if line]
    return [(row[5], row[6], float(row[4])) for row in rows if row[4] != "score"]


def spearman(vector: Callable[[str], np.ndarray], pairs: Pairs) -> float:
    """Spearman's correlation x 100 of cosines and scores; a pair without words gets 0."""
    from scipy.stats import spearmanr

    cosines = []
    for left, right, _ in pairs:
        a, b = vector(left), vector(right)
        length = float(np.linalg.norm(a) * np.linalg.norm(b))
        cosines.append(float(a @ b) / length if length > 0 else 0.0)
    return 100 * float(spearmanr(cosines, [score for _, _, score in pairs]).statistic)


def language_figures(
    language: str, vectors: WordVectors, name: str, pairs: Pairs
) -> Iterator[tuple[str, str]]:
    """Yield correlations and nearest words of one language."""
    ways = {
        "plain average": vectors.plain_mean,
        "SIF weights": vectors.weighted_mean,
        "SIF weights, common direction taken out": vectors.sentence,
    }
    yield f"Vectors ({language})", f"{len(vectors.table):,} of {vectors.table.vector_size} numbers"
    texts = {text for left, right, _ in pairs for text in (left, right)}
    vocabulary = {word for text in texts for word in words(text)}
    readable = sum(bool(vectors.tokens(word)) for word in vocabulary)
    yield (
        f"{name}: its words that can be read",
        f"{100 * readable / len(vocabulary):.1f} % of {len(vocabulary):,}",
    )
    for way, vector in ways.items():
        yield f"{name}: {way}", f"{spearman(vector, pairs):.1f} over {len(pairs):,} pairs"
    for word in EXAMPLES[language]:
        request = WordsRequest.of(question="nearest", words=[word], count=5)
        yield f"Nearest to {word}", ", ".join(near for near, _ in answer(vectors, request).nearest)


def figures(data: Path) -> Iterator[tuple[str, str]]:
    """Yield (figure name, value with its sample size) for both languages."""
    english = WordVectors.load(STARTERS / "word_vectors_en")
    yield from language_figures("en", english, "STS-B dev", sts_pairs(require(data, "stsb_dev")))
    score, sections = english.table.evaluate_word_analogies(
        str(require(data, "analogies")), restrict_vocab=len(english.table), case_insensitive=True
    )
    questions = sum(len(sections[-1][k]) for k in ("correct", "incorrect"))
    yield (
        "Analogies of questions-words whose words are known",
        f"{100 * score:.1f} % of {questions:,}",
    )
    korean = WordVectors.load(STARTERS / "word_vectors_ko")
    yield from language_figures("ko", korean, "KorSTS dev", sts_pairs(require(data, "korsts_dev")))
