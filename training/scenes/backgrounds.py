"""Paints the backgrounds: plain colours, skies over grounds with their horizon at 192, the sea floor.

Flat, with few edges, and the same at every drawing, so that the autoencoder spends itself on things.
"""

import io

import numpy as np
import resvg_py
from PIL import Image

from training.scenes.world import HORIZON, PALETTE, SIDE, UNDER_WATER, Background

SKY_COLOURS = {
    "day": ("#7fc3f7", "#cfeafd"),
    "sunset": ("#6b3f8f", "#ff9a62"),
    "night": ("#0d1330", "#27306a"),
    "rain": ("#7d8894", "#aab4be"),
}
GROUND_COLOURS = {
    "grass": "#62b246",
    "beach": "#f0dba6",
    "desert": "#e8c07c",
    "sea": "#2f7fc9",
    "snow": "#f3f7fb",
    "city": "#6a6f7a",
    "forest": "#4f9440",
    "hill": "#62b246",
    "moon": "#a9abb3",
}
SHADE = {"day": 1.0, "sunset": 0.85, "night": 0.55, "rain": 0.8}  # light on the ground
STARS = ((20, 22), (76, 12), (118, 44), (168, 20), (228, 40), (42, 84), (204, 92), (140, 108))
TOWERS = (
    (0, 40, 120),
    (40, 28, 84),
    (68, 44, 136),
    (112, 32, 100),
    (144, 44, 72),
    (188, 28, 128),
    (216, 40, 96),
)  # left, width, top
FIRS = range(-8, SIDE + 16, 32)
DROPS = [(x, y) for y in range(8, HORIZON, 32) for x in range(8 + y % 64 // 2, SIDE, 32)]


def _shade(colour: str, light: float) -> str:
    values = (int(int(colour[at : at + 2], 16) * light) for at in (1, 3, 5))
    return "#" + "".join(f"{value:02x}" for value in values)


def _mix(first: str, second: str, share: float) -> str:
    pairs = ((int(first[at : at + 2], 16), int(second[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{int(a * (1 - share) + b * share):02x}" for a, b in pairs)


def _sky(sky: str) -> str:
    upper, lower = SKY_COLOURS[sky]
    body = (
        f'<defs><linearGradient id="g" x1="0" y1="0" x2="0" y2="1"><stop offset="0" '
        f'stop-color="{upper}"/><stop offset="1" stop-color="{lower}"/></linearGradient></defs>'
        f'<rect width="{SIDE}" height="{HORIZON}" fill="url(#g)"/>'
    )
    if sky == "night":
        body += "".join(f'<circle cx="{x}" cy="{y}" r="2" fill="#fdf6d0"/>' for x, y in STARS)
    if sky == "rain":
        body += "".join(
            f'<path d="M{x} {y}l-5 14" stroke="#dfe8f0" stroke-width="2.4"/>' for x, y in DROPS
        )
    return body


def _ground(sky: str, ground: str) -> str:
    light = SHADE[sky]
    colour = _shade(GROUND_COLOURS[ground], light)
    low = f'<rect y="{HORIZON}" width="{SIDE}" height="{SIDE - HORIZON}" fill="{colour}"/>'
    haze = SKY_COLOURS[sky][1]
    if ground == "city":
        wall = _mix(_shade("#5d6b86", light), haze, 0.35)
        towers = "".join(
            f'<rect x="{x}" y="{top}" width="{width}" height="{HORIZON - top}" fill="{tint}"/>'
            for (x, width, top), tint in zip(
                TOWERS, (wall, _mix(wall, haze, 0.3)) * len(TOWERS), strict=False
            )
        )
        lines = "".join(
            f'<rect x="{x}" y="222" width="32" height="4" fill="{_shade("#e8e8e8", light)}"/>'
            for x in range(16, SIDE, 64)
        )
        return towers + low + lines
    if ground == "forest":
        needle = _mix(_shade("#2f6b3a", light), haze, 0.15)
        firs = "".join(
            f'<path d="M{x} {HORIZON}l24 -{96 if x % 64 else 76}l24 {96 if x % 64 else 76}z" '
            f'fill="{needle if x % 64 else _mix(needle, haze, 0.2)}"/>'
            for x in FIRS
        )
        return firs + low
    if ground == "hill":
        slope = f'<path d="M-40 {HORIZON}Q128 96 296 {HORIZON}z" fill="{colour}"/>'
        return slope + low
    if ground == "moon":
        crater = _shade("#8d9099", light)
        holes = ((40, 216, 22), (136, 236, 30), (216, 210, 18))
        return low + "".join(
            f'<ellipse cx="{x}" cy="{y}" rx="{r}" ry="{r * 0.32}" fill="{crater}"/>'
            for x, y, r in holes
        )
    if ground == "beach":
        water = _shade(GROUND_COLOURS["sea"], light)
        return low + f'<rect y="{HORIZON}" width="{SIDE}" height="16" fill="{water}"/>'
    if ground == "desert":
        dune = _mix(colour, haze, 0.25)
        return (
            f'<path d="M-20 {HORIZON}Q50 150 128 {HORIZON}Q200 160 276 {HORIZON}z" fill="{dune}"/>'
            + low
        )
    if ground == "sea":
        foam = _shade("#6fb1ea", light)
        return low + "".join(
            f'<path d="M{x} {y}q8 -6 16 0t16 0" stroke="{foam}" stroke-width="3" fill="none"/>'
            for x, y in ((16, 212), (112, 212), (208, 212), (64, 238), (160, 238))
        )
    return low


def _under_water() -> str:
    bubbles = ((36, 60, 7), (48, 36, 4), (214, 92, 8), (204, 66, 4), (128, 24, 5))
    return (
        '<defs><linearGradient id="g" x1="0" y1="0" x2="0" y2="1"><stop offset="0" '
        'stop-color="#3fa9e0"/><stop offset="1" stop-color="#155a9c"/></linearGradient></defs>'
        f'<rect width="{SIDE}" height="{SIDE}" fill="url(#g)"/>'
        f'<rect y="224" width="{SIDE}" height="32" fill="#c9b27a"/>'
        + "".join(
            f'<circle cx="{x}" cy="{y}" r="{r}" fill="none" stroke="#bfe6fa" stroke-width="2"/>'
            for x, y, r in bubbles
        )
    )


def paint(background: Background) -> np.ndarray:
    """The background alone, float32 from 0 to 1, (256, 256, 3)."""
    if background.colour:
        rgb = np.array(PALETTE[background.colour], dtype=np.float32) / 255
        return np.broadcast_to(rgb, (SIDE, SIDE, 3)).copy()
    if background.ground == UNDER_WATER:
        body = _under_water()
    else:
        sky, ground = background.sky or "day", background.ground or "grass"
        body = _sky(sky) + _ground(sky, ground)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIDE}" height="{SIDE}">{body}</svg>'
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.float32) / 255
