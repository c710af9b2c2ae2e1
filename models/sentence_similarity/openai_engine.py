"""Embeddings behind a key: OpenAI's, or any server that speaks the same API."""

import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from openai import OpenAI

from models.contract import ModelSpec, Placement, Stop
from models.errors import Stopped, Unavailable
from models.sentence_similarity.encoder import Encoder
from models.sentence_similarity.requests import EncodeRequest, SimilarityRequest
from models.servers.openai_client import as_model_error, client
from models.settings import Settings

_LOOK = 0.1  # seconds between two looks at the stop flag


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
        """Nothing is loaded; the server is first asked with the first request."""
        return cls(spec, settings)

    def for_request(self, request: SimilarityRequest | EncodeRequest, stop: Stop) -> Self:
        """An encoder with this request's key and model, which ends with the request."""
        bound = type(self)(self._spec, self._settings)
        bound._request, bound._stop = request, stop
        bound.variant = request.model_name or self._spec.defaults["model_name"]
        return bound

    def vectors(self, sentences: Sequence[str]) -> np.ndarray:
        """The server's embeddings, float32, shape (sentences, dimensions).

        Raises:
            MissingKey: neither the request nor the settings have one to use.
            ModelError: what the server or the connection said.
            Stopped: the request was stopped while the server was silent.
        """
        assert self._request is not None, "a request brings the key"
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with client(self._settings, self._request.api_key) as server:
            threading.Thread(
                target=_ask, args=(server, self.variant, list(sentences), answers), daemon=True
            ).start()
            while True:
                if self._stop.is_set():
                    raise Stopped
                try:
                    answer = answers.get(timeout=_LOOK)
                    break
                except queue.Empty:
                    continue
        if isinstance(answer, Exception):
            raise as_model_error(answer, self.variant) from None
        return _checked(answer, len(sentences))

    def nbytes(self) -> int:
        """No weights here."""
        return 0


def _ask(
    server: OpenAI, model: str, sentences: list[str], answers: "queue.SimpleQueue[Any]"
) -> None:
    try:
        made = server.embeddings.create(model=model, input=sentences, encoding_format="float")
        answers.put(made.data)
    except Exception as error:
        answers.put(error)


def _checked(answer: Any, count: int) -> np.ndarray:
    """The vectors of an answer that has one of the same length for each sentence."""
    try:
        ordered = sorted(answer, key=lambda one: one.index)
        found = np.array([one.embedding for one in ordered], dtype=np.float32)
    except (TypeError, ValueError, AttributeError):
        raise Unavailable("unavailable_server") from None
    if found.ndim != 2 or len(found) != count or not np.isfinite(found).all():
        raise Unavailable("unavailable_server")
    return found
