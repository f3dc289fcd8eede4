"""The store of a journal: JSON values on disk, under text keys.

Only one thread writes, because Ctrl-C reaches only the main thread: inside a write it could
leave a transaction open. Batches that wait at the same time go into one commit. Values that the
disk refuses wait in memory, so that nobody loses a reply that was paid for.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from tinyfactory.errors import JournalUnavailable
from tinyfactory.journal.storage.database import (
    FAILURES,
    KEYS,
    READ,
    Check,
    checked,
    is_busy,
    reason,
)
from tinyfactory.journal.storage.folder import Folder
from tinyfactory.journal.values.stored_text import Sealed, seal, unseal_text
from tinyfactory.utils.concurrency import deferred_interrupts, new_lock, result_of
from tinyfactory.utils.files import expanded
from tinyfactory.utils.logs import get_logger

Items = list[tuple[str, Any]]
Batch = list[tuple[str, Sealed]]
# For each key of a batch the value that it has after the commit: None for the given one.
Present = list[Any]
Work = tuple[Batch | Callable[[], Any], "Future[Any]"]
# At most so many batches go into one commit, so that none waits for too many others.
MAX_TOGETHER = 100
logger = get_logger("tinyfactory")


class StoreBase(ABC):
    """The methods that add values, all based on `submit`."""

    @abstractmethod
    def submit(self, items: Items) -> Future[list[Any]]:
        """Add several values in one commit, each unless its key has one, without waiting.

        Returns
        -------
        Future
            Of the present value of each key. Two kernels that add under the same key both get
            the first one's value. A damaged value is renamed and replaced.
        """

    def leave(self, items: Items, future: Future[Any]) -> None:  # noqa: B027 - a store may be in memory
        """Have look-ups find values whose commit is waited for no more, until it has ended."""

    def add_all(self, items: Items) -> list[Any]:
        """Add several values and wait; the present value of each key."""
        return self.submit(items).result()

    def add(self, key: str, value: Any) -> Any:
        """Add a value unless the key has one; the present value."""
        return self.add_all([(key, value)])[0]


def mapped(future: Future[Any], function: Callable[[Any], Any]) -> Future[Any]:
    """A future of a function of another future's result; the thread that sets it calls it."""
    result: Future[Any] = Future()
    result.set_running_or_notify_cancel()  # a task that is cancelled while it waits cancels it

    def settle(done: Future[Any]) -> None:
        try:
            result.set_result(function(done.result()))
        except BaseException as error:  # noqa: BLE001 - raised to those who wait
            result.set_exception(error)

    future.add_done_callback(settle)
    return result


class Store(StoreBase):
    """A folder of JSON values under text keys, written durably and never overwritten.

    Threads and processes may share it. A value is on disk when `add` returns, unless the disk
    cannot be written at present: then it waits in memory, is found there, and is saved with the
    next commit that succeeds.

    Parameters
    ----------
    folder : path
        Created with mode 0700 when it does not exist. ``~`` is the home folder.
    check : callable, optional
        Called with each key and value that is read, and whether the key is part of the value's
        digest. It raises DamagedRecord for what is no record.

    Raises
    ------
    JournalUnavailable
        When the folder can be neither written nor read, belongs to another program, or has a
        newer format.

    Examples
    --------
    >>> import tempfile
    >>> store = Store(tempfile.mkdtemp())
    >>> store.add("key", {"a": 1}), store.add("key", "too late"), store.get("key")
    ({'a': 1}, {'a': 1}, {'a': 1})
    >>> store.close()
    """

    def __init__(self, folder: str | Path, check: Check | None = None) -> None:
        self.folder = expanded(folder).absolute()
        self._check = check
        self._waiting = _waiting.setdefault(self.folder, Waiting())
        self._left: dict[str, Sealed] = {}
        self._start()
        _stores[id(self)] = self

    def _start(self) -> None:
        """Connections and a thread of this process's own."""
        self._pid = os.getpid()
        self._writer = Writer(self._commit)
        try:
            self._files = Folder(self.folder, self._writer.call, self._check)
        except BaseException:
            self._writer.stop(wait=False)  # it may wait for another process
            raise

    def _own_files(self) -> Folder:
        """The folder, with connections and a writer of this process: none survives a fork."""
        if self._pid != os.getpid():
            with _forking:
                if self._pid != os.getpid():
                    # Those of the parent must not be closed, so they are kept alive.
                    _inherited.append((self._files, self._writer))
                    self._start()
        return self._files

    # -- reading -----------------------------------------------------------------------

    def get(self, key: str) -> Any | None:
        """The value under a key, or None.

        Raises
        ------
        DamagedRecord
            When the value is not the stored one.
        JournalUnavailable
            When it cannot be read.
        """
        waiting = self._waiting.rows.get(key) or self._left.get(key)
        if waiting is not None:
            return unseal_text(waiting)
        rows = self._own_files().query(READ, key)
        return checked(key, rows[0], self._check) if rows else None

    def __iter__(self) -> Iterator[str]:
        """All keys, oldest first."""
        last = 0
        while rows := self._own_files().query(KEYS, last):
            last = rows[-1][0]
            yield from (key.decode(errors="replace") for _, key in rows)
        yield from list(self._waiting.rows)

    def __len__(self) -> int:
        rows = self._own_files().query("SELECT COUNT(*) FROM Cache")
        return int(rows[0][0]) + len(self._waiting.rows)

    # -- writing -----------------------------------------------------------------------

    def submit(self, items: Items) -> Future[list[Any]]:
        """Add values to the disk, or keep them in memory while it cannot be written."""
        batch = [(key, seal(value)) for key, value in items]
        if self._own_files().read_only is not None:
            there: list[Any] = [self.get(key) for key, _ in items]
            if None in there:
                self.check_writable()
            present: Future[list[Any]] = Future()
            present.set_result(there)
            return present
        values = [value for _, value in items]
        return mapped(
            self._writer.submit(batch),
            lambda stored: [v if p is None else p for v, p in zip(values, stored, strict=True)],
        )

    def leave(self, items: Items, future: Future[Any]) -> None:
        """Have look-ups find values whose commit is waited for no more, until it has ended."""
        for key, value in items:
            self._left.setdefault(key, seal(value))

        def forget(_: Future[Any]) -> None:
            for key, _value in items:
                self._left.pop(key, None)

        future.add_done_callback(forget)

    def remove_all(self, keys: list[str]) -> None:
        """Remove rows for good, all in one commit; only `journal prune` does so.

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

    def check_writable(self) -> None:
        """Raise before a new call whose event could not be saved.

        Raises
        ------
        JournalUnavailable
            When the folder is read-only.
        """
        why = self._own_files().read_only
        if why is not None:
            raise JournalUnavailable(
                f"The journal in {self.folder} can only be read ({why}), and this call is not in "
                "it. Nothing was run or paid for. Give a folder that can be written: "
                "Simulation(path=...), control.begin(path=...)."
            )

    @property
    def unsaved(self) -> int:
        """The number of events and replies in memory because the disk cannot be written."""
        left = sum(key.startswith("event:") for key in list(self._left))
        return len(self._waiting) + left

    def flush(self) -> int:
        """Try to save the values in memory; the number of events and replies that still wait."""
        if self._waiting.batches and self._own_files().read_only is None:
            self._writer.store([])
        return self.unsaved

    def close(self) -> None:
        """Finish all writes and close the connections; a later use opens them again."""
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
        self._writer.stop(self._files.release)
        self._files.close()

    # -- in the writer's thread --------------------------------------------------------

    def _commit(self, new: list[Batch]) -> list[Present]:
        """Store the waiting batches and the new ones; those that cannot be written wait."""
        with self._waiting.lock:
            old = list(self._waiting.batches)
            failure: BaseException | None = None
            present: list[Present | None]
            try:
                saved, present = len(old), [*self._transaction(old + new)[len(old) :]]
            except FAILURES as error:
                failure = error
                saved, present = self._one_by_one(old, new, error)
            self._waiting.saved(saved)
            if old and not self._waiting.batches:
                logger.warning("The journal in %s can be written again; all is saved.", self.folder)
            return [
                self._wait(batch, failure) if values is None else values
                for batch, values in zip(new, present, strict=True)
            ]

    def _one_by_one(
        self, old: list[Batch], new: list[Batch], error: BaseException
    ) -> tuple[int, list[Present | None]]:
        """Store each batch alone, so that one that fails takes no other along.

        Returns
        -------
        tuple of int and list
            How many of the old batches are saved; for each new one the present values, or None.
        """
        if len(old) + len(new) == 1 or is_busy(error):
            return 0, [None for _ in new]
        for number, batch in enumerate(old):
            if self._alone(batch) is None:  # the order is kept, so later batches wait, too
                return number, [None for _ in new]
        return len(old), [self._alone(batch) for batch in new]

    def _alone(self, batch: Batch) -> Present | None:
        try:
            return self._transaction([batch])[0]
        except FAILURES:
            return None

    def _transaction(self, batches: list[Batch]) -> list[Present]:
        """Store all batches or none; a second time when the file had to be replaced."""
        try:
            return self._try(batches)
        except FAILURES as error:
            if not self._files.recovered(error):
                raise
        return self._try(batches)

    def _try(self, batches: list[Batch]) -> list[Present]:
        database = self._files.opened()
        with database.transact():
            return [[database.add_row(key, row) for key, row in batch] for batch in batches]

    def _wait(self, batch: Batch, failure: BaseException | None) -> Present:
        if batch and failure is not None and not self._waiting.batches:
            logger.warning(
                "The journal in %s cannot be written (%s). Results are still returned, and their "
                "events wait in memory (simulation.unsaved says how many); they are saved with "
                "the next event that can be written. Make room and go on, or call "
                "control.checkpoint().",
                self.folder,
                reason(failure),
            )
        return self._waiting.add(batch)

    def _remove(self, keys: list[str]) -> None:
        try:
            database = self._files.opened()
            with database.transact():
                for key in keys:
                    database.delete(key)
        except FAILURES:
            self._files.release()  # and with it a transaction that could not be ended
            raise


class Writer:
    """Runs work in one thread, which is started on demand, also again after `stop`.

    Parameters
    ----------
    commit : callable
        Stores several batches and returns the present values of each.
    """

    def __init__(self, commit: Callable[[list[Batch]], list[Present]]) -> None:
        self._commit = commit
        # Held during a commit; a fork waits for it, so that no child inherits half a commit.
        self.lock = threading.RLock()
        self._state = new_lock()
        self._queue: SimpleQueue[Work | None] | None = None
        self._thread: threading.Thread | None = None

    def store(self, batch: Batch) -> Present:
        """Store a batch; it is on disk, or waits for the disk, when this returns."""
        present: Present = self.call(batch)
        return present

    def call(self, work: Batch | Callable[[], Any]) -> Any:
        """Run work in the thread, after all earlier work, and wait for its result.

        Ctrl-C stops the waiting also where it is deferred; the work is done all the same.
        """
        return result_of(self.submit(work))

    def submit(self, work: Batch | Callable[[], Any]) -> Future[Any]:
        """Run work in the thread, after all earlier work, without waiting."""
        future: Future[Any] = Future()
        with deferred_interrupts(), self._state:
            if self._queue is None:
                self._start()
            queue = self._queue
            if queue is not None:
                queue.put((work, future))
        if queue is None:
            self._do([(work, future)])
        return future

    def stop(self, last: Callable[[], Any] | None = None, *, wait: bool = True) -> None:
        """Finish all work, then `last`, and end the thread, if it runs."""
        with deferred_interrupts(), self._state:
            queue, thread = self._queue, self._thread
            self._queue = self._thread = None
            if queue is not None:
                if last is not None:
                    queue.put((last, Future()))
                queue.put(None)
        if thread is not None and wait:
            thread.join()

    def _start(self) -> None:
        queue: SimpleQueue[Work | None] = SimpleQueue()
        thread = threading.Thread(
            target=self._run, args=(queue,), name="tinyfactory-journal", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            return  # the interpreter ends and starts no threads: the caller's own does the work
        self._queue, self._thread = queue, thread

    def _run(self, queue: SimpleQueue[Work | None]) -> None:
        while (first := queue.get()) is not None:
            works, stopping = [first], False
            while len(works) < MAX_TOGETHER and not stopping:
                try:
                    work = queue.get_nowait()
                except Empty:
                    break
                if work is None:
                    stopping = True
                else:
                    works.append(work)
            self._do(works)
            if stopping:
                return

    def _do(self, works: list[Work]) -> None:
        batches: list[tuple[Batch, Future[Any]]] = []
        for work, future in works:
            if callable(work):
                self._do_batches(batches)
                batches = []
                self._do_call(work, future)
            else:
                batches.append((work, future))
        self._do_batches(batches)

    def _do_call(self, work: Callable[[], Any], future: Future[Any]) -> None:
        try:
            with self.lock:
                result = work()
        except BaseException as error:  # noqa: BLE001 - raised to the caller
            future.set_exception(error)
        else:
            future.set_result(result)

    def _do_batches(self, batches: list[tuple[Batch, Future[Any]]]) -> None:
        if not batches:
            return
        try:
            with self.lock:
                present = self._commit([batch for batch, _ in batches])
        except BaseException as error:  # noqa: BLE001 - raised to the callers
            for _, future in batches:
                future.set_exception(error)
        else:
            for (_, future), values in zip(batches, present, strict=True):
                future.set_result(values)


class Waiting:
    """Batches that could not be written yet, in order. Look-ups find their rows."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.rows: dict[str, Sealed] = {}
        # Two simulations in one folder share the waiting batches, and each has a writer.
        self.lock = new_lock()

    def add(self, batch: Batch) -> Present:
        """Add a batch; of two values under one key the first is kept, as on disk."""
        waits = [(key, self.rows.setdefault(key, row)) for key, row in batch]
        if waits:
            self.batches.append(waits)
        return [
            None if kept == row else unseal_text(kept)
            for (_, row), (_, kept) in zip(batch, waits, strict=True)
        ]

    def saved(self, number: int) -> None:
        """The first `number` batches are on disk now."""
        done, self.batches = self.batches[:number], self.batches[number:]
        still = {key for batch in self.batches for key, _ in batch}
        for key, _ in (row for batch in done for row in batch):
            if key not in still:
                self.rows.pop(key, None)

    def __len__(self) -> int:
        """The number of events and replies that wait."""
        return sum(key.startswith(("event:", "reply:")) for key in self.rows)


# -- all stores of this process ----------------------------------------------------------------

# By folder, so that a simulation that begins again finds the waiting batches.
_waiting: dict[Path, Waiting] = {}
_stores: weakref.WeakValueDictionary[int, Store] = weakref.WeakValueDictionary()
_inherited: list[Any] = []
_forking = new_lock()
_held: list[Any] = []


def _all() -> list[Store]:
    return [store for reference in _stores.valuerefs() if (store := reference()) is not None]


@atexit.register
def _flush() -> None:
    """Let the writers finish before the interpreter ends."""
    for store in _all():
        store.close()


def _before_fork() -> None:
    """Wait for commits and queries: no child may inherit half of one."""
    for store in _all():
        locks = [store._writer.lock, getattr(store._files.reader, "lock", None)]  # noqa: SLF001
        for lock in locks:
            if lock is not None:
                lock.acquire()
                _held.append(lock)


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_held.clear
    )
