"""Forward passes that people share: requests that come while a pass runs go together into the next one.

Nobody waits for company without cause: a call that finds a free lane and a free core starts at once, alone, as if
there were no batcher. Only where a pass of several has just ended, the next one waits a moment for its callers: in
a crowd they come again within milliseconds of each other, and the first would go on alone. Each call stays with its own thread, so that seeds, events, errors and stops stay with their person;
only the pass itself is common, and it runs in the thread of the call that has waited longest.
"""

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from models.contract import Stop
from models.errors import Stopped
from models.runtime.turns import TURNS

_LOOK = (
    0.05  # seconds between two looks at the stop flag; also the longest wait for those who attend
)
_HOPE = 0.5  # of a pass's time, in which those who were in it may come again
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(eq=False, slots=True)
class _Call:
    """One call: `ready` is set when it is to lead a pass (`leads`), or when another pass has done it."""

    item: Any
    kind: object
    weight: int
    ready: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    result: Any = None
    error: Exception | None = None


class Batcher(Generic[Item, Result]):
    """Calls to one model from many threads, put together to passes.

    Args:
        work: the results of some items, in their order, computed on so many cores. It runs in one of the
            callers' threads, in up to `lanes` of them at once. If it fails for several items, each is tried
            alone, so that what is wrong with one costs the others nothing.
        most: the weight of a pass; an item that weighs more has a pass of its own.
        weigh: of an item.
        kind: items of equal kinds may share a pass.
        lanes: passes at once. With several, those who wait are shared out evenly.
        spread: cores for a pass; lanes that are in use share them evenly.
        turns: the kind of work as which a pass waits for its turn on the processor; "" waits for none.
    """

    def __init__(
        self,
        work: Callable[[list[Item], int], Sequence[Result]],
        *,
        most: int,
        weigh: Callable[[Item], int] = lambda _: 1,
        kind: Callable[[Item], object] = lambda _: None,
        lanes: int = 1,
        spread: int = 1,
        turns: str = "",
    ) -> None:
        self._work, self._most, self._weigh, self._kind = work, most, weigh, kind
        self._lanes, self._spread, self._turns = lanes, spread, turns
        self._lock = threading.Lock()
        self._arrival = threading.Condition(self._lock)
        self._queue: list[_Call] = []
        self._away, self._hope = 0, 0.0  # callers that may come again, and until when
        self._goal = 0  # calls in the queue with which a leader who waits for them goes
        self._attending = 0
        self._inside = 0  # calls in passes now
        # It waits for its turn: who comes meanwhile goes with it.
        self._leader: _Call | None = None
        self.passes = 0  # passes now, `lane`s included

    def __call__(self, item: Item, stop: Stop) -> Result:
        """The result of an item, from a pass of its own or one shared with others.

        Raises:
            Stopped: stop was set before its pass began.
            Exception: what `work` raised for this item.
        """
        call = _Call(item, self._kind(item), self._weigh(item))
        self._await(call, stop)
        if call.leads:
            self._lead(call)
        if call.error is not None:
            raise call.error
        return cast(Result, call.result)

    @contextmanager
    def lane(self, stop: Stop) -> Generator[None]:
        """Within it no more than the other lanes have passes: for work that cannot be shared.

        Raises:
            Stopped: stop was set while it waited for its turn.
        """
        call = _Call(None, object(), self._most)
        self._await(call, stop)
        with self._lock:
            self._leader = None
            self._appoint()
        try:
            yield
        finally:
            self._leave(1, 0.0)

    @contextmanager
    def attending(self) -> Generator[None]:
        """For somebody with one call after another: while several attend, a pass waits for a lane's share of them.

        They return within milliseconds of each other; without this the quickest would go on alone. With two lanes
        half of them are computed while the others do what is to be done between two calls.
        """
        with self._lock:
            self._attending += 1
        try:
            yield
        finally:
            with self._lock:
                self._attending -= 1
                self._appoint()

    def _await(self, call: _Call, stop: Stop) -> None:
        """Wait until the call leads or is done."""
        with self._lock:
            self._queue.append(call)
            self._away = max(0, self._away - 1)
            self._appoint()
            if 0 < self._goal <= len(self._queue):
                self._arrival.notify()
        while not call.ready.wait(_LOOK):
            with self._lock:
                waits = call in self._queue  # else it is in a pass already
                if stop.is_set() and waits:
                    self._queue.remove(call)
                    self._appoint()
                    raise Stopped
                self._appoint(patient=not waits)

    def _appoint(self, patient: bool = True) -> None:
        """Let whoever has waited longest lead, while there is a free lane. Under the lock."""
        while self._queue and self.passes < self._lanes and self._leader is None:
            # A lane's share of those who attend go together, or all who are in no other lane's pass.
            quorum = min(self._share(self._lanes), self._attending - self._inside)
            if patient and len(self._queue) < quorum:
                return
            self.passes += 1
            self._inside += 1
            first = self._queue.pop(0)
            first.leads = True
            self._leader = first
            first.ready.set()

    def _lead(self, first: _Call) -> None:
        batch, start = [first], time.monotonic()
        try:
            self._gather()
            with self._turn() as cores:
                with self._lock:
                    self._fill(batch)
                    self._leader = None
                    self._appoint()
                start = time.monotonic()
                self._do(batch, cores)
        finally:
            self._leave(len(batch), time.monotonic() - start)
            for call in batch[1:]:
                call.ready.set()

    def _gather(self) -> None:
        """Wait for those who have just been in a pass of several, until there is a lane's share of all."""
        with self._lock:
            self._goal = self._share(self._lanes) - 1  # beside the leader
            while len(self._queue) < self._goal and not self._attending:
                if (rest := self._hope - time.monotonic()) <= 0:
                    break
                self._arrival.wait(rest)
            self._goal = 0

    def _share(self, lanes: int) -> int:
        """Of all who wait, are in passes, have just been in one or attend, those of one lane. Under the lock."""
        away = self._away if time.monotonic() <= self._hope else 0
        people = max(len(self._queue) + self._inside + away, self._attending)
        return -(-people // lanes)

    @contextmanager
    def _turn(self) -> Generator[int]:
        """Within it a pass may compute, on so many cores."""
        people = max(self._inside + len(self._queue), self._attending)
        spread = max(1, self._spread // min(self._lanes, people))
        if not self._turns:
            yield spread
            return
        with TURNS.turn(self._turns, spread) as turn:
            yield turn.cores

    def _fill(self, batch: list[_Call]) -> None:
        """Add those who wait for a pass of the same kind, in order of arrival: a lane's even share.

        All of them where other work wants the cores, since the other lanes would wait for those.
        """
        lanes = 1 if self._turns and TURNS.has_rival(self._turns) else self._lanes
        weight, share = batch[0].weight, self._share(lanes)
        for call in list(self._queue):
            if len(batch) >= share:
                break
            if call.kind == batch[0].kind and weight + call.weight <= self._most:
                weight += call.weight
                self._queue.remove(call)
                batch.append(call)
        self._inside += len(batch) - 1

    def _do(self, batch: list[_Call], cores: int) -> None:
        """Fill in each call's result or error."""
        try:
            results = self._work([call.item for call in batch], cores)
            for call, result in zip(batch, results, strict=True):
                call.result = result
            return
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
                return
        for call in batch:  # here the exception, whose frames hold the pass's tensors, is gone
            self._do([call], cores)

    def _leave(self, calls: int, seconds: float) -> None:
        """A pass of so many calls, which took so long, is over."""
        with self._lock:
            self.passes -= 1
            self._inside -= calls
            now = time.monotonic()
            if now > self._hope:
                self._away = 0
            if calls > 1:
                self._away += calls
                self._hope = now + _HOPE * seconds
            self._appoint()
