"""Requests to a classifier: score one text, explain its score by word, score many texts."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from models.contract import Request
from models.fields import MAX_TEXT, Text

MAX_ROWS = 100_000
STEPS = (32, 64, 128, 256, 512)  # points of the integral, tried in this order
MAX_ERROR = 0.005  # half a point of probability; above it the integral gets more points
TOKENS_PER_PASS = 2048  # in one forward and backward pass: bounds the memory


_Row = Annotated[str, StringConstraints(max_length=MAX_TEXT)]  # may be blank


class SentimentRequest(Request):
    """A text to classify."""

    text: Text


class AttributionRequest(SentimentRequest):
    """A text whose score is to be explained by its words.

    Attributes:
        label: the class to explain; "" for the one with the highest probability.
        method: "gradients" (layer integrated gradients) or "leave_out" (each word left out in turn).
    """

    label: Annotated[str, StringConstraints(max_length=200)] = ""
    method: Literal["gradients", "leave_out"] = "gradients"


class ManyTextsRequest(Request):
    """Many texts to classify; the scores of a text without a letter are NaN, and no error."""

    texts: Annotated[tuple[_Row, ...], Field(min_length=1, max_length=MAX_ROWS)]
