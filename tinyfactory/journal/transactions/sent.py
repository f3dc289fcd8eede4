"""An event on its way to the disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tinyfactory.errors import Cancelled
from tinyfactory.journal.records import Record
from tinyfactory.utils.concurrency import result_of

if TYPE_CHECKING:
    from concurrent.futures import Future

# Seconds that a call which was interrupted waits for the disk; a commit takes some milliseconds.
_GRACE = 0.25
Stopped = Callable[[], bool] | None


class Sent:
    """A record that is handed to the writer thread, with the other rows of its commit.

    Parameters
    ----------
    store : Store or RecordedStore
    record : dict
        The record of the call.
    items : list of tuple
        The rows to store, of which the record is the first.
    """

    def __init__(self, store: Any, record: Record, items: list[tuple[str, Any]]) -> None:
        self.record = record
        self._store = store
        self._items = items
        self._future: Future[list[Record]] = store.submit(items)

    def wait(self, name: str, stopped: Stopped) -> Record:
        """Wait for the record that is stored under the key: this one, or one that was first.

        Ctrl-C ends the waiting at once when another process locks the journal. The call is rolled
        back then; its event is stored when it can be, and the same call is replayed until then.

        Parameters
        ----------
        name : str
            The method, for the message.
        stopped : callable, optional
            Whether to stop waiting for the disk.

        Raises
        ------
        Cancelled
            If it was stopped.
        """
        try:
            stored = result_of(self._future, _GRACE, stopped)
        except KeyboardInterrupt:
            self._store.leave(self._items, self._future)
            raise
        if stored is None:
            self._store.leave(self._items, self._future)
            raise Cancelled(
                f"{name} was cancelled while the journal could not be written. "
                "Its event is saved as soon as that is possible. Run it again to continue."
            )
        return stored[0]

    def leave(self, stopped: Stopped) -> None:
        """Roll the call back: the same call made at once finds its event."""
        self._store.leave(self._items, self._future)
        with suppress(Exception):  # the original error is raised anyway
            result_of(self._future, _GRACE, stopped)
