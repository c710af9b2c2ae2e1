"""Requests to a classifier: one text, many, and which words of one decided."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from models.contract import Request
from models.fields import MAX_TEXT, Text

MAX_ROWS = 100_000
STEPS = (32, 64, 128, 256, 512)  # points of the integral: more as long as the error is too large
GOOD_ERROR = 0.005  # half a point of probability
TOKENS_AT_ONCE = 2048  # in one forward and backward pass: bounds the memory
Row = Annotated[str, StringConstraints(max_length=MAX_TEXT)]


class SentimentRequest(Request):
    """A text to classify."""

    text: Text


class AttributionRequest(SentimentRequest):
    """Which words of a text did it.

    Attributes:
        label: the class that is explained; "" the one with the highest probability.
        method: "gradients" (layer integrated gradients) or "leave_out" (each word left out in turn).
    """

    label: Annotated[str, StringConstraints(max_length=200)] = ""
    method: Literal["gradients", "leave_out"] = "gradients"


class ManyTextsRequest(Request):
    """Many texts to classify; one without a letter is answered with NaN, not refused."""

    texts: Annotated[tuple[Row, ...], Field(min_length=1, max_length=MAX_ROWS)]
