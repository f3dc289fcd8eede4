"""The database of a journal's folder: opened, created again when removed, replaced when damaged.

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

import itertools
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import diskcache

from tinyfactory.errors import DamagedRecord, JournalUnavailable, NotAJournal
from tinyfactory.journal.serializer import Sealed, seal, seal_under, unseal
from tinyfactory.journal.storage.format import (
    APPLICATION,
    FORMAT,
    RELEASE,
    THIS_RELEASE,
    UNLIMITED,
    Identity,
    check_folder,
    examining,
    hold,
    identity,
    make_folder,
)
from tinyfactory.journal.storage.rescue import Row, rescued
from tinyfactory.utils.concurrency import check_interrupt, new_lock, open_after_fork
from tinyfactory.utils.files import sync_folder
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
# valid text; the key; and its seal under the key.
READ = (
    "SELECT mode = 17 AND filename IS NULL AND typeof(value) = 'text', CAST(value AS BLOB), "
    "key, tag FROM Cache WHERE key = ? AND raw = 1"
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
        wait_until_unlocked(folder / NAME)
        settings = SETTINGS | {RELEASE: THIS_RELEASE}
        try:
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
                return checked(found[0], self._check)
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


def checked(found: tuple[Any, ...], check: Check | None) -> Any:
    """The value of a row that `READ` found.

    Raises
    ------
    DamagedRecord
        When it is not the stored one, or `check` refuses it.
    """
    ours, text, key, key_seal = found
    value = unseal(ours, text, key, key_seal)
    if check is not None:
        check(key, value, key_seal is not None)
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


# -- the folder --------------------------------------------------------------------------------

# A look-up starts again when another thread closes or replaces its connection.
_ATTEMPTS = 20
# How often one look-up opens the file again after a failure.
_REPAIRS = 3


class Folder:
    """A folder with a database: one connection that reads, and one that writes.

    Parameters
    ----------
    path : Path
        Created with mode 0700 when it does not exist.
    in_writer : callable
        Runs a function in the one thread that writes, and returns its result.
    check : callable, optional
        Refuses values that are no records.

    Attributes
    ----------
    read_only : str or None
        The reason why the folder must not be written.

    Raises
    ------
    JournalUnavailable
        When it can be neither written nor read.
    """

    def __init__(
        self,
        path: Path,
        in_writer: Callable[[Callable[[], Any]], Any],
        check: Check | None = None,
    ) -> None:
        self.path = path
        self._check = check
        self.file = path / NAME
        self._file_name = str(self.file)
        self.read_only: str | None = None
        self._in_writer = in_writer
        self._database: Database | None = None
        self.reader: Reader | None = None
        self._swap = new_lock()
        # The database that is open now, and one that was found well after a read of it failed.
        self._held: Identity | None = None
        self._known = False
        self._found_well: Identity | None = None
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
        repairs = 0
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
            repairs += 1
            if repairs > _REPAIRS or not self._repair(reader, why):
                break
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
        self._held = hold(self._held, None)

    def _open_or_only_read(self, opening: Callable[[], Any]) -> None:
        """Open for writing; if that fails, for reading only."""
        try:
            if self.read_only is None:
                self._in_writer(opening)
                return
            forbidden, why, patience = True, self.read_only, None
        except _Replaced as error:
            raise NotAJournal(str(error)) from error
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

    def _repair(self, reader: Reader, error: BaseException) -> bool:
        """After a query failed: whether to try it again."""
        if not (is_damage(error) or is_failed_read(error) or is_emptied(error)):
            return False
        try:
            if self.read_only is not None:
                self._read_by(Reader(self.file, may_write=False))
                return True
            self._in_writer(partial(self._repair_reader, reader, error))
        except FAILURES as again:
            logger.info("The journal in %s cannot be opened again: %s", self.path, reason(again))
            return False
        return True

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
        if reader is not None and is_missing(self.file):
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
        """After a failed commit: whether trying again may help."""
        reader = self.reader
        if is_damage(error) or is_emptied(error):
            self._repair_file(error)
            return True
        self.release()
        return is_failed_read(error) or (
            reader is not None and reader.identity != identity(self.file)
        )

    def _open(self) -> Database:
        with examining:
            try:
                check_folder(self.path, self.file, known=self._known)
            except NotAJournal as error:
                if not self._known:
                    raise
                raise _Replaced(str(error)) from error  # what is new waits in memory
            make_folder(self.path, self.file)
            now = identity(self.file)
            if now is None:
                self.file.touch(0o644)
                now = identity(self.file)
            self._held = hold(self._held, now)
        self._known = True
        try:
            return self._connect()
        except FAILURES as error:
            if not is_damage(error):
                raise
            return self._repair_file(error)

    def _connect(self) -> Database:
        self.release()
        self._database = database = Database(self.path, self._check)
        self._read_by(Reader(self.file, may_write=True))
        return database

    def _repair_reader(self, reader: Reader, error: BaseException) -> None:
        if reader is self.reader:  # else another thread has repaired it
            self._repair_file(error)

    def _repair_file(self, error: BaseException) -> Database:
        """Open the file again; replace it only when it is damaged also then."""
        self.release()
        before = identity(self.file)
        if is_emptied(error):
            logger.warning(
                "The journal in %s was emptied while it was in use. Its tables were created again; "
                "the events that it held are gone from this folder.",
                self.path,
            )
            return self._open()
        if is_damage(error) and not self._is_well(before):
            return self._replace(before, error)
        database = self._connect()
        logger.warning(
            "A read of the journal's file %s failed (%s). It was read again, and it is well: "
            "nothing was set aside. Check the disk if this comes again.",
            self.file,
            reason(error),
        )
        return database

    def _is_well(self, file: Identity | None) -> bool:
        """Whether a new connection finds no damage; the second time for a file, all of it is read.

        Raises
        ------
        sqlite3.Error
            When it cannot be read at present, which says nothing about damage.
        """
        check = "integrity_check" if file == self._found_well else "quick_check"
        uri = self.file.as_uri() + "?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
        try:
            well = connection.execute(f"PRAGMA {check}(1)").fetchall() == [("ok",)]
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            well = False
        finally:
            connection.close()
        if well:
            self._found_well = file
        return well

    def _replace(self, damaged: Identity | None, error: BaseException) -> Database:
        """Set the damaged file aside, and put one with its readable rows in its place."""
        done = replace_damaged(self.file, damaged)
        database = self._open()
        if done is not None:
            aside, rows, events = done
            logger.warning(
                "The journal's file %s is damaged (%s). It was not deleted but renamed to %s, and "
                "a new file was created with the %d rows that could still be read (%d events). "
                "Missing events are new when they are called again.",
                self.file,
                reason(error),
                aside.name,
                rows,
                events,
            )
        return database


def is_missing(file: Path) -> bool:
    """Whether there is no file, or one without contents."""
    try:
        return file.stat().st_size == 0
    except OSError:
        return True


class _Replaced(OSError):
    """A file of another program is now where the journal was."""


# -- a damaged database ------------------------------------------------------------------------


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
