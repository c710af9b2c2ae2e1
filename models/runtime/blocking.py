"""The one way to wait for what blocks (a server, a download, a library's own loop), and to stop it.

`iterate` and `run` wait for an async generator or a coroutine and look at the stop flag meanwhile;
`in_thread` does so for what has no async interface.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import closing
from typing import Any, TypeVar

from models.contract import Event, Stop
from models.errors import Stopped, as_model_error

_LOOK = 0.05  # seconds between two looks at the stop flag
_PACE = 0.03  # seconds between two looks for what a thread has emitted
_END = object()

T = TypeVar("T")
Emit = Callable[[Event], None]


def iterate(events: AsyncGenerator[T], stop: Stop) -> Generator[T]:
    """Yield what an async generator yields. It runs in this thread, on an event loop of its own.

    Once stop is set, or when this generator is closed, the async one is cancelled where it waits and
    closed: within 0.1 s, if it does not wait for a thread of its own.

    Raises:
        Stopped: stop was set while nothing came.
        Exception: what the async generator raised.
    """
    with asyncio.Runner() as runner:
        try:
            while (event := runner.run(_next(events, stop))) is not _END:
                yield event
        finally:
            runner.run(events.aclose())


def run(work: Coroutine[Any, Any, T], stop: Stop) -> T:
    """The result of a coroutine, run as `iterate` runs a generator.

    Raises:
        Stopped: stop was set before there was a result.
        Exception: what the coroutine raised.
    """

    async def once() -> AsyncGenerator[T]:
        yield await work

    with closing(iterate(once(), stop)) as results:
        return next(results)


async def _next(events: AsyncGenerator[T], stop: Stop) -> Any:
    step = asyncio.ensure_future(anext(events, _END))
    while not step.done():
        await asyncio.wait({step}, timeout=_LOOK)
        if stop.is_set() and not step.done():
            step.cancel()
            await asyncio.wait({step})
            if step.cancelled():
                raise Stopped
    return step.result()


def in_thread(
    work: Callable[[Emit], object],
    stop: Stop,
    *,
    pace: float = _PACE,
    newest_only: bool = False,
    join: bool = True,
) -> Generator[Event]:
    """Run `work(emit)` in a thread of its own and yield what it emits until it ends.

    What is emitted wakes nobody: on a machine whose cores are all at work each waking holds up a step
    (1.7 % of the starter's drawing in all). It is looked for instead, and comes up to `pace` late. In a crowd a
    drawing has many such looks, so asyncio has no part in them: its timeouts take three times as much of a core.

    Closing the generator early sets stop, at which the work is to end by itself.

    Args:
        work: calls emit with each event.
        stop: the flag that the work looks at.
        pace: seconds between two looks.
        newest_only: of what was emitted between two looks yield the last only.
        join: closing early waits until the thread has ended, so that whoever holds a model's lease
            may give it back then. False where the thread may wait for a network.

    Raises:
        Stopped: stop was set before the work had ended.
        Exception: what the work raised.
    """
    events: deque[Event] = deque(maxlen=1 if newest_only else None)
    faults = list[Exception]()

    def target() -> None:
        try:
            work(events.append)
        except Exception as error:
            fault = as_model_error(error)
            # A foreseen error goes without its traceback, whose frames hold the picture's tensors.
            faults.append(error if fault.code == "failed" else fault.with_traceback(None))

    thread = threading.Thread(target=target, name="blocking work", daemon=True)
    thread.start()
    try:
        while True:
            _wait_for(thread, pace, stop)
            is_over = not thread.is_alive()  # before the look at the events: nothing is missed
            while events:
                yield events.popleft()
            if is_over:
                break
            if stop.is_set():
                raise Stopped
        if faults:
            raise faults.pop()  # kept, it would keep itself by its traceback
    except GeneratorExit:
        stop.set()
        raise
    finally:
        if join:
            thread.join()


def _wait_for(thread: threading.Thread, seconds: float, stop: Stop) -> None:
    """Wait for a thread's end, at most so many seconds, or until stop is set."""
    end = time.monotonic() + seconds
    while thread.is_alive() and not stop.is_set() and (rest := end - time.monotonic()) > 0:
        thread.join(min(rest, _LOOK))
