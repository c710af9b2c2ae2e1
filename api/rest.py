"""GET /health and /api/v1: a resource a task, with the requests and limits of the page."""

import base64
import json
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, StringConstraints, create_model, model_validator

from api.http import ERRORS, STREAM, Service, event_of, stream_response
from models.chat.events import ChatDone, NextToken, TextDelta, with_delta
from models.chat.requests import ChatRequest, NextTokenRequest, SamplingParameters
from models.chat.token_odds import probabilities
from models.contract import Event, Finished, ModelSpec
from models.contract import Request as Job
from models.errors import InvalidInput, NotFound, Refused
from models.fields import Text
from models.select import reads, select, select_by_language, select_encoder
from models.sentence_similarity.encoder import in_order
from models.sentence_similarity.events import Encoded, Similarities
from models.sentence_similarity.many_sentences import nearest_rows
from models.sentence_similarity.requests import EncodeRequest, SimilarityRequest
from models.sentiment.events import Attribution, RowScores, Scores
from models.sentiment.requests import AttributionRequest, ManyTextsRequest, SentimentRequest
from models.tasks import CHAT, SENTIMENT, TASKS, TEXT_TO_IMAGE
from models.text.language import unread
from models.text_to_image.events import ImagesDone
from models.text_to_image.requests import ImageRequest
from models.weights.sources import is_here

MAX_HITS = 1000
# Of the texts of a search, the query first: their language picks the encoder.
_LANGUAGE_SAMPLE = 200
ModelId = Annotated[
    str,
    Field(description='"auto", an id of GET /api/v1/models, or a Hugging Face id', max_length=200),
]
_TASK_IDS = tuple(task.id for task in TASKS if task.listed)


class _Body(BaseModel):
    """Fields beside those of a task's request."""

    model: ModelId = "auto"


def body_of(name: str, job: type[Job], **fields: Any) -> type[Any]:
    """The body of a resource: a task's request, a model, and further fields.

    Args:
        name: of the class, seen in OpenAPI.
        job: the request, with its limits and its documentation.
        **fields: (type, default) by name; they come before the request's own.
    """
    return create_model(name, __base__=(_Body, job), __doc__=job.__doc__, **fields)


def job_of(kind: type[Job], body: BaseModel) -> Any:
    """The task's request in a body."""
    names = kind.model_fields.keys() & body.model_fields_set
    return kind.of(**{name: getattr(body, name) for name in names})


ChatBody = body_of("Chat", ChatRequest, stream=(bool, False))
ExplanationBody = body_of("Explanation", AttributionRequest)
SimilarityBody = body_of("Similarity", SimilarityRequest)
Base64 = Annotated[str, StringConstraints(max_length=30_000_000)]
_PICTURE = Field(None, description="a PNG, JPEG or WebP file in base64 to start from")
ImagesBody = body_of("Images", ImageRequest, image=(Annotated[Base64 | None, _PICTURE], None))


class NextTokenBody(_Body, NextTokenRequest, SamplingParameters):
    """A text, of whose next token all that a model weighs is asked."""


class SentimentBody(_Body):
    """One text, or many."""

    text: Text | None = None
    texts: Annotated[list[str], Field(max_length=100_000)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.text is None) == (self.texts is None):
            raise InvalidInput("invalid_blank", field="text")
        return self


class SearchBody(_Body):
    """A query, and the lines to search, up to 99,999; blank ones are skipped."""

    query: Text
    lines: Annotated[list[str], Field(min_length=1, max_length=99_999)]
    k: Annotated[int, Field(ge=1, le=MAX_HITS)] = 10


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter(responses=ERRORS)
    for add in (_health, _models, _chat, _next_token, _images, _sentiment, _similarity):
        add(routes, service)
    return routes


# ---------------------------------------------------------------- health, models


def _health(routes: APIRouter, service: Service) -> None:
    @routes.get("/health", tags=["models"], responses={401: {}, 422: {}})
    async def health() -> dict[str, Any]:
        """Whether GenLab is up, and how many models and requests there are. Open to everybody."""
        models = service.cache.status()
        return {
            "status": "ok",
            "live": True,
            "ready": not service.cache.draining,
            "loaded": sum(model.loaded for model in models),
            "active": sum(model.active for model in models),
            "waiting": sum(model.waiting for model in models),
        }


def _models(routes: APIRouter, service: Service) -> None:
    @routes.get("/api/v1/models", tags=["models"])
    async def models(task: Literal[_TASK_IDS] | None = None) -> dict[str, Any]:  # type: ignore[valid-type]
        """The catalogue: what each model is, reads and weighs, and whether it is on this machine."""
        in_memory = {(one.task, one.id) for one in service.cache.status() if one.loaded}
        specs = [s for t in TASKS if t.listed and task in (None, t.id) for s in t.models]
        return {"models": [_entry(spec, (spec.task, spec.id) in in_memory) for spec in specs]}

    @routes.get("/api/v1/loaded-models", tags=["models"])
    async def loaded_models() -> dict[str, Any]:
        """The models in memory, for the host."""
        _host_only(service)
        rows = [asdict(model) for model in service.cache.status() if model.loaded]
        return {"models": rows}

    @routes.delete("/api/v1/loaded-models/{task}/{model:path}", tags=["models"], status_code=204)
    async def unload(task: str, model: str) -> Response:
        """Give a model's memory back. 404 if it is not in memory, 409 while somebody uses it."""
        _host_only(service)
        if (task, model) not in {(m.task, m.id) for m in service.cache.status() if m.loaded}:
            raise NotFound(model=model[:100])
        service.cache.unload(task, model)
        return Response(status_code=204)


def _host_only(service: Service) -> None:
    if service.settings.public:
        raise Refused("refused_host_only")


def _entry(spec: ModelSpec, in_memory: bool) -> dict[str, Any]:
    return {
        "id": spec.id,
        "task": spec.task,
        "label": spec.label,
        "note": dict(spec.note),
        "languages": list(spec.languages),
        "licence": spec.licence,
        "size_gb": spec.size_gb,
        "hosted": spec.hosted,
        "here": is_here(spec),
        "loaded": in_memory,
    }


# ---------------------------------------------------------------- chat


def _chat(routes: APIRouter, service: Service) -> None:
    @routes.post("/api/v1/chat", tags=["tasks"], response_model=None, responses=STREAM)
    async def chat(request: Request, body: ChatBody) -> Response:  # type: ignore[valid-type]
        """Continue a conversation.

        With `stream` the answer comes as server-sent events: `delta` {"index", "text", "thoughts", "tokens",
        "before_was_thought": the text so far was thoughts} again and again, then `done` with what the whole answer has beside its texts; `error` ends it early.
        """
        job, spec = chat_job(service, job_of(ChatRequest, body), body.model)
        if body.stream:
            frames = _chat_frames(service, request, spec, job)
            return await stream_response(request, frames, _error_frame)
        events = await service.collect(request, spec, job)
        samples = range(job.num_return_sequences)
        by_sample: list[list[TextDelta]] = [[] for _ in samples]
        for event in events:
            if isinstance(event, TextDelta):
                by_sample[event.index] = with_delta(by_sample[event.index], event)
        deltas = [delta for one in by_sample for delta in one]
        texts = ["".join(delta.text for delta in one) for one in by_sample]
        answer: dict[str, Any] = {"texts": texts, **_chat_facts(events)}
        if thoughts := "".join(delta.thoughts for delta in deltas):
            answer["thoughts"] = thoughts
        if job.alternatives:
            tokens = [[d for d in deltas if d.index == n] for n in samples]
            answer["tokens"] = [[asdict(t) for d in ds for t in d.tokens] for ds in tokens]
        return JSONResponse(answer)


def chat_job(service: Service, job: ChatRequest, model: str) -> tuple[ChatRequest, ModelSpec]:
    """The request with the model's own dials where it leaves them open, and the model.

    Raises:
        NotFound: no such model.
    """
    spec = select(CHAT, model, service.settings, job.messages[-1].content)
    dials = (spec.dials and asdict(spec.dials)) or {}
    open_fields = {
        n: v for n, v in dials.items() if n not in job.model_fields_set and v is not None
    }
    fields = open_fields.keys() & ChatRequest.model_fields.keys()
    return job.model_copy(update={name: open_fields[name] for name in fields}), spec


async def _chat_frames(
    service: Service, request: Request, spec: ModelSpec, job: ChatRequest
) -> AsyncGenerator[str]:
    events: list[Event] = []
    async with aclosing(service.events(request, spec, job)) as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                delta: dict[str, Any] = {"index": event.index, "text": event.text}
                if event.thoughts:
                    delta["thoughts"] = event.thoughts
                if event.before_was_thought:
                    delta["before_was_thought"] = True
                if event.tokens:
                    delta["tokens"] = [asdict(token) for token in event.tokens]
                yield _frame("delta", delta)
            elif isinstance(event, ChatDone | Finished):
                events.append(event)
            else:
                yield ": waiting\n\n"  # keeps proxies from closing a silent connection
    yield _frame("done", _chat_facts(events))


def _frame(event: str, data: Any) -> str:
    return f"event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def _error_frame(body: Any) -> str:
    return _frame("error", body)


def _chat_facts(events: Sequence[Event]) -> dict[str, Any]:
    end, finish = event_of(events, ChatDone), event_of(events, Finished)
    return {
        "model": finish.spec.id,
        "seed": end.seed,
        "finish_reason": end.finish_reason,
        "usage": {
            "prompt_tokens": end.prompt_tokens,
            "completion_tokens": end.completion_tokens,
        },
        "notes": [{"code": note.code, "value": note.value} for note in end.notes],
        "seconds": finish.seconds,
    }


def _next_token(routes: APIRouter, service: Service) -> None:
    @routes.post("/api/v1/next-token", tags=["tasks"])
    async def next_token(request: Request, body: NextTokenBody) -> dict[str, Any]:
        """What a model on this machine says about the token that comes after a text.

        `tokens`, the likeliest first: `raw` is the model's own probability, `chance` the one after
        temperature, top_p and top_k.
        """
        job, sampling = job_of(NextTokenRequest, body), job_of(SamplingParameters, body)
        spec = select(CHAT, body.model, service.settings, job.text)
        if spec.hosted:
            raise Refused("refused_logits", model=spec.label)
        events = await service.collect(request, spec, job)
        answer = event_of(events, NextToken)
        raw = probabilities(answer.logits)
        chance = probabilities(answer.logits, **sampling.model_dump())
        tokens = [
            {"text": p.text, "id": p.id, "raw": float(raw[p.id]), "chance": float(chance[p.id])}
            for p in answer.likeliest
            if p.id is not None
        ]
        return {"tokens": tokens, **_facts(events)}


def _facts(events: Sequence[Event]) -> dict[str, Any]:
    finish = event_of(events, Finished)
    return {"model": finish.spec.id, "seconds": finish.seconds}


# ---------------------------------------------------------------- pictures


def _images(routes: APIRouter, service: Service) -> None:
    @routes.post(
        "/api/v1/images",
        tags=["tasks"],
        response_model=None,
        responses={200: {"content": {"application/json": {}, "image/png": {}}}},
    )
    async def images(request: Request, body: ImagesBody) -> Response:  # type: ignore[valid-type]
        """Draw pictures. What is left open is the model's own.

        JSON with the PNG files in base64, or with `Accept: image/png` the one picture itself.
        """
        values = {
            n: getattr(body, n) for n in body.model_fields_set & ImageRequest.model_fields.keys()
        }
        as_png = request.headers.get("accept", "").split(",")[0].strip() == "image/png"
        if as_png and values.get("num_images", 1) > 1:
            raise InvalidInput("invalid_le", field="num_images", limit=1)
        answer, facts = await draw(service, request, values, body.model)
        if as_png:
            return Response(answer.images[0], media_type="image/png")
        files = [base64.b64encode(image).decode() for image in answer.images]
        return JSONResponse({"images": files, **facts})


async def draw(
    service: Service, request: Request, values: dict[str, Any], model: str
) -> tuple[ImagesDone, dict[str, Any]]:
    """The pictures of a request's values, and facts about them.

    Raises:
        InvalidInput: a value cannot be used.
    """
    if values.get("image"):
        try:
            values["image"] = base64.b64decode(values["image"], validate=True)
        except ValueError:
            raise InvalidInput("invalid_picture") from None
    job = ImageRequest.of(**values)
    spec = select(TEXT_TO_IMAGE, model, service.settings, job.prompt)
    events = await service.collect(request, spec, job.with_defaults(spec))
    answer = event_of(events, ImagesDone)
    return answer, {
        "seeds": list(answer.seeds),
        "flagged": list(answer.flagged),
        "cut": answer.cut,
        "unknown": list(answer.unknown),
        "batch": answer.batch,
        **_facts(events),
    }


# ---------------------------------------------------------------- sentiment


def _sentiment(routes: APIRouter, service: Service) -> None:
    @routes.post("/api/v1/sentiment", tags=["tasks"])
    async def sentiment(request: Request, body: SentimentBody) -> dict[str, Any]:
        """Classify one `text`, or many `texts`.

        One: {"label", "scores", "parts", "unread", "model", "seconds"}; many: {"rows": [{"label", "scores",
        "model"}]}, a row a text, an empty one for a text without a letter.
        """
        if body.text is not None:
            job = SentimentRequest.of(text=body.text)
            spec = select(SENTIMENT, body.model, service.settings, job.text)
            events = await service.collect(request, spec, job)
            scores = event_of(events, Scores)
            return {
                "label": scores.scores[0][0],
                "scores": dict(scores.scores),
                "parts": scores.parts,
                "unread": unread(spec, job.text),
                **_facts(events),
            }
        return {"rows": await _rows(service, request, body)}

    @routes.post("/api/v1/explanations", tags=["tasks"])
    async def explanations(request: Request, body: ExplanationBody) -> dict[str, Any]:  # type: ignore[valid-type]
        """What each word of a text adds to the probability of a class."""
        job = job_of(AttributionRequest, body)
        spec = select(SENTIMENT, body.model, service.settings, job.text)
        events = await service.collect(request, spec, job)
        answer = asdict(event_of(events, Attribution))
        for word in answer["words"]:
            word["word"] = job.text[word["begin"] : word["end"]]
        return {**answer, **_facts(events)}


async def _rows(service: Service, request: Request, body: SentimentBody) -> list[dict[str, Any]]:
    texts = ManyTextsRequest.of(texts=body.texts).texts
    rows: list[dict[str, Any]] = [{} for _ in texts]
    for spec, indexes in select_by_language(SENTIMENT, body.model, service.settings, texts):
        job = ManyTextsRequest.of(texts=[texts[i] for i in indexes])
        for event in await service.collect(request, spec, job):
            if isinstance(event, RowScores):
                for index, scores in event.by_label():
                    label = max(scores, key=scores.__getitem__)
                    rows[indexes[index]] = {"label": label, "scores": scores, "model": spec.id}
    return rows


# ---------------------------------------------------------------- similarity


def _similarity(routes: APIRouter, service: Service) -> None:
    @routes.post("/api/v1/similarity", tags=["tasks"])
    async def similarity(request: Request, body: SimilarityBody) -> dict[str, Any]:  # type: ignore[valid-type]
        """Compare 2 to 300 sentences, each with every other: a row of cosines a sentence."""
        job = job_of(SimilarityRequest, body)
        spec = encoder(service, body.model, job.sentences)
        events = await service.collect(request, spec, job)
        answer = event_of(events, Similarities)
        return {
            "cosines": [[_number(c) for c in row] for row in answer.cosines],
            "language_known": reads(spec, job.sentences),
            "truncated": list(answer.truncated),
            **_facts(events),
        }

    @routes.post("/api/v1/search", tags=["tasks"])
    async def search(request: Request, body: SearchBody) -> dict[str, Any]:
        """Find the k lines nearest in meaning to a query; `line` is the index in `lines`."""
        rows = [i for i, text in enumerate(body.lines) if text.strip()]
        if not rows:
            raise InvalidInput("invalid_no_lines")
        job = EncodeRequest.of(sentences=[body.query, *(body.lines[i] for i in rows)])
        sample = job.sentences[:_LANGUAGE_SAMPLE]
        spec = encoder(service, body.model, sample)
        vectors, events = await encode(service, request, spec, job)
        hits = [
            {"line": rows[i], "score": cosine, "text": body.lines[rows[i]]}
            for i, cosine in nearest_rows(vectors[1:], vectors[0], body.k)
        ]
        return {"hits": hits, "language_known": reads(spec, sample), **_facts(events)}


def encoder(service: Service, model: str, sentences: Sequence[str]) -> ModelSpec:
    """The encoder of an id; "auto" goes by the sentences' language.

    Raises:
        InvalidInput: Word2Vec, which has no vectors until it is trained.
        NotFound: no such model.
    """
    spec = select_encoder(model, service.settings, sentences)
    if spec.source == "none:":
        raise InvalidInput("invalid_word2vec")
    return spec


async def encode(
    service: Service, request: Request, spec: ModelSpec, job: EncodeRequest
) -> tuple[np.ndarray, list[Event]]:
    """The sentences' vectors of length 1, shape (count, dimensions), NaN where there is none."""
    events = await service.collect(request, spec, job)
    parts = [event for event in events if isinstance(event, Encoded)]
    event_of(events, Finished)  # a caller that left gets nothing
    return in_order(parts, len(job.sentences)), events


def _number(cosine: float) -> float | None:
    return None if math.isnan(cosine) else cosine
