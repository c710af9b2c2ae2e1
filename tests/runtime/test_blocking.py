"""What blocks is stopped, and ends, in one way."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import closing

import pytest

from models.contract import Loading, Stop
from models.errors import Damaged, Stopped
from models.runtime.blocking import Emit, in_thread, iterate, run


def stop_later(seconds: float) -> Stop:
    """A stop flag that is set in so many seconds."""
    stop = Stop()
    threading.Timer(seconds, stop.set).start()
    return stop


def test_a_coroutine_gives_its_result_or_its_error():
    async def fails() -> None:
        raise Damaged

    assert run(asyncio.sleep(0, 5), Stop()) == 5
    with pytest.raises(Damaged):
        run(fails(), Stop())


def test_a_silent_server_is_left_within_a_tenth_of_a_second_and_its_connection_closed():
    sections = []

    async def silent() -> None:
        try:
            await asyncio.sleep(20)
        finally:
            sections.append(time.perf_counter())

    start = time.perf_counter()
    with pytest.raises(Stopped):
        run(silent(), stop_later(0.2))
    assert len(sections) == 1
    assert time.perf_counter() - start < 0.2 + 0.1 + 0.1  # the last for a busy machine


def test_closing_early_closes_the_async_generator():
    sections = []

    async def numbers() -> AsyncGenerator[int]:
        try:
            for number in range(5):
                yield number
        finally:
            sections.append(True)

    assert list(iterate(numbers(), Stop())) == [0, 1, 2, 3, 4]
    with closing(iterate(numbers(), Stop())) as events:
        assert next(events) == 0
    assert sections == [True, True]


def test_a_thread_s_events_come_in_order_and_its_error_last():
    def work(emit: Emit) -> None:
        for number in range(50):
            emit(Loading(str(number)))
        raise Damaged(file="x")

    stop, events = Stop(), []
    with pytest.raises(Damaged) as error:
        events.extend(in_thread(work, stop))
    assert not stop.is_set()
    # The frames of the thread, which hold tensors, are not among the error's.
    assert "work" not in [entry.name for entry in error.traceback]

    events = list(in_thread(lambda emit: [emit(Loading(str(n))) for n in range(9)], stop))
    assert events == [Loading(str(n)) for n in range(9)]


def test_only_the_newest_event_of_each_look():
    def work(emit: Emit) -> None:
        for number in range(1000):
            emit(Loading(str(number)))

    events = list(in_thread(work, Stop(), pace=0.2, newest_only=True))
    assert events[-1] == Loading("999")
    assert len(events) <= 2


@pytest.mark.parametrize("closes", [True, False])
def test_a_thread_has_ended_when_the_generator_has(closes):
    stop, end_time = Stop(), threading.Event()

    def work(emit: Emit) -> None:
        emit(Loading("m"))
        stop.wait(10)
        time.sleep(0.3)  # the end of a step
        end_time.set()

    events = in_thread(work, stop)
    assert next(events) == Loading("m")
    if closes:
        events.close()
    else:
        threading.Timer(0.1, stop.set).start()
        with pytest.raises(Stopped):
            next(events)
    assert stop.is_set()
    assert end_time.is_set()


def test_a_thread_that_waits_for_a_network_is_left_behind():
    stop, release = Stop(), threading.Event()
    events = in_thread(lambda emit: release.wait(10), stop, join=False)
    threading.Timer(0.1, stop.set).start()
    start = time.perf_counter()
    with pytest.raises(Stopped):
        next(events)
    assert time.perf_counter() - start < 1
    release.set()
