"""Draws scenes at random: what a person may ask for, in the shares in which the model sees them."""

import random

from training.scenes.things import all_things
from training.scenes.world import (
    BACKGROUNDS,
    CELL,
    COLUMNS,
    GROUNDS,
    ROWS,
    SHAPE_COLOURS,
    SHAPES,
    SIDE,
    SIZES,
    SKIES,
    UNDER_WATER,
    Background,
    Item,
    Scene,
    colours_of,
    offsets,
)

KINDS = {"one": 0.46, "two": 0.28, "count": 0.1, "shape": 0.1, "empty": 0.06}
SIZE_SHARES = {"small": 0.25, "medium": 0.4, "large": 0.35}  # large ones have most to be learned
COLOUR_SHARE = 0.6  # of the things that can take a colour, how many are requested in one
COLOURED_WEIGHT = 3  # how often such a thing is drawn against one of a fixed colour
HOME_SHARE = 0.5  # how many stand where a person would put them


def _lands(names: str) -> tuple[Background, ...]:
    """Landscapes by their skies and grounds."""
    pairs = (name.split("/") for name in names.split())
    return tuple(Background(sky=sky, ground=ground) for sky, ground in pairs)


INDOOR_BACKGROUNDS = tuple(Background(colour=c) for c in ("white", "yellow", "blue", "pink"))
# Where a thing is when its prompt leaves that open; the seed decides which. One list a home, and
# one a place that some things belong to.
USUAL_BACKGROUNDS: dict[str, tuple[Background, ...]] = {
    "ground": _lands("day/grass day/grass day/hill day/hill day/forest sunset/grass"),
    "water": _lands("day/sea day/sea sunset/sea"),
    "sky": _lands("day/grass day/hill sunset/hill day/city"),
    "indoors": INDOOR_BACKGROUNDS,
    "night": _lands("night/grass night/hill night/city"),
    "snow": _lands("day/snow day/snow sunset/snow"),
    "desert": _lands("day/desert day/desert sunset/desert"),
    "beach": _lands("day/beach day/beach sunset/beach"),
    "street": _lands("day/city day/city sunset/city day/grass"),
    "forest": _lands("day/forest day/forest sunset/forest day/grass"),
    "space": _lands("night/moon"),
    UNDER_WATER: (Background(ground=UNDER_WATER),),
}
BELONGS: dict[str, tuple[str, ...]] = {
    "night": ("moon", "ghost", "bat", "planet", "ufo"),
    "snow": ("penguin", "snowman", "polar bear", "santa", "snowflake"),
    "desert": ("cactus", "camel"),
    "beach": ("crab", "palm tree"),
    "street": (
        "car", "bus", "bicycle", "taxi", "police car", "fire truck", "ambulance", "truck",
        "motorcycle", "scooter",
    ),
    "forest": ("fox", "bear", "wolf", "deer", "mushroom"),
    "space": ("astronaut", "alien"),
    UNDER_WATER: (
        "fish", "whale", "dolphin", "octopus", "tropical fish", "shark", "squid",
    ),
}  # fmt: skip
# Things that would be lost before yellow.
YELLOW = (
    "smiley", "sad face", "cool face", "angry face", "banana", "lemon", "pizza", "cookie", "gift",
    "crown", "pear", "pineapple", "avocado", "corn", "croissant", "cheese", "egg", "hot dog",
    "taco", "beer", "light bulb", "key", "trophy", "trumpet",
)  # fmt: skip
PLACE_OF = {key: place for place, keys in BELONGS.items() for key in keys}


def usual_backgrounds(key: str) -> tuple[Background, ...]:
    """The backgrounds of a thing for which none is requested; one that stands twice is as likely as two."""
    if key in SHAPES:
        return (Background(colour="white"),)
    usual = USUAL_BACKGROUNDS[PLACE_OF.get(key) or all_things()[key].home]
    return tuple(back for back in usual if back.colour != "yellow" or key not in YELLOW)


def usual_background(key: str, rng: random.Random) -> Background:
    """The background of a thing for which none is requested."""
    return rng.choice(usual_backgrounds(key))


def any_background(rng: random.Random) -> Background:
    """A plain colour, a landscape or the sea floor."""
    kind = rng.random()
    if kind < 0.42:
        return Background(colour=rng.choice(BACKGROUNDS))
    if kind < 0.95:
        ground = rng.choice(GROUNDS)
        sky = "night" if ground == "moon" else rng.choices(SKIES, (5, 3, 3, 2))[0]
        return Background(sky=sky, ground=ground)
    return Background(ground=UNDER_WATER)


def home_place(key: str, size: str, background: Background) -> tuple[int, int]:
    """Where a person would put a thing: the middle; on the ground; high up in the sky."""
    side, middle = SIZES[size], offsets(size)[1]
    if background.colour or background.ground == UNDER_WATER or key in SHAPES:
        return middle, middle
    home = all_things()[key].home
    if home in {"ground", "water"}:
        return middle, SIDE - CELL - side
    if home == "sky":
        return middle, CELL if size != "large" else 0
    return middle, middle if size != "small" else SIDE - CELL - side


def _colour(key: str, background: Background, rng: random.Random) -> str | None:
    if key in SHAPES:
        return rng.choice([colour for colour in SHAPE_COLOURS if colour != background.colour])
    choices = [c for c in colours_of(key)[1:] if c != background.colour]
    return rng.choice(choices) if choices and rng.random() < COLOUR_SHARE else None


def _key(keys: tuple[str, ...], rng: random.Random) -> str:
    weights = [COLOURED_WEIGHT if len(colours_of(key)) > 1 else 1 for key in keys]
    return rng.choices(keys, weights)[0]


def _size(rng: random.Random, sizes: tuple[str, ...] = tuple(SIZES)) -> str:
    return rng.choices(sizes, [SIZE_SHARES[size] for size in sizes])[0]


def _one(key: str, rng: random.Random) -> Scene:
    background = usual_background(key, rng) if rng.random() < 0.2 else any_background(rng)
    colour, size = _colour(key, background, rng), _size(rng)
    if rng.random() < HOME_SHARE:
        x, y = home_place(key, size, background)
        return Scene(background, (Item(key, colour, size, x, y),))
    x, y = rng.choice(offsets(size)), rng.choice(offsets(size))
    return Scene(background, (Item(key, colour, size, x, y),), at_home=False)


def _two(first: str, second: str, rng: random.Random, apart: bool = False) -> Scene:
    """Side by side on the ground or in the middle, one above the other, or anywhere apart."""
    background = usual_background(first, rng) if rng.random() < 0.2 else any_background(rng)
    colours = [_colour(key, background, rng) for key in (first, second)]
    way = 1.0 if apart else rng.random()
    if way < 0.55:
        sizes = ["medium", "medium"] if rng.random() < 0.7 else ["small", "small"]
        room = offsets(sizes[0])
        columns = (0, SIDE - SIZES[sizes[0]]) if sizes[0] == "medium" else (CELL, SIDE - 3 * CELL)
        row = room[1] if background.colour else SIDE - CELL - SIZES[sizes[0]]
        places = [(column, row) for column in columns]
        if not background.colour and background.ground != UNDER_WATER:
            places = [
                (x, CELL if key not in SHAPES and all_things()[key].home == "sky" else y)
                for key, (x, y) in zip((first, second), places, strict=True)
            ]
    elif way < 0.75:
        sizes = ["medium", "medium"] if rng.random() < 0.6 else ["small", "small"]
        middle = offsets(sizes[0])[1]
        places = [(middle, offsets(sizes[0])[0]), (middle, offsets(sizes[0])[2])]
    else:
        sizes = [_size(rng, ("small", "medium")) for _ in range(2)]
        places = _apart(sizes, rng)
    items = tuple(
        Item(key, colour, size, x, y)
        for key, colour, size, (x, y) in zip((first, second), colours, sizes, places, strict=True)
    )
    return Scene(background, items, at_home=way < 0.55)


def _apart(sizes: list[str], rng: random.Random) -> list[tuple[int, int]]:
    while True:
        places = [(rng.choice(offsets(size)), rng.choice(offsets(size))) for size in sizes]
        (ax, ay), (bx, by) = places
        a, b = SIZES[sizes[0]], SIZES[sizes[1]]
        if ax + a <= bx or bx + b <= ax or ay + a <= by or by + b <= ay:
            return places


def _count(key: str, rng: random.Random) -> Scene:
    """Two or three of a kind in a row; three are small, or two below one."""
    background = usual_background(key, rng) if rng.random() < 0.2 else any_background(rng)
    colour, number = _colour(key, background, rng), rng.choice((2, 3, 3))
    home = "indoors" if key in SHAPES else all_things()[key].home
    if number == 2:
        size = "medium" if rng.random() < 0.7 else "small"
        columns = (0, 128) if size == "medium" else (32, 160)
    else:
        size, columns = "small", (0, 96, 192)
    middle = 96 if size == "small" else 64
    row = (
        middle
        if background.colour or background.ground == UNDER_WATER
        else {
            "sky": CELL,
            "ground": SIDE - CELL - SIZES[size],
            "water": SIDE - CELL - SIZES[size],
        }.get(home, middle)
    )
    return Scene(background, tuple(Item(key, colour, size, x, row) for x in columns))


def sample(rng: random.Random, keys: tuple[str, ...], kind: str | None = None) -> Scene:
    """A scene of the things in `keys`, of a kind of `KINDS`, or "apart": two with a place each."""
    kind = kind or rng.choices(list(KINDS), list(KINDS.values()))[0]
    if kind == "empty":
        return Scene(any_background(rng), ())
    if kind == "shape":
        return _one(rng.choice(SHAPES), rng)
    if kind == "count":
        return _count(_key(keys, rng) if rng.random() < 0.9 else rng.choice(SHAPES), rng)
    if kind in {"two", "apart"}:
        first, second = rng.sample((*keys, *SHAPES[: max(1, len(keys) // 30)]), 2)
        return _two(first, second, rng, apart=kind == "apart")
    return _one(_key(keys, rng), rng)


def sample_trained(rng: random.Random, keys: tuple[str, ...], kind: str | None = None) -> Scene:
    """A scene that is not held out."""
    while (scene := sample(rng, keys, kind)).held_out:
        pass
    return scene


def sample_held_out(rng: random.Random, keys: tuple[str, ...], kind: str | None = None) -> Scene:
    """A scene that training never shows."""
    while not (scene := sample(rng, keys, kind)).held_out:
        pass
    return scene


__all__ = ["COLUMNS", "KINDS", "ROWS", "sample", "sample_held_out", "sample_trained"]
