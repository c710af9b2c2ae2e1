"""Whose turn it is to compute: the processor's cores, shared out among kinds of work.

Threads that all compute at once hold each other up, the more so in Python, where a thread waits for the
interpreter after every product. So short pieces of work (a pass of a batch, the tokens of an answer) take turns:
one a core, and of those who wait the kind goes first that has had the least time. A hundred short texts do not
starve a picture then, and what waits meanwhile goes together into one pass (models/runtime/batching.py).
"""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from models.runtime.placement import cores

PATIENCE = 1.0  # seconds after which a turn begins although no core is free
CREDIT = 0.2  # seconds of a core that a kind which was idle may be ahead of the others
# Parts of the time where all want it; else 1. An answer of these takes many turns, a text's score takes one.
PARTS = {"text_to_image": 8, "chat": 3}


@dataclass(eq=False, slots=True)
class CoreTurn:
    """Somebody's turn, or their wait for it.

    Attributes:
        kind: of work; those of one kind go in order of arrival.
        most: cores that it can use.
        cores: that it has; 0 while it waits.
    """

    kind: str
    most: int = 1
    cores: int = 0
    begin: float = 0.0
    ready: threading.Event = field(default_factory=threading.Event)


class Turns:
    """So many cores for all kinds of work.

    What takes long at a stretch (a step of a large model) takes no turn: there the system shares the cores out.

    Args:
        count: of cores.
        patience: seconds after which nobody waits any more.
    """

    def __init__(self, count: int, patience: float = PATIENCE) -> None:
        self.count, self._free, self._patience = count, count, patience
        self._lock = threading.Lock()
        self._waiting: list[CoreTurn] = []
        # Of a core, that each kind has had for each of its parts.
        self._seconds: dict[str, float] = {}
        self._clock = 0.0  # such seconds of the kind whose turn began last

    @contextmanager
    def turn(self, kind: str, most: int = 1) -> Generator[CoreTurn]:
        """Within it this thread computes, on `cores` of the turn: one, or up to `most` where nobody waits."""
        turn = CoreTurn(kind, most)
        with self._lock:
            self._ask(turn)
        self._wait(turn)
        try:
            yield turn
        finally:
            with self._lock:
                self._end(turn)
                self._grant()

    def rest(self, turn: CoreTurn) -> None:
        """Between two pieces of one's work: let those go first who have had less time."""
        with self._lock:
            self._end(turn)
            self._ask(turn)
        self._wait(turn)

    def has_rival(self, kind: str) -> bool:
        """Whether work of another kind waits for its turn."""
        with self._lock:
            return any(turn.kind != kind for turn in self._waiting)

    # ------------------------------------------------------------ under the lock

    def _ask(self, turn: CoreTurn) -> None:
        least = self._clock - CREDIT  # who was away saves up no more
        self._seconds[turn.kind] = max(self._seconds.get(turn.kind, least), least)
        turn.ready.clear()
        self._waiting.append(turn)
        self._grant()

    def _grant(self) -> None:
        while self._free > 0 and self._waiting:
            turn = min(self._waiting, key=lambda one: self._seconds[one.kind])
            self._waiting.remove(turn)
            self._begin(turn, 1 if self._waiting else min(turn.most, self._free))

    def _begin(self, turn: CoreTurn, count: int) -> None:
        turn.cores, turn.begin = count, time.perf_counter()
        self._free -= count
        self._clock = max(self._clock, self._seconds[turn.kind])
        turn.ready.set()

    def _end(self, turn: CoreTurn) -> None:
        seconds = turn.cores * (time.perf_counter() - turn.begin)
        self._seconds[turn.kind] += seconds / PARTS.get(turn.kind, 1)
        self._free += turn.cores
        turn.cores = 0

    # ------------------------------------------------------------

    def _wait(self, turn: CoreTurn) -> None:
        if turn.ready.wait(self._patience):
            return
        with self._lock:
            if not turn.cores:
                self._waiting.remove(turn)
                self._begin(turn, 1)


TURNS = Turns(cores())
