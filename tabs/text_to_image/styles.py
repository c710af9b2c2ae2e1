"""Styles: words that are added to a prompt. Their table is styles.toml, their names are in tabs/text."""

import tomllib
from pathlib import Path
from typing import Any

from models.contract import ModelSpec
from models.text.language import language_of
from tabs.shared.strings import t

NONE = ""
STYLES: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("styles.toml").read_text(encoding="utf-8")
)


def offered(spec: ModelSpec) -> list[tuple[Any, str]]:
    """(label, name) of the styles in words that a model knows; first none."""
    own = [name for name, one in STYLES.items() if one.get("starter", False) == spec.starter]
    return [
        (t("text_to_image.styles.none"), NONE),
        *((t(f"text_to_image.styles.{name}"), name) for name in own),
    ]


def styled(prompt: str, style: str) -> str:
    """The prompt with a style's words, in the prompt's language where the style has it."""
    words = STYLES.get(style)
    if words is None or not prompt.strip():
        return prompt
    language = language_of(prompt)
    return words.get(language, words["en"]).replace("{prompt}", prompt.strip())
