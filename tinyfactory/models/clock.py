"""The total time of one call, of which waiting for its turn is no part."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """The total limit of one call; it stands still while the call waits in our own queue.

    Parameters
    ----------
    limit : float
        Seconds.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._before = 0.0
        self._since: float | None = None
        self._timeout: asyncio.Timeout | None = None

    def start(self) -> asyncio.Timeout:
        """What cuts off, with `TimeoutError`, the block that is run in it."""
        self._since = time.monotonic()
        self._timeout = asyncio.timeout(self.limit)
        return self._timeout

    @property
    def used(self) -> float:
        """Seconds that count."""
        return self._before + (time.monotonic() - self._since if self._since is not None else 0.0)

    @property
    def left(self) -> float:
        """Seconds until the limit."""
        return self.limit - self.used

    @property
    def is_stopped(self) -> bool:
        """Whether it stands still."""
        return self._since is None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Within the block no time passes."""
        self._before, self._since = self.used, None
        self._ring_at(None)
        try:
            yield
        finally:
            self._since = time.monotonic()
            self._ring_at(asyncio.get_running_loop().time() + self.left)

    def ring(self) -> None:
        """Cut off the block now."""
        self._ring_at(asyncio.get_running_loop().time())

    def _ring_at(self, when: float | None) -> None:
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(when)
