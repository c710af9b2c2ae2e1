"""What can be drawn: compositions of shapes and small scenes, described before they are drawn.

A picture is first a `Composition` or a `Scene`: plain facts that a caption can name and a probe can check.
`shapes.py` and `scenery.py` draw them, `captions.py` puts them into words.
"""

import hashlib
import random
from dataclasses import dataclass
from typing import Literal

PALETTE: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (247, 127, 0),
    "yellow": (252, 214, 40),
    "green": (52, 152, 62),
    "blue": (36, 98, 206),
    "purple": (124, 60, 168),
    "pink": (250, 148, 190),
    "brown": (112, 68, 36),
    "black": (22, 22, 26),
    "white": (247, 247, 245),
    "gray": (140, 143, 147),
}
COLOURS = tuple(PALETTE)
SHAPES = ("circle", "square", "triangle", "star", "heart")
RADII = {"small": (0.13, 0.155), "medium": (0.215, 0.25), "large": (0.33, 0.38)}  # of the side
SIZES = tuple(RADII)
PAIR_RADII = (0.16, 0.19)
KINDS = ("city", "future", "mountains", "sea", "forest", "desert", "field")
TIMES = ("sunset", "dawn", "day", "night")
OBJECTS = ("sun", "moon", "stars", "clouds")
HELD_OUT_SHARE = 10  # one combination in ten is never trained on


@dataclass(frozen=True, slots=True)
class Figure:
    """One flat shape: its centre `x`, `y` and its `radius` are parts of the picture's side."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True, slots=True)
class Composition:
    """One shape (`axis` is None) or two: the left and the right one, or the upper and the lower."""

    figures: tuple[Figure, ...]
    background: str
    size: str | None
    axis: Literal["across", "down"] | None

    @property
    def key(self) -> str:
        """The combination of attributes, the same for every picture that shows it."""
        shown = ",".join(f"{figure.colour} {figure.shape}" for figure in self.figures)
        return f"{shown}|{self.axis or self.size}|{self.background}"


@dataclass(frozen=True, slots=True)
class Scene:
    """A landscape or a city; `variation` seeds everything that a caption does not name."""

    kind: str
    time: str
    objects: tuple[str, ...]
    variation: int

    @property
    def key(self) -> str:
        """The combination of attributes, the same for every picture that shows it."""
        return f"{self.kind}|{self.time}|{','.join(self.objects)}"


Picture = Composition | Scene


def held_out(picture: Picture) -> bool:
    """Whether the combination is kept from training, decided by a hash of its attributes alone."""
    return hashlib.sha256(picture.key.encode()).digest()[0] % HELD_OUT_SHARE == 0


def single(rng: random.Random) -> Composition:
    """One shape near the middle of a plain background."""
    colour, background = rng.sample(COLOURS, 2)
    size = rng.choice(SIZES)
    x, y = 0.5 + rng.uniform(-0.04, 0.04), 0.5 + rng.uniform(-0.04, 0.04)
    figure = Figure(rng.choice(SHAPES), colour, x, y, rng.uniform(*RADII[size]))
    return Composition((figure,), background, size, None)


def pair(rng: random.Random) -> Composition:
    """Two different shapes beside each other or one above the other."""
    background, *colours = rng.sample(COLOURS, 3)
    axis: Literal["across", "down"] = rng.choice(("across", "down"))
    figures = []
    for colour, middle in zip(colours, (0.27, 0.73), strict=True):
        along, other = middle + rng.uniform(-0.03, 0.03), 0.5 + rng.uniform(-0.04, 0.04)
        x, y = (along, other) if axis == "across" else (other, along)
        figures.append(Figure(rng.choice(SHAPES), colour, x, y, rng.uniform(*PAIR_RADII)))
    return Composition(tuple(figures), background, None, axis)


def scene(rng: random.Random) -> Scene:
    """A place at a time of day with what may be in its sky."""
    time = rng.choice(TIMES)
    likely = (
        {"moon": 0.6, "stars": 0.6, "clouds": 0.3}
        if time == "night"
        else {"sun": 0.6, "clouds": 0.45}
    )
    objects = tuple(name for name in OBJECTS if rng.random() < likely.get(name, 0))
    return Scene(rng.choice(KINDS), time, objects, rng.randrange(2**31))


MAKERS = {"single": single, "pair": pair, "scene": scene}


def sample(rng: random.Random, kind: str, unseen: bool = False) -> Picture:
    """A picture of one `kind` ("single", "pair", "scene"), from the trained or the held-out part."""
    while True:
        picture = MAKERS[kind](rng)
        if held_out(picture) == unseen:
            return picture
