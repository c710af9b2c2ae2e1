"""A grid of pictures as one PNG, with its axes written on it."""

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

from models.text_to_image.events import CellDone
from models.text_to_image.picture import opened
from models.text_to_image.png import encode, parameters

_LEAST = 128  # pixels of a cell: smaller pictures are enlarged in whole squares
_GAP, _TEXT, _MARGIN = 8, 16, 96


def sheet(
    cells: Sequence[CellDone],
    columns: Sequence[str],
    rows: Sequence[str],
    prompt: str,
    values: Mapping[str, object],
) -> bytes:
    """The cells that are finished, at their places.

    Args:
        cells: at least one.
        columns: what stands above each column; "" for nothing.
        rows: what stands beside each row; "" for nothing.
        prompt: for the PNG's chunk.
        values: for the PNG's chunk, as in png.parameters.
    """
    pictures = {(cell.row, cell.column): opened(cell.image) for cell in cells if not cell.flagged}
    wide, high = next(iter(pictures.values())).size if pictures else (_LEAST, _LEAST)
    times = max(1, -(-_LEAST // max(wide, high)))
    wide, high = wide * times, high * times
    left, top = (_MARGIN if any(rows) else _GAP), (_TEXT * 2 if any(columns) else _GAP)
    size = (left + len(columns) * (wide + _GAP), top + len(rows) * (high + _GAP))
    paper = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(_TEXT)
    for k, words in enumerate(columns):
        middle = left + k * (wide + _GAP) + wide / 2
        pen.text((middle, top / 2), words, "black", font, anchor="mm")
    for k, words in enumerate(rows):
        pen.text((_GAP, top + k * (high + _GAP) + high / 2), words, "black", font, anchor="lm")
    for (row, column), picture in pictures.items():
        place = (left + column * (wide + _GAP), top + row * (high + _GAP))
        paper.paste(picture.resize((wide, high), Image.Resampling.NEAREST), place)
    return encode(paper, parameters(prompt, "", values))
