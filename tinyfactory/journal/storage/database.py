"""The database of a journal's folder: opened, created again when removed, replaced when damaged.

The only module that imports diskcache, which writes. Reading goes by a connection of our own,
because opening diskcache writes, which a folder without write permission refuses. The settings,
each against a fault that was measured on diskcache 5.6.3:

* its disk layer reads pickles, so ours refuses every row that is not our own text;
* its default evicts the oldest rows at 1 GiB, so nothing is ever culled;
* its value files are not synced, so values stay in the row;
* WAL has a known corruption bug before SQLite 3.51.3, so the journal mode is DELETE;
* a commit must be on disk when it returns, so synchronous is FULL;
* it expands `$NAME` and `~` in a path, so it gets the folder afterwards.
"""

from __future__ import annotations

import itertools
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import diskcache

from tinyfactory.errors import DamagedRecord, JournalUnavailable
from tinyfactory.journal.serializer import Sealed, seal, unseal
from tinyfactory.utils.concurrency import check_interrupt, new_lock, open_after_fork

Found = TypeVar("Found")
logger = logging.getLogger("tinyfactory")
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
# Seconds of one attempt of a look-up; Ctrl-C is raised between two.
_PIECE = 0.05
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
    """The connection that writes: diskcache with our settings, in exactly the given folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        wait_until_unlocked(folder / NAME)
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


def identity(file: Path | str) -> tuple[int, int] | None:
    """Device and number of a file, to notice when another file got its name; None without one."""
    try:
        found = os.stat(file)  # noqa: PTH116 - at every look-up, and a Path takes longer
    except OSError:
        return None
    return found.st_dev, found.st_ino


# -- the folder --------------------------------------------------------------------------------

# A look-up starts again when another thread closes or replaces its connection.
_ATTEMPTS = 20


class Folder:
    """A folder with a database: one connection that reads, and one that writes.

    Parameters
    ----------
    path : Path
        Created with mode 0700 when it does not exist.
    in_writer : callable
        Runs a function in the one thread that writes, and returns its result.

    Attributes
    ----------
    read_only : str or None
        The reason why the folder must not be written.

    Raises
    ------
    JournalUnavailable
        When it can be neither written nor read.
    """

    def __init__(self, path: Path, in_writer: Callable[[Callable[[], Any]], Any]) -> None:
        self.path = path
        self.file = path / NAME
        self._file_name = str(self.file)
        self.read_only: str | None = None
        self._in_writer = in_writer
        self._database: Database | None = None
        self.reader: Reader | None = None
        self._swap = new_lock()
        self._open_or_only_read(self._open)

    # -- from any thread ---------------------------------------------------------------

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query.

        Raises
        ------
        DamagedRecord, JournalUnavailable
            When the database cannot be read, and could not be replaced.
        """
        why: BaseException | None = None
        replaced = False
        for _ in range(_ATTEMPTS):
            reader = self.reader
            # The file may have been removed or replaced.
            if reader is None or (
                self.read_only is None and reader.identity != identity(self._file_name)
            ):
                self._open_or_only_read(self.opened)
                reader = self.reader
            if reader is None:
                continue  # another thread has just closed it
            try:
                return reader.query(sql, *values)
            except sqlite3.Error as error:
                why = error
            if reader is not self.reader:
                continue
            if replaced or self.read_only is not None or not is_damage(why):
                break
            self._in_writer(partial(self._found_damaged, reader, why))
            replaced = True
        if why is not None and is_damage(why):
            raise DamagedRecord(f"The journal's file {self.file} is damaged.") from why
        raise JournalUnavailable(
            f"The journal in {self.path} cannot be read "
            f"({why or 'its connection is closed again and again'}). Nothing was changed. Run "
            "this again, or give another folder."
        ) from why

    def close(self) -> None:
        """Close the connection that reads; a later query opens it again."""
        with self._swap:
            reader, self.reader = self.reader, None
        if reader is not None:
            reader.close()

    def _open_or_only_read(self, opening: Callable[[], Any]) -> None:
        """Open for writing; if that fails, for reading only."""
        try:
            if self.read_only is None:
                self._in_writer(opening)
                return
            forbidden, why, patience = True, self.read_only, None
        except FAILURES as error:
            forbidden, why = is_forbidden(error), reason(error)
            patience = 0.0 if is_busy(error) else None  # the writer has waited
        try:
            self._read_by(Reader(self.file, may_write=not forbidden, patience=patience))
        except FAILURES as error:
            raise JournalUnavailable(
                f"The journal in {self.path} cannot be opened ({why}). Nothing was changed. Give "
                "a folder that can be written: Simulation(path=...), control.begin(path=...)."
            ) from error
        if forbidden and self.read_only is None:
            self.read_only = why
            logger.info("The journal in %s can only be read: %s", self.path, why)

    def _read_by(self, reader: Reader) -> None:
        with self._swap:
            old, self.reader = self.reader, reader
        if old is not None:
            old.close()

    # -- in the writer's thread --------------------------------------------------------

    def opened(self) -> Database:
        """The database, opened again if its file was removed or replaced."""
        reader, now = self.reader, identity(self.file)
        if self._database is not None and reader is not None and reader.identity == now:
            return self._database
        self.release()
        if reader is not None and now is None:
            logger.warning(
                "The journal in %s was removed while it was in use. A new one was created; the "
                "events that it held are gone from this folder.",
                self.path,
            )
        return self._open()

    def release(self) -> None:
        """Close the connection that writes, and with it any transaction left open."""
        if self._database is not None:
            self._database.close()
        self._database = None

    def recovered(self, error: BaseException) -> bool:
        """After a failure: whether the file is another one now, so that trying again may help."""
        reader = self.reader
        if is_damage(error):
            self._replace(reader.identity if reader is not None else identity(self.file), error)
            return True
        self.release()
        return reader is not None and reader.identity != identity(self.file)

    def _open(self) -> Database:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = identity(self.file)
        try:
            self._database = database = Database(self.path)
        except FAILURES as error:
            if not is_damage(error):
                raise
            return self._replace(before, error)
        self._read_by(Reader(self.file, may_write=True))
        return database

    def _found_damaged(self, reader: Reader, error: BaseException) -> None:
        if reader is self.reader:  # else another thread has replaced it
            self._replace(reader.identity, error)

    def _replace(self, damaged: tuple[int, int] | None, error: BaseException) -> Database:
        """Rename the damaged file and create a new one with the rows that can be read."""
        self.release()
        renamed = rename_damaged(self.file, damaged)
        self._database = database = Database(self.path)
        if renamed is not None:
            readable = salvage(renamed)
            with database.transact():
                for key, row in readable:
                    database.add_row(key, row)
            logger.warning(
                "The journal's file %s is damaged (%s). It was not deleted but renamed to %s, and "
                "a new file was created with the %d rows that could still be read. Missing events "
                "are new when they are called again.",
                self.file,
                reason(error),
                renamed.name,
                len(readable),
            )
        self._read_by(Reader(self.file, may_write=True))
        return database


# -- a damaged database ------------------------------------------------------------------------

_ROWS = (
    "SELECT rowid, CAST(key AS BLOB), "
    "mode = 17 AND filename IS NULL AND typeof(value) = 'text', CAST(value AS BLOB) "
    "FROM Cache WHERE rowid {} ? AND raw = 1 ORDER BY rowid {} LIMIT 1"
)


def rename_damaged(file: Path, damaged: tuple[int, int] | None) -> Path | None:
    """Give a damaged database another name; None when another process did so first.

    Parameters
    ----------
    file : Path
        The database.
    damaged : tuple
        The `identity` of the damaged file: a file created since then stays.
    """
    with _locked(file.parent):
        if damaged is None or identity(file) != damaged:
            return None
        names = (file.with_name(f"{file.name}.damaged-{number}") for number in itertools.count(1))
        renamed = next(name for name in names if not name.exists())
        # The remains of an unfinished commit go along: SQLite would apply them to the new file.
        for suffix in ("-journal", "-wal", "-shm"):
            remains = file.with_name(file.name + suffix)
            if remains.exists():
                remains.rename(renamed.with_name(renamed.name + suffix))
        file.rename(renamed)
        return renamed


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Within: no other process renames a database in this folder. Ends with the process."""
    import fcntl  # does not exist on every system, and is rarely needed

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def salvage(file: Path) -> list[tuple[str, Sealed]]:
    """The rows of a damaged database that can be read and match their digest."""
    try:
        connection = sqlite3.connect(file.as_uri() + "?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error:
        return []
    try:
        found = dict(_rows(connection, ">", "ASC"))
        # Rows behind the first damaged page are reached from the other end.
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
        place, key, ours, value = rows[0]
        try:
            unseal(ours, value)
            name = key.decode()
        except (DamagedRecord, ValueError, AttributeError):
            continue
        if known is not None and name in known:
            return
        yield name, Sealed(value.decode())
