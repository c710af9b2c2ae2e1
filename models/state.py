"""The SQLite file of what outlives a restart, even a kill -9: API tokens, and what hosted models have cost.

Several processes may use one file. What a transaction has written is on the disk when its block ends.
"""

import logging
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from models.errors import Unavailable

_WAIT = 5.0  # seconds for another process to end its transaction
_SCHEMA = """
CREATE TABLE IF NOT EXISTS token (name TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, since REAL NOT NULL);
CREATE TABLE IF NOT EXISTS spend (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, dollars REAL NOT NULL, tokens INTEGER NOT NULL
);
"""
log = logging.getLogger("genlab")


class StateFile:
    """A state file. It is made, for its owner alone, when it is first needed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """Keep all or nothing of what the with block does; one block at a time.

        Raises:
            Unavailable: the file cannot be read or written: no permission, a full disk, damage.
        """
        with self._lock:
            try:
                connection = self._connection = self._connection or self._open()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except (OSError, sqlite3.Error) as error:
                self._close()
                log.error("the file of GENLAB_STATE cannot be used: %s", error)
                raise Unavailable("unavailable_state") from None

    def _open(self) -> sqlite3.Connection:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.touch(mode=0o600)
        connection = sqlite3.connect(
            self._file, timeout=_WAIT, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # on the disk at each commit
        connection.executescript(_SCHEMA)
        return connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


@cache
def state(file: Path) -> StateFile:
    """The one StateFile of a file in this process."""
    return StateFile(file)
