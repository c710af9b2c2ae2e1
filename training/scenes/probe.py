"""Reads compositions back from pixels: background, figures, their colours, shapes, sizes, places.

The probe is told nothing but how the two shapes are said to lie; it finds figures as connected patches
that differ from the background and names each by the nearest palette colour and the likest outline.
"""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from training.scenes.drawing import OUTLINES
from training.scenes.world import COLOURS, PALETTE, RADII, SIZES, Composition

PATCH = 32
DIFFERS = 40.0  # RGB distance from the background that makes a pixel part of a figure
LEAST_AREA = 0.012  # of the picture; smaller patches are specks
_COLOURS = np.array([PALETTE[name] for name in COLOURS], dtype=float)


@dataclass(frozen=True, slots=True)
class Found:
    """One figure as the probe sees it; places and radius in parts of the side."""

    shape: str
    colour: str
    size: str
    x: float
    y: float


def nearest_colour(pixels: np.ndarray) -> str:
    """The palette's name for the median of pixels (count, 3)."""
    middle = np.median(pixels.reshape(-1, 3), axis=0)
    return COLOURS[int(np.linalg.norm(_COLOURS - middle, axis=1).argmin())]


def _filled(name: str) -> np.ndarray:
    """A shape's outline, fitted to a patch, as booleans of (PATCH, PATCH)."""
    corners = np.array(OUTLINES[name])
    low, high = corners.min(0), corners.max(0)
    image = Image.new("1", (PATCH * 4, PATCH * 4))
    fitted = (corners - low) / (high - low) * (PATCH * 4 - 1)
    ImageDraw.Draw(image).polygon([tuple(corner) for corner in fitted], fill=1)
    return np.asarray(image.convert("L").reduce(4)) > 127


TEMPLATES = {name: _filled(name) for name in OUTLINES}


def likest_shape(mask: np.ndarray) -> str:
    """The shape whose outline overlaps most with a mask cut to its box."""
    scaled = Image.fromarray(mask.astype(np.uint8) * 255).resize(
        (PATCH, PATCH), Image.Resampling.BILINEAR
    )
    patch = np.asarray(scaled) > 127

    def overlap(name: str) -> float:
        template = TEMPLATES[name]
        return (patch & template).sum() / (patch | template).sum()

    return max(TEMPLATES, key=overlap)


def size_of(height: int, width: int, shape: str, side: int) -> str:
    """The size whose usual radius is nearest to the figure's."""
    corners = np.array(OUTLINES[shape])
    extent = (corners.max(0) - corners.min(0)).mean()
    radius = (height + width) / 2 / side / extent
    return min(SIZES, key=lambda size: abs(np.mean(RADII[size]) - radius))


def background_of(pixels: np.ndarray) -> np.ndarray:
    """The median colour of the picture's outermost three pixels."""
    rim = np.ones(pixels.shape[:2], dtype=bool)
    rim[3:-3, 3:-3] = False
    return np.median(pixels[rim], axis=0)


def find_figures(pixels: np.ndarray) -> list[Found]:
    """All figures in a picture, uint8 (side, side, 3), the largest first."""
    side = pixels.shape[0]
    distance = np.linalg.norm(pixels.astype(float) - background_of(pixels), axis=2)
    labels, _ = ndimage.label(distance > DIFFERS)
    figures = []
    for index, box in enumerate(ndimage.find_objects(labels), 1):
        mask = labels[box] == index
        if mask.sum() < LEAST_AREA * side * side:
            continue
        inside = ndimage.binary_erosion(mask)
        colour = nearest_colour(pixels[box][inside if inside.any() else mask])
        shape = likest_shape(mask)
        size = size_of(*mask.shape, shape, side)
        y, x = ((part.start + part.stop) / 2 / side for part in box)
        figures.append((mask.sum(), Found(shape, colour, size, x, y)))
    return [found for _, found in sorted(figures, key=lambda pair: -pair[0])]


def in_order(first: Found, second: Found, axis: str) -> bool:
    """Whether `first` lies left of (or above) `second`, and mainly so."""
    across, down = second.x - first.x, second.y - first.y
    along, other = (across, down) if axis == "across" else (down, across)
    return along > 0.1 and along > abs(other)


def score(pixels: np.ndarray, asked: Composition, has_size: bool = True) -> dict[str, list[bool]]:
    """Which attributes of `asked` the picture shows: name to one verdict for each figure or picture."""
    found = find_figures(pixels)
    ground = nearest_colour(background_of(pixels))
    count = len(asked.figures)
    verdicts = {"background": [ground == asked.background], "count": [len(found) == count]}
    if len(found) < count:
        missing = [False] * count
        verdicts |= {"colour": missing, "shape": missing}
        return verdicts | {"relation" if count == 2 else "size": [False]}

    def agreement(order: tuple[Found, ...]) -> int:
        pairs = zip(order, asked.figures, strict=True)
        return sum((f.colour == a.colour) * 2 + (f.shape == a.shape) for f, a in pairs)

    matched = max(permutations(found[:count]), key=agreement)
    pairs = list(zip(matched, asked.figures, strict=True))
    verdicts["colour"] = [f.colour == a.colour for f, a in pairs]
    verdicts["shape"] = [f.shape == a.shape for f, a in pairs]
    if asked.axis:
        verdicts["relation"] = [in_order(matched[0], matched[1], asked.axis)]
    elif has_size:
        verdicts["size"] = [matched[0].size == asked.size]
    return verdicts
