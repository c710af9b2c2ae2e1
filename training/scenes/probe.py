"""Reads a picture back into a scene, by comparing it with everything that can be drawn.

The world is finite and stands on a grid, so no network is needed: the background is the one that
most pixels agree with; a thing is the sprite, size and place that explain most of what is left.
"""

from dataclasses import dataclass, replace

import numpy as np

from training.scenes.drawing import Painter, background_pixels
from training.scenes.world import (
    CELL,
    SHAPES,
    SIDE,
    SIZES,
    Background,
    Item,
    Scene,
    all_backgrounds,
    colours_of,
)

SHRINK = 4  # pictures are compared at 64 px
AGREES = 0.1  # of the brightness: a pixel that differs less belongs to the background
MOST_ITEMS = 3
LEAST_GAIN = 2.5  # in squared brightness at 64 px: what a thing has to explain to count
LEAST_SHARE = 0.5  # of what is in its box: the soft edges of one thing are not read as a second one
SAME_LOOK = 0.15  # of the brightness, a pixel's mean: a red car is hardly told from a car


def shrunk(pixels: np.ndarray) -> np.ndarray:
    """The picture at a quarter of its side: means of 4 x 4 pixels."""
    side = pixels.shape[0] // SHRINK
    return pixels.reshape(side, SHRINK, side, SHRINK, -1).mean(axis=(1, 3))


@dataclass(frozen=True, slots=True)
class Reading:
    """A scene and the share of the picture's difference from its background that it explains."""

    scene: Scene
    fit: float


class Probe:
    """Reads pictures made of the things in `keys`, the shapes and the backgrounds."""

    def __init__(self, painter: Painter, keys: tuple[str, ...]) -> None:
        self._backgrounds = [
            (background, shrunk(background_pixels(background))) for background in all_backgrounds()
        ]
        self._names = [(key, colour) for key in (*keys, *SHAPES) for colour in colours_of(key)]
        self._own_colours = {key: self._own_colour(painter, key) for key in keys}
        self._sprites = {}
        for size, side in SIZES.items():
            pictures = [shrunk(painter.sprite(key, colour, side)) for key, colour in self._names]
            self._sprites[size] = np.stack(pictures).astype(np.float32)

    @staticmethod
    def _own_colour(painter: Painter, key: str) -> str | None:
        """The colour that a thing has of itself, where one is as good as the same."""
        own, others = painter.sprite(key, None, 128), {}
        for colour in colours_of(key)[1:]:
            square = (painter.sprite(key, colour, 128) - own)[..., :3] ** 2
            others[colour] = float(square.sum() / own[..., 3].sum()) ** 0.5
        nearest = min(others, key=others.__getitem__, default=None)
        return nearest if nearest and others[nearest] < SAME_LOOK else None

    def without_own_colours(self, scene: Scene) -> Scene:
        """The scene without the colours that its things have of themselves."""
        items = [
            replace(item, colour=None)
            if item.colour and item.colour == self._own_colours.get(item.key)
            else item
            for item in scene.items
        ]
        return replace(scene, items=tuple(items))

    def background(self, picture: np.ndarray) -> Background:
        """The background that most pixels of a shrunk picture agree with."""
        shares = []
        for background, pixels in self._backgrounds:
            error = np.abs(picture - pixels).max(axis=2)
            shares.append(((error < AGREES).mean() - error.mean() * 0.1, background))
        return max(shares, key=lambda pair: pair[0])[1]

    def read(self, pixels: np.ndarray) -> Reading:
        """The scene in a picture of floats from 0 to 1, (256, 256, 3)."""
        picture = shrunk(pixels).astype(np.float32)
        background = self.background(picture)
        canvas = shrunk(background_pixels(background)).astype(np.float32)
        whole = float(((picture - canvas) ** 2).sum())
        items: list[Item] = []
        for _ in range(MOST_ITEMS):
            gain, item, after = self._best(picture, canvas, items)
            if item is None or gain < LEAST_GAIN:
                break
            items.append(item)
            canvas = after
        left = float(((picture - canvas) ** 2).sum())
        items.sort(key=lambda item: (item.x, item.y))
        scene = self.without_own_colours(Scene(background, tuple(items)))
        return Reading(scene, 1 - left / max(whole, 1e-6))

    def _best(
        self, picture: np.ndarray, canvas: np.ndarray, items: list[Item]
    ) -> tuple[float, Item | None, np.ndarray]:
        """The thing that explains most of what the canvas does not show yet.

        No two things of a scene overlap, so what is left in the box of one that was read is its own
        soft edge.
        """
        best: tuple[float, Item | None, np.ndarray] = (0.0, None, canvas)
        error = ((picture - canvas) ** 2).sum(axis=2)
        best_fit: tuple[float, str, int, int, int] | None = None
        for size, side in SIZES.items():
            sprites, small = self._sprites[size], side // SHRINK
            for y in range(0, SIDE - side + 1, CELL):
                for x in range(0, SIDE - side + 1, CELL):
                    if any(_overlap((x, y, x + side, y + side), item.box) for item in items):
                        continue
                    rows = slice(y // SHRINK, y // SHRINK + small)
                    columns = slice(x // SHRINK, x // SHRINK + small)
                    here = float(error[rows, columns].sum())
                    if here <= max(best_fit[0] if best_fit else 0.0, LEAST_GAIN):
                        continue
                    below, part = canvas[rows, columns], picture[rows, columns]
                    attempt = below * (1 - sprites[..., 3:]) + sprites[..., :3]
                    gains = here - ((attempt - part) ** 2).sum(axis=(1, 2, 3))
                    index = int(gains.argmax())
                    if gains[index] < here * LEAST_SHARE:
                        continue
                    if best_fit is None or gains[index] > best_fit[0]:
                        best_fit = (float(gains[index]), size, index, x, y)
        if best_fit is None:
            return best
        gain, size, index, x, y = best_fit
        key, colour = self._names[index]
        after, small = canvas.copy(), SIZES[size] // SHRINK
        sprite = self._sprites[size][index]
        rows = slice(y // SHRINK, y // SHRINK + small)
        columns = slice(x // SHRINK, x // SHRINK + small)
        after[rows, columns] = after[rows, columns] * (1 - sprite[..., 3:]) + sprite[..., :3]
        return gain, Item(key, colour, size, x, y), after


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    """Whether two boxes (left, top, right, bottom) have pixels in common."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def in_order(scene: Scene) -> Scene:
    """The scene with its things from left to right, as the probe gives them."""
    return replace(scene, items=tuple(sorted(scene.items, key=lambda item: (item.x, item.y))))
