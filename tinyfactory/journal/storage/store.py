"""Where the journal's values lie: JSON on disk, under text keys.

One thread alone writes (see `writer`), so that Ctrl-C can leave no transaction open. What the
disk refuses waits in memory, so that nobody loses what was paid for.
"""

from __future__ import annotations

import atexit
import logging
import os
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from tinyfactory.errors import JournalUnavailable
from tinyfactory.journal.storage.database import (
    FAILURES,
    KEYS,
    READ,
    is_busy,
    reason,
    seal,
    unseal,
    unseal_text,
)
from tinyfactory.journal.storage.folder import Folder
from tinyfactory.journal.storage.writer import Batch, Standing, Waiting, Writer
from tinyfactory.utils.concurrency import new_lock

Items = list[tuple[str, Any]]


class Adds(ABC):
    """The ways to add values, all by the one that takes several and does not wait."""

    @abstractmethod
    def submit(self, items: Items) -> Future[list[Any]]:
        """Store several values in one commit without waiting, each unless one is there.

        The result of the future are the values that are there afterwards. Two kernels that add
        under the same key both get the first's value. A damaged value is stored under another
        key, and replaced.
        """

    def add_all(self, items: Items) -> list[Any]:
        """Store several values as `submit` does, and wait for those that stand."""
        return self.submit(items).result()

    def add(self, key: str, value: Any) -> Any:
        """Store a value unless one is there; the one that is there afterwards."""
        return self.add_all([(key, value)])[0]


logger = logging.getLogger("tinyfactory")


class Store(Adds):
    """A folder of JSON values under text keys, written durably and never overwritten.

    Safe to share between threads and processes. Each `add` is on disk when it returns,
    unless the disk cannot be written at present: then it waits in memory, is found there,
    and is saved with the next that can.

    Parameters
    ----------
    folder : path
        Made with mode 0700 when it is not there. Taken literally, ``~`` and ``$`` included.

    Raises
    ------
    JournalUnavailable
        When the folder can be neither written nor read.

    Examples
    --------
    >>> import tempfile
    >>> store = Store(tempfile.mkdtemp())
    >>> store.add("key", {"a": 1}), store.add("key", "too late"), store.get("key")
    ({'a': 1}, {'a': 1}, {'a': 1})
    >>> store.close()
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()
        self._waiting = _waiting.setdefault(self.folder, Waiting())
        self._start()
        _stores[id(self)] = self

    def _start(self) -> None:
        """Connections and a thread of this process's own."""
        self._pid = os.getpid()
        self._writer = Writer(self._commit)
        try:
            self._place = Folder(self.folder, self._writer.call)
        except BaseException:
            self._writer.stop()
            raise

    def get(self, key: str) -> Any | None:
        """The value under a key, or None.

        Raises
        ------
        DamagedRecord
            When what stands there is not what was stored.
        JournalUnavailable
            When it cannot be read.
        """
        waiting = self._waiting.rows.get(key)
        if waiting is not None:
            return unseal_text(waiting)
        rows = self._here().query(READ, key)
        return unseal(*rows[0]) if rows else None

    def submit(self, items: Items) -> Future[list[Any]]:
        """Store values on disk without waiting; in memory where the disk cannot be written."""
        batch = [(key, seal(value)) for key, value in items]
        standing: Future[list[Any]] = Future()
        if self._here().read_only is not None:
            there: list[Any] = [self.get(key) for key, _ in items]
            if None in there:
                self.check_writable()
            standing.set_result(there)
            return standing

        def stored(result: Future[Any]) -> None:
            error = result.exception()
            if error is not None:
                standing.set_exception(error)
                return
            pairs = zip(items, result.result(), strict=True)
            standing.set_result([value if there is None else there for (_, value), there in pairs])

        self._writer.submit(batch).add_done_callback(stored)
        return standing

    def remove_all(self, keys: list[str]) -> None:
        """Remove rows for good, all in one commit; only ever asked for by a person.

        Raises
        ------
        JournalUnavailable
            When the folder cannot be written; nothing is removed then.
        """
        self.check_writable()
        try:
            self._writer.call(lambda: self._remove(keys))
        except FAILURES as error:
            raise JournalUnavailable(
                f"The journal in {self.folder} cannot be written ({reason(error)}). Nothing was "
                "removed."
            ) from error

    def _remove(self, keys: list[str]) -> None:
        try:
            database = self._place.opened()
            with database.transact():
                for key in keys:
                    database.delete(key)
        except FAILURES:
            self._place.let_go()  # and with it a transaction that could not be ended
            raise

    def check_writable(self) -> None:
        """To be called before something is done that is to be kept.

        Raises
        ------
        JournalUnavailable
            When the folder is for reading only.
        """
        why = self._here().read_only
        if why is not None:
            raise JournalUnavailable(
                f"The journal in {self.folder} can only be read ({why}), and this step is not in "
                "it. Nothing was run or paid for. Give a folder that can be written: "
                "Simulation(path=...), control.begin(path=...)."
            )

    @property
    def unsaved(self) -> int:
        """How many events and replies wait in memory because the disk cannot be written."""
        return len(self._waiting)

    def flush(self) -> int:
        """Try to save what waits; how many events and replies still do."""
        if self._waiting.batches and self._here().read_only is None:
            self._writer.store([])
        return self.unsaved

    def close(self) -> None:
        """Finish what is under way and close the connections; a later use opens them again."""
        if self._pid != os.getpid():
            return
        if self.flush():
            logger.warning(
                "%d events and replies are still not on disk, because the journal in %s cannot be "
                "written. They wait in memory as long as this process runs: make room, and call "
                "control.begin() and control.checkpoint() here.",
                self.unsaved,
                self.folder,
            )
        self._writer.stop(self._place.let_go)
        self._place.close()

    def __iter__(self) -> Iterator[str]:
        """All keys, oldest first."""
        last = 0
        while rows := self._here().query(KEYS, last):
            last = rows[-1][0]
            yield from (key.decode(errors="replace") for _, key in rows)
        yield from list(self._waiting.rows)

    def __len__(self) -> int:
        rows = self._here().query("SELECT COUNT(*) FROM Cache")
        return int(rows[0][0]) + len(self._waiting.rows)

    def _here(self) -> Folder:
        """The folder, by connections and a writer of this very process: none outlives a fork."""
        if self._pid != os.getpid():
            with _forking:
                if self._pid != os.getpid():
                    # Not closed, and kept: they are the parent's.
                    _inherited.append((self._place, self._writer))
                    self._start()
        return self._place

    # -- in the writer's thread --------------------------------------------------------

    def _commit(self, new: list[Batch]) -> list[Standing]:
        """Store what waits and what is new; what cannot be written waits, and is handed out."""
        with self._waiting.lock:
            old = list(self._waiting.batches)
            failure: BaseException | None = None
            standing: list[Standing | None]
            try:
                saved, standing = len(old), [*self._transaction(old + new)[len(old) :]]
            except FAILURES as error:
                failure = error
                saved, standing = self._one_by_one(old, new, error)
            self._waiting.saved(saved)
            if old and not self._waiting.batches:
                logger.warning("The journal in %s can be written again; all is saved.", self.folder)
            return [
                self._keep_waiting(batch, failure) if stands is None else stands
                for batch, stands in zip(new, standing, strict=True)
            ]

    def _one_by_one(
        self, old: list[Batch], new: list[Batch], error: BaseException
    ) -> tuple[int, list[Standing | None]]:
        """Each alone, so that one that fails takes no other along: how many of the old are
        saved now, and what stands for each of the new, or None.
        """
        if len(old) + len(new) == 1 or is_busy(error):
            return 0, [None for _ in new]
        for number, batch in enumerate(old):
            if self._alone(batch) is None:  # in order, so what comes after it waits, too
                return number, [None for _ in new]
        return len(old), [self._alone(batch) for batch in new]

    def _alone(self, batch: Batch) -> Standing | None:
        try:
            return self._transaction([batch])[0]
        except FAILURES:
            return None

    def _transaction(self, batches: list[Batch]) -> list[Standing]:
        """All of it or nothing; once more when the file had to be replaced."""
        try:
            return self._try(batches)
        except FAILURES as error:
            if not self._place.mended(error):
                raise
        return self._try(batches)

    def _try(self, batches: list[Batch]) -> list[Standing]:
        database = self._place.opened()
        with database.transact():
            return [[database.add_row(key, row) for key, row in batch] for batch in batches]

    def _keep_waiting(self, batch: Batch, failure: BaseException | None) -> Standing:
        if batch and failure is not None and not self._waiting.batches:
            logger.warning(
                "The journal in %s cannot be written (%s). What is done is handed out all the "
                "same and waits in memory (simulation.unsaved says how much); it is saved with "
                "the next step that can be. Make room and go on, or call control.checkpoint().",
                self.folder,
                reason(failure),
            )
        return self._waiting.add(batch)


# By folder, so that a simulation that begins anew finds what waits.
_waiting: dict[Path, Waiting] = {}
_stores: weakref.WeakValueDictionary[int, Store] = weakref.WeakValueDictionary()
_inherited: list[Any] = []
_forking = new_lock()


def _all() -> list[Store]:
    return [store for reference in _stores.valuerefs() if (store := reference()) is not None]


@atexit.register
def _flush() -> None:
    """Let the writers finish before the interpreter goes."""
    for store in _all():
        store.close()


def _before_fork() -> None:
    """No child shall inherit half a commit or half a query."""
    for store in _all():
        locks = [store._writer.lock, getattr(store._place.reader, "lock", None)]  # noqa: SLF001
        for lock in locks:
            if lock is not None:
                lock.acquire()
                _held.append(lock)


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().release()


_held: list[Any] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_held.clear
    )
