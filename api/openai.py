"""/v1: OpenAI's API, so that its official client and its kin work with the models here.

What GenLab cannot do (tools, penalties, answers in a schema) is refused by name, as OpenAI refuses
an unsupported parameter; a field that nobody knows is ignored, as most servers do.
"""

import base64
import json
import math
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.http import ERRORS, STREAM, Service, stream_response
from api.rest import ModelId, chat_job, draw, encode, encoder
from models.chat.events import Alternative, ChatDone, TextDelta, Token
from models.chat.requests import ChatRequest
from models.chat.token_odds import bytes_of_text
from models.contract import Event, Finished, ModelSpec
from models.errors import InvalidInput
from models.select import find
from models.sentence_similarity.requests import EncodeRequest
from models.tasks import CHAT, TASKS

MAX_STOPS = 4
_SMALLEST = 1e-38  # a probability of 0 has no logarithm in JSON


class _OpenBody(BaseModel):
    """A body as OpenAI's clients send it: unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, allow_inf_nan=False)

    model: ModelId = "auto"

    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, values: Any) -> Any:
        for name in _NOT_OFFERED:
            if isinstance(values, dict) and values.get(name) not in _NEUTRAL:  # type: ignore[operator]
                raise InvalidInput("invalid_unsupported", field=name)
        return values


_NOT_OFFERED = (
    "tools",
    "functions",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "audio",
    "suffix",
    "dimensions",
)
_NEUTRAL: list[Any] = [None, 0, 0.0, False, "", [], {}]


class TextPart(BaseModel):
    """A part of a message; only text is read."""

    type: Literal["text", "input_text", "refusal"]
    text: str = ""


class Message(BaseModel):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart] | None = None

    @property
    def text(self) -> str:
        """Its text."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(BaseModel):
    """Whether the counts come at the end of a stream."""

    include_usage: bool = False


class _Sampling(_OpenBody):
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    n: int | None = None
    seed: int | None = None
    stop: str | Annotated[list[str], Field(max_length=MAX_STOPS)] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None

    def sampling(self) -> dict[str, Any]:
        """The fields that are set, in the words of ChatRequest."""
        values = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "max_new_tokens": self.max_tokens,
            "num_return_sequences": self.n,
            "seed": self.seed,
        }
        return {name: value for name, value in values.items() if value is not None}

    @property
    def stops(self) -> list[str]:
        """The texts that end an answer; they are no part of it."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [stop for stop in stops if stop]


class ChatCompletionBody(_Sampling):
    """As of OpenAI's Chat Completions."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=400)]
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    def job(self) -> ChatRequest:
        """The conversation: system messages become the system prompt, a last assistant's the beginning.

        Raises:
            InvalidInput: a value cannot be used.
        """
        turns = [m for m in self.messages if m.role in ("user", "assistant")]
        system = [m.text for m in self.messages if m.role in ("system", "developer")]
        values = self.sampling()
        if turns and turns[-1].role == "assistant":
            values["prefix"] = turns.pop().text
        if self.max_completion_tokens is not None:
            values["max_new_tokens"] = self.max_completion_tokens
        if self.logprobs:
            values["alternatives"] = max(1, self.top_logprobs or 1)
        if system:
            values["system_prompt"] = "\n\n".join(system)
        if not turns:
            raise InvalidInput("invalid_blank", field="messages")
        messages = [{"role": turn.role, "content": turn.text} for turn in turns]
        return ChatRequest.of(messages=messages, **values)


class CompletionBody(_Sampling):
    """As of OpenAI's Completions: a prompt that a model without a chat template continues."""

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=1)]
    echo: bool = False
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    def job(self) -> ChatRequest:
        """The prompt as a message.

        Raises:
            InvalidInput: a value cannot be used.
        """
        prompt = self.prompt if isinstance(self.prompt, str) else self.prompt[0]
        messages = [{"role": "user", "content": prompt}]
        return ChatRequest.of(messages=messages, alternatives=self.logprobs or 0, **self.sampling())


class EmbeddingBody(_OpenBody):
    """As of OpenAI's Embeddings."""

    input: str | Annotated[list[str], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] = "float"


class ImageGenerationBody(_OpenBody):
    """As of OpenAI's Images, with GenLab's own settings beside them."""

    prompt: str
    n: int | None = None
    size: Annotated[str, Field(pattern=r"^(auto|\d{2,4}x\d{2,4})$")] | None = None
    response_format: Literal["b64_json"] | None = None
    negative_prompt: str | None = None
    guidance_scale: float | None = None
    num_inference_steps: int | None = None
    scheduler: str | None = None
    seed: int | None = None

    def values(self) -> dict[str, Any]:
        """The fields that are set, in the words of ImageRequest."""
        width, _, height = (self.size or "").partition("x")
        values: dict[str, Any] = {
            "prompt": self.prompt,
            "num_images": self.n,
            "width": int(width) if height else None,
            "height": int(height) if height else None,
            "negative_prompt": self.negative_prompt,
            "guidance_scale": self.guidance_scale,
            "num_inference_steps": self.num_inference_steps,
            "scheduler": self.scheduler,
            "seed": self.seed,
        }
        return {name: value for name, value in values.items() if value is not None}


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", tags=["openai"], responses=ERRORS)

    @routes.get("/models")
    async def models() -> dict[str, Any]:
        """All models of the catalogue."""
        specs = [spec for task in TASKS if task.listed for spec in task.models]
        ids = dict.fromkeys(["auto", *(spec.id for spec in specs)])
        return {"object": "list", "data": [_model(model) for model in ids]}

    @routes.get("/models/{model:path}")
    async def model(model: str) -> dict[str, Any]:
        """One of them."""
        for task in TASKS:
            if task.listed and any(spec.id == model for spec in task.models):
                return _model(model)
        if model != "auto":
            find(CHAT, model)
        return _model(model)

    @routes.post("/chat/completions", response_model=None, responses=STREAM)
    async def chat_completions(request: Request, body: ChatCompletionBody) -> Response:
        """Continue a conversation, whole or streamed."""
        return await _complete(service, request, body, body.job(), _ChatForm(bool(body.logprobs)))

    @routes.post("/completions", response_model=None, responses=STREAM)
    async def completions(request: Request, body: CompletionBody) -> Response:
        """Continue a prompt; a model with a chat template reads it as a message."""
        job = body.job()
        start = job.messages[0].content if body.echo else ""
        return await _complete(service, request, body, job, _TextForm(body.logprobs, start))

    @routes.post("/embeddings")
    async def embeddings(request: Request, body: EmbeddingBody) -> dict[str, Any]:
        """Vectors of length 1, one a text."""
        texts = [body.input] if isinstance(body.input, str) else body.input
        job = EncodeRequest.of(sentences=texts)
        spec = encoder(service, body.model, job.sentences)
        vectors, _ = await encode(service, request, spec, job)
        data = [
            {"object": "embedding", "index": i, "embedding": _vector(row, body.encoding_format)}
            for i, row in enumerate(vectors)
        ]
        return {"object": "list", "data": data, "model": spec.id, "usage": None}

    @routes.post("/images/generations")
    async def images(request: Request, body: ImageGenerationBody) -> dict[str, Any]:
        """Draw pictures; PNG files in base64."""
        answer, facts = await draw(service, request, body.values(), body.model)
        data = [{"b64_json": base64.b64encode(image).decode()} for image in answer.images]
        return {"created": int(time.time()), "data": data, **facts}

    return routes


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "genlab"}


def _vector(row: np.ndarray, encoding: str) -> list[float] | str:
    if np.isnan(row).any():
        raise InvalidInput("invalid_no_embedding", field="input")
    if encoding == "base64":
        return base64.b64encode(row.astype("<f4").tobytes()).decode()
    return row.tolist()


# ---------------------------------------------------------------- completions


@dataclass
class _Cutter:
    """Ends a sample's text at the first of its stops, holding back what may become one."""

    stops: Sequence[str]
    rest: str = ""
    is_over: bool = False

    def add(self, text: str) -> str:
        """The text that is certain to be a part of the answer."""
        if self.is_over:
            return ""
        self.rest += text
        places = [place for stop in self.stops if (place := self.rest.find(stop)) >= 0]
        if places:
            self.is_over = True
            text, self.rest = self.rest[: min(places)], ""
            return text
        lengths = range(max(map(len, self.stops), default=1) - 1, 0, -1)
        keep = next((n for n in lengths if self._may_begin(self.rest[-n:])), 0)
        cut = len(self.rest) - keep
        text, self.rest = self.rest[:cut], self.rest[cut:]
        return text

    def _may_begin(self, end: str) -> bool:
        return any(stop.startswith(end) for stop in self.stops)


@dataclass
class _Answer:
    cutter: _Cutter
    text: str = ""
    thoughts: str = ""
    tokens: list[Token] = field(default_factory=list[Token])


class _ChatForm:
    """How a chat completion is written."""

    object = "chat.completion"
    prefix = "chatcmpl"

    def __init__(self, logprobs: bool) -> None:
        self._logprobs = logprobs

    def choice(self, index: int, sample: _Answer, reason: str) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": sample.text, "refusal": None}
        if sample.thoughts:
            message["reasoning_content"] = sample.thoughts
        logprobs = self._tokens(sample.tokens)
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason}

    def chunk(
        self, index: int, text: str, tokens: Sequence[Token], thoughts: str, reason: str | None
    ) -> dict[str, Any]:
        delta: dict[str, Any] = {} if reason else {"role": "assistant", "content": text}
        if thoughts:
            delta["reasoning_content"] = thoughts
        logprobs = self._tokens(tokens)
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}

    def _tokens(self, tokens: Sequence[Token]) -> dict[str, Any] | None:
        if not self._logprobs or not tokens:
            return None
        content = [
            {**_logprob(token), "top_logprobs": [_logprob(one) for one in token.alternatives]}
            for token in tokens
        ]
        return {"content": content, "refusal": None}


class _TextForm:
    """How a completion is written."""

    object = "text_completion"
    prefix = "cmpl"

    def __init__(self, logprobs: int | None, start: str) -> None:
        self._logprobs, self._start = logprobs, start

    def choice(self, index: int, sample: _Answer, reason: str) -> dict[str, Any]:
        text = self._start + sample.text
        logprobs = self._tokens(sample.tokens)
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}

    def chunk(
        self, index: int, text: str, tokens: Sequence[Token], thoughts: str, reason: str | None
    ) -> dict[str, Any]:
        return {
            "index": index,
            "text": text,
            "logprobs": self._tokens(tokens),
            "finish_reason": reason,
        }

    def _tokens(self, tokens: Sequence[Token]) -> dict[str, Any] | None:
        if self._logprobs is None or not tokens:
            return None
        return {
            "tokens": [token.text for token in tokens],
            "token_logprobs": [_log(token.raw) for token in tokens],
            "top_logprobs": [{a.text: _log(a.raw) for a in t.alternatives} for t in tokens],
        }


def _log(probability: float) -> float:
    return math.log(max(probability, _SMALLEST))


def _logprob(token: Alternative) -> dict[str, Any]:
    data = list(bytes_of_text(token.text))
    return {"token": token.text, "logprob": _log(token.raw), "bytes": data}


async def _complete(
    service: Service,
    request: Request,
    body: ChatCompletionBody | CompletionBody,
    job: ChatRequest,
    form: _ChatForm | _TextForm,
) -> Response:
    job, spec = chat_job(service, job, body.model)
    head = {
        "id": f"{form.prefix}-{uuid.uuid4().hex}",
        "object": form.object,
        "created": int(time.time()),
        "model": spec.id,
    }
    if body.stream:
        usage = bool(body.stream_options and body.stream_options.include_usage)
        chunks = _chunks(service, request, spec, job, body.stops, form, head, usage)
        return await stream_response(request, chunks, _data)
    samples = {i: _Answer(_Cutter(body.stops)) for i in range(job.num_return_sequences)}
    events: list[Event] = []
    async with aclosing(service.events(request, spec, job)) as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                sample = samples[event.index]
                if event.before_was_thought:
                    thoughts = sample.thoughts + sample.text + sample.cutter.rest
                    samples[event.index] = sample = _Answer(_Cutter(body.stops), thoughts=thoughts)
                sample.text += sample.cutter.add(event.text)
                sample.thoughts += event.thoughts
                if not sample.cutter.is_over:
                    sample.tokens += event.tokens
                if all(one.cutter.is_over for one in samples.values()):
                    break
            events.append(event)
    end = next((event for event in events if isinstance(event, ChatDone)), None)
    for sample in samples.values():
        sample.text += sample.cutter.rest
    reason = end.finish_reason if end else "stop"
    choices = [
        form.choice(i, sample, "stop" if sample.cutter.is_over else reason)
        for i, sample in samples.items()
    ]
    return JSONResponse({**head, "choices": choices, "usage": _usage(end)})


async def _chunks(
    service: Service,
    request: Request,
    spec: ModelSpec,
    job: ChatRequest,
    stops: Sequence[str],
    form: _ChatForm | _TextForm,
    head: dict[str, Any],
    usage: bool,
) -> AsyncGenerator[str]:
    head = {**head, "object": "chat.completion.chunk" if form.prefix == "chatcmpl" else form.object}
    cutters = {index: _Cutter(stops) for index in range(job.num_return_sequences)}
    end: ChatDone | None = None
    async with aclosing(service.events(request, spec, job)) as events:
        async for event in events:
            if isinstance(event, TextDelta) and not cutters[event.index].is_over:
                text = cutters[event.index].add(event.text)
                if text or event.tokens or event.thoughts:
                    choice = form.chunk(event.index, text, event.tokens, event.thoughts, None)
                    yield _data({**head, "choices": [choice]})
                if all(cutter.is_over for cutter in cutters.values()):
                    break
            elif isinstance(event, ChatDone):
                end = event
            elif not isinstance(event, TextDelta | Finished):
                yield ": waiting\n\n"
    for index, cutter in cutters.items():
        if cutter.rest:
            yield _data({**head, "choices": [form.chunk(index, cutter.rest, (), "", None)]})
        reason = end.finish_reason if end and not cutter.is_over else "stop"
        yield _data({**head, "choices": [form.chunk(index, "", (), "", reason)]})
    if usage:
        yield _data({**head, "choices": [], "usage": _usage(end)})
    yield "data: [DONE]\n\n"


def _data(value: Any) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _usage(end: ChatDone | None) -> dict[str, int] | None:
    """The counts; None where an answer was ended before the engine counted."""
    if end is None or end.prompt_tokens is None or end.completion_tokens is None:
        return None
    total = end.prompt_tokens + end.completion_tokens
    return {
        "prompt_tokens": end.prompt_tokens,
        "completion_tokens": end.completion_tokens,
        "total_tokens": total,
    }
