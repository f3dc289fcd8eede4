"""The database of a journal's folder: diskcache with safe settings.

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

import os
import sqlite3
from pathlib import Path
from typing import Any

import diskcache

from tinyfactory.errors import DamagedRecord, JournalUnavailable
from tinyfactory.journal.serializer import Sealed, seal, unseal

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
# Whether a row is our own text (17 is `OUR_MODE`), and the text: as bytes, for it may be no
# longer valid text.
READ = (
    "SELECT mode = 17 AND filename IS NULL AND typeof(value) = 'text', CAST(value AS BLOB) "
    "FROM Cache WHERE key = ? AND raw = 1"
)
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
