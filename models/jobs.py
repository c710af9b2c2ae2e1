"""The one way a tab uses a model: run(cache, spec, request) -> events.

A worker thread takes the lease, does the work and gives the lease back itself; the iterator only
reads a queue. So closing the iterator (Gradio does it on its event loop, under a lock of the app)
sets the stop flag and returns at once, and no next() blocks for over half a second.
"""

import logging
import queue
import threading
import time
from collections.abc import Generator
from contextlib import closing, suppress

from models.base import (
    Downloading,
    Event,
    Finished,
    Loading,
    ModelSpec,
    Stop,
    Waiting,
    Working,
)
from models.cache import ModelCache
from models.errors import ModelError, OutOfMemory, Stopped, as_model_error
from models.requests import Request

HEARTBEAT = 0.5  # seconds
log = logging.getLogger("genlab")


def run(cache: ModelCache, spec: ModelSpec, request: Request) -> Generator[Event]:
    """Do a request with a model, loading it first if need be.

    Args:
        cache: the app's models.
        spec: which model.
        request: validated input of the spec's task.

    Yields:
        Waiting, Downloading and Loading as they happen, Working when half a second passed without
        news, then what the engine yields; last, Finished.

    Raises:
        ModelError: it could not be done; the model is free again for others.
    """
    stop = Stop()
    events: queue.SimpleQueue[Event | ModelError | None] = queue.SimpleQueue()
    work = threading.Thread(
        target=_work, args=(cache, spec, request, stop, events), name=f"job {spec.id}", daemon=True
    )
    started = time.perf_counter()
    during: Waiting | Downloading | Loading | None = None
    work.start()
    try:
        while True:
            try:
                event = events.get(timeout=HEARTBEAT)
            except queue.Empty:
                yield Working(time.perf_counter() - started, during)
                continue
            if event is None:
                return
            if isinstance(event, ModelError):
                raise event
            during = event if isinstance(event, Waiting | Downloading | Loading) else None
            yield event
    finally:
        stop.set()


def _work(
    cache: ModelCache,
    spec: ModelSpec,
    request: Request,
    stop: Stop,
    events: "queue.SimpleQueue[Event | ModelError | None]",
) -> None:
    failure: ModelError | None = None
    try:
        with cache.lease(spec, stop, events.put) as lease:
            started = time.perf_counter()
            first: float | None = None
            with closing(lease.engine.stream(request, stop)) as stream:
                for event in stream:
                    first = time.perf_counter() - started if first is None else first
                    events.put(event)
                    if stop.is_set():
                        break
            seconds = time.perf_counter() - started
        events.put(Finished(spec.id, lease.placement, seconds, lease.load_seconds, first))
    except Stopped:
        pass
    except Exception as error:
        failure = as_model_error(error)
        if failure.code == "failed":  # not foreseen: the log gets the trace, the person a sentence
            log.exception("job of %s failed", spec.id)
    if isinstance(failure, OutOfMemory):  # the trace that held tensors is gone by now
        cache.free_idle()
    events.put(failure)


def warm(cache: ModelCache, spec: ModelSpec) -> None:
    """Load a model in the background, so that a visitor's first question need not wait for it."""

    def load() -> None:
        with suppress(ModelError), cache.lease(spec, Stop(), lambda _: None):
            pass

    threading.Thread(target=load, name=f"warm {spec.id}", daemon=True).start()
