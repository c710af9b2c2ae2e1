"""Every visible string, in English and Korean, from tabs/text/LANGUAGE/*.toml.

Static strings (labels, buttons, help) are `t(key)`: the browser picks the language and changes it in
place. Computed strings are `both(key, ...)`, HTML that holds both languages and shows the page's, so
that they follow the switch too. What goes out as plain text (an error) is `say(key, language, ...)`.
"""

import html
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import Any, cast

import gradio as gr
from gradio.i18n import I18nData

LANGUAGES = ("en", "ko")
FOLDER = Path(__file__).parent.parent / "text"


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(cast(Mapping[str, Any], value), f"{prefix}{key}.")
        else:
            flat[prefix + key] = str(value).strip()
    return flat


def read(language: str) -> dict[str, str]:
    """All strings of a language as "section.key" -> text."""
    strings: dict[str, str] = {}
    for file in sorted((FOLDER / language).glob("*.toml")):
        strings |= _flat(tomllib.loads(file.read_text(encoding="utf-8")))
    return strings


STRINGS = {language: read(language) for language in LANGUAGES}
I18N = gr.I18n(**STRINGS)


def t(key: str) -> I18nData:
    """A static string, translated in the browser.

    Raises:
        KeyError: no such string.
    """
    if key not in STRINGS["en"]:
        raise KeyError(key)
    return I18N(key)


def static(texts: Mapping[str, str]) -> I18nData:
    """A static string that comes from elsewhere than tabs/text, before the page is launched."""
    key = f"static.{texts['en']}"
    for language, text in texts.items():
        STRINGS[language][key] = text
    return I18N(key)


def phrases(text: str) -> dict[str, str]:
    """A label or a licence of the catalogue in each language: its English phrases are the strings "phrases"."""
    korean = text
    for key, phrase in STRINGS["en"].items():
        if key.startswith("phrases."):
            korean = korean.replace(phrase, STRINGS["ko"][key])
    return {"en": text, "ko": korean}


def phrases_html(text: str) -> str:
    """The same as HTML that shows the page's language."""
    texts = {language: html.escape(one) for language, one in phrases(text).items()}
    return texts["en"] if texts["en"] == texts["ko"] else spans(texts)


def say(key: str, language: str, **params: object) -> str:
    """A computed string as plain text in one language."""
    return fill(STRINGS[language][key], language, params)


def both(key: str, **params: object) -> str:
    """A computed string as HTML in both languages, of which the page shows its own.

    Parameters are escaped; a parameter that is a dict holds its text per language.
    """
    return spans({language: _html(key, language, params) for language in LANGUAGES})


def spans(texts: Mapping[str, str]) -> str:
    """HTML that shows the text of the page's language; the texts are HTML already."""
    return "".join(
        f'<span class="in-{lang}" lang="{lang}">{text}</span>' for lang, text in texts.items()
    )


def _html(key: str, language: str, params: Mapping[str, object]) -> str:
    def as_text(value: object) -> str:
        if isinstance(value, Mapping):
            value = cast(Mapping[str, object], value)[language]
        return html.escape(str(value))

    return fill(STRINGS[language][key], language, {k: as_text(v) for k, v in params.items()})


def percent(share: float) -> str:
    """A share as HTML, the same in both languages; small ones look different from none."""
    return "&lt; 0.1%" if 0 < share < 0.001 else f"{share:.1%}"


def shorten(text: str, most: int = 120) -> str:
    """The beginning of a text on one line, at most `most` characters with the sign that more follows."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def language_of_page(request: gr.Request | None) -> str:
    """The visitor's language: from the page's address, or from the header of another client."""
    if request is None:
        return "en"
    languages = request.query_params.get("lang") or request.headers.get("accept-language") or ""
    return "ko" if languages.strip().lower().startswith("ko") else "en"


# ---------------------------------------------------------------- Korean particles

# Written in a string -> (after a consonant, after a vowel). "(으)로" follows a rule of its own.
_FORMS = {
    "을(를)": ("을", "를"),
    "이(가)": ("이", "가"),
    "은(는)": ("은", "는"),
    "과(와)": ("과", "와"),
    "이에요(예요)": ("이에요", "예요"),
    "(이)라는": ("이라는", "라는"),
    "(으)로": ("으로", "로"),
}
_PARTICLE = re.compile("|".join(map(re.escape, _FORMS)))
_MARKUP = re.compile(r"<[^>]*>|\s*\([^()]*\)$|[\s\"'’”»)\]}*_`]+$")
_PLURAL = re.compile(r"\((e?s)\)")
_RIEUL = 8  # the number of ㄹ among the final consonants
# How a digit, a sign or a letter that is read by its name ends: "" in a vowel, else its final consonant.
_ENDS = dict(zip("0123456789", "ㅇㄹ ㅁ  ㄱㄹㄹ ", strict=True))
_LETTER_ENDS = {"l": "ㄹ", "m": "ㅁ", "n": "ㄴ", "r": "ㄹ"}
# How an English word ends as Koreans write it: label 레이블, name 네임, map 맵, but test 테스트.
_WORD_ENDS = (
    (re.compile(r"(l|le)$"), "ㄹ"),
    (re.compile(r"([mn]|ng|[aeiou][mn]e)$"), "ㄴ"),
    (re.compile(r"((?<![aeiou])[aeiou][bcgkpt]|oo[kpt]|ck)$"), "ㄱ"),
)


def fill(template: str, language: str, params: Mapping[str, Any]) -> str:
    """A string with its places filled in, and with the particles or plurals that they ask for.

    Args:
        template: as in tabs/text.
        language: of it.
        params: text or numbers by the places' names. Nothing in them is taken for a particle.
    """
    choices = _PARTICLE if language == "ko" else _PLURAL
    text = value = ""
    for literal, name, spec, conversion in Formatter().parse(template):
        at = 0
        for match in choices.finditer(literal):
            text += literal[at : match.start()]
            if language == "ko":
                text += particle(text, match[0])
            else:
                text += "" if value == "1" else match[1]
            at = match.end()
        text += literal[at:]
        if name is not None:
            place = f"{name}{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}"
            value = f"{{{place}}}".format(**params)
            text += value
    return text


def particle(before: str, forms: str) -> str:
    """The form of a particle that is right after some text; both forms where nobody can tell.

    Args:
        before: what stands before it: words, numbers or symbols, also as HTML and in quotes.
        forms: a key of the table, such as "을(를)".
    """
    end = final_consonant(before)
    if end is None:
        return forms
    after_consonant, after_vowel = _FORMS[forms]
    if forms == "(으)로" and end == "ㄹ":
        return after_vowel
    return after_consonant if end else after_vowel


def final_consonant(text: str) -> str | None:
    """The consonant with which text ends when it is read out in Korean.

    Returns:
        "" for a vowel, "ㄹ", or any other consonant; None for what has no known reading.
    """
    while (bare := _MARKUP.sub("", html.unescape(text))) != text:
        text = bare
    if not text:
        return None
    last = text[-1]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        return "ㄹ" if final == _RIEUL else "ㄱ" if final else ""
    if last in _ENDS:
        return _ENDS[last].strip()
    if last in "%+°$€":  # 퍼센트, 플러스, 도, 달러, 유로
        return ""
    if last in "₩":
        return "ㄴ"
    word = re.search(r"[A-Za-z]+$", text)
    if word is None:
        return None
    if word[0].isupper() or len(word[0]) == 1:
        return _LETTER_ENDS.get(last.lower(), "")
    return next((end for ends, end in _WORD_ENDS if ends.search(word[0].lower())), "")
