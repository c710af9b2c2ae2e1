"""Bytes as text: which encoding they are in, weighed by how the text reads, and what was damaged.

No encoding is taken only because it decodes: Chinese decodes as Korean, and Latin decodes anything.
chardet's models of languages weigh the candidates. Of 118 short tables in 40 encodings its first guess
was right for 109, charset-normalizer's for 81.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from models.errors import InvalidInput

# Python's codecs that can be found or chosen, with chardet's names, the likelier of two alike first.
_CHARDET: dict[str, str] = {
    "utf_8": "utf-8",
    "utf_16_le": "utf-16-le",
    "utf_16_be": "utf-16-be",
    "utf_32_le": "utf-32-le",
    "utf_32_be": "utf-32-be",
    "cp949": "cp949",
    "johab": "johab",
    "iso2022_kr": "iso2022_kr",
    "cp932": "cp932",
    "euc_jis_2004": "euc_jis_2004",
    "iso2022_jp_2": "iso2022_jp_2",
    "gb18030": "gb18030",
    "hz": "hz",
    "big5hkscs": "big5hkscs",
    "cp1252": "cp1252",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp1253": "cp1253",
    "cp1254": "cp1254",
    "cp1255": "cp1255",
    "cp1256": "cp1256",
    "cp1257": "cp1257",
    "cp1258": "cp1258",
    "cp874": "cp874",
    "iso8859_2": "iso8859-2",
    "iso8859_5": "iso8859-5",
    "iso8859_7": "iso8859-7",
    "iso8859_15": "iso8859-15",
    "koi8_r": "koi8-r",
    "koi8_u": "koi8-u",
    "mac_roman": "mac-roman",
    "mac_cyrillic": "mac-cyrillic",
    "mac_latin2": "mac-latin2",
    "cp850": "cp850",
    "cp852": "cp852",
    "cp866": "cp866",
    "utf_7": "utf-7",
}
ENCODINGS = tuple(_CHARDET)
_BY_CHARDET = {name.replace("-", "_"): codec for codec, name in _CHARDET.items()}
# Text of these is ASCII: they are known by their escapes, and nothing else is read in them.
_ESCAPES = {
    "iso2022_jp_2": re.compile(rb"\x1b\$[@B]"),
    "iso2022_kr": re.compile(rb"\x1b\$\)C"),
    "hz": re.compile(rb"~\{(?:[!-w][!-~])+~\}"),
    "utf_7": re.compile(rb"\+[A-Za-z0-9/+]{3,}"),
}
_WIDE = ("utf_16_le", "utf_16_be", "utf_32_le", "utf_32_be")
_MARKS = (  # UTF-32's before UTF-16's, which begins like it
    (b"\xff\xfe\0\0", "utf_32_le"),
    (b"\0\0\xfe\xff", "utf_32_be"),
    (b"\xef\xbb\xbf", "utf_8"),
    (b"\xff\xfe", "utf_16_le"),
    (b"\xfe\xff", "utf_16_be"),
)
# How much likelier in the files that people have, where the bytes say little: a few accents.
_LIKELY = {
    "cp1252": 1.2,
    "iso8859_15": 0.97,
    "iso8859_7": 0.97,
    "koi8_u": 0.95,
    "mac_cyrillic": 0.93,
    "cp1257": 0.9,
    "cp1258": 0.8,
    "mac_latin2": 0.8,
    "cp850": 0.8,
    "cp852": 0.7,
}
_OTHER_ALPHABETS = ("CYRILLIC", "GREEK", "HEBREW", "ARABIC")
_SIGNS = frozenset("¡¢¤¥¦§¨¬¯±´¶·¸¹»¼½¾¿÷×√∞≈≠≤≥∂∑∏π∫Ω◊ˇ˘˙˛˝†‡")  # no part of a word
_QUOTE_IN_WORD = re.compile(r"[^\W\d_][”“„‚™‰†‡][^\W\d_]")  # letters of DOS, read as of Windows
_NARROW_KANA = "".join(map(chr, range(0xFF61, 0xFFA0))) + "¤"
_SERBIAN = "ЂЃѓЌќЏџЋћЉљЊњЈјЅѕђ"
_NOT_SERBIAN = frozenset("ыэщюяйь")
_NO_TEXT = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"%PDF-", b"PK\x03\x04", b"\x1f\x8b")
_NO_LETTERS = {"Cc", "Cn", "Co", "Cs"}  # Unicode's categories
BAD = "\N{REPLACEMENT CHARACTER}"
OTHER = "\uffff"  # no letter: stands before one that was read in another encoding than the rest
NEAR = 0.85  # of the best one's weight: the reader is asked
_SAMPLE = 20_000  # bytes that are weighed
_HEAD = 4_096  # bytes by which UTF-16 and UTF-32 are known
_KANA = frozenset(map(chr, range(0x3041, 0x30FF)))
_HANZI = frozenset(
    "的一是不了在人有我他这個个們们中来來上大為为和国國地到以说說时時要就出会會可也你对對生能而子那得于於着下"
    "自之年过過发發后後作里好很没沒太吃房味服务務差错錯点點去再还還店菜质質量快慢"
)
_HANGUL = frozenset(
    "이다는가을를에의하고은지도로해기나서어사아자일대한리그라시으들인스안보있게요정여원수전부소주상제만조모거니"
    "것우마성공비면유었했습없좋않말더때최별너무재미같네음감진짜추천맛친절배송빠르가격싫악품질글라벨후ㅋㅎㅠㅜ"
)
_COMMON = {
    "cp949": _HANGUL,
    "johab": _HANGUL,
    "cp932": _KANA,
    "euc_jis_2004": _KANA,
    "gb18030": _HANZI,
    "big5hkscs": _HANZI,
}
EAST_ASIAN = tuple(_COMMON)
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_CESU = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")
_HALF = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")  # one of the two alone
_LINE_WITH_LETTERS = re.compile(rb"[^\r\n]*[\x80-\xff][^\r\n]*")


@dataclass(frozen=True, slots=True)
class DecodedText:
    """A file's text.

    Attributes:
        text: with U+FFFD for each part that could not be read; may hold NUL. OTHER stands in each
            line that is in another encoding than the rest.
        encoding: the one of ENCODINGS that it was read in.
        near: others that read nearly as well but differently, the likelier first.
    """

    text: str
    encoding: str
    near: tuple[str, ...] = ()


def decode(data: bytes) -> str:
    """Bytes as text, NUL and OTHER left out.

    Raises:
        InvalidInput: it is no text (invalid_not_text_file).
    """
    return decode_text(data).text.replace("\0", "").replace(OTHER, "")


def decode_text(data: bytes, encoding: str = "") -> DecodedText:
    """Bytes as text, in an encoding or in the one whose text reads best.

    Raises:
        InvalidInput: it is no text, or not in that encoding (invalid_not_text_file).
    """
    near: tuple[str, ...] = ()
    if data.startswith(_NO_TEXT):
        raise InvalidInput("invalid_not_text_file")
    if encoding in ENCODINGS:
        text = _decode(data, encoding)
    else:
        encoding, near = _find(data)
        text = _decode(data, encoding)
        if BAD in text and encoding not in _WIDE:
            text = _line_by_line(data, encoding) or text
    text = text.rstrip("\0\x1a")  # what fills a block, and DOS's end of a file
    head = text[:_SAMPLE]
    if len(_CONTROLS.findall(head)) > max(2, len(head) // 8) or head.count(BAD) > len(head) // 3:
        raise InvalidInput("invalid_not_text_file")
    return DecodedText(text, encoding, near)


def possible_encodings(data: bytes) -> list[str]:
    """Those in which bytes give text with hardly a damaged character, in the order of ENCODINGS."""
    sample = _sample(data)
    head = data[: _SAMPLE // 4 * 4]
    possible = [
        name
        for name in ENCODINGS
        if (_is_escaped(data, name) if name in _ESCAPES else name not in _WIDE)
        and _damage(sample, name) < 0.02
    ]
    if b"\0" in head:
        possible += [name for name in _WIDE if _damage(head, name) < 0.02]
    return possible


def readings(data: bytes, encodings: Sequence[str]) -> list[str]:
    """The first line in which encodings read differently, as each reads it."""
    for line in _sample(data).split(b"\n"):
        texts = [line.decode(name, errors="replace").strip() for name in encodings]
        if len(set(texts)) == len(texts):
            return texts
    return [_sample(data).decode(name, errors="replace") for name in encodings]


def _decode(data: bytes, encoding: str) -> str:
    for mark, name in _MARKS:  # UTF-8's is also put in front of what is in another encoding
        if data.startswith(mark) and (name in {encoding, "utf_8"}):
            data = data[len(mark) :]
            break
    return (_repair(data) if encoding == "utf_8" else data).decode(encoding, errors="replace")


def _line_by_line(data: bytes, encoding: str) -> str:
    """The text where some lines are in another encoding, as in files that were joined; "" if none is."""
    lines = data.split(b"\n")
    strange = [line for line in lines if _is_strange(line, encoding)]
    other = "utf_8" if encoding != "utf_8" else _east_asian(b"\n".join(strange))
    if not strange or not other:
        return ""
    texts: list[str] = []
    for line in lines:
        if _is_strange(line, encoding):
            text = line.decode(other)
            texts.append(re.sub(r"(?=[^\0-\x7f])", OTHER, text, count=1))
        else:
            texts.append(_decode(line, encoding))
    return "\n".join(texts)


def _is_strange(line: bytes, encoding: str) -> bool:
    """Whether a line is not in the file's encoding, but in some other."""
    if line.isascii():
        return False
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        if encoding != "utf_8":
            return _is_utf8(line)
        text = _decode(line, encoding)
        return len(re.findall(f"[^\0-\x7f{BAD}]", text)) < len(re.findall(f"{BAD}+", text))
    return False


def _east_asian(sample: bytes) -> str:
    """The East Asian encoding in which a text reads, none of it damaged; "" for none."""
    weights = {
        name: _familiar(sample.decode(name, errors="replace"), name)
        for name in _COMMON
        if not _damage(sample, name)
    }
    best = max(weights, key=weights.__getitem__, default="")
    return best if weights.get(best) else ""


def _repair(data: bytes) -> bytes:
    """UTF-8 as Java and Oracle write it, as the standard has it; half a letter becomes U+FFFD."""
    if b"\xed" in data:
        data = _HALF.sub(BAD.encode(), _CESU.sub(_join_surrogates, data))
    return data.replace(b"\xc0\x80", b"\0")


def _join_surrogates(match: re.Match[bytes]) -> bytes:
    halves = match[0].decode("utf-8", "surrogatepass")
    return halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le").encode("utf-8")


def _find(data: bytes) -> tuple[str, tuple[str, ...]]:
    """The encoding of bytes, and those that are near."""
    for mark, name in _MARKS:
        if data.startswith(mark) and (name != "utf_8" or _reads_as_utf8(data)):
            return name, ()
    if wide := _wide(data):
        return wide, ()
    if codec := next((name for name in _ESCAPES if _is_escaped(data, name)), ""):
        return codec, ()
    if _reads_as_utf8(data):
        return "utf_8", ()
    weights = _weigh(_sample(data))
    if not weights and any(not line.isascii() and _is_utf8(line) for line in data.split(b"\n")):
        return "utf_8", ()  # of some lines
    if not weights:
        raise InvalidInput("invalid_not_text_file")
    best = max(ENCODINGS, key=lambda name: weights.get(name, 0.0))
    reading = _reading(data, best)
    near = [
        name
        for name in sorted(weights, key=lambda name: -weights[name])
        if name != best
        and weights[name] >= NEAR * weights[best]
        and _reading(data, name) != reading
    ]
    return best, tuple(near[:3])


def _reading(data: bytes, encoding: str) -> str:
    return _sample(data).decode(encoding, errors="replace")


def _wide(data: bytes) -> str:
    """UTF-16 or UTF-32 without a mark, known by its zeros: of ASCII, digits, commas and line ends."""
    from chardet import detect

    if b"\0" not in data[:_HEAD]:
        return ""
    head = data[:_HEAD][: len(data[:_HEAD]) // 4 * 4]
    names = {_CHARDET[name] for name in _WIDE} | {"utf-8"}
    guess = detect(head, include_encodings=names, no_match_encoding="utf-8")["encoding"]
    codec = _BY_CHARDET.get((guess or "").lower().replace("-", "_"), "")
    if codec in _WIDE:
        return codec
    zeros = [head[place::2].count(0) for place in (0, 1)]  # some half of a pair is damaged
    if max(zeros) > len(head) // 8 and min(zeros) * 4 < max(zeros):
        return "utf_16_be" if zeros[0] > zeros[1] else "utf_16_le"
    return ""


def _is_escaped(data: bytes, encoding: str) -> bool:
    """Whether ASCII is full of an encoding's escapes, and all of them stand for letters."""
    if not data.isascii() or not _ESCAPES[encoding].search(data[:_SAMPLE]):
        return False
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return False
    letters = [letter for letter in text if letter > "\x7f"]
    return bool(letters) and all(unicodedata.category(one) not in _NO_LETTERS for one in letters)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.start < len(data) - 1
    return True


def _reads_as_utf8(data: bytes) -> bool:
    """Whether it is UTF-8, if with a few damaged letters."""
    data = _repair(data)
    if _is_utf8(data):
        return True
    text = _decode(_sample(data), "utf_8")
    bad = len(re.findall(f"{BAD}+", text))
    letters = len(re.findall(f"[^\0-\x7f{BAD}]", text))
    # Of Chinese, Japanese and Thai text in other encodings at most 1.2 seem to be letters.
    return letters >= 2 * bad


def _sample(data: bytes) -> bytes:
    """The first lines with a letter that is not ASCII; they may come late in a file."""
    lines: list[bytes] = []
    room = _SAMPLE
    for match in _LINE_WITH_LETTERS.finditer(data):
        line = match[0][:room]
        lines.append(line)
        room -= len(line) + 1
        if room <= 0:
            break
    return b"\n".join(lines)


def _damage(sample: bytes, encoding: str) -> float:
    """The share of letters that are not ASCII which an encoding cannot read."""
    text = sample.decode(encoding, errors="replace")
    return text.count(BAD) / max(1, sum(letter > "\x7f" for letter in text))


def _weigh(sample: bytes) -> dict[str, float]:
    """How well the sample's text reads in each encoding, from 0 to some 1."""
    eight_bit = (name for name in ENCODINGS if name not in _WIDE and name not in _ESCAPES)
    damages = {name: _damage(sample, name) for name in eight_bit}
    weights: dict[str, float] = {}
    whole = [name for name, damage in damages.items() if not damage]
    weights |= _confidences(sample, whole)
    for name, damage in damages.items():
        if 0 < damage <= 0.2:
            readable = sample.decode(name, errors="ignore").encode(name, errors="ignore")
            confidence = _confidences(readable, [name]).get(name, 0.0)
            weights[name] = confidence * (1 - 4 * damage)
    for name in weights.keys() | {one for one in _COMMON if damages[one] <= 0.2}:
        text = sample.decode(name, errors="replace")
        weight = weights.get(name, 0.0) * _LIKELY.get(name, 1.0) * _plausible(text)
        weights[name] = max(weight, _familiar(text, name) * (1 - 4 * damages[name]))
    return {name: weight for name, weight in weights.items() if weight > 0}


def _familiar(text: str, encoding: str) -> float:
    """The weight of text that is full of an East Asian language's commonest letters, else 0.

    chardet drops text of few different ones: "좋아요" three times, or nothing but Hiragana.
    """
    common = _COMMON.get(encoding, frozenset())
    letters = [letter for letter in text if letter > "\x7f"]
    share = sum(letter in common for letter in letters) / max(len(letters), 1)
    return 0.5 * share if share >= 0.35 else 0.0


def _confidences(sample: bytes, names: list[str]) -> dict[str, float]:
    """Chardet's confidence in each encoding; a little less the lower chardet's own rank."""
    from chardet import detect_all

    confidences: dict[str, float] = {}
    if not names:
        return confidences
    codecs = [_CHARDET[name] for name in names]
    results = detect_all(
        sample,
        ignore_threshold=True,
        include_encodings=codecs,
        no_match_encoding=codecs[0],
        empty_input_encoding=codecs[0],
        compat_names=False,
    )
    for rank, one in enumerate(results):
        name = _BY_CHARDET.get((one["encoding"] or "").lower().replace("-", "_"), "")
        if name in names:
            confidences.setdefault(name, one["confidence"] * (1 - 0.002 * rank))
    return confidences


def _plausible(text: str) -> float:
    """Below 1 for text that nobody writes, such as signs or capitals inside of words."""
    if any("\x80" <= letter <= "\x9f" for letter in text):  # control characters
        return 0.3
    letters = sum(letter > "\x7f" for letter in text)
    rare = _NARROW_KANA + ("" if _NOT_SERBIAN.isdisjoint(text) else _SERBIAN)
    odd = sum(letter in rare for letter in text)
    odd += sum(_is_odd(a, b) for a, b in pairwise(text) if max(a, b) > "\x7f")
    odd += len(_QUOTE_IN_WORD.findall(text))
    return 1 - min(0.7, 4 * odd / max(letters, 1))


def _is_odd(letter: str, after: str) -> bool:
    """Whether `after` hardly ever follows `letter` in real text; one of them is not ASCII."""
    if not letter.isalpha():
        return after.isalpha() and letter in _SIGNS and letter not in "¡¿"
    if not after.isalpha():
        return after in _SIGNS
    if letter.islower() and after.isupper():
        return after > "\x7f"
    low, high = sorted((letter, after))
    return low < "\x7f" and unicodedata.name(high, "").startswith(_OTHER_ALPHABETS)
