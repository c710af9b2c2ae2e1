"""What of a prompt the model takes in: words past its limit, words that it was never taught."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

WORDS = "words.json"  # beside a starter's weights: a list of the words of its captions

_WORD = re.compile(r"[^\W_]+")
_PARTICLE = re.compile(
    r"(?<=[가-힣])(에서는|에서|에는|에도|으로|이랑|하고|은|는|이|가|을|를|의|에|와|과|도|로|랑|들|들이)$"
)

# Words that name nothing to draw: neither reported as unknown nor enough for a picture.
_FILLERS = frozenset(Path(__file__).with_name("fillers.txt").read_text(encoding="utf-8").split())


def split(text: str) -> list[str]:
    """The words of a text, in lower case, without punctuation."""
    return _WORD.findall(text.lower())


def _stem(word: str) -> str:
    """A word without a Korean particle or an English plural's s."""
    if len(word) > 3 and word.isascii() and word.endswith("s"):
        return word[:-1]
    return _PARTICLE.sub("", word)


class Vocabulary:
    """The words a small model was trained on.

    Args:
        words: as its captions have them, inflected or not.
    """

    def __init__(self, words: Iterable[str]) -> None:
        known = {part for word in words for part in split(word)}
        self._known = known | {_stem(word) for word in known}

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The vocabulary beside the weights in `folder`; None for a model that has none."""
        file = folder / WORDS
        return cls(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None

    def _knows(self, word: str) -> bool:
        return word in self._known or _stem(word) in self._known

    def unknown(self, prompt: str) -> tuple[str, ...]:
        """The prompt's words that the model never saw, each once, in order; fillers left out."""
        words = dict.fromkeys(w for w in split(prompt) if w not in _FILLERS)
        return tuple(word for word in words if not self._knows(word))

    def says_something(self, prompt: str) -> bool:
        """Whether at least one word that names something to draw is known."""
        return any(self._knows(word) for word in split(prompt) if word not in _FILLERS)


def cut_off(prompt: str, tokenizers: Iterable[Any]) -> str:
    """The end of the prompt that none of the text encoders takes in; "" if all of it fits.

    Args:
        prompt: as typed.
        tokenizers: the pipeline's (transformers, with offsets); each cuts at its model_max_length.
    """
    return min((_cut_by(prompt, one) for one in tokenizers), key=len, default="")


def _cut_by(prompt: str, tokenizer: Any) -> str:
    made = tokenizer(prompt, return_offsets_mapping=True, truncation=False, verbose=False)
    ends = len(made.input_ids) - len(
        tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids
    )
    room = tokenizer.model_max_length - ends
    spans = [span for span in made["offset_mapping"] if span[1] > span[0]]
    if len(spans) <= room:
        return ""
    whole, begin = prompt.rstrip(), spans[room][0]
    while begin and not whole[begin - 1].isspace():  # a word cut in two is named whole
        begin -= 1
    return whole[begin:]
