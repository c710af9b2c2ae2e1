"""What can be drawn: things on a grid of 32 px before a plain colour or a landscape.

Everything stands on the grid, so that a thing's latents are the same wherever it stands. A scene is
plain facts: `captions.py` puts them into words, `drawing.py` draws them, the probe reads them back.
"""

import hashlib
from dataclasses import dataclass

from training.scenes.things import all_things

CELL = 32
SIDE = 256
CELLS = SIDE // CELL
HORIZON = 192

PALETTE: dict[str, tuple[int, int, int]] = {
    "red": (228, 46, 46),
    "orange": (250, 140, 30),
    "yellow": (250, 210, 50),
    "green": (60, 165, 75),
    "blue": (45, 95, 215),
    "purple": (130, 70, 180),
    "pink": (250, 150, 190),
    "brown": (125, 80, 45),
    "gray": (150, 152, 156),
    "white": (250, 250, 250),
    "black": (28, 28, 32),
}
BACKGROUNDS = ("white", "black", "red", "yellow", "green", "blue", "purple", "pink")
THING_COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black")
SHAPES = ("circle", "square", "triangle", "star", "heart", "diamond")
SHAPE_COLOURS = tuple(PALETTE)
SIZES = {"small": 64, "medium": 128, "large": 192}
SKIES = ("day", "sunset", "night", "rain")
GROUNDS = ("grass", "beach", "sea", "snow", "city", "forest", "hill", "desert", "moon")
UNDER_WATER = "underwater"
COLUMNS, ROWS = ("left", "center", "right"), ("top", "middle", "bottom")
HELD_OUT_SHARE = 10  # one combination in ten is never trained on


@dataclass(frozen=True, slots=True)
class Background:
    """A plain `colour`, or a `sky` over a `ground`; under water is a ground without a sky."""

    colour: str | None = None
    sky: str | None = None
    ground: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One thing or shape with its left upper corner in pixels; `colour` None is its own."""

    key: str
    colour: str | None
    size: str
    x: int
    y: int

    @property
    def side(self) -> int:
        """Its width and height in pixels."""
        return SIZES[self.size]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom."""
        return self.x, self.y, self.x + self.side, self.y + self.side

    @property
    def place(self) -> tuple[str, str]:
        """The nearest of the nine places: its column and its row."""
        return _nearest(self.x, self.size, COLUMNS), _nearest(self.y, self.size, ROWS)


@dataclass(frozen=True, slots=True)
class Scene:
    """A background and the things before it, the farthest first."""

    background: Background
    items: tuple[Item, ...]
    at_home: bool = True  # each thing stands where a person would put it: no place need be said

    @property
    def combination(self) -> str:
        """What is held out from training as one: which things, how many, in which colours."""
        names = sorted({f"{item.colour or ''} {item.key}" for item in self.items})
        back = self.background
        scene = back.colour or f"{back.sky}/{back.ground}"
        if len(names) > 1:
            return "+".join(names)
        sizes = sorted({item.size for item in self.items})
        return f"{names}x{len(self.items)}|{sizes}|{scene}"

    @property
    def held_out(self) -> bool:
        """Whether the scene is kept for judging."""
        digest = hashlib.sha256(self.combination.encode()).digest()
        return bool(self.items) and digest[0] % HELD_OUT_SHARE == 0


def offsets(size: str) -> tuple[int, int, int]:
    """Where the three columns or rows begin, for things of a size."""
    room = SIDE - SIZES[size]
    return 0, room // 2, room


def is_stack(items: tuple[Item, ...]) -> bool:
    """Whether the first of two things of a size stands above the second, both in the middle column."""
    first, second = items
    middle = offsets(first.size)[1]
    is_column = first.size == second.size and first.x == second.x == middle
    return is_column and (first.y, second.y) == offsets(first.size)[::2]


def _nearest(offset: int, size: str, names: tuple[str, ...]) -> str:
    return min(zip(names, offsets(size), strict=True), key=lambda pair: abs(pair[1] - offset))[0]


def all_backgrounds() -> tuple[Background, ...]:
    """The eight plain colours, every sky over every ground (night over the moon), and the sea floor."""
    plain = [Background(colour=colour) for colour in BACKGROUNDS]
    land = [
        Background(sky=sky, ground=ground)
        for ground in GROUNDS
        for sky in (SKIES if ground != "moon" else ("night",))
    ]
    return (*plain, *land, Background(ground=UNDER_WATER))


def colours_of(key: str) -> tuple[str | None, ...]:
    """The colours that a thing or shape can take; None is a thing's own."""
    if key in SHAPES:
        return SHAPE_COLOURS
    return (None, *THING_COLOURS) if all_things()[key].fills else (None,)
