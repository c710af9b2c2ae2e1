"""Which words of a prompt a model reads, and the nearest known ones for those that it does not."""

import json
import re
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from models.text.language import language_of
from models.text_to_image.reading import COUNTERS, with_particle, without

# Beside a starter's weights: the words of its captions, as a list or as {"words": [...], "things": ...}.
VOCABULARY_FILE = "words.json"
# What it offers for words that it does not know, by language (python -m training.near_words):
# {"en": {"groups": [[word, ...], ...], "near": {unknown word: [places in the groups' words, ...]}}}
NEAR_FILE = "near_words.json"

# A word, or an emoji (pictographs of Unicode without skin tones and joiners), which stands for its thing.
_OWNER = re.compile(r"(?<=[^\W_])['\u2019]s\b")  # a cat's: no word of its own
_WORD = re.compile(
    r"[^\W_]+|[\u231a-\u27bf\u2b00-\u2bff\U0001f300-\U0001f3fa\U0001f400-\U0001faff]"
)
_PARTICLE = re.compile(
    r"(?<=[가-힣])(에서는|에서|에는|에도|으로|이랑|하고|은|는|이|가|을|를|의|에|와|과|도|로|랑|들|들이)$"
)
HANGUL = re.compile("[가-힣]")
# More than captions count to: in digits, in English, in Korean.
_COUNT = re.compile(
    r"(?:([4-9]|\d\d+)|(four|five|six|seven|eight|nine|ten|dozen|many)|(?:네|넷|다섯|여섯|일곱|여덟|아홉|열))"
    rf"({'|'.join(COUNTERS)}|)"
)
_DIGIT = re.compile(r"[1-3]([^\W\d_]*)")
# Emoji that show the same thing; a model learns one of them, by its icon.
_SAME_THINGS = """
🐈 🐱 🐈‍⬛ 😺 😸|🐕 🐶 🦮 🐕‍🦺 🐩|🐯 🐅|🐰 🐇|🐵 🐒|🐷 🐖|🐮 🐄|🐔 🐓|🐦 🐤|🐉 🐲|🐳 🐋|🐟 🐠|🐴 🐎|🐭 🐁 🐀|🐑 🐏
🐪 🐫|🐥 🐤 🐣|😀 😃 😄 😁 😊 🙂 ☺ 😆|👽 👾|🧑‍🚀 👨‍🚀 👩‍🚀|👩 👱‍♀|👨 👱‍♂ 🧔|⛄ ☃|👮 👮‍♂ 👮‍♀|🧙 🧙‍♂ 🧙‍♀
🧑‍🍳 👨‍🍳 👩‍🍳|🍎 🍏|🍦 🍨 🍧|🎂 🍰|🍺 🍻|🌷 🌼 🌸 💐|🌹 🥀|🌲 🎄|🚗 🚙 🏎|🚌 🚍|🚲 🚴|🚂 🚆 🚄 🚅 🚃|✈ 🛩
⛵ 🚤|🚕 🚖|🚓 🚔|🚚 🚛|🚢 🛳|🏠 🏡|🏰 🏯|🌞 ☀|🌙 🌛 🌜 🌝 🌚|☂ ☔ 🌂|👕 👚
""".replace("\n", "|").strip("|")
# Emoji of what captions name in words alone.
_SHAPES = """
❤ ♥ red heart 빨간 하트|🧡 orange heart 주황색 하트|💛 yellow heart 노란 하트|💚 green heart 초록 하트|💙 blue heart 파란 하트
💜 purple heart 보라색 하트|🖤 black heart 검은 하트|🤍 white heart 흰 하트|⭐ 🌟 star 별|🔴 red circle 빨간 원
🟠 orange circle 주황색 원|🟡 yellow circle 노란 원|🟢 green circle 초록 원|🔵 blue circle 파란 원|🟣 purple circle 보라색 원
⚫ black circle 검은 원|⚪ white circle 흰 원|🟥 red square 빨간 사각형|🟧 orange square 주황색 사각형
🟨 yellow square 노란 사각형|🟩 green square 초록 사각형|🟦 blue square 파란 사각형|🟪 purple square 보라색 사각형
🔺 red triangle 빨간 삼각형|🔷 🔹 blue diamond 파란 마름모|🔶 🔸 orange diamond 주황색 마름모|🏖 beach 바닷가|🏜 desert 사막
🌧 rain 비
""".replace("\n", "|").strip("|")
_TONE = "[\ufe0f\U0001f3fb-\U0001f3ff]?"  # how an emoji is shown, not which it is

# Words that name nothing to draw: not reported as unknown, and not enough for a picture.
_FILLER_TEXT = """
a an the of on in at to by and or with from over under for as is are be it its this that some few
draw show make paint create generate give me us please can you could i want would like
picture image illustration drawing painting photo portrait empty art style flat simple vector digital highly
detailed beautiful minimalist nice pretty 4k 8k hd
그려 그려줘 그려주세요 줘 주세요 해줘 만들어 만들어줘 그림 사진 이미지 일러스트 플랫 예쁘게 예쁜 멋진
초상화 텅 빈 나온 하나 한 개 좀 제발 있는 있다 있고 있어요 있습니다 그리고 또 및 그린 모습 배경
"""
_FILLERS = frozenset(_FILLER_TEXT.split())


def words_of(text: str) -> list[str]:
    """The words and emoji of a text, in lower case, without punctuation."""
    return _WORD.findall(_OWNER.sub("", text.lower()))


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


def _is_filler(word: str) -> bool:
    return word in _FILLERS or _PARTICLE.sub("", word) in _FILLERS


class Vocabulary:
    """The words that a small model was trained on.

    Args:
        words: as they stand in its captions, inflected or not.
        near: as in NEAR_FILE.
        names: those among the words that end without a particle though it may look like one: 고양이.
    """

    def __init__(
        self,
        words: Iterable[str],
        near: Mapping[str, Any] | None = None,
        names: Iterable[str] = (),
    ) -> None:
        self._near = near or {}
        words = list(words)
        plain = {part for word in words for part in words_of(word)}
        self._words = plain | {stem(word) for word in plain}
        offers = (word for group in self.groups("ko") for word in group)
        self._names = {part for name in (*names, *offers) for part in words_of(name)}
        pictures = frozenset(word for word in words if not re.search(r"[^\W_]", word))
        self._others = _other_emoji(pictures, self._words)
        emoji = sorted(self._others, key=len, reverse=True)
        forms = (_TONE.join(re.escape(sign) for sign in one) + _TONE for one in emoji)
        self._other = re.compile("|".join(forms) or r"(?!)")

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The vocabulary beside the weights in `folder`; None for a model that has none."""
        file = folder / VOCABULARY_FILE
        if not file.is_file():
            return None
        content, near = json.loads(file.read_text(encoding="utf-8")), folder / NEAR_FILE
        words, things = (
            (content["words"], content["things"]) if isinstance(content, dict) else (content, {})
        )
        names = [name for thing in things.values() for name in thing["ko"]]
        table = json.loads(near.read_text(encoding="utf-8")) if near.is_file() else None
        return cls(words, table, names)

    def groups(self, language: str) -> list[list[str]]:
        """Words to draw with, in groups that belong together; none for a model that offers none."""
        return self._near.get(language, {}).get("groups", [])

    def nearest(self, word: str) -> tuple[str, ...]:
        """Known words of the word's own language that are nearest to an unknown one by meaning.

        None for a word that nobody foresaw.
        """
        if number := self._largest_number(word.lower()):
            return (number,)
        language = language_of(word)
        offers = list(dict.fromkeys(w for group in self.groups(language) for w in group))
        near = self._near.get(language, {}).get("near", {})
        for form in (word.lower(), stem(word.lower())):
            if form in near:
                return tuple(offers[place] for place in near[form])
        return ()

    def _largest_number(self, word: str) -> str:
        """For a number that captions do not count to, the largest that they do, with its counter."""
        match = _COUNT.fullmatch(stem(word))
        if match is None:
            return ""
        number = ("3" if match[1] else "three" if match[2] else "세") + match[3]
        return number if number in self else ""

    def __contains__(self, word: str) -> bool:
        if match := _DIGIT.fullmatch(word):  # captions count to three, in digits too
            return not match[1] or match[1] in self
        return word in self._words or stem(word) in self._words

    def put_in_place(self, prompt: str, word: str, other: str) -> str:
        """The prompt with another word where `word` first stands; a Korean particle stays, and fits."""
        match = re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", prompt, re.IGNORECASE)
        if match is None:
            return f"{prompt.rstrip()} {other}".strip()
        bare = word.lower() in self._near.get("ko", {}).get("near", {})  # 고양이 has no particle
        particle = "" if bare or not HANGUL.search(word) else word[len(stem(word)) :]
        return prompt[: match.start()] + with_particle(other, particle) + prompt[match.end() :]

    def unknown(self, prompt: str) -> tuple[str, ...]:
        """The prompt's words that are not in the vocabulary, without fillers, each once and in order."""
        words = dict.fromkeys(words_of(self._with_own_emoji(prompt)))
        return tuple(word for word in words if self._is_unknown(word))

    def _is_unknown(self, word: str) -> bool:
        return not _is_filler(word) and word not in self

    def says_something(self, prompt: str) -> bool:
        """Whether the vocabulary has at least one word of the prompt that is no filler."""
        words = words_of(self._with_own_emoji(prompt))
        return any(word in self for word in words if not _is_filler(word))

    def reading(self, prompt: str) -> str:
        """What the model reads of a prompt: its own words, and of an emoji the one that it has learnt.

        A prompt of known words is read as it is. Of another the unknown words are taken out, with what
        stood there only for them; where that would leave nothing, with nothing else.
        """
        prompt = self._with_own_emoji(prompt)
        if not self.unknown(prompt):
            return prompt
        rest = without(prompt, self._is_unknown, self._parts)
        if self.says_something(rest) or not self.says_something(prompt):
            return rest
        return " ".join(word for word in words_of(prompt) if word in self)

    def own_words(self, request: Any) -> dict[str, str]:
        """What the model reads of the prompt and the negative prompt of a request, by these names."""
        fields = ("prompt", "negative_prompt")
        return {name: self.reading(getattr(request, name)) for name in fields}

    def _with_own_emoji(self, prompt: str) -> str:
        """The prompt with the emoji that the captions have for the same things."""

        def own(emoji: re.Match[str]) -> str:
            english, korean = self._others[re.sub(_TONE, "", emoji[0])]
            return korean if HANGUL.search(prompt) else english

        return self._other.sub(own, prompt)

    def _parts(self, word: str) -> tuple[str, str]:
        """A word without its Korean particle, and the particle."""
        match = None if word in self._names else _PARTICLE.search(word)
        if match is None or self._is_unknown(word[: match.start()]):
            return word, ""
        return word[: match.start()], match[0]


def _other_emoji(own: frozenset[str], words: Container[str]) -> dict[str, tuple[str, str]]:
    """What stands for an emoji that captions do not have: their own for its thing, or words.

    Args:
        own: emoji of the captions.
        words: of the captions.

    Returns:
        Emoji -> what to write in an English and in a Korean prompt.
    """
    others: dict[str, tuple[str, str]] = {}
    for group in _SAME_THINGS.split("|"):
        emoji = group.split()
        if best := next((one for one in emoji if one in own), ""):
            others |= {one: (best, best) for one in emoji if one not in own and one not in others}
    for group in _SHAPES.split("|"):
        parts = group.split()
        emoji = [one for one in parts if not one.isalpha()]
        english = [one for one in parts if one.isascii()]
        korean = [one for one in parts if HANGUL.match(one)]
        if all(word in words for word in english + korean):
            names = " ".join(english), " ".join(korean)
            others |= {one: names for one in emoji if one not in own}
    return others


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
