"""Maps of words and sentences as SVG: each point where it lies, each label where no other one is."""

import html
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 400  # of a map, in its own units
EDGE = 22
TEXT = 13  # size of the letters
RADIUS = 3.5  # of a point
_ANGLES = tuple(
    math.radians(angle) for angle in (90, 270, 0, 180, 45, 135, 315, 225)
)  # above first
_FURTHEST = 140  # that a label may lie from its point
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of a map.

    Attributes:
        x, y: where, in any unit; y grows upwards.
        label: beside it.
        title: what a pointer over it says; "" for the label alone.
        colour: of the point, as CSS.
    """

    x: float
    y: float
    label: str
    title: str = ""
    colour: str = "var(--color-accent)"


def map_svg(marks: Sequence[Mark], name: str, *, to_scale: bool = False) -> str:
    """The points with their labels, as a drawing that scales with the page.

    Args:
        marks: at least one.
        name: what a screen reader says before the labels.
        to_scale: one unit is as long across as upwards; else both ways are filled.
    """
    height = 300 if len(marks) <= 16 else 420
    points = _places(marks, height, to_scale)
    boxes = label_boxes([mark.label for mark in marks], points, height)
    parts: list[str] = []
    lines: list[str] = []  # under all labels
    for mark, (x, y), (left, top, right, bottom) in zip(marks, points, boxes, strict=True):
        middle = (left + right) / 2
        near = (min(max(x, left), right), min(max(y, top), bottom))  # of the label's box
        if math.dist((x, y), near) > 3 * RADIUS:
            ends = f'x1="{x:.1f}" y1="{y:.1f}" x2="{near[0]:.1f}" y2="{near[1]:.1f}"'
            lines.append(f'<line style="stroke:var(--ink-soft);opacity:.5" {ends}/>')
        parts.append(
            f"<g><title>{html.escape(mark.title or mark.label)}</title>"
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}" fill="{mark.colour}"/>'
            f'<text x="{middle:.1f}" y="{bottom - 0.25 * TEXT:.1f}">{html.escape(mark.label)}</text></g>'
        )
    return (
        f'<svg class="word-map" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{html.escape(name)}: {html.escape(", ".join(m.title or m.label for m in marks))}" '
        f'style="display:block;width:100%;max-width:640px;margin:0 auto;font-size:{TEXT}px;'
        'fill:var(--ink);stroke:none;text-anchor:middle;background:var(--shade);border-radius:.4rem">'
        f'<g style="stroke-width:.7">{"".join([*lines, *parts])}</g></svg>'
    )


def _places(marks: Sequence[Mark], height: float, to_scale: bool) -> list[tuple[float, float]]:
    """The points within the drawing."""
    xs, ys = [mark.x for mark in marks], [mark.y for mark in marks]
    wide, high = max(xs) - min(xs), max(ys) - min(ys)
    room = (WIDTH - 2 * EDGE, height - 2 * EDGE)
    scales = [room[0] / max(wide, 1e-12), room[1] / max(high, 1e-12)]
    if to_scale:
        scales = [min(scales)] * 2
    middle = (min(xs) + wide / 2, min(ys) + high / 2)
    return [
        (
            WIDTH / 2 + (x - middle[0]) * scales[0] * (wide > 1e-12),
            height / 2 - (y - middle[1]) * scales[1] * (high > 1e-12),
        )
        for x, y in zip(xs, ys, strict=True)
    ]


def label_boxes(
    labels: Sequence[str], points: Sequence[tuple[float, float]], height: float
) -> list[Box]:
    """Where each label stands: as near to its point as it can without covering another label or point."""
    dots = [(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in points]
    boxes: list[Box] = []
    for label, point in zip(labels, points, strict=True):
        size = (_width(label), 1.1 * TEXT)
        best, least = (0.0, 0.0, 0.0, 0.0), math.inf
        for distance in range(0, _FURTHEST, 6):
            for angle in _ANGLES:
                box = _beside(point, size, angle, RADIUS + 1 + distance, height)
                overlap = sum(_overlap(box, other) for other in (*boxes, *dots))
                if overlap < least - 1e-9:
                    best, least = box, overlap
                if not overlap:
                    break
            if not least:
                break
        boxes.append(best)
    return boxes


def _width(label: str) -> float:
    """About how wide a label is: Hangul and the like are as wide as they are high."""
    if not label:
        return 0.0
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in label)
    return TEXT * (wide + 0.6 * (len(label) - wide)) + 2


def _beside(
    point: tuple[float, float],
    size: tuple[float, float],
    angle: float,
    distance: float,
    height: float,
) -> Box:
    """A box of a size at an angle from a point, pushed into the drawing where it would stand out."""
    across, up = math.cos(angle), math.sin(angle)
    x = point[0] + across * (distance + size[0] / 2)
    y = point[1] - up * (distance + size[1] / 2)
    x = min(max(x, size[0] / 2), WIDTH - size[0] / 2)
    y = min(max(y, size[1] / 2), height - size[1] / 2)
    return (x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2)


def _overlap(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0.0) * max(high, 0.0)
