"""Asking a chat server, and asking again without what it does not take."""

import re
from dataclasses import dataclass, field
from typing import Any

import openai

from models.chat.openai_errors import is_too_long, said
from models.chat.options import hosted_messages, hosted_options
from models.chat.requests import ChatRequest
from models.servers.openai_client import unsupported_parameter

_OPTIONAL = {
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "n",
    "max_completion_tokens",
    "max_tokens",
    "stream_options",
    "logprobs",
    "top_logprobs",
}
_LOOKED_INTO = {400, 403, 422, 500, 501}  # statuses by which servers turn a parameter down
_SYSTEM = re.compile(r"messages\[0\]\.role|system.{0,12}(role|message|prompt)", re.I)


@dataclass(slots=True)
class Asked:
    """How a request was put, in the end.

    Attributes:
        left_out: names of parameters that the server refused, in order.
        turns_left_out: so many of the oldest messages.
        as_user: the system prompt went in front of the first message.
    """

    left_out: list[str] = field(default_factory=list[str])
    turns_left_out: int = 0
    as_user: bool = False

    def notes(self) -> list[str]:
        """Codes of [notes] in tabs/text; the recipe reads them too."""
        notes = [f"turns_left_out:{self.turns_left_out}"] if self.turns_left_out else []
        notes += ["system_as_user"] if self.as_user else []
        renamed = {"max_tokens"} if "max_completion_tokens" not in self.left_out else set[str]()
        untold = renamed | {"stream_options", "logprobs"}
        return notes + [f"parameter_left_out:{n}" for n in self.left_out if n not in untold]


async def opened(
    client: openai.AsyncOpenAI, model: str, request: ChatRequest, newer: bool
) -> tuple[openai.AsyncStream[Any], Asked]:
    """The stream of an answer, and how it was asked for.

    Each parameter that the server refuses is left out and the rest asked again, once for each.

    Args:
        client: of the server.
        model: its name there.
        request: the conversation.
        newer: whether the server wants `max_completion_tokens`, as OpenAI's own does; most others
            know its older name `max_tokens` alone, and some take no notice of the newer one.

    Raises:
        openai.OpenAIError: what the server said.
    """
    asked = Asked([] if newer else ["max_completion_tokens"])
    while True:
        ask = _arguments(request, asked)
        turns: Any = hosted_messages(request, asked.turns_left_out, asked.as_user)
        try:
            stream = await client.chat.completions.create(
                model=model, messages=turns, stream=True, **ask
            )
        except openai.APIStatusError as error:
            if not _asks_less(asked, error, request, ask):
                raise
            continue
        return stream, asked


def _arguments(request: ChatRequest, asked: Asked) -> dict[str, Any]:
    ask: dict[str, Any] = hosted_options(request, asked.left_out)
    more: dict[str, Any] = {"stream_options": {"include_usage": True}}
    if request.alternatives and "logprobs" not in asked.left_out:
        more |= {"logprobs": True, "top_logprobs": request.alternatives}
    return ask | {name: value for name, value in more.items() if name not in asked.left_out}


def _asks_less(
    asked: Asked, error: openai.APIStatusError, request: ChatRequest, ask: dict[str, Any]
) -> bool:
    """Leave out what the server refused; False where it refused nothing that can be left out."""
    if is_too_long(error):
        return _shorten(asked, request)
    sent = set(ask) | set(ask.get("extra_body", ()))
    refused = _refused(error, sent & _OPTIONAL)
    if refused:
        asked.left_out.append(refused)
        if refused == "max_tokens":  # then it wants the newer name
            asked.left_out.remove("max_completion_tokens")
        return True
    if request.system_prompt.strip() and not asked.as_user and _names_system(error):
        asked.as_user = True
        return True
    return False


def _shorten(asked: Asked, request: ChatRequest) -> bool:
    """Leave out the older half of what is still there, whole exchanges."""
    starts = [i for i, message in enumerate(request.messages) if message.role == "user"]
    later = [i for i in starts if i > asked.turns_left_out]
    if not later:
        return False
    asked.turns_left_out = later[len(later) // 2]
    return True


def _refused(error: openai.APIStatusError, sent: set[str]) -> str | None:
    """Which of the parameters sent the server does not want: by its word, or named in its message."""
    if error.status_code not in _LOOKED_INTO:
        return None
    named = re.split(r"[.\[]", unsupported_parameter(error) or "")[0]
    if named in sent:
        return named
    words = said(error)
    return next((n for n in sorted(sent) if re.search(rf"(?<![\w\\]){n}(?!\w|'t\b)", words)), None)


def _names_system(error: openai.APIStatusError) -> bool:
    return error.status_code in _LOOKED_INTO and bool(
        _SYSTEM.search(f"{error.param} {said(error)}")
    )
