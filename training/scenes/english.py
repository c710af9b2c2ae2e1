"""English captions, worded as people's prompts are: noun phrases first, a sentence now and then."""

import random

from training.scenes.things import all_things
from training.scenes.words import (
    ANIMALS,
    FLYERS,
    PEOPLE,
    is_usual_colour,
    names_of,
    plural,
    with_article,
)
from training.scenes.world import SHAPES, UNDER_WATER, Background, Item, Scene, is_stack

COLOURS = {"gray": ("gray", "grey"), "purple": ("purple", "purple", "violet")}
SHAPE_NAMES = {"circle": ("circle", "circle", "disc"), "diamond": ("diamond",)}
SIZES = {
    "small": ("small", "small", "little", "tiny"),
    "medium": ("", "", "", "", "", "medium", "medium-sized"),
    "large": ("large", "big", "big", "huge"),
}
GROUNDS = {
    "grass": ("on the grass", "on the grass", "in a field", "in a green field", "in a meadow",
              "in the park"),
    "beach": ("on the beach", "on the beach", "at the beach", "by the sea", "on the sand",
              "at the seaside", "on a sandy beach"),
    "sea": ("on the sea", "at sea", "on the water", "on the ocean", "in the sea", "in the ocean"),
    "snow": ("in the snow", "in the snow", "on the snow", "on a snowy field", "in winter"),
    "city": ("in the city", "in the city", "in a city", "on the street", "in town", "downtown"),
    "forest": ("in the forest", "in the forest", "in a forest", "in the woods", "in the woodland"),
    "hill": ("on a hill", "on a hill", "on the hill", "on a green hill", "on top of a hill"),
    "desert": ("in the desert", "in the desert", "in a desert", "among sand dunes"),
    "moon": ("on the moon", "on the moon", "on the lunar surface", "in space on the moon"),
    UNDER_WATER: ("under water", "underwater", "under the sea", "at the bottom of the sea",
                  "in the deep sea", "below the water"),
}  # fmt: skip
PLACES = {
    "grass": ("a green field", "a meadow", "a lawn"), "beach": ("a beach", "a sandy beach"),
    "sea": ("the sea", "the ocean"), "snow": ("a snowy field", "snow"),
    "city": ("a city", "a city street", "a skyline"), "forest": ("a forest", "the woods"),
    "hill": ("a hill", "a green hill"), "desert": ("a desert", "sand dunes"),
    "moon": ("the surface of the moon", "the lunar surface"),
    UNDER_WATER: ("the sea floor", "the bottom of the sea", "an underwater scene"),
}  # fmt: skip
SKIES = {
    "day": ("during the day", "by day", "under a blue sky", "on a sunny day", "in daylight",
            "in the daytime"),
    "sunset": ("at sunset", "at sunset", "at dusk", "in the evening", "under a red evening sky"),
    "night": ("at night", "at night", "at night", "under the stars", "under a starry sky",
              "at midnight"),
    "rain": ("in the rain", "in the rain", "on a rainy day", "in rainy weather", "while it rains"),
}  # fmt: skip
LIST_WORDS = {"day": "day", "sunset": "sunset", "night": "night", "rain": "rain"}
CORNERS = {
    ("left", "top"): ("in the top left corner", "at the top left", "in the upper left"),
    ("center", "top"): ("at the top", "at the top", "at the top center", "in the top middle"),
    ("right", "top"): ("in the top right corner", "at the top right", "in the upper right"),
    ("left", "middle"): ("on the left", "on the left", "on the left side"),
    ("center", "middle"): ("in the middle", "in the center", "in the centre"),
    ("right", "middle"): ("on the right", "on the right", "on the right side"),
    ("left", "bottom"): ("in the bottom left corner", "at the bottom left", "in the lower left"),
    ("center", "bottom"): ("at the bottom", "at the bottom", "at the bottom center"),
    ("right", "bottom"): (
        "in the bottom right corner",
        "at the bottom right",
        "in the lower right",
    ),
}
NUMBERS = {2: ("two", "two", "2", "a pair of"), 3: ("three", "three", "three", "3")}
OPENINGS = ("a picture of {}", "draw {}", "an illustration of {}", "a drawing of {}", "{}, flat art",
            "please draw {}", "I want {}", "{} please", "show me {}", "an image of {}")  # fmt: skip
EMPTY = ("{}", "{}", "an empty scene of {}", "just {}", "{} with nothing in it", "nothing but {}")
IDLE_WORDS = (
    "cute", "beautiful", "lovely", "happy", "cozy", "majestic", "dreamy", "old", "young",
    "detailed", "realistic", "cinematic", "vintage", "modern", "minimal", "pastel", "magical", "shiny",
    "fluffy", "lonely", "peaceful", "brave", "sleepy", "running", "dancing", "elegant", "friendly",
    "watercolor", "oil painting", "digital art", "cartoon style", "high quality", "abandoned",
)  # fmt: skip


def name_of(item: Item, rng: random.Random, emoji: dict[str, str], labels: dict[str, str]) -> str:
    """One of the names of a thing or a shape; now and then its emoji."""
    if item.key in SHAPES:
        return rng.choice(SHAPE_NAMES.get(item.key, (item.key,)))
    draw = rng.random()
    if draw < 0.03 and item.key in emoji:
        return emoji[item.key]
    if draw < 0.08 and item.key in labels:
        return labels[item.key]
    return rng.choice(names_of(all_things()[item.key], "en"))


def describe(item: Item, name: str, rng: random.Random, count: int = 1) -> str:
    """A thing with its size and colour: "a small red car", "three red cars"."""
    size = rng.choice(SIZES[item.size]) if count == 1 else ""
    if count > 1 and item.size == "small" and count == 2:
        size = rng.choice(SIZES["small"])
    has_colour = item.colour and not is_usual_colour(item, rng)
    colour = rng.choice(COLOURS.get(item.colour, (item.colour,))) if has_colour else ""
    is_emoji = not name.isascii()
    if count > 1 and not is_emoji:
        words = " ".join(word for word in (size, colour, plural(name)) if word)
        return f"{rng.choice(NUMBERS[count])} {words}"
    words = " ".join(word for word in (size, colour, name) if word)
    if is_emoji and not size and not colour:
        return words if count == 1 else f"{rng.choice(NUMBERS[count])} {words}"
    if count > 1:
        return f"{rng.choice(NUMBERS[count])} {words}"
    return with_article(words, name)


def _doing(item: Item, scene: Scene, rng: random.Random) -> str:
    """What it does, now and then: sitting, flying and the like, with a space before it."""
    if rng.random() > 0.12 or scene.background.colour:
        return ""
    if item.key in FLYERS and item.y < 96:
        return " flying"
    if item.key in ANIMALS | PEOPLE and scene.background.ground != UNDER_WATER:
        return rng.choice((" sitting", " standing", " resting"))
    return ""


def _corner(item: Item, rng: random.Random) -> str:
    return rng.choice(CORNERS[item.place])


def _side_by_side(first: str, second: str, rng: random.Random) -> str:
    return rng.choice((
        f"{first} and {second}", f"{first} and {second}", f"{first} next to {second}",
        f"{first} beside {second}", f"{first} to the left of {second}", f"{first} with {second}",
        f"{second} to the right of {first}", f"{second} right of {first}",
        f"{first} on the left and {second} on the right",
        f"{second} on the right and {first} on the left",
    ))  # fmt: skip


def _above(above: str, below: str, rng: random.Random) -> str:
    return rng.choice((
        f"{above} above {below}", f"{above} over {below}", f"{below} below {above}",
        f"{below} under {above}", f"{above} at the top and {below} at the bottom",
        f"{below} beneath {above}", f"{above} on top of {below}",
    ))  # fmt: skip


def things(scene: Scene, names: list[str], rng: random.Random) -> str:
    """The things of a scene and where they are, without the background."""
    items = scene.items
    keys = {(item.key, item.colour) for item in items}
    if len(keys) == 1:
        item = items[0]
        words = describe(item, names[0], rng, len(items)) + _doing(item, scene, rng)
        if len(items) == 1 and item.key in ANIMALS | PEOPLE and rng.random() < 0.04:
            words = f"{rng.choice(('a portrait', 'portrait'))} of {words}"
        if not scene.at_home or (rng.random() < 0.04 and len(items) == 1):
            words += " " + _corner(item, rng)
        return words
    first, second = (describe(i, n, rng) for i, n in zip(items, names, strict=True))
    if scene.at_home:
        return _side_by_side(first, second, rng)
    if is_stack(items):
        return _above(first, second, rng)
    return f"{first} {_corner(items[0], rng)} and {second} {_corner(items[1], rng)}"


def before(background: Background, what: str, scene: Scene, rng: random.Random) -> str:
    """The things in words with what is said of the background."""
    if background.colour:
        colour = background.colour
        return rng.choice((
            f"{what} on a {colour} background", f"{what} on a {colour} background",
            f"{what} on {colour} background", f"{what} on {colour}",
            f"{what} against a {colour} background", f"{what}, {colour} background",
            f"{what} with a {colour} background", f"{colour} background with {what}",
            f"{what} in front of a {colour} wall", f"on a {colour} background, {what}",
        ))  # fmt: skip
    ground = rng.choice(GROUNDS[background.ground]) if background.ground else ""
    sky = rng.choice(SKIES[background.sky]) if background.sky else ""
    if background.sky == "day" and scene.items[0].y < 96 and not ground and rng.random() < 0.5:
        sky = "in the sky"
    parts = [part for part in (ground, sky) if part]
    if rng.random() < 0.25:
        parts.reverse()
    form = rng.random()
    if form < 0.7:
        return " ".join([what, *parts])
    if form < 0.85:
        return ", ".join([what, *parts])
    return f"{' '.join(parts)}, {what}"


def empty(background: Background, rng: random.Random) -> str:
    """A background alone."""
    if background.colour:
        return rng.choice((f"a {background.colour} background", f"plain {background.colour}"))
    place = rng.choice(PLACES[background.ground or ""])
    sky = rng.choice(SKIES[background.sky]) if background.sky else ""
    if (background.sky == "day" and rng.random() < 0.7) or background.ground == "moon":
        sky = ""
    if place.startswith("a ") and rng.random() < 0.3:
        place = f"an empty {place.removeprefix('a ')}"
        return " ".join(part for part in (place, sky) if part)
    return rng.choice(EMPTY).format(" ".join(part for part in (place, sky) if part))


def as_list(scene: Scene, names: list[str], rng: random.Random) -> str:
    """Keywords with commas: "panda, snow, night"."""
    words = []
    for item, name in zip(scene.items, names, strict=False):
        words.append(" ".join(w for w in (rng.choice(SIZES[item.size]), item.colour, name) if w))
    back = scene.background
    ground = f"{back.colour} background" if back.colour else (back.ground or "")
    return ", ".join(w for w in (*words, ground, LIST_WORDS.get(back.sky or "", "")) if w)


def with_opening(text: str, rng: random.Random) -> str:
    """The caption as a request now and then."""
    if rng.random() < 0.88:
        return text
    return rng.choice(OPENINGS).format(text)
