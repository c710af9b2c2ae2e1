"""A picture that somebody hands in: opened with care, whatever it is."""

import io
import warnings

from PIL import Image, ImageOps

from models.errors import InvalidInput

MAX_BYTES = 30_000_000
MAX_PIXELS = 40_000_000  # a decompression bomb has far more, in a few kilobytes
MOST_KEPT = 40_000
_KINDS = ("PNG", "JPEG", "WEBP")


def opened(data: bytes) -> Image.Image:
    """The picture in a PNG, JPEG or WebP file, upright, RGB, what is transparent as white.

    Its text chunks are in `info`.

    Raises:
        InvalidInput: damaged, or no such file (invalid_picture); too large (invalid_picture_large),
            seen from its header, before anything is unpacked.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=_KINDS)
    except Image.DecompressionBombError:
        raise InvalidInput("invalid_picture_large", limit=MAX_PIXELS // 1_000_000) from None
    except Exception:  # of broken bytes a decoder may raise anything
        raise InvalidInput("invalid_picture") from None
    if len(data) > MAX_BYTES or picture.width * picture.height > MAX_PIXELS:
        raise InvalidInput("invalid_picture_large", limit=MAX_PIXELS // 1_000_000)
    try:
        picture.load()
        upright = ImageOps.exif_transpose(picture).convert("RGBA")
    except Exception:
        raise InvalidInput("invalid_picture") from None
    plain = Image.new("RGB", upright.size, "white")
    plain.paste(upright, mask=upright.getchannel("A"))
    plain.info = dict(picture.info)
    return plain


def kept(data: bytes, width: int, height: int) -> tuple[str, bytes]:
    """The picture as a drawing of that size starts from it, small enough to be kept.

    Returns:
        Its media type, and a file: a PNG, which starts the very same drawing; or, over `MOST_KEPT`
        bytes, a WebP, which starts one that looks the same.
    """
    picture = fitted(data, width, height)
    exact, near = io.BytesIO(), io.BytesIO()
    picture.save(exact, "PNG")
    if exact.tell() <= MOST_KEPT:
        return "image/png", exact.getvalue()
    picture.save(near, "WEBP", quality=85)
    return "image/webp", near.getvalue()


def fitted(data: bytes, width: int, height: int) -> Image.Image:
    """The picture cropped around its middle to the proportions, and scaled to width x height."""
    return ImageOps.fit(opened(data), (width, height), Image.Resampling.LANCZOS)
