"""One model after another is put together: from_pretrained and peft patch torch's globals while they run."""

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager

from models.contract import Stop
from models.errors import Stopped

_LOOK = 0.2  # seconds between two looks at the stop flag


class StoppableLock:
    """A lock whose wait a stop ends."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """In a forked process: the thread that held it is not there."""
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, stop: Stop) -> Generator[None]:
        """Hold it for the with block.

        Raises:
            Stopped: stop was set before it was free.
        """
        lock = self._lock
        while not lock.acquire(timeout=_LOOK):
            if stop.is_set():
                raise Stopped
        try:
            yield
        finally:
            lock.release()


# Of all models with weights, and of what is put into one later.
CONSTRUCTION = StoppableLock()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=CONSTRUCTION.renew)
