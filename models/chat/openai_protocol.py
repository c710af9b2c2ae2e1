"""Chat Completions as servers accept it: the request, its remedies, and the faults.

A server refuses parameters that it does not know, so a request may be sent several times. The codes of
the faults are those of tabs/text/*/hosted.toml.
"""

import json
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Self, cast

import httpx2
import openai

from models.chat.events import Note
from models.chat.openai_stream import frames
from models.chat.requests import ChatRequest, completion_arguments, completion_messages
from models.errors import (
    InvalidInput,
    ModelError,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Refused,
    Unavailable,
)
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
_SYSTEM = re.compile(
    r"messages\[0\]\.role|system.{0,12}(role|message|prompt)|roles must alternate|developer instruction"
    r"|\broles?\b.{0,40}\buser\b.{0,20}\bassistant\b|\buser\b.{0,10}\bassistant\b.{0,10}\broles?\b",
    re.I,
)
_NO_STREAM = re.compile(
    r"\bverified to stream|streaming? (is )?(not|un)\W?(supported|allowed)|not support stream"
    r"|stream\W{0,3} does not support true",
    re.I,
)
_ONE_OF_TWO = re.compile(r"cannot both|can't both|only one of|not both|either .{1,40} or ", re.I)
# How servers say that the answer's limit is too high. Commas between digits are gone by then.
_HIGHEST = tuple(
    re.compile(pattern, re.I | re.S)
    for pattern in (
        r"range of max_\w+ (?:is|should be) \[\d+, ?(\d+)\]",
        r"can only afford (\d+)",
        r"max\w*tokens.{0,80}from \d+ \(inclusive\) to (\d+) \(",  # that one itself is refused
        r"max[_ ](?!new_tokens. must be <=)\w+.{0,80}?(?:less than or equal to|at most|<=|maximum (?:value )?(?:is|of))\W{0,3}(\d+)",
        r"supports? at most (\d+) (?:completion|output) tokens",
        r"max_\w+: \d+ > (\d+)",
    )
)
_WINDOW = re.compile(
    r"maximum context length (?:is|of) (\d+)|context (?:window|length) of (\d+)"
    r"|max_new_tokens. must be <= (\d+)|exceed context limit: \d+ \+ \d+ > (\d+)",
    re.I,
)
_PROMPT = re.compile(
    r"(\d+) (?:tokens )?(?:in|from|of) (?:the |your |text )?(?:messages|prompt|input)"
    r"|(\d+) .?(?:input|prompt)s?.? tokens|exceed context limit: (\d+)",
    re.I,
)
_USEFUL_ROOM = 16  # tokens: for less the older turns go first


@dataclass(slots=True)
class Attempt:
    """One form of a request, as far as the server accepts it.

    Attributes:
        request: the conversation.
        unsupported: names of parameters that the server refused, in order.
        start: the first of the messages that is sent; older ones did not fit.
        system_as_user: the system prompt is in front of the first message.
        max_tokens: the highest limit of the answer that the server accepts; None for the request's.
        stream: False where the model's stream is not allowed: then the answer comes whole.
    """

    request: ChatRequest
    unsupported: list[str] = field(default_factory=list[str])
    start: int = 0
    system_as_user: bool = False
    max_tokens: int | None = None
    stream: bool = True

    @classmethod
    def first(cls, request: ChatRequest, newer: bool) -> Self:
        """The first form of a request.

        Args:
            request: the conversation.
            newer: whether the server wants `max_completion_tokens`, as OpenAI's own does; most others
                know its older name `max_tokens` alone, and some ignore the newer one.
        """
        return cls(request, [] if newer else ["max_completion_tokens"])

    @property
    def notes(self) -> list[Note]:
        """What a person should know about it; the recipe reads it too."""
        notes = [Note("turns_left_out", self.start)] if self.start else []
        notes += [Note("system_as_user")] if self.system_as_user else []
        notes += [Note("limit_lowered", self.max_tokens)] if self.max_tokens else []
        notes += [] if self.stream else [Note("not_streamed")]
        # Sent under the other name, or no parameter of the person's.
        new_names = (
            {"max_tokens"} if "max_completion_tokens" not in self.unsupported else set[str]()
        )
        silent = new_names | {"stream_options", "logprobs"}
        return notes + [
            Note("parameter_left_out", name) for name in self.unsupported if name not in silent
        ]

    def arguments(self) -> dict[str, Any]:
        """Of the API call, beside the model and the messages."""
        more: dict[str, Any] = {}
        if self.stream:
            more["stream_options"] = {"include_usage": True}
        if self.request.alternatives and "logprobs" not in self.unsupported:
            more |= {"logprobs": True, "top_logprobs": self.request.alternatives}
        more = {name: value for name, value in more.items() if name not in self.unsupported}
        request = self.request
        if self.max_tokens:
            request = request.model_copy(update={"max_new_tokens": self.max_tokens})
        return completion_arguments(request, self.unsupported) | more

    def reduce(self, error: openai.APIStatusError, arguments: dict[str, Any]) -> bool:
        """Leave out what the server refused; False where it refused nothing that can be left out."""
        if self._lower_limit(error):
            return True
        if _is_too_long(error):
            return self._shorten()
        if self.stream and error.status_code in _REFUSALS and _NO_STREAM.search(_message_of(error)):
            self.stream = False
            return True
        names = set(arguments) | set(arguments.get("extra_body", ()))
        name = self._one_of_two(error, names) or _refused_parameter(error, names & _OPTIONAL)
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

    def _lower_limit(self, error: openai.APIStatusError) -> bool:
        """Lower the answer's limit to what the server says; False where that is not the fault.

        A window that is too small for prompt and answer together is one too, as long as a useful answer fits.
        """
        if error.status_code not in (400, 402, 413, 422):
            return False
        text = re.sub(r"(?<=\d),(?=\d{3})", "", _message_of(error))
        match = next(filter(None, (one.search(text) for one in _HIGHEST)), None)
        highest, least = (int(match[1]) - ("exclusive" in text) if match else 0), 1
        window, prompt = _WINDOW.search(text), _PROMPT.search(text)
        if not highest and window and prompt:
            sizes = [next(number for number in one.groups() if number) for one in (window, prompt)]
            highest = int(sizes[0]) - int(sizes[1])
            least = _USEFUL_ROOM
        lower = least <= highest < (self.max_tokens or self.request.max_new_tokens)
        self.max_tokens = highest if lower else self.max_tokens
        return lower

    def _one_of_two(self, error: openai.APIStatusError, names: set[str]) -> str | None:
        """Of two parameters that exclude each other, the one that the person did not set."""
        text = _message_of(error)
        pair = {"temperature", "top_p"}
        if not (pair <= names and all(name in text for name in pair) and _ONE_OF_TWO.search(text)):
            return None
        usual = type(self.request).model_fields
        own = {n for n in pair if getattr(self.request, n) != usual[n].default}
        return "temperature" if own == {"top_p"} else "top_p"

    def _shorten(self) -> bool:
        """Leave out the older half of what is still there, whole exchanges."""
        users = (i for i, message in enumerate(self.request.messages) if message.role == "user")
        later = [i for i in users if i > self.start]
        if later:
            self.start = later[len(later) // 2]
        return bool(later)


async def send(
    client: openai.AsyncOpenAI, model: str, attempt: Attempt
) -> AsyncGenerator[dict[str, Any] | str]:
    """Send a request until the server accepts it, and yield what it answers.

    Each parameter that the server refuses is left out and the request sent again, once for each. An
    error that comes within the stream before any text is a refusal too.

    Args:
        client: of the server.
        model: its name there.
        attempt: the first form of the request; at the end, the one that the server accepted.

    Yields:
        Frames, see models/chat/openai_stream.py.

    Raises:
        openai.OpenAIError: what the server said.
        Unavailable: a web page answered.
    """
    while True:
        arguments, has_output = attempt.arguments(), False
        turns: Any = completion_messages(attempt.request, attempt.start, attempt.system_as_user)
        try:
            if attempt.stream:
                stream = await client.chat.completions.create(
                    model=model, messages=turns, stream=True, **arguments
                )
                response = stream.response
            else:
                whole = await client.chat.completions.with_raw_response.create(
                    model=model, messages=turns, **arguments
                )
                response = cast(httpx2.Response, whole.http_response)
            if "html" in response.headers.get("content-type", ""):
                raise Unavailable("unavailable_html")
            try:
                async for frame in frames(response):
                    has_output = True
                    yield frame
            finally:
                await response.aclose()
        except openai.APIStatusError as error:
            if has_output or not attempt.reduce(error, arguments):
                raise
            continue
        return


def _refused_parameter(error: openai.APIStatusError, names: set[str]) -> str | None:
    """Which of the parameters the server does not want: by its field, or by the text of its message."""
    if error.status_code not in _REFUSALS:
        return None
    name = re.split(r"[.\[]", unsupported_parameter(error) or "")[0]
    if name in names:
        return name
    text = _message_of(error)
    return next((n for n in sorted(names) if re.search(rf"(?<![\w\\]){n}(?!\w|'t\b)", text)), None)


# ---------------------------------------------------------------- faults

_TOO_LONG = re.compile(
    r"context.{0,20}(length|size|window|limit)|(prompt|input)( is)? too long|too many (input )?tokens"
    r"|(prompt|input) (length|exceeds)|reduce (the|your) (length|message|prompt|input)|token limit"
    r"|must have less than \d+ tokens|request too large",
    re.I,
)
_NO_MODEL = re.compile(r"\bmodel\b|deployment|endpoints? found", re.I)
_UNKNOWN_MODEL = re.compile(
    r"invalid.model|model.{0,60}(not|n't) (found|exist)|unknown model", re.I
)
_MODERATION = re.compile(r"moderation|was flagged|content.policy|safety", re.I)
_MODERATION_TEXT = re.compile(  # of a 400, which has many other reasons
    r"inappropriate content|content exists risk|data.?inspection|was flagged|content management policy|敏感",
    re.I,
)
_NO_CREDIT = re.compile(
    r"insufficient.{0,12}(quota|balance|funds|credit)|(balance|credits?) .{0,20}(insufficient|exhausted|too low)"
    r"|current.quota|arrears|余额",
    re.I,
)


_SECRET = re.compile(
    r"(?i:bearer)\s+\S+|\b(?:sk|pk|hf|gsk|key|xai|AIza)[-_]?[\w*•-]{6,}|\b(?=\w*\d)(?=\w*[a-zA-Z])[\w-]{24,}\b"
)
_QUOTE = 300  # characters of a server's own sentence that are shown


def _message_of(error: openai.APIError) -> str:
    """The whole text of a server's error. It is searched for causes and never shown."""
    return str(error.body if error.body is not None else error.message)


def server_sentence(error: Exception, key: str = "") -> str:
    """A server's own words on a fault, shortened and without what could be a key; "" for none.

    Args:
        error: what the openai package raised.
        key: the key that was sent.
    """
    if not isinstance(error, openai.APIError) or isinstance(error, openai.APIConnectionError):
        return ""
    message: Any = error.body
    while isinstance(message, dict | str):
        if isinstance(message, str):  # some pass on the error of another server as a text
            try:
                message = json.loads(message)
            except ValueError:
                break
            continue
        table = cast(dict[str, Any], message)
        message = next(
            (table[k] for k in ("message", "error", "detail", "msg") if table.get(k)), ""
        )
    if not isinstance(message, str) or "<html" in message.lower() or "<!doctype" in message.lower():
        return ""
    text = " ".join(message.replace(key, "•••").split() if key else message.split())
    text = _SECRET.sub("•••", text)
    return text if len(text) <= _QUOTE else text[: _QUOTE - 1].rstrip() + "…"


def _is_too_long(error: openai.APIStatusError) -> bool:
    """Whether the conversation is longer than the model can see."""
    if error.status_code not in (400, 413, 422, 500):
        return False
    return error.code == "context_length_exceeded" or bool(_TOO_LONG.search(_message_of(error)))


def as_chat_error(error: Exception, model: str, partial: bool, key: str = "") -> ModelError:
    """The ModelError for a fault. Of the original's text it keeps only the server's own sentence.

    Args:
        error: what the openai package, or the connection under it, raised.
        model: its name at the server.
        partial: whether some of the answer had come.
        key: the key that was sent, so that it is not shown.
    """
    problem = _judge(error, model, partial)
    problem.server_sentence = server_sentence(error, key)
    return problem


def _judge(error: Exception, model: str, partial: bool) -> ModelError:
    match error:
        case ModelError():
            return error
        case httpx2.InvalidURL():
            return InvalidInput("invalid_address", field="base_url")
        case openai.APITimeoutError():
            return Unavailable("unavailable_timeout")
        case openai.APIConnectionError():
            return Unavailable("unavailable_cut" if partial else "unavailable_unreachable")
        case openai.APIStatusError() if partial and error.status_code >= 500:
            return Unavailable("unavailable_midway")
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
    message = _message_of(error)
    match error.status_code:
        case 402:
            return QuotaExceeded()
        case 400 | 403 | 429 if _NO_CREDIT.search(message):
            return QuotaExceeded()
        case 400 if _MODERATION_TEXT.search(message):
            return Refused("refused_content")
        case 400 | 422 if not html and _UNKNOWN_MODEL.search(message):
            return NotFound("not_found_on_server", model=model)
        case 403 if _MODERATION.search(message):
            return Refused("refused_content")
        case 404 if not html and _NO_MODEL.search(message):
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
