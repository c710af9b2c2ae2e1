"""Uploaded text as lines, whatever wrote it: UTF-8, UTF-16 or the Korean code page."""

from dataclasses import dataclass
from pathlib import Path

from models.errors import InvalidInput

MOST_LINES = 100_000
LONGEST = 2000  # characters of a line that are kept


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines with something in them.

    Attributes:
        lines: at most MOST_LINES, each of at most LONGEST characters.
        left_out: how many were past MOST_LINES.
        cut: how many were longer than LONGEST.
    """

    lines: tuple[str, ...]
    left_out: int = 0
    cut: int = 0


def lines_of(text: str) -> Lines:
    """The lines of a text that are not blank, without what cannot be used of them.

    Raises:
        InvalidInput: there is none (invalid_blank).
    """
    found = [line for line in (one.strip() for one in text.splitlines()) if line]
    if not found:
        raise InvalidInput("invalid_blank", field="sentences")
    kept = found[:MOST_LINES]
    cut = sum(len(line) > LONGEST for line in kept)
    return Lines(tuple(line[:LONGEST] for line in kept), len(found) - len(kept), cut)


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        InvalidInput: it is no text (invalid_not_text_file).
    """
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "cp949")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise InvalidInput("invalid_not_text_file")
