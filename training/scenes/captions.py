"""Puts a picture into words: English here, Korean in `korean.py`, worded as people's prompts are.

A caption is true of its picture. It may leave something out (a cloud, the background) unless
`complete` asks for all of it; only what is named is later held against a generated picture.
"""

import random
from dataclasses import dataclass

from training.scenes import korean
from training.scenes.world import Composition, Figure, Picture, Scene

LANGUAGES = ("en", "ko")

COLOUR_WORDS = {"gray": ("gray", "grey"), "purple": ("purple", "purple", "violet")}
SHAPE_WORDS = {"circle": ("circle", "circle", "circle", "disc"), "heart": ("heart", "heart shape")}
SIZE_WORDS = {
    "small": ("small", "small", "little", "tiny"),
    "medium": ("", "", "", "medium", "medium-sized"),
    "large": ("large", "large", "big", "huge"),
}
GROUNDS = (
    "{thing} on {a} {ground} background",
    "{thing} on {a} {ground} background",
    "{thing} on {ground} background",
    "{thing} on {ground}",
    "{thing} against {a} {ground} background",
    "{thing}, {ground} background",
    "{thing} with {a} {ground} background",
    "{ground} background, {thing}",
    "{ground} background with {thing}",
    "on {a} {ground} background, {thing}",
    "{thing} in front of {a} {ground} backdrop",
)
PAIRS = {
    "across": (
        ("{a} to the left of {b}", "{a} left of {b}", "{a} on the left of {b}"),
        ("{b} to the right of {a}", "{b} right of {a}", "{b} on the right of {a}"),
        ("{a} on the left and {b} on the right", "{b} on the right and {a} on the left"),
    ),
    "down": (
        ("{a} above {b}", "{a} above {b}", "{a} over {b}", "{a} on top of {b}"),
        ("{b} below {a}", "{b} below {a}", "{b} under {a}", "{b} beneath {a}"),
        ("{a} at the top and {b} at the bottom", "{b} at the bottom and {a} at the top"),
    ),
}
PLACES = {
    "city": (
        ("a city skyline", "a city skyline", "a city", "a skyline of tall buildings"),
        ("city buildings", "a modern city", "downtown skyscrapers", "skyscrapers in a city"),
    ),
    "future": (
        ("a futuristic cityscape with flying cars", "a futuristic city with flying cars"),
        ("a futuristic cityscape with flying cars", "flying cars over a futuristic city"),
        ("a futuristic city", "a futuristic cityscape", "a sci-fi city with flying cars"),
        ("a city of the future with flying cars", "flying cars in a futuristic cityscape"),
    ),
    "mountains": (
        ("mountains", "a mountain landscape", "snowy mountains", "a mountain range"),
        ("snow-capped mountains", "mountain peaks", "tall mountains with snow"),
    ),
    "sea": (
        ("a sailboat on the sea", "the sea with a sailboat", "a sailboat at sea", "a sailing boat"),
        ("the ocean with a sailboat", "a boat sailing on the ocean", "a sailboat on the water"),
    ),
    "forest": (
        ("a forest", "a forest", "a pine forest", "trees in a forest"),
        ("the woods", "a forest of pine trees", "a dense forest"),
    ),
    "desert": (
        ("a desert with a cactus", "a desert", "a desert with cactuses", "a desert with cacti"),
        ("a cactus in the desert", "cacti in a desert", "sand dunes with a cactus"),
    ),
    "field": (
        ("a field with a house and trees", "a house and trees in a field", "a house in a field"),
        ("a house with trees in a green field", "a farmhouse in a meadow", "a cottage and trees"),
        ("a small house in the countryside", "a house with a red roof and trees"),
    ),
}
HOURS = {
    "sunset": ("at sunset", "at sunset", "at sunset", "in the evening", "at dusk", "during sunset"),
    "dawn": ("at dawn", "at dawn", "at sunrise", "in the early morning", "at daybreak"),
    "day": ("during the day", "by day", "in the daytime", "in daylight", "at noon", "in the day"),
    "night": ("at night", "at night", "at night", "by night", "at midnight", "in the night"),
}
THINGS = {
    "sun": ("the sun", "the sun", "a sun", "a bright sun", "sun"),
    "moon": ("the moon", "the moon", "a moon", "a bright moon", "moon"),
    "stars": ("stars", "stars", "stars in the sky", "a starry sky", "bright stars"),
    "clouds": ("clouds", "clouds", "some clouds", "clouds in the sky", "a few clouds"),
}
OPENINGS = ("a picture of", "an illustration of", "a drawing of", "a flat illustration of", "draw")
OPENINGS += ("an image of", "a painting of", "a simple picture of", "please draw", "show me")
ENDINGS = (", flat illustration", ", digital art", ", simple", ", highly detailed", ", vector art")
ENDINGS += (", beautiful", ", 4k", ", minimalist", " please")


@dataclass(frozen=True, slots=True)
class Caption:
    """The words and which of the picture's changeable parts they name."""

    text: str
    objects: tuple[str, ...] = ()
    has_background: bool = True
    has_size: bool = True


def article(word: str) -> str:
    """The indefinite article that the word's first letter wants."""
    return "an" if word[0] in "aeiou" else "a"


def named(figure: Figure, size: str | None, rng: random.Random) -> str:
    """A shape in words with its article, such as "a large red circle"."""
    colour = rng.choice(COLOUR_WORDS.get(figure.colour, (figure.colour,)))
    shape = rng.choice(SHAPE_WORDS.get(figure.shape, (figure.shape,)))
    words = " ".join(word for word in (size, colour, shape) if word)
    if rng.random() < 0.08:
        return words
    return f"{article(words)} {words}"


def composition_caption(picture: Composition, rng: random.Random, complete: bool) -> Caption:
    """Words for one or two shapes."""
    size = rng.choice(SIZE_WORDS[picture.size]) if picture.size else None
    if complete and picture.size:
        size = picture.size
    words = [named(figure, size, rng) for figure in picture.figures]
    thing = words[0]
    if picture.axis:
        thing = rng.choice(rng.choice(PAIRS[picture.axis])).format(a=words[0], b=words[1])
    has_background = complete or rng.random() < 0.9
    if has_background:
        ground = rng.choice(COLOUR_WORDS.get(picture.background, (picture.background,)))
        thing = rng.choice(GROUNDS).format(thing=thing, ground=ground, a=article(ground))
    return Caption(thing, has_background=has_background, has_size=bool(size))


def joined(words: list[str]) -> str:
    """A list in words: "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def scene_caption(picture: Scene, rng: random.Random, complete: bool) -> Caption:
    """Words for a scene: the place, the time of day, and some or all of what is in the sky."""
    objects = tuple(name for name in picture.objects if complete or rng.random() < 0.75)
    place = rng.choice(rng.choice(PLACES[picture.kind]))
    hour = rng.choice(HOURS[picture.time])
    order = list(objects)
    rng.shuffle(order)
    sky = joined([rng.choice(THINGS[name]) for name in order]) if order else ""
    if not sky:
        text = rng.choice(
            (f"{place} {hour}", f"{place} {hour}", f"{place}, {hour}", f"{hour}, {place}")
        )
    else:
        linked = f"{place}, {sky}" if " with " in place else f"{place} with {sky}"
        frames = (f"{linked} {hour}", f"{place} {hour} with {sky}", f"{place} {hour}, {sky}")
        text = rng.choice((*frames, f"{hour}, {linked}", f"{sky} over {place} {hour}"))
    if picture.time in ("sunset", "night", "dawn") and rng.random() < 0.1:
        text = f"{picture.time}, {place}" + (f", {sky}" if sky else "")
    return Caption(text, objects=objects)


def english_caption(picture: Picture, rng: random.Random, complete: bool) -> Caption:
    """An English caption, some with an opening or an ending as prompts have them."""
    maker = composition_caption if isinstance(picture, Composition) else scene_caption
    caption = maker(picture, rng, complete)
    text = caption.text
    if rng.random() < 0.2 and text.split()[0] not in ("at", "in", "on", "by", "during"):
        text = f"{rng.choice(OPENINGS)} {text}"
    if rng.random() < 0.12:
        text += rng.choice(ENDINGS)
    return Caption(text, caption.objects, caption.has_background, caption.has_size)


def caption(
    picture: Picture, rng: random.Random, language: str = "en", complete: bool = False
) -> Caption:
    """A true caption of `picture` in "en" or "ko"."""
    if language == "en":
        return english_caption(picture, rng, complete)
    text, objects, has_background, has_size = korean.caption(picture, rng, complete)
    return Caption(text, objects, has_background, has_size)
