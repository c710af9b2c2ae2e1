"""Reads what a chat server sends: frames of a stream, their text, thoughts, tokens and errors.

Servers differ from OpenAI's own in many small ways. What holds no text is skipped, and text is taken
where it is: in a delta, a message or a list of parts.
"""

import codecs
import json
import math
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, cast

import httpx2
import openai

from models.chat.events import Alternative, ChatDone, Note, TextDelta, Token
from models.chat.requests import ChatRequest
from models.chat.token_odds import text_of_bytes
from models.errors import Unavailable
from models.fields import MAX_TEXT, draw_seed

# ---------------------------------------------------------------- frames

DONE = "[DONE]"
_LINE_END = re.compile(r"\r\n|\n|\r(?=.)", re.S)
_FIELD = re.compile(r"(data|event|id|retry|error)\s?:\s?(.*)", re.S)
# What servers call an end of their own; all else keeps its name.
_ENDS = {
    "stop": {"stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed"},
    "length": {"length", "max_tokens", "max_length", "max_output_tokens"},
}


async def frames(response: httpx2.Response) -> AsyncIterator[dict[str, Any] | str]:
    """The JSON objects of a streamed answer, and DONE where the server says so.

    An event stream, lines of JSON, or one JSON although a stream was requested. Comments, empty frames
    and other fields are skipped.

    Args:
        response: open, its body not yet read.

    Raises:
        openai.APIError: the server reports an error within the stream; with its status (an
            openai.APIStatusError) where that can be told.
        openai.APIConnectionError: the connection broke.
        json.JSONDecodeError, UnicodeDecodeError: a frame is garbled.
    """
    event, pending, others = "", "", ""
    async for line in _lines(response):
        field = _FIELD.fullmatch(line)
        if field is None:  # a line of JSON, the end of a frame, or a part of one long JSON
            if line.strip():
                parsed = _parse(line)
                if parsed is None:
                    others += line + "\n"
            else:
                parsed, event = None, event if pending else ""
                if pending:
                    raise json.JSONDecodeError("garbled frame", pending, 0)
        elif field[1] == "data":
            pending += field[2].strip()
            if pending == DONE:
                yield DONE
                return
            parsed = _parse(pending)
            pending = "" if parsed is not None else f"{pending}\n" if pending else ""
        elif field[1] == "error":  # llama.cpp's own field
            parsed = _parse(field[2])
            parsed = [{"error": field[2] if parsed is None else parsed[0]}]
        else:
            event = field[2] if field[1] == "event" else event
            parsed = None
        for frame in parsed or ():
            _raise_reported(frame, event, response)
            yield frame
    if pending or others.strip():
        for frame in _objects(json.loads(pending or others)):
            _raise_reported(frame, event, response)
            yield frame


async def _lines(response: httpx2.Response) -> AsyncIterator[str]:
    """Lines end at CR LF, CR or LF only: U+2028 and its kind are text."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    rest = ""
    try:
        async for data in response.aiter_bytes():
            *lines, rest = _LINE_END.split(rest + decoder.decode(data))
            for line in lines:
                yield line
    except httpx2.TimeoutException:
        raise openai.APITimeoutError(response.request) from None
    except httpx2.TransportError:
        raise openai.APIConnectionError(request=response.request) from None
    rest += decoder.decode(b"", final=True)
    for line in rest.split("\r"):
        yield line


def _parse(text: str) -> list[dict[str, Any]] | None:
    """The objects in a text; None where it is not, or not yet, JSON."""
    try:
        return _objects(json.loads(text)) if text.strip() else None
    except ValueError:
        return None


def _objects(value: Any) -> list[dict[str, Any]]:
    """Some servers wrap an object in a list.

    Raises:
        Unavailable: there is something else than objects.
    """
    values = cast(list[Any], value) if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in values):
        raise Unavailable("unavailable_bad_answer")
    return values


def _raise_reported(frame: dict[str, Any], event: str, response: httpx2.Response) -> None:
    """Raise the error that a frame reports, judged like one with a status of its own."""
    reported = frame.get("error")
    if not reported and (event == "error" or "error" in {frame.get("object"), frame.get("type")}):
        reported = frame
    if not reported and "choices" not in frame:
        reported = frame.get("detail")
    if not reported:
        return
    body: dict[str, Any] = (
        cast(dict[str, Any], reported) if isinstance(reported, dict) else {"message": str(reported)}
    )
    message, status = str(body.get("message", "")), _status(body)
    if status is None:
        raise openai.APIError(message, response.request, body=body)
    kind = _BY_STATUS.get(status, openai.APIStatusError)
    answer = httpx2.Response(status, request=response.request)
    raise kind(message, response=answer, body=body)


_BY_STATUS: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
}
# Words in an error's code, type or message -> the status that OpenAI's own server would give.
_BY_WORDS = (
    (re.compile(r"quota|rate.?limit|too many requests|billing|credit", re.I), 429),
    (re.compile(r"context.{0,20}(length|size|window)|invalid.request|BadRequest", re.I), 400),
    (re.compile(r"authentication|invalid.api.key|unauthorized", re.I), 401),
    (re.compile(r"permission|forbidden", re.I), 403),
    (re.compile(r"overloaded|unavailable|server.error|internal.error", re.I), 503),
)


def _status(body: Mapping[str, Any]) -> int | None:
    """The HTTP status that an error within a stream stands for; None where nothing tells."""
    for name in ("status", "status_code", "code", "http_status"):
        digits = str(body.get(name, ""))
        if digits.isdigit() and 400 <= int(digits) < 600:
            return int(digits)
    text = " ".join(str(body.get(name, "")) for name in ("code", "type", "message"))
    return next((status for words, status in _BY_WORDS if words.search(text)), None)


# ---------------------------------------------------------------- thoughts

_OPENING = ("<think>", "<thinking>", "<thought>", "[THINK]")
_CLOSING = ("</think>", "</thinking>", "</thought>", "[/THINK]")


class ThoughtSplitter:
    """Parts the thoughts that a model writes in front of its answer, in tags, from the answer."""

    def __init__(self) -> None:
        self._held = ""  # text that may turn out to be a part of a tag
        self._closing = ""  # the tag that ends the thoughts; "" outside of them
        self._started = False  # the answer has begun: a tag in it is text
        self._thought = False

    def split(self, text: str) -> tuple[str, str]:
        """(answer, thoughts) in the next piece of text."""
        if self._started:
            return text, ""
        self._held += text
        if not self._closing:
            start = self._held.lstrip()
            tag = next((tag for tag in _OPENING if start.startswith(tag)), "")
            if not tag:
                if not start or any(one.startswith(start) for one in _OPENING):
                    return "", ""
                text, self._started, self._held = self._held, True, ""
                return (start if self._thought else text), ""
            self._closing = _CLOSING[_OPENING.index(tag)]
            self._held, self._thought = start[len(tag) :], True
        thoughts, closing, after = self._held.partition(self._closing)
        if closing:
            self._closing, self._held = "", ""
            answer, more = self.split(after)  # some models think twice
            return answer, thoughts + more
        keep = next(
            (
                n
                for n in range(len(self._closing) - 1, 0, -1)
                if self._held.endswith(self._closing[:n])
            ),
            0,
        )
        cut = len(self._held) - keep
        thoughts, self._held = self._held[:cut], self._held[cut:]
        return "", thoughts

    def finish(self) -> tuple[str, str]:
        """(answer, thoughts) that were held back; nothing comes after."""
        rest, self._held = self._held, ""
        if self._thought and not self._closing:
            rest = rest.lstrip()
        return ("", rest) if self._closing else (rest, "")


# ---------------------------------------------------------------- the answer


class StreamReader:
    """What has come of an answer so far: which samples have text, which have ended and how."""

    def __init__(self, request: ChatRequest) -> None:
        self._seed = draw_seed(request.seed)
        self._original = request
        self._lengths: dict[int, int] = {}  # of the samples' texts and thoughts, in characters
        self._answered = False  # some text of an answer has come
        self._splitters: dict[int, ThoughtSplitter] = {}
        self._reasons: dict[int, str] = {}
        self._usage: Any = None
        self._has_tokens = False
        self._has_thoughts = False  # the model thought aloud before it answered
        self._tools: list[str] = []  # that the model wanted to call
        self._done = False

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

    def read(self, frame: dict[str, Any] | str) -> list[TextDelta]:
        """The new text in a frame.

        Raises:
            Unavailable: it does not have the fields of a chunk.
        """
        if isinstance(frame, str):
            self._done = True
            return []
        try:
            self._usage = frame.get("usage") or self._usage
            choices = frame.get("choices") or ()
            if not choices and isinstance(frame.get("message"), dict):
                choices = [frame]  # Ollama's own API
            deltas = [self._delta(choice) for choice in choices]
        except (AttributeError, TypeError, ValueError):
            raise Unavailable("unavailable_bad_answer") from None
        return [delta for delta in deltas if delta.text or delta.tokens or delta.thoughts]

    def flush(self) -> Iterator[TextDelta]:
        """Text that was held back, since it could have been a part of a tag."""
        for index, splitter in self._splitters.items():
            text, thoughts = splitter.finish()
            self._answered = self._answered or bool(text)
            if text or thoughts:
                yield TextDelta(text, index, thoughts=thoughts)

    def _delta(self, choice: dict[str, Any]) -> TextDelta:
        index = self._index(choice)
        source: Any = choice.get("delta") or choice.get("message") or {}
        if isinstance(source, str):
            source = {"content": source}
        content = source.get("content") or source.get("refusal") or choice.get("text")
        said, thoughts = _text_and_thoughts(content)
        splitter = self._splitters.setdefault(index, ThoughtSplitter())
        text, tagged = splitter.split(said)
        thoughts += tagged
        for name in ("reasoning_content", "reasoning", "thinking"):
            if source.get(name):
                thoughts += "".join(_text_and_thoughts(source[name]))
                break  # some servers send the same under two names
        tokens = _tokens(choice) if self._original.alternatives and text == said else ()
        self._lengths[index] = self._lengths.get(index, 0) + len(said) + len(thoughts)
        self._answered = self._answered or bool(text)
        self._has_tokens = self._has_tokens or bool(tokens)
        self._has_thoughts = self._has_thoughts or bool(thoughts)
        for call in source.get("tool_calls") or ():
            name = (call.get("function") or {}).get("name")
            self._tools += [str(name)] if name else []
        if reason := choice.get("finish_reason") or choice.get("done_reason"):
            self._reasons[index] = _end(str(reason))
        return TextDelta(text, index, tokens, thoughts)

    def _index(self, choice: dict[str, Any]) -> int:
        samples = self._original.num_return_sequences
        index = int(choice.get("index") or 0) if samples > 1 else 0  # some count chunks with it
        if not 0 <= index < samples:
            raise ValueError("a sample that was not requested")
        return index

    def finish(self, notes: Sequence[Note], unsupported: Sequence[str]) -> ChatDone:
        """The end of the answer.

        Args:
            notes: on the form in which the request was accepted.
            unsupported: the parameters that the server refused.

        Raises:
            Unavailable: there was no answer, or it broke off.
        """
        if self.empty:
            raise Unavailable("unavailable_bad_answer")
        if not self._done and self._lengths.keys() - self._reasons and not self.too_long:
            raise Unavailable("unavailable_cut")
        reasons = set(self._reasons.values()) - {"stop"}
        reason = "length" if self.too_long else min(reasons) if reasons else "stop"
        return ChatDone(
            reason,
            self._seed,
            _count(self._usage, "prompt_tokens"),
            _count(self._usage, "completion_tokens"),
            (*notes, *self._notes(unsupported, reason)),
            cached_tokens=_count(self._usage, "prompt_tokens_details", "cached_tokens") or 0,
            hidden_tokens=self._hidden_tokens,
        )

    @property
    def _hidden_tokens(self) -> int:
        return _count(self._usage, "completion_tokens_details", "reasoning_tokens") or 0

    def _notes(self, unsupported: Sequence[str], reason: str) -> list[Note]:
        request = self._original
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
            Note("no_logprobs"): request.alternatives and self._answered and not self._has_tokens,
            Note("hidden_tokens", self._hidden_tokens): self._hidden_tokens
            and not self._has_thoughts,
            Note("thought_aloud"): self._has_thoughts and self._answered,
            Note("all_thought"): reason == "length" and thoughts and not self._answered,
            Note("content_filter"): reason == "content_filter",
            Note("tool_call", ", ".join(dict.fromkeys(self._tools))): self._tools,
            Note("empty_answer"): not (self._answered or self._tools or thoughts)
            and reason != "content_filter",
        }
        return [note for note, applies in notes.items() if applies]


def _end(reason: str) -> str:
    """A server's reason for the end, in OpenAI's words where it means the same."""
    name = reason.lower()
    return next((ours for ours, theirs in _ENDS.items() if name in theirs), name)


def _text_and_thoughts(content: Any) -> tuple[str, str]:
    """What a content says, and what it thinks: a text, or a list of parts of a kind each.

    Raises:
        TypeError: it is something else.
    """
    if content is None or isinstance(content, str):
        return content or "", ""
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise TypeError("no text")
    text, thoughts = "", ""
    for part in cast(list[Any], content):
        if isinstance(part, str):
            text += part
            continue
        kind = str(part.get("type", "text"))
        inner = part.get("text") or part.get("thinking") or part.get("content") or ""
        words = "".join(_text_and_thoughts(inner))
        if "think" in kind or "reason" in kind:
            thoughts += words
        elif kind in {"text", "output_text"}:
            text += words
    return text, thoughts


def _count(usage: Any, *names: str) -> int | None:
    for name in names:
        usage = cast(dict[str, Any], usage).get(name) if isinstance(usage, dict) else None
    return usage if isinstance(usage, int) and usage >= 0 else None


def _tokens(choice: dict[str, Any]) -> tuple[Token, ...]:
    """A choice's tokens with their probabilities; what does not have the right fields counts as none."""
    try:
        return tuple(
            Token(
                *_text_and_probability(token),
                alternatives=tuple(
                    Alternative(*_text_and_probability(other))
                    for other in token.get("top_logprobs") or ()
                ),
            )
            for token in (choice.get("logprobs") or {}).get("content") or ()
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return ()


def _text_and_probability(token: dict[str, Any]) -> tuple[str, None, float]:
    """The first fields of a Token or an Alternative: a server gives no id."""
    logprob = float(token["logprob"])
    if math.isnan(logprob):
        raise ValueError("no probability")
    data = token.get("bytes")
    text = text_of_bytes(bytes(data)) if data else str(token["token"])
    return text, None, math.exp(min(0.0, logprob))


# ---------------------------------------------------------------- lists of models


def model_names(body: Any) -> list[str]:
    """The names in a server's list of models, in the forms of OpenAI, Together, LM Studio and Ollama.

    Raises:
        Unavailable: it is no list of models (unavailable_no_list).
    """
    if isinstance(body, dict):
        table = cast(dict[str, Any], body)
        key = next((key for key in ("data", "models", "result") if key in table), None)
        if key is None:
            raise Unavailable("unavailable_no_list")
        body = table[key] or []
    if not isinstance(body, list):
        raise Unavailable("unavailable_no_list")
    names: set[str] = set()
    for entry in cast(list[Any], body):
        table: Any = entry if isinstance(entry, dict) else {"id": entry}
        values = (table.get(key) for key in ("id", "name", "model", "key"))
        name = next((value for value in values if isinstance(value, str) and value.strip()), "")
        names.add(name.strip())
    return sorted(name for name in names if 0 < len(name) <= 200)
