"""One thread that writes what it is given, in order; and what waits until it can be written.

One thread, because Ctrl-C reaches only the main thread: inside a write it could leave a
transaction open. What several callers wait for at one time goes into one commit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

from tinyfactory.journal.storage.database import Sealed, unseal_text
from tinyfactory.utils.concurrency import deferred_interrupts, new_lock

Batch = list[tuple[str, Sealed]]
# What stands under each key of a batch after it: None where it is what was given.
Standing = list[Any]
Work = tuple[Batch | Callable[[], Any], "Future[Any]"]
# Callers whose work goes into one commit; a bound, so that none waits for too many others.
TOGETHER = 100


class Writer:
    """Hands work to one thread, which is started when it is needed and again after `stop`.

    Parameters
    ----------
    commit : callable
        Given several batches, stores them; for each it gives what stands.
    """

    def __init__(self, commit: Callable[[list[Batch]], list[Standing]]) -> None:
        self._commit = commit
        # Held during a commit; a fork waits for it, so that no child inherits half of one.
        self.lock = threading.RLock()
        self._state = new_lock()
        self._queue: SimpleQueue[Work | None] | None = None
        self._thread: threading.Thread | None = None

    def store(self, batch: Batch) -> Standing:
        """Store a batch; what stands is on disk, or waits for it, when this returns."""
        standing: Standing = self.call(batch)
        return standing

    def call(self, work: Batch | Callable[[], Any]) -> Any:
        """Have something done by the thread, after what was given before, and wait for it."""
        return self.submit(work).result()

    def submit(self, work: Batch | Callable[[], Any]) -> Future[Any]:
        """Have something done by the thread, after what was given before, without waiting."""
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

    def _start(self) -> None:
        queue: SimpleQueue[Work | None] = SimpleQueue()
        thread = threading.Thread(
            target=self._run, args=(queue,), name="tinyfactory-journal", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            return  # the interpreter is going: no new threads, so the caller's own does it
        self._queue, self._thread = queue, thread

    def stop(self, last: Callable[[], Any] | None = None) -> None:
        """Finish what was given, do one last thing, and end the thread, if it runs."""
        with deferred_interrupts(), self._state:
            queue, thread = self._queue, self._thread
            self._queue = self._thread = None
            if queue is not None:
                if last is not None:
                    queue.put((last, Future()))
                queue.put(None)
        if thread is not None:
            thread.join()

    def _run(self, queue: SimpleQueue[Work | None]) -> None:
        while (first := queue.get()) is not None:
            works, stopping = [first], False
            while len(works) < TOGETHER and not stopping:
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
                with self.lock:
                    _settle(future, work)
            else:
                batches.append((work, future))
        self._do_batches(batches)

    def _do_batches(self, batches: list[tuple[Batch, Future[Any]]]) -> None:
        if not batches:
            return
        try:
            with self.lock:
                standing = self._commit([batch for batch, _ in batches])
        except BaseException as error:  # noqa: BLE001 - raised to those who wait
            for _, future in batches:
                future.set_exception(error)
        else:
            for (_, future), stands in zip(batches, standing, strict=True):
                future.set_result(stands)


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - raised to the one who waits
        future.set_exception(error)


class Waiting:
    """What could not be written yet, in order; found by look-ups all the same."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.rows: dict[str, Sealed] = {}
        # Two simulations on one folder share what waits, and each has a writer.
        self.lock = new_lock()

    def add(self, batch: Batch) -> Standing:
        """Have a batch wait; of two values under one key the first counts, and stands."""
        waits = [(key, self.rows.setdefault(key, row)) for key, row in batch]
        if waits:
            self.batches.append(waits)
        return [
            None if stands == row else unseal_text(stands)
            for (_, row), (_, stands) in zip(batch, waits, strict=True)
        ]

    def saved(self, number: int) -> None:
        """So many batches, from the first, are on disk now."""
        done, self.batches = self.batches[:number], self.batches[number:]
        still = {key for batch in self.batches for key, _ in batch}
        for key, _ in (row for batch in done for row in batch):
            if key not in still:
                self.rows.pop(key, None)

    def __len__(self) -> int:
        """How many events and replies wait."""
        return sum(key.startswith(("event:", "reply:")) for key in self.rows)
