"""So many places for work of one kind, in order of arrival."""

import threading
from collections.abc import Generator
from contextlib import contextmanager

from models.contract import Notify, Stop, Waiting
from models.errors import Stopped

_LOOK = 0.05  # seconds between two looks at the stop flag


class Places:
    """So many places.

    Args:
        count: of them.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._queue = list[object]()
        self._change = threading.Condition(threading.Lock())

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._queue)

    @contextmanager
    def place(self, stop: Stop, notify: Notify) -> Generator[None]:
        """Wait for a place, and hold it for the with block.

        Args:
            stop: ends the wait.
            notify: is called with Waiting, at each change of the position.

        Raises:
            Stopped: stop was set before there was a place.
        """
        ticket, last = object(), 0  # the position that was told
        with self._change:
            self._queue.append(ticket)
            try:
                while self._queue[0] is not ticket or not self._free:
                    if stop.is_set():
                        raise Stopped
                    position = self._queue.index(ticket) + 1
                    if position != last:
                        notify(Waiting(position))
                        last = position
                    self._change.wait(_LOOK)
                self._free -= 1
            finally:
                self._queue.remove(ticket)
                self._change.notify_all()
        try:
            yield
        finally:
            with self._change:
                self._free += 1
                self._change.notify_all()
