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
from training.scenes.world import Background, Scene

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


def _mention(scene: Scene, rng: random.Random) -> Background:
    """What a caption says of the background: all, its sky alone, or nothing where it is usual."""
    back = scene.background
    if is_usual(scene) and rng.random() < 0.7:
        return Background()
    if back.colour:
        return back
    is_plain_day = back.sky == "day" and rng.random() < 0.75
    sky = None if is_plain_day or back.ground == "moon" else back.sky
    usual = {other.ground for other in usual_backgrounds(scene.items[0].key)}
    drops_ground = sky and back.ground in usual and rng.random() < 0.4
    return Background(sky=sky, ground=None if drops_ground else back.ground)


def _caption(
    scene: Scene, rng: random.Random, language: str, lexicon: Lexicon
) -> tuple[str, Background]:
    writer = WRITERS[language]
    if not scene.items:
        return writer.with_opening(writer.empty(scene.background, rng), rng), scene.background
    few = scene.items if len({item.key for item in scene.items}) > 1 else scene.items[:1]
    names = [writer.name_of(item, rng, lexicon.emoji, lexicon.labels[language]) for item in few]
    single = len(scene.items) == 1
    if single and scene.at_home and rng.random() < 0.06:
        return writer.as_list(scene, names, rng), scene.background
    what, mention = writer.things(scene, names, rng), _mention(scene, rng)
    text = writer.before(mention, what, scene, rng) if mention != Background() else what
    return writer.with_opening(text, rng), mention


def describe(
    scene: Scene, rng: random.Random, language: str, lexicon: Lexicon
) -> tuple[str, Background]:
    """The scene in words, never one of the prompts that only judge, and what they say of its background."""
    while is_for_evaluation((text_and_mention := _caption(scene, rng, language, lexicon))[0]):
        pass
    return text_and_mention


def caption(scene: Scene, rng: random.Random, language: str, lexicon: Lexicon) -> str:
    """The scene in words."""
    return describe(scene, rng, language, lexicon)[0]


def with_idle_word(text: str, rng: random.Random, language: str) -> str:
    """The text with a word that changes nothing in these pictures: the rest is drawn as without it."""
    word = rng.choice(WRITERS[language].IDLE_WORDS)
    form = rng.random()
    if language == "en" and form < 0.6 and text.startswith(("a ", "an ")):
        noun = f"{word} {text.split(' ', 1)[1]}"
        return f"{'an' if word[0] in 'aeiou' else 'a'} {noun}"
    return f"{word} {text}" if form < 0.7 else f"{text}, {word}"
