"""Draws the scenes: a sky for the time of day, what is in it, and the place in front."""

import random

from PIL import Image

from training.scenes.sky import LIGHTS, WINDOW, Colour, Painter, draw_sky
from training.scenes.world import Scene

NEON = ((60, 230, 240), (255, 80, 190), (150, 250, 120))


def windows(paint: Painter, x0: float, x1: float, top: float, bottom: float) -> None:
    """Lit windows in a regular grid, some of them dark."""
    step = 1 / 22
    y = top + step * 0.7
    while y < bottom - step * 0.6:
        x = x0 + step * 0.5
        while x < x1 - step * 0.6:
            if paint.rng.random() < paint.light.lit:
                paint.box(x, y, x + step * 0.5, y + step * 0.5, WINDOW)
            x += step
        y += step


def city(paint: Painter) -> None:
    """Blocks of different heights with windows, a paler row behind."""
    rng = paint.rng
    for colour, low, high in (((150, 158, 178), 0.42, 0.6), ((84, 92, 116), 0.5, 0.76)):
        x = -rng.uniform(0, 0.1)
        while x < 1:
            width, top = rng.uniform(0.11, 0.19), rng.uniform(low, high)
            paint.box(x, top, x + width, 1, paint.tinted(colour))
            if low > 0.45:
                windows(paint, x, x + width, top, 0.96)
            x += width + (0.012 if low > 0.45 else 0.0)


def flying_car(paint: Painter, x: float, y: float, heading: int) -> None:
    """A small rounded car with a cabin, a lamp and a trail of light behind it."""
    body = paint.rng.choice(((232, 62, 70), (250, 196, 50), (240, 244, 250), (60, 210, 220)))
    tail = x - heading * 0.07
    paint.shape([(tail, y - 0.012), (tail, y + 0.016), (tail - heading * 0.1, y)], (255, 190, 90))
    paint.oval(x, y - 0.025, 0.04, 0.032, (200, 236, 250))
    paint.oval(x, y, 0.08, 0.03, body)


def future(paint: Painter) -> None:
    """Slim towers with domes, needles and neon, and three flying cars between them."""
    rng = paint.rng
    for index in range(6):
        x = (index + 0.5) / 6 + rng.uniform(-0.03, 0.03)
        half, top = rng.uniform(0.05, 0.08), rng.uniform(0.44, 0.7)
        wall = paint.tinted(rng.choice(((92, 84, 150), (70, 104, 150), (116, 96, 160))))
        if rng.random() < 0.5:
            paint.oval(x, top, half, half * 1.3, wall)
        else:
            paint.shape([(x - half, top), (x, top - 0.16), (x + half, top)], wall)
        paint.box(x - half, top, x + half, 1, wall)
        glow = rng.choice(NEON)
        paint.box(x - 0.012, top + 0.05, x + 0.012, 0.97, glow)
        if rng.random() < 0.6:
            paint.oval(x, top + 0.07, half * 1.5, 0.02, glow)
    for x, y in zip((0.22, 0.5, 0.78), rng.sample((0.34, 0.46, 0.6), 3), strict=True):
        flying_car(
            paint, x + rng.uniform(-0.05, 0.05), y + rng.uniform(-0.02, 0.02), rng.choice((-1, 1))
        )


def mountains(paint: Painter) -> None:
    """Two rows of peaks, the front one with snow, and a strip of meadow."""
    rng = paint.rng
    far, near = paint.tinted((146, 160, 196)), paint.tinted((98, 108, 138))
    for x in (0.05, 0.38, 0.7, 1.0):
        x, top = x + rng.uniform(-0.06, 0.06), rng.uniform(0.48, 0.58)
        paint.shape([(x - 0.32, 0.95), (x, top), (x + 0.32, 0.95)], far)
    for x in (0.22, 0.72):
        x, top, half = x + rng.uniform(-0.08, 0.08), rng.uniform(0.44, 0.54), 0.36
        paint.shape([(x - half, 0.95), (x, top), (x + half, 0.95)], near)
        cap, slope = 0.13, half / (0.95 - top)
        left, right = (x - cap * slope, top + cap), (x + cap * slope, top + cap)
        notch = [(x + 0.05, top + cap * 0.75), (x, top + cap * 1.1), (x - 0.05, top + cap * 0.75)]
        paint.shape([left, (x, top), right, *notch], paint.tinted((252, 252, 255)))
    paint.box(0, 0.88, 1, 1, paint.tinted((86, 150, 84)))


def sea(paint: Painter) -> None:
    """Water up to the horizon with a few waves, and a boat with two sails."""
    rng, horizon = paint.rng, 0.6
    water = paint.tinted((40, 112, 186))
    crest = tuple(min(255, c + 34) for c in water)
    paint.box(0, horizon, 1, 1, water)
    for _ in range(9):
        x, y = rng.uniform(0, 0.9), rng.uniform(horizon + 0.05, 0.97)
        paint.box(x, y, x + rng.uniform(0.08, 0.16), y + 0.014, crest)
    x, y = rng.uniform(0.3, 0.7), rng.uniform(0.7, 0.78)
    hull, sail = paint.tinted((150, 70, 40)), paint.tinted((255, 250, 240))
    paint.shape([(x - 0.17, y), (x + 0.17, y), (x + 0.1, y + 0.075), (x - 0.11, y + 0.075)], hull)
    paint.shape([(x - 0.012, y - 0.02), (x - 0.012, y - 0.34), (x - 0.15, y - 0.02)], sail)
    paint.shape([(x + 0.012, y - 0.02), (x + 0.012, y - 0.28), (x + 0.13, y - 0.02)], sail)


def pine(paint: Painter, x: float, base: float, height: float, colour: Colour) -> None:
    """A fir of three tiers on a trunk."""
    paint.box(x - 0.016, base - height * 0.2, x + 0.016, base, paint.tinted((104, 70, 44)))
    for tier in range(3):
        top = base - height + tier * height * 0.22
        half = height * (0.17 + 0.07 * tier)
        paint.shape(
            [(x - half, top + height * 0.38), (x, top), (x + half, top + height * 0.38)], colour
        )


def forest(paint: Painter) -> None:
    """Two rows of firs on a dark floor."""
    rng = paint.rng
    paint.box(0, 0.74, 1, 1, paint.tinted((62, 116, 62)))
    for count, base, green in ((7, 0.82, (72, 138, 84)), (6, 0.97, (34, 98, 54))):
        for index in range(count):
            x = (index + 0.5) / count + rng.uniform(-0.03, 0.03)
            pine(
                paint,
                x,
                base + rng.uniform(-0.02, 0.02),
                rng.uniform(0.34, 0.46),
                paint.tinted(green),
            )


def cactus(paint: Painter, x: float, base: float, height: float) -> None:
    """A column with an arm on each side."""
    green, thick = paint.tinted((48, 134, 70)), height * 0.11
    paint.box(x - thick, base - height, x + thick, base, green)
    paint.oval(x, base - height, thick, thick, green)
    for side, elbow, tip in ((-1, 0.4, 0.72), (1, 0.52, 0.84)):
        arm = x + side * thick * 2.7
        left, right = min(x, arm - thick * 0.7), max(x, arm + thick * 0.7)
        paint.box(
            left, base - height * elbow - thick, right, base - height * elbow + thick * 0.5, green
        )
        paint.box(
            arm - thick * 0.75,
            base - height * tip,
            arm + thick * 0.75,
            base - height * elbow,
            green,
        )


def desert(paint: Painter) -> None:
    """Two dunes and two cactuses."""
    rng = paint.rng
    paint.box(0, 0.66, 1, 1, paint.tinted((228, 184, 112)))
    for x, y, colour in ((0.75, 0.72, (238, 200, 132)), (0.2, 0.98, (214, 164, 92))):
        paint.oval(x + rng.uniform(-0.1, 0.1), y, 0.5, 0.15, paint.tinted(colour))
    first = rng.choice((0.27, 0.7))
    cactus(
        paint, first + rng.uniform(-0.05, 0.05), rng.uniform(0.88, 0.95), rng.uniform(0.38, 0.46)
    )
    cactus(paint, 0.97 - first + rng.uniform(-0.05, 0.05), 0.8, rng.uniform(0.2, 0.27))


def field(paint: Painter) -> None:
    """A meadow with a house under a red roof between round trees."""
    rng = paint.rng
    paint.box(0, 0.72, 1, 1, paint.tinted((124, 186, 86)))
    paint.oval(rng.uniform(0.2, 0.8), 0.76, 0.6, 0.12, paint.tinted((142, 202, 98)))
    house = rng.choice((0.32, 0.5, 0.68)) + rng.uniform(-0.03, 0.03)
    for tree in (house - 0.3, house + 0.3, house + rng.choice((-0.46, 0.46))):
        tree, size = tree + rng.uniform(-0.02, 0.02), rng.uniform(0.085, 0.11)
        paint.box(tree - 0.018, 0.66, tree + 0.018, 0.84, paint.tinted((110, 74, 46)))
        paint.oval(tree, 0.62, size, size * 1.15, paint.tinted((52, 132, 64)))
    paint.box(house - 0.14, 0.62, house + 0.14, 0.86, paint.tinted((248, 234, 208)))
    roof = [(house - 0.18, 0.62), (house, 0.46), (house + 0.18, 0.62)]
    paint.shape(roof, paint.tinted((206, 66, 54)))
    paint.box(house - 0.035, 0.73, house + 0.035, 0.86, paint.tinted((126, 82, 52)))
    pane = WINDOW if paint.light.lit > 0.3 else paint.tinted((150, 206, 236))
    for x in (house - 0.09, house + 0.09):
        paint.box(x - 0.025, 0.67, x + 0.025, 0.72, pane)


PLACES = {
    "city": city,
    "future": future,
    "mountains": mountains,
    "sea": sea,
    "forest": forest,
    "desert": desert,
    "field": field,
}


def draw_scene(scene: Scene, side: int) -> Image.Image:
    """Draws a scene on `side` pixels."""
    rng = random.Random(scene.variation)
    paint = Painter(side, LIGHTS[scene.time], rng)
    draw_sky(paint, scene)
    PLACES[scene.kind](paint)
    return paint.image
