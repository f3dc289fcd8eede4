"""The folder of a journal: opened, created again when removed, its file replaced when damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tinyfactory.errors import DamagedRecord, JournalUnavailable, NotAJournal
from tinyfactory.journal.storage.database import (
    FAILURES,
    NAME,
    Check,
    Database,
    Reader,
    is_busy,
    is_damage,
    is_emptied,
    is_failed_read,
    is_forbidden,
    is_well,
    reason,
)
from tinyfactory.journal.storage.format import (
    Identity,
    check_folder,
    examining,
    hold,
    identity,
    make_folder,
)
from tinyfactory.journal.storage.repair import replace_damaged
from tinyfactory.utils.concurrency import new_lock
from tinyfactory.utils.logs import get_logger

logger = get_logger("tinyfactory")
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

    def _open(self, *, repair: bool = True) -> Database:
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
            if not repair or not is_damage(error):
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
        """Whether a new connection finds no damage; the second time all of the file is read."""
        well = is_well(self.file, thorough=file == self._found_well)
        if well:
            self._found_well = file
        return well

    def _replace(self, damaged: Identity | None, error: BaseException) -> Database:
        """Set the damaged file aside, and put one with its readable rows in its place."""
        done = replace_damaged(self.file, damaged)
        database = self._open(repair=False)
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
