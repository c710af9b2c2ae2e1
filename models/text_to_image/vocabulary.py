"""Which words of a prompt a model reads: words past its limit, words that it was not trained on."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

VOCABULARY_FILE = "words.json"  # beside a starter's weights: a list of the words of its captions

_WORD = re.compile(r"[^\W_]+")
_PARTICLE = re.compile(
    r"(?<=[가-힣])(에서는|에서|에는|에도|으로|이랑|하고|은|는|이|가|을|를|의|에|와|과|도|로|랑|들|들이)$"
)

# Words that name nothing to draw: not reported as unknown, and not enough for a picture.
_FILLER_TEXT = """
a an the of on in at to by and or with from over under for as is are be it its this that some few
draw show make paint create generate give me us please can you could i want would like
picture image illustration drawing painting photo art style flat simple vector digital highly
detailed beautiful minimalist nice pretty 4k 8k hd
그려 그려줘 그려주세요 줘 주세요 해줘 만들어 만들어줘 그림 사진 이미지 일러스트 플랫 예쁘게 예쁜 멋진
하나 한 개 좀 제발 있는 있다 있고 그리고 또 및 그린 모습 배경
"""
_FILLERS = frozenset(_FILLER_TEXT.split())


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case, without punctuation."""
    return _WORD.findall(text.lower())


def _stem(word: str) -> str:
    """A word without a Korean particle or an English plural's s."""
    if len(word) > 3 and word.isascii() and word.endswith("s"):
        return word[:-1]
    return _PARTICLE.sub("", word)


class Vocabulary:
    """The words that a small model was trained on.

    Args:
        words: as they stand in its captions, inflected or not.
    """

    def __init__(self, words: Iterable[str]) -> None:
        plain = {part for word in words for part in words_of(word)}
        self._words = plain | {_stem(word) for word in plain}

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The vocabulary beside the weights in `folder`; None for a model that has none."""
        file = folder / VOCABULARY_FILE
        return cls(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None

    def __contains__(self, word: str) -> bool:
        return word in self._words or _stem(word) in self._words

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
