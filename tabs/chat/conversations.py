"""The file a conversation is kept in: JSON (format, version) or Markdown. Reading trusts nothing.

JSON: {"format": "genlab-conversations", "version": 1, "conversations": [{"name", "dials", "messages"}]}.
Markdown: the same for one conversation, to be read by people; HTML comments say what is what.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from models.errors import InvalidInput
from models.fields import MAX_SEED, MAX_TEXT
from tabs.chat.history import MOST

FORMAT = "genlab-conversations"
VERSION = 1
MAX_BYTES = 5_000_000  # of a file: about what a browser keeps for a site
_MARK = re.compile(r"^<!-- (system|user|assistant|genlab-conversations .*) -->$", re.MULTILINE)
_LIKE_A_MARK = re.compile(r"^(\\*<!-- )", re.MULTILINE)
_ESCAPED = re.compile(r"^\\(\\*<!-- )", re.MULTILINE)
_HEADINGS = {"system": "System prompt", "user": "You", "assistant": "Model"}

Name = Annotated[str, StringConstraints(max_length=120)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, hide_input_in_errors=True)


class Kept(_Part):
    """The dials that are kept with a conversation; what is None stays as it is. Never a key."""

    system_prompt: Annotated[str, StringConstraints(max_length=MAX_TEXT)] | None = None
    model: Annotated[str, StringConstraints(max_length=200)] | None = None
    model_name: Annotated[str, StringConstraints(max_length=200)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=1000)] | None = None
    max_new_tokens: Annotated[int, Field(ge=1, le=4096)] | None = None
    seed: Annotated[int, Field(ge=-1, le=MAX_SEED)] | None = None
    num_return_sequences: Annotated[int, Field(ge=1, le=8)] | None = None


class Turn(_Part):
    """One message."""

    role: Literal["user", "assistant"]
    content: Annotated[str, StringConstraints(max_length=MAX_TEXT)]


class Conversation(_Part):
    """A conversation with its name and dials.

    Attributes:
        messages: oldest first, at most as many as a conversation of the page can have.
    """

    name: Name = ""
    dials: Kept = Kept()
    messages: Annotated[list[Turn], Field(min_length=1, max_length=MOST + 2)]

    @classmethod
    def of(
        cls, name: str, dials: Mapping[str, Any], messages: list[dict[str, str]]
    ) -> "Conversation":
        """A conversation of the page.

        Raises:
            InvalidInput: it is empty, or something in it cannot be kept.
        """
        values = {"name": name[:120], "dials": dict(dials), "messages": messages}
        try:
            return cls.model_validate(values)
        except ValidationError:
            raise InvalidInput("invalid_export") from None

    def markdown(self) -> str:
        """The conversation as Markdown that `read` takes back, letter for letter."""
        dials = self.dials.model_dump(exclude={"system_prompt"}, exclude_none=True)
        facts = json.dumps({"version": VERSION, "name": self.name, "dials": dials})
        facts = facts.replace(">", "\\u003e")  # nothing in it ends the comment
        title = self.name.replace("\n", " ")
        blocks = [f"# {title}\n\n<!-- {FORMAT} {facts} -->\n\n"]
        if self.dials.system_prompt:
            blocks.append(_block("system", self.dials.system_prompt))
        blocks += [_block(turn.role, turn.content) for turn in self.messages]
        return "".join(blocks)


class _File(_Part):
    format: Literal["genlab-conversations"]
    version: Annotated[int, Field(ge=1)]
    conversations: Annotated[list[Conversation], Field(min_length=1, max_length=1000)]

    @classmethod
    def checked(cls, values: Any) -> Self:
        """Validate; tells a later version from a broken file."""
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
    return _File.checked(values).conversations


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInput("invalid_import") from None


def _block(role: str, content: str) -> str:
    escaped = _LIKE_A_MARK.sub(r"\\\1", content)
    return f"<!-- {role} -->\n## {_HEADINGS[role]}\n\n{escaped}\n\n"


def _markdown(text: str) -> dict[str, Any]:
    """What a Markdown file of ours holds, as the JSON form has it."""
    _, *parts = _MARK.split(text)
    marks, bodies = parts[::2], parts[1::2]
    if not marks or not marks[0].startswith(FORMAT):
        raise InvalidInput("invalid_import_foreign")
    facts: Any = _json(marks[0].removeprefix(FORMAT))
    if not isinstance(facts, dict) or not isinstance(facts.get("dials"), dict):
        raise InvalidInput("invalid_import")
    facts = cast(dict[str, Any], facts)
    turns = [
        {"role": role, "content": _content(body)}
        for role, body in zip(marks[1:], bodies[1:], strict=True)
    ]
    system = "".join(turn["content"] for turn in turns if turn["role"] == "system")
    conversation = {
        "name": facts.get("name", ""),
        "dials": facts["dials"] | {"system_prompt": system},
        "messages": [turn for turn in turns if turn["role"] != "system"],
    }
    version = facts.get("version")
    return {"format": FORMAT, "version": version, "conversations": [conversation]}


def _content(body: str) -> str:
    _, _, content = body.removeprefix("\n").partition("\n\n")  # after the heading
    return _ESCAPED.sub(r"\1", content.removesuffix("\n\n"))
