"""A damaged database is replaced by a new one with its readable rows, and is kept beside it."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tinyfactory.journal.storage.database import NAME, Database
from tinyfactory.journal.storage.format import Identity, identity
from tinyfactory.journal.storage.rescue import rescued
from tinyfactory.utils.files import sync_folder


def replace_damaged(file: Path, damaged: Identity | None) -> tuple[Path, int, int] | None:
    """Replace a damaged database by a new one with its readable rows, in one step.

    A kill or a full disk in between leaves the damaged file where it was.

    Parameters
    ----------
    file : Path
        The database.
    damaged : tuple
        The `identity` of the damaged file: a file created since then stays.

    Returns
    -------
    tuple of Path, int and int, or None
        The new name of the damaged file, and how many rows and events were rescued; None when
        another process has replaced it.
    """
    with _locked(file.parent):
        if damaged is None or identity(file) != damaged:
            return None
        place = file.with_name(file.name + ".rescue")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        try:
            rows, events = _rebuild(file, place)
            names = (file.with_name(f"{file.name}.damaged-{n}") for n in itertools.count(1))
            aside = next(name for name in names if not name.exists())
            # The remains of an unfinished commit go along: SQLite would apply them to the new file.
            for suffix in ("-journal", "-wal", "-shm"):
                remains = file.with_name(file.name + suffix)
                if remains.exists():
                    remains.rename(aside.with_name(aside.name + suffix))
            try:
                os.link(file, aside)
            except OSError:  # a file system without links
                file.rename(aside)
            (place / NAME).replace(file)
            with suppress(OSError):
                sync_folder(file.parent)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return aside, rows, events


def _rebuild(damaged: Path, place: Path) -> tuple[int, int]:
    """Write the readable rows of a database into a new one; how many rows and events."""
    rows = events = 0
    seen: set[str] = set()
    database = Database(place)
    try:
        with database.transact():
            for row in rescued(damaged):
                if row.key not in seen:
                    seen.add(row.key)
                    database.insert(row)
                    rows += 1
                    events += row.key.startswith("event:")
    finally:
        database.close()
    return rows, events


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Within: no other process replaces a database in this folder. Ends with the process."""
    try:
        import fcntl  # does not exist on every system, and is rarely needed
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a network folder without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
