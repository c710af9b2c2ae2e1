"""Conversations as data: the turns that the chatbot or a program sends, and the files of conversations.

A file is JSON or Markdown. Reading trusts nothing.
JSON: {"format": "genlab-conversations", "version": 1, "conversations": [{"name", "dials", "messages"}]}.
Markdown: the same for one conversation, to be read by people; HTML comments mark its parts.
"""

import json
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from models.chat.requests import LongText, MaxNewTokens, Samples, Temperature, TopK, TopP
from models.errors import InvalidInput
from models.fields import Seed

MAX_MESSAGES = 399  # before the new one

# ---------------------------------------------------------------- turns


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or a list of blocks with text.

    Raises:
        InvalidInput: it is none of these (a file, a number, lists within lists).
    """
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_block_text(block) for block in cast(list[Any], content))
    raise InvalidInput("invalid_history")


def _block_text(block: Any) -> str:
    text = cast(dict[str, Any], block).get("text") if isinstance(block, dict) else block
    if not isinstance(text, str):
        raise InvalidInput("invalid_history")
    return text


def messages(history: Any) -> list[dict[str, str]]:
    """Turns as {"role", "content"}, without messages that were never answered.

    Args:
        history: what the chatbot or a program sent; None is an empty one.

    Raises:
        InvalidInput: it is no list of turns, or too long a one.
    """
    if history is None:
        return []
    if not isinstance(history, list):
        raise InvalidInput("invalid_history")
    turns = list(_with_answer([_turn(turn) for turn in cast(list[Any], history)]))
    if len(turns) > MAX_MESSAGES:
        raise InvalidInput("invalid_long_history", limit=MAX_MESSAGES + 1)
    return turns


def _turn(turn: Any) -> dict[str, str]:
    role = cast(dict[str, Any], turn).get("role") if isinstance(turn, dict) else None
    if role not in ("user", "assistant"):
        raise InvalidInput("invalid_history")
    return {"role": str(role), "content": text_of(turn.get("content"))}


def _with_answer(turns: list[dict[str, str]]) -> Iterable[dict[str, str]]:
    for turn, after in pairwise([*turns, {"role": "user", "content": ""}]):
        if turn["role"] == "assistant":
            if turn["content"]:
                yield turn
        elif after["role"] == "assistant" and after["content"]:
            yield turn


# ---------------------------------------------------------------- files

FORMAT = "genlab-conversations"
VERSION = 1
MAX_BYTES = 5_000_000  # of a file: about what a browser stores for a site
_MARK = re.compile(r"^<!-- (system|user|assistant|genlab-conversations .*) -->$", re.MULTILINE)
_LIKE_A_MARK = re.compile(r"^(\\*<!-- )", re.MULTILINE)
_ESCAPE = re.compile(r"^\\(\\*<!-- )", re.MULTILINE)
_HEADINGS = {"system": "System prompt", "user": "You", "assistant": "Model"}

Name = Annotated[str, StringConstraints(max_length=120)]
ModelName = Annotated[str, StringConstraints(max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, hide_input_in_errors=True)


class ConversationDials(_Part):
    """The dials that belong to a conversation; what is None stays as it is. Never a key."""

    system_prompt: LongText | None = None
    model: ModelName | None = None
    model_name: ModelName | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    max_new_tokens: MaxNewTokens | None = None
    seed: Seed | None = None
    num_return_sequences: Samples | None = None


class Turn(_Part):
    """One message."""

    role: Literal["user", "assistant"]
    content: LongText


class Conversation(_Part):
    """A conversation with its name and dials.

    Attributes:
        messages: oldest first, at most as many as a conversation of the page can have.
    """

    name: Name = ""
    dials: ConversationDials = ConversationDials()
    messages: Annotated[list[Turn], Field(min_length=1, max_length=MAX_MESSAGES + 2)]

    @classmethod
    def of(
        cls, name: str, dials: Mapping[str, Any], messages: list[dict[str, str]]
    ) -> "Conversation":
        """A conversation of the page.

        Raises:
            InvalidInput: it is empty, or something in it has no place in a file.
        """
        values = {"name": name[:120], "dials": dict(dials), "messages": messages}
        try:
            return cls.model_validate(values)
        except ValidationError:
            raise InvalidInput("invalid_export") from None

    def markdown(self) -> str:
        """The conversation as Markdown that `read` turns back into the same, letter for letter."""
        dials = self.dials.model_dump(exclude={"system_prompt"}, exclude_none=True)
        header = json.dumps({"version": VERSION, "name": self.name, "dials": dials})
        header = header.replace(">", "\\u003e")  # nothing in it ends the comment
        title = self.name.replace("\n", " ")
        blocks = [f"# {title}\n\n<!-- {FORMAT} {header} -->\n\n"]
        if self.dials.system_prompt:
            blocks.append(_block("system", self.dials.system_prompt))
        blocks += [_block(turn.role, turn.content) for turn in self.messages]
        return "".join(blocks)


class _File(_Part):
    format: Literal["genlab-conversations"]
    version: Annotated[int, Field(ge=1)]
    conversations: Annotated[list[Conversation], Field(min_length=1, max_length=1000)]

    @classmethod
    def of(cls, values: Any) -> Self:
        """Validate; a later version has another error than a broken file."""
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise InvalidInput("invalid_import_foreign")
        version = cast(dict[str, Any], values).get("version")
        if isinstance(version, int) and version > VERSION:
            raise InvalidInput("invalid_import_newer", limit=VERSION)
        try:
            return cls.model_validate(values)
        except ValidationError:
            raise InvalidInput("invalid_import") from None


def read(text: Any) -> list[Conversation]:
    """The conversations of a file's text, JSON or Markdown.

    Raises:
        InvalidInput: the file is too large, not from here, of a later version, or damaged.
    """
    if not isinstance(text, str):
        raise InvalidInput("invalid_import")
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise InvalidInput("invalid_import_size", limit=MAX_BYTES // 1_000_000)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    values = _json(text) if text.lstrip().startswith(("{", "[")) else _markdown(text)
    return _File.of(values).conversations


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInput("invalid_import") from None


def _block(role: str, content: str) -> str:
    content = _LIKE_A_MARK.sub(r"\\\1", content)
    return f"<!-- {role} -->\n## {_HEADINGS[role]}\n\n{content}\n\n"


def _markdown(text: str) -> dict[str, Any]:
    """What a Markdown file of ours holds, in the form of the JSON file."""
    _, *parts = _MARK.split(text)
    marks, bodies = parts[::2], parts[1::2]
    if not marks or not marks[0].startswith(FORMAT):
        raise InvalidInput("invalid_import_foreign")
    header: Any = _json(marks[0].removeprefix(FORMAT))
    if not isinstance(header, dict) or not isinstance(header.get("dials"), dict):
        raise InvalidInput("invalid_import")
    header = cast(dict[str, Any], header)
    turns = [
        {"role": role, "content": _content(body)}
        for role, body in zip(marks[1:], bodies[1:], strict=True)
    ]
    system = "".join(turn["content"] for turn in turns if turn["role"] == "system")
    conversation = {
        "name": header.get("name", ""),
        "dials": header["dials"] | {"system_prompt": system},
        "messages": [turn for turn in turns if turn["role"] != "system"],
    }
    version = header.get("version")
    return {"format": FORMAT, "version": version, "conversations": [conversation]}


def _content(body: str) -> str:
    _, _, content = body.removeprefix("\n").partition("\n\n")  # after the heading
    return _ESCAPE.sub(r"\1", content.removesuffix("\n\n"))
