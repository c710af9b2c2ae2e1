"""Every visible string, in English and Korean, from tabs/text/LANGUAGE/*.toml.

Static strings (labels, buttons, help) are `t(key)`: the browser picks the language and changes it in
place. Computed strings are `both(key, ...)`, HTML that holds both languages and shows the page's, so
that they follow the switch too. What goes out as plain text (an error) is `say(key, language, ...)`.
"""

import html
import tomllib
from collections.abc import Mapping
from pathlib import Path
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


def say(key: str, language: str, **params: object) -> str:
    """A computed string as plain text in one language."""
    return STRINGS[language][key].format(**params)


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

    return STRINGS[language][key].format(**{k: as_text(v) for k, v in params.items()})


def percent(share: float) -> str:
    """A share as HTML, the same in both languages; small ones look different from none."""
    return "&lt; 0.1%" if 0 < share < 0.001 else f"{share:.1%}"


def language_of_page(request: gr.Request | None) -> str:
    """The language a visitor reads: the page puts it into its address, other clients ask by header."""
    if request is None:
        return "en"
    wanted = request.query_params.get("lang") or request.headers.get("accept-language") or ""
    return "ko" if wanted.strip().lower().startswith("ko") else "en"
