"""The one way a tab uses a model: run(cache, spec, request) -> events.

A worker thread takes the lease, does the work and gives the lease back itself; the iterator only
reads a queue. So closing the iterator (Gradio does it on its event loop, under a lock of the app)
sets the stop flag and returns at once, and no next() blocks for over half a second.
"""

import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from contextvars import copy_context
from functools import partial

from models.contract import Event, Finished, ModelSpec, Request, Stop, Wait, Working
from models.errors import ModelError, OutOfMemory, Stopped, Unavailable, as_model_error
from models.runtime.cache import ModelCache
from models.settings import Settings
from models.tasks import id_in_logs
from models.weights import sources

HEARTBEAT = 0.5  # seconds
GRACE = 8.0  # seconds that answers under way have when the program is told to end
_IDLE = 2.0  # seconds that a thread which has done a job waits for another
Events = queue.SimpleQueue[tuple[int, Event | ModelError | None]]  # with the number of their job
_Task = tuple[Callable[[], object], str]
log = logging.getLogger("genlab")


def run(cache: ModelCache, spec: ModelSpec, request: Request) -> Generator[Event]:
    """Do a request with a model; load the model first if it is not in memory.

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
    with closing(together(cache, [(spec, request)])) as events:
        for _, event in events:
            if isinstance(event, ModelError):
                raise event
            yield event


def together(
    cache: ModelCache, jobs: Sequence[tuple[ModelSpec, Request]]
) -> Generator[tuple[int, Event | ModelError]]:
    """Do several requests at once, each in a thread of its own.

    Args:
        cache: the app's models.
        jobs: model and request of each.

    Yields:
        (number of the job, what `run` yields of it); a ModelError is the last of a job that failed,
        the others go on.

    Raises:
        Unavailable: the program is about to end (unavailable_closing).
    """
    stop = Stop()
    events: Events = queue.SimpleQueue()
    waits: dict[int, Wait | None] = dict.fromkeys(range(len(jobs)))  # what each job waits for now
    start = time.perf_counter()
    with cache.answering() as over:
        for number, (spec, request) in enumerate(jobs):
            values = (_work, cache, spec, request, stop, events, number)
            # With the caller's context: whose job it is, which the log says, and whose quota pays on ZeroGPU.
            here = partial(copy_context().run, *values)
            WORKERS.start(here, f"job {id_in_logs(spec.id)}")
        try:
            while waits:
                if over.is_set():
                    yield from ((n, Unavailable("unavailable_closing")) for n in waits)
                    return
                try:
                    number, event = events.get(timeout=HEARTBEAT)
                except queue.Empty:
                    seconds = time.perf_counter() - start
                    yield from ((n, Working(seconds, wait)) for n, wait in waits.items())
                    continue
                if event is None or isinstance(event, ModelError | Finished):
                    del waits[number]
                else:
                    waits[number] = event if isinstance(event, Wait) else None
                if event is not None:
                    yield number, event
        finally:
            stop.set()


def _work(
    cache: ModelCache,
    spec: ModelSpec,
    request: Request,
    stop: Stop,
    events: Events,
    number: int,
) -> None:
    """One job: its events go into the queue, last Finished, the ModelError that ended it or None."""
    watch = cache.observer.watch(spec, request, stop)

    def put(event: Event) -> None:
        watch.see(event)
        events.put((number, event))

    failure: ModelError | None = None
    finish: Finished | None = None
    try:
        cache.limits.admit(request)
        with cache.lease(spec, stop, put, request) as lease:
            start = time.perf_counter()
            first: float | None = None
            with closing(lease.engine.stream(request, stop)) as stream:
                for event in stream:
                    first = time.perf_counter() - start if first is None else first
                    put(event)
                    if stop.is_set():
                        break
            seconds = time.perf_counter() - start
        finish = Finished(spec, lease.placement, seconds, lease.load_seconds, first)
        watch.see(finish)
    except Stopped:
        pass
    except Exception as error:
        failure = as_model_error(error)
        if failure.code == "failed":  # not foreseen: the log gets the trace, the person a sentence
            log.exception("job of %s failed", id_in_logs(spec.id))
    if isinstance(failure, OutOfMemory):  # the trace that held tensors is gone by now
        cache.free_idle()
    watch.see(failure)
    events.put((number, failure or finish))


class _Workers:
    """Threads for jobs. One that has done its job waits a little for the next.

    To start a thread takes longer than all else that a job costs beside its engine: both wait for the
    interpreter until the other has had it, the longer the more threads there are.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[queue.SimpleQueue[_Task]] = []

    def start(self, work: Callable[[], object], name: str) -> None:
        """Do the work in a thread that has nothing to do, else in a new one; it goes by the name meanwhile."""
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = queue.SimpleQueue[_Task]()
            threading.Thread(target=self._serve, args=(inbox,), name=name, daemon=True).start()
        inbox.put((work, name))

    def _serve(self, inbox: queue.SimpleQueue[_Task]) -> None:
        thread = threading.current_thread()
        while True:
            try:
                work, thread.name = inbox.get(timeout=_IDLE)
            except queue.Empty:
                with self._lock:
                    if inbox in self._idle:
                        self._idle.remove(inbox)
                        return
                continue  # somebody has just chosen this one
            work()
            del work  # what it holds
            thread.name = "idle"
            with self._lock:
                self._idle.append(inbox)


WORKERS = _Workers()


def fetch(settings: Settings, spec: ModelSpec) -> Generator[Event]:
    """Bring a model's weights onto this machine, without loading them.

    Args:
        settings: whether that may be.
        spec: the model.

    Yields:
        Downloading as bytes arrive, Working when half a second passed without news. Closing it ends
        the transfer.

    Raises:
        ModelError: they cannot be had; nothing half is left.
    """
    stop = Stop()
    events: queue.SimpleQueue[Event | ModelError | None] = queue.SimpleQueue()

    def work() -> None:
        failure: ModelError | None = None
        try:
            sources.folder(spec, settings, stop, events.put)
        except Stopped:
            pass
        except Exception as error:
            failure = as_model_error(error)
            if failure.code == "failed":
                log.exception("fetching %s failed", id_in_logs(spec.id))
        events.put(failure)

    start = time.perf_counter()
    wait: Wait | None = None
    threading.Thread(target=work, name=f"fetch {id_in_logs(spec.id)}", daemon=True).start()
    try:
        while True:
            try:
                event = events.get(timeout=HEARTBEAT)
            except queue.Empty:
                yield Working(time.perf_counter() - start, wait)
                continue
            if isinstance(event, ModelError):
                raise event
            if event is None:
                return
            wait = event if isinstance(event, Wait) else None
            yield event
    finally:
        stop.set()


def end_well(cache: ModelCache) -> None:
    """When the program is told to end (SIGTERM, as every host does): answers under way come first.

    Those that are not whole within GRACE seconds say so. Told twice, it ends at once.
    """

    def end() -> None:
        if cache.drain(GRACE):
            time.sleep(HEARTBEAT)  # the last words are on their way
        os.kill(os.getpid(), signal.SIGTERM)

    def on_signal(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # The lock it needs may be held by the thread that the signal interrupts.
        threading.Thread(target=end, name="end", daemon=True).start()

    signal.signal(signal.SIGTERM, on_signal)


def warm(cache: ModelCache, spec: ModelSpec) -> None:
    """Load a model in the background, so that a visitor's first question need not wait for it."""

    def load() -> None:
        with suppress(ModelError), cache.lease(spec, Stop(), lambda _: None):
            pass

    threading.Thread(target=load, name=f"warm {id_in_logs(spec.id)}", daemon=True).start()
