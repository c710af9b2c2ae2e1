"""Chat Completions as servers speak it: the request, the stream and the faults.

A server refuses parameters that it does not know, so a request may be sent several times. The codes of
the faults are those of tabs/text/*/hosted.toml.
"""

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai

from models.chat.events import Alternative, ChatDone, Note, TextDelta, Token
from models.chat.requests import ChatRequest, completion_arguments, completion_messages
from models.chat.token_odds import text_of_bytes
from models.errors import (
    InvalidInput,
    ModelError,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Unavailable,
)
from models.fields import MAX_TEXT, draw_seed
from models.servers.openai_client import as_model_error, unsupported_parameter

# ---------------------------------------------------------------- the request

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
_REFUSALS = {400, 403, 422, 500, 501}  # statuses by which servers turn a parameter down
_SYSTEM = re.compile(r"messages\[0\]\.role|system.{0,12}(role|message|prompt)", re.I)


@dataclass(slots=True)
class Attempt:
    """One form of a request, as far as the server accepts it.

    Attributes:
        request: the conversation.
        unsupported: names of parameters that the server refused, in order.
        start: the first of the messages that is sent; older ones did not fit.
        system_as_user: the system prompt is in front of the first message.
    """

    request: ChatRequest
    unsupported: list[str] = field(default_factory=list[str])
    start: int = 0
    system_as_user: bool = False

    @property
    def notes(self) -> list[Note]:
        """What a person should know about it; the recipe reads it too."""
        notes = [Note("turns_left_out", self.start)] if self.start else []
        notes += [Note("system_as_user")] if self.system_as_user else []
        # Sent under the other name, or no parameter of the person's.
        renamed = {"max_tokens"} if "max_completion_tokens" not in self.unsupported else set[str]()
        silent = renamed | {"stream_options", "logprobs"}
        return notes + [
            Note("parameter_left_out", name) for name in self.unsupported if name not in silent
        ]

    def arguments(self) -> dict[str, Any]:
        """Of the API call, beside the model and the messages."""
        more: dict[str, Any] = {"stream_options": {"include_usage": True}}
        if self.request.alternatives and "logprobs" not in self.unsupported:
            more |= {"logprobs": True, "top_logprobs": self.request.alternatives}
        more = {name: value for name, value in more.items() if name not in self.unsupported}
        return completion_arguments(self.request, self.unsupported) | more

    def reduce(self, error: openai.APIStatusError, arguments: dict[str, Any]) -> bool:
        """Leave out what the server refused; False where it refused nothing that can be left out."""
        if _is_too_long(error):
            return self._shorten()
        names = set(arguments) | set(arguments.get("extra_body", ()))
        name = _refused_parameter(error, names & _OPTIONAL)
        if name:
            self.unsupported.append(name)
            if name == "max_tokens":  # then it wants the newer name
                self.unsupported.remove("max_completion_tokens")
            return True
        system = self.request.system_prompt.strip() and not self.system_as_user
        if system and error.status_code in _REFUSALS:
            self.system_as_user = bool(_SYSTEM.search(f"{error.param} {_message_of(error)}"))
            return self.system_as_user
        return False

    def _shorten(self) -> bool:
        """Leave out the older half of what is still there, whole exchanges."""
        users = (i for i, message in enumerate(self.request.messages) if message.role == "user")
        later = [i for i in users if i > self.start]
        if later:
            self.start = later[len(later) // 2]
        return bool(later)


async def open_stream(
    client: openai.AsyncOpenAI, model: str, request: ChatRequest, newer: bool
) -> tuple[openai.AsyncStream[Any], Attempt]:
    """The stream of an answer, and the attempt that the server accepted.

    Each parameter that the server refuses is left out and the request sent again, once for each.

    Args:
        client: of the server.
        model: its name there.
        request: the conversation.
        newer: whether the server wants `max_completion_tokens`, as OpenAI's own does; most others
            know its older name `max_tokens` alone, and some ignore the newer one.

    Raises:
        openai.OpenAIError: what the server said.
    """
    attempt = Attempt(request, [] if newer else ["max_completion_tokens"])
    while True:
        arguments = attempt.arguments()
        turns: Any = completion_messages(request, attempt.start, attempt.system_as_user)
        try:
            stream = await client.chat.completions.create(
                model=model, messages=turns, stream=True, **arguments
            )
        except openai.APIStatusError as error:
            if not attempt.reduce(error, arguments):
                raise
            continue
        return stream, attempt


def _refused_parameter(error: openai.APIStatusError, names: set[str]) -> str | None:
    """Which of the parameters the server does not want: by its field, or by the text of its message."""
    if error.status_code not in _REFUSALS:
        return None
    name = re.split(r"[.\[]", unsupported_parameter(error) or "")[0]
    if name in names:
        return name
    text = _message_of(error)
    return next((n for n in sorted(names) if re.search(rf"(?<![\w\\]){n}(?!\w|'t\b)", text)), None)


# ---------------------------------------------------------------- the stream


class StreamReader:
    """What has come of an answer so far: which samples have text, which have ended and how."""

    def __init__(self, request: ChatRequest) -> None:
        self._seed = draw_seed(request.seed)
        self._original = request
        self._lengths: dict[int, int] = {}  # of the samples' texts, in characters
        self._reasons: dict[int, str] = {}
        self._usage: Any = None
        self._has_tokens = False
        self._has_thoughts = False  # the model thought aloud before it answered

    @property
    def request(self) -> ChatRequest:
        """The request to send: with a seed, where the person left it open."""
        return self._original.model_copy(update={"seed": self._seed})

    @property
    def empty(self) -> bool:
        """Whether nothing has come."""
        return not self._lengths

    @property
    def too_long(self) -> bool:
        """Whether more text has come than an answer may have: the server knows no end."""
        return any(length > MAX_TEXT for length in self._lengths.values())

    def read(self, chunk: Any) -> list[TextDelta]:
        """The new text in a chunk.

        Raises:
            Unavailable: it does not have the fields of a chunk.
        """
        try:
            self._usage = chunk.usage or self._usage
            deltas = [self._delta(choice) for choice in chunk.choices or ()]
        except (AttributeError, TypeError, ValueError):
            raise Unavailable("unavailable_bad_answer") from None
        return [delta for delta in deltas if delta.text or delta.tokens]

    def _delta(self, choice: Any) -> TextDelta:
        index = int(choice.index or 0)
        if not 0 <= index < self._original.num_return_sequences:
            raise ValueError("a sample that was not requested")
        text = "" + (choice.delta.content or choice.delta.refusal or "")  # TypeError if no text
        tokens = _tokens(choice) if self._original.alternatives else ()
        self._lengths[index] = self._lengths.get(index, 0) + len(text)
        self._has_tokens = self._has_tokens or bool(tokens)
        thoughts = (getattr(choice.delta, n, None) for n in ("reasoning_content", "reasoning"))
        self._has_thoughts = self._has_thoughts or any(thoughts)
        if choice.finish_reason:
            self._reasons[index] = str(choice.finish_reason)
        return TextDelta(text, index, tokens)

    def finish(self, attempt: Attempt) -> ChatDone:
        """The end of the answer.

        Args:
            attempt: the form in which the request was accepted.

        Raises:
            Unavailable: there was no answer, or it broke off.
        """
        if self.empty:
            raise Unavailable("unavailable_bad_answer")
        if self._lengths.keys() - self._reasons and not self.too_long:
            raise Unavailable("unavailable_cut")
        reasons = set(self._reasons.values()) - {"stop"}
        reason = "length" if self.too_long else min(reasons) if reasons else "stop"
        return ChatDone(
            reason,
            self._seed,
            _count(self._usage, "prompt_tokens"),
            _count(self._usage, "completion_tokens"),
            (*attempt.notes, *self._notes(attempt, reason)),
            cached_tokens=_count(self._usage, "prompt_tokens_details", "cached_tokens") or 0,
            hidden_tokens=self._hidden_tokens,
        )

    @property
    def _hidden_tokens(self) -> int:
        return _count(self._usage, "completion_tokens_details", "reasoning_tokens") or 0

    def _notes(self, attempt: Attempt, reason: str) -> list[Note]:
        request, unsupported = self._original, attempt.unsupported
        length = _count(self._usage, "completion_tokens") or 0
        longest = request.max_new_tokens * len(self._lengths)
        thoughts = self._hidden_tokens or self._has_thoughts
        notes = {
            Note("parameter_ignored", "n"): request.num_return_sequences > len(self._lengths)
            and "n" not in unsupported,
            Note("parameter_ignored", "max_new_tokens"): self.too_long or length > longest,
            Note("seed_unsure"): request.seed >= 0
            and request.temperature > 0
            and "seed" not in unsupported,
            Note("prefix_shown"): request.prefix,
            Note("no_logprobs"): request.alternatives and not self._has_tokens,
            Note("hidden_tokens", self._hidden_tokens): self._hidden_tokens,
            Note("thought_aloud"): self._has_thoughts and not self._hidden_tokens,
            Note("all_thought"): reason == "length"
            and thoughts
            and not any(self._lengths.values()),
            Note("content_filter"): reason == "content_filter",
        }
        return [note for note, applies in notes.items() if applies]


def _count(usage: Any, *names: str) -> int | None:
    for name in names:
        usage = getattr(usage, name, None)
    return usage if isinstance(usage, int) and usage >= 0 else None


def _tokens(choice: Any) -> tuple[Token, ...]:
    """A choice's tokens with their probabilities; what does not have the right fields counts as none."""
    content = getattr(getattr(choice, "logprobs", None), "content", None) or ()
    try:
        return tuple(
            Token(
                *_text_and_probability(token),
                alternatives=tuple(
                    Alternative(*_text_and_probability(other)) for other in token.top_logprobs
                ),
            )
            for token in content
        )
    except (AttributeError, TypeError, ValueError):
        return ()


def _text_and_probability(token: Any) -> tuple[str, None, float]:
    """The first fields of a Token or an Alternative: a server gives no id."""
    logprob = float(token.logprob)
    if math.isnan(logprob):
        raise ValueError("no probability")
    text = text_of_bytes(bytes(token.bytes)) if token.bytes else str(token.token)
    return text, None, math.exp(min(0.0, logprob))


# ---------------------------------------------------------------- faults

_TOO_LONG = re.compile(
    r"context.{0,20}(length|size|window)|prompt is too long|too many tokens", re.I
)
_NO_MODEL = re.compile(r"\bmodel\b", re.I)


def _message_of(error: openai.APIError) -> str:
    """All that a server said of a fault; to be searched, never to be shown."""
    return str(error.body if error.body is not None else error.message)


def _is_too_long(error: openai.APIStatusError) -> bool:
    """Whether the conversation is longer than the model can see."""
    if error.status_code not in (400, 413, 422, 500):
        return False
    return error.code == "context_length_exceeded" or bool(_TOO_LONG.search(_message_of(error)))


def as_chat_error(error: Exception, model: str, partial: bool) -> ModelError:
    """What a fault means to the person; nothing of the original's text goes along.

    Args:
        error: what the openai package, or the connection under it, raised.
        model: its name at the server.
        partial: whether some of the answer had come.
    """
    match error:
        case ModelError():
            return error
        case httpx2.InvalidURL():
            return InvalidInput("invalid_address", field="base_url")
        case openai.APITimeoutError():
            return Unavailable("unavailable_timeout")
        case openai.APIConnectionError():
            return Unavailable("unavailable_cut" if partial else "unavailable_unreachable")
        case openai.APIStatusError():
            return _by_status(error, model)
        case openai.APIError() if error.code == "insufficient_quota":  # within the stream
            return QuotaExceeded()
        case openai.APIError() if error.code == "rate_limit_exceeded":
            return RateLimited()
        case json.JSONDecodeError() | openai.APIResponseValidationError() | UnicodeDecodeError():
            return Unavailable("unavailable_bad_json")
        case openai.APIError():
            return Unavailable("unavailable_midway")
        case _:
            return as_model_error(error, model)


def _by_status(error: openai.APIStatusError, model: str) -> ModelError:
    if _is_too_long(error):
        return InvalidInput("invalid_too_long_for_model")
    html = "html" in error.response.headers.get("content-type", "")
    match error.status_code:
        case 402:
            return QuotaExceeded()
        case 404 if not html and _NO_MODEL.search(_message_of(error)):
            return NotFound("not_found_on_server", model=model)
        case 404 | 405 | 410 | 301 | 302 | 307 | 308:
            return NotFound("not_found_address")
        case 408:
            return Unavailable("unavailable_timeout")
        case 400 | 422 if html:
            return Unavailable("unavailable_html")
        case 422:
            return InvalidInput("invalid_unprocessable")
        case status if status >= 500:
            return Unavailable("unavailable_server_fault", status=status)
    return as_model_error(error, model)
