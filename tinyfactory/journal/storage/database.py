"""The connections to the database of a journal: one writes, one reads.

The only module that imports diskcache, which writes. Reading goes by a connection of our own,
because opening diskcache writes, which a folder without write permission refuses. The settings,
each against a fault that was measured on diskcache 5.6.3:

* its disk layer reads pickles, so ours refuses every row that is not our own text;
* its default evicts the oldest rows at 1 GiB, so nothing is ever culled;
* its value files are not synced, so values stay in the row;
* WAL has a known corruption bug before SQLite 3.51.3, so the journal mode is DELETE;
* a commit must be on disk when it returns, and a power cut after it must not bring back the file
  that undoes it, so synchronous is EXTRA, which also syncs the folder;
* it writes all its settings at each opening, so those that are there already are left alone, and
  a new file is completed in one commit;
* it reads through a memory map, where a failing disk ends the process, so there is none;
* it expands `$NAME` and `~` in a path, so it gets the folder afterwards.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import diskcache

from tinyfactory.errors import DamagedRecord, JournalUnavailable
from tinyfactory.journal.storage.format import (
    APPLICATION,
    FORMAT,
    RELEASE,
    THIS_RELEASE,
    UNLIMITED,
    as_damage,
    identity,
)
from tinyfactory.journal.storage.rescue import Row
from tinyfactory.journal.values.stored_text import Sealed, seal, seal_under, unseal
from tinyfactory.utils.concurrency import check_interrupt, open_after_fork
from tinyfactory.utils.logs import get_logger

Found = TypeVar("Found")
logger = get_logger("tinyfactory")
NAME: str = diskcache.core.DBNAME
SETTINGS: dict[str, Any] = {
    "eviction_policy": "none",
    "cull_limit": 0,
    "statistics": 0,
    "tag_index": 0,
    "size_limit": UNLIMITED,
    "sqlite_journal_mode": "delete",
    "sqlite_synchronous": 3,
    "sqlite_auto_vacuum": 0,
    "sqlite_mmap_size": 0,
    "disk_min_file_size": UNLIMITED,
}
# Seconds to wait while another process commits; a commit takes some milliseconds.
PATIENCE = 60.0
# Seconds of one attempt of a look-up; Ctrl-C is raised between two.
_PIECE = 0.05
# diskcache's own modes end at 4 (pickle); a row of any other mode than this is not ours.
OUR_MODE = 17
# Whether a row is our own text (17 is `OUR_MODE`); the text, as bytes, for it may be no longer
# valid text; the key; and its seal under the key, as bytes too.
READ = (
    "SELECT mode = 17 AND filename IS NULL AND typeof(value) = 'text', CAST(value AS BLOB), "
    "CAST(key AS BLOB), CAST(tag AS BLOB) FROM Cache WHERE key = ? AND raw = 1"
)
# Raises DamagedRecord unless the key, the value, and whether the key is in its digest go together.
Check = Callable[[str, Any, bool], None]
PRESENT = "SELECT 1 FROM Cache WHERE key = ? AND raw = 1"
# Keys that are not text were planted; nothing is looked up by them.
KEYS = (
    "SELECT rowid, CAST(key AS BLOB) FROM Cache "
    "WHERE rowid > ? AND raw = 1 AND typeof(key) = 'text' ORDER BY rowid LIMIT 1000"
)

# -- errors ------------------------------------------------------------------------------------

# Raised by opening, reading and writing when the disk or another process is in the way.
FAILURES = (OSError, sqlite3.Error, diskcache.Timeout)


def is_damage(error: BaseException) -> bool:
    """Whether the database itself is no longer readable. A locked one is not damaged."""
    return any(code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) for code in _codes(error))


def is_forbidden(error: BaseException) -> bool:
    """Whether writing is not permitted at all, rather than impossible at present."""
    forbidden = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
    return any(code in forbidden for code in _codes(error)) or isinstance(error, PermissionError)


def is_busy(error: BaseException) -> bool:
    """Whether another process locked the database for longer than `PATIENCE`."""
    return any(code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) for code in _codes(error))


def is_failed_read(error: BaseException) -> bool:
    """Whether the disk failed, which says nothing about what is on it."""
    return sqlite3.SQLITE_IOERR in _codes(error)


def is_emptied(error: BaseException) -> bool:
    """Whether the file has no tables any more: it was emptied, or created again."""
    return sqlite3.SQLITE_ERROR in _codes(error) and "no such table" in str(error)


def patiently(work: Callable[[], Found], patience: float | None = None) -> Found:
    """The result of a query that another process may lock out for some time.

    SQLite waits in short pieces, so that Ctrl-C is raised between them also where it is deferred.

    Raises
    ------
    sqlite3.Error
        When the database is still locked after `patience` (by default `PATIENCE`) seconds.
    """
    until = time.monotonic() + (PATIENCE if patience is None else patience)
    while True:
        try:
            return work()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= until:
                raise
        check_interrupt()


def reason(error: BaseException) -> str:
    """The message of SQLite or of the system."""
    first = error
    while first.__context__ is not None and not str(first):
        first = first.__context__
    return str(first) or type(first).__name__


def _codes(error: BaseException | None) -> list[int]:
    """SQLite's codes of an error and of those behind it: diskcache's Timeout hides one."""
    codes = []
    while error is not None:
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None:
            codes.append(code & 0xFF)
        error = error.__context__
    return codes


# -- the connection that writes ----------------------------------------------------------------


class JsonDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Rows of JSON text, each with its digest; never a pickle, never a file."""

    def put(self, key: Any) -> tuple[str, bool]:
        """A key in the form of its row, which is text."""
        if type(key) is not str:
            raise TypeError(f"keys of the journal are text, not {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        """The key of a row."""
        if not raw or type(key) is not str:
            raise DamagedRecord("The journal holds a key of an unknown kind; it was not read.")
        return key

    def store(self, value: Any, read: bool, key: Any = None) -> tuple[int, int, None, str]:  # noqa: ARG002 - diskcache's signature
        """A value in the form of its row."""
        row = value if type(value) is Sealed else seal(value)
        return len(row), OUR_MODE, None, str(row)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:  # noqa: ARG002 - diskcache's signature
        """The value of a row; only our own text is read."""
        ours = mode == OUR_MODE and filename is None and type(value) is str
        return unseal(ours, value.encode() if ours else None)

    def remove(self, file_path: str) -> None:
        """Never delete a file: no row of ours has one."""


def wait_until_unlocked(file: Path) -> None:
    """Wait at most `PATIENCE` while another process writes the database.

    diskcache would try again for a minute, whatever its timeout is.

    Raises
    ------
    sqlite3.OperationalError
        When it is locked for longer.
    """
    try:
        uri = file.as_uri() + "?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
    except sqlite3.Error:
        return  # opening it says why
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if is_busy(error):
            raise
    finally:
        connection.close()


class Database(diskcache.Cache):  # type: ignore[misc]  # diskcache has no types
    """The connection that writes: diskcache with our settings, in exactly the given folder.

    `check` refuses values that are no records.
    """

    _present: dict[str, Any] | None = None

    def __init__(self, folder: Path, check: Check | None = None) -> None:
        self._check = check
        self._folder = str(folder)
        self._opening = True
        with as_damage():
            wait_until_unlocked(folder / NAME)
        settings = SETTINGS | {RELEASE: THIS_RELEASE}
        try:
            with as_damage():
                super().__init__(os.sep, timeout=PATIENCE, disk=JsonDisk, **settings)
        except BaseException:
            self._present = None
            self.close()  # a traceback may keep the connection alive, and with it a lock
            raise
        finally:
            self._opening = False
        wrong = [name for name, value in SETTINGS.items() if getattr(self, name) != value]
        if wrong:
            self.close()
            raise JournalUnavailable(
                f"The journal in {folder} opened with unexpected settings ({', '.join(wrong)}). "
                "Nothing was written. Give another folder."
            )

    @property
    def _directory(self) -> str:
        return self._folder

    @_directory.setter
    def _directory(self, expanded: str) -> None:
        """Ignore diskcache's expanded form of the path."""

    @property
    def _sql_retry(self) -> Callable[..., Any]:
        """Execute a statement; those of diskcache's opening in one transaction of ours."""
        execute: Callable[..., Any] = super()._sql_retry

        def opening(statement: str, values: tuple[Any, ...] = ()) -> Any:
            if self._present is None and statement.startswith("CREATE TABLE"):
                execute("BEGIN IMMEDIATE")
                self._enter_format(execute)
                result = execute(statement, values)
                self._present = dict(execute("SELECT key, value FROM Settings").fetchall())
                return result
            if self._present is not None and statement.startswith(("INSERT OR REPLACE", "UPDATE")):
                key, value = values if statement.startswith("INSERT") else values[::-1]
                if self._present.get(key) == value:
                    return None
                self._present[key] = value
            return execute(statement, values)

        return opening if self._opening else execute

    def _enter_format(self, execute: Callable[..., Any]) -> None:
        for name, number in (("application_id", APPLICATION), ("user_version", FORMAT)):
            if execute(f"PRAGMA {name}").fetchall() != [(number,)]:
                execute(f"PRAGMA {name} = {number}")

    def close(self) -> None:
        """Close the connection; diskcache does so once at the end of opening, which commits."""
        if self._opening and self._present is not None:
            self._present = None
            super()._sql_retry("COMMIT")
        super().close()

    def add_row(self, key: str, row: Sealed) -> Any:
        """Within a transaction: store a row unless the key has one; the value it has then.

        Returns
        -------
        object or None
            None when the given row was stored. A damaged row is renamed, as evidence, and
            replaced.
        """
        self._disk.put(key)  # only text
        found = self._sql(READ, (key,)).fetchall()
        if found:
            try:
                return checked(key, found[0], self._check)
            except DamagedRecord:
                self._rename(key)
        self.insert(Row(key, row, seal_under(key, row)))
        return None

    def insert(self, row: Row) -> None:
        """Within a transaction: store a row under a key that has none."""
        columns = (None, row.seal, len(row.row), OUR_MODE, None, str(row.row))
        self._row_insert(row.key, True, time.time(), columns)

    def _rename(self, key: str) -> None:
        number = 1
        while self._sql(PRESENT, (f"damaged:{key}:{number}",)).fetchall():
            number += 1
        change = "UPDATE Cache SET key = ? WHERE key = ? AND raw = 1"
        self._sql(change, (f"damaged:{key}:{number}", key))


def checked(asked: str, found: tuple[Any, ...], check: Check | None) -> Any:
    """The value of a row that `READ` found under a key.

    Raises
    ------
    DamagedRecord
        When it is not the stored one, or `check` refuses it.
    """
    ours, text, key, tag = found
    if key != asked.encode():  # a damaged index leads to the row of another key
        raise DamagedRecord("A value of the journal is stored under another key.")
    key_seal = None if tag is None else tag.decode("ascii", "replace")
    value = unseal(ours, text, asked, key_seal)
    if check is not None:
        check(asked, value, key_seal is not None)
    return value


# -- the connection that reads -----------------------------------------------------------------


class Reader:
    """A connection that reads a database while other connections write it.

    Parameters
    ----------
    file : Path
        The database, which must exist: nothing is created.
    may_write : bool
        False for a folder without write permission. True lets SQLite roll back the commit of
        a process that was killed; the reader itself writes no row.
    patience : float, optional
        Seconds to wait while another process locks it; `PATIENCE` by default.

    Raises
    ------
    sqlite3.Error
        When it cannot be read.
    """

    def __init__(self, file: Path, *, may_write: bool, patience: float | None = None) -> None:
        self._patience = patience
        # Reentrant: a signal handler may fork while its own thread reads.
        self.lock = open_after_fork(threading.RLock())
        self.identity = identity(file)
        uri = file.as_uri() + ("?mode=rw" if may_write else "?mode=ro")
        try:
            self._connect(uri)
        except sqlite3.OperationalError:
            if may_write or self.identity is None:
                raise
            # Without permission even to lock the file, this may read in the middle of a commit
            # of another machine; every value is checked by its digest all the same.
            self._connect(uri + "&immutable=1")

    def _connect(self, uri: str) -> None:
        connection = sqlite3.connect(
            uri, uri=True, timeout=_PIECE, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA query_only = 1").fetchall()
            first = "SELECT 1 FROM Cache LIMIT 1"
            with as_damage():
                patiently(lambda: connection.execute(first).fetchall(), self._patience)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query.

        The cursor has no name: when Ctrl-C is raised between the two calls, no traceback keeps
        the cursor, and with it a lock on the database, alive.
        """
        try:
            return self._query(sql, values)
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
        return patiently(partial(self._query, sql, values))

    def _query(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self.lock:
            return self._connection.execute(sql, values).fetchall()

    def close(self) -> None:
        """Close the connection."""
        with self.lock:
            self._connection.close()


def is_well(file: Path, *, thorough: bool) -> bool:
    """Whether a new connection finds no damage in a database.

    Parameters
    ----------
    file : Path
    thorough : bool
        Read all of it, also what an index holds.

    Raises
    ------
    sqlite3.Error
        When it cannot be read at present, which says nothing about damage.
    """
    check = "integrity_check" if thorough else "quick_check"
    uri = file.as_uri() + "?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
    try:
        with as_damage():
            return connection.execute(f"PRAGMA {check}(1)").fetchall() == [("ok",)]
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return False
    finally:
        connection.close()
