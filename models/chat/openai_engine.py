"""Chat with a model behind OpenAI's API, or behind any server that speaks it."""

import json
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from pathlib import Path
from typing import Self

import openai
from pydantic import SecretStr

from models.chat.events import ChatDone, ServerModels, TextDelta
from models.chat.openai_protocol import Attempt, as_chat_error, send
from models.chat.openai_stream import StreamReader, model_names, next_page
from models.chat.requests import (
    ChatRequest,
    NextTokenRequest,
    ServerModelsRequest,
    completion_messages,
)
from models.contract import ModelSpec, Placement, Stop
from models.errors import Refused, Unavailable
from models.runtime.blocking import iterate
from models.servers.budget import reserve, tokens_of
from models.servers.openai_client import async_client
from models.settings import Settings

_LIST_TIMEOUT = 10.0  # seconds for the list of models
_MAX_NAMES = 1000
_MAX_PAGES = 10
Events = AsyncGenerator[TextDelta | ChatDone | ServerModels]


class OpenAIChat:
    """Chat Completions, streamed. Holds no key: each request brings its own or uses the settings'."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Load nothing; the first request is the first call to the server."""
        return cls(settings)

    def stream(
        self, request: ChatRequest | ServerModelsRequest | NextTokenRequest, stop: Stop
    ) -> Generator[TextDelta | ChatDone | ServerModels]:
        """Yield the answer as it comes, or the list of the server's models.

        Once stop is set the connection is closed within 0.1 s.

        Raises:
            Stopped: stop was set while the server was silent.
            ModelError: what the server or the connection said, each fault with its own code; what
                was yielded before stays true.
        """
        match request:
            case ServerModelsRequest():
                events = self._models(request)
            case ChatRequest():
                events = self._events(request)
            case NextTokenRequest():  # no server gives the logits of a whole vocabulary
                raise Refused("refused_next_token")
        return iterate(events, stop)

    async def _events(self, request: ChatRequest) -> Events:
        settings = self._settings
        model = request.model_name or settings.openai_model
        server = settings.server_name(request.base_url)
        newer = server.endswith((".openai.com", ".azure.com"))
        reader = StreamReader(request)
        attempt = Attempt.first(reader.request, newer)
        access = (request.api_key, request.base_url)
        try:
            with reserve(settings, model, _most_tokens(request), *access) as bill:
                async with (
                    async_client(settings, *access) as client,
                    aclosing(send(client, model, attempt)) as answer,
                ):
                    async for frame in answer:
                        if bill:
                            bill.answering = True
                        for delta in reader.read(frame):
                            yield delta
                        if reader.too_long:
                            break
                for delta in reader.flush():
                    yield delta
                end = reader.finish(attempt.notes, attempt.unsupported)
                if bill:
                    bill.settle(end.prompt_tokens, end.completion_tokens, end.cached_tokens)
                yield end
        except Exception as error:
            key = _secret_value(request.api_key)
            raise as_chat_error(error, model, not reader.empty, key) from None

    async def _models(self, request: ServerModelsRequest) -> Events:
        try:
            async with async_client(self._settings, request.api_key, request.base_url) as client:
                names, page = set[str](), dict[str, str]()
                for _ in range(_MAX_PAGES):
                    try:
                        raw = await client.models.with_raw_response.list(
                            timeout=_LIST_TIMEOUT, extra_query=page
                        )
                    except openai.OpenAIError:
                        if names:  # the first part is better than none
                            break
                        raise
                    body = json.loads(raw.http_response.text)
                    before, page = len(names), next_page(body)
                    names |= set(model_names(body))
                    if not page or len(names) == before:
                        break
        except json.JSONDecodeError:
            raise Unavailable("unavailable_no_list") from None
        except Exception as error:
            raise as_chat_error(error, "", False, _secret_value(request.api_key)) from None
        yield ServerModels(tuple(sorted(names)[:_MAX_NAMES]))

    def nbytes(self) -> int:
        """No weights here."""
        return 0


def _most_tokens(request: ChatRequest) -> tuple[int, int]:
    """The most tokens that a request may read and write."""
    texts = (turn["content"] for turn in completion_messages(request))
    return tokens_of(*texts), request.max_new_tokens * request.num_return_sequences


def _secret_value(key: SecretStr | None) -> str:
    return key.get_secret_value() if key else ""
