"""Picture files: PNGs that carry their settings, pictures that people hand in, thumbnails, contact sheets.

A PNG's settings are in the text chunk that other tools read; picture_notes reads it and theirs. It is
named `parameters` and has AUTOMATIC1111's three parts: the prompt, "Negative prompt: ..." (absent if
empty), and one line of "Key: value" joined by ", ".
Source: github.com/AUTOMATIC1111/stable-diffusion-webui, modules/infotext_utils.py.
"""

import io
import json
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps
from PIL.PngImagePlugin import PngInfo

from models.errors import InvalidInput
from models.text_to_image.events import CellDone

# ---------------------------------------------------------------- settings written into a PNG

_CHUNK = "parameters"

_NEGATIVE = "Negative prompt:"

# diffusers' scheduler classes by the names of AUTOMATIC1111's samplers.
_SAMPLERS = {
    "DDIMScheduler": "DDIM",
    "DPMSolverMultistepScheduler": "DPM++ 2M",
    "DPMSolverSinglestepScheduler": "DPM++ 2S",
    "EulerAncestralDiscreteScheduler": "Euler a",
    "EulerDiscreteScheduler": "Euler",
    "FlowMatchEulerDiscreteScheduler": "Euler",
    "HeunDiscreteScheduler": "Heun",
    "LCMScheduler": "LCM",
    "LMSDiscreteScheduler": "LMS",
    "PNDMScheduler": "PLMS",
    "UniPCMultistepScheduler": "UniPC",
}


def sampler_name(scheduler: str, config: Mapping[str, object]) -> str:
    """AUTOMATIC1111's name for a diffusers scheduler class with its configuration."""
    name = _SAMPLERS.get(scheduler, scheduler.removesuffix("Scheduler"))
    if str(config.get("algorithm_type", "")).startswith("sde-"):
        name += " SDE"
    return f"{name} Karras" if config.get("use_karras_sigmas") else name


def format_parameters(prompt: str, negative_prompt: str, values: Mapping[str, object]) -> str:
    """The text of a chunk.

    Args:
        prompt: may have several lines.
        negative_prompt: blank for none.
        values: "Steps", "Sampler", "CFG scale", "Seed", "Size", "Model" ..., in the order in which
            they are written; None is not written.
    """
    lines = [prompt.strip()]
    if negative_prompt.strip():
        lines.append(f"{_NEGATIVE} {negative_prompt.strip()}")
    lines.append(", ".join(f"{k}: {_quote(v)}" for k, v in values.items() if v is not None))
    return "\n".join(lines).replace("\0", "")


def _quote(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if set(text) & set(",:\n") else text


def encode_png(image: Image.Image, parameters: str) -> bytes:
    """A PNG file with the text in its chunk."""
    info = PngInfo()
    info.add_text(_CHUNK, parameters)
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=info)
    return file.getvalue()


# ---------------------------------------------------------------- pictures that people hand in

_BYTES_LIMIT = 30_000_000
_PIXELS_LIMIT = 40_000_000  # a decompression bomb has far more, in a few kilobytes
_COMPACT_BYTES = 40_000
_FORMATS = ("PNG", "JPEG", "WEBP")


def read_picture(data: bytes) -> Image.Image:
    """The picture in a PNG, JPEG or WebP file: upright, RGB, transparent pixels in white.

    Its text chunks are in `info`.

    Raises:
        InvalidInput: the file is damaged or of another format (invalid_picture); the picture is too
            large (invalid_picture_large), which its header says before anything is unpacked.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError:
        raise InvalidInput("invalid_picture_large", limit=_PIXELS_LIMIT // 1_000_000) from None
    except Exception:  # a decoder may raise anything on broken bytes
        raise InvalidInput("invalid_picture") from None
    if len(data) > _BYTES_LIMIT or picture.width * picture.height > _PIXELS_LIMIT:
        raise InvalidInput("invalid_picture_large", limit=_PIXELS_LIMIT // 1_000_000)
    try:
        picture.load()
        upright = _as_rgba(ImageOps.exif_transpose(picture))
    except Exception:
        raise InvalidInput("invalid_picture") from None
    plain = Image.new("RGB", upright.size, "white")
    plain.paste(upright, mask=upright.getchannel("A"))
    plain.info = dict(picture.info)
    return plain


def _as_rgba(picture: Image.Image) -> Image.Image:
    """The picture in 8 bits a colour. Pillow cuts greys of 16 bits off at 255 where they need scaling."""
    if picture.mode.startswith("I"):
        tones = np.asarray(picture.convert("I"))
        grey = Image.fromarray((tones / 257).round().clip(0, 255).astype(np.uint8))
        rgba = grey.convert("RGBA")
        clear = picture.info.get("transparency")  # the one tone that is transparent
        if isinstance(clear, int):
            rgba.putalpha(Image.fromarray(np.where(tones == clear, 0, 255).astype(np.uint8)))
        return rgba
    if picture.mode == "CMYK":
        return picture.convert("RGB").convert("RGBA")
    return picture.convert("RGBA")


def crop_to_size(data: bytes, width: int, height: int) -> Image.Image:
    """The picture in a file, cropped around its middle to the proportions and scaled to the size."""
    return ImageOps.fit(read_picture(data), (width, height), Image.Resampling.LANCZOS)


def compact_start_picture(data: bytes, width: int, height: int) -> tuple[str, bytes]:
    """A start picture as a drawing of that size uses it, small enough for a browser's storage.

    Returns:
        Its media type and a file: a PNG, from which a drawing is the very same; or, if that has over
        `_COMPACT_BYTES` bytes, a WebP, from which it looks the same.
    """
    picture = crop_to_size(data, width, height)
    png, webp = io.BytesIO(), io.BytesIO()
    picture.save(png, "PNG")
    if png.tell() <= _COMPACT_BYTES:
        return "image/png", png.getvalue()
    picture.save(webp, "WEBP", quality=85)
    return "image/webp", webp.getvalue()


# ---------------------------------------------------------------- thumbnails and contact sheets

_CELL_SIDE = 128  # pixels of a cell at least: smaller pictures are enlarged by a whole factor
_GAP, _TEXT, _MARGIN = 8, 16, 96


def thumbnail(image: bytes, side: int) -> bytes:
    """A small JPEG of a picture that this program made, at most `side` pixels wide and high."""
    with Image.open(io.BytesIO(image)) as picture:
        small = picture.convert("RGB")
    small.thumbnail((side, side))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80)
    return file.getvalue()


def small_webp(image: bytes, side: int = 256, quality: int = 85) -> bytes:
    """A WebP of a picture that this program made, at most `side` pixels wide and high."""
    with Image.open(io.BytesIO(image)) as picture:
        small = picture.convert("RGB")
    small.thumbnail((side, side))
    file = io.BytesIO()
    small.save(file, "WEBP", quality=quality, method=4)
    return file.getvalue()


def share_changed(one: bytes, other: bytes, least: int = 24) -> float:
    """The share of pixels that differ by `least` of 255 or more in a colour; both pictures of one size."""
    pictures = [Image.open(io.BytesIO(file)).convert("RGB") for file in (one, other)]
    apart = ImageChops.difference(*pictures)
    strongest = ImageChops.lighter(ImageChops.lighter(*apart.split()[:2]), apart.split()[2])
    counts = strongest.histogram()
    return sum(counts[least:]) / sum(counts)


def contact_sheet(
    cells: Sequence[CellDone], columns: Sequence[str], rows: Sequence[str], parameters: str
) -> bytes:
    """The finished cells of a grid at their places as one PNG, with the axes written on it.

    Args:
        cells: at least one.
        columns: the text above each column; "" for none.
        rows: the text beside each row; "" for none.
        parameters: for the PNG's chunk.
    """
    pictures = {
        (cell.row, cell.column): read_picture(cell.image) for cell in cells if not cell.flagged
    }
    wide, high = next(iter(pictures.values())).size if pictures else (_CELL_SIDE, _CELL_SIDE)
    factor = max(1, -(-_CELL_SIDE // max(wide, high)))
    wide, high = wide * factor, high * factor
    left, top = (_MARGIN if any(rows) else _GAP), (_TEXT * 2 if any(columns) else _GAP)
    size = (left + len(columns) * (wide + _GAP), top + len(rows) * (high + _GAP))
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT)
    for k, text in enumerate(columns):
        middle = left + k * (wide + _GAP) + wide / 2
        pen.text((middle, top / 2), text, "black", font, anchor="mm")
    for k, text in enumerate(rows):
        pen.text((_GAP, top + k * (high + _GAP) + high / 2), text, "black", font, anchor="lm")
    for (row, column), picture in pictures.items():
        place = (left + column * (wide + _GAP), top + row * (high + _GAP))
        sheet.paste(picture.resize((wide, high), Image.Resampling.NEAREST), place)
    return encode_png(sheet, parameters)
