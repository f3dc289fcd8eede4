"""One connection that only reads, shared by the threads of a process."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

from tinyfactory.journal.interrupts import deferred_interrupts
from tinyfactory.journal.locks import open_after_fork

# Seconds to wait while another process commits; a commit takes some milliseconds.
PATIENCE = 60.0


def identity(file: Path) -> tuple[int, int] | None:
    """Which file this is, to tell it from another of the same name; None: there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Reader:
    """Reads a database that other connections write.

    Parameters
    ----------
    file : Path
        The database, which must be there: nothing is created.
    may_write : bool
        False for a folder that cannot be written. True lets SQLite put right what a
        process left behind that was killed during a commit; it still writes no row.

    Raises
    ------
    sqlite3.Error
        When it cannot be read.
    """

    def __init__(self, file: Path, *, may_write: bool) -> None:
        # Reentrant: a signal handler may fork while its own thread reads.
        self.lock = open_after_fork(threading.RLock())
        self.identity = identity(file)
        uri = file.as_uri() + ("?mode=rw" if may_write else "?mode=ro")
        try:
            self._connect(uri)
        except sqlite3.OperationalError:
            if may_write or self.identity is None:
                raise
            # Where even locks cannot be taken, what is read may be in the middle of a commit
            # of another machine; every value is checked by its digest all the same.
            self._connect(uri + "&immutable=1")

    def _connect(self, uri: str) -> None:
        connection = sqlite3.connect(
            uri, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA query_only = 1").fetchall()
            connection.execute("SELECT 1 FROM Cache LIMIT 1").fetchall()
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query.

        An interrupt between two rows would leave the query, and with it a lock on the
        database, open for as long as somebody looks at the traceback: so it is held back.
        """
        with deferred_interrupts(), self.lock:
            return self._connection.execute(sql, values).fetchall()

    def close(self) -> None:
        """Close the connection."""
        with self.lock:
            self._connection.close()
