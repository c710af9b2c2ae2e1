"""The reference pairs that put an encoder's cosines into proportion, and what they say of it.

reference.txt was written for GenLab (Apache-2.0): 50 blocks of four English sentences and the same
four in Korean. The second of a block says what the first says in other words, the third is about a
like event, the fourth shares the subject only; first sentences of two blocks have nothing in common.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from statistics import median

from models.sentence_similarity.events import Reference
from models.text.language import language_of

GRADES = ("none", "some", "close", "same")  # in reference.txt from the fourth sentence up
APART = (7, 18, 31)  # unrelated: the first sentence of a block with that of a block so far away
MIXED = "mixed"


@cache
def _blocks() -> list[dict[str, list[str]]]:
    text = Path(__file__).with_name("reference.txt").read_text(encoding="utf-8")
    lines = [block.split("\n") for block in text.strip().split("\n\n")]
    return [{"en": block[:4], "ko": block[4:]} for block in lines]


def pairs(language: str) -> list[tuple[str, str, str]]:
    """The 300 pairs of a language as (sentence, sentence, grade), 50 of each related grade.

    Args:
        language: "en", "ko", or "mixed": English with Korean.
    """
    left, right = ("en", "ko") if language == MIXED else (language, language)
    blocks = _blocks()
    found = [
        (block[left][0], block[right][place], grade)
        for block in blocks
        for place, grade in zip((1, 2, 3), reversed(GRADES[1:]), strict=True)
    ]
    for steps in APART:
        for here, block in enumerate(blocks):
            other = blocks[(here + steps) % len(blocks)]
            found.append((block[left][0], other[right][0], GRADES[0]))
    return found


def language_of_pairs(sentences: Iterable[str]) -> str:
    """Which reference pairs suit the sentences: those of their one language, or the mixed ones."""
    languages = {language_of(sentence) for sentence in sentences}
    return languages.pop() if len(languages) == 1 else MIXED


def percentile(reference: Reference, cosine: float) -> float:
    """The share of reference pairs with a lower cosine, 0 to 1; NaN where nothing can be said."""
    known = sorted(c for cosines in reference.cosines.values() for c in cosines)
    if not known or math.isnan(cosine):
        return math.nan
    return bisect_left(known, cosine) / len(known)


def middle(reference: Reference, grade: str) -> float:
    """The median cosine of a grade's pairs; NaN where none has one."""
    cosines = reference.cosines[grade]
    return median(cosines) if cosines else math.nan


def separation(reference: Reference) -> float:
    """How often a pair of one meaning has a higher cosine than an unrelated one, 0 to 1.

    0.5 is chance: the area under the ROC curve. NaN where nothing can be said.
    """
    same, unrelated = reference.cosines["same"], sorted(reference.cosines["none"])
    if not same or not unrelated:
        return math.nan
    wins = sum(bisect_left(unrelated, c) for c in same)
    return wins / (len(same) * len(unrelated))


def nearest_grade(reference: Reference, cosine: float) -> str:
    """The grade whose pairs have cosines like this one."""
    return min(GRADES, key=lambda grade: abs(middle(reference, grade) - cosine))


def graded(language: str, cosines: Sequence[float]) -> Reference:
    """The cosines of all `pairs(language)`, sorted within each grade; NaN left out."""
    found: dict[str, list[float]] = {grade: [] for grade in GRADES}
    for (_, _, grade), cosine in zip(pairs(language), cosines, strict=True):
        if not math.isnan(cosine):
            found[grade].append(cosine)
    return Reference(language, {grade: tuple(sorted(c)) for grade, c in found.items()})
