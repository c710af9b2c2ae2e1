"""Draws pictures of the world with PIL: four times too large, then averaged down to smooth edges."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from training.scenes.scenery import draw_scene
from training.scenes.world import PALETTE, Composition, Figure, Picture

SIDE = 64
OVERSAMPLING = 4


def star_points(points: int = 5, inner: float = 0.45) -> list[tuple[float, float]]:
    """Corners of a star of radius 1 around (0, 0), one tip up."""
    corners = []
    for index in range(points * 2):
        radius, angle = (1.0, inner)[index % 2], math.pi * index / points - math.pi / 2
        corners.append((radius * math.cos(angle), radius * math.sin(angle)))
    return corners


def heart_points(count: int = 60) -> list[tuple[float, float]]:
    """Corners of a heart of about radius 1 around (0, 0)."""
    corners = []
    for index in range(count):
        t = 2 * math.pi * index / count
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        corners.append((x / 16.5, -y / 16.5 - 0.12))
    return corners


OUTLINES = {
    "circle": [(math.cos(a * math.pi / 36), math.sin(a * math.pi / 36)) for a in range(72)],
    "square": [(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)],
    "triangle": [(0.0, -1.0), (1.0, 0.8), (-1.0, 0.8)],
    "star": [(1.12 * x, 1.12 * y + 0.06) for x, y in star_points()],
    "heart": heart_points(),
}


def draw_figure(canvas: ImageDraw.ImageDraw, figure: Figure, side: int) -> None:
    """Draws one shape on a canvas of `side` pixels."""
    corners = [
        (side * (figure.x + x * figure.radius), side * (figure.y + y * figure.radius))
        for x, y in OUTLINES[figure.shape]
    ]
    canvas.polygon(corners, fill=PALETTE[figure.colour])


def draw_composition(composition: Composition, side: int) -> Image.Image:
    """Draws shapes on their background on `side` pixels."""
    image = Image.new("RGB", (side, side), PALETTE[composition.background])
    canvas = ImageDraw.Draw(image)
    for figure in composition.figures:
        draw_figure(canvas, figure, side)
    return image


def draw(picture: Picture, side: int = SIDE) -> Image.Image:
    """The picture as RGB of `side` x `side` pixels; the same facts give the same pixels."""
    large = side * OVERSAMPLING
    if isinstance(picture, Composition):
        image = draw_composition(picture, large)
    else:
        image = draw_scene(picture, large)
    return image.reduce(OVERSAMPLING)


def draw_all(pictures: Sequence[Picture], side: int = SIDE) -> np.ndarray:
    """All pictures as uint8 of shape (count, side, side, 3)."""
    return np.stack([np.asarray(draw(picture, side)) for picture in pictures])
