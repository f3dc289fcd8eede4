"""JSON on disk: the only room that knows diskcache.

Each setting below answers a fault that was measured on diskcache 5.6.3:

* its disk layer reads pickles, so ours refuses every row that is not our own text;
* its default evicts the oldest rows at 1 GiB, so nothing is ever culled;
* its value files are not synced, so values stay in the row;
* WAL has a known corruption bug before SQLite 3.51.3, so the journal mode is DELETE;
* Ctrl-C inside a write can leave a transaction open, so one thread alone writes.
"""

from __future__ import annotations

import atexit
import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import diskcache

from tinyfactory.errors import DamagedRecord, JournalUnavailable
from tinyfactory.journal.canonical import digest_text, to_text

# diskcache's own modes end at 4 (pickle); a row of any other mode than this is not ours.
OUR_MODE = 17
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
        """A value as it stands in the row: its digest, then its text."""
        text = to_text(value)
        row = digest_text(text) + text
        return len(row), OUR_MODE, None, row

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:  # noqa: ARG002 - diskcache's signature
        """A value out of its row, or `DamagedRecord`; nothing is read but our own text."""
        if mode != OUR_MODE or filename is not None or type(value) is not str:
            raise DamagedRecord("A row of the journal is of a kind never written; it was not read.")
        text = value[40:]
        if digest_text(text) != value[:40]:
            raise DamagedRecord("A value of the journal differs from what was stored.")
        return json.loads(text)

    def remove(self, file_path: str) -> None:
        """Never delete a file: no row of ours has one."""


class Store:
    """A folder of JSON values under text keys, written durably and never overwritten.

    Safe to share between threads and processes. Each `add` is on disk when it returns.

    Parameters
    ----------
    folder : path
        Made with mode 0700 when it is not there.

    Raises
    ------
    JournalUnavailable
        When the folder cannot be made or opened.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()
        self._lock = threading.Lock()
        self._open()
        _stores.add(self)

    def _open(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            cache = diskcache.Cache(str(self.folder), timeout=60, disk=JsonDisk, **SETTINGS)
        except (OSError, sqlite3.Error, diskcache.Timeout) as error:
            raise JournalUnavailable(
                f"The journal in {self.folder} cannot be opened ({error}). Nothing was changed. "
                "Give a folder that can be written: Simulation(path=...), control.begin(path=...)."
            ) from error
        wrong = [name for name, value in SETTINGS.items() if getattr(cache, name) != value]
        if wrong or Path(cache.directory) != self.folder:
            cache.close()
            raise JournalUnavailable(
                f"The journal in {self.folder} opened with other settings than asked for "
                f"({', '.join(wrong) or 'another folder'}). Nothing was written. "
                "Give another folder."
            )
        self._cache = cache
        self._pid = os.getpid()
        self._writer = _Writer()

    def _after_fork(self) -> None:
        """A thread does not survive a fork: a child needs a writer and a connection of its own."""
        with self._lock:
            if self._pid != os.getpid():
                self._open()

    def get(self, key: str) -> Any | None:
        """The value under a key, or None.

        Raises
        ------
        DamagedRecord
            When what stands there is not what was stored.
        """
        if self._pid != os.getpid():
            self._after_fork()
        return self._cache.get(key, retry=False)

    def add(self, key: str, value: Any) -> Any:
        """Store a value unless one is there; return the one that is there afterwards.

        Two kernels that add under the same key both get the first's value.
        A damaged value is replaced.
        """
        return self.add_all([(key, value)])[0]

    def add_all(self, items: list[tuple[str, Any]]) -> list[Any]:
        """Store several values in one commit, each as `add` does; return those that stand."""
        if self._pid != os.getpid():
            self._after_fork()
        standing: list[Any] = self._writer.do(lambda: self._add_all(items))
        return standing

    def _add_all(self, items: list[tuple[str, Any]]) -> list[Any]:
        try:
            with self._cache.transact():
                return [self._add_one(key, value) for key, value in items]
        except (OSError, sqlite3.Error, diskcache.Timeout) as error:
            raise JournalUnavailable(
                f"The journal in {self.folder} cannot be written ({error}). What it held is "
                "unharmed; this step was undone. Make room or give another folder, run again."
            ) from error

    def _add_one(self, key: str, value: Any) -> Any:
        if not self._cache.add(key, value):
            try:
                return self._cache.get(key)
            except DamagedRecord:
                self._cache.set(key, value)
        return value

    def __iter__(self) -> Iterator[str]:
        """All keys, oldest first."""
        yield from self._cache

    def __len__(self) -> int:
        return len(self._cache)

    def close(self) -> None:
        """Finish what is queued and close the database."""
        if self._pid == os.getpid():
            self._writer.stop()
            self._cache.close()


class _Writer:
    """One thread that runs what it is given, in order."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="tinyfactory-journal", daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], Any]) -> Any:
        future: Future[Any] = Future()
        self._queue.put((work, future))
        return future.result()

    def stop(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            work, future = item
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - raised to the one who waits
                future.set_exception(error)


_stores: weakref.WeakSet[Store] = weakref.WeakSet()


@atexit.register
def _flush() -> None:
    """Let the writers finish before the interpreter goes."""
    for store in list(_stores):
        store.close()
