"""System prompts that ask for a persona: drawn for training, and held out for judging."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from random import Random
from typing import Any

FRAME_SHARE = 0.6  # how often a prompt is a frame with a word in it, not a whole sentence
PROMPTS: dict[str, Any] = tomllib.loads(
    (Path(__file__).parent / "prompts.toml").read_text(encoding="utf-8")
)


def language_of(text: str) -> str:
    """Return "ko" where the text has Hangul, else "en"."""
    return "ko" if re.search(r"[가-힣ㄱ-ㅣ]", text) else "en"


def held_out(persona: str, language: str) -> list[str]:
    """Return the prompts for a persona that training never shows."""
    return [text for text in PROMPTS[persona]["held_out"] if language_of(text) == language]


def draw(persona: str, language: str, random: Random) -> str:
    """Return one training prompt that asks for the persona in the language."""
    if random.random() < FRAME_SHARE:
        frame = random.choice(PROMPTS["frames"][language])
        word = random.choice(PROMPTS[persona][language])
        if re.match("[aeiou]", word):
            frame = frame.replace(" a {}", " an {}")
        return frame.format(word)
    sentences = PROMPTS[persona]["sentences"]
    return random.choice([text for text in sentences if language_of(text) == language])


def draw_open(kind: str, language: str, random: Random) -> str:
    """Return a training prompt that asks for no persona ("neutral") or one nobody taught ("unfamiliar")."""
    return random.choice(PROMPTS[kind][language])
