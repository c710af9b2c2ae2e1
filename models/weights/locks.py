"""One at a time, between the threads of a process and between processes."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from models.contract import Stop
from models.errors import Stopped

_LOOK = 0.25  # seconds between two looks at the stop flag
_table = threading.Lock()  # guards the locks below
_locks: dict[Path, threading.Lock] = {}  # a file lock alone does not part two threads


@contextmanager
def locked(path: Path, stop: Stop) -> Generator[None]:
    """Hold a lock file; its folder is made if need be, and a process that dies lets go.

    Args:
        path: the lock file, which stays.
        stop: ends the wait.

    Raises:
        Stopped: stop was set while another had it.
        OSError: the lock file cannot be written.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    with _table:
        inner = _locks.setdefault(path, threading.Lock())
    while not inner.acquire(timeout=_LOOK):
        if stop.is_set():
            raise Stopped
    outer = FileLock(path)
    try:
        while not outer.is_locked:
            try:
                outer.acquire(timeout=_LOOK)
            except Timeout:
                if stop.is_set():
                    raise Stopped from None
        yield
    finally:
        outer.release()
        inner.release()
