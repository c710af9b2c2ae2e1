import gc
import threading
import time

import pytest

from models.contract import Loading, Stop, Waiting
from models.errors import Busy, Damaged, OutOfMemory, Stopped
from models.runtime.cache import ModelCache
from models.settings import Settings
from tests.engines import Steps, spec


@pytest.fixture
def cache():
    Steps.reset()
    cache = ModelCache(Settings(), None)
    yield cache
    cache.close()


def hold(cache, model, entry, leave, stop=None, events=None):
    """Lease a model in a thread of its own until `leave` is set."""

    def work():
        try:
            with cache.lease(model, stop or Stop(), (events if events is not None else []).append):
                entry.set()
                leave.wait(10)
        except Stopped:
            pass

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_two_people_asking_at_once_load_once(cache):
    Steps.load_seconds = 0.2
    leave = threading.Event()
    leave.set()
    for concurrency in (1, 4):
        Steps.reset()
        Steps.load_seconds = 0.2
        model = spec(f"shared by {concurrency}", concurrency=concurrency)
        people = [hold(cache, model, threading.Event(), leave) for _ in range(4)]
        for person in people:
            person.join()
        assert Steps.loads == 1


def test_the_gate_tells_positions_and_keeps_the_order(cache):
    model, order, threads = spec("gate"), [], []
    entry, leave = threading.Event(), threading.Event()
    first = hold(cache, model, entry, leave)
    assert entry.wait(5)
    message = [[], [], []]

    def work(number):
        with cache.lease(model, Stop(), message[number].append):
            order.append(number)

    for number in range(3):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        while cache.status()[0].waiting < number + 1:
            time.sleep(0.01)
    leave.set()
    for thread in [first, *threads]:
        thread.join()
    assert order == [0, 1, 2]
    assert message[0] == [Waiting(1)]
    assert message[2][0] == Waiting(3)
    places = [event.position for event in message[2] if isinstance(event, Waiting)]
    assert places == sorted(places, reverse=True)


def test_a_waiter_that_leaves_is_withdrawn(cache):
    model = spec("left")
    entry, leave, stop = threading.Event(), threading.Event(), Stop()
    first = hold(cache, model, entry, leave)
    assert entry.wait(5)
    second = hold(cache, model, threading.Event(), leave, stop)
    while not cache.status()[0].waiting:
        time.sleep(0.01)
    stop.set()
    second.join(2)
    assert not second.is_alive()
    assert cache.status()[0].waiting == 0
    leave.set()
    first.join()


def test_concurrency_lets_so_many_in_and_no_more(cache):
    model, leave = spec("server", concurrency=2), threading.Event()
    inside = [threading.Event() for _ in range(3)]
    threads = [hold(cache, model, e, leave) for e in inside]
    time.sleep(0.5)
    assert sum(e.is_set() for e in inside) == 2
    leave.set()
    for thread in threads:
        thread.join()
    assert all(e.is_set() for e in inside)


def test_a_failed_load_leaves_nothing_and_can_be_tried_again(cache):
    model = spec("failing")
    for cause, kind in [(MemoryError(), OutOfMemory), (Damaged(file="x"), Damaged)]:
        Steps.failure = cause
        with pytest.raises(kind), cache.lease(model, Stop(), lambda _: None):
            pass
        Steps.failure = None
        cause.__traceback__ = None
        gc.collect()
        assert Steps.alive == 0
        assert cache.status() == []
    with cache.lease(model, Stop(), lambda _: None) as lease:
        assert lease.load_seconds > 0
    with cache.lease(model, Stop(), lambda _: None) as lease:
        assert lease.load_seconds == 0


def test_ids_that_cannot_be_loaded_leave_nothing_behind():
    cache = ModelCache(Settings(memory_gb=1))

    def objects_after(ids):
        for number in ids:
            model = spec(f"typed {number}", size_gb=5)
            with pytest.raises(OutOfMemory), cache.lease(model, Stop(), lambda _: None):
                pass
        gc.collect()
        return len(gc.get_objects())

    before = objects_after(range(5))
    assert objects_after(range(5, 205)) - before < 100  # fewer than one an id


def test_who_wants_two_places_in_a_loaded_model_of_one_gets_them(cache):
    one, two, leave = spec("of one"), spec("of one", concurrency=2), threading.Event()
    with cache.lease(one, Stop(), lambda _: None):
        pass
    entries = [threading.Event(), threading.Event()]
    threads = [hold(cache, two, entry, leave) for entry in entries]
    inside = [entry.wait(5) for entry in entries]
    leave.set()
    for thread in threads:
        thread.join()
    assert inside == [True, True]


def test_eviction_is_by_bytes_oldest_first_and_never_one_in_use():
    Steps.reset()
    cache = ModelCache(Settings(memory_gb=2.5e-6))  # room for two of 1,000 bytes
    for name in ("a", "b"):
        with cache.lease(spec(name), Stop(), lambda _: None):
            time.sleep(0.01)
    with cache.lease(spec("a"), Stop(), lambda _: None):  # now b is the older one, and a in use
        with cache.lease(spec("c"), Stop(), lambda _: None):
            assert {m.id for m in cache.status() if m.nbytes} == {"a", "c"}
        assert Steps.alive == 2
    cache.close()


def test_a_model_over_the_limit_is_refused_before_it_is_loaded():
    Steps.reset()
    cache = ModelCache(Settings(memory_gb=1))
    with (
        pytest.raises(OutOfMemory) as error,
        cache.lease(spec("big", size_gb=5), Stop(), lambda _: None),
    ):
        pass
    assert error.value.params == {"needed": 5.0, "limit": 1.0}
    assert Steps.loads == 0


def test_unload_gives_memory_back_but_not_under_somebody(cache):
    model, entry, leave = spec("unloaded"), threading.Event(), threading.Event()
    thread = hold(cache, model, entry, leave)
    assert entry.wait(5)
    with pytest.raises(Busy):
        cache.unload("sentiment", model.id)
    leave.set()
    thread.join()
    cache.unload("sentiment", model.id)
    assert Steps.alive == 0
    assert cache.status() == []


def test_idle_models_are_unloaded_by_time():
    Steps.reset()
    cache = ModelCache(Settings(idle_minutes=0.3 / 60))
    with cache.lease(spec("idle"), Stop(), lambda _: None):
        time.sleep(0.5)
        assert Steps.alive == 1
    for _ in range(50):
        if not Steps.alive:
            break
        time.sleep(0.05)
    assert Steps.alive == 0
    cache.close()


def test_loading_is_told_and_status_names_the_placement(cache):
    message = []
    with cache.lease(spec("told"), Stop(), message.append):
        row = cache.status()[0]
    assert message == [Loading(spec("told"))]
    assert (row.active, row.nbytes, row.placement.device, row.placement.dtype) == (
        1,
        1000,
        "cpu",
        "float32",
    )
