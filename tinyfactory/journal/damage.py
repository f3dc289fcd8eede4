"""A database that can no longer be read: set aside, never deleted, and read as far as it goes."""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tinyfactory.errors import DamagedRecord
from tinyfactory.journal.reader import identity
from tinyfactory.journal.rows import Sealed, unseal

_ROWS = (
    "SELECT rowid, CAST(key AS BLOB), mode, filename, typeof(value), CAST(value AS BLOB) "
    "FROM Cache WHERE rowid {} ? AND raw = 1 ORDER BY rowid {} LIMIT 1"
)


def set_aside(file: Path, damaged: tuple[int, int] | None) -> Path | None:
    """Give a damaged database another name beside it; None when another process did so first.

    Parameters
    ----------
    file : Path
        The database.
    damaged : tuple
        The `identity` of the file that was found damaged: one made anew since then stays.
    """
    with _alone(file.parent):
        if damaged is None or identity(file) != damaged:
            return None
        names = (file.with_name(f"{file.name}.damaged-{number}") for number in itertools.count(1))
        aside = next(name for name in names if not name.exists())
        # What belongs to a commit that was cut off goes along: beside the new database it
        # would be taken for part of it.
        for suffix in ("-journal", "-wal", "-shm"):
            beside = file.with_name(file.name + suffix)
            if beside.exists():
                beside.rename(aside.with_name(aside.name + suffix))
        file.rename(aside)
        return aside


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Within: no other process sets anything aside in this folder. Ends with the process."""
    import fcntl  # not on every system, and rarely needed

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def salvage(file: Path) -> list[tuple[str, Sealed]]:
    """The rows of a damaged database that can still be read and are what was stored."""
    try:
        connection = sqlite3.connect(file.as_uri() + "?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error:
        return []
    try:
        found = dict(_rows(connection, ">", "ASC"))
        # Beyond the first damaged page: from the other end.
        return list((found | dict(_rows(connection, "<", "DESC", found))).items())
    finally:
        connection.close()


def _rows(
    connection: sqlite3.Connection, beyond: str, order: str, known: dict[str, Sealed] | None = None
) -> Iterator[tuple[str, Sealed]]:
    sql = _ROWS.format(beyond, order)
    place = 0 if beyond == ">" else 2**62
    while True:
        try:
            rows = connection.execute(sql, (place,)).fetchall()
        except sqlite3.Error:
            return
        if not rows:
            return
        place, key, mode, filename, kind, value = rows[0]
        try:
            unseal(mode, filename, kind, value)
            name = key.decode()
        except (DamagedRecord, ValueError, AttributeError):
            continue
        if known is not None and name in known:
            return
        yield name, Sealed(value.decode())
