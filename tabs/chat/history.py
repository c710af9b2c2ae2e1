"""Earlier turns, however they come: from the chatbot as content blocks, from programs as plain text."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, cast

from models.errors import InvalidInput

MOST = 399  # messages before the new one


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or a list of blocks with text.

    Raises:
        InvalidInput: it is none of these (a file, a number, lists within lists).
    """
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_block(part) for part in cast(list[Any], content))
    raise InvalidInput("invalid_history")


def _block(block: Any) -> str:
    if isinstance(block, str):
        return block
    text = cast(dict[str, Any], block).get("text") if isinstance(block, dict) else None
    if not isinstance(text, str):
        raise InvalidInput("invalid_history")
    return text


def messages(history: Any) -> list[dict[str, str]]:
    """Turns as {"role", "content"}, without exchanges that were ended before the model said a word.

    Args:
        history: what the chatbot or a program sent; None is an empty one.

    Raises:
        InvalidInput: it is no list of turns, or too long a one.
    """
    if history is None:
        return []
    if not isinstance(history, list):
        raise InvalidInput("invalid_history")
    turns = [_turn(turn) for turn in cast(list[Any], history)]
    turns = list(_answered(turns))
    if len(turns) > MOST:
        raise InvalidInput("invalid_long_history", limit=MOST + 1)
    return turns


def _turn(turn: Any) -> dict[str, str]:
    if not isinstance(turn, dict):
        raise InvalidInput("invalid_history")
    fields = cast(dict[str, Any], turn)
    role = fields.get("role")
    if role not in ("user", "assistant"):
        raise InvalidInput("invalid_history")
    return {"role": str(role), "content": text_of(fields.get("content"))}


def _answered(turns: list[dict[str, str]]) -> Iterable[dict[str, str]]:
    for turn, after in pairwise([*turns, {"role": "user", "content": ""}]):
        if turn["role"] == "assistant":
            if turn["content"]:
                yield turn
        elif after["role"] == "assistant" and after["content"]:
            yield turn
