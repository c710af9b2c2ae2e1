"""The language of a text, where its words and sentences begin and end, and batches of texts by length."""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from models.contract import ModelSpec

_HANGUL = re.compile(r"[\uac00-\ud7a3\u3131-\u318e]")
_LATIN = re.compile(r"[A-Za-z]")
# Letters and digits of any script; an apostrophe inside belongs to the word (don't).
WORD = r"\w+(?:['’]\w+)*"
# After the closing marks of a sentence, or after a line's last letter.
SENTENCE_END = r"[.!?…。]+[\"'”’)\]]*(?=\s)|\S(?=\s*\n)"
LONGEST_LINE = 10_000  # words of a sentence that gensim reads; it would drop the rest unsaid


def language_of(text: str, otherwise: str = "en") -> str:
    """Say "ko" where Hangul carries the text, else "en".

    A syllable of Hangul says about as much as two or three letters, so Korean with English names in
    it is still Korean.

    Args:
        text: of any length.
        otherwise: what to say of a text without a letter, as of emoji or digits alone.
    """
    hangul, latin = len(_HANGUL.findall(text)), len(_LATIN.findall(text))
    if not (hangul or latin or any(map(str.isalpha, text))):
        return otherwise
    return "ko" if hangul and 2 * hangul >= latin else "en"


def unread(spec: ModelSpec, text: str) -> str:
    """The language of a text, or of a part of it, that a model does not read; "" for none.

    Hangul counts even as a part; Latin letters only where they carry the text, since Korean is full of
    English names.
    """
    if "*" in spec.languages:
        return ""
    if "ko" not in spec.languages and _HANGUL.search(text):
        return "ko"
    return "en" if "en" not in spec.languages and language_of(text, "") == "en" else ""


def words(text: str) -> list[str]:
    """The words of a text, lower-cased, without punctuation; Korean is split at spaces.

    Hangul typed as separate letters (as macOS names files) is composed first, so that a word is one
    word however it was typed.
    """
    return re.findall(WORD, unicodedata.normalize("NFC", text).lower())


def as_word(text: str) -> str:
    """A typed word as `words` spells it; "" for none. Several words stay as they are."""
    parts = words(text)
    return parts[0] if len(parts) == 1 else text.strip().lower()


def text_lines(text: str) -> list[str]:
    """The lines of a text. They end at CR LF, CR or LF only: U+2028, NEL, VT and FF are inside of texts."""
    return re.split("\r\n|\r|\n", text)


def training_sentences(corpus: str) -> list[list[str]]:
    """The words of each line that has any, a line over LONGEST_LINE words in several parts."""
    lines = [words(line) for line in text_lines(corpus)]
    size = LONGEST_LINE
    return [line[i : i + size] for line in lines for i in range(0, len(line), size)]


def split_pieces(text: str, offsets: list[tuple[int, int]], room: int) -> list[str]:
    """Cut a text into pieces of at most `room` tokens, at the end of a sentence where there is one.

    A sentence longer than the room is cut between words, a longer word between tokens. The pieces
    joined are the text again.

    Args:
        text: the whole text.
        offsets: begin and end of each of its tokens, in characters.
        room: tokens a piece may have, at least 1.
    """
    starts = [begin for begin, _ in offsets]
    sentences = [bisect_left(starts, m.end()) for m in re.finditer(SENTENCE_END, text)]
    gaps = [bisect_left(starts, m.start()) for m in re.finditer(r"\s+", text)]
    cuts, first = [0], 0
    while len(offsets) - first > room:
        last = first + room
        first = _last_within(sentences, first, last) or _last_within(gaps, first, last) or last
        cuts.append(starts[first])
    return [text[a:b] for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True)]


def _last_within(borders: list[int], first: int, last: int) -> int | None:
    """The last border after `first` and not after `last`."""
    at = bisect_right(borders, last) - 1
    return borders[at] if at >= 0 and borders[at] > first else None


def cheapest_batches(lengths: Sequence[int], overhead: int) -> list[list[int]]:
    """Split a few texts into batches so that padding and the batches themselves cost the least together.

    Args:
        lengths: of each text, in any unit.
        overhead: what a batch costs beside its texts, in the same unit.

    Returns:
        Indexes into `lengths`; every index once.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    cost, start = (
        [0],
        [0],
    )  # of the first so many in order: the least cost, and where the last batch begins
    for end in range(1, len(order) + 1):
        options = [
            (cost[begin] + overhead + (end - begin) * lengths[order[begin]], begin)
            for begin in range(end)
        ]
        least, begin = min(options)
        cost.append(least)
        start.append(begin)
    batches, end = list[list[int]](), len(order)
    while end:
        batches.append(order[start[end] : end])
        end = start[end]
    return batches[::-1]


def batches_by_length(
    lengths: Sequence[int], rows: int, *, tokens: int | None = None, window: int | None = None
) -> Iterator[list[int]]:
    """Split texts into batches by their length, the longest first.

    Args:
        lengths: of each text, in any unit.
        rows: the most texts of a batch.
        tokens: the most that a batch holds with its padding, in the unit of `lengths`; a text that
            is longer gets a batch of its own. None for no limit.
        window: sort only so many texts together, in their order, so that the first batches of many
            texts are of the first texts. None sorts them all.

    Yields:
        Indexes into `lengths`; every index once.
    """
    window = window or max(1, len(lengths))
    for first in range(0, len(lengths), window):
        here = range(first, min(first + window, len(lengths)))
        order = sorted(here, key=lambda index: -lengths[index])
        start = 0
        while start < len(order):
            longest = max(1, lengths[order[start]])
            size = rows if tokens is None else max(1, min(rows, tokens // longest))
            yield order[start : start + size]
            start += size
