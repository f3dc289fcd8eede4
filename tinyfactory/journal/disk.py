"""diskcache, tamed: the only room that knows it.

What is set here and why, each answering a fault that was measured on diskcache 5.6.3:

* its disk layer reads pickles, so ours refuses every row that is not our own text;
* its default evicts the oldest rows at 1 GiB, so nothing is ever culled;
* its value files are not synced, so values stay in the row;
* WAL has a known corruption bug before SQLite 3.51.3, so the journal mode is DELETE;
* a commit is on disk when it is done, so synchronous is FULL;
* it takes `$NAME` and `~` in a path for something else, so it is told the folder afterwards.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import diskcache

from tinyfactory.errors import DamagedRecord, JournalUnavailable
from tinyfactory.journal.reader import PATIENCE
from tinyfactory.journal.rows import OUR_MODE, PRESENT, READ, Sealed, seal, unseal

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
# What opening, reading and writing raise when the disk or another process is in the way.
FAILURES = (OSError, sqlite3.Error, diskcache.Timeout)


class JsonDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Rows of JSON text, each with its digest; never a pickle, never a file."""

    def put(self, key: Any) -> tuple[str, bool]:
        """A key as it stands in the row: text, and nothing else."""
        if type(key) is not str:
            raise TypeError(f"keys of the journal are text, not {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        """A key out of its row."""
        if not raw or type(key) is not str:
            raise DamagedRecord("The journal holds a key that it never wrote; it was not read.")
        return key

    def store(self, value: Any, read: bool, key: Any = None) -> tuple[int, int, None, str]:  # noqa: ARG002 - diskcache's signature
        """A value as it stands in the row."""
        row = value if type(value) is Sealed else seal(value)
        return len(row), OUR_MODE, None, str(row)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:  # noqa: ARG002 - diskcache's signature
        """A value out of its row, or `DamagedRecord`; nothing is read but our own text."""
        kind = "text" if type(value) is str else type(value).__name__
        return unseal(mode, filename, kind, value.encode() if kind == "text" else None)

    def remove(self, file_path: str) -> None:
        """Never delete a file: no row of ours has one."""


class Database(diskcache.Cache):  # type: ignore[misc]  # diskcache has no types
    """diskcache with these settings, in the very folder that was named."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        super().__init__(os.sep, timeout=PATIENCE, disk=JsonDisk, **SETTINGS)
        wrong = [name for name, value in SETTINGS.items() if getattr(self, name) != value]
        if wrong:
            self.close()
            raise JournalUnavailable(
                f"The journal in {folder} opened with other settings than asked for "
                f"({', '.join(wrong)}). Nothing was written. Give another folder."
            )

    @property
    def _directory(self) -> str:
        return self._folder

    @_directory.setter
    def _directory(self, expanded: str) -> None:
        """What diskcache made of the path is not wanted."""

    def add_row(self, key: str, row: Sealed) -> Any:
        """Within a transaction: store a row unless one stands there; give what then stands.

        None stands for the row that was given. One that is damaged is kept under another
        key, as evidence.
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
