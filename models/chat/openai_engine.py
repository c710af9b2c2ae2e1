"""Chat with a model behind OpenAI's API, or behind any server that speaks it."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Self

from models.chat.events import ChatDone, ServerModels, TextDelta
from models.chat.openai_protocol import StreamReader, as_chat_error, open_stream
from models.chat.requests import ChatRequest, NextTokenRequest, ServerModelsRequest
from models.contract import ModelSpec, Placement, Stop
from models.errors import Refused, Unavailable
from models.runtime.blocking import iterate
from models.servers.openai_client import async_client
from models.settings import Settings

_LIST_TIMEOUT = 10.0  # seconds for the list of models
_MAX_NAMES = 1000
Events = AsyncGenerator[TextDelta | ChatDone | ServerModels]


class OpenAIChat:
    """Chat Completions, streamed. Holds no key: each request brings its own or uses the settings'."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Nothing is loaded; the first request is the first word to the server."""
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
        try:
            async with async_client(settings, request.api_key, request.base_url) as client:
                stream, attempt = await open_stream(client, model, reader.request, newer)
                async with stream:
                    if "html" in stream.response.headers.get("content-type", ""):
                        raise Unavailable("unavailable_html")
                    async for chunk in stream:
                        for delta in reader.read(chunk):
                            yield delta
                        if reader.too_long:
                            break
            yield reader.finish(attempt)
        except Exception as error:
            raise as_chat_error(error, model, partial=not reader.empty) from None

    async def _models(self, request: ServerModelsRequest) -> Events:
        try:
            async with async_client(self._settings, request.api_key, request.base_url) as client:
                page = await client.models.list(timeout=_LIST_TIMEOUT)
            names = sorted({str(model.id) for model in page.data[:_MAX_NAMES]})
        except (AttributeError, TypeError):  # no list at all
            raise Unavailable("unavailable_no_list") from None
        except Exception as error:
            raise as_chat_error(error, "", partial=False) from None
        yield ServerModels(tuple(name for name in names if 0 < len(name) <= 200))

    def nbytes(self) -> int:
        """No weights here."""
        return 0
