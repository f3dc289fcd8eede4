"""The database of a journal's folder: diskcache with safe settings, and rows with digests.

The only module that imports diskcache. Its settings, each against a fault that was measured on
diskcache 5.6.3:

* its disk layer reads pickles, so ours refuses every row that is not our own text;
* its default evicts the oldest rows at 1 GiB, so nothing is ever culled;
* its value files are not synced, so values stay in the row;
* WAL has a known corruption bug before SQLite 3.51.3, so the journal mode is DELETE;
* a commit must be on disk when it returns, so synchronous is FULL;
* it expands `$NAME` and `~` in a path, so it gets the folder afterwards.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import diskcache

from tinyfactory.errors import DamagedRecord, JournalUnavailable
from tinyfactory.journal.serializer import digest_text, from_text, to_text
from tinyfactory.utils.concurrency import open_after_fork

NAME: str = diskcache.core.DBNAME
SETTINGS: dict[str, Any] = {
    "eviction_policy": "none",
    "cull_limit": 0,
    "statistics": 0,
    "tag_index": 0,
    "size_limit": 2**62,
    "sqlite_journal_mode": "delete",
    "sqlite_synchronous": 2,
    "sqlite_auto_vacuum": 0,
    "disk_min_file_size": 2**62,
}
# Seconds to wait while another process commits; a commit takes some milliseconds.
PATIENCE = 60.0
# diskcache's own modes end at 4 (pickle); a row of any other mode than this is not ours.
OUR_MODE = 17
# As bytes, to tell text from a value that is no longer valid text.
READ = (
    "SELECT mode, filename, typeof(value), CAST(value AS BLOB) FROM Cache WHERE key = ? AND raw = 1"
)
PRESENT = "SELECT 1 FROM Cache WHERE key = ? AND raw = 1"
# Keys that are not text were planted; nothing is looked up by them.
KEYS = (
    "SELECT rowid, CAST(key AS BLOB) FROM Cache "
    "WHERE rowid > ? AND raw = 1 AND typeof(key) = 'text' ORDER BY rowid LIMIT 1000"
)
_DIGITS = 40

# -- rows --------------------------------------------------------------------------------------


class Sealed(str):
    """A value with its digest, ready to be stored."""

    __slots__ = ()


def seal(value: Any) -> Sealed:
    """A JSON value in the form of its row.

    Examples
    --------
    >>> unseal(OUR_MODE, None, "text", seal({"a": 1}).encode())
    {'a': 1}
    """
    text = to_text(value)
    return Sealed(digest_text(text) + text)


def unseal(mode: int, filename: str | None, kind: str, row: bytes | None) -> Any:
    """The value of a row.

    Raises
    ------
    DamagedRecord
        For anything but our own text exactly as it was stored. Other rows are not looked at:
        no pickle is loaded, no file is opened.
    """
    if mode != OUR_MODE or filename is not None or kind != "text" or row is None:
        raise DamagedRecord("A row of the journal is of an unknown kind; it was not read.")
    text = row[_DIGITS:]
    if hashlib.sha256(text).hexdigest()[:_DIGITS].encode() != row[:_DIGITS]:
        raise DamagedRecord("A value of the journal differs from the stored one.")
    return from_text(text.decode())


def unseal_text(row: Sealed) -> Any:
    """The value of a row that was never on disk."""
    return from_text(row[_DIGITS:])


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


# -- connections -------------------------------------------------------------------------------


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
        kind = "text" if type(value) is str else type(value).__name__
        return unseal(mode, filename, kind, value.encode() if kind == "text" else None)

    def remove(self, file_path: str) -> None:
        """Never delete a file: no row of ours has one."""


class Database(diskcache.Cache):  # type: ignore[misc]  # diskcache has no types
    """The connection that writes: diskcache with our settings, in exactly the given folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        super().__init__(os.sep, timeout=PATIENCE, disk=JsonDisk, **SETTINGS)
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

    def add_row(self, key: str, row: Sealed) -> Any:
        """Within a transaction: store a row unless the key has one; the value it has then.

        Returns
        -------
        object or None
            None when the given row was stored. A damaged row is renamed, as evidence, and
            replaced.
        """
        found = self._sql(READ, (key,)).fetchall()
        if found:
            try:
                return unseal(*found[0])
            except DamagedRecord:
                self._rename(key)
        self.add(key, row)
        return None

    def _rename(self, key: str) -> None:
        number = 1
        while self._sql(PRESENT, (f"damaged:{key}:{number}",)).fetchall():
            number += 1
        change = "UPDATE Cache SET key = ? WHERE key = ? AND raw = 1"
        self._sql(change, (f"damaged:{key}:{number}", key))


class Reader:
    """A connection that reads a database while other connections write it.

    Parameters
    ----------
    file : Path
        The database, which must exist: nothing is created.
    may_write : bool
        False for a folder without write permission. True lets SQLite roll back the commit of
        a process that was killed; the reader itself writes no row.

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
            # Without permission even to lock the file, this may read in the middle of a commit
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

        The cursor has no name: when Ctrl-C is raised between the two calls, no traceback keeps
        the cursor, and with it a lock on the database, alive.
        """
        with self.lock:
            return self._connection.execute(sql, values).fetchall()

    def close(self) -> None:
        """Close the connection."""
        with self.lock:
            self._connection.close()


def identity(file: Path | str) -> tuple[int, int] | None:
    """Device and number of a file, to notice when another file got its name; None without one."""
    try:
        found = os.stat(file)  # noqa: PTH116 - at every look-up, and a Path takes longer
    except OSError:
        return None
    return found.st_dev, found.st_ino
