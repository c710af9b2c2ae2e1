"""Chat with a model behind OpenAI's API, or behind any server that speaks it."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any, Self

import openai

from models.base import ChatDone, ModelSpec, Placement, Stop, TextDelta
from models.chat.options import hosted_options
from models.errors import ModelError, NotFound, QuotaExceeded, RateLimited, Unavailable
from models.openai_client import as_model_error, async_client, unsupported_parameter
from models.requests import ChatRequest, drawn_seed
from models.settings import Settings

_LOOK = 0.05  # seconds between two looks at the stop flag while the server is silent
_OPTIONAL = {"temperature", "top_p", "seed", "n", "max_completion_tokens", "stream_options"}


class OpenAIChat:
    """Chat Completions, streamed. Holds no key: each request brings its own or uses the settings'."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Nothing is loaded; the server is first asked with the first request."""
        return cls(settings)

    def stream(self, request: ChatRequest, stop: Stop) -> Generator[TextDelta | ChatDone]:
        """Yield the answer as it comes. Once stop is set the connection is closed within 0.1 s.

        Raises:
            ModelError: what the server or the connection said, each fault with its own code; what
                was yielded before stays true.
        """
        with asyncio.Runner() as runner:  # a loop of this job's own
            events = self._events(request)
            try:
                while (event := runner.run(_next(events, stop))) is not None:
                    yield event
            finally:
                runner.run(events.aclose())

    async def _events(self, request: ChatRequest) -> AsyncGenerator[TextDelta | ChatDone]:
        model = request.model_name or self._settings.openai_model
        request = request.model_copy(update={"seed": drawn_seed(request.seed)})
        answer = _Answer()
        try:
            async with async_client(self._settings, request.api_key) as client:
                stream, left_out = await _opened(client, model, request)
                async with stream:
                    async for chunk in stream:
                        for delta in answer.read(chunk):
                            yield delta
                html = "html" in stream.response.headers.get("content-type", "")
            yield answer.done(request, left_out, html)
        except Exception as error:
            raise _problem(error, model, begun=bool(answer.begun)) from None

    def nbytes(self) -> int:
        """No weights here."""
        return 0


async def _next(
    events: AsyncGenerator[TextDelta | ChatDone], stop: Stop
) -> TextDelta | ChatDone | None:
    step = asyncio.ensure_future(anext(events, None))
    while not step.done():
        await asyncio.wait({step}, timeout=_LOOK)
        if stop.is_set() and not step.done():
            step.cancel()
            await asyncio.wait({step})
            return None
    return step.result()


async def _opened(
    client: openai.AsyncOpenAI, model: str, request: ChatRequest
) -> tuple[openai.AsyncStream[Any], list[str]]:
    """The stream, and the parameters it does without: each refused one is left out and asked again."""
    left_out: list[str] = []
    while True:
        ask: dict[str, Any] = hosted_options(request, left_out)
        if "stream_options" not in left_out:
            ask["stream_options"] = {"include_usage": True}
        try:
            stream = await client.chat.completions.create(
                model=model,
                messages=request.turns(),  # type: ignore[arg-type]
                stream=True,
                **ask,
            )
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            refused = _refused(error, set(ask) & _OPTIONAL)
            if refused is None:
                raise
            left_out.append(refused)
            continue
        return stream, left_out


def _refused(error: openai.APIStatusError, sent: set[str]) -> str | None:
    """Which of the parameters sent the server does not want: by its word, or named in its message."""
    if error.code == "context_length_exceeded":
        return None
    named = re.split(r"[.\[]", unsupported_parameter(error) or "")[0]
    if named in sent:
        return named
    said = str(error.body if error.body is not None else error.message)
    return next((name for name in sorted(sent) if re.search(rf"\b{name}\b", said)), None)


class _Answer:
    """What has come so far: which samples have begun, which have ended and how."""

    def __init__(self) -> None:
        self.begun: set[int] = set()
        self._reasons: dict[int, str] = {}
        self._usage: Any = None

    def read(self, chunk: Any) -> list[TextDelta]:
        """The new text in a chunk.

        Raises:
            Unavailable: it is not shaped as a chunk is.
        """
        deltas: list[TextDelta] = []
        try:
            self._usage = chunk.usage or self._usage
            for choice in chunk.choices or ():
                index = int(choice.index or 0)
                self.begun.add(index)
                text = choice.delta.content or choice.delta.refusal or ""
                if text:
                    deltas.append(TextDelta("" + text, index))  # a TypeError if it is no text
                if choice.finish_reason:
                    self._reasons[index] = str(choice.finish_reason)
        except (AttributeError, TypeError, ValueError):
            raise Unavailable("unavailable_bad_answer") from None
        return deltas

    def done(self, request: ChatRequest, left_out: list[str], html: bool) -> ChatDone:
        """The end of the answer.

        Raises:
            Unavailable: there was no answer, or it broke off.
        """
        if html or not self.begun:
            raise Unavailable("unavailable_bad_answer")
        if self.begun - set(self._reasons):
            raise Unavailable("unavailable_cut")
        notes = [f"parameter_left_out:{name}" for name in left_out]
        if request.num_return_sequences > len(self.begun) and "n" not in left_out:
            notes.append("parameter_ignored:n")
        reasons = set(self._reasons.values()) - {"stop"}
        return ChatDone(
            min(reasons) if reasons else "stop",
            request.seed,
            getattr(self._usage, "prompt_tokens", None),
            getattr(self._usage, "completion_tokens", None),
            tuple(note for note in notes if not note.endswith("stream_options")),
        )


def _problem(error: Exception, model: str, begun: bool) -> ModelError:
    """What went wrong, in the codes of tabs/text; nothing of the original's text goes along."""
    match error:
        case ModelError():
            return error
        case openai.APITimeoutError():
            return Unavailable("unavailable_timeout")
        case openai.APIConnectionError():
            return Unavailable("unavailable_cut" if begun else "unavailable_unreachable")
        case openai.NotFoundError():
            return NotFound("not_found_on_server", model=model)
        case openai.APIStatusError():
            return as_model_error(error, model)
        case openai.APIError() if error.code == "insufficient_quota":  # within the stream
            return QuotaExceeded()
        case openai.APIError() if error.code == "rate_limit_exceeded":
            return RateLimited()
        case json.JSONDecodeError() | openai.APIResponseValidationError() | UnicodeDecodeError():
            return Unavailable("unavailable_bad_answer")
        case openai.APIError():
            return Unavailable("unavailable_midway")
        case _:
            return as_model_error(error, model)
