"""The one thread that writes a journal, and the rows that wait until the disk can be written.

One thread, because Ctrl-C reaches only the main thread: inside a write it could leave a
transaction open. Batches that wait at the same time go into one commit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

from tinyfactory.journal.serializer import Sealed, unseal_text
from tinyfactory.utils.concurrency import deferred_interrupts, new_lock

Batch = list[tuple[str, Sealed]]
# For each key of a batch the value that it has after the commit: None for the given one.
Present = list[Any]
Work = tuple[Batch | Callable[[], Any], "Future[Any]"]
# At most so many batches go into one commit, so that none waits for too many others.
MAX_TOGETHER = 100


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
        """Run work in the thread, after all earlier work, and wait for its result."""
        return self.submit(work).result()

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

    def stop(self, last: Callable[[], Any] | None = None) -> None:
        """Finish all work, then `last`, and end the thread, if it runs."""
        with deferred_interrupts(), self._state:
            queue, thread = self._queue, self._thread
            self._queue = self._thread = None
            if queue is not None:
                if last is not None:
                    queue.put((last, Future()))
                queue.put(None)
        if thread is not None:
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
