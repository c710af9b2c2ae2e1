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
from models.chat.thoughts import ThoughtSplitter
from models.chat.token_odds import text_of_bytes
from models.errors import Unavailable
from models.fields import MAX_TEXT, draw_seed

# ---------------------------------------------------------------- frames

DONE = "[DONE]"
_LINE_END = re.compile(r"\r\n|\n|\r")
_FIELD = re.compile(r"(data|event|id|retry|error)\s?:\s?(.*)", re.S)
_END_EVENTS = {"done", "end", "message_stop", "message-end", "response.completed"}
# What servers call an end of their own; all else keeps its name.
_ENDS = {
    "": {"", "null", "none", "unspecified", "0"},  # not yet
    "stop": {"stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed", "eom"},
    "length": {"length", "max_tokens", "max_length", "max_output_tokens", "model_length"},
    "tool_calls": {"tool_calls", "tool_call", "tool_use", "function_call"},
    "content_filter": {"content_filter", "safety", "image_safety", "recitation", "blocklist", "spii",
        "prohibited_content", "guardrail_intervened", "sensitive", "moderation", "refusal"},
    # It did not end, it broke off.
    "error": {"error", "network_error", "insufficient_system_resource", "abort", "aborted"},
}  # fmt: skip
_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "reasoning_text", "reasoning_details")
# Characters read in search of a frame's end, each line of it anew: a hostile server's would take hours.
_MOST_VAIN = 200_000_000
_HALF = re.compile("[\ud800-\udfff]")  # of a letter in UTF-16
_KEYS = ("data", "models", "result", "results", "items", "model_list", "body")  # of lists of models


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
        json.JSONDecodeError: a frame is garbled.
        Unavailable: a web page came (unavailable_html).
    """
    event, pending, others = "", "", ""
    other, has_output, vain = "", False, 0
    async for line in _lines(response):
        field = _FIELD.fullmatch(line)
        if line.strip().strip('"').upper() == DONE:
            yield DONE
            return
        if field is None:  # a line of JSON, the end of a frame, or a part of one long JSON
            frames = None if others else _parse(line)
            if frames is None and line.strip() and not line.startswith(":"):
                others += line + "\n"
            elif not line.strip():
                if pending.lstrip()[:1] in {"{", "["}:
                    raise json.JSONDecodeError("garbled frame", pending, 0)
                other, event, pending = pending or other, "", ""  # a word or the time: alive
        elif field[1] == "data":
            pending += re.sub(r"^(data:\s*)+", "", field[2].strip())
            if pending.strip('"').upper() == DONE or event in _END_EVENTS:
                yield DONE
                return
            frames = _parse(pending)
            vain += len(pending) if frames is None else 0
            if vain > _MOST_VAIN:
                raise json.JSONDecodeError("endless frame", "", 0)
            pending = "" if frames is not None else f"{pending}\n" if pending else ""
        elif field[1] == "error":  # llama.cpp's own field
            frames = _parse(field[2])
            frames = [{"error": field[2] if frames is None else frames[0]}]
        else:
            event = field[2] if field[1] == "event" else event
            frames = None
        for frame in frames or ():
            _raise_error(frame, event, response)
            has_output = True
            yield frame
            if frame.get("type") in _END_EVENTS:
                yield DONE
                return
    if re.match(r"\s*<(!doctype|html|head|body|\?xml)", others, re.I):
        raise Unavailable("unavailable_html")
    if other and not has_output:
        raise json.JSONDecodeError("garbled frame", other, 0)
    if pending or others.strip():
        for frame in _objects(json.loads(pending or others)):
            _raise_error(frame, event, response)
            yield frame


async def _lines(response: httpx2.Response) -> AsyncIterator[str]:
    """Lines end at CR LF, CR or LF only: U+2028 and its kind are text."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    parts, rest = list[str](), ""  # of a line that is not whole; a CR that may be half a line end
    try:
        async for data in response.aiter_bytes():
            text = rest + decoder.decode(data)
            rest = "\r" if text.endswith("\r") else ""
            first, *lines = _LINE_END.split(text.removesuffix("\r"))
            parts.append(first)
            for line in lines:
                yield "".join(parts)
                parts = [line]
    except httpx2.TimeoutException:
        raise openai.APITimeoutError(response.request) from None
    except httpx2.TransportError:
        raise openai.APIConnectionError(request=response.request) from None
    for line in _LINE_END.split("".join(parts) + rest + decoder.decode(b"", final=True)):
        yield line


def _parse(text: str) -> list[dict[str, Any]] | None:
    """The objects in a text; None where it is not, or not yet, JSON."""
    decoder, objects, at = json.JSONDecoder(strict=False), list[dict[str, Any]](), 0
    text = text.strip()
    try:
        while at < len(text):  # two in one line, too
            value, at = decoder.raw_decode(text, at)
            objects += _objects(value)
            at += len(text) - at - len(text[at:].lstrip())
    except ValueError:
        return None
    return objects if text else None


def _objects(value: Any) -> list[dict[str, Any]]:
    """Some servers wrap an object in a list; a number or null is a sign of life."""
    values = cast(list[Any], value) if isinstance(value, list) else [value]
    return [cast(dict[str, Any], one) for one in values if isinstance(one, dict)]


def _raise_error(frame: dict[str, Any], event: str, response: httpx2.Response) -> None:
    """Raise the error that a frame reports, judged like one with a status of its own."""
    problem = frame.get("error")
    if not problem and (event == "error" or "error" in {frame.get("object"), frame.get("type")}):
        problem = frame
    if not problem and "choices" not in frame:
        problem = frame.get("detail") or frame.get("errors") or frame.get("msg")
        base: Any = frame.get("base_resp")  # MiniMax
        if isinstance(base, dict) and cast(dict[str, Any], base).get("status_code"):
            problem = {"message": cast(dict[str, Any], base).get("status_msg")}
        if isinstance(frame.get("message"), str) and frame["message"]:
            problem = problem or frame
    if not problem:
        choices: Any = frame.get("choices")
        first: Any = choices[0] if isinstance(choices, list) and choices else None
        problem = cast(dict[str, Any], first).get("error") if isinstance(first, dict) else None
    if isinstance(problem, list):
        problem = cast(list[Any], problem)[0]
    if not problem:
        return
    body: dict[str, Any] = (
        cast(dict[str, Any], problem) if isinstance(problem, dict) else {"message": str(problem)}
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
    (re.compile(r"insufficient.{0,5}(balance|funds|credit)|arrears|billing|payment", re.I), 402),
    (re.compile(r"quota|rate.?limit|too many requests|billing|credit", re.I), 429),
    (re.compile(r"context.{0,20}(length|size|window)|invalid.request|BadRequest", re.I), 400),
    (re.compile(r"model.{0,60}(not.found|not.exist)|no such model|unknown model", re.I), 404),
    (re.compile(r"authenticat|invalid.?api.?key|unauthorized", re.I), 401),
    (re.compile(r"permission|forbidden", re.I), 403),
    (re.compile(r"overloaded|unavailable|server.error|internal.error|out of memory", re.I), 503),
)


def _status(body: Mapping[str, Any]) -> int | None:
    """The HTTP status that an error within a stream stands for; None where nothing tells."""
    for name in ("status", "status_code", "code", "http_status"):
        digits = str(body.get(name, ""))
        if digits.isdigit() and 400 <= int(digits) < 600:
            return int(digits)
    text = " ".join(str(body.get(name, "")) for name in ("code", "type", "message"))
    return next((status for words, status in _BY_WORDS if words.search(text)), None)


# ---------------------------------------------------------------- the answer


class StreamReader:
    """An answer as far as it has come: which samples have text, and which have ended and how."""

    def __init__(self, request: ChatRequest) -> None:
        self._seed = draw_seed(request.seed)
        self._original = request
        self._lengths: dict[int, int] = {}  # of the samples' texts and thoughts, in characters
        self._has_text = False  # some text of an answer has come
        self._splitters: dict[int, ThoughtSplitter] = {}
        self._texts: dict[int, str] = {}  # as they came
        self._halves: dict[int, str] = {}  # the first half of a letter, whose second is to come
        self._thinking: set[int] = set()  # samples with thoughts
        self._reasons: dict[int, str] = {}
        self._usage: Any = None
        self._has_tokens = False
        self._has_thoughts = False  # the model thought aloud before it answered
        self._tools: list[str] = []  # that the model wanted to call
        self._is_over = False

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
            self._is_over = True
            return []
        try:
            self._usage = _usage(frame) or self._usage
            choices: Any = frame.get("choices") or ()
            if isinstance(choices, dict):
                choices = [choices]
            if not choices:
                choices = _own_choices(frame)
            deltas = [self._delta(choice) for choice in choices if isinstance(choice, dict)]
        except (AttributeError, TypeError, ValueError):
            raise Unavailable("unavailable_bad_answer") from None
        return [
            one
            for one in deltas
            if one.text or one.tokens or one.thoughts or one.before_was_thought
        ]

    def flush(self) -> Iterator[TextDelta]:
        """The text that was held back because it could have been a part of a tag."""
        for index, splitter in self._splitters.items():
            text, thoughts = splitter.finish()
            self._has_text = self._has_text or bool(text)
            if text or thoughts:
                yield TextDelta(text, index, thoughts=thoughts)

    def _delta(self, choice: dict[str, Any]) -> TextDelta:
        index = self._index(choice)
        source: Any = choice.get("delta") or choice.get("message") or {}
        if isinstance(source, str):
            source = {"content": source}
        if not isinstance(source, dict):
            source = {}
        source = cast(dict[str, Any], source)
        content = source.get("content") or source.get("refusal") or choice.get("text")
        piece, thoughts = _text_and_thoughts(content)
        before = self._texts.get(index, "")
        ends = choice.get("message") and not choice.get("delta") and choice.get("finish_reason")
        if ends and before and piece.startswith(before):
            piece = piece[len(before) :]  # the whole once more, at the end
        piece = self._whole_letters(index, piece)
        self._texts[index] = before + piece
        splitter = self._splitters.setdefault(index, ThoughtSplitter())
        text, more_thoughts = splitter.split(piece)
        thoughts += more_thoughts
        for name in _THOUGHTS:
            if source.get(name):
                thoughts += "".join(_text_and_thoughts(source[name]))
                break  # some servers send the same under two names
        if index not in self._thinking:
            thoughts = thoughts.lstrip()  # some send the tags with nothing in between
        if thoughts:
            self._thinking.add(index)
        thoughts = _HALF.sub("\ufffd", thoughts)
        tokens = _tokens(choice) if self._original.alternatives and text == piece else ()
        self._lengths[index] = self._lengths.get(index, 0) + len(piece) + len(thoughts)
        self._has_text = self._has_text or bool(text)
        self._has_tokens = self._has_tokens or bool(tokens)
        if splitter.before_was_thought:
            self._has_text = bool(text)
            self._thinking.add(index)
        self._has_thoughts = self._has_thoughts or bool(thoughts) or splitter.before_was_thought
        self._tools += _tool_names(source)
        reasons = (one.get(k) for one in (choice, source) for k in ("finish_reason", "done_reason"))
        if reason := next((_end(one) for one in reasons if one), ""):
            self._reasons[index] = reason
        return TextDelta(text, index, tokens, thoughts, splitter.before_was_thought)

    def _whole_letters(self, index: int, text: str) -> str:
        """Text without half letters: some servers cut one into two frames, a surrogate in each."""
        text = self._halves.pop(index, "") + text
        if "\ud800" <= text[-1:] <= "\udbff":
            self._halves[index], text = text[-1], text[:-1]
        return _HALF.sub(
            "\ufffd", text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        )

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
        if not self._is_over and self._lengths.keys() - self._reasons and not self.too_long:
            raise Unavailable("unavailable_cut")
        if "error" in self._reasons.values():
            raise Unavailable("unavailable_midway")
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
            Note("no_logprobs"): request.alternatives and self._has_text and not self._has_tokens,
            Note("hidden_tokens", self._hidden_tokens): self._hidden_tokens
            and not self._has_thoughts,
            Note("thought_aloud"): self._has_thoughts and self._has_text,
            Note("all_thought"): reason == "length" and thoughts and not self._has_text,
            Note("content_filter"): reason == "content_filter",
            Note("tool_call", ", ".join(dict.fromkeys(self._tools))): self._tools,
            Note("empty_answer"): not (self._has_text or self._tools)
            and reason != "content_filter"
            and not (reason == "length" and thoughts),
        }
        return [note for note, applies in notes.items() if applies]


def _end(reason: Any) -> str:
    """A server's reason for the end, in OpenAI's words where it means the same; "" for none yet."""
    if isinstance(reason, dict):
        table = cast(dict[str, Any], reason)
        reason = table.get("type") or table.get("reason") or ""
    name = str(reason).lower().replace("-", "_").removeprefix("finish_reason_")
    if name.startswith("<") and name.endswith(">"):  # the token that ends the text
        return "stop"
    return next((ours for ours, theirs in _ENDS.items() if name in theirs), name)


def _usage(frame: dict[str, Any]) -> Any:
    """The counts of tokens, where they are: Groq has a place of its own, some have them in a choice."""
    own: Any = frame.get("x_groq")
    choices: Any = frame.get("choices")
    places = [frame, own, *(cast(list[Any], choices) if isinstance(choices, list) else ())]
    counts = (cast(dict[str, Any], one).get("usage") for one in places if isinstance(one, dict))
    return next((one for one in counts if isinstance(one, dict) and one), None)


def _own_choices(frame: dict[str, Any]) -> list[dict[str, Any]]:
    """The choice in a frame of a server's own API: Ollama's, Cloudflare's, llama.cpp's."""
    if isinstance(frame.get("message"), dict):
        return [frame]
    text = next((t for k in ("response", "content") if isinstance(t := frame.get(k), str)), None)
    if text is None:
        return []
    reason = frame.get("done_reason") or ("stop" if frame.get("stop") is True else None)
    return [{"text": text, "finish_reason": reason}]


def _tool_names(source: dict[str, Any]) -> list[str]:
    """The names of the tools that the model wants to call; "?" for one without a name."""
    calls: Any = source.get("tool_calls") or ()
    calls = [calls] if isinstance(calls, dict) else list(calls)
    names = [call.get("function") for call in calls if isinstance(call, dict)]
    names.append(source.get("function_call"))  # the older form
    tables = [cast(dict[str, Any], one) for one in names if isinstance(one, dict)]
    return [str(one["name"]) for one in tables if one.get("name")]


def _text_and_thoughts(content: Any) -> tuple[str, str]:
    """What a content says, and what it thinks: a text, or a list of parts of a kind each.

    Raises:
        TypeError: it is something else.
    """
    if content is None or isinstance(content, str):
        return content or "", ""
    if isinstance(content, int | float):
        return str(content), ""
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
    if isinstance(usage, float | str) and str(usage).removesuffix(".0").isdecimal():
        usage = int(float(usage))
    return usage if isinstance(usage, int) and usage >= 0 else None


def _tokens(choice: dict[str, Any]) -> tuple[Token, ...]:
    """A choice's tokens with their probabilities; what does not have the right fields counts as none."""
    try:
        logprobs = choice.get("logprobs") or {}
        return tuple(
            Token(
                *_text_and_probability(token),
                alternatives=tuple(
                    Alternative(*_text_and_probability(other))
                    for other in token.get("top_logprobs") or ()
                ),
            )
            for token in logprobs.get("content") or _older_logprobs(logprobs)
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return ()


def _older_logprobs(logprobs: dict[str, Any]) -> list[dict[str, Any]]:
    """Logprobs in the form of the older completions, which some servers give for chats too."""
    tops: list[Any] = logprobs.get("top_logprobs") or []
    pairs = zip(logprobs.get("tokens") or (), logprobs.get("token_logprobs") or (), strict=True)
    return [
        {
            "token": token,
            "logprob": logprob,
            "top_logprobs": [
                {"token": other, "logprob": value}
                for other, value in ((tops[place] if place < len(tops) else None) or {}).items()
            ],
        }
        for place, (token, logprob) in enumerate(pairs)
    ]


def _text_and_probability(token: dict[str, Any]) -> tuple[str, None, float]:
    """The first fields of a Token or an Alternative: a server gives no id."""
    logprob = float(token["logprob"])
    if math.isnan(logprob):
        raise ValueError("no probability")
    data = token.get("bytes")
    text = text_of_bytes(bytes(data)) if data else _HALF.sub("\ufffd", str(token["token"]))
    return text, None, math.exp(min(0.0, logprob))


# ---------------------------------------------------------------- lists of models


def model_names(body: Any) -> list[str]:
    """The names in a server's list of models, in the forms of OpenAI, Together, LM Studio and Ollama.

    Raises:
        Unavailable: it is no list of models (unavailable_no_list).
    """
    body, key = _list_in(body)
    names: set[str] = set()
    for entry in body:
        table: Any = entry if isinstance(entry, dict) else {"id": entry}
        fields = ["id", "name", "model", "key", "model_name", "slug"]
        if key == "result" or str(table.get("id")).startswith("azureml:"):  # no name for requests
            fields.remove("id")
        values = (table.get(name) for name in fields)
        name = next((value for value in values if isinstance(value, str) and value.strip()), "")
        names.add(name.strip())
    return sorted(name for name in names if 0 < len(name) <= 200)


def next_page(body: Any) -> dict[str, str]:
    """The query for the next part of a list of models; empty where there is none."""
    table = cast(dict[str, Any], body) if isinstance(body, dict) else {}
    last, token = table.get("last_id"), table.get("nextPageToken")
    if table.get("has_more") is True and isinstance(last, str):
        return {"after_id": last}  # Anthropic
    return {"pageToken": token} if isinstance(token, str) and token else {}  # Google


def _list_in(body: Any) -> tuple[list[Any], str]:
    """The entries of a list of models, and the key under which they were; nested ones too.

    Raises:
        Unavailable: it is no list of models (unavailable_no_list).
    """
    if isinstance(body, list):
        return cast(list[Any], body), ""
    table = cast(dict[str, Any], body) if isinstance(body, dict) else {}
    keys = [key for key in _KEYS if key in table]
    if not keys:
        raise Unavailable("unavailable_no_list")
    key = next((key for key in keys if table[key]), keys[0])
    value: Any = table[key] or []
    if isinstance(value, dict):
        inner = cast(dict[str, Any], value)
        if any(one in inner for one in _KEYS):
            return _list_in(inner)
        if all(isinstance(one, dict) for one in inner.values()):  # by their names
            return [{"id": name} for name in inner], key
    if not isinstance(value, list):
        raise Unavailable("unavailable_no_list")
    return cast(list[Any], value), key
