"""The painter of the scenes, the light of each time of day, and what can be in the sky."""

import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from training.scenes.world import Scene

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Light:
    """A time of day: the sky from top to horizon, the tint of the land, sun and cloud colours."""

    top: Colour
    horizon: Colour
    tint: tuple[float, float, float]
    sun: Colour
    cloud: Colour
    lit: float  # share of windows with a light


LIGHTS = {
    "day": Light(
        (74, 160, 232), (190, 228, 250), (1.0, 1.0, 1.0), (255, 222, 60), (252, 252, 252), 0.1
    ),
    "sunset": Light(
        (92, 48, 128), (255, 138, 52), (0.78, 0.55, 0.55), (255, 226, 92), (232, 108, 112), 0.45
    ),
    "dawn": Light(
        (150, 170, 226), (255, 214, 206), (0.86, 0.8, 0.92), (255, 246, 196), (255, 236, 240), 0.2
    ),
    "night": Light(
        (10, 14, 46), (36, 46, 104), (0.42, 0.46, 0.68), (255, 222, 60), (74, 82, 128), 0.55
    ),
}
WINDOW = (255, 224, 120)
MOON = (246, 242, 214)


class Painter:
    """A canvas whose coordinates run from 0 to 1, in the light of one time of day."""

    def __init__(self, side: int, light: Light, rng: random.Random) -> None:
        ramp = np.linspace(0, 1, side)[:, None] ** 1.2
        rows = np.asarray(light.top) * (1 - ramp) + np.asarray(light.horizon) * ramp
        pixels = np.repeat(rows[:, None, :].round().astype(np.uint8), side, axis=1)
        self.image = Image.fromarray(pixels)
        self._canvas = ImageDraw.Draw(self.image)
        self._side, self.light, self.rng = side, light, rng

    def tinted(self, colour: Colour) -> Colour:
        """The colour as it looks in this light."""
        red, green, blue = (round(c * t) for c, t in zip(colour, self.light.tint, strict=True))
        return red, green, blue

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """An upright rectangle."""
        s = self._side
        self._canvas.rectangle((x0 * s, y0 * s, x1 * s - 1, y1 * s - 1), fill=colour)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """An ellipse around (x, y)."""
        s = self._side
        self._canvas.ellipse(((x - rx) * s, (y - ry) * s, (x + rx) * s, (y + ry) * s), fill=colour)

    def shape(self, corners: list[tuple[float, float]], colour: Colour) -> None:
        """A filled polygon."""
        self._canvas.polygon([(x * self._side, y * self._side) for x, y in corners], fill=colour)


def draw_sun(paint: Painter, time: str, x: float) -> None:
    """The sun: high and small by day, low and large at the ends of it."""
    y, radius = (0.17, 0.085) if time == "day" else (0.28, 0.105)
    paint.oval(x, y + paint.rng.uniform(-0.03, 0.03), radius, radius, paint.light.sun)


def draw_moon(paint: Painter, x: float) -> None:
    """A full moon or a crescent."""
    y, radius = paint.rng.uniform(0.15, 0.21), 0.085
    paint.oval(x, y, radius, radius, MOON)
    if paint.rng.random() < 0.5:
        paint.oval(x + 0.05, y - 0.025, radius * 0.85, radius * 0.85, (14, 18, 54))


def draw_stars(paint: Painter) -> None:
    """A dozen small stars spread over the upper sky, none two in one cell."""
    cells = [(column, row) for column in range(6) for row in range(3)]
    for column, row in paint.rng.sample(cells, 11):
        x = (column + paint.rng.uniform(0.2, 0.8)) / 6
        y = 0.02 + (row + paint.rng.uniform(0.15, 0.85)) * 0.13
        radius = paint.rng.uniform(0.011, 0.016)
        paint.oval(x, y, radius, radius, (255, 252, 226))


def draw_clouds(paint: Painter, away_from: float | None) -> None:
    """Two clouds of three puffs; they leave the sun or the moon in sight."""
    places = [0.2, 0.5, 0.8]
    if away_from is not None:
        places.remove(min(places, key=lambda place: abs(place - away_from)))
    for x in paint.rng.sample(places, 2):
        x, y = x + paint.rng.uniform(-0.04, 0.04), paint.rng.uniform(0.1, 0.26)
        for dx, dy, radius in ((-0.07, 0.012, 0.045), (0.0, -0.01, 0.06), (0.07, 0.012, 0.045)):
            paint.oval(x + dx, y + dy, radius * 1.25, radius * 0.8, paint.light.cloud)


def draw_sky(paint: Painter, scene: Scene) -> None:
    """Everything above the land that the scene names."""
    lamp = paint.rng.choice((0.2, 0.5, 0.8)) + paint.rng.uniform(-0.03, 0.03)
    if "stars" in scene.objects:
        draw_stars(paint)
    if "sun" in scene.objects:
        draw_sun(paint, scene.time, lamp)
    if "moon" in scene.objects:
        draw_moon(paint, lamp)
    if "clouds" in scene.objects:
        draw_clouds(paint, lamp if {"sun", "moon"} & set(scene.objects) else None)
