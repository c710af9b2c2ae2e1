"""Shared passes: alone at once, together when they queue up, each with its own end."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from models.contract import Stop
from models.errors import Stopped
from models.runtime import batching
from models.runtime.batching import Batcher


class Passes:
    """Work that can be held up, and notes what was done together."""

    def __init__(self, **settings):
        self.go, self.batches, self.cores = threading.Event(), [], []
        self.go.set()
        self.at_once = self.most_at_once = 0
        self.seconds = 0.0  # that a pass takes
        self.batcher = Batcher(self.work, **({"most": 100} | settings))

    def work(self, items, cores):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.batches.append(list(items))
        self.cores.append(cores)
        assert self.go.wait(10)
        time.sleep(self.seconds)
        self.at_once -= 1
        if any(item == "bad" for item in items):
            raise ValueError("bad")
        return [f"{item}!" for item in items]


class Callers:
    """A thread for each call, and what came of it."""

    def __init__(self, passes):
        self.passes, self.results, self.threads = passes, {}, []

    def call(self, item, stop=None, may_wait=True):
        """Call, and wait until the call is in the queue (or in a pass)."""
        batcher, before = self.passes.batcher, len(self.passes.batcher._queue)

        def work():
            try:
                self.results[item] = batcher(item, stop or Stop())
            except Exception as error:
                self.results[item] = error

        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()
        until(lambda: len(batcher._queue) > before if may_wait else self.passes.at_once)
        return self.threads[-1]

    def join(self):
        self.passes.go.set()
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


def in_threads(work, *columns):
    """All calls at once, a thread each; what fails in one fails the test."""
    with ThreadPoolExecutor(len(columns[0])) as pool:
        list(pool.map(work, *columns))


def until(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def hold_lanes(**settings):
    """Callers of which the first is in a pass that does not end before `join`."""
    passes = Passes(**settings)
    passes.go.clear()
    callers = Callers(passes)
    callers.call("first", may_wait=False)
    return passes, callers


def test_one_caller_is_served_at_once_and_alone():
    passes = Passes()
    start = time.perf_counter()
    for number in range(100):
        assert passes.batcher(str(number), Stop()) == f"{number}!"
    assert time.perf_counter() - start < 0.05, "it waits for company"
    assert passes.batches == [[str(number)] for number in range(100)]


def test_what_queues_up_during_a_pass_makes_the_next_one_in_order():
    passes, callers = hold_lanes()
    for item in "abc":
        callers.call(item)
    callers.join()
    assert passes.batches == [["first"], ["a", "b", "c"]]
    assert callers.results == {item: f"{item}!" for item in ("first", "a", "b", "c")}


def test_a_pass_holds_no_more_than_its_weight_and_one_kind():
    passes, callers = hold_lanes(most=3, weigh=len, kind=str.isupper)
    for item in ("a", "bb", "B", "c", "long"):
        callers.call(item)
    callers.join()
    assert passes.batches == [["first"], ["a", "bb"], ["B"], ["c"], ["long"]]


def test_what_is_wrong_with_one_costs_the_others_nothing():
    passes, callers = hold_lanes()
    for item in ("a", "bad", "b"):
        callers.call(item)
    callers.join()
    assert callers.results["a"] == "a!"
    assert callers.results["b"] == "b!"
    assert isinstance(callers.results["bad"], ValueError)
    assert passes.batcher("after", Stop()) == "after!"


def test_a_stop_ends_one_call_and_not_its_neighbours():
    passes, callers = hold_lanes()
    stop = Stop()
    leaver = callers.call("leaver", stop)
    callers.call("stays")
    stop.set()
    leaver.join(1)
    assert not leaver.is_alive(), "it waits for a pass that it does not want"
    assert isinstance(callers.results["leaver"], Stopped)
    callers.join()
    assert callers.results["stays"] == "stays!"
    assert passes.batches == [["first"], ["stays"]]


def test_the_leader_of_a_pass_serves_the_others_although_it_was_stopped():
    _, callers = hold_lanes()
    stop = Stop()
    callers.call("leader", stop)
    callers.call("other")
    callers.passes.go.set()
    stop.set()
    callers.join()
    assert callers.results["other"] == "other!"


def test_lanes_share_those_who_wait_evenly():
    passes, callers = hold_lanes(lanes=2)
    callers.call("second", may_wait=False)
    until(lambda: passes.at_once == 2)
    for item in "abcdef":
        callers.call(item)
    callers.join()
    assert passes.most_at_once == 2
    sizes = [len(batch) for batch in passes.batches]
    assert sum(sizes) == 8
    assert max(sizes) <= 4, passes.batches


def test_work_that_cannot_be_shared_takes_a_lane():
    passes, callers = hold_lanes()
    inside, leave = threading.Event(), threading.Event()

    def alone():
        with passes.batcher.lane(Stop()):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=alone)
    thread.start()
    until(lambda: passes.batcher._queue)
    callers.call("a")
    assert not inside.is_set()
    passes.go.set()
    assert inside.wait(5)
    time.sleep(0.1)
    assert passes.batches == [["first"]], "a pass began in a lane that is taken"
    leave.set()
    thread.join(5)
    callers.join()
    assert callers.results["a"] == "a!"


def test_those_who_attend_go_on_together_and_nobody_waits_for_one_who_left():
    passes = Passes()
    counts = {"short": 3, "long": 12, "other": 12}
    start = threading.Barrier(len(counts))

    def attend(name, count):
        with passes.batcher.attending():
            start.wait(5)
            for _ in range(count):
                assert passes.batcher(name, Stop()) == f"{name}!"
                time.sleep(0.002 * len(name))  # some are slower between two calls

    in_threads(attend, counts.keys(), counts.values())
    sizes = [len(batch) for batch in passes.batches]
    assert sizes[:3] == [3, 3, 3]
    assert sum(sizes) == 27
    assert len(sizes) <= 14, sizes  # 12, and one or two where a thread was held up


def test_with_two_lanes_half_of_those_who_attend_go_while_the_others_are_between_two_calls(
    monkeypatch,
):
    monkeypatch.setattr(batching, "_LOOK", 20)  # nobody loses patience
    passes, callers = hold_lanes(lanes=2, spread=4)
    assert passes.cores == [4], "nobody else is there"
    callers.join()
    passes.go.clear()
    with ExitStack() as people:
        for _ in range(4):
            people.enter_context(passes.batcher.attending())
        callers.call("a")
        assert passes.at_once == 0, "it goes without the other of its half"
        callers.call("b", may_wait=False)
        callers.call("c")
        callers.call("d", may_wait=False)
        until(lambda: passes.at_once == 2)
        callers.join()
    assert passes.batches[1:] == [["a", "b"], ["c", "d"]]
    assert passes.cores[1:] == [2, 2]


def test_who_is_in_a_pass_sends_nobody_off_who_waits_for_others(monkeypatch):
    monkeypatch.setattr(batching, "_LOOK", 0.6)
    passes = Passes(lanes=2)
    callers = Callers(passes)
    passes.go.clear()
    with ExitStack() as people:
        for _ in range(4):
            people.enter_context(passes.batcher.attending())
        callers.call("a")
        callers.call("b", may_wait=False)
        time.sleep(0.4)
        callers.call("c")
        time.sleep(0.4)  # "a" and "b" have looked around meanwhile, "c" has not
        callers.call("d", may_wait=False)
        until(lambda: passes.at_once == 2)
        callers.join()
    assert passes.batches == [["a", "b"], ["c", "d"]]


def test_many_threads_lose_nothing():
    passes = Passes(most=8, lanes=2)
    results = {}

    def work(name):
        results[name] = [passes.batcher(f"{name}.{i}", Stop()) for i in range(50)]

    in_threads(work, range(16))
    assert all(results[n] == [f"{n}.{i}!" for i in range(50)] for n in range(16))
    assert passes.batcher.passes == 0
    assert passes.batcher._inside == 0


def test_a_crowd_goes_on_in_halves_and_nobody_waits_for_those_who_do_not_come_again():
    passes = Passes(lanes=2)
    passes.seconds = 0.1
    start = threading.Barrier(16)

    def ask(name):
        start.wait(5)
        for number in range(6):
            assert passes.batcher(f"{name}.{number}", Stop()) == f"{name}.{number}!"
            time.sleep(0.001 * (name % 4))  # back within milliseconds, but not at once

    in_threads(ask, range(16))
    sizes = [len(batch) for batch in passes.batches]
    assert sum(sizes) == 96
    assert len(sizes) <= 18, sizes  # 12 of eight; 24 without the wait
    time.sleep(passes.seconds)
    begin = time.monotonic()
    assert passes.batcher("later", Stop()) == "later!"
    assert time.monotonic() - begin < 1.4 * passes.seconds, "it waits for those who have left"
