"""Which words of a prompt a model reads, and the nearest known ones for those that it does not."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from models.text.language import language_of

# Beside a starter's weights: the words of its captions, as a list or as {"words": [...], "things": ...}.
VOCABULARY_FILE = "words.json"
# What it offers for words that it does not know, by language (python -m training.near_words):
# {"en": {"groups": [[word, ...], ...], "near": {unknown word: [places in the groups' words, ...]}}}
NEAR_FILE = "near_words.json"

# A word, or an emoji (pictographs of Unicode without skin tones and joiners), which stands for its thing.
_WORD = re.compile(
    r"[^\W_]+|[\u231a-\u27bf\u2b00-\u2bff\U0001f300-\U0001f3fa\U0001f400-\U0001faff]"
)
_PARTICLE = re.compile(
    r"(?<=[가-힣])(에서는|에서|에는|에도|으로|이랑|하고|은|는|이|가|을|를|의|에|와|과|도|로|랑|들|들이)$"
)
HANGUL = re.compile("[가-힣]")
_PARTICLE_PAIRS = (
    ("은", "는"),
    ("을", "를"),
    ("과", "와"),
    ("이랑", "랑"),
    ("으로", "로"),
    ("이", "가"),
)

# Words that name nothing to draw: not reported as unknown, and not enough for a picture.
_FILLER_TEXT = """
a an the of on in at to by and or with from over under for as is are be it its this that some few
draw show make paint create generate give me us please can you could i want would like
picture image illustration drawing painting photo portrait empty art style flat simple vector digital highly
detailed beautiful minimalist nice pretty 4k 8k hd
그려 그려줘 그려주세요 줘 주세요 해줘 만들어 만들어줘 그림 사진 이미지 일러스트 플랫 예쁘게 예쁜 멋진
초상화 텅 빈 나온 하나 한 개 좀 제발 있는 있다 있고 그리고 또 및 그린 모습 배경
"""
_FILLERS = frozenset(_FILLER_TEXT.split())


def words_of(text: str) -> list[str]:
    """The words and emoji of a text, in lower case, without punctuation."""
    return _WORD.findall(text.lower())


def drawable_words(prompt: str, limit: int = 12) -> list[tuple[int, int]]:
    """Start and end of a prompt's words that may stand for something to draw, the first `limit` of them."""
    pieces = ((one.start(), one.end()) for one in re.finditer(r"\S+", prompt))
    spans = [(a, b) for a, b in pieces if set(words_of(prompt[a:b])) - _FILLERS]
    return spans[:limit]


def leave_out(prompt: str, span: tuple[int, int]) -> str:
    """The prompt without the words from `span[0]` to `span[1]`."""
    return " ".join((prompt[: span[0]] + prompt[span[1] :]).split())


def stem(word: str) -> str:
    """A word without a Korean particle or an English plural's s."""
    if len(word) > 3 and word.isascii() and word.endswith("s"):
        return word[:-1]
    return _PARTICLE.sub("", word)


def _fitting(word: str, particle: str) -> str:
    """The form of a Korean particle that goes with a word: 별이, 해가."""
    for closed, opened in _PARTICLE_PAIRS:
        for form in (closed, opened):
            if particle == form or (len(form) > 1 and particle.startswith(form)):
                return (closed if _is_closed(word, closed) else opened) + particle[len(form) :]
    return particle


def _is_closed(word: str, particle: str) -> bool:
    """Whether the word ends in a consonant; before 으로 an ㄹ counts as none."""
    last = (ord(word[-1]) - 0xAC00) % 28 if HANGUL.match(word[-1]) else 0
    return last != 0 and not (particle == "으로" and last == 8)


class Vocabulary:
    """The words that a small model was trained on.

    Args:
        words: as they stand in its captions, inflected or not.
        near: as in NEAR_FILE.
    """

    def __init__(self, words: Iterable[str], near: Mapping[str, Any] | None = None) -> None:
        self._near = near or {}
        plain = {part for word in words for part in words_of(word)}
        self._words = plain | {stem(word) for word in plain}

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The vocabulary beside the weights in `folder`; None for a model that has none."""
        file = folder / VOCABULARY_FILE
        if not file.is_file():
            return None
        known, near = json.loads(file.read_text(encoding="utf-8")), folder / NEAR_FILE
        words = known["words"] if isinstance(known, dict) else known
        return cls(words, json.loads(near.read_text(encoding="utf-8")) if near.is_file() else None)

    def groups(self, language: str) -> list[list[str]]:
        """Words to draw with, in groups that belong together; none for a model that offers none."""
        return self._near.get(language, {}).get("groups", [])

    def nearest(self, word: str) -> tuple[str, ...]:
        """Known words of the word's own language that are nearest to an unknown one by meaning.

        None for a word that nobody foresaw.
        """
        language = language_of(word)
        offers = list(dict.fromkeys(w for group in self.groups(language) for w in group))
        near = self._near.get(language, {}).get("near", {})
        for form in (word.lower(), stem(word.lower())):
            if form in near:
                return tuple(offers[place] for place in near[form])
        return ()

    def __contains__(self, word: str) -> bool:
        return word in self._words or stem(word) in self._words

    def put_in_place(self, prompt: str, word: str, other: str) -> str:
        """The prompt with another word where `word` first stands; a Korean particle stays, and fits."""
        found = re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", prompt, re.IGNORECASE)
        if found is None:
            return f"{prompt.rstrip()} {other}".strip()
        bare = word.lower() in self._near.get("ko", {}).get("near", {})  # 고양이 has no particle
        particle = "" if bare or not HANGUL.search(word) else word[len(stem(word)) :]
        return prompt[: found.start()] + other + _fitting(other, particle) + prompt[found.end() :]

    def unknown(self, prompt: str) -> tuple[str, ...]:
        """The prompt's words that are not in the vocabulary, without fillers, each once and in order."""
        words = dict.fromkeys(word for word in words_of(prompt) if word not in _FILLERS)
        return tuple(word for word in words if word not in self)

    def says_something(self, prompt: str) -> bool:
        """Whether the vocabulary has at least one word of the prompt that is no filler."""
        return any(word in self for word in words_of(prompt) if word not in _FILLERS)


def words_past_limit(prompt: str, tokenizers: Iterable[Any]) -> str:
    """The end of the prompt that none of the text encoders reads; "" if all of it fits.

    Args:
        prompt: as typed.
        tokenizers: the pipeline's (transformers, with offsets); each cuts at its model_max_length.
    """
    return min((_past_limit(prompt, one) for one in tokenizers), key=len, default="")


def _past_limit(prompt: str, tokenizer: Any) -> str:
    tokens = tokenizer(prompt, return_offsets_mapping=True, truncation=False, verbose=False)
    plain = tokenizer(prompt, add_special_tokens=False, verbose=False)
    room = tokenizer.model_max_length - (len(tokens.input_ids) - len(plain.input_ids))
    spans = [span for span in tokens["offset_mapping"] if span[1] > span[0]]
    if len(spans) <= room:
        return ""
    text, start = prompt.rstrip(), spans[room][0]
    while start and not text[start - 1].isspace():  # of a word that is cut in two, all of it
        start -= 1
    return text[start:]
