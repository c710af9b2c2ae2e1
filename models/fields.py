"""The types of fields that several tasks' requests share, with their limits."""

import random
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

MAX_SEED = 2**32 - 1
MAX_TEXT = 20_000  # characters of one text, a long newspaper article


def not_blank(text: str) -> str:
    """The text itself; blank is a fault."""
    if not text.strip():
        raise PydanticCustomError("blank", "blank")
    return text


def draw_seed(seed: int) -> int:
    """The seed itself, or a random one for -1 (0 to 2**31 - 1, exact in JSON and in torch)."""
    return seed if seed >= 0 else random.SystemRandom().randrange(2**31)


Text = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(not_blank)]
Sentence = Annotated[str, StringConstraints(max_length=2000), AfterValidator(not_blank)]
Seed = Annotated[int, Field(ge=-1, le=MAX_SEED)]


def _address(text: str) -> str:
    """An http(s) address without name, password, query or fragment; "" stays."""
    try:
        parts = urlsplit(text)
        plain = parts.port is None or parts.port > 0  # out of range raises as well
    except ValueError:
        plain, parts = False, urlsplit("")
    extra = parts.username is not None or parts.query or parts.fragment or not parts.hostname
    if text and (not plain or extra or parts.scheme not in ("http", "https") or " " in text):
        raise PydanticCustomError("address", "not an address")
    return text


Address = Annotated[
    str,
    StringConstraints(max_length=500, strip_whitespace=True),
    AfterValidator(_address),
]
TokenIds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=MAX_TEXT)]
