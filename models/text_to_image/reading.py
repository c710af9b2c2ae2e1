"""What is left of a prompt when words are taken out of it, as a person would have written it.

Whatever stood there only because of such a word goes with it: the "a" and the "on" of "on a zeppelin", the
"세 마리" after it, a colour that has nothing to colour, a Korean particle whose verb is gone. Two things that
then stand side by side are joined. The rules are those of short descriptions, not of a language; what they
do is shown to the person, so a rough end is seen.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

_PIECE = re.compile(
    r"['\u2019]s\b|[^\W_]+|[\u231a-\u27bf\u2b00-\u2bff\U0001f300-\U0001f3fa\U0001f400-\U0001faff]"
)
_HANGUL = re.compile("[가-힣]")


def _set(words: str) -> frozenset[str]:
    """Of words with spaces between them."""
    return frozenset(words.split())


# What a word needs to stand: something to its right, and some also something to its left.
_ARTICLES = _set("a an the some this that these its")
_MODIFIERS = _set(
    """
    red orange yellow green blue purple violet pink brown black white gray grey
    small little tiny medium large big huge two three 2 3 1 one smiling happy steaming nice pretty
    beautiful detailed highly simple minimalist empty few
    빨간 붉은 빨간색 주황 주황색 노란 노란색 초록 초록색 녹색 파란 푸른 파란색 보라 보라색 보랏빛 분홍
    분홍색 핑크색 갈색 검은 까만 검은색 하얀 흰 하얀색 흰색 회색 작은 조그만 조그마한 큰 커다란 거대한
    크기의 웃는 새끼 예쁜 멋진 맑은 화창한 깜깜한 뜨거운 텅 빈 있는 오는 내리는 나온 지는 질 뿜는 덮인
    없는 그린 나는 앉아
    """
)
_BEFORE = _set(  # English: in, with and the like, and what binds a sentence
    """
    in on at of by to from with without over under above below beneath beside against among during
    while for as is are be next front nothing but
    """
)
_RELATIONS = _set("with of next to beside above below beneath over front against")
_JOINS = frozenset(("and", "or", ",", "그리고", "및", "또"))
_AFTER = _set("sitting standing resting flying spouting")
_ORDERS = _set(
    """
    draw show make paint create generate give me us please can you could i would like want
    그려 그려줘 그려주세요 줘 주세요 해줘 만들어 만들어줘 그림 사진 이미지 일러스트 예쁘게 좀 제발
    """
)
_SIDES = _set(  # of the picture, or of something: "on the left", "to the left of"
    """
    left right top bottom upper lower middle center centre corner side
    왼쪽 오른쪽 왼편 오른편 위쪽 아래쪽 가운데 한가운데 중앙 구석 맨
    """
)
_NUMBERS = _set("한 두 세 서 1 2 3")
_MANY = _set("네 넷 다섯 여섯 일곱 여덟 아홉 열 몇 여러")  # more than captions count to
COUNTERS = _set("마리 개 대 명 그루 송이 채 척 잔 그릇 조각 권")
_COUNT = re.compile(rf"[123](?:{'|'.join(COUNTERS)})|하나")
_PLACES = _set("위 아래 밑 옆 속 안 앞 뒤")  # of something that stands before them
_PREDICATES = _set("있는 있다 있고 있어요 나는 앉아 오는 내리는 뿜는 나온")
_WITH = ("와", "과", "하고", "이랑", "랑")
_ROLES = ("이", "가", "은", "는", "을", "를", "도", "들이")
_AT = ("에", "에서", "에는", "에서는", "에도", "로", "으로")
# Ends of a Korean word that is no adjective of the next one: 모자를, 모자와.
_BREAKS = re.compile("(?:와|과|하고|이랑|랑|을|를|이|가|의|에|에서|로|으로)$")


@dataclass(slots=True)
class _Word:
    """A word, an emoji or a comma of the prompt.

    Attributes:
        text: as it is written in the end.
        gap: what stands before it.
        kind: "out" of what the prompt loses, "thing" of what can stand alone, or what it needs.
        base, particle: the parts of a Korean noun.
    """

    text: str
    gap: str
    kind: str
    base: str
    particle: str


def without(
    prompt: str, is_out: Callable[[str], bool], split: Callable[[str], tuple[str, str]]
) -> str:
    """The prompt without some of its words; "" where nothing is left that stands alone.

    Args:
        prompt: as typed.
        is_out: of a word in lower case, whether it goes.
        split: a Korean word without its particle, and the particle.
    """
    words = _words(prompt, is_out, split)
    while _drop(words):
        pass
    _mend_particles(words)
    return _text(words)


def _words(
    prompt: str, is_out: Callable[[str], bool], split: Callable[[str], tuple[str, str]]
) -> list[_Word]:
    words: list[_Word] = []
    end = 0
    for match in _PIECE.finditer(prompt):
        text, gap = match[0], prompt[end : match.start()]
        end = match.end()
        if words and re.search(r"[^\s'\u2019\ufe0f\u200d_-]", gap):
            words.append(_Word(",", "", "join", ",", ""))
            gap = " "
        base, particle = split(text.lower())
        kind = "out" if is_out(text.lower()) else _kind(text.lower(), base, words)
        words.append(_Word(text, gap, kind, base, particle))
    for word, after in pairwise(words):
        if word.kind == "side" and after.text.lower() == "of":
            word.kind = "before"
    return words


def _kind(word: str, base: str, before: list[_Word]) -> str:
    last = before[-1].text if before else ""
    has_number = last in _NUMBERS | _MANY or last.isdigit()
    if _COUNT.fullmatch(base) or (base in COUNTERS and (has_number or base != "개")):
        return "counter"
    if base in _SIDES or (base in _PLACES and bool(before) and before[-1].kind == "side"):
        return "side"
    for kind, members in (
        ("join", _JOINS),
        ("article", _ARTICLES),
        ("before", _BEFORE),
        ("after", _AFTER),
        ("order", _ORDERS),
        ("modifier", _MODIFIERS),
        ("number", _NUMBERS),
    ):
        if word in members:
            return kind
    if base in _PLACES:
        return "place"
    return "article" if word in ("'s", "\u2019s") else "thing"


def _drop(words: list[_Word]) -> bool:
    """Take out the words that need a word which is gone; returns whether there were any."""
    alone = [k for k, word in enumerate(words) if word.kind != "out" and not _stands(words, k)]
    for k in alone:
        words[k].kind = "out"
    return bool(alone)


def _stands(words: list[_Word], k: int) -> bool:
    word, kind = words[k], words[k].kind
    after_gap = k > 0 and words[k - 1].kind == "out"
    anything = any(one.kind in ("thing", "modifier", "number") for one in words[:k])
    if kind in ("article", "modifier"):
        return _leads_on(words, k) and not (word.text in _PREDICATES and after_gap)
    if kind == "before":
        return _leads_on(words, k) and (anything or word.text.lower() not in _RELATIONS)
    if kind == "join":
        more = any(one.kind not in ("out", "join") for one in words[k + 1 :])
        next_word = next((one for one in words[k + 1 :] if one.kind != "out"), None)
        is_double = next_word is not None and next_word.kind == "join"
        return anything and not is_double and (more if word.text == "," else _leads_on(words, k))
    if kind == "number":
        counter = k + 1 < len(words) and words[k + 1].kind == "counter"
        return counter or _leads_on(words, k)
    if kind == "counter":
        return _counts(words, k)
    if kind == "place":
        return not after_gap
    if kind == "side":
        return _is_of_something(words, k)
    return anything if kind == "after" else True


def _counts(words: list[_Word], k: int) -> bool:
    """Whether a counter (세 마리) has its number and what it counts."""
    alone = not _COUNT.fullmatch(words[k].base)
    if alone and (k == 0 or words[k - 1].kind not in ("number", "modifier")):
        return False
    if words[k].particle == "의":
        return _leads_on(words, k)
    first = k - alone
    return first > 0 and words[first - 1].kind not in ("out", "join")


def _is_of_something(words: list[_Word], k: int) -> bool:
    """Whether the thing at a side of the picture is still there: a cat on the left, 왼쪽에 고양이."""
    if _HANGUL.search(words[k].text):
        after_gap = k > 0 and words[k - 1].kind == "out" and words[k - 1].text != ","
        if not words[k].particle:  # 왼쪽 위에
            after = words[k + 1] if k + 1 < len(words) else None
            return not after_gap and not (
                after and after.kind == "out" and after.base in _SIDES | _PLACES
            )
        return not after_gap and _leads_on(words, k)
    before = [one.kind for one in words[:k]]
    while before and before[-1] in ("before", "article", "side"):
        before.pop()
    return not before or before[-1] != "out"


def _leads_on(words: list[_Word], k: int) -> bool:
    """Whether something to the right is there for what word `k` says of it."""
    kind = words[k].kind
    describes = kind in ("article", "modifier", "number", "counter")
    skips = False
    for j in range(k + 1, len(words)):
        word = words[j]
        if word.kind == "out":
            skips = True
            if describes and _HANGUL.search(word.text) and _BREAKS.search(word.text):
                return False
        elif word.kind in ("thing", "place", "counter", "side"):
            return word.kind != "counter" or kind == "number"
        elif word.kind in ("modifier", "number"):
            return _leads_on(words, j) or (
                j + 1 < len(words) and words[j + 1].kind == "counter" and kind != "article"
            )
        elif word.kind == "article":
            return (not skips or kind == "join") and _leads_on(words, j)
        elif word.kind == "before":
            return not skips and kind in ("before", "join", "article") and _leads_on(words, j)
        else:
            return False
    return False


def _mend_particles(words: list[_Word]) -> None:
    """Give each Korean noun beside a gap the particle that still holds, or none."""
    for k, word in enumerate(words):
        if word.kind not in ("thing", "place", "counter") or not _HANGUL.search(word.text):
            continue
        j = next((j for j in range(k + 1, len(words)) if words[j].kind != "out"), len(words))
        following = words[j] if j < len(words) else None
        gap = j > k + 1
        noun = following is not None and following.kind in ("thing", "modifier", "number")
        if not word.particle:  # 기타 치는 판다
            if noun and gap and words[j - 1].text.endswith("는"):
                word.text = with_particle(word.base, "와")
        elif word.particle in _ROLES:
            rest = words[k + 1 :]
            end = next((i for i, one in enumerate(rest) if one.text == ","), len(rest))
            verb = any(one.text in _PREDICATES and one.kind != "out" for one in rest[:end])
            if verb or not any(one.kind == "out" for one in rest[:end]):
                continue
            place = following is not None and following.particle in _AT
            word.text = word.base + ("," if noun and place else "")
            if noun and not place:
                word.text = with_particle(word.base, "와")
        elif word.particle in _WITH:
            if gap and not noun:
                word.text = word.base
        elif word.particle == "의":
            breaks = any(_BREAKS.search(one.text) for one in words[k + 1 : j])
            if gap and (not noun or breaks):
                word.text = with_particle(word.base, "와") if noun else word.base
        elif gap and following is None:
            word.text = word.base


def _text(words: list[_Word]) -> str:
    text, gap, verb = "", False, False
    left: _Word | None = None
    for word in words:
        if word.kind == "out":
            gap, verb = True, verb or word.text.lower().endswith(("ing", "s"))
            continue
        space = word.gap if left is not None and not gap else " "
        if word.text == ",":
            space = ""
        elif gap and left is not None and _is_new_thing(left, word, verb):
            space = " and "
        elif left is not None and left.text == ",":
            space = " "
        if gap and left is not None and left.text.lower() in ("a", "an"):
            text = text[: -len(left.text)] + ("an" if _sounds_open(word.text) else "a")
        text += (space if left is not None else "") + word.text
        left, gap, verb = word, False, False
    return text


def _is_new_thing(left: _Word, word: _Word, verb: bool) -> bool:
    """Whether an English word after a gap begins another thing than the one before the gap."""
    if _HANGUL.search(left.text + word.text) or left.kind not in ("thing", "after"):
        return False
    begins = word.kind in ("article", "modifier") and word.text.lower() not in ("'s", "\u2019s")
    return begins or (word.kind == "thing" and verb)


def _sounds_open(word: str) -> bool:
    lower = word.lower()
    return lower[0] in "aeio" or (lower[0] == "u" and not lower.startswith(("uni", "ufo")))


# ---------------------------------------------------------------- Korean particles

_PAIRS = (("은", "는"), ("을", "를"), ("과", "와"), ("이랑", "랑"), ("으로", "로"), ("이", "가"))


def with_particle(word: str, particle: str) -> str:
    """A word with the form of a Korean particle that goes with it: 별이, 해가."""
    for after_consonant, after_vowel in _PAIRS:
        for form in (after_consonant, after_vowel):
            if particle == form or (len(form) > 1 and particle.startswith(form)):
                fitting = after_consonant if _is_closed(word, after_consonant) else after_vowel
                return word + fitting + particle[len(form) :]
    return word + particle


def _is_closed(word: str, particle: str) -> bool:
    """Whether the word ends in a consonant; before 으로 an ㄹ counts as none."""
    last = (ord(word[-1]) - 0xAC00) % 28 if _HANGUL.match(word[-1]) else 0
    return last != 0 and not (particle == "으로" and last == 8)
