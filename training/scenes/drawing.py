"""Draws scenes as pixels: sprites of Fluent Emoji Flat and shapes, pasted on backgrounds.

The icons come from npm and are no part of the repository. Into the data folder:

    npm pack @iconify-json/fluent-emoji-flat@1.2.6 emojibase-data@17
    for f in *.tgz; do mkdir -p ${f%.tgz} && tar xzf $f -C ${f%.tgz} --strip-components=1; done
"""

import io
import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

from training.scenes.backgrounds import paint
from training.scenes.things import all_things
from training.scenes.world import PALETTE, SHAPES, SIZES, Background, Scene

ICONS = "iconify-json-fluent-emoji-flat-*/icons.json"
SHAPE_BODIES = {
    "circle": '<circle cx="16" cy="16" r="14" fill="{}"/>',
    "square": '<rect x="3" y="3" width="26" height="26" fill="{}"/>',
    "triangle": '<path d="M16 3L30 29H2z" fill="{}"/>',
    "star": '<path d="M16 1.5l4.2 9.7 10.5 1-7.9 7 2.3 10.3L16 24.1 6.9 29.5l2.3-10.3-7.9-7 '
    '10.5-1z" fill="{}"/>',
    "heart": '<path d="M16 29C8 22.5 2 17 2 11a7.3 7.3 0 0 1 14-3 7.3 7.3 0 0 1 14 3c0 6-6 11.5-14 '
    '18z" fill="{}"/>',
    "diamond": '<path d="M16 1.5L28 16 16 30.5 4 16z" fill="{}"/>',
}


def read_icons(folder: Path) -> dict[str, str]:
    """The icons' bodies in SVG by name, from the data folder."""
    files = sorted(Path(folder).glob(ICONS))
    if not files:
        raise FileNotFoundError(f"no {ICONS} in {folder}: see the docstring of {__name__}")
    return {name: icon["body"] for name, icon in json.loads(files[-1].read_text())["icons"].items()}


def recolour(body: str, fills: tuple[str, ...], colour: str) -> str:
    """The icon with its changeable fills in another colour; their shading stays as it was."""
    base = _brightness(fills[0])
    for fill in fills:
        ratio = _brightness(fill) / base
        target = np.array(PALETTE[colour], dtype=float)
        shade = target * ratio if ratio <= 1 else 255 - (255 - target) / ratio
        if colour == "black" and ratio != 1:
            shade = target + (70 if ratio < 1 else 40)
        rgb = "".join(f"{int(value):02x}" for value in np.clip(shade, 0, 255))
        body = re.sub(f"#{fill}\\b", f"#{rgb}", body)
    return body


def _brightness(fill: str) -> float:
    red, green, blue = (int(fill[at : at + 2], 16) for at in (0, 2, 4))
    return 0.3 * red + 0.59 * green + 0.11 * blue


def rasterise(body: str, side: int) -> np.ndarray:
    """The icon as premultiplied RGBA, float32 from 0 to 1, (side, side, 4)."""
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="{side}" '
        f'height="{side}">{body}</svg>'
    )
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg))
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"), dtype=np.float32) / 255
    pixels = pixels.copy()
    pixels[..., :3] *= pixels[..., 3:]
    return pixels


@cache
def background_pixels(background: Background) -> np.ndarray:
    """The background alone, float32 from 0 to 1, (256, 256, 3); not to be written to."""
    return paint(background)


class Painter:
    """Draws scenes; every sprite is made once."""

    def __init__(self, icons: dict[str, str]) -> None:
        self._icons = icons
        self._sprites: dict[tuple[str, str | None, int], np.ndarray] = {}

    def sprite(self, key: str, colour: str | None, side: int) -> np.ndarray:
        """A thing or a shape as premultiplied RGBA, (side, side, 4)."""
        name = (key, colour, side)
        if name not in self._sprites:
            self._sprites[name] = rasterise(self._body(key, colour), side)
        return self._sprites[name]

    def _body(self, key: str, colour: str | None) -> str:
        if key in SHAPES:
            rgb = "#" + "".join(f"{value:02x}" for value in PALETTE[colour or "red"])
            return SHAPE_BODIES[key].format(rgb)
        thing = all_things()[key]
        body = self._icons[thing.icon]
        return recolour(body, thing.fills, colour) if colour and thing.fills else body

    def paste(self, canvas: np.ndarray, sprite: np.ndarray, x: int, y: int) -> None:
        """Blends a sprite into a canvas, cut at the edges."""
        height, width = canvas.shape[:2]
        side = sprite.shape[0]
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + side, width), min(y + side, height)
        if left >= right or top >= bottom:
            return
        part = sprite[top - y : bottom - y, left - x : right - x]
        below = canvas[top:bottom, left:right]
        below *= 1 - part[..., 3:]
        below += part[..., :3]

    def draw(self, scene: Scene) -> np.ndarray:
        """The scene as float32 from 0 to 1, (256, 256, 3)."""
        canvas = background_pixels(scene.background).copy()
        for item in scene.items:
            sprite = self.sprite(item.key, item.colour, SIZES[item.size])
            self.paste(canvas, sprite, item.x, item.y)
        return canvas


def as_bytes(pixels: np.ndarray) -> np.ndarray:
    """Floats from 0 to 1 as uint8."""
    return np.clip(np.rint(pixels * 255), 0, 255).astype(np.uint8)
