"""A library call that reports through a callback, as a generator of what it reports."""

import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait

from models.contract import Event, Stop
from models.errors import as_model_error

Emit = Callable[[Event], None]
_PACE = 0.03  # seconds between two looks for news


def streamed(work: Callable[[Emit], None], stop: Stop) -> Generator[Event]:
    """Run `work(emit)` in a thread of its own and yield what it emits until it ends.

    What is emitted wakes nobody: on a machine whose cores are all at work each waking holds up a step
    (1.7 % of the starter's drawing in all). It is looked for instead, and comes up to _PACE late.

    Closing the generator sets stop and waits for the thread: whoever holds the model's lease may
    give it back as soon as this has returned.

    Raises:
        Exception: what `work` raised.
    """
    events: deque[Event] = deque()
    ended: Future[None] = Future()
    thread = threading.Thread(target=_work, args=(work, events, ended), name="drawing", daemon=True)
    thread.start()
    try:
        over = False
        while not over:
            over = bool(wait([ended], _PACE).done)  # before the look: nothing is missed
            while events:
                yield events.popleft()
        ended.result()
    except GeneratorExit:
        stop.set()
        raise
    finally:
        thread.join()


def _work(work: Callable[[Emit], None], events: deque[Event], ended: "Future[None]") -> None:
    try:
        work(events.append)
    except Exception as error:
        known = as_model_error(error)
        # A foreseen error goes without its traceback, whose frames hold the picture's tensors.
        ended.set_exception(error if known.code == "failed" else known.with_traceback(None))
    else:
        ended.set_result(None)
