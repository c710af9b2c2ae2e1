"""Embeddings behind a key: OpenAI's, or any server that speaks the same API."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import SecretStr

from models.contract import ModelSpec, Placement, Stop
from models.errors import Unavailable
from models.runtime.blocking import run
from models.sentence_similarity.catalog import encoder_options
from models.sentence_similarity.encoder import Encoder
from models.sentence_similarity.requests import EncodeRequest, SimilarityRequest
from models.servers.budget import reserve, tokens_of
from models.servers.openai_client import as_model_error, async_client
from models.settings import Settings


class OpenAIEmbeddings(Encoder):
    """The embeddings endpoint. Holds no key: each request brings its own or uses the settings'."""

    batch = 128

    def __init__(self, spec: ModelSpec, settings: Settings) -> None:
        super().__init__()
        self._spec = spec
        self._settings = settings
        self._request: SimilarityRequest | EncodeRequest | None = None
        self._stop = Stop()

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Load nothing; the first request is the first call to the server."""
        return cls(spec, settings)

    def for_request(self, request: SimilarityRequest | EncodeRequest, stop: Stop) -> Self:
        """An encoder with this request's key and model, which ends with the request."""
        bound = type(self)(self._spec, self._settings)
        bound._request, bound._stop = request, stop
        bound.variant = request.model_name or encoder_options(self._spec).model_name
        return bound

    def vectors(self, sentences: Sequence[str]) -> np.ndarray:
        """The server's embeddings, float32, shape (sentences, dimensions).

        Raises:
            MissingKey: neither the request nor the settings have one to use.
            ModelError: what the server or the connection said.
            Stopped: the request was stopped while the server was silent.
        """
        assert self._request is not None, "a request brings the key"
        try:
            answer = run(self._create(sentences, self._request.api_key), self._stop)
        except Exception as error:
            raise as_model_error(error, self.variant) from None
        return _vectors_of(answer, len(sentences))

    async def _create(self, sentences: Sequence[str], api_key: SecretStr | None) -> Any:
        tokens = (tokens_of(*sentences), 0)
        with reserve(self._settings, self.variant, tokens, api_key) as bill:
            async with async_client(self._settings, api_key) as client:
                answer = await client.embeddings.create(
                    model=self.variant, input=list(sentences), encoding_format="float"
                )
            if bill and answer.usage:
                bill.settle(answer.usage.prompt_tokens, 0)
            return answer.data

    def nbytes(self) -> int:
        """No weights here."""
        return 0


def _vectors_of(answer: Any, count: int) -> np.ndarray:
    """The vectors of an answer that has one of the same length for each sentence."""
    try:
        in_order = sorted(answer, key=lambda one: one.index)
        vectors = np.array([one.embedding for one in in_order], dtype=np.float32)
    except (TypeError, ValueError, AttributeError):
        raise Unavailable("unavailable_server") from None
    if vectors.ndim != 2 or len(vectors) != count or not np.isfinite(vectors).all():
        raise Unavailable("unavailable_server")
    return vectors
