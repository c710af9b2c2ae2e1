"""Which language a text is in, and whether a model reads it."""

import re

from models.contract import ModelSpec

_HANGUL = re.compile(r"[\uac00-\ud7a3\u3131-\u318e]")
_LATIN = re.compile(r"[A-Za-z]")


def language_of(text: str) -> str:
    """Say "ko" where Hangul carries the text, else "en".

    A syllable of Hangul says about as much as two or three letters, so Korean with English names in
    it is still Korean.
    """
    hangul, latin = len(_HANGUL.findall(text)), len(_LATIN.findall(text))
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
    return "en" if "en" not in spec.languages and language_of(text) == "en" else ""
