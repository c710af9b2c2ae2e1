"""Puts a scene into words in English or Korean.

A caption is true of its scene and says all that is not as a person would expect it: a medium size,
a place at home, the thing's own colours and its usual background may stay unsaid.
"""

import hashlib
import random
from dataclasses import dataclass, field
from pathlib import Path

from training.scenes import english, korean
from training.scenes.held_out import PROMPTS
from training.scenes.sampling import usual_backgrounds
from training.scenes.words import emoji_of, labels
from training.scenes.world import Scene

LANGUAGES = ("en", "ko")
WRITERS = {"en": english, "ko": korean}


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What captions take from the data folder: emoji of things and emojibase's labels of them."""

    emoji: dict[str, str] = field(default_factory=dict)
    labels: dict[str, dict[str, str]] = field(default_factory=lambda: {"en": {}, "ko": {}})


def read_lexicon(data: Path) -> Lexicon:
    """The lexicon of a data folder."""
    return Lexicon(emoji_of(data), {language: labels(data, language) for language in LANGUAGES})


def is_usual(scene: Scene) -> bool:
    """Whether the background is one that the first thing has when none is requested."""
    return scene.background in usual_backgrounds(scene.items[0].key)


def is_for_evaluation(text: str) -> bool:
    """Whether the text is one of the ordinary prompts that only judge."""
    digest = hashlib.sha256(" ".join(text.lower().split()).encode()).hexdigest()
    return digest[:10] in PROMPTS


def _caption(scene: Scene, rng: random.Random, language: str, lexicon: Lexicon) -> str:
    writer = WRITERS[language]
    if not scene.items:
        return writer.with_opening(writer.empty(scene.background, rng), rng)
    few = scene.items if len({item.key for item in scene.items}) > 1 else scene.items[:1]
    names = [writer.name_of(item, rng, lexicon.emoji, lexicon.labels[language]) for item in few]
    single = len(scene.items) == 1
    if single and scene.at_home and rng.random() < 0.06:
        return writer.as_list(scene, names, rng)
    what = writer.things(scene, names, rng)
    if is_usual(scene) and rng.random() < 0.7:
        return writer.with_opening(what, rng)
    return writer.with_opening(writer.before(scene.background, what, scene, rng), rng)


def caption(scene: Scene, rng: random.Random, language: str, lexicon: Lexicon) -> str:
    """The scene in words; never one of the prompts that only judge."""
    while is_for_evaluation(text := _caption(scene, rng, language, lexicon)):
        pass
    return text
