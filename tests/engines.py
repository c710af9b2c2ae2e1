"""A small engine of our own, to see the loader work without a model library."""

import threading
import time
from pathlib import Path
from typing import Self

from models.contract import ModelSpec, Placement, Stop
from models.errors import Unavailable
from models.sentiment.events import Scores
from models.sentiment.requests import SentimentRequest
from models.settings import Settings


class Steps:
    """Counts its loads; streams one Scores a step, `text` steps long; may be told to fail."""

    loads = 0
    alive = 0
    at_once = 0
    most_at_once = 0
    load_seconds = 0.05
    failure: Exception | None = None
    lock = threading.Lock()

    @classmethod
    def reset(cls) -> None:
        cls.loads = cls.alive = cls.at_once = cls.most_at_once = 0
        cls.load_seconds, cls.failure = 0.05, None

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        time.sleep(cls.load_seconds)
        engine = cls()
        engine.weights = bytearray(1000)
        with cls.lock:
            cls.loads += 1
        if cls.failure:
            raise cls.failure
        return engine

    def __init__(self) -> None:
        with self.lock:
            type(self).alive += 1

    def __del__(self) -> None:
        with self.lock:
            type(self).alive -= 1

    def stream(self, request: SentimentRequest, stop: Stop):
        with self.lock:
            type(self).at_once += 1
            type(self).most_at_once = max(self.at_once, self.most_at_once)
        try:
            for step in range(int(request.text)):
                if stop.is_set():
                    return
                time.sleep(0.01)
                yield Scores((("step", float(step)),))
        finally:
            with self.lock:
                type(self).at_once -= 1

    def nbytes(self) -> int:
        return 1000


class Fails(Steps):
    """Loads, and fails in its work."""

    def stream(self, request: SentimentRequest, stop: Stop):
        yield Scores((("begun", 1.0),))
        if request.text == "memory":
            raise MemoryError
        if request.text == "known":
            raise Unavailable
        raise ValueError("a secret in here")


def spec(name: str, engine: str = "Steps", **fields) -> ModelSpec:
    """A spec of one of these engines; "none:" needs no folder."""
    return ModelSpec(
        id=name,
        task="sentiment",
        engine=f"tests.engines:{engine}",
        source="none:",
        label=name,
        **fields,
    )
