"""A library call that reports through a callback, as a generator of what it reports."""

import queue
import threading
from collections.abc import Callable, Generator

from models.base import Event, Stop
from models.errors import as_model_error

Emit = Callable[[Event], None]


def streamed(work: Callable[[Emit], None], stop: Stop) -> Generator[Event]:
    """Run `work(emit)` in a thread of its own and yield what it emits until it ends.

    Closing the generator sets stop and waits for the thread: whoever holds the model's lease may
    give it back as soon as this has returned.

    Raises:
        Exception: what `work` raised.
    """
    events: queue.SimpleQueue[Event | Exception | None] = queue.SimpleQueue()
    thread = threading.Thread(target=_work, args=(work, events), name="drawing", daemon=True)
    thread.start()
    try:
        while (event := events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event
    except GeneratorExit:
        stop.set()
        raise
    finally:
        thread.join()


def _work(
    work: Callable[[Emit], None], events: "queue.SimpleQueue[Event | Exception | None]"
) -> None:
    end: Exception | None = None
    try:
        work(events.put)
    except Exception as error:
        known = as_model_error(error)
        # A foreseen error goes without its traceback, whose frames hold the picture's tensors.
        end = error if known.code == "failed" else known.with_traceback(None)
    events.put(end)
